"""The bench that units of work are done on: a database of its own, a proxy before it, a root.

A `Site` says where a server is, in few enough words to be handed to another process. A `Rig` is
one worker's: its connection is made anew whenever it was given up, and its faults are armed in its
own proxy, which also says whether they struck.
"""

from __future__ import annotations

import contextlib
import functools
import secrets
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple

import pymysql

import slsmysql
from slsmysql import manager
from tests.faults import workloads
from tests.faults.ledger import Book
from tests.proxy import Action, Held, Link, Point, Proxy
from tests.servers import APP, ROOT, Kind, Server

#: Seconds until a server is said to be stuck.
PATIENCE = 60.0

#: Seconds between two looks at the server.
POLL_INTERVAL = 0.002

#: Counters of a database.
COUNTERS = 8

#: What a server of the laboratory is started with. A lock that somebody holds whose connection is
#: frozen is not waited for any longer than this, in seconds; the megabytes of the big statement fit
#: into the buffer pool; MariaDB keeps no threads; and MySQL starts none to count the rows of a
#: table, for which it would wait in a loop that took four tenths of all its time.
OPTIONS = ("--innodb-lock-wait-timeout=2", "--innodb-buffer-pool-size=128M")
OPTIONS_BY_KIND: dict[Kind, tuple[str, ...]] = {
    "mariadb": (*OPTIONS, "--thread-cache-size=0"),
    "mysql": (*OPTIONS, "--innodb-parallel-read-threads=1"),
}

#: Back-off of the workers, in seconds: a fleet's would only make them wait.
BACKOFF = {"backoff_base": 0.001, "backoff_cap": 0.05}

#: Errors of `KILL` that say that there is nobody to kill.
NO_SUCH_THREAD = 1094


class Site(NamedTuple):
    """Where a private server is."""

    kind: Kind
    host: str
    port: int
    socket: str
    ca: str | None

    @classmethod
    def of(cls, server: Server) -> Site:
        """Return where that server is."""
        return cls(
            server.kind,
            server.host,
            server.port,
            str(server.socket),
            str(server.ca) if server.ca else None,
        )

    def root(self) -> pymysql.Connection[pymysql.cursors.Cursor]:
        """Return a connection of root's, by the socket, in autocommit."""
        return pymysql.connect(
            unix_socket=self.socket, user=ROOT.user, autocommit=True, ssl_disabled=True
        )


class Database:
    """A database with the tables of the workloads, and root's view of it."""

    def __init__(self, site: Site, name: str | None = None) -> None:
        """Make it."""
        self.site = site
        self.name = name or f"test_faults_{secrets.token_hex(6)}"
        self.root = site.root()
        self._lock = threading.Lock()
        self.run(f"CREATE DATABASE {self.name} CHARACTER SET utf8mb4")
        self.run(f"USE {self.name}")
        for table in workloads.TABLES:
            self.run(table)
        pages = ", ".join(f"({n}, '{workloads.page(n)}')" for n in range(workloads.PAGES))
        self.run(f"INSERT INTO book VALUES {pages}")
        self.clear()

    def reconnect(self) -> None:
        """Take up a new connection of root's: the server was started again."""
        with contextlib.suppress(pymysql.err.Error):
            self.root.close()
        self.root = self.site.root()
        self.run(f"USE {self.name}")

    def run(self, sql: str) -> tuple[tuple[Any, ...], ...]:
        """Run a statement as root and return what it finds."""
        with self._lock, self.root.cursor() as cursor:
            cursor.execute(sql)
            return tuple(cursor.fetchall())

    def clear(self) -> None:
        """Begin anew: no rows, and all counters at 0."""
        for table in ("units", "counters"):
            self.run(f"DELETE FROM {table}")
        zeros = ", ".join(f"({n}, 0)" for n in range(COUNTERS))
        self.run(f"INSERT INTO counters VALUES {zeros}")

    def drop(self) -> None:
        """Remove it."""
        self.run(f"DROP DATABASE {self.name}")
        self.root.close()

    def kill(self, thread: int, *, query: bool = False) -> bool:
        """End a session, or its statement; False when there is none."""
        try:
            self.run(f"KILL {'QUERY ' if query else ''}{thread}")
        except pymysql.err.Error as error:
            if error.args[0] != NO_SUCH_THREAD:
                raise
            return False
        return True

    @property
    def sessions(self) -> list[int]:
        """The sessions in this database, but for root's; those that are being ended as well."""
        found = self.run(
            "SELECT ID FROM information_schema.PROCESSLIST"
            f" WHERE DB = '{self.name}' AND ID <> CONNECTION_ID()"
        )
        return [int(row[0]) for row in found]

    def wait_until_left(self, but: int = 0) -> int:
        """Wait until all but so many have left: what they began is then committed or undone.

        :return: how many are left.
        """
        end = time.monotonic() + PATIENCE
        while (left := len(self.sessions)) > but:
            if time.monotonic() > end:
                raise TimeoutError(f"sessions stay: {self.run('SHOW PROCESSLIST')}")
            time.sleep(POLL_INTERVAL)
        return left

    @property
    def rows(self) -> list[tuple[int, int, int]]:
        """Attempt, part, and how often it is there."""
        found = self.run("SELECT attempt, part, COUNT(*) FROM units GROUP BY attempt, part")
        return [(int(attempt), int(part), int(count)) for attempt, part, count in found]

    @property
    def counters(self) -> dict[int, int]:
        """Where each counter stands."""
        return {int(n): int(stands) for n, stands in self.run("SELECT * FROM counters")}

    def judge(self, book: Book) -> None:
        """Compare what a book says with what is here, once all who worked have left."""
        self.wait_until_left()
        book.judge(self.rows, self.counters)


class Rig:
    """One worker's bench, used by one thread."""

    def __init__(
        self,
        site: Site,
        *,
        tls: bool = False,
        connect: Callable[..., Any] = slsmysql.connect,
        **keywords: Any,
    ) -> None:
        """Make the database and the proxy.

        :param connect: how the worker connects; with ``keywords`` beside those of the place.
        """
        self.site = site
        self.tls = tls
        self.database = Database(site)
        self.proxy = Proxy((site.host, site.port))
        self.connection: Any = None
        #: How often faults have struck since they were armed.
        self.struck = 0
        self._ends: list[Callable[[], None]] = []
        place = {
            "host": self.proxy.host,
            "port": self.proxy.port,
            "user": APP.user,
            "password": APP.password,
            "database": self.database.name,
            **keywords,
        }
        self.connect = functools.partial(connect, **place)

    @classmethod
    def for_slsmysql(cls, site: Site, *, pure: bool, tls: bool = False, **keywords: Any) -> Rig:
        """Return a rig whose worker connects with slsmysql and retries soon."""
        security: dict[str, Any] = {"ssl_disabled": True}
        if tls:
            security = {"ssl_ca": site.ca, "ssl_verify_identity": True} if site.ca else {}
        given = {"use_pure": pure, "connect_timeout": 10, **BACKOFF, **security, **keywords}
        return cls(site, tls=tls, **given)

    def __enter__(self) -> Rig:
        """Return the rig, which is taken down with the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take it down."""
        self.leave()
        self.proxy.close()
        self.database.wait_until_left()
        self.database.drop()

    # -- the connection ------------------------------------------------------------------------

    def connected(self, *, autocommit: bool) -> Any:
        """Return the worker's connection in that mode, a new one if there is none."""
        if self.connection is None:
            self.connection = self.connect(autocommit=autocommit)
        else:
            self.connection.autocommit(autocommit)
        return self.connection

    def close(self) -> None:
        """Close the connection as a program does: its session may be kept for the next one."""
        connection, self.connection = self.connection, None
        if connection is not None:
            with contextlib.suppress(slsmysql.Error, pymysql.err.Error):
                connection.close()

    def leave(self) -> None:
        """End the connection and its session."""
        connection, self.connection = self.connection, None
        if isinstance(connection, slsmysql.Connection):
            connection.quit()
        elif connection is not None:
            connection._force_close()
        manager.end_parked()

    @property
    def link(self) -> Link | None:
        """The link that the next statement will take; None when it will make a new one."""
        connection = self.connection
        kept = manager.parked_count() if connection is None else connection._sock is not None
        links = self.proxy.links
        return links[-1] if kept and links and links[-1].open else None

    @property
    def thread(self) -> int | None:
        """The server's id of the session at hand."""
        connection = self.connection
        if connection is None or connection._sock is None:
            return None
        return int(connection.thread_id())

    # -- faults --------------------------------------------------------------------------------

    def when(self, point: Point, action: Action, *, times: int | None = 1) -> None:
        """Arm a fault: do ``action`` at ``point``."""

        def act(held: Held) -> bytes:
            self.struck += 1
            return action(held)

        self.proxy.when(point, act, times=times)

    def strike(self) -> None:
        """Note a fault that struck by other means."""
        self.struck += 1

    def at_end(self, end: Callable[[], None]) -> None:
        """Call that when the faults are disarmed."""
        self._ends.append(end)

    def disarm(self) -> bool:
        """Let everything pass again; return whether a fault struck since they were armed."""
        while self._ends:
            self._ends.pop()()
        self.proxy.run(self._disarm)
        struck, self.struck = self.struck, 0
        return struck > 0

    def _disarm(self) -> None:
        for link in self.proxy.open_links:
            if link.frozen:
                # Whoever gave it up has closed it; its server shall learn of that.
                link.cut()
        self.proxy.behave()
        self.proxy.forget()

    # -- the ledger ----------------------------------------------------------------------------

    def judge(self, book: Book) -> None:
        """Leave, compare the book with the tables, and empty these."""
        self.leave()
        self.database.judge(book)
        self.database.clear()
