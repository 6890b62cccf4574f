"""Units of work, as programs write them: transactions, single statements, reads.

Each takes a connection, the number of its attempt and a counter; what it raises, or that it raises
nothing, is what its program is told. Those that are ``plain`` need no more of a connection
than PyMySQL has, and the control group runs them, too.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from typing import Any, NamedTuple

import pymysql

import slsmysql
from slsmysql.cursors import SSCursor
from tests.faults.ledger import Told

#: What the workloads write and read. ``attempt`` is no unique key, on purpose: what is written
#: twice has to be there twice.
TABLES = (
    """CREATE TABLE units (id BIGINT AUTO_INCREMENT PRIMARY KEY, attempt BIGINT NOT NULL,
    part INT NOT NULL, ballast LONGTEXT, KEY (attempt)) ENGINE=InnoDB""",
    "CREATE TABLE counters (counter INT PRIMARY KEY, stands BIGINT NOT NULL) ENGINE=InnoDB",
    "CREATE TABLE book (page INT PRIMARY KEY, words VARCHAR(60) NOT NULL) ENGINE=InnoDB",
)

#: Pages of the book that is read.
PAGES = 40

#: Bytes of the statement that is no single packet of the network's, and more than the buffers of
#: both ends may hold.
BIG = 1 << 20

INSERT = "INSERT INTO units (attempt, part) VALUES (%s, %s)"
MOVE = "UPDATE counters SET stands = stands + 1 WHERE counter = %s"
READ = "SELECT %s, page, words FROM book ORDER BY page"

#: Errors with which a connection goes, and what is said by one that is gone.
GONE = frozenset({0, 2006, 2013})


class WrongAnswerError(AssertionError):
    """A read, or a row count, gave what is not so."""


def page(number: int) -> str:
    """Return the words on a page of the book."""
    return f"page {number} " + "x" * (number % 30)


def pages(attempt: int) -> tuple[tuple[int, int, str], ...]:
    """Return what `READ` finds."""
    return tuple((attempt, n, page(n)) for n in range(PAGES))


def expect(found: object, expected: object) -> None:
    """Raise unless both are the same."""
    if found != expected:
        raise WrongAnswerError(f"{found!r}, not {expected!r}")


def _write(connection: Any, attempt: int, counter: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(INSERT, (attempt, 1))
        cursor.execute(MOVE, (counter,))
        cursor.execute(INSERT, (attempt, 2))


def transaction(connection: Any, attempt: int, counter: int) -> None:
    """Two rows and the move of a counter, committed."""
    _write(connection, attempt, counter)
    connection.commit()


def begun(connection: Any, attempt: int, counter: int) -> None:
    """The same, begun by hand."""
    connection.begin()
    _write(connection, attempt, counter)
    connection.commit()


def looking(connection: Any, attempt: int, counter: int) -> None:
    """The same; looks first, looks back at what it wrote, and reckons in the program."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM book")
        expect(cursor.fetchall(), ((PAGES,),))
        cursor.execute("SELECT stands FROM counters WHERE counter = %s FOR UPDATE", (counter,))
        ((stands,),) = cursor.fetchall()
        expect(cursor.execute(INSERT, (attempt, 1)), 1)
        cursor.execute(
            "UPDATE counters SET stands = %s WHERE counter = %s", (int(stands) + 1, counter)
        )
        expect(cursor.rowcount, 1)
        cursor.execute("SELECT part FROM units WHERE attempt = %s", (attempt,))
        expect(cursor.fetchall(), ((1,),))
        expect(cursor.execute(INSERT, (attempt, 2)), 1)
    connection.commit()


def careless(connection: Any, attempt: int, counter: int) -> None:
    """The same by a program that hears nothing of lost connections, and commits what there is.

    A statement for which no connection could be had is another matter: it has failed as any may.
    """
    for statement, parameters in (
        (INSERT, (attempt, 1)),
        (MOVE, (counter,)),
        (INSERT, (attempt, 2)),
    ):
        failures = connection.stats().connect_failures
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, parameters)
        except slsmysql.Error as error:
            if error.args[0] not in GONE or connection.stats().connect_failures > failures:
                raise
    connection.commit()


def block(connection: Any, attempt: int, counter: int) -> None:
    """The same in a `transaction()` block."""
    with connection.transaction():
        _write(connection, attempt, counter)


def function(connection: Any, attempt: int, counter: int) -> None:
    """The same as a function that `run_transaction()` runs again."""
    connection.run_transaction(lambda connection: _write(connection, attempt, counter))


def statement(connection: Any, attempt: int, counter: int) -> None:
    """Two rows in one statement, in autocommit."""
    with connection.cursor() as cursor:
        rows = cursor.execute(
            "INSERT INTO units (attempt, part) VALUES (%s, 1), (%s, 2)", (attempt, attempt)
        )
    expect(rows, 2)


def big(connection: Any, attempt: int, counter: int) -> None:
    """One row with a megabyte in it, in autocommit."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO units (attempt, part, ballast) VALUES (%s, 1, %s)", (attempt, "x" * BIG)
        )


def read(connection: Any, attempt: int, counter: int) -> None:
    """A book, read at once; a read that never commits."""
    with connection.cursor() as cursor:
        cursor.execute(READ, (attempt,))
        expect(cursor.fetchall(), pages(attempt))


def stream(connection: Any, attempt: int, counter: int) -> None:
    """A book, read page by page from the server."""
    with connection.cursor(SSCursor) as cursor:
        cursor.execute(READ, (attempt,))
        for each in pages(attempt):
            expect(cursor.fetchone(), each)
        expect(cursor.fetchone(), None)


def withdrawn(connection: Any, attempt: int, counter: int) -> None:
    """Work that is rolled back: whatever is raised, nothing of it may be there."""
    _write(connection, attempt, counter)
    connection.rollback()


def invoked(connection: Any, attempt: int, counter: int) -> None:
    """Two rows and the move of a counter, committed by a handler in an invocation."""
    with slsmysql.invocation():
        transaction(connection, attempt, counter)


def abandoned(connection: Any, attempt: int, counter: int) -> None:
    """Work that a handler leaves open: the end of its invocation rolls it back."""
    with slsmysql.invocation():
        _write(connection, attempt, counter)


class Workload(NamedTuple):
    """A unit of work, and what it leaves."""

    run: Callable[[Any, int, int], None]
    #: Rows that it writes.
    parts: int = 2
    moves: bool = True
    autocommit: bool = False
    #: What its program holds for true when nothing is raised.
    done: Told = "committed"
    #: How often it is chosen, against the others.
    weight: float = 1.0
    #: Whether it needs no more than PyMySQL has, and has without faults of its own: a stream that
    #: is lost raises there what is no database error.
    plain: bool = True

    @property
    def name(self) -> str:
        """Its name."""
        return self.run.__name__

    @property
    def texts(self) -> tuple[str, ...]:
        """What is in its requests, each a place for a fault."""
        if self.run in {read, stream}:
            return ("FROM book",)
        if self.done == "failed":
            return ("INSERT", "UPDATE", "ROLLBACK")
        return ("INSERT",) if self.autocommit else ("INSERT", "UPDATE", "COMMIT")


WORKLOADS = (
    Workload(transaction, weight=3.0),
    Workload(begun),
    Workload(looking),
    Workload(careless, plain=False),
    Workload(block, plain=False),
    Workload(function, weight=2.0, plain=False),
    Workload(statement, moves=False, autocommit=True, weight=2.0),
    Workload(big, parts=1, moves=False, autocommit=True, weight=0.05),
    Workload(read, parts=0, moves=False),
    Workload(stream, parts=0, moves=False, plain=False),
    Workload(withdrawn, done="failed"),
    Workload(invoked, plain=False),
    Workload(abandoned, done="failed", plain=False),
)


def choose(rng: random.Random, workloads: tuple[Workload, ...] = WORKLOADS) -> Workload:
    """Return one of the workloads by their weights."""
    return rng.choices(workloads, [each.weight for each in workloads])[0]


def acknowledge(connection: Any) -> None:
    """Say, as a program does after an error, that the unit of work is over."""
    with contextlib.suppress(slsmysql.Error, pymysql.err.Error):
        connection.rollback()
