"""The simulator beside the emulator: the same arrivals and fleet, in virtual time."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.contest.figures import Line
from benchmarks.contest.scenarios import Scenario
from benchmarks.simulation import world

#: What a connect over TLS takes, and what it takes of the server's processor, in seconds
#: (docs/tuning.md, "The simulator").
TLS_COSTS = world.Costs(connect=0.03, connect_cpu=0.003)


@dataclass(frozen=True, slots=True)
class Pair:
    """One figure, of the emulator and of the simulator."""

    what: str
    emulator: float
    simulator: float


def compare(scenario: Scenario, own: float, line: Line, seed: int) -> list[Pair]:
    """Run a scenario in the simulator, and return its figures beside those of slsmysql's run.

    :param own: seconds that the query takes on an idle server.
    :param line: what the emulator measured.
    """
    virtual = world.simulate(
        world.Scenario(
            scenario.name,
            # The harness's session has a place of its own, which the fleet takes for one of all.
            limit=scenario.connections,
            work=own,
            fleet=scenario.fleet(seed),
            arrivals=scenario.arrivals(seed),
            costs=TLS_COSTS if scenario.tls else world.Costs(),
        ),
        seed=seed,
    )
    return [
        Pair("failed", line.failed, virtual.failed),
        Pair("connects", line.connects, virtual.connects),
        Pair("refused", line.refused, virtual.refused),
        Pair("open, mean", line.mean_open, virtual.mean_open),
        Pair("open, peak", line.peak_open, virtual.peak_open),
        Pair("killed", line.kills, virtual.killed),
    ]
