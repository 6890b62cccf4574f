"""What the server refuses: class, arguments and sqlstate are PyMySQL's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.differential.harness import Both, Side
from tests.fix_servers import Backend
from tests.servers import Server

#: A statement a line, each of which a server refuses for a reason of its own.
STATEMENTS = r"""
SELEC 1
SELECT 'unfinished
SELECT * FROM nothing
SELECT nothing FROM t
SELECT t.nothing FROM t
SELECT * FROM nowhere.nothing
USE nowhere
DROP TABLE nothing
CREATE TABLE t (id INT)
CREATE DATABASE information_schema
DROP DATABASE test_nowhere
INSERT INTO t (id, u, n) VALUES (1, 2, 2)
INSERT INTO t (u, n) VALUES (1, 2)
INSERT INTO t (n) VALUES (NULL)
INSERT INTO t (u) VALUES (5)
INSERT INTO t (n, s) VALUES (1, 'long')
INSERT INTO t (n, ti) VALUES (1, 300)
INSERT INTO t (n, ti) VALUES (1, 120)
INSERT INTO t (n, de) VALUES (1, 1000)
INSERT INTO t (n, e) VALUES (1, 'c')
INSERT INTO t (n) VALUES ('x')
INSERT INTO t (n, da) VALUES (1, '2023-02-31')
INSERT INTO t (n, da) VALUES (1, '0000-00-00')
INSERT INTO t (n, u) VALUES (1, 1/0)
INSERT INTO t (n) VALUES (1, 2)
INSERT INTO t (n, n) VALUES (1, 2)
INSERT INTO t (nothing) VALUES (1)
INSERT INTO parted VALUES (20)
INSERT INTO v VALUES (1)
UPDATE t SET s='long'
UPDATE t SET u='x'
INSERT INTO child VALUES (2, 99)
DELETE FROM parent WHERE id=1
DELETE FROM t
DROP TABLE parent
ALTER TABLE child ADD FOREIGN KEY (p) REFERENCES parent (nothing)
ALTER TABLE t ADD COLUMN id INT
ALTER TABLE t ADD INDEX u (u)
ALTER TABLE t DROP COLUMN nothing
ALTER TABLE t ADD PRIMARY KEY (u)
CREATE TABLE x (a INT DEFAULT 'a')
CREATE TABLE `a ` (a INT)
CREATE TABLE x ()
CREATE TABLE x (`a ` INT)
CREATE TABLE x (a INT NULL PRIMARY KEY)
CREATE TABLE x (a INT, a INT)
CREATE TABLE x (a INT) CHARSET nope
CREATE TABLE x (a INT) COLLATE nope
CREATE TABLE x (a INT) ENGINE=nope
CREATE TABLE x (a VARCHAR(70000) CHARACTER SET latin1 NOT NULL)
CREATE TABLE x (a VARCHAR(60000) CHARACTER SET latin1, b VARCHAR(60000) CHARACTER SET latin1)
CREATE TABLE x (a INT) AUTO_INCREMENT=x
CREATE TABLE x (a TEXT, INDEX (a))
CREATE TABLE x (a INT AUTO_INCREMENT)
CREATE TABLE x (a INT(1000))
CREATE TABLE x (a DECIMAL(100,2))
SELECT id FROM t JOIN parent USING (nothing)
SELECT id FROM t, parent
SELECT id, COUNT(*) FROM t
SELECT s FROM t GROUP BY id HAVING nothing
SELECT SUM(COUNT(*)) FROM t
SELECT * FROM t WHERE COUNT(*)
SELECT (SELECT 1 UNION SELECT 2)
SELECT (SELECT 1, 2)
SELECT 1 UNION SELECT 1, 2
SELECT nothing(1)
SELECT ABS(1, 2)
SELECT f(1, 2)
CALL nothing()
CALL pr()
CALL raises()
SELECT 18446744073709551615 + 1
SELECT ~0 * 2
SELECT EXP(10000)
SELECT 1e400
SELECT _latin1'a' COLLATE latin1_bin = _latin1'b' COLLATE latin1_swedish_ci
SELECT 'a' COLLATE latin1_bin
SELECT CAST('x' AS JSON)
SELECT JSON_EXTRACT('{', '$')
SELECT ST_GeomFromText('x')
SELECT 'a' REGEXP '['
SELECT 1 FROM DUAL LIMIT 'x'
SELECT * FROM t LIMIT -1
SELECT * FROM t ORDER BY 99
SELECT DATE_ADD('9999-12-31', INTERVAL 1 DAY) + nothing
SELECT @@nothing
SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT='oops'
SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT='é😀', MYSQL_ERRNO=30001
SIGNAL SQLSTATE '02000'
SIGNAL SQLSTATE '01000'
SIGNAL SQLSTATE '08006'
SIGNAL SQLSTATE '23000'
SIGNAL SQLSTATE '40001'
SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO=1213, MESSAGE_TEXT='#12345 looks like a state'
SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO=1, MESSAGE_TEXT='small'
SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO=32767, MESSAGE_TEXT='large'
SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO=2068, MESSAGE_TEXT='a number of the client''s'
SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO=2000, MESSAGE_TEXT='another number of the client''s'
SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO=1205, MESSAGE_TEXT='a lock'
SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO=1040, MESSAGE_TEXT=''
SIGNAL SQLSTATE '00000'
RESIGNAL
SET nothing=1
SET autocommit=7
SET sql_mode='nope'
SET time_zone='nope'
SET version='x'
SET SESSION max_connections=1
SET GLOBAL max_connections=5
SET @@global.nothing=1
SET NAMES nope
SET CHARACTER SET nope
SET TRANSACTION ISOLATION LEVEL NOPE
INSERT INTO t (n) VALUES (1) RETURNING nothing
LOCK TABLES nothing READ
ROLLBACK TO nothing
RELEASE SAVEPOINT nothing
EXECUTE nothing
PREPARE x FROM 'SELEC'
XA START 'a', 'b', 'c', 'd'
XA COMMIT 'nothing'
KILL 999999999
KILL QUERY 999999999
LOAD DATA INFILE '/nothing' INTO TABLE t
SELECT 1 INTO OUTFILE '/nothing/x'
SELECT 1 INTO @a, @b
HANDLER nothing OPEN
CREATE USER nobody
GRANT ALL ON *.* TO app
FLUSH TABLES WITH READ LOCK
SHOW BINARY LOGS
SHOW REPLICA STATUS
SHOW GRANTS FOR nobody
SHOW CREATE TABLE nothing
DESCRIBE nothing
EXPLAIN nothing
TRUNCATE nothing
RENAME TABLE nothing TO x
CREATE TRIGGER x BEFORE INSERT ON nothing FOR EACH ROW SET @a=1
CREATE PROCEDURE pr () SELECT 1
CREATE FUNCTION x () RETURNS INT RETURN nothing(
CREATE EVENT x ON SCHEDULE EVERY 0 SECOND DO SELECT 1
CREATE VIEW v AS SELECT 1
INSTALL PLUGIN x SONAME 'x.so'
CHANGE MASTER TO MASTER_HOST='x'
BINLOG 'x'
SELECT GET_LOCK(REPEAT('x', 100), 0)
SELECT BIN_TO_UUID('x')
SELECT STR_TO_DATE('x', 'y') + nothing
SELECT CONVERT('a' USING nope)
SELECT 1 FROM (SELECT 1)
SELECT * FROM t FOR UPDATE OF nothing
SELECT NEXTVAL(nothing)
WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n+1 FROM x) SELECT * FROM x
SELECT SLEEP(-1)
SELECT REPEAT('a', 10) FROM t WHERE id = (SELECT id FROM t UNION ALL SELECT 2)
UPDATE t SET id = (SELECT MAX(id) FROM t)
DO nothing
CACHE INDEX t IN nothing
SELECT * FROM t PARTITION (nothing)
ALTER TABLE t RENAME COLUMN nothing TO x
SELECT %
""".strip().splitlines()


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_server_error_is_pymysqls(tables: Both, statement: str) -> None:
    """Each error of the server has PyMySQL's class, arguments and sqlstate, and does no harm."""
    if statement == "BINLOG 'x'" and tables.server.kind == "mysql":
        statement = "BINLOG ''"

    def scenario(side: Side, connection: Any) -> None:
        connection.begin()
        for cursor_class in ("Cursor", "SSDictCursor"):
            cursor = connection.cursor(getattr(side.module.cursors, cursor_class))
            side.attempt("execute", cursor.execute, statement)
            side.state("then", cursor)
            side.attempt("again", cursor.execute, statement)
            cursor.close()
        side.attempt("query", connection.query, statement)
        side.attempt("rollback", connection.rollback)
        side.run(connection.cursor(), "SELECT 1")

    tables.compare_shared(scenario)


@pytest.mark.parametrize("cursor_class", ["Cursor", "SSCursor", "DictCursor", "SSDictCursor"])
def test_an_error_in_the_middle_of_rows_is_pymysqls(tables: Both, cursor_class: str) -> None:
    """An error behind rows that have been sent comes where PyMySQL's comes, and does no harm."""
    query = (
        "WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n+1 FROM x WHERE n<900)"
        " SELECT n, REPEAT('x', 1000), ST_GeomFromText(IF(n<890, 'POINT(1 2)', 'nonsense')),"
        " IF(n<890, 1, 9223372036854775807) + n FROM x"
    )

    def scenario(side: Side, connection: Any) -> None:
        cursor = connection.cursor(getattr(side.module.cursors, cursor_class))
        side.attempt("execute", cursor.execute, query)
        side.attempt("fetchone", cursor.fetchone)
        side.attempt("fetchall", cursor.fetchall)
        side.attempt("fetchone after the error", cursor.fetchone)
        side.attempt("nextset", cursor.nextset)
        side.attempt("close", cursor.close)
        side.run(connection.cursor(), "SELECT 'usable'")

    tables.compare_shared(scenario)


def test_what_the_account_may_not_do_is_refused_as_with_pymysql(tables: Both) -> None:
    """Errors of privileges, at connect and after, are PyMySQL's."""
    server = tables.server
    reference, subject = tables.databases
    server.sql(
        "DROP USER IF EXISTS limited, locked, counted",
        "CREATE USER limited IDENTIFIED BY 'pw'",
        "CREATE USER locked IDENTIFIED BY 'pw' ACCOUNT LOCK",
        "CREATE USER counted IDENTIFIED BY 'pw' WITH MAX_USER_CONNECTIONS 1",
        *(f"GRANT SELECT (id) ON {name}.t TO limited" for name in tables.databases),
        *(f"GRANT SELECT, INSERT ON {name}.child TO limited" for name in tables.databases),
        *(f"GRANT SELECT ON {name}.* TO counted" for name in tables.databases),
    )
    del reference, subject
    no_retry = {"max_retries": 0}

    def scenario(side: Side) -> None:
        # Where PyMySQL gives up at once, slsmysql would wait for a connection to become free.
        own = {} if side.is_reference else no_retry
        # Whom MySQL has not let in before asks for TLS to send a password.
        side.keywords["ssl_disabled"] = None
        side.attempt("unknown user", side.connect, user="nobody", password="x")
        side.attempt("wrong password", side.connect, password="wrong")
        side.attempt("no password", side.connect, password="")
        side.attempt("unknown database", side.connect, database="test_nowhere")
        side.attempt("denied database", side.connect, database="mysql")
        side.attempt("locked", side.connect, user="locked", password="pw")
        side.attempt("counted", side.connect, user="counted", password="pw", **own)
        side.attempt("counted again", side.connect, user="counted", password="pw", **own)
        connection = side.attempt("limited", side.connect, user="limited", password="pw")
        cursor = connection.cursor()
        for statement in (
            "SELECT * FROM t",
            "SELECT u FROM t",
            "SELECT id FROM t",
            "DELETE FROM child",
            "DROP TABLE child",
            "CREATE TABLE x (a INT)",
            "CREATE DATABASE test_more",
            "CALL pr(1)",
            "SELECT f(1)",
            "USE mysql",
            "SELECT * FROM mysql.user",
            "SHOW TABLES FROM mysql",
            "FLUSH STATUS",
            "SET GLOBAL max_connections=5",
            "KILL 1",
            "CREATE USER x",
        ):
            side.attempt(statement, cursor.execute, statement)
        side.attempt("select_db", connection.select_db, "mysql")
        side.attempt("kill", connection.kill, 1)

    tables.compare(scenario)
    server.sql("DROP USER limited, locked, counted")


def test_locked_rows_are_refused_as_with_pymysql(both: Both) -> None:
    """NOWAIT on a row that another session holds is an error as PyMySQL's."""
    both.prepare(
        "DROP TABLE IF EXISTS {database}.locked",
        "CREATE TABLE {database}.locked (id INT PRIMARY KEY, v INT) ENGINE=InnoDB",
        "INSERT INTO {database}.locked VALUES (1, 1), (2, 2)",
    )

    def scenario(side: Side) -> None:
        first, second = side.connect(), side.connect()
        first.cursor().execute("UPDATE locked SET v=5 WHERE id=1")
        cursor = second.cursor()
        side.attempt("nowait", cursor.execute, "SELECT * FROM locked WHERE id=1 FOR UPDATE NOWAIT")
        side.attempt("skip", cursor.execute, "SELECT * FROM locked FOR UPDATE SKIP LOCKED")
        side.attempt("skip: fetchall", cursor.fetchall)

    both.compare(scenario)


def test_a_statement_that_takes_too_long_is_ended_as_with_pymysql(both: Both) -> None:
    """The server's own time-out of a statement is PyMySQL's error."""
    limit = (
        "SET max_statement_time=0.05"
        if both.server.kind == "mariadb"
        else "SET max_execution_time=50"
    )

    def scenario(side: Side) -> None:
        connection = side.connect(init_command=limit)
        # Not of a stream: whether the error comes before or behind its head is left to chance.
        cursor = connection.cursor()
        side.attempt(
            "execute",
            cursor.execute,
            "SELECT COUNT(*) FROM information_schema.columns a, information_schema.columns b,"
            " information_schema.columns c",
        )
        side.attempt("fetchall", cursor.fetchall)
        side.attempt("close", cursor.close)
        side.run(connection.cursor(), "SELECT 'usable'")

    both.compare(scenario)


def test_a_statement_too_large_is_refused_as_with_pymysql(server: Server, backend: Backend) -> None:
    """Beyond max_allowed_packet the server refuses, with PyMySQL's errno, and may hang up."""
    from tests.differential.harness import Both as _Both

    both = _Both(server, backend)
    try:
        size = int(server.sql("SELECT @@global.max_allowed_packet")[0][0])

        def scenario(side: Side) -> None:
            connection = side.connect()
            cursor = connection.cursor()
            side.attempt("large", cursor.execute, "SELECT LENGTH(%s)", ("x" * (size - 1000),))
            side.attempt("large: fetchall", cursor.fetchall)

        both.compare(scenario)
    finally:
        both.close()
