"""A session with a server that is none: answers from memory, for tests that count and compare."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import slsmysql
from slsmysql import manager
from slsmysql._driver import Row
from slsmysql.constants import FIELD_TYPE
from slsmysql.session import IN_TRANSACTION


def column(name: bytes, kind: int, collation: int) -> tuple[Any, ...]:
    """Return a column as `Handle.raw_fields` has it."""
    return (b"def", b"test", b"products", b"products", name, name, collation, 0, kind, 0, 0)


class Handle:
    """A session that answers from memory and remembers what it was sent."""

    backend = "c"
    alive = True
    thread_id = 7
    server_version = "8.4.0"
    host_info = "memory"
    protocol_version = 10
    server_capabilities = 0
    server_charset_id = 45
    secure = False
    affected_rows = 1
    insert_id = 0
    warning_count = 0
    message = None
    maybe_read = True
    pending = False
    more = False

    def __init__(self, status: int = 0) -> None:
        """Make a session whose server's status word is ``status``."""
        self.status = status
        self.sent: list[bytes] = []
        self._columns: list[tuple[Any, ...]] = []
        self._rows: list[Row] = []

    def set_up_done(self) -> None:
        """Have no time-outs to change."""

    def query(self, sql: bytes) -> list[tuple[Any, ...]] | None:
        """Answer what the tests ask, and with OK whatever else comes."""
        self.sent.append(sql)
        if sql.startswith(b"SELECT @@GLOBAL.max_connections"):
            self._columns = [column(b"limit", FIELD_TYPE.LONGLONG, 63)] * 2
            self._rows = [(b"151", b"0")]
        elif sql.startswith(b"SELECT id"):
            self._columns = [
                column(b"id", FIELD_TYPE.LONG, 63),
                column(b"name", FIELD_TYPE.VAR_STRING, 45),
                column(b"price", FIELD_TYPE.NEWDECIMAL, 63),
            ]
            self._rows = [(b"5", b"soap", b"1.99")]
            self.status |= IN_TRANSACTION
        else:
            self.status &= ~IN_TRANSACTION
            if sql.startswith(b"INSERT"):
                self.status |= IN_TRANSACTION
            return None
        return self._columns

    def raw_fields(self, columns: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Have them as the C extension does."""
        return columns

    def read_rows(self, into: list[Row], size: int, native: bool) -> None:
        """Give the rows of the answer."""
        into += self._rows

    def ping(self) -> bool:
        """Be there."""
        return True

    def statistics(self) -> str:
        """Tell of few threads, so that nothing follows."""
        self.sent.append(b"COM_STATISTICS")
        return "Uptime: 1  Threads: 3  Questions: 1"

    def quit(self) -> None:
        """Be gone."""
        self.alive = False

    abandon = quit


#: Connects to a `Handle` with a status word (0) and keywords of ``connect()``.
Open = Callable[..., tuple[slsmysql.Connection, Handle]]


@pytest.fixture(name="connected")
def fix_connected(monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """A function that connects to a `Handle`, with no look due for as long as the test runs."""
    connections = []

    def connected(status: int = 0, **keywords: Any) -> tuple[slsmysql.Connection, Handle]:
        handle = Handle(status)
        monkeypatch.setattr("slsmysql._driver.open_handle", lambda *_, **__: handle)
        connection = slsmysql.connect(host="memory", user="app", reuse=False, **keywords)
        connections.append(connection)
        connection.cursor().execute("SELECT id")
        connection.commit()  # the first boundary looks, and reads the limits
        connection._server.next_look = float("inf")
        del handle.sent[:]
        return connection, handle

    manager.forget_servers()
    yield connected
    for connection in connections:
        connection.quit()
    manager.forget_servers()
