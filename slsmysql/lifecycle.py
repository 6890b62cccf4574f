"""The life of a connection's sessions: opened, made ready, run on, lost or given back, parked.

Read from top to bottom: how a session is opened and set up; what happens before a statement; the
statement; what is known and what follows when it fails; the boundary at which the session may be
given back; closing.  ``Connection`` is this with PyMySQL's face; what to do about a server's load
is the manager's business, and what a session holds is kept in ``State``.
"""

from __future__ import annotations

import os
import sys
import warnings
from _thread import RLock
from contextlib import contextmanager, suppress
from itertools import repeat
from operator import methodcaller
from typing import TYPE_CHECKING, Any, NoReturn

from slsmysql import _driver, converters, err, manager
from slsmysql._driver import Field, Handle, Row
from slsmysql.constants import CLIENT, CR, FIELD_TYPE
from slsmysql.cursors import Cursor
from slsmysql.events import Teller
from slsmysql.manager import Manager, current_invocation, environment
from slsmysql.options import Secret
from slsmysql.results import Columns, MySQLResult, Stream
from slsmysql.session import (
    AUTOCOMMIT,
    IN_TRANSACTION,
    MORE_RESULTS,
    NO_BACKSLASH_ESCAPES,
    OTHER,
    STATE_CHANGED,
    Effect,
)
from slsmysql.state import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from slsmysql.options import Options
    from slsmysql.settings import Settings

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

#: Rows that are decoded together: enough to be fast (100 to 1000 are the same), few enough that
#: their bytes add nothing to the peak of memory, which is the copy of the list into a tuple.
_BATCH = 256

#: Rows of a stream that are read at once at the most: twice as many are 3 % faster.
_MOST_AT_ONCE = 32
#: Seconds that this may take before the next row is read alone.
_AT_ONCE = 0.001

#: What PyMySQL has as the row count of a result that is being streamed.
_UNKNOWN_COUNT = 2**64 - 1

#: What a server says that does not know session tracking, and a MySQL Router that shares sessions
#: and so tracks them for itself.
_NO_TRACKING = frozenset({1193, 1766})
_DEADLOCKS = frozenset({1205, 1213})
_TIMED_OUT = frozenset({1969, 3024})
#: 1290 is also raised for other options of the server's than this.
_READ_ONLY_WORDS = ("read-only", "read_only", "read only")
#: Columns of results that are kept: some 500 bytes each.
_MOST_COLUMNS = 2000
_PACKAGE = f"{__package__}."
_NEVER = float("-inf")
#: Text of ours is ASCII; whatever else a server makes of it is no reason to fail.
_readable = methodcaller("decode", "utf-8", "replace")
#: AWS Lambda sets it anew for each invocation (Lambda developer guide, "runtime environment
#: variables"); elsewhere it is not there and never changes.
_INVOCATION = "_X_AMZN_TRACE_ID"
_ISOLATION = (
    "SHOW SESSION VARIABLES WHERE Variable_name IN ('transaction_isolation', 'tx_isolation')"
)
_TRACKING = [
    "SESSION session_track_state_change=1",
    "SESSION session_track_schema=0",
    "SESSION session_track_system_variables=''",
]


class _Parked:
    """A clean handle without a connection."""

    __slots__ = ("handle", "lease", "parked_at", "parked_wall", "server")

    def __init__(self, handle: Handle, lease: int | None, server: str) -> None:
        self.handle = handle
        self.server = server
        self.lease = lease
        self.parked_at = environment.monotonic()
        self.parked_wall = environment.wall()

    def end(self) -> None:
        self.handle.quit()


class Lifecycle:
    """A connection that may live through several sessions with a server."""

    options: Options
    settings: Settings
    host: str
    port: int
    unix_socket: str | None
    bind_address: str | None
    user: bytes
    charset: str
    collation: str | None
    encoding: str
    cursorclass: Callable[[Any], Any]
    client_flag: int
    connect_timeout: float
    sql_mode: str | None
    init_command: str | None
    autocommit_mode: bool | None
    max_allowed_packet: int
    ssl: bool
    host_info: str
    server_version: str
    server_thread_id: tuple[int]
    protocol_version: int
    server_capabilities: int

    # So that a half-made object can be finalized.
    _handle: Handle | None = None
    _closed = True
    #: Made with defer_connect, and not connected yet.
    _deferred = False

    def _set_options(self, options: Options, settings: Settings) -> None:
        self.options = options
        self.settings = settings
        where = options.unix_socket or f"{options.host}:{options.port}"
        self._teller = Teller(where, settings.on_event)
        self._server = manager.server_for(
            (options.host, options.port, options.unix_socket, options.user)
        )
        #: Whose `next_look` says when a boundary has anything to do.
        self._looked_at = self._server if settings.manage_conns else manager.NEVER_LOOKED_AT
        self._manager = Manager(self._server, settings, self._teller)
        self._identity = (options.identity(), settings.manage_conns, settings.lease)
        self._lock = RLock()
        self._busy = False
        self._stale_after = float(settings.stale_after)
        self._monotonic = environment.monotonic
        self._wall = environment.wall

        conv = converters.conversions if options.conv is None else options.conv
        #: By the codec and what ``Handle.query`` or ``Handle.next`` gave; and how many they are.
        self._columns: dict[tuple[object, ...], Columns] = {}
        self._kept = 0
        self.encoders, self.decoders = converters.split(conv)

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
        self._fresh()
        self._result: MySQLResult | None = None
        self._affected_rows = 0
        #: The text of the statement about to be sent, and what it does.
        self._effect: tuple[object, Effect] | None = None
        #: The invocation in which a statement was last sent.
        self._used_in: object = None
        #: What the last statement sent does.
        self._running = OTHER

    def _fresh(self) -> None:
        """Forget all about a session: there is none, or a new one."""
        self._handle = None
        self._closed = False
        self._state = State(
            tracked=self.settings.manage_conns and self._server.tracks_state,
            database=self.options.database,
        )
        self._broken: str | None = None
        self._invocation = ""
        self._lease: int | None = None
        self._last = self._last_wall = _NEVER

    @contextmanager
    def _talking(self) -> Iterator[None]:
        """Refuse whoever comes in between: a signal's handler, a finalizer, a listener."""
        self._refuse_busy()
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    def _refuse_busy(self) -> None:
        if self._busy:
            raise err.InterfaceError(0, "the connection is in the middle of a statement")

    # -- connecting ----------------------------------------------------------------------------

    def _take_parked(self) -> _Parked | None:
        if not (self.settings.reuse and self.settings.manage_conns and self._as_asked()):
            return None
        while True:
            parked: _Parked | None = manager.take(self._identity)
            if parked is None:
                return None
            idle = self._idle(parked.parked_at, parked.parked_wall)
            if idle <= self.settings.reopen_after and (parked.lease is None or idle < parked.lease):
                return parked
            parked.end()

    def _as_asked(self) -> bool:
        """Whether no method has changed what ``connect()`` was asked for."""
        options = self.options
        return (self.charset, self.collation, self.autocommit_mode) == (
            options.charset,
            options.collation,
            options.autocommit,
        )

    def _open(self) -> None:
        """Open a handle in the connect loop, set it up, and set again what the program had set."""
        began = self._monotonic()
        with self._talking():
            handle, lease = self._manager.connect(
                self._attempt,
                seconds=self.options.connect_timeout,
                ask_again=self.options.password.is_callable,
            )
        if self._closed:  # by a signal's handler, meanwhile
            handle.quit()
            raise err.InterfaceError(0, "")
        self._adopt(handle, lease)
        self._touch()
        self._teller.tell(
            "connect",
            connection_id=handle.thread_id,
            seconds=self._monotonic() - began,
            load=self._server.last,
        )

    def _attempt(self, seconds: float) -> tuple[Handle, int | None]:
        options = self.options
        attributes = {"program_name": options.program_name} if options.program_name else {}
        if self.settings.manage_conns:
            attributes["_slsmysql"] = "1"
        password = Secret(options.password.get())

        def make() -> tuple[Handle, int | None]:
            handle = _driver.open_handle(options, password, timeout=seconds, attributes=attributes)
            try:
                return handle, self._introduce(handle)
            except BaseException:
                handle.quit()
                raise

        handle, lease = _driver.in_time(options, seconds, make, _quit)
        try:
            handle.set_up_done()
            self._bring_up(handle)
        except BaseException:
            handle.quit()
            raise
        return handle, lease

    def _set_up(self, handle: Handle) -> int | None:
        """Make a new session the one that was asked for; return its lease."""
        lease = self._introduce(handle)
        self._bring_up(handle)
        return lease

    def _introduce(self, handle: Handle) -> int | None:
        """Set what is set on every new session, in one round trip or two; return its lease."""
        options, settings = self.options, self.settings
        lease: int | None = None
        words = [f"NAMES {self.charset}" + (f" COLLATE {self.collation}" if self.collation else "")]
        if options.sql_mode is not None:
            words.append(f"sql_mode={converters.escape_str(options.sql_mode)}")
        late_autocommit = options.init_command is not None
        autocommit = self.autocommit_mode
        if autocommit is not None and not late_autocommit:
            words.append(f"autocommit={int(autocommit)}")
        if settings.manage_conns:
            text, lease = self._lease_words(handle)
            words += text
            if self._server.tracks_state:
                words += _TRACKING
        try:
            self._simple(handle, f"SET {', '.join(words)}")
        except err.Error as error:
            if error.args[0] not in _NO_TRACKING or not self._server.tracks_state:
                raise
            # From now on the text says what it can.
            self._server.tracks_state = self._state.tracked = False
            words = words[: -len(_TRACKING)]
            self._simple(handle, f"SET {', '.join(words)}")
        return lease

    def _bring_up(self, handle: Handle) -> None:
        """Set what the program has asked for beyond that, or had set on the session before."""
        options, autocommit = self.options, self.autocommit_mode
        if options.init_command is not None:
            self._simple(handle, options.init_command)
            if autocommit is not None and autocommit != bool(handle.status & AUTOCOMMIT):
                self._simple(handle, f"SET autocommit={int(autocommit)}")
        if self._state.database != options.database and self._state.database is not None:
            handle.init_db(self._encode(self._state.database))
        # After the database: SET CHARACTER SET takes its collation from there.
        for statement in self._state.replay.values():
            self._simple(handle, statement)
        if self._state.last_insert_id:
            self._simple(handle, f"SET last_insert_id={self._state.last_insert_id}")

    def _lease_words(self, handle: Handle) -> tuple[list[str], int | None]:
        """Return the assignment of wait_timeout, and its seconds where they are known.

        The load is asked for (one round trip) only where PyMySQL would have sent a statement of
        its own for autocommit, or after a refusal: a connect takes no round trip more.
        """
        settings = self.settings
        if settings.lease is None or "wait_timeout" in self._state.replay:
            return [], None
        if self.options.autocommit is False and not self._manager.pressed():
            text, lease = self._manager.lease_of_new(_Seen(self, handle))
        else:
            lease = self._manager.lease()
            text = str(lease)
        return [f"SESSION wait_timeout={text}"], lease

    def _simple(self, handle: Handle, sql: str) -> Sequence[tuple[Any, ...]]:
        """Run a statement of our own on ``handle``; return its rows, undecoded but for text."""
        columns = handle.query(self._encode(sql))
        rows: Sequence[Row] = []
        while True:
            if columns is not None:
                # Their definitions are looked at, so that nonsense is not taken for an answer.
                rows = _rows(handle, [_readable] * len(handle.raw_fields(columns)))
            if not handle.more:
                return rows
            columns = handle.next()

    def _adopt(self, handle: Handle, lease: int | None) -> None:
        self._handle = handle
        self._columns.clear()  # another handle may be of the other back end
        self._lease = lease
        self._read_only = False
        self._state.status = handle.status
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

    def _ready(self, effect: Effect, *, written: bool = True) -> Handle:
        """Return a handle for a statement that has not been sent yet.

        :param written: whether its text is there already, quoted for the last session's sql_mode.
        :raises err.InterfaceError: closed, or lost together with something and not told the end.
        :raises err.OperationalError: the session is found lost, and something with it.
        """
        handle = self._handle
        if handle is not None and not handle.alive:
            handle.abandon()
            handle = self._handle = None
            if not self._closed and self._broken is None:
                self._lose("the session was interrupted")
        if handle is None:
            self._notice()
        if self._closed or self._deferred:
            raise err.InterfaceError(0, "")
        if self._broken is not None:
            self._refuse_broken(effect)
        if handle is None:
            return self._reopen("dormant", written=written)
        idle = self._idle(self._last, self._last_wall)
        if idle <= self._stale_after:
            return handle
        overdue = idle > self.settings.reopen_after or (
            self._lease is not None and idle > self._lease
        )
        if overdue and self._state.replaceable():
            reason = f"idle for {idle:.1f} s"
            handle.quit()
        elif self._unread():
            # A ping would get the rest of the result for an answer; reading that away tells.
            return handle
        else:
            with self._talking():
                answers = self._answers(handle, effect, idle)
            if answers:
                self._touch()
                if not effect.asks:
                    # For a program whose boundaries never allow a look that sends statements.
                    self._boundary(sql_allowed=True, may_give_up=False)
            if handle.alive:
                return handle
            reason = f"found lost after {idle:.1f} s"
            handle.abandon()
        self._handle = None
        if not self._state.replaceable():
            what = self._lose(reason)
            raise err.OperationalError(
                CR.CR_SERVER_GONE_ERROR,
                f"MySQL server has gone away ({reason}; the statement was not sent; {what})",
            )
        return self._reopen(reason, written=written)

    def _answers(self, handle: Handle, effect: Effect, idle: float) -> bool:
        """Whether the server answers, before a statement that does ``effect``."""
        if effect.asks:
            # A ping would reset the ROW_COUNT() that is asked for; COM_STATISTICS leaves it.
            try:
                handle.statistics()
            except err.Error:
                return False
            return True
        seen = _Seen(self, handle)
        spared = self._manager.spared(seen, idle) if self._state.replaceable() else None
        return handle.ping() if spared is None else spared

    def _unread(self) -> bool:
        """Whether the server has sent, or will, what nobody has read yet."""
        result = self._result
        return result is not None and bool(result.unbuffered_active or result.has_next)

    def _wake(self) -> None:
        """Have a session before a statement is written: its sql_mode says how text is quoted."""
        with self._lock:
            if self._handle is None and not (self._closed or self._deferred or self._broken):
                self._ready(OTHER, written=False)

    def _reopen(self, reason: str, *, written: bool = True) -> Handle:
        """Replace a handle with which nothing is lost by a new one; ``written``: see `_ready`."""
        resumed = bool(self._state.status & IN_TRANSACTION)
        if resumed and not self.settings.resume_reads:
            raise self._reads_lost(reason)
        if self._result is not None:
            self._result.end_stream()
            self._result.has_next = False
        self._state.lost()
        quoting = self._state.status & NO_BACKSLASH_ESCAPES
        self._open()
        handle = self._handle
        assert handle is not None
        if written and self._state.status & NO_BACKSLASH_ESCAPES != quoting:
            raise err.OperationalError(
                CR.CR_SERVER_GONE_ERROR,
                f"MySQL server has gone away ({reason}; the statement was not sent: it was written"
                " for a session with another sql_mode, NO_BACKSLASH_ESCAPES, than the new one's)",
            )
        if resumed:
            with self._talking():
                isolation = self._simple(handle, _ISOLATION)
            if any(row[1] == "SERIALIZABLE" for row in isolation):
                # There a plain SELECT locks what it reads: it was no transaction of plain reads.
                raise self._reads_lost(reason)
        self._teller.count("resumed" if resumed else "reopened")
        self._teller.tell(
            "resume" if resumed else "reopen", connection_id=handle.thread_id, detail=reason
        )
        return handle

    def _reads_lost(self, reason: str) -> err.Error:
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.quit()
        self._state.lost()
        self._broken = "lost: a transaction of reads"
        self._invocation = os.environ.get(_INVOCATION, "")
        return err.OperationalError(
            CR.CR_SERVER_GONE_ERROR,
            f"MySQL server has gone away ({reason}; the statement was not sent;"
            " a transaction of reads was lost)",
        )

    def _notice(self) -> None:
        """Without a session: note a loss that a signal's handler has kept from being noted.

        It may raise between the end of the session and the note of what was lost with it.
        """
        if not (self._closed or self._broken is not None or self._state.replaceable()):
            self._lose("the session was interrupted")

    def _lose(self, reason: str) -> str:
        """Note that the session is lost with all it held; return in words what that was.

        From now on every statement is refused until the program shows that it knows: by
        ``rollback()``, ``close()``, ``connect()``, or by trying to end the transaction.  A program
        that swallowed the error would otherwise commit the second half of its work only.
        """
        held = self._state.held()
        what = "lost: " + ", ".join(held) if held else "nothing was lost"
        if held:
            self._broken = what
            self._invocation = os.environ.get(_INVOCATION, "")
            self._teller.count("lost")
            self._teller.tell("lost", detail=f"{reason}; {what}")
        self._forget_session()
        return what

    def _forget_session(self) -> None:
        self._state.lost()
        result, self._result = self._result, None
        if result is not None:
            result.end_stream()
            result.has_next = False

    def _refuse_broken(self, effect: Effect) -> None:
        """Refuse a statement after a loss that the program has not acknowledged."""
        invocation = os.environ.get(_INVOCATION, "")
        if invocation != self._invocation:
            # The unit of work that was told of the loss is over: this is another invocation.
            self._broken = None
            return
        what = self._broken
        if effect.ends or effect.begins:
            # Told at the end of the unit of work that it failed: the next one may begin.
            self._broken = None
        raise err.InterfaceError(0, f"the session was lost ({what}); call rollback() to go on")

    # -- a statement ---------------------------------------------------------------------------

    def _run(self, sql: bytes, effect: Effect, unbuffered: bool = False) -> int:
        lock = self._lock
        lock.acquire()
        try:
            if self._busy:
                self._refuse_busy()
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
            state = self._state
            if effect.asks:
                state.asks = True
            state.worked = True
            self._used_in = current_invocation()
            self._running = effect
            self._busy = True
            try:
                self._read(handle, handle.query(sql), effect, unbuffered)
            except BaseException as error:
                self._busy = False
                self._failed(error, handle, sql, effect, unbuffered)
            finally:
                self._busy = False
            result = self._result
            assert result is not None
            return result.affected_rows
        finally:
            lock.release()

    def _read(
        self, handle: Handle, head: Sequence[object] | None, effect: Effect, unbuffered: bool
    ) -> None:
        """Read a result into ``_result``; note what it tells.

        :param head: what ``Handle.query`` or ``Handle.next`` has returned.
        """
        result = MySQLResult()
        state = self._state
        if head is None:
            result.affected_rows = handle.affected_rows
            result.insert_id = handle.insert_id
            result.message = handle.message
            status = handle.status
            warning_count = handle.warning_count
        else:
            key = (self.encoding, *head)
            columns = self._columns.get(key) or self._new_columns(handle, key)
            result._columns = columns
            decoders = columns.decoders
            if unbuffered:
                result.stream = Stream(self, decoders)
                result.unbuffered_active = True
                result.affected_rows = _UNKNOWN_COUNT
                # The server's word on this statement comes at the end of its rows.
                status = state.status & ~(STATE_CHANGED | MORE_RESULTS)
                warning_count = 0
            else:
                rows: list[Row] = []
                handle.read_rows(rows, _BATCH, decoders is None)
                if decoders is not None or len(rows) == _BATCH:
                    rows = _all_rows(handle, rows, decoders)
                result.rows = tuple(rows)
                result.affected_rows = len(rows)
                status = handle.status
                warning_count = handle.warning_count
        if status & MORE_RESULTS:
            result.has_next = True
        self._result = result
        state.ran(effect, status, result.insert_id)
        if warning_count:
            result.warning_count = warning_count
            # SHOW WARNINGS would tell the next owner of the session.
            state.changed = True
        if effect.replay and "wait_timeout" in state.replay:
            self._lease = None
        self._last = self._monotonic()
        self._last_wall = self._wall()

    def _new_columns(self, handle: Handle, key: tuple[Any, ...]) -> Columns:
        """Return what ``key`` is of, and keep it."""
        encoding, *columns = key
        raw = handle.raw_fields(columns)
        decoders: Any = None  # the C extension may convert all of them
        kinds = {field[8] for field in raw}
        if (
            handle.backend != "c"
            or not kinds <= _NATIVE
            or any(
                self._decoders.get(kind) is not converters.usual_decoders.get(kind)
                for kind in kinds
            )
        ):
            decoders = converters.column_decoders(
                [Field(*field) for field in raw], self._decoders, encoding, self.use_unicode
            )
        if self._kept > _MOST_COLUMNS:
            self._columns.clear()
            self._kept = 0
        self._kept += len(raw)
        self._columns[key] = found = Columns(raw, encoding, decoders)
        return found

    @property
    def encoders(self) -> dict[Any, Any]:
        """Types to encoders of parameters; may be changed, and replaced."""
        return self._encoders

    @encoders.setter
    def encoders(self, encoders: Mapping[Any, Any]) -> None:
        self._encoders = converters.Watched(encoders, converters.usual_encoders)

    @property
    def decoders(self) -> dict[Any, Any]:
        """Type codes to decoders of values; may be changed, and replaced."""
        return self._decoders

    @decoders.setter
    def decoders(self, decoders: Mapping[Any, Any]) -> None:
        self._columns.clear()
        self._decoders = converters.Watched(
            decoders, converters.usual_decoders, self._columns.clear
        )

    @property
    def use_unicode(self) -> bool:
        """Whether text is decoded; may be changed."""
        return self._use_unicode

    @use_unicode.setter
    def use_unicode(self, value: object) -> None:
        self._columns.clear()
        self._use_unicode = bool(value)

    def next_result(self, unbuffered: bool = False) -> int:
        """Read the next result of the last statement into ``_result``."""
        with self._lock:
            self._refuse_busy()
            handle = self._handle
            if handle is None or not handle.alive:
                raise err.InterfaceError(0, "")
            self._result = None
            try:
                with self._talking():
                    self._read(handle, handle.next(), self._running, unbuffered)
            except BaseException as error:
                self._failed(error, handle, None, self._running, unbuffered)
            self._affected_rows = count = self._count()
            return count

    def _count(self) -> int:
        result = self._result
        assert result is not None
        return result.affected_rows

    def _drain(self, result: MySQLResult) -> None:
        """Read away what a statement has left unread."""
        if result.unbuffered_active:
            _warn("Previous unbuffered result was left incomplete")
            result._finish_unbuffered_query()
        while self._result is not None and self._result.has_next:
            self.next_result()

    def _next_streamed_row(self, result: MySQLResult, stream: Stream) -> Any:
        """Read some rows of a stream and return the first of them; None at the end.

        As many at once as come within `_AT_ONCE` seconds: a row that is there shall not wait for
        others that are not.
        """
        with self._lock:
            handle = self._handle
            if handle is None or self._result is not result:
                result.end_stream()
                return None
            self._refuse_busy()
            if stream.error is None and not stream.is_last:
                self._busy = True
                try:
                    found = self._read_ahead(handle, stream)
                except BaseException as error:
                    # Rows may have been read that nobody will see.
                    self._busy = False
                    self._fail_stream(result, handle, error)
                finally:
                    self._busy = False
                if found:
                    return next(stream.ahead)
            if stream.error is not None:
                self._fail_stream(result, handle, stream.error)
            self._end_stream(result, handle)
            return None

    def _read_ahead(self, handle: Handle, stream: Stream) -> bool:
        """Read the next rows of a stream into ``stream.ahead``; whether there are any."""
        rows: list[Row] = []
        size = stream.size
        begin = self._monotonic()
        try:
            handle.read_rows(rows, size, stream.decoders is None)
        except Exception as error:
            if not rows:
                raise
            stream.error = error  # for who has fetched the rows before it
        stream.is_last = len(rows) < size
        in_time = self._monotonic() - begin <= _AT_ONCE
        stream.size = min(2 * size, _MOST_AT_ONCE) if in_time else 1
        if stream.decoders is None:
            stream.ahead = iter(rows)
        else:
            stream.ahead = map(converters.decode_row, rows, repeat(stream.decoders))
        return bool(rows)

    def _fail_stream(self, result: MySQLResult, handle: Handle, error: BaseException) -> NoReturn:
        result.end_stream()
        self._failed(error, handle, None, self._running, unbuffered=True)
        raise error

    def _end_stream(self, result: MySQLResult, handle: Handle) -> None:
        result.end_stream()
        result.rows = None
        result.warning_count = handle.warning_count
        status = handle.status
        result.has_next = bool(status & MORE_RESULTS)
        self._state.ran(self._running, status, None)
        if result.warning_count:
            self._state.changed = True
        self._touch()

    def _discard_stream(self, result: MySQLResult, stream: Stream) -> None:
        with self._lock:
            self._refuse_busy()
            handle = self._handle
            if handle is None or not handle.alive or self._result is not result:
                result.end_stream()
                return
            error: BaseException | None = stream.error
            try:
                with self._talking():
                    while error is None and not stream.is_last:
                        rows: list[Row] = []
                        handle.read_rows(rows, _BATCH, native=False)
                        stream.is_last = len(rows) < _BATCH
                if error is None:
                    self._end_stream(result, handle)
            except BaseException as caught:
                error = caught
            if error is not None:
                result.end_stream()
                if isinstance(error, err.OperationalError) and error.args[0] in _TIMED_OUT:
                    self._state.failed(self._running, handle.status)
                    return
                self._failed(error, handle, None, self._running, unbuffered=True)

    # -- after a failure -----------------------------------------------------------------------

    def _failed(
        self,
        error: BaseException,
        handle: Handle,
        sql: bytes | None,
        effect: Effect,
        unbuffered: bool,
    ) -> None:
        """Raise what a failed statement means, or, where it is proven not to have run, run it.

        :param sql: None when the failure came behind the head of the first result.
        """
        # Whatever interrupts between the head of a result and its end leaves the stream out of
        # step; an error of a decoder's is raised behind the end.
        if handle.alive and (
            isinstance(error, err.Error)
            or (isinstance(error, Exception) and not (handle.pending or handle.more))
        ):
            if isinstance(error, err.Error):
                self._touch()
                self._state.status = handle.status
                if sql is not None and self._refused(error, sql, effect, unbuffered):
                    return
                self._state.failed(effect, handle.status)
            else:
                self._ran_unread(effect, handle)
            raise error
        self._handle = None
        handle.abandon()
        if not isinstance(error, err.Error):
            # Interrupted: the program knows that it does not know.
            self._lose(f"interrupted by {type(error).__name__}")
            raise error
        if error.args and error.args[0] in _driver.ENDS_SESSION:
            # The server said why, and closed: the statement was not run.
            self._lose_unread(effect, "closed by the server")
            raise error
        in_transaction = bool(self._state.status & IN_TRANSACTION)
        autocommit = bool(self._state.status & AUTOCOMMIT)
        replaceable = self._state.replaceable()
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
        if error.args[:1] == (CR.CR_SERVER_GONE_ERROR,):
            errno = CR.CR_SERVER_GONE_ERROR
        if unread:
            what = self._lose_unread(effect, "lost before the statement was read")
            raise err.OperationalError(errno, f"{message} (the statement was not run; {what})")
        commits = (effect.ends and not effect.rolls_back) or effect.commits
        if effect.read:
            what = self._lose("lost during a read")
            raise err.OperationalError(
                errno, message if self._broken is None else f"{message} ({what})"
            )
        if not in_transaction and not effect.ends and _touches_session_only(effect):
            what = self._lose("lost during a change of the session")
            raise err.OperationalError(errno, f"{message} (nothing else was changed; {what})")
        if effect.rolls_back and not self._state.pins:
            # The loss has done what was asked for.
            self._forget_session()
            raise err.OperationalError(errno, f"{message} (the transaction is rolled back)")
        if not commits and (in_transaction or not autocommit):
            # This statement may have been the first that made a loss of its transaction.
            self._state.dirty = True
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

    def _lose_unread(self, effect: Effect, reason: str) -> str:
        """Note a session that was lost with a statement that surely has not run; see ``_lose``."""
        autocommit = self._state.status & AUTOCOMMIT
        if not (effect.read or effect.ends or effect.commits or autocommit):
            # It would have begun a transaction, whose rest is not to be done without it.
            self._state.dirty = True
        return self._lose(reason)

    def _ran_unread(self, effect: Effect, handle: Handle) -> None:
        """Note a statement that ran, of whose rows a decoder could not make values."""
        self._touch()
        self._state.ran(effect, handle.status, None)
        if effect.runs:
            # An error behind the rows has been passed over.
            self._state.failed(effect, handle.status)

    def _refused(
        self,
        error: err.Error,
        sql: bytes,
        effect: Effect,
        unbuffered: bool,
    ) -> bool:
        """After an error packet: run the statement again where that is safe and asked for.

        :return: whether it was run.
        """
        errno = error.args[0] if error.args else None
        read_only = (
            errno in _driver.READ_ONLY
            and self.settings.manage_conns
            and any(word in str(error.args[1]).lower() for word in _READ_ONLY_WORDS)
        )
        if effect.commits:
            # CALL and the like may have run in part.
            self._read_only = read_only
            return False
        if self._state.status & IN_TRANSACTION or not self._state.replaceable():
            self._read_only = read_only
            return False
        if read_only:
            # A failover: the server at this address may not write any more.
            handle = self._handle
            self._handle = None
            if handle is not None:
                handle.quit()
            self._again(sql, effect, unbuffered, f"the server is read-only ({errno})")
            return True
        if errno in _DEADLOCKS and self.settings.query_retries and self._state.status & AUTOCOMMIT:
            self._retry_query(error, sql, effect, unbuffered)
            return True
        return False

    def _retry_query(self, error: err.Error, sql: bytes, effect: Effect, unbuffered: bool) -> None:
        """Send a statement again that lost a deadlock or waited too long for a lock."""
        for attempt, delay in enumerate(self._manager.delays(self.settings.query_retries), 1):
            self._teller.count("query_retries")
            self._teller.tell("query_retry", errno=error.args[0], seconds=delay, attempt=attempt)
            environment.sleep(delay)
            # Not what it was where a signal's handler has called close() or close_all().
            handle = self._ready(effect)
            try:
                with self._talking():
                    self._read(handle, handle.query(sql), effect, unbuffered)
            except err.Error as again:
                if not handle.alive:
                    self._failed(again, handle, sql, effect, unbuffered)
                    return
                if again.args[0] not in _DEADLOCKS:
                    raise
                error = again
            except BaseException as interrupt:
                self._failed(interrupt, handle, None, effect, unbuffered)
            else:
                return
        raise error

    def _again(self, sql: bytes, effect: Effect, unbuffered: bool, reason: str) -> None:
        """Run a statement, proven not to have run, on a new handle; once."""
        if self._closed:  # by a signal's handler, meanwhile
            raise err.InterfaceError(0, "")
        handle = self._reopen(reason)
        try:
            with self._talking():
                self._read(handle, handle.query(sql), effect, unbuffered)
        except BaseException as error:
            if not isinstance(error, err.Error):
                self._failed(error, handle, None, effect, unbuffered)
                raise
            if handle.alive:
                self._state.failed(effect, handle.status)
                raise
            self._handle = None
            handle.abandon()
            self._raise_lost(
                error,
                effect,
                unread=not handle.maybe_read,
                in_transaction=False,
                autocommit=bool(self._state.status & AUTOCOMMIT),
            )

    # -- the boundary --------------------------------------------------------------------------

    def _at_rest(self) -> bool:
        """Whether the session could be given back without anybody's noticing."""
        return self._state.replaceable() and not self._state.status & IN_TRANSACTION

    def _cursor_closed(self) -> None:
        """Run the boundary; its caller has seen, without two calls, that a look may be due."""
        result = self._result
        # What a program may still ask about its last statement.
        asked_for = self._state.asks or (result is not None and bool(result.warning_count))
        self._boundary(
            sql_allowed=not asked_for and result is not None and result.rows is not None,
            may_give_up=not asked_for,
        )

    def _boundary(self, *, sql_allowed: bool, may_give_up: bool = True) -> None:
        """Look at the server's load if that is due, and give the handle back if that helps.

        A transaction of plain reads that the program never ends is no obstacle to looking and to
        a shorter lease, but to giving up the handle it is.
        """
        if not self.settings.manage_conns or not self._manager.due():
            return
        with self._lock:
            handle = self._handle
            result = self._result
            if (
                handle is None
                or not handle.alive
                or self._busy
                or not self._state.replaceable()
                or (result is not None and (result.unbuffered_active or result.has_next))
            ):
                return
            self._busy = True
            try:
                give_up = self._manager.look(
                    _Seen(self, handle),
                    sql=sql_allowed,
                    may_give_up=may_give_up and self._at_rest(),
                )
            except BaseException as error:
                # Interrupted between a statement of ours and its answer.
                self._drop(f"interrupted by {type(error).__name__}")
                raise
            finally:
                self._busy = False
            if give_up and self._give_back():
                self._teller.count("given_up")
                self._teller.tell("give_up", connection_id=handle.thread_id, load=self._server.last)

    def _give_back(self) -> bool:
        """End the session if nothing would be lost with it; whether it was ended."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            handle = self._handle
            if handle is None or self._busy or not self._at_rest() or self._unread():
                return False
            self._handle = None
            self._state.lost()
            handle.quit()
            return True
        finally:
            self._lock.release()

    def _drop(self, reason: str) -> None:
        """End the session whatever is lost with it."""
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.quit()
            self._lose(reason)

    # -- the end of a transaction, and of the connection -----------------------------------------

    def _end_transaction(self, sql: bytes, effect: Effect) -> None:
        with self._lock:
            state, result = self._state, self._result
            if self._handle is None:
                self._notice()
            if not (state.worked and self._handle is not None) and not (
                self._closed or self._deferred or self._broken is not None
            ):
                # Dormant, or no statement has been sent since the last end of a transaction:
                # there is nothing that could be open.
                return
            dirty, pins = state.dirty, bool(state.pins)
            unread = result is not None and (result.unbuffered_active or result.has_next)
            # Both outlive the end of a transaction: FOUND_ROWS(), and MariaDB's warnings.
            quiet = not (state.asks or state.next_only or (result and result.warning_count))
            try:
                self._run(sql, effect)
            except err.InterfaceError:
                raise
            except err.Error:
                if self._handle is not None or self._closed:
                    raise
                # The end of the unit of work: it is told now that it failed, if it did.
                self._broken = None
                # Lost with nothing to commit, or rolled back by the loss itself: it did not.
                if pins or ((dirty or unread) and not effect.rolls_back):
                    raise
            self._result = None
            state.worked = bool(state.status & IN_TRANSACTION)
            if self._read_only and self._handle is not None and self._at_rest():
                # The next transaction finds the server that may write.
                self._handle.quit()
                self._handle = None
        if self._last >= self._looked_at.next_look:  # most often not: spares the call
            self._boundary(sql_allowed=quiet, may_give_up=quiet)

    def _detach(self) -> Handle | None:
        self._closed = True
        handle, self._handle = self._handle, None
        if handle is not None:
            self._state.status = handle.status
        result = self._result
        if result is not None:
            result.has_next = False  # for its cursor there is nothing more to read
        if result is not None and result.unbuffered_active:
            # A stream that nobody will read: ending the session is cheaper than reading it.
            result.end_stream()
            if handle is not None:
                handle.quit()
            return None
        return handle

    def _park(self, handle: Handle) -> bool:
        """Clean ``handle`` and keep it; False when that cannot be or should not be."""
        # What a closed connection shows is how it was.
        shown = self.charset, self.collation, self.encoding, self.autocommit_mode
        try:
            while handle.more:
                self._state.changed = True
                if handle.next() is not None:
                    _rows(handle, None)
            if handle.status & IN_TRANSACTION or (
                # An error packet does not say whether a transaction is open.
                self._state.worked and not handle.status & AUTOCOMMIT
            ):
                self._simple(handle, "ROLLBACK")
            if self._manager.due():
                seen = _Seen(self, handle)
                if self._manager.look(seen, sql=True, may_give_up=True):
                    self._teller.count("given_up")
                    self._teller.tell("give_up", connection_id=handle.thread_id)
                    return False
            if not self._state.clean() or not self._as_asked():
                if self.options.database is None:
                    # No reset takes a session out of a database.
                    return False
                handle.reset()
                self._state = State(
                    tracked=self._state.tracked,
                    database=self.options.database,
                    status=self._state.status,
                )
                self.charset, self.collation = self.options.charset, self.options.collation
                self.encoding = self.options.encoding
                self.autocommit_mode = self.options.autocommit
                handle.init_db(self._encode(self.options.database))
                self._lease = self._set_up(handle)
        except Exception:
            return False
        except BaseException:
            handle.quit()
            raise
        finally:
            self.charset, self.collation, self.encoding, self.autocommit_mode = shown
        parked = _Parked(handle, self._lease, self._teller.server)
        if not manager.park(self._identity, parked, self.settings.max_parked):
            return False
        self._teller.count("parked")
        self._teller.tell("park", connection_id=handle.thread_id)
        return True


def _quit(made: tuple[Handle, int | None]) -> None:
    """End a session that came too late."""
    made[0].quit()


def _touches_session_only(effect: Effect) -> bool:
    """Whether all that a statement does out of a transaction is gone with its session."""
    return effect.begins or (effect.explained and bool(effect.replay or not effect.commits))


def _rows(handle: Handle, decoders: Any) -> list[Row]:
    """Return the rows of the result at hand as Python's values, and read it to its end.

    :param decoders: of the columns; None to let the C extension convert.
    """
    batch: list[Row] = []
    handle.read_rows(batch, _BATCH, decoders is None)
    return _all_rows(handle, batch, decoders)


def _all_rows(handle: Handle, batch: list[Row], decoders: Any) -> list[Row]:
    """Do what ``_rows`` does, where the first ``_BATCH`` rows have been read."""
    native = decoders is None
    rows: list[Row] = []
    while True:
        try:
            made = batch if native else converters.decode_rows(batch, decoders)
        except Exception:
            # A decoder's own: the session goes on, behind all that nobody will see.
            while len(batch) == _BATCH:
                batch = []
                handle.read_rows(batch, _BATCH, native=False)
            with suppress(err.Error):
                while handle.more:
                    columns = handle.next()
                    if columns is not None:
                        _rows(handle, [None] * len(columns))
            raise
        if len(batch) < _BATCH:
            return rows + made if rows else made
        rows += made
        batch = []
        handle.read_rows(batch, _BATCH, native)


def _warn(text: str) -> None:
    """Warn at the line outside of this package that led here, by whatever way."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, stacklevel=level)


class _Seen:
    """A connection at rest, as the manager sees it."""

    __slots__ = ("_connection", "_handle")

    def __init__(self, connection: Lifecycle, handle: Handle) -> None:
        self._connection = connection
        self._handle = handle

    @property
    def connection_id(self) -> int:
        return self._handle.thread_id

    @property
    def server_version(self) -> str:
        return self._handle.server_version

    @property
    def alive(self) -> bool:
        return self._handle.alive

    @property
    def lease(self) -> int | None:
        return self._connection._lease

    def know_lease(self, seconds: int | None) -> None:
        if "wait_timeout" not in self._connection._state.replay:
            self._connection._lease = seconds

    def statistics(self) -> str:
        return self._handle.statistics()

    def select(self, sql: str) -> Sequence[tuple[Any, ...]]:
        return self._connection._simple(self._handle, sql)

    def run(self, sql: str) -> None:
        self._connection._simple(self._handle, sql)

    def set_lease(self, seconds: int) -> None:
        if "wait_timeout" in self._connection._state.replay:
            return
        self.run(f"SET SESSION wait_timeout={seconds}")
        self._connection._lease = seconds
