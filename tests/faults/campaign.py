"""The long run: very many units of work, as jobs for several processes, each on a bench of its own.

A task says what happens in a job, by its seed; only who wins a race is not in the seed. When all
shall end, a job ends with the unit of work that it is at, and what it has done is judged.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import random
import warnings
from collections.abc import Iterator
from typing import Literal, NamedTuple

from tests.faults import control, points, sweep
from tests.faults.ledger import Book
from tests.faults.points import HOW, TOWARD, Cut, Size
from tests.faults.processes import Job, is_over
from tests.faults.rig import Rig, Site
from tests.faults.worker import Worker, lives
from tests.faults.workloads import WORKLOADS, choose
from tests.proxy import Direction, Ending

Backend = Literal["c", "pure"]
BACKENDS: tuple[Backend, ...] = ("c", "pure")

#: Faulted units of one job: enough that its database and its sizes cost little beside them, and
#: not more than half a minute's, so that few are under way at the end.
PORTION, PORTION_IN_TLS = 2000, 500

#: Threads that wait for freezes together, each with a connection.
WAITERS = 8

#: Cuts of one job in a sweep; a hand-shake with TLS takes several times as long.
CUTS, CUTS_IN_TLS = 1000, 250


class Task(NamedTuple):
    """Where units of work are done, and what decides about them."""

    site: Site
    backend: Backend
    seed: str
    tls: bool = False

    def rig(self, **keywords: object) -> Rig:
        """Return the bench."""
        return Rig.for_slsmysql(self.site, pure=self.backend == "pure", tls=self.tls, **keywords)


def at_points_of(rig: Rig, rng: random.Random, units: int, draw: points.Draw = points.draw) -> Book:
    """Do units of work until so many have met a fault at a point, or all is over, and judge."""
    book = Book()
    worker = Worker(rig, book, rng)
    small = tuple(each for each in WORKLOADS if each.name != "big" or not rig.tls)
    how = lives(rng)
    while book.faulted < units and not is_over():
        workload = choose(rng, small)
        begin = next(how)
        size = worker.size(workload, begin)
        worker.begin(begin)
        worker.unit(workload, draw(rng, workload, size))
    rig.judge(book)
    return book


def at_points(task: Task, units: int) -> Book:
    """Do units of work with faults at their points."""
    with _quietly(), task.rig() as rig:
        return at_points_of(rig, random.Random(task.seed), units)


def frozen(task: Task, units: int) -> Book:
    """Do units of work in which the connection freezes: several at a time, as each only waits."""

    def wait(number: int) -> Book:
        rng = random.Random(f"{task.seed}-{number}")
        with task.rig(read_timeout=points.READ_TIMEOUT, connect_timeout=2, reuse=False) as rig:
            return at_points_of(rig, rng, units // WAITERS, points.draw_freeze)

    book = Book()
    with concurrent.futures.ThreadPoolExecutor(WAITERS) as pool:
        for each in pool.map(wait, range(WAITERS)):
            book.add(each)
    return book


def measured(task: Task) -> Size:
    """Return the bytes of a whole life."""
    with task.rig() as rig:
        return sweep.measure(rig, Book())


def swept(task: Task, toward: Direction, how: Ending, bytes_: range) -> Book:
    """Cut lives at these bytes."""
    book = Book()
    with _quietly(), task.rig() as rig:
        sweep.measure(rig, book)
        there = itertools.takewhile(lambda _byte: not is_over(), bytes_)
        sweep.sweep(rig, book, (Cut(toward, byte, how) for byte in there))
    return book


def in_control(site: Site, group: str, units: int, seed: str) -> Book:
    """Let the control group do units of work with faults at their points."""
    rng = random.Random(seed)
    book = Book()
    connect, told = control.GROUPS[group]
    with Rig(site, connect=connect, ssl_disabled=True) as rig:
        worker = Worker(rig, book, rng, told=told)
        plain = tuple(each for each in WORKLOADS if each.plain)
        how = lives(rng)
        while book.faulted < units:
            workload = choose(rng, plain)
            begin = next(how)
            size = worker.size(workload, begin)
            worker.begin(begin)
            worker.unit(workload, points.draw(rng, workload, size))
        rig.judge(book)
    return book


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Hide what CPython's ssl has to say of a hand-shake that was cut.

    It forgets the socket of one that ends before it has begun.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "unclosed <ssl.SSLSocket", ResourceWarning)
        yield


def portions(task: Task, units: int) -> list[Job]:
    """Return so many faulted units of work with faults at their points, as jobs."""
    portion = PORTION_IN_TLS if task.tls else PORTION
    return [
        Job(
            at_points,
            (task._replace(seed=f"{task.seed}-points-{first}"), min(portion, units - first)),
        )
        for first in range(0, units, portion)
    ]


def freezes(task: Task, units: int) -> Job:
    """Return so many units of work that freeze, as a job."""
    return Job(frozen, (task._replace(seed=f"{task.seed}-freezes"), units))


def cuts(task: Task, size: Size, every: int = 1) -> list[Job]:
    """Return lives that are cut at every so manieth byte, each way and by each ending, as jobs.

    :param size: of a whole life.
    """
    portion = every * (CUTS_IN_TLS if task.tls else CUTS)
    jobs = []
    for toward in TOWARD:
        last = (size.to_server if toward == "server" else size.to_client) + sweep.SLACK
        for how in HOW:
            for first in range(1, last + 1, portion):
                bytes_ = range(first, min(first + portion, last + 1), every)
                jobs.append(Job(swept, (task, toward, how, bytes_)))
    return jobs


def controls(site: Site, group: str, units: int, seed: str) -> Job:
    """Return so many faulted units of work of the control group's, as a job."""
    return Job(in_control, (site, group, units, f"{seed}-{group}"))
