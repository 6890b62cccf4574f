"""The cut at every byte of a whole life: connect, execute, fetch, commit, rollback, close."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import slsmysql
from slsmysql import manager
from tests.faults.ledger import ATTEMPTS, Book, Entry, Told, Violation
from tests.faults.points import Cut, Size
from tests.faults.rig import COUNTERS, Rig
from tests.faults.worker import told_of
from tests.faults.workloads import INSERT, MOVE, READ, WrongAnswerError, expect, pages

#: Bytes behind the last one of a life that was measured: with TLS no two are quite of one length.
SLACK = 16


def live(rig: Rig, book: Book, number: int) -> list[Entry]:
    """Live once, and return what was told of what was committed and of what was withdrawn."""
    kept, withdrawn, counter = number * ATTEMPTS, number * ATTEMPTS + 1, number % COUNTERS
    told: Told = "failed"
    try:
        connection = rig.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(INSERT, (kept, 1))
                cursor.execute(MOVE, (counter,))
                cursor.execute(READ, (kept,))
                expect(cursor.fetchall(), pages(kept))
                cursor.execute(INSERT, (kept, 2))
            connection.commit()
            told = "committed"
            with connection.cursor() as cursor:
                cursor.execute(INSERT, (withdrawn, 1))
                connection.rollback()
                # Left open: it is for close() to roll this back.
                cursor.execute(INSERT, (withdrawn, 2))
        finally:
            with contextlib.suppress(slsmysql.Error):
                connection.close()
            manager.end_parked()
    except WrongAnswerError as error:
        book.violations.append(Violation("answer", kept, str(error)))
    except slsmysql.Error as error:
        if told != "committed":
            told = told_of(error)
    return [Entry(kept, told, 2, counter), Entry(withdrawn, "failed", 2)]


def measure(rig: Rig, book: Book) -> Size:
    """Return the bytes of a whole life, each way."""
    for number in range(2):  # the first time some limits are read
        before = rig.proxy.tally()
        book.write(None, live(rig, book, number))
        passed = rig.proxy.tally() - before
    return Size(passed.bytes_to_server, passed.bytes_to_client)


def sweep(rig: Rig, book: Book, cuts: Iterable[Cut]) -> None:
    """Live once for each cut, and judge."""
    for number, cut in enumerate(cuts, 2):
        cut.arm(rig)
        entries = live(rig, book, number)
        struck = rig.disarm()
        named = [entry._replace(note=str(cut)) for entry in entries]
        where = "with TLS" if rig.tls else "without TLS"
        book.write(f"every byte, {where} ({cut.how.upper()})" if struck else None, named)
    rig.judge(book)
