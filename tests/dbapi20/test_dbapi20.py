"""The DB-API 2.0 as PEP 249 has it, one section of it after the other.

Where PEP 249 leaves a choice, or PyMySQL takes a liberty, the test says which it is.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

import slsmysql
from slsmysql.cursors import Cursor, SSCursor
from tests.fix_servers import Connect
from tests.servers import Server

#: Sorted by name, which is how all tests select them.
RIVERS = ["Amur", "Congo", "Danube", "Loire", "Volga", "Yukon"]
ROWS = [(name,) for name in RIVERS]
SELECT = "SELECT name FROM river ORDER BY name"

#: Rows that are held by the client, and rows that are read from the server one by one.
both_ways = pytest.mark.parametrize("cursor_class", [Cursor, SSCursor])


@pytest.fixture
def connection(connect: Connect) -> slsmysql.Connection:
    """A connection with an empty table ``river (name, length)``."""
    connection = connect()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE river (name VARCHAR(20) PRIMARY KEY, length INT)")
    return connection


@pytest.fixture
def rivers(connection: slsmysql.Connection) -> slsmysql.Connection:
    """The connection, with `RIVERS` committed."""
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO river (name) VALUES (%s)", ROWS)
    connection.commit()
    return connection


def names(connection: slsmysql.Connection) -> list[str]:
    """Return the rivers that ``connection`` sees."""
    with connection.cursor() as cursor:
        cursor.execute(SELECT)
        return [name for (name,) in cursor.fetchall()]


# -- module interface ------------------------------------------------------------------------------


def test_apilevel() -> None:
    """The module is one of DB-API 2.0."""
    assert slsmysql.apilevel == "2.0"


def test_threadsafety() -> None:
    """Threads may share the module and not its connections."""
    assert slsmysql.threadsafety == 1


def test_paramstyle() -> None:
    """Parameters are written as in Python's ``%`` formats."""
    assert slsmysql.paramstyle == "pyformat"


def test_connect_returns_a_connection(connect: Connect) -> None:
    """``connect`` gives an object with the methods of a connection."""
    connection = connect()
    assert isinstance(connection, slsmysql.Connection)
    for method in ("close", "commit", "rollback", "cursor"):
        assert callable(getattr(connection, method))


# -- exceptions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("InterfaceError", "Error"),
        ("DatabaseError", "Error"),
        ("DataError", "DatabaseError"),
        ("OperationalError", "DatabaseError"),
        ("IntegrityError", "DatabaseError"),
        ("InternalError", "DatabaseError"),
        ("ProgrammingError", "DatabaseError"),
        ("NotSupportedError", "DatabaseError"),
    ],
)
def test_the_exceptions_layout(name: str, base: str) -> None:
    """Each exception is derived from the one that PEP 249 puts above it."""
    assert getattr(slsmysql, base) in getattr(slsmysql, name).__bases__


def test_warning_and_error_are_apart() -> None:
    """Both roots are exceptions, and neither catches the other."""
    assert issubclass(slsmysql.Warning, Exception)
    assert issubclass(slsmysql.Error, Exception)
    assert not issubclass(slsmysql.Warning, slsmysql.Error)
    assert not issubclass(slsmysql.Error, slsmysql.Warning)


@pytest.mark.parametrize(
    "name",
    [
        "Warning",
        "Error",
        "InterfaceError",
        "DatabaseError",
        "DataError",
        "OperationalError",
        "IntegrityError",
        "InternalError",
        "ProgrammingError",
        "NotSupportedError",
    ],
)
def test_exceptions_are_attributes_of_connections(connect: Connect, name: str) -> None:
    """A program that has nothing but the connection can catch the module's exceptions."""
    connection = connect()
    assert getattr(connection, name) is getattr(slsmysql, name)
    assert getattr(type(connection), name) is getattr(slsmysql, name)


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELEKT 1", slsmysql.ProgrammingError),
        ("SELECT * FROM nowhere", slsmysql.ProgrammingError),
        ("INSERT INTO river (name) VALUES ('Amur'), ('Amur')", slsmysql.IntegrityError),
        ("INSERT INTO river (name) VALUES (NULL)", slsmysql.IntegrityError),
        ("INSERT INTO river (name) VALUES (REPEAT('x', 21))", slsmysql.DataError),
        ("INSERT INTO river VALUES ('Amur', 99999999999)", slsmysql.DataError),
    ],
)
def test_what_the_server_says_is_raised_by_kind(
    connection: slsmysql.Connection, sql: str, error: type[slsmysql.Error]
) -> None:
    """An error of the server is of PEP 249's class for it, and the connection stays usable."""
    with connection.cursor() as cursor:
        with pytest.raises(error) as caught:
            cursor.execute(sql)
        assert type(caught.value) is error
    assert names(connection) == []


def test_a_refused_login_is_an_operational_error(connect: Connect) -> None:
    """A connect that the server refuses is no error of the program."""
    with pytest.raises(slsmysql.OperationalError):
        connect(user="nobody_of_that_name", password="wrong")


# -- connections: commit, rollback, close ----------------------------------------------------------


def test_commit_makes_changes_seen(connection: slsmysql.Connection, connect: Connect) -> None:
    """Autocommit is off to begin with: others see a change when it is committed, not before."""
    other = connect(autocommit=True)
    connection.cursor().execute("INSERT INTO river (name) VALUES ('Amur')")
    assert names(other) == []
    connection.commit()
    assert names(other) == ["Amur"]


def test_rollback_undoes(rivers: slsmysql.Connection) -> None:
    """``rollback`` takes back all since the last commit, and nothing from before."""
    cursor = rivers.cursor()
    cursor.execute("DELETE FROM river WHERE name > 'D'")
    cursor.execute("INSERT INTO river (name) VALUES ('Rhine')")
    assert names(rivers) == ["Amur", "Congo", "Rhine"]
    rivers.rollback()
    assert names(rivers) == RIVERS


def test_commit_and_rollback_without_a_transaction(connect: Connect) -> None:
    """Neither minds that nothing has been done."""
    connection = connect()
    connection.commit()
    connection.rollback()
    connection.commit()


def test_close_rolls_back(connection: slsmysql.Connection, connect: Connect) -> None:
    """Closing without committing is a rollback."""
    connection.cursor().execute("INSERT INTO river (name) VALUES ('Amur')")
    connection.close()
    assert names(connect()) == []


@pytest.mark.parametrize(
    "use",
    [
        slsmysql.Connection.commit,
        slsmysql.Connection.rollback,
        slsmysql.Connection.close,
        lambda connection: connection.cursor().execute("SELECT 1"),
        lambda connection: connection.cursor().executemany("DO %s", [(1,)]),
        lambda connection: connection.cursor().callproc("p"),
    ],
    ids=["commit", "rollback", "close", "execute", "executemany", "callproc"],
)
def test_a_closed_connection_raises(
    connect: Connect, use: Callable[[slsmysql.Connection], object]
) -> None:
    """Whatever is attempted on a closed connection is an ``Error``."""
    connection = connect()
    connection.close()
    with pytest.raises(slsmysql.Error):
        use(connection)


def test_cursors_of_a_closed_connection_raise(connect: Connect) -> None:
    """A cursor made before its connection was closed cannot run anything after."""
    connection = connect()
    cursor = connection.cursor()
    cursor.execute("SELECT 1")
    connection.close()
    with pytest.raises(slsmysql.Error):
        cursor.execute("SELECT 2")


def test_a_connection_as_context_manager(connect: Connect) -> None:
    """The block gets the connection, which is closed at the end (PyMySQL's choice)."""
    connection = connect()
    with connection as same:
        assert same is connection
        assert connection.open
    assert not connection.open


def test_a_connections_context_hides_no_exception(
    connection: slsmysql.Connection, connect: Connect
) -> None:
    """An exception leaves the block, nothing is committed, and the connection is closed."""

    def work() -> None:
        with connection:
            connection.cursor().execute("INSERT INTO river (name) VALUES ('Amur')")
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert not connection.open
    assert names(connect()) == []


# -- cursors ---------------------------------------------------------------------------------------


def test_cursors_of_a_connection_are_not_isolated(connection: slsmysql.Connection) -> None:
    """What one cursor changes, another of the same connection sees before the commit."""
    one, other = connection.cursor(), connection.cursor()
    assert one is not other
    one.execute("INSERT INTO river (name) VALUES ('Amur')")
    other.execute(SELECT)
    assert other.fetchall() == (("Amur",),)


def test_cursors_have_results_of_their_own(rivers: slsmysql.Connection) -> None:
    """Two buffered cursors can be fetched from by turns."""
    one, other = rivers.cursor(), rivers.cursor()
    one.execute(SELECT)
    assert one.fetchone() == ("Amur",)
    other.execute(f"{SELECT} DESC")
    assert other.fetchone() == ("Yukon",)
    assert one.fetchone() == ("Congo",)
    assert other.fetchone() == ("Volga",)


def test_a_cursor_knows_its_connection(connect: Connect) -> None:
    """``connection`` is the very object that made the cursor (optional extension)."""
    connection = connect()
    assert connection.cursor().connection is connection


@both_ways
@pytest.mark.parametrize(
    "use",
    [
        lambda cursor: cursor.execute("SELECT 1"),
        lambda cursor: cursor.executemany("DO %s", [(1,)]),
        lambda cursor: cursor.callproc("p"),
    ],
    ids=["execute", "executemany", "callproc"],
)
def test_a_closed_cursor_raises(
    connect: Connect, cursor_class: type[Cursor], use: Callable[[Cursor], object]
) -> None:
    """Nothing can be run on a closed cursor, and its connection does not mind."""
    connection = connect()
    cursor = connection.cursor(cursor_class)
    cursor.close()
    with pytest.raises(slsmysql.Error):
        use(cursor)
    with connection.cursor() as another:
        another.execute("SELECT 1")
        assert another.fetchone() == (1,)


@both_ways
def test_a_cursor_is_closed_with_rows_left(
    rivers: slsmysql.Connection, cursor_class: type[Cursor]
) -> None:
    """Rows that nobody fetched are out of the next cursor's way; closing again is no error."""
    cursor = rivers.cursor(cursor_class)
    cursor.execute(SELECT)
    cursor.fetchone()
    cursor.close()
    cursor.close()
    assert names(rivers) == RIVERS


@both_ways
def test_a_cursor_as_context_manager(connect: Connect, cursor_class: type[Cursor]) -> None:
    """The block gets the cursor, which is closed at the end."""
    cursor = connect().cursor(cursor_class)
    with cursor as same:
        assert same is cursor
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    with pytest.raises(slsmysql.Error):
        cursor.execute("SELECT 1")


# -- description and rowcount ----------------------------------------------------------------------


@both_ways
def test_description_of_no_result(
    connection: slsmysql.Connection, cursor_class: type[Cursor]
) -> None:
    """It is None before a statement, and after one that returns no rows."""
    cursor = connection.cursor(cursor_class)
    found = [cursor.description]
    for sql in ("SELECT 1", "INSERT INTO river (name) VALUES ('Amur')"):
        cursor.execute(sql)
        found.append(cursor.description)
        cursor.fetchall()
    assert [description is None for description in found] == [True, False, True]


@both_ways
def test_description_of_a_result(
    connection: slsmysql.Connection, cursor_class: type[Cursor]
) -> None:
    """Each column has seven items, its name and type first; a result without rows has it, too."""
    cursor = connection.cursor(cursor_class)
    cursor.execute("SELECT name, length AS kilometres FROM river")
    name, length = cursor.description
    assert len(name) == len(length) == 7
    assert (name[0], length[0]) == ("name", "kilometres")
    assert name[1] == slsmysql.STRING
    assert length[1] == slsmysql.NUMBER
    assert (bool(name[6]), bool(length[6])) == (False, True)


def test_rowcount(connection: slsmysql.Connection) -> None:
    """It is -1 before a statement, and then how many rows were changed or found."""
    cursor = connection.cursor()
    assert cursor.rowcount == -1
    cursor.execute("INSERT INTO river (name) VALUES ('Amur'), ('Congo')")
    assert cursor.rowcount == 2
    cursor.execute(SELECT)
    assert cursor.rowcount == 2
    cursor.execute("UPDATE river SET length = 1 WHERE name = 'Amur'")
    assert cursor.rowcount == 1
    cursor.execute("DELETE FROM river WHERE name = 'Nile'")
    assert cursor.rowcount == 0
    cursor.execute("CREATE TABLE lake (name VARCHAR(20))")
    assert cursor.rowcount in (-1, 0)


def test_lastrowid(connect: Connect) -> None:
    """It is the number that an INSERT gave to its row, and none after another statement."""
    with connect().cursor() as cursor:
        cursor.execute("CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT)")
        cursor.execute("INSERT INTO t (v) VALUES (10)")
        assert cursor.lastrowid == 1
        cursor.execute("INSERT INTO t (v) VALUES (20)")
        assert cursor.lastrowid == 2
        cursor.execute("SELECT v FROM t WHERE id = 2")
        assert not cursor.lastrowid
        assert cursor.fetchone() == (20,)


# -- execute ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "args"),
    [
        ("INSERT INTO river VALUES (%s, %s)", ("Amur", 2824)),
        ("INSERT INTO river VALUES (%s, %s)", ["Amur", 2824]),
        ("INSERT INTO river VALUES (%(n)s, %(l)s)", {"n": "Amur", "l": 2824}),
        ("INSERT INTO river VALUES (%(n)s, LENGTH(%(n)s) * 706)", {"n": "Amur", "unused": 1}),
    ],
    ids=["tuple", "list", "dict", "dict-twice"],
)
def test_execute_with_parameters(connection: slsmysql.Connection, sql: str, args: Any) -> None:
    """Parameters go by position from a sequence, and by name from a mapping."""
    cursor = connection.cursor()
    cursor.execute(sql, args)
    assert cursor.rowcount == 1
    cursor.execute("SELECT * FROM river")
    assert cursor.fetchall() == (("Amur", 2824),)


@pytest.mark.parametrize(
    "text", ["O'Higgins", 'a "b"', "100%", "%s", "%(n)s", "\\", "\0\n\x1a", ""]
)
def test_parameters_are_values_and_never_sql(connect: Connect, text: str) -> None:
    """Quotes, backslashes and percent signs in a value come back as they were."""
    with connect().cursor() as cursor:
        cursor.execute("SELECT %s", (text,))
        assert cursor.fetchone() == (text,)
        cursor.execute("SELECT %(n)s", {"n": text})
        assert cursor.fetchone() == (text,)


def test_percent_signs(connect: Connect) -> None:
    """Doubled they are literal where there are parameters; without parameters they need not be."""
    with connect().cursor() as cursor:
        cursor.execute("SELECT 'a%%', %s", (1,))
        assert cursor.fetchone() == ("a%", 1)
        cursor.execute("SELECT 'a%', '%s'")
        assert cursor.fetchone() == ("a%", "%s")


@pytest.mark.parametrize("args", [(), (1,), (1, 2, 3)])
def test_a_wrong_number_of_parameters(connect: Connect, args: tuple[int, ...]) -> None:
    """Too few parameters, or too many, are the program's error."""
    with connect().cursor() as cursor, pytest.raises(slsmysql.ProgrammingError):
        cursor.execute("SELECT %s, %s", args)


# -- executemany -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "args"),
    [
        ("INSERT INTO river (name) VALUES (%s)", ROWS),
        ("INSERT INTO river (name) VALUES (%s)", tuple(map(list, ROWS))),
        ("INSERT INTO river (name) VALUES (%(n)s)", [{"n": name} for name in RIVERS]),
        ("INSERT INTO river (name) SELECT %s", ROWS),
        ("INSERT INTO river (name) SELECT %(n)s", [{"n": name} for name in RIVERS]),
    ],
    ids=["tuples", "lists", "dicts", "one-by-one", "dicts-one-by-one"],
)
def test_executemany_inserts(connection: slsmysql.Connection, sql: str, args: Any) -> None:
    """The statement is run for each set of parameters, and ``rowcount`` is the sum."""
    cursor = connection.cursor()
    cursor.executemany(sql, args)
    assert cursor.rowcount == len(RIVERS)
    assert names(connection) == RIVERS


def test_executemany_updates(rivers: slsmysql.Connection) -> None:
    """What is no INSERT is run for each set of parameters as well."""
    cursor = rivers.cursor()
    cursor.executemany(
        "UPDATE river SET length = %s WHERE name = %s", [(2824, "Amur"), (4700, "Congo"), (1, "-")]
    )
    assert cursor.rowcount == 2
    cursor.execute("SELECT name, length FROM river WHERE length IS NOT NULL ORDER BY name")
    assert cursor.fetchall() == (("Amur", 2824), ("Congo", 4700))


def test_executemany_without_parameters(connection: slsmysql.Connection) -> None:
    """No sets of parameters: nothing is run."""
    connection.cursor().executemany("INSERT INTO river (name) VALUES (%s)", [])
    assert names(connection) == []


# -- fetching --------------------------------------------------------------------------------------


@both_ways
@pytest.mark.parametrize("fetch", ["fetchone", "fetchmany", "fetchall"])
def test_fetching_before_execute(connect: Connect, cursor_class: type[Cursor], fetch: str) -> None:
    """To fetch before anything was executed is an ``Error``."""
    cursor = connect().cursor(cursor_class)
    with pytest.raises(slsmysql.Error):
        getattr(cursor, fetch)()


@both_ways
def test_fetching_where_there_is_no_result(
    connection: slsmysql.Connection, cursor_class: type[Cursor]
) -> None:
    """After a statement without rows nothing comes: PyMySQL's answer; PEP 249 has an Error."""
    cursor = connection.cursor(cursor_class)
    cursor.execute("INSERT INTO river (name) VALUES ('Amur')")
    assert cursor.fetchone() is None
    assert list(cursor.fetchmany()) == []
    assert list(cursor.fetchall()) == []


@both_ways
def test_fetchone(rivers: slsmysql.Connection, cursor_class: type[Cursor]) -> None:
    """Row after row comes, each a tuple, and then None for ever."""
    cursor = rivers.cursor(cursor_class)
    cursor.execute(SELECT)
    assert [cursor.fetchone() for _ in RIVERS] == ROWS
    assert cursor.fetchone() is None
    assert cursor.fetchone() is None


@both_ways
def test_fetchone_of_an_empty_result(
    connection: slsmysql.Connection, cursor_class: type[Cursor]
) -> None:
    """A query that finds nothing gives None at once."""
    cursor = connection.cursor(cursor_class)
    cursor.execute(SELECT)
    assert cursor.fetchone() is None


@both_ways
def test_arraysize(rivers: slsmysql.Connection, cursor_class: type[Cursor]) -> None:
    """It is 1, may be set, and is what ``fetchmany`` takes that is told nothing."""
    cursor = rivers.cursor(cursor_class)
    assert cursor.arraysize == 1
    cursor.execute(SELECT)
    assert list(cursor.fetchmany()) == ROWS[:1]
    cursor.arraysize = 3
    assert list(cursor.fetchmany()) == ROWS[1:4]
    assert list(cursor.fetchmany()) == ROWS[4:]
    assert list(cursor.fetchmany()) == []
    assert cursor.arraysize == 3


@both_ways
def test_fetchmany(rivers: slsmysql.Connection, cursor_class: type[Cursor]) -> None:
    """As many rows come as are asked for, then those that are left, then an empty sequence."""
    cursor = rivers.cursor(cursor_class)
    cursor.execute(SELECT)
    assert list(cursor.fetchmany(4)) == ROWS[:4]
    assert list(cursor.fetchmany(size=4)) == ROWS[4:]
    assert list(cursor.fetchmany(4)) == []
    cursor.execute(SELECT)
    assert list(cursor.fetchmany(100)) == ROWS


@both_ways
def test_fetchmany_of_an_empty_result(
    connection: slsmysql.Connection, cursor_class: type[Cursor]
) -> None:
    """A query that finds nothing gives an empty sequence."""
    cursor = connection.cursor(cursor_class)
    cursor.execute(SELECT)
    assert list(cursor.fetchmany(2)) == []


@both_ways
def test_fetchall(rivers: slsmysql.Connection, cursor_class: type[Cursor]) -> None:
    """All rows come at once, and then an empty sequence."""
    cursor = rivers.cursor(cursor_class)
    cursor.execute(SELECT)
    assert list(cursor.fetchall()) == ROWS
    assert list(cursor.fetchall()) == []
    cursor.execute(f"{SELECT} LIMIT 0")
    assert list(cursor.fetchall()) == []


@both_ways
def test_mixed_fetches(rivers: slsmysql.Connection, cursor_class: type[Cursor]) -> None:
    """Each way to fetch goes on where the last one ended."""
    cursor = rivers.cursor(cursor_class)
    cursor.execute(SELECT)
    assert cursor.fetchone() == ROWS[0]
    assert list(cursor.fetchmany(2)) == ROWS[1:3]
    assert cursor.fetchone() == ROWS[3]
    assert next(cursor) == ROWS[4]
    assert list(cursor.fetchall()) == ROWS[5:]
    assert cursor.fetchone() is None
    assert list(cursor.fetchmany(2)) == []


@both_ways
def test_iteration(rivers: slsmysql.Connection, cursor_class: type[Cursor]) -> None:
    """A cursor is its own iterator over the rows that are left (optional extension)."""
    cursor = rivers.cursor(cursor_class)
    cursor.execute(SELECT)
    assert iter(cursor) is cursor
    assert next(cursor) == ROWS[0]
    assert list(cursor) == ROWS[1:]
    with pytest.raises(StopIteration):
        next(cursor)


def test_a_new_statement_drops_the_rows_left(rivers: slsmysql.Connection) -> None:
    """``execute`` on the same cursor starts anew."""
    cursor = rivers.cursor()
    cursor.execute(SELECT)
    cursor.fetchone()
    cursor.execute("SELECT 1")
    assert list(cursor.fetchall()) == [(1,)]


def test_a_new_statement_drops_the_rows_left_at_the_server(rivers: slsmysql.Connection) -> None:
    """The same of an unbuffered cursor, which warns of the rows that were read in vain."""
    cursor = rivers.cursor(SSCursor)
    cursor.execute(SELECT)
    cursor.fetchone()
    with pytest.warns(UserWarning, match="left incomplete"):
        cursor.execute("SELECT 1")
    assert list(cursor.fetchall()) == [(1,)]


# -- optional and ignored methods ------------------------------------------------------------------


@both_ways
def test_nextset_where_there_is_one_result(connect: Connect, cursor_class: type[Cursor]) -> None:
    """It returns None when there is no other result."""
    with connect().cursor(cursor_class) as cursor:
        cursor.execute("SELECT 1")
        assert list(cursor.fetchall()) == [(1,)]
        assert cursor.nextset() is None


@pytest.fixture
def procedure(server: Server, database: str) -> None:
    """A procedure ``twice(a)`` with two results: a, and then a with two times a."""
    server.sql(
        f"CREATE PROCEDURE {database}.twice(IN a INT)"
        " BEGIN SELECT a AS once; SELECT a, a * 2 AS more; END"
    )


@both_ways
def test_callproc_and_nextset(
    procedure: None, connect: Connect, cursor_class: type[Cursor]
) -> None:
    """``callproc`` returns its arguments, and ``nextset`` goes from result to result."""
    with connect().cursor(cursor_class) as cursor:
        assert list(cursor.callproc("twice", (21,))) == [21]
        assert [column[0] for column in cursor.description] == ["once"]
        assert list(cursor.fetchall()) == [(21,)]
        assert cursor.nextset() is True
        assert [column[0] for column in cursor.description] == ["a", "more"]
        assert list(cursor.fetchall()) == [(21, 42)]
        # The end of the CALL itself, which has no rows.
        assert cursor.nextset() is True
        assert cursor.description is None
        assert cursor.nextset() is None


def test_nextset_drops_the_rows_left(procedure: None, connect: Connect) -> None:
    """Rows of the result before, fetched or not, are gone."""
    with connect().cursor() as cursor:
        cursor.callproc("twice", (21,))
        assert cursor.nextset() is True
        assert cursor.fetchone() == (21, 42)


def test_nextset_of_an_unbuffered_cursor_waits_for_the_rows(
    procedure: None, connect: Connect
) -> None:
    """Before the last row is read it knows of no other result: PyMySQL's liberty."""
    with connect().cursor(SSCursor) as cursor:
        cursor.callproc("twice", (21,))
        assert cursor.nextset() is None
        assert cursor.fetchall() == [(21,)]
        assert cursor.nextset() is True


def test_callproc_returns_out_parameters_by_variables(
    server: Server, database: str, connect: Connect
) -> None:
    """An OUT parameter is left in a variable: PyMySQL's way, PEP 249 has it in what is returned."""
    server.sql(f"CREATE PROCEDURE {database}.half(IN a INT, OUT b INT) SET b = a DIV 2")
    with connect().cursor() as cursor:
        assert list(cursor.callproc("half", (42, 0))) == [42, 0]
        cursor.execute("SELECT @_half_1")
        assert cursor.fetchone() == (21,)


def test_setinputsizes(connect: Connect) -> None:
    """It may be called before a statement, and does no harm."""
    with connect().cursor() as cursor:
        cursor.setinputsizes((25, slsmysql.NUMBER, None))
        cursor.execute("SELECT %s", ("Amur",))
        assert cursor.fetchone() == ("Amur",)


def test_setoutputsize(connect: Connect) -> None:
    """It may be called with and without a column, and cuts nothing off."""
    with connect().cursor() as cursor:
        cursor.setoutputsize(2)
        cursor.setoutputsize(2, 0)
        cursor.execute("SELECT 'Danube'")
        assert cursor.fetchone() == ("Danube",)


# -- type objects and constructors -----------------------------------------------------------------

TYPES = ("STRING", "BINARY", "NUMBER", "DATETIME", "ROWID")


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("VARCHAR(10)", "STRING"),
        ("CHAR(10)", "STRING"),
        ("ENUM('a')", "STRING"),
        ("BLOB", "BINARY"),
        ("LONGBLOB", "BINARY"),
        ("TINYINT", "NUMBER"),
        ("INT", "NUMBER"),
        ("BIGINT UNSIGNED", "NUMBER"),
        ("FLOAT", "NUMBER"),
        ("DOUBLE", "NUMBER"),
        ("DATETIME", "DATETIME"),
        ("TIMESTAMP", "DATETIME"),
    ],
)
def test_type_codes_compare_with_type_objects(connect: Connect, column: str, expected: str) -> None:
    """A column's type code equals the type object of its kind, from either side, and no other."""
    with connect().cursor() as cursor:
        cursor.execute(f"CREATE TABLE t (v {column})")
        cursor.execute("SELECT v FROM t")
        code = cursor.description[0][1]
    assert [name for name in TYPES if code == getattr(slsmysql, name)] == [expected]
    assert [name for name in TYPES if getattr(slsmysql, name) == code] == [expected]
    assert [name for name in TYPES if code != getattr(slsmysql, name)] == [
        name for name in TYPES if name != expected
    ]


@pytest.mark.parametrize(("column", "expected"), [("DATE", slsmysql.DATE), ("TIME", slsmysql.TIME)])
def test_dates_and_times_have_type_objects_of_their_own(
    connect: Connect, column: str, expected: slsmysql.DBAPISet
) -> None:
    """DATE and TIME columns equal PyMySQL's objects of that name, not ``DATETIME``."""
    with connect().cursor() as cursor:
        cursor.execute(f"CREATE TABLE t (v {column})")
        cursor.execute("SELECT v FROM t")
        code = cursor.description[0][1]
    assert code == expected
    assert code != slsmysql.DATETIME


def test_constructors_of_dates_and_times() -> None:
    """They take year to second, as far as each has them."""
    assert slsmysql.Date(2002, 12, 25) == datetime.date(2002, 12, 25)
    assert slsmysql.Time(13, 45, 30) == datetime.time(13, 45, 30)
    moment = slsmysql.Timestamp(2002, 12, 25, 13, 45, 30)
    assert moment.isoformat(" ") == "2002-12-25 13:45:30"


@pytest.mark.parametrize("fraction", [0, 0.75])
def test_constructors_from_ticks(fraction: float) -> None:
    """Seconds since the epoch give the same as the local date and time that they stand for."""
    ticks = time.mktime((2002, 12, 25, 13, 45, 30, 0, 0, -1)) + fraction
    assert slsmysql.DateFromTicks(ticks) == slsmysql.Date(2002, 12, 25)
    assert slsmysql.TimeFromTicks(ticks) == slsmysql.Time(13, 45, 30)
    assert slsmysql.TimestampFromTicks(ticks) == slsmysql.Timestamp(2002, 12, 25, 13, 45, 30)


@pytest.mark.parametrize("value", [b"\0\xff'", bytearray(b"\0\xff'"), memoryview(b"\0\xff'")])
def test_binary(connect: Connect, value: Any) -> None:
    """``Binary`` takes whatever holds bytes, and a column gives the bytes back."""
    with connect().cursor() as cursor:
        cursor.execute("CREATE TABLE t (v BLOB)")
        cursor.execute("INSERT INTO t VALUES (%s)", (slsmysql.Binary(value),))
        cursor.execute("SELECT v FROM t")
        assert cursor.fetchone() == (b"\0\xff'",)


@pytest.mark.parametrize(
    ("column", "value", "found"),
    [
        ("DATE", slsmysql.Date(2002, 12, 25), datetime.date(2002, 12, 25)),
        # A TIME may be negative and of many days, so it comes as a difference (PyMySQL).
        ("TIME", slsmysql.Time(13, 45, 30), datetime.timedelta(hours=13, minutes=45, seconds=30)),
        (
            "DATETIME",
            slsmysql.Timestamp(2002, 12, 25, 13, 45, 30),
            slsmysql.Timestamp(2002, 12, 25, 13, 45, 30),
        ),
        ("DECIMAL(10,2)", Decimal("12.50"), Decimal("12.50")),
        ("DOUBLE", 0.1, 0.1),
        ("BIGINT", -(2**63), -(2**63)),
        ("VARCHAR(20)", "Дунай", "Дунай"),
    ],
)
def test_values_make_the_round_trip(
    connect: Connect, column: str, value: object, found: object
) -> None:
    """A parameter that is stored comes back equal, of the type of its column."""
    with connect().cursor() as cursor:
        cursor.execute(f"CREATE TABLE t (v {column})")
        cursor.execute("INSERT INTO t VALUES (%s)", (value,))
        cursor.execute("SELECT v FROM t")
        ((back,),) = cursor.fetchall()
    assert back == found
    assert type(back) is type(found)


@both_ways
@pytest.mark.parametrize(
    "column", ["INT", "VARCHAR(10)", "BLOB", "DECIMAL(5,2)", "DOUBLE", "DATE", "DATETIME", "TIME"]
)
def test_null_is_none(connect: Connect, cursor_class: type[Cursor], column: str) -> None:
    """None is stored as NULL, and NULL comes as None, whatever the column."""
    with connect().cursor(cursor_class) as cursor:
        cursor.execute(f"CREATE TABLE t (v {column})")
        cursor.execute("INSERT INTO t VALUES (%s)", (None,))
        cursor.execute("SELECT v, v IS NULL FROM t")
        assert list(cursor.fetchall()) == [(None, 1)]


# -- where PyMySQL, and so this module, leaves PEP 249 ---------------------------------------------


def test_rows_of_a_closed_buffered_cursor_stay(rivers: slsmysql.Connection) -> None:
    """PEP 249 has an Error; programs written for PyMySQL fetch after the ``with`` block."""
    with rivers.cursor() as cursor:
        cursor.execute(SELECT)
    assert cursor.fetchone() == ROWS[0]
    assert list(cursor.fetchall()) == ROWS[1:]


def test_rowcount_of_an_unbuffered_cursor(rivers: slsmysql.Connection) -> None:
    """The number of rows is unknown, for which PEP 249 has -1 and PyMySQL 2**64 - 1."""
    with rivers.cursor(SSCursor) as cursor:
        cursor.execute(SELECT)
        assert cursor.rowcount == 2**64 - 1


@pytest.mark.parametrize("column", ["SMALLINT", "DECIMAL(5,2)", "BIT(3)"])
def test_types_that_no_type_object_has(connect: Connect, column: str) -> None:
    """PyMySQL's ``NUMBER`` has none of these, although they hold numbers."""
    with connect().cursor() as cursor:
        cursor.execute(f"CREATE TABLE t (v {column})")
        cursor.execute("SELECT v FROM t")
        code = cursor.description[0][1]
    assert [name for name in TYPES if code == getattr(slsmysql, name)] == []


@pytest.mark.parametrize(
    ("column", "expected"),
    [("TEXT", "BINARY"), ("VARBINARY(3)", "STRING"), ("BINARY(3)", "STRING")],
)
def test_types_that_share_their_code(connect: Connect, column: str, expected: str) -> None:
    """The protocol tells TEXT from BLOB, and VARBINARY from VARCHAR, by the collation alone."""
    with connect().cursor() as cursor:
        cursor.execute(f"CREATE TABLE t (v {column})")
        cursor.execute("SELECT v FROM t")
        code = cursor.description[0][1]
    assert [name for name in TYPES if code == getattr(slsmysql, name)] == [expected]


def test_a_missing_name_is_a_key_error(connect: Connect) -> None:
    """A parameter that the mapping has not is Python's KeyError and no ``Error``."""
    with connect().cursor() as cursor, pytest.raises(KeyError):
        cursor.execute("SELECT %(a)s", {"b": 1})
