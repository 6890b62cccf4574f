"""Cursors: what execute, executemany, callproc and the fetches do and leave behind."""

from __future__ import annotations

import collections
import contextlib
import gc
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from tests.differential.harness import Both, Side

#: What a program may pass as a row.
Pair = collections.namedtuple("Pair", "a b")

CURSORS = ("Cursor", "DictCursor", "SSCursor", "SSDictCursor")

MULTI = 1 << 16  # CLIENT.MULTI_STATEMENTS


@pytest.fixture
def both(tables: Both) -> Both:
    """Give both sides the same rows."""
    # Not truncated, which is slow: the next AUTO_INCREMENT is the same on both sides.
    tables.prepare(
        "USE {database}",
        "DELETE FROM a1",
        "DELETE FROM a2",
        "INSERT INTO a1 (id, v, n) VALUES (1, 'one', 1), (2, 'two', 2)",
        "INSERT INTO a2 VALUES (1, 'a'), (2, 'b')",
    )
    return tables


STATEMENTS = [
    "INSERT INTO a1 (v) VALUES ('x')",
    "INSERT INTO a1 (v) VALUES ('x'), ('y'), ('z')",
    "INSERT INTO a1 (id, v) VALUES (1000, 'x')",
    "INSERT IGNORE INTO a1 (id, v) VALUES (1, 'x')",
    "INSERT INTO a1 (id, v) VALUES (1, 'x') ON DUPLICATE KEY UPDATE v='q'",
    "INSERT INTO a1 (id, v) VALUES (1, 'x') ON DUPLICATE KEY UPDATE v=v",
    "REPLACE INTO a1 (id, v) VALUES (1, 'r')",
    "UPDATE a1 SET v='new' WHERE id=1",
    "UPDATE a1 SET v=v",
    "UPDATE a1 SET v='x' WHERE id=99",
    "UPDATE a1 SET id=LAST_INSERT_ID(77) WHERE id=1",
    "DELETE FROM a1 WHERE id=1",
    "DELETE FROM a1 WHERE id=99",
    "SELECT * FROM a1 WHERE id=99",
    "SELECT * FROM a1",
    "SELECT CAST('x' AS SIGNED), 1/0",
    "INSERT INTO a1 (v) SELECT v FROM a2",
    "INSERT INTO a1 (n) VALUES (NULL)",
    "SET @a=1",
    "CREATE TABLE IF NOT EXISTS a1 (id INT)",
    "ALTER TABLE a2 COMMENT='x'",
    "TRUNCATE a2",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT s",
    "SELECT 1 INTO @x",
    "SELECT v FROM a1 WHERE id=1 INTO @x",
    "CALL p_none()",
    "CALL p_one()",
    "CALL p_two()",
    "CALL p_write()",
    "CALL p_fail()",
    "PREPARE s FROM 'SELECT ?, 1'",
    "SHOW TABLES",
    "EXPLAIN SELECT 1",
    "CHECK TABLE a1",
    "SELECT LAST_INSERT_ID(), ROW_COUNT(), FOUND_ROWS()",
    "SELECT SQL_CALC_FOUND_ROWS * FROM a1 LIMIT 1",
    "DO 1",
    "LOCK TABLES a1 READ",
    "UNLOCK TABLES",
    "HANDLER a1 OPEN",
]


@pytest.mark.parametrize("cursor_class", CURSORS)
def test_a_statement_shows_what_it_shows_with_pymysql(both: Both, cursor_class: str) -> None:
    """Return value, rowcount, lastrowid, warnings, rows and the connection's view are PyMySQL's."""

    def scenario(side: Side) -> None:
        connection = side.connect(sql_mode="")
        cursor = connection.cursor(getattr(side.module.cursors, cursor_class))
        other = connection.cursor()
        other.execute("SELECT 1")  # MariaDB: FOUND_ROWS() is any number before the first rows
        for statement in STATEMENTS:
            side.run(cursor, statement)
            side.attempt("affected_rows", connection.affected_rows)
            side.attempt("insert_id", connection.insert_id)
            side.attempt("show_warnings", connection.show_warnings)
            side.attempt("insert_id then", connection.insert_id)
            side.run(other, "SELECT ROW_COUNT(), FOUND_ROWS(), LAST_INSERT_ID()")
            side.run(other, "SHOW WARNINGS")
            side.state("the first cursor", cursor)
            side.attempt("nextset", cursor.nextset)
            side.attempt("get_autocommit", connection.get_autocommit)
        side.run(cursor, "SELECT * FROM a1 ORDER BY id")

    both.compare(scenario)


#: Query and rows of parameters, made anew for each driver.
MANY: dict[str, tuple[str, Callable[[], Any]]] = {
    "basic": ("INSERT INTO a1 (v,n) VALUES (%s,%s)", lambda: [("a", 11), ("b", 12)]),
    "lower case": ("insert into a1 (v,n) values (%s,%s)", lambda: [("a", 11), ("b", 12)]),
    "VALUE": ("INSERT INTO a1 (v,n) VALUE (%s,%s)", lambda: [("a", 11), ("b", 12)]),
    "REPLACE": ("REPLACE INTO a1 (v,n) VALUES (%s,%s)", lambda: [("a", 1), ("b", 12)]),
    "IGNORE": ("INSERT IGNORE INTO a1 (v,n) VALUES (%s,%s)", lambda: [("a", 1), ("b", 12)]),
    "ON DUPLICATE": (
        "INSERT INTO a1 (v,n) VALUES (%s,%s) ON DUPLICATE KEY UPDATE v=VALUES(v)",
        lambda: [("aa", 1), ("b", 12)],
    ),
    "ON DUPLICATE %%": (
        "INSERT INTO a1 (v,n) VALUES (%s,%s) ON DUPLICATE KEY UPDATE v=CONCAT(v,'%%')",
        lambda: [("aa", 1), ("b", 12)],
    ),
    "ON DUPLICATE with a place": (
        "INSERT INTO a1 (v,n) VALUES (%s,%s) ON DUPLICATE KEY UPDATE v=%s",
        lambda: [("aa", 1, "x"), ("b", 12, "y")],
    ),
    "%% before": (
        "INSERT INTO a1 /* %% */ (v,n) VALUES (%s,%s)",
        lambda: [("a", 11), ("b", 12)],
    ),
    "% before": ("INSERT INTO a1 /* % */ (v,n) VALUES (%s,%s)", lambda: [("a", 11)]),
    "alias": (
        "INSERT INTO a1 (v,n) VALUES (%s,%s) AS new ON DUPLICATE KEY UPDATE v=new.v",
        lambda: [("z", 1), ("z", 51)],
    ),
    "alias with columns": (
        "INSERT INTO a1 (v,n) VALUES (%s,%s) AS `new` (a, b) ON DUPLICATE KEY UPDATE v=a",
        lambda: [("z", 1), ("z", 51)],
    ),
    "RETURNING": (
        "INSERT INTO a1 (v,n) VALUES (%s,%s) RETURNING id",
        lambda: [("z", 31), ("z", 51)],
    ),
    "dicts": (
        "INSERT INTO a1 (v,n) VALUES (%(v)s,%(n)s)",
        lambda: [{"v": "a", "n": 11}, {"v": "b", "n": 12}],
    ),
    "dicts in another order": (
        "INSERT INTO a1 (n,v) VALUES ( %(n)s , %(v)s ) ;",
        lambda: [{"v": "a", "n": 11}, {"v": "b", "n": 12}],
    ),
    "a missing key": ("INSERT INTO a1 (v) VALUES (%(v)s)", lambda: [{"v": "a"}, {"n": 1}]),
    "a constant": ("INSERT INTO a1 (v,n) VALUES ('k',%s)", lambda: [(11,), (12,)]),
    "a function": ("INSERT INTO a1 (v,n) VALUES (UPPER(%s),%s)", lambda: [("a", 11), ("b", 12)]),
    "semicolon": ("INSERT INTO a1 (v,n) VALUES (%s,%s);", lambda: [("a", 11), ("b", 12)]),
    "comment": ("INSERT INTO a1 /* c */ (v,n) VALUES (%s,%s)", lambda: [("a", 11), ("b", 12)]),
    "comment behind": ("INSERT INTO a1 (v,n) VALUES (%s,%s) -- c", lambda: [("a", 11), ("b", 12)]),
    "back quotes": ("INSERT INTO `a1` (`v`,`n`) VALUES (%s, %s)", lambda: [("a", 11), ("b", 12)]),
    "lines": ("\n INSERT INTO a1 (v,n)\n VALUES\n (%s,\n %s)\n", lambda: [("a", 11), ("b", 12)]),
    "% in values": ("INSERT INTO a1 (v,n) VALUES (%s,%s)", lambda: [("%s", 11), ("%(x)", 12)]),
    "parentheses in values": ("INSERT INTO a1 (v) VALUES (%s)", lambda: [("),("), ("')")]),
    "SET": ("INSERT INTO a1 SET v=%s, n=%s", lambda: [("a", 11), ("b", 12)]),
    "SELECT inside": ("INSERT INTO a1 (v,n) SELECT %s,%s", lambda: [("a", 11), ("b", 12)]),
    "rows written out": (
        "INSERT INTO a1 (v,n) VALUES (%s,%s),(%s,%s)",
        lambda: [("a", 11, "b", 12), ("c", 13, "d", 14)],
    ),
    "UPDATE": ("UPDATE a1 SET v='u' WHERE n=%s", lambda: [(1,), (2,), (3,)]),
    "DELETE": ("DELETE FROM a1 WHERE n=%s", lambda: [(1,), (99,)]),
    "SELECT": ("SELECT %s", lambda: [(1,), (2,)]),
    "CALL": ("CALL p_many(%s)", lambda: [(1,), (2,)]),
    "no rows": ("INSERT INTO a1 (v) VALUES (%s)", list),
    "None": ("INSERT INTO a1 (v) VALUES (%s)", lambda: None),
    "a generator": ("INSERT INTO a1 (n) VALUES (%s)", lambda: ((n,) for n in (11, 12))),
    "a generator of dicts": (
        "INSERT INTO a1 (n) VALUES (%(n)s)",
        lambda: ({"n": n} for n in (11, 12)),
    ),
    "a generator to UPDATE": ("UPDATE a1 SET v='g' WHERE n=%s", lambda: ((n,) for n in (1, 2))),
    "an iterator": ("INSERT INTO a1 (n) VALUES (%s)", lambda: iter([(11,), (12,)])),
    "a set": ("INSERT INTO a1 (v,n) VALUES (%s,%s)", lambda: {("a", 11)}),
    "a tuple of lists": ("INSERT INTO a1 (v,n) VALUES (%s,%s)", lambda: (["a", 11], ["b", 12])),
    "a dict": ("INSERT INTO a1 (v) VALUES (%s)", lambda: {"a": 1}),
    "a string": ("INSERT INTO a1 (v) VALUES (%s)", lambda: "ab"),
    "an int": ("INSERT INTO a1 (v) VALUES (%s)", lambda: 5),
    "named tuples": (
        "INSERT INTO a1 (v,n) VALUES (%s,%s)",
        lambda: [Pair("a", 11)],
    ),
    "deque": ("INSERT INTO a1 (v,n) VALUES (%s,%s)", lambda: collections.deque([("a", 11)])),
    "scalars": ("INSERT INTO a1 (n) VALUES (%s)", lambda: [41, 42]),
    "strings": ("INSERT INTO a1 (v) VALUES (%s)", lambda: ["ab", "cd"]),
    "None as a row": ("INSERT INTO a1 (v) VALUES (%s)", lambda: [None, None]),
    "None as a row to UPDATE": ("UPDATE a1 SET v=v", lambda: [None, None]),
    "NULL": ("INSERT INTO a1 (v,n) VALUES (%s,NULL)", lambda: [("a",), ("b",)]),
    "DEFAULT": ("INSERT INTO a1 (id,v) VALUES (DEFAULT,%s)", lambda: [("a",), ("b",)]),
    "unicode": ("INSERT INTO a1 (v) VALUES (%s)", lambda: [("é😀",), ("中",)]),
    "bytes": ("INSERT INTO a1 (v) VALUES (%s)", lambda: [(b"ab",), (bytearray(b"c"),)]),
    "duplicate": ("INSERT INTO a1 (v,n) VALUES (%s,%s)", lambda: [("a", 60), ("b", 60)]),
    "duplicate in a loop": ("INSERT INTO a1 SET n=%s", lambda: [(60,), (60,), (61,)]),
    "too few": ("INSERT INTO a1 (v,n) VALUES (%s,%s)", lambda: [("a", 11), ("b",)]),
    "too many": ("INSERT INTO a1 (v) VALUES (%s)", lambda: [("a", 11), ("b", 12)]),
    "too long": ("INSERT INTO a1 (v) VALUES (%s)", lambda: [("a",), ("toolong",)]),
    "no such table": ("INSERT INTO nothing (v) VALUES (%s)", lambda: [("a",), ("b",)]),
    "a surrogate": ("INSERT INTO a1 (v) VALUES (%s)", lambda: [("a",), ("\ud800",)]),
    "inf": ("INSERT INTO a1 (v) VALUES (%s)", lambda: [(1,), (float("inf"),)]),
    "a list within": ("INSERT INTO a1 (v,n) VALUES (%s,%s)", lambda: [("a", [1, 2])]),
    "%d": ("INSERT INTO a1 (n) VALUES (%d)", lambda: [(1,)]),
    "spaces in the place": ("INSERT INTO a1 (n) VALUES (%( n )s)", lambda: [{" n ": 11}]),
    "bytes query": (b"INSERT INTO a1 (n) VALUES (%s)", lambda: [(11,)]),  # type: ignore[dict-item]
    "empty query": ("", lambda: [(11,)]),
    "None query": (None, lambda: [(11,)]),  # type: ignore[dict-item]
    "2500 rows": ("INSERT INTO a1 (v) VALUES (%s)", lambda: [(str(n),) for n in range(2500)]),
}


@pytest.mark.parametrize("name", MANY)
def test_executemany_does_what_it_does_with_pymysql(both: Both, name: str) -> None:
    """The statements made of many rows, their results and their errors are PyMySQL's."""
    query, make = MANY[name]

    def scenario(side: Side) -> None:
        connection = side.connect()
        for cursor_class in ("Cursor", "SSDictCursor"):
            cursor = connection.cursor(getattr(side.module.cursors, cursor_class))
            side.attempt("executemany", cursor.executemany, query, make())
            side.state("then", cursor)
            side.attempt("fetchall", cursor.fetchall)
            side.attempt("nextset", cursor.nextset)
            side.attempt("affected_rows", connection.affected_rows)
            side.run(connection.cursor(), "SELECT id, v, n FROM a1 ORDER BY id")
            cursor.close()
            connection.rollback()

    both.compare(scenario)


@pytest.mark.parametrize("limit", [1, 40, 50, 60, 61, 62, 63, 64, 100, 1000])
def test_executemany_splits_as_pymysql(both: Both, limit: int) -> None:
    """With every max_stmt_length the same statements are sent, up to the last byte."""
    query = "INSERT INTO a1 (v) VALUES (%s) ON DUPLICATE KEY UPDATE n=1"

    def scenario(side: Side) -> None:
        connection = side.connect()
        sent = []
        plain = connection.query

        def query_noting(sql: Any, *args: Any, **keywords: Any) -> Any:
            sent.append(bytes(sql))
            return plain(sql, *args, **keywords)

        connection.query = query_noting
        cursor = connection.cursor()
        cursor.max_stmt_length = limit
        rows = [("é" * (n % 5),) for n in range(40)]
        side.attempt("executemany", cursor.executemany, query, rows)
        side.state("then", cursor)
        side.note("sent", sent)
        del connection.query

    both.compare(scenario)


def test_execute_goes_through_what_subclasses_override(both: Both) -> None:
    """PyMySQL's hooks of cursors are called, as often and with the same, as PyMySQL calls them."""

    def scenario(side: Side) -> None:
        cursors = side.module.cursors
        calls: list[tuple[str, Any]] = []

        def noting(base: type) -> type:
            class Noting(base):  # type: ignore[misc]
                def execute(self, query: Any, args: Any = None) -> Any:
                    calls.append(("execute", (type(query).__name__, args)))
                    return super().execute(query, args)

                def mogrify(self, query: Any, args: Any = None) -> Any:
                    calls.append(("mogrify", (query, args)))
                    return super().mogrify(query, args)

                def _query(self, q: Any) -> Any:
                    calls.append(("_query", bytes(q) if isinstance(q, bytearray) else q))
                    return super()._query(q)

                def _do_get_result(self) -> None:
                    calls.append(("_do_get_result", None))
                    super()._do_get_result()

                def _conv_row(self, row: Any) -> Any:
                    calls.append(("_conv_row", row))
                    return super()._conv_row(row)

                def _clear_result(self) -> None:
                    calls.append(("_clear_result", None))
                    super()._clear_result()

                def nextset(self) -> Any:
                    calls.append(("nextset", None))
                    return super().nextset()

                def _nextset(self, unbuffered: bool = False) -> Any:
                    calls.append(("_nextset", unbuffered))
                    return super()._nextset(unbuffered)

                def fetchone(self) -> Any:
                    calls.append(("fetchone", None))
                    return super().fetchone()

                def _get_db(self) -> Any:
                    return super()._get_db()

                def _mogrify(self, query: Any, args: Any) -> Any:
                    calls.append(("_mogrify", (query, args)))
                    return super()._mogrify(query, args)

                def close(self) -> None:
                    if self.connection is not None:
                        calls.append(("close", None))
                    super().close()

            return Noting

        connection = side.connect(client_flag=MULTI)
        for name in CURSORS:
            cursor = connection.cursor(noting(getattr(cursors, name)))
            side.attempt("select", cursor.execute, "SELECT v, id FROM a1 WHERE id<%s", (9,))
            side.attempt("fetchone", cursor.fetchone)
            side.attempt("fetchmany", cursor.fetchmany, 2)
            side.attempt(
                "many", cursor.executemany, "INSERT INTO a1 (v) VALUES (%s)", [("a",), ("b",)]
            )
            side.attempt("loop", cursor.executemany, "UPDATE a1 SET v=%s", [("a",), ("b",)])
            side.attempt("multi", cursor.execute, "SELECT 1; SELECT 2 AS a; DO 0")
            side.attempt("fetchall", cursor.fetchall)
            side.attempt("nextset", cursor.nextset)
            side.attempt("fetchall", cursor.fetchall)
            side.attempt("proc", cursor.callproc, "p_out", (1, 2, 3))
            side.attempt("iterate", list, cursor)
            side.attempt("mogrify", cursor.mogrify, "%s", (1,))
            side.attempt("close", cursor.close)
            side.note(f"calls of {name}", calls)
            calls.clear()

    both.compare(scenario)


def test_rows_are_made_by_a_subclass_as_with_pymysql(both: Both) -> None:
    """dict_type, an own _conv_row and an own _do_get_result make the rows that they say."""

    class Attributes(dict):  # type: ignore[type-arg]
        def __getattr__(self, name: str) -> Any:
            return self[name]

    def scenario(side: Side) -> None:
        cursors = side.module.cursors

        class OrderedCursor(cursors.DictCursor):  # type: ignore[misc, name-defined]
            dict_type = collections.OrderedDict

        class OrderedMixin(cursors.DictCursorMixin):  # type: ignore[misc, name-defined]
            dict_type = collections.OrderedDict

        class Mixed(OrderedMixin, cursors.Cursor):  # type: ignore[misc, name-defined]
            pass

        class MixedStream(OrderedMixin, cursors.SSCursor):  # type: ignore[misc, name-defined]
            pass

        class AttributeCursor(cursors.SSDictCursor):  # type: ignore[misc, name-defined]
            dict_type = Attributes

        class ListRows(cursors.Cursor):  # type: ignore[misc, name-defined]
            _rows: Any

            def _do_get_result(self) -> None:
                super()._do_get_result()
                if self._rows:
                    self._rows = [list(row) for row in self._rows]

        class Named(cursors.Cursor):  # type: ignore[misc, name-defined]
            _rows: Any

            def _do_get_result(self) -> None:
                super()._do_get_result()
                if self._rows:
                    names = [field[0] for field in self.description]
                    row: Any = collections.namedtuple("Row", names)  # type: ignore[misc]
                    self._rows = tuple(row(*values) for values in self._rows)

        class Upper(cursors.DictCursor):  # type: ignore[misc, name-defined]
            def _conv_row(self, row: Any) -> Any:
                return {name.upper(): value for name, value in zip(self._fields, row, strict=True)}

        class Streamed(cursors.SSCursor):  # type: ignore[misc, name-defined]
            def _conv_row(self, row: Any) -> Any:
                return None if row is None else list(row)

        connection = side.connect()
        for kind in (
            OrderedCursor, Mixed, MixedStream, AttributeCursor, ListRows, Named, Upper, Streamed,
        ):  # fmt: skip
            for query in ("SELECT * FROM a1", "SELECT * FROM a1 WHERE 0", "DO 1"):
                cursor = connection.cursor(kind)
                side.attempt("execute", cursor.execute, query)
                side.attempt("fetchone", cursor.fetchone)
                side.attempt("fetchall", cursor.fetchall)
                side.attempt("_fields", getattr, cursor, "_fields", "none")
                cursor.close()

        for kind in (OrderedCursor, Streamed):
            other = side.connect(cursorclass=kind)
            side.run(other.cursor(), "SELECT 1 AS a")
            side.run(other.cursor(cursors.Cursor), "SELECT 1 AS a")

    both.compare(scenario)


@pytest.mark.parametrize("cursor_class", ["DictCursor", "SSDictCursor"])
@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM a1 JOIN a2 USING (id)",
        "SELECT * FROM a1 a JOIN a2 b ON a.id=b.id",
        "SELECT a2.id, a2.id FROM a2",
        "SELECT 1, 1, 2 AS `1`",
        "SELECT 1 AS x, v AS x FROM a2",
        "SELECT 1 AS x, 2 AS x, 3 AS x, 4 AS x",
        "SELECT 1 AS x, 2 AS X",
        "SELECT v FROM a2 WHERE 0",
        "SELECT 1 AS ``, 2 AS ``",
        "SELECT id AS `a.id`, id, id FROM a1 AS a",
        "SELECT * FROM a2 x, a2 y ORDER BY 1, 3",
        "DO 1",
    ],
)
def test_names_that_come_twice_are_told_apart_as_by_pymysql(
    both: Both, cursor_class: str, query: str
) -> None:
    """Columns of one name get PyMySQL's keys, and an empty result its type."""

    def scenario(side: Side) -> None:
        cursor = side.cursor(cursor_class)
        side.run(cursor, query)
        side.run(cursor, query, fetch="fetchone")

    both.compare(scenario)


PROCEDURES: list[tuple[str, Any]] = [
    ("p_none", ()),
    ("p_one", ()),
    ("p_one", []),
    ("p_two", None),
    ("p_write", ()),
    ("p_out", (3, 0, 10)),
    ("p_out", [3, "0", 1.5]),
    ("p_out", {"x": 1, "y": 2, "z": 3}),
    ("p_out", (1,)),
    ("p_out", "abc"),
    ("p_out", ("a", 0, 0)),
    ("p_fail", ()),
    ("p `odd", ("it's",)),
    ("p_many", (3,)),
    ("p_many", (0,)),
    ("nothing", ()),
    ("nothing", (1,)),
    ("information_schema.x", ()),
    ("p_out", (float("inf"), 0, 0)),
    ("p_many", ({"a": 1},)),
    ("p_many", 5),
]


@pytest.mark.parametrize("cursor_class", CURSORS)
def test_callproc_does_what_it_does_with_pymysql(both: Both, cursor_class: str) -> None:
    """Callproc's return value, result sets, variables and errors are PyMySQL's."""

    def scenario(side: Side) -> None:
        connection = side.connect()
        for name, args in PROCEDURES:
            cursor = connection.cursor(getattr(side.module.cursors, cursor_class))
            found = side.attempt(f"callproc {name} {args!r}", cursor.callproc, name, args)
            side.note("the same object", found is args)
            side.state("first", cursor)
            for _ in range(5):
                side.attempt("fetchall", cursor.fetchall)
                if not side.attempt("nextset", cursor.nextset):
                    break
                side.state("next", cursor)
            side.run(cursor, "SELECT @_p_out_0, @_p_out_1, @_p_out_2")
            cursor.close()
        side.attempt("no args", connection.cursor().callproc, "p_one")
        side.attempt("None", connection.cursor().callproc, None)

    both.compare(scenario)


SETS = [
    "SELECT 1; SELECT 2",
    "SELECT 1; SELECT 'a', 2.5; SELECT 3",
    "SELECT 1, 2; SET @a=1; SELECT @a, 'x'",
    "SET @a=1; SET @a=2",
    "INSERT INTO a1 (v) VALUES ('a'), ('b'); SELECT LAST_INSERT_ID(); UPDATE a1 SET v='c'",
    "SELECT 1; SELEC 2; SELECT 3",
    "SELECT 1; SELECT * FROM nothing; SELECT 3",
    "SELECT 1; SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT='é'",
    "SELEC 1; SELECT 2",
    "SELECT 1;",
    "SELECT 1; ",
    "SELECT 1; -- comment",
    "SELECT 1;;SELECT 2",
    ";",
    "CALL p_two(); SELECT 9",
    "CALL p_fail(); SELECT 9",
    "DO 1; DO 2; DO 3; SELECT 4",
    "SELECT 1 FROM DUAL WHERE 0; SELECT NULL, 1",
    "BEGIN; INSERT INTO a1 (v) VALUES ('x'); ROLLBACK; SELECT COUNT(*) FROM a1",
    "SELECT 1/0; SELECT 2; SHOW WARNINGS",
    "USE information_schema; SELECT DATABASE()",
    "SELECT X'ff'; SELECT 2",
]


@pytest.mark.parametrize("cursor_class", CURSORS)
@pytest.mark.parametrize("query", SETS)
def test_several_results_come_as_with_pymysql(both: Both, query: str, cursor_class: str) -> None:
    """Of several statements in one text each result, and each error, comes as with PyMySQL."""

    def scenario(side: Side) -> None:
        connection = side.connect(client_flag=MULTI, sql_mode="")
        kind = getattr(side.module.cursors, cursor_class)
        # All read.
        cursor = connection.cursor(kind)
        side.attempt("execute", cursor.execute, query)
        side.state("first", cursor)
        for _ in range(6):
            side.attempt("fetchall", cursor.fetchall)
            if not side.attempt("nextset", cursor.nextset):
                break
            side.state("next", cursor)
            side.attempt("affected_rows", connection.affected_rows)
        side.run(cursor, "SELECT 'behind'")
        # Left unread, and then another statement on the same cursor, on another, a commit ...
        side.attempt("execute", cursor.execute, query)
        side.run(cursor, "SELECT 'same'")
        side.attempt("execute", cursor.execute, query)
        other = connection.cursor(kind)
        side.run(other, "SELECT 'other'")
        side.attempt("nextset of the first", cursor.nextset)
        side.attempt("fetchall of the first", cursor.fetchall)
        for end in (connection.commit, connection.ping, connection.begin, connection.show_warnings):
            side.attempt("execute", cursor.execute, query)
            side.attempt("another command", end)
            side.run(other, "SELECT 'behind it'")
        side.attempt("execute", cursor.execute, query)
        side.attempt("nextset", cursor.nextset)
        side.attempt("close", cursor.close)
        side.run(connection.cursor(), "SELECT 'after close'")
        cursor = connection.cursor(kind)
        side.attempt("execute", cursor.execute, query)
        side.attempt("with", lambda: contextlib.ExitStack().enter_context(cursor).close())
        side.attempt("connection.close", connection.close)

    both.compare(scenario)


def test_two_statements_in_one_text_are_refused_as_by_default(both: Both) -> None:
    """Without MULTI_STATEMENTS a second statement is a syntax error, parameters or not."""

    def scenario(side: Side) -> None:
        cursor = side.cursor()
        for query, args in (
            ("SELECT 1; SELECT 2", None),
            ("SELECT %s; SELECT 2", (1,)),
            ("SELECT 1; DROP TABLE a1", None),
        ):
            side.run(cursor, query, args)
        side.run(cursor, "SELECT COUNT(*) FROM a1")

    both.compare(scenario)


FETCHES: list[tuple[str, tuple[Any, ...]]] = [
    ("fetchone", ()),
    ("fetchmany", ()),
    ("fetchmany", (2,)),
    ("fetchmany", (0,)),
    ("fetchmany", (None,)),
    ("fetchmany", (-1,)),
    ("fetchmany", (100,)),
    ("fetchmany", ("x",)),
    ("fetchmany", (1.5,)),
    ("fetchall", ()),
    ("fetchall", ()),
    ("fetchone", ()),
    ("fetchmany", (3,)),
    ("__next__", ()),
    ("nextset", ()),
]

SCROLLS: list[tuple[Any, ...]] = [
    (1,), (2,), (-1,), (0,), (0, "absolute"), (3, "absolute"), (4, "absolute"), (5, "absolute"),
    (-1, "absolute"), (1, "relative"), (100,), (-100,), (1, "nope"), ("a",), (1.0,), (None,),
    (1, None),
]  # fmt: skip


@pytest.mark.parametrize("cursor_class", CURSORS)
@pytest.mark.parametrize(
    "query",
    [
        "SELECT n FROM (SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4"
        " UNION ALL SELECT 5) x",
        "SELECT 1 FROM DUAL WHERE 0",
        "DO 1",
        None,
    ],
    ids=["rows", "no rows", "no result", "not executed"],
)
def test_the_fetches_return_what_pymysqls_return(
    both: Both, cursor_class: str, query: str | None
) -> None:
    """Every fetch and scroll returns, moves and raises as PyMySQL's, whatever came before."""

    def scenario(side: Side, connection: Any) -> None:
        kind = getattr(side.module.cursors, cursor_class)
        if query is None and cursor_class.startswith("SS"):
            pass

        def fresh() -> Any:
            cursor = connection.cursor(kind)
            if query is not None:
                cursor.execute(query)
            return cursor

        cursor = fresh()
        for name, args in FETCHES:
            side.attempt(f"{name}{args}", getattr(cursor, name), *args)
            side.note("rownumber", cursor.rownumber)
        for name, args in FETCHES:
            cursor = fresh()
            cursor.arraysize = 2
            side.attempt(f"fresh {name}{args}", getattr(cursor, name), *args)
            side.note("rownumber", cursor.rownumber)
            side.attempt("then fetchall", cursor.fetchall)
            cursor.close()
        for scroll in SCROLLS:
            cursor = fresh()
            for _ in range(2):
                side.attempt("fetchone", cursor.fetchone)
            side.attempt(f"scroll{scroll}", cursor.scroll, *scroll)
            side.note("rownumber", cursor.rownumber)
            side.attempt("then fetchone", cursor.fetchone)
            side.note("rownumber", cursor.rownumber)
            cursor.close()
        cursor = fresh()
        side.attempt("iterate", list, cursor)
        side.attempt("iterate again", list, cursor)
        side.note("its own iterator", iter(cursor) is cursor)
        side.attempt("next", next, cursor)
        side.attempt("next with a default", next, cursor, "end")

    both.compare_shared(scenario)


OBJECTS: list[tuple[str, tuple[Any, ...]]] = [
    ("execute", ("SELECT 1",)),
    ("execute", ("SELECT %s", (1,))),
    ("executemany", ("SELECT %s", [(1,)])),
    ("executemany", ("INSERT INTO a1 (v) VALUES (%s)", [(1,)])),
    ("executemany", ("SELECT %s", [])),
    ("fetchone", ()),
    ("fetchall", ()),
    ("fetchmany", ()),
    ("nextset", ()),
    ("callproc", ("p_one",)),
    ("mogrify", ("SELECT 1",)),
    ("mogrify", ("SELECT %s", (1,))),
    ("scroll", (0,)),
    ("setinputsizes", ()),
    ("setinputsizes", ([1],)),
    ("setoutputsizes", ()),
    ("setoutputsizes", (1, 2)),
    ("__iter__", ()),
    ("__next__", ()),
    ("__enter__", ()),
    ("_check_executed", ()),
    ("_get_db", ()),
    ("close", ()),
    ("close", ()),
]


@pytest.mark.parametrize("cursor_class", CURSORS)
@pytest.mark.parametrize("state", ["fresh", "closed", "closed fresh", "read", "connection closed"])
def test_a_cursor_in_each_state_does_what_pymysqls_does(
    both: Both, cursor_class: str, state: str
) -> None:
    """Fresh, closed, read to the end, or of a closed connection: every method as PyMySQL's."""

    def scenario(side: Side) -> None:
        for name, args in OBJECTS:
            connection = side.connect()
            cursor = connection.cursor(getattr(side.module.cursors, cursor_class))
            if "fresh" not in state:
                cursor.execute("SELECT 1 AS a UNION SELECT 2")
            if state in ("closed", "closed fresh"):
                cursor.close()
            elif state in ("read", "connection closed"):
                cursor.fetchall()
            if state == "connection closed":
                connection.close()
            label = f"{state}: {name}{args}"
            side.attempt(label, getattr(cursor, name), *args)
            side.state(label, cursor)
            side.attempt("fetchone", cursor.fetchone)
            side.note("connection", cursor.connection is None)
            with contextlib.suppress(Exception):
                cursor.close()
            if state != "connection closed":
                connection.close()

    both.compare(scenario)


def test_attributes_can_be_set_and_deleted_as_on_pymysqls(both: Both) -> None:
    """What programs set on a cursor stays there, and takes effect where PyMySQL's does."""

    def scenario(side: Side, connection: Any) -> None:
        cursor = connection.cursor()
        for name, value in (
            ("arraysize", 3),
            ("rownumber", 1),
            ("rowcount", 7),
            ("description", "x"),
            ("lastrowid", 9),
            ("warning_count", 2),
            ("max_stmt_length", 100),
            ("anything", "else"),
            ("_executed", "SELECT 1"),
        ):
            side.attempt(f"set {name}", setattr, cursor, name, value)
            side.attempt(f"get {name}", getattr, cursor, name)
        cursor.execute("SELECT 1 UNION SELECT 2 UNION SELECT 3")
        side.state("then", cursor)
        cursor.rownumber = 2
        side.attempt("fetchall", cursor.fetchall)
        side.note("class attribute", type(cursor).max_stmt_length)
        cursor.close()

    both.compare_shared(scenario)


def test_a_cursor_keeps_its_connection_alive_as_pymysqls(both: Both) -> None:
    """A connection to which only a cursor refers is used; one to which nothing does is ended."""

    def scenario(side: Side) -> None:
        cursor = side.connect().cursor()
        side.connections.clear()
        gc.collect()
        side.run(cursor, "SELECT 1")
        cursor.execute("SELECT CONNECTION_ID()")
        ((number,),) = cursor.fetchall()
        del cursor
        gc.collect()
        for _ in range(200):
            left = side.server.sql(
                f"SELECT COUNT(*) FROM information_schema.processlist WHERE id={number}"
            )
            if left == ((0,),):
                break
        side.note("left", left)

    both.compare(scenario)


def test_values_returned_by_the_connection_are_pymysqls(both: Both) -> None:
    """query, next_result, _result and the packet's numbers of the connection are PyMySQL's."""

    def scenario(side: Side) -> None:
        connection = side.connect(client_flag=MULTI)
        for unbuffered in (False, True):
            for query in (
                "SELECT 1, 'a'",
                "INSERT INTO a1 (v) VALUES ('x')",
                "SELECT 1; SELECT 2; DO 0",
            ):
                side.attempt("query", connection.query, query, unbuffered=unbuffered)
                result = connection._result
                while True:
                    for name in (
                        "affected_rows", "insert_id", "warning_count", "field_count",
                        "rows", "unbuffered_active",
                    ):  # fmt: skip
                        side.attempt(f"result.{name}", getattr, result, name)
                    side.note("has_next", bool(result.has_next))
                    if both.backend == "pure":  # the C extension does not tell
                        side.attempt("result.message", getattr, result, "message")
                    side.attempt("description", getattr, result, "description")
                    fields = getattr(result, "fields", None) or ()
                    for field in fields:
                        for name in (
                            "catalog", "db", "table_name", "org_table", "name", "org_name",
                            "charsetnr", "type_code", "scale",
                        ):  # fmt: skip
                            side.attempt(f"field.{name}", getattr, field, name)
                    side.attempt("affected_rows()", connection.affected_rows)
                    side.attempt("insert_id()", connection.insert_id)
                    if unbuffered and result.unbuffered_active:
                        side.attempt("row", result._read_rowdata_packet_unbuffered)
                        side.attempt("rows", getattr, result, "rows")
                        side.attempt("affected_rows", getattr, result, "affected_rows")
                        side.attempt("finish", result._finish_unbuffered_query)
                        side.attempt("row", result._read_rowdata_packet_unbuffered)
                        side.note("has_next", bool(result.has_next))
                    if not result.has_next:
                        break
                    side.attempt("next_result", connection.next_result, unbuffered=unbuffered)
                    result = connection._result

    both.compare(scenario)


def test_what_is_asked_after_a_pause_is_answered_as_with_pymysql(both: Both) -> None:
    """ROW_COUNT(), FOUND_ROWS() and warnings outlive the check of a session that was idle."""

    def scenario(side: Side) -> None:
        connection = side.connect(autocommit=True, sql_mode="")
        cursor = connection.cursor()
        for statement, question in (
            ("UPDATE a1 SET v=CONCAT(v, '!')", "SELECT ROW_COUNT()"),
            ("SELECT 1/0, CAST('x' AS SIGNED)", "SHOW WARNINGS"),
            ("SELECT 1/0", "SELECT @@warning_count"),
            ("SELECT SQL_CALC_FOUND_ROWS * FROM a1 LIMIT 1", "SELECT FOUND_ROWS()"),
            ("INSERT INTO a1 (id, v) VALUES (NULL, 'x')", "SELECT LAST_INSERT_ID() > 2"),
        ):
            cursor.execute(statement)
            if not side.is_reference:
                connection._last -= 2
                connection._last_wall -= 2
            side.run(cursor, question)

    both.compare(scenario)


#: 1000 rows of 200 characters, of which one is an error: the server has sent those before it.
FAILING = """
WITH RECURSIVE s AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM s WHERE n < 1000)
SELECT n, REPEAT('x', 200), 9223372036854775807 + IF(n = {row}, n, 0) FROM s"""


@pytest.mark.parametrize("row", [1, 2, 3, 4, 33, 64, 500, 999, 1000])
@pytest.mark.parametrize("cursor_class", ["SSCursor", "SSDictCursor"])
def test_a_stream_gives_every_row_before_its_error(both: Both, cursor_class: str, row: int) -> None:
    """Rows that the server sent before the error are fetched first, then it is raised, once."""

    def scenario(side: Side) -> None:
        connection = side.connect()
        cursor = connection.cursor(getattr(side.module.cursors, cursor_class))
        side.attempt("execute", cursor.execute, FAILING.format(row=row))
        got: list[Any] = []
        side.attempt("loop", got.extend, cursor)
        side.note("rows", (len(got), got[-1:], cursor.rownumber))
        side.attempt("fetchone", cursor.fetchone)
        side.attempt("fetchall", cursor.fetchall)
        side.attempt("close", cursor.close)
        side.run(connection.cursor(), "SELECT 1")

    both.compare(scenario)


@pytest.mark.parametrize("fetched", [0, 1, 2, 40, 899])
@pytest.mark.parametrize("end", ["close", "execute", "commit", "nextset", "connection"])
def test_a_stream_that_fails_unread_ends_as_pymysqls(both: Both, end: str, fetched: int) -> None:
    """Whatever leaves a stream before its error meets that error as with PyMySQL, or does not."""

    def scenario(side: Side) -> None:
        connection = side.connect()
        cursor = connection.cursor(side.module.cursors.SSCursor)
        side.attempt("execute", cursor.execute, FAILING.format(row=900))
        side.attempt("fetchmany", cursor.fetchmany, fetched)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a stream was left incomplete
            if end == "close":
                side.attempt("close", cursor.close)
            elif end == "execute":
                side.run(connection.cursor(), "SELECT 1")
            elif end == "commit":
                side.attempt("commit", connection.commit)
            elif end == "nextset":
                side.attempt("nextset", cursor.nextset)
            else:
                side.attempt("connection", connection.close)
                return
        side.attempt("fetchone", cursor.fetchone)
        side.run(connection.cursor(), "SELECT 2")

    both.compare(scenario)
