"""The only place that knows the driver: chooses a back end and opens a ``Handle``.

The C extension is loaded after ``ssl``: the other way round the whole process would run on the
driver's own OpenSSL, whose default CA path does not exist, and every other HTTPS call would fail
to verify.  Where the extension cannot be loaded the pure back end serves.
"""

from __future__ import annotations

import ssl  # noqa: F401 - before the driver; see above
import time
import warnings
from typing import TYPE_CHECKING, Any

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
    from slsmysql.options import Options, Secret

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
