"""The contest's function with the driver's own pool, of one connection for each container."""

from __future__ import annotations

from typing import Any

from mysql.connector.pooling import MySQLConnectionPool

from benchmarks.handlers.rows import QUERY, parameters, server

# A container has one invocation at a time; the default would open five, all at once.
pool = MySQLConnectionPool(pool_size=1, **server())


def handler(event: dict[str, Any], _context: object) -> int:
    """Return how many products there are on a shelf."""
    connection = pool.get_connection()
    try:
        cursor = connection.cursor()
        cursor.execute(QUERY, parameters(event))
        return len(cursor.fetchall())
    finally:
        connection.close()
