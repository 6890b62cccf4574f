"""Processes that do tasks, each of which is lost alone if its process dies.

A `Hand` is one process, and a `Pool` several of them. All that are under way are told by one flag,
which `is_over` reads, that they shall end what they are at, and hand in what they have.
"""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, Protocol, TypeVar

T = TypeVar("T")

#: Seconds until a task that shall end, and does not, is ended with its process.
GRACE = 90.0

_SPAWN = multiprocessing.get_context("spawn")


class Flag(Protocol):
    """What is set when all shall end: an event that processes share."""

    def set(self) -> None:
        """Set it."""

    def is_set(self) -> bool:
        """Return whether it is set."""


class Job(NamedTuple):
    """A function, which a process can import, and its arguments."""

    do: Callable[..., Any]
    arguments: tuple[Any, ...]


class LostError(RuntimeError):
    """A task has no result: it raised something, or its process died."""


def flag() -> Flag:
    """Return a flag that is not set."""
    return _SPAWN.Event()


#: That of this process.
_over: Flag = threading.Event()


def is_over() -> bool:
    """Return whether a task shall end, and hand in what it has."""
    return _over.is_set()


def _serve(pipe: Connection, over: Flag) -> None:
    """Do the tasks that come, until no more can come."""
    global _over  # noqa: PLW0603  # the process's own
    _over = over
    # Ctrl-C at the terminal is for the parent, which sets the flag.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        answer: tuple[Any, str | None]
        try:
            answer = job.do(*job.arguments), None
        except Exception:  # told to who asked
            answer = None, traceback.format_exc()
        pipe.send(answer)


class Hand:
    """A process that does one task after the other."""

    def __init__(self, over: Flag) -> None:
        """Start it."""
        # Kept: a flag that nobody holds any more is gone before the process has opened it.
        self._over = over
        self._pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(theirs, over), daemon=True)
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int | None:
        """The id of the process."""
        return self._process.pid

    def do(self, job: Job) -> Any:
        """Return what the task returns, or raise `LostError`."""
        try:
            self._pipe.send(job)
            result, raised = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            raise LostError(f"process {self.pid} died: {self._process.exitcode}") from None
        if raised is not None:
            raise LostError(raised)
        return result

    @property
    def alive(self) -> bool:
        """Whether it can do another one."""
        return self._process.is_alive()

    def kill(self) -> None:
        """End it in the middle of its task."""
        self._process.kill()

    def close(self) -> None:
        """End it after its task."""
        self._pipe.close()
        self._process.join()


class Pool:
    """Several hands, each with a thread that waits for it."""

    def __init__(self, processes: int | None = None) -> None:
        """Start them when they are needed: by default two for each core, as each also waits."""
        self.processes = processes or 2 * (os.cpu_count() or 1)
        self.over = flag()
        self._threads = concurrent.futures.ThreadPoolExecutor(self.processes)
        self._own = threading.local()
        self._hands: list[Hand] = []
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Pool:
        """Return the pool, which ends with the block."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Let all end what they are at, and end."""
        self.end()
        self._threads.shutdown(cancel_futures=True)
        for hand in self._hands:
            hand.close()
        if self._timer is not None:
            self._timer.cancel()

    def end(self) -> None:
        """Let all end what they are at; those that do not in time are killed."""
        if not self.over.is_set():
            self.over.set()
            self._timer = threading.Timer(GRACE, self._kill)
            self._timer.start()

    def _kill(self) -> None:
        for hand in list(self._hands):
            hand.kill()

    def submit(self, job: Job) -> Future[Any]:
        """Begin a task; its future raises `LostError` if it has no result."""
        return self._threads.submit(self._do, job)

    def begin(self, jobs: Iterable[Job]) -> list[Future[Any]]:
        """Begin several."""
        return [self.submit(job) for job in jobs]

    def _do(self, job: Job) -> Any:
        hand: Hand | None = getattr(self._own, "hand", None)
        if hand is None or not hand.alive:
            hand = self._own.hand = Hand(self.over)
            self._hands.append(hand)
        return hand.do(job)
