"""The connection: PyMySQL's face over handles that come and go.

Read from top to bottom this is the life of a connection: made, made ready before each statement,
run, what follows from a failure, the boundary at which the handle may be given back, closed and
parked.  What to do about a server's load is the manager's business.
"""

from __future__ import annotations

import atexit
import os
import weakref
from _thread import RLock
from contextlib import contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from slsmysql import _driver, _text, converters, err, manager
from slsmysql._driver import Field, Handle
from slsmysql.charset import charset_by_id, charset_by_name
from slsmysql.constants import CLIENT, CR, FIELD_TYPE
from slsmysql.cursors import Cursor
from slsmysql.events import Stats, Teller
from slsmysql.manager import Manager, environment
from slsmysql.options import Options, Secret, build_options, parse_url
from slsmysql.session import (
    AUTOCOMMIT,
    IN_TRANSACTION,
    NO_BACKSLASH_ESCAPES,
    OTHER,
    STATE_CHANGED,
    Effect,
    effect_of,
)
from slsmysql.settings import FROM_TEXT, NAMES, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

    from typing_extensions import Self

T = TypeVar("T")

__all__ = ["DEFAULT_CHARSET", "Connection", "MySQLResult", "close_all"]

DEFAULT_CHARSET = "utf8mb4"
MAX_PACKET_LEN = 2**24 - 1
DEBUG = False
SSL_ENABLED = True

#: The columns' types which have text in them where the collation is not ``binary``.
TEXT_TYPES = converters.TEXT_TYPES

#: What the C extension converts to the same values as PyMySQL, and faster than Python can.
_NATIVE = frozenset(
    {
        FIELD_TYPE.TINY,
        FIELD_TYPE.SHORT,
        FIELD_TYPE.LONG,
        FIELD_TYPE.LONGLONG,
        FIELD_TYPE.INT24,
        FIELD_TYPE.YEAR,
        FIELD_TYPE.FLOAT,
        FIELD_TYPE.DOUBLE,
        FIELD_TYPE.NULL,
    }
)

#: Rows that are decoded together: enough to be fast, few enough that the bytes of a large result
#: are never all in memory beside its values.
_BATCH = 1000

#: What PyMySQL has as the row count of a result that is being streamed.
_UNKNOWN_COUNT = 2**64 - 1

_OTHERS = frozenset({*NAMES, "settings", "defer_connect"})

_COMMIT = effect_of("COMMIT")
_ROLLBACK = effect_of("ROLLBACK")
_BEGIN = effect_of("BEGIN")

_UNKNOWN_VARIABLE = 1193
_DEADLOCKS = frozenset({1205, 1213})

_connections: weakref.WeakSet[Connection] = weakref.WeakSet()


class MySQLResult:
    """One result of a statement, as cursors read it (PyMySQL's ``MySQLResult``)."""

    __slots__ = (
        "_description",
        "_fields",
        "_raw_fields",
        "affected_rows",
        "connection",
        "decoders",
        "has_next",
        "insert_id",
        "message",
        "rows",
        "server_status",
        "unbuffered_active",
        "warning_count",
    )

    rows: Any

    def __init__(self, raw_fields: list[tuple[Any, ...]] | None) -> None:
        """Make a result with these columns, or none."""
        self._raw_fields = raw_fields
        self._fields: list[Field] | None = None
        self._description: Any = None
        self.affected_rows = 0
        self.insert_id: int | None = None
        self.warning_count = 0
        self.message: bytes | None = None
        self.has_next: Any = False
        self.unbuffered_active = False
        self.connection: Connection | None = None
        self.decoders: Any = None
        self.server_status: int | None = None
        self.rows = None

    @property
    def fields(self) -> list[Field]:
        """The columns."""
        if self._fields is None:
            self._fields = [Field(*raw) for raw in self._raw_fields or ()]
        return self._fields

    @property
    def field_count(self) -> int:
        """The number of columns; 0 without a result set."""
        return len(self._raw_fields) if self._raw_fields else 0

    @property
    def description(self) -> Any:
        """PEP 249's description, or None without a result set."""
        if self._raw_fields is None:
            return None
        if self._description is None:
            self._description = tuple([field.description() for field in self.fields])
        return self._description

    def _read_rowdata_packet_unbuffered(self) -> Any:
        """Return the next row of a streamed result, or None."""
        if not self.unbuffered_active or self.connection is None:
            return None
        return self.connection._next_streamed_row(self)

    def _finish_unbuffered_query(self) -> None:
        """Read the rest of a streamed result away."""
        if self.unbuffered_active and self.connection is not None:
            self.connection._discard_stream(self)


class _Parked:
    """A clean handle without a connection."""

    __slots__ = ("handle", "lease", "parked_at", "parked_wall")

    def __init__(self, handle: Handle, lease: int | None) -> None:
        self.handle = handle
        self.lease = lease
        self.parked_at = environment.monotonic()
        self.parked_wall = environment.wall()

    def end(self) -> None:
        self.handle.quit()


class Connection:
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

    # So that a half-made object can be finalized.
    _handle: Handle | None = None
    _closed = True

    def __init__(self, url: str | None = None, /, **keywords: Any) -> None:
        """Connect, unless ``defer_connect`` is given.

        :param url: "mysql://user:password@host:port/database?option=value"; keywords win.
        """
        if url is not None:
            keywords = {**parse_url(url, FROM_TEXT), **keywords}
        if keywords.get("use_pure") is None and "SLSMYSQL_USE_PURE" in os.environ:
            keywords["use_pure"] = _flag_of_environment("SLSMYSQL_USE_PURE")
        options, rest = build_options(keywords, others=_OTHERS, stacklevel=3)
        defer = rest.pop("defer_connect", False)
        settings = Settings.build(rest, os.environ)
        del keywords
        self._set_options(options, settings)
        if not defer:
            self.connect()

    def _set_options(self, options: Options, settings: Settings) -> None:
        self.options = options
        self.settings = settings
        where = options.unix_socket or f"{options.host}:{options.port}"
        self._teller = Teller(where, settings.on_event)
        self._server = manager.server_for(
            (options.host, options.port, options.unix_socket, options.user)
        )
        self._manager = Manager(self._server, settings, self._teller)
        self._identity = (options.identity(), settings.manage_conns, settings.lease)
        self._lock = RLock()
        self._busy = False
        self._stale_after = float(settings.stale_after)
        self._monotonic = environment.monotonic
        self._wall = environment.wall

        conv = converters.conversions if options.conv is None else options.conv
        self.encoders = {key: value for key, value in conv.items() if type(key) is not int}
        self.decoders = {key: value for key, value in conv.items() if type(key) is int}
        #: False with encoders of the user's own, which may write any SQL.
        self._text_says_all = options.conv is None
        self._own_decoders = options.conv is not None

        self.host = options.host
        self.port = options.port
        self.unix_socket = options.unix_socket
        self.bind_address = options.bind_address
        self.user = options.user if isinstance(options.user, bytes) else options.user.encode()
        self.charset = options.charset
        self.collation = options.collation
        self.encoding = options.encoding
        self.use_unicode = options.use_unicode
        self.cursorclass = options.cursorclass or Cursor
        self.client_flag = options.client_flag | CLIENT.MULTI_RESULTS
        self.connect_timeout = options.connect_timeout
        self.sql_mode = options.sql_mode
        self.init_command = options.init_command
        self.autocommit_mode = options.autocommit
        self.max_allowed_packet = options.max_allowed_packet
        self.ssl = options.tls.mode != "disabled"
        self.host_info = "Not connected"
        self._database = options.database
        self._fresh()
        self._result: MySQLResult | None = None
        self._affected_rows = 0
        self._effect: Effect | None = None
        self._decoder_cache: dict[tuple[Any, ...], Any] = {}
        self._status = 0
        self._asks = False

    def _fresh(self) -> None:
        """Forget all about a session: there is none, or a new one."""
        self._handle = None
        self._closed = False
        self._broken: str | None = None
        self._dirty = False
        self._worked = False
        self._pins: set[str] = set()
        self._next_only: frozenset[str] = frozenset()
        self._replay: dict[str, str] = {}
        self._changed = False
        self._last_insert_id = 0
        self._lease: int | None = None
        self._last = self._last_wall = float("-inf")
        self._invocation = ""

    def __repr__(self) -> str:
        """Return where it is connected to; never a secret."""
        state = "closed" if self._closed else "open" if self._handle else "dormant"
        return f"<slsmysql.Connection {self._teller.server} {state}>"

    # -- connecting ----------------------------------------------------------------------------

    def connect(self, sock: None = None) -> None:
        """Connect, again if need be: what was open is dropped.

        :param sock: PyMySQL's; a socket of one's own cannot be used.
        :raises err.OperationalError: when the budget of ``connect_timeout`` seconds is used up,
            or at once for what no retry mends.
        """
        if sock is not None:
            raise err.NotSupportedError("connect(sock=) is not supported: the driver connects")
        with self._lock:
            old = self._handle
            self._fresh()
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
            _connections.add(self)

    def _take_parked(self) -> _Parked | None:
        if not (self.settings.reuse and self.settings.manage_conns):
            return None
        while True:
            parked: _Parked | None = manager.take(self._identity)
            if parked is None:
                return None
            idle = self._idle(parked.parked_at, parked.parked_wall)
            if idle <= self.settings.reopen_after and (
                parked.lease is None or idle < parked.lease
            ):
                return parked
            parked.end()

    def _open(self) -> None:
        """Open a handle in the connect loop, set it up, and set again what the program had set."""
        handle, lease = self._manager.connect(
            self._attempt,
            seconds=self.options.connect_timeout,
            ask_again=self.options.password.is_callable,
        )
        self._adopt(handle, lease)
        self._touch()
        self._teller.tell("connect", connection_id=handle.thread_id, load=self._server.last)

    def _attempt(self, seconds: float) -> tuple[Handle, int | None]:
        options = self.options
        attributes = {"program_name": options.program_name} if options.program_name else {}
        if self.settings.manage_conns:
            attributes["_slsmysql"] = "1"
        handle = _driver.open_handle(
            options, options.password.get(), timeout=seconds, attributes=attributes
        )
        try:
            lease = self._set_up(handle)
        except BaseException:
            handle.quit()
            raise
        return handle, lease

    def _set_up(self, handle: Handle) -> int | None:
        """Make a new session the one that was asked for; return its lease."""
        options, settings = self.options, self.settings
        lease: int | None = None
        words = [f"NAMES {self.charset}" + (f" COLLATE {self.collation}" if self.collation else "")]
        if options.sql_mode is not None:
            words.append(f"sql_mode={converters.escape_str(options.sql_mode)}")
        late_autocommit = options.init_command is not None
        if options.autocommit is not None and not late_autocommit:
            words.append(f"autocommit={int(options.autocommit)}")
        if settings.manage_conns:
            text, lease = self._lease_words(handle)
            words += text
            if self._server.tracks_state:
                words += _TRACKING
        try:
            self._simple(handle, f"SET {', '.join(words)}")
        except err.Error as error:
            if error.args[0] != _UNKNOWN_VARIABLE or not self._server.tracks_state:
                raise
            # A server from before session tracking: from now on the text says what it can.
            self._server.tracks_state = False
            words = words[: -len(_TRACKING)]
            self._simple(handle, f"SET {', '.join(words)}")
        if options.init_command is not None:
            self._simple(handle, options.init_command)
            if options.autocommit is not None and options.autocommit != bool(
                handle.status & AUTOCOMMIT
            ):
                self._simple(handle, f"SET autocommit={int(options.autocommit)}")
        for statement in self._replay.values():
            self._simple(handle, statement)
        if self._database != options.database and self._database is not None:
            handle.init_db(self._encode(self._database))
        if self._last_insert_id:
            self._simple(handle, f"SET last_insert_id={self._last_insert_id}")
        return lease

    def _lease_words(self, handle: Handle) -> tuple[list[str], int | None]:
        """Return the assignment of wait_timeout, and its seconds where they are known.

        The load is asked for (one round trip) only where PyMySQL would have sent a statement of
        its own for autocommit, or after a refusal: a connect takes no round trip more.
        """
        settings = self.settings
        if settings.lease is None or "wait_timeout" in self._replay:
            return [], None
        if self.options.autocommit is False and not self._manager.pressed():
            text, lease = self._manager.lease_of_new(_Seen(self, handle))
        else:
            lease = self._manager.lease()
            text = str(lease)
        return [f"SESSION wait_timeout={text}"], lease

    def _simple(self, handle: Handle, sql: str) -> Sequence[tuple[Any, ...]]:
        """Run a statement of our own on ``handle``; return its rows, undecoded but for text."""
        more = handle.query(self._encode(sql))
        rows: list[tuple[Any, ...]] = []
        while True:
            if more:
                handle.raw_fields()
                rows = [
                    tuple([None if value is None else value.decode() for value in row])
                    for row in handle.rows(native=False)
                ]
                handle.end_rows()
            if not handle.more:
                return rows
            more = handle.next()

    def _adopt(self, handle: Handle, lease: int | None) -> None:
        self._handle = handle
        self._lease = lease
        self._status = handle.status
        self.host_info = handle.host_info
        self.server_version = handle.server_version
        self.server_thread_id = (handle.thread_id,)
        self.protocol_version = handle.protocol_version
        self.server_capabilities = handle.server_capabilities

    def _encode(self, text: str | bytes) -> bytes:
        return text if isinstance(text, bytes) else text.encode(self.encoding)

    # -- before a statement --------------------------------------------------------------------

    def _idle(self, since: float, since_wall: float) -> float:
        """Return the seconds since then, by the clock that says more.

        A frozen container's monotonic clock may have stood still; a wall clock can be set.
        """
        return max(self._monotonic() - since, self._wall() - since_wall)

    def _touch(self) -> None:
        self._last = self._monotonic()
        self._last_wall = self._wall()

    def _replaceable(self) -> bool:
        """Whether nothing would be lost with the handle."""
        return not (self._dirty or self._pins or self._next_only)

    def _ready(self, effect: Effect) -> Handle:
        """Return a handle for a statement that has not been sent yet.

        :raises err.InterfaceError: closed, or lost together with something and not told the end.
        :raises err.OperationalError: the session is found lost, and something with it.
        """
        handle = self._handle
        if handle is not None and not handle.alive:
            handle = self._handle = None
            if not self._closed and self._broken is None:
                self._lose("the session was interrupted")
        if self._closed:
            raise err.InterfaceError(0, "")
        if self._broken is not None:
            self._refuse_broken(effect)
        if handle is None:
            return self._reopen("dormant")
        idle = self._idle(self._last, self._last_wall)
        if idle <= self._stale_after:
            return handle
        overdue = idle > self.settings.reopen_after or (
            self._lease is not None and idle > self._lease
        )
        if overdue and self._replaceable() and not self._streaming():
            reason = f"idle for {idle:.1f} s"
            handle.quit()
        elif handle.ping():
            self._touch()
            return handle
        else:
            reason = f"found lost after {idle:.1f} s"
            handle.abandon()
        self._handle = None
        if not self._replaceable():
            what = self._lose(reason)
            raise err.OperationalError(
                CR.CR_SERVER_GONE_ERROR,
                f"MySQL server has gone away ({reason}; the statement was not sent; {what})",
            )
        return self._reopen(reason)

    def _streaming(self) -> bool:
        result = self._result
        return result is not None and result.unbuffered_active

    def _reopen(self, reason: str) -> Handle:
        """Replace a handle with which nothing is lost by a new one."""
        resumed = bool(self._status & IN_TRANSACTION)
        if resumed and not self.settings.resume_reads:
            self._broken = "a transaction of reads"
            raise err.OperationalError(
                CR.CR_SERVER_GONE_ERROR,
                f"MySQL server has gone away ({reason}; the statement was not sent;"
                " a transaction of reads was lost)",
            )
        if self._result is not None:
            self._result.unbuffered_active = False
            self._result.has_next = False
        self._status = 0
        self._dirty = False
        self._open()
        handle = self._handle
        assert handle is not None
        self._teller.count("resumed" if resumed else "reopened")
        self._teller.tell(
            "resume" if resumed else "reopen", connection_id=handle.thread_id, detail=reason
        )
        return handle

    def _lose(self, reason: str) -> str:
        """Note that the session is lost with all it held; return in words what that was.

        From now on every statement is refused until the program shows that it knows: by
        ``rollback()``, ``close()``, ``connect()``, or by trying to end the transaction.  A program
        that swallowed the error would otherwise commit the second half of its work only.
        """
        held = sorted(self._pins | self._next_only)
        if self._dirty:
            held.insert(0, "the transaction, which the server rolled back")
        what = "lost: " + ", ".join(held) if held else "nothing was lost"
        if held:
            self._broken = what
            self._invocation = os.environ.get(_INVOCATION, "")
            self._teller.count("lost")
            self._teller.tell("lost", detail=f"{reason}; {what}")
        self._forget_session()
        return what

    def _forget_session(self) -> None:
        self._status = 0
        self._dirty = False
        self._pins = set()
        self._next_only = frozenset()
        result, self._result = self._result, None
        if result is not None:
            result.unbuffered_active = False
            result.has_next = False

    def _refuse_broken(self, effect: Effect) -> None:
        """Refuse a statement after a loss that the program has not acknowledged."""
        invocation = os.environ.get(_INVOCATION, "")
        if invocation != self._invocation:
            # The unit of work that was told of the loss is over: this is another invocation.
            self._broken = None
            return
        what = self._broken
        if effect.ends or effect.begins or effect.commits:
            # Told at the end of the unit of work that it failed: the next one may begin.
            self._broken = None
        raise err.InterfaceError(0, f"the session was lost ({what}); call rollback() to go on")

    # -- a statement ---------------------------------------------------------------------------

    def query(self, sql: Any, unbuffered: bool = False) -> int:  # noqa: FBT001, FBT002 - PyMySQL's
        """Send a statement and read its first result into ``_result``.

        :return: the number of rows, found or affected.
        """
        effect, self._effect = self._effect, None
        if isinstance(sql, str):
            if effect is None:
                effect = effect_of(sql)
            sql = sql.encode(self.encoding)
        else:
            sql = bytes(sql)
            if effect is None:
                effect = effect_of(sql.decode("latin1"))
        return self._run(sql, effect, unbuffered=unbuffered)

    def _run(self, sql: bytes, effect: Effect, *, unbuffered: bool = False) -> int:
        lock = self._lock
        lock.acquire()
        try:
            if self._busy:
                raise err.InterfaceError(0, "the connection is in the middle of a statement")
            handle = self._handle
            if (
                handle is None
                or not handle.alive
                or self._monotonic() - self._last > self._stale_after
                or self._wall() - self._last_wall > self._stale_after
            ):
                handle = self._ready(effect)
            result = self._result
            if result is not None:
                if result.unbuffered_active or result.has_next:
                    self._drain(result)
                self._result = None
            if effect.asks:
                self._asks = True
            self._worked = True
            self._busy = True
            try:
                has_rows = handle.query(sql)
                self._read(handle, has_rows, unbuffered)
            except BaseException as error:
                self._busy = False
                self._failed(error, handle, sql, effect, unbuffered)
            finally:
                self._busy = False
            handle = self._handle
            assert handle is not None
            self._after(handle, effect)
            return self._affected_rows
        finally:
            lock.release()

    def _after(self, handle: Handle, effect: Effect) -> None:
        """Note what a statement that ran has done to the session."""
        self._status = status = handle.status
        if not status & IN_TRANSACTION:
            self._dirty = False
            if self._pins:
                self._pins.discard("next transaction")
        elif not effect.read:
            self._dirty = True
        if self._next_only:
            self._next_only = frozenset()
        if not effect.read:
            self._note(effect, status)
        elif status & STATE_CHANGED:
            self._pins.add("session state")
            self._changed = True
        self._last = self._monotonic()
        self._last_wall = self._wall()

    def _note(self, effect: Effect, status: int) -> None:
        """Remember what a statement other than a plain read leaves in the session."""
        result = self._result
        if result is not None and result.insert_id:
            self._last_insert_id = result.insert_id
        if effect.pins:
            self._pins |= effect.pins
        if effect.unpins:
            self._pins -= effect.unpins
        if effect.next_only:
            self._next_only = effect.next_only
        if effect.replay:
            for key, statement in effect.replay:
                self._replay[key] = statement
                if key == "wait_timeout":
                    self._lease = None
            self._changed = True
        if effect.database is not None:
            self._database = effect.database
            self._changed = True
        if not effect.explained and (
            status & STATE_CHANGED
            or not (self._server.tracks_state and self.settings.manage_conns)
            and effect is OTHER
        ):
            if status & STATE_CHANGED:
                self._pins.add("session state")
            self._changed = True

    def _read(self, handle: Handle, has_rows: bool, unbuffered: bool) -> None:  # noqa: FBT001
        """Read a result that ``handle`` has the head of into ``_result``."""
        if not has_rows:
            result = MySQLResult(None)
            self._affected_rows = result.affected_rows = handle.affected_rows
            result.insert_id = handle.insert_id
            result.warning_count = handle.warning_count
            result.message = handle.message
            result.has_next = handle.more
            self._result = result
            return
        raw = handle.raw_fields()
        result = MySQLResult(raw)
        types = tuple([(field[8], field[6]) for field in raw])
        decoders = self._decoder_cache.get(types, _MISSING)
        if decoders is _MISSING:
            decoders = self._make_decoders(raw, types)
        if unbuffered:
            result.decoders = decoders
            result.connection = self
            result.unbuffered_active = True
            self._affected_rows = result.affected_rows = _UNKNOWN_COUNT
            if decoders is None:
                result.decoders = self._column_decoders(raw)
            self._result = result
            return
        if decoders is None and handle.backend == "c":
            rows = list(handle.rows(native=True))
        else:
            rows = self._decoded(handle.rows(native=False), decoders or self._column_decoders(raw))
        handle.end_rows()
        result.rows = tuple(rows)
        self._affected_rows = result.affected_rows = len(rows)
        result.warning_count = handle.warning_count
        result.has_next = handle.more
        self._result = result

    def _decoded(self, source: Any, decoders: Any) -> list[tuple[Any, ...]]:
        """Decode batch by batch; after a decoder's error the stream is still read to its end."""
        decode_rows = converters.decode_rows
        batch = list(islice(source, _BATCH))
        rows: list[tuple[Any, ...]] = []
        try:
            rows = decode_rows(batch, decoders)
            while len(batch) == _BATCH:
                batch = list(islice(source, _BATCH))
                rows += decode_rows(batch, decoders)
        except err.Error:
            raise
        except Exception:
            for _ in source:
                pass
            raise
        return rows

    def _make_decoders(self, raw: list[tuple[Any, ...]], types: tuple[Any, ...]) -> Any:
        """Return the columns' decoders; None where the C extension may convert all of them."""
        decoders: Any = None
        if self._own_decoders or any(kind not in _NATIVE for kind, _ in types):
            decoders = self._column_decoders(raw)
        self._decoder_cache[types] = decoders
        return decoders

    def _column_decoders(self, raw: list[tuple[Any, ...]]) -> Any:
        return converters.column_decoders(
            [Field(*field) for field in raw], self.decoders, self.encoding, self.use_unicode
        )

    def next_result(self, unbuffered: bool = False) -> int:  # noqa: FBT001, FBT002 - PyMySQL's
        """Read the next result of the last statement into ``_result``."""
        with self._lock:
            handle = self._handle
            if handle is None or not handle.alive:
                raise err.InterfaceError(0, "")
            self._result = None
            try:
                self._read(handle, handle.next(), unbuffered)
            except BaseException as error:
                self._failed(error, handle, None, OTHER, unbuffered)
            self._after(handle, OTHER)
            return self._affected_rows

    def _drain(self, result: MySQLResult) -> None:
        """Read away what a statement has left unread."""
        if result.unbuffered_active:
            import warnings

            warnings.warn("Previous unbuffered result was left incomplete", stacklevel=5)
            result._finish_unbuffered_query()
        while self._result is not None and self._result.has_next:
            self.next_result()

    def _next_streamed_row(self, result: MySQLResult) -> Any:
        with self._lock:
            handle = self._handle
            if handle is None or self._result is not result:
                result.unbuffered_active = False
                return None
            try:
                raw = handle.row()
                if raw is not None:
                    (row,) = converters.decode_rows([raw], result.decoders)
                    result.affected_rows = 1
                    result.rows = (row,)
                    return row
                self._end_stream(result, handle)
            except UnicodeError:
                raise
            except BaseException as error:
                result.unbuffered_active = False
                self._failed(error, handle, None, OTHER, unbuffered=True)
            return None

    def _end_stream(self, result: MySQLResult, handle: Handle) -> None:
        handle.end_rows()
        result.unbuffered_active = False
        result.connection = None
        result.rows = None
        result.warning_count = handle.warning_count
        result.has_next = handle.more
        self._status = handle.status
        self._touch()

    def _discard_stream(self, result: MySQLResult) -> None:
        with self._lock:
            handle = self._handle
            if self._busy or handle is None or not handle.alive or self._result is not result:
                result.unbuffered_active = False
                return
            try:
                while handle.row() is not None:
                    pass
                self._end_stream(result, handle)
            except BaseException as error:
                result.unbuffered_active = False
                if isinstance(error, err.OperationalError) and error.args[0] in _TIMED_OUT:
                    return
                self._failed(error, handle, None, OTHER, unbuffered=True)

    # -- after a failure -----------------------------------------------------------------------

    def _failed(
        self,
        error: BaseException,
        handle: Handle,
        sql: bytes | None,
        effect: Effect,
        unbuffered: bool,  # noqa: FBT001
    ) -> None:
        """Raise what a failed statement means, or, where it is proven not to have run, run it.

        :param sql: None when the failure came behind the head of the first result.
        """
        if handle.alive:
            if isinstance(error, err.Error):
                self._touch()
                self._status = handle.status
                if sql is not None:
                    self._refused(error, sql, effect, unbuffered)
            raise error
        self._handle = None
        handle.abandon()
        if not isinstance(error, err.Error):
            # Interrupted: the program knows that it does not know.
            self._lose(f"interrupted by {type(error).__name__}")
            raise error
        in_transaction = bool(self._status & IN_TRANSACTION)
        autocommit = bool(self._status & AUTOCOMMIT)
        replaceable = self._replaceable()
        if sql is not None and not handle.maybe_read and replaceable:
            self._again(sql, effect, unbuffered, "refused before it was read")
            return
        self._raise_lost(
            error,
            effect,
            unread=sql is not None and not handle.maybe_read,
            in_transaction=in_transaction,
            autocommit=autocommit,
        )

    def _raise_lost(
        self,
        error: err.Error,
        effect: Effect,
        *,
        unread: bool,
        in_transaction: bool,
        autocommit: bool,
    ) -> NoReturn:
        """Say exactly what is known of a statement whose session was lost under it."""
        errno, message = CR.CR_SERVER_LOST, str(error.args[1] if len(error.args) > 1 else error)
        if error.args and error.args[0] == CR.CR_SERVER_GONE_ERROR:
            errno = CR.CR_SERVER_GONE_ERROR
        if unread:
            what = self._lose("lost before the statement was read")
            raise err.OperationalError(errno, f"{message} (the statement was not run; {what})")
        commits = effect.ends and not effect.rolls_back or effect.commits
        if effect.read:
            what = self._lose("lost during a read")
            raise err.OperationalError(errno, message if "nothing" in what else f"{message} ({what})")
        if effect.rolls_back and not self._pins:
            # The loss has done what was asked for.
            self._forget_session()
            raise err.OperationalError(errno, f"{message} (the transaction is rolled back)")
        if in_transaction and not commits:
            what = self._lose("lost in a transaction")
            raise err.OperationalError(errno, f"{message} ({what})")
        if effect.ends:
            # Whatever the outcome: this was the end of the unit of work, and it is told.
            self._forget_session()
        else:
            self._lose("lost during a statement")
        if not autocommit and not commits:
            raise err.OperationalError(
                errno, f"{message} (the server rolled the transaction that it began back)"
            )
        raise err.OutcomeUnknownError(
            errno, f"{message} (outcome unknown: the statement may or may not have run)"
        )

    def _refused(
        self, error: err.Error, sql: bytes, effect: Effect, unbuffered: bool  # noqa: FBT001
    ) -> None:
        """After an error packet: run the statement again where that is safe and asked for."""
        errno = error.args[0] if error.args else None
        if self._status & IN_TRANSACTION or not self._replaceable():
            raise error
        if errno in _driver.READ_ONLY and self.settings.manage_conns:
            # A failover: the server at this address may not write any more.
            handle = self._handle
            self._handle = None
            if handle is not None:
                handle.quit()
            self._again(sql, effect, unbuffered, f"the server is read-only ({errno})")
            return
        if errno in _DEADLOCKS and self.settings.query_retries and self._status & AUTOCOMMIT:
            self._retry_query(error, sql, unbuffered)
            return
        raise error

    def _retry_query(self, error: err.Error, sql: bytes, unbuffered: bool) -> None:  # noqa: FBT001
        """Send a statement again that lost a deadlock or waited too long for a lock."""
        for attempt, delay in enumerate(self._manager.delays(self.settings.query_retries), 1):
            self._teller.count("query_retries")
            self._teller.tell(
                "query_retry", errno=error.args[0], seconds=delay, attempt=attempt
            )
            environment.sleep(delay)
            handle = self._handle
            assert handle is not None
            try:
                self._read(handle, handle.query(sql), unbuffered)
            except err.Error as again:
                if not handle.alive:
                    self._failed(again, handle, sql, OTHER, unbuffered)
                    return
                if again.args[0] not in _DEADLOCKS:
                    raise
                error = again
            else:
                return
        raise error

    def _again(self, sql: bytes, effect: Effect, unbuffered: bool, reason: str) -> None:  # noqa: FBT001
        """Run a statement, proven not to have run, on a new handle; once."""
        handle = self._reopen(reason)
        try:
            self._read(handle, handle.query(sql), unbuffered)
        except err.Error as error:
            if handle.alive:
                raise
            self._handle = None
            handle.abandon()
            self._raise_lost(
                error, effect, unread=not handle.maybe_read, in_transaction=False,
                autocommit=bool(self._status & AUTOCOMMIT),
            )

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
            if self._broken is not None and not self._closed:
                self._broken = None
                return
        self._end_transaction(b"ROLLBACK", _ROLLBACK)

    @contextmanager
    def transaction(self) -> Iterator[Self]:
        """Run a block as one transaction: committed at its end, rolled back on an exception.

        :raises err.ProgrammingError: a transaction with work in it is open already.
        """
        if self._dirty:
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
                if errno in _driver.READ_ONLY and self._handle is not None:
                    self._handle.quit()
                    self._handle = None
                elif errno not in _DEADLOCKS and errno not in _driver.LOST:
                    raise
                self._teller.count("transaction_retries")
                self._teller.tell(
                    "transaction_retry", errno=errno, seconds=delay, attempt=attempt
                )
                environment.sleep(delay)
        with self.transaction():
            return work(self)

    def end_invocation(self) -> None:
        """End what a function's invocation left open, and run the boundary; never raises.

        See ``slsmysql.invocation``, which calls this for every connection.
        """
        if not self._lock.acquire(blocking=False):
            return  # in use by another thread: its own business
        try:
            if self._closed or self._busy:
                return
            self._broken = None
            if self._dirty:
                self._teller.count("rolled_back")
                self._teller.tell("rolled_back", detail="left open at the end of an invocation")
            with suppress(err.Error):
                if self._handle is not None:
                    self._end_transaction(b"ROLLBACK", _ROLLBACK)
                    self._boundary(sql_allowed=True)
        finally:
            self._lock.release()

    def _end_transaction(self, sql: bytes, effect: Effect) -> None:
        with self._lock:
            if not (self._closed or self._broken is not None) and (
                self._handle is None or not self._worked
            ):
                # Dormant, or no statement has been sent since the last end of a transaction:
                # there is nothing that could be open.
                return
            nothing_open = not self._dirty and not self._pins and not self._streaming()
            rolled_back_anyway = effect.rolls_back and not self._pins
            try:
                self._run(sql, effect)
            except err.InterfaceError:
                raise
            except err.Error:
                if self._handle is not None or self._closed:
                    raise
                if not (nothing_open or rolled_back_anyway):
                    raise
                # Lost with nothing to commit, or rolled back by the loss itself.
                self._broken = None
            self._result = None
            self._worked = bool(self._status & IN_TRANSACTION)
        self._boundary(sql_allowed=True)

    # -- the boundary --------------------------------------------------------------------------

    def _cursor_closed(self) -> None:
        if self._handle is not None and self._manager.due():
            result = self._result
            self._boundary(
                sql_allowed=not self._asks
                and result is not None
                and result.rows is not None
                and not result.warning_count
            )

    def _boundary(self, *, sql_allowed: bool) -> None:
        """Look at the server's load if that is due, and give the handle back if that helps.

        A transaction of plain reads that the program never ends is no obstacle to looking and to
        a shorter lease, but to giving up the handle it is.
        """
        if not self.settings.manage_conns or self._handle is None or not self._manager.due():
            return
        with self._lock:
            handle = self._handle
            result = self._result
            if (
                handle is None
                or not handle.alive
                or self._busy
                or not self._replaceable()
                or (result is not None and (result.unbuffered_active or result.has_next))
            ):
                return
            at_rest = not self._status & IN_TRANSACTION
            if not self._manager.look(
                _Seen(self, handle), sql=sql_allowed, may_give_up=at_rest
            ):
                return
            self._handle = None
            self._status = 0
            handle.quit()
            self._teller.count("given_up")
            self._teller.tell(
                "give_up", connection_id=handle.thread_id, load=self._server.last
            )

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

    def _detach(self) -> Handle | None:
        self._closed = True
        handle, self._handle = self._handle, None
        result = self._result
        if result is not None and result.unbuffered_active:
            # A stream that nobody will read: ending the session is cheaper than reading it.
            result.unbuffered_active = False
            if handle is not None:
                handle.quit()
            return None
        return handle

    def _park(self, handle: Handle) -> bool:
        """Clean ``handle`` and keep it; False when that cannot be or should not be."""
        try:
            while handle.more:
                if handle.next():
                    for _ in handle.rows(native=False):
                        pass
                    handle.end_rows()
            if handle.status & IN_TRANSACTION:
                self._simple(handle, "ROLLBACK")
            if self._manager.due():
                seen = _Seen(self, handle)
                if self._manager.look(seen, sql=True, may_give_up=True):
                    self._teller.count("given_up")
                    self._teller.tell("give_up", connection_id=handle.thread_id)
                    return False
            if not self._clean():
                if self._database != self.options.database:
                    if self.options.database is None:
                        return False
                    handle.init_db(self._encode(self.options.database))
                handle.reset()
                self._replay = {}
                self._last_insert_id = 0
                self._database = self.options.database
                self.charset, self.collation = self.options.charset, self.options.collation
                self.encoding = self.options.encoding
                self._lease = self._set_up(handle)
        except Exception:  # noqa: BLE001 - close() is done either way
            return False
        parked = _Parked(handle, self._lease)
        if not manager.park(self._identity, parked, self.settings.max_parked):
            return False
        self._teller.count("parked")
        self._teller.tell("park", connection_id=handle.thread_id)
        return True

    def _clean(self) -> bool:
        """Whether the session is as it was when it was set up."""
        return not (
            self._changed
            or self._pins
            or self._next_only
            or self._last_insert_id
            or self._replay
            or not self._server.tracks_state
        )

    def __enter__(self) -> Self:
        """Return the connection."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
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
        if self._closed or self._broken is not None:
            return False
        return self._handle is None or self._handle.alive or self._replaceable()

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
        """The database's name as bytes, as PyMySQL has it."""
        database = self._database
        return database.encode(self.encoding) if isinstance(database, str) else database

    @property
    def database(self) -> str | None:
        """The database's name; what OpenTelemetry reads."""
        database = self._database
        return database.decode(self.encoding) if isinstance(database, bytes) else database

    @property
    def server_status(self) -> int:
        """The server's status word as last heard."""
        handle = self._handle
        return handle.status if handle is not None else self._status

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

    def cursor(self, cursor: Callable[[Any], Any] | None = None) -> Any:
        """Return a new cursor; talks to nobody.

        :param cursor: the class; None for the connection's ``cursorclass``.
        """
        return cursor(self) if cursor else self.cursorclass(self)

    def autocommit(self, value: object) -> None:
        """Switch autocommit on or off; sent only if it is not so already."""
        self.autocommit_mode = bool(value)
        if self._handle is None and not self._closed and self._broken is None:
            self._replay["autocommit"] = f"SET SESSION autocommit={int(bool(value))}"
            self._changed = True
            return
        if value != self.get_autocommit():
            self._send_autocommit_mode()

    def _send_autocommit_mode(self) -> None:
        sql = f"SET AUTOCOMMIT = {int(bool(self.autocommit_mode))}"
        self._run(sql.encode(), effect_of(sql))
        self._result = None

    def get_autocommit(self) -> bool:
        """Whether autocommit is on, as the server last said."""
        if self._handle is None and "autocommit" in self._replay:
            return self._replay["autocommit"].endswith("1")
        if self._handle is None and not self._closed and self.options.autocommit is not None:
            return self.options.autocommit
        return bool(self.server_status & AUTOCOMMIT)

    def select_db(self, db: str | bytes) -> None:
        """Make ``db`` the current database."""
        name = self._encode(db)
        with self._lock:
            handle = self._ready_at_rest()
            try:
                handle.init_db(name)
            except BaseException as error:
                self._failed(error, handle, None, _SELECT_DB, unbuffered=False)
            self._database = db
            self._changed = True
            self._touch()

    def _ready_at_rest(self) -> Handle:
        handle = self._ready(OTHER)
        result = self._result
        if result is not None:
            if result.unbuffered_active or result.has_next:
                self._drain(result)
            self._result = None
        return handle

    def ping(self, reconnect: bool = False) -> None:  # noqa: FBT001, FBT002 - PyMySQL's
        """Check that the server answers; a session with which nothing is lost is replaced.

        :param reconnect: connect again whatever is lost.
        :raises err.Error: closed, or the session is lost with something in it.
        """
        if reconnect:
            import warnings

            warnings.warn(
                "The 'reconnect' argument is deprecated. Create a new connection if you want"
                " to reconnect.",
                DeprecationWarning,
                stacklevel=2,
            )
        with self._lock:
            if self._closed or self._broken is not None:
                if not reconnect:
                    raise err.Error("Already closed")
                self.connect()
                return
            handle = self._handle
            if handle is not None and handle.alive:
                result = self._result
                if result is not None and (result.unbuffered_active or result.has_next):
                    self._drain(result)
                if handle.ping():
                    self._touch()
                    self._result = None
                    return
            if handle is not None:
                handle.abandon()
                self._handle = None
            if reconnect:
                self.connect()
            elif self._replaceable():
                self._reopen("found lost by ping()")
            else:
                what = self._lose("found lost by ping()")
                raise err.OperationalError(
                    CR.CR_SERVER_LOST, f"{_driver.LOST_MESSAGE} ({what})"
                )

    def set_character_set(self, charset: str, collation: str | None = None) -> None:
        """Change the character set (``SET NAMES``) and the codec with it."""
        found = charset_by_name(charset)
        if found is None:
            raise err.ProgrammingError(f"unknown character set {charset!r}")
        sql = f"SET NAMES {charset}" + (f" COLLATE {collation}" if collation else "")
        self._run(sql.encode(), effect_of(sql))
        self._result = None
        self.charset, self.collation = charset, collation
        self.encoding = found.encoding
        self._decoder_cache = {}

    def set_charset(self, charset: str) -> None:
        """Deprecated name of ``set_character_set``."""
        import warnings

        warnings.warn(
            "'set_charset' is deprecated, use 'set_character_set' instead",
            DeprecationWarning,
            stacklevel=2,
        )
        self.set_character_set(charset)

    def escape(self, obj: Any, mapping: Any = None) -> str:
        """Return ``obj`` as an SQL literal."""
        if isinstance(obj, str):
            return f"'{self._escape_string(obj)}'"
        if isinstance(obj, (bytes, bytearray)):
            return f"X'{obj.hex()}'"
        if type(obj) in _SEQUENCES:
            escape = self.escape
            return "(" + ",".join([escape(item, mapping) for item in obj]) + ")"
        return converters.escape_item(
            obj, self.encoding, self.encoders if mapping is None else mapping
        )

    def literal(self, obj: Any) -> str:
        """Deprecated name of ``escape``."""
        import warnings

        warnings.warn(
            "literal() is deprecated and will be removed in the next version.",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.escape(obj)

    def _escape_string(self, text: str) -> str:
        if self.server_status & NO_BACKSLASH_ESCAPES:
            return text.replace("'", "''")
        return converters.escape_string(text)

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

    def change_user(
        self, user: str, password: Any = "", database: str | None = None
    ) -> None:
        """Go on as another user, in a new session; what was open is rolled back.

        :param database: None for the one that ``connect`` was given.
        """
        from dataclasses import replace

        changes: dict[str, Any] = {"user": user, "password": Secret(password)}
        if database is not None:
            changes["database"] = database
        with self._lock:
            handle = self._handle
            self._handle = None
            if handle is not None:
                handle.quit()
            self._set_options(replace(self.options, **changes), self.settings)
            self.connect()

    def stats(self) -> Stats:
        """Return the counters of this connection."""
        return self._teller.stats.copy()


class _Seen:
    """A connection at rest, as the manager sees it."""

    __slots__ = ("_connection", "_handle")

    def __init__(self, connection: Connection, handle: Handle) -> None:
        self._connection = connection
        self._handle = handle

    @property
    def connection_id(self) -> int:
        return self._handle.thread_id

    @property
    def server_version(self) -> str:
        return self._handle.server_version

    @property
    def lease(self) -> int | None:
        return self._connection._lease

    def know_lease(self, seconds: int | None) -> None:
        self._connection._lease = seconds

    def statistics(self) -> str:
        return self._handle.statistics()

    def select(self, sql: str) -> Sequence[tuple[Any, ...]]:
        return self._connection._simple(self._handle, sql)

    def run(self, sql: str) -> None:
        self._connection._simple(self._handle, sql)

    def set_lease(self, seconds: int) -> None:
        if "wait_timeout" in self._connection._replay:
            return
        self.run(f"SET SESSION wait_timeout={seconds}")
        self._connection._lease = seconds


def _flag_of_environment(name: str) -> bool | None:
    try:
        return _text.optional(_text.boolean)(os.environ[name])  # type: ignore[return-value]
    except ValueError as error:
        raise err.ProgrammingError(f"{name}={os.environ[name]!r}: must be {error}") from None


_MISSING: Any = object()
_SEQUENCES = frozenset({tuple, list, set, frozenset})
_TIMED_OUT = frozenset({1969, 3024})
_SELECT_DB = Effect(explained=True)
#: AWS Lambda sets it anew for each invocation (Lambda developer guide, "runtime environment
#: variables"); elsewhere it is not there and never changes.
_INVOCATION = "_X_AMZN_TRACE_ID"
_TRACKING = [
    "SESSION session_track_state_change=1",
    "SESSION session_track_schema=0",
    "SESSION session_track_system_variables=''",
]


def close_all() -> None:
    """End every parked session of this process: for SIGTERM, before a snapshot, at exit."""
    manager.end_parked()


def end_invocations() -> None:
    """End what an invocation left open, on every connection of the process."""
    for connection in list(_connections):
        connection.end_invocation()


def before_snapshot() -> None:
    """End every session at rest: a snapshot of the process will be started many times."""
    close_all()
    for connection in list(_connections):
        connection.end_invocation()
        handle, connection._handle = connection._handle, None
        if handle is not None:
            handle.quit()
            connection._lose("before a snapshot")


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
