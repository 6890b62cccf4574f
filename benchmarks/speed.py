"""The speed of slsmysql beside PyMySQL, mysqlclient and the driver that it stands on.

    python -m benchmarks.speed [--server mariadb|mysql|both] [--quick] [--tls] [--only TEXT]

It starts real servers of its own, and lets every driver do the same work in turn, in many short
rounds, so that whatever else the machine does falls on all of them. A table shows medians, a second
one the ratios that slsmysql has to reach and whether it does; a figure and the data are written.

All connections of a run are without TLS, or with it after ``--tls``; only connecting is measured in
both ways each time.

The exit status is 0 when no target was surely missed, 1 when one was, 2 when nothing could be run.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import platform
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import pymysql
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import slsmysql
from benchmarks import speed_memory, speed_report, speed_workloads
from benchmarks.speed_contenders import (
    C_REUSE,
    C_UNMANAGED,
    CONTENDERS,
    DRIVER_C,
    ENGINE,
    MYSQLCLIENT,
    PURE,
    PURE_REUSE,
    PYMYSQL,
    C,
    Contender,
)
from benchmarks.speed_stats import Target, order, repetitions
from benchmarks.speed_workloads import (
    CONNECT,
    CONNECT_TLS,
    EXECUTEMANY,
    FEW_DICTS,
    FEW_ROWS,
    MANY,
    MANY_DICTS,
    MANY_ROWS,
    ROUND_TRIPS,
    ROWS,
    UNIT_OF_WORK,
    WORKLOADS,
    Bench,
    Workload,
)
from tests import servers

#: How the servers' makers write their names.
SERVERS: dict[servers.Kind, str] = {"mariadb": "MariaDB", "mysql": "MySQL"}

#: The log goes to the disk once a second: a commit is to be a round trip, not a disk's business.
OPTIONS = ("--innodb-flush-log-at-trx-commit=0",)

#: Seconds that one contender works in one round, where its operation is that short.
SLOT = 0.01

#: Operations in one slot at the most: an insert's transaction is not to become a huge one.
MOST_OPERATIONS = 1000

#: Seconds for a workload, all contenders together; and rounds, at least and at the most.
FULL = (8.0, 12, 100)
QUICK = (1.5, 5, 20)


def targets() -> list[Target]:
    """Return what slsmysql has to reach, management on."""
    found = [
        *(Target(one.name, C.name, PYMYSQL.name, 1.4) for one in ROUND_TRIPS),
        *(Target(one.name, C.name, PYMYSQL.name, 2.0) for one in ROWS),
        Target(EXECUTEMANY.name, C.name, PYMYSQL.name, 1.0),
    ]
    found += [
        Target(one.name, C.name, DRIVER_C.name, 1.0) for one in WORKLOADS if one is not UNIT_OF_WORK
    ]
    found += [
        Target(one.name, C.name, MYSQLCLIENT.name, 1.0)
        for one in (CONNECT, *ROUND_TRIPS, FEW_ROWS, FEW_DICTS)
    ]
    found += [Target(one.name, C.name, MYSQLCLIENT.name, 0.9) for one in (MANY_ROWS, MANY_DICTS)]
    found += [
        Target(one.name, PURE.name, PYMYSQL.name, 5.0 if one is CONNECT_TLS else 1.0)
        for one in WORKLOADS
        if one is not UNIT_OF_WORK
    ]
    found += [
        Target(CONNECT_TLS.name, C_REUSE.name, C.name, 50.0),
        Target(CONNECT_TLS.name, PURE_REUSE.name, PURE.name, 50.0),
        Target(UNIT_OF_WORK.name, C.name, C_UNMANAGED.name, 0.97),
    ]
    return found


def present(workload: Workload, missing: dict[str, str], *, tls: bool) -> list[Contender]:
    """Return who takes part in a workload."""
    return [
        each
        for each in (*CONTENDERS, *workload.extra)
        if each.name not in missing and not (tls and each is ENGINE)
    ]


def measure(
    workload: Workload, benches: dict[str, Bench], seconds: float, least: int, most: int
) -> dict[str, list[float]]:
    """Return each contender's seconds per operation, a figure for each round.

    :param seconds: for all rounds, if that makes at least ``least`` of them.
    :param most: rounds at the most.
    """
    times: dict[str, list[float]] = {name: [] for name in benches}
    repeat = {}
    for name, bench in benches.items():
        workload.work(bench, 1)  # warms up
        repeat[name] = repetitions(workload.work(bench, 1), SLOT, MOST_OPERATIONS)
        if repeat[name] > 1:  # one operation alone is no good measure of many
            some = workload.work(bench, repeat[name]) / repeat[name]
            repeat[name] = repetitions(some, SLOT, MOST_OPERATIONS)
    gc.collect()
    gc.freeze()  # what the benchmark itself holds is no driver's garbage
    end = time.monotonic() + seconds
    turn = 0
    while turn < least or (turn < most and time.monotonic() < end):
        for name in order(list(benches), turn):
            gc.collect()
            times[name].append(workload.work(benches[name], repeat[name]) / repeat[name])
        turn += 1
    gc.unfreeze()
    return times


def uses_tls(connection: Any) -> bool:
    """Return whether the server says that the session is encrypted."""
    cursor = connection.cursor()
    cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
    ((_, cipher),) = cursor.fetchall()
    cursor.close()
    connection.rollback()
    return bool(cipher)


def memory(server: servers.Server, missing: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Return the peaks by contender: all rows kept, and streamed, few and many."""
    wanted: dict[str, tuple[Any, int]] = {
        "buffered": ("tuple", MANY),
        "streamed": ("stream", MANY),
        "streamed, 5 times as many": ("stream", 5 * MANY),
    }
    return {
        contender.name: {
            name: vars(speed_memory.peak(contender, server.params(), rows, count))
            for name, (rows, count) in wanted.items()
        }
        for contender in CONTENDERS
        if contender.name not in missing
    }


def run(
    kind: servers.Kind,
    workloads: Sequence[Workload],
    missing: dict[str, str],
    args: argparse.Namespace,
    progress: Progress,
) -> dict[str, Any]:
    """Measure everything on one server; return its version, the times and the peaks."""
    bar = progress.add_task(f"{SERVERS[kind]}: server", total=len(workloads) + args.memory)
    with (
        servers.start(kind, tls=True, options=OPTIONS) as server,
        # With TLS: MySQL then knows the account, and lets it in without TLS too.
        pymysql.connect(**server.params()) as ours,
    ):
        speed_workloads.prepare(ours)
        results = {}
        for workload in workloads:
            progress.update(bar, description=f"{SERVERS[kind]}: {workload.name}")
            with contextlib.ExitStack() as open_now:
                benches = {}
                for contender in present(workload, missing, tls=args.tls):
                    made = contender.connector(server.params(), tls=args.tls)()
                    open_now.callback(made.close)
                    if uses_tls(made) != args.tls:
                        raise RuntimeError(f"{contender.name} does not use TLS as it was told to")
                    benches[contender.name] = Bench(contender, server.params(), made, args.tls)
                results[workload.name] = measure(
                    workload, benches, *(QUICK if args.quick else FULL)
                )
            progress.advance(bar)
        peaks = {}
        if args.memory:
            progress.update(bar, description=f"{SERVERS[kind]}: memory")
            peaks = memory(server, missing)
            progress.advance(bar)
        progress.update(bar, description=SERVERS[kind])
        slsmysql.close_all()  # what the parked connections have left
        return {
            "server": f"{SERVERS[kind]} {'.'.join(map(str, server.version))}",
            "times": results,
            "memory": peaks,
        }


def versions() -> dict[str, str]:
    """Return what is measured, by name: this Python and the drivers."""
    from importlib import metadata

    found = {"Python": platform.python_version(), "machine": platform.machine()}
    for name in ("slsmysql", "PyMySQL", "mysqlclient", "mysql-connector-python"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--server", choices=("mariadb", "mysql", "both"), default="both")
    parser.add_argument("--quick", action="store_true", help="few rounds: a minute for a server")
    parser.add_argument("--tls", action="store_true", help="everything over TLS")
    parser.add_argument("--only", default="", help="the workloads with this in their name alone")
    parser.add_argument(
        "--no-memory", dest="memory", action="store_false", help="leave the memory out"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("build/speed"),
        help="folder for the figure and the data (build/speed)",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return its exit status."""
    args = arguments(argv)
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    workloads = [each for each in WORKLOADS if args.only in each.name]
    if not workloads:
        names = ", ".join(each.name for each in WORKLOADS)
        console.print(f"no workload has {args.only!r} in its name; there are: {names}")
        return 2
    missing = {each.name: reason for each in CONTENDERS if (reason := each.missing()) is not None}
    for name, reason in missing.items():
        console.print(f"{name} is missing: {reason}", markup=False)
    if C.name in missing:
        missing |= dict.fromkeys((ENGINE.name, C_REUSE.name, C_UNMANAGED.name), missing[C.name])
    kinds = servers.KINDS if args.server == "both" else (args.server,)
    signal.signal(signal.SIGTERM, _interrupt)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    try:
        with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
            found = [run(kind, workloads, missing, args, progress) for kind in kinds]
    except servers.ServerError as error:
        console.print(str(error), markup=False)
        return 2
    except KeyboardInterrupt:
        console.print("interrupted: the servers are gone")
        return 130
    report = speed_report.Report(
        versions=versions(),
        tls=args.tls,
        workloads={each.name: each.what for each in workloads},
        contenders=[each.name for each in CONTENDERS],
        extra=[ENGINE.name, C_REUSE.name, PURE_REUSE.name, C_UNMANAGED.name],
        missing=missing,
        targets=targets(),
        servers=found,
    )
    for table in report.tables():
        console.print(table)
    for line in report.verdicts():
        console.print(line, markup=False, highlight=False)
    args.output.mkdir(parents=True, exist_ok=True)
    name = "speed" if args.server == "both" else f"speed-{args.server}"
    data = args.output / f"{name}{'-tls' if args.tls else ''}.json"
    data.write_text(json.dumps(report.data(), indent=1), encoding="utf-8")
    figure = data.with_suffix(".png")
    report.draw(figure)
    console.print(f"figure: {figure}\ndata:   {data}", highlight=False)
    return 1 if report.missed() else 0


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    """End as Ctrl-C does, so that everything is cleaned up."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
