"""The text check against the servers themselves: what a statement did, and what it was said to do.

Statements are put together from parts whose effects are known, and written in any way. The server
is asked what came of each: rows changed or locked, locks and variables left in the session.
Whatever did one of these must not have been taken for a plain read, and what it left must pin.
(What the text alone must give is in tests/unit/test_session.py.)
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pymysql
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from slsmysql.session import effect_of
from tests.differential.profile import examples
from tests.servers import Kind, Server
from tests.unit.test_session import respelled

VALUES = ["1", "n", "v", "'a'", "'GET_LOCK(1)'", '"FOR UPDATE"', "NULL", "n + 1", "@@version"]

#: Expressions that change nothing.
READING = [
    *VALUES,
    "NOW()",
    "COALESCE(v, 0)",
    "CONCAT('a', `n`)",
    "INSERT('abc', 1, 1, 'x')",
    "REPLACE('a', 'b', 'c')",
    "IF(n > 1, 'INTO @x', 0)",
    "(SELECT 1)",
    "(SELECT MAX(n) FROM t)",
    "EXISTS (SELECT * FROM t WHERE n = 1)",
    "CASE WHEN n THEN 1 ELSE 2 END",
    "CAST(n AS CHAR(10))",
    "LAST_INSERT_ID()",
    "IS_FREE_LOCK('l')",
    "IS_USED_LOCK('l')",
    "`n`",
    "@x",
    "-n",
    "n IN (1, 2)",
    "n BETWEEN 1 AND 2",
]

#: Expressions that change something.
CHANGING = [
    "GET_LOCK('l', 0)",
    "`GET_LOCK`('l', 0)",
    "IF(1, GET_LOCK('l', 0), 0)",
    "@x := 5",
    "(@x := n)",
    "LAST_INSERT_ID(5)",
    "f()",
    "`f`()",
    "(SELECT f())",
    "COALESCE(f(), 1)",
    "(SELECT n FROM t WHERE n = 1 FOR UPDATE)",
    "(SELECT MAX(n) FROM t LOCK IN SHARE MODE)",
]

TAILS = ["", "", "", " FOR UPDATE", " LOCK IN SHARE MODE", " INTO @x", " FOR UPDATE SKIP LOCKED"]

CLAUSES = ["", " WHERE n = 1", " WHERE v IS NULL", " ORDER BY n", " GROUP BY n", " LIMIT 1"]


def selects(expressions: list[str], tails: list[str]) -> st.SearchStrategy[str]:
    """Return SELECTs of such expressions."""
    return st.builds(
        "SELECT {} FROM t{}{}".format,
        st.lists(st.sampled_from(expressions), min_size=1, max_size=3).map(", ".join),
        st.sampled_from(CLAUSES),
        st.sampled_from(tails),
    )


def wrapped(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return these, and what a SELECT may stand in."""
    return st.one_of(
        inner,
        inner.map("({})".format),
        inner.map("WITH w AS ({}) SELECT 1 FROM w".format),
        inner.map("SELECT 1 FROM ({}) AS d".format),
        st.tuples(inner, st.just("SELECT 1")).map(" UNION ".join),
        st.tuples(st.just("SELECT 1"), inner).map(" UNION ALL ".join),
    )


READS = wrapped(selects(READING, [""])) | st.sampled_from(
    ["SHOW TABLES", "SHOW CREATE TABLE t", "SHOW STATUS LIKE 'x'", "DESC t",
     "EXPLAIN SELECT * FROM t", "SELECT 1", "SELECT DISTINCT n FROM t", "SHOW WARNINGS"]
)  # fmt: skip

ANYTHING = st.one_of(
    wrapped(selects([*READING, *CHANGING], TAILS)),
    selects([*READING, *CHANGING], [""]).map("INSERT INTO log {}".format),
    st.sampled_from([*READING, *CHANGING]).map("DO {}".format),
    st.sampled_from([*READING, *CHANGING]).map("SET @x = {}".format),
    st.sampled_from([*READING, *CHANGING]).map("UPDATE t SET v = {}".format),
    st.sampled_from([*READING, *CHANGING]).map("DELETE FROM t WHERE n = {}".format),
    st.sampled_from(
        [
            "CREATE TEMPORARY TABLE tt (a INT)",
            "INSERT INTO t VALUES (9, 9)",
            "REPLACE INTO t VALUES (1, 1)",
            "CALL p()",
            "TRUNCATE log",
            "SELECT 1 INTO @x",
            "TABLE t",
            "VALUES ROW(1, 2)",
            "SELECT NEXTVAL(s)",
            "SELECT NEXT VALUE FOR s",
            "BEGIN NOT ATOMIC INSERT INTO log VALUES (1); END",
            "SET STATEMENT max_statement_time=1 FOR INSERT INTO log VALUES (1)",
            "ANALYZE INSERT INTO log VALUES (1)",
            "EXPLAIN ANALYZE SELECT f() FROM t",
            "/*!50000 INSERT INTO log VALUES (1) */",
            "SELECT 1 /*!50000 , f() */ FROM t",
        ]
    ),
)


class Witness:
    """Two sessions: one that runs a statement, and one that looks at what came of it."""

    def __init__(self, server: Server, database: str) -> None:
        """Connect the one that looks."""
        self._kind: Kind = server.kind
        self._connect: Callable[[], Any] = lambda: pymysql.connect(
            **server.params(database=database), ssl_disabled=True
        )
        self._other = self._connect()
        self._other.cursor().execute("SET SESSION lock_wait_timeout=1")

    def close(self) -> None:
        """End the session."""
        self._other.close()

    def effects(self, sql: str) -> set[str] | None:
        """Run a statement in a session of its own; return what it has done, None if it fails."""
        one = self._connect()
        try:
            cursor = one.cursor()
            before = self._rows(cursor)
            one.rollback()
            try:
                cursor.execute(sql)
                cursor.fetchall()
            except pymysql.Error:
                return None
            found = {name for name, ask in self._questions(cursor).items() if ask()}
            if self._rows(cursor) != before:
                found.add("rows")
            return found
        finally:
            with contextlib.suppress(pymysql.Error):
                one.rollback()
            one.close()

    @staticmethod
    def _rows(cursor: Any) -> Any:
        cursor.execute("SELECT (SELECT COUNT(*) FROM log), COUNT(*), SUM(n), SUM(v) FROM t")
        return cursor.fetchall()

    def _questions(self, cursor: Any) -> dict[str, Callable[[], bool]]:
        def says(sql: str) -> bool:
            cursor.execute(sql)
            return bool(cursor.fetchall()[0][0])

        def locked() -> bool:
            other = self._other.cursor()
            try:
                other.execute("SELECT n FROM t FOR UPDATE NOWAIT")
            except pymysql.Error:
                return True
            finally:
                self._other.rollback()
            return False

        def temporary() -> bool:
            try:
                cursor.execute("SELECT 1 FROM tt")
            except pymysql.Error:
                return False
            return True

        questions = {
            # The first to be asked: a statement of ours changes it.
            "last insert id": lambda: says("SELECT LAST_INSERT_ID() = 5"),
            "user variable": lambda: says("SELECT @x IS NOT NULL"),
            "lock": lambda: says("SELECT IS_USED_LOCK('l') IS NOT NULL"),
            "locked rows": locked,
            "temporary table": temporary,
        }
        if self._kind == "mariadb":
            questions["sequence"] = lambda: says("SELECT LASTVAL(s) IS NOT NULL")
        return questions


@pytest.fixture
def witness(server: Server, database: str) -> Iterator[Witness]:
    """A witness, in a database with a table, a log, a function and a procedure that write."""
    parameters = server.params(database=database)
    setup = pymysql.connect(**parameters, autocommit=True)
    statements = [
        "CREATE TABLE t (n INT PRIMARY KEY, v INT) ENGINE=InnoDB",
        "INSERT INTO t VALUES (1, NULL), (2, 2), (3, 3)",
        "CREATE TABLE log (a INT) ENGINE=InnoDB",
        "CREATE FUNCTION f() RETURNS INT BEGIN INSERT INTO log VALUES (1); RETURN 1; END",
        "CREATE PROCEDURE p() INSERT INTO log VALUES (1)",
    ]
    if server.kind == "mariadb":
        statements.append("CREATE SEQUENCE s")
    for statement in statements:
        setup.cursor().execute(statement)
    setup.close()
    witness = Witness(server, database)
    yield witness
    witness.close()


#: What stays in the session, and so must pin.
STATE = {"user variable", "lock", "last insert id", "temporary table"}


@examples(40)
@given(sql=ANYTHING)
@example(sql="SELECT 1 FROM t FOR UPDATE")
@example(sql="SELECT GET_LOCK('l', 0)")
@example(sql="SELECT f() FROM t")
@example(sql="SELECT NEXTVAL(s)")
def test_nothing_that_changes_anything_is_a_plain_read(witness: Witness, sql: str) -> None:
    """What was seen to write, lock or set something is no plain read, and what stays pins."""
    done = witness.effects(sql)
    if not done:
        return  # refused, or it has done nothing
    effect = effect_of(sql)
    assert not effect.read, done
    # With an executable comment in it the text says no more.
    if "executable comment" not in effect.pins:
        assert effect.pins >= done & STATE, done


@examples(40)
@given(data=st.data(), sql=READS)
def test_a_plain_read_is_one_in_any_writing(
    witness: Witness, data: st.DataObject, sql: str
) -> None:
    """What only reads is known for it, however it is written, and the server agrees."""
    written = data.draw(respelled(sql))
    effect = effect_of(sql)
    assert effect.read, sql
    assert effect_of(written) == effect, written
    assert not witness.effects(sql)


@examples(40)
@given(data=st.data(), sql=ANYTHING)
def test_no_writing_changes_what_a_statement_is_found_to_do(data: st.DataObject, sql: str) -> None:
    """Letter case, white space and comments: nothing about a statement's effect hangs on them."""
    if "/*" in sql:
        return  # to be executed, or not
    written = data.draw(respelled(sql))
    one, other = effect_of(sql), effect_of(written)
    for name in ("read", "begins", "ends", "rolls_back", "commits", "pins", "unpins", "next_only",
                 "asks", "explained"):  # fmt: skip
        assert getattr(one, name) == getattr(other, name), (name, written)
