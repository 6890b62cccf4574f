"""What happens before a statement whose session may have died while the container slept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import slsmysql
from slsmysql.cursors import SSCursor
from slsmysql.events import Event
from tests.fix_servers import Connect
from tests.integration.conftest import Clock, names, rows, run
from tests.proxy import Proxy
from tests.servers import Server

CLOCKS = [
    pytest.param({"monotonic": True, "wall": True}, id="both clocks"),
    pytest.param({"monotonic": False, "wall": True}, id="wall clock only"),
    pytest.param({"monotonic": True, "wall": False}, id="monotonic clock only"),
]


def kill(server: Server, proxy: Proxy, connection: slsmysql.Connection) -> None:
    """End a connection's session from outside, and wait until its end has come through."""
    link = proxy.link
    server.sql(f"KILL {connection.thread_id()}")
    proxy.wait(lambda: not link.open)


def test_a_session_just_used_is_not_asked(through: Connect, proxy: Proxy, clock: Clock) -> None:
    """Up to stale_after nothing is sent before a statement."""
    connection = through(stale_after=1)
    rows(connection, "SELECT 1")
    clock.advance(1)
    with proxy.counting() as counted:
        assert rows(connection, "SELECT 2") == [(2,)]
    assert counted.statements == ["SELECT 2"]


@pytest.mark.parametrize("clocks", CLOCKS)
def test_a_session_idle_for_longer_is_pinged_once(
    through: Connect, proxy: Proxy, clock: Clock, clocks: dict[str, bool]
) -> None:
    """After stale_after, by whichever clock says so, one ping precedes the statement."""
    connection = through(stale_after=1)
    session = connection.thread_id()
    clock.advance(1.5, **clocks)
    with proxy.counting() as counted:
        assert rows(connection, "SELECT 2") == [(2,)]
        assert rows(connection, "SELECT 3") == [(3,)]
    assert counted.statements == ["ping", "SELECT 2", "SELECT 3"]
    assert connection.thread_id() == session


@pytest.mark.parametrize("looks", [False, True])
@pytest.mark.parametrize(
    ("before", "question", "answer"),
    [
        ("INSERT INTO t VALUES (1), (2), (3)", "SELECT ROW_COUNT()", 3),
        ("SELECT 1 UNION ALL SELECT 2", "SELECT FOUND_ROWS()", 2),
        ("SELECT 1 + 'x'", "SELECT @@warning_count", 1),
    ],
)
def test_who_asks_for_the_last_statement_after_a_pause_is_told(
    through: Connect,
    clock: Clock,
    table: Callable[[], list[Any]],
    before: str,
    question: str,
    answer: int,
    *,
    looks: bool,
) -> None:
    """Neither the question whether the session is alive nor a look that is due changes it."""
    connection = through(autocommit=True, looks=looks, used_conns_freq=0, stale_after=1)
    cursor = connection.cursor()
    cursor.execute(before)
    clock.advance(2)
    assert rows(connection, question) == [(answer,)]
    cursor.close()


def test_a_wall_clock_that_is_set_back_does_no_harm(
    through: Connect, proxy: Proxy, clock: Clock
) -> None:
    """A step backwards of the wall clock is no idleness."""
    connection = through()
    clock.advance(-3600, monotonic=False)
    with proxy.counting() as counted:
        assert rows(connection, "SELECT 2") == [(2,)]
    assert counted.statements == ["SELECT 2"]


@pytest.mark.parametrize("clocks", CLOCKS)
def test_a_dead_session_is_replaced_before_the_statement(
    through: Connect,
    proxy: Proxy,
    clock: Clock,
    server: Server,
    table: Callable[[], list[Any]],
    events: list[Event],
    clocks: dict[str, bool],
) -> None:
    """A session killed while idle costs no error, and the statement runs once."""
    connection = through(autocommit=True)
    kill(server, proxy, connection)
    clock.advance(2, **clocks)
    with proxy.counting() as counted:
        run(connection, "INSERT INTO t VALUES (1)")
    assert table() == [1]
    assert counted.connections == 1
    assert counted.statements.count("INSERT INTO t VALUES (1)") == 1
    assert names(events) == ["reopen"]
    assert connection.stats().reopened == 1


@pytest.mark.parametrize("clocks", CLOCKS)
@pytest.mark.parametrize(
    ("settings", "idle"),
    [
        pytest.param({"reopen_after": 100}, 101, id="reopen_after"),
        pytest.param({"lease": 50, "reopen_after": 100}, 51, id="lease"),
    ],
)
def test_what_the_network_or_the_server_has_forgotten_is_replaced_without_asking(
    through: Connect,
    proxy: Proxy,
    clock: Clock,
    events: list[Event],
    settings: dict[str, Any],
    idle: float,
    clocks: dict[str, bool],
) -> None:
    """After reopen_after or the lease a new session is opened, and the old one is not asked."""
    connection = through(autocommit=True, **settings)
    session = connection.thread_id()
    clock.advance(idle, **clocks)
    with proxy.counting() as counted:
        assert rows(connection, "SELECT 2") == [(2,)]
    assert "ping" not in counted.statements
    assert counted.statements[0] == "quit"
    assert counted.connections == 1
    assert connection.thread_id() != session
    assert names(events) == ["reopen"]


def test_a_silent_network_does_not_hang_a_statement(
    through: Connect, proxy: Proxy, clock: Clock
) -> None:
    """Where packets are dropped without a word, reopen_after saves from waiting for an answer."""
    connection = through(autocommit=True)
    proxy.link.freeze()
    clock.advance(301)
    assert rows(connection, "SELECT 2") == [(2,)]


def test_a_transaction_with_writes_is_asked_and_goes_on(
    through: Connect, proxy: Proxy, clock: Clock, table: Callable[[], list[Any]]
) -> None:
    """However long it has been idle, a living session with a transaction is kept."""
    connection = through()
    session = connection.thread_id()
    run(connection, "INSERT INTO t VALUES (1)")
    clock.advance(5000)
    with proxy.counting() as counted:
        run(connection, "INSERT INTO t VALUES (2)")
        connection.commit()
    assert counted.statements == ["ping", "INSERT INTO t VALUES (2)", "COMMIT"]
    assert connection.thread_id() == session
    assert table() == [1, 2]


def test_a_pinned_session_is_asked_and_goes_on(
    through: Connect, proxy: Proxy, clock: Clock
) -> None:
    """A session with state that no other could be given is kept as long as it lives."""
    connection = through(autocommit=True)
    run(connection, "SET @a = 5")
    clock.advance(5000)
    with proxy.counting() as counted:
        assert rows(connection, "SELECT @a") == [(5,)]
    assert counted.statements == ["ping", "SELECT @a"]


def test_the_old_session_is_told_goodbye(
    through: Connect, proxy: Proxy, clock: Clock, server: Server
) -> None:
    """A session that is replaced without asking does not stay behind on the server."""
    connection = through(autocommit=True)
    old, session = proxy.link, connection.thread_id()
    clock.advance(301)
    rows(connection, "SELECT 2")
    proxy.wait(lambda: not old.open)
    assert session not in {
        row[0] for row in server.sql("SELECT ID FROM information_schema.PROCESSLIST")
    }


def test_a_stream_left_unread_survives_the_stale_check(through: Connect, clock: Clock) -> None:
    """With rows unread and the session stale the next statement gets its own rows."""
    connection = through(autocommit=True)
    streaming = connection.cursor(SSCursor)
    streaming.execute("SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3")
    assert streaming.fetchone() == (1,)
    clock.advance(2)
    with pytest.warns(UserWarning, match="left incomplete"):
        assert rows(connection, "SELECT 7") == [(7,)]
    assert rows(connection, "SELECT 8") == [(8,)]
    assert connection.stats().reopened == 0


def test_a_stream_left_unread_for_too_long_is_not_read_to_its_end(
    through: Connect, proxy: Proxy, clock: Clock
) -> None:
    """Where the network has forgotten the session nobody waits for the rest of its rows."""
    connection = through(autocommit=True)
    streaming = connection.cursor(SSCursor)
    streaming.execute("SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3")
    assert streaming.fetchone() == (1,)
    proxy.link.freeze()
    clock.advance(301)
    assert rows(connection, "SELECT 7") == [(7,)]
    streaming.close()
    assert rows(connection, "SELECT 8") == [(8,)]


def test_results_left_unread_survive_the_stale_check(
    through: Connect, clock: Clock, server: Server, database: str
) -> None:
    """With further results of a procedure unread the next statement gets its own rows."""
    server.sql(f"CREATE PROCEDURE {database}.p() BEGIN SELECT 1; SELECT 2; END")
    connection = through(autocommit=True, database=database)
    cursor = connection.cursor()
    cursor.callproc("p")
    clock.advance(2)
    assert rows(connection, "SELECT 7") == [(7,)]
    assert rows(connection, "SELECT 8") == [(8,)]


def test_a_session_parked_for_long_is_asked_at_its_first_statement(
    through: Connect, proxy: Proxy, clock: Clock
) -> None:
    """The time that a session was parked counts as idle."""
    through(autocommit=True).close()
    clock.advance(1.5)
    with proxy.counting() as counted:
        connection = through(autocommit=True)
        assert rows(connection, "SELECT 2") == [(2,)]
    assert counted.connections == 0
    assert counted.statements == ["ping", "SELECT 2"]


def test_a_parked_session_that_has_died_is_replaced_before_the_statement(
    through: Connect, proxy: Proxy, clock: Clock, server: Server
) -> None:
    """A session killed while parked costs its next owner no error."""
    first = through(autocommit=True)
    first.close()
    kill(server, proxy, first)
    clock.advance(2)
    connection = through(autocommit=True)
    assert rows(connection, "SELECT 2") == [(2,)]
    assert connection.stats().parked_reuses == 1
    assert connection.stats().reopened == 1


def test_a_session_parked_for_too_long_is_not_taken(
    through: Connect, proxy: Proxy, clock: Clock
) -> None:
    """After reopen_after a parked session is ended, and a new one opened."""
    through(autocommit=True).close()
    clock.advance(301)
    with proxy.counting() as counted:
        through(autocommit=True)
    assert counted.connections == 1
    assert counted.statements[0] == "quit"
