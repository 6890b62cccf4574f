"""The demo: one unchanged PyMySQL program, hundreds of function containers, 90 connections.

    python -m benchmarks.demo [--server mariadb|mysql] [--containers 240] [--seconds 30]

It starts a real server of its own, and plays the same arrivals to a fleet of containers twice: to
the handler as it is (``handlers/orders.py``), and to a copy in which one line imports slsmysql
instead of PyMySQL. The fleet is emulated with real processes (``benchmarks.platform_posix``), the
arrivals are a Poisson stream with bursts which make the platform start more containers than the
server has connections. Then the rows in the table are held against what was told to the callers.

The exit status is 0 when slsmysql made no error and no contender lost or doubled a row, else 1.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import NoReturn

import pymysql
from rich.console import Console
from rich.progress import Progress

from benchmarks import report
from benchmarks.fleet import (
    Arrivals,
    Audit,
    Contender,
    Fleet,
    Result,
    Sample,
    Summary,
    adapt,
    difference,
    rising_bursts,
)
from benchmarks.platform_posix import Platform
from benchmarks.stage import bars, environment, fill_shelves, perform
from tests import servers

#: The function that the fleet runs.
HANDLER = Path(__file__).with_name("handlers") / "orders.py"

#: How the servers' makers write their names.
SERVERS: dict[servers.Kind, str] = {"mariadb": "MariaDB", "mysql": "MySQL"}

#: The one that must not fail.
OURS = "slsmysql"

#: The handler's other table. ``request`` has an index that is not unique, on purpose: a row that
#: is written twice has to show up as two rows, not as an error.
ORDERS = """CREATE TABLE orders (id BIGINT AUTO_INCREMENT PRIMARY KEY, request VARCHAR(40) NOT NULL,
    product INT NOT NULL, price DECIMAL(8, 2) NOT NULL, KEY (request)) ENGINE=InnoDB"""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What every driver has to go through.

    :param server: its kind.
    :param connections: the server's ``max_connections``.
    :param work: seconds that the handler's slow query takes.
    """

    server: servers.Kind
    connections: int
    work: float
    fleet: Fleet
    arrivals: Arrivals


def play(scenario: Scenario, driver: str, folder: Path, progress: Progress) -> Result:
    """Run one driver through the scenario, on a fresh server, and return all that it gave.

    :param driver: module name, as the handler imports it.
    :param folder: for the handler's copy and the containers' output.
    :param progress: gets a bar.
    """
    handler = folder / driver / HANDLER.name
    handler.parent.mkdir()
    handler.write_text(adapt(HANDLER.read_text(encoding="utf-8"), driver), encoding="utf-8")
    bar = progress.add_task(
        f"{driver}: server", total=len(scenario.arrivals.times), failed=0, alive=0, open=0
    )

    def watch(platform: Platform, sample: Sample) -> None:
        """Show how far it is."""
        progress.update(
            bar,
            completed=len(platform.invocations),
            failed=platform.failed,
            alive=sample.alive,
            open=sample.connections,
        )

    with (
        servers.start(scenario.server, max_connections=scenario.connections, tls=False) as server,
        pymysql.connect(unix_socket=str(server.socket), user="root", autocommit=True) as root,
        (folder / f"{driver}.log").open("wb") as log,
    ):
        fill_shelves(root, ORDERS)
        progress.update(bar, description=driver)
        contender = Contender(driver, handler, environment(server, scenario.work))
        try:
            result = perform(contender, scenario.fleet, scenario.arrivals, server, root, log, watch)
        except Exception:
            progress.console.print(server.log_tail(), markup=False, highlight=False)
            raise
        progress.update(bar, completed=len(result.invocations))
        with root.cursor() as cursor:
            cursor.execute("SELECT request, COUNT(*) FROM orders GROUP BY request")
            rows = {request: int(count) for request, count in cursor.fetchall()}
    return replace(result, audit=Audit.compare(result.invocations, rows))


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--server", choices=("mariadb", "mysql"), default="mariadb")
    parser.add_argument(
        "--connections", type=int, default=90, help="max_connections of the server (90)"
    )
    parser.add_argument(
        "--containers", type=int, default=240, help="as many may be alive at once (240)"
    )
    parser.add_argument("--seconds", type=float, default=30, help="length of the arrivals (30)")
    parser.add_argument(
        "--rate", type=float, default=50, help="arrivals per second, the bursts aside (50)"
    )
    parser.add_argument(
        "--work", type=float, default=0.15, help="seconds that the slow query takes (0.15)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of arrivals and containers' lives (1)")
    parser.add_argument(
        "--drivers",
        default=f"pymysql,{OURS}",
        help=f"modules with PyMySQL's face, one after the other (pymysql,{OURS})",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("benchmarks/results"),
        help="folder for the figure and the data (benchmarks/results)",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo and return its exit status."""
    args = arguments(argv)
    drivers = list(dict.fromkeys(args.drivers.split(",")))
    console = Console()
    for driver in drivers:
        if importlib.util.find_spec(driver) is None:
            console.print(f"There is no module {driver!r} here: pip install {driver}")
            return 2
    try:
        scenario = Scenario(
            server=args.server,
            connections=args.connections,
            work=args.work,
            fleet=Fleet(containers=args.containers, seed=args.seed),
            arrivals=Arrivals.generate(
                rate=args.rate,
                seconds=args.seconds,
                ramp=args.seconds / 10,
                bursts=rising_bursts(args.seconds, args.containers),
                seed=args.seed,
            ),
        )
    except ValueError as error:
        console.print(str(error), markup=False)
        return 2
    console.print(
        f"{len(scenario.arrivals.times)} invocations in {args.seconds:g} seconds for at most "
        f"{args.containers} containers; one {SERVERS[args.server]} server with "
        f"max_connections={args.connections}."
    )
    source = HANDLER.read_text(encoding="utf-8")
    for driver in drivers:
        for line in difference(source, adapt(source, driver)):
            console.print(f"  {HANDLER.name}: {line}", markup=False, highlight=False)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        results = play_all(scenario, drivers, console)
    except servers.ServerError as error:
        console.print(str(error), markup=False)
        return 2
    except KeyboardInterrupt:
        console.print("interrupted: the fleet and its server are gone")
        return 130
    console.print(report.table(results))
    for result in results:
        console.print(f"{result.contender}: {result.audit}", markup=False, highlight=False)
    args.output.mkdir(parents=True, exist_ok=True)
    data = args.output / f"demo-{args.server}.json"
    data.write_text(
        json.dumps({"scenario": vars(args), "results": report.data(results)}, default=str),
        encoding="utf-8",
    )
    figure = data.with_suffix(".png")
    report.draw(
        results,
        figure,
        title=f"One function in up to {args.containers} containers, one {SERVERS[args.server]}"
        f" server with {args.connections} connections: {len(scenario.arrivals.times)} invocations",
        limit=args.connections,
    )
    console.print(f"figure: {figure}\ndata:   {data}", highlight=False)
    return 0 if spotless(results) else 1


def play_all(scenario: Scenario, drivers: Sequence[str], console: Console) -> list[Result]:
    """Run one driver after the other, with a progress bar for each."""
    with (
        tempfile.TemporaryDirectory(prefix="slsmysql-demo-") as folder,
        bars(console) as progress,
    ):
        return [play(scenario, driver, Path(folder), progress) for driver in drivers]


def spotless(results: Sequence[Result]) -> bool:
    """Whether slsmysql failed nowhere, and nobody lost or doubled anything."""
    return all(
        (result.audit is None or result.audit.clean)
        and (result.contender != OURS or not Summary.of(result).errors)
        for result in results
    )


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    """End as Ctrl-C does, so that everything is cleaned up."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
