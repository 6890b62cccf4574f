"""What the manager tells: events for a listener, counters, and log records for people."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

logger: logging.Logger = logging.getLogger("slsmysql")
#: Silent unless the program configures logging (Python's logging HOWTO, "for a library").
logger.addHandler(logging.NullHandler())


class Event(NamedTuple):
    """Something the manager did or learned.

    :ivar name: one of ``NAMES``.
    :ivar server: "host:port" or the path of the socket.
    :ivar connection_id: the server's id of the session it is about, if there is one.
    :ivar errno: MySQL's error number, where an error was the reason.
    :ivar seconds: a wait, how long something took, or for how long it had been idle.
    :ivar attempt: number of the retry, from 1; of ``connect_failed`` how many there were.
    :ivar used: connections in use at the server, as last seen.
    :ivar limit: how many there may be.
    :ivar detail: a word of explanation; never a secret, never data of a statement.
    """

    name: str
    server: str
    connection_id: int | None = None
    errno: int | None = None
    seconds: float | None = None
    attempt: int | None = None
    used: int | None = None
    limit: int | None = None
    detail: str = ""


#: Every event there is, and when it happens.
NAMES = {
    "connect": "a session was opened, `seconds` after it was asked for",
    "connect_retry": "a connect failed and will be tried again after `seconds`",
    "connect_failed": "no session could be opened: `errno`, after `seconds`",
    "look": "the server's load was read: `used` of `limit`",
    "kill": "a zombie session was ended",
    "limited": "the account may not see what reaping needs; `detail` says what",
    "give_up": "a session at rest was given back because the server is full",
    "lease": "the session's wait_timeout was changed to `seconds`",
    "reopen": "a lost or stale session was replaced before a statement was sent",
    "resume": "a transaction of plain reads was ended by the server and goes on in a new session",
    "lost": "a session was lost together with a transaction or session state; `detail` says what",
    "park": "the session of a closed connection is kept for the next one",
    "unpark": "a kept session was taken by a new connection",
    "query_retry": "a statement refused with `errno` will be sent again after `seconds`",
    "transaction_retry": "a transaction refused with `errno` will be run again after `seconds`",
    "rolled_back": "a transaction that was left open was rolled back",
}

#: The detail of a ``connect_failed`` that another try might have mended.
OUT_OF_TIME = "no time or no retry left"

_LEVELS = {"kill": logging.INFO, "limited": logging.WARNING, "lost": logging.WARNING}


class Stats(NamedTuple):
    """What one connection or the process has counted since it began, at some moment."""

    connects: int = 0
    connect_retries: int = 0
    connect_failures: int = 0
    refused: int = 0
    """Connects that failed because the server was full (1040, 1203, 1226)."""
    waited: float = 0.0
    """Seconds spent waiting between attempts."""
    looks: int = 0
    kills: int = 0
    given_up: int = 0
    leases: int = 0
    reopened: int = 0
    resumed: int = 0
    lost: int = 0
    parked: int = 0
    parked_reuses: int = 0
    query_retries: int = 0
    transaction_retries: int = 0
    rolled_back: int = 0

    def as_dict(self) -> dict[str, float]:
        """Return the counters by name."""
        return self._asdict()


#: What the whole process has counted, by the names of ``Stats``.
process: dict[str, Any] = {}


class Teller:
    """Counts, logs and tells the listener; never raises into the program."""

    __slots__ = ("_counted", "_listener", "server")

    def __init__(self, server: str, listener: Callable[[Event], object] | None) -> None:
        """Tell ``listener`` of what happens with ``server``."""
        self.server: str = server
        self._counted: dict[str, Any] = {}
        self._listener = listener

    def count(self, counter: str, by: float = 1) -> None:
        """Add to a counter of this connection and of the process."""
        for counted in (self._counted, process):
            counted[counter] = counted.get(counter, 0) + by

    @property
    def stats(self) -> Stats:
        """What this connection has counted so far."""
        return Stats(**self._counted)

    def tell(
        self,
        name: str,
        *,
        connection_id: int | None = None,
        errno: int | None = None,
        seconds: float | None = None,
        attempt: int | None = None,
        load: tuple[int, int] | None = None,
        detail: str = "",
    ) -> None:
        """Log an event and hand it to the listener."""
        level = _LEVELS.get(name, logging.DEBUG)
        if self._listener is None and not logger.isEnabledFor(level):
            return
        used, limit = load or (None, None)
        event = Event(
            name, self.server, connection_id, errno, seconds, attempt, used, limit, detail
        )
        # What listens may fail, a handler of the program's logging, too: the program that runs
        # statements must not see it.
        with suppress(Exception):
            logger.log(level, "%s", event)
        if self._listener is None:
            return
        try:
            self._listener(event)
        except Exception:
            with suppress(Exception):
                logger.exception("on_event raised")
