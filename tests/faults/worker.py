"""A worker: does units of work, again as programs do, and writes down what it is told."""

from __future__ import annotations

import contextlib
import itertools
import random
import time
from collections.abc import Callable, Iterator

import pymysql

import slsmysql
from tests.faults.ledger import ATTEMPTS, Book, Entry, Told, Violation
from tests.faults.points import Fault, InterruptError, Size
from tests.faults.rig import COUNTERS, Rig
from tests.faults.workloads import Workload, WrongAnswerError, acknowledge

#: Attempts under a fault.
UNDER = 2

#: Seconds after it until a program must have got through, however slow the machine.
PATIENCE = 30.0

#: How the connection of a unit begins: it is there, its session is parked, or it is made anew.
LIVES = ("kept", "parked", "new")

Errors = (slsmysql.Error, pymysql.err.Error)


def told_of(error: Exception) -> Told:
    """Return what an error of slsmysql's says of the unit of work."""
    return "unknown" if isinstance(error, slsmysql.err.OutcomeUnknownError) else "failed"


class Worker:
    """Does units of work on a rig, one after the other."""

    def __init__(
        self,
        rig: Rig,
        book: Book,
        rng: random.Random,
        *,
        told: Callable[[Exception], Told] = told_of,
    ) -> None:
        """Work on ``rig`` and write into ``book``."""
        self.rig = rig
        self.book = book
        self.rng = rng
        self.told = told
        self.units = itertools.count(1)
        self.sizes: dict[tuple[str, str], Size] = {}
        #: How the connection of the unit began.
        self.how = "new"
        #: What the last attempt that failed was told.
        self.error: Exception | None = None

    def attempt(
        self, workload: Workload, attempt: int, counter: int, fault: Fault | None
    ) -> tuple[Entry, bool]:
        """Try once; return what was told, and whether the program got through."""
        told, through = workload.done, True
        try:
            connection = self.rig.connected(autocommit=workload.autocommit)
            workload.run(connection, attempt, counter)
        except WrongAnswerError as error:
            self.book.violations.append(Violation("answer", attempt, str(error)))
            told, through = "unknown", False
        except InterruptError:
            # Where it was by then, a program does not know.
            through = False
            if told == "committed":
                told = "unknown"
        except Errors as error:
            through = False
            self.error = error
            if told == "committed":
                told = self.told(error)
        if not through and self.rig.connection is not None:
            # Its alarm may ring here, after another fault: what is refused is rolled back again.
            with contextlib.suppress(InterruptError):
                acknowledge(self.rig.connection)
        moved = counter if workload.moves else None
        note = f"{workload.name} under {fault}, {self.how}"
        return Entry(attempt, told, workload.parts, moved, note), through

    def unit(self, workload: Workload, fault: Fault | None = None) -> list[Entry]:
        """Do a unit of work, under a fault to begin with, until its program gets through.

        Out of the fault it must: then a connection has recovered.
        """
        number = next(self.units)
        counter = self.rng.randrange(COUNTERS)
        entries: list[Entry] = []
        if fault is not None:
            fault.arm(self.rig)
        struck = False
        begun = over = time.monotonic()
        for tried in range(ATTEMPTS):
            if tried == UNDER:
                struck = self.rig.disarm()
                over = time.monotonic()
            entry, through = self.attempt(workload, number * ATTEMPTS + tried, counter, fault)
            entries.append(entry)
            if through or entry.told == "unknown":
                break
            now = time.monotonic()
            if tried == ATTEMPTS - 1 or (tried > UNDER and now > over + PATIENCE):
                detail = (
                    f"{entry.note}: {tried + 1} attempts, {over - begun:.1f} s under it and "
                    f"{now - over:.1f} s after it, the last {self.error!r}"
                )
                self.book.violations.append(Violation("stuck", number * ATTEMPTS, detail))
                break
        struck = self.rig.disarm() or struck
        self.book.write(fault.name if fault is not None and struck else None, entries)
        return entries

    # -- where faults can strike ---------------------------------------------------------------

    def begin(self, how: str) -> None:
        """Bring the connection into one of the states of `LIVES`."""
        self.how = how
        if how == "new":
            self.rig.leave()
        elif how == "parked":
            self.rig.close()

    def size(self, workload: Workload, how: str) -> Size:
        """Return the bytes of a unit of work that begins with such a connection."""
        key = workload.name, how
        if key not in self.sizes:
            for _ in range(2):  # the first time some limits are read
                self.begin(how)
                before = self.rig.proxy.tally()
                # No `unit`, which ends with a `disarm` that lets the proxy forget.
                entry, _ = self.attempt(workload, next(self.units) * ATTEMPTS, 0, None)
                self.book.write(None, [entry])
                passed = self.rig.proxy.tally() - before
            self.sizes[key] = Size(passed.bytes_to_server, passed.bytes_to_client)
        return self.sizes[key]


def lives(rng: random.Random) -> Iterator[str]:
    """Yield of `LIVES` how the connections of units of work are to begin."""
    while True:
        yield rng.choices(LIVES, (6, 1, 3))[0]
