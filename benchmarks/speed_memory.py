"""The memory that a fetch of many rows takes, each in a process of its own.

``peak`` starts this module as a program, once with tracemalloc (what Python allocates, exact) and
once without (what the process has resident at its highest, C libraries included).
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.speed_contenders import CONTENDERS, Address, Contender, Rows
from benchmarks.speed_workloads import MANY, MIXED

#: Processes whose resident peaks give a median.
PROCESSES = 3

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Peak:
    """The highest that a fetch came to, in bytes above what there was before it.

    :param python: of Python's allocations.
    :param resident: of the process.
    """

    python: int
    resident: int


def peak(contender: Contender, address: Address, rows: Rows, count: int) -> Peak:
    """Return what fetching ``count`` mixed rows takes.

    :param rows: "tuple" keeps all of them, "stream" one after the other.
    :param count: a multiple of the rows that the table has.
    :raise subprocess.CalledProcessError: the process failed; its output says why.
    """

    def run(how: str) -> int:
        order = {
            "contender": contender.name,
            "address": dict(address),
            "rows": rows,
            "count": count,
            "how": how,
        }
        done = subprocess.run(
            [sys.executable, "-m", __name__],
            input=json.dumps(order),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return int(done.stdout)

    resident = [run("resident") for _ in range(PROCESSES)]
    return Peak(run("python"), int(statistics.median(resident)))


def query(count: int) -> str:
    """Return the statement that gives ``count`` mixed rows."""
    if count <= MANY:
        return f"{MIXED} LIMIT {count}"
    times = count // MANY
    copies = " UNION ALL ".join(["SELECT 1 AS copy", *(f"SELECT {n}" for n in range(2, times + 1))])
    return f"{MIXED} JOIN ({copies}) AS copies"


def _resident_peak() -> int:
    """Return the highest number of bytes that this process has had resident."""
    if _STATUS.exists():
        for line in _STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _measure_resident(fetch: Callable[[], object]) -> int:
    if _CLEAR_REFS.exists():
        _CLEAR_REFS.write_text("5", encoding="ascii")  # the peak starts again from what there is
    before = _resident_peak()
    kept = fetch()
    after = _resident_peak()
    del kept
    return after - before


def _measure_python(fetch: Callable[[], object]) -> int:
    tracemalloc.start()
    kept = fetch()
    _, highest = tracemalloc.get_traced_memory()
    del kept
    return highest


def _fetch(cursor: Any, rows: Rows, count: int) -> object:
    cursor.execute(query(count))
    if rows == "stream":
        seen = 0
        while cursor.fetchone() is not None:
            seen += 1
        assert seen == count
        return None
    found = cursor.fetchall()
    assert len(found) == count
    return found


def main() -> None:
    """Read an order from standard input, carry it out, print the bytes."""
    order = json.load(sys.stdin)
    (contender,) = (each for each in CONTENDERS if each.name == order["contender"])
    connection = contender.connector(order["address"], tls=False)()
    rows: Rows = order["rows"]
    cursor = contender.cursor_maker(connection, rows)()
    _fetch(cursor, rows, 10)  # whatever the first statement loads or keeps
    measure = _measure_python if order["how"] == "python" else _measure_resident
    print(measure(lambda: _fetch(cursor, rows, order["count"])))
    cursor.close()
    connection.close()


if __name__ == "__main__":
    main()
