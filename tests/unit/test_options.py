"""PyMySQL's keywords: what they mean, compared with PyMySQL itself, and what is refused."""

from __future__ import annotations

import getpass
import inspect
import itertools
import re
import ssl
import string
import subprocess
import sys
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymysql
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slsmysql import err, options, settings
from slsmysql.constants import CLIENT
from slsmysql.options import DEFAULTS, Options, Secret, Tls, build_options, parse_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
DOC = ROOT / "docs" / "options.md"

PASSWORD = "open-s3same"  # what must never be shown

# A certificate for "localhost" signed by itself, its key, and the key encrypted with PASSWORD's
# sister "opensesame". Made for these tests: openssl ecparam, openssl req -x509, openssl ec.
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBljCCATugAwIBAgIUMnGKOt0i3yQHF4DxwfpOmRmyWY8wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMzA0MzcwNFoYDzIxMjYxMDMw
MDQzNzA0WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQNO88YCIw11icDs2I2YgJ1E9rZcC6iAosB8TYnjxmTGDNWnD/VwkkU
HCdO8aoTS4H3BIBhjIGGkQO2xJjuY94lo2kwZzAdBgNVHQ4EFgQUOEidaF4rRSUY
BVpfrhV90SskS8QwHwYDVR0jBBgwFoAUOEidaF4rRSUYBVpfrhV90SskS8QwDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID
SQAwRgIhAIJVKOc47zOgzxb48G+hcru6gRO57u+YbIs1d8vy0+JzAiEAgeh1P92O
U/ZhxITMZcCOFmZRaTf4tSQ2LdjVFqSYwsA=
-----END CERTIFICATE-----
"""
KEY = """\
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIME2r8ddc1KL9lNo9AQAU3Mg0NKTfIyLNnQ2mRI7HKZboAoGCCqGSM49
AwEHoUQDQgAEDTvPGAiMNdYnA7NiNmICdRPa2XAuogKLAfE2J48ZkxgzVpw/1cJJ
FBwnTvGqE0uB9wSAYYyBhpEDtsSY7mPeJQ==
-----END EC PRIVATE KEY-----
"""
ENCRYPTED_KEY = """\
-----BEGIN EC PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-256-CBC,DEBD87E04F837F38C7DE1A750F659D68

ypkm6C+E50MPbuWMffGJDl7XR2MhjdtNbH4hoWrx3fKymCK2v4w8gSdB25Xih2kQ
RueOjJl1dDspfmG/maQOquG4jxKieNZYWhyt7EnckDXm/8PMl/IMlkhhayc5I1u8
FJ6qpo9SLYoZ0v0ldpSGmnExRQ9Dfqeupw1SuNmBXuY=
-----END EC PRIVATE KEY-----
"""
KEY_PASSWORD = "opensesame"  # of the test's own key


def build(**keywords: Any) -> Options:
    """Return the options of ``keywords``, as ``connect()`` would make them."""
    made, rest = build_options(keywords)
    assert rest == {}
    return made


def reference(**keywords: Any) -> Any:
    """Return PyMySQL's connection, not connected, of the same keywords."""
    return pymysql.connect(defer_connect=True, **keywords)


@pytest.fixture(scope="session")
def pem(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the paths of files of each kind, by the name of the kind."""
    folder = tmp_path_factory.mktemp("pem")
    texts = {
        "cert": CERTIFICATE,
        "key": KEY,
        "encrypted": ENCRYPTED_KEY,
        "both": CERTIFICATE + KEY,
        "rubbish": "this is no certificate\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return {name: str(folder / name) for name in [*texts, "missing"]} | {"folder": str(folder)}


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, pem: dict[str, str]) -> None:
    """Keep the environment's choice of a back end out, and the system's CA store.

    PyMySQL loads that store for each connection: 20 ms that nothing here needs.
    """
    monkeypatch.setenv("SSL_CERT_FILE", pem["cert"])
    monkeypatch.setenv("SSL_CERT_DIR", pem["folder"])
    monkeypatch.delenv(options.USE_PURE, raising=False)


# ------------------------------------------------------------------------ names and defaults


def test_the_defaults_are_pymysqls() -> None:
    """Every keyword of PyMySQL is known with its default; ours come on top."""
    theirs = {
        name: parameter.default
        for name, parameter in inspect.signature(pymysql.connect).parameters.items()
    }
    del theirs["defer_connect"]  # the connection's own business
    assert theirs.pop("cursorclass") is pymysql.cursors.Cursor
    mine = dict(DEFAULTS)
    assert mine.pop("cursorclass") is None
    assert mine.pop("use_pure") is None
    assert mine == theirs


def test_nothing_given_is_pymysqls_default() -> None:
    """``connect()`` without a keyword asks for what PyMySQL's would."""
    assert build() == Options(
        host="localhost",
        port=3306,
        user=getpass.getuser(),
        password=Secret(b""),
        database=None,
        unix_socket=None,
        bind_address=None,
        charset="utf8mb4",
        encoding="utf8",
        collation=None,
        sql_mode=None,
        init_command=None,
        autocommit=False,
        client_flag=CLIENT.CAPABILITIES,
        local_infile=False,
        program_name=None,
        connect_timeout=10,
        read_timeout=None,
        write_timeout=None,
        tls=Tls("preferred"),
        use_pure=None,
        use_unicode=True,
        conv=None,
        cursorclass=None,
        max_allowed_packet=16 * 1024 * 1024,
    )


def test_defaults_spelled_out_change_nothing() -> None:
    """A caller that hands on all of its own parameters gets what nothing given gives."""
    assert build(**DEFAULTS) == build()


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
TIMEOUTS = st.one_of(st.none(), st.integers(1, 10**6), st.floats(0.001, 1e6))
KEYWORDS: dict[str, st.SearchStrategy[Any]] = {
    "host": st.one_of(st.none(), NAMES),
    "port": st.integers(0, 65535),
    "user": st.one_of(st.none(), NAMES),
    "password": st.one_of(st.none(), st.text(st.characters(max_codepoint=255)), st.binary()),
    "database": st.one_of(st.none(), NAMES),
    "unix_socket": st.one_of(st.none(), NAMES),
    "bind_address": st.one_of(st.none(), NAMES.filter(bool)),
    "charset": st.sampled_from(["", "utf8", "utf8mb4", "UTF8MB3", "latin1", "gbk", "koi8r"]),
    "collation": st.sampled_from([None, "utf8mb4_bin", "utf8mb4_uca1400_ai_ci"]),
    "sql_mode": st.one_of(st.none(), NAMES),
    "init_command": st.one_of(st.none(), NAMES),
    "autocommit": st.sampled_from([None, True, False]),
    "client_flag": st.integers(0, 2**24),
    "local_infile": st.booleans(),
    "connect_timeout": st.one_of(st.integers(1, 31_536_000), st.floats(0.001, 31_536_000)),
    "read_timeout": TIMEOUTS,
    "write_timeout": TIMEOUTS,
    "max_allowed_packet": st.integers(1, 2**30),
    "use_unicode": st.booleans(),
    "binary_prefix": st.booleans(),
    "program_name": st.one_of(st.none(), NAMES),
    "ssl_disabled": st.sampled_from([None, True, False]),
}


@given(keywords=st.fixed_dictionaries({}, optional=KEYWORDS))
def test_each_keyword_means_what_it_means_to_pymysql(keywords: dict[str, Any]) -> None:
    """Whatever is given, PyMySQL's connection has the same values."""
    mine, theirs = build(**keywords), reference(**keywords)
    assert mine.host == theirs.host
    assert mine.port == theirs.port
    assert mine.user == theirs.user
    assert mine.password.get() == theirs.password
    assert mine.database == (theirs.db or None)
    assert mine.unix_socket == (theirs.unix_socket or None)
    assert mine.bind_address == theirs.bind_address
    assert mine.charset == theirs.charset
    assert mine.encoding == theirs.encoding
    assert mine.collation == theirs.collation
    assert mine.sql_mode == theirs.sql_mode
    assert mine.init_command == theirs.init_command
    assert mine.autocommit is theirs.autocommit_mode
    assert mine.client_flag == theirs.client_flag
    assert mine.local_infile is theirs._local_infile
    assert mine.connect_timeout == theirs.connect_timeout
    assert mine.read_timeout == theirs._read_timeout
    assert mine.write_timeout == theirs._write_timeout
    assert mine.max_allowed_packet == theirs.max_allowed_packet
    assert mine.use_unicode is theirs.use_unicode
    assert (mine.program_name or "") == theirs._connect_attrs.get("program_name", "")
    assert (mine.tls.mode == "disabled") is (not theirs.ssl)
    assert (mine.conv, mine.cursorclass) == (None, None)


def test_conv_and_cursorclass_are_handed_on() -> None:
    """The objects themselves come out."""
    conv: dict[Any, Any] = {1: int}
    made = build(conv=conv, cursorclass=list)
    assert made.conv is conv
    assert made.cursorclass is list
    hash(made)


@pytest.mark.parametrize("name", ["user", "database"])
def test_a_name_in_bytes_is_the_same_name(name: str) -> None:
    """PyMySQL takes bytes for these; those of the connection's encoding are made str."""
    assert getattr(build(**{name: "é".encode()}), name) == "é"
    assert getattr(build(**{name: b"\xe9"}), name) == b"\xe9"
    assert getattr(build(**{name: b"\xe9", "charset": "latin1"}), name) == "é"


def test_without_a_name_of_its_own_the_user_is_the_operating_systems(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As with PyMySQL; asked only when no user is given."""
    monkeypatch.setattr(getpass, "getuser", lambda: "me")
    assert build().user == build(user="").user == build(user=b"").user == "me"

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 1000")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert build(user="app").user == "app"
    with pytest.raises(ValueError, match="Did not specify a username"):
        build()


# ------------------------------------------------------------------------------------ refusals


def outcome(function: Callable[..., Any], keywords: dict[str, Any]) -> tuple[type, str] | None:
    """Return class and text of what ``function`` raises, or None."""
    try:
        function(**keywords)
    except Exception as error:
        return type(error), str(error)
    return None


@pytest.mark.parametrize(
    "keywords",
    [
        {"port": "3306"},
        {"port": 3306.0},
        {"port": True},
        {"connect_timeout": 0},
        {"connect_timeout": -1},
        {"connect_timeout": 31_536_001},
        {"connect_timeout": float("nan")},
        {"connect_timeout": float("inf")},
        {"read_timeout": 0},
        {"read_timeout": -0.5},
        {"write_timeout": 0},
        {"write_timeout": -1},
        {"compress": True},
        {"compress": "zlib"},
        {"named_pipe": True},
    ],
)
def test_pymysqls_own_errors_are_raised(keywords: dict[str, Any]) -> None:
    """Where PyMySQL has an exception for a wrong value, it is the same in class and text."""
    assert outcome(build, keywords) == outcome(reference, keywords) is not None


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        ({"host": 5}, "host must be a str, not 5"),
        ({"host": b"localhost"}, "host must be a str, not bytes"),
        ({"host": "a\0b"}, "host must not contain a NUL character"),
        ({"port": -1}, "port must be from 1 to 65535, not -1"),
        ({"port": 65536}, "port must be from 1 to 65535, not 65536"),
        ({"user": 5}, "user must be str or bytes, not 5"),
        ({"user": "a\0b"}, "user must not contain a NUL character"),
        ({"user": b"a\0b"}, "user must not contain a NUL character"),
        ({"database": ["d"]}, "database must be str or bytes, not list"),
        ({"password": 12345}, "password must be str, bytes or a callable, not int"),
        ({"password": "пароль"}, "password has characters that latin1 does not have"),
        ({"unix_socket": 3}, "unix_socket must be a path, not 3"),
        ({"charset": "utf16x"}, "unknown charset 'utf16x'"),
        ({"charset": 8}, "charset must be a str, not 8"),
        ({"charset": "binary"}, "charset 'binary' cannot be used"),
        ({"charset": "dec8"}, "charset 'dec8' cannot be used"),
        ({"collation": "utf8mb4_bin; DROP TABLE t"}, "collation 'utf8mb4_bin; DROP TABLE t'"),
        ({"collation": 3}, "collation must be a str, not 3"),
        ({"sql_mode": ["ANSI"]}, "sql_mode must be a str, not list"),
        ({"init_command": b"SET x"}, "init_command must be a str, not bytes"),
        ({"autocommit": "yes"}, "autocommit must be True or False, not str"),
        ({"autocommit": 2}, "autocommit must be True or False, not 2"),
        ({"client_flag": "1"}, "client_flag must be bits"),
        ({"client_flag": -1}, "client_flag must be bits"),
        ({"client_flag": 2**31}, "client_flag must be bits"),
        ({"client_flag": None}, "client_flag must be bits"),
        ({"local_infile": "no"}, "local_infile must be True or False, not str"),
        ({"use_unicode": "utf8"}, "use_unicode must be True or False, not str"),
        ({"use_pure": "yes"}, "use_pure must be True or False, not str"),
        ({"program_name": 1.5}, "program_name must be a str, not 1.5"),
        ({"connect_timeout": "10"}, "connect_timeout must be a number of seconds, not str"),
        ({"connect_timeout": None}, "connect_timeout must be a number of seconds, not NoneType"),
        ({"read_timeout": "1"}, "read_timeout must be a number of seconds, or None, not str"),
        ({"bind_address": 1}, "bind_address must be a str, not 1"),
        ({"max_allowed_packet": 0}, "max_allowed_packet must be a number of bytes"),
        ({"max_allowed_packet": "16M"}, "max_allowed_packet must be a number of bytes"),
        ({"conv": [1]}, "conv must be a dict of converters"),
        ({"cursorclass": "DictCursor"}, "cursorclass must be a cursor class, not str"),
        ({"ssl": True}, "ssl must be a dict or an ssl.SSLContext, not bool"),
        ({"ssl": "required"}, "ssl must be a dict or an ssl.SSLContext, not str"),
        ({"ssl_disabled": "false"}, "ssl_disabled must be True or False, not str"),
        ({"ssl_verify_identity": "false"}, "ssl_verify_identity must be True or False, not str"),
        ({"ssl_ca": 3}, "ssl_ca must be a path, not 3"),
        ({"ssl_cert": "x", "ssl_key_password": 3}, "ssl_key_password must be str, bytes"),
        ({"ssl": {"cipher": 3}}, "ssl cipher must be a str, not 3"),
        ({"ssl": {"ca": "x"}, "ssl_verify_cert": True}, "give either ssl or ssl_verify_cert"),
        ({"read_default_file": 3}, "read_default_file must be a path, not 3"),
    ],
)
def test_a_wrong_value_is_refused_clearly(keywords: dict[str, Any], text: str) -> None:
    """Where PyMySQL would fail later or by accident, the error says what would be right."""
    with pytest.raises(err.ProgrammingError) as caught:
        build(**keywords)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("name", ["read_timeout", "write_timeout"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_endless_timeout_is_none(name: str, value: float) -> None:
    """What no socket takes is refused with PyMySQL's error for an impossible time-out."""
    with pytest.raises(ValueError, match=f"^{name} should be > 0$"):
        build(**{name: value})


@pytest.mark.parametrize(
    ("keywords", "cure"),
    [
        ({"auth_plugin_map": {"dialog": object}}, "password=callable"),
        ({"server_public_key": b"-----BEGIN PUBLIC KEY-----"}, "use TLS"),
    ],
)
def test_what_the_driver_cannot_do_is_said(keywords: dict[str, Any], cure: str) -> None:
    """The error names the option and what to do instead."""
    with pytest.raises(err.NotSupportedError, match=cure) as caught:
        build(**keywords)
    assert str(caught.value).startswith(next(iter(keywords)))


@pytest.mark.parametrize("keywords", [{"auth_plugin_map": {}}, {"server_public_key": None}])
def test_what_asks_for_nothing_is_taken(keywords: dict[str, Any]) -> None:
    """An empty map of handlers asks for nothing."""
    assert build(**keywords) == build()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("pasword", "Did you mean 'password'?"),
        ("hostname", "Did you mean 'host'?"),
        ("ssl_verify_certificate", "Did you mean 'ssl_verify_cert'?"),
        ("conn_utilisation", "Did you mean 'conn_utilization'?"),
        ("zzz", "'zzz'."),
    ],
)
def test_an_unknown_keyword_is_refused(name: str, hint: str) -> None:
    """With a TypeError, as by PyMySQL, and the nearest right name; the value is not shown."""
    assert (outcome(reference, {name: 1}) or (None,))[0] is TypeError
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'") as caught:
        build_options({name: PASSWORD}, others=settings.NAMES)
    assert hint in str(caught.value)
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("off", False), ("", None), ("none", None)]
)
def test_the_environment_chooses_the_back_end_where_the_code_does_not(
    text: str, value: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``SLSMYSQL_USE_PURE`` stands for ``use_pure``, which wins."""
    monkeypatch.setenv("SLSMYSQL_USE_PURE", text)
    assert build().use_pure is value
    assert build(use_pure=True).use_pure is True
    assert build(use_pure=False).use_pure is False


def test_a_wrong_choice_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable."""
    monkeypatch.setenv("SLSMYSQL_USE_PURE", "pure")
    with pytest.raises(err.ProgrammingError, match=r"^SLSMYSQL_USE_PURE='pure': must be"):
        build()


def test_the_keywords_of_others_come_back() -> None:
    """What belongs to somebody else is returned as it came, and nothing more."""
    listener = object()
    made, rest = build_options(
        {"host": "h", "on_event": listener, "defer_connect": True},
        others=[*settings.NAMES, "defer_connect"],
    )
    assert made.host == "h"
    assert rest == {"on_event": listener, "defer_connect": True}


ANY = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(),
    st.lists(st.integers(), max_size=2), st.dictionaries(st.text(), st.integers(), max_size=2),
    st.builds(object),
)  # fmt: skip


@given(name=st.sampled_from([n for n in DEFAULTS if not n.startswith("read_default")]), value=ANY)
def test_any_value_is_taken_or_refused(name: str, value: object) -> None:
    """Whatever is given, nothing but the documented exceptions comes out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            made = build(**{name: value})
        except (err.Error, ValueError, NotImplementedError, FileNotFoundError, OSError):
            return
    assert isinstance(made, Options)
    hash(made.identity())


# -------------------------------------------------------------------------- deprecated aliases


def connect(**keywords: Any) -> Options:
    """Stand in for the constructor that calls ``build_options``."""
    return build_options(keywords)[0]


@pytest.mark.parametrize(
    "keywords",
    [
        {"db": "d"},
        {"db": "d", "database": "e"},
        {"db": "", "database": None},
        {"passwd": "p"},
        {"passwd": "p", "password": "q"},
        {"passwd": "", "password": ""},
        {"passwd": b"p", "db": "d"},
    ],
)
def test_old_names_work_and_warn_as_in_pymysql(keywords: dict[str, Any]) -> None:
    """The same value wins, with the same warnings, which point to the line of the call."""
    with warnings.catch_warnings(record=True) as theirs:
        warnings.simplefilter("always")
        expected = reference(**keywords)
    with warnings.catch_warnings(record=True) as mine:
        warnings.simplefilter("always")
        made = connect(**keywords)
    assert made.database == (expected.db or None)
    assert made.password.get() == expected.password
    assert [(w.category, str(w.message)) for w in mine] == [
        (w.category, str(w.message)) for w in theirs
    ]
    assert {w.filename for w in mine} <= {__file__}


# ------------------------------------------------------------------------------------- secrets


def test_a_password_is_what_it_was() -> None:
    """Str goes over the wire in latin1, bytes as they are, None and '' as nothing."""
    assert build(password="é").password.get() == b"\xe9"
    assert build(password=b"\xc3\xa9").password.get() == b"\xc3\xa9"
    assert build(password=bytearray(b"x")).password.get() == b"x"
    assert build(password=None).password.get() == build(password="").password.get() == b""


def test_a_callable_password_is_asked_each_time_and_not_before() -> None:
    """Building asks for nothing; every ``get`` asks anew, so that a rotated secret is seen."""
    answers = iter(["one", b"two"])
    secret = build(password=lambda: next(answers)).password
    assert secret.is_callable
    assert (secret.get(), secret.get()) == (b"one", b"two")


@pytest.mark.parametrize("answer", [None, 5, "пароль", ["x"]])
def test_a_callable_that_returns_no_password_is_refused(answer: object) -> None:
    """The error says what is wrong and does not show it."""
    with pytest.raises(err.ProgrammingError, match=r"^what password\(\) returned") as caught:
        build(password=lambda: answer).password.get()
    assert repr(answer).strip("'") not in str(caught.value).replace("NoneType", "")


def test_what_a_callable_raises_comes_out() -> None:
    """A failure of the secret's store is the user's to see."""

    def broken() -> str:
        raise PermissionError("no such secret")

    with pytest.raises(PermissionError, match="no such secret"):
        build(password=broken).password.get()


def secret_frames(error: BaseException) -> Iterator[str]:
    """Yield the locals of the frames of the module under test, as a crash reporter shows them."""
    for frame in traceback.TracebackException.from_exception(error, capture_locals=True).stack:
        if "/slsmysql/" in frame.filename.replace("\\", "/"):
            yield repr(frame.locals)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"hots": "h"},
        {"port": "x"},
        {"charset": "nope"},
        {"compress": True},
        {"read_timeout": -1},
        {"ssl": {"password": PASSWORD, "ca": "/does/not/exist"}},
        {"ssl_cert": "/does/not/exist"},
        {"ssl_ca": 5},
        {"auth_plugin_map": {"x": object}},
        {"password": PASSWORD + "ж"},
        {"password": [PASSWORD]},
    ],
)
def test_no_password_is_shown(wrong: dict[str, Any]) -> None:
    """Not in a repr, a message, a chained exception, or a local of ours in a traceback."""
    keywords = {"password": PASSWORD, "ssl_key_password": PASSWORD, **wrong}
    if not wrong:
        made = build(**keywords)
        assert PASSWORD not in f"{made!r} {made} {made.identity()}"
        return
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each its own
        build(**keywords)
    error = caught.value
    assert PASSWORD not in f"{error!r} {error}"
    assert error.__context__ is None or PASSWORD not in repr(vars(error.__context__))
    for shown in secret_frames(error):
        assert PASSWORD not in shown


def test_a_key_password_is_not_shown(pem: dict[str, str]) -> None:
    """``Tls`` hides it in its own repr, in that of the options and in that of the identity."""
    made = build(ssl_cert=pem["cert"], ssl_key=pem["encrypted"], ssl_key_password=KEY_PASSWORD)
    assert made.tls.key_password.reveal() == KEY_PASSWORD
    assert KEY_PASSWORD not in repr(made) + repr(made.tls) + repr(made.identity())


# ------------------------------------------------------------------------------------ identity

CHANGES: dict[str, Any] = {
    "host": "other",
    "port": 3307,
    "user": "other",
    "password": "other",
    "database": "other",
    "unix_socket": "/tmp/other.sock",  # a name, not a file
    "charset": "latin1",
    "collation": "utf8mb4_bin",
    "sql_mode": "ANSI",
    "init_command": "SET @a = 1",
    "autocommit": True,
    "client_flag": CLIENT.FOUND_ROWS,
    "local_infile": True,
    "read_timeout": 5,
    "write_timeout": 5,
    "bind_address": "127.0.0.2",
    "program_name": "other",
    "ssl_disabled": True,
    "use_pure": True,
}


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_what_makes_another_session_makes_another_identity(name: str) -> None:
    """Each of these options alone changes the identity."""
    base = {"user": "app", "password": "p"}
    assert build(**base).identity() != build(**{**base, name: CHANGES[name]}).identity()


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"conv": {}},
        {"cursorclass": list},
        {"use_unicode": False},
        {"max_allowed_packet": 1024},
        {"connect_timeout": 3},
        {"binary_prefix": True},
        {"password": b"p"},
        {"user": b"app"},
    ],
)
def test_what_only_the_client_does_is_not_in_it(extra: dict[str, Any]) -> None:
    """A session serves connections that differ only in what never reaches the server."""
    base = {"user": "app", "password": "p"}
    first, second = build(**base).identity(), build(**{**base, **extra}).identity()
    assert first == second
    assert hash(first) == hash(second)


class Token:
    """A callable with an equality of its own and no hash."""

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = None  # type: ignore[assignment]

    def __call__(self) -> str:
        """Return the token."""
        return PASSWORD


def test_a_callable_counts_as_itself() -> None:
    """The same callable is the same account; it is not called to find out."""

    def fetch() -> str:
        raise AssertionError

    one, two = build(user="u", password=fetch), build(user="u", password=fetch)
    assert one.identity() == two.identity()
    assert hash(one.identity()) == hash(two.identity())
    assert one.identity() != build(user="u", password=lambda: PASSWORD).identity()
    token = Token()
    assert hash(build(password=token).identity()) == hash(build(password=token).identity())


# ----------------------------------------------------------------------------------------- TLS


def tls_of_pymysql(**keywords: Any) -> tuple[str, bool, str]:
    """Return what PyMySQL makes of the keywords: mode, host's name checked, chain verified."""
    made = reference(**keywords)
    if not made.ssl:
        return "disabled", False, "none"
    mode = "required" if made._ssl_required else "preferred"
    verify = made.ctx.verify_mode.name.removeprefix("CERT_").lower()
    return mode, made.ctx.check_hostname, verify


def same_tls(keywords: dict[str, Any], *, not_weaker: bool) -> None:
    """Check that both make the same of the keywords, or both refuse them with one class."""
    try:
        expected: object = tls_of_pymysql(**keywords)
    except Exception as error:
        expected = type(error)
    verify = ""
    try:
        made = build(**keywords).tls
        verify = made.verify
        mine: object = (made.mode, made.check_hostname, made.verify)
    except Exception as error:
        mine = type(error)
    if mine == expected or (isinstance(mine, type) and isinstance(expected, type)):
        return  # of several defects at once each may name another
    # PyMySQL verified less than it was asked to; these are the two cases, and no others.
    assert not_weaker
    if mine is err.ProgrammingError:
        assert expected == ("required", False, "none")
    else:
        assert verify in {"required", "optional"}
        assert (mine, expected) == (("required", True, verify), ("required", False, verify))


VERIFY = [
    None, True, False, "none", "NONE", "0", "no", "optional", "Required", "1", "true", "nonsense",
    "", 0, 1, 2, ssl.CERT_NONE, ssl.CERT_REQUIRED,
]  # fmt: skip


@pytest.mark.parametrize("disabled", [None, False, True])
@pytest.mark.parametrize("identity", [None, False, True])
@pytest.mark.parametrize("ca", [None, "", "cert", "missing", "rubbish"])
def test_the_ssl_keywords_mean_what_they_mean_to_pymysql(
    disabled: bool | None, identity: bool | None, ca: str | None, pem: dict[str, str]
) -> None:
    """Every combination gives PyMySQL's mode and verification, or what was asked for."""
    for cert, key, verify in itertools.product([None, "cert", "both"], [None, "key"], VERIFY):
        keywords = {
            "ssl_ca": pem.get(ca or "", ca),
            "ssl_cert": pem.get(cert or ""),
            "ssl_key": pem.get(key or ""),
            "ssl_verify_cert": verify,
            "ssl_verify_identity": identity,
            "ssl_disabled": disabled,
        }
        same_tls(keywords, not_weaker=not ca)


ABSENT = object()


@pytest.mark.parametrize("ca", [ABSENT, None, "", "cert", "missing"])
@pytest.mark.parametrize("capath", [ABSENT, None, "folder"])
def test_the_ssl_dict_means_what_it_means_to_pymysql(
    ca: object, capath: object, pem: dict[str, str]
) -> None:
    """The same for the deprecated dict."""
    for check, verify in itertools.product(
        [ABSENT, True, False, 0, 1, "", None], [ABSENT, *VERIFY]
    ):
        given_parts = {
            "ca": pem.get(ca, ca) if isinstance(ca, str) else ca,
            "capath": pem.get(capath, capath) if isinstance(capath, str) else capath,
            "check_hostname": check,
            "verify_mode": verify,
        }
        parts = {name: value for name, value in given_parts.items() if value is not ABSENT}
        has_ca = parts.get("ca") is not None or parts.get("capath") is not None
        if parts.get("ca") == "" and parts.get("capath"):
            continue  # PyMySQL then looks for a file without a name
        same_tls({"ssl": parts}, not_weaker=not has_ca)


def test_identity_without_a_ca_is_verified() -> None:
    """Asked to verify the host's name, that is done, against the system's CAs (not by PyMySQL)."""
    assert build(ssl_verify_identity=True).tls == Tls(
        "required", check_hostname=True, verify="required"
    )


def test_all_parts_arrive(pem: dict[str, str]) -> None:
    """Files, password and cipher come out under their names, whichever way they went in."""
    expected = Tls(
        "required",
        ca=pem["cert"],
        cert=pem["cert"],
        key=pem["encrypted"],
        key_password=Secret(KEY_PASSWORD),
        check_hostname=True,
        verify="required",
    )
    one = build(
        ssl_ca=Path(pem["cert"]),
        ssl_cert=pem["cert"].encode(),
        ssl_key=pem["encrypted"],
        ssl_key_password=KEY_PASSWORD,
        ssl_verify_identity=True,
    )
    two = build(
        ssl={
            "ca": pem["cert"],
            "cert": pem["cert"],
            "key": pem["encrypted"],
            "password": KEY_PASSWORD,
        }
    )
    assert one.tls == two.tls == expected
    assert one.client_flag & CLIENT.SSL
    assert one.identity() == two.identity()


def test_a_key_is_looked_for_in_the_certificates_file(pem: dict[str, str]) -> None:
    """Without ``ssl_key`` the key is in ``ssl_cert``; without ``ssl_cert`` it is of no use."""
    assert build(ssl_cert=pem["both"]).tls.key == pem["both"]
    assert build(ssl_key=pem["key"]).tls.key is None


def test_a_context_is_taken_as_it_is() -> None:
    """A ready ``SSLContext`` says it all; what it says can be read beside it."""
    context = ssl.create_default_context()
    made = build(ssl=context).tls
    assert made == Tls("required", context=context, check_hostname=True, verify="required")
    assert build(ssl=context).identity() == build(ssl=context).identity()
    assert build(ssl=context).identity() != build(ssl=ssl.create_default_context()).identity()


@pytest.mark.parametrize(
    "keywords",
    [
        {"ssl_ca": "missing"},
        {"ssl_ca": "rubbish"},
        {"ssl_ca": "folder"},
        {"ssl_cert": "missing"},
        {"ssl_cert": "cert", "ssl_key": "missing"},
        {"ssl_cert": "rubbish"},
        {"ssl_cert": "cert"},
        {"ssl_cert": "cert", "ssl_key": "rubbish"},
        {"ssl_cert": "cert", "ssl_key": "encrypted", "ssl_key_password": "wrong"},
    ],
)
def test_files_that_cannot_be_loaded_are_pymysqls_errors(
    keywords: dict[str, str], pem: dict[str, str]
) -> None:
    """Missing or unfit files are told before any I/O to the server, by class and errno."""
    real = {name: pem.get(value, value) for name, value in keywords.items()}
    errors = []
    for function in (reference, build):
        try:
            function(**real)
        except OSError as error:
            errors.append((type(error), error.errno))
    assert len(errors) == 2
    assert errors[0] == errors[1]


def test_a_missing_file_is_named(pem: dict[str, str]) -> None:
    """PyMySQL's FileNotFoundError does not say which file; this one does."""
    with pytest.raises(FileNotFoundError) as caught:
        build(ssl_ca=pem["missing"])
    assert caught.value.filename == pem["missing"]
    assert caught.value.args == (2, "No such file or directory")


def test_a_cipher_that_does_not_exist_is_refused() -> None:
    """As by PyMySQL."""
    for function in (build, reference):
        with pytest.raises(ssl.SSLError, match="No cipher can be selected"):
            function(ssl={"cipher": "NO-SUCH-CIPHER"})
    assert build(ssl={"cipher": "ECDHE+AESGCM"}).tls.cipher == "ECDHE+AESGCM"


def test_an_encrypted_key_without_password_does_not_ask_at_the_terminal(
    pem: dict[str, str],
) -> None:
    """A function has no terminal; OpenSSL's prompt would hang or fail unseen."""
    with pytest.raises(ssl.SSLError):
        build(ssl_cert=pem["cert"], ssl_key=pem["encrypted"])


def test_a_file_that_changes_is_looked_at_again(tmp_path: Path) -> None:
    """What was loaded is remembered only as long as the file stays as it is."""
    file = tmp_path / "ca.pem"
    file.write_text(CERTIFICATE)
    build(ssl_ca=file)
    file.write_text("spoilt")
    with pytest.raises(ssl.SSLError):
        build(ssl_ca=file)
    file.unlink()
    with pytest.raises(FileNotFoundError):
        build(ssl_ca=file)


def test_an_unknown_part_of_the_dict_is_told() -> None:
    """PyMySQL drops it without a word; programs use one to ask for TLS, so it is only a warning."""
    with pytest.warns(UserWarning, match="enable has no effect; known are ca, ") as caught:
        made = connect(ssl={"enable": True})
    assert made.tls == Tls("required")
    assert caught[0].filename == __file__


def test_disabled_is_disabled(pem: dict[str, str]) -> None:
    """``ssl_disabled`` wins over everything, and no file is looked for."""
    made = build(ssl_disabled=True, ssl_ca=pem["missing"], ssl={"ca": pem["missing"]})
    assert made.tls == Tls("disabled")
    assert not made.client_flag & CLIENT.SSL


# -------------------------------------------------------------------------------- option files

MY_CNF = """\
[client]
user = fileuser
password = "file pass"
host=filehost
database=filedb
socket='/file.sock'
port = 3399
bind-address=127.0.0.9
default-character-set=latin1
skip-something

[other]
user = otheruser
port
"""


@pytest.fixture
def my_cnf(tmp_path: Path) -> str:
    """Return the path of an option file."""
    file = tmp_path / "my.cnf"
    file.write_text(MY_CNF)
    return str(file)


@pytest.mark.parametrize("group", [None, "client", "other", "nogroup"])
@pytest.mark.parametrize(
    "keywords",
    [
        {},
        {"user": "u", "password": "p", "host": "h", "database": "d"},
        {"port": 3400, "charset": "utf8mb4", "unix_socket": "/mine.sock"},
        {"password": b"x", "bind_address": "127.0.0.2"},
        {"port": "3400"},
    ],
)
def test_an_option_file_fills_what_is_not_given(
    my_cnf: str, group: str | None, keywords: dict[str, Any]
) -> None:
    """Every key of every group is taken as PyMySQL takes it."""
    everything = {"read_default_file": my_cnf, "read_default_group": group, **keywords}
    mine, theirs = build(**everything), reference(**everything)
    assert (mine.user, mine.host, mine.port) == (theirs.user, theirs.host, theirs.port)
    assert mine.password.get() == theirs.password
    assert (mine.database, mine.unix_socket) == (theirs.db, theirs.unix_socket)
    assert (mine.bind_address, mine.charset) == (theirs.bind_address, theirs.charset)


def test_a_home_folder_is_found(
    my_cnf: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """``~`` is expanded; a path object will do."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert build(read_default_file="~/my.cnf").user == "fileuser"
    assert build(read_default_file=Path(my_cnf)).user == "fileuser"


def test_an_option_file_that_is_not_there_is_ignored(tmp_path: Path) -> None:
    """As by PyMySQL."""
    assert build(read_default_file=str(tmp_path / "none.cnf"), user="u") == build(user="u")


def test_a_group_alone_means_the_systems_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """``read_default_group`` without a file reads /etc/my.cnf, as PyMySQL does."""
    asked: list[str] = []

    def read(file: str) -> dict[str, Any]:
        asked.append(file)
        return {}

    monkeypatch.setattr("slsmysql.mycnf.read", read)
    monkeypatch.setattr(sys, "platform", "linux")
    build(read_default_group="client")
    monkeypatch.setattr(sys, "platform", "win32")
    build(read_default_group="client")
    assert asked == ["/etc/my.cnf", "c:\\my.ini"]


@pytest.mark.parametrize(
    "keywords",
    [
        {},
        {"ssl": {"ca": ""}},
        {"ssl": {"check_hostname": False}},
        {"ssl_disabled": True},
        {"ssl_verify_cert": True},
        {"ssl_ca": "cert"},
    ],
)
def test_tls_options_of_a_file_mean_what_they_mean_to_pymysql(
    tmp_path: Path, pem: dict[str, str], keywords: dict[str, Any]
) -> None:
    """``ssl-*`` of the file fill the dict, and give way to the ``ssl_*`` keywords as a whole."""
    file = tmp_path / "my.cnf"
    file.write_text(
        f"[client]\nssl-ca={pem['cert']}\nssl_cert={pem['cert']}\nssl-key={pem['encrypted']}\n"
        f"ssl-password={KEY_PASSWORD}\nssl-cipher=ECDHE+AESGCM\n"
    )
    real = {n: pem.get(v, v) if isinstance(v, str) else v for n, v in keywords.items()}
    parts: Any = real.get("ssl")
    before = dict(parts) if parts else None
    made = build(read_default_file=str(file), **real).tls
    # PyMySQL writes into the caller's dict.
    assert parts == before
    assert (made.mode, made.check_hostname, made.verify) == tls_of_pymysql(
        read_default_file=str(file), **real
    )


@pytest.mark.parametrize(
    "content",
    [
        f"password={PASSWORD}\n",
        f"[client\npassword={PASSWORD}\n",
        f"[client]\npassword={PASSWORD}\n!include\n",
        f"[client]\npassword={PASSWORD}\n!includedir /nowhere/{PASSWORD}\n",
        b"[client]\npassword=" + PASSWORD.encode() + b"\xff\xfe\n",
    ],
)
def test_what_is_no_option_file_is_refused_without_quoting_it(
    tmp_path: Path, content: str | bytes
) -> None:
    """A file that cannot be read as options is an error; the line, with its password, is not."""
    file = tmp_path / "my.cnf"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(err.ProgrammingError, match="is not an option file") as caught:
        build(read_default_file=str(file))
    assert PASSWORD not in str(caught.value)
    assert caught.value.__context__ is None
    for shown in secret_frames(caught.value):
        assert PASSWORD not in shown


def test_a_port_of_a_file_that_is_no_number_is_refused(tmp_path: Path) -> None:
    """With PyMySQL's class."""
    file = tmp_path / "my.cnf"
    file.write_text("[client]\nport=mysql\n")
    with pytest.raises(ValueError, match="port should be of type int"):
        build(read_default_file=str(file))


# ---------------------------------------------------------------------------------------- URLs


def read_url(url: str) -> dict[str, Any]:
    """Return the keywords of the URL with the password in the open."""
    return {
        name: value.reveal() if isinstance(value, Secret) else value
        for name, value in parse_url(url, settings.FROM_TEXT).items()
    }


@pytest.mark.parametrize(
    ("url", "keywords"),
    [
        ("mysql://", {}),
        ("mysql://h", {"host": "h"}),
        ("mariadb://h/", {"host": "h"}),
        ("MySQL+slsmysql://h:3307/d", {"host": "h", "port": 3307, "database": "d"}),
        ("mysql://u@h", {"user": "u", "host": "h"}),
        ("mysql://u:p@h", {"user": "u", "password": "p", "host": "h"}),
        ("mysql://u:@h", {"user": "u", "host": "h"}),
        (
            "mysql://u%40x:p%3A%2F%3F%23%40+%20@h/d%2Fb",
            {"user": "u@x", "password": "p:/?#@+ ", "host": "h", "database": "d/b"},
        ),
        ("mysql://u:a:b@h", {"user": "u", "password": "a:b", "host": "h"}),
        ("mysql://[::1]:3307/d", {"host": "::1", "port": 3307, "database": "d"}),
        ("mysql://u@[fe80::1]", {"user": "u", "host": "fe80::1"}),
        ("mysql:///d?unix_socket=/run/my.sock", {"database": "d", "unix_socket": "/run/my.sock"}),
        (
            "mysql://h?charset=latin1&autocommit=1&read_timeout=2.5&connect_timeout=5",
            {
                "host": "h",
                "charset": "latin1",
                "autocommit": True,
                "read_timeout": 2.5,
                "connect_timeout": 5,
            },
        ),
        (
            "mysql://h?autocommit=none&read_timeout=&ssl_verify_cert=optional&ssl_disabled=off",
            {
                "host": "h",
                "autocommit": None,
                "read_timeout": None,
                "ssl_verify_cert": "optional",
                "ssl_disabled": False,
            },
        ),
        (
            "mysql://h?conn_utilization=0.7&lease=none&reap=fleet&backoff=decorrelated&reuse=no",
            {
                "host": "h",
                "conn_utilization": 0.7,
                "lease": None,
                "reap": "fleet",
                "backoff": "decorrelated",
                "reuse": False,
            },
        ),
        ("mysql://h?init_command=SET+%40a%3D1", {"host": "h", "init_command": "SET @a=1"}),
        ("mysql://?host=h&user=u&password=p", {"host": "h", "user": "u", "password": "p"}),
        ("mysql://h?sql_mode=", {"host": "h", "sql_mode": ""}),
    ],
)
def test_a_url_stands_for_keywords(url: str, keywords: dict[str, Any]) -> None:
    """Each part gives its keyword, of the keyword's own type; what is not said is not there."""
    got = read_url(url)
    assert got == keywords
    assert [type(value) for value in got.values()] == [type(keywords[name]) for name in got]


TOKENS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@given(user=TOKENS, password=TOKENS, database=TOKENS, mode=TOKENS)
def test_quoting_is_undone(user: str, password: str, database: str, mode: str) -> None:
    """Whatever the characters, what was percent-encoded comes back, and no password is shown."""
    from urllib.parse import quote, urlencode

    url = (
        f"mysql://{quote(user, safe='')}:{quote(password, safe='')}@h/{quote(database, safe='')}"
        f"?{urlencode({'sql_mode': mode})}"
    )
    assert read_url(url) == {
        "user": user,
        "password": password,
        "host": "h",
        "database": database,
        "sql_mode": mode,
    }
    assert repr(parse_url(url)["password"]) == "<secret>"


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("postgres://h", "must begin with one of mysql://"),
        ("h:3306", "must begin with one of mysql://"),
        ("mysql:h", "must begin with one of mysql://"),
        ("", "must begin with one of mysql://"),
        ("mysql://h:port", "the port must be a number"),
        ("mysql://h:70000", "the port must be a number"),
        ("mysql://[::1", "brackets are for an IPv6 address"),
        ("mysql://h/a/b", "the name of one database"),
        ("mysql://h?charset", "name=value pairs"),
        ("mysql://h?chrset=x", "unknown option 'chrset'. Did you mean 'charset'?"),
        ("mysql://h?conn_utilisation=1", "Did you mean 'conn_utilization'?"),
        ("mysql://h?connect_timeout=ten", "connect_timeout must be a number"),
        ("mysql://h?connect_timeout=", "connect_timeout must be a number"),
        ("mysql://h?local_infile=maybe", "local_infile must be one of"),
        ("mysql://h?port=3306x", "port must be a whole number"),
        ("mysql://h?lease=x", "lease must be a whole number, or none"),
        ("mysql://h?conv=x", "conv cannot be given in a URL"),
        ("mysql://h?ssl=x", "ssl cannot be given in a URL"),
        ("mysql://h?on_event=x", "unknown option 'on_event'"),
        ("mysql://h:1?port=2", "port is given twice"),
        ("mysql://h?charset=x&charset=y", "charset is given twice"),
        ("mysql://u:%ff@h", "password is not UTF-8"),
        ("mysql://h?charset=%ff", "name=value pairs"),
    ],
)
def test_a_wrong_url_is_refused_clearly(url: str, text: str) -> None:
    """The error says what is wrong."""
    with pytest.raises(err.ProgrammingError, match=re.escape(text)):
        parse_url(url, settings.FROM_TEXT)


def test_a_url_is_text() -> None:
    """Nothing else is taken for one."""
    with pytest.raises(err.ProgrammingError, match="connection URL must be a str, not bytes"):
        parse_url(b"mysql://h")  # type: ignore[arg-type]


@given(
    head=st.text(string.ascii_letters + string.digits + "/?#@:[]%&=+ ", max_size=4),
    tail=st.text(string.ascii_letters + string.digits + "/?#@:[]%&=+ ", max_size=4),
)
def test_a_password_that_is_not_encoded_is_never_shown(head: str, tail: str) -> None:
    """However a special character tears the URL apart, no piece of the password comes out."""
    secret = "S3cr3tPassw0rd"  # what must never be shown
    url = f"mysql://user:{head}{secret}{tail}@host.example/data?charset=utf8mb4"
    try:
        parse_url(url)
    except err.ProgrammingError as error:
        assert secret not in str(error)  # noqa: PT017 - either outcome is right
        assert error.__context__ is None  # noqa: PT017
        for shown in secret_frames(error):
            assert secret not in shown


def test_a_url_goes_the_whole_way() -> None:
    """What a URL gives is what ``build_options`` takes."""
    made = build(**parse_url("mysql://app:pw@db.example:3307/shop?charset=latin1&autocommit=none"))
    assert (made.user, made.host, made.port, made.database) == (
        "app",
        "db.example",
        3307,
        "shop",
    )
    assert (made.password.get(), made.encoding, made.autocommit) == (b"pw", "cp1252", None)


def test_every_keyword_of_text_can_stand_in_a_url() -> None:
    """Only what no text can give is missing, and nothing is there that is no keyword."""
    assert set(DEFAULTS) - set(options.FROM_TEXT) == {
        "conv",
        "cursorclass",
        "auth_plugin_map",
        "ssl",
    }
    assert set(options.FROM_TEXT) <= set(DEFAULTS)
    assert not set(DEFAULTS) & set(settings.NAMES)


# --------------------------------------------------------------------------------- import cost


def test_what_few_need_is_not_imported() -> None:
    """Option files, URLs and nearest names cost nothing until they are used."""
    script = (
        "import sys; import slsmysql.options, slsmysql.settings;"
        "slsmysql.options.build_options({'user': 'u'});"
        "print([m for m in ('configparser', 'difflib', 'getpass') if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert run.stdout.strip() == "[]", run.stdout


# ------------------------------------------------------------------------------- documentation


def documented() -> dict[str, str]:
    """Return the keywords of the first table of ``docs/options.md`` with their default's text."""
    section = DOC.read_text(encoding="utf-8").split("\n## ")[1]
    rows = re.findall(r"^\| `(\w+)` \| `?([^|`]*)`? \|", section, re.MULTILINE)
    assert len(rows) == len(dict(rows))
    return dict(rows)


def test_every_keyword_is_documented_with_its_default() -> None:
    """The page lists PyMySQL's keywords and ours once, with the default that the code has."""
    expected = {name: repr(default) for name, default in DEFAULTS.items()}
    expected["cursorclass"] = "Cursor"
    expected["defer_connect"] = "False"
    expected["settings"] = "None"
    assert documented() == expected


def test_what_the_c_back_end_cannot_do_is_documented(pem: dict[str, str]) -> None:
    """The last column names exactly those keywords for which the C back end gives way."""
    # Not there on musl, nor in a pure deployment.
    cext = pytest.importorskip("slsmysql._driver.cext", exc_type=ImportError)
    asked: dict[str, list[dict[str, Any]]] = {
        "bind_address": [{"bind_address": "127.0.0.1"}],
        "read_timeout": [{"read_timeout": 0.5}],
        "write_timeout": [{"write_timeout": 1.5}],
        "ssl": [
            {"ssl": ssl.create_default_context()},
            {"ssl": {"capath": pem["folder"]}},
            {"ssl": {"cipher": "ECDHE+AESGCM"}},
            {"ssl": {"cert": pem["cert"], "key": pem["encrypted"], "password": KEY_PASSWORD}},
            {"ssl": {"ca": pem["cert"], "verify_mode": "optional"}},
            {"ssl": {"ca": pem["cert"], "check_hostname": False}},
        ],
        "ssl_key_password": [
            {
                "ssl_cert": pem["cert"],
                "ssl_key": pem["encrypted"],
                "ssl_key_password": KEY_PASSWORD,
            }
        ],
        "ssl_verify_cert": [
            {"ssl_verify_cert": True},
            {"ssl_verify_cert": "optional"},
            {"ssl_ca": pem["cert"], "ssl_verify_cert": True},
        ],
        "ssl_verify_identity": [{"ssl_verify_identity": True}],
    }
    for examples in asked.values():
        for keywords in examples:
            assert cext.cannot(build(**keywords)) is not None, keywords
    assert cext.cannot(build(ssl_ca=pem["cert"], ssl_verify_identity=True)) is None
    assert cext.cannot(build(ssl_cert=pem["both"], read_timeout=5, local_infile=True)) is None
    rows = re.findall(r"^\| `(\w+)` \|.*\| (C\b[^|]*) \|$", DOC.read_text("utf-8"), re.MULTILINE)
    # What a password is, is known only when there is one: `open_handle` looks at it.
    assert {name for name, _ in rows} - {"password"} == set(asked)
