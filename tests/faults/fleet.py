"""Programs in processes of their own, which work while the weather changes.

Each thread of a process has a connection, does units of work without end, and writes down each
attempt twice, when it begins and when it has been told, in a journal that outlives the process. An
attempt that has begun, and of which nothing was told any more, is one of unknown outcome.

What the processes share with who conducts them is a page of memory: the epoch, which is odd while
a fault is in force, and for each thread how many units it has got through.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import mmap
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, get_args

import slsmysql
from tests.faults.ledger import ATTEMPTS, Book, Entry, Told, Violation
from tests.faults.rig import BACKOFF, COUNTERS
from tests.faults.worker import told_of
from tests.faults.workloads import (
    INSERT,
    MOVE,
    WORKLOADS,
    Workload,
    WrongAnswerError,
    acknowledge,
    choose,
)

#: Places for threads in the page; place 0 is the epoch, and place 1 says that all shall end.
PLACES = 512
EPOCH, END = 0, 1

#: Threads that a process can have, and units that a thread can do: an attempt tells whose it is.
MOST_THREADS = 16
MOST_UNITS = 10**8
NUMBER = MOST_THREADS * MOST_UNITS * ATTEMPTS

#: Of the units of a process with one thread, those in the middle of which it forks.
FORKS = 0.02

#: Seconds that a program waits at the most before it tries again.
PAUSE = 0.02

#: Seconds until a process that shall end is said to be stuck.
PATIENCE = 30.0

ROOT = Path(__file__).parents[2]


class Page:
    """The memory that all share."""

    def __init__(self, path: Path) -> None:
        """Open it, and make it if it is not there."""
        with path.open("a+b") as file:
            file.truncate(8 * PLACES)
            self._map = mmap.mmap(file.fileno(), 8 * PLACES)
        self._numbers = memoryview(self._map).cast("q")

    def __getitem__(self, place: int) -> int:
        """Return a number."""
        return self._numbers[place]

    def __setitem__(self, place: int, number: int) -> None:
        """Set a number."""
        self._numbers[place] = number


class Journal:
    """What one thread writes down, at once."""

    def __init__(self, path: Path, page: Page) -> None:
        """Write into that file."""
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._page = page

    def _write(self, *words: object) -> None:
        os.write(self._file, (json.dumps([self._page[EPOCH], *words]) + "\n").encode())

    def begin(self, attempt: int, workload: str, counter: int, fault: str) -> None:
        """Note that an attempt begins, and a fault of its own if it has one."""
        self._write("begin", attempt, workload, counter, fault)

    def told(self, attempt: int, told: Told) -> None:
        """Note what was told of it."""
        self._write("told", attempt, told)

    def wrong(self, attempt: int, detail: str) -> None:
        """Note an answer that is wrong."""
        self._write("wrong", attempt, detail)


class Kept(NamedTuple):
    """What a journal says of an attempt."""

    entry: Entry
    #: The epochs at its beginning and at its end; the last is None if nothing was told.
    epochs: tuple[int, int | None]
    #: The fault of its own.
    fault: str
    workload: str


def read(journals: Path) -> tuple[list[Kept], list[Violation]]:
    """Return all that the journals of a folder say."""
    parts = {each.name: each for each in (*WORKLOADS, FORKED)}
    kept: list[Kept] = []
    violations: list[Violation] = []
    for path in sorted(journals.glob("*.journal")):
        open_: dict[int, Kept] = {}
        for line in path.read_text().splitlines():
            epoch, word, attempt, *rest = json.loads(line)
            if word == "begin":
                name, counter, fault = rest
                workload = parts[name]
                entry = Entry(
                    attempt,
                    "unknown" if workload.done == "committed" else "failed",
                    workload.parts,
                    counter if workload.moves else None,
                )
                open_[attempt] = Kept(entry, (epoch, None), fault, name)
            elif word == "told":
                assert rest[0] in get_args(Told)
                begun = open_.pop(attempt)
                entry = begun.entry._replace(told=rest[0])
                kept.append(begun._replace(entry=entry, epochs=(begun.epochs[0], epoch)))
            else:
                violations.append(Violation("answer", attempt, rest[0]))
        kept += open_.values()
    return kept, violations


def write(
    book: Book, kept: list[Kept], faults: dict[int, str], last: int, ends: dict[int, str]
) -> None:
    """Write what journals say into a book, each unit with the fault that it met.

    :param faults: what was in force in each odd epoch.
    :param last: the epoch at the end.
    :param ends: what ended the processes, by their numbers.
    """
    units: dict[int, list[Kept]] = {}
    for each in kept:
        units.setdefault(each.entry.attempt // ATTEMPTS, []).append(each)
    for attempts in units.values():
        met = None
        for each in attempts:
            first, end = each.epochs
            if end is None:
                # Nothing was told of it any more.
                met = met or ends.get(each.entry.attempt // NUMBER, "")
            odd = range(first | 1, (last if end is None else end) + 1, 2)
            met = met or each.fault or next((faults[epoch] for epoch in odd if epoch in faults), "")
        note = f"{attempts[0].workload} under {met or 'nothing'}"
        book.write(met or None, [each.entry._replace(note=note) for each in attempts])


# -- a process -------------------------------------------------------------------------------------


@dataclass
class Orders:
    """What a process is started with, as JSON."""

    number: int
    threads: int
    #: Of the back ends, one for each thread in turn.
    backends: list[str]
    #: Keywords of `connect()`.
    connect: dict[str, Any]
    #: Where the password of the day is.
    password: str
    folder: str
    #: The first place of its threads in the page.
    place: int
    seed: str
    forks: bool = False


def forked(connection: Any, attempt: int, counter: int) -> None:
    """A transaction in the middle of which the process forks; the child works as well."""
    raise NotImplementedError  # a worker's own: it needs two journals


FORKED = Workload(forked)


class Program:
    """One thread: a connection, and units of work without end."""

    def __init__(self, orders: Orders, thread: int, page: Page) -> None:
        """Take orders."""
        self.orders = orders
        self.thread = thread
        self.page = page
        self.place = orders.place + thread
        self.rng = rng = random.Random(f"{orders.seed}-{orders.number}-{thread}")
        self.first = (orders.number * MOST_THREADS + thread) * MOST_UNITS
        self.journal = self._journal("")
        self.connection: Any = None
        keywords = {
            "password": functools.partial(Path(orders.password).read_text, "ascii"),
            "use_pure": orders.backends[thread % len(orders.backends)] == "pure",
            "connect_timeout": 3,
            "read_timeout": rng.choice([1, 1, None]),
            # Time-outs of all sizes, so that a stop is longer than some and shorter than others.
            "lease": rng.choice([900, 1]),
            "stale_after": rng.choice([0, 0.2, 1]),
            "reopen_after": rng.choice([300, 1]),
            "ssl_disabled": thread % 4 != 3,
            **BACKOFF,
            **orders.connect,
        }
        self.connect = functools.partial(slsmysql.connect, **keywords)

    def _journal(self, suffix: str) -> Journal:
        name = f"{self.orders.number}-{self.thread}{suffix}.journal"
        return Journal(Path(self.orders.folder) / name, self.page)

    def run(self) -> None:
        """Work until the page says that all shall end."""
        for number in itertools.count(1):
            if self.page[END]:
                break
            if self.rng.random() < 0.05 and self.connection is not None:
                with contextlib.suppress(slsmysql.Error):
                    self.connection.close()
                self.connection = None
            fork = self.orders.forks and self.rng.random() < FORKS
            self.unit(self.first + number, FORKED if fork else choose(self.rng))
        if self.connection is not None:
            self.connection.quit()

    def unit(self, unit: int, workload: Workload) -> None:
        """Do a unit of work until it is done or unknown."""
        counter = self.rng.randrange(COUNTERS)
        fault = "fork in the middle" if workload is FORKED else ""
        run = self.fork if workload is FORKED else workload.run
        for tried in range(ATTEMPTS):
            attempt = unit * ATTEMPTS + tried
            self.journal.begin(attempt, workload.name, counter, fault)
            told, through = self.attempt(workload, run, attempt, counter)
            self.journal.told(attempt, told)
            if through:
                self.page[self.place] += 1
            if through or told == "unknown" or self.page[END]:
                break
            time.sleep(self.rng.uniform(0, PAUSE))

    def attempt(
        self, workload: Workload, run: Callable[[Any, int, int], None], attempt: int, counter: int
    ) -> tuple[Told, bool]:
        """Try once; return what was told, and whether it got through."""
        try:
            if self.connection is None:
                self.connection = self.connect(autocommit=workload.autocommit)
            else:
                self.connection.autocommit(workload.autocommit)
            run(self.connection, attempt, counter)
        except WrongAnswerError as error:
            self.journal.wrong(attempt, str(error))
            told: Told = "unknown"
        except slsmysql.Error as error:
            told = told_of(error) if workload.done == "committed" else workload.done
        else:
            return workload.done, True
        if self.connection is not None:
            acknowledge(self.connection)
        return told, False

    def fork(self, connection: Any, attempt: int, counter: int) -> None:
        """Begin a transaction, fork, and let the child do a unit of its own before going on."""
        with connection.cursor() as cursor:
            cursor.execute(INSERT, (attempt, 1))
        child = os.fork()
        if child == 0:
            status = 1
            try:
                self.journal = self._journal(f"-{attempt}")
                work = self.rng.choice([each for each in WORKLOADS if each.run is not forked])
                acknowledge(connection)
                self.unit(self.first + MOST_UNITS // 2 + attempt - self.first * ATTEMPTS, work)
                status = 0
            finally:
                if status == 0 and self.rng.random() < 0.5:
                    # The long way: finalizers of a connection that is not ours.
                    raise SystemExit(0)
                os._exit(status)
        # Before the counter is moved: the child may want to move it, too.
        _, status = os.waitpid(child, 0)
        if status:
            raise WrongAnswerError(f"the child ended with {status}")
        with connection.cursor() as cursor:
            cursor.execute(MOVE, (counter,))
            cursor.execute(INSERT, (attempt, 2))
        connection.commit()


def main() -> None:
    """Run the programs of one process, by the orders on standard input."""
    orders = Orders(**json.loads(sys.stdin.readline()))
    page = Page(Path(orders.folder) / "page")
    # Exit with work open: by the way that a program ends when it has had enough.
    signal.signal(signal.SIGUSR1, lambda *_: sys.exit(0))
    programs = [Program(orders, thread, page) for thread in range(orders.threads)]
    if orders.threads == 1:
        programs[0].run()
        return
    threads = [threading.Thread(target=each.run, daemon=True) for each in programs]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


# -- all of them -----------------------------------------------------------------------------------


@dataclass
class Crew:
    """A running process."""

    orders: Orders
    process: subprocess.Popen[str]

    @property
    def places(self) -> range:
        """The places of its threads in the page."""
        return range(self.orders.place, self.orders.place + self.orders.threads)


@dataclass
class Fleet:
    """The processes, and what was in force when."""

    folder: Path
    connect: dict[str, Any]
    seed: str
    crews: list[Crew] = field(default_factory=list)
    #: What was in force in each odd epoch.
    faults: dict[int, str] = field(default_factory=dict)
    #: What ended the processes, by their numbers.
    ends: dict[int, str] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the page."""
        self.page = Page(self.folder / "page")
        self.password = self.folder / "password"
        self._numbers = itertools.count(1)

    def start(self, threads: int, backends: list[str], place: int) -> Crew:
        """Start a process."""
        orders = Orders(
            number=next(self._numbers),
            threads=threads,
            backends=backends,
            connect=self.connect,
            password=str(self.password),
            folder=str(self.folder),
            place=place,
            seed=self.seed,
            forks=threads == 1,
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.fleet"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            text=True,
            # Ctrl-C at the terminal is for who conducts them.
            start_new_session=True,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(orders.__dict__) + "\n")
        process.stdin.close()
        process.stdin = None  # or communicate() would want to flush it
        crew = Crew(orders, process)
        self.crews.append(crew)
        return crew

    def start_all(self, threads: tuple[int, ...], backends: list[str]) -> None:
        """Start a process for each number of threads, on the back ends in turn."""
        place = END + 1
        for number, count in enumerate(threads):
            first = number % len(backends)
            self.start(count, backends[first:] + backends[:first], place)
            place += count

    def end(self, crew: Crew, how: signal.Signals | None = None) -> None:
        """End a process, and note if it does not end as it should."""
        if how is not None:
            crew.process.send_signal(how)
        try:
            _, said = crew.process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            crew.process.kill()
            _, said = crew.process.communicate()
            self.violations.append(Violation("stuck", 0, f"a process did not end: {said}"))
        code = crew.process.returncode
        if how is not signal.SIGKILL and (code or said):
            self.violations.append(Violation("stuck", 0, f"a process ended with {code}: {said}"))
        self.crews.remove(crew)

    def replace(self, crew: Crew) -> Crew:
        """Start a process in the place of one that has ended."""
        return self.start(crew.orders.threads, crew.orders.backends, crew.orders.place)

    def end_all(self) -> None:
        """Let all end what they are at, and end."""
        self.page[END] = 1
        for crew in list(self.crews):
            self.end(crew)
        self.page[END] = 0

    @contextlib.contextmanager
    def under(self, fault: str) -> Iterator[None]:
        """A fault is in force during the block."""
        epoch = self.page[EPOCH] + 1
        self.faults[epoch] = fault
        self.page[EPOCH] = epoch
        try:
            yield
        finally:
            self.page[EPOCH] = epoch + 1

    def wait_until_all_get_through(self, patience: float) -> None:
        """Wait until each thread has done a unit from now on; note those that do not."""
        places = [place for crew in self.crews for place in crew.places]
        before = {place: self.page[place] for place in places}
        end = time.monotonic() + patience
        while stuck := [place for place in places if self.page[place] == before[place]]:
            for crew in self.crews:
                if crew.process.poll() is not None:
                    self.violations.append(
                        Violation("stuck", 0, f"a process ended by itself, {crew.orders.number}")
                    )
                    self.end(crew)
                    self.replace(crew)
                    return
            if time.monotonic() > end:
                last = self.faults[max(self.faults)] if self.faults else "nothing"
                self.violations.append(
                    Violation("stuck", 0, f"threads {stuck} after {last}, {patience:.0f} s long")
                )
                return
            time.sleep(0.01)

    def write(self, book: Book) -> None:
        """Write all that was told into a book."""
        kept, violations = read(self.folder)
        book.violations += violations + self.violations
        self.violations = []
        write(book, kept, self.faults, self.page[EPOCH], self.ends)


if __name__ == "__main__":
    main()
