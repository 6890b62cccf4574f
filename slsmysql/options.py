"""The options of one connection: PyMySQL's keywords, validated before any I/O, as ``Options``.

Names, defaults and meanings are PyMySQL 1.2.4's.  Where PyMySQL raises an exception of its own
for a wrong value, the same is raised here; where it fails by accident, ``ProgrammingError`` says
what would have been right.  ``docs/options.md`` lists the keywords and the differences.
"""

from __future__ import annotations

import codecs
import functools
import math
import os
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, NoReturn

from slsmysql import _text, err
from slsmysql.charset import charset_by_name
from slsmysql.constants import CLIENT

if TYPE_CHECKING:
    import ssl
    from collections.abc import Collection

#: Every keyword that is PyMySQL's, with PyMySQL's default, and ``use_pure``.  ``cursorclass``
#: None is ``Cursor``.  ``defer_connect`` is the connection's own business and not here.
DEFAULTS: Final[Mapping[str, object]] = {
    "user": None,
    "password": "",
    "host": None,
    "database": None,
    "unix_socket": None,
    "port": 0,
    "charset": "",
    "collation": None,
    "sql_mode": None,
    "read_default_file": None,
    "conv": None,
    "use_unicode": True,
    "client_flag": 0,
    "cursorclass": None,
    "init_command": None,
    "connect_timeout": 10,
    "read_default_group": None,
    "autocommit": False,
    "local_infile": False,
    "max_allowed_packet": 16 * 1024 * 1024,
    "auth_plugin_map": None,
    "read_timeout": None,
    "write_timeout": None,
    "bind_address": None,
    "binary_prefix": False,
    "program_name": None,
    "server_public_key": None,
    "ssl": None,
    "ssl_ca": None,
    "ssl_cert": None,
    "ssl_disabled": None,
    "ssl_key": None,
    "ssl_key_password": None,
    "ssl_verify_cert": None,
    "ssl_verify_identity": None,
    "compress": None,
    "named_pipe": None,
    "passwd": None,
    "db": None,
    "use_pure": None,
}

#: The environment variable that stands for ``use_pure``.
USE_PURE: Final = "SLSMYSQL_USE_PURE"

_DEFAULT_HOST: Final = "localhost"
_DEFAULT_PORT: Final = 3306
_DEFAULT_CHARSET: Final = "utf8mb4"
#: Seconds; PyMySQL's bound, a year.
_LONGEST_TIMEOUT: Final = 31_536_000
#: The capabilities go over the wire as 32 bits, of which PyMySQL packs 31.
_LARGEST_FLAG: Final = 2**31 - 1
_LARGEST_PORT: Final = 65_535

#: Keywords whose values ``conceal`` hides.
_SECRETS: Final = ("password", "passwd", "ssl_key_password")

_maybe: Final = _text.optional(_text.boolean)

Verify = Literal["none", "optional", "required"]


class Secret:
    """A password that no ``repr``, log or traceback shows.

    Equal to another one with an equal value, and hashable, so that it can be part of an identity.
    A callable is compared as a callable, without being called.
    """

    __slots__ = ("_value",)

    def __init__(self, value: object) -> None:
        self._value = value.reveal() if isinstance(value, Secret) else value

    def __repr__(self) -> str:
        return "<secret>"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        mine, theirs = self._value, other.reveal()
        return type(mine) is type(theirs) and bool(mine == theirs)

    def __hash__(self) -> int:
        try:
            return hash(self._value)
        except TypeError:  # a callable object that defines __eq__ and no __hash__
            return id(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")

    @property
    def is_callable(self) -> bool:
        """Whether ``get`` asks a callable, which may answer something else the next time."""
        return callable(self._value)

    def reveal(self) -> Any:
        """Return what was given: str, bytes, a callable, or None."""
        return self._value

    def get(self) -> bytes:
        """Return the password as it goes over the wire; a callable is called.

        A str is encoded in latin1, as PyMySQL does.

        :raise ProgrammingError: if it is neither str nor bytes, or has characters outside latin1.
        """
        value = self._value() if callable(self._value) else self._value
        kind = type(value)
        encoded = _latin1(value)
        # Nothing that a traceback could show may hold the password from here on.
        del value
        if encoded is not None:
            return encoded
        source = "what password() returned" if callable(self._value) else "password"
        if issubclass(kind, str):
            raise err.ProgrammingError(
                f"{source} has characters that latin1 does not have: "
                "give it as bytes, encoded as the server knows it"
            )
        right = "str or bytes" if callable(self._value) else "str, bytes or a callable"
        raise err.ProgrammingError(f"{source} must be {right}, not {kind.__name__}")


def _latin1(value: object) -> bytes | None:
    if isinstance(value, str):
        try:
            return value.encode("latin-1")
        except UnicodeEncodeError:
            return None
    return bytes(value) if isinstance(value, (bytes, bytearray)) else None


class Tls(NamedTuple):
    """What is asked of TLS.

    ``mode``: "disabled"; "preferred": when the server offers it, unverified; "required".
    ``ca``, ``capath``: file and folder of CA certificates; both None with a ``verify`` other than
    "none": the system's.  ``cert``, ``key``: files of the client's certificate and its key, both
    or neither.  ``check_hostname``: the certificate must be for ``host``.  ``verify``: of the
    server's certificate chain.  ``context``: a ready ``ssl.SSLContext``, which then says it all.
    """

    mode: Literal["disabled", "preferred", "required"] = "preferred"
    ca: str | None = None
    capath: str | None = None
    cert: str | None = None
    key: str | None = None
    key_password: Secret = Secret(None)
    cipher: str | None = None
    check_hostname: bool = False
    verify: Verify = "none"
    context: ssl.SSLContext | None = None


class Options(NamedTuple):
    """All that ``connect()`` was asked for, but for the management options.  Seconds everywhere.

    ``client_flag`` holds what the other options add to it.  ``encoding`` is Python's codec of
    ``charset``.  ``conv`` and ``cursorclass`` are None for the defaults; ``autocommit`` is None
    to leave the server's default.
    """

    host: str
    port: int
    user: str | bytes
    password: Secret
    database: str | bytes | None
    unix_socket: str | None
    bind_address: str | None
    charset: str
    encoding: str
    collation: str | None
    sql_mode: str | None
    init_command: str | None
    autocommit: bool | None
    client_flag: int
    local_infile: bool
    program_name: str | None
    connect_timeout: float
    read_timeout: float | None
    write_timeout: float | None
    tls: Tls
    use_pure: bool | None
    use_unicode: bool
    conv: Mapping[Any, Any] | None
    cursorclass: Callable[[Any], Any] | None
    max_allowed_packet: int

    def __hash__(self) -> int:
        return hash(self.identity())

    def identity(self) -> tuple[object, ...]:
        """Return a hashable value of all that makes a session what it is.

        Two connections with equal identities can use each other's session.  What only the client
        does (``conv``, ``cursorclass``, ``use_unicode``, ``max_allowed_packet``) is not in it,
        nor is ``connect_timeout``, which is over when there is a session.
        """
        return (
            self.host,
            self.port,
            self.unix_socket,
            self.bind_address,
            self.user,
            self.password,
            self.database,
            self.charset,
            self.collation,
            self.sql_mode,
            self.init_command,
            self.autocommit,
            self.client_flag,
            self.local_infile,
            self.program_name,
            self.read_timeout,
            self.write_timeout,
            self.tls,
            self.use_pure,
        )


def conceal(keywords: Mapping[str, Any], known: Collection[str] = ()) -> dict[str, Any]:
    """Return a copy of the keywords in which no traceback shows a password.

    ``build_options`` takes it as it takes the original.

    :param known: if given, the names that there are: any other may be a password's, misspelt.
    """
    hidden = dict(keywords)
    for name, value in keywords.items():
        if value is not None and (name in _SECRETS or (known and name not in known)):
            hidden[name] = Secret(value)
    parts = hidden.get("ssl")
    if isinstance(parts, Mapping) and parts.get("password") is not None:
        hidden["ssl"] = {**parts, "password": Secret(parts["password"])}
    return hidden


def build_options(
    keywords: Mapping[str, Any], *, others: Collection[str] = (), stacklevel: int = 3
) -> tuple[Options, dict[str, Any]]:
    """Return the options that ``keywords`` ask for, and those keywords that are in ``others``.

    Where ``use_pure`` is not given the environment's ``SLSMYSQL_USE_PURE`` counts.

    :param keywords: names of ``DEFAULTS``, whose values count where a name is missing.
    :param others: names that are somebody else's (the management options, ``defer_connect``).
    :param stacklevel: of the deprecation warnings, counted from this function, as
        ``warnings.warn`` counts; 3 is the caller of the caller.
    :raise TypeError: for an unknown keyword, with the nearest right name.
    :raise ValueError: for ``port`` of another type, and time-outs out of range.
    :raise NotImplementedError: for ``compress`` and ``named_pipe``.
    :raise NotSupportedError: for ``auth_plugin_map`` and ``server_public_key``.
    :raise FileNotFoundError: for a CA, certificate or key that is not there; ``ssl.SSLError`` for
        one that is none.
    :raise ProgrammingError: for whatever else is wrong.
    """
    keywords = conceal(keywords)
    rest: dict[str, Any] = {}
    kw: dict[str, Any] = dict(DEFAULTS)
    for name, value in keywords.items():
        if name in DEFAULTS:
            kw[name] = value
        elif name in others:
            rest[name] = value
        else:
            hint = _text.did_you_mean(name, [*DEFAULTS, *others])
            raise TypeError(f"connect() got an unexpected keyword argument {name!r}.{hint}")

    if kw["db"] is not None and kw["database"] is None:
        warnings.warn("'db' is deprecated, use 'database'", DeprecationWarning, stacklevel)
        kw["database"] = kw["db"]
    if kw["passwd"] is not None and not kw["password"]:
        warnings.warn("'passwd' is deprecated, use 'password'", DeprecationWarning, stacklevel)
        kw["password"] = kw["passwd"]
    if kw["compress"] or kw["named_pipe"]:
        raise NotImplementedError("compress and named_pipe arguments are not supported")
    if kw["auth_plugin_map"]:
        raise err.NotSupportedError(
            "auth_plugin_map is not supported: the driver authenticates by itself and calls no "
            "Python handler; use an account with a password, or password=callable for tokens"
        )
    if kw["server_public_key"]:
        raise err.NotSupportedError(
            "server_public_key is not supported: the driver does not encrypt passwords with RSA; "
            "use TLS (ssl_ca=...) or a unix socket"
        )

    _no_two_ways(kw)
    if kw["read_default_file"] or kw["read_default_group"]:
        kw.update(_from_option_file(kw))

    charset = _string(kw, "charset") or _DEFAULT_CHARSET
    encoding = codec_of(charset)
    database = _name(kw, "database", encoding)
    local_infile = _flag(kw, "local_infile")
    tls = _tls(kw, stacklevel + 1)
    autocommit = None if kw["autocommit"] is None else _flag(kw, "autocommit")

    flags = kw["client_flag"]
    if not _is_whole(flags) or not 0 <= flags <= _LARGEST_FLAG:
        _wrong("client_flag", f"bits of constants.CLIENT, from 0 to {_LARGEST_FLAG}", flags)
    flags |= CLIENT.CAPABILITIES
    if local_infile:
        flags |= CLIENT.LOCAL_FILES
    if database is not None:
        flags |= CLIENT.CONNECT_WITH_DB
    if tls.mode == "required":
        flags |= CLIENT.SSL

    return (
        Options(
            host=_string(kw, "host") or _DEFAULT_HOST,
            port=_port(kw["port"]),
            user=_name(kw, "user", encoding) or os_user(),
            password=_password(kw["password"]),
            database=database,
            unix_socket=_path(kw["unix_socket"], "unix_socket") or None,
            bind_address=_string(kw, "bind_address") or None,
            charset=charset,
            encoding=encoding,
            collation=_collation(kw),
            sql_mode=_string(kw, "sql_mode"),
            init_command=_string(kw, "init_command"),
            autocommit=autocommit,
            client_flag=flags,
            local_infile=local_infile,
            program_name=_string(kw, "program_name") or None,
            connect_timeout=_connect_timeout(kw["connect_timeout"]),
            read_timeout=_timeout(kw, "read_timeout"),
            write_timeout=_timeout(kw, "write_timeout"),
            tls=tls,
            use_pure=_use_pure(kw),
            use_unicode=_flag(kw, "use_unicode"),
            conv=_conv(kw["conv"]),
            cursorclass=_cursorclass(kw["cursorclass"]),
            max_allowed_packet=_packet_size(kw["max_allowed_packet"]),
        ),
        rest,
    )


# ------------------------------------------------------------------------------ single values


def _wrong(name: str, right: str, value: object) -> NoReturn:
    # The value itself may be a secret in the wrong place; a number is none.
    shown = repr(value) if _is_number(value) else type(value).__name__
    raise err.ProgrammingError(f"{name} must be {right}, not {shown}")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return _is_whole(value) or isinstance(value, float)


def _flag(kw: Mapping[str, Any], name: str) -> bool:
    """Return a truth value; 0 and 1 are old spellings of it, and None is False.

    Other values are refused: PyMySQL takes the text "false" for true.
    """
    value = kw[name]
    if value is None:
        return False
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    _wrong(name, "True or False", value)


def _string(kw: Mapping[str, Any], name: str) -> str | None:
    value = kw[name]
    if value is None:
        return None
    if not isinstance(value, str):
        _wrong(name, "a str", value)
    _no_nul(value, name)
    return value


def _name(kw: Mapping[str, Any], name: str, encoding: str) -> str | bytes | None:
    """Return a name as str, or as bytes if these are not in the connection's encoding."""
    value = kw[name]
    if not isinstance(value, bytes):
        if value is not None and not isinstance(value, str):
            _wrong(name, "str or bytes", value)
        return _string(kw, name) or None
    _no_nul(value, name)
    try:
        return value.decode(encoding) or None
    except UnicodeDecodeError:
        return value


def _no_nul(value: str | bytes, name: str) -> None:
    # The protocol ends these with a NUL: what follows would be read as another field.
    if "\0" in value if isinstance(value, str) else b"\0" in value:
        raise err.ProgrammingError(f"{name} must not contain a NUL character")


def _path(value: object, name: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, (str, bytes, os.PathLike)):
        _wrong(name, "a path", value)
    path = os.fsdecode(value)
    _no_nul(path, name)
    return path


def _port(value: object) -> int:
    port = value or _DEFAULT_PORT
    if type(port) is not int:
        raise ValueError("port should be of type int")
    if not 0 < port <= _LARGEST_PORT:
        _wrong("port", f"from 1 to {_LARGEST_PORT}", port)
    return port


def _use_pure(kw: Mapping[str, Any]) -> bool | None:
    if kw["use_pure"] is not None:
        return _flag(kw, "use_pure")
    text = os.environ.get(USE_PURE, "")
    try:
        return _maybe(text)
    except ValueError as error:
        raise err.ProgrammingError(f"{USE_PURE}={text!r}: must be {error}") from None


def os_user() -> str:
    """Return the name of the operating system's user.

    :raise ValueError: if it has none, as PyMySQL.
    """
    import getpass  # a function names its user; this is for those who do not

    # KeyError up to Python 3.12 and OSError from then on: there is no such account.
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        raise ValueError("Did not specify a username") from None


def _password(value: object) -> Secret:
    secret = Secret(b"" if value is None else value)
    # One form for str and bytes, so that equal passwords make equal identities.
    return secret if secret.is_callable else Secret(secret.get())


def codec_of(charset: str) -> str:
    """Return Python's codec for a character set of MySQL's.

    :raise ProgrammingError: for an unknown one, and for one that Python has no codec for.
    """
    known = charset_by_name(charset)
    if known is None:
        raise err.ProgrammingError(f"unknown charset {charset!r}")
    try:
        codecs.lookup(known.encoding)
    except LookupError:
        raise err.ProgrammingError(
            f"charset {charset!r} cannot be used: Python has no codec for it"
        ) from None
    return known.encoding


def _collation(kw: Mapping[str, Any]) -> str | None:
    collation = _string(kw, "collation") or None
    # It becomes part of a SET NAMES statement.
    if collation is not None and re.fullmatch(r"[A-Za-z0-9_]+", collation) is None:
        raise err.ProgrammingError(
            f"collation {collation!r} must be a name of letters, digits and underscores"
        )
    return collation


def _connect_timeout(value: object) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        _wrong("connect_timeout", "a number of seconds", value)
    if not 0 < value <= _LONGEST_TIMEOUT:
        raise ValueError(f"connect_timeout should be >0 and <={_LONGEST_TIMEOUT}")
    return value


def _timeout(kw: Mapping[str, Any], name: str) -> float | None:
    value = kw[name]
    if value is None:
        return None
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        _wrong(name, "a number of seconds, or None", value)
    if not 0 < value < math.inf:
        raise ValueError(f"{name} should be > 0")
    return value


def _conv(value: object) -> Mapping[Any, Any] | None:
    if value is not None and not isinstance(value, Mapping):
        _wrong("conv", "a dict of converters, as converters.conversions", value)
    return value


def _cursorclass(value: object) -> Callable[[Any], Any] | None:
    if value is not None and not callable(value):
        _wrong("cursorclass", "a cursor class", value)
    return value


def _packet_size(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        _wrong("max_allowed_packet", "a number of bytes, at least 1", value)
    return value


# ------------------------------------------------------------------------------- option files


def _from_option_file(kw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords that the option file adds: it fills what is falsy in ``kw``.

    A file that is not there or cannot be opened is ignored, as by PyMySQL.

    :raise ProgrammingError: for one that is no option file.
    """
    system_wide = "c:\\my.ini" if sys.platform.startswith("win") else "/etc/my.cnf"
    path = kw["read_default_file"] or system_wide
    file = os.path.expanduser(  # noqa: PTH111 - which leaves what it cannot expand
        _path(path, "read_default_file") or ""
    )
    values = _group_of(file, kw["read_default_group"] or "client")
    found: dict[str, Any] = {}
    for key, name in (
        ("user", "user"),
        ("password", "password"),
        ("host", "host"),
        ("database", "database"),
        ("socket", "unix_socket"),
        ("port", "port"),
        ("bind-address", "bind_address"),
        ("default-character-set", "charset"),
    ):
        value = values.get(key, _NOTHING)
        if not kw[name] and value != _NOTHING:
            # A password goes over the wire as it stands in the file.
            found[name] = Secret(value.reveal().encode()) if name == "password" else value.reveal()
    port = found.get("port", kw["port"]) or 0
    try:
        found["port"] = int(port)
    except (TypeError, ValueError):
        raise ValueError("port should be of type int") from None

    asked = kw["ssl"] or {}
    if isinstance(asked, Mapping):
        parts = {name: value for name, value in asked.items() if value or name in _HOW_TO_VERIFY}
        mode, of_file = _tls_of_file(values)
        found["ssl"] = {**of_file, **parts}
        if mode == "DISABLED" and kw["ssl_disabled"] is None:
            found["ssl_disabled"] = not parts and not any(kw[name] for name in _ASK_FOR_TLS)
    return found


_HOW_TO_VERIFY: Final = ("check_hostname", "verify_mode")

#: What ``ssl-mode`` of MySQL's clients asks for, in terms of the ``ssl`` dict.
_SSL_MODES: Final[Mapping[str, Mapping[str, object]]] = {
    "DISABLED": {},
    "PREFERRED": {},
    "REQUIRED": {"check_hostname": False, "verify_mode": "none"},
    "VERIFY_CA": {"check_hostname": False, "verify_mode": "required"},
    "VERIFY_IDENTITY": {"check_hostname": True, "verify_mode": "required"},
}


def _tls_of_file(values: Mapping[str, Secret]) -> tuple[str, dict[str, Any]]:
    """Return ``ssl-mode`` of an option file, or "", and what the file says for the ``ssl`` dict.

    :raise ProgrammingError: for a mode that there is not.
    """
    mode = str(values.get("ssl-mode", Secret("")).reveal() or "").upper()
    if mode and mode not in _SSL_MODES:
        raise err.ProgrammingError(
            f"ssl-mode in the option file must be one of {', '.join(_SSL_MODES)}"
        )
    parts: dict[str, Any] = dict(_SSL_MODES.get(mode, {}))
    verify = values.get("ssl-verify-server-cert")  # MariaDB's
    if verify is not None and str(verify.reveal()).upper() not in {"0", "OFF", "FALSE"}:
        parts.update(_SSL_MODES["VERIFY_IDENTITY"])
    for key in ("ca", "capath", "cert", "key", "password", "cipher"):
        value = values.get("ssl-" + key)
        if value:
            parts[key] = value if key == "password" else value.reveal()
    return mode, parts


#: An option without a value.
_NOTHING: Final = Secret(None)


def _group_of(file: str, group: str) -> dict[str, Secret]:
    """Return the options of one group of a file, hidden from whatever shows frames."""
    from slsmysql import mycnf  # few use an option file

    problem = None
    try:
        return {name: Secret(value) for name, value in mycnf.read(file).get(group, {}).items()}
    except OSError:
        return {}
    except mycnf.NotAnOptionFile as error:
        problem = str(error)
    # Raised from here: the frames behind that exception have the file's lines.
    raise err.ProgrammingError(f"read_default_file {file!r} is not an option file: {problem}")


# ---------------------------------------------------------------------------------------- TLS

#: What PyMySQL understands as a way to verify the server's certificate; text in any case.
_VERIFY: Final[Mapping[object, Verify]] = {
    **dict.fromkeys((False, "none", "0", "false", "no"), "none"),
    "optional": "optional",
    **dict.fromkeys((True, "required", "1", "true", "yes"), "required"),
}

_SSL_KEYS: Final = frozenset(
    {"ca", "capath", "cert", "key", "password", "cipher", "check_hostname", "verify_mode"}
)

#: Those of the ``ssl_*`` keywords that ask for TLS, and then stand for the whole of ``ssl``.
_ASK_FOR_TLS: Final = ("ssl_ca", "ssl_cert", "ssl_key", "ssl_verify_cert", "ssl_verify_identity")


def _no_two_ways(kw: Mapping[str, Any]) -> None:
    """Refuse ``ssl`` beside ``ssl_*``, of which PyMySQL silently drops the former."""
    if kw["ssl"] and not kw["ssl_disabled"]:
        for name in _ASK_FOR_TLS:
            if kw[name]:
                raise err.ProgrammingError(
                    f"give either ssl or {name}, not both: {name} would replace all of ssl"
                )


def _tls(kw: Mapping[str, Any], stacklevel: int) -> Tls:
    """Return what is asked of TLS, by PyMySQL's rules; files have been loaded once to see.

    PyMySQL's defaults are kept: TLS whenever the server offers it, verified only when asked for.
    There are two differences, where PyMySQL verifies less than it was asked to:
    ``ssl_verify_identity`` checks the host's name without a CA too, and a ``verify_mode`` that it
    does not understand is refused where it would verify nothing.
    """
    if _flag(kw, "ssl_disabled"):
        return Tls("disabled")
    identity = _flag(kw, "ssl_verify_identity")
    asked = kw["ssl"]
    if any(kw[name] for name in _ASK_FOR_TLS):
        verify_cert = kw["ssl_verify_cert"]
        verify = True if identity else False if verify_cert is None else verify_cert
        asked = {
            "ca": kw["ssl_ca"],
            "cert": kw["ssl_cert"],
            "key": kw["ssl_key"],
            "password": kw["ssl_key_password"],
            "check_hostname": identity,
            "verify_mode": verify,
        }
    if not asked:
        return Tls("preferred")
    try:
        import ssl  # not every Python has it
    except ImportError:
        raise NotImplementedError("ssl module not found") from None
    if isinstance(asked, ssl.SSLContext):
        mode = _VERIFY[asked.verify_mode.name.removeprefix("CERT_").lower()]
        return Tls("required", context=asked, check_hostname=asked.check_hostname, verify=mode)
    if not isinstance(asked, Mapping):
        _wrong("ssl", "a dict or an ssl.SSLContext", asked)
    unknown = sorted(str(key) for key in asked if key not in _SSL_KEYS)
    if unknown:
        # PyMySQL ignores them, and programs use one of any name to ask for TLS unverified.
        text = f"ssl: {', '.join(unknown)} has no effect; known are {', '.join(sorted(_SSL_KEYS))}"
        warnings.warn(text, UserWarning, stacklevel)

    has_ca = asked.get("ca") is not None or asked.get("capath") is not None
    cert = _path(asked.get("cert"), "ssl_cert")
    key = _path(asked.get("key"), "ssl_key")
    verify_as = _verify(asked.get("verify_mode"), has_ca=has_ca)
    # Without a CA it is not on by itself, and PyMySQL leaves it off even if it is asked for.
    by_name = bool(asked.get("check_hostname", has_ca)) and (has_ca or verify_as != "none")
    tls = Tls(
        "required",
        ca=_path(asked.get("ca"), "ssl_ca") or None,
        capath=_path(asked.get("capath"), "ssl capath") or None,
        cert=cert,
        # Without a certificate a key is of no use; without a key it is in the certificate's file.
        key=None if cert is None else key or cert,
        key_password=_key_password(asked.get("password")),
        cipher=_string({"ssl cipher": asked.get("cipher")}, "ssl cipher"),
        check_hostname=identity or by_name,
        verify=verify_as,
    )
    if tls.check_hostname and tls.verify == "none":
        raise ValueError("Cannot set verify_mode to CERT_NONE when check_hostname is enabled.")
    ssl_context(tls)
    return tls


def _key_password(value: object) -> Secret:
    kept = value.reveal() if isinstance(value, Secret) else value
    if kept is None or callable(kept) or isinstance(kept, (str, bytes)):
        return Secret(kept)
    kind = type(kept).__name__
    del value, kept
    raise err.ProgrammingError(f"ssl_key_password must be str, bytes or a callable, not {kind}")


def _verify(value: object, *, has_ca: bool) -> Verify:
    if isinstance(value, (bool, str)):
        known = _VERIFY.get(value.lower() if isinstance(value, str) else value)
        if known is not None:
            return known
    if value and not has_ca:
        right = "True, False, 'none', 'optional' or 'required'"
        raise err.ProgrammingError(
            f"ssl_verify_cert, or verify_mode of ssl, must be {right}, not {value!r}"
        )
    return "required" if has_ca else "none"


def _stamp(file: str | None) -> tuple[int, int, int] | None:
    """Return what changes when the file does.

    :raise FileNotFoundError: if there is none.
    """
    if file is None:
        return None
    stat = os.stat(file)  # noqa: PTH116 - at each connect
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def ssl_context(tls: Tls) -> ssl.SSLContext:
    """Return the context for ``tls``; kept, as loading CA certificates takes 10 to 35 ms.

    :raise FileNotFoundError: for a file that is not there.
    :raise ssl.SSLError: for a file that does not hold what it should.
    """
    if tls.context is not None:
        return tls.context
    return _context(tls, tuple(_stamp(file) for file in (tls.ca, tls.cert, tls.key)))


@functools.lru_cache(maxsize=16)
def _context(tls: Tls, stamps: tuple[tuple[int, int, int] | None, ...]) -> ssl.SSLContext:
    """Make the context for ``tls``, whose files are as ``stamps`` say."""
    import ssl  # only for those who ask for TLS

    del stamps
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = tls.check_hostname
    context.verify_mode = {
        "none": ssl.CERT_NONE,
        "optional": ssl.CERT_OPTIONAL,
        "required": ssl.CERT_REQUIRED,
    }[tls.verify]
    if tls.ca is not None or tls.capath is not None:
        context.load_verify_locations(tls.ca, tls.capath)
    elif tls.verify != "none":
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if tls.cert is not None:
        # An empty password rather than none: OpenSSL would ask for it at the terminal.
        context.load_cert_chain(tls.cert, tls.key, tls.key_password.reveal() or "")
    if tls.cipher is not None:
        context.set_ciphers(tls.cipher)
    return context


# ---------------------------------------------------------------------------------------- URLs

_SCHEMES: Final = ("mysql", "mariadb", "mysql+slsmysql", "mariadb+slsmysql")

#: What is likely wrong with a URL that falls apart.
_ENCODE: Final = "these characters of user and password must be percent-encoded: : / ? # @"


def _verify_word(text: str) -> bool | str:
    try:
        return _text.boolean(text)
    except ValueError:
        return text


#: How the keywords are read from the query of a URL; those that no text can give are missing.
FROM_TEXT: Final[Mapping[str, Callable[[str], object]]] = {
    **dict.fromkeys(
        (
            "user",
            "password",
            "host",
            "database",
            "unix_socket",
            "charset",
            "collation",
            "sql_mode",
            "read_default_file",
            "read_default_group",
            "init_command",
            "bind_address",
            "program_name",
            "server_public_key",
            "ssl_ca",
            "ssl_cert",
            "ssl_key",
            "ssl_key_password",
            "passwd",
            "db",
        ),
        _text.string,
    ),
    **dict.fromkeys(("port", "client_flag", "max_allowed_packet"), _text.integer),
    "connect_timeout": _text.number,
    **dict.fromkeys(("read_timeout", "write_timeout"), _text.optional(_text.number)),
    **dict.fromkeys(
        (
            "use_unicode",
            "local_infile",
            "binary_prefix",
            "ssl_disabled",
            "ssl_verify_identity",
            "compress",
            "named_pipe",
            "use_pure",
        ),
        _text.boolean,
    ),
    "ssl_verify_cert": _verify_word,
    "autocommit": _maybe,
}


class _BadUrl(Exception):
    """What is wrong with a URL, in words that quote nothing that may be a password."""


def parse_url(
    url: str, others: Mapping[str, Callable[[str], object]] | None = None
) -> dict[str, Any]:
    """Return the keywords that ``mysql://user:password@host:port/database?name=value`` stands for.

    User, password, host and database are percent-decoded; in the query ``+`` is a space.  An IPv6
    address stands in brackets.  What the URL does not say is not in the result.  The password is
    a ``Secret``, which ``build_options`` takes.

    :param others: how to read the values of other names that may stand in the query, such as the
        management options' ``settings.FROM_TEXT``.
    :raise ProgrammingError: for a URL that is not as above; it quotes names, never values.
    """
    problem = f" must be a str, not {type(url).__name__}"
    if isinstance(url, str):
        try:
            return _parse_url(url, {**FROM_TEXT, **(others or {})})
        except _BadUrl as error:
            problem = f": {error}"
    # Raised from here so that neither the message nor any frame of the traceback has the password.
    del url
    raise err.ProgrammingError(f"connection URL{problem}")


def _parse_url(url: str, readers: Mapping[str, Callable[[str], object]]) -> dict[str, Any]:
    from urllib.parse import parse_qsl, urlsplit  # few use a URL

    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        if "IPv6" in str(error):
            raise _BadUrl("brackets are for an IPv6 address") from None
        raise _BadUrl(
            f"the port must be a number from 1 to {_LARGEST_PORT}, and {_ENCODE}"
        ) from None
    if parts.scheme not in _SCHEMES or not url.partition(":")[2].startswith("//"):
        raise _BadUrl(f"it must begin with one of {', '.join(name + '://' for name in _SCHEMES)}")
    # A character of the password that is not encoded ends it too early: the "@" shows it.
    if "@" in parts.path + parts.query or "#" in url:
        raise _BadUrl(_ENCODE)

    keywords: dict[str, Any] = {}
    if parts.username:
        keywords["user"] = _decoded(parts.username, "user")
    if parts.password:
        keywords["password"] = _decoded(parts.password, "password")
    if parts.hostname:
        keywords["host"] = _decoded(parts.hostname, "host")
    if port is not None:
        keywords["port"] = port
    database = parts.path.removeprefix("/")
    if "/" in database:
        raise _BadUrl('the path must be the name of one database; "/" in it is written %2F')
    if database:
        keywords["database"] = _decoded(database, "database")

    try:
        pairs = parse_qsl(
            parts.query, keep_blank_values=True, strict_parsing=bool(parts.query), errors="strict"
        )
    except ValueError:
        raise _BadUrl(
            "what follows the question mark must be name=value pairs, joined by &"
        ) from None
    for name, text in pairs:
        if name in keywords:
            raise _BadUrl(f"{name} is given twice")
        keywords[name] = _read(name, text, readers)
    return conceal(keywords)


def _decoded(text: str, name: str) -> str:
    from urllib.parse import unquote  # few use a URL

    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise _BadUrl(f"{name} is not UTF-8 when percent-decoded") from None


def _read(name: str, text: str, readers: Mapping[str, Callable[[str], object]]) -> object:
    read = readers.get(name)
    if read is None:
        if name in DEFAULTS:
            raise _BadUrl(f"{name} cannot be given in a URL, only as a keyword")
        raise _BadUrl(f"unknown option {name!r}.{_text.did_you_mean(name, readers)}")
    try:
        return read(text)
    except ValueError as error:
        raise _BadUrl(f"{name} must be {error}") from None
