"""The ``Handle``: one session with a server, as the rest of the package counts on it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from slsmysql import _driver, err
from slsmysql._driver import Field, Handle
from slsmysql.constants import CLIENT, CR, ER, FIELD_TYPE, SERVER_STATUS
from slsmysql.options import Secret, build_options
from slsmysql.session import IN_TRANSACTION, STATE_CHANGED
from tests.fix_servers import Backend
from tests.proxy import Proxy, answer, fin, request, rst
from tests.servers import Server

#: Seconds until a process that does not end is taken for one that never will.
PATIENCE = 120

#: Opens a handle with more keywords of `connect()`.
Open = Callable[..., Handle]


@pytest.fixture
def open_handle(params: dict[str, Any], backend: Backend) -> Iterator[Open]:
    """A function that opens a handle to an empty database, ended after the test."""
    made: list[Handle] = []

    def open_handle(attributes: dict[str, str] | None = None, **keywords: Any) -> Handle:
        options, _ = build_options({**params, "use_pure": backend == "pure", **keywords})
        handle = _driver.open_handle(
            options, Secret(options.password.get()), timeout=10, attributes=attributes or {}
        )
        made.append(handle)
        return handle

    yield open_handle
    for handle in made:
        handle.quit()


@pytest.fixture
def handle(open_handle: Open) -> Handle:
    """A handle."""
    return open_handle()


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    """A proxy before the shared server."""
    with Proxy((server.host, server.port)) as proxy:
        yield proxy


def fetch(handle: Handle, size: int = 1000, *, native: bool = False) -> list[tuple[Any, ...]]:
    """Return the next rows."""
    rows: list[tuple[Any, ...]] = []
    handle.read_rows(rows, size, native)
    return rows


def ask(handle: Handle, sql: bytes, *, native: bool = False) -> list[tuple[Any, ...]]:
    """Return the rows of a statement with one result set, read to the end."""
    assert handle.query(sql)
    assert handle.pending
    rows = fetch(handle, native=native)
    assert (handle.pending, handle.more) == (False, False)
    return rows


def run(handle: Handle, *statements: bytes) -> None:
    """Run statements without a result set."""
    for statement in statements:
        assert not handle.query(statement)


def kill(server: Server, handle: Handle) -> None:
    """End a session from outside, and wait until it is gone."""
    server.sql(f"KILL {handle.thread_id}")
    gone(server, handle)


def gone(server: Server, handle: Handle) -> None:
    """Wait until the server has no such session any more."""
    sql = f"SELECT ID FROM information_schema.PROCESSLIST WHERE ID = {handle.thread_id}"
    while server.sql(sql):
        pass


# -- opening and ending ----------------------------------------------------------------------------


def test_a_handle_says_what_it_is(handle: Handle, backend: Backend, server: Server) -> None:
    """Number, version, protocol and capabilities of the session are known without asking."""
    assert handle.backend == backend
    assert handle.alive
    assert not handle.pending
    ((number, version),) = ask(handle, b"SELECT CONNECTION_ID(), VERSION()")
    assert handle.thread_id == int(number)
    assert handle.server_version.removeprefix("5.5.5-") == version.decode()
    assert handle.protocol_version == 10
    assert handle.server_capabilities & CLIENT.PROTOCOL_41
    assert handle.host_info == f"socket {server.host}:{server.port}"
    assert handle.server_charset_id > 0


def test_a_socket_is_secure_and_says_so(open_handle: Open, private_server: Server) -> None:
    """A unix socket in place of host and port."""
    handle = open_handle(unix_socket=str(private_server.socket))
    assert handle.secure
    assert handle.host_info == "Localhost via UNIX socket"
    assert ask(handle, b"SELECT 1") == [(b"1",)]


def test_tls_is_used_where_it_is_offered(open_handle: Open, server: Server) -> None:
    """Without a TLS option it is taken if it is there, and `secure` says whether it was."""
    offered = bool(open_handle(ssl_disabled=True).server_capabilities & CLIENT.SSL)
    assert open_handle().secure is offered
    assert not open_handle(ssl_disabled=True).secure
    if not offered:
        with pytest.raises(err.OperationalError) as caught:
            open_handle(ssl_verify_cert="none")
        assert caught.value.args[0] == CR.CR_SSL_CONNECTION_ERROR


def test_attributes_arrive(open_handle: Open, server: Server) -> None:
    """Connection attributes stand in performance_schema, where that is switched on."""
    ((on,),) = server.sql("SELECT @@performance_schema")
    handle = open_handle({"_slsmysql": "1", "program_name": "contract"})
    rows = server.sql(
        "SELECT ATTR_NAME, ATTR_VALUE FROM performance_schema.session_connect_attrs"
        f" WHERE PROCESSLIST_ID = {handle.thread_id}"
    )
    if on:
        assert dict(rows).items() >= {"_slsmysql": "1", "program_name": "contract"}.items()


@pytest.mark.parametrize(
    ("keywords", "errno"),
    [
        ({"password": "wrong"}, ER.ACCESS_DENIED_ERROR),
        ({"database": "nowhere"}, ER.DBACCESS_DENIED_ERROR),  # not for this account to know
        ({"port": 1}, CR.CR_CONN_HOST_ERROR),
        ({"unix_socket": "/nowhere/socket"}, CR.CR_CONN_HOST_ERROR),
    ],
)
def test_a_refusal_is_pymysqls_error(
    open_handle: Open, keywords: dict[str, Any], errno: int
) -> None:
    """Who cannot get in gets an OperationalError with MySQL's number."""
    with pytest.raises(err.OperationalError) as caught:
        open_handle(**keywords)
    assert caught.value.args[0] == errno


@pytest.mark.parametrize("end", ["quit", "abandon"])
def test_after_the_end_nothing_crashes(handle: Handle, end: str) -> None:
    """Every call on an ended handle raises an Error or does nothing; it is ended any often."""
    getattr(handle, end)()
    assert not handle.alive
    calls: list[Callable[[], object]] = [
        lambda: handle.query(b"SELECT 1"),
        handle.ping,
        handle.statistics,
        lambda: handle.init_db(b"test"),
        handle.reset,
    ]
    for call in calls:
        with contextlib.suppress(err.Error):
            assert not call()
    assert not handle.more
    assert isinstance(handle.status, int)
    handle.quit()
    handle.abandon()


def test_quit_says_goodbye(open_handle: Open, proxy: Proxy) -> None:
    """The server is told, and need not find out by itself."""
    handle = open_handle(host=proxy.host, port=proxy.port, ssl_disabled=True)
    with proxy.counting() as counted:
        handle.quit()
        proxy.wait(lambda: not proxy.open_links)
    assert counted.statements == ["quit"]


# -- statements and their results ------------------------------------------------------------------


def test_a_change_has_counts(handle: Handle) -> None:
    """The OK packet's numbers: rows, AUTO_INCREMENT value, warnings; up to 64 bits."""
    run(handle, b"CREATE TABLE t (n BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, s VARCHAR(3))")
    run(handle, b"INSERT INTO t (s) VALUES ('a'), ('b')")
    assert (handle.affected_rows, handle.insert_id, handle.warning_count) == (2, 1, 0)
    run(handle, b"INSERT INTO t VALUES (18446744073709551600, 'c')")
    assert (handle.affected_rows, handle.insert_id) == (1, 18446744073709551600)
    run(handle, b"UPDATE t SET s = 'a'")
    assert handle.affected_rows == 2
    run(handle, b"SET sql_mode = ''", b"UPDATE t SET s = 'long'")
    assert handle.warning_count == 3


def test_found_rows_are_counted_where_asked_for(open_handle: Open) -> None:
    """The capability FOUND_ROWS reaches the server."""
    handle = open_handle(client_flag=CLIENT.FOUND_ROWS)
    run(handle, b"CREATE TABLE t (n INT)", b"INSERT INTO t VALUES (1), (2)", b"UPDATE t SET n = 1")
    assert handle.affected_rows == 2


def test_values_are_the_servers_bytes(handle: Handle) -> None:
    """Text, numbers, dates and NULL come as they went over the wire; binary with every byte."""
    every = bytes(range(256))
    sql = b"SELECT 1, -1.50, 'x', NULL, '', DATE '0001-02-03', 0x" + every.hex().encode()
    assert ask(handle, sql) == [(b"1", b"-1.50", b"x", None, b"", b"0001-02-03", every)]


def test_a_long_value_is_whole(handle: Handle) -> None:
    """A value longer than any buffer."""
    ((value,),) = ask(handle, b"SELECT REPEAT('0123456789', 300000)")
    assert value == b"0123456789" * 300000


def test_text_goes_as_it_is(handle: Handle) -> None:
    """Neither %, nor ?, nor NUL, nor the word delimiter means anything to the driver."""
    run(handle, b"SET NAMES utf8mb4")
    text = "100% ? \0 delimiter // é 🐬".encode()
    assert ask(handle, b"SELECT '" + text + b"' AS delimiter") == [(text,)]


def test_the_driver_converts_where_it_can(handle: Handle, backend: Backend) -> None:
    """`native` rows have the C extension's own values; of the results after them bytes again."""
    rows = ask(handle, b"SELECT 7, NULL", native=True)
    assert rows == [(7 if backend == "c" else b"7", None)]
    assert ask(handle, b"SELECT 7") == [(b"7",)]


def test_rows_come_in_portions(handle: Handle) -> None:
    """As many as asked for, the rest the next time, and fewer only at the end."""
    run(handle, b"CREATE TABLE t (n INT PRIMARY KEY)", b"INSERT INTO t VALUES (1),(2),(3),(4),(5)")
    assert handle.query(b"SELECT n FROM t ORDER BY n")
    assert fetch(handle, 2) == [(b"1",), (b"2",)]
    assert fetch(handle, 1) == [(b"3",)]
    assert fetch(handle, 2) == [(b"4",), (b"5",)]
    assert handle.pending
    assert fetch(handle, 2) == []
    assert (handle.pending, handle.more) == (False, False)
    assert ask(handle, b"SELECT 1") == [(b"1",)]


def test_a_result_without_rows_has_columns(handle: Handle) -> None:
    """Names are bytes in the connection's character set; types, flags and lengths are there."""
    run(handle, b"CREATE TABLE t (id INT NOT NULL PRIMARY KEY, s VARCHAR(20), d DECIMAL(8, 3))")
    columns = handle.query(b"SELECT id, s AS alias, d FROM t AS u")
    assert columns
    number, text, decimal = [Field.of(raw, "utf8") for raw in handle.raw_fields(columns)]
    assert fetch(handle, 10) == []
    assert (number.name, number.org_name, number.table_name, number.org_table) == (
        "id",
        "id",
        "u",
        "t",
    )
    assert (text.name, text.org_name) == ("alias", "s")
    assert [number.type_code, text.type_code, decimal.type_code] == [
        FIELD_TYPE.LONG,
        FIELD_TYPE.VAR_STRING,
        FIELD_TYPE.NEWDECIMAL,
    ]
    assert decimal.scale == 3
    assert number.flags & 1
    assert number.description()[6] is False
    assert text.description()[6] is True


def test_no_columns_of_an_earlier_result(handle: Handle) -> None:
    """After a statement without a result, or an error, the next one's columns are its own."""
    ask(handle, b"SELECT 1 AS one, 2 AS two")
    run(handle, b"CREATE TABLE t (n INT)")
    with pytest.raises(err.ProgrammingError):
        handle.query(b"SELECT nonsense FROM nowhere")
    columns = handle.query(b"SELECT 3 AS three")
    assert columns
    assert [Field.of(raw, "utf8").name for raw in handle.raw_fields(columns)] == ["three"]
    assert fetch(handle, 9) == [(b"3",)]


def test_several_results_follow_each_other(open_handle: Open) -> None:
    """A result set, a count and a result set of one command, and no fourth."""
    handle = open_handle(client_flag=CLIENT.MULTI_STATEMENTS)
    run(handle, b"CREATE TABLE t (n INT)")
    assert handle.query(b"SELECT 1; INSERT INTO t VALUES (1), (2); SELECT 2, 3")
    assert fetch(handle, 9, native=True) in ([(1,)], [(b"1",)])
    assert handle.more
    assert not handle.next()
    assert handle.affected_rows == 2
    assert handle.more
    columns = handle.next()
    assert columns is not None
    assert len(columns) == 2
    assert fetch(handle, 9) == [(b"2", b"3")]
    assert not handle.more


def test_one_statement_is_all_unless_asked_for(handle: Handle) -> None:
    """Two in a command are an error: nobody injects a second one."""
    with pytest.raises(err.ProgrammingError) as caught:
        handle.query(b"SELECT 1; SELECT 2")
    assert caught.value.args[0] == ER.PARSE_ERROR
    assert handle.alive


def test_a_procedure_has_its_result_sets_and_one_more(handle: Handle) -> None:
    """CALL ends with a result of its own."""
    run(handle, b"CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END")
    assert handle.query(b"CALL p()")
    found = []
    while True:
        if handle.pending:
            found += fetch(handle, 9)
        if not handle.more:
            break
        handle.next()
    assert found == [(b"1",), (b"2",)]


# -- errors ----------------------------------------------------------------------------------------


def test_an_error_has_number_text_and_state(handle: Handle) -> None:
    """PyMySQL's class for the server's number, its text, its SQLSTATE; the session lives on."""
    run(handle, b"CREATE TABLE t (n INT PRIMARY KEY)", b"INSERT INTO t VALUES (1)")
    with pytest.raises(err.IntegrityError) as caught:
        handle.query(b"INSERT INTO t VALUES (1)")
    assert caught.value.args[0] == ER.DUP_ENTRY
    assert "Duplicate entry '1'" in caught.value.args[1]
    assert caught.value.sqlstate == "23000"
    assert handle.alive
    assert not handle.pending
    assert ask(handle, b"SELECT n FROM t") == [(b"1",)]


def test_an_error_whose_text_is_not_utf8_ends_its_command(open_handle: Open) -> None:
    """The status is the one behind it: nothing more follows, and a transaction is seen."""
    handle = open_handle(client_flag=CLIENT.MULTI_STATEMENTS)
    run(handle, b"SET NAMES latin1", b"CREATE TABLE t (n INT)")
    assert handle.query(b"SELECT 1; SELECT `n\xe9`")
    assert fetch(handle, 9) == [(b"1",)]
    with pytest.raises(err.OperationalError):
        handle.next()
    assert (handle.alive, handle.pending, handle.more) == (True, False, False)
    run(
        handle,
        b"CREATE PROCEDURE p() BEGIN START TRANSACTION; INSERT INTO t VALUES (1);"
        b" SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'n\xe9'; END",
    )
    with pytest.raises(err.OperationalError):
        handle.query(b"CALL p()")
    assert handle.backend == "pure" or handle.status & IN_TRANSACTION


class Ring(Exception):
    """What a signal's handler raises."""


@pytest.mark.parametrize("sql", [b"INSERT INTO t VALUES (1)", b"SELECT n FROM t FOR UPDATE"])
def test_an_interruption_at_any_step_leaves_what_is_known_or_pending(
    open_handle: Open, sql: bytes
) -> None:
    """Wherever an exception comes: a handle that seems well knows that a transaction is open."""
    first = open_handle()
    run(first, b"CREATE TABLE t (n INT PRIMARY KEY)")
    step = 0
    while True:
        step += 1
        handle = open_handle()
        run(handle, b"SET autocommit=0")
        if not _interrupt(handle, sql, step):
            break
        if handle.alive and not (handle.pending or handle.more):
            known = handle.status & IN_TRANSACTION
            run(handle, b"DO 1")
            assert known == handle.status & IN_TRANSACTION, step
        handle.quit()
    assert step > 8


def _interrupt(handle: Handle, sql: bytes, step: int) -> bool:
    """Raise before the ``step``th line of the back end's own; whether it runs so many."""
    code = sys.modules[type(handle).__module__].__file__
    left = step

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal left
        if frame.f_code.co_filename != code:
            return None
        if event == "line":
            left -= 1
            if not left:
                raise Ring
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        if handle.query(sql) is not None:
            fetch(handle)
    except Ring:
        return True
    finally:
        sys.settrace(before)
    return False


def test_an_error_among_the_rows(handle: Handle) -> None:
    """What fails in the middle of a result is raised where the rows are read; then all is well."""
    run(handle, b"CREATE TABLE t (n INT PRIMARY KEY)", b"INSERT INTO t VALUES (1), (2), (3)")
    with pytest.raises(err.Error) as caught:
        ask(handle, b"SELECT IF(n = 3, (SELECT n FROM t), n) FROM t ORDER BY n")
    assert caught.value.args[0] == ER.SUBQUERY_NO_1_ROW
    assert handle.alive
    assert ask(handle, b"SELECT 1") == [(b"1",)]


def test_an_error_behind_a_result(open_handle: Open) -> None:
    """An error of the second statement of a command is raised by `next`."""
    handle = open_handle(client_flag=CLIENT.MULTI_STATEMENTS)
    assert handle.query(b"SELECT 1; SELECT nonsense")
    fetch(handle, 9)
    with pytest.raises(err.OperationalError) as caught:
        handle.next()
    assert caught.value.args[0] == ER.BAD_FIELD_ERROR
    assert not handle.more
    assert ask(handle, b"SELECT 1") == [(b"1",)]


# -- what the server says besides ------------------------------------------------------------------


def test_the_status_word_is_the_servers(handle: Handle) -> None:
    """Transaction and autocommit, known without a round trip after each statement."""
    run(handle, b"SET autocommit = 1")
    assert handle.status & SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT
    run(handle, b"BEGIN")
    assert handle.status & SERVER_STATUS.SERVER_STATUS_IN_TRANS
    run(handle, b"COMMIT", b"SET autocommit = 0")
    assert not handle.status & (
        SERVER_STATUS.SERVER_STATUS_IN_TRANS | SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT
    )


def test_a_change_of_the_session_is_told(handle: Handle) -> None:
    """With state tracking the status word says which statement changed session state."""
    run(handle, b"SET SESSION session_track_state_change = 1")
    ask(handle, b"SELECT 1")
    assert not handle.status & STATE_CHANGED
    run(handle, b"SET SESSION sort_buffer_size = 100000")
    assert handle.status & STATE_CHANGED
    ask(handle, b"SELECT 1")
    assert not handle.status & STATE_CHANGED


def test_warnings_of_a_result_set_are_counted_at_its_end(handle: Handle) -> None:
    """`read_rows` knows at the end how many there were."""
    ask(handle, b"SELECT CAST('x' AS SIGNED)")
    assert handle.warning_count == 1
    ask(handle, b"SELECT 1")
    assert handle.warning_count == 0


def test_commands_that_are_no_statements(handle: Handle, params: dict[str, Any]) -> None:
    """Ping, statistics, change of database and reset do what they say, on the same session."""
    assert handle.ping()
    assert "Threads: " in handle.statistics()
    handle.init_db(b"information_schema")
    assert ask(handle, b"SELECT LOWER(DATABASE())") == [(b"information_schema",)]
    with pytest.raises(err.Error) as caught:
        handle.init_db(b"no such database")
    assert caught.value.args[0] in {ER.BAD_DB_ERROR, ER.DBACCESS_DENIED_ERROR}
    run(handle, b"SET @a = 1")
    handle.reset()
    assert ask(handle, b"SELECT @a, CONNECTION_ID()") == [(None, b"%d" % handle.thread_id)]
    assert handle.alive


def test_statistics_leave_what_a_statement_left(handle: Handle) -> None:
    """FOUND_ROWS, ROW_COUNT and the warnings are as before: a look is not noticed."""
    run(handle, b"CREATE TABLE t (n INT)", b"INSERT INTO t VALUES (1), (2), (3)")
    handle.statistics()
    assert ask(handle, b"SELECT ROW_COUNT()") == [(b"3",)]


def test_local_files_are_sent_only_where_allowed(
    open_handle: Open, server: Server, tmp_path: Path
) -> None:
    """LOAD DATA LOCAL sends the file with `local_infile`, and nothing at all without."""
    ((before,),) = server.sql("SELECT @@GLOBAL.local_infile")
    server.sql("SET GLOBAL local_infile = 1")
    try:
        file = tmp_path / "rows.csv"
        file.write_text("1\n2\n3\n")
        load = f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE t".encode()
        allowed = open_handle(local_infile=True)
        run(allowed, b"CREATE TABLE t (n INT)", load)
        assert allowed.affected_rows == 3
        missing = load.replace(b"rows", b"none")
        with pytest.raises(err.OperationalError) as caught:
            allowed.query(missing)
        assert caught.value.args[0] == ER.FILE_NOT_FOUND
        assert ask(allowed, b"SELECT COUNT(*) FROM t") == [(b"3",)]
        with pytest.raises(err.OperationalError):
            open_handle().query(load)
        assert ask(allowed, b"SELECT COUNT(*) FROM t") == [(b"3",)]
    finally:
        server.sql(f"SET GLOBAL local_infile = {before}")


#: Each command by way of a proxy that is a thread of the same process.
COMMANDS = """
import json, sys

from slsmysql import _driver
from slsmysql.options import Secret, build_options
from tests.proxy import Proxy

params = json.loads(sys.argv[1])
with Proxy((params["host"], params["port"])) as proxy:
    options, _ = build_options(
        {**params, "host": proxy.host, "port": proxy.port, "ssl_disabled": True}
    )
    handle = _driver.open_handle(
        options, Secret(options.password.get()), timeout=10, attributes={}
    )
    handle.query(b"DO 1")
    assert handle.query(b"SELECT 1")
    handle.read_rows([], 9, False)
    handle.ping()
    handle.statistics()
    handle.init_db(params["database"].encode())
    handle.reset()
    handle.quit()
"""


def test_other_threads_run_while_a_command_waits(params: dict[str, Any], backend: Backend) -> None:
    """No command keeps the process to itself: a network that is dead would freeze all of it."""
    given = json.dumps({**params, "use_pure": backend == "pure"})
    subprocess.run(
        [sys.executable, "-c", COMMANDS, given],
        cwd=Path(__file__).parents[2],
        check=True,
        timeout=PATIENCE,
    )


# -- loss ------------------------------------------------------------------------------------------


def test_a_lost_session_is_2013_and_over(handle: Handle, server: Server) -> None:
    """After a KILL the next statement raises 2013, and the handle says that it is dead."""
    kill(server, handle)
    with pytest.raises(err.OperationalError) as caught:
        handle.query(b"SELECT 1")
    assert caught.value.args[0] in {CR.CR_SERVER_LOST, CR.CR_SERVER_GONE_ERROR}
    assert not handle.alive


def test_a_ping_finds_a_lost_session(handle: Handle, server: Server) -> None:
    """False, and no exception."""
    kill(server, handle)
    assert not handle.ping()
    assert not handle.alive


def test_statistics_of_a_lost_session_are_an_error(handle: Handle, server: Server) -> None:
    """No text of an error is taken for an answer."""
    kill(server, handle)
    with pytest.raises(err.OperationalError):
        handle.statistics()
    assert not handle.alive


@pytest.mark.parametrize("cut", [fin, rst])
@pytest.mark.parametrize("point", [request, answer])
def test_a_statement_that_was_cut_off_may_have_been_read(
    open_handle: Open, proxy: Proxy, cut: Any, point: Any
) -> None:
    """What is lost under a statement that was sent is 2013, and nobody says that it did not run."""
    handle = open_handle(host=proxy.host, port=proxy.port, ssl_disabled=True)
    proxy.when(point("DO 1"), cut)
    with pytest.raises(err.OperationalError) as caught:
        handle.query(b"DO 1")
    assert caught.value.args[0] == CR.CR_SERVER_LOST
    assert handle.maybe_read
    assert not handle.alive


def test_a_result_that_was_cut_off_is_lost(open_handle: Open, proxy: Proxy) -> None:
    """Half of the rows are not passed off as all."""
    handle = open_handle(host=proxy.host, port=proxy.port, ssl_disabled=True)
    proxy.when(answer("UNION", number=4), fin)
    with pytest.raises(err.OperationalError) as caught:
        ask(handle, b"SELECT 1 UNION SELECT 2 UNION SELECT 3")
    assert caught.value.args[0] == CR.CR_SERVER_LOST
    assert not handle.alive


def test_a_read_timeout_ends_the_session(open_handle: Open) -> None:
    """An answer that does not come in time: 2013, and the stream is not used any more."""
    handle = open_handle(read_timeout=1)
    with pytest.raises(err.OperationalError) as caught:
        handle.query(b"SELECT SLEEP(60)")
    assert caught.value.args[0] == CR.CR_SERVER_LOST
    assert not handle.alive


def test_timeouts_can_be_changed_or_say_that_they_cannot(handle: Handle, backend: Backend) -> None:
    """The pure back end takes new ones; the C extension has no way to, and that is said."""
    if backend == "c":
        with pytest.raises(err.NotSupportedError):
            handle.set_timeouts(1.0, 1.0)
        return
    handle.set_timeouts(0.2, 0.2)
    with pytest.raises(err.OperationalError):
        handle.query(b"SELECT SLEEP(60)")
    assert not handle.alive
