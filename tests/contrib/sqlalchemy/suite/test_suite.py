"""SQLAlchemy's suite for dialects; what it knows by the driver's name is said here."""

# SQLAlchemy has no types for its testing package.
# mypy: ignore-errors

from __future__ import annotations

from sqlalchemy.testing.suite import *  # noqa: F403
from sqlalchemy.testing.suite import ServerSideCursorsTest as _ServerSideCursorsTest


class ServerSideCursorsTest(_ServerSideCursorsTest):
    """The same tests: the suite finds out by the driver's name what a streaming cursor is."""

    def _is_server_side(self, cursor: object) -> bool:
        return isinstance(cursor, self.engine.dialect._sscursor)
