"""What the tests on real servers share: a clock of their own, a proxy, servers to ill-treat."""

from __future__ import annotations

import contextlib
import random
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pymysql
import pytest

from slsmysql import close_all, manager
from slsmysql.connections import Connection
from slsmysql.constants import ER
from slsmysql.events import Event
from tests import servers
from tests.fix_servers import Connect
from tests.proxy import Proxy
from tests.servers import Account, Kind, Server

#: Sessions that a private server lets in, unless a test says otherwise.
ROOM = 151


class Chance(random.Random):
    """Randomness that always gives what the test says: a share of what is possible."""

    share = 0.5

    def random(self) -> float:
        """Return the share, as a number from 0 to 1."""
        return self.share

    def uniform(self, a: float, b: float) -> float:
        """Return the number at that share of the way."""
        return a + (b - a) * self.share


class Clock:
    """Both clocks, sleep and randomness of the package, in a test's hand."""

    def __init__(self) -> None:
        """Begin at some time."""
        self.now = 5000.0
        self.today = 1_700_000_000.0
        self.slept: list[float] = []
        #: Called in each sleep, with its seconds.
        self.on_sleep: Callable[[float], object] = lambda _seconds: None
        self.random = Chance()

    def monotonic(self) -> float:
        """Return what stands in for `time.monotonic`."""
        return self.now

    def wall(self) -> float:
        """Return what stands in for `time.time`."""
        return self.today

    def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.slept.append(seconds)
        # However short a wait is, afterwards it is later.
        self.advance(max(seconds, 1e-9))
        self.on_sleep(seconds)

    def advance(self, seconds: float, *, monotonic: bool = True, wall: bool = True) -> None:
        """Let time pass on one clock or on both."""
        self.now += seconds if monotonic else 0.0
        self.today += seconds if wall else 0.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The package's time, which stands still until the test says otherwise."""
    clock = Clock()
    monkeypatch.setattr(manager.environment, "monotonic", clock.monotonic)
    monkeypatch.setattr(manager.environment, "wall", clock.wall)
    monkeypatch.setattr(manager.environment, "sleep", clock.sleep)
    monkeypatch.setattr(manager.environment, "random", clock.random)
    return clock


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    """Begin without a parked session, and without anything known of a server."""
    close_all()
    manager.forget_servers()
    yield
    close_all()


@pytest.fixture
def params(server: Server, database: str) -> dict[str, Any]:
    """The keywords of `connect()`; without TLS, which hides from the proxy what is said."""
    return {**server.params(database=database), "ssl_disabled": True}


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    """A proxy before the shared server."""
    with Proxy((server.host, server.port)) as proxy:
        yield proxy


@pytest.fixture
def events() -> list[Event]:
    """What connections of ``through`` tell."""
    return []


@pytest.fixture
def through(proxy: Proxy, connect: Connect, home: str, events: list[Event]) -> Connect:
    """`connect` by way of the proxy, to ``home``; it looks at no load unless told to."""

    def through(*, looks: bool = False, **overrides: Any) -> Connection:
        where = {"host": proxy.host, "port": proxy.port, "database": home}
        connection = connect(**{**where, "on_event": events.append, **overrides})
        if not looks:
            connection._server.next_look = float("inf")
        return connection

    return through


@pytest.fixture(scope="session")
def homes(shared_server: Callable[[Kind], Server]) -> Iterator[Callable[[Server], str]]:
    """A function that gives the database which all these tests share, on each server."""
    name = f"test_{secrets.token_hex(6)}"
    made: list[Server] = []

    def home(server: Server) -> str:
        if server not in made:
            server.sql(
                f"CREATE DATABASE {name} CHARACTER SET utf8mb4",
                f"CREATE TABLE {name}.t (n INT PRIMARY KEY) ENGINE=InnoDB",
            )
            made.append(server)
        return name

    yield home
    for server in made:
        server.sql(f"DROP DATABASE {name}")


@pytest.fixture
def home(server: Server, homes: Callable[[Server], str]) -> str:
    """The name of the database of these tests, with a table ``t (n INT PRIMARY KEY)``."""
    return homes(server)


@pytest.fixture
def table(server: Server, home: str) -> Callable[[], list[Any]]:
    """A function that tells the numbers in the table ``t``, which is empty to begin with."""
    server.sql(f"DELETE FROM {home}.t")
    return lambda: [n for (n,) in server.sql(f"SELECT n FROM {home}.t ORDER BY n")]


@pytest.fixture(scope="session")
def private_server() -> Iterator[Callable[[Kind], Server]]:
    """A function that gives the server of a kind which tests may fill, stop and change."""
    started: dict[Kind, Server] = {}

    def get(kind: Kind) -> Server:
        if kind not in started:
            # MariaDB keeps threads for later connections, and COM_STATISTICS counts them.
            options = ["--thread-cache-size=0"] if kind == "mariadb" else []
            started[kind] = servers.start(kind, options=options)
        return started[kind]

    yield get
    for server in started.values():
        server.stop()


@pytest.fixture
def lab(server: Server, private_server: Callable[[Kind], Server]) -> Iterator[Server]:
    """A server of the same kind to be filled, stopped or changed; afterwards it is as before."""
    lab = private_server(server.kind)
    empty(lab)
    yield lab
    as_root(lab, f"SET GLOBAL max_connections={ROOM}", "SET GLOBAL read_only=0")


#: Sessions of programs: neither the tests' own look at the server nor the server's threads.
SESSIONS = (
    "SELECT ID FROM information_schema.PROCESSLIST"
    " WHERE USER NOT IN ('root', 'event_scheduler', 'system user') AND COMMAND <> 'Killed'"
)


def as_root(server: Server, *statements: str) -> tuple[tuple[Any, ...], ...]:
    """Run statements as root on a server that may be full: but for root there is one place more.

    It may be taken for a moment by root's last connection, or by somebody who is just refused.
    """
    while True:
        with letting_in():
            return server.sql(*statements)


@contextlib.contextmanager
def letting_in() -> Iterator[None]:
    """Take "too many connections" for a reason to try again."""
    try:
        yield
    except pymysql.err.OperationalError as error:
        if error.args[0] != ER.CON_COUNT_ERROR:
            raise


def ids(server: Server) -> set[int]:
    """Return the ids of the sessions that programs have with the server."""
    return {row[0] for row in as_root(server, SESSIONS)}


def empty(server: Server) -> None:
    """End all sessions of programs, and wait until they are gone."""
    while found := as_root(server, f"{SESSIONS} OR COMMAND = 'Killed'"):
        for (session,) in found:
            with contextlib.suppress(pymysql.err.OperationalError):  # gone meanwhile
                server.sql(f"KILL {session}")


@pytest.fixture
def fill(lab: Server) -> Iterator[Callable[..., list[Any]]]:
    """A function that opens so many sessions with ``lab`` as PyMySQL does, for an account."""
    with contextlib.ExitStack() as stack:

        def fill(count: int, account: Account | None = None) -> list[Any]:
            made: list[Any] = []
            while len(made) < count:
                # A place may be taken for a moment by a connection that is being closed.
                with letting_in():
                    made.append(pymysql.connect(**lab.params(account), ssl_disabled=True))
                    stack.callback(made[-1]._force_close)
            return made

        yield fill


def rows(connection: Connection, sql: str) -> list[tuple[Any, ...]]:
    """Return what a statement finds."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def run(connection: Connection, *statements: str) -> None:
    """Run statements, each with a cursor of its own."""
    for statement in statements:
        with connection.cursor() as cursor:
            cursor.execute(statement)


def settle(connection: Connection, count: int) -> None:
    """Wait until the server has no more connections: what has been closed goes when it goes."""
    handle = connection.handle
    assert handle is not None
    connected = "SHOW GLOBAL STATUS LIKE 'Threads_connected'"
    while int(connection._simple(handle, connected)[0][1]) > count:
        pass


def names(events: list[Event]) -> list[str]:
    """Return the events' names but for those of every connect."""
    return [event.name for event in events if event.name not in {"connect", "look"}]
