"""Cut at any byte, in either direction: a unit of work is there whole, once, or not at all."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

import slsmysql
from slsmysql.err import OperationalError, OutcomeUnknownError
from tests.fix_servers import Connect
from tests.integration.conftest import Clock, run
from tests.proxy import Action, Direction, Proxy, fin, passed, rst
from tests.servers import Server

Connection = slsmysql.Connection
Numbers = Callable[[], list[Any]]

#: Cuts in one conversation, and with TLS, where a hand-shake takes its time.
CUTS, CUTS_IN_TLS = 16, 8


def transaction(connection: Connection) -> None:
    """Two writes and a commit."""
    run(connection, "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)")
    connection.commit()


def retried(connection: Connection) -> None:
    """The same, run again when the server has undone it."""
    connection.run_transaction(
        lambda connection: run(connection, "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)")
    )


def one_statement(connection: Connection) -> None:
    """Two rows in one statement, in autocommit."""
    connection.autocommit(True)
    run(connection, "INSERT INTO t VALUES (1), (2)")


def told(work: Callable[[Connection], None], connect: Callable[[], Connection]) -> str:
    """Return what a program is told of a unit of work: "done", "undone", or "unknown"."""
    try:
        work(connect())
    except OutcomeUnknownError:
        return "unknown"
    except OperationalError:
        return "undone"
    return "done"


def check_cuts(
    proxy: Proxy,
    table: Numbers,
    clear: Callable[[], object],
    work: Callable[[Connection], None],
    connect: Callable[[], Connection],
    toward: Direction,
    action: Action,
    cuts: int,
) -> None:
    """Cut so many conversations, each at another byte, and compare what is told with the rows."""
    before = proxy.tally()
    assert told(work, connect) == "done"
    passing = proxy.tally() - before
    total = passing.bytes_to_server if toward == "server" else passing.bytes_to_client
    seen = set()
    for number in range(cuts):
        count = 1 + number * total // cuts
        clear()
        proxy.when(passed(count, toward), action)
        said = told(work, connect)
        rows = table()
        proxy.behave()
        assert rows in ([], [1, 2]), (count, said)
        assert said == "unknown" or (rows != []) == (said == "done"), (count, said, rows)
        seen.add(said)
    assert "done" in seen


@pytest.mark.parametrize("work", [transaction, retried, one_statement])
@pytest.mark.parametrize("action", [fin, rst])
@pytest.mark.parametrize("toward", ["server", "client"])
def test_cut_at_any_byte(
    through: Connect,
    proxy: Proxy,
    server: Server,
    clock: Clock,
    table: Numbers,
    home: str,
    work: Callable[[Connection], None],
    action: Action,
    toward: Direction,
) -> None:
    """What the program is told is what is in the table, wherever the connection is cut."""
    clear = functools.partial(server.sql, f"DELETE FROM {home}.t")
    connect = functools.partial(through, reuse=False)
    check_cuts(proxy, table, clear, work, connect, toward, action, CUTS)


# CPython's ssl forgets the socket of a hand-shake that ends before it has begun.
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
@pytest.mark.parametrize("server", ["mysql"], indirect=True)  # MariaDB has no TLS by itself
@pytest.mark.parametrize("action", [fin, rst])
@pytest.mark.parametrize("toward", ["server", "client"])
def test_cut_at_any_byte_of_tls(
    through: Connect,
    proxy: Proxy,
    server: Server,
    clock: Clock,
    table: Numbers,
    home: str,
    action: Action,
    toward: Direction,
) -> None:
    """The same with TLS, in its hand-shake and in its records."""
    clear = functools.partial(server.sql, f"DELETE FROM {home}.t")
    connect = functools.partial(through, reuse=False, ssl_disabled=False)
    check_cuts(proxy, table, clear, transaction, connect, toward, action, CUTS_IN_TLS)
