"""Parking: what `close()` keeps, that it is clean, and who gets it."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable
from typing import Any

import pytest

import slsmysql
from slsmysql import manager
from slsmysql.cursors import DictCursor, SSCursor
from slsmysql.events import Event
from tests.fix_servers import Connect
from tests.integration.conftest import ids, names, rows, run
from tests.proxy import COM_RESET, Proxy, error_packet, fin, reply, request
from tests.servers import Server

Connection = slsmysql.Connection
Numbers = Callable[[], list[Any]]

#: Ways to leave something in a session: statements or methods, and how the next owner would see it.
TRACES: dict[str, tuple[list[Any], str]] = {
    "user variable": (["SET @a = 5"], "SELECT @a"),
    "user variable in a select": (["SELECT @a := 5"], "SELECT @a"),
    "user variable by into": (["SELECT 5 INTO @a"], "SELECT @a"),
    "user variable by a procedure": (["CALL sets()"], "SELECT @a"),
    "session variable": (["SET SESSION sql_select_limit = 1"], "SELECT @@sql_select_limit"),
    "session variable by an expression": (
        ["SET SESSION sql_select_limit = 2 + 2"],
        "SELECT @@sql_select_limit",
    ),
    "executable comment": (
        ["/*!40014 SET FOREIGN_KEY_CHECKS = 0 */"],
        "SELECT @@foreign_key_checks",
    ),
    "several variables": (
        ["SET @a = 1, SESSION sql_safe_updates = 1, time_zone = '+03:00'"],
        "SELECT @a, @@sql_safe_updates, @@time_zone",
    ),
    "timestamp": (["SET timestamp = 86400"], "SELECT @@timestamp > 1000000"),
    "sql_mode": (["SET SESSION sql_mode = 'ANSI_QUOTES'"], "SELECT @@sql_mode"),
    "isolation": (
        ["SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE"],
        "SHOW VARIABLES LIKE 't%_isolation'",
    ),
    "next transaction": (["SET TRANSACTION READ ONLY"], "DELETE FROM t WHERE n = 99"),
    "read only": (["SET SESSION TRANSACTION READ ONLY"], "DELETE FROM t WHERE n = 99"),
    "names": (["SET NAMES latin1"], "SELECT @@character_set_client, @@collation_connection"),
    "charset": (
        [lambda connection: connection.set_character_set("latin1")],
        "SELECT @@character_set_client, 'é'",
    ),
    "autocommit by text": (["SET autocommit = 1"], "SELECT @@autocommit"),
    "autocommit": ([lambda connection: connection.autocommit(True)], "SELECT @@autocommit"),
    "database by text": (["USE information_schema"], "SELECT DATABASE()"),
    "database": (
        [lambda connection: connection.select_db("information_schema")],
        "SELECT DATABASE()",
    ),
    "temporary table": (
        ["CREATE TEMPORARY TABLE x (n INT)"],
        "CREATE TEMPORARY TABLE x (n INT)",
    ),
    "temporary table by a procedure": (
        ["CALL makes()"],
        "CREATE TEMPORARY TABLE x (n INT)",
    ),
    "lock": (["SELECT GET_LOCK('parked', 0)"], "SELECT IS_USED_LOCK('parked')"),
    "lock by a procedure": (["CALL locks()"], "SELECT IS_USED_LOCK('parked')"),
    "lock by a function": (["SELECT takes_lock()"], "SELECT IS_USED_LOCK('parked')"),
    "table locks": (["LOCK TABLES t READ"], "INSERT INTO t VALUES (1)"),
    "prepared statement": (["PREPARE p FROM 'SELECT 1'"], "EXECUTE p"),
    "open handler": (["HANDLER t OPEN"], "HANDLER t READ FIRST"),
    "last insert id": (["INSERT INTO a VALUES ()"], "SELECT LAST_INSERT_ID()"),
    "last insert id set": (["SELECT LAST_INSERT_ID(5)"], "SELECT LAST_INSERT_ID()"),
    "uncommitted work": (["INSERT INTO t VALUES (5)"], "SELECT n FROM t"),
    "empty transaction": (["BEGIN"], "SELECT @@in_transaction"),
    "savepoint": (["INSERT INTO t VALUES (5)", "SAVEPOINT s"], "ROLLBACK TO s"),
    "found rows": (["SELECT SQL_CALC_FOUND_ROWS 1"], "SELECT 1"),
    "unread results": (["CALL selects()"], "SELECT 1"),
    "warnings": (["SELECT 1 + 'x'"], "SHOW WARNINGS"),
    "failed statement": (["SELECT 1 + 1"], "SELECT 1"),
    "handler of an earlier database": (["USE information_schema", "SELECT 1"], "SELECT DATABASE()"),
}


@pytest.fixture(scope="module")
def routines(homes: Callable[[Server], str]) -> Callable[[Server], str]:
    """A function that makes routines which leave traces, and returns their database."""
    done = set()

    def get(server: Server) -> str:
        home = homes(server)
        if server.kind not in done:
            done.add(server.kind)
            server.sql(
                f"CREATE TABLE {home}.a (n INT AUTO_INCREMENT PRIMARY KEY)",
                f"CREATE PROCEDURE {home}.sets() SET @a = 7",
                f"CREATE PROCEDURE {home}.makes() CREATE TEMPORARY TABLE x (n INT)",
                f"CREATE PROCEDURE {home}.locks() DO GET_LOCK('parked', 0)",
                f"CREATE FUNCTION {home}.takes_lock() RETURNS INT NO SQL"
                " RETURN GET_LOCK('parked', 0)",
                f"CREATE PROCEDURE {home}.selects() BEGIN SELECT 1; SELECT 2; END",
                f"CREATE TABLE {home}.b (n INT)",
                f"CREATE TRIGGER {home}.b_sets BEFORE INSERT ON {home}.b FOR EACH ROW SET @a = 7",
            )
        return home

    return get


def said(connection: Connection, question: str) -> Any:
    """Return the rows or the error that a session answers with."""
    try:
        return rows(connection, question)
    except slsmysql.Error as error:
        return error.args[0]


@pytest.mark.parametrize("refusal", [1193, 1766])
def test_no_trace_is_left_where_the_server_does_not_track(
    through: Connect, server: Server, proxy: Proxy, routines: Callable[[Server], str], refusal: int
) -> None:
    """From the first session on: one from before tracking, or behind a proxy that keeps it."""
    routines(server)
    refused = error_packet(refusal, "The system variable cannot be set", sequence=1)
    proxy.when(request("session_track"), reply(refused, close=False))
    first = through(autocommit=True)
    run(first, "INSERT INTO b VALUES (1)")
    assert rows(first, "SELECT @a") == [(7,)]
    first.close()
    second = through(autocommit=True)
    assert second.stats().parked_reuses == 1
    assert rows(second, "SELECT @a") == [(None,)]


@pytest.mark.parametrize("trace", TRACES)
def test_the_next_owner_finds_no_trace(
    through: Connect,
    server: Server,
    table: Numbers,
    routines: Callable[[Server], str],
    trace: str,
) -> None:
    """Whatever is left in a session, the connection that gets it is as one on a new session."""
    routines(server)
    leave, question = TRACES[trace]
    fresh = through(reuse=False)
    expected = said(fresh, question)
    fresh.quit()
    first = through()
    for each in leave:
        if callable(each):
            each(first)
        else:
            first.cursor().execute(each)
    first.close()
    second = through()
    assert said(second, question) == expected
    assert second.charset == "utf8mb4"
    assert second.encoding == "utf8"
    assert not second.get_autocommit()
    assert second.stats().parked_reuses == 1


def test_a_parked_session_is_taken_without_a_word(
    through: Connect, proxy: Proxy, events: list[Event]
) -> None:
    """connect() with the same identity sends nothing, and has the same session."""
    first = through()
    session = first.thread_id()
    rows(first, "SELECT 1")
    first.commit()
    first.close()
    with proxy.counting() as counted:
        second = through()
    assert counted.round_trips == counted.connections == 0
    assert second.thread_id() == session
    assert rows(second, "SELECT 2") == [(2,)]
    assert names(events) == ["park", "unpark"]


def test_nothing_is_sent_when_a_clean_session_is_parked(through: Connect, proxy: Proxy) -> None:
    """After reads and a commit the server has said that nothing changed: there is nothing to do."""
    connection = through()
    rows(connection, "SELECT 1")
    connection.commit()
    with proxy.counting() as counted:
        connection.close()
    assert counted.round_trips == 0
    assert manager.parked_count() == 1


def test_a_session_that_cannot_be_cleaned_is_ended(through: Connect, proxy: Proxy) -> None:
    """Where the server refuses to reset it, close() is done all the same, and parks nothing."""
    connection = through()
    run(connection, "SET @a = 5")
    refusal = error_packet(1047, "Unknown command", sequence=1)
    proxy.when(request(command=COM_RESET), reply(refusal, close=False))
    connection.close()
    assert manager.parked_count() == 0
    link = proxy.link
    proxy.wait(lambda: not link.open)


def test_a_session_lost_while_it_is_cleaned_is_no_error(through: Connect, proxy: Proxy) -> None:
    """close() never fails for the sake of the next owner."""
    connection = through()
    run(connection, "SET @a = 5")
    proxy.when(request(command=COM_RESET), fin)
    connection.close()
    assert manager.parked_count() == 0


IDENTITY: list[dict[str, Any]] = [
    {"user": "boss"},
    {"database": "test"},
    {"database": None},
    {"charset": "latin1"},
    {"collation": "utf8mb4_bin"},
    {"autocommit": True},
    {"autocommit": None},
    {"init_command": "SET @x = 1"},
    {"sql_mode": "ANSI_QUOTES"},
    {"program_name": "another"},
    {"lease": 100},
    {"client_flag": 65536},
    {"local_infile": True},
    {"read_timeout": 7},
    {"host": "localhost"},
]


@pytest.mark.parametrize("other", IDENTITY, ids=[next(iter(each)) for each in IDENTITY])
def test_another_identity_gets_a_session_of_its_own(
    through: Connect, server: Server, proxy: Proxy, other: dict[str, Any]
) -> None:
    """All that makes a session what it is must be equal."""
    if "user" in other:
        other = {"user": server.boss.user, "password": server.boss.password}
    through().close()
    with proxy.counting() as counted:
        connection = through(**other)
    assert counted.connections == 1
    assert connection.stats().parked_reuses == 0


def test_what_only_the_client_does_is_no_identity(through: Connect) -> None:
    """Another kind of cursor, or of row, can be served by the same session."""
    through().close()
    connection = through(cursorclass=DictCursor, connect_timeout=3)
    assert connection.stats().parked_reuses == 1


def test_the_password_is_part_of_the_identity(
    through: Connect, proxy: Proxy, server: Server
) -> None:
    """Who does not know the password does not get the session of who did."""
    through().close()
    with pytest.raises(slsmysql.OperationalError):
        through(password="wrong", ssl_disabled=True, max_retries=0)
    assert rows(through(), "SELECT 1") == [(1,)]


def test_a_callable_password_is_equal_to_itself_only(
    through: Connect, params: dict[str, Any], proxy: Proxy
) -> None:
    """The same function finds the session that it opened, unasked; another one does not."""
    asked = []

    def password() -> str:
        asked.append(1)
        return str(params["password"])

    through(password=password).close()
    with proxy.counting() as counted:
        through(password=password).close()
    assert counted.connections == 0
    assert len(asked) == 1
    with proxy.counting() as counted:
        through(password=functools.partial(password))
    assert counted.connections == 1


@pytest.mark.parametrize("most", [1, 2])
def test_no_more_than_max_parked_are_kept(
    through: Connect, proxy: Proxy, server: Server, most: int
) -> None:
    """Of three closed connections as many sessions stay as max_parked says, the last ones."""
    connections = [through(max_parked=most) for _ in range(3)]
    sessions = [each.thread_id() for each in connections]
    for each in connections:
        each.close()
    assert manager.parked_count() == most
    proxy.wait(lambda: len(proxy.open_links) == most)
    assert through(max_parked=most).thread_id() == sessions[-1]


def test_reuse_false_ends_the_session(through: Connect, proxy: Proxy) -> None:
    """Without reuse close() is what it is with PyMySQL."""
    connection = through(reuse=False)
    with proxy.counting() as counted:
        connection.close()
    assert counted.statements == ["quit"]
    assert manager.parked_count() == 0


def test_uncommitted_work_is_rolled_back(through: Connect, table: Numbers) -> None:
    """close() commits nothing, and lets go of the locks at once."""
    connection = through()
    run(connection, "INSERT INTO t VALUES (1)")
    connection.close()
    assert table() == []
    other = through(reuse=False, autocommit=True)
    run(other, "SET SESSION innodb_lock_wait_timeout = 1", "INSERT INTO t VALUES (1)")


def test_a_stream_that_nobody_reads_ends_its_session(through: Connect, proxy: Proxy) -> None:
    """Closed in the middle of a stream the session is ended, not read to its end."""
    connection = through()
    cursor = connection.cursor(SSCursor)
    cursor.execute("SELECT 1 UNION ALL SELECT 2")
    cursor.fetchone()
    connection.close()
    assert manager.parked_count() == 0
    assert cursor.fetchone() is None
    link = proxy.link
    proxy.wait(lambda: not link.open)


def test_a_close_that_is_interrupted_ends_the_session(
    through: Connect, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither parked half cleaned nor left to a traceback that somebody keeps."""
    connection = through(autocommit=True)
    run(connection, "SET @a = 5")
    handle = connection.handle
    assert handle is not None

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(handle), "init_db", interrupt)
    with pytest.raises(KeyboardInterrupt):
        connection.close()
    assert not handle.alive
    assert manager.parked_count() == 0
    link = proxy.link
    proxy.wait(lambda: not link.open)


def test_a_stream_that_nobody_reads_is_not_waited_for(
    through: Connect, server: Server, table: Numbers
) -> None:
    """close() in the middle of a stream returns while the server still works on the rest."""
    connection = through(autocommit=True)
    run(connection, "INSERT INTO t VALUES (1), (2)")
    session = connection.thread_id()
    cursor = connection.cursor(SSCursor)
    # A row that is large enough to be sent at once, and another one much later.
    cursor.execute("SELECT SLEEP(IF(n = 1, 0, 30)), REPEAT('x', 40000) FROM t ORDER BY n")
    row = cursor.fetchone()
    assert row is not None
    assert row[0] == 0
    connection.close()
    running = f"SELECT INFO FROM information_schema.PROCESSLIST WHERE ID = {session}"
    assert [row[0][:12] for row in server.sql(running)] == ["SELECT SLEEP"]
    server.sql(f"KILL {session}")


def test_close_twice_and_quit_any_number_of_times(through: Connect) -> None:
    """close() of a closed connection is PyMySQL's error; quit() never raises."""
    connection = through()
    connection.close()
    with pytest.raises(slsmysql.Error, match="Already closed"):
        connection.close()
    connection.quit()
    connection.quit()
    with pytest.raises(slsmysql.InterfaceError):
        rows(connection, "SELECT 1")


def test_quit_ends_the_session(through: Connect, proxy: Proxy) -> None:
    """quit() parks nothing."""
    connection = through()
    with proxy.counting() as counted:
        connection.quit()
    assert counted.statements == ["quit"]
    assert manager.parked_count() == 0


def test_the_with_block_parks(through: Connect) -> None:
    """The end of a with block is close(), after an exception too."""
    with through() as connection:
        session = connection.thread_id()
    again = through()
    with pytest.raises(ZeroDivisionError), again:
        raise ZeroDivisionError
    assert again.thread_id() == session
    assert manager.parked_count() == 1


def test_a_connection_that_nobody_closed_ends_its_session(
    proxy: Proxy, params: dict[str, Any]
) -> None:
    """What is dropped without close() leaves nothing behind on the server, and says nothing."""
    connection = slsmysql.connect(**{**params, "port": proxy.port})
    link = proxy.link
    del connection
    gc.collect()
    proxy.wait(lambda: not link.open)
    assert link.requests[-1] == b"\x01"


def test_close_all_ends_what_is_parked(through: Connect, proxy: Proxy) -> None:
    """For a handler of SIGTERM: every parked session is told goodbye; open ones go on."""
    goes_on = through()
    through().close()
    parked = proxy.link
    slsmysql.close_all()
    proxy.wait(lambda: not parked.open)
    assert manager.parked_count() == 0
    assert rows(goes_on, "SELECT 1") == [(1,)]


@pytest.mark.parametrize(
    "left",
    [
        "INSERT INTO t VALUES (1)",
        "SET @a = 1",
        "SELECT n FROM t",  # without autocommit it begins a transaction of reads
    ],
)
def test_close_all_leaves_what_is_not_at_rest(
    through: Connect, proxy: Proxy, table: Numbers, left: str
) -> None:
    """For SIGTERM: what a session holds is its program's to end."""
    connection = through()
    run(connection, left)
    handle = connection.handle
    slsmysql.close_all()
    assert connection.handle is handle
    assert proxy.link.open
    connection.commit()
    assert table() == ([1] if "INSERT" in left else [])


def test_a_session_is_shared_by_connections_one_after_the_other_only(through: Connect) -> None:
    """Two connections that are open at the same time never have the same session."""
    through().close()
    connections = [through() for _ in range(3)]
    assert len({each.thread_id() for each in connections}) == 3


def test_sessions_on_the_server_stay_one(through: Connect, server: Server, proxy: Proxy) -> None:
    """A program that opens and closes a connection each time has one session all the time."""
    seen = set()
    for _ in range(20):
        with through() as connection:
            rows(connection, "SELECT 1")
            seen.add(connection.thread_id())
    assert len(seen) == len(proxy.links) == 1
    assert seen <= ids(server)
