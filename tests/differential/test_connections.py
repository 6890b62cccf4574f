"""Connections: keywords, attributes, methods, transactions, what closing does."""

from __future__ import annotations

import contextlib
import decimal
import gc
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.differential.harness import Both, Side
from tests.differential.test_parameters import Speaks

#: Attributes that a connection has from the beginning, and what of them is each driver's own.
ATTRIBUTES = [
    "host",
    "port",
    "user",
    "db",
    "unix_socket",
    "bind_address",
    "charset",
    "collation",
    "encoding",
    "use_unicode",
    "cursorclass",
    "sql_mode",
    "init_command",
    "connect_timeout",
    "max_allowed_packet",
    "server_version",
    "server_status",
    "protocol_version",
    "host_info",
    "autocommit_mode",
    "open",
]

KEYWORDS: dict[str, Callable[[Side], dict[str, Any]]] = {
    "nothing": lambda side: {},
    "bind_address": lambda side: {"bind_address": "127.0.0.1"},
    "bind_address elsewhere": lambda side: {
        "bind_address": "203.0.113.9",
        # slsmysql tries again for connect_timeout seconds to reach what has answered before.
        "connect_timeout": 0.1,
    },
    "program_name": lambda side: {"program_name": "prog é"},
    "connect_timeout": lambda side: {"connect_timeout": 5},
    "connect_timeout float": lambda side: {"connect_timeout": 5.5},
    "connect_timeout 0": lambda side: {"connect_timeout": 0},
    "connect_timeout -1": lambda side: {"connect_timeout": -1},
    "connect_timeout large": lambda side: {"connect_timeout": 31536001},
    "read_timeout": lambda side: {"read_timeout": 5},
    "read_timeout float": lambda side: {"read_timeout": 5.5},
    "read_timeout 0": lambda side: {"read_timeout": 0},
    "read_timeout None": lambda side: {"read_timeout": None},
    "write_timeout": lambda side: {"write_timeout": 5},
    "write_timeout -1": lambda side: {"write_timeout": -1},
    "max_allowed_packet": lambda side: {"max_allowed_packet": 1000},
    "client_flag": lambda side: {"client_flag": 1 << 16},
    "client_flag FOUND_ROWS": lambda side: {"client_flag": 2},
    "local_infile": lambda side: {"local_infile": True},
    "use_unicode": lambda side: {"use_unicode": False},
    "binary_prefix": lambda side: {"binary_prefix": True},
    "ssl {}": lambda side: {"ssl": {}},
    "ssl None": lambda side: {"ssl": None},
    "ssl_disabled False": lambda side: {"ssl_disabled": False},
    "ssl_ca missing": lambda side: {"ssl_ca": "/missing.pem"},
    "ssl ca missing": lambda side: {"ssl": {"ca": "/missing.pem"}},
    "ssl_cert missing": lambda side: {"ssl_cert": "/missing.pem"},
    "ssl_key_password": lambda side: {"ssl_key_password": "x"},
    "compress": lambda side: {"compress": True},
    "compress False": lambda side: {"compress": False},
    "named_pipe": lambda side: {"named_pipe": True},
    "db": lambda side: {"database": None, "db": side.database},
    "db and database": lambda side: {"db": "nothing"},
    "passwd": lambda side: {"password": "", "passwd": side.keywords["password"]},
    "passwd and password": lambda side: {"passwd": "wrong"},
    "read_default_file missing": lambda side: {"read_default_file": "/missing.cnf"},
    "read_default_group": lambda side: {"read_default_group": "nothing"},
    "init_command": lambda side: {"init_command": "SET @z=1"},
    "init_command with rows": lambda side: {"init_command": "SELECT 1"},
    "init_command wrong": lambda side: {"init_command": "SELEC"},
    "init_command empty": lambda side: {"init_command": ""},
    "init_command autocommit": lambda side: {"init_command": "SET autocommit=1"},
    "sql_mode": lambda side: {"sql_mode": "ANSI"},
    "sql_mode empty": lambda side: {"sql_mode": ""},
    "sql_mode wrong": lambda side: {"sql_mode": "nope"},
    "sql_mode quoted": lambda side: {"sql_mode": "x' OR '"},
    "charset": lambda side: {"charset": "latin1"},
    "charset None": lambda side: {"charset": None},
    "charset utf8": lambda side: {"charset": "utf8"},
    "collation": lambda side: {"collation": "utf8mb4_bin"},
    "collation wrong": lambda side: {"collation": "nope"},
    "host None": lambda side: {"host": None, "port": side.server.port},
    "host localhost": lambda side: {"host": "localhost"},
    "port None": lambda side: {"port": None, "host": "127.0.0.1"},
    "port 0": lambda side: {"port": 0},
    "port str": lambda side: {"port": str(side.server.port)},
    "port bad str": lambda side: {"port": "x"},
    "port float": lambda side: {"port": 1.5},
    "port True": lambda side: {"port": True},
    "port refused": lambda side: {"port": 1},
    "password None": lambda side: {"password": None},
    "password bytes": lambda side: {"password": side.keywords["password"].encode()},
    "password wrong": lambda side: {"password": "é", "ssl_disabled": None},
    "user bytes": lambda side: {"user": side.keywords["user"].encode()},
    "user None": lambda side: {"user": None, "ssl_disabled": None},
    "user empty": lambda side: {"user": "", "ssl_disabled": None},
    "user é": lambda side: {"user": "é", "password": "", "ssl_disabled": None},
    "database None": lambda side: {"database": None},
    "database bytes": lambda side: {"database": side.database.encode()},
    "database wrong": lambda side: {"database": "nothing"},
    "database é": lambda side: {"database": "é"},
    "database with a space": lambda side: {"database": "x "},
    "unix_socket": lambda side: {"unix_socket": str(side.server.socket)},
    "unix_socket missing": lambda side: {"unix_socket": "/missing.sock"},
    "unix_socket empty": lambda side: {"unix_socket": ""},
    "host unknown": lambda side: {"host": "no-such-host.invalid"},
    "autocommit": lambda side: {"autocommit": True},
    "autocommit None": lambda side: {"autocommit": None},
    "autocommit 1": lambda side: {"autocommit": 1},
    "autocommit 0": lambda side: {"autocommit": 0},
    "cursorclass": lambda side: {"cursorclass": side.module.cursors.SSDictCursor},
    "conv None": lambda side: {"conv": None},
    "server_public_key None": lambda side: {"server_public_key": None},
    "auth_plugin_map {}": lambda side: {"auth_plugin_map": {}},
}

#: What the C extension cannot do.
PURE_ONLY = {"bind_address", "bind_address elsewhere", "read_timeout float", "password wrong"}

SESSION = (
    "SELECT @@autocommit, @@character_set_client, @@character_set_connection,"
    " @@character_set_results, @@collation_connection, @@sql_mode, @@time_zone, DATABASE(), @z"
)


@pytest.mark.parametrize("name", KEYWORDS)
def test_a_keyword_of_connect_does_what_it_does_with_pymysql(tables: Both, name: str) -> None:
    """Each keyword gives a connection with PyMySQL's attributes and session, or its error."""
    if tables.backend == "c" and name in PURE_ONLY:
        return  # refused by the C back end: see docs/differences.md

    def scenario(side: Side) -> None:
        keywords = KEYWORDS[name](side)
        if keywords.get("port", 1) in (None, 0):
            # Port 3306, on which anybody may listen: what is compared is the address tried.
            keywords["host"] = "127.0.0.254"
        connection = side.attempt("connect", side.connect, **keywords)
        if name == "unix_socket missing":
            gc.collect()  # PyMySQL leaves its socket open
        if connection is None:
            return
        for attribute in ATTRIBUTES:
            if attribute in {"unix_socket", "server_status"}:
                continue
            side.attempt(attribute, getattr, connection, attribute)
        side.note("in transaction, autocommit", connection.server_status & 3)
        side.attempt("get_autocommit", connection.get_autocommit)
        side.attempt("get_server_info", connection.get_server_info)
        side.attempt("get_host_info", connection.get_host_info)
        side.attempt("get_proto_info", connection.get_proto_info)
        side.attempt("character_set_name", connection.character_set_name)
        cursor = connection.cursor()
        side.run(cursor, SESSION)
        side.run(cursor, "UPDATE a1 SET v=v")
        side.run(cursor, "SELECT USER(), @@hostname='x'")
        side.attempt("open", getattr, connection, "open")
        side.attempt("close", connection.close)

    tables.compare(scenario)


def test_positions_are_refused_as_by_pymysql(both: Both) -> None:
    """connect() takes keywords; PyMySQL's positional arguments of old are a TypeError."""
    for side in both.sides():
        with pytest.raises(TypeError):
            side.module.connect("127.0.0.1", "app", "pw")


CALLS: list[tuple[str, Callable[[Any], Any]]] = [
    ("cursor", lambda c: c.cursor()),
    ("cursor None", lambda c: c.cursor(None)),
    ("cursor wrong", lambda c: c.cursor("x")),
    ("execute", lambda c: c.cursor().execute("SELECT 1")),
    ("commit", lambda c: c.commit()),
    ("rollback", lambda c: c.rollback()),
    ("begin", lambda c: c.begin()),
    ("ping", lambda c: c.ping()),
    ("ping(False)", lambda c: c.ping(False)),
    ("query", lambda c: c.query("SELECT 1")),
    ("query unbuffered", lambda c: c.query("SELECT 1", unbuffered=True)),
    ("query bytes", lambda c: c.query(b"SELECT 1")),
    ("next_result", lambda c: c.cursor().nextset()),
    ("select_db", lambda c: c.select_db("information_schema")),
    ("select_db missing", lambda c: c.select_db("nothing")),
    ("select_db bytes", lambda c: c.select_db(b"information_schema")),
    ("select_db None", lambda c: c.select_db(None)),
    ("autocommit True", lambda c: c.autocommit(True)),
    ("autocommit 1", lambda c: c.autocommit(1)),
    ("autocommit False", lambda c: c.autocommit(False)),
    ("autocommit None", lambda c: c.autocommit(None)),
    ("get_autocommit", lambda c: c.get_autocommit()),
    ("show_warnings", lambda c: c.show_warnings()),
    ("kill missing", lambda c: c.kill(2**31)),
    ("kill str", lambda c: c.kill("1")),
    ("kill True", lambda c: c.kill(True)),
    ("set_charset", lambda c: c.set_charset("latin1")),
    ("set_character_set", lambda c: c.set_character_set("utf8mb4", "utf8mb4_bin")),
    ("escape", lambda c: c.escape("a'b")),
    ("escape int", lambda c: c.escape(1)),
    ("escape mapping", lambda c: c.escape(1, {int: lambda v, m: "int!"})),
    ("escape mapping str", lambda c: c.escape("x", {str: lambda v, m: "str!"})),
    ("escape mapping list", lambda c: c.escape([1, 2.5], {int: lambda v, m: "int!"})),
    ("escape mapping none", lambda c: c.escape(1, {})),
    ("literal", lambda c: c.literal("a'b")),
    ("_escape_string", lambda c: c._escape_string("a'b\\")),
    ("escape_string", lambda c: c._escape_string("a'b\\")),
    ("affected_rows", lambda c: c.affected_rows()),
    ("insert_id", lambda c: c.insert_id()),
    ("thread_id", lambda c: type(c.thread_id())),
    ("get_server_info", lambda c: c.get_server_info()),
    ("get_proto_info", lambda c: c.get_proto_info()),
    ("character_set_name", lambda c: c.character_set_name()),
    ("open", lambda c: c.open),
    ("enter", lambda c: c.__enter__() is c),
    ("Error", lambda c: c.Error.__name__),
    ("close", lambda c: c.close()),
    ("close twice", lambda c: (c.close(), c.close())),
    ("with", lambda c: _with(c)),
    ("with closed inside", lambda c: _with(c, c.close)),
    ("with an error", lambda c: _with(c, lambda: 1 // 0)),
    ("with closed and an error", lambda c: _with(c, lambda: (c.close(), 1 // 0))),
    ("connect again", lambda c: c.connect()),
]


def _with(connection: Any, inside: Callable[[], Any] = lambda: None) -> None:
    with connection as entered:
        assert entered is connection
        inside()


@pytest.mark.parametrize("state", ["fresh", "closed", "deferred", "in use", "streaming"])
@pytest.mark.parametrize(("name", "call"), CALLS, ids=[name for name, _ in CALLS])
def test_a_connection_in_each_state_does_what_pymysqls_does(
    tables: Both, state: str, name: str, call: Callable[[Any], Any]
) -> None:
    """Fresh, closed, not yet connected, or with rows unread: every method as PyMySQL's."""
    if state == "deferred" and name in (
        "escape", "literal", "_escape_string", "escape_string", "get_autocommit", "thread_id",
        "get_server_info", "get_proto_info", "autocommit True", "autocommit 1",
        "autocommit False", "autocommit None", "escape mapping str",
    ):  # fmt: skip
        return  # AttributeError in PyMySQL: see docs/differences.md
    if state == "streaming" and ("close" in name or "with" in name or name == "connect again"):
        return  # PyMySQL's result fails in its finalizer, or waits for ever
    if name == "with closed and an error" or (state == "closed" and name == "with an error"):
        return  # PyMySQL hides the program's exception: see docs/differences.md

    def scenario(side: Side) -> None:
        connection = side.connect(defer_connect=state == "deferred")
        cursor = connection.cursor()
        if state == "in use":
            cursor.execute("INSERT INTO a1 (v) VALUES ('x')")
            cursor.execute("SELECT 1 UNION SELECT 2")
            cursor.fetchone()
        elif state == "streaming":
            cursor = connection.cursor(side.module.cursors.SSCursor)
            cursor.execute("SELECT 1 UNION SELECT 2")
            cursor.fetchone()
        elif state == "closed":
            connection.close()
        side.attempt(name, call, connection)
        side.attempt("open", getattr, connection, "open")
        side.attempt("affected_rows", connection.affected_rows)
        side.attempt("insert_id", connection.insert_id)
        for attribute in ("charset", "collation", "encoding", "autocommit_mode"):
            side.attempt(attribute, getattr, connection, attribute)
        if state != "deferred":  # str until it is connected
            side.attempt("db", getattr, connection, "db")
        side.attempt("fetchone", cursor.fetchone)
        side.attempt("after", connection.cursor().execute, "SELECT 1")
        with contextlib.suppress(side.module.Error):
            connection.rollback()

    tables.compare(scenario)


@pytest.mark.parametrize("end", ["commit", "rollback", "close", "with", "autocommit(True)", "begin",
                                 "DDL", "gc", "nothing"])  # fmt: skip
@pytest.mark.parametrize("autocommit", [True, False, None])
def test_a_transaction_ends_as_with_pymysql(
    tables: Both, end: str, autocommit: bool | None
) -> None:
    """What another session sees after each way to end a transaction is the same."""
    tables.prepare("DELETE FROM {database}.a1")

    def scenario(side: Side) -> None:
        connection = side.connect(autocommit=autocommit)
        cursor = connection.cursor()
        cursor.execute("INSERT INTO a1 (id, v) VALUES (500, 'x')")
        side.note("status", connection.server_status & 3)
        if end == "with":
            _with(connection)
        elif end == "autocommit(True)":
            side.attempt(end, connection.autocommit, True)
        elif end == "DDL":
            side.attempt(end, cursor.execute, "CREATE TABLE IF NOT EXISTS a2 (id INT)")
        elif end == "gc":
            del cursor, connection
            side.connections.clear()
        elif end != "nothing":
            side.attempt(end, getattr(connection, end))
        other = side.connect(autocommit=True, init_command="SET innodb_lock_wait_timeout=1")
        side.run(other.cursor(), "SELECT COUNT(*) FROM a1 WHERE id=500")

    tables.compare(scenario)


def test_autocommit_follows_the_server_as_in_pymysql(both: Both) -> None:
    """get_autocommit tells what the server has, whoever set it; autocommit() sends at need."""

    def scenario(side: Side) -> None:
        connection = side.connect()
        cursor = connection.cursor()
        for value in (True, True, False, 1, 0, None, "x", ""):
            side.attempt(f"autocommit({value!r})", connection.autocommit, value)
            side.note("mode", connection.autocommit_mode)
            side.note("get", connection.get_autocommit())
            side.run(cursor, "SELECT @@autocommit")
        for sql in ("SET autocommit=1", "SET autocommit=0", "BEGIN", "COMMIT"):
            cursor.execute(sql)
            side.note(sql, connection.get_autocommit())

    both.compare(scenario)


CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "decimals as floats": lambda m: {
        **m.converters.conversions,
        m.constants.FIELD_TYPE.NEWDECIMAL: float,
    },
    "ints as str": lambda m: {**m.converters.conversions, m.constants.FIELD_TYPE.LONGLONG: str},
    "all as they come": lambda m: dict(m.converters.encoders),
    "no encoder of dates": lambda m: {**m.converters.decoders, str: m.converters.escape_str},
    "only str": lambda m: {str: m.converters.escape_str},
    "empty": lambda m: {},
    "no str": lambda m: {int: m.converters.escape_int},
    "decoder of text": lambda m: {
        **m.converters.conversions,
        m.constants.FIELD_TYPE.VAR_STRING: lambda text: text.upper(),
    },
    "decoder of blobs": lambda m: {
        **m.converters.conversions,
        m.constants.FIELD_TYPE.BLOB: len,
        m.constants.FIELD_TYPE.LONG_BLOB: len,
    },
    "times of day": lambda m: {
        **m.converters.conversions,
        m.constants.FIELD_TYPE.TIME: m.converters.convert_time,
    },
    "through": lambda m: {
        **m.converters.conversions,
        m.constants.FIELD_TYPE.LONGLONG: m.converters.through,
        m.constants.FIELD_TYPE.DATE: m.converters.through,
    },
    "None as a decoder": lambda m: {
        **m.converters.conversions,
        m.constants.FIELD_TYPE.LONGLONG: None,
    },
    "an encoder": lambda m: {**m.converters.conversions, Speaks: lambda v, mapping: "'spoken'"},
    "an encoder of float": lambda m: {
        **m.converters.conversions,
        float: lambda v, mapping: f"CAST('{v}' AS DECIMAL(5,2))",
    },
    "an encoder of str, not asked": lambda m: {
        **m.converters.conversions,
        str: lambda v, mapping=None: "'never'",
    },
    "an encoder that fails": lambda m: {
        **m.converters.conversions,
        float: lambda v, mapping: 1 // 0,
    },
    "thing to literal": lambda m: {**m.converters.conversions, Speaks: m.converters.Thing2Literal},
    "decimals to literal": lambda m: {
        **m.converters.conversions,
        decimal.Decimal: lambda v, mapping: "7",
    },
}


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("name", CONVERTERS)
def test_converters_of_ones_own_are_used_as_by_pymysql(
    both: Both, name: str, unicode: bool
) -> None:
    """connect(conv=) decides of values in both directions as it does in PyMySQL."""

    def scenario(side: Side) -> None:
        conv = CONVERTERS[name](side.module)
        # autocommit=None: PyMySQL writes False with the encoders given.
        keywords = {"conv": conv, "use_unicode": unicode, "autocommit": None}
        connection = side.attempt("connect", side.connect, **keywords)
        cursor = connection.cursor()
        for query, args in (
            ("SELECT 1, NULL, 'a', x'ff', DATE'2024-01-02', TIME'01:02:03', 2.5e0", None),
            ("SELECT 1 UNION SELECT NULL UNION SELECT 3 UNION SELECT 4 UNION SELECT 5", None),
            ("SELECT %s", ("text",)),
            ("SELECT %s", (1,)),
            ("SELECT %s + 0e0", (1.5,)),
            ("SELECT %s", (None,)),
            ("SELECT %s", (b"x",)),
            ("SELECT %s", (Speaks(),)),
            ("SELECT 1 IN %s", ([1, "a", None],)),
            ("SELECT CAST(%s AS CHAR)", (decimal.Decimal("1.5"),)),
        ):
            side.run(cursor, query, args)
        if unicode:
            side.run(cursor, "SELECT 1.5")

    both.compare(scenario)


@pytest.mark.parametrize("cursor_class", ["Cursor", "SSCursor"])
def test_converters_changed_in_place_take_effect_as_in_pymysql(
    both: Both, cursor_class: str
) -> None:
    """Programs change decoders, encoders, use_unicode and encoding of an open connection."""

    def scenario(side: Side) -> None:
        field_type = side.module.constants.FIELD_TYPE
        connection = side.connect()
        kind = getattr(side.module.cursors, cursor_class)

        def look(label: str) -> None:
            side.log.append((label, None))
            cursor = connection.cursor(kind)
            side.run(cursor, "SELECT 1, 'é', 2.5e0, DATE'2024-01-02'")
            side.run(cursor, "SELECT 1")
            side.run(cursor, "SELECT %s, %s", (Speaks(), 1.5))
            cursor.close()

        look("as it is")
        connection.decoders[field_type.LONGLONG] = str
        look("an item set")
        connection.decoders.update({field_type.DATE: side.module.converters.through})
        look("updated")
        del connection.decoders[field_type.LONGLONG]
        look("deleted")
        connection.decoders = {}
        look("replaced")
        connection.decoders = dict(side.module.converters.decoders)
        look("replaced again")
        connection.encoders[Speaks] = lambda value, mapping: "'spoken'"
        look("an encoder")
        connection.encoders = {**connection.encoders, float: lambda value, mapping: "7"}
        look("encoders replaced")
        connection.use_unicode = False
        look("no unicode")
        connection.use_unicode = True
        connection.encoding = "latin1"
        look("another codec")
        connection.cursorclass = side.module.cursors.DictCursor
        side.run(connection.cursor(), "SELECT 1 AS a")

    both.compare(scenario)


FILES: dict[str, bytes] = {
    "plain": b"801\tone\t801\n802\ttwo\t802\n",
    "empty": b"",
    "without a newline": b"803\tx\t803",
    "NULL": b"804\t\\N\t804\n",
    "large": b"".join(b"%d\tx\t%d\n" % (n, n) for n in range(1000, 4000)),
    "duplicate": b"805\tx\t805\n805\ty\t805\n",
    "too long": b"806\ttoolongfor5\t806\n",
    "not a number": b"abc\tx\t1\n",
}


@pytest.fixture
def local_files(both: Both, tmp_path: Path) -> Iterator[Path]:
    """A folder of files, on a server that lets them be loaded."""
    both.server.sql("SET GLOBAL local_infile=ON")
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "link").symlink_to(tmp_path / "plain")
    (tmp_path / "folder").mkdir()
    (tmp_path / "it's é").write_bytes(FILES["plain"])
    yield tmp_path
    both.server.sql("SET GLOBAL local_infile=DEFAULT")


@pytest.mark.parametrize("name", [*FILES, "link", "folder", "missing", "it's é"])
def test_a_local_file_is_loaded_as_by_pymysql(tables: Both, local_files: Path, name: str) -> None:
    """LOAD DATA LOCAL INFILE sends the file, or fails, as PyMySQL's, and the session goes on."""
    path = str(local_files / name)

    def scenario(side: Side) -> None:
        connection = side.connect(local_infile=True)
        for cursor_class in ("Cursor", "SSCursor"):
            cursor = connection.cursor(getattr(side.module.cursors, cursor_class))
            side.run(cursor, "LOAD DATA LOCAL INFILE %s INTO TABLE a1", (path,))
            side.attempt("show_warnings", connection.show_warnings)
            side.run(cursor, "SELECT COUNT(*), MIN(id), MAX(v) FROM a1 WHERE id>800")
            side.attempt("rollback", connection.rollback)
            side.run(cursor, "LOAD DATA LOCAL INFILE %s REPLACE INTO TABLE a1", (path,))
            side.attempt("rollback", connection.rollback)
            side.run(cursor, "LOAD DATA LOCAL INFILE %s INTO TABLE nothing", (path,))
            cursor.close()

    tables.compare(scenario)


def test_a_local_file_is_refused_as_by_pymysql(tables: Both, local_files: Path) -> None:
    """Without local_infile=True, or where the server does not allow it, nothing is read."""
    path = str(local_files / "plain")

    def scenario(side: Side) -> None:
        # The C back end refuses by itself, with an errno of its own: see docs/differences.md.
        for allowed in (True,) if tables.backend == "c" else (False, True):
            connection = side.connect(local_infile=allowed)
            if allowed:
                side.server.sql("SET GLOBAL local_infile=OFF")
            cursor = connection.cursor()
            side.run(cursor, "LOAD DATA LOCAL INFILE %s INTO TABLE a1", (path,))
            side.run(cursor, "SELECT COUNT(*) FROM a1 WHERE id>800")
            connection.rollback()
        side.server.sql("SET GLOBAL local_infile=ON")

    tables.compare(scenario)


OPTION_FILES: dict[str, str] = {
    "all": "[client]\nuser=app\npassword={password}\nhost=127.0.0.1\nport={port}\n"
    "database={database}\ndefault-character-set=latin1\n",
    "quoted": "[client]\nuser = 'app'\npassword = \"{password}\"\nport={port}\nhost=127.0.0.1\n",
    "another group": "[other]\nuser=app\npassword={password}\nhost=127.0.0.1\nport={port}\n",
    "empty": "",
}


@pytest.mark.parametrize("name", OPTION_FILES)
def test_an_option_file_is_read_as_by_pymysql(both: Both, tmp_path: Path, name: str) -> None:
    """What an option file says is used where no keyword says otherwise, as by PyMySQL."""

    def scenario(side: Side) -> None:
        path = tmp_path / f"{side.module.__name__}.cnf"
        path.write_text(OPTION_FILES[name].format(**side.keywords))
        own = {} if side.is_reference else {"use_pure": side.keywords["use_pure"]}
        for group in (None, "other"):
            for more in (own, side.keywords):
                file = {"read_default_file": str(path), "read_default_group": group}
                connection = side.attempt(f"{group}", side.module.connect, **{**file, **more})
                if connection is not None:
                    side.connections.append(connection)
                    for attribute in ("user", "host", "port", "db", "charset"):
                        side.attempt(attribute, getattr, connection, attribute)

    both.compare(scenario)


def test_exceptions_are_pickled_as_pymysqls(both: Both) -> None:
    """An exception that has been pickled has its class, arguments, sqlstate and text."""

    def scenario(side: Side, connection: Any) -> None:
        for query in ("SELEC", "SELECT * FROM nothing", "SIGNAL SQLSTATE '45000'"):
            try:
                connection.cursor().execute(query)
            except side.module.Error as error:
                for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
                    side.note("pickled", pickle.loads(pickle.dumps(error, protocol)))
                side.note("str", str(error))
                side.note("repr", repr(error))

    both.compare_shared(scenario)


def test_the_statements_of_a_session_are_few(both: Both) -> None:
    """connect() and close() send no more round trips than PyMySQL's SET NAMES and autocommit."""
    counts = {}
    for side in both.sides():
        (before,) = side.server.sql("SHOW GLOBAL STATUS LIKE 'Questions'")
        connection = side.connect()
        (after,) = side.server.sql("SHOW GLOBAL STATUS LIKE 'Questions'")
        side.close()
        assert connection is not None
        counts[side.module.__name__] = int(after[1]) - int(before[1])
    assert counts["slsmysql"] <= counts["pymysql"]
