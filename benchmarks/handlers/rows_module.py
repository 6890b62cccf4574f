"""The contest's function with a connection of the module: made once for each container."""

from __future__ import annotations

from typing import Any

import pymysql

from benchmarks.handlers.rows import QUERY, parameters, server

connection = pymysql.connect(**server())


def handler(event: dict[str, Any], _context: object) -> int:
    """Return how many products there are on a shelf."""
    with connection.cursor() as cursor:
        cursor.execute(QUERY, parameters(event))
        return len(cursor.fetchall())
