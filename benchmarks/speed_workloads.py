"""What the drivers are made to do, and the tables that they do it with.

A workload is a function that does its work ``n`` times and returns the seconds that it took. What
is not part of the work (a rollback that empties the table again) is not timed.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from benchmarks.speed_contenders import (
    C_REUSE,
    C_UNMANAGED,
    ENGINE,
    PURE_REUSE,
    Address,
    Contender,
    Rows,
)

#: Rows of the big workloads, and of the small one.
MANY, FEW = 20_000, 100

#: Rows of one ``executemany``.
BATCH = 1000

MIXED = "SELECT id, name, price, ratio, created, note FROM speed_mixed"
INTS = "SELECT a, b FROM speed_ints"
POINT = MIXED + " WHERE id = %s"
INSERT = "INSERT INTO speed_inserts (name, price, ratio, created, note) VALUES (%s, %s, %s, %s, %s)"

TABLES = (
    """CREATE TABLE speed_mixed (id INT PRIMARY KEY, name VARCHAR(40) NOT NULL,
    price DECIMAL(10, 2) NOT NULL, ratio DOUBLE NOT NULL, created DATETIME NOT NULL,
    note VARCHAR(80) NULL) ENGINE=InnoDB CHARACTER SET utf8mb4""",
    "CREATE TABLE speed_ints (a INT PRIMARY KEY, b INT NOT NULL) ENGINE=InnoDB",
    """CREATE TABLE speed_inserts (id BIGINT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40) NOT NULL,
    price DECIMAL(10, 2) NOT NULL, ratio DOUBLE NOT NULL, created DATETIME NOT NULL,
    note VARCHAR(80) NULL) ENGINE=InnoDB CHARACTER SET utf8mb4""",
)

clock = time.perf_counter


def mixed_row(number: int) -> tuple[str, Decimal, float, datetime.datetime, str | None]:
    """Return the columns of a row but for its key: text, decimal, float, datetime, text or NULL."""
    return (
        f"product {number}",
        Decimal(number * 7919 % 1_000_000) / 100,
        number / 7,
        datetime.datetime(2026, 1, 1) + datetime.timedelta(seconds=number * 977),
        None if number % 4 == 0 else f"the quick brown fox №{number} jumps over the lazy dog",
    )


def prepare(connection: Any) -> None:
    """Make the tables and fill those that are read (``connection``: PyMySQL's)."""
    with connection.cursor() as cursor:
        for statement in TABLES:
            cursor.execute(statement)
        cursor.executemany(
            "INSERT INTO speed_mixed VALUES (%s, %s, %s, %s, %s, %s)",
            [(number, *mixed_row(number)) for number in range(MANY)],
        )
        cursor.executemany(
            "INSERT INTO speed_ints VALUES (%s, %s)",
            [(number, number * 7919 % 1_000_003) for number in range(MANY)],
        )
    connection.commit()


@dataclass(frozen=True)
class Bench:
    """A contender at work.

    :param connection: its open one, without TLS or with it as the run has it.
    :param tls: whether it uses TLS.
    """

    contender: Contender
    address: Address
    connection: Any
    tls: bool

    def cursor_maker(self, rows: Rows = "tuple") -> Callable[[], Any]:
        """Return what makes a cursor when it is called."""
        return self.contender.cursor_maker(self.connection, rows)

    @contextmanager
    def cursor(self, rows: Rows = "tuple") -> Iterator[Any]:
        """Return a cursor for the block."""
        cursor = self.cursor_maker(rows)()
        try:
            yield cursor
        finally:
            cursor.close()


Work = Callable[[Bench, int], float]


@dataclass(frozen=True)
class Workload:
    """Something to measure.

    :param name: as the tables have it.
    :param what: what exactly is timed, one line.
    :param work: does it.
    :param extra: contenders beyond those that run everything.
    """

    name: str
    what: str
    work: Work
    extra: Sequence[Contender] = ()


def connect_and_close(*, tls: bool | None = None) -> Work:
    """Return the work of connecting and closing; ``tls`` None: as the run has it."""

    def work(bench: Bench, n: int) -> float:
        connect = bench.contender.connector(bench.address, tls=bench.tls if tls is None else tls)
        connect().close()  # fills what is kept from one connection to the next
        begin = clock()
        for _ in range(n):
            connect().close()
        return clock() - begin

    return work


def select_1(bench: Bench, n: int) -> float:
    """Make a cursor, select 1, fetch it, close the cursor."""
    make = bench.cursor_maker()
    begin = clock()
    for _ in range(n):
        cursor = make()
        cursor.execute("SELECT 1")
        cursor.fetchall()
        cursor.close()
    return clock() - begin


def point_select(bench: Bench, n: int) -> float:
    """Select one row by its key, a parameter, on a cursor that stays open."""
    with bench.cursor() as cursor:
        begin = clock()
        for key in range(n):
            cursor.execute(POINT, (key,))
            cursor.fetchone()
        return clock() - begin


def select_rows(sql: str, rows: Rows = "tuple") -> Work:
    """Return the work of selecting rows and fetching them all."""

    def work(bench: Bench, n: int) -> float:
        with bench.cursor(rows) as cursor:
            begin = clock()
            for _ in range(n):
                cursor.execute(sql)
                cursor.fetchall()
            return clock() - begin

    return work


def stream_rows(bench: Bench, n: int) -> float:
    """Select many rows and fetch them one by one, unbuffered."""
    with bench.cursor("stream") as cursor:
        begin = clock()
        for _ in range(n):
            cursor.execute(MIXED)
            fetch = cursor.fetchone
            while fetch() is not None:
                pass
        return clock() - begin


def insert(bench: Bench, n: int) -> float:
    """Insert single rows in a transaction, which is rolled back when the clock has stopped."""
    values = mixed_row(1)
    with bench.cursor() as cursor:
        cursor.execute(INSERT, values)  # opens the transaction
        begin = clock()
        for _ in range(n):
            cursor.execute(INSERT, values)
        took = clock() - begin
    bench.connection.rollback()
    return took


def executemany(bench: Bench, n: int) -> float:
    """Insert a batch of rows with one call; rolled back when the clock has stopped."""
    values = [mixed_row(number) for number in range(BATCH)]
    took = 0.0
    with bench.cursor() as cursor:
        for _ in range(n):
            begin = clock()
            cursor.executemany(INSERT, values)
            took += clock() - begin
            bench.connection.rollback()
    return took


def commit(bench: Bench, n: int) -> float:
    """Commit one inserted row; the insert is not timed."""
    values = mixed_row(1)
    took = 0.0
    with bench.cursor() as cursor:
        for _ in range(n):
            cursor.execute(INSERT, values)
            begin = clock()
            bench.connection.commit()
            took += clock() - begin
    return took


def commit_nothing(bench: Bench, n: int) -> float:
    """Commit where nothing has been sent since the last commit."""
    end = bench.connection.commit
    end()
    begin = clock()
    for _ in range(n):
        end()
    return clock() - begin


def unit_of_work(bench: Bench, n: int) -> float:
    """Do what a function's invocation does: a cursor, one row by its key, commit, close."""
    connection, make = bench.connection, bench.cursor_maker()
    begin = clock()
    for key in range(n):
        cursor = make()
        cursor.execute(POINT, (key,))
        cursor.fetchall()
        connection.commit()
        cursor.close()
    return clock() - begin


CONNECT = Workload("connect + close", "connect(), close(), no TLS", connect_and_close())
CONNECT_TLS = Workload(
    "connect + close, TLS",
    "the same with TLS; 'parked': with the session that the close before has kept",
    connect_and_close(tls=True),
    extra=(C_REUSE, PURE_REUSE),
)
SELECT_1 = Workload(
    "cursor + select 1", "cursor(), SELECT 1, fetchall(), close()", select_1, extra=(ENGINE,)
)
POINT_SELECT = Workload(
    "point select",
    "6 columns by primary key, as a parameter, on an open cursor",
    point_select,
    extra=(ENGINE,),
)
SINGLE_INSERT = Workload(
    "single insert",
    "5 parameters, one row, inside a transaction; without commit",
    insert,
    extra=(ENGINE,),
)
COMMIT = Workload("commit", "commit() after an insert, which is not timed", commit, extra=(ENGINE,))
COMMIT_NOTHING = Workload("commit, nothing open", "commit() right after a commit()", commit_nothing)
EXECUTEMANY = Workload(
    "executemany of 1 000",
    "INSERT of 5 parameters a row, inside a transaction; without commit",
    executemany,
)
UNIT_OF_WORK = Workload(
    "unit of work",
    "cursor(), point select, fetchall(), commit(), close(); 'unmanaged': manage_conns=False",
    unit_of_work,
    extra=(C_UNMANAGED,),
)
FEW_ROWS = Workload(
    "100 mixed rows",
    "int, varchar, decimal, double, datetime, varchar or NULL; execute(), fetchall()",
    select_rows(f"{MIXED} LIMIT {FEW}"),
)
FEW_DICTS = Workload(
    "100 mixed rows, dict", "the same as dicts", select_rows(f"{MIXED} LIMIT {FEW}", "dict")
)
MANY_ROWS = Workload("20 000 mixed rows", "the same columns", select_rows(MIXED))
MANY_DICTS = Workload("20 000 mixed rows, dict", "the same as dicts", select_rows(MIXED, "dict"))
INT_ROWS = Workload("20 000 int rows", "two int columns", select_rows(INTS))
INT_DICTS = Workload("20 000 int rows, dict", "the same as dicts", select_rows(INTS, "dict"))
STREAMED = Workload(
    "20 000 rows streamed", "the mixed columns, unbuffered, fetchone() to the end", stream_rows
)

ROUND_TRIPS = (SELECT_1, POINT_SELECT, SINGLE_INSERT, COMMIT, COMMIT_NOTHING)
ROWS = (FEW_ROWS, FEW_DICTS, MANY_ROWS, MANY_DICTS, INT_ROWS, INT_DICTS, STREAMED)

#: Every workload, in the order of the tables.
WORKLOADS = (CONNECT, CONNECT_TLS, *ROUND_TRIPS, UNIT_OF_WORK, EXECUTEMANY, *ROWS)
