"""The words of the fleet emulator, all pure: who arrives when, what a fleet is, what came of it.

Nothing here starts a process, reads a clock or draws from a source of randomness that was not
seeded, so that every contender meets the same arrivals and every figure can be tested on its own.
The processes are in ``benchmarks.platform_posix``.
"""

from __future__ import annotations

import difflib
import enum
import math
import random
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, TypeVar


@dataclass(frozen=True, slots=True)
class Burst:
    """So many invocations, evenly at random, within a short time.

    :param at: begin, in seconds since the start of the run.
    :param count: invocations in the burst.
    :param within: length, in seconds.
    """

    at: float
    count: int
    within: float


def rising_bursts(seconds: float, containers: int) -> list[Burst]:
    """Return five bursts, each with a quarter more of the fleet than the one before, up to all.

    Few processors could not start all containers at once without being what everybody waits for.

    :param seconds: length of the run.
    :param containers: size of the largest bursts.
    """
    sizes = (0.25, 0.5, 0.75, 1.0, 1.0)
    step = seconds / len(sizes)
    return [
        Burst(at=step * (number + 0.5), count=round(containers * size), within=0.1)
        for number, size in enumerate(sizes)
    ]


@dataclass(frozen=True, slots=True)
class Arrivals:
    """An open-loop list of arrivals, made up front: nobody waits for anybody's answer.

    :param times: seconds since the start of the run, ascending.
    """

    times: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse times that no run could play back."""
        if any(earlier > later for earlier, later in zip(self.times, self.times[1:], strict=False)):
            raise ValueError("arrivals must be in ascending order")
        if self.times and self.times[0] < 0:
            raise ValueError("arrivals cannot lie before the start of the run")

    @classmethod
    def generate(
        cls,
        *,
        rate: float,
        seconds: float,
        ramp: float = 0.0,
        bursts: Iterable[Burst] = (),
        seed: int,
    ) -> Arrivals:
        """Draw a Poisson stream, with bursts on top of it.

        :param rate: invocations per second of the Poisson stream; 0 for bursts only.
        :param seconds: length of the Poisson stream, in seconds.
        :param ramp: seconds in which the stream grows evenly from nothing to its rate.
        :param bursts: what comes on top.
        :param seed: the same seed gives the same arrivals.
        """
        if min(rate, seconds, ramp) < 0:
            raise ValueError(f"neither of these can be negative: {rate=}, {seconds=}, {ramp=}")
        dice = random.Random(seed)
        times: list[float] = []
        moment = dice.expovariate(rate) if rate else math.inf
        while moment < seconds:
            if moment >= ramp * dice.random():
                times.append(moment)
            moment += dice.expovariate(rate)
        for burst in bursts:
            times.extend(burst.at + dice.random() * burst.within for _ in range(burst.count))
        return cls(tuple(sorted(times)))

    @classmethod
    def read(cls, path: Path) -> Arrivals:
        """Read a trace: a moment a line, in seconds, in any order; ``#`` begins a comment.

        The first arrival is the start of the run, whatever its moment: time stamps will do.
        """
        times = []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if text := line.partition("#")[0].strip():
                try:
                    times.append(float(text))
                except ValueError:
                    raise ValueError(f"{path}, line {number}: not a moment: {text!r}") from None
                if not math.isfinite(times[-1]):
                    raise ValueError(f"{path}, line {number}: not a moment: {text!r}")
        times.sort()
        return cls(tuple(time - times[0] for time in times))


class Fate(enum.Enum):
    """How a container ends."""

    TERMINATED = "terminated"  #: SIGTERM, then thawed so that it can go
    KILLED = "killed"  #: SIGKILL while frozen: the kernel closes its sockets
    LOST = "lost"  #: frozen and forgotten: its session stays on the server, a zombie
    DISCARDED = "discarded"  #: it failed to start, died or hung


@dataclass(frozen=True, slots=True)
class Life:
    """How long a container is used, in seconds since its start, and how it ends then."""

    seconds: float
    fate: Fate


@dataclass(frozen=True, slots=True)
class Fleet:
    """What the emulated function platform does with its containers.

    :param containers: as many may be alive at once; invocations beyond them queue.
    :param starts: containers started each second, at most. Platforms have such a limit too
        (Lambda: 100 for each function).
    :param loading: no container is started while so many others are loading their handlers on a
        processor. A real container has its own; here, hundreds that share two would all get
        nowhere. One that waits for the server takes none, and does not count.
    :param spares: runtimes that have been started before the run, for the first containers.
    :param lifetime: a container is recycled at an age drawn evenly from this range, in seconds.
    :param lost: proportion of the recycled ones that is frozen for ever.
    :param killed: proportion that is killed while frozen. The rest is terminated.
    :param timeout: an invocation with no result after so many seconds is ended by the platform.
    :param seed: the n-th container of a fleet always has the same life.
    """

    containers: int = 240
    starts: float = 30.0
    loading: int = 8
    spares: int = 0
    lifetime: tuple[float, float] = (12.0, 50.0)
    lost: float = 0.25
    killed: float = 0.2
    timeout: float = 30.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a fleet that cannot be."""
        if self.containers < 1:
            raise ValueError(f"a fleet needs at least one container, not {self.containers}")
        if self.starts <= 0 or self.loading < 1:
            raise ValueError(f"such a fleet cannot start: {self.starts=}, {self.loading=}")
        if not 0 < self.lifetime[0] <= self.lifetime[1]:
            raise ValueError(f"impossible range of lifetimes: {self.lifetime}")
        if self.lost < 0 or self.killed < 0 or self.lost + self.killed > 1:
            raise ValueError(f"impossible proportions: lost {self.lost}, killed {self.killed}")
        if self.timeout <= 0:
            raise ValueError(f"the timeout must be positive, not {self.timeout}")

    def life(self, serial: int) -> Life:
        """Return the life of the container with this serial number."""
        dice = random.Random(f"{self.seed}/{serial}")
        seconds = dice.uniform(*self.lifetime)
        draw = dice.random()
        if draw < self.lost:
            return Life(seconds, Fate.LOST)
        return Life(seconds, Fate.KILLED if draw < self.lost + self.killed else Fate.TERMINATED)


@dataclass(frozen=True, slots=True)
class Contender:
    """A handler and the world in which its containers run.

    :param name: what tables and figures call it.
    :param handler: Python file with a function ``handler(event, context)``, or what ``command``
        takes for it.
    :param environment: what a container finds in ``os.environ`` beside the platform's own.
    :param command: the program that a container runs, if it is not Python: it speaks as
        ``benchmarks.container`` does on its file descriptor 3.
    :param preload: modules that a container has loaded when it starts, as one that is restored from
        a snapshot has; a command finds them behind its arguments.
    """

    name: str
    handler: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()


def adapt(source: str, module: str) -> str:
    """Return the handler's source with another driver in the place of PyMySQL: one line."""
    if module == "pymysql":
        return source
    adapted, count = re.subn(
        r"^import pymysql$", f"import {module} as pymysql", source, flags=re.MULTILINE
    )
    if count != 1:
        raise ValueError(f"the handler has to import pymysql in one line, not in {count}")
    return adapted


def difference(before: str, after: str) -> list[str]:
    """Return the lines that two sources do not share, marked - and +."""
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return [line for line in lines if line.startswith(("- ", "+ "))]


class Phase(enum.Enum):
    """Where an invocation failed."""

    INIT = "init"  #: the module did not load: the handler was never called
    HANDLER = "handler"  #: the handler raised
    PLATFORM = "platform"  #: the platform ended it: time out, or the container died


class Outcome(enum.Enum):
    """What the caller was told about the work of an invocation."""

    COMMITTED = "committed"
    FAILED = "failed"  #: refused or rolled back: nothing of it may be there
    UNKNOWN = "unknown"  #: it may be there or not, and nobody was told otherwise


#: Smallest number of an error that comes from a server (MySQL manual, "Server Error Message
#: Reference"); PyMySQL raises 0 for a connection that is closed.
SERVER_ERRORS = 1000

#: The numbers that are the client's own ("Client Error Message Reference"): most of them say that
#: the connection was lost, and not at which moment.
CLIENT_ERRORS = range(2000, 3000)

#: Server shutdown and query interrupted: the server's, but they can hit a commit half-way.
INTERRUPTIONS = frozenset({1053, 1317})


def refused(errno: int) -> bool:
    """Whether a number proves that the statement was not carried out."""
    return errno >= SERVER_ERRORS and errno not in CLIENT_ERRORS and errno not in INTERRUPTIONS


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an invocation failed.

    :param phase: where.
    :param kind: name of the exception's class.
    :param errno: the exception's first argument, if that is a number.
    :param message: the exception's text.
    """

    phase: Phase
    kind: str
    errno: int | None
    message: str

    @property
    def label(self) -> str:
        """Class and number, as a table names it."""
        return self.kind if self.errno is None else f"{self.kind} {self.errno}"

    @property
    def outcome(self) -> Outcome:
        """Return what the failure proves about the work.

        An error packet of the server says that the statement failed, and the handler rolls back
        then. Whatever else a handler raises may have hit a commit that was under way.
        """
        if self.phase is Phase.INIT:
            return Outcome.FAILED
        if self.phase is Phase.HANDLER and self.errno is not None and refused(self.errno):
            return Outcome.FAILED
        return Outcome.UNKNOWN


@dataclass(frozen=True, slots=True)
class Invocation:
    """One invocation, from its arrival to its result.

    :param request: its unique id.
    :param arrived: seconds since the start of the run.
    :param finished: the same clock.
    :param container: serial number of the container that had it.
    :param cold: whether the container was started for it.
    :param init: if the container was started for it, the seconds that its handler's module took
        to load; None if it was a warm one, or never came so far.
    :param handler: seconds inside the handler; None if it was not called, or never came back.
    :param failure: None when it was told as done.
    """

    request: str
    arrived: float
    finished: float
    container: int
    cold: bool
    init: float | None
    handler: float | None
    failure: Failure | None = None

    @property
    def latency(self) -> float:
        """Seconds from arrival to result: queueing, cold start and handler."""
        return self.finished - self.arrived

    @property
    def outcome(self) -> Outcome:
        """What was told about its work."""
        return Outcome.COMMITTED if self.failure is None else self.failure.outcome


@dataclass(frozen=True, slots=True)
class Sample:
    """What the harness saw at one moment.

    :param at: seconds since the start of the run.
    :param connections: open on the server, the harness's own included.
    :param alive: containers that the platform has, busy or frozen: processes, all of them.
    :param busy: containers that have an invocation, or are to be started for one.
    :param lost: containers that are frozen for ever; they are not among those alive.
    """

    at: float
    connections: int
    alive: int
    busy: int
    lost: int


@dataclass(frozen=True, slots=True)
class Audit:
    """Compares what was told with what is in the table.

    :param committed: invocations told as committed.
    :param rows: rows in the table.
    :param doubled: requests with more than one row.
    :param lost: told as committed, and no row there.
    :param undead: told as failed, and a row there.
    :param foreign: rows of requests that were never made.
    :param unknown: told as neither.
    """

    committed: int
    rows: int
    doubled: int
    lost: int
    undead: int
    foreign: int
    unknown: int

    @classmethod
    def compare(cls, invocations: Sequence[Invocation], rows: Mapping[str, int]) -> Audit:
        """Hold the invocations against the number of rows that each request has."""
        told = {invocation.request: invocation.outcome for invocation in invocations}
        outcomes = Counter(told.values())
        return cls(
            committed=outcomes[Outcome.COMMITTED],
            rows=sum(rows.values()),
            doubled=sum(1 for count in rows.values() if count > 1),
            lost=sum(
                1
                for request, outcome in told.items()
                if outcome is Outcome.COMMITTED and not rows.get(request)
            ),
            undead=sum(
                1
                for request, outcome in told.items()
                if outcome is Outcome.FAILED and rows.get(request)
            ),
            foreign=sum(1 for request in rows if request not in told),
            unknown=outcomes[Outcome.UNKNOWN],
        )

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, doubled or done against what was told."""
        return not (self.doubled or self.lost or self.undead or self.foreign)

    def __str__(self) -> str:
        """Return the audit as one line."""
        line = (
            f"rows: told committed {self.committed}, in the table {self.rows}, "
            f"doubled {self.doubled}, lost {self.lost}"
        )
        for word, count in (
            ("told failed yet there", self.undead),
            ("of nobody", self.foreign),
            ("outcome unknown", self.unknown),
        ):
            line += f", {word} {count}" if count else ""
        return line


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run took from the machine: whether the emulator itself was the bottleneck.

    :param wall: length of the run, in seconds.
    :param platform: processor seconds of the platform's process, the harness included.
    :param containers: processor seconds of all containers; None if that is not known.
    :param server: processor seconds of the server; None if that is not known.
    :param late: how many seconds too late the platform noticed an arrival, at worst.
    """

    wall: float
    platform: float
    containers: float | None
    server: float | None
    late: float


@dataclass(frozen=True, slots=True)
class Traffic:
    """Connections and kills of a run, as the server counted them.

    :param made: connects that succeeded.
    :param refused: connects that met a full server.
    :param killed: KILL statements.
    """

    made: int
    refused: int
    killed: int

    @classmethod
    def of(cls, kind: str, growth: Mapping[str, int]) -> Traffic:
        """Read the growth of the server's status variables, in which no server counts plainly.

        Both refuse some when they come and some after their login. The latter are in
        ``Connections`` too. MySQL counts all of them in ``Connection_errors_max_connections`` and
        the latter in ``Aborted_connects``; MariaDB counts the former in
        ``Connection_errors_max_connections`` and all of them in ``Aborted_connects``.

        :param kind: ``"mariadb"`` or ``"mysql"``.
        """
        full, aborted = growth["Connection_errors_max_connections"], growth["Aborted_connects"]
        if kind == "mariadb":
            refused, after_login = aborted, aborted - full
        else:
            refused, after_login = full, aborted
        return cls(growth["Connections"] - after_login, refused, growth["Com_kill"])


@dataclass(frozen=True, slots=True)
class Result:
    """All that a run of one contender gave.

    :param contender: its name.
    :param invocations: in the order of their results.
    :param samples: in the order of time.
    :param started: containers started.
    :param ends: how many ended by each fate.
    :param traffic: connections and kills.
    :param cost: processor time.
    :param audit: None where the handler writes nothing.
    """

    contender: str
    invocations: tuple[Invocation, ...]
    samples: tuple[Sample, ...]
    started: int
    ends: Mapping[Fate, int]
    traffic: Traffic
    cost: Cost
    audit: Audit | None = None


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean, percentiles and maximum of a list of values."""

    mean: float
    p50: float
    p95: float
    p99: float
    max: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        """Summarise; None of nothing."""
        ordered = sorted(values)
        if not ordered:
            return None
        return cls(
            mean=math.fsum(ordered) / len(ordered),
            p50=percentile(ordered, 50),
            p95=percentile(ordered, 95),
            p99=percentile(ordered, 99),
            max=ordered[-1],
        )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile: a value that was measured, none in between.

    :param ordered: at least one value, ascending.
    :param percent: more than 0, at most 100.
    """
    if not 0 < percent <= 100:
        raise ValueError(f"a percentile lies in (0, 100], not at {percent}")
    return ordered[math.ceil(len(ordered) * percent / 100) - 1]


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of a run, as the tables show them. Times in seconds.

    :param invocations: in all.
    :param ok: told as done.
    :param errors: how many of each class and number.
    :param latency: arrival to result, of the invocations told as done.
    :param handler: inside the handler, of the same.
    :param first: arrival to result, of those that a container was started for.
    :param init: loading the handler's module, of the cold starts that succeeded.
    :param started: containers started.
    :param peak_alive: most containers alive at once.
    :param peak_connections: most connections open at once.
    :param mean_connections: their mean over the samples.
    """

    invocations: int
    ok: int
    errors: Mapping[str, int]
    latency: Spread | None
    handler: Spread | None
    first: Spread | None
    init: Spread | None
    started: int
    peak_alive: int
    peak_connections: int
    mean_connections: float

    @classmethod
    def of(cls, result: Result) -> Summary:
        """Work out the figures of a run."""
        done = [each for each in result.invocations if each.failure is None]
        errors = Counter(each.failure.label for each in result.invocations if each.failure)
        connections = [sample.connections for sample in result.samples]
        return cls(
            invocations=len(result.invocations),
            ok=len(done),
            errors=dict(errors.most_common()),
            latency=Spread.of(each.latency for each in done),
            handler=Spread.of(each.handler for each in done if each.handler is not None),
            first=Spread.of(each.latency for each in done if each.cold),
            init=Spread.of(each.init for each in done if each.init is not None),
            started=result.started,
            peak_alive=max((sample.alive for sample in result.samples), default=0),
            peak_connections=max(connections, default=0),
            mean_connections=sum(connections) / len(connections) if connections else 0.0,
        )


class Member(Protocol):
    """What the pool has to know of a container: nothing but that it is one thing."""

    def __hash__(self) -> int:
        """Containers are told apart by identity."""


Container = TypeVar("Container", bound=Member)


class Pool(Generic[Container]):
    """The containers that are alive. The idle one that was used last is the first to be used."""

    def __init__(self, limit: int) -> None:
        """Make an empty pool.

        :param limit: as many containers may be alive at once.
        """
        self._limit = limit
        self._alive: set[Container] = set()
        self._idle: dict[Container, None] = {}  # in the order of last use

    @property
    def alive(self) -> int:
        """Containers, busy or idle."""
        return len(self._alive)

    @property
    def busy(self) -> int:
        """Containers that are in use."""
        return len(self._alive) - len(self._idle)

    @property
    def full(self) -> bool:
        """Whether no container may be added."""
        return len(self._alive) >= self._limit

    def add(self, container: Container) -> None:
        """Take in a new container, which is busy with what it was started for."""
        if self.full:
            raise ValueError(f"all {self._limit} containers are there already")
        self._alive.add(container)

    def take(self) -> Container | None:
        """Return the idle container that was used last, busy from now on; None if all are busy."""
        if not self._idle:
            return None
        container, _ = self._idle.popitem()
        return container

    def give_back(self, container: Container) -> None:
        """Note that a busy container is idle now."""
        if container not in self._alive or container in self._idle:
            raise ValueError("only a busy container can be given back")
        self._idle[container] = None

    def take_away(self, container: Container) -> bool:
        """Remove an idle container; return False if it is busy or gone, and leave it."""
        if container not in self._idle:
            return False
        del self._idle[container]
        self._alive.remove(container)
        return True

    def remove(self, container: Container) -> None:
        """Remove a busy container."""
        if container in self._idle:
            raise ValueError("this container is idle")
        self._alive.remove(container)
