"""The connection: PyMySQL's face.

What lies behind it, a session with the server that may be replaced by another, is in
``lifecycle``; read that for the life of a connection.
"""

from __future__ import annotations

import atexit
import os
import warnings
import weakref
from _thread import RLock
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from slsmysql import _driver, converters, err, manager
from slsmysql.charset import charset_by_id
from slsmysql.constants import CR
from slsmysql.lifecycle import Lifecycle
from slsmysql.manager import environment
from slsmysql.options import DEFAULTS, Secret, build_options, codec_of, conceal, os_user, parse_url
from slsmysql.results import MySQLResult
from slsmysql.session import (
    AUTOCOMMIT,
    IN_TRANSACTION,
    NO_BACKSLASH_ESCAPES,
    OTHER,
    Effect,
    effect_of,
    known_effects,
)
from slsmysql.settings import FROM_TEXT, NAMES, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from typing_extensions import Self, Unpack
    from typing_extensions import TypeVar as TypeVarWithDefault

    from slsmysql._driver import Handle
    from slsmysql._keywords import Keywords
    from slsmysql.cursors import Cursor
    from slsmysql.events import Stats

    #: What ``cursor()`` returns.
    C = TypeVarWithDefault("C", default=Cursor)
else:
    C = TypeVar("C")

T = TypeVar("T")
AnyCursor = TypeVar("AnyCursor")

__all__ = ["DEFAULT_CHARSET", "Connection", "MySQLResult", "close_all"]

DEFAULT_CHARSET = "utf8mb4"
MAX_PACKET_LEN = 2**24 - 1
DEBUG = False
SSL_ENABLED = True

#: The columns' types which have text in them where the collation is not ``binary``.
TEXT_TYPES = converters.TEXT_TYPES

_OTHERS = frozenset({*NAMES, "settings", "defer_connect"})
_KNOWN = _OTHERS | set(DEFAULTS)

_COMMIT = effect_of("COMMIT")
_ROLLBACK = effect_of("ROLLBACK")
_BEGIN = effect_of("BEGIN")
_SELECT_DB = Effect(explained=True)

#: What makes ``run_transaction`` run its function again.
_UNDONE = _driver.LOST | _driver.READ_ONLY | {1205, 1213}

_SEQUENCES = frozenset({tuple, list, set, frozenset})
#: The types of parameters that are neither text, nor bytes, nor several.
_SCALARS = frozenset(converters.encoders) - _SEQUENCES - {str, bytes, dict}

#: The codecs that write a yen sign as 0x5C, which to the server is a backslash: it would escape
#: what stands behind it.
_YEN_IS_BACKSLASH = frozenset({"sjis", "ujis"})

_connections: weakref.WeakSet[Connection[Any]] = weakref.WeakSet()
#: How often the connections are counted anew while other threads make some.
_TRIES = 10


class Connection(Lifecycle, Generic[C]):
    """A connection to a MySQL or MariaDB server (PEP 249, PyMySQL's ``Connection``).

    It may live through several sessions with the server.  See ``docs/options.md`` for the
    keywords: PyMySQL's, and those of ``Settings``.

    :raises err.OperationalError: with MySQL's errno when the connect failed for good.
    :raises err.ProgrammingError: an option is wrong; nothing has been sent.
    """

    Warning = err.Warning
    Error = err.Error
    InterfaceError = err.InterfaceError
    DatabaseError = err.DatabaseError
    DataError = err.DataError
    OperationalError = err.OperationalError
    IntegrityError = err.IntegrityError
    InternalError = err.InternalError
    ProgrammingError = err.ProgrammingError
    NotSupportedError = err.NotSupportedError

    #: Whether a subclass has its own way to make literals.
    _escapes_itself = False

    # As in Lifecycle; type checkers want it again where a subclass assigns to them.
    charset: str
    collation: str | None
    autocommit_mode: bool | None

    @overload
    def __init__(
        self: Connection[Cursor],
        url: str | None = None,
        /,
        *,
        cursorclass: None = None,
        **keywords: Unpack[Keywords],
    ) -> None: ...
    @overload
    def __init__(
        self,
        url: str | None = None,
        /,
        *,
        cursorclass: Callable[[Any], C],
        **keywords: Unpack[Keywords],
    ) -> None: ...
    def __init__(self, url: str | None = None, /, **keywords: Any) -> None:
        """Connect, unless ``defer_connect`` is given.

        :param url: "mysql://user:password@host:port/database?option=value"; keywords win.
        """
        # From here on nothing that a traceback could show holds the password.
        keywords = conceal(keywords, _KNOWN)
        if url is not None:
            hidden, url = Secret(url), None
            keywords = {**parse_url(hidden.reveal(), FROM_TEXT), **keywords}
        options, rest = build_options(keywords, others=_OTHERS, stacklevel=3)
        defer = rest.pop("defer_connect", False)
        settings = Settings.build(rest, os.environ)
        del keywords
        self._set_options(options, settings)
        _connections.add(self)
        self._deferred = bool(defer)
        if not defer:
            self.connect()

    def __repr__(self) -> str:
        """Return where it is connected to; never a secret."""
        if self.__dict__.get("_teller") is None:  # an option is wrong, and a reporter looks
            return "<slsmysql.Connection not made>"
        state = "closed" if self._closed else "open" if self._handle else "dormant"
        return f"<slsmysql.Connection {self._teller.server} {state}>"

    def connect(self, sock: None = None) -> None:
        """Connect, again if need be: what was open is dropped.

        :param sock: PyMySQL's; a socket of one's own cannot be used.
        :raises err.OperationalError: when the budget of ``connect_timeout`` seconds is used up,
            or at once for what no retry mends.
        """
        if sock is not None:
            raise err.NotSupportedError("connect(sock=) is not supported: the driver connects")
        with self._lock:
            self._refuse_busy()
            old = self._handle
            self._fresh()
            self._deferred = False
            self._result = None
            if old is not None:
                old.quit()
            parked = self._take_parked()
            if parked is not None:
                self._adopt(parked.handle, parked.lease)
                self._last, self._last_wall = parked.parked_at, parked.parked_wall
                self._teller.count("parked_reuses")
                self._teller.tell("unpark", connection_id=parked.handle.thread_id)
            else:
                self._open()
            mode = self.autocommit_mode
            if mode is not None and mode != self.options.autocommit:
                self.autocommit(mode)  # as it was before

    # -- statements ----------------------------------------------------------------------------

    def query(self, sql: Any, unbuffered: bool = False) -> int:
        """Send a statement and read its first result into ``_result``.

        :return: the number of rows, found or affected.
        """
        effect = None
        told = self._effect
        if told is not None:
            self._effect = None
            # A subclass of Cursor may run another statement in between: its text is another object.
            if told[0] is sql:
                effect = told[1]
        if isinstance(sql, str):
            if effect is None:
                effect = known_effects.get(sql) or effect_of(sql)
            sql = sql.encode(self.encoding)
        else:
            # Bytes of any kind; what is none fails with PyMySQL's TypeError.
            sql = b"" + sql[: len(sql)]
            if effect is None:
                effect = effect_of(sql.decode(self.encoding, "replace"))
        self._affected_rows = count = self._run(sql, effect, unbuffered)
        return count

    # -- transactions --------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin a transaction explicitly."""
        self._run(b"BEGIN", _BEGIN)
        self._result = None

    def commit(self) -> None:
        """Commit; a boundary.

        :raises err.OutcomeUnknownError: the session was lost before the answer came.
        :raises err.InterfaceError: the transaction was lost before; it has been rolled back.
        """
        self._end_transaction(b"COMMIT", _COMMIT)

    def rollback(self) -> None:
        """Roll back; a boundary.  After a lost session this is how to say that one knows."""
        with self._lock:
            if self._handle is None:
                self._notice()
            if self._broken is not None and not self._closed:
                self._broken = None
                return
        self._end_transaction(b"ROLLBACK", _ROLLBACK)

    @contextmanager
    def transaction(self) -> Iterator[Self]:
        """Run a block as one transaction: committed at its end, rolled back on an exception.

        :raises err.ProgrammingError: a transaction with work in it is open already.
        """
        if self._state.dirty:
            raise err.ProgrammingError(
                "transaction(): a transaction is open; commit() or rollback() it first"
            )
        self.begin()
        try:
            yield self
        except BaseException:
            with suppress(err.Error):
                self.rollback()
            raise
        self.commit()

    def run_transaction(self, work: Callable[[Self], T], *, retries: int = 3) -> T:
        """Run ``work(connection)`` as one transaction, all of it again when the server undid it.

        Undone are a deadlock (1213), a lock wait that took too long (1205), a session that was
        lost before the COMMIT, and a server that became read-only.  An outcome that is not known
        is never run again.

        :param retries: how often at the most.
        :return: what ``work`` returned the time it was committed.
        :raises err.OutcomeUnknownError: the session was lost during the COMMIT.
        """
        for attempt, delay in enumerate(self._manager.delays(retries), 1):
            try:
                with self.transaction():
                    return work(self)
            except err.OutcomeUnknownError:
                raise
            except err.OperationalError as error:
                errno = error.args[0] if error.args else None
                if errno not in _UNDONE:
                    raise
                if errno in _driver.READ_ONLY and self._handle is not None:
                    self._handle.quit()
                    self._handle = None
                self._teller.count("transaction_retries")
                self._teller.tell("transaction_retry", errno=errno, seconds=delay, attempt=attempt)
                environment.sleep(delay)
        with self.transaction():
            return work(self)

    def end_invocation(self, invocation: object) -> None:
        """End what an invocation left open, and run the boundary; never raises.

        See ``slsmysql.invocation``, which calls this for every connection.  One that was last
        used elsewhere, by another invocation in another thread or task, is that one's business.
        """
        if self._used_in is not invocation or not self._lock.acquire(blocking=False):
            return
        try:
            if self._closed or self._busy:
                return
            self._broken = None
            if self._result is not None and self._result.unbuffered_active:
                # A stream that nobody will read: ending the session is cheaper than reading it.
                self._drop("left unread at the end of an invocation")
            if self._state.dirty:
                self._teller.count("rolled_back")
                self._teller.tell("rolled_back", detail="left open at the end of an invocation")
            with suppress(err.Error):
                if self._handle is not None:
                    self._end_transaction(b"ROLLBACK", _ROLLBACK)
                    self._boundary(sql_allowed=True)
        finally:
            self._lock.release()

    # -- closing -------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the connection; its session is rolled back, cleaned and kept for the next one.

        :raises err.Error: it was closed before.
        """
        with self._lock:
            if self._closed:
                raise err.Error("Already closed")
            handle = self._detach()
            if handle is None:
                return
            if not (
                self.settings.manage_conns
                and self.settings.reuse
                and handle.alive
                and self._broken is None
                and not self._busy
                and self._park(handle)
            ):
                handle.quit()

    def quit(self) -> None:
        """Close the connection and end its session; never raises, any number of times."""
        with self._lock:
            handle = self._detach()
            if handle is not None:
                handle.quit()

    def __enter__(self) -> Self:
        """Return the connection."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        """Close the connection; nothing is committed."""
        if exc_type is not None and self._closed:
            return
        self.close()

    def __del__(self) -> None:
        """End the session of a connection that nobody closed."""
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.quit()

    def _force_close(self) -> None:
        """Drop the session without a word (PyMySQL's)."""
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.abandon()
            self._lose("closed by force")
            self._broken = self._broken or "closed by force"

    # -- what PyMySQL's users ask a connection -------------------------------------------------

    @property
    def open(self) -> bool:
        """Whether statements can be run: connected, or dormant and connecting at need."""
        if self._closed or self._broken is not None or self._deferred:
            return False
        return self._handle is None or self._handle.alive or self._state.replaceable()

    @property
    def handle(self) -> Handle | None:
        """The session at hand; None while dormant or closed."""
        return self._handle

    @property
    def _sock(self) -> Any:
        """What some programs look at to see whether a PyMySQL connection is open."""
        return self._handle

    @property
    def password(self) -> Any:
        """The password as given (bytes or a callable), as PyMySQL has it."""
        secret = self.options.password
        return secret.reveal() if secret.is_callable else secret.get()

    @property
    def db(self) -> bytes | None:
        """The name of the database that ``connect`` was given, as bytes; as PyMySQL has it."""
        database = self.options.database
        return database.encode(self.encoding) if isinstance(database, str) else database

    @property
    def database(self) -> str | None:
        """The name of the current database; what OpenTelemetry reads."""
        database = self._state.database
        return database.decode(self.encoding) if isinstance(database, bytes) else database

    @property
    def server_status(self) -> int:
        """The server's status word as last heard."""
        handle = self._handle
        return handle.status if handle is not None else self._state.status

    @property
    def server_charset(self) -> str | None:
        """The name of the character set."""
        handle = self._handle
        return charset_by_id(handle.server_charset_id).name if handle is not None else None

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return bool(self.server_status & IN_TRANSACTION)

    @property
    def _server_version(self) -> tuple[int, ...]:
        """The version as numbers (mysqlclient's; ibis reads it)."""
        text = self.server_version.removeprefix("5.5.5-").split("-")[0]
        return tuple(int(part) for part in text.split(".") if part.isdigit())

    @overload
    def cursor(self, cursor: None = None) -> C: ...
    @overload
    def cursor(self, cursor: Callable[[Any], AnyCursor]) -> AnyCursor: ...
    def cursor(self, cursor: Callable[[Any], Any] | None = None) -> Any:
        """Return a new cursor; talks to nobody.

        :param cursor: the class; None for the connection's ``cursorclass``.
        """
        return cursor(self) if cursor else self.cursorclass(self)

    def autocommit(self, value: object) -> None:
        """Switch autocommit on or off; sent only if it is not so already."""
        self.autocommit_mode = bool(value)
        if self._handle is None and not self._closed and self._broken is None:
            self._state.replay["autocommit"] = f"SET SESSION autocommit={int(bool(value))}"
            self._state.changed = True
            return
        if value != self.get_autocommit():
            self._send_autocommit_mode()

    def _send_autocommit_mode(self) -> None:
        sql = f"SET AUTOCOMMIT = {int(bool(self.autocommit_mode))}"
        self._run(sql.encode(), effect_of(sql))
        self._result = None
        if self.autocommit_mode == self.options.autocommit:
            # As the session was set up: nothing to set again, and nothing to clean.
            self._state.replay.pop("autocommit", None)

    def get_autocommit(self) -> bool:
        """Whether autocommit is on, as the server last said."""
        if self._handle is None and "autocommit" in self._state.replay:
            return self._state.replay["autocommit"].endswith("1")
        return bool(self.server_status & AUTOCOMMIT)

    def select_db(self, db: str | bytes) -> None:
        """Make ``db`` the current database."""
        with self._lock:
            self._refuse_busy()
            handle = self._ready_at_rest()
            name = db.encode(self.encoding) if isinstance(db, str) else b"" + db[: len(db)]
            try:
                with self._talking():
                    handle.init_db(name)
            except BaseException as error:
                self._failed(error, handle, None, _SELECT_DB, unbuffered=False)
            self._state.database = db
            self._state.changed = True
            self._touch()

    def _ready_at_rest(self) -> Handle:
        handle = self._ready(OTHER, written=False)
        result = self._result
        if result is not None:
            if result.unbuffered_active or result.has_next:
                self._drain(result)
            self._result = None
        return handle

    def ping(self, reconnect: bool = False) -> None:
        """Check that the server answers; a session with which nothing is lost is replaced.

        :param reconnect: connect again whatever is lost.
        :raises err.Error: closed, or the session is lost with something in it.
        """
        if reconnect:
            warnings.warn(
                "The 'reconnect' argument is deprecated. Create a new connection if you want"
                " to reconnect.",
                DeprecationWarning,
                stacklevel=2,
            )
        with self._lock:
            self._refuse_busy()
            if self._closed or self._broken is not None or self._deferred:
                if not reconnect:
                    raise err.Error("Already closed")
                self.connect()
                return
            handle = self._handle
            if handle is not None and handle.alive:
                result = self._result
                if result is not None and (result.unbuffered_active or result.has_next):
                    self._drain(result)
                with self._talking():
                    answers = handle.ping()
                if answers:
                    self._touch()
                    self._result = None
                    return
            if handle is not None:
                handle.abandon()
                self._handle = None
            if self._state.replaceable():
                self._reopen("found lost by ping()", written=False)
            elif reconnect:
                self.connect()
            else:
                what = self._lose("found lost by ping()")
                raise err.OperationalError(CR.CR_SERVER_LOST, f"{_driver.LOST_MESSAGE} ({what})")

    def set_character_set(self, charset: str, collation: str | None = None) -> None:
        """Change the character set (``SET NAMES``) and the codec with it.

        :raises err.ProgrammingError: an unknown one, or one that Python has no codec for.
        """
        encoding = codec_of(charset)
        sql = f"SET NAMES {charset}" + (f" COLLATE {collation}" if collation else "")
        self._run(sql.encode(), effect_of(sql))
        self._result = None
        self.charset, self.collation = charset, collation
        self.encoding = encoding

    def set_charset(self, charset: str) -> None:
        """Deprecated name of ``set_character_set``."""
        warnings.warn(
            "'set_charset' is deprecated, use 'set_character_set' instead",
            DeprecationWarning,
            stacklevel=2,
        )
        self.set_character_set(charset)

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Have literals made by the methods of a subclass that has its own."""
        super().__init_subclass__(**keywords)
        for name in ("escape", "_escape_string"):
            if getattr(cls, name) is not getattr(Connection, name):
                cls._escapes_itself = True

    def _literals(self) -> Mapping[type, Callable[[Any], str]]:
        """Return what makes literals, by type; ``escape`` is for all other types."""
        if self._escapes_itself or not self._encoders.whole:
            return {}
        if self._state.status & NO_BACKSLASH_ESCAPES:
            return converters.PLAIN_LITERALS
        return {} if self.encoding in _YEN_IS_BACKSLASH else converters.LITERALS

    def escape(self, obj: Any, mapping: Any = None) -> str:
        """Return ``obj`` as an SQL literal."""
        if mapping is None:
            mapping = self._encoders
        kind = type(obj)
        if kind in _SCALARS:
            encoder = mapping.get(kind)
            if encoder is not None and encoder is not converters.escape_sequence:
                text: str = encoder(obj, mapping)
                return text
        elif isinstance(obj, str):
            return f"'{self._escape_string(obj)}'"
        elif isinstance(obj, (bytes, bytearray)):
            return f"X'{obj.hex()}'"
        elif kind in _SEQUENCES:
            escape = self.escape
            return "(" + ",".join([escape(item, mapping) for item in obj]) + ")"
        if (mapping.get(kind) or mapping.get(str)) is converters.escape_str:
            # Whatever speaks for itself is text of this session, too.
            return f"'{self._escape_string(str(obj))}'"
        return converters.escape_item(obj, self.encoding, mapping)

    def literal(self, obj: Any) -> str:
        """Deprecated name of ``escape``."""
        warnings.warn(
            "literal() is deprecated and will be removed in the next version.",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.escape(obj)

    def _escape_string(self, text: str) -> str:
        if self._state.status & NO_BACKSLASH_ESCAPES:
            return text.replace("'", "''")
        escaped = converters.escape_string(text)
        if "\xa5" in escaped and self.encoding in _YEN_IS_BACKSLASH:
            escaped = escaped.replace("\xa5", "\\\xa5")
        return escaped

    def escape_string(self, text: str) -> str:
        """Return ``text`` escaped, without quotes (PyMySQL up to 1.2.0)."""
        return self._escape_string(text)

    def show_warnings(self) -> Any:
        """Return the rows of ``SHOW WARNINGS``: (level, code, message)."""
        self._run(b"SHOW WARNINGS", effect_of("SHOW WARNINGS"))
        result, self._result = self._result, None
        assert result is not None
        return result.rows

    def kill(self, thread_id: int) -> None:
        """End another session (``KILL``)."""
        if not isinstance(thread_id, int):
            raise TypeError("thread_id must be an integer")
        self.query(f"KILL {thread_id:d}")

    def affected_rows(self) -> int:
        """Return the row count of the last statement."""
        return self._affected_rows

    def insert_id(self) -> int | None:
        """Return the AUTO_INCREMENT value of the last statement; 0 if there is none."""
        return self._result.insert_id if self._result else 0

    def thread_id(self) -> int:
        """Return the server's id of the session, or of the last one."""
        return int(self.server_thread_id[0])

    def character_set_name(self) -> str:
        """Return the character set."""
        return self.charset

    def get_host_info(self) -> str:
        """Return how the server is reached."""
        return self.host_info

    def get_proto_info(self) -> int:
        """Return the protocol's version."""
        return int(self.protocol_version)

    def get_server_info(self) -> str:
        """Return the server's version."""
        return str(self.server_version)

    def change_user(self, user: str, password: Any = "", database: str | None = None) -> None:
        """Go on as another user, in a new session; what was open is rolled back.

        :param database: None for the one that ``connect`` was given.
        """
        given = {"user": user, "password": Secret(password or b"")}
        if database is not None:
            given["database"] = database
        # What is wrong is told before anything is lost.
        checked, _ = build_options(given, others=frozenset(), stacklevel=3)
        changes = {name: getattr(checked, name) for name in given}
        with self._lock:
            self._refuse_busy()
            handle = self._handle
            self._handle = None
            if handle is not None:
                handle.quit()
            self._set_options(self.options._replace(**changes), self.settings)
            self.connect()

    def stats(self) -> Stats:
        """Return the counters of this connection."""
        return self._teller.stats


def __getattr__(name: str) -> Any:
    if name == "DEFAULT_USER":  # costs an import, and next to nobody asks
        return os_user()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def sessions() -> dict[str, tuple[int, int]]:
    """Return how many sessions this process holds of each server: in use, and parked.

    The servers are named as in events.  In use are those of all connections that are not closed.
    May be called by any thread.
    """
    used: list[str] = []
    for _ in range(_TRIES):
        try:
            used = [each._teller.server for each in _connections if each._handle is not None]
        except RuntimeError:  # another thread has just made a connection
            continue
        break
    parked = manager.servers_of_parked()
    return {
        server: (used.count(server), parked.count(server)) for server in sorted({*used, *parked})
    }


def close_all() -> None:
    """End every session of this process that is at rest, parked or not: for SIGTERM, at exit.

    A connection with a transaction or session state in it is left alone; the others are dormant
    afterwards, and connect again if they are used again.
    """
    manager.end_parked()
    for connection in list(_connections):
        connection._give_back()


def end_invocations(invocation: object) -> None:
    """End what ``invocation`` left open, on every connection of the process."""
    for connection in list(_connections):
        connection.end_invocation(invocation)


def before_snapshot() -> None:
    """End every session at rest: a snapshot of the process will be started many times."""
    manager.end_parked()
    for connection in list(_connections):
        connection._drop("before a snapshot")


def after_restore() -> None:
    """Forget what was known of the servers when the snapshot was taken."""
    manager.forget_servers()


def _after_fork_in_child() -> None:
    """Every session is the parent's: a child opens its own, and never speaks on these."""
    manager.orphan_parked()
    for connection in list(_connections):
        handle, connection._handle = connection._handle, None
        connection._lock = RLock()
        connection._busy = False
        if handle is not None:
            manager.orphan(handle)
            connection._lose("forked")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(close_all)
if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
    with suppress(ImportError):
        import snapshot_restore_py

        snapshot_restore_py.register_before_snapshot(before_snapshot)
        snapshot_restore_py.register_after_restore(after_restore)
