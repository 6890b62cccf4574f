"""What the runs say, pure: a line of figures for each, and whether it is what was to be reached."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from benchmarks.contest.contenders import BY_NAME, NULL, ORIGIN, OURS
from benchmarks.contest.scenarios import Scenario
from benchmarks.fleet import Result, Spread, Summary
from benchmarks.speed_stats import ratio

#: The headline's mean latency may be so many times the query's own time.
LATENCY_TARGET = 1.25

#: The origin's management may cost the server so many times what ours does, at least.
MANAGEMENT_TARGET = 3.0

#: The processor time of a process is counted in ticks of so many seconds (proc(5)).
TICK = 0.01


@dataclass(frozen=True, slots=True)
class Line:
    """The figures of a contender in a scenario. Times in seconds.

    :param name: the contender's.
    :param reason: why it did not take part; there are no figures then.
    :param errors: how many of each class and number.
    :param latency: arrival to result, of what was done.
    :param settled: the same, of what arrived when the fleet had started.
    :param first: the same, of what a container was started for.
    :param handler: inside the handler.
    :param throughput: done, for each second of the run.
    :param refused: connects that met a full server.
    :param cpu: processor seconds of the server for a thousand invocations, without what the harness
        costs it; None where that is not known.
    :param late: how many seconds too late the platform noticed an arrival, at worst.
    :param busy: share of the machine's processors that containers, platform and server took.
    """

    name: str
    reason: str = ""
    invocations: int = 0
    done: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    latency: Spread | None = None
    settled: Spread | None = None
    first: Spread | None = None
    handler: Spread | None = None
    throughput: float = 0.0
    started: int = 0
    peak_containers: int = 0
    connects: int = 0
    refused: int = 0
    kills: int = 0
    peak_open: int = 0
    mean_open: float = 0.0
    cpu: float | None = None
    late: float = 0.0
    busy: float | None = None

    @property
    def failed(self) -> int:
        """Invocations that were not told as done."""
        return self.invocations - self.done

    @classmethod
    def of(cls, result: Result, scenario: Scenario, idle: float, processors: int) -> Line:
        """Work out the figures of a run.

        :param idle: processors that the server takes when the harness alone looks at it.
        :param processors: of the machine.
        """
        summary = Summary.of(result)
        cost = result.cost
        server = None if cost.server is None else max(0.0, cost.server - idle * cost.wall)
        parts = (cost.server, cost.containers, cost.platform)
        known = [part for part in parts if part is not None]
        return cls(
            name=result.contender,
            invocations=summary.invocations,
            done=summary.ok,
            errors=summary.errors,
            latency=summary.latency,
            settled=Spread.of(
                each.latency
                for each in result.invocations
                if each.failure is None and each.arrived >= scenario.settled
            ),
            first=summary.first,
            handler=summary.handler,
            throughput=summary.ok / cost.wall,
            started=summary.started,
            peak_containers=summary.peak_alive,
            connects=result.traffic.made,
            refused=result.traffic.refused,
            kills=result.traffic.killed,
            # The harness's own session is not the fleet's.
            peak_open=max(0, summary.peak_connections - 1),
            mean_open=max(0.0, summary.mean_connections - 1),
            cpu=None if server is None else server / max(1, summary.invocations) * 1000,
            late=cost.late,
            busy=sum(known) / cost.wall / processors if len(known) == len(parts) else None,
        )


@dataclass(frozen=True, slots=True)
class Round:
    """A scenario on a server, with the lines of all contenders.

    :param own: seconds that the query takes on an idle server.
    """

    scenario: Scenario
    own: float
    lines: tuple[Line, ...]

    def line(self, name: str) -> Line | None:
        """Return the line of a contender that took part."""
        for line in self.lines:
            if line.name == name and not line.reason:
                return line
        return None


@dataclass(frozen=True, slots=True)
class Duel:
    """A scenario in laps, in which few contenders take turns.

    Two runs of a minute that differ by a few hundredths say nothing: the machine differs by more.

    :param own: seconds that the query takes on an idle server.
    :param lines: by contender, one for each lap.
    """

    scenario: Scenario
    own: float
    lines: Mapping[str, Sequence[Line]]

    def shown(self) -> Round:
        """Return it as a round, for a table: a line for each contender's each lap."""
        return Round(
            replace(self.scenario, name=f"{self.scenario.name}, in laps"),
            self.own,
            tuple(
                replace(line, name=f"{name}, lap {lap}")
                for name, lines in self.lines.items()
                for lap, line in enumerate(lines, 1)
            ),
        )


@dataclass(frozen=True, slots=True)
class Target:
    """What was to be reached, and what was.

    :param level: neither met nor missed: the laps say now this, now that.
    """

    what: str
    met: bool
    measured: str
    level: bool = False

    @property
    def verdict(self) -> str:
        """Return it in words."""
        return "met" if self.met else "level" if self.level else "not met"


def targets(rounds: Sequence[Round], duel: Duel | None = None) -> list[Target]:
    """Hold the rounds of one server against what was to be reached.

    :param duel: of a scenario that was decided by laps.
    """
    found = [target for each in rounds for target in _no_errors(each)]
    headline = next((each for each in rounds if each.scenario.name == "headline"), None)
    if headline is not None:
        found += [*_latency(headline), *_management(headline)]
    for each in rounds:
        if duel is not None and each.scenario.name == duel.scenario.name:
            found += _below_rivals(duel)
        else:
            found += _below_others(each)
    return found


def managed(name: str) -> bool:
    """Whether a contender is slsmysql with its management on."""
    unmanaged = {entrant.unmanaged for entrant in BY_NAME.values()}
    return name.startswith("slsmysql") and name not in unmanaged


def others(lines: Iterable[Line]) -> Iterator[Line]:
    """Pick those which our users would pick instead: not us, not the emulator by itself."""
    for line in lines:
        if not line.reason and line.name != NULL.name and not line.name.startswith("slsmysql"):
            yield line


def _no_errors(each: Round) -> Iterator[Target]:
    if not each.scenario.carried:
        return
    for line in each.lines:
        if managed(line.name) and not line.reason:
            yield Target(
                f"{each.scenario.name}: no errors, {line.name}",
                line.failed == 0,
                f"{line.failed} of {line.invocations}",
            )


def _latency(headline: Round) -> Iterator[Target]:
    line = headline.line(OURS)
    if line is not None and line.latency is not None:
        ratio = line.latency.mean / headline.own
        yield Target(
            f"headline: mean latency at most {LATENCY_TARGET:g} x the query's own time",
            ratio <= LATENCY_TARGET,
            f"{line.latency.mean * 1e3:.1f} ms around {headline.own * 1e3:.1f} ms: {ratio:.2f} x",
        )


def management(headline: Round, name: str) -> float | None:
    """Return what a contender's management costs the server, in CPU seconds a thousand invocations.

    That is the difference to the same contender without management.
    """
    line = headline.line(name)
    plain = headline.line(BY_NAME[name].unmanaged or "")
    if line is None or plain is None or line.cpu is None or plain.cpu is None:
        return None
    return line.cpu - plain.cpu


def _management(headline: Round) -> Iterator[Target]:
    ours, theirs = management(headline, OURS), management(headline, ORIGIN)
    line = headline.line(OURS)
    if ours is None or theirs is None or line is None:
        return
    least = TICK / max(1, line.invocations) * 1000
    unmanaged = [headline.line(BY_NAME[name].unmanaged or "") for name in (OURS, ORIGIN)]
    failed = sum(each.failed for each in unmanaged if each is not None)
    ratio = theirs / max(ours, least)
    yield Target(
        f"headline: management costs the server {MANAGEMENT_TARGET:g} x less than {ORIGIN}'s",
        ratio >= MANAGEMENT_TARGET,
        f"{ours:.3f} and {theirs:.3f} s per 1000: {ratio:.1f} x less"
        + (" (ours no more than the clock's tick)" if ours <= least else "")
        + (f" (those without management failed {failed} times)" if failed else ""),
    )


#: What has to be below everybody's, with its unit, in the order of ``measured``.
MEASURES = (("p99", "ms"), ("server CPU", "s per 1000"))


def measured(line: Line) -> tuple[float, ...] | None:
    """Return a line's figures for ``MEASURES``; None where one of them is not known."""
    if line.latency is None or line.cpu is None:
        return None
    return line.latency.p99 * 1e3, line.cpu


def equals(each: Round) -> dict[str, tuple[float, ...]]:
    """Return the figures of those who succeeded as often as we, by name.

    Who failed has saved itself the work.
    """
    ours = each.line(OURS)
    if ours is None or measured(ours) is None:
        return {}
    equal = [line for line in others(each.lines) if line.failed <= ours.failed]
    return {line.name: figures for line in equal if (figures := measured(line)) is not None}


def _best(equal: Mapping[str, Sequence[float]], measure: int) -> str:
    return min(equal, key=lambda name: equal[name][measure])


def rivals(each: Round) -> list[str]:
    """Return the best of our equals, by each measure."""
    equal = equals(each)
    best = [_best(equal, measure) for measure in range(len(MEASURES)) if equal]
    return list(dict.fromkeys(best))


def _below_others(each: Round) -> Iterator[Target]:
    ours, equal = each.line(OURS), equals(each)
    mine = None if ours is None else measured(ours)
    if mine is None or not equal:
        return
    for measure, (what, unit) in enumerate(MEASURES):
        best = _best(equal, measure)
        yield Target(
            f"{each.scenario.name}: {what} below all with equal success ({len(equal)})",
            mine[measure] <= equal[best][measure],
            f"{mine[measure]:.3g} {unit}; the best of them, {best}: {equal[best][measure]:.3g}",
        )


def _below_rivals(duel: Duel) -> Iterator[Target]:
    """Compare lap by lap: what slowed the machine in a lap slowed everybody."""
    laps = {
        name: [figures for line in lines if (figures := measured(line)) is not None]
        for name, lines in duel.lines.items()
    }
    count = len(laps[OURS])
    if not count or any(len(each) != count for each in laps.values()):
        return
    for measure, (what, unit) in enumerate(MEASURES):
        shown = {name: [figures[measure] for figures in each] for name, each in laps.items()}
        found, best = min((ratio(shown[OURS], shown[name]), name) for name in laps if name != OURS)
        verdict = found.reaches(1)
        yield Target(
            f"{duel.scenario.name}: {what} below the best with equal success, in {count} laps",
            verdict == "met",
            f"{statistics.median(shown[OURS]):.3g} {unit}; {best}:"
            f" {statistics.median(shown[best]):.3g}; {found.value:.2f} x"
            f" ({found.low:.2f} to {found.high:.2f})",
            level=verdict == "unsure",
        )
