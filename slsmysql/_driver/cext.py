"""The C back end: a ``Handle`` on the driver's extension type ``_mysql_connector.MySQL``.

Guards against the extension's own traps: no call after close (some crash the process), no column
list of an earlier statement (``free_result`` after every result and every error), no text of an
error taken for an answer (``stat`` on a dead session), TLS never weaker than asked for.
"""

from __future__ import annotations

import math
import os
import re
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn

with suppress(ImportError):
    import _ssl  # noqa: F401 - Python's OpenSSL comes before the extension's, see slsmysql._driver

import _mysql_connector

from slsmysql import err
from slsmysql._driver.base import (
    CANNOT_REACH,
    ENDS_SESSION,
    LOCAL_INFILE_REFUSED,
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
from slsmysql.constants import CLIENT, CR, SERVER_STATUS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slsmysql.options import Options, Secret

_DriverError = _mysql_connector.MySQLInterfaceError
_PLUGINS = os.path.join(os.path.dirname(_mysql_connector.__file__), "mysql", "vendor", "plugin")
_MORE_RESULTS = SERVER_STATUS.SERVER_MORE_RESULTS_EXISTS
#: What libmysql says of a file of LOAD DATA LOCAL that it cannot open or read.
_FILE = re.compile(r".*?'(.*)'.* \(OS errno (\d+) - .*\)", re.DOTALL)
_ERRNO = re.compile(r"\((-?\d+)\)$")
#: What libmysql decides by itself and must not be told twice.
_OWN_FLAGS = CLIENT.SSL | CLIENT.CONNECT_WITH_DB | CLIENT.COMPRESS


def cannot(options: Options) -> str | None:
    """Return what of ``options`` the C extension cannot do, in words; None when it can do all."""
    tls = options.tls
    if options.bind_address:
        return "bind_address"
    for name, value in (
        ("read_timeout", options.read_timeout),
        ("write_timeout", options.write_timeout),
    ):
        if value is not None and value != int(value):
            return f"a {name} of a fraction of a second"
    if tls.mode == "disabled":
        return None
    if tls.context is not None:
        return "an ssl.SSLContext"
    if tls.key_password:
        return "ssl_key_password"
    if tls.capath:
        return "an ssl capath"
    if tls.cipher:
        return "an ssl cipher list"
    if tls.verify == "optional":
        return "ssl verify_mode 'optional'"
    if tls.verify == "required" and not tls.check_hostname:
        # It logs in to a server without TLS all the same, unless it verifies the name as well.
        return "verifying the server's certificate without the host's name"
    if tls.verify == "required" and not tls.ca:
        return "verifying the server's certificate against the system's CA store (no ssl_ca)"
    return None


class CHandle:
    """One session, held by the C extension."""

    backend = "c"
    __slots__ = (
        "_local_infile",
        "_m",
        "affected_rows",
        "alive",
        "host_info",
        "insert_id",
        "maybe_read",
        "message",
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

        :param timeout: seconds for reaching the server and for its hand-shake; the extension
            knows whole seconds only and gets the next higher one.
        :raises err.Error: PyMySQL's error for what went wrong.
        """
        tls = options.tls
        self.alive = False
        self.maybe_read = True
        self.pending = False
        self.message = None
        self._local_infile = options.local_infile
        local = options.unix_socket is not None
        charset = charset_by_name(options.charset)
        self._m = m = _mysql_connector.MySQL(
            buffered=False,
            raw=True,
            # libmysql's own charset serves only its escaping, which is not used; one that it does
            # not know (MariaDB's utf8mb3 and others) would be refused.
            charset_name="utf8mb4",
            connection_timeout=max(1, math.ceil(timeout)),
            # Columns' names as bytes: they are in the connection's own character set.
            use_unicode=False,
            plugin_dir=_PLUGINS,
        )
        self.affected_rows = self.insert_id = self.warning_count = 0
        arguments: dict[str, Any] = {
            "host": options.host,
            "user": as_text(options.user),
            "database": as_text(options.database),
            "port": options.port,
            "unix_socket": options.unix_socket,
            "client_flags": options.client_flag & ~_OWN_FLAGS,
            "ssl_disabled": tls.mode == "disabled" or local,
            "conn_attrs": attributes,
            "local_infile": options.local_infile,
            "read_timeout": int(options.read_timeout or 0),
            "write_timeout": int(options.write_timeout or 0),
        }
        if tls.mode != "disabled":
            arguments.update(
                ssl_ca=tls.ca,
                ssl_cert=tls.cert,
                ssl_key=tls.key,
                ssl_verify_cert=tls.verify == "required",
                ssl_verify_identity=tls.check_hostname,
            )
        try:
            m.connect(password=password.get().decode(), **arguments)
        except _DriverError as error:
            raise self._connect_error(error, options) from None
        except UnicodeError as error:
            raise err.ProgrammingError(f"user, password or database: {error}") from None
        except RuntimeError:
            raise err.OperationalError(
                CR.CR_UNKNOWN_ERROR, "the server refuses with a text that is not UTF-8"
            ) from None
        self.alive = True
        self.secure = local or m.get_ssl_cipher() is not None
        if tls.mode == "required" and not self.secure:
            self.quit()
            raise err.OperationalError(
                CR.CR_SSL_CONNECTION_ERROR, "SSL is required but the server doesn't support it"
            )
        self.thread_id = m.thread_id()
        self.server_version = m.get_server_info()
        self.host_info = (
            "Localhost via UNIX socket" if local else f"socket {options.host}:{options.port}"
        )
        self.protocol_version = m.get_proto_info()
        self.server_capabilities = m.st_server_capabilities() & 0xFFFFFFFF
        self.server_charset_id = charset.id if charset else 0
        self.status = m.st_server_status()

    @staticmethod
    def _connect_error(error: Any, options: Options) -> err.Error:
        errno = getattr(error, "errno", None)
        message = str(getattr(error, "msg", error))
        sqlstate = getattr(error, "sqlstate", None)
        if errno is None:
            return err.OperationalError(CR.CR_UNKNOWN_ERROR, message)
        if message.startswith("#") and len(message) > 5:  # noqa: PLR2004 - '#' and a SQLSTATE
            # libmysql leaves it in a packet that refuses before the hand-shake: '#08004Too many'.
            sqlstate, message = message[1:6], message[6:]
        if errno in CANNOT_REACH:
            return unreachable(options.host, _reason(message))
        if errno in (CR.CR_SERVER_LOST, CR.CR_SERVER_GONE_ERROR):
            return err.OperationalError(CR.CR_SERVER_LOST, f"{LOST_MESSAGE} ({message})")
        if errno == CR.CR_SSL_CONNECTION_ERROR and "doesn't support" not in message:
            return unreachable(options.host, message)
        return server_error(errno, message, sqlstate)

    def _fail(self, error: BaseException) -> NoReturn:
        """Raise what ``error`` means and note whether the session outlives it."""
        if not isinstance(error, _DriverError):
            if type(error) is RuntimeError and error.__traceback__.tb_next is None:  # type: ignore[union-attr]
                # Raised by the extension itself, not by a signal's handler.
                raise self._last_error() from None
            self.alive = False
            if isinstance(error, SystemError) and error.__cause__ is not None:
                # A value that its converter refuses: the extension raises and returns at once.
                raise error.__cause__
            raise error
        errno = getattr(error, "errno", None)
        message = str(getattr(error, "msg", error))
        # A procedure may SIGNAL by any number, and its session goes on.
        if errno is None or (errno in LOST and not (errno in LOST_UNREAD and self._m.ping())):
            self.alive = False
            self.maybe_read = errno not in LOST_UNREAD
            if self.maybe_read:
                raise err.OperationalError(
                    CR.CR_SERVER_LOST, f"{LOST_MESSAGE}{_detail(errno, message)}"
                ) from None
            raise err.OperationalError(errno, message) from None
        self.pending = False
        try:
            self._m.free_result()
        except _DriverError:
            self.alive = False
        self.status = self._m.st_server_status()
        if errno in ENDS_SESSION:
            self.alive = False
        if message == LOCAL_INFILE_REFUSED:
            raise local_infile_refused() from None
        file = _FILE.fullmatch(message) if self._local_infile else None
        if file is not None:
            name = os.fsencode(file[1])
            raise file_not_found(name, OSError(int(file[2]), os.strerror(int(file[2])), name))
        raise server_error(errno, message, error.sqlstate) from None

    def _last_error(self) -> err.Error:
        """Return the error of the last statement, by asking the server for it.

        The extension fails to make an exception of a text that is not UTF-8: what a connection of
        another character set gets when the text quotes a value or a name.
        """
        m = self._m
        try:
            m.free_result()
            m.query(b"SHOW ERRORS", raw=True, buffered=False, raw_as_string=False)
            rows = list(iter(m.fetch_row, None))
            m.free_result()
            self.status = m.st_server_status()
            self.pending = False
        except BaseException as error:
            self.alive = False
            if not isinstance(error, (_DriverError, RuntimeError)):
                raise
            rows = []
        if not rows:
            return err.OperationalError(
                CR.CR_UNKNOWN_ERROR, "the server's error has a text that is not UTF-8"
            )
        _, errno, message = rows[-1]
        return server_error(int(errno), message.decode("utf-8", "replace"), None)

    # Both: whatever interrupts before all is known leaves `pending`, and so ends the session.
    def query(self, sql: bytes) -> list[tuple[Any, ...]] | None:
        """See ``Handle.query``."""
        m = self._m
        self.pending = True
        try:
            m.query(sql)  # raw and unbuffered, as the object was made; keywords cost 0.3 us
            if m.have_result_set:
                return m.fetch_fields()  # type: ignore[no-any-return]
            # What `_heard` does, without its call.
            self.affected_rows = m.st_affected_rows()
            self.insert_id = m.st_insert_id()
            self.status = m.st_server_status()
            self.warning_count = m.st_warning_count()
        except BaseException as error:
            self._fail(error)
        self.pending = False
        return None

    def next(self) -> list[tuple[Any, ...]] | None:
        """See ``Handle.next``."""
        m = self._m
        self.pending = True
        try:
            # Rows that were converted have left the switch on for the results behind them.
            m.raw(True)
            m.next_result()
            if m.have_result_set:
                return m.fetch_fields()  # type: ignore[no-any-return]
            self._heard()
        except BaseException as error:
            self._fail(error)
        self.pending = False
        return None

    def _heard(self) -> None:
        """Take what an OK packet has told."""
        m = self._m
        # Those without "st_" let other threads in before they look.
        self.affected_rows = m.st_affected_rows()
        self.insert_id = m.st_insert_id()
        self.status = m.st_server_status()
        self.warning_count = m.st_warning_count()

    @property
    def more(self) -> bool:
        """See ``Handle.more``."""
        return bool(self.status & _MORE_RESULTS)

    def raw_fields(self, columns: Sequence[tuple[Any, ...]]) -> Sequence[tuple[Any, ...]]:
        """See ``Handle.raw_fields``."""
        return columns

    def read_rows(self, into: list[Row], size: int, native: bool) -> None:
        """See ``Handle.read_rows``; ``native`` lets the extension convert."""
        m = self._m
        if native:
            m.raw(False)
        try:
            into.extend(islice(iter(m.fetch_row, None), size))
        except BaseException as error:
            self._fail(error)
        if len(into) < size:
            m.free_result()
            self.status = m.st_server_status()
            self.warning_count = m.st_warning_count()
            self.pending = False  # last: see `query`

    def ping(self) -> bool:
        """See ``Handle.ping``."""
        try:
            answered: bool = self._m.ping()
        except BaseException:
            self.alive = False
            raise
        if answered:
            self._heard()
        else:
            self.alive = False
        return answered

    def statistics(self) -> str:
        """See ``Handle.statistics``."""
        try:
            text: str = self._m.stat().decode("utf-8", "replace")
        except BaseException as error:
            self._fail(error)
        if "Threads:" not in text:
            # The extension hands out an error's text as if it were an answer.
            self.alive = self.ping()
            raise err.OperationalError(CR.CR_SERVER_LOST, LOST_MESSAGE)
        return text

    def init_db(self, name: bytes) -> None:
        """See ``Handle.init_db``."""
        try:
            # The extension takes text and sends it as UTF-8.
            text = name.decode()
        except UnicodeDecodeError:
            self.query(b"USE `" + name.replace(b"`", b"``") + b"`")
            return
        try:
            self._m.select_db(text)
        except BaseException as error:
            self._fail(error)
        self._heard()

    def reset(self) -> None:
        """See ``Handle.reset``."""
        try:
            done = self._m.reset_connection()
        except BaseException as error:
            self._fail(error)
        if not done:
            self.alive = False
            raise err.OperationalError(CR.CR_SERVER_LOST, LOST_MESSAGE)
        self._heard()

    def set_up_done(self) -> None:
        """See ``Handle.set_up_done``: the extension cannot change them, nor has it to."""

    def set_timeouts(self, read: float | None, write: float | None) -> None:
        """Raise: the extension takes its time-outs at connect only."""
        raise err.NotSupportedError(
            "read_timeout and write_timeout cannot be changed on the C back end after connect();"
            f" connect with use_pure=True (asked for: read {read}, write {write} seconds)"
        )

    def quit(self) -> None:
        """See ``Handle.quit``."""
        self.alive = False
        m, self._m = self._m, _CLOSED
        if m is not _CLOSED:
            try:
                if not self.pending:
                    # With rows left it would read them all.
                    m.free_result()
                m.close()
            except _DriverError:
                pass

    #: The extension has no way to close a socket silently; COM_QUIT on a dead one is harmless.
    abandon = quit


def _reason(message: str) -> object:
    """Return what Python says of the errno in the parentheses at the end of libmysql's message."""
    found = _ERRNO.search(message)
    if found is None:
        return message
    errno = int(found[1])
    if errno > 0:
        return OSError(errno, os.strerror(errno))
    import socket  # takes long to load

    text = {
        # The texts of getaddrinfo()'s commonest errors.
        socket.EAI_NONAME: "Name or service not known",
        socket.EAI_AGAIN: "Temporary failure in name resolution",
        socket.EAI_FAIL: "Non-recoverable failure in name resolution",
    }.get(errno)
    return message if text is None else OSError(errno, text)


def _detail(errno: int | None, message: str) -> str:
    return "" if message.rstrip(".") == LOST_MESSAGE else f" ({errno}: {message})"


class _Closed:
    """Stands where the extension object was: no call crashes, and none reaches a server."""

    def __getattr__(self, _name: str) -> Any:
        return _refuse


def _refuse(*_args: object, **_kwargs: object) -> NoReturn:
    raise err.InterfaceError(0, "")


_CLOSED: Any = _Closed()
