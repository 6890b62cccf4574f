"""The control group: programs that do what is often done, and which the ledger must catch.

`Resending` is PyMySQL in a wrapper that connects again and sends again whatever was lost, as
serverless-mysql does. `Simple` is PyMySQL as it is, for a program that takes every error for a
failure and tries again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

import pymysql

from tests.faults.ledger import Told

T = TypeVar("T")

#: Errors after which one connects again and sends again.
LOST = frozenset({0, 1053, 1927, 2006, 2013, 4031})

#: How often one tries.
TRIES = 5


def told_of(error: Exception) -> Told:
    """Return what an error says to a program that thinks the worst of it."""
    return "unknown"


def told_simply(error: Exception) -> Told:
    """Return what an error says to most programs."""
    return "failed"


class _Cursor:
    """A cursor whose statements are sent again."""

    def __init__(self, connection: Resending) -> None:
        self._connection = connection
        self._cursor = connection.real.cursor()

    def __enter__(self) -> _Cursor:
        return self

    def __exit__(self, *_error: object) -> None:
        with contextlib.suppress(pymysql.err.Error):
            self._cursor.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def execute(self, sql: str, parameters: Any = None) -> int:
        """Send a statement until it is through."""

        def send(connection: Any) -> int:
            self._cursor = connection.cursor()
            rows: int = self._cursor.execute(sql, parameters)
            return rows

        return self._connection.again(send)


class Resending:
    """PyMySQL's connection in a wrapper that connects again and sends again."""

    def __init__(self, **keywords: Any) -> None:
        """Connect."""
        self._keywords = keywords
        self.real = self._connect()

    def _connect(self) -> Any:
        for tries in range(TRIES):
            try:
                return pymysql.connect(**self._keywords)
            except pymysql.err.Error:
                if tries == TRIES - 1:
                    raise
        raise AssertionError

    def again(self, work: Callable[[Any], T]) -> T:
        """Do something with the connection, and again with a new one if that was lost."""
        for _ in range(TRIES):
            try:
                return work(self.real)
            except pymysql.err.Error as error:
                if error.args[0] not in LOST:
                    raise
                self.real._force_close()
                self.real = self._connect()
        return work(self.real)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def cursor(self) -> _Cursor:
        """Return a cursor."""
        return _Cursor(self)

    def autocommit(self, value: bool) -> None:
        """Switch autocommit."""
        self._keywords["autocommit"] = value
        self.again(lambda connection: connection.autocommit(value))

    def begin(self) -> None:
        """Begin a transaction."""
        self.again(lambda connection: connection.begin())

    def commit(self) -> None:
        """Commit."""
        self.again(lambda connection: connection.commit())

    def rollback(self) -> None:
        """Roll back."""
        self.again(lambda connection: connection.rollback())


class Simple:
    """PyMySQL's connection, made anew when the one before was lost."""

    def __init__(self, **keywords: Any) -> None:
        """Connect."""
        self._keywords = keywords
        self.real: Any = pymysql.connect(**keywords)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def autocommit(self, value: bool) -> None:
        """Switch autocommit, on a new connection if there is none."""
        if not self.real.open:
            self.real = pymysql.connect(**{**self._keywords, "autocommit": value})
        self.real.autocommit(value)


#: How each group connects, and what it makes of an error.
GROUPS: dict[str, tuple[Callable[..., Any], Callable[[Exception], Told]]] = {
    "connect again and send again": (Resending, told_of),
    "an error is a failure": (Simple, told_simply),
}
