"""What cannot be listed: random parameters, texts, schemas and rows, through both drivers."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.differential.harness import Both, Side
from tests.differential.profile import examples
from tests.differential.test_charsets import CHARSETS, SQL_MODES
from tests.differential.test_values import CURSORS

#: Text with more of what matters between quotes than chance would give.
TEXTS = st.text(st.characters() | st.sampled_from("\\'\"%\0\n\r\x1a`;-#/* _"), max_size=20)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.decimals()
    | TEXTS
    | st.binary(max_size=20)
    | st.binary(max_size=20).map(bytearray)
    | st.dates()
    | st.datetimes()
    | st.datetimes(timezones=st.just(datetime.timezone.utc))
    | st.times()
    | st.timedeltas()
    | st.uuids()
    | st.complex_numbers()
)

PARAMETERS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.frozensets(st.integers() | TEXTS, max_size=1)
        | st.dictionaries(TEXTS, inner, max_size=1)
    ),
    max_leaves=6,
)


@examples(60)
@given(values=st.lists(PARAMETERS, min_size=1, max_size=4), mode=st.sampled_from(SQL_MODES))
def test_any_parameters_are_bound_as_by_pymysql(both: Both, values: list[Any], mode: str) -> None:
    """Whatever the parameters are, the statement, the rows or the error are PyMySQL's."""
    query = "SELECT " + ", ".join(["%s"] * len(values))

    def scenario(side: Side, connection: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("SET sql_mode=%s", (mode,))
        side.attempt("mogrify", cursor.mogrify, query, values)
        side.attempt("execute", cursor.execute, query, tuple(values))
        side.attempt("description", getattr, cursor, "description")
        side.attempt("fetchall", cursor.fetchall)
        names = {str(index): value for index, value in enumerate(values)}
        places = ", ".join(f"%({name})s" for name in names)
        side.attempt("by name", cursor.execute, f"SELECT {places}", names)
        side.attempt("by name: fetchall", cursor.fetchall)
        cursor.execute("SET sql_mode=''")

    both.compare_shared(scenario)


@examples(60)
@given(
    data=st.data(),
    charset=st.sampled_from([name for name in CHARSETS if name != "gb18030"]),
    mode=st.sampled_from(SQL_MODES),
)
def test_any_text_goes_both_ways_as_with_pymysql(
    both: Both, data: st.DataObject, charset: str, mode: str
) -> None:
    """In every character set and sql_mode any text comes back as, or fails as, with PyMySQL."""
    reference, _ = both.shared()
    connection = reference.connections[0]
    connection.set_character_set(charset)
    codec = connection.encoding
    connection.set_character_set("utf8mb4")
    own = st.binary(max_size=12).map(lambda raw: raw.decode(codec, "ignore"))
    text = data.draw(own | TEXTS | st.tuples(own, TEXTS).map("".join))
    if charset in {"sjis", "ujis"}:
        # Its byte is the server's backslash, which PyMySQL does not escape (test_differences).
        text = text.replace("\xa5", "")

    def scenario(side: Side, connection: Any) -> None:
        connection.set_character_set(charset)
        try:
            cursor = connection.cursor()
            cursor.execute(f"SET sql_mode='{mode}'")
            for args in ((text,), (text.encode(codec, "replace"),), ([text, "x"],)):
                side.attempt("mogrify", cursor.mogrify, "SELECT 'x' IN (%s)", args)
                side.attempt("IN", cursor.execute, "SELECT 'x' IN (%s)", args)
                side.attempt("fetchall", cursor.fetchall)
                side.attempt("execute", cursor.execute, "SELECT %s", args)
                side.attempt("fetchall", cursor.fetchall)
            side.attempt("HEX", cursor.execute, "SELECT LENGTH(%s), HEX(%s)", (text, text))
            side.attempt("fetchall", cursor.fetchall)
            cursor.execute("SET sql_mode=''")
        finally:
            connection.set_character_set("utf8mb4")

    both.compare_shared(scenario)


SMALL = st.integers(-130, 260)

#: Column types with what goes into them, or nearly.
COLUMNS = st.one_of(
    st.tuples(
        st.sampled_from(
            ["TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT", "INT UNSIGNED", "BIGINT UNSIGNED",
             "INT(5) ZEROFILL", "BOOL", "YEAR", "BIT(8)", "BIT(64)"]
        ),
        st.just(SMALL | st.integers(-(2**63), 2**64)),
    ),
    st.tuples(
        st.tuples(st.integers(1, 65), st.integers(0, 30)).map(
            lambda p: f"DECIMAL({max(p)},{min(p)})"
        ),
        st.just(st.decimals(allow_nan=False, allow_infinity=False) | SMALL),
    ),
    st.tuples(
        st.sampled_from(["FLOAT", "DOUBLE", "FLOAT(7,2)", "DOUBLE(12,4)", "DOUBLE UNSIGNED"]),
        st.just(st.floats(allow_nan=False, allow_infinity=False) | SMALL),
    ),
    st.tuples(
        st.sampled_from(
            ["VARCHAR(10)", "CHAR(10)", "TEXT", "TINYTEXT", "LONGTEXT", "VARCHAR(10) BINARY",
             "VARCHAR(10) CHARACTER SET latin1", "CHAR(10) CHARACTER SET ucs2",
             "TEXT CHARACTER SET gbk", "VARCHAR(5) CHARACTER SET utf8mb3"]
        ),
        st.just(TEXTS),
    ),
    st.tuples(
        st.sampled_from(["VARBINARY(10)", "BINARY(10)", "BLOB", "TINYBLOB", "LONGBLOB"]),
        st.just(st.binary(max_size=12)),
    ),
    st.tuples(
        st.sampled_from(["DATE", "DATETIME", "DATETIME(3)", "DATETIME(6)", "TIMESTAMP(6) NULL"]),
        st.just(
            st.datetimes()
            | st.dates()
            | st.sampled_from(["0000-00-00", "2023-02-31", "2023-00-15 10:00:00", "nonsense"])
        ),
    ),
    st.tuples(
        st.sampled_from(["TIME", "TIME(1)", "TIME(6)"]),
        st.just(
            st.timedeltas(datetime.timedelta(hours=-900), datetime.timedelta(hours=900))
            | st.times()
        ),
    ),
    st.tuples(
        st.just("ENUM('a','é','b c')"), st.just(st.sampled_from(["a", "é", "b c", "", "x", 2]))
    ),
    st.tuples(
        st.just("SET('a','é','c')"), st.just(st.sampled_from(["a", "a,é", "", "c,a", "x", 7]))
    ),
    st.tuples(st.just("JSON"), st.just(st.sampled_from(["{}", "[1, 2.5, null]", '"é"', "null"]))),
)  # fmt: skip


@examples(20)
@given(data=st.data(), columns=st.lists(COLUMNS, min_size=1, max_size=6))
def test_any_table_gives_pymysqls_rows(
    both: Both, data: st.DataObject, columns: list[tuple[str, Any]]
) -> None:
    """Whatever the columns and what is put into them, all cursors show what PyMySQL's show."""
    declared = ", ".join(f"c{index} {kind}" for index, (kind, _) in enumerate(columns))
    row = st.tuples(*[st.none() | values for _, values in columns])
    rows = data.draw(st.lists(row, min_size=1, max_size=8))
    places = ", ".join(["%s"] * len(columns))

    def scenario(side: Side, connection: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("SET sql_mode='ALLOW_INVALID_DATES', time_zone='+00:00'")
        cursor.execute("DROP TEMPORARY TABLE IF EXISTS r")
        cursor.execute(f"CREATE TEMPORARY TABLE r (n INT AUTO_INCREMENT PRIMARY KEY, {declared})")
        for each in rows:
            statement = f"INSERT INTO r VALUES (DEFAULT, {places})"
            side.attempt("insert", cursor.execute, statement, each)
            side.note("lastrowid, warnings", (cursor.lastrowid, cursor.warning_count))
        side.attempt("insert many", cursor.executemany, statement, rows)
        side.note("rowcount, lastrowid", (cursor.rowcount, cursor.lastrowid))
        for name in CURSORS:
            other = connection.cursor(getattr(side.module.cursors, name))
            side.attempt("select", other.execute, "SELECT * FROM r ORDER BY n")
            side.attempt("description", getattr, other, "description")
            side.attempt("fetchone", other.fetchone)
            side.attempt("fetchmany", other.fetchmany, 2)
            side.attempt("fetchall", other.fetchall)
            other.close()

    both.compare_shared(scenario)


@examples(15)
@given(
    count=st.integers(0, 12) | st.sampled_from([998, 999, 1000, 1001, 1999, 2000, 2001]),
    columns=st.lists(
        st.sampled_from(
            ["n", "n*1000003", "NULL", "IF(n%3=0, NULL, n)", "CONCAT('é', n)", "n/3", "n*0.5e0",
             "IF(n%5=1, NULL, CONCAT(n))", "DATE_ADD('2024-01-01', INTERVAL n DAY)",
             "DATE_ADD(DATE'2024-01-01', INTERVAL n HOUR)", "SEC_TO_TIME(n*977)", "CHAR(n%256)",
             "REPEAT('x', n)", "n%2"]
        ),
        min_size=1,
        max_size=5,
    ),
    cursor=st.sampled_from(CURSORS),
    sizes=st.lists(st.integers(1, 1200), max_size=4),
)  # fmt: skip
def test_any_number_of_rows_is_read_as_by_pymysql(
    both: Both, count: int, columns: list[str], cursor: str, sizes: list[int]
) -> None:
    """However many rows there are, and with NULL wherever, the fetches return PyMySQL's rows."""
    query = (
        f"WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n+1 FROM x WHERE n<{count})"
        f" SELECT {', '.join(columns)} FROM x WHERE {count}>0"
    )
    limit = (
        "max_recursive_iterations" if both.server.kind == "mariadb" else "cte_max_recursion_depth"
    )

    def scenario(side: Side, connection: Any) -> None:
        connection.cursor().execute(f"SET {limit}=5000, sql_mode=''")
        found = connection.cursor(getattr(side.module.cursors, cursor))
        side.attempt("execute", found.execute, query)
        for size in sizes:
            side.attempt("fetchmany", found.fetchmany, size)
        side.attempt("fetchall", found.fetchall)
        side.note("rownumber, rowcount", (found.rownumber, found.rowcount))
        found.close()

    both.compare_shared(scenario)


VALUES = (
    "(%s,%s)", "(%s)", "( %s , %s )", "(%(v)s, %(n)s)", "('x',%s)", "(%s,%s),(%s,%s)", "(UPPER(%s))",
    "(%s,%s) ", "(%s);", "(%s, %s) AS new", "(%s,%s) ON DUPLICATE KEY UPDATE v=VALUES(v)",
    "(%s) ON DUPLICATE KEY UPDATE v='%%'", "(%d)", "()",
)  # fmt: skip


@pytest.mark.parametrize("limit", [60, 1024000])
@examples(25)
@given(
    verb=st.sampled_from(["INSERT INTO", "insert ignore into", "REPLACE", "INSERT  a /* VALUES (%%) */"]),
    columns=st.sampled_from(["(v,n)", "(v)", "(`values`)", "", "(a) VALUES (1); INSERT INTO t (b)"]),
    keyword=st.sampled_from(["VALUES", "value", " VALUES\n", "SELECT", "SET"]),
    values=st.sampled_from(VALUES),
    rows=st.lists(
        st.tuples(TEXTS, st.integers()) | st.tuples(TEXTS) | TEXTS
        | st.fixed_dictionaries({"v": TEXTS, "n": st.integers()}),
        max_size=6,
    ),
)  # fmt: skip
def test_any_executemany_sends_pymysqls_statements(
    both: Both, limit: int, verb: str, columns: str, keyword: str, values: str, rows: list[Any]
) -> None:
    """Whatever looks like an INSERT is made into the statements that PyMySQL makes of it."""
    query = f"{verb} t {columns} {keyword} {values}"

    def scenario(side: Side, connection: Any) -> None:
        sent: list[bytes] = []

        class Answer:
            """A result of nothing, so that no server has to understand the statement."""

            affected_rows, warning_count, insert_id, rows, description = 1, 0, 0, None, None
            has_next, field_count, fields = False, 0, ()
            unbuffered_active = False

        def note(sql: Any, unbuffered: bool = False) -> int:
            sent.append(sql.encode() if isinstance(sql, str) else bytes(sql))
            connection._result = Answer()
            return 1

        connection.query = note
        cursor = connection.cursor()
        cursor.max_stmt_length = limit
        try:
            side.attempt("executemany", cursor.executemany, query, rows)
        finally:
            del connection.query
            connection._result = None
        side.note("sent", sent)
        side.note("_executed", cursor._executed)

    both.compare_shared(scenario)
