"""A connection that only watches, and the manager whose judgement the command line shows."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import slsmysql
from slsmysql import err, manager, policy
from slsmysql._cli.credentials import UsageError
from slsmysql.events import Event, Teller
from slsmysql.lifecycle import _Seen
from slsmysql.policy import Load, Thread
from slsmysql.settings import NAMES, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: As ``performance_schema`` shows the session.
PROGRAM = "slsmysql command line"

_PROCESS_LIST = (
    "SELECT ID, USER, COMMAND, TIME, HOST, DB, STATE, ID = CONNECTION_ID()"
    " FROM information_schema.PROCESSLIST"
)


class Holder(NamedTuple):
    """A session in the server's process list, with what a person wants to know of it."""

    thread: Thread
    host: str
    database: str
    state: str
    own: bool
    """Whether it is this very session: behind a proxy its id is not what it said at first."""


class Verdict(NamedTuple):
    """What reaping makes of a session."""

    holder: Holder
    zombie: bool
    reaped: bool
    """Whether it would be ended now."""
    why: str


@dataclass(frozen=True)
class Reading:
    """How full the server is."""

    server: Load
    account: Load | None
    settings: Settings

    @property
    def load(self) -> Load:
        """The tighter of the two."""
        return policy.tighter(self.server, self.account)

    @property
    def excess(self) -> int:
        """Connections above the threshold."""
        return policy.excess(self.load, self.settings)

    @property
    def threshold(self) -> int:
        """Connections up to which there is no excess."""
        limit = self.load.limit
        return limit - policy.excess(Load(limit, limit), self.settings)

    def as_dict(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        load, account = self.load, self.account
        return {
            "used": self.server.used,
            "limit": self.server.limit,
            "account": None if account is None else {"used": account.used, "limit": account.limit},
            "utilization": round(load.utilization, 4),
            "conn_utilization": self.settings.conn_utilization,
            "threshold": self.threshold,
            "excess": self.excess,
        }


class Watcher:
    """A session which changes nothing by being there, and asks what the manager asks."""

    def __init__(self, keywords: Mapping[str, Any], *, above: float | None = None) -> None:
        """Prepare to connect; nothing is sent.

        :param keywords: of ``connect()``.
        :param above: stands for the setting ``conn_utilization``.
        :raises UsageError: something is wrong with them, or with a variable of the environment.
        """
        mine = {name: value for name, value in keywords.items() if name in NAMES}
        if above is not None:
            mine["conn_utilization"] = above
        self.told: list[Event] = []
        #: Whether InnoDB's list of transactions could not be had as it is now.
        self.stale = False
        try:
            #: What a function in this environment would go by.
            self.settings = Settings.build(mine, os.environ)
            self.connection = slsmysql.connect(
                **{name: value for name, value in keywords.items() if name not in NAMES},
                # It must not reap, give up or shorten a lease by itself.
                settings=Settings.build(
                    {"settings": self.settings, "manage_conns": False, "reuse": False}, {}
                ),
                autocommit=True,
                program_name=PROGRAM,
                defer_connect=True,
            )
        except (err.Error, TypeError, ValueError, OSError, NotImplementedError) as error:
            raise UsageError(message(error)) from None
        self.options = self.connection.options
        self.where = self.connection._teller.server
        server = manager.Server()
        self.manager = manager.Manager(server, self.settings, Teller(self.where, self.told.append))

    def connect(self) -> None:
        """Open the session, within ``connect_timeout``.

        :raises err.Error: it cannot be had.
        """
        self.connection.connect()

    def close(self) -> None:
        """End the session."""
        self.connection.quit()

    @property
    def session(self) -> _Seen:
        """The session as the manager sees it."""
        handle = self.connection.handle
        assert handle is not None
        return _Seen(self.connection, handle)

    def rows(self, sql: str) -> Sequence[tuple[Any, ...]]:
        """Return what a query finds, as text."""
        return self.session.select(sql)

    def reading(self) -> Reading:
        """Look at the load, as the manager does."""
        it, server = self.manager, self.manager.server
        self.connection.ping()  # a session lost since the last look is replaced
        session = self.session
        it._read_limit(session)
        assert server.limit is not None
        account = None
        if server.account_limit > 0:
            account = Load(it._used_by_account(session), server.account_limit)
        mariadb = manager.is_mariadb(session.server_version)
        used = it._connected(session) if mariadb else it.used(session)
        return Reading(Load(used, server.limit), account, self.settings)

    def holders(self) -> list[Holder]:
        """Return the sessions that this account may see, the longest in their state first."""
        found = [
            Holder(
                manager._thread(row),
                host=str(row[4] or ""),
                database=str(row[5] or ""),
                state=str(row[6] or ""),
                own=row[7] == "1",
            )
            for row in self.rows(_PROCESS_LIST)
        ]
        return sorted(found, key=lambda holder: (-holder.thread.time, holder.thread.id))

    @property
    def sees_transactions(self) -> bool:
        """Whether it is known who has changed or locked rows."""
        return self.manager.server.sees_transactions and not self.stale

    def verdicts(self, reading: Reading) -> list[Verdict]:
        """Return what reaping would make of each session, by the rules of ``policy``."""
        it, session = self.manager, self.session
        holders = self.holders()
        threads = [holder.thread for holder in holders]
        (own,) = (holder.thread for holder in holders if holder.own)
        if self.settings.reap == "fleet":
            threads = it._tagged(session, threads, own.id)
            holders = [
                holder._replace(thread=row) for holder, row in zip(holders, threads, strict=True)
            ]
        spared = it._with_open_work(session)
        self.stale = spared is None
        facts: dict[str, Any] = {
            "own_id": own.id,
            "user": own.user,
            "spared": spared or (),
            "sees_transactions": it.server.sees_transactions,
            "settings": self.settings,
        }
        room = 0 if self.stale else min(reading.excess, policy.MOST_KILLS)
        zombies = policy.zombies(threads, **facts)
        doomed = {row.id for row in zombies[:room]}
        late = {row.id for row in zombies[room:]}
        found = []
        for holder in holders:
            if holder.thread.id in doomed:
                why = f"asleep for {holder.thread.time} s without open work"
            elif holder.thread.id not in late:
                why = policy.why_not(holder.thread, **facts)
            elif self.stale:
                why = "asleep, but nobody knows whether it holds a transaction"
            elif reading.excess:
                why = f"asleep, but {len(doomed)} that slept longer are enough"
            else:
                why = f"asleep, but in nobody's way up to {reading.threshold} connections"
            id = holder.thread.id
            found.append(Verdict(holder, id in doomed or id in late, id in doomed, why))
        return found


@contextmanager
def connected(keywords: Mapping[str, Any], *, above: float | None = None) -> Iterator[Watcher]:
    """Connect for a block.

    :raises err.Error: there is no session to be had.
    """
    watcher = Watcher(keywords, above=above)
    try:
        watcher.connect()
        yield watcher
    finally:
        watcher.close()


def message(error: BaseException) -> str:
    """Return an error in a line: MySQL's number and text where it has them."""
    if isinstance(error, err.Error) and len(error.args) > 1:
        return f"{error.args[1]} ({error.args[0]})" if error.args[0] else str(error.args[1])
    return str(error) or type(error).__name__
