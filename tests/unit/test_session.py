"""What statements do to their session, read from the text: for every spelling, and in doubt."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from slsmysql import session
from slsmysql.session import OTHER, PLAIN_READ, REPLAYABLE, Effect, classify, effect_of

#: A loaded machine is no failure.
unhurried = settings(deadline=None)

#: Statements that leave state which a new session would not have, and the kind of it.
PINNING = [
    ("SELECT GET_LOCK('a', 1)", "lock"),
    ("DO GET_LOCK('a', 1)", "lock"),
    ("SELECT 1 FROM t WHERE GET_LOCK ( 'a' , 1 )", "lock"),
    ("SELECT `GET_LOCK`('a', 1)", "lock"),
    ("SELECT mariadb_schema . GET_LOCK('a', 1)", "lock"),
    ("INSERT INTO t VALUES (GET_LOCK('a', 1))", "lock"),
    ("UPDATE t SET a = GET_LOCK('a', 1)", "lock"),
    ("SET GLOBAL sort_buffer_size = GET_LOCK('a', 1)", "lock"),
    ("SELECT @a := 5", "user variable"),
    ("SELECT @a:=5", "user variable"),
    ("UPDATE t SET a = @a := a + 1", "user variable"),
    ("SELECT 7 INTO @c", "user variable"),
    ("SELECT 7, 8 INTO b, @c", "user variable"),
    ("SELECT a INTO @c FROM t FOR UPDATE", "user variable"),
    ("INSERT INTO t SELECT 1 INTO @c", "user variable"),
    ("TABLE t LIMIT 1 INTO @c", "user variable"),
    ("EXPLAIN FORMAT = JSON INTO @c SELECT 1", "user variable"),
    ("SET @a = 1", "user variable"),
    ("SET @`a b` = 1", "user variable"),
    ("SET time_zone = '+00:00' , @a = 1", "user variable"),
    ("CALL p(@a)", "user variable"),
    ("GET DIAGNOSTICS @a = NUMBER", "user variable"),
    ("LOAD DATA INFILE 'f' INTO TABLE t (a, @b) SET c = @b", "user variable"),
    ("SELECT LAST_INSERT_ID(5)", "last insert id"),
    ("UPDATE t SET a = LAST_INSERT_ID(a + 1)", "last insert id"),
    ("CREATE TEMPORARY TABLE t (a INT)", "temporary table"),
    ("CREATE OR REPLACE TEMPORARY TABLE t (a INT)", "temporary table"),
    ("CREATE TEMPORARY TABLE t SELECT 1", "temporary table"),
    ("PREPARE s FROM 'SELECT 1'", "prepared statement"),
    ("PREPARE s FROM @text", "prepared statement"),
    ("EXECUTE IMMEDIATE 'SELECT 1'", "dynamic statement"),
    ("LOCK TABLES t READ", "table locks"),
    ("LOCK TABLE t WRITE", "table locks"),
    ("FLUSH TABLES WITH READ LOCK", "table locks"),
    ("FLUSH TABLES a, b WITH READ LOCK", "table locks"),
    ("FLUSH TABLES a FOR EXPORT", "table locks"),
    ("LOCK INSTANCE FOR BACKUP", "backup lock"),
    ("BACKUP STAGE START", "backup lock"),
    ("HANDLER t OPEN", "open handler"),
    ("HANDLER t OPEN AS h", "open handler"),
    ("XA START 'x'", "XA transaction"),
    ("XA BEGIN 'x'", "XA transaction"),
    ("XA END 'x'", "XA transaction"),
    ("XA PREPARE 'x'", "XA transaction"),
    ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "next transaction"),
    ("SET TRANSACTION READ ONLY", "next transaction"),
    ("SET @@transaction_isolation = 'SERIALIZABLE'", "next transaction"),
    ("SET @@tx_read_only = 1", "next transaction"),
    ("SET optimizer_switch = 'mrr=on'", "session variable"),
    ("SET SESSION profiling = 1", "session variable"),
    ("SET sql_log_bin = 0", "session variable"),
    ("SET timestamp = 5", "session variable"),
    ("SET session_track_state_change = 0", "session variable"),
    ("SET sql_mode = CONCAT(@@sql_mode, ',ANSI')", "session variable"),
    ("SET sql_mode = (SELECT 'ANSI')", "session variable"),
    ("SET SESSION group_concat_max_len = @@max_allowed_packet", "session variable"),
    ("SET time_zone = @zone", "session variable"),
    ("SET lc_time_names = CURRENT_USER", "session variable"),
    ("SET ROLE admin", "role"),
    ("SET RESOURCE GROUP rg", "resource group"),
    ("SET STATEMENT max_statement_time = 1 FOR SELECT GET_LOCK('a', 1)", "lock"),
    ("WITH c AS ( SELECT 1 ) SELECT * FROM c INTO @x", "user variable"),
    ("ANALYZE SELECT GET_LOCK('a', 1)", "lock"),
    ("SELECT 1 ; SELECT GET_LOCK('a', 1)", "lock"),
    ("SELECT 1 ; LOCK TABLES t READ", "table locks"),
    ("SELECT 1 ; SET time_zone = '+00:00'", "session variable"),
    ("SELECT 1 ; USE other", "database"),
    ("SELECT 1 ; SELECT SQL_CALC_FOUND_ROWS 1", "found rows"),
    ("BEGIN NOT ATOMIC IF 1 THEN SELECT 1 INTO @b ; END IF ; END", "user variable"),
    ("BEGIN NOT ATOMIC IF 1 THEN PREPARE s FROM 'x' ; END IF ; END", "prepared statement"),
    ("IF 1 THEN BEGIN NOT ATOMIC XA START 'x' ; END ; END IF", "XA transaction"),
]

#: Statements of which the text tells no state that would be lost.
NOT_PINNING = [
    "SELECT 1",
    "SELECT * FROM t WHERE a = @a",
    "SELECT IS_USED_LOCK('a'), LAST_INSERT_ID(), get_lock",
    "SELECT * INTO OUTFILE 'f' FROM t",
    "INSERT INTO t (a) VALUES (@a)",
    "INSERT INTO t SELECT @a",
    "INSERT INTO t SET a = @a, b = @b",
    "UPDATE t SET a = 1",
    "DELETE FROM t",
    "CALL p(1, 'a')",
    "CREATE TABLE t (a INT)",
    "DROP TEMPORARY TABLE t",
    "DEALLOCATE PREPARE s",
    "DROP PREPARE s",
    "EXECUTE s",
    "HANDLER t READ FIRST",
    "HANDLER t CLOSE",
    "UNLOCK TABLES",
    "FLUSH STATUS",
    "XA RECOVER",
    "XA COMMIT 'x'",
    "SET GLOBAL max_connections = 5",
    "SET PERSIST max_connections = 5",
    "SET @@GLOBAL . max_connections = 5, @@PERSIST . time_zone = '+00:00'",
    "SET PASSWORD FOR u = 'x'",
    "SET DEFAULT ROLE ALL TO u",
    "SET RESOURCE GROUP rg FOR 5",
    "SET GLOBAL TRANSACTION READ ONLY",
    "SET STATEMENT max_statement_time = 1 FOR SELECT 1",
    "LOAD DATA INFILE 'f' INTO TABLE t",
    "KILL 5",
    "BEGIN",
    "COMMIT",
    "SAVEPOINT a",
    "SHOW WARNINGS",
    "SELECT 1 ; SELECT 2",
]

PLAIN_READS = [
    "SELECT 1",
    "( SELECT 1 )",
    "( ( SELECT 1 ) UNION ( SELECT 2 ) )",
    "SELECT * FROM a JOIN ( b CROSS JOIN c ) ON a . x = b . x WHERE b . y IN ( 1 , 2 )",
    "SELECT COUNT(*), MAX(a), CONCAT('a', b) FROM t GROUP BY a HAVING COUNT(*) > 1",
    "SELECT INSERT('abc', 1, 1, 'x'), REPLACE('a', 'b', 'c'), VALUES(a) FROM t",
    "SELECT CASE WHEN ( a ) THEN ( b ) ELSE ( c ) END FROM t WHERE NOT ( a ) OR EXISTS ( TABLE u )",
    "SELECT CAST(a AS CHAR(5)), CONVERT(a, DECIMAL(10,2)), INTERVAL(1,2) FROM t",
    "SELECT ROW_NUMBER() OVER ( PARTITION BY a ) FROM t WINDOW w AS ( ORDER BY a )",
    "SELECT * FROM t WHERE MATCH (a) AGAINST ('x' IN BOOLEAN MODE)",
    "SELECT * FROM t USE INDEX (i) PARTITION (p) WHERE (a, b) = ROW(1, 2)",
    "SELECT * FROM JSON_TABLE('[]', '$' COLUMNS (a INT PATH '$', NESTED PATH '$' COLUMNS (b INT)))",
    "SELECT * FROM ( SELECT 1 ) AS d (a)",
    "SELECT SUBSTRING('abc' FROM 1 FOR 2), SLEEP(1), GROUP_CONCAT(a SEPARATOR ',') FROM t",
    "WITH c AS ( SELECT 1 ) SELECT * FROM c",
    "WITH RECURSIVE c (n) AS ( SELECT 1 UNION ALL SELECT n + 1 FROM c ) SELECT n FROM c",
    "SHOW TABLES",
    "SHOW CREATE TABLE t",
    "SHOW GRANTS FOR u",
    "SHOW VARIABLES LIKE 'a%'",
    "DESC t",
    "DESCRIBE t a",
    "EXPLAIN SELECT * FROM t",
    "EXPLAIN ANALYZE SELECT * FROM t",
    "ANALYZE SELECT * FROM t",
    "ANALYZE FORMAT = JSON SELECT * FROM t",
    "TABLE t ORDER BY a LIMIT 1",
    "VALUES ROW(1, 2), ROW(3, 4)",
    "HELP 'select'",
    "SELECT @a, @@version, @@SESSION . sql_mode",
    "SELECT 'it''s', \"GET_LOCK(\", `INTO` FROM t",
    "SELECT %s, %(name)s FROM t LIMIT %s",
]

#: Statements that do more than read, or of which nobody can tell.
NO_PLAIN_READS = [
    "SELECT f()",
    "SELECT f ( 1 )",
    "SELECT d.f(1)",
    "SELECT `f`(1)",
    'SELECT "f"(1)',
    "SELECT d.count(1)",
    "SELECT `now`()",
    "SELECT \u00e9tat()",
    "SELECT [f](1)",
    "SELECT (SELECT f(a) FROM t)",
    "SHOW TABLES WHERE f(1)",
    "SELECT * FROM t FOR UPDATE",
    "SELECT * FROM t FOR SHARE SKIP LOCKED",
    "SELECT * FROM t LOCK IN SHARE MODE",
    "( SELECT * FROM t ) FOR UPDATE",
    "SELECT * INTO OUTFILE 'f' FROM t",
    "SELECT * INTO DUMPFILE 'f' FROM t",
    "SELECT SQL_CALC_FOUND_ROWS * FROM t",
    "SELECT NEXTVAL(s)",
    "SELECT s.nextval",
    "SELECT NEXT VALUE FOR s",
    "SELECT SETVAL(s, 5)",
    "SELECT RELEASE_LOCK('a')",
    "SELECT RELEASE_ALL_LOCKS()",
    "SELECT * FROM t PROCEDURE ANALYSE()",
    "WITH c AS ( SELECT 1 ) UPDATE t SET a = 1",
    "WITH c AS ( SELECT 1 ) DELETE FROM t",
    "EXPLAIN ANALYZE UPDATE t SET a = 1",
    "EXPLAIN DELETE FROM t",
    "ANALYZE UPDATE t SET a = 1",
    "ANALYZE FORMAT = JSON DELETE FROM t",
    "ANALYZE TABLE t",
    "ANALYZE TABLE t UPDATE HISTOGRAM ON a",
    "SET STATEMENT max_statement_time = 1 FOR SELECT 1",
    "HANDLER t READ FIRST",
    "CALL p()",
    "DO 1",
    "XA RECOVER",
    "INSERT INTO t SELECT 1",
    "SELECT 1 ; SELECT 2",
    "",
    ";",
    "(((",
    "what is this",
]

#: What may stand between two tokens.
GAPS = [
    *(" ", "\n", "\t", "\r\n", "  ", "/* a */", "/**/", "/* ' */", '/* " ` */', "/* # -- */"),
    *("# a ' \"\n", "#\n", "-- a `\n", "--\n", "--\t'\n", "/*+ MAX_EXECUTION_TIME(9) */"),
]

TOKENS = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|[\w$.%]+|:=|@@|\S")


def respelled(sql: str) -> st.SearchStrategy[str]:
    """Return ways to write the same: letter case, white space and comments between tokens."""
    tokens = TOKENS.findall(sql)

    def spell(token: str) -> st.SearchStrategy[str]:
        if token[0] in "'\"":
            return st.just(token)
        return st.sampled_from([token.lower(), token.upper(), token.capitalize(), token.swapcase()])

    def joined(parts: tuple[list[str], list[str]]) -> str:
        words, gaps = parts
        return "".join(itertools.chain(*zip(gaps, words, strict=False), gaps[len(words) :]))

    gap = st.lists(st.sampled_from(GAPS), min_size=1, max_size=2).map("".join)
    return st.tuples(
        st.tuples(*[spell(token) for token in tokens]).map(list),
        st.lists(gap, min_size=len(tokens) + 1, max_size=len(tokens) + 1),
    ).map(joined)


@st.composite
def any_spelling(draw: st.DrawFn, statements: list[Any]) -> tuple[Any, str]:
    """Draw one of ``statements`` (or of pairs that begin with one) and a way to write it."""
    case = draw(st.sampled_from(statements))
    sql = case if isinstance(case, str) else case[0]
    return case, draw(respelled(sql))


# -- pins ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sql", "kind"), PINNING)
def test_what_a_new_session_would_not_have_pins(sql: str, kind: str) -> None:
    """Each statement that leaves state in its session pins it, by the kind of state."""
    effect = classify(sql)
    assert kind in effect.pins
    assert not effect.read


@unhurried
@given(any_spelling(PINNING))
def test_no_spelling_hides_a_pin(case: tuple[tuple[str, str], str]) -> None:
    """Letter case, white space and comments change nothing about what pins."""
    (_, kind), sql = case
    effect = classify(sql)
    assert kind in effect.pins
    assert not effect.read


@pytest.mark.parametrize("sql", NOT_PINNING)
def test_nothing_else_pins(sql: str) -> None:
    """A statement that leaves nothing behind does not keep the session from being given up."""
    assert classify(sql).pins == frozenset()


@unhurried
@given(any_spelling(NOT_PINNING))
def test_no_spelling_makes_a_pin(case: tuple[str, str]) -> None:
    """Letter case, white space and comments pin nothing."""
    _, sql = case
    assert classify(sql).pins == frozenset()


@pytest.mark.parametrize(
    "hiding",
    [
        "'{}'",
        '"{}"',
        "`{}`",
        "/* {} */",
        "/*{}*/",
        "# {}\n",
        "#{}",
        "-- {}\n",
        "--\t{}",
        "'a''{}'",
        "'{}' 'b'",
        '"a""{}"',
        "`a``{}`",
        "'\\\\' '{}'",
        "'\"{}\"'",
        "/* ' */ '{}'",
        "/*+ {} */",
    ],
)
@pytest.mark.parametrize(
    "words", ["GET_LOCK(1)", "INTO @a", "@a := 1", "; LOCK TABLES t READ", "FOR UPDATE", "f(1)"]
)
def test_quoted_words_do_not_count(hiding: str, words: str) -> None:
    """What is in a string, a quoted name or a comment does nothing."""
    assert classify("SELECT " + hiding.format(words)).read


@pytest.mark.parametrize(
    "opening", ["'a' ", "'a''b' ", "'' ", '"a" ', "`a` ", "/**/ ", "/* /* */ ", "'--' ", "--1 , "]
)
def test_what_is_closed_hides_nothing_more(opening: str) -> None:
    """Behind the end of a quoted thing words count again; ``--1`` is arithmetic."""
    assert classify(f"SELECT {opening} , GET_LOCK('a', 1)").pins == {"lock"}


@pytest.mark.parametrize(
    "sql",
    [
        # NO_BACKSLASH_ESCAPES: '\' is a whole string.
        r"SELECT '\', GET_LOCK('a', 1), '\''",
        r'SELECT "\", GET_LOCK("a", 1), "\""',
        # The default: \' is a quote within the string.
        r"SELECT '\'', GET_LOCK('a', 1)",
        # ANSI_QUOTES: a name has no escapes, and a string has.
        r"""SELECT "\", GET_LOCK('\'a', 1), "\"" """,
        # ANSI_QUOTES: a native function under a quoted name.
        "SELECT \"GET_LOCK\"('a', 1)",
        r"SELECT '\\', GET_LOCK('a', 1)",
    ],
)
def test_a_text_is_read_as_each_sql_mode_reads_it(sql: str) -> None:
    """What pins by any reading that the sql_mode could make the server take pins."""
    effect = classify(sql)
    assert "lock" in effect.pins
    assert not effect.read


def test_readings_that_agree_are_believed() -> None:
    """A backslash or a double quote alone takes nothing from a plain read."""
    assert classify(r"""SELECT * FROM t WHERE a = 'it\'s' AND b = "x" AND c = 'y\n'""").read
    assert classify(r"SET time_zone = '+01:00', lc_time_names = fr_FR /* \ */").replay == (
        ("time_zone", "SET SESSION time_zone='+01:00'"),
        ("lc_time_names", "SET SESSION lc_time_names=fr_FR"),
    )


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        (r"SET time_zone = '\', sql_notes = 0, time_zone = '+01:00\''", "session variable"),
        (r"USE `a` /* '\' */ -- '", None),
        (r"USE `a` '\' , `b` '", "database"),
    ],
)
def test_readings_that_do_not_agree_are_not_replayed(sql: str, kind: str | None) -> None:
    """What would be set again only by one of two readings pins instead."""
    effect = classify(sql)
    assert (kind in effect.pins) if kind else effect.database == "a"
    assert effect.replay == ()


@pytest.mark.parametrize(
    "sql",
    [
        "/*! SET @a = 1 */",
        "/*!50000 SELECT 1 */",
        "SELECT /*M!100000 GET_LOCK('a', 1) */ 1",
        "SELECT 1 /*!99999 FOR UPDATE */",
        "/*!40000 COMMIT */",
        "/* a */ /*! x",
    ],
)
def test_an_executable_comment_may_do_anything(sql: str) -> None:
    """Whether the server runs what is in ``/*! */`` nobody knows: it pins, and may commit."""
    effect = classify(sql)
    assert effect.pins == {"executable comment"}
    assert effect.commits
    assert not effect.read


@pytest.mark.parametrize(
    "sql", ["SELECT '/*! SET @a = 1 */'", "SELECT 1 /* /*! FOR UPDATE */", "SELECT 1 # /*! x"]
)
def test_an_executable_comment_within_something_is_none(sql: str) -> None:
    """A string or a comment hides the mark of an executable comment, too."""
    assert classify(sql).read


# -- reads -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sql", PLAIN_READS)
def test_plain_reads_are_known(sql: str) -> None:
    """What only reads is seen to."""
    assert classify(sql).read
    assert classify(f"{sql};").read


@unhurried
@given(any_spelling(PLAIN_READS))
def test_a_plain_read_is_one_in_any_spelling(case: tuple[str, str]) -> None:
    """Letter case, white space and comments change nothing about a plain read."""
    _, sql = case
    assert classify(sql) in {PLAIN_READ, Effect(read=True, asks=True)}


@pytest.mark.parametrize("sql", NO_PLAIN_READS)
def test_what_may_do_more_is_no_plain_read(sql: str) -> None:
    """What writes, locks, remembers, or calls what may be a stored function is no plain read."""
    assert not classify(sql).read


@unhurried
@given(any_spelling(NO_PLAIN_READS))
def test_no_spelling_makes_a_plain_read(case: tuple[str, str]) -> None:
    """Letter case, white space and comments make a plain read of nothing."""
    _, sql = case
    assert not classify(sql).read


@unhurried
@given(st.from_regex(r"[A-Za-z_\u00e0-\u00ff][\w$]{0,20}", fullmatch=True))
def test_an_unknown_function_is_no_plain_read(name: str) -> None:
    """A name that is no known function and no word of the grammar may be a stored function."""
    known = name.upper() in session._KNOWN
    assert classify(f"SELECT {name}(1) FROM t").read == (known and name.upper() != "LAST_INSERT_ID")


@pytest.mark.parametrize(
    ("sql", "kinds"),
    [
        ("SELECT SQL_CALC_FOUND_ROWS * FROM t LIMIT 1", {"found rows"}),
        ("select sql_calc_found_rows * from t", {"found rows"}),
        ("SELECT FOUND_ROWS()", set()),
        ("SELECT 'SQL_CALC_FOUND_ROWS'", set()),
    ],
)
def test_found_rows_are_for_the_next_statement(sql: str, kinds: set[str]) -> None:
    """SQL_CALC_FOUND_ROWS leaves something that only the next statement can ask for."""
    assert classify(sql).next_only == kinds


@pytest.mark.parametrize(
    ("sql", "asks"),
    [
        ("SELECT ROW_COUNT()", True),
        ("SELECT FOUND_ROWS ( )", True),
        ("SELECT `row_count`()", True),
        ("SHOW WARNINGS", True),
        ("SHOW COUNT(*) WARNINGS", True),
        ("SHOW ERRORS LIMIT 1", True),
        ("GET DIAGNOSTICS CONDITION 1 @a = MESSAGE_TEXT", True),
        ("SELECT @@warning_count", True),
        ("SELECT @@SESSION.error_count", True),
        ("SET @a = ROW_COUNT()", True),
        ("INSERT INTO t VALUES (ROW_COUNT())", True),
        ("SELECT 1; SHOW WARNINGS", True),
        ("SELECT 1", False),
        ("SELECT warnings, row_count, warning_count FROM errors", False),
        ("SELECT 'ROW_COUNT()'", False),
        # Looking at the server's load leaves it as it is.
        ("SELECT LAST_INSERT_ID()", False),
    ],
)
def test_who_asks_for_the_last_statement(sql: str, asks: bool) -> None:
    """Seen are the functions, statements and variables that tell of the statement before."""
    assert classify(sql).asks is asks


# -- transactions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("BEGIN", {"begins", "commits"}),
        ("BEGIN WORK", {"begins", "commits"}),
        ("START TRANSACTION", {"begins", "commits"}),
        ("START TRANSACTION READ ONLY, WITH CONSISTENT SNAPSHOT", {"begins", "commits"}),
        ("START REPLICA", {"commits"}),
        ("COMMIT", {"ends"}),
        ("COMMIT WORK", {"ends"}),
        ("COMMIT AND CHAIN", {"ends", "begins"}),
        ("COMMIT AND NO CHAIN", {"ends"}),
        ("COMMIT AND NO  CHAIN NO RELEASE", {"ends"}),
        ("COMMIT RELEASE", {"ends"}),
        ("ROLLBACK", {"ends", "rolls_back"}),
        ("ROLLBACK WORK AND CHAIN NO RELEASE", {"ends", "rolls_back", "begins"}),
        ("ROLLBACK TO SAVEPOINT a", set()),
        ("ROLLBACK WORK TO a", set()),
        ("SAVEPOINT a", set()),
        ("RELEASE SAVEPOINT a", set()),
        ("XA COMMIT 'x'", {"commits"}),
        ("XA ROLLBACK 'x'", {"commits"}),
        ("SET autocommit = 1", {"commits"}),
        ("SET SESSION `autocommit` = ON", {"commits"}),
        ("SET @@autocommit = @x", {"commits"}),
        ("SET autocommitted = 1", set()),
        ("CALL p()", {"commits"}),
        ("EXECUTE s", {"commits"}),
        ("BEGIN NOT ATOMIC COMMIT; END", {"commits"}),
        ("SELECT 1; COMMIT", {"commits"}),
        ("INSERT INTO t VALUES (1)", set()),
        ("SELECT 1", set()),
        ("SET @a = 1", set()),
        ("CREATE TEMPORARY TABLE t (a INT)", set()),
        ("DROP TEMPORARY TABLE t", set()),
        ("DROP PREPARE s", set()),
        ("LOAD DATA INFILE 'f' INTO TABLE t", set()),
        ("KILL 5", set()),
    ],
)
def test_transactions(sql: str, expected: set[str]) -> None:
    """What begins, ends, rolls back or commits a transaction is told apart."""
    effect = classify(sql)
    flags = {"begins", "ends", "rolls_back", "commits"}
    assert {flag for flag in flags if getattr(effect, flag)} == expected


#: MySQL manual, "Statements That Cause an Implicit Commit".
IMPLICIT_COMMITS = """
    ALTER EVENT e ENABLE|ALTER PROCEDURE p COMMENT 'x'|ALTER SERVER s OPTIONS (USER 'x')
    ALTER TABLE t ADD a INT|ALTER TABLESPACE t RENAME TO u|ALTER VIEW v AS SELECT 1
    CREATE DATABASE d|CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1|CREATE INDEX i ON t (a)
    CREATE TABLE t (temporary INT)|CREATE UNIQUE INDEX i ON t (a)|CREATE ROLE r
    CREATE OR REPLACE VIEW v AS SELECT 1|DROP DATABASE d|DROP TABLE t|DROP VIEW v
    INSTALL PLUGIN p SONAME 's'|RENAME TABLE a TO b|TRUNCATE TABLE t|UNINSTALL PLUGIN p
    ALTER USER u ACCOUNT LOCK|CREATE USER u|DROP USER u|GRANT ALL ON d.* TO u|RENAME USER a TO b
    REVOKE ALL ON d.* FROM u|SET PASSWORD = 'x'|BEGIN|LOCK TABLES t READ|UNLOCK TABLES
    SET autocommit = 1|START TRANSACTION|ANALYZE TABLE t|CACHE INDEX t IN c|CHECK TABLE t
    FLUSH STATUS|LOAD INDEX INTO CACHE t|OPTIMIZE TABLE t|REPAIR TABLE t|RESET BINARY LOGS AND GTIDS
    START REPLICA|STOP REPLICA|RESET REPLICA|CHANGE REPLICATION SOURCE TO SOURCE_HOST = 'x'
    CHANGE MASTER TO MASTER_HOST = 'x'|IMPORT TABLE FROM 'f'|CLONE LOCAL DATA DIRECTORY 'd'
"""


@pytest.mark.parametrize(
    "sql", [sql.strip() for sql in re.split(r"[|\n]", IMPLICIT_COMMITS) if sql.strip()]
)
def test_implicit_commits(sql: str) -> None:
    """Statements that commit what is open are known to."""
    assert classify(sql).commits


@pytest.mark.parametrize(
    ("sql", "kinds"),
    [
        ("UNLOCK TABLES", {"table locks"}),
        ("UNLOCK TABLE", {"table locks"}),
        ("UNLOCK INSTANCE", {"backup lock"}),
        ("DO RELEASE_ALL_LOCKS()", {"lock"}),
        ("SELECT RELEASE_ALL_LOCKS();", {"lock"}),
        ("SELECT RELEASE_ALL_LOCKS() FROM t", set()),
        ("SELECT RELEASE_LOCK('a')", set()),
        ("XA COMMIT 'x' ONE PHASE", {"XA transaction"}),
        ("XA ROLLBACK 'x'", {"XA transaction"}),
        ("COMMIT", {"next transaction"}),
        ("ROLLBACK", {"next transaction"}),
        ("COMMIT AND CHAIN", set()),
        ("ROLLBACK TO a", set()),
        ("DEALLOCATE PREPARE s", set()),
        ("DROP TEMPORARY TABLE t", set()),
        ("HANDLER t CLOSE", set()),
        ("UNLOCK TABLES; SELECT 1", set()),
    ],
)
def test_what_ends_state(sql: str, kinds: set[str]) -> None:
    """Only what surely ends all state of a kind unpins it."""
    assert classify(sql).unpins == kinds


# -- SET and USE -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "replay"),
    [
        ("SET time_zone = '+01:00'", [("time_zone", "SET SESSION time_zone='+01:00'")]),
        ("SET time_zone := '+01:00'", [("time_zone", "SET SESSION time_zone='+01:00'")]),
        ("SET SESSION TIME_ZONE='+01:00'", [("time_zone", "SET SESSION time_zone='+01:00'")]),
        ("SET LOCAL time_zone = SYSTEM", [("time_zone", "SET SESSION time_zone=SYSTEM")]),
        ("SET @@time_zone = '+01:00'", [("time_zone", "SET SESSION time_zone='+01:00'")]),
        ("SET @@SESSION.time_zone = 'x'", [("time_zone", "SET SESSION time_zone='x'")]),
        ("SET @@local . `time_zone` = 'x';", [("time_zone", "SET SESSION time_zone='x'")]),
        ('SET time_zone = "+01:00"', [("time_zone", "SET SESSION time_zone='+01:00'")]),
        ("SET sql_mode = ''", [("sql_mode", "SET SESSION sql_mode=''")]),
        ("SET sql_mode = ANSI", [("sql_mode", "SET SESSION sql_mode=ANSI")]),
        ("SET sql_mode = DEFAULT", [("sql_mode", "SET SESSION sql_mode=DEFAULT")]),
        ("SET net_read_timeout = 30", [("net_read_timeout", "SET SESSION net_read_timeout=30")]),
        ("SET sql_select_limit = -1", [("sql_select_limit", "SET SESSION sql_select_limit=-1")]),
        (
            "SET max_statement_time = 1.5",
            [("max_statement_time", "SET SESSION max_statement_time=1.5")],
        ),
        (
            "SET max_statement_time = .5",
            [("max_statement_time", "SET SESSION max_statement_time=.5")],
        ),
        (
            "SET foreign_key_checks = OFF",
            [("foreign_key_checks", "SET SESSION foreign_key_checks=OFF")],
        ),
        (
            "SET character_set_results = NULL",
            [("character_set_results", "SET SESSION character_set_results=NULL")],
        ),
        ("SET AUTOCOMMIT = 0", [("autocommit", "SET SESSION autocommit=0")]),
        ("SET SQL_AUTO_IS_NULL = 0", [("sql_auto_is_null", "SET SESSION sql_auto_is_null=0")]),
        ("SET NAMES utf8mb4", [("names", "SET NAMES utf8mb4")]),
        (
            "SET NAMES 'utf8mb4' COLLATE utf8mb4_bin",
            [("names", "SET NAMES 'utf8mb4' COLLATE utf8mb4_bin")],
        ),
        ("SET NAMES DEFAULT", [("names", "SET NAMES DEFAULT")]),
        ("set names binary", [("names", "SET NAMES binary")]),
        ("SET CHARACTER SET 'latin1'", [("names", "SET CHARACTER SET 'latin1'")]),
        ("SET CHARSET latin1", [("names", "SET CHARSET latin1")]),
        (
            "SET NAMES utf8mb4, SESSION sql_notes = 0, time_zone = 'x'",
            [
                ("names", "SET NAMES utf8mb4"),
                ("sql_notes", "SET SESSION sql_notes=0"),
                ("time_zone", "SET SESSION time_zone='x'"),
            ],
        ),
        (
            "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
            [
                (
                    "transaction_isolation",
                    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
                )
            ],
        ),
        (
            "SET LOCAL TRANSACTION READ ONLY, ISOLATION LEVEL SERIALIZABLE",
            [
                ("transaction_read_only", "SET SESSION TRANSACTION READ ONLY"),
                ("transaction_isolation", "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE"),
            ],
        ),
        (
            "SET tx_isolation = 'READ-COMMITTED'",
            [("transaction_isolation", "SET SESSION tx_isolation='READ-COMMITTED'")],
        ),
        (
            "SET @@SESSION.transaction_read_only = 1",
            [("transaction_read_only", "SET SESSION transaction_read_only=1")],
        ),
        # The last keyword counts on, a variable's own prefix does not.
        ("SET GLOBAL sort_buffer_size = 1, time_zone = 'x'", []),
        (
            "SET GLOBAL sort_buffer_size = 1, SESSION sql_notes = 0, sql_warnings = 1",
            [
                ("sql_notes", "SET SESSION sql_notes=0"),
                ("sql_warnings", "SET SESSION sql_warnings=1"),
            ],
        ),
        (
            "SET @@GLOBAL.sort_buffer_size = 1, sql_notes = 0",
            [("sql_notes", "SET SESSION sql_notes=0")],
        ),
        (
            "SET GLOBAL sort_buffer_size = 1, @@sql_notes = 0",
            [("sql_notes", "SET SESSION sql_notes=0")],
        ),
    ],
)
def test_what_is_set_again(sql: str, replay: list[tuple[str, str]]) -> None:
    """A literal that sets a session variable is set again, and the server's flag is explained."""
    effect = classify(sql)
    assert list(effect.replay) == replay
    assert effect.explained
    assert effect.pins == frozenset()


@unhurried
@given(
    any_spelling(["SET SESSION time_zone = '+01:00' , @@SESSION . sql_notes = 0 , NAMES latin1"])
)
def test_a_set_is_understood_in_any_spelling(case: tuple[str, str]) -> None:
    """Letter case, white space and comments change nothing but the case of words set again."""
    _, sql = case
    assert [(key, text.upper()) for key, text in classify(sql).replay] == [
        ("time_zone", "SET SESSION TIME_ZONE='+01:00'"),
        ("sql_notes", "SET SESSION SQL_NOTES=0"),
        ("names", "SET NAMES LATIN1"),
    ]


@unhurried
@given(
    name=st.sampled_from(sorted(REPLAYABLE)),
    value=st.one_of(
        st.from_regex(r"'[^'\\]*'", fullmatch=True),
        st.from_regex(r'"[^"\'\\]*"', fullmatch=True),
        st.from_regex(r"[-+]?[0-9]+(\.[0-9]+)?", fullmatch=True),
    ),
    scope=st.sampled_from(["", "SESSION ", "LOCAL ", "@@SESSION.", "@@LOCAL."]),
)
def test_a_literal_is_set_again_as_it_was(name: str, value: str, scope: str) -> None:
    """The text set again gives the same value; "..." becomes '...', which no sql_mode changes."""
    effect = classify(f"SET {scope}{name} = {value}")
    ((_, text),) = effect.replay
    assert text == f"SET SESSION {name}=" + (f"'{value[1:-1]}'" if value[0] == '"' else value)
    again = classify(text)
    assert again.replay == effect.replay


@pytest.mark.parametrize(
    "value",
    [
        *(
            "'a\\'b'",
            "'a''b'",
            '"a\'b"',
            "'a' 'b'",
            "%s",
            "%(zone)s",
            "",
            "'unclosed",
            "- -1",
            "a.b",
        ),
        *("N'x'", "_utf8mb4'x'", "x'41'", "(1)", "1 + 1", "@a", "@@sql_mode", "CURRENT_TIMESTAMP"),
        *("f()", "CONCAT('a')", "1 = 1", "'a', @a = 1", "'a', time_zone", "\u00e9"),
    ],
)
def test_what_is_no_plain_literal_pins(value: str) -> None:
    """A value that has to be worked out, or that could be read in two ways, is not set again."""
    effect = classify(f"SET time_zone = {value}")
    assert effect.pins & {"session variable", "user variable"}
    assert all(key != "time_zone" or "'a'" in text for key, text in effect.replay)


@pytest.mark.parametrize(
    "sql",
    [
        *("SET", "SET ,", "SET =", "SET x", "SET x =", "SET @@", "SET @@SESSION.", "SET NAMES"),
        *(
            "SET NAMES utf8mb4 COLLATE",
            "SET NAMES utf8mb4 x y",
            "SET CHARACTER",
            "SET CHARACTER SET",
        ),
        *("SET CHARACTER SET latin1 COLLATE x", "SET SESSION TRANSACTION", "SET STATEMENT"),
        *("SET SESSION TRANSACTION ISOLATION", "SET STATEMENT a = 1 FOR SET time_zone = 'x'"),
        *("SET cache.key_buffer_size = 1", "SET @@cache.key_buffer_size = 1", "SET GLOBAL x = f()"),
    ],
)
def test_a_set_that_is_not_understood_pins(sql: str) -> None:
    """Whatever SET there may be: what is not understood is kept."""
    assert classify(sql).pins == {"session variable"}


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("USE shop", "shop"),
        ("use Shop;", "Shop"),
        ("USE `my shop`", "my shop"),
        ("/* a */ USE -- b\n `shop` # c", "shop"),
        ('USE "shop"', "shop"),
        ("USE 1a$", "1a$"),
        ("USE caf\u00e9", "caf\u00e9"),
    ],
)
def test_use_selects_a_database(sql: str, name: str) -> None:
    """The name behind USE, in the letters in which it is written."""
    assert classify(sql).database == name
    assert classify(sql).explained


@pytest.mark.parametrize("sql", ["USE", "USE a b", "USE `a``b`", "USE `", "USE 'a'", "USE @a"])
def test_a_database_that_cannot_be_told_pins(sql: str) -> None:
    """A USE whose name is in doubt is kept instead of being repeated wrongly."""
    assert classify(sql).database is None
    assert classify(sql).pins == {"database"}


@pytest.mark.parametrize(
    ("sql", "explained"),
    [
        ("SET time_zone = 'x'", True),
        ("SET GLOBAL max_connections = 5", True),
        ("USE a", True),
        ("BEGIN", True),
        ("COMMIT", True),
        ("SAVEPOINT a", True),
        ("DROP TEMPORARY TABLE t", True),
        ("DEALLOCATE PREPARE s", True),
        ("XA COMMIT 'x'", True),
        ("SET STATEMENT max_statement_time = 1 FOR SELECT 1", True),
        ("SET STATEMENT max_statement_time = 1 FOR SELECT f()", False),
        ("CALL p()", False),
        ("SELECT f()", False),
        ("INSERT INTO t VALUES (1)", False),
        ("EXECUTE s", False),
        ("SELECT 1; SELECT 2", False),
        ("DROP TABLE t", False),
    ],
)
def test_whose_flag_is_explained(sql: str, explained: bool) -> None:
    """After other statements the server's "session state changed" tells what the text does not."""
    assert classify(sql).explained is explained


# -- any text --------------------------------------------------------------------------------------

FRAGMENTS = [
    *(
        "'",
        '"',
        "`",
        "\\",
        "''",
        "\\'",
        "/*",
        "*/",
        "/*!",
        "/*M!",
        "#",
        "--",
        "-- ",
        "\n",
        " ",
        ";",
    ),
    *("(", ")", ",", ".", "@", "@@", ":=", "=", "%s", "\x00", "\xa0", "\u00e9", "\U0001f600"),
    *("SELECT", "SET", "USE", "BEGIN", "INTO", "GET_LOCK", "LAST_INSERT_ID", "ROW_COUNT", "FOR"),
    *(
        "UPDATE",
        "SESSION",
        "GLOBAL",
        "TRANSACTION",
        "NAMES",
        "STATEMENT",
        "time_zone",
        "WITH",
        "AS",
    ),
    *("XA", "HANDLER", "OPEN", "LOCK", "TABLES", "ANALYZE", "COMMIT", "TO", "INSERT", "a", "1"),
]
TEXTS = st.one_of(st.text(), st.lists(st.sampled_from(FRAGMENTS)).map(" ".join))
DENSE = st.lists(st.sampled_from(FRAGMENTS)).map("".join)


@unhurried
@given(st.one_of(TEXTS, DENSE))
@example("SET")
@example("\\")
@example("'\\")
def test_any_text_has_an_effect(sql: str) -> None:
    """No text makes it raise, and what is read is read in a way that fits together."""
    effect = classify(sql)
    assert not (effect.read and (effect.pins or effect.commits or effect.replay or effect.begins))
    assert not effect.rolls_back or effect.ends
    assert effect_of(sql) == effect_of(sql) == effect


@pytest.mark.parametrize(
    ("sql", "runs"),
    [
        ("CALL p()", True),
        ("CALL p(@a)", True),
        ("EXECUTE p", True),
        ("EXECUTE IMMEDIATE 'SELECT 1'", True),
        ("SELECT 1; SELECT 2", True),
        ("BEGIN NOT ATOMIC SELECT 1; END", True),
        ("/*! SELECT 1 */", True),
        ("SET STATEMENT max_statement_time=1 FOR CALL p()", True),
        ("INSERT INTO t VALUES ('\\'; SELECT 1')", True),
        ("SELECT 1", False),
        ("INSERT INTO t VALUES (1)", False),
        ("CREATE TABLE t (n INT)", False),
        ("COMMIT", False),
        ("SET @a = 1", False),
    ],
)
def test_what_may_fail_half_done(sql: str, runs: bool) -> None:
    """Several statements, and those that run others, in whatever way the text can be read."""
    assert classify(sql).runs is runs


@unhurried
@given(DENSE, DENSE)
def test_a_text_of_two_readings_is_judged_by_the_worse(before: str, after: str) -> None:
    """What any sql_mode's reading pins is pinned, and a plain read is one by all of them."""
    sql = f"SELECT {before}\\{after}"
    effect = classify(sql)
    for escaping in ("'\"", "'", ""):
        reading = session._effect(session._tokens(sql, escaping))
        assert effect.pins >= reading.pins
        assert effect.read <= reading.read
        assert effect.commits >= reading.commits


@unhurried
@given(st.sampled_from(["INSERT INTO t ", "replace t ", "UPDATE t SET ", "DELETE FROM t "]), TEXTS)
@example("replace t ", "SELECT 1 INTO @a")
@example("INSERT INTO t ", "SELECT 1 INTO @a")
def test_the_short_cut_for_changes_of_rows_is_one(verb: str, rest: str) -> None:
    """A text that need not be cut into tokens says the same as its tokens."""
    sql = verb + rest
    if session._changes_rows_only(sql):
        assert all(session._effect(tokens) == OTHER for tokens in session._readings(sql))


# -- the work --------------------------------------------------------------------------------------

#: Texts that grow: each is of ``n`` times something that could make a reader go back.
GROWING: dict[str, Callable[[int], str]] = {
    "unclosed string of escapes": lambda n: "SELECT '" + "\\'" * n,
    "unclosed string of backslashes": lambda n: "SELECT '" + "\\" * n,
    "quotes behind backslashes": lambda n: "SELECT '" + "\\\\'" * n,
    "doubled quotes": lambda n: "SELECT " + "''" * n,
    "unclosed double quotes": lambda n: 'SELECT "' + '\\"' * n,
    "unclosed backquotes": lambda n: "SELECT `" + "``" * n,
    "unclosed comments": lambda n: "SELECT " + "/* " * n,
    "closed comments": lambda n: "SELECT " + "/**/" * n,
    "stars": lambda n: "SELECT /*" + "*" * n,
    "dashes": lambda n: "SELECT " + "-" * n,
    "line comments": lambda n: "SELECT " + "-- a\n#b\n" * n,
    "parentheses": lambda n: "(" * n + "SELECT 1" + ")" * n,
    "open parentheses": lambda n: "SELECT " + "(" * n,
    "a long word": lambda n: "SELECT " + "a" * n,
    "long names": lambda n: "SELECT " + "a.b .c" * n,
    "white space": lambda n: "SELECT" + " " * n + "1",
    "calls": lambda n: "SELECT " + "NOW(), " * n,
    "targets": lambda n: "SELECT 1 " + "INTO a, " * n,
    "targets without end": lambda n: "SELECT 1 INTO a" + ", a" * n,
    "semicolons": lambda n: "SELECT 1" + "; SELECT 1" * n,
    "empty statements": lambda n: ";" * n + "x",
    "assignments": lambda n: "SET time_zone='x'" + ", time_zone='x'" * n,
    "set statements": lambda n: "SET STATEMENT a=1 FOR " * n,
    "blocks": lambda n: "BEGIN NOT ATOMIC " * n + ";",
    "asking": lambda n: "SELECT " + "@@warning_count, ROW_COUNT() " * n,
    "values": lambda n: "INSERT INTO t VALUES " + "('a', ';')," * n,
    "at signs": lambda n: "SELECT " + "@" * n,
}


class Steps:
    """Counts what classifying does: calls of Python and C functions, and characters given out."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, frame: Any, event: str, arg: Any) -> None:
        """Be the profiler: one step for each call, and for each piece that is cut off."""
        if event in {"call", "c_call"}:
            self.count += 1
        elif event == "return" and isinstance(arg, (str, list, tuple)):
            self.count += len(arg)


def steps(sql: str) -> int:
    """Return how many steps ``sql`` takes."""
    counter = Steps()
    before = sys.getprofile()
    sys.setprofile(counter)
    try:
        classify(sql)
    finally:
        sys.setprofile(before)
    return counter.count


@pytest.mark.parametrize("kind", GROWING)
def test_the_work_grows_with_the_text_and_no_faster(kind: str) -> None:
    """A text of twice the length takes at most a little more than twice the steps."""
    make = GROWING[kind]
    steps(make(50))
    short, long = steps(make(200)), steps(make(400))
    assert long <= 2 * short + 50


@pytest.mark.parametrize("kind", GROWING)
def test_a_text_of_a_megabyte_is_classified(kind: str) -> None:
    """Nothing recurses or blows up with a long text."""
    make = GROWING[kind]
    assert isinstance(classify(make(2**20 // max(1, len(make(2)) - len(make(1))))), Effect)


def patterns() -> Iterator[re.Pattern[str]]:
    """Yield the module's regular expressions."""
    for value in vars(session).values():
        if isinstance(value, re.Pattern):
            yield value


def test_no_pattern_can_go_back_far() -> None:
    """Each repetition is of single characters and without a bound at most once in a branch.

    So a match is at worst the length of the text, whatever the text; the steps that are counted
    above are then all the work there is.
    """
    found = list(patterns())
    assert found
    for pattern in found:
        simple = re.sub(r"\\.|\[(?:\\.|[^\]])*\]", "x", pattern.pattern)
        assert not re.search(r"\)[*+{]", simple), "a group is repeated"
        for branch in simple.split("|"):
            assert len(re.findall(r"[*+]", re.sub(r"\\x", "", branch))) <= 1


# -- the memory ------------------------------------------------------------------------------------


def test_effects_are_remembered_by_text() -> None:
    """The same text is classified once; a program of ever new texts does not fill the memory."""
    assert effect_of("SELECT 1 FROM remembered") is effect_of("SELECT 1 FROM remembered")
    for number in range(2 * session._CACHE_SIZE):
        effect_of(f"SELECT {number}")
        assert len(session.known_effects) <= session._CACHE_SIZE
    long = "SELECT '" + "x" * session._LONG + "'"
    effect_of(long)
    assert long not in session.known_effects
