"""The pure back end: the driver connects and logs in; the commands are spoken here.

The driver's own ``MySQLConnection`` does what is hard and needs its plugins: the socket, TLS, the
authentication.  Its command phase costs more Python calls than PyMySQL's, drops the columns'
lengths and hides time-outs behind other errors, so from the log-in on this module reads and writes
the text protocol itself (MySQL's internals manual, "Client/Server Protocol").
"""

from __future__ import annotations

import socket
import ssl
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from mysql.connector import errors
from mysql.connector.connection import MySQLConnection
from mysql.connector.constants import ClientFlag
from mysql.connector.network import MySQLTCPSocket, MySQLUnixSocket

from slsmysql import err
from slsmysql._driver.base import (
    CANNOT_REACH,
    ENDS_SESSION,
    LOST,
    LOST_MESSAGE,
    LOST_UNREAD,
    Row,
    as_text,
    file_not_found,
    local_infile_refused,
    server_error,
    unreachable,
)
from slsmysql.charset import charset_by_name
from slsmysql.constants import CLIENT, COMMAND, CR, SERVER_STATUS
from slsmysql.options import Secret, ssl_context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slsmysql.options import Options

_MORE_RESULTS = SERVER_STATUS.SERVER_MORE_RESULTS_EXISTS
_SESSION_TRACK = 1 << 23
_QUERY_ATTRIBUTES = 1 << 27
_MAX_PACKET = 0xFFFFFF
#: What one recv() asks for: a few packets of rows, small enough to stay in the cache.
_CHUNK = 65536
_LOCAL_INFILE_CHUNK = 16 * 1024
_COM_RESET_CONNECTION = 0x1F

#: What the driver makes of a connection that ends; the others of `LOST` are the server's words.
_LOST_ON_THE_WAY = frozenset(
    {CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST, CR.CR_SERVER_LOST_EXTENDED}
)

_OK, _LOCAL_INFILE, _EOF, _ERR = 0x00, 0xFB, 0xFE, 0xFF
#: Many times what a server can make (4096, MySQL manual, "Table Column-Count Limit").
_MOST_COLUMNS = 0xFFFF
_OK_OR_END = (_OK, _EOF)
#: An EOF packet is shorter than this; a row may begin with 0xFE too (a column of over 16 MiB).
_EOF_BELOW = 9


class _TcpSocket(MySQLTCPSocket):
    """The driver's socket with PyMySQL's options, our TLS context and a source address.

    It never sends the password as it is without TLS: the driver's caching_sha2_password does so
    for any server that asks for it.
    """

    def __init__(self, options: Options, password: Secret) -> None:
        super().__init__(options.host, options.port)
        self._options = options
        self._password = password

    def send(self, payload: bytes, *args: Any, **kwargs: Any) -> None:
        given = bytes(payload).rstrip(b"\0")
        if given and not isinstance(self.sock, ssl.SSLSocket) and Secret(given) == self._password:
            del given, payload
            raise errors.InterfaceError(
                "Authentication requires secure connection.", errno=CR.CR_AUTH_PLUGIN_ERR
            )
        super().send(payload, *args, **kwargs)

    def open_connection(self) -> None:
        options = self._options
        source = (options.bind_address, 0) if options.bind_address else None
        self.sock = sock = socket.create_connection(
            (options.host, options.port), self._connection_timeout, source
        )
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def build_ssl_context(self, *_args: Any, **_kwargs: Any) -> ssl.SSLContext:
        return ssl_context(self._options.tls)

    def switch_to_ssl(self, ssl_context: Any, host: str) -> None:
        self.sock = ssl_context.wrap_socket(self.sock, server_hostname=host)


class _UnixSocket(MySQLUnixSocket):
    """The driver's socket, letting the system's own error out."""

    def open_connection(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._connection_timeout)
        self.sock.connect(self.unix_socket)


class _Login(MySQLConnection):
    """The driver's connection, used up to the end of the log-in."""

    def __init__(self, options: Options, password: Secret, timeout: float) -> None:
        super().__init__()
        self._sls_options = options
        self._sls_password = password
        self._sls_timeout = timeout

    def _get_connection(self) -> Any:
        options = self._sls_options
        made: Any = (
            _UnixSocket(options.unix_socket)
            if options.unix_socket
            else _TcpSocket(options, self._sls_password)
        )
        made.set_connection_timeout(self._sls_timeout)
        return made

    def _do_handshake(self) -> None:
        super()._do_handshake()
        hello: Any = self._handshake
        capabilities = int(hello["capabilities"])
        # The command phase below does not speak query attributes.  An OK packet for the end of
        # rows is asked for, as a classic EOF does not say that the session's state has changed.
        self._client_flags &= ~_QUERY_ATTRIBUTES
        self._client_flags |= ClientFlag.DEPRECATE_EOF & capabilities
        if self._sls_options.tls.mode == "required" and not capabilities & CLIENT.SSL:
            raise errors.InterfaceError(
                "SSL is required but the server doesn't support it",
                errno=CR.CR_SSL_CONNECTION_ERROR,
            )
        self._client_flags &= ~(_SESSION_TRACK & ~capabilities)


class _Password(str):
    """A password that goes over the wire as the bytes it was made from."""

    __slots__ = ("_wire",)
    _wire: bytes

    def __new__(cls, wire: bytes) -> _Password:
        made = super().__new__(cls, wire.decode("utf-8", "surrogateescape"))
        made._wire = wire
        return made

    def encode(self, *_args: Any, **_kwargs: Any) -> bytes:
        return self._wire


def _client_flags(options: Options) -> int:
    flags = (
        CLIENT.CAPABILITIES
        | _SESSION_TRACK
        | CLIENT.PS_MULTI_RESULTS
        # The driver sends the database's name in any case, an empty one for none.
        | CLIENT.CONNECT_WITH_DB
        | (options.client_flag & ~(CLIENT.SSL | CLIENT.COMPRESS))
    )
    if options.local_infile:
        flags |= CLIENT.LOCAL_FILES
    return int(flags)


class PureHandle:
    """One session over a socket of Python's."""

    backend = "pure"
    __slots__ = (
        "_asked_for",
        "_buffer",
        "_columns",
        "_local_infile",
        "_login",
        "_ok_ends_rows",
        "_pos",
        "_read_timeout",
        "_sequence",
        "_sock",
        "_timeout",
        "_write_timeout",
        "affected_rows",
        "alive",
        "host_info",
        "insert_id",
        "maybe_read",
        "message",
        "more",
        "pending",
        "protocol_version",
        "secure",
        "server_capabilities",
        "server_charset_id",
        "server_version",
        "status",
        "thread_id",
        "warning_count",
    )

    def __init__(
        self,
        options: Options,
        password: Secret,
        *,
        timeout: float,
        attributes: dict[str, str],
    ) -> None:
        """Open a session.

        :param timeout: seconds for reaching the server and for each answer until
            ``set_up_done``.
        :raises err.Error: PyMySQL's error for what went wrong.
        """
        self.alive = False
        self.maybe_read = True
        self.more = False
        self.affected_rows = self.insert_id = self.warning_count = 0
        self.message: bytes | None = None
        self._local_infile = options.local_infile
        self._buffer, self._pos = b"", 0
        self._columns = 0
        self.pending = False
        self._sequence = 0
        login = _Login(options, password, timeout)
        self._login: Any = login
        login._user = as_text(options.user) or ""
        login._password = _Password(password.get())
        login._database = as_text(options.database) or ""
        login._client_flags = _client_flags(options)
        # 45 is utf8mb4_general_ci, which every server knows; SET NAMES follows anyway.
        login._charset_id = 45
        login._conn_attrs = attributes
        login._ssl_disabled = options.tls.mode == "disabled" or options.unix_socket is not None
        login._auth_plugin = ""
        login._unix_socket = options.unix_socket
        login._host, login._port = options.host, options.port
        failure: BaseException | None = None
        try:
            login._open_connection()
        except BaseException as error:
            # The driver's frames, and those of what it failed by, have the password in the clear.
            failure = error.with_traceback(None)
            failure.__cause__ = failure.__context__ = None
        login._password = ""
        if failure is not None:
            if login._socket is not None:
                login._socket.close_connection()
            self._raise_connect_error(failure, options)
        self._ok_ends_rows = bool(login._client_flags & ClientFlag.DEPRECATE_EOF)
        network: Any = login._socket
        self._sock: Any = network.sock
        sock = self._sock
        #: Keeps the driver's finalizer from shutting the socket down under us (or, after a
        #: fork, under the parent).
        network.sock = None
        hello: Any = login._handshake
        self.alive = True
        self.secure = options.unix_socket is not None or isinstance(sock, ssl.SSLSocket)
        self.status = int(hello["server_status"])
        self.thread_id = int(hello["server_threadid"])
        self.server_version = _text(hello["server_version_original"])
        self.protocol_version = int(hello["protocol"])
        self.server_capabilities = int(hello["capabilities"])
        charset = charset_by_name(options.charset)
        self.server_charset_id = charset.id if charset else 0
        self.host_info = (
            "Localhost via UNIX socket"
            if options.unix_socket
            else f"socket {options.host}:{options.port}"
        )
        self._asked_for = options.read_timeout, options.write_timeout
        self._read_timeout: float | None = _shorter(options.read_timeout, timeout)
        self._write_timeout: float | None = _shorter(options.write_timeout, timeout)
        self._timeout: float | None = self._write_timeout
        sock.settimeout(self._timeout)

    @staticmethod
    def _raise_connect_error(error: BaseException, options: Options) -> NoReturn:
        host = options.host
        if isinstance(error, errors.Error):
            errno: int | None = error.errno
            message = error.msg or str(error)
            if isinstance(error, (errors.ReadTimeoutError, errors.ConnectionTimeoutError)):
                raise err.OperationalError(
                    CR.CR_SERVER_LOST, f"{LOST_MESSAGE} (timed out)"
                ) from None
            if errno in CANNOT_REACH:
                raise unreachable(host, message) from None
            if errno in _LOST_ON_THE_WAY:
                raise err.OperationalError(CR.CR_SERVER_LOST, LOST_MESSAGE) from None
            if errno is None or errno < 1:
                raise err.OperationalError(CR.CR_VERSION_ERROR, message) from None
            raise server_error(errno, message, error.sqlstate) from None
        if isinstance(error, OSError):
            raise unreachable(host, error) from None
        if isinstance(error, (KeyboardInterrupt, SystemExit, MemoryError)):
            raise error
        if isinstance(error, Exception):
            # Whatever the driver's parser makes of bytes that are not MySQL's.
            raise err.OperationalError(
                CR.CR_VERSION_ERROR, f"{host!r} does not speak MySQL's protocol ({error})"
            ) from None
        raise error

    # -- packets -------------------------------------------------------------------------------

    def _lost(self, detail: object = "") -> NoReturn:
        self.alive = False
        raise err.OperationalError(
            CR.CR_SERVER_LOST, f"{LOST_MESSAGE} ({detail})" if detail else LOST_MESSAGE
        ) from None

    def _fill(self, need: int) -> None:
        """Make ``need`` bytes readable from ``_pos`` on."""
        data = self._buffer[self._pos :]
        missing = need - len(data)
        parts = [data]
        if self._timeout != self._read_timeout:
            self._timeout = self._read_timeout
            self._sock.settimeout(self._timeout)
        while missing > 0:
            try:
                part = self._sock.recv(max(missing, _CHUNK))
            except OSError as error:
                self._lost(error)
            if not part:
                self._lost()
            parts.append(part)
            missing -= len(part)
        self._buffer = b"".join(parts)
        self._pos = 0

    def _packet(self, *, goes_on: bool = False) -> bytes:
        """Read one packet's payload, which is never empty.

        :param goes_on: it is the rest of the one before, which may be nothing.
        """
        if len(self._buffer) - self._pos < 4:  # noqa: PLR2004 - a packet's header
            self._fill(4)
        pos = self._pos
        header = int.from_bytes(self._buffer[pos : pos + 4], "little")
        size = header & _MAX_PACKET
        self._sequence = header >> 24
        pos += 4
        end = pos + size
        if len(self._buffer) < end:
            self._fill(size + 4)
            pos, end = 4, size + 4
        self._pos = end
        payload = self._buffer[pos:end]
        if size == _MAX_PACKET:
            payload += self._packet(goes_on=True)
        elif not size and not goes_on:
            self._malformed()
        return payload

    def _send(self, payload: bytes, sequence: int = 0) -> int:
        """Send a payload; return the sequence number behind it."""
        parts = []
        start = 0
        while True:
            chunk = payload[start : start + _MAX_PACKET]
            parts.append((len(chunk) | (sequence & 255) << 24).to_bytes(4, "little") + chunk)
            start += _MAX_PACKET
            sequence += 1
            if len(chunk) < _MAX_PACKET:
                break
        if self._timeout != self._write_timeout:
            self._timeout = self._write_timeout
            self._sock.settimeout(self._timeout)
        try:
            self._sock.sendall(parts[0] if len(parts) == 1 else b"".join(parts))
        except OSError as error:
            self.alive = False
            raise err.OperationalError(
                CR.CR_SERVER_GONE_ERROR, f"MySQL server has gone away ({error!r})"
            ) from None
        return sequence & 255

    def _command(self, code: int, argument: bytes = b"") -> bytes:
        """Send a command, return the first packet of its answer (not an error)."""
        self._buffer, self._pos = b"", 0
        # As long as the system has not taken all of it, the server cannot have read it.
        self.maybe_read = False
        try:
            sequence = self._send(bytes((code,)) + argument)
            self.maybe_read = True
            packet = self._packet()
        except err.Error:
            raise
        except BaseException:
            self.alive = False
            raise
        if packet[:1] == b"\xff":
            self._raise_packet(packet, unasked=self._sequence == 0)
        if self._sequence != sequence:
            # The answer to something else.
            self._malformed()
        return packet

    def _raise_packet(self, packet: bytes, *, unasked: bool = False) -> NoReturn:
        """Raise the server's error.

        :param unasked: it was written before our command was read, which so cannot have run.
        """
        errno = int.from_bytes(packet[1:3], "little")
        if len(packet) < 3 or not errno:  # noqa: PLR2004 - the first byte and the number
            self._malformed()
        state, text = None, packet[3:]
        if text[:1] == b"#":
            state, text = text[1:6].decode("ascii", "replace"), text[6:]
        message = text.decode("utf-8", "replace")
        self.more = self.pending = False
        if errno in ENDS_SESSION:
            self.alive = False
        # A proxy passes on with another sequence number what the server had written before.
        # But a procedure may SIGNAL by any number, and its session goes on.
        goodbye = errno in LOST_UNREAD and (unasked or not self.ping())
        unasked = unasked or goodbye
        if unasked or (errno in LOST and errno not in LOST_UNREAD):
            self.alive = False
            self.maybe_read = not unasked
            if self.maybe_read:
                raise err.OperationalError(
                    CR.CR_SERVER_LOST, f"{LOST_MESSAGE} ({errno}: {message})"
                )
        raise server_error(errno, message, state)

    # -- commands ------------------------------------------------------------------------------

    def query(self, sql: bytes) -> list[bytes] | None:
        """See ``Handle.query``."""
        # Whatever interrupts before all is known leaves it, and so ends the session.
        self.pending = True
        return self._head(self._command(COMMAND.COM_QUERY, sql))

    def next(self) -> list[bytes] | None:
        """See ``Handle.next``."""
        self.pending = True
        try:
            packet = self._packet()
        except err.Error:
            raise
        except BaseException:
            self.alive = False
            raise
        if packet[:1] == b"\xff":
            self._raise_packet(packet)
        return self._head(packet)

    def _head(self, packet: bytes) -> list[bytes] | None:
        """Read the rest of a result's head: an OK packet, or the packets of the columns."""
        kind = packet[0]
        if kind in (_OK, _LOCAL_INFILE):
            if kind == _OK:
                self._ok(packet)
            else:
                self._send_file(packet[1:])
            self.pending = False
            return None
        try:
            count, end = _lenenc(packet, 0)
            if end != len(packet) or not 0 < count <= _MOST_COLUMNS:
                self._malformed()
            columns: list[bytes] = []
            self._columns = count
            while len(columns) < count:
                column = self._packet()
                if column[:1] == b"\xff":
                    self._raise_packet(column)
                columns.append(column)
            if not self._ok_ends_rows and self._packet()[:1] != b"\xfe":
                self._malformed()
        except err.Error:
            raise
        except (LookupError, ValueError):
            self._malformed()
        except BaseException:
            self.alive = False
            raise
        return columns

    def _malformed(self) -> NoReturn:
        self.alive = False
        raise err.OperationalError(CR.CR_MALFORMED_PACKET, "Malformed packet") from None

    def _ok(self, packet: bytes) -> None:
        try:
            self.affected_rows, pos = _lenenc(packet, 1)
            self.insert_id, pos = _lenenc(packet, pos)
        except LookupError:
            self._malformed()
        if packet[0] not in _OK_OR_END or len(packet) < pos + 4:
            self._malformed()
        self.status = status = int.from_bytes(packet[pos : pos + 2], "little")
        self.warning_count = int.from_bytes(packet[pos + 2 : pos + 4], "little")
        self.message = packet[pos + 4 :]
        self.more = bool(status & _MORE_RESULTS)

    def _send_file(self, filename: bytes) -> None:
        """Answer a request of LOAD DATA LOCAL."""
        sequence = self._sequence + 1
        problem: err.Error | None = None
        if not self._local_infile:
            problem = local_infile_refused()
        else:
            try:
                with open(filename, "rb") as file:
                    while chunk := file.read(_LOCAL_INFILE_CHUNK):
                        self._send(chunk, sequence)
                        sequence += 1
            except (OSError, ValueError) as error:
                problem = file_not_found(filename, error)
        self._send(b"", sequence)
        packet = self._packet()
        if problem is not None:
            raise problem
        if packet[:1] == b"\xff":
            self._raise_packet(packet)
        self._ok(packet)

    def raw_fields(self, columns: Sequence[bytes]) -> list[tuple[Any, ...]]:
        """See ``Handle.raw_fields``; here with the declared length as the twelfth item."""
        try:
            return [_column(packet) for packet in columns]
        except (LookupError, struct.error):
            self._malformed()

    def _end_of_rows(self, packet: bytes) -> None:
        if self._ok_ends_rows:
            affected, insert_id, message = self.affected_rows, self.insert_id, self.message
            self._ok(packet)
            self.affected_rows, self.insert_id, self.message = affected, insert_id, message
            self.pending = False
            return
        if len(packet) < 5:  # noqa: PLR2004 - the first byte, the warnings and the status
            self._malformed()
        self.warning_count = int.from_bytes(packet[1:3], "little")
        self.status = status = int.from_bytes(packet[3:5], "little")
        self.more = bool(status & _MORE_RESULTS)
        self.pending = False

    def _next_row(self) -> Row | None:
        packet = self._packet()
        first = packet[0]
        if first == _EOF and len(packet) < (_MAX_PACKET if self._ok_ends_rows else _EOF_BELOW):
            self._end_of_rows(packet)
            return None
        if first == _ERR:
            self._raise_packet(packet)
        try:
            return _row(packet, 0, len(packet), self._columns)
        except (LookupError, ValueError):
            self._malformed()

    def read_rows(self, into: list[Row], size: int, native: bool) -> None:
        """See ``Handle.read_rows``; ``native`` is for a back end that can convert."""
        rows, size = into, len(into) + size
        count = self._columns
        end_below = _MAX_PACKET if self._ok_ends_rows else _EOF_BELOW
        # One loop over whole buffers: a call for each packet would cost more than its columns.
        try:
            while len(rows) < size:
                buffer, pos = self._buffer, self._pos
                have = len(buffer)
                while have - pos > 4 and len(rows) < size:  # noqa: PLR2004 - a packet's header
                    length = int.from_bytes(buffer[pos : pos + 3], "little")
                    start = pos + 4
                    end = start + length
                    if end > have or length == _MAX_PACKET or not length:
                        break
                    first = buffer[start]
                    if first >= _EOF and (first == _ERR or length < end_below):
                        self._sequence = buffer[pos + 3]
                        self._pos = end
                        packet = buffer[start:end]
                        if first == _ERR:
                            self._raise_packet(packet)
                        self._end_of_rows(packet)
                        return
                    rows.append(_row(buffer, start, end, count))
                    pos = end
                self._pos = pos
                if len(rows) < size:
                    row = self._next_row()
                    if row is None:
                        break
                    rows.append(row)
        except err.Error:
            raise
        except (LookupError, ValueError):
            self._malformed()
        except BaseException:
            self.alive = False
            raise

    def ping(self) -> bool:
        """See ``Handle.ping``."""
        try:
            self._ok(self._command(COMMAND.COM_PING))
        except err.Error:
            self.alive = False
            return False
        return True

    def statistics(self) -> str:
        """See ``Handle.statistics``."""
        return self._command(COMMAND.COM_STATISTICS).decode("utf-8", "replace")

    def init_db(self, name: bytes) -> None:
        """See ``Handle.init_db``."""
        self._ok(self._command(COMMAND.COM_INIT_DB, name))

    def reset(self) -> None:
        """See ``Handle.reset``."""
        self._ok(self._command(_COM_RESET_CONNECTION))

    def set_up_done(self) -> None:
        """See ``Handle.set_up_done``."""
        self.set_timeouts(*self._asked_for)

    def set_timeouts(self, read: float | None, write: float | None) -> None:
        """See ``Handle.set_timeouts``."""
        self._read_timeout, self._write_timeout = read, write

    def quit(self) -> None:
        """See ``Handle.quit``."""
        if self.alive:
            self.alive = False
            try:
                self._sock.settimeout(1.0)
                self._sock.sendall(b"\x01\x00\x00\x00\x01")
            except OSError:
                pass
        self.abandon()

    def abandon(self) -> None:
        """See ``Handle.abandon``."""
        self.alive = False
        with suppress(OSError):
            self._sock.close()


def _shorter(asked_for: float | None, timeout: float) -> float:
    return timeout if asked_for is None else min(asked_for, timeout)


def _text(value: Any) -> str:
    return value.decode("latin1") if isinstance(value, (bytes, bytearray)) else str(value)


def _lenenc(data: bytes, pos: int) -> tuple[int, int]:
    """Return the length-encoded integer at ``pos`` and the position behind it."""
    first = data[pos]
    if first < 251:  # noqa: PLR2004 - the protocol's
        return first, pos + 1
    size = {252: 2, 253: 3, 254: 8}[first]
    return int.from_bytes(data[pos + 1 : pos + 1 + size], "little"), pos + 1 + size


def _row(data: bytes, pos: int, end: int, count: int) -> tuple[bytes | None, ...]:
    """Return the ``count`` columns of the row that lies in ``data`` from ``pos`` to ``end``.

    :raise ValueError: if it has others; or ``LookupError``.
    """
    row: list[bytes | None] = []
    append = row.append
    while pos < end:
        size = data[pos]
        pos += 1
        if size > 250:  # noqa: PLR2004 - the protocol's
            if size == 251:  # noqa: PLR2004
                append(None)
                continue
            size, pos = _lenenc(data, pos - 1)
        stop = pos + size
        append(data[pos:stop])
        pos = stop
    if pos != end or len(row) != count:
        raise ValueError(count)
    return tuple(row)


def _column(packet: bytes) -> tuple[Any, ...]:
    """Return a column definition in the order of ``base.Field``."""
    names = []
    pos = 0
    for _ in range(6):
        size, pos = _lenenc(packet, pos)
        names.append(packet[pos : pos + size])
        pos += size
    charsetnr, length, type_code, flags, scale = struct.unpack_from("<HIBHB", packet, pos + 1)
    return (*names, charsetnr, 0, type_code, flags, scale, length)
