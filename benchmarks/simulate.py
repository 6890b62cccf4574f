"""The simulator: fleets and servers that no machine here can hold, and the choice of the defaults.

    python -m benchmarks.simulate              what the defaults do, in each scenario
    python -m benchmarks.simulate --sweep      other values of what was chosen, against the choice
    python -m benchmarks.simulate --laws       1 000 to 100 000 containers, 90 to 16 000 connections
    python -m benchmarks.simulate --demo FILE  beside what the emulator measured (benchmarks.demo)

Virtual time, one process, the package's own decisions (``benchmarks.simulation``). The same seed
gives the same figures. ``docs/tuning.md`` says what was read from them.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.fleet import Arrivals, Burst, Fleet, Spread, rising_bursts
from benchmarks.simulation.world import Costs, Figures, Scenario, simulate
from slsmysql import manager, policy
from slsmysql.policy import Load
from slsmysql.settings import NAMES, Settings

#: Containers that a platform starts each second for one function (Lambda: 1 000 in 10 seconds).
STARTS = 100.0
#: Containers live for minutes where it is not their end that is looked at.
LONG = (600.0, 900.0)


@dataclass(frozen=True, slots=True)
class Variant:
    """Other values than the defaults.

    :param group: what is varied.
    :param settings: of the connections.
    :param policy: names of ``slsmysql.policy``, or else of the manager, with what stands in
        their place.
    """

    group: str
    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)


@contextmanager
def in_place(names: Mapping[str, Any]) -> Iterator[None]:
    """Let ``slsmysql.policy``, or else the manager, have other values for a while."""
    homes = {name: policy if hasattr(policy, name) else manager for name in names}
    before = {name: getattr(home, name) for name, home in homes.items()}
    try:
        for name, value in names.items():
            setattr(homes[name], name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(homes[name], name, value)


# -- scenarios -------------------------------------------------------------------------------------


def demo(
    *, connections: int, containers: int, seconds: float, rate: float, work: float, seed: int
) -> Scenario:
    """Return what ``benchmarks.demo`` plays with these arguments."""
    return Scenario(
        name="demo",
        limit=connections,
        # Three statements and a COMMIT beside the slow one.
        work=work + 0.005,
        fleet=Fleet(containers=containers, seed=seed),
        arrivals=Arrivals.generate(
            rate=rate,
            seconds=seconds,
            ramp=seconds / 10,
            bursts=rising_bursts(seconds, containers),
            seed=seed,
        ),
        warm=seconds / 10,
    )


def scenarios(seed: int) -> list[Scenario]:
    """Return what every variant has to go through."""

    def fleet(containers: int, starts: float = STARTS) -> Fleet:
        """Return containers that live on."""
        return Fleet(containers, lifetime=LONG, lost=0.0, killed=0.0, starts=starts, seed=seed)

    return [
        # 500 users per second, 90 connections: 11 containers are enough.
        Scenario(
            "headline",
            90,
            0.021,
            fleet(240),
            Arrivals.generate(rate=500, seconds=20, seed=seed),
            warm=5,
        ),
        # 95 % of what the connections can carry, for ever near the limit and often above it.
        Scenario(
            "edge",
            90,
            0.15,
            fleet(900),
            Arrivals.generate(rate=570, seconds=20, ramp=5, seed=seed),
            warm=8,
        ),
        # The demo: a little traffic, with bursts of up to 2.7 containers for each connection.
        demo(connections=90, containers=240, seconds=30, rate=50, work=0.15, seed=seed),
        # The same before a server that is slow to let go: what giving up all at once would do.
        replace(
            demo(connections=90, containers=240, seconds=30, rate=50, work=0.15, seed=seed),
            name="slow",
            costs=Costs(release=0.05),
        ),
        # Every 7 seconds 20 containers for each connection, within a tenth of a second; the
        # connections could carry it in 3 seconds.
        Scenario(
            "20x",
            90,
            0.15,
            fleet(1800, starts=20_000),
            Arrivals.generate(
                rate=20,
                seconds=14,
                bursts=[Burst(at, 1800, 0.1) for at in (1.0, 8.0)],
                seed=seed,
            ),
            warm=1,
        ),
        # The same with TLS, whose connects take a fifth of an invocation, and on a larger server.
        Scenario(
            "TLS",
            1000,
            0.15,
            fleet(3000, starts=20_000),
            Arrivals.generate(
                rate=500,
                seconds=12,
                bursts=[Burst(at, 3000, 0.1) for at in (1.0, 6.0)],
                seed=seed,
            ),
            warm=1,
            costs=Costs(connect=0.03, connect_cpu=0.003),
        ),
        # Containers that live for seconds only; half of them leave a session that nobody uses.
        Scenario(
            "zombies",
            90,
            0.15,
            Fleet(240, lifetime=(1.0, 6.0), lost=0.5, killed=0.2, starts=STARTS, seed=seed),
            Arrivals.generate(rate=250, seconds=20, ramp=2, seed=seed),
            warm=5,
        ),
    ]


def law(containers: int, limit: int, seed: int) -> Scenario:
    """Return a burst of all containers at once, from zero, on a server of this size.

    An invocation works for so long that the connections can carry the burst in 3 seconds, if that
    is a time that there is.
    """
    work = min(1.0, max(0.005, 3.0 * limit / containers))
    return Scenario(
        f"{containers} : {limit}",
        limit,
        work,
        Fleet(containers, lifetime=LONG, lost=0.0, killed=0.0, starts=1e6, seed=seed),
        Arrivals.generate(rate=0, seconds=0, bursts=[Burst(0.0, containers, 0.1)], seed=seed),
    )


# -- variants --------------------------------------------------------------------------------------


#: Of those alternatives that leave it to chance; seeded for each run.
DICE = random.Random()

Decision = Callable[..., bool]


def by_chance(chance: Callable[[Load, Settings], float]) -> Decision:
    """Give up with this chance."""

    def gives_up(load: Load, settings: Settings, *_: float) -> bool:
        return DICE.random() < chance(load, settings)

    return gives_up


def power(exponent: float) -> Decision:
    """Give up with the share of the way from threshold to limit, to a power."""

    def chance(load: Load, settings: Settings) -> float:
        over = policy.excess(load, settings)
        room = max(1, load.limit - (load.used - over))
        return float((over / room) ** exponent)

    return by_chance(chance)


def of_used(load: Load, settings: Settings) -> float:
    """Return the chance with which, of all who are connected, as many go as there are too many."""
    return policy.excess(load, settings) / max(1, load.used)


def of_used_or_all(load: Load, settings: Settings) -> float:
    """Return the same, but 1 when the server is full."""
    return 1.0 if load.used >= load.limit else of_used(load, settings)


def when_full(load: Load, _settings: Settings, *_: float) -> bool:
    """Give up when the server is full, and never else."""
    return load.used >= load.limit


def above(load: Load, settings: Settings, *_: float) -> bool:
    """Give up whenever there are too many."""
    return policy.excess(load, settings) > 0


def never(_load: Load, _settings: Settings, *_: float) -> bool:
    """Keep what one has: zombies and leases have to do."""
    return False


def variant(group: str, name: str, **values: Any) -> Variant:
    """Return the choice with some values in the place of its own.

    :param values: of settings, and of ``slsmysql.policy``, by their names.
    """
    settings = {name: values[name] for name in values if name in NAMES}
    names = {name: values[name] for name in values if name not in NAMES}
    return Variant(group, name, {**CHOICE.settings, **settings}, {**CHOICE.policy, **names})


#: What the sweep led to; everything that it is held against differs in one thing.
CHOICE = Variant(
    "",
    "the choice",
    {"backoff": "full", "backoff_base": 0.05, "backoff_cap": 1.0},
    {"gives_up": above, "LONGEST_INTERVAL": 5.0, "_REAP_IN_VAIN": 3.0},
)

VARIANTS = (
    variant(
        "the first guess",
        "first guess",
        backoff_base=0.01,
        gives_up=power(1),
        LONGEST_INTERVAL=15.0,
        _REAP_IN_VAIN=15.0,
    ),
    *(
        variant("back-off", f"full, {base:g} to {cap:g} s", backoff_base=base, backoff_cap=cap)
        for base, cap in (
            *((base, cap) for base in (0.01, 0.05, 0.1) for cap in (0.5, 1.0, 2.0)),
            *((0.02, 1.0), (0.2, 1.0), (0.05, 0.25), (0.05, 5.0)),
        )
        if (base, cap) != (0.05, 1.0)
    ),
    *(
        variant(
            "back-off",
            f"decorrelated, {base:g} to {cap:g} s",
            backoff="decorrelated",
            backoff_base=base,
            backoff_cap=cap,
        )
        for base, cap in ((0.01, 0.5), (0.01, 1.0), (0.05, 0.5), (0.05, 1.0), (0.05, 2.0))
    ),
    *(
        variant("giving up", name, gives_up=function)
        for name, function in (
            ("share of the way", power(1)),
            ("its 4th root", power(0.25)),
            ("its square", power(2)),
            ("the excess only", by_chance(of_used)),
            ("the excess; all when full", by_chance(of_used_or_all)),
            ("only when full", when_full),
            ("never", never),
        )
    ),
    *(variant("threshold", f"{share:g}", conn_utilization=share) for share in (0.5, 0.7, 0.9, 1.0)),
    *(
        variant("looks", f"every {seconds:g} s", used_conns_freq=seconds)
        for seconds in (0.0, 0.1, 1.0, 15.0)
    ),
    *(
        variant("looks", f"up to {seconds:g} s", LONGEST_INTERVAL=seconds)
        for seconds in (1.0, 2.0, 15.0, 60.0)
    ),
    *(
        variant("reaping", f"in vain every {seconds:g} s", _REAP_IN_VAIN=seconds)
        for seconds in (1.0, 15.0)
    ),
    *(
        variant("leases", f"pressed {seconds} s", PRESSED_LEASE=seconds)
        for seconds in (3, 10, 30, 60)
    ),
    *(variant("leases", f"busy {seconds} s", BUSY_LEASE=seconds) for seconds in (15, 300, 900)),
    *(variant("leases", f"busy from {share:g}", CALM=share) for share in (0.3, 0.7)),
    variant("leases", "none", lease=None),
)


# -- measures --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """A variant's figures over all scenarios, as ratios to the choice's.

    Each is the geometric mean of the ratios; less is better.

    :param failed: invocations that failed, in all.
    """

    variant: Variant
    failed: int
    mean: float
    p99: float
    refused: float
    storm: float
    connects: float
    cpu: float
    swing: float


Runs = Mapping[str, Figures]


def runs(variant: Variant, seed: int) -> Runs:
    """Run a variant through all scenarios."""
    settings = Settings(**variant.settings)
    DICE.seed(seed)
    with in_place(variant.policy):
        return {each.name: simulate(each, settings, seed=seed) for each in scenarios(seed)}


def compare(variant: Variant, its: Runs, theirs: Runs) -> Row:
    """Hold a variant's runs against others."""

    def ratio(measure: Callable[[Figures], float], least: float) -> float:
        """``least`` is what is as good as nothing: no ratio of small numbers counts."""
        logs = [
            math.log(max(least, measure(its[key])) / max(least, measure(theirs[key])))
            for key in theirs
        ]
        return math.exp(math.fsum(logs) / len(logs))

    return Row(
        variant=variant,
        failed=sum(figures.failed for figures in its.values()),
        mean=ratio(lambda figures: _spread(figures.ready).mean, 0.001),
        p99=ratio(lambda figures: _spread(figures.ready).p99, 0.01),
        refused=ratio(lambda figures: figures.refused, 10),
        storm=ratio(lambda figures: figures.storm, 10),
        connects=ratio(lambda figures: figures.connects, 10),
        cpu=ratio(lambda figures: figures.cpu, 0.01),
        swing=ratio(lambda figures: figures.swing, 1),
    )


def _spread(spread: Spread | None) -> Spread:
    return spread or Spread(math.inf, math.inf, math.inf, math.inf, math.inf)


# -- what is shown ---------------------------------------------------------------------------------

FIGURES = (
    f"{'':<16}{'done':>7}{'failed':>7} | {'wait for a session, ms':^26} |"
    f"{'connects':>9}{'refused':>8}{'worst s':>8} |{'open':>7}{'peak':>7}{'swing':>7}{'cross':>6} |"
    f"{'gave up':>8}{'expired':>8}{'reaped':>7}{'CPU/1000':>10}\n"
    f"{'':<30} | {'mean':>8}{'p99':>9}{'max':>9} |"
)


def line(name: str, figures: Figures) -> str:
    """Return one run as a line under ``FIGURES``."""
    ready = _spread(figures.ready)
    return (
        f"{name:<16}{figures.done:>7}{figures.failed:>7} |"
        f" {ready.mean * 1e3:>8.1f}{ready.p99 * 1e3:>9.0f}{ready.max * 1e3:>9.0f} |"
        f"{figures.connects:>9}{figures.refused:>8}{figures.storm:>8} |"
        f"{figures.mean_open:>7.0f}{figures.peak_open:>7}{figures.swing:>7.1f}"
        f"{figures.crossings:>6} |"
        f"{figures.given_up:>8}{figures.expired:>8}{figures.killed:>7}"
        f"{figures.cpu / figures.invocations * 1e3:>10.3f}"
    )


def show_defaults(seed: int) -> None:
    """Print what the defaults do."""
    print(FIGURES)
    for scenario in scenarios(seed):
        print(line(scenario.name, simulate(scenario, seed=seed)))


def show_sweep(seed: int) -> None:
    """Print every variant against the choice."""
    theirs = runs(CHOICE, seed)
    print("Ratios to the choice, geometric means over all scenarios; less is better.\n")
    print(
        f"{'':<28}{'failed':>7}{'wait':>7}{'p99':>7}{'refused':>9}{'worst s':>9}{'connects':>10}"
        f"{'CPU':>7}{'swing':>7}"
    )
    group = ""
    for variant in (CHOICE, *VARIANTS):
        row = compare(variant, theirs if variant is CHOICE else runs(variant, seed), theirs)
        if variant.group != group:
            group = variant.group
            print(group)
        print(
            f"  {variant.name:<26}{row.failed:>7}{row.mean:>7.2f}{row.p99:>7.2f}"
            f"{row.refused:>9.2f}{row.storm:>9.2f}{row.connects:>10.2f}{row.cpu:>7.2f}"
            f"{row.swing:>7.2f}",
            flush=True,
        )


#: Containers and connections.
SIZES = (
    *((containers, 90) for containers in (90, 180, 450, 900, 1800, 5000, 20_000)),
    *((containers, 1000) for containers in (1000, 5000, 20_000)),
    *((containers, 16_000) for containers in (16_000, 32_000, 100_000)),
)


def show_laws(seed: int) -> None:
    """Print how the figures grow with the size."""
    print("Bursts of all containers at once from zero; containers : connections.\n")
    print(f"{FIGURES}{'':>79}|{'':>33} tries of each, of each in the worst second")
    settings = Settings(**CHOICE.settings)
    for containers, limit in SIZES:
        scenario = law(containers, limit, seed)
        with in_place(CHOICE.policy):
            figures = simulate(scenario, settings, seed=seed)
        each = (figures.connects + figures.refused) / figures.invocations
        print(
            f"{line(scenario.name, figures)}{each:>6.1f}{figures.rush / containers:>6.1f}",
            flush=True,
        )


def show_demo(path: Path) -> None:
    """Print a demo's figures of slsmysql, and those of the simulator for the same arguments."""
    data = json.loads(path.read_text(encoding="utf-8"))
    measured = data["results"]["slsmysql"]
    names = ("connections", "containers", "seconds", "rate", "work", "seed")
    scenario = demo(**{name: data["scenario"][name] for name in names})
    figures = simulate(scenario)
    print(f"{'':<24}{'emulator':>10}{'simulator':>10}")
    for what, real, virtual in (
        ("failed", sum(measured["summary"]["errors"].values()), figures.failed),
        ("connects", measured["result"]["traffic"]["made"], figures.connects),
        ("refused connects", measured["result"]["traffic"]["refused"], figures.refused),
        ("mean open connections", measured["summary"]["mean_connections"], figures.mean_open),
        ("peak open connections", measured["summary"]["peak_connections"], figures.peak_open),
        ("median latency, ms", measured["summary"]["latency"]["p50"] * 1e3, _p50(figures)),
    ):
        print(f"{what:<24}{real:>10.0f}{virtual:>10.0f}")


def _p50(figures: Figures) -> float:
    return _spread(figures.latency).p50 * 1e3


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulate", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--sweep", action="store_true", help="other values against the choice")
    what.add_argument("--laws", action="store_true", help="how the figures grow with the size")
    what.add_argument("--demo", type=Path, metavar="FILE", help="data of benchmarks.demo")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is random (1)")
    args = parser.parse_args(argv)
    if args.sweep:
        show_sweep(args.seed)
    elif args.laws:
        show_laws(args.seed)
    elif args.demo:
        show_demo(args.demo)
    else:
        show_defaults(args.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
