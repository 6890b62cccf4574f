"""Fleets of functions against one server: slsmysql, and what its users would pick instead.

    python -m benchmarks.contest [--server mariadb|mysql|both] [--scenario NAME ...]
                                 [--contender NAME ...] [--quick | --full] [--docs]

Each contender's containers are real processes, frozen between invocations
(``benchmarks.platform_posix``); each meets the same arrivals on a fresh server of its own. First a
null handler, which asks no server for anything, shows what the machine itself can carry; where
that is not enough, rate, connections and containers are scaled by the same factor (``--unscaled``
leaves them).

A cold start is what a container does in its own process: the handler's module is loaded, with its
driver and its module-level connection. Python's containers are forked from a runtime that has the
standard library and no driver, Node's are started; some of either are in store before the run. In
bursts all containers would load their drivers at once, each on a processor of its own in the real
world and on the same two here, and no server would ever see the burst: there the containers are
restored from a snapshot (all are in store, with the driver loaded), and what is left is to connect.

The exit status is 0 when slsmysql failed nowhere where its connections can carry the load.
"""

from __future__ import annotations

import argparse
import json
import os
import platform as machine
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO, NoReturn

import pymysql
from rich.console import Console
from rich.progress import Progress

from benchmarks.contest import agreement, contenders, report, scenarios
from benchmarks.contest.contenders import NULL, OURS, Entrant, UnavailableError
from benchmarks.contest.figures import Duel, Line, Round, managed, rivals, targets
from benchmarks.contest.scenarios import EVERYBODY, HEADLINE, Scenario
from benchmarks.fleet import Arrivals, Contender, Result, Sample
from benchmarks.handlers.rows import QUERY
from benchmarks.platform_posix import ContainerError, Platform
from benchmarks.speed_stats import order
from benchmarks.stage import Show, bars, fill_shelves, perform
from tests import servers
from tests.servers import KINDS, Kind, Server

#: Seconds for which the null handler shows what the machine can carry.
PROBE = 4.0

#: What `--quick` leaves of streams and sizes.
QUICK = 0.2

#: How often the query is timed on an idle server.
TIMED = 11

#: Laps that decide between us and the best of our equals, and how many seconds each takes.
LAPS = 5
LAP = 20.0

#: Least width of the tables, in characters.
WIDTH = 190

#: The page that `--docs` writes the figures into.
PAGE = Path(__file__).parents[2] / "docs" / "fleet.md"


@dataclass(slots=True)
class Contest:
    """A run of the command on one kind of server."""

    kind: Kind
    seed: int
    folder: Path
    progress: Progress
    ready: dict[str, Contender | str] = field(default_factory=dict)
    #: Processors that the server takes when the harness alone looks at it.
    idle: float = 0.0
    #: Of the null handler: its rate, and the processors of the emulator and of its single thread.
    rate: float = 0.0
    load: tuple[float, float] = (0.0, 0.0)

    def probe(self, scenario: Scenario) -> None:
        """Find out what the machine can carry of the heaviest scenario."""
        short = replace(scenario, seconds=PROBE, ramp=PROBE / 4)
        result, _ = self.play(short, NULL, "what the machine carries")
        cost = result.cost
        # After it the server has nothing to do but to answer the harness.
        self.idle = (cost.server or 0.0) / cost.wall
        own = cost.platform + (cost.containers or 0.0)
        self.rate = len(result.invocations) / cost.wall
        self.load = (own / cost.wall, cost.platform / cost.wall)

    def fit(self, scenario: Scenario) -> Scenario:
        """Return the scenario as far as the machine can carry it."""
        part = scenario.rate / self.rate if self.rate else 0.0
        own, platform = (part * load for load in self.load)
        return scenario.scaled(scenarios.fitting(own, platform, processors()))

    def round(self, scenario: Scenario, names: Sequence[str]) -> Round:
        """Let the contenders of these names go through a scenario, one after the other."""
        lines, own = [], scenario.work
        for name in names:
            entrant = contenders.BY_NAME[name]
            try:
                result, own = self.play(scenario, entrant, f"{scenario.name}: {name}")
            except (UnavailableError, ContainerError) as error:
                lines.append(Line(name, reason=str(error)))
            else:
                lines.append(Line.of(result, scenario, self.idle, processors()))
        return Round(scenario, own, tuple(lines))

    def duel(self, each: Round, names: Sequence[str]) -> Duel:
        """Let contenders go through a round's scenario in short laps, each in another order."""
        scenario = each.scenario
        short = replace(scenario, seconds=min(LAP, scenario.seconds))
        lines: dict[str, list[Line]] = {name: [] for name in names}
        for lap in range(LAPS):
            for name in order(names, lap):
                title = f"{scenario.name}, lap {lap + 1}: {name}"
                result, _ = self.play(short, contenders.BY_NAME[name], title, lap)
                lines[name].append(Line.of(result, short, self.idle, processors()))
        return Duel(short, each.own, lines)

    def play(
        self, scenario: Scenario, entrant: Entrant, title: str, lap: int = 0
    ) -> tuple[Result, float]:
        """Run one contender; return what it gave, and the query's own time in seconds.

        :param lap: each has arrivals of its own, the same for everybody.
        """
        contender = self._get(entrant)
        arrivals = scenario.arrivals(self.seed + lap)
        bar = self.progress.add_task(
            f"{self.kind} {title}", total=len(arrivals.times), failed=0, alive=0, open=0
        )

        def show(platform: Platform, sample: Sample) -> None:
            """Show how far it is."""
            self.progress.update(
                bar,
                completed=len(platform.invocations),
                failed=platform.failed,
                alive=sample.alive,
                open=sample.connections - 1,
            )

        with (
            # One more, for the harness's own session.
            servers.start(
                self.kind, max_connections=scenario.connections + 1, tls=scenario.tls
            ) as server,
            pymysql.connect(unix_socket=str(server.socket), user="root", autocommit=True) as root,
            (self.folder / "containers.log").open("ab") as log,
        ):
            prepare(root, server, scenario)
            own = own_time(server, scenario.work)
            ours = contenders.at(
                contender, entrant, server, work=scenario.work, restored=scenario.restored
            )
            result = self._perform(ours, scenario, arrivals, server, root, log, show)
        self.progress.update(bar, completed=len(result.invocations))
        if not self.progress.console.is_terminal:  # where no bar moves
            failed = sum(each.failure is not None for each in result.invocations)
            self.progress.console.print(
                f"{self.kind} {title}: {len(arrivals.times)} invocations, {failed} failed,"
                f" {result.cost.wall:.0f} s",
                highlight=False,
            )
        return result, own

    def _perform(
        self,
        contender: Contender,
        scenario: Scenario,
        arrivals: Arrivals,
        server: Server,
        root: pymysql.Connection[Any],
        log: BinaryIO,
        show: Show,
    ) -> Result:
        try:
            return perform(contender, scenario.fleet(self.seed), arrivals, server, root, log, show)
        except Exception:
            self.progress.console.print(server.log_tail(), markup=False, highlight=False)
            raise

    def _get(self, entrant: Entrant) -> Contender:
        """Return a contender, had by whatever means there are; found out once."""
        if entrant.name not in self.ready:
            try:
                self.ready[entrant.name] = contenders.ready(entrant, self.folder)
            except UnavailableError as error:
                self.ready[entrant.name] = str(error)
        found = self.ready[entrant.name]
        if isinstance(found, str):
            raise UnavailableError(found)
        return found


def processors() -> int:
    """Return how many processors there are for us."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def prepare(root: pymysql.Connection[Any], server: Server, scenario: Scenario) -> None:
    """Make the table, and the account as the scenario wants it."""
    fill_shelves(root)
    with root.cursor() as cursor:
        if scenario.process:
            cursor.execute("GRANT PROCESS ON *.* TO %s@'%%'", (server.app.user,))
        if scenario.tls:
            cursor.execute("ALTER USER %s@'%%' REQUIRE SSL", (server.app.user,))


def own_time(server: Server, work: float) -> float:
    """Return how long the query takes when nobody else is there: the median, in seconds."""
    with pymysql.connect(**server.params(), autocommit=True) as session, session.cursor() as cursor:
        times = []
        for shelf in range(TIMED):
            begin = time.perf_counter()
            cursor.execute(QUERY, (work, shelf % 10))
            cursor.fetchall()
            times.append(time.perf_counter() - begin)
    return statistics.median(times)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.contest", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--server", choices=(*KINDS, "both"), default="both")
    parser.add_argument(
        "--scenario", nargs="+", default=[], metavar="NAME", help=", ".join(scenarios.BY_NAME)
    )
    parser.add_argument(
        "--contender", nargs="+", default=[], metavar="NAME", help=", ".join(EVERYBODY)
    )
    parser.add_argument(
        "--trace", type=Path, metavar="FILE",
        help="one more scenario: arrivals of a file, a moment in seconds a line",
    )  # fmt: skip
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--quick", action="store_true", help="a fifth of everything, to see that it works"
    )
    length.add_argument(
        "--full", action="store_true",
        help="every contender in every scenario (hours)",
    )  # fmt: skip
    parser.add_argument("--unscaled", action="store_true", help="whatever the machine can carry")
    parser.add_argument("--seed", type=int, default=1, help="of arrivals and containers' lives (1)")
    parser.add_argument(
        "--docs", action="store_true", help=f"write tables and figures into docs/{PAGE.name}"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("benchmarks/results"),
        help="folder for tables, figures and data (benchmarks/results)",
    )  # fmt: skip
    args = parser.parse_args(argv)
    for name in args.contender:
        if name not in EVERYBODY:
            parser.error(f"no contender {name!r}; there are: {', '.join(EVERYBODY)}")
    return args


def planned(args: argparse.Namespace) -> list[Scenario]:
    """Return the scenarios as the command line wants them."""
    plan = [] if args.trace and not args.scenario else scenarios.chosen(args.scenario)
    if args.trace:
        times = Arrivals.read(args.trace).times
        if not times:
            raise ValueError(f"{args.trace}: no arrivals")
        length = max(times[-1], 1.0)
        plan.append(
            replace(
                HEADLINE, name="trace", what=str(args.trace.name), trace=times, seconds=length,
                rate=len(times) / length, ramp=0.0,
            )
        )  # fmt: skip
    if args.quick:
        plan = [each.shortened(QUICK) for each in plan]
    if args.full:
        plan = [replace(each, entrants=EVERYBODY) for each in plan]
    return plan


def main(argv: Sequence[str] | None = None) -> int:
    """Run the contest and return its exit status."""
    args = arguments(argv)
    console = Console()
    if console.width < WIDTH:
        console = Console(width=WIDTH)
    signal.signal(signal.SIGTERM, _interrupt)
    kinds = KINDS if args.server == "both" else (args.server,)
    args.output.mkdir(parents=True, exist_ok=True)
    try:
        plan = planned(args)
        results = [_contend(kind, plan, args, console) for kind in kinds]
    except (servers.ServerError, ValueError, OSError) as error:
        console.print(str(error), markup=False)
        return 2
    except KeyboardInterrupt:
        console.print("interrupted: the fleet and its server are gone")
        return 130
    return 0 if all(results) else 1


def _contend(
    kind: Kind, plan: Sequence[Scenario], args: argparse.Namespace, console: Console
) -> bool:
    """Run the whole plan on one kind of server, show and write it; False: slsmysql has failed."""
    rounds: list[Round] = []
    shown: list[Round] = []
    duel = None
    with (
        tempfile.TemporaryDirectory(prefix="slsmysql-contest-") as folder,
        bars(console) as progress,
    ):
        contest = Contest(kind, args.seed, Path(folder), progress)
        contest.probe(max(plan, key=lambda each: each.rate))
        for each in plan:
            fitted = each if args.unscaled else contest.fit(each)
            rounds.append(contest.round(fitted, args.contender or each.entrants))
            shown.append(rounds[-1])
            progress.console.print(report.table(shown[-1]))
            if each.name == HEADLINE.name and (best := rivals(rounds[-1])):
                duel = contest.duel(rounds[-1], [OURS, *best])
                shown.append(duel.shown())
                progress.console.print(report.table(shown[-1]))
    found = targets(rounds, duel)
    pairs = [
        (each.scenario.name, agreement.compare(each.scenario, each.own, line, args.seed))
        for each in rounds
        if (line := each.line(OURS)) is not None
    ]
    console.print(report.CAPTION, highlight=False)
    console.print(report.verdicts(kind, found))
    if pairs:
        console.print(report.agreements(pairs))
    intro = introduction(contest)
    console.print(intro, markup=False, highlight=False)
    stem = args.output / f"fleet-{kind}"
    figure = stem.with_suffix(".png")
    drawn = report.draw(kind, rounds, figure)
    text = report.markdown(kind, intro, shown, found, pairs, figure.name if drawn else "")
    stem.with_suffix(".md").write_text(text, encoding="utf-8")
    stem.with_suffix(".json").write_text(
        json.dumps(
            {
                "seed": args.seed,
                "versions": contenders.versions(),
                **report.data(rounds, found, duel),
            }
        ),
        encoding="utf-8",
    )
    if args.docs:
        report.insert(PAGE, kind, text)
        if drawn:
            shutil.copy(figure, PAGE.with_name(figure.name))
    console.print(f"tables, data, figure: {stem}.md, .json, .png", highlight=False)
    return not any(
        line.failed
        for each in shown
        if each.scenario.carried
        for line in each.lines
        if managed(line.name)
    )


def introduction(contest: Contest) -> str:
    """Say what ran where, and how much of the machine the emulator itself takes."""
    own, platform = contest.load
    said = ", ".join(f"{name} {number}" for name, number in contenders.versions().items())
    return (
        f"{processors()} processors, Python {machine.python_version()}, {said}. With the null"
        f" handler at {contest.rate:.0f} per second the emulator takes {own:.2f} processors"
        f" ({platform:.2f} of them its single thread); the harness's queries cost the server"
        f" {contest.idle:.3f}."
    )


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    """End as Ctrl-C does, so that everything is cleaned up."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
