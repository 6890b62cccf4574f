"""What the harness sees of the server: its connections over time, and what a run did to it.

The harness has one session of its own, as an administrator's monitoring has, which is opened
before the fleet: it is one of the server's ``max_connections``. (An administrator who comes when
all are taken gets the one that MySQL and MariaDB keep in reserve; this one need not.)
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pymysql

from benchmarks.fleet import Fate, Sample
from benchmarks.platform_posix import Platform

#: The status variables that `Traffic` is read from.
COUNTERS = ("Connections", "Connection_errors_max_connections", "Aborted_connects", "Com_kill")

#: Seconds between two looks.
INTERVAL = 0.05


class Monitor:
    """Reads a server's counters before and after a run, and looks at it meanwhile."""

    def __init__(self, connection: pymysql.Connection[Any], pid: int) -> None:
        """Take the first reading.

        :param connection: the harness's session; nobody else may use it before ``growth``.
        :param pid: the server's process.
        """
        self.samples: list[Sample] = []
        self._connection = connection
        self._pid = pid
        self._counters = self._read(COUNTERS)
        self._cpu = processor_seconds(pid)

    async def watch(self, platform: Platform, show: Callable[[Platform, Sample], None]) -> None:
        """Take samples until it is cancelled.

        :param platform: whose containers are counted.
        :param show: called after each look.
        """
        while True:
            at = platform.now()
            read = await asyncio.to_thread(self._read, ["Threads_connected"])
            lost = platform.ends[Fate.LOST]
            sample = Sample(at, read["Threads_connected"], platform.alive, platform.pool.busy, lost)
            self.samples.append(sample)
            show(platform, sample)
            await asyncio.sleep(INTERVAL)

    def growth(self) -> dict[str, int]:
        """Return how much each counter has grown."""
        now = self._read(COUNTERS)
        return {name: now[name] - self._counters[name] for name in COUNTERS}

    def cpu(self) -> float | None:
        """Return the processor seconds that the server has used; None where that is not known."""
        now = processor_seconds(self._pid)
        return None if now is None or self._cpu is None else now - self._cpu

    def _read(self, names: Sequence[str]) -> dict[str, int]:
        with self._connection.cursor() as cursor:
            cursor.execute("SHOW GLOBAL STATUS WHERE Variable_name IN %s", [names])
            return {name: int(value) for name, value in cursor.fetchall()}


def processor_seconds(pid: int) -> float | None:
    """Return the processor time that a process has used, in seconds; None where Linux is not.

    Source: proc(5), ``/proc/PID/stat``, fields 14 (utime) and 15 (stime).
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
