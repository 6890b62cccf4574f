"""What the harness sees of the server: its connections over time, and what a run did to it.

The harness has one session of its own, as an administrator's monitoring has, which is opened
before the fleet: it is one of the server's ``max_connections``. (An administrator who comes when
all are taken gets the one that MySQL and MariaDB keep in reserve; this one need not.)
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import pymysql

from benchmarks.fleet import Fate, Sample
from benchmarks.platform_posix import Platform

#: The status variables that `Traffic` is read from.
COUNTERS = ("Connections", "Connection_errors_max_connections", "Aborted_connects", "Com_kill")

#: Seconds between two looks.
INTERVAL = 0.05


class Monitor:
    """Watches a server and a platform from a thread of its own, while its ``with`` lasts."""

    def __init__(
        self,
        connection: pymysql.Connection[Any],
        pid: int,
        platform: Platform,
        watch: Callable[[Platform, Sample], None],
    ) -> None:
        """Prepare.

        :param connection: the harness's session; nobody else may use it meanwhile.
        :param pid: the server's process.
        :param platform: whose containers are counted.
        :param watch: called after each look, from the monitor's thread.
        """
        self.samples: list[Sample] = []
        #: How much each counter has grown, and the server's processor seconds; known at the end.
        self.growth: dict[str, int] = {}
        self.cpu: float | None = None
        self._connection = connection
        self._platform = platform
        self._watch = watch
        self._over = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._look_on, name="monitor", daemon=True)
        self._pid = pid
        self._before: dict[str, int] = {}
        self._cpu_before: float | None = None

    def __enter__(self) -> Monitor:
        """Take the first reading and begin to watch."""
        self._before = self._status()
        self._cpu_before = processor_seconds(self._pid)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop watching and take the last reading."""
        self._over.set()
        self._thread.join()
        if error is not None:
            return
        if self._error is not None:
            raise self._error
        after = self._status()
        self.growth = {name: after[name] - self._before[name] for name in COUNTERS}
        cpu = processor_seconds(self._pid)
        if cpu is not None and self._cpu_before is not None:
            self.cpu = cpu - self._cpu_before

    def _look_on(self) -> None:
        try:
            while not self._over.wait(INTERVAL):
                self._look()
        except Exception as error:  # noqa: BLE001 - raised by __exit__, in the harness's own thread
            self._error = error

    def _look(self) -> None:
        at = self._platform.now()
        with self._connection.cursor() as cursor:
            cursor.execute("SHOW GLOBAL STATUS LIKE 'Threads_connected'")
            connections = int(cursor.fetchone()[1])
        platform = self._platform
        lost = platform.ends[Fate.LOST]
        sample = Sample(at, connections, platform.alive, platform.pool.busy, lost)
        self.samples.append(sample)
        self._watch(self._platform, sample)

    def _status(self) -> dict[str, int]:
        with self._connection.cursor() as cursor:
            cursor.execute("SHOW GLOBAL STATUS WHERE Variable_name IN %s", [COUNTERS])
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
