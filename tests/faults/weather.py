"""Faults that are in force for a while, under a fleet of programs that work on.

A fault is a context manager over a `Weather`; `both` puts several together, and `SCENES` gives them
names and times. While one is in force the epoch is odd, and every unit of work that meets it
counts.
"""

from __future__ import annotations

import collections
import contextlib
import os
import random
import secrets
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, TypeVar

from tests import servers
from tests.faults.fleet import Fleet
from tests.faults.ledger import Book
from tests.faults.rig import OPTIONS_BY_KIND, Database, Site
from tests.proxy import Ending, Proxy, answer, connecting, delay, error_packet, reply
from tests.servers import APP, Account, Kind, Server

#: Seconds until every thread must have got through a unit when a fault is over.
PATIENCE = 40.0

#: Seconds: shorter than every time-out of the programs but ``stale_after``; longer than a lease, a
#: ``reopen_after`` and a ``read_timeout`` of one second; and longer than ``connect_timeout``.
SHORT, LONG, VERY_LONG = 0.35, 1.7, 3.6

#: Seconds between two blows of a storm.
BLOW = 0.01

#: Threads of each process; those with one are forked, killed, stopped and sent home.
THREADS = (1, 1, 10)

#: Sessions that a server lets in by itself.
ROOM = 151

#: MySQL takes no smaller `max_connections` than 1, MariaDB than 10.
MIN_ROOM = 10

#: Sessions of an account that are no limit.
NO_LIMIT = 1000

#: What a server says which has no room left.
FULL = error_packet(1040, "Too many connections", "08004")

T = TypeVar("T")


class Weather:
    """A fleet, the proxy that it connects to, and the servers behind, the first of them at work."""

    def __init__(
        self,
        kind: Kind,
        seed: str,
        backends: Sequence[str] = ("c", "pure"),
        threads: tuple[int, ...] = THREADS,
    ) -> None:
        """Start everything.

        :param backends: of the threads, in turn.
        """
        self.kind = kind
        self.rng = random.Random(f"{seed}-{kind}")
        self.threads = threads
        self.backends = list(backends)
        self._stack = contextlib.ExitStack()
        # A MariaDB that is started without a limit does not take one later.
        options = (*OPTIONS_BY_KIND[kind], f"--max-user-connections={NO_LIMIT}")
        with contextlib.ExitStack() as stack:
            self.servers = [
                stack.enter_context(servers.start(kind, tls=True, options=options))
                for _ in range(2)
            ]
            name = f"test_faults_{secrets.token_hex(6)}"
            self.databases = [Database(Site.of(server), name) for server in self.servers]
            self.reader(self.databases[1], on=True)
            self.proxy = stack.enter_context(Proxy((self.servers[0].host, self.servers[0].port)))
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="slsmysql-faults-"))
            place = {
                "host": self.proxy.host,
                "port": self.proxy.port,
                "user": APP.user,
                "database": name,
            }
            self.folder = Path(folder)
            self.fleet = Fleet(self.folder, place, f"{seed}-{kind}")
            self.password = APP.password
            self.tell_password()
            self._stack = stack.pop_all()

    def __enter__(self) -> Weather:
        """Return the weather, which ends with the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End everything."""
        for crew in self.fleet.crews:
            crew.process.kill()
            crew.process.communicate()
        self._stack.close()

    # -- a lap ---------------------------------------------------------------------------------

    def lap(self, scenes: Iterable[str], book: Book, tell: Callable[[str], object]) -> None:
        """Let a fleet work under one scene after the other, and judge what it was told."""
        self.fleet.start_all(self.threads, self.backends)
        self.fleet.wait_until_all_get_through(PATIENCE)
        for name in scenes:
            tell(f"{self.kind}: {name}")
            scene = SCENES[name]
            force = contextlib.nullcontext() if scene.for_one else self.fleet.under(name)
            with force, scene.fault(self):
                time.sleep(scene.seconds)
            self.proxy.forget()
            self.fleet.wait_until_all_get_through(PATIENCE)
        self.fleet.end_all()
        self.proxy.cut()
        self.fleet.write(book)
        rows: collections.Counter[tuple[int, int]] = collections.Counter()
        counters: collections.Counter[int] = collections.Counter()
        for database in self.databases:
            database.wait_until_left()
            for attempt, part, count in database.rows:
                rows[attempt, part] += count
            counters.update(database.counters)
        book.judge([(*key, count) for key, count in rows.items()], counters)
        self.begin_anew()

    def begin_anew(self) -> None:
        """Empty the tables and the journals."""
        for database in self.databases:
            database.clear()
        for journal in self.folder.glob("*.journal"):
            journal.unlink()
        self.fleet.faults.clear()
        self.fleet.ends.clear()

    # -- what faults are made of ---------------------------------------------------------------

    @property
    def server(self) -> Server:
        """The server at work."""
        return self.servers[0]

    @property
    def database(self) -> Database:
        """Its database."""
        return self.databases[0]

    @contextlib.contextmanager
    def storm(self, blow: Callable[[], object]) -> Iterator[None]:
        """A blow now and then during the block."""
        over = threading.Event()
        raised: list[BaseException] = []

        def blows() -> None:
            try:
                while not over.wait(BLOW * self.rng.uniform(0.2, 1.8)):
                    blow()
            except BaseException as error:  # raised below
                raised.append(error)

        thread = threading.Thread(target=blows)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
        for error in raised:
            raise error

    def some(self, found: list[T]) -> list[T]:
        """Return one of them, if there is any."""
        return [self.rng.choice(found)] if found else []

    def reader(self, database: Database, *, on: bool) -> None:
        """Let a server write, or no more."""
        database.run(f"SET GLOBAL read_only={int(on)}")

    def tell_password(self) -> None:
        """Tell the programs the password, as a vault does."""
        new = self.folder / "password.new"
        new.write_text(self.password)
        new.rename(self.fleet.password)

    def log_in(self) -> None:
        """Log in once by the socket: MySQL then takes passwords without TLS again."""
        for server in self.servers:
            server.private.log_in(Account(APP.user, self.password)).close()

    def kill_one(self, *, query: bool = False, chance: float = 1.0) -> None:
        """Kill a session of a program, or its statement, by chance."""
        if self.rng.random() >= chance:
            return
        for thread in self.some(self.database.sessions):
            self.database.kill(thread, query=query)

    def away(self, how: signal.Signals, name: str) -> None:
        """End a process of the fleet, and start another in its place."""
        for crew in self.some(self.fleet.crews):
            self.fleet.ends[crew.orders.number] = name
            self.fleet.end(crew, how)
            self.fleet.replace(crew)

    def back(self) -> None:
        """Start the server at work again, and take up what root has there."""
        self.server.restart()
        self.database.reconnect()
        self.log_in()


Fault = Callable[[Weather], contextlib.AbstractContextManager[None]]


class Scene(NamedTuple):
    """A fault, and for how long it is in force; those that end by themselves need no time."""

    fault: Fault
    seconds: float = 0.0
    #: Whether only the units of a process that ends meet it.
    for_one: bool = False


# -- sessions and statements -----------------------------------------------------------------------


@contextlib.contextmanager
def kills(weather: Weather) -> Iterator[None]:
    """KILL of sessions at random."""
    with weather.storm(weather.kill_one):
        yield


@contextlib.contextmanager
def kill_queries(weather: Weather) -> Iterator[None]:
    """KILL QUERY at random."""
    with weather.storm(lambda: weather.kill_one(query=True)):
        yield


# -- the network -----------------------------------------------------------------------------------


def cuts(how: Ending) -> Fault:
    """Links ended at random."""

    @contextlib.contextmanager
    def fault(weather: Weather) -> Iterator[None]:
        def blow() -> None:
            for link in weather.some(weather.proxy.open_links):
                link.cut(reset=how == "rst")

        with weather.storm(blow):
            yield

    return fault


@contextlib.contextmanager
def frozen(weather: Weather) -> Iterator[None]:
    """Nothing passes, and nothing is closed; what waits is delivered in the end."""
    weather.proxy.freeze()
    yield
    weather.proxy.behave()


@contextlib.contextmanager
def slow(weather: Weather) -> Iterator[None]:
    """Each answer takes its time."""
    weather.proxy.when(answer(), delay(0.005), times=None)
    yield
    weather.proxy.behave()


@contextlib.contextmanager
def refused(weather: Weather) -> Iterator[None]:
    """Nobody listens, and all links are cut."""
    weather.proxy.refuse()
    weather.proxy.cut()
    yield
    weather.proxy.accept()


@contextlib.contextmanager
def full_for_new(weather: Weather) -> Iterator[None]:
    """Whoever connects is told 1040, and links are cut."""
    weather.proxy.when(connecting(), reply(FULL), times=None)
    weather.proxy.cut(reset=True)
    yield
    weather.proxy.behave()


# -- the server ------------------------------------------------------------------------------------


@contextlib.contextmanager
def stopped(weather: Weather) -> Iterator[None]:
    """The server is stopped by SIGSTOP."""
    os.kill(weather.server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(weather.server.pid, signal.SIGCONT)


@contextlib.contextmanager
def crashed(weather: Weather) -> Iterator[None]:
    """The server is killed by SIGKILL, and started again."""
    weather.server.kill()
    yield
    weather.back()


@contextlib.contextmanager
def restarted(weather: Weather) -> Iterator[None]:
    """The server is shut down in an orderly way, and started again."""
    weather.back()
    yield


@contextlib.contextmanager
def crowded(weather: Weather) -> Iterator[None]:
    """There is room for half of the sessions, and those that are there are killed."""
    room = sum(weather.threads) // 2
    weather.database.run(f"SET GLOBAL max_connections={max(room, MIN_ROOM)}")
    with weather.storm(lambda: weather.kill_one(chance=0.2)):
        yield
    weather.database.run(f"SET GLOBAL max_connections={ROOM}")


@contextlib.contextmanager
def limited(weather: Weather) -> Iterator[None]:
    """The account may have half of its sessions, and those that are there are killed."""
    room = sum(weather.threads) // 2
    weather.database.run(f"SET GLOBAL max_user_connections={room}")
    with weather.storm(lambda: weather.kill_one(chance=0.2)):
        yield
    weather.database.run(f"SET GLOBAL max_user_connections={NO_LIMIT}")


@contextlib.contextmanager
def reading(weather: Weather) -> Iterator[None]:
    """The server becomes a reader."""
    weather.reader(weather.database, on=True)
    yield
    weather.reader(weather.database, on=False)


def exchanged(*, cut: bool) -> Fault:
    """The two servers exchange their roles behind the address; links are cut, or go on."""

    @contextlib.contextmanager
    def fault(weather: Weather) -> Iterator[None]:
        weather.reader(weather.database, on=True)
        yield
        for each in (weather.servers, weather.databases):
            each.reverse()
        weather.proxy.server = (weather.server.host, weather.server.port)
        weather.reader(weather.database, on=False)
        if cut:
            weather.proxy.cut()

    return fault


@contextlib.contextmanager
def rotated(weather: Weather) -> Iterator[None]:
    """The account gets a new password, before or after the programs are told, and all reconnect."""
    weather.password = secrets.token_urlsafe(12)
    early = weather.rng.random() < 0.5
    if early:
        weather.tell_password()
    for database in weather.databases:
        database.run(f"ALTER USER '{APP.user}'@'%' IDENTIFIED BY '{weather.password}'")
    weather.log_in()
    for thread in weather.database.sessions:
        weather.database.kill(thread)
    yield
    if not early:
        weather.tell_password()


# -- the programs ----------------------------------------------------------------------------------


@contextlib.contextmanager
def asleep(weather: Weather) -> Iterator[None]:
    """Processes are stopped by SIGSTOP, as containers are frozen, and go on where they were."""
    stopped = [crew.process for crew in weather.fleet.crews]
    for process in stopped:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in stopped:
            process.send_signal(signal.SIGCONT)


def gone(how: signal.Signals, name: str) -> Fault:
    """Processes end in the middle of their work: killed, or by an exit of their own."""

    @contextlib.contextmanager
    def fault(weather: Weather) -> Iterator[None]:
        for _ in range(3):
            weather.away(how, name)
            weather.fleet.wait_until_all_get_through(PATIENCE)
        yield

    return fault


def both(*faults: Fault) -> Fault:
    """Several at once."""

    @contextlib.contextmanager
    def fault(weather: Weather) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for each in faults:
                stack.enter_context(each(weather))
            yield

    return fault


KILLED, EXIT = "program killed", "exit with work open"

SCENES: dict[str, Scene] = {
    "KILL at random": Scene(kills, 0.8),
    "KILL QUERY at random": Scene(kill_queries, 0.8),
    "links cut (FIN)": Scene(cuts("fin"), 0.5),
    "links cut (RST)": Scene(cuts("rst"), 0.5),
    "network frozen, shorter than time-outs": Scene(frozen, SHORT),
    "network frozen, longer than time-outs": Scene(frozen, LONG),
    "slow network": Scene(slow, 0.5),
    "connections refused": Scene(refused, 0.5),
    "1040 for whoever connects": Scene(full_for_new, 0.5),
    "server stopped, shorter than time-outs": Scene(stopped, SHORT),
    "server stopped, longer than time-outs": Scene(stopped, LONG),
    "server stopped, longer than connect_timeout": Scene(stopped, VERY_LONG),
    "server killed and started again": Scene(crashed, 0.2),
    "server restarted": Scene(restarted),
    "max_connections lowered": Scene(crowded, 1.0),
    "max_user_connections": Scene(limited, 1.0),
    "read_only": Scene(reading, 0.5),
    "roles exchanged, links cut": Scene(exchanged(cut=True), 0.2),
    "roles exchanged, links kept": Scene(exchanged(cut=False), 0.2),
    "password rotated": Scene(rotated, 0.3),
    "programs frozen, shorter than leases": Scene(asleep, SHORT),
    "programs frozen, longer than leases": Scene(asleep, LONG),
    KILLED: Scene(gone(signal.SIGKILL, KILLED), for_one=True),
    EXIT: Scene(gone(signal.SIGUSR1, EXIT), for_one=True),
    "KILL on a slow network": Scene(both(kills, slow), 0.5),
    "KILL QUERY and cut links": Scene(both(kill_queries, cuts("rst")), 0.5),
    "read_only and cut links": Scene(both(reading, cuts("fin")), 0.5),
}
