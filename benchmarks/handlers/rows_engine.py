"""The contest's function with SQLAlchemy: the module's engine, a connection for each invocation.

``DB_DIALECT`` names dialect and driver; the pool is the dialect's own (PyMySQL: ``QueuePool``).
"""

from __future__ import annotations

import os
from typing import Any

import sqlalchemy

from benchmarks.handlers.rows import QUERY, parameters, server

keywords = server()
del keywords["autocommit"]  # the dialect has a level of isolation for it
engine = sqlalchemy.create_engine(
    f"{os.environ['DB_DIALECT']}://", connect_args=keywords, isolation_level="AUTOCOMMIT"
)


def handler(event: dict[str, Any], _context: object) -> int:
    """Return how many products there are on a shelf."""
    with engine.connect() as connection:
        return len(connection.exec_driver_sql(QUERY, parameters(event)).all())
