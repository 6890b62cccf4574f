"""Processes that do tasks: who dies costs its task, and all end when they shall."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.faults import processes
from tests.faults.processes import Job, LostError, Pool, is_over

#: Seconds until a task must have begun, however slow the machine.
PATIENCE = 60.0


def double(number: int) -> int:
    """Return twice the number."""
    return 2 * number


def die() -> None:
    """End the process, as a crash in C does."""
    os.kill(os.getpid(), signal.SIGKILL)


def work_until_over(begun: Path) -> str:
    """Work until all is over, and hand in what there is."""
    begun.touch()
    while not is_over():
        time.sleep(0.001)
    return "handed in"


def hang(begun: Path) -> None:
    """Work, and never look whether all is over."""
    begun.touch()
    threading.Event().wait()


def wait_for(begun: Path) -> None:
    """Wait until a task has begun."""
    end = time.monotonic() + PATIENCE
    while not begun.exists():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_who_dies_costs_its_task() -> None:
    """A process that dies is told, and the next task is done by another one."""
    with Pool(1) as pool:
        first, lost, last = pool.begin([Job(double, (1,)), Job(die, ()), Job(double, (2,))])
        assert first.result() == 2
        with pytest.raises(LostError, match=r"process \d+ died: -9"):
            lost.result()
        assert last.result() == 4


def test_what_a_task_raises_is_told() -> None:
    """What is raised comes with its place, and the process goes on."""
    with Pool(1) as pool:
        lost, last = pool.begin([Job(double, (None,)), Job(double, (3,))])
        with pytest.raises(LostError, match=r"in double(.|\n)*TypeError"):
            lost.result()
        assert last.result() == 6


def test_all_hand_in_when_they_shall_end(tmp_path: Path) -> None:
    """Who is at work when all shall end hands in what there is."""
    with Pool(1) as pool:
        future = pool.submit(Job(work_until_over, (tmp_path / "begun",)))
        wait_for(tmp_path / "begun")
        pool.end()
        assert future.result() == "handed in"


def test_who_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody waits forever for a task that hangs."""
    monkeypatch.setattr(processes, "GRACE", 0.0)
    with Pool(1) as pool:
        future = pool.submit(Job(hang, (tmp_path / "begun",)))
        wait_for(tmp_path / "begun")
        pool.end()
        with pytest.raises(LostError, match="died: -9"):
            future.result()
