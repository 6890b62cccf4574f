"""The contest's function with a connection of its own for each invocation."""

from __future__ import annotations

from typing import Any

import pymysql

from benchmarks.handlers.rows import QUERY, parameters, server


def handler(event: dict[str, Any], _context: object) -> int:
    """Return how many products there are on a shelf."""
    connection = pymysql.connect(**server())
    try:
        with connection.cursor() as cursor:
            cursor.execute(QUERY, parameters(event))
            return len(cursor.fetchall())
    finally:
        connection.close()
