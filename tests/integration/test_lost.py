"""A session lost in each state: what is raised, what is known, what happens next.

Nothing is ever run twice, and no transaction is ever split: the rows are counted.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import slsmysql
from slsmysql.constants import CLIENT, CR, ER, FIELD_TYPE
from slsmysql.converters import conversions
from slsmysql.cursors import SSCursor
from slsmysql.err import InterfaceError, OperationalError, OutcomeUnknownError
from slsmysql.events import Event
from tests.fix_servers import Connect, PyMySQLConnect
from tests.integration.conftest import Clock, names, rows, run
from tests.proxy import (
    Action,
    Point,
    Proxy,
    answer,
    cut_short,
    error_packet,
    fin,
    packet,
    reply,
    request,
    rst,
)
from tests.servers import Server

Connection = slsmysql.Connection
Numbers = Callable[[], list[Any]]

#: The session ends before the server has heard of a statement, or after it has run it.
MOMENTS = [
    pytest.param(request, [], id="before"),
    pytest.param(answer, [1], id="after"),
]
CUTS = [pytest.param(fin, id="fin"), pytest.param(rst, id="rst")]

#: What begins a transaction that cannot be resumed.
WRITES = ["INSERT INTO t VALUES (1)", "SELECT n FROM t FOR UPDATE", "BEGIN"]

#: What pins a session, and what the error says was lost with it.
PINS = {
    "user variable": "SET @a = 5",
    "user variable in a select": "SELECT @a := 5",
    "temporary table": "CREATE TEMPORARY TABLE x (n INT)",
    "lock": "SELECT GET_LOCK('pinned', 0)",
    "table locks": "LOCK TABLES t WRITE",
    "prepared statement": "PREPARE p FROM 'SELECT 1'",
    "open handler": "HANDLER t OPEN",
    "session variable": "SET SESSION sql_select_limit = 1 + 1",
    "last insert id": "SELECT LAST_INSERT_ID(5)",
    "next transaction": "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
}


def lose(proxy: Proxy, server: Server, connection: Connection, how: str) -> None:
    """End an idle session: by KILL, or by the network; and wait until the end has come through."""
    link = proxy.link
    if how == "kill":
        server.sql(f"KILL {connection.thread_id()}")
        proxy.wait(lambda: not link.open)
    else:
        link.cut(reset=how == "rst")


def is_refused(connection: Connection) -> bool:
    """Return whether a statement is refused because of a loss that was not acknowledged."""
    with pytest.raises(InterfaceError) as caught:
        run(connection, "SELECT 1")
    return caught.value.args[0] == 0 and not connection.open


# -- out of a transaction --------------------------------------------------------------------------


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("point", [request("t"), answer("t"), answer("t", number=4)])
def test_a_read_that_is_cut_off(
    through: Connect, proxy: Proxy, table: Numbers, cut: Action, point: Point
) -> None:
    """A read that is cut off raises 2013 as with PyMySQL, and the next statement is served."""
    connection = through(autocommit=True)
    run(connection, "INSERT INTO t VALUES (1), (2)")
    proxy.when(point, cut)
    with pytest.raises(OperationalError) as caught:
        rows(connection, "SELECT n FROM t")
    assert caught.value.args[0] in {CR.CR_SERVER_LOST, CR.CR_SERVER_GONE_ERROR}
    assert not isinstance(caught.value, OutcomeUnknownError)
    assert connection.open
    assert rows(connection, "SELECT 7") == [(7,)]


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize(("point", "expected"), MOMENTS)
def test_a_write_in_autocommit_that_is_cut_off(
    through: Connect,
    proxy: Proxy,
    table: Numbers,
    cut: Action,
    point: Callable[[str], Point],
    expected: list[int],
) -> None:
    """Nobody can know whether it has run, so it says so, and is not run again."""
    connection = through(autocommit=True)
    proxy.when(point("INSERT"), cut)
    with proxy.counting() as counted, pytest.raises(OutcomeUnknownError) as caught:
        run(connection, "INSERT INTO t VALUES (1)")
    assert caught.value.args[0] == CR.CR_SERVER_LOST
    assert "outcome unknown" in str(caught.value)
    assert counted.statements == ["INSERT INTO t VALUES (1)"]
    assert table() == expected
    assert connection.open
    assert rows(connection, "SELECT 7") == [(7,)]


def test_the_class_for_an_unknown_outcome_is_pymysqls_with_a_name_of_its_own() -> None:
    """Who catches OperationalError, as with PyMySQL, catches an unknown outcome."""
    assert issubclass(OutcomeUnknownError, OperationalError)


@pytest.mark.parametrize("how", ["kill", "fin", "rst"])
def test_a_write_after_an_idle_loss_runs_at_most_once(
    through: Connect, proxy: Proxy, server: Server, table: Numbers, how: str
) -> None:
    """Lost just now, before the stale check is due: it runs once, or its outcome is unknown."""
    connection = through(autocommit=True)
    lose(proxy, server, connection, how)
    try:
        run(connection, "INSERT INTO t VALUES (1)")
    except OutcomeUnknownError:
        assert table() == []
    else:
        assert table() == [1]
    assert rows(connection, "SELECT 7") == [(7,)]


@pytest.mark.parametrize("backend", ["pure"], indirect=True)
def test_a_statement_that_was_never_sent_is_run_on_a_new_session(
    through: Connect, proxy: Proxy, server: Server, table: Numbers
) -> None:
    """Where the system refuses to send it, nobody can have read it, and it is run after all.

    The C extension does not tell: there it is an outcome that is not known (the test above).
    """
    connection = through(autocommit=True)
    lose(proxy, server, connection, "rst")
    run(connection, "INSERT INTO t VALUES (1)")
    assert table() == [1]
    assert connection.stats().reopened == 1


@pytest.mark.parametrize("sequence", [0, 6])
def test_a_goodbye_before_the_statement_was_read_runs_it_again(
    through: Connect, proxy: Proxy, table: Numbers, events: list[Event], sequence: int
) -> None:
    """MySQL's 4031 proves that the statement has not been read; MySQL Router renumbers it."""
    connection = through(autocommit=True)
    goodbye = error_packet(4031, "The client was disconnected by the server", sequence=sequence)
    proxy.link.inject(goodbye)
    run(connection, "INSERT INTO t VALUES (1)")
    assert table() == [1]
    assert names(events) == ["reopen"]


def test_a_procedure_that_says_goodbye_is_not_called_again(
    through: Connect, server: Server, home: str, table: Numbers
) -> None:
    """4031 is a goodbye only if the session ends with it: a SIGNAL of that number is an error."""
    server.sql(
        f"DROP PROCEDURE IF EXISTS {home}.p_goodbye",
        f"""CREATE PROCEDURE {home}.p_goodbye() BEGIN INSERT INTO {home}.t VALUES (1);
        SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 4031, MESSAGE_TEXT = 'goodbye'; END""",
    )
    connection = through(autocommit=True)
    session = connection.thread_id()
    with pytest.raises(OperationalError) as caught:
        run(connection, "CALL p_goodbye()")
    assert caught.value.args == (4031, "goodbye")
    assert table() == [1]
    assert rows(connection, "SELECT CONNECTION_ID()") == [(session,)]


def test_a_goodbye_twice_in_a_row_is_an_error(
    through: Connect, proxy: Proxy, table: Numbers
) -> None:
    """A server that always hangs up is not asked for ever."""
    connection = through(autocommit=True)
    goodbye = error_packet(4031, "The client was disconnected by the server", sequence=0)
    proxy.when(request("INSERT"), reply(goodbye), times=None)
    with proxy.counting() as counted, pytest.raises(OperationalError) as caught:
        run(connection, "INSERT INTO t VALUES (1)")
    assert not isinstance(caught.value, OutcomeUnknownError)
    assert counted.statements.count("INSERT INTO t VALUES (1)") == 2
    proxy.behave()
    assert table() == []
    run(connection, "INSERT INTO t VALUES (2)")
    assert table() == [2]


@pytest.mark.parametrize("server", ["mysql"], indirect=True)
def test_mysql_says_goodbye_after_wait_timeout(
    through: Connect, proxy: Proxy, table: Numbers
) -> None:
    """After a real wait_timeout of MySQL's a write in autocommit runs on a new session, once."""
    connection = through(autocommit=True)
    session, link = connection.thread_id(), proxy.link
    run(connection, "SET SESSION wait_timeout=1")
    proxy.wait(lambda: not link.open)
    run(connection, "INSERT INTO t VALUES (1)")
    assert table() == [1]
    assert connection.thread_id() != session


@pytest.mark.parametrize("errno", [1053, 1927, 3169, 1080])
def test_a_killed_session_that_says_so_in_mid_statement(
    through: Connect, proxy: Proxy, table: Numbers, errno: int
) -> None:
    """An answer that the session is being ended proves nothing about a write in autocommit."""
    connection = through(autocommit=True)
    proxy.when(request("INSERT"), reply(error_packet(errno, "going down", sequence=1)))
    with pytest.raises(OutcomeUnknownError) as caught:
        run(connection, "INSERT INTO t VALUES (1)")
    assert caught.value.args[0] == CR.CR_SERVER_LOST
    assert rows(connection, "SELECT 7") == [(7,)]


# -- in a transaction ------------------------------------------------------------------------------


@pytest.mark.parametrize("ends", ["commit", "rollback", "statement"])
def test_a_signal_between_a_loss_and_its_note(
    monkeypatch: pytest.MonkeyPatch, through: Connect, proxy: Proxy, table: Numbers, ends: str
) -> None:
    """What a handler's exception keeps from being noted is noted before anything else is done."""
    connection = through(autocommit=False)
    run(connection, "INSERT INTO t VALUES (1)")
    kind: Any = type(connection.handle)
    abandon = kind.abandon

    def ring(self: Any) -> None:
        abandon(self)
        raise TimeoutError

    proxy.when(request("VALUES (2)"), rst)
    with monkeypatch.context() as patch:
        patch.setattr(kind, "abandon", ring)
        with pytest.raises(TimeoutError):
            run(connection, "INSERT INTO t VALUES (2)")
    if ends == "statement":
        assert is_refused(connection)
    if ends == "commit":
        with pytest.raises(InterfaceError):
            connection.commit()
    else:
        connection.rollback()
    with connection.transaction():
        run(connection, "INSERT INTO t VALUES (3)")
    assert table() == [3]


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("point", [request, answer])
def test_a_write_in_a_transaction_that_is_cut_off(
    through: Connect,
    proxy: Proxy,
    table: Numbers,
    events: list[Event],
    cut: Action,
    point: Callable[[str], Point],
) -> None:
    """All of the transaction is gone, which is certain; nothing goes on until that is known."""
    connection = through()
    run(connection, "INSERT INTO t VALUES (1)")
    proxy.when(point("(2)"), cut)
    with pytest.raises(OperationalError) as caught:
        run(connection, "INSERT INTO t VALUES (2)")
    assert caught.value.args[0] == CR.CR_SERVER_LOST
    assert not isinstance(caught.value, OutcomeUnknownError)
    assert is_refused(connection)
    assert is_refused(connection)
    connection.rollback()
    assert connection.open
    run(connection, "INSERT INTO t VALUES (3)")
    connection.commit()
    assert table() == [3]
    assert "lost" in names(events)
    assert connection.stats().lost == 1


@pytest.mark.parametrize("stale", [False, True])
@pytest.mark.parametrize("how", ["kill", "fin", "rst"])
@pytest.mark.parametrize("begun", WRITES)
def test_a_transaction_lost_while_idle(
    through: Connect,
    proxy: Proxy,
    server: Server,
    table: Numbers,
    clock: Clock,
    how: str,
    begun: str,
    *,
    stale: bool,
) -> None:
    """The next statement says that the transaction is lost, and none goes on without it."""
    connection = through()
    run(connection, begun)
    lose(proxy, server, connection, how)
    clock.advance(2 if stale else 0)
    with pytest.raises(OperationalError) as caught:
        run(connection, "INSERT INTO t VALUES (2)")
    assert caught.value.args[0] in {CR.CR_SERVER_LOST, CR.CR_SERVER_GONE_ERROR}
    assert not isinstance(caught.value, OutcomeUnknownError)
    assert is_refused(connection)
    connection.rollback()
    run(connection, "INSERT INTO t VALUES (3)")
    connection.commit()
    assert table() == [3]


@pytest.mark.parametrize("goes_on", ["commit", "connect", "begin", "COMMIT", "ROLLBACK"])
def test_what_ends_the_refusal(
    through: Connect, proxy: Proxy, server: Server, table: Numbers, goes_on: str
) -> None:
    """The end of a unit of work fails, if it is not a rollback, and the next unit may begin."""
    connection = through()
    run(connection, "INSERT INTO t VALUES (1)")
    lose(proxy, server, connection, "fin")
    with pytest.raises(OperationalError):
        run(connection, "INSERT INTO t VALUES (2)")
    if goes_on == "connect":
        connection.connect()
    elif goes_on.isupper():
        with pytest.raises(InterfaceError):
            run(connection, goes_on)
    else:
        with pytest.raises(InterfaceError):
            getattr(connection, goes_on)()
    run(connection, "INSERT INTO t VALUES (3)")
    connection.commit()
    assert table() == [3]


def test_close_after_a_loss(through: Connect, proxy: Proxy, server: Server, table: Numbers) -> None:
    """A connection that has lost its session can be closed like any other; nothing is parked."""
    connection = through()
    run(connection, "INSERT INTO t VALUES (1)")
    lose(proxy, server, connection, "fin")
    with pytest.raises(OperationalError):
        run(connection, "INSERT INTO t VALUES (2)")
    connection.close()
    assert slsmysql.manager.parked_count() == 0


@pytest.mark.parametrize("stale", [False, True])
@pytest.mark.parametrize("how", ["kill", "fin", "rst"])
def test_a_commit_after_an_idle_loss(
    through: Connect,
    proxy: Proxy,
    server: Server,
    table: Numbers,
    clock: Clock,
    how: str,
    *,
    stale: bool,
) -> None:
    """A commit of a lost transaction fails, once; the unit is over, and the next may begin."""
    connection = through()
    run(connection, "INSERT INTO t VALUES (1)")
    lose(proxy, server, connection, how)
    clock.advance(2 if stale else 0)
    with pytest.raises(OperationalError):
        connection.commit()
    run(connection, "INSERT INTO t VALUES (3)")
    connection.commit()
    assert table() == [3]


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize(("point", "expected"), MOMENTS)
@pytest.mark.parametrize("by", ["commit()", "COMMIT"])
def test_a_commit_that_is_cut_off(
    through: Connect,
    proxy: Proxy,
    table: Numbers,
    cut: Action,
    point: Callable[[str], Point],
    expected: list[int],
    by: str,
) -> None:
    """Nobody can know whether it was committed; the unit of work is over either way."""
    connection = through()
    run(connection, "INSERT INTO t VALUES (1)")
    proxy.when(point("COMMIT"), cut)
    with pytest.raises(OutcomeUnknownError) as caught:
        connection.commit() if by == "commit()" else run(connection, by)
    assert caught.value.args[0] == CR.CR_SERVER_LOST
    assert table() == expected
    run(connection, "INSERT INTO t VALUES (3)")
    connection.commit()
    assert table() == [*expected, 3]


@pytest.mark.parametrize("stale", [False, True])
@pytest.mark.parametrize("how", ["kill", "fin", "rst", "request", "answer"])
def test_a_rollback_of_a_lost_transaction_is_a_success(
    through: Connect,
    proxy: Proxy,
    server: Server,
    table: Numbers,
    clock: Clock,
    how: str,
    *,
    stale: bool,
) -> None:
    """The loss has done what was asked for."""
    connection = through()
    run(connection, "INSERT INTO t VALUES (1)")
    if how in {"request", "answer"}:
        proxy.when({"request": request, "answer": answer}[how]("ROLLBACK"), fin)
    else:
        lose(proxy, server, connection, how)
    clock.advance(2 if stale else 0)
    connection.rollback()
    assert connection.open
    run(connection, "INSERT INTO t VALUES (3)")
    connection.commit()
    assert table() == [3]


@pytest.mark.parametrize("point", [request, answer])
def test_a_begin_that_is_cut_off(
    through: Connect, proxy: Proxy, table: Numbers, point: Callable[[str], Point]
) -> None:
    """Nothing has begun, so nothing is unknown, and it can begin again."""
    connection = through()
    proxy.when(point("BEGIN"), fin)
    with pytest.raises(OperationalError) as caught:
        connection.begin()
    assert not isinstance(caught.value, OutcomeUnknownError)
    connection.begin()
    run(connection, "INSERT INTO t VALUES (3)")
    connection.commit()
    assert table() == [3]


@pytest.mark.parametrize("point", [request, answer])
@pytest.mark.parametrize(
    "change",
    [
        "USE information_schema",
        "SET NAMES latin1",
        "SET SESSION sql_mode = ''",
        "SET autocommit = 0",
        lambda connection: connection.select_db("information_schema"),
        lambda connection: connection.set_character_set("latin1"),
    ],
)
def test_a_change_of_the_session_that_is_cut_off(
    through: Connect, proxy: Proxy, home: str, change: Any, point: Callable[[], Point]
) -> None:
    """What ends with the session is of no unknown outcome: the next one is as it was before."""
    connection = through(autocommit=True)
    proxy.when(point(), fin)
    with pytest.raises(OperationalError) as caught:
        change(connection) if callable(change) else run(connection, change)
    assert not isinstance(caught.value, OutcomeUnknownError)
    state = "SELECT DATABASE(), @@character_set_client, @@autocommit"
    assert rows(connection, state) == [(home, "utf8mb4", 1)]


def test_an_implied_commit_that_is_cut_off(through: Connect, proxy: Proxy, table: Numbers) -> None:
    """Switching autocommit on commits: lost in a transaction, nobody knows the outcome."""
    connection = through()
    run(connection, "INSERT INTO t VALUES (1)")
    proxy.when(answer("AUTOCOMMIT"), fin)
    with pytest.raises(OutcomeUnknownError):
        connection.autocommit(True)
    assert table() == [1]


@pytest.mark.parametrize("before", [[], ["SELECT n FROM t"]])
@pytest.mark.parametrize("point", [request, answer])
def test_a_first_write_without_autocommit_that_is_cut_off(
    through: Connect,
    proxy: Proxy,
    table: Numbers,
    point: Callable[[str], Point],
    before: list[str],
) -> None:
    """What began a transaction is rolled back with it, and the second half is not committed."""
    connection = through()
    run(connection, *before)
    proxy.when(point("(1)"), fin)
    with pytest.raises(OperationalError) as caught:
        run(connection, "INSERT INTO t VALUES (1)")
    assert not isinstance(caught.value, OutcomeUnknownError)
    with pytest.raises(InterfaceError):
        run(connection, "INSERT INTO t VALUES (2)")
    with pytest.raises(InterfaceError):
        connection.commit()
    assert table() == []
    run(connection, "INSERT INTO t VALUES (3)")
    connection.commit()
    assert table() == [3]


@pytest.mark.parametrize(
    "refusals",
    [[error_packet(4031, "disconnected")] * 2, [error_packet(1153, "too big", sequence=1)]],
    ids=["unread by two sessions", "too big"],
)
def test_a_first_write_without_autocommit_that_surely_has_not_run(
    through: Connect, proxy: Proxy, table: Numbers, refusals: list[bytes]
) -> None:
    """The session went with it: what a program that swallows that does next is no half of it."""
    connection = through()
    for refusal in refusals:
        proxy.when(request("(1)"), reply(refusal))
    with pytest.raises(OperationalError):
        run(connection, "INSERT INTO t VALUES (1)")
    with pytest.raises(InterfaceError):
        run(connection, "INSERT INTO t VALUES (2)")
    connection.rollback()
    run(connection, "INSERT INTO t VALUES (3)")
    connection.commit()
    assert table() == [3]


@pytest.mark.parametrize("sql", ["CREATE TABLE u (n INT)", "ALTER TABLE t ADD m INT", "CALL p()"])
def test_a_statement_that_commits_and_is_cut_off(
    through: Connect, proxy: Proxy, server: Server, database: str, sql: str
) -> None:
    """With a transaction open, too, the outcome of what commits by itself is unknown."""
    server.sql(
        f"CREATE TABLE {database}.t (n INT PRIMARY KEY)",
        f"CREATE TABLE {database}.s (n INT PRIMARY KEY)",
        f"CREATE PROCEDURE {database}.p() BEGIN COMMIT; INSERT INTO s VALUES (2); COMMIT; END",
    )
    connection = through(database=database)
    run(connection, "INSERT INTO s VALUES (1)")
    proxy.when(answer(sql), fin)
    with pytest.raises(OutcomeUnknownError):
        run(connection, sql)
    assert (1,) in server.sql(f"SELECT n FROM {database}.s")


def test_many_rows_that_are_cut_off_in_the_middle(
    through: Connect, proxy: Proxy, table: Numbers
) -> None:
    """executemany() in a transaction leaves nothing when its second statement is cut off."""
    connection = through()
    cursor = connection.cursor()
    cursor.max_stmt_length = 100
    proxy.when(answer(",(30)"), fin)
    with pytest.raises(OperationalError) as caught:
        cursor.executemany("INSERT INTO t VALUES (%s)", [(n,) for n in range(60)])
    assert not isinstance(caught.value, OutcomeUnknownError)
    assert is_refused(connection)
    connection.rollback()
    assert table() == []


# -- transactions of plain reads -------------------------------------------------------------------


def test_a_transaction_of_reads_is_resumed(
    through: Connect,
    proxy: Proxy,
    server: Server,
    table: Numbers,
    clock: Clock,
    events: list[Event],
) -> None:
    """Reads whose session the server has ended meanwhile go on in a new one, which is told."""
    connection = through()
    rows(connection, "SELECT n FROM t")
    assert connection.in_transaction
    lose(proxy, server, connection, "kill")
    clock.advance(2)
    assert rows(connection, "SELECT 7") == [(7,)]
    assert names(events) == ["resume"]
    assert connection.stats().resumed == 1
    run(connection, "INSERT INTO t VALUES (1)")
    connection.commit()
    assert table() == [1]


def test_a_transaction_of_reads_without_resume_reads(
    through: Connect, proxy: Proxy, server: Server, table: Numbers, clock: Clock
) -> None:
    """With resume_reads=False the program is told, and asked to begin anew."""
    connection = through(resume_reads=False)
    rows(connection, "SELECT n FROM t")
    lose(proxy, server, connection, "kill")
    clock.advance(2)
    with pytest.raises(OperationalError) as caught:
        rows(connection, "SELECT 7")
    assert caught.value.args[0] == CR.CR_SERVER_GONE_ERROR
    assert is_refused(connection)
    connection.rollback()
    assert rows(connection, "SELECT 7") == [(7,)]


def test_the_refusal_after_lost_reads_holds_on_lambda(
    through: Connect,
    proxy: Proxy,
    server: Server,
    table: Numbers,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Within one invocation it is not lifted; another invocation starts afresh."""
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1")
    connection = through(resume_reads=False)
    rows(connection, "SELECT n FROM t")
    lose(proxy, server, connection, "kill")
    clock.advance(2)
    with pytest.raises(OperationalError):
        rows(connection, "SELECT 7")
    assert is_refused(connection)
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=2")
    assert rows(connection, "SELECT 7") == [(7,)]


def test_the_refusal_after_a_lost_transaction_ends_with_the_invocation(
    through: Connect,
    proxy: Proxy,
    server: Server,
    table: Numbers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A handler that never rolls back does not disable its container for the next event."""
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1")
    connection = through()
    run(connection, "INSERT INTO t VALUES (1)")
    lose(proxy, server, connection, "fin")
    with pytest.raises(OperationalError):
        run(connection, "INSERT INTO t VALUES (2)")
    assert is_refused(connection)
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=2")
    run(connection, "INSERT INTO t VALUES (3)")
    connection.commit()
    assert table() == [3]


def test_a_serializable_transaction_of_reads_is_not_resumed(
    through: Connect, proxy: Proxy, server: Server, table: Numbers, clock: Clock
) -> None:
    """Under SERIALIZABLE a plain read locks: the transaction is lost, and that is told."""
    connection = through()
    run(connection, "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE")
    rows(connection, "SELECT n FROM t")
    lose(proxy, server, connection, "kill")
    clock.advance(2)
    with pytest.raises(OperationalError):
        rows(connection, "SELECT n FROM t")


def test_a_commit_of_lost_reads_is_a_success(
    through: Connect, proxy: Proxy, server: Server, table: Numbers
) -> None:
    """There was nothing to commit."""
    connection = through()
    rows(connection, "SELECT n FROM t")
    lose(proxy, server, connection, "fin")
    connection.commit()
    assert rows(connection, "SELECT 7") == [(7,)]


# -- pinned sessions -------------------------------------------------------------------------------


@pytest.mark.parametrize("stale", [False, True])
@pytest.mark.parametrize("kind", PINS)
def test_a_pinned_session_lost_while_idle(
    through: Connect,
    proxy: Proxy,
    server: Server,
    table: Numbers,
    clock: Clock,
    kind: str,
    *,
    stale: bool,
) -> None:
    """State that no other session could be given is never lost without a word."""
    connection = through(autocommit=True)
    run(connection, PINS[kind])
    lose(proxy, server, connection, "fin")
    clock.advance(2 if stale else 0)
    with pytest.raises(OperationalError) as caught:
        run(connection, "INSERT INTO t VALUES (2)")
    assert caught.value.args[0] in {CR.CR_SERVER_LOST, CR.CR_SERVER_GONE_ERROR}
    assert is_refused(connection)
    connection.rollback()
    run(connection, "INSERT INTO t VALUES (3)")
    assert table() == [3]


# -- streams ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [cut_short(2), cut_short(6), cut_short(6, reset=True)])
def test_a_stream_that_is_cut_off(
    through: Connect, proxy: Proxy, table: Numbers, cut: Action
) -> None:
    """Rows that have come are had, the cut is told, and the next statement gets its own rows."""
    connection = through(autocommit=True)
    run(connection, "INSERT INTO t VALUES (1), (2), (3)")
    proxy.when(answer("SELECT n", number=5), cut)  # head, column, end of columns, first row, ...
    cursor = connection.cursor(SSCursor)
    got = []

    def fetch_all() -> None:
        cursor.execute("SELECT n FROM t")
        while True:
            got.append(cursor.fetchone())

    with pytest.raises(OperationalError) as caught:
        fetch_all()
    assert got == [(1,), (2,), (3,)][: len(got)]
    assert caught.value.args[0] == CR.CR_SERVER_LOST
    assert not isinstance(caught.value, OutcomeUnknownError)
    cursor.close()
    assert rows(connection, "SELECT 7") == [(7,)]


def test_a_stream_does_not_pin(
    through: Connect, proxy: Proxy, server: Server, clock: Clock
) -> None:
    """A streamed read leaves a session that can be replaced, the first of a session too."""
    connection = through(autocommit=True)
    cursor = connection.cursor(SSCursor)
    cursor.execute("SELECT 1")
    assert cursor.fetchall() == [(1,)]
    cursor.close()
    lose(proxy, server, connection, "fin")
    clock.advance(2)
    assert rows(connection, "SELECT 7") == [(7,)]


def test_a_streamed_locking_read_makes_a_transaction_that_is_not_resumed(
    through: Connect, proxy: Proxy, server: Server, table: Numbers, clock: Clock
) -> None:
    """What a streamed statement does to its transaction counts, though it is heard at its end."""
    connection = through()
    cursor = connection.cursor(SSCursor)
    cursor.execute("SELECT n FROM t FOR UPDATE")
    cursor.close()
    lose(proxy, server, connection, "fin")
    clock.advance(2)
    with pytest.raises(OperationalError):
        rows(connection, "SELECT 7")


# -- an error in a transaction's first statement ---------------------------------------------------

#: What is written, or locked, before the error that the program sees.
FAILING = {
    "a procedure, half done": "CALL half()",
    "several statements": "INSERT INTO t VALUES (5); INSERT INTO t VALUES (1)",
    "a locked key": "INSERT INTO t VALUES (1)",
}


@pytest.mark.parametrize("failing", FAILING)
@pytest.mark.parametrize("autocommit", [False, True])
def test_what_a_refused_statement_leaves_open_is_no_transaction_of_reads(
    through: Connect,
    proxy: Proxy,
    server: Server,
    home: str,
    table: Numbers,
    clock: Clock,
    failing: str,
    *,
    autocommit: bool,
) -> None:
    """An error says nothing of the transaction behind it: a loss of what was done is told."""
    server.sql(
        f"INSERT INTO {home}.t VALUES (1)",
        f"DROP PROCEDURE IF EXISTS {home}.half",
        f"CREATE PROCEDURE {home}.half() BEGIN {'START TRANSACTION;' if autocommit else ''}"
        f" INSERT INTO {home}.t VALUES (2); SIGNAL SQLSTATE '45000'; END",
    )
    connection = through(autocommit=autocommit, client_flag=CLIENT.MULTI_STATEMENTS)
    cursor = connection.cursor()

    def fail() -> None:
        cursor.execute(FAILING[failing])
        cursor.nextset()

    with pytest.raises(slsmysql.Error):
        fail()
    cursor.close()
    open_still = not autocommit or failing == "a procedure, half done"
    if open_still:
        assert not connection._at_rest()
    rows(connection, "SELECT 1")
    lose(proxy, server, connection, "fin")
    clock.advance(2)
    if open_still:
        with pytest.raises(OperationalError):
            rows(connection, "SELECT 2")
        connection.rollback()
    assert rows(connection, "SELECT 2") == [(2,)]


@pytest.mark.parametrize(
    "sql", ["CREATE TABLE t (n INT)", "SELECT nothing FROM t", "SET @@sql_mode = 5 + 'x'"]
)
def test_a_refused_statement_that_leaves_nothing_open_is_no_obstacle(
    through: Connect, table: Numbers, sql: str
) -> None:
    """DDL, reads and SET open no transaction when they fail."""
    connection = through()
    with pytest.raises(slsmysql.Error):
        run(connection, sql)
    assert connection._at_rest()


def test_a_statement_whose_rows_no_decoder_can_read_has_run(
    through: Connect, server: Server, table: Numbers, home: str
) -> None:
    """A converter's exception comes after the statement: its transaction is open."""

    def refuse(_text: str) -> None:
        raise ZeroDivisionError

    server.sql(f"INSERT INTO {home}.t VALUES (1)")
    connection = through(conv={**conversions, FIELD_TYPE.VAR_STRING: refuse})
    with pytest.raises(ZeroDivisionError):
        run(connection, "SELECT 'a' FROM t FOR UPDATE")
    assert connection.in_transaction
    assert not connection._at_rest()


def test_a_stream_that_timed_out_while_it_was_read_away_holds_its_locks(
    through: Connect, mariadb: Server, homes: Callable[[Server], str], backend: str
) -> None:
    """The time-out is not raised from close(), but the transaction behind it is open."""
    home = homes(mariadb)
    mariadb.sql(f"DELETE FROM {home}.t", f"INSERT INTO {home}.t VALUES (1), (2), (3)")
    connection = slsmysql.connect(
        **mariadb.params(database=home), use_pure=backend == "pure", reuse=False
    )
    with contextlib.closing(connection):
        run(connection, "SET SESSION max_statement_time = 0.3")
        connection.commit()
        cursor = connection.cursor(SSCursor)
        cursor.execute("SELECT n, SLEEP(0.2) FROM t FOR UPDATE")
        cursor.close()
        assert not connection._at_rest()


# -- KILL in mid-statement -------------------------------------------------------------------------


@contextlib.contextmanager
def killing(server: Server, connection: Connection, kill: str) -> Iterator[None]:
    """Send a KILL as soon as the server runs a statement of the connection's."""
    running = (
        "SELECT 1 FROM information_schema.PROCESSLIST"
        f" WHERE ID = {connection.thread_id()} AND COMMAND = 'Query'"
    )

    def wait_and_kill() -> None:
        while not server.sql(running):
            pass
        server.sql(f"{kill} {connection.thread_id()}")

    killer = threading.Thread(target=wait_and_kill)
    killer.start()
    yield
    killer.join()


def test_a_session_killed_in_mid_statement(
    through: Connect,
    server: Server,
    table: Numbers,
    home: str,
    pymysql_connect: PyMySQLConnect,
) -> None:
    """A KILL that hits a running write in autocommit leaves an outcome that is not known."""
    blocker = pymysql_connect(database=home)
    blocker.cursor().execute("INSERT INTO t VALUES (1)")
    connection = through(autocommit=True)
    with killing(server, connection, "KILL"), pytest.raises(OutcomeUnknownError):
        run(connection, "INSERT INTO t VALUES (1)")
    blocker.rollback()
    assert table() == []
    assert rows(connection, "SELECT 7") == [(7,)]


def test_a_statement_killed_in_a_transaction_ends_neither_session_nor_transaction(
    through: Connect,
    server: Server,
    table: Numbers,
    home: str,
    pymysql_connect: PyMySQLConnect,
) -> None:
    """KILL QUERY is an error of one statement: the transaction goes on as the server has it."""
    blocker = pymysql_connect(database=home)
    blocker.cursor().execute("INSERT INTO t VALUES (2)")
    connection = through()
    session = connection.thread_id()
    run(connection, "INSERT INTO t VALUES (1)")
    with killing(server, connection, "KILL QUERY"), pytest.raises(OperationalError) as caught:
        run(connection, "INSERT INTO t VALUES (2)")
    blocker.rollback()
    assert caught.value.args[0] == ER.QUERY_INTERRUPTED
    run(connection, "INSERT INTO t VALUES (3)")
    connection.commit()
    assert connection.thread_id() == session
    assert table() == [1, 3]


# -- read-only after a failover --------------------------------------------------------------------


def make_read_only(lab: Server, home: str) -> None:
    """Make the other server a copy of the first that may not be written to."""
    lab.sql(
        f"CREATE DATABASE IF NOT EXISTS {home}",
        f"CREATE TABLE IF NOT EXISTS {home}.t (n INT PRIMARY KEY)",
        "SET GLOBAL read_only=1",
    )


def test_a_write_refused_by_a_read_only_server_runs_on_its_successor(
    through: Connect, proxy: Proxy, server: Server, lab: Server, table: Numbers, home: str
) -> None:
    """After a failover the write is refused (1290), the address asked again, and it runs there."""
    make_read_only(lab, home)
    proxy.server = (lab.host, lab.port)
    connection = through(autocommit=True)
    proxy.server = (server.host, server.port)
    with proxy.counting() as counted:
        run(connection, "INSERT INTO t VALUES (1)")
    assert table() == [1]
    assert counted.connections == 1
    assert connection.stats().reopened == 1


def test_a_write_that_its_successor_refuses_too_is_an_error(
    through: Connect, proxy: Proxy, lab: Server, home: str
) -> None:
    """A server that is meant to be read-only gives its own error, after one new session."""
    make_read_only(lab, home)
    proxy.server = (lab.host, lab.port)
    connection = through(autocommit=True)
    with proxy.counting() as counted, pytest.raises(OperationalError) as caught:
        run(connection, "INSERT INTO t VALUES (1)")
    assert caught.value.args[0] == ER.OPTION_PREVENTS_STATEMENT
    assert counted.connections == 1
    assert rows(connection, "SELECT 7") == [(7,)]


def test_a_transaction_refused_by_a_read_only_server_begins_anew_on_its_successor(
    through: Connect, proxy: Proxy, server: Server, lab: Server, table: Numbers, home: str
) -> None:
    """In a transaction the program gets 1290, and its next transaction finds the new server."""
    make_read_only(lab, home)
    proxy.server = (lab.host, lab.port)
    connection = through()
    rows(connection, "SELECT n FROM t")
    proxy.server = (server.host, server.port)
    with pytest.raises(OperationalError) as caught:
        run(connection, "INSERT INTO t VALUES (1)")
    assert caught.value.args[0] == ER.OPTION_PREVENTS_STATEMENT
    connection.rollback()
    rows(connection, "SELECT n FROM t")
    run(connection, "INSERT INTO t VALUES (1)")
    connection.commit()
    assert table() == [1]


def test_not_managed_a_refusal_is_left_alone(
    through: Connect, proxy: Proxy, table: Numbers
) -> None:
    """With manage_conns=False a refused statement is an error and nothing else."""
    connection = through(autocommit=True, manage_conns=False)
    refusal = packet(b"\xff" + (1290).to_bytes(2, "little") + b"#HY000read-only", 1)
    proxy.when(request("INSERT"), reply(refusal, close=False))
    with proxy.counting() as counted, pytest.raises(OperationalError):
        run(connection, "INSERT INTO t VALUES (1)")
    assert counted.connections == 0
