"""The soak: very many units of work with a fault now and then, and nothing that grows."""

from __future__ import annotations

import gc
import random
import resource
import sys
import threading
from pathlib import Path
from typing import NamedTuple

from tests.faults import points
from tests.faults.ledger import Book
from tests.faults.processes import Flag, Hand, Job, flag, is_over
from tests.faults.rig import Rig, Site
from tests.faults.worker import Worker, lives
from tests.faults.workloads import WORKLOADS, choose

#: Units between two judgements: the ledger's own entries must not count.
ROUND = 1000

#: Units that are done before the first measurement, as a share: caches fill, and the heap.
WARM_UP = 0.2

#: What may be more at the end than after the warm-up: bytes of memory, which the allocator gives
#: out in arenas of 1 MiB and more.
SLACK = 6 << 20

STATM = Path("/proc/self/statm")


class Held(NamedTuple):
    """What the process and its server hold."""

    #: Bytes in memory (elsewhere than on Linux: the most there have been).
    memory: int
    descriptors: int
    threads: int
    sessions: int
    #: Of the whole server.
    prepared_statements: int


def held(rig: Rig) -> Held:
    """Return what is held with one connection at rest."""
    rig.connected(autocommit=False)
    gc.collect()
    if STATM.exists():
        memory = int(STATM.read_text().split()[1]) * resource.getpagesize()
    else:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        memory = most if sys.platform == "darwin" else most << 10
    ((_, prepared),) = rig.database.run("SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'")
    return Held(
        memory,
        len(list(Path("/dev/fd").iterdir())),
        threading.active_count(),
        rig.database.wait_until_left(but=1),
        int(prepared),
    )


class Soaked(NamedTuple):
    """What a soak found."""

    units: int
    faulted: int
    before: Held
    after: Held
    violations: list[str]
    #: Whether it was not ended before its time.
    whole: bool = True

    @property
    def grown(self) -> list[str]:
        """What is more than before."""
        before, after = self.before, self.after
        return [
            f"{name}: {getattr(before, name)} to {getattr(after, name)}"
            for name in Held._fields
            if getattr(after, name) > getattr(before, name) + (SLACK if name == "memory" else 0)
        ]


def soaked(
    site: Site, backend: str, units: int, every: int, seed: str, over: Flag | None = None
) -> Soaked:
    """Soak in a process of its own, until ``over`` is set."""
    hand = Hand(over or flag())
    try:
        found: Soaked = hand.do(Job(soak, (site, backend, units, every, seed)))
    finally:
        hand.close()
    return found


def soak(site: Site, backend: str, units: int, every: int, seed: str) -> Soaked:
    """Do so many units of work, with a fault at every so manieth."""
    rng = random.Random(seed)
    book = Book()
    small = tuple(each for each in WORKLOADS if each.name != "big")
    with Rig.for_slsmysql(site, pure=backend == "pure") as rig:
        worker = Worker(rig, book, rng)
        how = lives(rng)
        before: Held | None = None
        number = 0
        while number < units and not is_over():
            workload = choose(rng, small)
            fault = None
            if number % every == every - 1:
                begin = next(how)
                size = worker.size(workload, begin)
                worker.begin(begin)
                fault = points.draw(rng, workload, size)
            worker.unit(workload, fault)
            if number % ROUND == ROUND - 1:
                rig.judge(book)
            if before is None and number >= units * WARM_UP:
                rig.judge(book)
                before = held(rig)
            number += 1
        rig.judge(book)
        after = held(rig)
        violations = [str(violation) for violation in book.violations]
        return Soaked(number, book.faulted, before or after, after, violations, number == units)
