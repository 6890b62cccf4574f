"""The manager: when to look at a server's load, and what follows; the connect loop; parking.

It decides nothing by itself (``policy`` does) and knows no ``Connection``: it speaks to a
``Session``.  What is known about a server is shared by all connections of the process to it.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from contextvars import ContextVar, Token
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from slsmysql import backoff, err, policy
from slsmysql.events import OUT_OF_TIME
from slsmysql.policy import Load, Thread

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence
    from random import Random

    from slsmysql.events import Teller
    from slsmysql.settings import Settings

T = TypeVar("T")


class _Entropy:
    """``random.SystemRandom()``, loaded when it is first asked: few connects are refused.

    Randomness is the operating system's: containers restored from one snapshot share the state of
    every generator of the process.
    """

    def __getattr__(self, name: str) -> Any:
        import random

        return getattr(random.SystemRandom(), name)


class Environment:
    """Time, sleep and randomness; tests put their own here."""

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        random: Random | _Entropy | None = None,
    ) -> None:
        """Take what a test gives in place of the real."""
        self.monotonic: Callable[[], float] = monotonic
        self.wall: Callable[[], float] = wall
        self.sleep: Callable[[float], None] = sleep
        self.random: Random | _Entropy = random or _Entropy()


environment: Environment = Environment()

#: Connects that leave it to the server to work their lease out (on MariaDB 70 us each), before a
#: round trip for its limit is worth it.
_BLIND_CONNECTS = 2

#: The seconds that the invocation in progress has left; set by ``slsmysql.invocation``.
_deadline: ContextVar[Callable[[], float] | None] = ContextVar("slsmysql_deadline", default=None)


_current: ContextVar[object] = ContextVar("slsmysql_invocation", default=None)


#: Returns the invocation in progress in this thread or task, or None.
current_invocation: Callable[[], object] = _current.get


def begin_invocation(invocation: object) -> Token[object]:
    """Note that an invocation is in progress; undone by ``finish_invocation``."""
    return _current.set(invocation)


def finish_invocation(token: Token[object]) -> None:
    """Undo ``begin_invocation``."""
    _current.reset(token)


def set_deadline(deadline: Callable[[], float] | None) -> Token[Callable[[], float] | None]:
    """Let waits for a connection end by ``deadline``; undone by ``reset_deadline``."""
    return _deadline.set(deadline)


def reset_deadline(token: Token[Callable[[], float] | None]) -> None:
    """Undo ``set_deadline``."""
    _deadline.reset(token)


class Session(Protocol):
    """What the manager needs of a session at rest."""

    @property
    def connection_id(self) -> int:
        """The server's id of the session."""

    @property
    def server_version(self) -> str:
        """The server's version as it introduced itself."""

    @property
    def alive(self) -> bool:
        """Whether the session has not been found lost."""

    def statistics(self) -> str:
        """COM_STATISTICS."""

    def select(self, sql: str) -> Sequence[tuple[Any, ...]]:
        """Run a query of the manager's own and return its rows as text."""

    def run(self, sql: str) -> None:
        """Run a statement of the manager's own."""

    def set_lease(self, seconds: int) -> None:
        """Set the session's wait_timeout."""

    @property
    def lease(self) -> int | None:
        """The session's wait_timeout as far as we know it."""

    def know_lease(self, seconds: int | None) -> None:
        """Take note of the session's wait_timeout."""


class Server:
    """What this process knows of one server, seen with one account."""

    def __init__(
        self,
        *,
        limit: int | None = None,
        limit_read_at: float = float("-inf"),
        account_limit: int = 0,
        last: Load | None = None,
        next_look: float = float("-inf"),
    ) -> None:
        """Know nothing but what is given."""
        self.limit: int | None = limit
        self.limit_read_at: float = limit_read_at
        self.account_limit: int = account_limit
        #: Of our account; None where it has no limit of its own.
        self.account: Load | None = None
        #: The tighter of the two.
        self.last: Load | None = last
        #: Of the last connection made before the limit was known.
        self.used_at_connect: int | None = None
        #: Until when what a connect has counted is good for other new connections.
        self.used_until: float = float("-inf")
        self.next_look: float = next_look
        self.next_count: float = float("-inf")
        self.next_reap: float = float("-inf")
        #: Connects before the limit was known.
        self.blind_connects: int = 0
        self.answered: bool = False
        #: False once it refused session_track_state_change.
        self.tracks_state: bool = True
        self.sees_transactions: bool = True
        self.told_limited: set[str] = set()

    def offset(self, version: str) -> int:
        """Threads that COM_STATISTICS counts and that hold no connection."""
        return 0 if is_mariadb(version) else policy.EVENT_SCHEDULER


def is_mariadb(version: str) -> bool:
    """Whether COM_STATISTICS counts threads that serve nobody, and so is an upper bound only.

    MariaDB keeps the threads of connections that have ended, as many as thread_cache_size says,
    for the next ones; they are counted for five minutes.  MySQL does not count them.
    """
    return "MariaDB" in version


_servers: dict[Hashable, Server] = {}

NEVER_LOOKED_AT = Server(next_look=float("inf"))


def server_for(key: Hashable) -> Server:
    """Return what is known of the server and account that ``key`` names."""
    server = _servers.get(key)
    if server is None:
        server = _servers[key] = Server()
    return server


def forget_servers() -> None:
    """Forget what is known of every server (after a snapshot was restored; tests)."""
    _servers.clear()


class Manager:
    """The manager of one connection."""

    __slots__ = ("_env", "server", "settings", "teller")

    def __init__(self, server: Server, settings: Settings, teller: Teller) -> None:
        """Manage a connection to ``server`` by ``settings``."""
        self.server: Server = server
        self.settings: Settings = settings
        self.teller: Teller = teller
        self._env = environment

    # -- connecting ----------------------------------------------------------------------------

    def connect(
        self, attempt: Callable[[float], T], *, seconds: float, ask_again: bool = False
    ) -> T:
        """Call ``attempt`` until it gives a session or the budget is used up.

        :param attempt: opens a session within the seconds it is given, or raises.
        :param seconds: the budget for everything, waits included.
        :param ask_again: whether another password can be had after "access denied".
        :raises err.Error: the last real error.
        """
        env, settings = self._env, self.settings
        began = env.monotonic()
        left = backoff.countdown(seconds, env.monotonic, settings.deadline or _deadline.get())
        delays = backoff.within(
            backoff.delays(settings, env.random),
            left,
            reserve=_SHORTEST_ATTEMPT,
            max_retries=settings.max_retries,
        )
        retries = 0
        refusal: err.Error | None = None
        while True:
            try:
                made = attempt(max(left(), _SHORTEST_ATTEMPT))
            except err.Error as error:
                errno, message = _errno(error), str(error)
                if errno >= _FIRST_OF_SERVERS and not policy.is_unreachable(errno):
                    self.server.answered = True
                if policy.is_denied(errno) and ask_again:
                    ask_again = False
                    continue
                if not policy.retry_connect(
                    errno, message, answered_before=self.server.answered, retries=retries
                ):
                    self._give_up_connecting(errno, began, retries)
                    raise
                if policy.is_full(errno, message):
                    self.teller.count("refused")
                    self._full(errno)
                delay = next(delays, None)
                if delay is None:
                    if refusal is not None and errno in _CLIENTS and left() <= 0:
                        # Cut short by the budget, not by the server, which has said why before.
                        self._give_up_connecting(_errno(refusal), began, retries, OUT_OF_TIME)
                        raise refusal from None
                    self._give_up_connecting(errno, began, retries, OUT_OF_TIME)
                    raise
                refusal = None if errno in _CLIENTS else error
                longer = policy.wait_after(errno, delay, env.random.random())
                if longer > delay:
                    delay = max(delay, min(longer, left() - _SHORTEST_ATTEMPT))
                retries += 1
                self.teller.count("connect_retries")
                self.teller.count("waited", delay)
                self.teller.tell("connect_retry", errno=errno, seconds=delay, attempt=retries)
                env.sleep(delay)
            else:
                self.server.answered = True
                self.teller.count("connects")
                return made

    def _give_up_connecting(self, errno: int, began: float, retries: int, detail: str = "") -> None:
        self.teller.count("connect_failures")
        self.teller.tell(
            "connect_failed",
            errno=errno or None,
            seconds=self._env.monotonic() - began,
            attempt=retries,
            detail=detail,
        )

    def delays(self, most: int) -> Iterator[float]:
        """Return at most so many waits, in seconds, before something is tried again."""
        left = backoff.countdown(
            float("inf"), self._env.monotonic, self.settings.deadline or _deadline.get()
        )
        delays = backoff.within(backoff.delays(self.settings, self._env.random), left)
        return islice(delays, most)

    def lease_of_new(self, session: Session) -> tuple[str, int | None]:
        """Return a new session's lease, by a look at the load if one is due.

        A look is one round trip here, and one more, once in a process, that reads the limit.

        :return: as SQL, and in seconds where they are known: the first time in a process only the
            server knows its limit.
        """
        server = self.server
        now = self._env.monotonic()
        counted = now < server.used_until
        if server.limit is not None and (
            now < server.next_look or (counted and server.last is not None)
        ):
            lease = self.lease()
            return str(lease), lease
        used = server.used_at_connect
        if server.limit is None:
            server.blind_connects += 1
            if server.blind_connects == _BLIND_CONNECTS + 1:
                # A program that connects and connects, and runs nothing.
                try:
                    self._read_limit(session)
                except (err.Error, TypeError, ValueError):  # whatever a proxy makes of it
                    if not session.alive:
                        raise
        try:
            if used is None or not counted:
                used = self.used(session)
                server.used_until = now + policy.SHORTEST_INTERVAL
        except (err.Error, ValueError):
            if not session.alive:
                raise
            # A proxy that does not know the command; what a look cannot learn it does without.
            return str(self.lease()), self.lease()
        if server.limit is None:
            server.used_at_connect = used
        exactly = _CONNECTED if is_mariadb(session.server_version) else None
        if server.limit is None or (
            exactly and policy.is_busy(Load(used, server.limit), self.settings)
        ):
            if server.limit is not None:
                server.used_until = float("-inf")  # only the server knows what was counted
            return policy.lease_expression(used, self.settings, exactly), None
        server.last = policy.tighter(Load(used, server.limit), server.account)
        lease = policy.lease(server.last, self.settings)
        return str(lease), lease

    def lease(self) -> int | None:
        """Return the seconds for which a session may sleep, by the last reading of the load."""
        return policy.lease(self.server.last, self.settings)

    def _full(self, errno: int) -> None:
        """Take a refusal for what it is: a free reading of 100 %."""
        server = self.server
        if policy.is_accounts(errno) and server.account_limit > 0:
            server.last = server.account = Load(server.account_limit, server.account_limit)
        elif server.limit is not None:
            server.last = Load(server.limit, server.limit)
        server.next_look = float("-inf")

    def pressed(self) -> bool:
        """Whether the last reading was above the threshold."""
        last = self.server.last
        return last is not None and policy.excess(last, self.settings) > 0

    # -- looking -------------------------------------------------------------------------------

    def due(self) -> bool:
        """Whether a look is due."""
        return self._env.monotonic() >= self.server.next_look

    def used(self, session: Session) -> int:
        """Return the connections in use at the server (one round trip, no privilege)."""
        count = policy.threads(session.statistics())
        self.teller.count("looks")
        return max(1, count - self.server.offset(session.server_version))

    def look(self, session: Session, *, sql: bool, may_give_up: bool) -> bool:
        """Look at the load and do what follows; never raises.

        :param sql: whether statements may be sent: they would change ROW_COUNT(), FOUND_ROWS()
            and the warnings of a statement before.
        :param may_give_up: whether the session holds nothing that would be lost.
        :return: True when the session should be given back.
        """
        try:
            return self._look(session, sql=sql, may_give_up=may_give_up)
        except Exception:
            # Whatever it is: the program has not asked for a look.  The session may be lost; its
            # next use finds that out, by the rules for it.  Or the server cannot be looked at: no
            # use in asking it again at every boundary.
            self.server.next_look = self._env.monotonic() + policy.LONGEST_INTERVAL * (
                0.5 + self._env.random.random()
            )
            return False

    def _look(self, session: Session, *, sql: bool, may_give_up: bool) -> bool:
        env, server, settings = self._env, self.server, self.settings
        if server.limit is None and not sql:
            # Nothing to compare a reading with, and nothing may be asked.
            return False
        used = self.used(session)
        now = env.monotonic()
        if sql and now - server.limit_read_at >= settings.max_conns_freq:
            self._read_limit(session)
        if server.limit is None:
            return False
        if is_mariadb(session.server_version) and policy.is_busy(
            Load(used, server.limit), settings
        ):
            if not sql:
                server.next_look = now + policy.SHORTEST_INTERVAL
                return False
            used = self._connected(session)
        if sql and server.account_limit > 0 and now >= server.next_count:
            server.account = Load(self._used_by_account(session), server.account_limit)
            server.next_count = now + _COUNT_AGAIN
        server.last = load = policy.tighter(Load(used, server.limit), server.account)
        self.teller.tell("look", connection_id=session.connection_id, load=load)
        server.next_look = env.monotonic() + policy.interval(load, settings, env.random.random())
        freed = 0
        over = policy.excess(load, settings) > 0
        if over and sql and settings.reap != "off" and env.monotonic() >= server.next_reap:
            freed = self._reap(session)
            now = env.monotonic()
            server.next_reap = now + (
                _REAP_AGAIN if freed else _REAP_IN_VAIN * (0.5 + env.random.random())
            )
            if freed:
                # What was killed is counted until it is gone: nobody has to go for it.
                server.next_look = max(server.next_look, now + policy.SHORTEST_INTERVAL)
        goes = may_give_up and not freed and policy.gives_up(load, settings)
        if sql and not goes:
            self._adapt_lease(session, load)
        return goes

    def _read_limit(self, session: Session) -> None:
        server = self.server
        ((connections, account),) = session.select(
            "SELECT @@GLOBAL.max_connections, @@SESSION.max_user_connections"
        )
        server.limit_read_at = self._env.monotonic()
        server.account_limit = int(account)
        if server.account_limit <= 0:
            server.account = None
        server.limit = int(connections)

    def _connected(self, session: Session) -> int:
        """Return the connections in use at the server, for ten times the price of ``used``."""
        ((count,),) = session.select(f"SELECT {_CONNECTED}")
        return max(1, int(count))

    def _used_by_account(self, session: Session) -> int:
        """Return the connections of our account: needs no privilege, one's own are always seen."""
        ((count,),) = session.select(_OF_ACCOUNT)
        return max(1, int(count))

    def _adapt_lease(self, session: Session, load: Load) -> None:
        lease = policy.lease(load, self.settings)
        if session.lease is None and self.server.used_at_connect is not None:
            # The server has worked it out by itself, from what was told when we connected.
            then = Load(self.server.used_at_connect, load.limit)
            if not (is_mariadb(session.server_version) and policy.is_busy(then, self.settings)):
                session.know_lease(policy.lease(then, self.settings))
        if lease is not None and lease != session.lease:
            session.set_lease(lease)
            if session.lease != lease:
                return  # the program has a wait_timeout of its own
            self.teller.count("leases")
            self.teller.tell("lease", connection_id=session.connection_id, seconds=lease, load=load)

    # -- reaping -------------------------------------------------------------------------------

    def _reap(self, session: Session) -> int:
        """End zombies, at most as many as the load is above the threshold; return how many."""
        # One reaper at a time: each sees what the one before has freed, so that together they
        # kill no more than the excess.
        try:
            # Behind a proxy our own id is not what it said when we connected.
            ((claimed, me),) = session.select(f"SELECT GET_LOCK('{_CLAIM}', 0), CONNECTION_ID()")
        except err.NotSupportedError as error:
            # Percona's cluster in its strict mode has no such locks.
            self._tell_limited("locks", error)
            return 0
        if str(claimed) != "1":
            return 0
        try:
            return self._reap_claimed(session, int(me))
        finally:
            session.select(f"SELECT RELEASE_LOCK('{_CLAIM}')")

    def _reap_claimed(self, session: Session, me: int) -> int:
        rows = [_thread(row) for row in session.select(_PROCESS_LIST)]
        user = next((row.user for row in rows if row.id == me), None)
        if user is None:
            return 0
        if self.settings.reap == "fleet":
            rows = self._tagged(session, rows, me)
        room = policy.excess(self._load_now(session, rows, user), self.settings)
        if room <= 0:
            return 0
        spared = self._with_open_work(session)
        if spared is None:
            return 0
        candidates = policy.zombies(
            rows,
            own_id=me,
            user=user,
            spared=spared,
            sees_transactions=self.server.sees_transactions,
            settings=self.settings,
        )
        killed = 0
        for candidate in candidates:
            if killed >= min(room, policy.MOST_KILLS):
                break
            killed += self._kill(session, candidate)
        return killed

    def _load_now(self, session: Session, rows: Sequence[Thread], user: str) -> Load:
        """Return the load as it is now: what another reaper has killed is as good as gone."""
        dying = sum(row.command == "Killed" for row in rows)
        ours = sum(row.user == user and row.command != "Killed" for row in rows)
        server = self.server
        assert server.limit is not None
        account = Load(ours, server.account_limit) if server.account_limit > 0 else None
        mariadb = is_mariadb(session.server_version)
        used = self._connected(session) if mariadb else self.used(session)
        return policy.tighter(Load(used - dying, server.limit), account)

    def _kill(self, session: Session, candidate: Thread) -> bool:
        # Who wakes between our reading and the KILL finds this lock, and waits: see `spared`.
        if not takes(session, _KILLING):
            return False
        try:
            again = session.select(f"{_PROCESS_LIST} WHERE ID = {candidate.id}")
            if not policy.still_zombie(_thread(again[0]) if again else None, candidate):
                return False
            session.run(f"KILL {candidate.id}")
        except err.Error as error:
            if _errno(error) == _NO_SUCH_THREAD:
                return True
            self._limited("kill", error)
            return False
        finally:
            session.select(f"SELECT RELEASE_LOCK('{_KILLING}')")
        self.teller.count("kills")
        self.teller.tell("kill", connection_id=candidate.id, seconds=candidate.time)
        return True

    def spared(self, session: Session, slept: float) -> bool | None:
        """Ask a session that wakes whether it lives, and let a reaper that has chosen it go first.

        A reaper reads a row again right before its KILL, and holds a lock for both.  When the
        answer says that nobody holds it, nobody has seen this session asleep who has not killed it
        yet; and whoever reads its row from now on sees it awake.

        :param slept: seconds for which nothing was sent.
        :return: whether the session lives; None where it has not slept for so long that anybody
            would have chosen it, and nothing was sent.
        """
        # The process list counts whole seconds, of which the first may be a short one.
        if not self.settings.manage_conns or slept < self.settings.zombie_min_timeout - 1:
            return None
        left = backoff.countdown(_KILL_TAKES, self._env.monotonic)
        try:
            killer = first = self._killer(session)
            while killer is not None and killer == first and left() > 0:
                self._env.sleep(_SOON)
                killer = self._killer(session)
        except (err.Error, ValueError):
            # A server that has no such locks has no reaper; but it has answered, if it has.
            return session.alive
        return True

    def _killer(self, session: Session) -> object:
        """Return the id of the session that reads a row or kills at this moment, if one does."""
        ((killer,),) = session.select(f"SELECT IS_USED_LOCK('{_KILLING}')")
        return killer

    def _with_open_work(self, session: Session) -> set[int] | None:
        """Return the threads whose transaction has changed or locked rows; None: it is not known.

        InnoDB shows a copy of its list, and renews it only for who comes 0.1 s after the last
        reader: of a fleet under pressure nobody might ever see a new one.  A transaction of our
        own which runs this very query, known by a number in it, is in a new one only.
        """
        if not self.server.sees_transactions:
            return set()
        try:
            session.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        except err.Error as error:
            if _errno(error) != _IN_TRANSACTION:
                raise
            return None  # the program reads: its transaction is not ours to end
        session.run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        try:
            for _ in range(2):
                number = f"{self._env.random.getrandbits(64):016x}"
                found = {
                    int(row[0]): str(row[1])
                    for row in session.select(_OPEN_WORK.format(number=number))
                }
                if any(number in query for query in found.values()):
                    return set(found)
                self._env.sleep(_COPY_KEPT)
        except err.Error as error:
            self._limited("transactions", error)
            self.server.sees_transactions = False
            return set()
        finally:
            session.run("ROLLBACK")
        return None

    def _tagged(self, session: Session, rows: Sequence[Thread], me: int) -> list[Thread]:
        try:
            tagged = {int(row[0]) for row in session.select(_TAGGED)}
        except err.Error as error:
            self._limited("connection attributes", error)
            tagged = set()
        else:
            if me not in tagged:
                # performance_schema is off: it shows nobody's attributes, not even ours.
                self._tell_limited("connection attributes", err.OperationalError(0, ""))
        return [row._replace(mine=row.id in tagged) for row in rows]

    def _limited(self, what: str, error: err.Error) -> None:
        """Tell, once, what our account may not do; anything else that went wrong is raised."""
        if _errno(error) not in _DENIED:
            raise error
        self._tell_limited(what, error)

    def _tell_limited(self, what: str, error: err.Error) -> None:
        if what not in self.server.told_limited:
            self.server.told_limited.add(what)
            self.teller.tell("limited", errno=_errno(error), detail=what)


#: Seconds; a shorter time-out would only make a failure of an attempt that could still succeed.
_SHORTEST_ATTEMPT = 0.05
#: Seconds between two readings of the process list, after one that freed something and after one
#: in vain: the list costs the server some 200 us, and what sleeps now has not slept long enough.
_REAP_AGAIN = 1.0
_REAP_IN_VAIN = 3.0
#: Seconds between two counts of our account's connections, which the same list gives.
_COUNT_AGAIN = 1.0
_NO_SUCH_THREAD = 1094
#: The numbers of the client's own errors.
_CLIENTS = range(2000, 3000)
#: Errors of MySQL's have numbers from here on; what the driver or we raise otherwise has none.
_FIRST_OF_SERVERS = 1000
#: Refused for want of a privilege, or because the server has no such table.
_DENIED = frozenset({1044, 1095, 1109, 1142, 1143, 1146, 1227})
_CLAIM = "slsmysql.reap"
_KILLING = "slsmysql.kill"
#: Seconds between two looks at the lock of a reaper that is about to kill, and how long it may
#: take: two round trips, unless its container was frozen in between.
_SOON = 0.005
_KILL_TAKES = 0.2
_PROCESS_LIST = "SELECT ID, USER, COMMAND, TIME FROM information_schema.PROCESSLIST"
#: MariaDB's; a scalar, so that it can stand in an expression.
_CONNECTED = (
    "(SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS"
    " WHERE VARIABLE_NAME = 'THREADS_CONNECTED')"
)
#: Without PROCESS there are no others' rows, with it there are.  USER() is name@host, and a name
#: may contain an @.
_OF_ACCOUNT = (
    "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER ="
    " LEFT(USER(), CHAR_LENGTH(USER()) - LOCATE('@', REVERSE(USER()))) AND COMMAND <> 'Killed'"
)
#: A transaction that has changed rows, or holds locks on some: both engines count them here; and
#: the one by which we know how old the list is.
_OPEN_WORK = (
    "SELECT /* {number} */ trx_mysql_thread_id, trx_query FROM information_schema.INNODB_TRX"
    " WHERE trx_rows_modified > 0 OR trx_rows_locked > 0 OR trx_lock_structs > 0"
    " OR (trx_mysql_thread_id = CONNECTION_ID() AND trx_is_read_only = 1"
    " AND trx_autocommit_non_locking = 0)"
)
#: Seconds for which InnoDB keeps the copy after its last reader, and a little more.
_COPY_KEPT = 0.12
_IN_TRANSACTION = 1568
_TAGGED = (
    "SELECT PROCESSLIST_ID FROM performance_schema.session_account_connect_attrs"
    " WHERE ATTR_NAME = '_slsmysql'"
)


def takes(session: Session, lock: str) -> bool:
    """Whether the session could take a lock without waiting for it."""
    ((taken,),) = session.select(f"SELECT GET_LOCK('{lock}', 0)")
    return str(taken) == "1"


def _thread(row: Sequence[Any]) -> Thread:
    return Thread(int(row[0]), str(row[1]), str(row[2]), int(row[3] or 0))


def _errno(error: BaseException) -> int:
    first = error.args[0] if error.args else 0
    return first if isinstance(first, int) else 0


# -- parking -----------------------------------------------------------------------------------


class Parkable(Protocol):
    """A clean session of a closed connection."""

    #: As in the events about it.
    server: str

    def end(self) -> None:
        """Say goodbye and close; never raises."""


#: In the order in which they were parked.
_parked: list[tuple[Hashable, Any]] = []
#: Threads may share the module (PEP 249, threadsafety 1); reentrant, since a handler of SIGTERM
#: may call ``close_all`` at any moment.
_parking = threading.RLock()
#: Sessions of the process that forked us: kept so that no finalizer speaks on their sockets.
_orphans: list[Any] = []


def park(identity: Hashable, session: Parkable, most: int) -> bool:
    """Keep ``session`` for the next connection of the same identity.

    :param most: how many the whole process keeps; the oldest make room.
    """
    if most < 1:
        return False
    with _parking:
        _parked.append((identity, session))
        too_many = _parked[:-most]
        del _parked[:-most]
    for _, old in too_many:
        old.end()
    return True


def take(identity: Hashable) -> Any | None:
    """Return the session parked last with this identity, or None."""
    with _parking:
        for parked in reversed(_parked):
            if parked[0] == identity:
                with suppress(ValueError):  # ended meanwhile by a signal's handler
                    _parked.remove(parked)
                    return parked[1]
    return None


def parked_count() -> int:
    """Return how many sessions are parked in this process."""
    return len(_parked)


def servers_of_parked() -> list[str]:
    """Return the server of each session that is parked in this process."""
    with _parking:
        return [session.server for _, session in _parked]


def end_parked() -> None:
    """End every parked session: before a snapshot, at SIGTERM, at exit."""
    with _parking:
        sessions = [session for _, session in _parked]
        _parked.clear()
    for session in sessions:
        session.end()


def orphan_parked() -> None:
    """In a child after fork(): the parked sessions are the parent's."""
    global _parking  # noqa: PLW0603 - a thread that the child does not have may hold the lock
    _parking = threading.RLock()
    for _, session in _parked:
        orphan(session)
    _parked.clear()


def orphan(session: object) -> None:
    """In a child after fork(): keep ``session`` from ever being finalized.

    A list is not enough: it is emptied when the interpreter ends, and the driver would say goodbye
    on the parent's socket.
    """
    _orphans.append(session)
    with suppress(ImportError):
        import ctypes

        ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))
