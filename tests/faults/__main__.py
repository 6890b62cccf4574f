"""The fault laboratory's long run: a table of what was told under faults, and what was found.

    python -m tests.faults [--units 1000000] [--server both] [--backend both] [--seed N]
                           [--processes N] [--json FILE] [--only PHASE ...]

It starts servers of its own and goes through its phases: ``control`` (programs that the ledger
must catch), ``bytes`` (the cut at every byte of a whole life, without and with TLS; at every so
manieth with fewer than 200 000 units), ``freezes``, ``weather`` (faults that are in force for a
while, under a fleet of programs), ``points`` (faults at points of units of work, until there are as
many units as asked for), and ``soak``. A unit of work counts when a fault struck in it, or was in
force while it ran. The same seed plays the same faults; only races are nobody's to repeat.

The exit status is 0 when nothing was lost, doubled, split or told wrongly, nothing grew in the
soak, and the control group was caught; else 1. Ctrl-C ends it: it tells what there is by then, and
its status is 1.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import contextlib
import json
import secrets
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from tests import servers
from tests.faults import control
from tests.faults.campaign import BACKENDS, Backend, Pool, Task
from tests.faults.ledger import Book, Totals
from tests.faults.rig import OPTIONS_BY_KIND, Site
from tests.faults.soak import Soaked, soaked
from tests.faults.weather import SCENES, Weather
from tests.servers import KINDS, Kind

PHASES = ("control", "bytes", "freezes", "weather", "points", "soak")

#: From so many units on every byte is cut at.
EVERY_BYTE = 200_000

#: Of the units at points, one of so many tasks is with TLS.
TLS_SHARE = 50

#: Units of each control group.
CONTROLS = 1000

#: Units of a soak, and between its faults.
SOAK, SOAK_FAULTS = 100_000, 300

#: Violations that are printed.
MOST_SHOWN = 20


class Run:
    """One long run."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        """Take the arguments of the command."""
        self.units: int = arguments.units
        self.seed: str = arguments.seed
        self.processes: int | None = arguments.processes
        self.phases: list[str] = arguments.only or list(PHASES)
        self.kinds: list[Kind] = [k for k in KINDS if arguments.server in {k, "both"}]
        self.backends: list[Backend] = [b for b in BACKENDS if arguments.backend in {b, "both"}]
        self.books: dict[str, Book] = collections.defaultdict(Book)
        self.controls: dict[str, Book] = {}
        self.soaks: dict[str, Soaked] = {}
        self.sites: dict[Kind, Site] = {}
        self.versions: dict[str, str] = {}
        self.begun = time.monotonic()
        #: Whether it was ended before its time: what there is by then is told.
        self.interrupted = False
        self._told = threading.Lock()

    @property
    def total(self) -> Book:
        """All that was told, but for the control group."""
        total = Book()
        for book in self.books.values():
            total.add(book)
        return total

    @property
    def caught(self) -> bool:
        """Whether the control group was caught, if it was there."""
        return all(book.violations for book in self.controls.values())

    @property
    def is_right(self) -> bool:
        """Whether all was done, and nothing is wrong."""
        grown = any(each.grown or each.violations for each in self.soaks.values())
        wrong = self.total.violations or not self.caught or grown or self.interrupted
        return not wrong

    def tell(self, what: str) -> None:
        """Show where it is."""
        with self._told:
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

    def gather(self, phase: str, futures: Iterable[tuple[str, Future[Book]]]) -> None:
        """Add what comes in."""
        names = {future: name for name, future in futures}
        for future in concurrent.futures.as_completed(names):
            self.books[names[future]].add(future.result())
            self.tell(phase)

    # -- the phases ----------------------------------------------------------------------------

    def run(self) -> None:
        """Go through all phases."""
        with contextlib.ExitStack() as stack:
            for kind in self.kinds:
                server = stack.enter_context(
                    servers.start(kind, tls=True, options=OPTIONS_BY_KIND[kind])
                )
                self.sites[kind] = Site.of(server)
                self.versions[kind] = ".".join(map(str, server.version))
            pool = stack.enter_context(Pool(self.processes))
            for phase in PHASES:
                if phase in self.phases:
                    self.tell(phase)
                    getattr(self, phase)(pool)
        if sys.stderr.isatty():
            print(file=sys.stderr)

    def control(self, pool: Pool) -> None:
        """Let the ledger catch the control groups."""
        futures = {
            f"{group}, {kind}": pool.control(self.sites[kind], group, CONTROLS, self.seed)
            for group in control.GROUPS
            for kind in self.kinds
        }
        for name, future in futures.items():
            self.controls[name] = future.result()

    def bytes(self, pool: Pool) -> None:
        """Cut lives at every byte."""
        every = max(1, round(EVERY_BYTE / self.units))
        for tls in (False, True):
            tasks = self.tasks("bytes", tls=tls)
            sizes = [pool.measure(task) for _, task in tasks]
            futures = [
                (name, future)
                for (name, task), size in zip(tasks, sizes, strict=True)
                for future in pool.sweep(task, size.result(), every)
            ]
            self.gather("bytes, TLS" if tls else "bytes", futures)

    def freezes(self, pool: Pool) -> None:
        """Let connections freeze."""
        units = max(40, self.units // 5000)
        tasks = self.tasks("freezes")
        self.gather("freezes", [(n, f) for n, task in tasks for f in pool.freezes(task, units)])

    def weather(self, _pool: Pool) -> None:
        """Let fleets work while the weather changes, on each kind of server at once."""
        laps = max(1, self.units // 100_000)

        def work(kind: Kind) -> None:
            name = f"{kind}, fleet of both"
            for lap in range(laps):
                # A weather begins anew with new servers: nothing of the last one is left.
                with Weather(kind, f"{self.seed}-{lap}", self.backends) as weather:
                    book = Book()
                    scenes = list(SCENES)
                    weather.rng.shuffle(scenes)
                    weather.lap(scenes, book, self.tell)
                with self._told:
                    self.books[name].add(book)

        with concurrent.futures.ThreadPoolExecutor(len(self.kinds)) as threads:
            list(threads.map(work, self.kinds))

    def points(self, pool: Pool) -> None:
        """Let faults strike at points of units of work, until there are enough."""
        left = self.units - self.total.faulted
        tasks = self.tasks("points")
        plain = [(n, f) for n, task in tasks for f in pool.points(task, left // len(tasks))]
        few = left // len(tasks) // TLS_SHARE
        secure = self.tasks("points", tls=True)
        self.gather(
            "points", [*plain, *((n, f) for n, task in secure for f in pool.points(task, few))]
        )

    def soak(self, _pool: Pool) -> None:
        """Soak each of them."""
        units = min(SOAK, max(1000, self.units // 10))
        for name, task in self.tasks("soak"):
            self.soaks[name] = soaked(task.site, task.backend, units, SOAK_FAULTS, task.seed)
            self.tell(f"soak, {name}")

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
            "interrupted": self.interrupted,
            "right": self.is_right,
        }

    def print(self) -> None:
        """Print the tables."""
        total = self.total
        rows = sorted(total.faults.items())
        table("fault", rows)
        table("server, back end", [(n, _sum(b)) for n, b in sorted(self.books.items())])
        print(
            f"\n{total.faulted:,} faulted units, and {total.calm:,} others; of "
            f"{total.unknown_there + total.unknown_not_there:,} unknown outcomes "
            f"{total.unknown_there:,} were there and {total.unknown_not_there:,} were not; "
            f"{len(total.violations)} violations"
        )
        for violation in total.violations[:MOST_SHOWN]:
            print("  ", *violation)
        for name, book in self.controls.items():
            found = collections.Counter(violation.wrong for violation in book.violations)
            print(f"control group ({name}), {book.faulted} faulted units: {dict(found)}")
        for name, each in self.soaks.items():
            grown = "; ".join([*each.grown, *each.violations]) or "nothing grew"
            print(f"soak ({name}), {each.units} units, {each.faulted} faulted: {grown}")
            print(f"   {each.before}\n   {each.after}")
        if self.interrupted:
            print("interrupted")
        else:
            print("nothing is wrong" if self.is_right else "SOMETHING IS WRONG")


def _sum(book: Book) -> Totals:
    total = Totals()
    for each in book.faults.values():
        total += each
    return total


def table(title: str, rows: list[tuple[str, Totals]]) -> None:
    """Print a table with a sum."""
    total = Totals()
    print(f"\n{title:44}{'units':>10}{'committed':>11}{'failed':>10}{'unknown':>9}")
    for name, totals in rows:
        total += totals
        print(
            f"{name:44}{totals.units:>10,}{totals.committed:>11,}{totals.failed:>10,}{totals.unknown:>9,}"
        )
    print(f"{'':44}{total.units:>10,}{total.committed:>11,}{total.failed:>10,}{total.unknown:>9,}")


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
    parser.add_argument("--processes", type=int, metavar="N", help="cores + 1 by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there")
    parser.add_argument(
        "--only", nargs="+", choices=PHASES, metavar="PHASE", help=", ".join(PHASES)
    )
    chosen = parser.parse_args(arguments)
    if chosen.units < 1:
        parser.error("--units: at least 1")
    run = Run(chosen)
    print(f"seed {run.seed}", file=sys.stderr)
    try:
        run.run()
    except KeyboardInterrupt:
        run.interrupted = True
    run.print()
    if chosen.json:
        chosen.json.write_text(json.dumps(run.as_dict(), indent=1) + "\n")
    return 0 if run.is_right else 1


if __name__ == "__main__":
    sys.exit(main())
