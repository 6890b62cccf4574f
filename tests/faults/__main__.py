"""The fault laboratory's long run: a table of what was told under faults, and what was found.

    python -m tests.faults [--units 1000000] [--minutes M] [--server both] [--backend both]
                           [--seed N] [--processes N] [--json FILE] [--table FILE]
                           [--only PHASE ...]

It starts servers of its own and goes through its phases, all at once: ``control`` (programs that
the ledger must catch), ``bytes`` (the cut at every byte of a whole life, without and with TLS; at
every so manieth with fewer than 200 000 units), ``freezes``, ``weather`` (faults that are in force
for a while, under a fleet of programs), ``points`` (faults at points of units of work, until there
are as many units as asked for), and ``soak``. A unit of work counts when a fault struck in it, or
was in force while it ran. The same seed plays the same faults; only races, and how much the other
phases have done when the units are enough, are nobody's to repeat.

When the minutes are over it ends with what there is by then, every unit of it judged. So it does
at Ctrl-C and SIGTERM; a second one ends it at once. A process that dies is told, and costs no more
than what it was at. What there is at any time is in the files that were asked for.

The exit status is 0 when nothing was lost, doubled, split or told wrongly, nothing grew in the
soak, no process died, and the control group was caught; else, and after Ctrl-C, 1.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import contextlib
import io
import itertools
import json
import secrets
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TextIO

from tests import servers
from tests.faults import control
from tests.faults.campaign import (
    BACKENDS,
    Backend,
    Task,
    controls,
    cuts,
    freezes,
    measured,
    portions,
)
from tests.faults.ledger import Book, Totals
from tests.faults.processes import Job, LostError, Pool
from tests.faults.rig import OPTIONS_BY_KIND, Site
from tests.faults.soak import Soaked, soaked
from tests.faults.weather import SCENES, Weather
from tests.servers import KINDS, Kind

PHASES = ("control", "bytes", "freezes", "weather", "points", "soak")

#: From so many units on every byte is cut at.
EVERY_BYTE = 200_000

#: Of the units at points, one of so many is with TLS.
TLS_SHARE = 50

#: Units of each control group.
CONTROLS = 1000

#: Units of a soak, and between its faults.
SOAK, SOAK_FAULTS = 100_000, 300

#: Violations that are printed.
MOST_SHOWN = 20

#: Seconds between two times that what there is is written.
WRITTEN_EVERY = 30.0

#: What ends a run before its time.
INTERRUPTED, TIME_UP = "interrupted", "the time is up"
ENDING = (signal.SIGINT, signal.SIGTERM)


class Run:
    """One long run."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        """Take the arguments of the command."""
        self.units: int = arguments.units
        self.seed: str = arguments.seed
        self.minutes: float | None = arguments.minutes
        self.processes: int | None = arguments.processes
        self.json: Path | None = arguments.json
        self.table: Path | None = arguments.table
        self.phases: list[str] = arguments.only or list(PHASES)
        self.kinds: list[Kind] = [k for k in KINDS if arguments.server in {k, "both"}]
        self.backends: list[Backend] = [b for b in BACKENDS if arguments.backend in {b, "both"}]
        self.books: dict[str, Book] = collections.defaultdict(Book)
        self.controls: dict[str, Book] = {}
        self.soaks: dict[str, Soaked] = {}
        self.sites: dict[Kind, Site] = {}
        self.versions: dict[str, str] = {}
        self.begun = time.monotonic()
        #: Why it was ended before its time, if it was: what there is by then is told.
        self.ended = ""
        #: What has no result: a process died, or something was raised.
        self.failures: list[str] = []
        self._lock = threading.RLock()

    @property
    def total(self) -> Book:
        """All that was told, but for the control group."""
        total = Book()
        with self._lock:
            for book in self.books.values():
                total.add(book)
        return total

    @property
    def caught(self) -> bool:
        """Whether the control group was caught, if it was there."""
        return all(book.violations for book in self.controls.values())

    @property
    def is_right(self) -> bool:
        """Whether all was done that there was time for, and nothing is wrong."""
        grown = any(each.grown or each.violations for each in self.soaks.values())
        interrupted = self.ended == INTERRUPTED
        return not (
            self.total.violations or not self.caught or grown or self.failures or interrupted
        )

    def tell(self, what: str) -> None:
        """Show where it is."""
        with self._lock:
            total = self.total
            line = (
                f"{time.monotonic() - self.begun:7.0f} s  {total.faulted:>9,} faulted units  "
                f"{len(total.violations)} violations  {what}"
            )
            end = "" if sys.stderr.isatty() else "\n"
            start = "\r\033[K" if sys.stderr.isatty() else ""
            print(f"{start}{line}", end=end, file=sys.stderr, flush=True)

    def tasks(self, phase: str, *, tls: bool = False) -> list[tuple[str, Task]]:
        """Return a task for each server and back end, with its name."""
        return [
            (
                f"{kind}, {backend}",
                Task(self.sites[kind], backend, f"{self.seed}-{kind}-{backend}-{phase}-{tls}", tls),
            )
            for kind in self.kinds
            for backend in self.backends
        ]

    def fail(self, what: str) -> None:
        """Note that something has no result; what it has done is told by nobody."""
        with self._lock:
            self.failures.append(what)
        self.tell(what)

    def gather(
        self,
        phase: str,
        pool: Pool,
        jobs: Sequence[tuple[str, Job]],
        *,
        is_enough: Callable[[], bool] = lambda: False,
        most: int | None = None,
    ) -> None:
        """Let jobs be done, few at a time, as other phases want their turn; add what comes in.

        :param most: jobs at a time, if not as many as there are processes.
        """
        names: dict[Future[Book], str] = {}
        left = iter(jobs)
        while True:
            while (
                len(names) < (most or pool.processes) and not pool.over.is_set() and not is_enough()
            ):
                name, job = next(left, ("", None))
                if job is None:
                    break
                names[pool.submit(job)] = name
            if not names:
                return
            done, _ = concurrent.futures.wait(names, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                name = names.pop(future)
                try:
                    book = future.result()
                except LostError as error:
                    self.fail(f"{phase}, {name}: {error}")
                else:
                    with self._lock:
                        self.books[name].add(book)
            self.tell(phase)

    # -- the phases ----------------------------------------------------------------------------

    def run(self) -> None:
        """Go through all phases, at once: one waits while another works."""
        with contextlib.ExitStack() as stack:
            for kind in self.kinds:
                server = stack.enter_context(
                    servers.start(kind, tls=True, options=OPTIONS_BY_KIND[kind])
                )
                self.sites[kind] = Site.of(server)
                self.versions[kind] = ".".join(map(str, server.version))
            pool = stack.enter_context(Pool(self.processes))
            stack.enter_context(self._ending(pool))
            stack.enter_context(self._writing())
            threads = stack.enter_context(ThreadPoolExecutor(len(PHASES)))
            futures = {
                phase: threads.submit(getattr(self, phase), pool)
                for phase in PHASES
                if phase in self.phases
            }
            for phase, future in futures.items():
                try:
                    future.result()
                except Exception:  # the others have their figures
                    self.fail(f"{phase}: {traceback.format_exc()}")
        if sys.stderr.isatty():
            print(file=sys.stderr)

    @contextlib.contextmanager
    def _ending(self, pool: Pool) -> Iterator[None]:
        """End all when the time is up, and at the first SIGINT or SIGTERM, with what there is."""

        def end(ended: str) -> None:
            self.ended = self.ended or ended
            pool.end()

        def interrupted(_number: int, _frame: object) -> None:
            if self.ended == INTERRUPTED:
                raise KeyboardInterrupt
            end(INTERRUPTED)

        timer: threading.Timer | None = None
        if self.minutes is not None:
            left = self.begun + 60 * self.minutes - time.monotonic()
            timer = threading.Timer(max(0.0, left), end, (TIME_UP,))
            timer.start()
        before = {number: signal.signal(number, interrupted) for number in ENDING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            if timer is not None:
                timer.cancel()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Write what there is from time to time: who kills the command has that."""
        over = threading.Event()

        def work() -> None:
            while not over.wait(WRITTEN_EVERY):
                self.write()

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def control(self, pool: Pool) -> None:
        """Let the ledger catch the control groups."""
        futures = {
            f"{group}, {kind}": pool.submit(controls(self.sites[kind], group, CONTROLS, self.seed))
            for group in control.GROUPS
            for kind in self.kinds
        }
        for name, future in futures.items():
            book = future.result()
            with self._lock:
                self.controls[name] = book
        self.tell("control")

    def bytes(self, pool: Pool) -> None:
        """Cut lives at every byte."""
        every = max(1, round(EVERY_BYTE / self.units))
        plans = []
        for tls in (False, True):
            tasks = self.tasks("bytes", tls=tls)
            sizes = pool.begin(Job(measured, (task,)) for _, task in tasks)
            plans += [
                [(name, job) for job in cuts(task, size.result(), every)]
                for (name, task), size in zip(tasks, sizes, strict=True)
            ]
        self.gather("bytes", pool, spread(plans))

    def freezes(self, pool: Pool) -> None:
        """Let connections freeze."""
        units = max(40, self.units // 2500)
        tasks = self.tasks("freezes")
        # One at a time: as it only waits, the other processes are to work meanwhile.
        jobs = [(name, freezes(task, units)) for name, task in tasks]
        self.gather("freezes", pool, jobs, most=1)

    def weather(self, pool: Pool) -> None:
        """Let fleets work while the weather changes, on each kind of server at once."""
        laps = max(1, self.units // 100_000)

        def work(kind: Kind, lap: int) -> None:
            # A weather begins anew with new servers: nothing of the last one is left.
            with Weather(kind, f"{self.seed}-{lap}", self.backends) as weather:
                book = Book()
                scenes = list(SCENES)
                weather.rng.shuffle(scenes)
                there = itertools.takewhile(lambda _scene: not pool.over.is_set(), scenes)
                weather.lap(there, book, self.tell)
            with self._lock:
                self.books[f"{kind}, fleet of both"].add(book)

        def work_on(kind: Kind) -> None:
            for lap in range(laps):
                if pool.over.is_set():
                    return
                try:
                    work(kind, lap)
                except Exception:  # the other laps have their figures
                    self.fail(f"weather, {kind}, lap {lap}: {traceback.format_exc()}")

        with ThreadPoolExecutor(len(self.kinds)) as threads:
            list(threads.map(work_on, self.kinds))

    def points(self, pool: Pool) -> None:
        """Let faults strike at points of units of work, until there are enough."""
        tasks = [*self.tasks("points"), *self.tasks("points", tls=True)]
        share = -(-self.units // len(self.tasks("points")))
        plans = [
            [(name, job) for job in portions(task, share // TLS_SHARE if task.tls else share)]
            for name, task in tasks
        ]
        self.gather(
            "points", pool, spread(plans), is_enough=lambda: self.total.faulted >= self.units
        )

    def soak(self, pool: Pool) -> None:
        """Soak each of them, on each kind of server at once."""
        units = min(SOAK, max(1000, self.units // 10))

        def work(named: tuple[str, Task]) -> None:
            name, task = named
            if pool.over.is_set():
                return
            try:
                found = soaked(task.site, task.backend, units, SOAK_FAULTS, task.seed, pool.over)
            except LostError as error:
                self.fail(f"soak, {name}: {error}")
                return
            with self._lock:
                self.soaks[name] = found
            self.tell(f"soak, {name}")

        with ThreadPoolExecutor(len(self.kinds)) as threads:
            list(threads.map(work, self.tasks("soak")))

    # -- the report ----------------------------------------------------------------------------

    def as_dict(self) -> dict[str, Any]:
        """Return everything for JSON."""
        return {
            "units": self.units,
            "seed": self.seed,
            "phases": self.phases,
            "servers": self.versions,
            "seconds": round(time.monotonic() - self.begun, 1),
            "total": self.total.as_dict(),
            "by server and back end": {n: b.as_dict() for n, b in sorted(self.books.items())},
            "control": {n: b.as_dict() for n, b in sorted(self.controls.items())},
            "soak": {
                name: {
                    "units": each.units,
                    "faulted": each.faulted,
                    "before": each.before._asdict(),
                    "after": each.after._asdict(),
                    "grown": each.grown,
                    "violations": each.violations,
                }
                for name, each in sorted(self.soaks.items())
            },
            "failures": self.failures,
            "ended": self.ended,
            "right": self.is_right,
        }

    @property
    def text(self) -> str:
        """The tables."""
        text = io.StringIO()
        with self._lock:
            self._print(text)
        return text.getvalue()

    def write(self) -> None:
        """Write what there is into the files that were asked for, each whole or not at all."""
        with self._lock:
            for path, text in (
                (self.json, json.dumps(self.as_dict(), indent=1) + "\n"),
                (self.table, self.text),
            ):
                if path is not None:
                    new = path.with_name(f"{path.name}.new")
                    new.write_text(text)
                    new.replace(path)

    def _print(self, out: TextIO) -> None:
        total = self.total
        table("fault", sorted(total.faults.items()), out)
        table("server, back end", [(n, _sum(b)) for n, b in sorted(self.books.items())], out)
        told = (
            f"\n{total.faulted:,} faulted units in {(time.monotonic() - self.begun) / 60:.1f} "
            f"minutes, and {total.calm:,} others; of "
            f"{total.unknown_there + total.unknown_not_there:,} unknown outcomes "
            f"{total.unknown_there:,} were there and {total.unknown_not_there:,} were not; "
            f"{len(total.violations)} violations"
        )
        lines = [
            told,
            *(" ".join(map(str, ("  ", *each))) for each in total.violations[:MOST_SHOWN]),
        ]
        for name, book in self.controls.items():
            found = collections.Counter(violation.wrong for violation in book.violations)
            lines.append(f"control group ({name}), {book.faulted} faulted units: {dict(found)}")
        for name, each in self.soaks.items():
            grown = "; ".join([*each.grown, *each.violations]) or "nothing grew"
            early = "" if each.whole else " (ended early)"
            lines += [
                f"soak ({name}), {each.units} units{early}, {each.faulted} faulted: {grown}",
                f"   {each.before}",
                f"   {each.after}",
            ]
        lines += [f"without a result: {each}" for each in self.failures]
        if self.ended:
            lines.append(f"{self.ended}: {total.faulted:,} of {self.units:,} units")
        lines.append("nothing is wrong" if self.is_right else "SOMETHING IS WRONG")
        print(*lines, sep="\n", file=out)


def spread(plans: Sequence[Sequence[tuple[str, Job]]]) -> list[tuple[str, Job]]:
    """Return all plans as one: at any time the same share of each is done."""
    places = [
        ((number + 0.5) / len(plan), which, number)
        for which, plan in enumerate(plans)
        for number in range(len(plan))
    ]
    return [plans[which][number] for _, which, number in sorted(places)]


def _sum(book: Book) -> Totals:
    total = Totals()
    for each in book.faults.values():
        total += each
    return total


def table(title: str, rows: list[tuple[str, Totals]], out: TextIO) -> None:
    """Print a table with a sum."""
    total = Totals()
    print(f"\n{title:44}{'units':>10}{'committed':>11}{'failed':>10}{'unknown':>9}", file=out)
    for name, totals in rows:
        total += totals
        print(_row(name, totals), file=out)
    print(_row("", total), file=out)


def _row(name: str, of: Totals) -> str:
    return f"{name:44}{of.units:>10,}{of.committed:>11,}{of.failed:>10,}{of.unknown:>9,}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--units", type=int, default=1_000_000, metavar="N", help="faulted units")
    parser.add_argument("--server", choices=(*KINDS, "both"), default="both")
    parser.add_argument("--backend", choices=(*BACKENDS, "both"), default="both")
    parser.add_argument("--seed", default=secrets.token_hex(4))
    parser.add_argument("--minutes", type=float, metavar="M", help="end after so many")
    parser.add_argument("--processes", type=int, metavar="N", help="2 for each core by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the tables there")
    parser.add_argument(
        "--only", nargs="+", choices=PHASES, metavar="PHASE", help=", ".join(PHASES)
    )
    chosen = parser.parse_args(arguments)
    for name, least in ("units", 1), ("processes", 1), ("minutes", 0):
        given = getattr(chosen, name)
        if given is not None and given < least:
            parser.error(f"--{name}: at least {least}")
    run = Run(chosen)
    print(f"seed {run.seed}", file=sys.stderr)
    try:
        run.run()
    except KeyboardInterrupt:
        run.ended = INTERRUPTED
    print(run.text, end="")
    run.write()
    return 0 if run.is_right else 1


if __name__ == "__main__":
    sys.exit(main())
