"""What is different on purpose: docs/differences.md, line by line, in both drivers."""

from __future__ import annotations

import re
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest

import slsmysql
from tests.differential.harness import Both, Side
from tests.differential.test_lost import kill
from tests.gate import Gate
from tests.servers import Server

PAGE = Path(__file__).parents[2] / "docs" / "differences.md"


def test_every_difference_is_documented_and_tested() -> None:
    """The page has a line for each test here, and this module a test for each line there."""
    lines = re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    tests = {
        name.removeprefix("test_").replace("_", "-")
        for name in vars(sys.modules[__name__])
        if name.startswith("test_")
    }
    assert len(lines) == len(set(lines))
    assert set(lines) == tests - {"every-difference-is-documented-and-tested"}


@pytest.fixture
def pair(tables: Both) -> Iterator[tuple[Side, Side]]:
    """PyMySQL's side and slsmysql's."""
    with tables.open_sides() as sides:
        yield sides


def failure(call: Callable[..., Any], *args: Any, **keywords: Any) -> BaseException:
    """Return what a call raises."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the caller looks at it
        call(*args, **keywords)
    return caught.value


def execute(connection: Any, query: Any) -> Any:
    """Execute on a new cursor."""
    return connection.cursor().execute(query)


# Sessions and their loss


def test_lost_idle(pair: tuple[Side, Side]) -> None:
    """A session lost with nothing in it is replaced before the next statement."""
    theirs, ours = (side.connect() for side in pair)
    for side, connection in zip(pair, (theirs, ours), strict=True):
        connection.cursor().execute("SELECT 1")
        connection.rollback()
        kill(side, connection)
    assert isinstance(failure(execute, theirs, "SELECT 1"), pymysql.Error)
    ours._last = ours._last_wall = 0  # idle for long: as after a freeze
    assert ours.cursor().execute("SELECT 1") == 1


def test_lost_transaction(pair: tuple[Side, Side]) -> None:
    """A lost transaction is told until the program rolls back, and then the connection goes on."""
    theirs, ours = (side.connect() for side in pair)
    for side, connection in zip(pair, (theirs, ours), strict=True):
        connection.cursor().execute("INSERT INTO a1 (v) VALUES ('x')")
        kill(side, connection)
        with pytest.raises(side.module.OperationalError):
            connection.cursor().execute("SELECT 1")
    assert failure(execute, theirs, "SELECT 1").args == (0, "")
    assert isinstance(failure(theirs.rollback), pymysql.InterfaceError)
    refused = failure(execute, ours, "SELECT 1")
    assert isinstance(refused, slsmysql.InterfaceError)
    assert refused.args[0] == 0
    assert refused.args[1].startswith("the session was lost (")
    ours.rollback()
    assert ours.cursor().execute("SELECT 1") == 1


def test_lost_text(pair: tuple[Side, Side]) -> None:
    """The text of a loss begins with PyMySQL's and says what was lost."""
    theirs, ours = (side.connect() for side in pair)
    for side, connection in zip(pair, (theirs, ours), strict=True):
        connection.cursor().execute("INSERT INTO a1 (v) VALUES ('x')")
        kill(side, connection)
    expected = failure(execute, theirs, "SELECT 1")
    found = failure(execute, ours, "SELECT 1")
    for error in (expected, found):
        assert error.args[0] in (2006, 2013)
        assert error.args[1].startswith(
            ("Lost connection to MySQL server", "MySQL server has gone")
        )
    assert "lost: the transaction" in found.args[1]


def killed_in(side: Side, connection: Any, statement: str) -> BaseException:
    """Return what a statement raises whose session is killed while it runs."""
    number = connection.thread_id()
    query = f"SELECT COUNT(*) FROM information_schema.processlist WHERE id={number} AND info"

    def end() -> None:
        while side.server.sql(f"{query} LIKE '%SLEEP%'") == ((0,),):
            pass
        side.server.sql(f"KILL {number}")

    killer = threading.Thread(target=end)
    killer.start()
    error = failure(execute, connection, statement)
    killer.join()
    return error


def test_outcome_unknown(pair: tuple[Side, Side]) -> None:
    """A write whose answer was lost has an exception of its own, which is an OperationalError."""
    for side in pair:
        connection = side.connect(autocommit=True)
        error = killed_in(side, connection, "INSERT INTO a1 (n) SELECT 1000 + SLEEP(20)")
        assert isinstance(error, side.module.OperationalError)
        assert isinstance(error, slsmysql.OutcomeUnknownError) is not side.is_reference


def test_interrupt(pair: tuple[Side, Side]) -> None:
    """An interrupted statement ends the session, which is replaced if nothing was lost with it."""

    class Interrupts(BaseException):
        """Stands for KeyboardInterrupt."""

    def interrupted(*args: Any, **keywords: Any) -> Any:
        raise Interrupts

    theirs, ours = (side.connect() for side in pair)
    theirs._rfile.close()
    theirs._rfile = type("File", (), {"read": interrupted, "close": lambda self: None})()
    with pytest.raises(Interrupts):
        theirs.cursor().execute("SELECT 1")
    assert failure(execute, theirs, "SELECT 1").args == (0, "")
    with pytest.MonkeyPatch.context() as patch:
        # Between the head of the result and its rows.
        patch.setattr(type(ours._handle), "read_rows", interrupted)
        with pytest.raises(Interrupts):
            execute(ours, "SELECT 'stale'")
    cursor = ours.cursor()
    cursor.execute("SELECT 'fresh'")
    assert cursor.fetchall() == (("fresh",),)


def test_connect_retry(pair: tuple[Side, Side]) -> None:
    """Where an account's connections are taken PyMySQL fails, and slsmysql waits for one."""
    reference, subject = pair
    server = reference.server
    server.sql(
        "DROP USER IF EXISTS waiting",
        "CREATE USER waiting IDENTIFIED BY 'pw' WITH MAX_USER_CONNECTIONS 1",
        *(f"GRANT SELECT ON {side.database}.* TO waiting" for side in pair),
    )
    account = {"user": "waiting", "password": "pw", "ssl_disabled": None}
    holder = reference.connect(**account)
    assert failure(reference.connect, **account).args[0] == 1226
    assert failure(subject.connect, **account, max_retries=0).args[0] == 1226
    release = threading.Timer(0.1, holder.close)
    release.start()
    waited = subject.connect(**account)
    release.join()
    assert waited.cursor().execute("SELECT 1") == 1
    waited.quit()
    server.sql("DROP USER waiting")


def test_close_parks(pair: tuple[Side, Side]) -> None:
    """close() keeps the session for the next connect(); quit() ends it, and so does reuse=False."""
    for side in pair:
        first = side.connect()
        number = first.thread_id()
        first.close()
        second = side.connect()
        assert (second.thread_id() == number) is not side.is_reference
    ours = pair[1]
    second.quit()
    assert ours.connect().thread_id() != number
    alone = ours.connect(reuse=False)
    number = alone.thread_id()
    alone.close()
    assert ours.connect(reuse=False).thread_id() != number


def test_empty_commit(pair: tuple[Side, Side]) -> None:
    """commit() and rollback() send nothing if nothing was sent since the last of them."""
    sent = {}
    for side in pair:
        connection = side.connect()

        def questions(connection: Any = connection) -> int:
            cursor = connection.cursor()
            cursor.execute("SHOW SESSION STATUS LIKE 'Com_commit'")
            ((_, first),) = cursor.fetchall()
            cursor.execute("SHOW SESSION STATUS LIKE 'Com_rollback'")
            ((_, second),) = cursor.fetchall()
            return int(first) + int(second)

        before = questions()
        for _ in range(3):
            connection.commit()
            connection.rollback()
        sent[side.module.__name__] = questions() - before
    # One is for the SHOW statements.
    assert sent == {"pymysql": 6, "slsmysql": 1}


# Results


def test_row_count(pair: tuple[Side, Side]) -> None:
    """execute() returns an int, in slsmysql one that can be fetched from."""
    for side in pair:
        cursor = side.cursor()
        count = cursor.execute("SELECT 1 AS a UNION SELECT 2")
        assert isinstance(count, int)
        assert count == 2
        assert repr(count) == "2"
        assert (type(count) is int) is side.is_reference
    assert count.description[0][0] == "a"
    assert count.fetchone() == (1,)
    assert count.fetchmany(1) == ((2,),)
    assert count.fetchall() == ()


def test_vector(mysql: Server) -> None:
    """A VECTOR is bytes where PyMySQL cannot read it."""
    query = "SELECT TO_VECTOR('[1, 2]')"
    with pymysql.connect(**mysql.params()) as theirs, pytest.raises(UnicodeDecodeError):
        theirs.cursor().execute(query)
    for pure in (False, True):
        with slsmysql.connect(**mysql.params(), use_pure=pure) as ours, ours.cursor() as cursor:
            cursor.execute(query)
            assert cursor.fetchall() == ((b"\x00\x00\x80?\x00\x00\x00@",),)


@pytest.mark.parametrize("cursor_class", ["Cursor", "SSCursor"])
@pytest.mark.parametrize(
    ("query", "keywords"),
    [
        (
            "SELECT 1, 'é' UNION ALL SELECT 2, 'b' UNION ALL SELECT 3, 'c'",
            {"init_command": "SET character_set_results=latin1"},
        ),
        ("SELECT 1.5, 1 UNION ALL SELECT 2.5, 2 UNION ALL SELECT 3, 3", {"use_unicode": False}),
        ("SELECT 1; SELECT 1.5 UNION SELECT 2; SELECT 3", {"use_unicode": False}),
        ("SELECT 'a' UNION SELECT 'b' UNION SELECT 'c'", "raises ValueError"),
        ("SELECT 'a' UNION SELECT 'b' UNION SELECT 'c'", "raises a DB-API error"),
    ],
)
def test_decoder_error(
    pair: tuple[Side, Side], query: Any, keywords: Any, cursor_class: str
) -> None:
    """An exception of a decoder is the same, and leaves slsmysql's connection usable."""
    failures = []
    for side in pair:

        def fails(value: str, module: Any = side.module) -> Any:
            raise module.DataError("no") if "DB-API" in keywords else ValueError("no")

        given = keywords
        if isinstance(keywords, str):
            kinds = side.module.constants.FIELD_TYPE
            given = {"conv": {**side.module.converters.conversions, kinds.VAR_STRING: fails}}
        connection = side.connect(**given, client_flag=1 << 16)
        cursor = connection.cursor(getattr(side.module.cursors, cursor_class))

        def read(cursor: Any = cursor) -> None:
            cursor.execute(query)
            while True:
                cursor.fetchall()
                if not cursor.nextset():
                    break

        error = failure(read)
        failures.append((type(error).__name__, error.args))
        if not side.is_reference:
            for _ in range(2):
                again = connection.cursor()
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)  # rows of the stream are left
                    again.execute("SELECT 5")
                assert again.fetchall() == ((5,),)
            assert connection.open
    assert failures[0] == failures[1]


def test_column_lengths(both: Both) -> None:
    """The C back end has no lengths of columns, the pure one has PyMySQL's."""
    with both.open_sides() as sides:
        found = []
        for side in sides:
            cursor = side.cursor()
            cursor.execute("SELECT CAST('abc' AS CHAR(7)) AS a")
            found.append(cursor.description[0])
    theirs, ours = found
    assert isinstance(theirs[3], int)
    assert theirs[3] == theirs[4]
    if both.backend == "c":
        assert ours == (*theirs[:3], None, None, *theirs[5:])
    else:
        assert ours == theirs


def test_info_message(tables: Both) -> None:
    """The C back end has no text of the OK packet, the pure one has PyMySQL's."""
    with tables.open_sides() as sides:
        found = []
        for side in sides:
            connection = side.connect()
            connection.query("UPDATE a1 SET v=v")
            found.append(connection._result.message)
    theirs, ours = found
    assert b"Rows matched" in theirs
    assert ours == (None if tables.backend == "c" else theirs)


def test_failed_stream(pair: tuple[Side, Side]) -> None:
    """There is nothing to fetch from an SSCursor whose statement failed."""
    errors = []
    for side in pair:
        cursor = side.cursor("SSCursor")
        cursor.execute("SELECT 1")
        cursor.fetchall()
        with pytest.raises(side.module.ProgrammingError):
            cursor.execute("SELEC")
        errors.append(failure(cursor.fetchone))
    assert isinstance(errors[0], AttributeError)
    assert isinstance(errors[1], slsmysql.ProgrammingError)
    assert errors[1].args == ("execute() first",)


def test_closed_stream(pair: tuple[Side, Side]) -> None:
    """What was not read before the connection was closed cannot be read."""
    for side in pair:
        connection = side.connect()
        cursor = connection.cursor(side.module.cursors.SSCursor)
        cursor.execute("SELECT 1 UNION SELECT 2")
        result = connection._result
        connection.close()
        if side.is_reference:
            assert isinstance(failure(cursor.fetchone), AttributeError)
            result.unbuffered_active = False
        else:
            assert cursor.fetchone() is None
            assert cursor.fetchall() == []
        cursor.close()


def test_unread_warning(pair: tuple[Side, Side]) -> None:
    """The warning of rows left unread points at the line that leaves them, whatever it calls."""
    for side in pair:
        connection = side.connect()
        calls: list[Callable[[Any], Any]] = [
            lambda connection: connection.cursor().execute("SELECT 1"),
            lambda connection: connection.cursor().executemany("SELECT %s", [(1,)]),
            lambda connection: connection.cursor().callproc("p_none"),
            lambda connection: connection.commit(),
            lambda connection: connection.ping(),
            lambda connection: connection.begin(),
            lambda connection: connection.query("SELECT 1"),
            lambda connection: connection.select_db(b"information_schema"),
            lambda connection: connection.show_warnings(),
            lambda connection: connection.set_character_set("utf8mb4"),
        ]
        for call in calls:
            cursor = connection.cursor(side.module.cursors.SSCursor)
            cursor.execute("SELECT 1 UNION SELECT 2")
            with pytest.warns(UserWarning, match="^Previous unbuffered result was left") as caught:
                call(connection)
            (warning,) = caught
            expected = pymysql.connections.__file__ if side.is_reference else __file__
            assert warning.filename == expected
            cursor.close()


def test_empty_iterator(pair: tuple[Side, Side]) -> None:
    """executemany() with an iterator of nothing does nothing."""
    reference, subject = (side.cursor() for side in pair)
    query = "INSERT INTO a1 (v) VALUES (%s)"
    assert isinstance(failure(reference.executemany, query, iter([])), StopIteration)
    assert subject.executemany(query, iter([])) == 0


def test_comment_behind_values(pair: tuple[Side, Side]) -> None:
    """An INSERT with a comment at its end is sent with all its rows; %% in it is one %."""
    for side in pair:
        cursor = side.cursor()
        cursor.executemany("INSERT INTO a1 (v) VALUES (%s) /*v='1%%3A2'*/", [("a",), ("b",)])
        rows = "('b')" if side.is_reference else "('a'),('b')"
        sent = cursor._executed
        text = sent if isinstance(sent, str) else sent.decode()
        assert text == f"INSERT INTO a1 (v) VALUES {rows} /*v='1%3A2'*/"


def test_type_object() -> None:
    """A type object is not unequal to itself."""
    assert pymysql.STRING != pymysql.STRING
    assert not slsmysql.STRING != slsmysql.STRING


# Parameters


def test_yen_sign(pair: tuple[Side, Side]) -> None:
    """A yen sign, which Python writes as a backslash in sjis and ujis, is no way out of a text."""
    evil = "¥' OR 1=1 -- "
    for charset in ("sjis", "ujis"):
        theirs, ours = (side.connect(charset=charset) for side in pair)
        for connection in (theirs, ours):
            cursor = connection.cursor()
            cursor.execute("SELECT 'broken out' WHERE 'x' = %s", (evil,))
            assert cursor.fetchall() == ((("broken out",),) if connection is theirs else ())
        cursor.execute("SELECT %s", (evil,))
        assert cursor.fetchall() == (("\\' OR 1=1 -- ",),)


def test_spoken_text(pair: tuple[Side, Side]) -> None:
    """What is text by its `str()` is quoted by the session's sql_mode."""
    evil = Path("' OR 1=1 -- ")
    for connection, found in zip(
        (side.connect(sql_mode="NO_BACKSLASH_ESCAPES") for side in pair), (1, 0), strict=True
    ):
        cursor = connection.cursor()
        assert cursor.execute("SELECT 'broken out' WHERE 'x' = %s", (evil,)) == found


# Errors


def test_errno_unsigned(pair: tuple[Side, Side]) -> None:
    """A large errno is the server's, not a negative number."""
    query = "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO=40000, MESSAGE_TEXT='large'"
    theirs, ours = (failure(execute, side.connect(), query) for side in pair)
    assert (type(theirs), theirs.args) == (pymysql.InternalError, (40000 - 65536, "large"))
    assert (type(ours), ours.args) == (slsmysql.OperationalError, (40000, "large"))


def test_sqlstate(both: Both) -> None:
    """The C back end does not know the sqlstate of an error whose text is not UTF-8."""
    with both.open_sides() as sides:
        errors: list[Any] = [
            failure(execute, side.connect(charset="latin1"), "SELECT * FROM `é`") for side in sides
        ]
    theirs, ours = errors
    assert theirs.args[0] == ours.args[0] == 1146
    assert theirs.args[1].replace("_p.", "_s.") == ours.args[1]
    assert theirs.sqlstate == "42S02"
    assert ours.sqlstate == (None if both.backend == "c" else "42S02")


def test_with_error(pair: tuple[Side, Side]) -> None:
    """An exception in a block that has closed the connection gets out of it."""

    def block(connection: Any) -> None:
        with connection:
            connection.close()
            raise ZeroDivisionError

    theirs, ours = (side.connect() for side in pair)
    assert type(failure(lambda: block(theirs))) is pymysql.Error
    assert type(failure(lambda: block(ours))) is ZeroDivisionError


def test_handshake(pure_or_c: bool) -> None:
    """A port with something else behind it is a DB-API error."""
    for greeting in (b"HTTP/1.1 400 Bad Request\r\n\r\n" * 9, b"\x00" * 50, b"SSH-2.0-x\r\n" * 9):
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def serve(listener: socket.socket = listener, greeting: bytes = greeting) -> None:
                for _ in range(2):
                    connection, _ = listener.accept()
                    with connection:
                        connection.sendall(greeting)

            server = threading.Thread(target=serve, daemon=True)
            server.start()
            where = {"host": "127.0.0.1", "port": listener.getsockname()[1], "user": "x"}
            theirs = failure(pymysql.connect, **where)
            ours = failure(slsmysql.connect, **where, use_pure=pure_or_c, max_retries=0)
            server.join()
        assert isinstance(theirs, Exception)
        assert isinstance(ours, slsmysql.OperationalError)


@pytest.fixture(params=[False, True], ids=["c", "pure"])
def pure_or_c(request: pytest.FixtureRequest) -> bool:
    """use_pure= of each back end, for what needs no server."""
    return bool(request.param)


@pytest.mark.parametrize("charset", ["binary", "dec8", "armscii8", "nope"])
def test_no_codec(pair: tuple[Side, Side], charset: str) -> None:
    """A character set that Python does not know is a DB-API error, before anything is sent."""
    reference, subject = pair
    assert isinstance(failure(reference.connect, charset=charset), (LookupError, AttributeError))
    ours = subject.connect()
    for error in (
        failure(subject.connect, charset=charset),
        failure(ours.set_character_set, charset),
    ):
        assert isinstance(error, slsmysql.ProgrammingError)
    assert ours.charset == "utf8mb4"
    assert ours.cursor().execute("SELECT 'é'") == 1


def test_local_infile(tables: Both, tmp_path: Path) -> None:
    """LOAD DATA LOCAL is refused without local_infile=True: by the server, or by libmysql."""
    (tmp_path / "file").write_text("1")
    query = f"LOAD DATA LOCAL INFILE '{tmp_path / 'file'}' INTO TABLE a1"
    tables.server.sql("SET GLOBAL local_infile=ON")
    with tables.open_sides() as sides:
        for side in sides:
            connection = side.connect()
            error = failure(execute, connection, query)
            assert isinstance(error, side.module.OperationalError)
            refused = 4166 if tables.server.kind == "mariadb" else 3948
            assert error.args[0] == (2068 if side.backend == "c" else refused)
            assert connection.cursor().execute("SELECT 1") == 1
    tables.server.sql("SET GLOBAL local_infile=DEFAULT")


def test_unknown_keyword() -> None:
    """An unknown keyword is a TypeError, here with a hint."""
    assert isinstance(failure(pymysql.connect, hots="x"), TypeError)
    error = failure(slsmysql.connect, hots="x")
    assert isinstance(error, TypeError)
    assert "host" in str(error)


def test_conv_autocommit(pair: tuple[Side, Side]) -> None:
    """A dict of converters without one for str makes the first parameter fail, not connect()."""
    theirs, ours = pair
    no_default = TypeError("no default type converter defined").args
    assert failure(theirs.connect, conv={}).args == no_default
    connection = ours.connect(conv={})
    assert failure(connection.escape, 1).args == no_default


# What there is not


def test_not_supported(pair: tuple[Side, Side]) -> None:
    """What the driver underneath cannot do is refused before anything is sent."""
    subject = pair[1]
    connection = subject.connect()
    for error in (
        failure(subject.connect, auth_plugin_map={"dialog": object}),
        failure(subject.connect, server_public_key=b"x"),
        failure(connection.connect, sock=socket.socket),
    ):
        assert isinstance(error, slsmysql.NotSupportedError)


def test_c_options(params: dict[str, Any]) -> None:
    """What the C extension cannot do the pure back end does, unless use_pure=False forbids it."""
    import ssl

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for name, value in (("bind_address", "127.0.0.1"), ("read_timeout", 5.5), ("ssl", context)):
        asked = {**params, name: value}
        error = failure(slsmysql.connect, **asked, use_pure=False)
        assert isinstance(error, slsmysql.NotSupportedError)
        if name == "ssl" and not _has_tls(params):
            continue
        connection = slsmysql.connect(**asked)
        assert connection.handle is not None
        assert connection.handle.backend == "pure"
        connection.quit()


def _has_tls(params: dict[str, Any]) -> bool:
    connection: Any = pymysql.connect(**params)
    with connection:
        return bool(connection._secure)


def test_clear_password(server: Server) -> None:
    """A password is sent in clear over TLS only."""
    keywords = {"host": "127.0.0.1", "user": "iam", "password": "token"}
    for tls, driver, sent in (
        (True, pymysql, ["token"]),
        (False, pymysql, ["token"]),
        (True, slsmysql, ["token"]),
        (False, slsmysql, []),
    ):
        with Gate(server, lets_in=lambda _user, _sent: False, tls=tls) as gate:
            with pytest.raises(driver.OperationalError):
                driver.connect(port=gate.port, **keywords)
            assert gate.tokens == sent


def test_protocol(pair: tuple[Side, Side]) -> None:
    """The methods that speak the protocol are not there."""
    theirs, ours = (side.connect() for side in pair)
    for name in ("_read_packet", "_execute_command", "write_packet", "_read_ok_packet"):
        assert hasattr(theirs, name)
        assert not hasattr(ours, name)


def test_deferred(pair: tuple[Side, Side]) -> None:
    """Before connect() nothing fails by accident."""
    reference, subject = pair
    theirs, ours = reference.connect(defer_connect=True), subject.connect(defer_connect=True)
    for call in (
        lambda connection: connection.escape("a'b"),
        lambda connection: connection.get_autocommit(),
        lambda connection: connection.autocommit(True),
    ):
        assert isinstance(failure(call, theirs), AttributeError)
    assert ours.escape("a'b") == "'a\\'b'"
    assert ours.get_autocommit() is False
    assert (theirs.db, ours.db) == (reference.database, subject.database.encode())
    assert ours.connect() is None
    assert ours.db == subject.database.encode()
