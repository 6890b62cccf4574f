"""Units of work: transactions that are run again, statements that are, invocations, users."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

import slsmysql
from slsmysql.constants import ER
from slsmysql.err import OperationalError, OutcomeUnknownError, ProgrammingError
from slsmysql.events import Event
from tests.fix_servers import Connect, PyMySQLConnect
from tests.integration.conftest import Clock, ids, names, rows, run
from tests.proxy import (
    Action,
    Point,
    Proxy,
    answer,
    error_packet,
    fin,
    reply,
    request,
    rst,
)
from tests.servers import Server

Connection = slsmysql.Connection
Numbers = Callable[[], list[Any]]

DEADLOCK = error_packet(1213, "Deadlock found when trying to get lock", "40001", 1)


# -- transaction() ---------------------------------------------------------------------------------


@pytest.mark.parametrize("autocommit", [False, True])
def test_a_block_is_committed_at_its_end(
    through: Connect, table: Numbers, *, autocommit: bool
) -> None:
    """With autocommit or without, the block is one transaction."""
    connection = through(autocommit=autocommit)
    with connection.transaction() as same:
        assert same is connection
        run(connection, "INSERT INTO t VALUES (1)")
        assert table() == []
        run(connection, "INSERT INTO t VALUES (2)")
    assert table() == [1, 2]


def test_a_block_is_rolled_back_by_any_exception(through: Connect, table: Numbers) -> None:
    """The exception goes on, and nothing of the block is left."""
    connection = through(autocommit=True)

    def work() -> None:
        with connection.transaction():
            run(connection, "INSERT INTO t VALUES (1)")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert table() == []
    assert not connection.in_transaction


def test_a_rollback_that_fails_hides_no_exception(
    through: Connect, proxy: Proxy, table: Numbers
) -> None:
    """What the block raised is what comes out, though its rollback could not be sent."""
    connection = through()

    def work() -> None:
        with connection.transaction():
            run(connection, "INSERT INTO t VALUES (1)")
            proxy.when(request("ROLLBACK"), fin)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    with connection.transaction():
        run(connection, "INSERT INTO t VALUES (2)")
    assert table() == [2]


def test_no_block_begins_in_the_middle_of_a_transaction(through: Connect, table: Numbers) -> None:
    """BEGIN would commit what is open; nothing is sent."""
    connection = through()
    run(connection, "INSERT INTO t VALUES (1)")
    with pytest.raises(ProgrammingError), connection.transaction():
        pass
    connection.rollback()
    assert table() == []


# -- run_transaction() -----------------------------------------------------------------------------


def test_a_deadlock_runs_all_of_it_again(
    through: Connect,
    table: Numbers,
    clock: Clock,
    home: str,
    pymysql_connect: PyMySQLConnect,
    events: list[Event],
) -> None:
    """After a real deadlock the whole function runs again, and each change is made once."""
    other: Any = pymysql_connect(database=home)
    connection = through()
    run(connection, "INSERT INTO t VALUES (10), (20), (30), (40), (50)")
    connection.commit()
    # The heavier of the two is spared: this one changes more rows.
    other.cursor().execute("UPDATE t SET n = n + 1 WHERE n >= 20")
    calls = []
    blocked: list[threading.Thread] = []

    def finish_other() -> None:
        other.cursor().execute("UPDATE t SET n = n + 2 WHERE n = 10")
        other.commit()

    def work(connection: Connection) -> str:
        calls.append(1)
        run(connection, "UPDATE t SET n = n + 3 WHERE n IN (10, 12)")
        if len(calls) == 1:
            blocked.append(threading.Thread(target=finish_other))
            blocked[0].start()
        run(connection, "UPDATE t SET n = n + 3 WHERE n IN (20, 21)")
        return "done"

    assert connection.run_transaction(work) == "done"
    blocked[0].join()
    assert len(calls) == 2
    assert table() == [15, 24, 31, 41, 51]
    assert len(clock.slept) == 1
    assert [event.errno for event in events if event.name == "transaction_retry"] == [1213]
    assert connection.stats().transaction_retries == 1


@pytest.mark.parametrize("stale", [False, True])
@pytest.mark.parametrize(
    ("point", "action"),
    [
        pytest.param(request("(2)"), fin, id="statement lost"),
        pytest.param(answer("(2)"), rst, id="answer lost"),
        pytest.param(request("(2)"), reply(DEADLOCK, close=False), id="deadlock"),
        pytest.param(request("BEGIN"), fin, id="begin lost"),
    ],
)
def test_what_was_undone_is_run_again(
    through: Connect,
    proxy: Proxy,
    table: Numbers,
    clock: Clock,
    point: Point,
    action: Action,
    *,
    stale: bool,
) -> None:
    """Lost before the COMMIT, or refused: all of it runs again, and is there once."""
    connection = through()
    calls = []

    def work(connection: Connection) -> None:
        calls.append(1)
        run(connection, "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)")

    clock.advance(2 if stale else 0)
    proxy.when(point, action)
    connection.run_transaction(work)
    assert table() == [1, 2]
    assert len(calls) == (1 if point.text == b"begin" else 2)


def test_a_session_found_dead_at_the_commit_runs_all_of_it_again(
    through: Connect, proxy: Proxy, server: Server, table: Numbers, clock: Clock
) -> None:
    """A COMMIT that was never sent has done nothing: the function runs again."""
    connection = through()
    calls = []

    def work(connection: Connection) -> None:
        calls.append(1)
        run(connection, "INSERT INTO t VALUES (1)")
        if len(calls) == 1:
            link = proxy.link
            server.sql(f"KILL {connection.thread_id()}")
            proxy.wait(lambda: not link.open)
            clock.advance(5)

    connection.run_transaction(work)
    assert len(calls) == 2
    assert table() == [1]


@pytest.mark.parametrize(("point", "expected"), [(request("COMMIT"), []), (answer("COMMIT"), [1])])
def test_an_unknown_outcome_is_never_run_again(
    through: Connect, proxy: Proxy, table: Numbers, clock: Clock, point: Point, expected: list[int]
) -> None:
    """Lost in the COMMIT: the caller is told, and the function has run once."""
    connection = through()
    calls = []

    def work(connection: Connection) -> None:
        calls.append(1)
        run(connection, "INSERT INTO t VALUES (1)")

    proxy.when(point, fin)
    with pytest.raises(OutcomeUnknownError):
        connection.run_transaction(work)
    assert len(calls) == 1
    assert table() == expected


def test_in_the_end_the_last_error_is_raised(
    through: Connect, proxy: Proxy, table: Numbers, clock: Clock
) -> None:
    """After so many retries there are no more."""
    connection = through()
    calls = []

    def work(connection: Connection) -> None:
        calls.append(1)
        run(connection, "INSERT INTO t VALUES (1)")

    proxy.when(request("INSERT"), reply(DEADLOCK, close=False), times=None)
    with pytest.raises(OperationalError) as caught:
        connection.run_transaction(work, retries=2)
    assert caught.value.args[0] == ER.LOCK_DEADLOCK
    assert len(calls) == 3
    assert len(clock.slept) == 2
    assert not connection.in_transaction


def test_an_error_of_the_functions_own_is_not_run_again(through: Connect, table: Numbers) -> None:
    """What the server has not undone is rolled back, and raised."""
    connection = through()
    calls = []

    def work(connection: Connection) -> None:
        calls.append(1)
        run(connection, "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1)")

    with pytest.raises(slsmysql.IntegrityError):
        connection.run_transaction(work)
    assert len(calls) == 1
    assert table() == []


def test_a_server_that_became_read_only_is_left(
    through: Connect, proxy: Proxy, server: Server, lab: Server, table: Numbers, home: str
) -> None:
    """After a failover in the middle the whole function runs on the successor."""
    lab.sql(
        f"CREATE DATABASE IF NOT EXISTS {home}",
        f"CREATE TABLE IF NOT EXISTS {home}.t (n INT PRIMARY KEY)",
        "SET GLOBAL read_only=1",
    )
    proxy.server = (lab.host, lab.port)
    connection = through()
    proxy.server = (server.host, server.port)
    connection.run_transaction(lambda connection: run(connection, "INSERT INTO t VALUES (1)"))
    assert table() == [1]


# -- query_retries ---------------------------------------------------------------------------------


def blocking(server: Server) -> str:
    """Return what makes a session wait for a lock as short a time as its server allows."""
    return f"SET SESSION innodb_lock_wait_timeout = {0 if server.kind == 'mariadb' else 1}"


def test_a_lock_wait_in_autocommit_is_sent_again(
    through: Connect,
    server: Server,
    table: Numbers,
    clock: Clock,
    home: str,
    pymysql_connect: PyMySQLConnect,
    events: list[Event],
) -> None:
    """A real 1205: after a wait with jitter the statement is sent again, and runs once."""
    blocker: Any = pymysql_connect(database=home)
    blocker.cursor().execute("INSERT INTO t VALUES (1)")
    connection = through(autocommit=True, query_retries=3)
    run(connection, blocking(server))
    clock.on_sleep = lambda _seconds: blocker.rollback()
    with connection.cursor() as cursor:
        assert cursor.execute("INSERT INTO t VALUES (1)") == 1
        assert cursor.rowcount == 1
    assert table() == [1]
    assert len(clock.slept) == 1
    assert [event.errno for event in events if event.name == "query_retry"] == [1205]
    assert connection.stats().query_retries == 1


def test_a_deadlock_in_autocommit_is_sent_again(
    through: Connect, proxy: Proxy, table: Numbers, clock: Clock
) -> None:
    """1213 on a statement that is its own transaction: all of it was undone."""
    connection = through(autocommit=True, query_retries=5)
    proxy.when(request("INSERT"), reply(DEADLOCK, close=False), times=3)
    run(connection, "INSERT INTO t VALUES (1)")
    assert table() == [1]
    assert len(clock.slept) == 3


@pytest.mark.parametrize("closed", [False, True])
def test_a_session_that_a_signals_handler_ends_in_the_wait(
    through: Connect, proxy: Proxy, table: Numbers, clock: Clock, *, closed: bool
) -> None:
    """close_all() in the wait: sent in a new session; close(): the clear error of a closed one."""
    connection = through(autocommit=True, query_retries=5)
    proxy.when(request("INSERT"), reply(DEADLOCK, close=False))
    clock.on_sleep = lambda _seconds: connection.close() if closed else slsmysql.close_all()
    if closed:
        with pytest.raises(slsmysql.InterfaceError):
            run(connection, "INSERT INTO t VALUES (1)")
    else:
        run(connection, "INSERT INTO t VALUES (1)")
    assert table() == ([] if closed else [1])


def test_retries_end(through: Connect, proxy: Proxy, table: Numbers, clock: Clock) -> None:
    """After query_retries the error is raised, and the session goes on."""
    connection = through(autocommit=True, query_retries=2)
    proxy.when(request("INSERT"), reply(DEADLOCK, close=False), times=3)
    with proxy.counting() as counted, pytest.raises(OperationalError) as caught:
        run(connection, "INSERT INTO t VALUES (1)")
    assert caught.value.args[0] == ER.LOCK_DEADLOCK
    assert len(counted.statements) == 3
    run(connection, "INSERT INTO t VALUES (1)")
    assert table() == [1]


@pytest.mark.parametrize("retries", [0, 3])
@pytest.mark.parametrize("autocommit", [False, True])
def test_in_a_transaction_a_statement_is_never_sent_again(
    through: Connect, proxy: Proxy, table: Numbers, clock: Clock, retries: int, *, autocommit: bool
) -> None:
    """After a deadlock the first half is gone, and its second half must not go alone."""
    connection = through(autocommit=autocommit, query_retries=retries)
    connection.begin()
    run(connection, "INSERT INTO t VALUES (1)")
    proxy.when(request("(2)"), reply(DEADLOCK, close=False))
    with pytest.raises(OperationalError):
        run(connection, "INSERT INTO t VALUES (2)")
    assert clock.slept == []
    connection.rollback()
    assert table() == []


def test_a_retry_that_is_cut_off(
    through: Connect, proxy: Proxy, table: Numbers, clock: Clock
) -> None:
    """The second time, too, a lost answer is an outcome that is not known."""
    connection = through(autocommit=True, query_retries=3)
    proxy.when(request("INSERT"), reply(DEADLOCK, close=False))
    clock.on_sleep = lambda _seconds: proxy.when(answer("INSERT"), fin)
    with pytest.raises(OutcomeUnknownError):
        run(connection, "INSERT INTO t VALUES (1)")
    assert table() == [1]
    assert rows(connection, "SELECT 7") == [(7,)]


# -- invocation() ----------------------------------------------------------------------------------


class Context:
    """What a function platform hands to a handler."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        """Let the function have so many seconds from now on."""
        self._clock = clock
        self._end = clock.now + seconds

    def get_remaining_time_in_millis(self) -> int:
        """Return what is left, as AWS Lambda's context does."""
        return int((self._end - self._clock.now) * 1000)


def test_what_a_handler_leaves_open_is_rolled_back(
    through: Connect, table: Numbers, events: list[Event]
) -> None:
    """Nothing leaks into the next invocation, whose commit would have committed it; it is told."""
    connection = through()
    session = connection.thread_id()

    @slsmysql.invocation
    def handler(event: dict[str, int], context: object) -> int:
        run(connection, f"INSERT INTO t VALUES ({event['n']})")
        if event["n"] % 2:
            connection.commit()
        return event["n"] * 10

    assert [handler({"n": n}, None) for n in range(4)] == [0, 10, 20, 30]
    assert table() == [1, 3]
    assert connection.thread_id() == session
    assert names(events) == ["rolled_back", "rolled_back"]
    assert connection.stats().rolled_back == 2


def test_a_handlers_exception_is_its_own(through: Connect, table: Numbers) -> None:
    """It goes on as it was raised, after a rollback."""
    connection = through()
    error = ZeroDivisionError("mine")

    @slsmysql.invocation
    def handler(event: object, context: object) -> None:
        run(connection, "INSERT INTO t VALUES (1)")
        raise error

    with pytest.raises(ZeroDivisionError) as caught:
        handler(None, None)
    assert caught.value is error
    assert table() == []
    assert connection.open


def test_a_rollback_that_fails_at_the_end_is_not_heard_of(
    through: Connect, proxy: Proxy, table: Numbers
) -> None:
    """A session lost at the end has done what was asked for; the next invocation has another."""
    connection = through()
    with slsmysql.invocation():
        run(connection, "INSERT INTO t VALUES (1)")
        proxy.when(request("ROLLBACK"), fin)
    with slsmysql.invocation():
        run(connection, "INSERT INTO t VALUES (2)")
        connection.commit()
    assert table() == [2]


def test_an_invocation_ends_nothing_that_was_last_used_elsewhere(
    through: Connect, table: Numbers
) -> None:
    """A transaction of no invocation, or of another one around it, is not its business."""
    connection = through()
    run(connection, "INSERT INTO t VALUES (1)")
    with slsmysql.invocation():
        pass
    with slsmysql.invocation():
        run(connection, "INSERT INTO t VALUES (2)")
        with slsmysql.invocation():
            pass
        connection.commit()
    assert table() == [1, 2]


def test_an_invocation_with_nothing_open_sends_nothing(through: Connect, proxy: Proxy) -> None:
    """After a commit, or without a statement, its end costs no round trip."""
    connection = through()
    with slsmysql.invocation():
        rows(connection, "SELECT 1")
        connection.commit()
        before = proxy.tally()
    with slsmysql.invocation():
        pass
    assert (proxy.tally() - before).round_trips == 0


def test_the_end_of_an_invocation_is_a_boundary(
    through: Connect, proxy: Proxy, clock: Clock
) -> None:
    """The load is looked at when that is due, though the handler came to no boundary."""
    connection = through(looks=True, autocommit=True)
    with slsmysql.invocation():
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        before = proxy.tally()
    assert "statistics" in (proxy.tally() - before).statements


def test_a_wait_ends_with_the_functions_time(
    connect: Connect, lab: Server, fill: Callable[..., list[Any]], clock: Clock
) -> None:
    """A full server is waited for as long as the function lives, not longer."""
    lab.sql("SET GLOBAL max_connections=10")
    fill(10)
    start = clock.now
    given = {"host": lab.host, "port": lab.port, "database": "test"}
    with (
        slsmysql.invocation(Context(clock, 3)),
        pytest.raises(OperationalError) as caught,
    ):
        connect(**given)
    assert caught.value.args[0] == ER.CON_COUNT_ERROR
    assert 2 < clock.now - start <= 3
    start = clock.now
    with pytest.raises(OperationalError):
        connect(**given)  # outside, the whole of connect_timeout
    assert clock.now - start > 8


def test_a_lost_transaction_that_a_handler_swallows_does_not_reach_the_next(
    through: Connect, proxy: Proxy, table: Numbers
) -> None:
    """The refusal after a loss is for the unit of work that lost something, not for ever."""
    connection = through()
    with slsmysql.invocation():
        run(connection, "INSERT INTO t VALUES (1)")
        proxy.when(request("(2)"), fin)
        with pytest.raises(OperationalError):
            run(connection, "INSERT INTO t VALUES (2)")
    with slsmysql.invocation():
        run(connection, "INSERT INTO t VALUES (3)")
        connection.commit()
    assert table() == [3]


# -- change_user() ---------------------------------------------------------------------------------


def test_change_user_goes_on_in_a_new_session(
    through: Connect, server: Server, table: Numbers, home: str
) -> None:
    """What was open is rolled back, and nothing of the old session is left."""
    connection = through()
    session = connection.thread_id()
    run(connection, "INSERT INTO t VALUES (1)", "SET @a = 5")
    connection.change_user(server.boss.user, server.boss.password)
    assert table() == []
    assert rows(connection, "SELECT CURRENT_USER(), @a, DATABASE()") == [("boss@%", None, home)]
    assert connection.user == b"boss"
    assert connection.thread_id() != session
    while session in ids(server):
        pass


def test_change_user_to_another_database(through: Connect, server: Server) -> None:
    """The database may change with the user."""
    connection = through()
    connection.change_user(server.boss.user, server.boss.password, "test")
    assert rows(connection, "SELECT DATABASE()") == [("test",)]


def test_change_user_that_is_denied(through: Connect, server: Server) -> None:
    """Who is not let in gets the server's error, and nobody's session."""
    connection = through(ssl_disabled=False)
    with pytest.raises(OperationalError) as caught:
        connection.change_user(server.boss.user, "wrong")
    assert caught.value.args[0] == ER.ACCESS_DENIED_ERROR
    with pytest.raises(slsmysql.Error):
        rows(connection, "SELECT 1")
    connection.change_user(server.app.user, server.app.password)
    assert rows(connection, "SELECT 1") == [(1,)]


def test_change_user_to_what_cannot_be_keeps_the_transaction(
    through: Connect, table: Numbers
) -> None:
    """A wrong argument is told before anything is lost."""
    connection = through()
    run(connection, "INSERT INTO t VALUES (1)")
    wrong: Any = 5
    with pytest.raises(slsmysql.ProgrammingError):
        connection.change_user("somebody", database=wrong)
    with pytest.raises(slsmysql.ProgrammingError):
        connection.change_user(wrong)
    connection.commit()
    assert table() == [1]
