"""Values on their way from the server: every column type, every kind of expression."""

from __future__ import annotations

from typing import Any

import pytest

from tests.differential.harness import Both, Side
from tests.servers import Kind

#: Column definitions of every type, and the literals of seven rows: typical, NULL, largest or
#: empty, smallest or zero date, invalid date, partial date, odd.
COLUMNS: dict[str, tuple[str, list[str]]] = {
    "tinyint": ("TINYINT", ["-1", "NULL", "127", "-128", "0", "1", "7"]),
    "tinyint unsigned": ("TINYINT UNSIGNED", ["1", "NULL", "255", "0", "5", "6", "7"]),
    "smallint": ("SMALLINT", ["-300", "NULL", "32767", "-32768", "0", "1", "7"]),
    "smallint unsigned": ("SMALLINT UNSIGNED", ["1", "NULL", "65535", "0", "5", "6", "7"]),
    "mediumint": ("MEDIUMINT", ["-70000", "NULL", "8388607", "-8388608", "0", "1", "7"]),
    "mediumint unsigned": ("MEDIUMINT UNSIGNED", ["1", "NULL", "16777215", "0", "5", "6", "7"]),
    "int": ("INT", ["-5", "NULL", "2147483647", "-2147483648", "0", "1", "7"]),
    "int unsigned": ("INT UNSIGNED", ["1", "NULL", "4294967295", "0", "5", "6", "7"]),
    "bigint": (
        "BIGINT",
        ["-5", "NULL", "9223372036854775807", "-9223372036854775808", "0", "1", "7"],
    ),
    "bigint unsigned": (
        "BIGINT UNSIGNED",
        ["1", "NULL", "18446744073709551615", "0", "5", "6", "9223372036854775808"],
    ),
    "bool": ("BOOL", ["TRUE", "NULL", "1", "0", "FALSE", "2", "-1"]),
    "zerofill": ("INT(6) ZEROFILL", ["42", "NULL", "4294967295", "0", "5", "6", "7"]),
    "bigint zerofill": ("BIGINT(20) ZEROFILL", ["42", "NULL", "7", "0", "5", "6", "7"]),
    "not null": ("INT NOT NULL", ["1", "2", "3", "4", "5", "6", "7"]),
    "decimal(10,2)": (
        "DECIMAL(10,2)",
        ["1.50", "NULL", "99999999.99", "-99999999.99", "0", "-0.01", "7"],
    ),
    "decimal(65,30)": (
        "DECIMAL(65,30)",
        ["1.5", "NULL", "9" * 35 + "." + "9" * 30, "-1e-30", "0", "1e20", "7"],
    ),
    "decimal(10,0)": ("DECIMAL(10,0)", ["5", "NULL", "9999999999", "-0.4", "0", "-7", "7"]),
    "decimal unsigned zerofill": (
        "DECIMAL(12,3) UNSIGNED ZEROFILL",
        ["1.5", "NULL", "999999999.999", "0", "5", "6", "7"],
    ),
    "float": ("FLOAT", ["1.5", "NULL", "3.4e38", "-3.4e38", "0", "16777217", "0.1"]),
    "float unsigned": ("FLOAT UNSIGNED", ["1.5", "NULL", "3.4e38", "0", "1e-38", "6", "0.1"]),
    "float(7,3)": ("FLOAT(7,3)", ["1.5", "NULL", "9999.999", "-9999.999", "0", "1.2345", "7"]),
    "double": (
        "DOUBLE",
        ["0.1", "NULL", "1.7976931348623157e308", "-2.2250738585072014e-308", "-0e0", "1e22", "7"],
    ),
    "double(20,4)": ("DOUBLE(20,4)", ["0.1", "NULL", "1e15", "-1e15", "0", "1.23456", "7"]),
    "float zerofill": ("FLOAT(8,2) ZEROFILL", ["1.5", "NULL", "7", "0", "5", "6", "7"]),
    "bit(1)": ("BIT(1)", ["b'1'", "NULL", "b'0'", "1", "0", "1", "b'1'"]),
    "bit(20)": ("BIT(20)", ["524289", "NULL", "0", "65", "1", "2", "b'11'"]),
    "bit(64)": ("BIT(64)", ["1<<63", "NULL", "0", "~0", "1", "2", "3"]),
    "date": (
        "DATE",
        ["'2024-02-29'", "NULL", "'9999-12-31'", "'0000-00-00'", "'2023-02-31'", "'2023-00-15'",
         "'0001-01-01'"],
    ),
    "datetime": (
        "DATETIME",
        ["'2024-02-29 12:34:56'", "NULL", "'9999-12-31 23:59:59'", "'0000-00-00 00:00:00'",
         "'2023-02-31 10:00:00'", "'2023-00-15 10:00:00'", "'1000-01-01 00:00:00'"],
    ),
    "datetime(6)": (
        "DATETIME(6)",
        ["'2024-02-29 12:34:56.000001'", "NULL", "'9999-12-31 23:59:59.999999'",
         "'0000-00-00 00:00:00'", "'2023-02-31 10:00:00.5'", "'2023-12-00 10:00:00.5'",
         "'0000-01-01 00:00:00.000010'"],
    ),
    "datetime(1)": (
        "DATETIME(1)",
        ["'2024-02-29 12:34:56.7'", "NULL", "'9999-12-31 23:59:59'", "'0000-00-00 00:00:00'",
         "'2023-02-31 10:00:00.5'", "'2023-12-00 10:00:00.5'", "'2000-01-01 00:00:00.1'"],
    ),
    "timestamp": (
        "TIMESTAMP NULL",
        ["'2024-02-29 12:34:56'", "NULL", "'2038-01-19 03:14:07'", "'0000-00-00 00:00:00'",
         "'2023-03-31 10:00:00'", "'2023-01-15 10:00:00'", "'1971-01-01 00:00:01'"],
    ),
    "timestamp(3)": (
        "TIMESTAMP(3) NULL",
        ["'2024-02-29 12:34:56.123'", "NULL", "'2038-01-19 03:14:07'", "'0000-00-00 00:00:00'",
         "'2023-03-31 10:00:00.5'", "'2023-01-15 10:00:00'", "'1971-01-01 00:00:01.001'"],
    ),
    "time": (
        "TIME",
        ["'12:34:56'", "NULL", "'838:59:59'", "'-25:00:01'", "'00:00:00'", "'-838:59:59'",
         "'-00:00:01'"],
    ),
    "time(6)": (
        "TIME(6)",
        ["'12:34:56.000001'", "NULL", "'838:59:59'", "'-00:00:01.5'", "'00:00:00'",
         "'838:59:58.999999'", "'-838:59:59'"],
    ),
    "time(2)": (
        "TIME(2)",
        ["'12:34:56.07'", "NULL", "'100:00:00.5'", "'-00:00:00.01'", "'24:00:00'", "'23:59:59.99'",
         "'-99:00:00'"],
    ),
    "year": ("YEAR", ["2024", "NULL", "2155", "0", "1901", "1970", "99"]),
    "char(10)": ("CHAR(10)", ["'hé€😀'", "NULL", "''", "' a '", "'ÿ'", "'a''b'", "'0'"]),
    "varchar(40)": ("VARCHAR(40)", ["'hé€😀'", "NULL", "''", "'a\\0b'", "'\\\\'", "' x '", "'1'"]),
    "varchar binary": (
        "VARCHAR(40) COLLATE utf8mb4_bin",
        ["'hé€😀'", "NULL", "''", "'a'", "'A'", "'b'", "'1'"],
    ),
    "tinytext": ("TINYTEXT", ["'hé€😀'", "NULL", "''", "'a'", "REPEAT('x',255)", "'b'", "'1'"]),
    "text": ("TEXT", ["'hé€😀'", "NULL", "''", "REPEAT('é',300)", "REPEAT('x',60000)", "'b'", "'1'"]),
    "mediumtext": (
        "MEDIUMTEXT",
        ["'hé€😀'", "NULL", "''", "REPEAT('x',66000)", "'a'", "'b'", "'1'"],
    ),
    "longtext": ("LONGTEXT", ["'hé€😀'", "NULL", "''", "'a'", "'A'", "'b'", "'1'"]),
    "tinyblob": ("TINYBLOB", ["x'00ff41'", "NULL", "''", "'a'", "'é'", "'b'", "'1'"]),
    "blob": ("BLOB", ["x'00ff41'", "NULL", "''", "REPEAT(x'ff',250)", "REPEAT('a',251)",
                      "REPEAT('a',252)", "REPEAT('a',65535)"]),
    "mediumblob": ("MEDIUMBLOB", ["x'00ff41'", "NULL", "''", "REPEAT('a',65536)", "'é'", "'b'", "'1'"]),
    "longblob": ("LONGBLOB", ["x'00ff41'", "NULL", "''", "'a'", "'é'", "'b'", "'1'"]),
    "binary(5)": ("BINARY(5)", ["'ab'", "NULL", "''", "x'00'", "x'ffffffffff'", "'b'", "'1'"]),
    "varbinary(20)": ("VARBINARY(20)", ["'ab'", "NULL", "''", "x'00'", "x'ff'", "'b'", "'1'"]),
    "enum": ("ENUM('a','é','','b,c')", ["'a'", "NULL", "''", "'é'", "'b,c'", "2", "0"]),
    "set": ("SET('x','y','z','é')", ["'x,z'", "NULL", "''", "'y'", "'é,x'", "15", "'z'"]),
    "point": ("POINT", ["POINT(1,2)", "NULL", "POINT(0,0)", "POINT(-1,1e300)", "POINT(1,1)",
                        "POINT(2,2)", "POINT(3,3)"]),
    "geometry": (
        "GEOMETRY",
        ["ST_GeomFromText('LINESTRING(0 0,1 1)')", "NULL", "POINT(0,0)",
         "ST_GeomFromText('POLYGON((0 0,0 1,1 1,0 0))')", "POINT(1,1)", "POINT(2,2)", "POINT(3,3)"],
    ),
    "json": (
        "JSON",
        ["""'{"a": [1, 2.5, null, "é😀"]}'""", "NULL", "'null'", "'[]'", "'\"x\"'", "'1'", "'true'"],
    ),
    "latin1": ("VARCHAR(20) CHARACTER SET latin1", ["'é'", "NULL", "''", "'ÿ'", "'€'", "'a'", "'1'"]),
    "utf8mb3": ("VARCHAR(20) CHARACTER SET utf8mb3", ["'é'", "NULL", "''", "'€'", "'中'", "'a'", "'1'"]),
    "ascii": ("VARCHAR(20) CHARACTER SET ascii", ["'a'", "NULL", "''", "'b'", "'~'", "'a'", "'1'"]),
    "ucs2": ("VARCHAR(20) CHARACTER SET ucs2", ["'é'", "NULL", "''", "'€'", "'中'", "'a'", "'1'"]),
    "utf16": ("VARCHAR(20) CHARACTER SET utf16", ["'é'", "NULL", "''", "'😀'", "'中'", "'a'", "'1'"]),
    "gbk": ("VARCHAR(20) CHARACTER SET gbk", ["'中'", "NULL", "''", "'€'", "'表'", "'a'", "'1'"]),
    "sjis": ("VARCHAR(20) CHARACTER SET sjis", ["'中'", "NULL", "''", "'ア'", "'表'", "'a'", "'1'"]),
    "char binary": (
        "CHAR(4) CHARACTER SET binary",
        ["'ab'", "NULL", "''", "x'00'", "x'ff'", "'b'", "'1'"],
    ),
}  # fmt: skip

#: What one kind of server has alone.
OWN_COLUMNS: dict[Kind, dict[str, tuple[str, list[str]]]] = {
    "mariadb": {
        "uuid": (
            "UUID",
            ["'12345678-1234-1234-1234-123456789abc'", "NULL",
             "'ffffffff-ffff-ffff-ffff-ffffffffffff'", "UUID()<>'' AND NULL",
             "'00000000-0000-0000-0000-000000000000'", "NULL", "NULL"],
        ),
        "inet6": ("INET6", ["'::1'", "NULL", "'ff::'", "'::'", "'1::2'", "NULL", "NULL"]),
        "inet4": (
            "INET4",
            ["'127.0.0.1'", "NULL", "'255.255.255.255'", "'0.0.0.0'", "'1.2.3.4'", "NULL", "NULL"],
        ),
    },
    "mysql": {
        "geometrycollection": (
            "GEOMCOLLECTION",
            ["GeometryCollection(POINT(1,2))", "NULL", "GeometryCollection()", "NULL", "NULL",
             "NULL", "NULL"],
        ),
    },
}  # fmt: skip

NAMES = [*COLUMNS, *OWN_COLUMNS["mariadb"], *OWN_COLUMNS["mysql"]]

#: Lets the rows in that a strict server refuses.
LENIENT = "SET sql_mode='ALLOW_INVALID_DATES', time_zone='+00:00'"

CURSORS = ("Cursor", "DictCursor", "SSCursor", "SSDictCursor")


def table_of(name: str, kind: Kind) -> str:
    """Return a temporary table's definition and content as SELECT: one column, seven rows."""
    declared, rows = {**COLUMNS, **OWN_COLUMNS[kind]}[name]
    values = ", ".join(f"({index}, {row})" for index, row in enumerate(rows))
    return f"CREATE TEMPORARY TABLE t (n INT, v {declared})\nINSERT INTO t VALUES {values}"


@pytest.mark.parametrize("unicode", [True, False], ids=["unicode", "bytes"])
@pytest.mark.parametrize("name", NAMES)
def test_a_column_type_gives_pymysqls_values(both: Both, name: str, unicode: bool) -> None:
    """Each column type has PyMySQL's values, Python types and description, in all cursors."""
    kind = both.server.kind
    if name not in COLUMNS and name not in OWN_COLUMNS[kind]:
        return  # the other kind's
    if "decimal" in name and not unicode:
        return  # PyMySQL fails, and loses step with the server: see docs/differences.md

    def scenario(side: Side) -> None:
        connection = side.connect(use_unicode=unicode)
        cursor = connection.cursor()
        cursor.execute(LENIENT)
        for statement in table_of(name, kind).splitlines():
            cursor.execute(statement)
        for cursor_class in CURSORS:
            other = connection.cursor(getattr(side.module.cursors, cursor_class))
            side.run(other, "SELECT v FROM t ORDER BY n")
            side.attempt("empty", other.execute, "SELECT v, v FROM t WHERE n=99")
            side.attempt("empty: fetchall", other.fetchall)
            # A single row and three are decoded in another way than seven.
            side.run(other, "SELECT v FROM t WHERE n=0", fetch="fetchone")
            side.run(other, "SELECT v, n, v FROM t WHERE n<3 ORDER BY n")
            other.close()

    both.compare(scenario)


EXPRESSIONS = """
1+1
1.5
1e0
1/3
-0e0
18446744073709551615
-9223372036854775808
TRUE
NULL
'abc'
''
'é€😀'
_binary'abc'
_latin1'abc'
_utf8mb4'é'
N'é'
x'4142'
X''
b'1010'
0x00ff
CAST('abc' AS BINARY)
CAST('abc' AS CHAR)
CAST('abc' AS CHAR CHARACTER SET latin1)
CAST('12' AS SIGNED)
CAST('12' AS UNSIGNED)
CAST(1.239 AS DECIMAL(5,2))
CAST('2024-02-29' AS DATE)
CAST('2024-02-29 01:02:03.4' AS DATETIME)
CAST('2024-02-29 01:02:03.456' AS DATETIME(3))
CAST('2024-02-29 01:02:03.4567' AS DATETIME(6))
CAST('-12:00:01' AS TIME)
CAST('-12:00:01.25' AS TIME(2))
CAST(1.5 AS DOUBLE)
CAST(1.5 AS FLOAT)
CAST(2024 AS YEAR)
@x
@undefined_variable
@@autocommit
@@sql_mode
@@max_allowed_packet
@@version_comment
CONCAT(1, 'x')
CONCAT('é', x'ff')
CONCAT(1, 2)
COUNT(*)
SUM(1)
SUM(1.5e0)
AVG(2)
MAX('a')
GROUP_CONCAT('é')
BIT_OR(5)
BIT_COUNT(255)
STDDEV(1)
JSON_EXTRACT('{"a":1}', '$.a')
JSON_OBJECT('a', 1)
JSON_ARRAY(1, 'é', NULL)
DATE_ADD('2024-01-01', INTERVAL 1 DAY)
DATE_ADD(DATE'2024-01-01', INTERVAL 1 HOUR)
DATE'2024-01-01'
TIME'10:11:12.5'
TIMESTAMP'2024-01-01 00:00:00'
SEC_TO_TIME(3661)
SEC_TO_TIME(-3661.25)
SEC_TO_TIME(3020399)
TIMEDIFF('2024-01-02 00:00:00', '2024-01-03 01:00:00')
MAKETIME(-838, 59, 59)
STR_TO_DATE('2024', '%Y')
STR_TO_DATE('2024-05', '%Y-%m')
STR_TO_DATE('11:12', '%H:%i')
FROM_UNIXTIME(0)
FROM_UNIXTIME(1.5)
UNIX_TIMESTAMP('2024-01-01')
YEAR('2024-01-01')
LAST_DAY('2024-02-01')
UPPER('é')
HEX('é')
UNHEX('c3a9')
MD5('a')
SHA2('a', 256)
TO_BASE64('abc')
COMPRESS('aaaa')
UUID_SHORT() > 0
LENGTH(UUID())
INET6_ATON('::1')
INET_ATON('127.0.0.1')
CHAR(65)
CHAR(233 USING utf8mb4)
SPACE(3)
REPEAT('ab', 1000)
IF(1, 2, 'x')
IFNULL(NULL, 'x')
COALESCE(NULL, 1.5)
CASE WHEN 1 THEN DATE'2024-01-01' ELSE 'x' END
1 = 1
1 IN (1, 2)
NULL <=> NULL
NOT 1
~0
1 << 63
5 DIV 2
5 % 3
-5 MOD 3
RAND(1)
PI()
POW(2, 0.5)
ROUND(1.45, 1)
TRUNCATE(1.999, 2)
FLOOR(-1.5)
1e308 * 10
ST_AsText(POINT(1, 2))
POINT(1, 2)
ST_GeomFromText('POINT(1 2)')
INTERVAL(3, 1, 2, 4)
FORMAT(1234567.891, 2)
CHARSET('é')
COLLATION('é')
USER() LIKE '%'
DATABASE()
VERSION() LIKE '%'
CONNECTION_ID() > 0
LAST_INSERT_ID()
ROW_COUNT()
FOUND_ROWS()
SLEEP(0)
BENCHMARK(1, 1)
1 AS ``
1 AS `a.b`
1 AS `é😀`
1 AS `%s`
'a', 1, NULL, 2.5, 1e3, x'ff'
1e400-1e400
MD5('a', 'b')
nothing
""".strip().splitlines()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_gives_pymysqls_value(both: Both, expression: str) -> None:
    """Each kind of expression has PyMySQL's value, Python type and description."""

    def scenario(side: Side, connection: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("SET @x=5, time_zone='+00:00'")
        side.run(cursor, f"SELECT {expression}")
        cursor.close()
        streaming = connection.cursor(side.module.cursors.SSDictCursor)
        side.run(streaming, f"SELECT {expression}")
        streaming.close()

    both.compare_shared(scenario)


STATEMENTS = [
    "SHOW VARIABLES LIKE 'autocommit'",
    "SHOW DATABASES LIKE 'information_schema'",
    "SHOW WARNINGS",
    "SHOW TABLES",
    "SHOW CHARACTER SET LIKE 'latin1'",
    "SHOW COLLATION LIKE 'utf8mb4_bin'",
    "SHOW ENGINES",
    "SHOW CREATE TABLE information_schema.tables",
    "SHOW STATUS LIKE 'nothing'",
    "DESCRIBE information_schema.character_sets",
    "EXPLAIN SELECT 1",
    "EXPLAIN FORMAT=JSON SELECT 1",
    "EXPLAIN FORMAT=TREE SELECT 1",
    "SELECT * FROM information_schema.character_sets ORDER BY 1 LIMIT 3",
    "SELECT column_name, data_type, character_maximum_length, numeric_precision"
    " FROM information_schema.columns WHERE table_name='CHARACTER_SETS' ORDER BY ordinal_position",
    "SELECT 1 UNION SELECT 'a'",
    "SELECT 1 UNION ALL SELECT 1.5 UNION ALL SELECT NULL",
    "WITH x AS (SELECT 1 AS a UNION ALL SELECT 2) SELECT * FROM x",
    "WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n+1 FROM x WHERE n<2500)"
    " SELECT n, IF(n%7=0, NULL, CONCAT('é', n)), n/3, IF(n%1000=1, NULL, n) FROM x",
    "SELECT 1 FROM DUAL WHERE FALSE",
    "SELECT 1, 1, 2 AS `1`",
    "VALUES (1, 'a'), (2, NULL)",
    "VALUES ROW(1, 'a')",
    "TABLE information_schema.character_sets LIMIT 0",
    "DO 1",
    "DO SLEEP(0)",
    "HELP 'nothing at all'",
    "SET @z = 1",
    "ANALYZE TABLE nothing",
    "CHECK TABLE nothing",
    "FLUSH STATUS",
]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_statement_gives_pymysqls_rows(both: Both, statement: str) -> None:
    """Each kind of statement that returns rows, or none, shows what it shows with PyMySQL."""

    def scenario(side: Side, connection: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("SET max_recursive_iterations=10000" if mariadb else "DO 0")
        for cursor_class in CURSORS:
            other = connection.cursor(getattr(side.module.cursors, cursor_class))
            side.run(other, statement)
            other.close()

    mariadb = both.server.kind == "mariadb"
    both.compare_shared(scenario)


#: Lengths around those at which the protocol changes: of a string, and of a packet.
LENGTHS = [250, 251, 65535, 65536, *range(2**24 - 7, 2**24 - 3), 2**24, 2**25]


def test_long_values_and_statements_are_those_of_pymysql(both: Both) -> None:
    """Values and statements of every length, up to several packets, come and go unharmed."""
    limit = int(both.server.sql("SELECT @@global.max_allowed_packet")[0][0])

    def scenario(side: Side, connection: Any) -> None:
        for length in LENGTHS:
            if length > limit - 100:
                continue
            for name in ("Cursor", "SSDictCursor"):
                other = connection.cursor(getattr(side.module.cursors, name))
                other.execute(f"SELECT REPEAT('x', {length}) AS a, 1 AS b UNION ALL SELECT NULL, 2")
                rows = [list(row.values() if "Dict" in name else row) for row in other.fetchall()]
                side.note(f"{name} {length}", (rows[0][0] == "x" * length, rows[0][1:], rows[1:]))
                other.close()
        cursor = connection.cursor()
        cursor.execute("SELECT %s = REPEAT('z', 5000000)", ("z" * 5000000,))
        side.note("parameter", cursor.fetchall())
        for length in (65536, 2**24 - 2, 2**24 - 1, 2**24, 2**25 - 2):
            if length > limit:
                continue  # the answer is a race: MariaDB hangs up while it is being sent
            head, tail = "SELECT LENGTH('", "')"
            query = head + "y" * (length - len(head) - len(tail)) + tail
            # What is longer than the server takes ends the session: each has one of its own.
            other = side.connect()
            side.attempt(f"statement of {length}", other.query, query)
            side.note("rows", other._result and other._result.rows)

    both.compare(lambda side: scenario(side, side.connect()))


@pytest.mark.parametrize("count", [1, 250, 251, 252, 1000, 4000])
def test_many_columns_are_read_as_by_pymysql(both: Both, count: int) -> None:
    """A row of any number of columns is PyMySQL's, and so is its description."""
    query = "SELECT " + ", ".join(f"{index} AS c{index}" for index in range(count))

    def scenario(side: Side, connection: Any) -> None:
        for name in CURSORS:
            cursor = connection.cursor(getattr(side.module.cursors, name))
            side.run(cursor, query)
            cursor.close()

    both.compare_shared(scenario)
