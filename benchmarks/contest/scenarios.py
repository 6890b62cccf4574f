"""What the contenders go through, pure: loads, fleets, and how they are made to fit the machine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.contest.contenders import ENTRANTS, OURS
from benchmarks.fleet import Arrivals, Burst, Fleet

#: Containers live for minutes where it is not their end that is looked at, in seconds.
LONG = (600.0, 900.0)

#: Seconds for a connect in all drivers that take part (``connect_timeout``): a burst that the
#: connections carry in less can be got through.
BUDGET = 10.0

#: Connections that a server has for the fleet, at least: with the harness's one they are the least
#: ``max_connections`` of MariaDB.
LEAST = 9

#: Share of the processors that the emulator may take for itself.
OWN_SHARE = 0.5

#: Share of one processor that the platform's process, which has one thread, may take.
PLATFORM_SHARE = 0.7

#: Seconds after which the platform ends an invocation: a connect that takes its whole budget can
#: still be used.
TIMEOUT = 12.0

#: As many containers may load their modules at once, on the processors that there are.
LOADING = 8

#: Runtimes in store, where containers are started one by one.
SPARES = 40

#: Who takes part where not everybody does.
EVERYBODY = tuple(entrant.name for entrant in ENTRANTS)
FEW = (OURS, "serverless-mysql", "PyMySQL, in the handler")


@dataclass(frozen=True, slots=True)
class Scenario:
    """A load, and the server and fleet that it meets.

    :param name: what tables and options call it.
    :param what: in words.
    :param connections: that the fleet can have on the server.
    :param containers: that may be alive at once.
    :param rate: invocations per second; 0: bursts only.
    :param seconds: length of the stream.
    :param work: seconds that the query takes.
    :param ramp: seconds in which the stream grows to its rate.
    :param bursts: moments at which there is an invocation for each container, within 0.1 s.
    :param settled: latencies of arrivals from this moment on are shown by themselves, in seconds:
        before, containers are started, and their imports keep the processors busy.
    :param starts: containers started each second, at most.
    :param lifetime: of the containers, from and to, in seconds.
    :param lost: share of the containers that end without a goodbye.
    :param restored: whether containers come from a snapshot in which their modules are loaded.
    :param process: whether the account has the privilege PROCESS.
    :param tls: whether the account must use TLS.
    :param entrants: who takes part, if nobody is named.
    :param trace: arrivals that were read, in the place of those that are drawn.
    """

    name: str
    what: str
    connections: int
    containers: int
    rate: float
    seconds: float
    work: float = 0.02
    ramp: float = 0.0
    bursts: tuple[float, ...] = ()
    settled: float = 0.0
    starts: float = 30.0
    lifetime: tuple[float, float] = LONG
    lost: float = 0.0
    restored: bool = False
    process: bool = True
    tls: bool = False
    entrants: tuple[str, ...] = FEW
    trace: tuple[float, ...] = ()

    @property
    def ratio(self) -> float:
        """Containers for each connection."""
        return self.containers / self.connections

    @property
    def carried(self) -> bool:
        """Whether the connections can carry the load at all.

        A stream: fewer connections busy in the mean than there are (Little's law). Bursts on top of
        it: what is left of the connections works one off within the budget.
        """
        left = self.connections - self.rate * self.work
        return left > 0 and self.containers * bool(self.bursts) * self.work / left < BUDGET

    def scaled(self, factor: float) -> Scenario:
        """Return the same with all that is counted multiplied: rate, connections and containers."""
        if factor == 1:
            return self
        return replace(
            self,
            rate=self.rate * factor,
            connections=max(LEAST, round(self.connections * factor)),
            containers=max(2, round(self.containers * factor)),
            trace=self.trace[:: max(1, round(1 / factor))],
        )

    def shortened(self, factor: float) -> Scenario:
        """Return the same with less of everything, in which the fleet still settles."""
        if self.trace:
            return self
        seconds = max(self.seconds * factor, min(self.seconds, self.settled + 1))
        bursts = tuple(at for at in self.bursts if at < seconds) or self.bursts[:1]
        return replace(self, seconds=seconds, bursts=bursts).scaled(factor)

    def fleet(self, seed: int) -> Fleet:
        """Return the fleet."""
        return Fleet(
            containers=self.containers,
            starts=self.starts,
            loading=self.containers if self.restored else LOADING,
            spares=self.containers if self.restored else SPARES,
            lifetime=self.lifetime,
            lost=self.lost,
            killed=0.0,
            timeout=TIMEOUT,
            seed=seed,
        )

    def arrivals(self, seed: int) -> Arrivals:
        """Return the arrivals, the same for everybody."""
        if self.trace:
            return Arrivals(self.trace)
        return Arrivals.generate(
            rate=self.rate,
            seconds=self.seconds,
            ramp=self.ramp,
            bursts=[Burst(at, self.containers, 0.1) for at in self.bursts],
            seed=seed,
        )


HEADLINE = Scenario(
    "headline",
    "500 users per second, 90 connections, a query of 20 ms",
    connections=90,
    containers=180,
    rate=500,
    seconds=60,
    # Containers are started one by one, as they are on processors of their own: hundreds that load
    # their modules on two at once would be what everybody waits for.
    ramp=3,
    settled=3.5,
    entrants=EVERYBODY,
)

#: All containers at once, from zero; then once more, when they are there. So many that a twentieth
#: of them, with the harness's session, is the least ``max_connections`` that MariaDB takes: 10.
LAW = Scenario(
    "2x",
    "bursts of 2 containers for each connection",
    connections=90,
    containers=180,
    rate=40,
    seconds=3.5,
    bursts=(0.5, 3.0),
    settled=2.5,
    starts=500,
    restored=True,
)


def law(ratio: int) -> Scenario:
    """Return the bursts with so many containers for each connection."""
    return replace(
        LAW,
        name=f"{ratio}x",
        what=f"bursts of {ratio} containers for each connection",
        connections=LAW.containers // ratio,
    )


#: Containers for each connection.
RATIOS = (2, 5, 10, 20)

SCENARIOS: tuple[Scenario, ...] = (
    HEADLINE,
    replace(
        HEADLINE,
        name="slow query",
        what="the same with queries of 150 ms, 150 users per second",
        rate=150,
        seconds=10,
        work=0.15,
        entrants=FEW,
    ),
    *(law(ratio) for ratio in RATIOS),
    replace(
        law(10),
        name="burst from zero",
        what="10 containers for each connection, all at once, and nothing before or after",
        rate=0,
        seconds=1,
        bursts=(0.0,),
        settled=0.0,
    ),
    replace(
        law(5),
        name="no PROCESS",
        what="as 5x, with an account that sees no other",
        process=False,
    ),
    replace(
        HEADLINE,
        name="zombies",
        what="containers live for 0.5 to 3 s, and half of them are lost without a goodbye",
        connections=12,
        containers=40,
        rate=40,
        work=0.1,
        seconds=12,
        ramp=2,
        settled=3,
        lifetime=(0.5, 3.0),
        lost=0.5,
        entrants=(OURS, "serverless-mysql", "PyMySQL, module"),
    ),
    # A connect over TLS takes 13 to 40 ms of a container's processor: the whole fleet's would take
    # the machine's for longer than a burst may last.
    replace(law(5).scaled(1 / 3), name="TLS", what="a third of 5x, over TLS", tls=True, rate=40),
)

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def fitting(own: float, platform: float, processors: int) -> float:
    """Return by which factor a load has to be scaled to leave the processors to those who contend.

    :param own: processors that the emulator takes at this load, with a null handler.
    :param platform: those of them that its single thread takes.
    :param processors: of the machine.
    """
    wanted = max(own / (OWN_SHARE * processors), platform / PLATFORM_SHARE)
    factor = 1 / max(1.0, wanted)
    return 1.0 if factor == 1 else max(0.05, math.floor(factor * 20) / 20)


def chosen(names: Sequence[str]) -> list[Scenario]:
    """Return the scenarios of these names, all of them if there are none."""
    for name in names:
        if name not in BY_NAME:
            raise ValueError(f"no scenario {name!r}; there are: {', '.join(BY_NAME)}")
    return [BY_NAME[name] for name in names] if names else list(SCENARIOS)
