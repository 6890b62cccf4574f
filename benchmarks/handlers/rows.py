"""What every function of the contest does: one query that retrieves a few rows and takes a while.

It sleeps on the server, so that many are under way at once without many processors.
"""

from __future__ import annotations

import json
import os
from typing import Any

#: Five products of a shelf; the second table is one row, which takes ``WORK_SECONDS``.
QUERY = (
    "SELECT id, name, price FROM products, (SELECT SLEEP(%s) AS slept) AS pause"
    " WHERE shelf = %s ORDER BY price"
)


def server() -> dict[str, Any]:
    """Return the keywords of ``connect()`` that the drivers with PyMySQL's face have in common."""
    return {
        "host": os.environ["DB_HOST"],
        "port": int(os.environ["DB_PORT"]),
        "user": os.environ["DB_USER"],
        "password": os.environ["DB_PASSWORD"],
        "database": os.environ["DB_NAME"],
        "autocommit": True,
        **json.loads(os.environ.get("DB_OPTIONS", "{}")),
    }


def parameters(event: dict[str, Any]) -> tuple[float, int]:
    """Return the query's parameters: seconds, and the shelf."""
    return float(os.environ["WORK_SECONDS"]), event["number"] % 10
