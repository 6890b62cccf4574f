"""The only place that knows the driver: chooses a back end and opens a ``Handle``.

The C extension is loaded after ``_ssl``, which brings Python's OpenSSL: the other way round the
whole process would run on the driver's own, whose default CA path does not exist, and every other
HTTPS call would fail to verify.  (The C back end does not need ``ssl`` around it, which takes long
to load.)  Where the extension cannot be loaded the pure back end serves.
"""

from __future__ import annotations

import _thread
import time
import warnings
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from slsmysql import err
from slsmysql._driver.base import (
    CANNOT_REACH,
    ENDS_SESSION,
    LOST,
    LOST_MESSAGE,
    READ_ONLY,
    Field,
    Handle,
    Row,
    is_lost,
    unreachable,
)
from slsmysql.constants import CR

if TYPE_CHECKING:
    from collections.abc import Callable

    from slsmysql.options import Options, Secret

T = TypeVar("T")

__all__ = [
    "CANNOT_REACH",
    "ENDS_SESSION",
    "LOST",
    "LOST_MESSAGE",
    "READ_ONLY",
    "Field",
    "Handle",
    "Row",
    "backend_for",
    "in_time",
    "is_lost",
    "open_handle",
    "unreachable",
]

_cext: Any = None
_cext_missing: str | None = None
try:
    from slsmysql._driver import cext as _cext
except ImportError as _error:
    _cext_missing = str(_error)

_warned = False

#: The plugin of MySQL's manual, "Client-Side Cleartext Pluggable Authentication".
_CLEAR = "mysql_clear_password"
#: Seconds for the second way in, where the first has used up the time.
_SHORTEST = 0.1

#: The accounts, each at its server, whose password is asked for in clear, as cloud providers ask
#: for tokens: the driver builds its C extension without the means to switch that on.
_in_clear: set[tuple[object, ...]] = set()


def backend_for(options: Options) -> str:
    """Return "c" or "pure": which back end serves ``options``.

    ``use_pure`` decides when it is given.  Otherwise the C extension serves whatever it can do as
    asked, and the pure back end the rest (a source address, an ``SSLContext``, ...).

    :raises err.NotSupportedError: ``use_pure=False`` together with an option that only the pure
        back end can do, or where the extension cannot be loaded.
    """
    global _warned  # noqa: PLW0603 - one warning a process
    if options.use_pure:
        return "pure"
    if _cext is None:
        if options.use_pure is False:
            raise err.NotSupportedError(
                f"use_pure=False: the driver's C extension cannot be loaded ({_cext_missing})"
            )
        if not _warned:
            _warned = True
            warnings.warn(
                "slsmysql runs on its pure back end because the driver's C extension cannot be"
                f" loaded ({_cext_missing}). Install a mysql-connector-python wheel with the"
                " extension for this platform, or ask for the pure back end with use_pure=True or"
                " SLSMYSQL_USE_PURE=1.",
                RuntimeWarning,
                stacklevel=5,
            )
        return "pure"
    reason = _cext.cannot(options)
    if reason is None:
        return "c"
    if options.use_pure is False:
        raise err.NotSupportedError(
            f"use_pure=False: the C back end cannot do {reason}; leave use_pure out"
        )
    return "pure"


def _is_utf8(password: Secret) -> bool:
    try:
        password.get().decode()
    except UnicodeDecodeError:
        return False
    return True


def open_handle(
    options: Options, password: Secret, *, timeout: float, attributes: dict[str, str]
) -> Handle:
    """Open one session with a server.

    :param password: the password of this attempt, as it goes over the wire, and hidden from
        whatever prints the frames of an exception.
    :param timeout: seconds for this attempt.
    :param attributes: connection attributes, as in
        performance_schema.session_connect_attrs.
    :raises err.Error: PyMySQL's error for what went wrong.
    """
    backend = backend_for(options)
    if backend == "c" and not _is_utf8(password):
        # The extension takes text and sends it as UTF-8.
        if options.use_pure is False:
            raise err.NotSupportedError(
                "use_pure=False: the C back end cannot send a password that is not UTF-8"
            )
        backend = "pure"
    account = (options.host, options.port, options.unix_socket, options.user)
    handle: Handle
    if backend == "c" and (options.use_pure is False or account not in _in_clear):
        begin = time.monotonic()
        try:
            handle = _cext.CHandle(options, password, timeout=timeout, attributes=attributes)
        except err.OperationalError as error:
            if not _asks_in_clear(error):
                raise
        else:
            return handle
        if options.use_pure is False:
            raise err.NotSupportedError(
                "use_pure=False: the server asks for the password in clear"
                " (mysql_clear_password), which the C back end cannot send; leave use_pure out"
            )
        _in_clear.add(account)
        timeout = max(timeout - (time.monotonic() - begin), _SHORTEST)
    # Imported when first needed: the driver's Python part costs some 60 ms of a cold start.
    from slsmysql._driver.pure import PureHandle

    # Sends nothing in clear but over TLS.
    handle = PureHandle(options, password, timeout=timeout, attributes=attributes)
    return handle


def _asks_in_clear(error: err.Error) -> bool:
    return error.args[0] == CR.CR_AUTH_PLUGIN_CANNOT_LOAD and _CLEAR in error.args[1]


def in_time(options: Options, seconds: float, make: Callable[[], T], end: Callable[[T], None]) -> T:
    """Return what ``make`` returns, which opens a session and waits for a server's answers.

    The C extension has a time-out for reaching a server and for the first byte of its greeting;
    for all behind that it has ``read_timeout``, and without one it waits for ever.  There ``make``
    runs in a thread, which is left to itself when the time is up, and so never keeps more than
    this attempt.  It costs some tens of microseconds.

    :param seconds: for everything that ``make`` does.
    :param end: called with what ``make`` returns when nobody waits for it any more.
    :raises err.OperationalError: 2013, when the time is up.
    """
    bounded = options.read_timeout is not None and options.read_timeout <= seconds
    if bounded or backend_for(options) == "pure":
        return make()
    attempt = _Attempt(make, end)
    # The bare thread: one of `threading` costs three times as much.
    _thread.start_new_thread(attempt.run, ())
    return attempt.wait(seconds)


class _Attempt(Generic[T]):
    """Something that is done in another thread, for as long as somebody waits for it."""

    def __init__(self, make: Callable[[], T], end: Callable[[T], None]) -> None:
        self._make = make
        self._end = end
        self._made: list[T] = []
        self._error: BaseException | None = None
        self._waited_for = True
        self._guard = _thread.allocate_lock()
        self._done = _thread.allocate_lock()
        self._done.acquire()

    def run(self) -> None:
        """Do it; in the other thread."""
        made: list[T] = []
        error: BaseException | None = None
        try:
            made.append(self._make())
        except BaseException as caught:  # raised by `wait`
            error = caught
        with self._guard:
            if self._waited_for:
                self._made, self._error = made, error
                self._done.release()
                return
        for each in made:
            self._end(each)

    def wait(self, seconds: float) -> T:
        """Return what is made, within so many seconds; raise what is raised."""
        try:
            self._done.acquire(timeout=seconds)
        finally:
            with self._guard:
                self._waited_for = False
        error, self._error = self._error, None
        if error is not None:
            raise error
        for made in self._made:
            return made
        raise err.OperationalError(CR.CR_SERVER_LOST, f"{LOST_MESSAGE} (timed out)")
