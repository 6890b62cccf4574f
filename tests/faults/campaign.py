"""The long run: very many units of work, in several processes, each with a bench of its own.

A task is what one process does at a time, and its seed says what happens in it; only who wins a
race is not in the seed.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import multiprocessing
import os
import random
import warnings
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Literal, NamedTuple

from tests.faults import control, points, sweep
from tests.faults.ledger import Book
from tests.faults.points import HOW, TOWARD, Cut, Size
from tests.faults.rig import Rig, Site
from tests.faults.worker import Worker, lives
from tests.faults.workloads import WORKLOADS, choose
from tests.proxy import Direction, Ending

Backend = Literal["c", "pure"]
BACKENDS: tuple[Backend, ...] = ("c", "pure")

#: Faulted units of one task.
PORTION = 500

#: Threads that wait for freezes together, each with a connection.
WAITERS = 8

#: Cuts of one task in a sweep; a hand-shake with TLS takes ten times as long.
CUTS, CUTS_IN_TLS = 500, 100


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
    """Do units of work until so many have met a fault at a point, and judge."""
    book = Book()
    worker = Worker(rig, book, rng)
    small = tuple(each for each in WORKLOADS if each.name != "big" or not rig.tls)
    how = lives(rng)
    while book.faulted < units:
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
        sweep.sweep(rig, book, (Cut(toward, byte, how) for byte in bytes_))
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


class Pool:
    """The processes."""

    def __init__(self, processes: int | None = None) -> None:
        """Start them when they are needed: as many as there are cores, and one that waits."""
        self._pool = ProcessPoolExecutor(
            processes or (os.cpu_count() or 1) + 1, multiprocessing.get_context("spawn")
        )

    def __enter__(self) -> Pool:
        """Return the pool, which ends with the block."""
        return self

    def __exit__(self, *_error: object) -> None:
        """End the processes."""
        self._pool.shutdown(cancel_futures=True)

    def points(self, task: Task, units: int) -> list[Future[Book]]:
        """Begin so many faulted units of work with faults at their points."""
        return [
            self._pool.submit(
                at_points,
                task._replace(seed=f"{task.seed}-points-{first}"),
                min(PORTION, units - first),
            )
            for first in range(0, units, PORTION)
        ]

    def freezes(self, task: Task, units: int) -> list[Future[Book]]:
        """Begin so many units of work that freeze."""
        return [self._pool.submit(frozen, task._replace(seed=f"{task.seed}-freezes"), units)]

    def measure(self, task: Task) -> Future[Size]:
        """Begin to measure a whole life."""
        return self._pool.submit(measured, task)

    def sweep(self, task: Task, size: Size, every: int = 1) -> list[Future[Book]]:
        """Begin lives that are cut at every so manieth byte, each way and by each ending.

        :param size: of a whole life.
        """
        portion = every * (CUTS_IN_TLS if task.tls else CUTS)
        futures = []
        for toward in TOWARD:
            last = (size.to_server if toward == "server" else size.to_client) + sweep.SLACK
            for how in HOW:
                for first in range(1, last + 1, portion):
                    bytes_ = range(first, min(first + portion, last + 1), every)
                    futures.append(self._pool.submit(swept, task, toward, how, bytes_))
        return futures

    def control(self, site: Site, group: str, units: int, seed: str) -> Future[Book]:
        """Begin so many faulted units of work of the control group's."""
        return self._pool.submit(in_control, site, group, units, f"{seed}-{group}")
