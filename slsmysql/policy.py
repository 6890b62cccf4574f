"""What to do about a server's load: pure decisions, no I/O, no clock, no randomness.

Whoever calls gives the facts (counts, process-list rows, a random number) and carries the answer
out.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from slsmysql.settings import Settings

_THREADS = re.compile(r"\bThreads: (\d+)")

#: COM_STATISTICS counts MySQL's event scheduler, which holds no connection.
EVENT_SCHEDULER: Final = 1

# Connect errors (MySQL's error reference).
_TOO_MANY: Final = frozenset({1040, 1203})
_ACCOUNT_LIMIT: Final = 1226
#: Out of memory, or of threads: the server needs time, not another try.
_EXHAUSTED: Final = frozenset({1041, 1135})
#: A broken hand-shake may have passed, but a host that breaks max_connect_errors (100) is blocked.
_HANDSHAKE: Final = frozenset({1043, 2012})
#: A server that starts or stops, and a session that is lost in its set-up.
_PASSING: Final = frozenset({1053, 1080, 1927, 2006, 2013, 2055, 3032, 3168, 3169, 4031})
#: A Galera node that is not ready ("WSREP has not yet prepared node for application use"); the
#: same number says "unknown command".
_UNPREPARED: Final = 1047
_UNREACHABLE: Final = frozenset({2002, 2003, 2005})
_ACCESS_DENIED: Final = 1045

#: Retries after a broken hand-shake.
FEW_RETRIES: Final = 3
#: Seconds, on average, that an exhausted server is left alone (what the AWS SDKs wait at first
#: after a throttling error).
LONG_WAIT: Final = 1.0

#: Share of the limit up to which nobody is in anybody's way.
CALM: Final = 0.5
#: Seconds for which a sleeping session may live when more than CALM of the limit is in use.
BUSY_LEASE: Final = 60
#: Seconds, when more than conn_utilization is in use: longer than most invocations take between
#: two statements, short against the wait of a refused one.
PRESSED_LEASE: Final = 5
#: Seconds between two looks at an idle server, and at one just below the threshold.
LONGEST_INTERVAL: Final = 5.0
SHORTEST_INTERVAL: Final = 0.1
#: Sessions that one look kills at the most.
MOST_KILLS: Final = 10


class Load(NamedTuple):
    """How many connections are used and how many there may be."""

    used: int
    limit: int

    @property
    def utilization(self) -> float:
        """Used share of the limit, 0 to 1 and beyond."""
        return self.used / self.limit if self.limit > 0 else 1.0


def tighter(server: Load, account: Load | None) -> Load:
    """Return which of two loads counts: the one that is nearer to its limit.

    :param server: all connections of the server, and ``max_connections``.
    :param account: those of our account, and its ``max_user_connections``; None without a limit.
    """
    if account is None or account.utilization <= server.utilization:
        return server
    return account


class Thread(NamedTuple):
    """A row of the server's process list."""

    id: int
    user: str
    command: str
    time: int
    """Seconds in this state."""
    mine: bool = True
    """Whether reap="fleet" may take it: it carries slsmysql's connection attribute."""


def threads(statistics: str) -> int:
    """Return the count of threads in the text of COM_STATISTICS.

    :raises ValueError: the text has none.
    """
    match = _THREADS.search(statistics)
    if match is None:
        raise ValueError(f"no thread count in {statistics!r}")
    return int(match.group(1))


def retry_connect(errno: int, message: str, *, answered_before: bool, retries: int = 0) -> bool:
    """Whether a refused or failed connect is worth another try.

    :param answered_before: this address has answered in this process: not being reached now is
        a restart or a failover, not a wrong address.
    :param retries: how often it has been tried again already.
    """
    if errno == _ACCOUNT_LIMIT:
        # Also raised for limits of connections an hour, which no wait within a budget ends.
        return "max_user_connections" in message
    if errno in _UNREACHABLE:
        return answered_before
    if errno in _HANDSHAKE:
        return retries < FEW_RETRIES
    if errno == _UNPREPARED:
        return "WSREP" in message
    return errno in _TOO_MANY or errno in _EXHAUSTED or errno in _PASSING


def wait_after(errno: int, delay: float, chance: float) -> float:
    """Return the seconds to wait before the next try: ``delay``, or longer where that would harm.

    :param chance: uniform in [0, 1).
    """
    if errno in _EXHAUSTED:
        return max(delay, LONG_WAIT * (0.5 + chance))
    return delay


def is_full(errno: int, message: str) -> bool:
    """Whether the error is a reading of 100 %: no connection was free."""
    return errno in _TOO_MANY or (errno == _ACCOUNT_LIMIT and "max_user_connections" in message)


def is_accounts(errno: int) -> bool:
    """Whether such a refusal is for the account's limit, and not for the server's."""
    return errno in {1203, _ACCOUNT_LIMIT}


def is_unreachable(errno: int) -> bool:
    """Whether nothing answered at the address."""
    return errno in _UNREACHABLE


def is_denied(errno: int) -> bool:
    """Whether another password may help."""
    return errno == _ACCESS_DENIED


def lease(load: Load | None, settings: Settings) -> int | None:
    """Return the seconds for which the server shall keep our session while it sleeps.

    Shorter the fuller the server is.  None: leave ``wait_timeout`` alone.
    """
    if settings.lease is None:
        return None
    full, busy, pressed = _leases(settings, settings.lease)
    if load is None:
        return full
    if load.utilization >= settings.conn_utilization:
        return pressed
    return busy if is_busy(load, settings) else full


def is_busy(load: Load, settings: Settings) -> bool:
    """Whether so much of the limit is used that a shorter lease is in place."""
    return load.utilization >= min(CALM, settings.conn_utilization)


def _leases(settings: Settings, full: int) -> tuple[int, int, int]:
    """Return the leases at an idle, a busy and a pressed server; never a longer one after it.

    A lease shorter than ``zombie_min_timeout`` would end sessions that are no zombies yet.
    """
    least = math.ceil(settings.zombie_min_timeout)
    return full, min(full, max(BUSY_LEASE, least)), min(full, max(PRESSED_LEASE, least))


def lease_expression(used: int, settings: Settings, exactly: str | None = None) -> str:
    """Return ``lease`` as an SQL expression, for when only the server knows its limit.

    :param exactly: SQL for the number of which ``used`` is an upper bound; evaluated only where
        that makes a difference.
    :raises ValueError: the settings have no lease.
    """
    if settings.lease is None:
        raise ValueError("no lease to set")
    full, busy, pressed = _leases(settings, settings.lease)
    limit = "@@GLOBAL.max_connections"
    count = used if exactly is None else exactly
    least = min(CALM, settings.conn_utilization)
    by_count = (
        f"IF({count}>={settings.conn_utilization}*{limit},{pressed},"
        f"IF({count}>={least}*{limit},{busy},{full}))"
    )
    return by_count if exactly is None else f"IF({used}>={least}*{limit},{by_count},{full})"


def interval(load: Load, settings: Settings, chance: float) -> float:
    """Return the seconds until the next look.

    Long when the server is empty, short when it is near the threshold; the same for all would
    make a fleet look at once, so it is spread over half to one and a half of the value.

    :param chance: uniform in [0, 1).
    """
    if settings.used_conns_freq is not None:
        return settings.used_conns_freq
    headroom = max(0.0, 1.0 - load.utilization / settings.conn_utilization)
    plain = SHORTEST_INTERVAL + (LONGEST_INTERVAL - SHORTEST_INTERVAL) * headroom
    if headroom == 0.0:
        plain = 0.0
    return plain * (0.5 + chance)


def excess(load: Load, settings: Settings) -> int:
    """Return by how many connections the load is above the threshold; 0 when it is not."""
    return max(0, load.used - _threshold(load.limit, settings))


def _threshold(limit: int, settings: Settings) -> int:
    """Return how many connections may be used before there is an excess."""
    # A share such as 0.29 is a little less than it says, and 29 of 100 would be one too many.
    return math.floor(settings.conn_utilization * limit + 1e-9)


def gives_up(load: Load, settings: Settings) -> bool:
    """Whether a session at rest gives its handle back: whenever there are too many.

    Each who gave one up is in the next reading of the others, so that a fleet does not leave at
    once.  Giving up in proportion to the excess instead leaves sessions to frozen containers
    while others wait: in a burst of 20 containers for each connection the waits are twice as
    long, and some fail (docs/tuning.md).
    """
    return excess(load, settings) > 0


def zombies(
    rows: Iterable[Thread],
    *,
    own_id: int,
    user: str,
    spared: Collection[int],
    sees_transactions: bool,
    settings: Settings,
) -> list[Thread]:
    """Return the sessions that may be killed, the longest asleep first.

    Only sleeping sessions of ``user``, never our own, never one in ``spared`` (those with a
    transaction that changed or locked rows).  Where transactions cannot be seen, only those that
    slept for ``zombie_max_timeout``.  Daemons, replication and running statements are no sleep.
    """
    found = [
        row
        for row in rows
        if not why_not(
            row,
            own_id=own_id,
            user=user,
            spared=spared,
            sees_transactions=sees_transactions,
            settings=settings,
        )
    ]
    return sorted(found, key=lambda row: (-row.time, row.id))


def why_not(
    row: Thread,
    *,
    own_id: int,
    user: str,
    spared: Collection[int],
    sees_transactions: bool,
    settings: Settings,
) -> str:
    """Return what keeps a session from being a zombie, in words; nothing for a zombie."""
    timeout = settings.zombie_min_timeout if sees_transactions else settings.zombie_max_timeout
    if row.id == own_id:
        return "this very session"
    if row.user != user:
        return "another account's"
    if row.command != "Sleep":
        return "not asleep"
    if row.id in spared:
        return "has a transaction that changed or locked rows"
    if row.time < timeout:
        if sees_transactions:
            return f"asleep for less than zombie_min_timeout ({timeout:g} s)"
        return (
            f"asleep for less than zombie_max_timeout ({timeout:g} s), and without PROCESS nobody"
            " can see whether it holds a transaction"
        )
    if settings.reap == "fleet" and not row.mine:
        return 'not opened by slsmysql (reap="fleet")'
    return ""


def still_zombie(row: Thread | None, candidate: Thread) -> bool:
    """Whether a row read again is the same sleep that ``candidate`` was."""
    return (
        row is not None
        and (row.id, row.user, row.command) == (candidate.id, candidate.user, "Sleep")
        and row.time >= candidate.time
    )
