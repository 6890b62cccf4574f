"""What real servers make of what `slsmysql.session` reads: replay texts, status bits, readings."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pymysql
import pytest

from slsmysql import _driver, err, session
from slsmysql._driver import Handle
from slsmysql.options import build_options
from slsmysql.session import IN_TRANSACTION, REPLAYABLE, STATE_CHANGED, classify
from tests.fix_servers import Backend
from tests.servers import Account, Server

Open = Callable[..., Handle]

#: As a connection sets its sessions up.
SET_UP = (
    "SET NAMES utf8mb4, SESSION session_track_state_change=1, SESSION session_track_schema=0,"
    " SESSION session_track_system_variables=''"
)

#: The server does not know the variable, or it is no session variable there, or nobody's to set.
NOT_HERE = {1193, 1228, 1229, 1238, 1621}


@pytest.fixture
def open_handle(server: Server, database: str, backend: Backend) -> Iterator[Open]:
    """A function that opens a session on the test's database, of an account, by default root."""
    handles: list[Handle] = []

    def open_handle(account: Account | None = None) -> Handle:
        if account is None and server._run is not None:
            given = {"unix_socket": str(server.socket), "user": "root", "database": database}
        else:
            given = server.params(account or server.root, database=database)
        options, _ = build_options({**given, "use_pure": backend == "pure"})
        handle = _driver.open_handle(options, options.password, timeout=10.0, attributes={})
        handles.append(handle)
        run(handle, SET_UP)
        return handle

    yield open_handle
    for handle in handles:
        handle.quit()


def run(handle: Handle, sql: str) -> list[tuple[str | None, ...]]:
    """Run a statement and return the rows of its last result, as text."""
    rows: list[tuple[str | None, ...]] = []
    has_rows = handle.query(sql.encode())
    while True:
        if has_rows:
            raw: list[tuple[bytes | None, ...]] = []
            handle.read_rows(raw, 1000, native=False)
            rows = [
                tuple([None if value is None else value.decode() for value in row]) for row in raw
            ]
        if not handle.more:
            return rows
        has_rows = handle.next()


def value(handle: Handle, expression: str) -> str | None:
    """Return what a session says of an expression."""
    ((found,),) = run(handle, f"SELECT {expression}")
    return found


# -- replay ----------------------------------------------------------------------------------------

#: A value for each variable that is replayed, which is not the server's default.
SAMPLES = {
    "auto_increment_increment": "3",
    "auto_increment_offset": "2",
    "autocommit": "0",
    "big_tables": "ON",
    "bulk_insert_buffer_size": "1048576",
    "character_set_client": "latin1",
    "character_set_connection": "latin1",
    "character_set_results": "NULL",
    "collation_connection": "'utf8mb4_bin'",
    "completion_type": "CHAIN",
    "cte_max_recursion_depth": "77",
    "default_storage_engine": "MyISAM",
    "default_tmp_storage_engine": "'MyISAM'",
    "default_week_format": "3",
    "div_precision_increment": "7",
    "eq_range_index_dive_limit": "50",
    "explicit_defaults_for_timestamp": "OFF",
    "foreign_key_checks": "0",
    "generated_random_password_length": "30",
    "group_concat_max_len": "4096",
    "idle_transaction_timeout": "600",
    "information_schema_stats_expiry": "0",
    "innodb_lock_wait_timeout": "7",
    "innodb_strict_mode": "OFF",
    "interactive_timeout": "777",
    "internal_tmp_mem_storage_engine": "MEMORY",
    "join_buffer_size": "524288",
    "lc_messages": "'de_DE'",
    "lc_time_names": "fr_FR",
    "lock_wait_timeout": "17",
    "low_priority_updates": "TRUE",
    "max_execution_time": "7000",
    "max_heap_table_size": "1048576",
    "max_join_size": "123456789",
    "max_length_for_sort_data": "2048",
    "max_sort_length": "2048",
    "max_sp_recursion_depth": "7",
    "max_statement_time": "7.5",
    "net_read_timeout": "37",
    "net_retry_count": "17",
    "net_write_timeout": "67",
    "old_alter_table": "1",
    "old_mode": "'ZERO_DATE_TIME_CAST'",
    "optimizer_search_depth": "17",
    "range_optimizer_max_mem_size": "1000000",
    "read_buffer_size": "262144",
    "read_rnd_buffer_size": "524288",
    "sort_buffer_size": "524288",
    "sql_auto_is_null": "1",
    "sql_big_selects": "0",
    "sql_generate_invisible_primary_key": "ON",
    "sql_mode": "'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,STRICT_TRANS_TABLES'",
    "sql_notes": "0",
    "sql_quote_show_create": "0",
    "sql_require_primary_key": "ON",
    "sql_safe_updates": "1",
    "sql_select_limit": "1234567",
    "sql_warnings": "ON",
    "standard_compliant_cte": "OFF",
    "time_zone": "'+01:30'",
    "tmp_table_size": "1048576",
    "transaction_isolation": "'READ-COMMITTED'",
    "transaction_read_only": "ON",
    "tx_isolation": "'SERIALIZABLE'",
    "tx_read_only": "1",
    "unique_checks": "OFF",
    "updatable_views_with_limit": "NO",
    "wait_timeout": "777",
    "windowing_use_high_precision": "OFF",
}


def test_there_is_a_sample_for_each_variable() -> None:
    """No variable is replayed that was not tried."""
    assert set(SAMPLES) == REPLAYABLE


@pytest.mark.parametrize("name", SAMPLES)
def test_a_variable_set_again_has_the_same_value(open_handle: Open, name: str) -> None:
    """What is set again on a new session is accepted there and gives the value it had."""
    original, default = open_handle(), open_handle()
    sql = f"SET {name} = {SAMPLES[name]}"
    try:
        run(original, sql)
    except err.Error as error:
        if error.args[0] in NOT_HERE:
            return  # the other server's, see below
        raise
    again = open_handle()
    effect = classify(sql)
    assert effect.replay
    for _, statement in effect.replay:
        run(again, statement)
    assert value(again, f"@@SESSION.{name}") == value(original, f"@@SESSION.{name}")
    assert value(again, f"@@SESSION.{name}") != value(default, f"@@SESSION.{name}")


def test_each_variable_is_somebodys(shared_server: Callable[..., Server]) -> None:
    """Every variable that is replayed can be set for a session on one of the two servers."""
    nobodys = set(REPLAYABLE)
    for kind in ("mariadb", "mysql"):
        server = shared_server(kind)
        for name in sorted(nobodys):
            try:
                server.sql(f"SET SESSION {name} = {SAMPLES[name]}")
            except pymysql.Error:
                continue
            nobodys.remove(name)
    assert nobodys == set()


@pytest.mark.parametrize(
    "sql",
    [
        "SET time_zone = '+01:00', SESSION sql_notes = 0, @@sql_warnings = 1",
        'SET @@SESSION.time_zone := "+01:00", @@local . sql_notes = OFF, LOCAL sql_warnings = ON',
        "SET /* a */ SESSION `time_zone` -- b\n = '+01:00' # c\n , `sql_notes` = FALSE;",
        "SET sql_mode = 'ANSI_QUOTES', time_zone = '+01:00'",
        "SET sql_select_limit = DEFAULT, time_zone = SYSTEM",
        "SET NAMES latin1, time_zone = '+01:00'",
        "SET NAMES 'utf8mb4' COLLATE 'utf8mb4_bin'",
        "SET NAMES DEFAULT",
        "SET NAMES binary",
        "SET CHARACTER SET latin1",
        "SET CHARSET 'latin1'",
        "SET CHARACTER SET DEFAULT",
        "SET character_set_results = NULL, collation_connection = utf8mb4_bin",
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SET LOCAL TRANSACTION READ ONLY, ISOLATION LEVEL SERIALIZABLE",
        "SET @@GLOBAL.sql_notes = @@GLOBAL.sql_notes, sql_warnings = 1",
        "SET GLOBAL net_retry_count = 10, SESSION sql_notes = 0, sql_warnings = 1",
    ],
)
def test_any_form_of_set_is_set_again(open_handle: Open, server: Server, sql: str) -> None:
    """Whatever the form, the replay gives a new session what the statement gave the old one."""
    isolation = "tx_isolation" if server.kind == "mariadb" else "transaction_isolation"
    read_only = "tx_read_only" if server.kind == "mariadb" else "transaction_read_only"
    everything = ", ".join(
        f"@@SESSION.{name}"
        for name in (
            *("time_zone", "sql_notes", "sql_warnings", "sql_mode", "sql_select_limit"),
            *("character_set_client", "character_set_connection", "character_set_results"),
            *("collation_connection", "net_retry_count", isolation, read_only),
        )
    )
    original, again = open_handle(), open_handle()
    run(original, sql)
    effect = classify(sql)
    for _, statement in effect.replay:
        run(again, statement)
    if not effect.pins:
        assert run(again, f"SELECT {everything}") == run(original, f"SELECT {everything}")


def test_replays_in_the_order_of_the_last_setting(open_handle: Open) -> None:
    """Names and single charset variables are one thing: the last to be set has the last word."""
    original, again = open_handle(), open_handle()
    replay: dict[str, str] = {}
    for sql in (
        *("SET NAMES latin1", "SET character_set_results = NULL", "SET NAMES utf8mb4"),
        *("SET collation_connection = utf8mb4_bin", "SET sql_big_selects = 1"),
        *("SET max_join_size = 1000", "SET sql_big_selects = 1"),
    ):
        run(original, sql)
        for key, statement in classify(sql).replay:
            replay.pop(key, None)
            replay[key] = statement
    for statement in replay.values():
        run(again, statement)
    for name in ("character_set_results", "collation_connection", "sql_big_selects"):
        assert value(again, f"@@{name}") == value(original, f"@@{name}")


# -- what a scope means ----------------------------------------------------------------------------

SCOPES = [
    ("SET GLOBAL net_retry_count = 11, {} = 8", "global"),
    ("SET SESSION net_retry_count = 11, {} = 8", "session"),
    ("SET GLOBAL net_retry_count = 11, SESSION net_write_timeout = 61, {} = 8", "session"),
    ("SET @@GLOBAL.net_retry_count = 11, {} = 8", "session"),
    ("SET GLOBAL net_retry_count = 11, @@{} = 8", "session"),
    ("SET GLOBAL net_retry_count = 11, @@net_write_timeout = 61, {} = 8", "global"),
    ("SET @@SESSION.net_retry_count = 11, {} = 8", "session"),
]


@pytest.mark.parametrize(("sql", "scope"), SCOPES)
def test_the_last_keyword_counts_on(
    open_handle: Open, server: Server, sql: str, scope: str
) -> None:
    """To whom an assignment without a keyword is made, the server and the text agree."""
    name = "div_precision_increment"
    handle = open_handle()
    sql = sql.format(name)
    try:
        run(handle, sql)
        changed = {
            "global": value(handle, f"@@GLOBAL.{name}") == "8",
            "session": value(handle, f"@@SESSION.{name}") == "8",
        }
    finally:
        server.sql(f"SET GLOBAL {name} = 4, GLOBAL net_retry_count = 10")
    assert [which for which, done in changed.items() if done] == [scope]
    replayed = any(key == name for key, _ in classify(sql).replay)
    assert replayed is (scope == "session")


@pytest.mark.parametrize("written", ["@@{}", "{}", "SESSION {}", "@@SESSION.{}"])
def test_a_characteristic_without_scope_is_for_the_next_transaction(
    open_handle: Open, server: Server, written: str
) -> None:
    """Only behind a bare @@ is a transaction's characteristic not the session's."""
    name = "tx_isolation" if server.kind == "mariadb" else "transaction_isolation"
    handle = open_handle()
    sql = f"SET {written.format(name)} = 'SERIALIZABLE'"
    run(handle, sql)
    of_session = value(handle, f"@@SESSION.{name}") == "SERIALIZABLE"
    assert of_session is (written != "@@{}")
    assert bool(classify(sql).replay) is of_session
    assert ("next transaction" in classify(sql).pins) is not of_session


def test_the_next_transaction_waits_for_a_transaction(open_handle: Open) -> None:
    """SET TRANSACTION outlasts statements without a transaction, and COMMIT and ROLLBACK end it."""
    handle = open_handle()
    run(handle, "CREATE TABLE t (a INT) ENGINE=InnoDB")
    run(handle, "INSERT INTO t VALUES (1)")

    def may_write() -> bool:
        run(handle, "BEGIN")
        try:
            run(handle, "UPDATE t SET a = a + 1")
        except err.Error:  # ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION
            return False
        finally:
            run(handle, "ROLLBACK")
        return True

    for between, kept in [
        ("SELECT 1", True),
        ("SET @a = 1", True),
        ("SHOW WARNINGS", True),
        ("DO 1", True),
        ("SET SESSION wait_timeout = 100", True),
        ("COMMIT", False),
        ("ROLLBACK", False),
    ]:
        run(handle, "SET TRANSACTION READ ONLY")
        run(handle, between)
        assert may_write() is not kept
        assert may_write()
        assert ("next transaction" in classify(between).unpins) is not kept


# -- the status word -------------------------------------------------------------------------------

#: Statement, and whether it raises 0x4000: on both servers, or on MariaDB and on MySQL.
REPORTED: list[tuple[str, bool | tuple[bool, bool]]] = [
    ("SET @a = 1", True),
    ("SET SESSION sort_buffer_size = 524288", True),
    ("SET NAMES latin1", True),
    ("SET NAMES utf8mb4", True),
    ("USE {database}", True),
    ("CREATE TEMPORARY TABLE temporary (a INT)", True),
    ("INSERT INTO temporary VALUES (1)", False),
    ("DROP TEMPORARY TABLE temporary", True),
    ("PREPARE s FROM 'SELECT 1'", True),
    ("EXECUTE s", False),
    ("DEALLOCATE PREPARE s", True),
    ("CALL sets_variable()", True),
    ("CALL makes_table()", True),
    ("CALL sets_session()", True),
    ("SELECT sets_variable()", True),
    ("SET autocommit = 0", True),
    ("SET autocommit = 1", True),
    ("SET ROLE NONE", (True, False)),
    ("START TRANSACTION", (False, True)),
    ("COMMIT", (False, True)),
    ("BEGIN", (False, True)),
    ("SAVEPOINT a", False),
    ("RELEASE SAVEPOINT a", False),
    ("ROLLBACK", (False, True)),
    ("XA START 'x'", (False, True)),
    ("XA END 'x'", False),
    ("XA ROLLBACK 'x'", (False, True)),
    ("SELECT 1", False),
    ("INSERT INTO t VALUES (1)", False),
    ("UPDATE t SET a = 2", False),
    ("SET GLOBAL net_retry_count = 10", False),
    # What the text has to tell, because the server does not.
    ("SELECT @b := 5", False),
    ("SELECT 7 INTO @c", False),
    ("SELECT GET_LOCK('{database}', 0)", False),
    ("SELECT `get_lock`('{database}.2', 0)", False),
    ("SELECT RELEASE_ALL_LOCKS()", False),
    ("LOCK TABLES t WRITE", False),
    ("UNLOCK TABLES", False),
    ("FLUSH TABLES t WITH READ LOCK", False),
    ("UNLOCK TABLES", False),
    ("HANDLER t OPEN", False),
    ("HANDLER t CLOSE", False),
    ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", False),
    ("SELECT LAST_INSERT_ID(5)", False),
    ("SELECT SQL_CALC_FOUND_ROWS * FROM t LIMIT 1", False),
    ("CALL gives_variable(@out)", False),
    ("GET DIAGNOSTICS @d = NUMBER", False),
    # And what nobody tells: the limit of what can be known.
    ("CALL selects_into()", False),
    ("CALL takes_lock()", False),
]

ROUTINES = [
    "CREATE PROCEDURE sets_variable() SET @x = 1",
    "CREATE PROCEDURE makes_table() CREATE TEMPORARY TABLE made (a INT)",
    "CREATE PROCEDURE sets_session() SET SESSION sort_buffer_size = 524288",
    "CREATE PROCEDURE gives_variable(OUT a INT) SET a = 1",
    "CREATE PROCEDURE selects_into() SELECT 1 INTO @y",
    "CREATE PROCEDURE takes_lock() DO GET_LOCK('slsmysql_test', 0)",
    "CREATE FUNCTION sets_variable() RETURNS INT DETERMINISTIC BEGIN SET @z = 1; RETURN 1; END",
]


def test_what_the_server_says_of_the_session_state(
    open_handle: Open, server: Server, database: str
) -> None:
    """The bit says what `session` relies on, and what it does not say is read from the text."""
    handle = open_handle()
    run(handle, "CREATE TABLE t (a INT) ENGINE=InnoDB")
    for routine in ROUTINES:
        run(handle, routine)
    for sql, expected in REPORTED:
        if isinstance(expected, tuple):
            expected = expected[server.kind == "mysql"]  # noqa: PLW2901 - of this server
        run(handle, sql.format(database=database))
        assert bool(handle.status & STATE_CHANGED) is expected, sql


def test_what_is_not_reported_is_pinned(open_handle: Open, database: str) -> None:
    """Each statement that leaves state without the server's saying so pins by its text."""
    leaves_nothing = (
        *("SELECT 1", "INSERT", "UPDATE t", "SAVEPOINT", "RELEASE", "EXECUTE", "UNLOCK", "XA END"),
        *(
            "SELECT RELEASE",
            "HANDLER t CLOSE",
            "SET GLOBAL",
            "CALL selects_into",
            "CALL takes_lock",
        ),
    )
    for sql, expected in REPORTED:
        if expected is False and not sql.startswith(leaves_nothing):
            effect = classify(sql.format(database=database))
            assert effect.pins | effect.next_only, sql


def test_a_plain_read_opens_what_its_status_says(open_handle: Open) -> None:
    """Without autocommit a read begins a transaction: the bit says so after the statement."""
    handle = open_handle()
    run(handle, "CREATE TABLE t (a INT) ENGINE=InnoDB")
    run(handle, "SET autocommit = 0")
    assert not handle.status & IN_TRANSACTION
    run(handle, "SELECT * FROM t")
    assert handle.status & IN_TRANSACTION
    run(handle, "COMMIT")
    assert not handle.status & IN_TRANSACTION


# -- readings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql_mode", "sql"),
    [
        ("", r"SELECT '\'', GET_LOCK('{lock}', 0), '\''"),
        ("NO_BACKSLASH_ESCAPES", r"SELECT '\', GET_LOCK('{lock}', 0), '\' -- '"),
        ("NO_BACKSLASH_ESCAPES", r'SELECT "\", GET_LOCK("{lock}", 0), "\" -- "'),
        ("ANSI_QUOTES", "SELECT \"GET_LOCK\"('{lock}', 0)"),
        ("ANSI_QUOTES", r"""SELECT a AS "\", GET_LOCK('{lock}', 0) AS "b\" FROM t -- " """),
        ("", "SELECT `GET_LOCK`('{lock}', 0)"),
        ("", "SELECT GET_LOCK -- '\n ('{lock}', 0)"),
        ("", "SELECT /*! GET_LOCK('{lock}', 0) */ , 1"),
        ("", "SELECT 1--1, GET_LOCK('{lock}', 0)"),
        ("", "SELECT 'a' -- '\n , GET_LOCK('{lock}', 0) # '"),
        ("", "SELECT /* /* */ GET_LOCK('{lock}', 0) -- */"),
    ],
)
def test_no_way_of_writing_hides_a_lock(
    open_handle: Open, database: str, sql_mode: str, sql: str
) -> None:
    """What takes a lock on a server in some sql_mode pins, by the text alone."""
    handle = open_handle()
    run(handle, "CREATE TABLE t (a INT)")
    run(handle, "INSERT INTO t VALUES (1)")
    run(handle, f"SET SESSION sql_mode = '{sql_mode}'")
    sql = sql.replace("{lock}", database).replace("*/ , 1", "*/")
    run(handle, sql)
    assert value(handle, f"IS_USED_LOCK('{database}') = CONNECTION_ID()") == "1"
    assert classify(sql).pins


def test_the_functions_that_a_read_may_call_are_the_servers(
    shared_server: Callable[..., Server],
) -> None:
    """Each name that is known to change nothing is a function of one of the two servers."""
    missing = set(session._FUNCTIONS.split())
    for kind in ("mariadb", "mysql"):
        server = shared_server(kind)
        options, _ = build_options(server.params())
        handle = _driver.open_handle(options, options.password, timeout=10.0, attributes={})
        try:
            run(handle, SET_UP)
            for name in sorted(missing):
                try:
                    run(handle, f"SELECT {name}(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)")
                except err.Error as error:
                    if error.args[0] == 1305:  # ER_SP_DOES_NOT_EXIST
                        continue
                missing.discard(name)
        finally:
            handle.quit()
    assert missing == set()
