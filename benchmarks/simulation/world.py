"""The simulated world: containers, one server, and the package's own decisions in between.

Events in virtual time on a heap. What is simulated are the platform (as ``benchmarks.fleet`` has
it: the container that was used last is used first, frozen in between, recycled) and the server
(slots, leases, one thread that accepts). What is decided is not simulated: every container has a
``Manager`` of the package with its ``policy``, and waits as ``backoff`` says.

Not in here: the processors. Containers and statements never wait for one; only the thread that
accepts connections can be overrun.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.fleet import Arrivals, Fate, Fleet, Pool, Spread
from slsmysql import backoff, manager, policy
from slsmysql.events import Teller
from slsmysql.manager import Environment, Manager
from slsmysql.manager import Server as Known
from slsmysql.policy import Load
from slsmysql.settings import Settings

#: Seconds that the manager keeps for the last attempt to connect.
RESERVE = manager._SHORTEST_ATTEMPT
#: "Too many connections".
FULL = 1040
#: Seconds between two samples of the open connections.
GRID = 0.1
#: MySQL's count of threads is exact, but for its event scheduler.
VERSION = "8.4.6"
ACCOUNT = "app"
#: The servers' own, in seconds.
WAIT_TIMEOUT = 28_800


@dataclass(frozen=True, slots=True)
class Costs:
    """What things take, in seconds; the defaults were measured without TLS on one machine.

    :param connect: from the connect to a session that is ready (0.13 to 0.52 ms; TLS: 13 to 40).
    :param refused: from the connect to its refusal.
    :param accept: of the server's one accepting thread, for each connect, refused or not.
    :param look: COM_STATISTICS.
    :param statement: a small statement of the manager's own.
    :param release: from the end of a session to its slot being free.
    :param cold: the start of a container, until its module connects.
    :param connect_cpu: the server's processor, for each connect.
    :param refused_cpu: the server's processor, for each refusal.
    """

    connect: float = 0.0005
    refused: float = 0.0003
    accept: float = 0.00002
    look: float = 0.00002
    statement: float = 0.0002
    release: float = 0.001
    cold: float = 0.2
    connect_cpu: float = 0.0002
    refused_cpu: float = 0.0001


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a fleet has to go through.

    :param limit: the server's ``max_connections``.
    :param work: seconds of an invocation's statements.
    :param budget: seconds for a connect, waits included (``connect_timeout``).
    :param warm: seconds until the measures of stability begin.
    :param thread_cache: as many threads of ended sessions are kept for the next ones, and the
        count of the load has them in it: what became of MariaDB when that count was believed.
    """

    name: str
    limit: int
    work: float
    fleet: Fleet
    arrivals: Arrivals
    budget: float = 10.0
    warm: float = 0.0
    thread_cache: int = 0
    costs: Costs = field(default_factory=Costs)


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of a run. Times in seconds.

    :param done: invocations that succeeded.
    :param failed: invocations that failed: no connection within the budget.
    :param latency: arrival to result, of those that succeeded.
    :param ready: from the begin of an invocation to its session, of the same: what waiting for a
        connection adds.
    :param connects: connects that succeeded.
    :param refused: connects that met a full server.
    :param storm: refused connects in the worst second.
    :param rush: connects of both kinds in the worst second.
    :param mean_open: connections open, mean over time.
    :param peak_open: most connections open at once.
    :param swing: standard deviation of the open connections, after ``warm``.
    :param crossings: how often they crossed the threshold upwards, after ``warm``.
    :param given_up: sessions given back at a boundary.
    :param expired: sessions that the server ended, their lease being over.
    :param killed: sessions that were reaped.
    :param looks: readings of the load.
    :param cpu: processor seconds of the server for connects, refusals and looks.
    :param end: when the last invocation was over.
    :param opened: samples of the open connections, every tenth of a second.
    """

    done: int
    failed: int
    latency: Spread | None
    ready: Spread | None
    connects: int
    refused: int
    storm: int
    rush: int
    mean_open: float
    peak_open: int
    swing: float
    crossings: int
    given_up: int
    expired: int
    killed: int
    looks: int
    cpu: float
    end: float
    opened: tuple[int, ...]

    @property
    def invocations(self) -> int:
        """All that came to an end."""
        return self.done + self.failed


class Session:
    """A session with the simulated server, as the manager sees it."""

    __slots__ = ("_world", "alive", "connection_id", "idle_since", "lease", "spent", "wait_timeout")

    server_version = VERSION

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self.connection_id = number
        self.alive = True
        self.idle_since: float | None = None
        #: As far as the container knows it, and as the server has it.
        self.lease: int | None = None
        self.wait_timeout = 0
        #: Seconds that the manager's own statements took.
        self.spent = 0.0

    def statistics(self) -> str:
        """COM_STATISTICS."""
        self._world.looks += 1
        self.spent += self._world.scenario.costs.look
        return f"Threads: {self._world.open + policy.EVENT_SCHEDULER + self._world.cached}  Slow: 0"

    def select(self, sql: str) -> Sequence[tuple[Any, ...]]:
        """Answer a query of the manager's own."""
        self.spent += self._world.scenario.costs.statement
        return self._world.answer(self, sql)

    def run(self, sql: str) -> None:
        """Run a statement of the manager's own: a KILL, or one around its reading of a list."""
        self.spent += self._world.scenario.costs.statement
        if sql.startswith("KILL "):
            self._world.kill(sql)

    def set_lease(self, seconds: int) -> None:
        """Set wait_timeout."""
        self.spent += self._world.scenario.costs.statement
        self.lease = self.wait_timeout = seconds

    def know_lease(self, seconds: int | None) -> None:
        """Take note of wait_timeout."""
        self.lease = seconds


class PlainManager(Manager):
    """A manager whose looks raise: what the simulated server answers wrongly ends the run."""

    __slots__ = ()

    def look(self, session: manager.Session, *, sql: bool, may_give_up: bool) -> bool:
        """Look at the load, as the package does, which swallows whatever comes of it."""
        return self._look(session, sql=sql, may_give_up=may_give_up)


@dataclass(slots=True, eq=False)
class Container:
    """A function's container: its session, and what its process knows of the server."""

    serial: int
    manager: Manager
    fate: Fate
    session: Session | None = None
    over: bool = False
    used: bool = False


@dataclass(slots=True)
class Task:
    """An invocation under way."""

    arrived: float
    begun: float = 0.0
    ready: float = 0.0


class World:
    """One run."""

    def __init__(self, scenario: Scenario, settings: Settings, seed: int) -> None:
        """Prepare a run; ``run`` does it."""
        self.scenario = scenario
        self.settings = settings
        self.now = 0.0
        self.open = 0
        self.cached = 0
        self.looks = 0
        self._dice = random.Random(seed)
        self._environment = Environment(
            monotonic=self.clock, wall=self.clock, sleep=_never, random=self._dice
        )
        self._teller = Teller("simulated", None)
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = itertools.count()
        self._ids = itertools.count(1)
        self._serials = itertools.count()
        self._pool: Pool[Container] = Pool(scenario.fleet.containers)
        self._queue: deque[Task] = deque()
        self._next_start = 0.0
        self._accepting = 0.0
        self._claimed_until = 0.0
        #: Sleeping sessions, the longest asleep first.
        self._asleep: OrderedDict[int, Session] = OrderedDict()
        self._counts: Counter[str] = Counter()
        self._refusals: Counter[int] = Counter()
        self._attempts: Counter[int] = Counter()
        self._latencies: list[float] = []
        self._readies: list[float] = []
        self._opened: list[int] = []
        self._area = 0.0
        self._peak = 0
        self._left = len(scenario.arrivals.times)
        self._end = 0.0
        self._broken: Exception | None = None

    def clock(self) -> float:
        """Return the virtual time."""
        return self.now

    def run(self) -> Figures:
        """Play all arrivals, until the last invocation is over."""
        arrivals = iter(self.scenario.arrivals.times)
        self._next_arrival(arrivals)
        while self._left:
            self._step()
            if self._broken is not None:
                raise self._broken
        return self._figures()

    def _step(self) -> None:
        at, _, what, of = heapq.heappop(self._events)
        assert at >= self.now, "time went backwards"
        while len(self._opened) * GRID < at:
            self._opened.append(self.open)
        self._area += self.open * (at - self.now)
        self.now = at
        what(*of)

    def _at(self, at: float, what: Callable[..., None], *of: Any) -> None:
        heapq.heappush(self._events, (at, next(self._order), what, of))

    # -- the platform --------------------------------------------------------------------------

    def _next_arrival(self, arrivals: Iterator[float]) -> None:
        at = next(arrivals, None)
        if at is not None:
            self._at(at, self._arrive, arrivals)

    def _arrive(self, arrivals: Iterator[float]) -> None:
        self._next_arrival(arrivals)
        self._queue.append(Task(self.now))
        self._dispatch()

    def _dispatch(self) -> None:
        while self._queue:
            container = self._pool.take()
            if container is not None:
                self._begin(container, self._queue.popleft())
            elif not self._pool.full:
                self._launch(self._queue.popleft())
            else:
                return

    def _launch(self, task: Task) -> None:
        fleet = self.scenario.fleet
        serial = next(self._serials)
        life = fleet.life(serial)
        load_manager = PlainManager(Known(), self.settings, self._teller)
        load_manager._env = self._environment
        container = Container(serial, load_manager, life.fate)
        self._pool.add(container)
        start = max(self.now, self._next_start)
        self._next_start = start + 1 / fleet.starts
        self._at(start + self.scenario.costs.cold, self._begin, container, task)
        self._at(start + life.seconds, self._recycle, container)

    def _recycle(self, container: Container) -> None:
        if self._pool.take_away(container):
            self._retire(container)
        else:
            container.over = True

    def _retire(self, container: Container) -> None:
        """End a container; the session of a lost one stays, until its lease is over."""
        if container.fate is not Fate.LOST:
            self._quit(container)

    def _begin(self, container: Container, task: Task) -> None:
        task.begun = self.now
        session = container.session
        if session is not None:
            assert session.idle_since is not None
            idle = self.now - session.idle_since
            if idle > self.settings.stale_after:
                overdue = idle > self.settings.reopen_after or (
                    session.lease is not None and idle > session.lease
                )
                if overdue or not session.alive:
                    self._quit(container)
                    session = None
        if session is None:
            left = backoff.countdown(self.scenario.budget, self.clock)
            delays = backoff.within(
                backoff.delays(self.settings, self._dice),
                left,
                reserve=RESERVE,
                max_retries=self.settings.max_retries,
            )
            self._connect(container, task, delays)
            return
        self._wake(session)
        if idle > self.settings.stale_after and container.manager.due():
            container.manager.look(session, sql=True, may_give_up=False)
        self._work(container, task, session)

    def _work(self, container: Container, task: Task, session: Session) -> None:
        container.session = session
        container.used = True
        self._wake(session)
        task.ready = self.now
        self._at(self.now + self.scenario.work, self._boundary, container, task, session)

    def _boundary(self, container: Container, task: Task, session: Session) -> None:
        """COMMIT has been answered."""
        session.spent = 0.0
        gives_up = container.manager.due() and container.manager.look(
            session, sql=True, may_give_up=True
        )
        if gives_up:
            self._counts["given_up"] += 1
            self._quit(container)
        else:
            self._sleep(session)
        self._at(self.now + session.spent, self._finish, container, task)

    def _finish(self, container: Container, task: Task) -> None:
        self._latencies.append(self.now - task.arrived)
        self._readies.append(task.ready - task.begun)
        self._over(container, discarded=False)

    def _fail(self, container: Container) -> None:
        self._counts["failed"] += 1
        # The module of a cold container did not load: there is no container then.
        self._over(container, discarded=not container.used)

    def _over(self, container: Container, *, discarded: bool) -> None:
        self._left -= 1
        self._end = self.now
        if container.over or discarded:
            self._pool.remove(container)
            self._retire(container)
        else:
            self._pool.give_back(container)
        self._dispatch()

    # -- connecting ----------------------------------------------------------------------------

    def _connect(self, container: Container, task: Task, delays: Iterator[float]) -> None:
        """One attempt: it is decided when the accepting thread comes to it."""
        costs = self.scenario.costs
        self._attempts[int(self.now)] += 1
        self._accepting = max(self.now, self._accepting) + costs.accept
        self._at(self._accepting, self._accept, container, task, delays)

    def _accept(self, container: Container, task: Task, delays: Iterator[float]) -> None:
        costs = self.scenario.costs
        if self.open >= self.scenario.limit:
            self._counts["refused"] += 1
            self._refusals[int(self.now)] += 1
            self._at(self.now + costs.refused, self._refuse, container, task, delays)
            return
        self._counts["connects"] += 1
        self.open += 1
        self.cached = max(0, self.cached - 1)
        self._peak = max(self._peak, self.open)
        session = Session(self, next(self._ids))
        self._at(self.now + costs.connect, self._set_up, container, task, session)

    def _refuse(self, container: Container, task: Task, delays: Iterator[float]) -> None:
        load_manager = container.manager
        assert policy.retry_connect(FULL, "", answered_before=True)
        if policy.is_full(FULL, ""):
            load_manager._full(FULL)
        delay = next(delays, None)
        if delay is None:
            self._fail(container)
            return
        delay = policy.wait_after(FULL, delay, self._dice.random())
        self._at(self.now + delay, self._connect, container, task, delays)

    def _set_up(self, container: Container, task: Task, session: Session) -> None:
        """Set the lease, as the package does where autocommit is off."""
        load_manager = container.manager
        if self.settings.lease is None:
            pass
        elif load_manager.pressed():
            session.lease = load_manager.lease()
        else:
            _, session.lease = load_manager.lease_of_new(session)
        known = load_manager.server
        used = known.used_at_connect or 0
        # The first time in a process it is the server that works it out.
        seconds = session.lease or policy.lease(Load(used, self.scenario.limit), self.settings)
        session.wait_timeout = seconds or WAIT_TIMEOUT
        self._at(
            self.now + session.wait_timeout + self.scenario.work,
            self._expire,
            session,
        )
        self._work(container, task, session)

    # -- the server ----------------------------------------------------------------------------

    def _wake(self, session: Session) -> None:
        session.idle_since = None
        self._asleep.pop(session.connection_id, None)

    def _sleep(self, session: Session) -> None:
        session.idle_since = self.now
        self._asleep[session.connection_id] = session

    def _expire(self, session: Session) -> None:
        """End a session that has slept for as long as its lease; or look again when it may have."""
        if not session.alive:
            return
        begun = self.now if session.idle_since is None else session.idle_since
        due = begun + session.wait_timeout
        if due > self.now:
            self._at(due, self._expire, session)
            return
        self._counts["expired"] += 1
        self._end_session(session)

    def _quit(self, container: Container) -> None:
        session, container.session = container.session, None
        if session is not None and session.alive:
            self._end_session(session)

    def _end_session(self, session: Session) -> None:
        session.alive = False
        self._asleep.pop(session.connection_id, None)
        self._at(self.now + self.scenario.costs.release, self._release)

    def _release(self) -> None:
        self.open -= 1
        self.cached = min(self.cached + 1, self.scenario.thread_cache)

    def answer(self, session: Session, sql: str) -> Sequence[tuple[Any, ...]]:
        """Answer what the manager asks of a server; an unknown question ends the run."""
        if sql.startswith("SELECT @@GLOBAL.max_connections"):
            return [(self.scenario.limit, 0)]
        if sql.startswith("SELECT GET_LOCK('slsmysql.kill'"):
            return [(1,)]  # of the one reaper that there is
        if "GET_LOCK" in sql:
            # The list costs some microseconds for each row, and meanwhile nobody else reads it.
            free = self.now >= self._claimed_until
            if free:
                self._claimed_until = self.now + 0.001 + 1e-6 * self.open
            return [(int(free), session.connection_id)]
        if "RELEASE_LOCK" in sql:
            return [(1,)]
        if sql.startswith(manager._PROCESS_LIST):
            return self._process_list(session, sql)
        if "INNODB_TRX" in sql:
            return [(session.connection_id, sql)]
        self._broken = AssertionError(f"the simulated server does not know {sql!r}")
        raise self._broken

    def _process_list(self, session: Session, sql: str) -> Sequence[tuple[Any, ...]]:
        """Return our own row and those of the longest sleepers: no others can be killed."""
        rows = [(session.connection_id, ACCOUNT, "Query", 0)]
        for sleeper in itertools.islice(self._asleep.values(), policy.MOST_KILLS):
            assert sleeper.idle_since is not None
            slept = int(self.now - sleeper.idle_since)
            rows.append((sleeper.connection_id, ACCOUNT, "Sleep", slept))
        _, _, wanted = sql.partition(" WHERE ID = ")
        return [row for row in rows if not wanted or row[0] == int(wanted)]

    def kill(self, sql: str) -> None:
        """Carry out a KILL."""
        session = self._asleep.get(int(sql.removeprefix("KILL ")))
        if session is None:
            self._broken = AssertionError(f"the simulated server cannot {sql}")
            raise self._broken
        self._counts["killed"] += 1
        self._end_session(session)

    # -- figures -------------------------------------------------------------------------------

    def _figures(self) -> Figures:
        counts, costs = self._counts, self.scenario.costs
        stable = self._opened[int(self.scenario.warm / GRID) :]
        mean = sum(stable) / max(1, len(stable))
        above = [policy.excess(Load(n, self.scenario.limit), self.settings) > 0 for n in stable]
        return Figures(
            done=len(self._latencies),
            failed=counts["failed"],
            latency=Spread.of(self._latencies),
            ready=Spread.of(self._readies),
            connects=counts["connects"],
            refused=counts["refused"],
            storm=max(self._refusals.values(), default=0),
            rush=max(self._attempts.values(), default=0),
            mean_open=self._area / self.now if self.now else 0.0,
            peak_open=self._peak,
            swing=math.sqrt(sum((n - mean) ** 2 for n in stable) / max(1, len(stable))),
            crossings=sum(now and not before for before, now in itertools.pairwise(above)),
            given_up=counts["given_up"],
            expired=counts["expired"],
            killed=counts["killed"],
            looks=self.looks,
            cpu=counts["connects"] * costs.connect_cpu
            + counts["refused"] * costs.refused_cpu
            + self.looks * costs.look,
            end=self._end,
            opened=tuple(self._opened),
        )


def simulate(scenario: Scenario, settings: Settings | None = None, *, seed: int = 1) -> Figures:
    """Run one scenario; the same arguments give the same figures.

    :param settings: None for the package's defaults.
    """
    return World(scenario, settings or Settings(), seed).run()


def _never(seconds: float) -> None:
    """Nobody sleeps in virtual time."""
    raise AssertionError(f"slept for {seconds} s of real time")
