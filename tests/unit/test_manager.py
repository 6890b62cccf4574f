"""The manager with no server and no time: the connect loop, looks, leases, reaping.

Each defect of serverless-mysql that shows without a server has a test here, named after its number
in the list of them (`test_defect_01_...`).
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slsmysql import err, events, manager, policy
from slsmysql.events import Event, Stats, Teller
from slsmysql.manager import Environment, Manager, Server
from slsmysql.policy import Load
from slsmysql.settings import Settings

#: A loaded machine is no failure.
unhurried = settings(deadline=None)


class Dice(random.Random):
    """Randomness that always draws the same share of its range."""

    def __init__(self, share: float = 0.5) -> None:
        super().__init__()
        self.share = share

    def random(self) -> float:
        """Return the share."""
        return self.share

    def uniform(self, a: float, b: float) -> float:
        """Return what lies at the share of the way."""
        return a + (b - a) * self.share


class World:
    """Time that stands still until it is slept, and dice that are known."""

    def __init__(self, share: float = 0.5) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self.dice = Dice(share)
        self.environment = Environment(lambda: self.now, lambda: self.now, self.sleep, self.dice)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class Row:
    """A session of the server."""

    user: str = "app"
    command: str = "Sleep"
    time: int = 100
    works: bool = False
    """Has a transaction that changed or locked rows."""
    tagged: bool = True


@dataclass
class Database:
    """A server: its sessions, its limits, what it refuses, and all that it was told."""

    rows: dict[int, Row] = field(default_factory=dict)
    limit: int = 100
    account_limit: int = 0
    version: str = "9.7.0"
    refused: dict[str, int] = field(default_factory=dict)
    """What statements have in them, and with which errno they are refused."""
    process: bool = True
    """Whether our account has the privilege PROCESS: without, it sees its own sessions only."""
    claimed: bool = False
    """Whether another reaper is at work."""
    killing: list[str | None] = field(default_factory=list)
    """Who is about to kill, each time that is asked for."""
    keeps_killed: bool = False
    log: list[str] = field(default_factory=list)
    before: Callable[[str], object] = lambda _sql: None
    daemons: int = 1
    """Threads that COM_STATISTICS counts besides."""

    def answer(self, sql: str, me: int) -> list[tuple[Any, ...]]:
        """Run a statement."""
        self.log.append(sql)
        self.before(sql)
        for part, errno in self.refused.items():
            if part in sql:
                raise err.OperationalError(errno, f"refused: {sql}")
        if sql.startswith("KILL"):
            return self.kill(int(sql.split()[1]))
        if "THREADS_CONNECTED" in sql:
            return [(str(len(self.rows)),)]
        if "max_connections" in sql:
            return [(str(self.limit), str(self.account_limit))]
        if "GET_LOCK('slsmysql.kill'" in sql:
            return [("0" if self.killing else "1",)]
        if "IS_USED_LOCK" in sql:
            return [(self.killing.pop(0) if self.killing else None,)]
        if "GET_LOCK" in sql:
            return [("0" if self.claimed else "1", str(me))]
        if "COUNT(*)" in sql:
            return [(str(sum(row.user == self.rows[me].user for row in self.rows.values())),)]
        if "INNODB_TRX" in sql:
            return [
                (str(id), sql if id == me else None)
                for id, row in self.rows.items()
                if row.works or id == me
            ]
        if "connect_attrs" in sql:
            return [(str(id),) for id, row in self.rows.items() if row.tagged]
        if "PROCESSLIST" in sql:
            wanted = re.search(r"ID = (\d+)", sql)
            return [
                (str(id), row.user, row.command, str(row.time))
                for id, row in self.rows.items()
                if (wanted is None or id == int(wanted[1]))
                and (self.process or row.user == self.rows[me].user)
            ]
        return []

    def kill(self, id: int) -> list[tuple[Any, ...]]:
        """End a session."""
        if id not in self.rows:
            raise err.OperationalError(1094, f"Unknown thread id: {id}")
        if self.keeps_killed:
            self.rows[id].command = "Killed"
        else:
            del self.rows[id]
        return []

    def killed(self) -> list[int]:
        """Return whom it was told to kill."""
        return [int(sql.split()[1]) for sql in self.log if sql.startswith("KILL")]


@dataclass
class FakeSession:
    """A session at rest."""

    database: Database
    connection_id: int = 1
    lease: int | None = 900
    alive: bool = True

    @property
    def server_version(self) -> str:
        """The version."""
        return self.database.version

    def statistics(self) -> str:
        """COM_STATISTICS."""
        self.database.log.append("STATISTICS")
        self.database.before("STATISTICS")
        return (
            f"Uptime: 1  Threads: {len(self.database.rows) + self.database.daemons}  Questions: 1"
        )

    def select(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a query."""
        return self.database.answer(sql, self.connection_id)

    def run(self, sql: str) -> None:
        """Run a statement."""
        self.database.answer(sql, self.connection_id)

    def set_lease(self, seconds: int) -> None:
        """Set the wait_timeout."""
        self.run(f"SET SESSION wait_timeout={seconds}")
        self.lease = seconds

    def know_lease(self, seconds: int | None) -> None:
        """Take note of the wait_timeout."""
        self.lease = seconds


@dataclass
class Rig:
    """A manager in its world, and what it told."""

    world: World
    server: Server
    manager: Manager
    told: list[Event]

    @property
    def stats(self) -> Stats:
        """The connection's counters."""
        return self.manager.teller.stats

    def names(self) -> list[str]:
        """Return the names of what was told, but for every look."""
        return [event.name for event in self.told if event.name != "look"]


def rig(
    world: World | None = None, server: Server | None = None, share: float = 0.5, **settings: Any
) -> Rig:
    """Return a manager in a world of its own, unless one is given."""
    world = world or World(share)
    told: list[Event] = []
    made = Manager(
        server or Server(),
        Settings(**settings),
        Teller("db:3306", told.append),
    )
    made._env = world.environment
    return Rig(world, made.server, made, told)


def full_house(used: int, *, sleeping: int = 0, **options: Any) -> Database:
    """Return a server with ``used`` connections, ours (1) and so many sleepers' among them."""
    rows = {1: Row(command="Query", time=0)}
    rows.update({10 + n: Row(time=100 + n) for n in range(sleeping)})
    rows.update({1000 + n: Row("other", "Query", 5) for n in range(used - len(rows))})
    return Database(rows, **options)


@pytest.fixture(autouse=True)
def own_counters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counters of the process that begin with the test."""
    monkeypatch.setattr(events, "process", {})


class Failing:
    """Attempts to connect, each of which takes time and fails with the next error."""

    def __init__(
        self, world: World, *errors: err.Error, takes: float = 0.0, last: Any = None
    ) -> None:
        self.world = world
        self.errors: Iterator[err.Error] = iter(errors)
        self.takes = takes
        self.last = last
        self.given: list[float] = []

    def __call__(self, seconds: float) -> Any:
        """Fail, or when no error is left succeed."""
        self.given.append(seconds)
        self.world.now += min(self.takes, seconds)
        error = next(self.errors, self.last)
        if error is not None:
            raise error
        return "session"


def refused(errno: int = 1040, message: str = "Too many connections") -> err.OperationalError:
    """Return an error of a connect."""
    return err.OperationalError(errno, message)


# -- the connect loop ------------------------------------------------------------------------------


def test_the_first_attempt_that_succeeds_ends_the_loop() -> None:
    """A connect that works takes one attempt, no wait, and the whole budget as its time-out."""
    it = rig()
    attempt = Failing(it.world)
    assert it.manager.connect(attempt, seconds=10) == "session"
    assert attempt.given == [10]
    assert it.world.slept == []
    assert it.stats == Stats(connects=1)


@pytest.mark.parametrize(
    ("settings", "waits"),
    [
        ({}, [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]),
        ({"backoff_base": 0.1, "backoff_cap": 0.3}, [0.1, 0.2, 0.3, 0.3]),
        ({"backoff": "decorrelated"}, [0.15, 0.45, 1.0, 1.0]),
        ({"backoff": lambda attempt, _delay: attempt * 2.0}, [2.0, 4.0, 3.95]),
        ({"max_retries": 2}, [0.05, 0.1]),
        ({"max_retries": 0}, []),
    ],
)
def test_the_waits_are_those_of_the_settings(settings: dict[str, Any], waits: list[float]) -> None:
    """With the longest draws the waits are the back-off's ceilings, clipped by the budget's end."""
    it = rig(share=1.0, **settings)
    with pytest.raises(err.OperationalError):
        it.manager.connect(Failing(it.world, last=refused()), seconds=10)
    assert it.world.slept[: len(waits)] == pytest.approx(waits)
    if "max_retries" in settings:
        assert len(it.world.slept) == settings["max_retries"]
    assert sum(it.world.slept) <= 10


@unhurried
@given(
    seconds=st.floats(0.1, 60),
    takes=st.floats(0, 20),
    share=st.floats(0, 1),
    base=st.floats(0.001, 5),
    errnos=st.lists(st.sampled_from([1040, 1041, 1135, 2013, 1053, 1203]), min_size=300),
)
def test_the_budget_is_never_exceeded(
    seconds: float, takes: float, share: float, base: float, errnos: list[int]
) -> None:
    """Attempts and waits together end with the budget; none gets more time than is left."""
    it = rig(share=share, backoff_base=base, backoff_cap=base * 10, max_retries=290)
    begun = it.world.now
    attempt = Failing(it.world, *[refused(errno) for errno in errnos], takes=takes)
    ends: list[float] = []

    def timed(left: float) -> Any:
        ends.append(it.world.now + left)
        return attempt(left)

    with pytest.raises(err.OperationalError):
        it.manager.connect(timed, seconds=seconds)
    assert it.world.now <= begun + seconds + manager._SHORTEST_ATTEMPT + 1e-6
    assert max(ends) <= begun + seconds + manager._SHORTEST_ATTEMPT + 1e-6
    assert it.stats.waited == pytest.approx(sum(it.world.slept))
    assert it.stats.connect_retries == len(it.world.slept) == len(attempt.given) - 1


def test_the_last_real_error_is_raised() -> None:
    """What the program gets is the last attempt's own exception, with its errno."""
    it = rig(max_retries=2)
    errors = [refused(1040), refused(2013), refused(1053, "Server shutdown in progress")]
    with pytest.raises(err.OperationalError) as caught:
        it.manager.connect(Failing(it.world, *errors), seconds=10)
    assert caught.value is errors[-1]
    assert caught.value.args == (1053, "Server shutdown in progress")


@pytest.mark.parametrize(("after", "raised"), [(1040, 1040), (2013, 2013)])
def test_an_attempt_that_the_budget_cuts_short_is_no_real_error(after: int, raised: int) -> None:
    """Where time runs out in an attempt the server's last refusal is told, if there was one."""
    it = rig()
    errors = [refused(1040), refused(after)]

    def attempt(left: float) -> Any:
        if errors:
            it.world.now += 0.5
            raise errors.pop(0)
        it.world.now += left
        raise refused(2013)

    with pytest.raises(err.OperationalError) as caught:
        it.manager.connect(attempt, seconds=10)
    assert caught.value.args[0] == raised
    (failed,) = [event for event in it.told if event.name == "connect_failed"]
    assert failed.errno == raised


@pytest.mark.parametrize("errno", [1045, 1044, 1049, 1129, 1130, 2026, 2059, 1064])
def test_what_no_retry_mends_fails_at_once(errno: int) -> None:
    """A wrong password, database or host costs one attempt and no time."""
    it = rig()
    error = refused(errno)
    attempt = Failing(it.world, error)
    with pytest.raises(err.OperationalError) as caught:
        it.manager.connect(attempt, seconds=10)
    assert caught.value is error
    assert (len(attempt.given), it.world.slept) == (1, [])


@pytest.mark.parametrize("error", [err.NotSupportedError("no errno"), err.ProgrammingError("x")])
def test_what_never_left_us_says_nothing_of_the_server(error: err.Error) -> None:
    """An error without an errno is raised as it is, and the address has not answered by it."""
    it = rig()
    with pytest.raises(type(error)):
        it.manager.connect(Failing(it.world, error), seconds=10)
    assert not it.server.answered


def test_anything_else_is_not_caught() -> None:
    """What is no database error goes through at once."""
    it = rig()

    def attempt(_seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        it.manager.connect(attempt, seconds=10)
    assert it.world.slept == []


def test_a_new_address_fails_at_once_and_a_known_one_earns_the_budget() -> None:
    """Not reached before it ever answered: a wrong address. Not reached afterwards: a restart."""
    world, server = World(), Server()
    it = rig(world, server)
    with pytest.raises(err.OperationalError):
        it.manager.connect(Failing(world, refused(2003)), seconds=10)
    assert world.slept == []
    with pytest.raises(err.OperationalError):
        it.manager.connect(Failing(world, refused(1049)), seconds=10)
    it = rig(world, server)
    assert it.manager.connect(Failing(world, refused(2003), refused(2005)), seconds=10)
    assert len(world.slept) == 2


def test_another_password_is_asked_for_once() -> None:
    """After "access denied" a callable is asked again at once, and only once."""
    it = rig()
    attempt = Failing(it.world, refused(1045))
    assert it.manager.connect(attempt, seconds=10, ask_again=True) == "session"
    assert (len(attempt.given), it.world.slept, it.stats.connect_retries) == (2, [], 0)
    attempt = Failing(it.world, refused(1045), refused(1045))
    with pytest.raises(err.OperationalError, match="1045"):
        it.manager.connect(attempt, seconds=10, ask_again=True)
    assert len(attempt.given) == 2
    attempt = Failing(it.world, refused(1045))
    with pytest.raises(err.OperationalError, match="1045"):
        it.manager.connect(attempt, seconds=10)
    assert len(attempt.given) == 1


def test_a_deadline_clips_the_budget() -> None:
    """A function that has two seconds left does not wait for ten."""
    world = World(1.0)
    it = rig(world, deadline=lambda: 1002.0 - world.now)
    attempt = Failing(world, last=refused(), takes=0.1)
    with pytest.raises(err.OperationalError):
        it.manager.connect(attempt, seconds=10)
    assert attempt.given[0] == 2.0
    assert world.now <= 1002.0 + manager._SHORTEST_ATTEMPT


def test_the_invocations_deadline_clips_the_budget() -> None:
    """The deadline of the invocation in progress counts where the settings have none."""
    world = World(1.0)
    token = manager.set_deadline(lambda: 1003.0 - world.now)
    try:
        with pytest.raises(err.OperationalError):
            rig(world).manager.connect(Failing(world, last=refused()), seconds=10)
    finally:
        manager.reset_deadline(token)
    assert world.now == pytest.approx(1003.0, abs=manager._SHORTEST_ATTEMPT)
    world = World(1.0)
    with pytest.raises(err.OperationalError):
        rig(world).manager.connect(Failing(world, last=refused()), seconds=10)
    assert world.now == pytest.approx(1010.0, abs=manager._SHORTEST_ATTEMPT)


def test_a_refusal_is_a_reading_of_the_load() -> None:
    """1040 says 100 % for free: the lease of the next session is short, and a look is due."""
    it = rig(server=Server(limit=90, last=Load(10, 90), next_look=1e9))
    assert it.manager.connect(Failing(it.world, refused(1040)), seconds=10)
    assert it.server.last == Load(90, 90)
    assert it.manager.lease() == policy.PRESSED_LEASE
    assert it.manager.pressed()
    assert it.manager.due()
    assert it.stats.refused == 1


def test_a_refusal_of_the_account_is_one_of_its_own_limit() -> None:
    """1203 and 1226 say that the account's limit is reached, whatever room the server has."""
    it = rig(server=Server(limit=90, account_limit=5))
    assert it.manager.connect(Failing(it.world, refused(1203)), seconds=10)
    assert it.server.last == it.server.account == Load(5, 5)


def test_a_refusal_before_the_limit_is_known() -> None:
    """Without a limit there is nothing to note, but a look is due."""
    it = rig(server=Server(next_look=1e9))
    assert it.manager.connect(Failing(it.world, refused(1040)), seconds=10)
    assert it.server.last is None
    assert it.manager.due()


def test_retries_are_told_and_counted() -> None:
    """Each retry is an event with errno, wait and number, and all are in the counters."""
    it = rig(share=1.0)
    it.manager.connect(Failing(it.world, refused(1040), refused(2013)), seconds=10)
    assert [(e.name, e.errno, e.seconds, e.attempt) for e in it.told] == [
        ("connect_retry", 1040, 0.05, 1),
        ("connect_retry", 2013, 0.1, 2),
    ]
    assert it.stats.waited == pytest.approx(0.15)
    counted = Stats(connects=1, connect_retries=2, refused=1, waited=it.stats.waited)
    assert it.stats == counted
    assert Stats(**events.process) == it.stats


@pytest.mark.parametrize(
    ("errors", "errno", "seconds", "attempt", "detail"),
    [
        pytest.param(
            [refused(1040), refused(1045)], 1045, 2.05, 1, "", id="what no retry would mend"
        ),
        pytest.param([refused(1040)] * 9, 1040, 3.15, 2, events.OUT_OF_TIME, id="no retry left"),
        pytest.param([err.NotSupportedError("x")], None, 1.0, 0, "", id="no error of a server's"),
    ],
)
def test_a_connect_that_fails_is_told_and_counted(
    errors: list[err.Error], errno: int | None, seconds: float, attempt: int, detail: str
) -> None:
    """The event has the last errno, how long it all took, how many retries there were, and why."""
    it = rig(share=1.0, max_retries=2)
    with pytest.raises(err.Error):
        it.manager.connect(Failing(it.world, *errors, takes=1.0), seconds=10)
    last = it.told[-1]
    assert (last.name, last.errno, last.attempt, last.detail) == (
        "connect_failed",
        errno,
        attempt,
        detail,
    )
    assert last.seconds == pytest.approx(seconds)
    assert it.stats.connect_failures == 1


# -- looks -----------------------------------------------------------------------------------------


def test_a_look_below_the_threshold_is_one_packet() -> None:
    """With the limit known and room enough, COM_STATISTICS is all that is asked."""
    it = rig(server=Server(limit=100, limit_read_at=1000.0))
    database = full_house(20)
    assert it.manager.look(FakeSession(database), sql=True, may_give_up=True) is False
    assert database.log == ["STATISTICS"]
    assert it.server.last == Load(20, 100)
    assert [(e.name, e.connection_id, e.used, e.limit) for e in it.told] == [("look", 1, 20, 100)]


@pytest.mark.parametrize(
    ("version", "daemons"), [("9.7.0", 1), ("10.11.6-MariaDB", 0), ("5.5.5-10.11.6-MariaDB-log", 0)]
)
def test_daemons_hold_no_connection(version: str, daemons: int) -> None:
    """MySQL's event scheduler is in the count of threads, and MariaDB counts connections alone."""
    database = full_house(20, version=version, daemons=daemons)
    assert rig().manager.used(FakeSession(database)) == 20


@pytest.mark.parametrize("sql", [True, False])
@pytest.mark.parametrize("used", [10, 70])
def test_there_is_one_look_an_interval(sql: bool, used: int) -> None:
    """Below the threshold no boundary looks again before the time has come, which is jittered."""
    it = rig(server=Server(limit=100, limit_read_at=1000.0))
    database = full_house(used)
    session = FakeSession(database)
    looks: list[float] = []
    for _ in range(10_000):
        if it.manager.due():
            it.manager.look(session, sql=sql, may_give_up=True)
            looks.append(it.world.now)
        it.world.now += 0.01
    interval = policy.interval(Load(used, 100), it.manager.settings, 0.5)
    gaps = [later - earlier for earlier, later in itertools.pairwise(looks)]
    assert gaps == pytest.approx([interval] * len(gaps), abs=0.011)
    assert database.log.count("STATISTICS") == len(looks)


def test_a_fixed_interval_is_kept() -> None:
    """``used_conns_freq`` is the interval, at any load."""
    it = rig(server=Server(limit=100), used_conns_freq=7)
    it.manager.look(FakeSession(full_house(99)), sql=False, may_give_up=True)
    it.world.now += 6.99
    assert not it.manager.due()
    it.world.now += 0.02
    assert it.manager.due()


def test_the_limits_are_remembered() -> None:
    """``max_connections`` is asked for once in ``max_conns_freq`` seconds."""
    it = rig(max_conns_freq=15, used_conns_freq=0)
    database = full_house(20)
    for _ in range(61):
        it.manager.look(FakeSession(database), sql=True, may_give_up=True)
        it.world.now += 1
    assert sum("max_connections" in sql for sql in database.log) == 5


def test_without_sql_no_statement_is_sent() -> None:
    """A look that may not disturb ROW_COUNT() and warnings sends COM_STATISTICS at the most."""
    it = rig(server=Server(limit=100, account_limit=50))
    database = full_house(99, sleeping=50)
    for _ in range(20):
        it.manager.look(FakeSession(database), sql=False, may_give_up=True)
    assert set(database.log) == {"STATISTICS"}


def test_nothing_is_read_that_cannot_be_compared() -> None:
    """Without a limit, and without SQL to ask for it, no packet is sent."""
    it = rig()
    database = full_house(99)
    assert it.manager.look(FakeSession(database), sql=False, may_give_up=True) is False
    assert database.log == []


ERRORS = [
    err.OperationalError(2013, "lost"),
    err.OperationalError(1205, "x"),
    err.InterfaceError(0, ""),
    err.ProgrammingError("x"),
    err.Error(),
    RuntimeError("driver"),
    ValueError("x"),
    TypeError("x"),
    IndexError("x"),
    OSError("x"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"),
    MemoryError(),
]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize(
    "where", ["STATISTICS", "max_connections", "COUNT(*)", "GET_LOCK", "PROCESSLIST", "INNODB_TRX",
              "ID =", "KILL", "RELEASE_LOCK", "wait_timeout", "connect_attrs"],
)  # fmt: skip
def test_a_look_never_raises(error: Exception, where: str) -> None:
    """Whatever fails at whatever point of a look: the program does not hear of it."""
    it = rig(reap="fleet" if where == "connect_attrs" else "user")
    database = full_house(99, sleeping=50, account_limit=200)

    def fail(sql: str) -> None:
        if where in sql:
            raise error

    database.before = fail
    session = FakeSession(database)
    assert it.manager.look(session, sql=True, may_give_up=True) in {True, False}
    assert any(where in sql for sql in database.log)


def test_a_look_that_fails_is_not_repeated_at_once() -> None:
    """A server (or a proxy before it) that cannot be looked at is not asked at every boundary."""
    it = rig()
    database = full_house(20)

    def fail(_sql: str) -> None:
        raise err.OperationalError(1047, "Unknown command")

    database.before = fail
    for _ in range(20):
        if it.manager.due():
            it.manager.look(FakeSession(database), sql=True, may_give_up=True)
        it.world.now += 0.1
    assert database.log == ["STATISTICS"]


def test_an_interrupt_in_a_look_is_the_programs() -> None:
    """Ctrl-C is not swallowed."""
    database = full_house(20)

    def interrupt(_sql: str) -> None:
        raise KeyboardInterrupt

    database.before = interrupt
    with pytest.raises(KeyboardInterrupt):
        rig().manager.look(FakeSession(database), sql=True, may_give_up=True)


@pytest.mark.parametrize(
    "rows", [[], [()], [("x", "0")], [(None, None)], [("1", "2", "3")], [("1",)]]
)
def test_a_limit_that_makes_no_sense_ends_the_look(rows: list[tuple[Any, ...]]) -> None:
    """Nothing is decided by an answer that cannot be read."""
    it = rig()
    session = FakeSession(full_house(99))
    session.select = lambda _sql: rows  # type: ignore[method-assign, assignment]
    assert it.manager.look(session, sql=True, may_give_up=True) is False
    assert it.server.limit is None


# -- MariaDB's cached threads ----------------------------------------------------------------------

MARIADB = "10.11.6-MariaDB"


def test_cached_threads_are_no_load() -> None:
    """MariaDB counts the threads it keeps for later: where it matters, connections are counted."""
    it = rig(reap="off")
    database = full_house(20, version=MARIADB, daemons=70)
    assert it.manager.look(FakeSession(database), sql=True, may_give_up=True) is False
    assert it.server.last == Load(20, 100)


def test_connections_are_not_counted_where_threads_say_enough() -> None:
    """With few threads there are few connections, and COM_STATISTICS is all that is asked."""
    it = rig(server=Server(limit=100, limit_read_at=1000.0))
    database = full_house(20, version=MARIADB, daemons=29)
    it.manager.look(FakeSession(database), sql=True, may_give_up=True)
    assert database.log == ["STATISTICS"]
    assert it.server.last == Load(49, 100)


def test_an_upper_bound_gives_nothing_up() -> None:
    """Without SQL many threads prove nothing: no verdict, and another look soon."""
    it = rig(share=0.0, server=Server(limit=100))
    database = full_house(20, version=MARIADB, daemons=80)
    assert it.manager.look(FakeSession(database), sql=False, may_give_up=True) is False
    assert it.server.last is None
    assert not it.manager.due()


def test_the_lease_of_a_new_session_looks_through_cached_threads() -> None:
    """Where the threads are many, the server itself counts connections for the lease."""
    it = rig(server=Server(limit=100))
    database = full_house(20, version=MARIADB, daemons=80)
    words, seconds = it.manager.lease_of_new(FakeSession(database))
    assert "THREADS_CONNECTED" in words
    assert seconds is None
    database.daemons = 0
    assert it.manager.lease_of_new(FakeSession(database)) == ("900", 900)


def test_reaping_goes_by_connections() -> None:
    """No session dies for a cached thread."""
    database = full_house(82, sleeping=50, version=MARIADB, daemons=18)
    reap(database)
    assert len(database.killed()) == 2


# -- two limits ------------------------------------------------------------------------------------


def test_the_accounts_limit_is_compared_with_the_accounts_connections() -> None:
    """Ten of eleven connections of the account are too many, on a server that is nearly empty."""
    it = rig(share=0.0)
    database = full_house(12, sleeping=9, limit=1000, account_limit=11)
    session = FakeSession(database)
    assert it.manager.look(session, sql=True, may_give_up=True) is False
    assert it.server.last == Load(10, 11)
    assert session.lease == policy.PRESSED_LEASE
    assert database.killed() == [18, 17]


def test_the_servers_limit_counts_where_it_is_tighter() -> None:
    """An account that may have many is bound by a server that is full of others'."""
    it = rig()
    database = full_house(90, limit=100, account_limit=50)
    it.manager.look(FakeSession(database), sql=True, may_give_up=True)
    assert it.server.last == Load(90, 100)


@pytest.mark.parametrize("account_limit", [0, -1])
def test_without_a_limit_the_accounts_connections_are_not_counted(account_limit: int) -> None:
    """The count costs a reading of the process list, and is not asked for in vain."""
    it = rig()
    database = full_house(20, account_limit=account_limit)
    it.manager.look(FakeSession(database), sql=True, may_give_up=True)
    assert not any("PROCESSLIST" in sql for sql in database.log)
    assert it.server.account is None


def test_the_accounts_connections_are_counted_once_a_second() -> None:
    """Above the threshold every boundary looks, and does not read the process list each time."""
    it = rig(reap="off")
    database = full_house(12, limit=1000, account_limit=1)
    for _ in range(40):
        it.manager.look(FakeSession(database), sql=True, may_give_up=False)
        it.world.now += 0.1
    assert 4 <= sum("COUNT(*)" in sql for sql in database.log) <= 5


def test_without_sql_the_last_count_of_the_account_counts() -> None:
    """A look that may send no statement goes by what it knows."""
    it = rig(share=0.0)
    database = full_house(12, limit=1000, account_limit=1)
    it.manager.look(FakeSession(database), sql=True, may_give_up=False)
    it.world.now += 100
    assert it.manager.look(FakeSession(database), sql=False, may_give_up=True)


def test_an_accounts_limit_that_is_lifted_is_forgotten() -> None:
    """When the limit is read again and there is none, the server's load counts alone."""
    it = rig(reap="off")
    database = full_house(12, limit=1000, account_limit=1)
    it.manager.look(FakeSession(database), sql=True, may_give_up=False)
    assert it.server.last == Load(1, 1)
    database.account_limit = 0
    it.world.now += 100
    it.manager.look(FakeSession(database), sql=True, may_give_up=False)
    assert it.server.last == Load(12, 1000)


# -- leases ----------------------------------------------------------------------------------------


def test_the_first_lease_is_worked_out_by_the_server() -> None:
    """While the limit is not known a new session's lease is an expression of it."""
    it = rig()
    database = full_house(95)
    session = FakeSession(database, lease=None)
    words, seconds = it.manager.lease_of_new(session)
    assert (words, seconds) == (policy.lease_expression(95, it.manager.settings), None)
    it.manager.look(session, sql=True, may_give_up=False)
    # What the server has worked out is known now: 95 of 100 were used then, and are.
    assert session.lease == policy.PRESSED_LEASE
    assert not any("wait_timeout" in sql for sql in database.log)
    assert it.manager.lease_of_new(session) == ("5", 5)


def test_new_sessions_at_once_ask_for_the_load_once() -> None:
    """A reading is good for as long as the shortest interval; the third reads the limit."""
    it = rig()
    database = full_house(95)
    session = FakeSession(database, lease=None)
    told = []
    for _ in range(5):
        told.append(it.manager.lease_of_new(session))
        it.world.now += policy.SHORTEST_INTERVAL * 0.4
    assert it.server.used_at_connect == 95
    expression = policy.lease_expression(95, it.manager.settings)
    assert told == [(expression, None)] * 2 + [("5", policy.PRESSED_LEASE)] * 3
    assert [sql.split()[0] for sql in database.log] == ["STATISTICS", "SELECT", "STATISTICS"]
    assert it.manager.teller.stats.looks == 2


def test_new_sessions_of_a_busy_mariadb_have_it_work_out_each_lease() -> None:
    """Its COM_STATISTICS says too much, and no older reading stands in for it."""
    it = rig()
    database = full_house(5, version="10.11.6-MariaDB")
    session = FakeSession(database, lease=None)
    it.manager.look(session, sql=True, may_give_up=False)
    it.world.now += 3600
    database.rows = full_house(99).rows
    for _ in range(3):
        words, seconds = it.manager.lease_of_new(session)
        assert words.startswith("IF(100>=")
        assert seconds is None
        it.world.now += policy.SHORTEST_INTERVAL * 0.2


@pytest.mark.parametrize("answer", [err.OperationalError(1142, "denied"), TypeError("int(None)")])
def test_a_limit_that_cannot_be_read_is_asked_for_once(answer: Exception) -> None:
    """Whatever a proxy makes of the question: the server works the leases out, as before."""
    it = rig()
    database = full_house(95)
    asked = []

    class Refusing(FakeSession):
        def select(self, sql: str) -> list[tuple[Any, ...]]:
            asked.append(sql)
            raise answer

    session = Refusing(database, lease=None)
    for _ in range(5):
        assert it.manager.lease_of_new(session)[0].startswith("IF(95>=")
    assert len(asked) == 1


def test_a_lease_changes_with_the_band_and_not_otherwise() -> None:
    """One statement when the load passes from one band into another, none within it."""
    it = rig(used_conns_freq=0, reap="off")
    database = full_house(10)
    session = FakeSession(database)
    for used in (10, 30, 49, 50, 60, 79, 80, 90, 99, 70, 55, 40, 10):
        database.rows = full_house(used).rows
        it.manager.look(session, sql=True, may_give_up=False)
    assert [sql for sql in database.log if "wait_timeout" in sql] == [
        f"SET SESSION wait_timeout={seconds}" for seconds in (60, 5, 60, 900)
    ]
    assert it.stats.leases == 4
    assert [event.seconds for event in it.told if event.name == "lease"] == [60, 5, 60, 900]


def test_a_wait_timeout_of_the_programs_own_is_left_and_not_counted() -> None:
    """Where the session does not take the lease, none was changed."""
    it = rig(reap="off")
    session = FakeSession(full_house(99), lease=None)
    session.set_lease = lambda _seconds: None  # type: ignore[method-assign, assignment]
    it.manager.look(session, sql=True, may_give_up=False)
    assert it.stats.leases == 0
    assert it.names() == []


def test_without_a_lease_none_is_set() -> None:
    """``lease=None`` leaves the server's wait_timeout, at any load."""
    it = rig(lease=None, reap="off")
    database = full_house(99)
    it.manager.look(FakeSession(database, lease=None), sql=True, may_give_up=False)
    assert it.manager.lease() is None
    assert not any("wait_timeout" in sql for sql in database.log)


# -- giving up -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("used", "gives_up"), [(80, False), (81, True), (100, True)])
def test_a_session_goes_when_there_are_too_many(used: int, gives_up: bool) -> None:
    """At the threshold nobody goes, above it whoever looks."""
    it = rig(reap="off")
    assert it.manager.look(FakeSession(full_house(used)), sql=True, may_give_up=True) is gives_up
    assert it.manager.look(FakeSession(full_house(used)), sql=True, may_give_up=False) is False


def test_who_has_freed_a_place_stays() -> None:
    """A reaper that killed something keeps its own session."""
    it = rig(share=0.0)
    database = full_house(100, sleeping=30)
    assert it.manager.look(FakeSession(database), sql=True, may_give_up=True) is False
    assert database.killed()


def test_who_frees_nothing_goes() -> None:
    """With no zombie to end it is our own session that makes room."""
    it = rig(share=0.0)
    database = full_house(100)
    assert it.manager.look(FakeSession(database), sql=True, may_give_up=True) is True
    assert database.killed() == []


# -- reaping ---------------------------------------------------------------------------------------


def reap(database: Database, **settings: Any) -> Rig:
    """Let one look happen, which reaps when the server is too full."""
    it = rig(**settings)
    it.manager.look(FakeSession(database), sql=True, may_give_up=False)
    return it


def test_the_longest_asleep_are_killed_and_only_the_excess() -> None:
    """Three too many: the three that have slept longest go, each told and counted."""
    database = full_house(83, sleeping=50)
    it = reap(database)
    assert database.killed() == [59, 58, 57]
    assert it.stats.kills == 3
    assert [(e.connection_id, e.seconds) for e in it.told if e.name == "kill"] == [
        (59, 149), (58, 148), (57, 147),
    ]  # fmt: skip


def test_one_look_kills_a_bounded_number() -> None:
    """However many are too many, one look ends at most ``MOST_KILLS``."""
    database = full_house(100, sleeping=90)
    reap(database)
    assert len(database.killed()) == policy.MOST_KILLS


def test_a_claim_keeps_others_from_reaping_at_once() -> None:
    """While another container holds the claim nothing is killed, and the list is not even read."""
    database = full_house(100, sleeping=90, claimed=True)
    it = reap(database)
    assert database.killed() == []
    assert not any("PROCESSLIST" in sql for sql in database.log)
    assert it.server.next_reap > it.world.now + 1


@pytest.mark.parametrize("where", ["PROCESSLIST", "ID =", "nothing"])
def test_the_claim_is_given_back(where: str) -> None:
    """Whatever happens while reaping, the claim does not stay."""
    database = full_house(100, sleeping=90, refused={where: 1317})
    reap(database)
    claims = [sql for sql in database.log if "_LOCK('slsmysql.reap'" in sql]
    assert claims[-1] == "SELECT RELEASE_LOCK('slsmysql.reap')"


@pytest.mark.parametrize("where", ["PROCESSLIST WHERE", "KILL 59", "nothing"])
def test_the_lock_of_a_killer_is_given_back(where: str) -> None:
    """Whatever happens between the reading and the KILL, nobody who wakes is kept waiting."""
    database = full_house(81, sleeping=50, refused={where: 1317})
    reap(database)
    killing = [sql for sql in database.log if "_LOCK('slsmysql.kill'" in sql]
    assert len(killing) >= 2
    assert killing[-1] == "SELECT RELEASE_LOCK('slsmysql.kill')"


def test_one_kills_at_a_time() -> None:
    """Whoever does not get the lock kills nobody: a command line may be at it."""
    database = full_house(81, sleeping=50, killing=["7"])
    reap(database)
    assert database.killed() == []


KILLER = "SELECT IS_USED_LOCK('slsmysql.kill')"


@pytest.mark.parametrize(
    ("killing", "asked", "slept"),
    [
        ([], 1, 0.0),
        (["7"], 2, 0.005),
        (["7", "7", "7"], 4, 0.015),
        (["7", "7", "8"], 3, 0.01),  # who began after this session had woken has seen it awake
        (["7"] * 1000, 42, 0.205),  # frozen with the lock in its hand
    ],
)
def test_who_wakes_waits_for_the_killer_that_may_have_chosen_it(
    killing: list[str | None], asked: int, slept: float
) -> None:
    """As long as it is the same one, and it can be at work."""
    it = rig()
    database = Database({1: Row()}, killing=killing)
    assert it.manager.spared(FakeSession(database), 3.5) is True
    assert database.log == [KILLER] * asked
    assert sum(it.world.slept) == pytest.approx(slept)


@pytest.mark.parametrize(
    ("slept", "settings", "asks"),
    [
        (1.99, {}, False),
        (2.0, {}, True),  # the process list may call it 3 seconds
        (59.0, {"zombie_min_timeout": 60}, True),
        (58.0, {"zombie_min_timeout": 60}, False),
        (1e6, {"manage_conns": False}, False),
        (2.0, {"reap": "off"}, True),  # others may reap
    ],
)
def test_only_who_may_have_been_chosen_asks(
    slept: float, settings: dict[str, Any], asks: bool
) -> None:
    """Nobody is a zombie before ``zombie_min_timeout``; the caller's ping does."""
    database = Database({1: Row()})
    found = rig(**settings).manager.spared(FakeSession(database), slept)
    assert (found, database.log) == ((True, [KILLER]) if asks else (None, []))


@pytest.mark.parametrize("alive", [True, False])
def test_a_server_without_such_locks_has_answered_too(alive: bool) -> None:
    """A refusal is an answer; a lost session gives none."""
    database = Database({1: Row()}, refused={"IS_USED_LOCK": 1305 if alive else 2013})
    assert rig().manager.spared(FakeSession(database, alive=alive), 5.0) is alive


def test_each_row_is_read_again_before_its_kill() -> None:
    """One that has woken since the list was read is spared, and the next one is taken."""
    database = full_house(81, sleeping=50)

    def wake(sql: str) -> None:
        if "ID = 59" in sql:
            database.rows[59].command, database.rows[59].time = "Query", 0
        if "ID = 58" in sql:
            database.rows[58].time = 1

    database.before = wake
    reap(database)
    assert database.killed() == [57]
    kill = database.log.index("KILL 57")
    assert "ID = 57" in database.log[kill - 1]


def test_one_that_is_gone_is_as_good_as_killed() -> None:
    """1094 says that somebody else freed the place: nothing more is killed in its stead."""
    database = full_house(82, sleeping=50)

    def vanish(sql: str) -> None:
        if sql == "KILL 59":
            del database.rows[59]

    database.before = vanish
    it = reap(database)
    assert database.killed() == [59, 58]
    assert it.stats.kills == 1
    assert it.names() == ["kill", "lease"]


def test_one_that_is_gone_when_read_again_is_nobody() -> None:
    """No row, no KILL."""
    database = full_house(81, sleeping=50)

    def vanish(sql: str) -> None:
        if "ID = 59" in sql:
            del database.rows[59]

    database.before = vanish
    reap(database)
    assert 59 not in database.killed()


def test_the_dying_count_as_gone() -> None:
    """What another reaper has killed a moment ago, and still shows, is not killed for twice."""
    database = full_house(83, sleeping=50, keeps_killed=True)
    reap(database)
    assert len(database.killed()) == 3
    reap(database)
    assert len(database.killed()) == 3


def test_a_fleet_kills_no_more_than_the_excess() -> None:
    """Many containers that look at once end together what is too much, and no more."""
    database = full_house(86, sleeping=50, keeps_killed=True)
    for _ in range(20):
        reap(database)
    assert len(database.killed()) == 6


def test_transactions_with_work_are_spared() -> None:
    """A sleeper whose transaction changed or locked rows lives."""
    database = full_house(83, sleeping=50)
    for id in (59, 57):
        database.rows[id].works = True
    reap(database)
    assert database.killed() == [58, 56, 55]


def test_without_process_only_the_longest_asleep_go_and_it_is_told_once() -> None:
    """Where transactions cannot be seen ``zombie_max_timeout`` rules, and one event says why."""
    database = full_house(90, sleeping=50, refused={"INNODB_TRX": 1227})
    database.rows[20].time = 900
    it = reap(database)
    assert database.killed() == [20]
    it.world.now += 60
    it.manager.look(FakeSession(database), sql=True, may_give_up=False)
    assert [(e.name, e.errno, e.detail) for e in it.told if e.name == "limited"] == [
        ("limited", 1227, "transactions")
    ]
    assert sum("INNODB_TRX" in sql for sql in database.log) == 1


def test_a_denied_kill_is_told_once() -> None:
    """An account that may not kill goes on without, and one event says so."""
    database = full_house(90, sleeping=50, refused={"KILL": 1095})
    it = reap(database)
    it.world.now += 60
    it.manager.look(FakeSession(database), sql=True, may_give_up=False)
    assert [(e.errno, e.detail) for e in it.told if e.name == "limited"] == [(1095, "kill")]
    assert it.stats.kills == 0


@pytest.mark.parametrize("where", ["INNODB_TRX", "KILL", "connect_attrs"])
def test_a_lost_session_is_no_missing_privilege(where: str) -> None:
    """What fails for another reason than a denial says nothing of what the account may do."""
    database = full_house(90, sleeping=50, refused={where: 2013})
    it = reap(database, reap="fleet")
    assert "limited" not in it.names()
    assert it.server.sees_transactions
    assert len(database.killed()) <= 1


def test_a_fleet_takes_only_its_own() -> None:
    """With ``reap="fleet"`` a session that slsmysql did not open lives."""
    database = full_house(83, sleeping=50)
    for id in (59, 58, 57):
        database.rows[id].tagged = False
    reap(database, reap="fleet")
    assert database.killed() == [56, 55, 54]


def test_a_fleet_that_cannot_be_seen_kills_nobody() -> None:
    """Without performance_schema nobody can tell whose a session is; one event says so."""
    database = full_house(90, sleeping=50, refused={"connect_attrs": 1142})
    it = reap(database, reap="fleet")
    assert database.killed() == []
    assert [e.detail for e in it.told if e.name == "limited"] == ["connection attributes"]


def test_reaping_can_be_off() -> None:
    """With ``reap="off"`` no claim, no list and no KILL."""
    database = full_house(99, sleeping=50)
    reap(database, reap="off")
    assert not any(re.search("LOCK|PROCESSLIST|KILL", sql) for sql in database.log)


def test_below_the_threshold_nothing_is_reaped() -> None:
    """Zombies are in nobody's way where there is room."""
    database = full_house(80, sleeping=50)
    reap(database)
    assert not any(re.search("LOCK|PROCESSLIST|KILL", sql) for sql in database.log)


def test_reaping_in_vain_is_not_repeated_at_every_boundary() -> None:
    """The process list is read at most once in several seconds when it freed nothing."""
    it = rig(reap="user")
    database = full_house(99)
    for _ in range(200):
        it.manager.look(FakeSession(database), sql=True, may_give_up=False)
        it.world.now += 0.1
    assert sum("GET_LOCK" in sql for sql in database.log) == 7


@pytest.mark.parametrize("missing", [True, False])
def test_who_does_not_find_itself_reaps_nobody(missing: bool) -> None:
    """Behind a proxy our id is none of the server's, and then no row is surely ours."""
    database = full_house(99, sleeping=50)
    it = rig()
    it.manager.look(FakeSession(database, 7777 if missing else 1), sql=True, may_give_up=False)
    assert bool(database.killed()) is not missing


# -- other waits -----------------------------------------------------------------------------------


def test_a_statements_waits_are_bounded_in_number() -> None:
    """As many as asked for, and they grow like those of a connect."""
    it = rig(share=1.0)
    assert list(it.manager.delays(3)) == [0.05, 0.1, 0.2]
    assert list(it.manager.delays(0)) == []


def test_servers_are_known_by_their_key_until_forgotten() -> None:
    """Connections of one process to one server share what is known of it."""
    one = manager.server_for(("a", 3306, None, "app"))
    one.limit = 90
    assert manager.server_for(("a", 3306, None, "app")) is one
    assert manager.server_for(("a", 3306, None, "other")) is not one
    manager.forget_servers()
    assert manager.server_for(("a", 3306, None, "app")).limit is None


# -- the defects of serverless-mysql ---------------------------------------------------------------


def test_defect_01_the_accounts_limit_filters_by_account() -> None:
    """Its query compares everybody's connections with the account's limit; ours the account's."""
    it = rig()
    database = full_house(60, limit=100, account_limit=50)
    it.manager.look(FakeSession(database), sql=True, may_give_up=True)
    # 60 are connected, and one of them is ours: neither limit is near.
    assert it.server.account == Load(1, 50)
    assert it.server.last == Load(60, 100)
    assert database.killed() == []
    (counting,) = [sql for sql in database.log if "COUNT(*)" in sql]
    assert "WHERE USER =" in counting
    assert " OR " not in counting.upper()


def test_defect_02_the_age_of_daemons_is_nobodys_timeout() -> None:
    """Its time-out became the age of the oldest row, the event scheduler's: it never killed."""
    database = full_house(90, sleeping=20)
    database.rows[2000] = Row("event_scheduler", "Daemon", 1_000_000)
    database.rows[2001] = Row("repl", "Binlog Dump", 2_000_000)
    database.rows[2002] = Row("app", "Query", 3_000_000)
    database.rows[2003] = Row("system user", "Sleep", 4_000_000)
    reap(database)
    assert database.killed() == [29, 28, 27, 26, 25, 24, 23, 22, 21, 20]


def test_defect_06_waits_between_queries_grow_and_are_jittered() -> None:
    """Its waits between retries of a query were 0 to 2 ms for ever, or 1 ms constantly."""
    for backoff in ("full", "decorrelated"):
        high = list(rig(share=1.0, backoff=backoff).manager.delays(8))
        low = list(rig(share=0.0, backoff=backoff).manager.delays(8))
        assert high == sorted(high)
        assert high[-1] > 5 * high[0]
        assert all(most > least for most, least in zip(high, low, strict=True))


def test_defect_07_retries_begin_anew_with_each_connect() -> None:
    """Its counter was reset by success only: after one exhausted connect every later one failed."""
    world, server = World(1.0), Server()
    for _ in range(3):
        it = rig(world, server, max_retries=5)
        world.slept.clear()
        with pytest.raises(err.OperationalError):
            it.manager.connect(Failing(world, last=refused()), seconds=10)
        assert world.slept == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8])
    errors = [refused() for _ in range(5)]
    assert rig(world, server, max_retries=5).manager.connect(Failing(world, *errors), seconds=10)


def test_defect_07_the_default_budget_outlasts_a_rush() -> None:
    """Its whole default budget was 2.3 seconds on average; ours is all of ``connect_timeout``."""
    it = rig()
    with pytest.raises(err.OperationalError):
        it.manager.connect(Failing(it.world, last=refused()), seconds=10)
    assert sum(it.world.slept) == pytest.approx(10, abs=0.1)


@pytest.mark.parametrize("errno", [1040, 1045, 1049, 2003])
def test_defect_08_the_errno_is_kept(errno: int) -> None:
    """It wrapped the error in a new one without a code; ours is the driver's, errno and all."""
    error = refused(errno)
    it = rig(max_retries=1)
    with pytest.raises(err.OperationalError) as caught:
        it.manager.connect(Failing(it.world, last=error), seconds=10)
    assert caught.value is error
    assert caught.value.__cause__ is None
    assert caught.value.args[0] == errno


def test_defect_09_kills_are_bounded_claimed_checked_and_spare_work() -> None:
    """It killed all sleepers of the account at once, from every container, transactions and all."""
    database = full_house(99, sleeping=60, keeps_killed=True)
    for id in range(40, 70):
        database.rows[id].works = True
    for _ in range(5):
        reap(database)
    killed = database.killed()
    assert len(killed) == 99 - 80
    assert len(killed) == len(set(killed))
    assert not set(killed) & set(range(40, 70))
    for id in killed:
        assert f"ID = {id}" in database.log[database.log.index(f"KILL {id}") - 1]


@pytest.mark.parametrize("errno", [3024, 1969, 1317, 1205])
def test_defect_10_a_time_out_is_not_too_many_connections(errno: int) -> None:
    """It took a query's time-out for a full server and connected again."""
    it = rig(server=Server(limit=100, last=Load(10, 100), next_look=1e9))
    with pytest.raises(err.OperationalError):
        it.manager.connect(Failing(it.world, refused(errno)), seconds=10)
    assert it.world.slept == []
    assert it.server.last == Load(10, 100)
    assert not it.manager.due()


def test_defect_11_whoever_forgets_to_end_is_bound_by_the_lease() -> None:
    """It did all in ``end()``; here a session has its lease from the moment it is opened."""
    it = rig(server=Server(limit=100))
    database = full_house(90)
    assert it.manager.lease_of_new(FakeSession(database)) == ("5", 5)
    # And a connect that is refused tells the next one, without a look.
    it = rig(server=Server(limit=100))
    it.manager.connect(Failing(it.world, refused(1040)), seconds=10)
    assert it.manager.lease() == 5


def test_defect_12_without_process_everybodys_connections_are_counted() -> None:
    """Without PROCESS it counted its own threads alone; COM_STATISTICS needs no privilege."""
    database = full_house(95, process=False, refused={"INNODB_TRX": 1227})
    it = rig(share=0.0)
    assert it.manager.look(FakeSession(database), sql=True, may_give_up=True) is True
    assert it.server.last == Load(95, 100)


def test_defect_13_limits_by_the_hour_are_not_waited_for() -> None:
    """It tried again after 1226 of any kind, which no back-off of seconds ends."""
    it = rig()
    error = refused(1226, "User 'a' has exceeded the 'max_connections_per_hour' resource")
    with pytest.raises(err.OperationalError):
        it.manager.connect(Failing(it.world, error), seconds=10)
    assert it.world.slept == []


@pytest.mark.parametrize("errno", [1041, 1135])
def test_defect_13_a_server_out_of_resources_is_left_alone(errno: int) -> None:
    """It tried again after 2 ms; here a second passes, more or less, within the budget."""
    it = rig(share=0.25)
    it.manager.connect(Failing(it.world, refused(errno), refused(errno)), seconds=10)
    assert it.world.slept == [0.75, 0.75]
    it = rig()
    with pytest.raises(err.OperationalError):
        it.manager.connect(Failing(it.world, last=refused(errno)), seconds=1.2)
    assert it.world.slept == pytest.approx([1.0, 0.15])
