"""No password or token shows: wherever a program, a log or a crash reporter could look."""

from __future__ import annotations

import copy
import io
import logging
import pickle
import ssl
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import slsmysql
from slsmysql.events import Event
from slsmysql.settings import Settings
from tests.fix_servers import Backend
from tests.integration.conftest import rows
from tests.proxy import Proxy, connecting, error_packet, fin, freeze, passed, reply, rst
from tests.rogue import SALT, Rogue, ok, speak
from tests.servers import Server

#: Nothing else in these tests has these letters in it.
SECRET = "qzxv7-Qzxv"

#: Folders whose frames are the tests' own and hold what they like.
OURS = ("/tests/", "/_pytest/", "/pluggy/")


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, and all that it comes from, shown or suppressed."""
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or any(one is other for other in seen):
            continue
        seen.append(one)
        waiting += [one.__cause__, one.__context__]
        yield one


def frames(error: BaseException) -> Iterator[FrameType]:
    """Yield the frames of an exception that are not the tests' own."""
    for one in chain(error):
        for frame, _ in traceback.walk_tb(one.__traceback__):
            if not any(folder in frame.f_code.co_filename for folder in OURS):
                yield frame


def shows(thing: object) -> bool:
    """Whether a text, bytes, or what `repr` makes of anything else, shows the secret."""
    if isinstance(thing, (bytes, bytearray)):
        return SECRET.encode() in thing or SECRET.encode("utf-16-le") in thing
    return SECRET in (thing if isinstance(thing, str) else repr(thing))


def look(error: BaseException) -> list[str]:
    """Return where an exception shows the secret."""
    found = []
    for one in chain(error):
        places: dict[str, object] = {
            "str": str(one),
            "args": one.args,
            "notes": getattr(one, "__notes__", None),
            "attributes": vars(one),
        }
        found += [f"{type(one).__name__}.{name}" for name, value in places.items() if shows(value)]
    for frame in frames(error):
        where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        for name, value in frame.f_locals.items():
            held: list[object] = [value]
            # What a reporter looks into, one step deep.
            if isinstance(value, (dict, list, tuple, set, frozenset)):
                held += list(value.values()) if isinstance(value, dict) else list(value)
            if any(map(shows, held)):
                found.append(f"{where} {name}")
    shown = "".join(traceback.format_exception(error))
    captured = traceback.TracebackException.from_exception(error, capture_locals=True)
    package = [
        frame for frame in captured.stack if not any(folder in frame.filename for folder in OURS)
    ]
    found += ["traceback"] if shows(shown) else []
    found += [f"{each.filename}: locals" for each in package if shows(each.locals or {})]
    try:
        pickled = pickle.dumps(error)
    except (TypeError, AttributeError, pickle.PicklingError):
        pickled = b""
    return found + (["pickle"] if shows(pickled) else [])


@pytest.fixture
def heard(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[list[Event]]:
    """The events; afterwards neither these nor logs, warnings or output show the secret."""
    caplog.set_level(logging.DEBUG)
    events: list[Event] = []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        yield events
    assert not shows(events)
    assert not any(shows(event._asdict()) for event in events)
    assert not shows(caplog.text)
    assert not any(shows(vars(record)) for record in caplog.records)
    assert not shows([str(warning.message) for warning in warned])
    assert not any(map(shows, capfd.readouterr()))


class Refuses:
    """A source of passwords that fails, with the password at hand."""

    def __call__(self) -> str:
        """Raise."""
        raise LookupError("the vault is closed")

    def __repr__(self) -> str:
        """Return what a program's own object may show: not our business, and not to be shown."""
        return "<vault>"


PASSWORDS: dict[str, Any] = {
    "text": SECRET,
    "bytes": SECRET.encode(),
    "callable": lambda: SECRET,
    "no UTF-8": SECRET.encode() + b"\xff",
    "outside latin1": SECRET + "€",
    "callable outside latin1": lambda: SECRET + "€",
    "callable of a list": lambda: [SECRET],
    "list": [SECRET],
    "callable that raises": Refuses(),
}

WRONG: dict[str, dict[str, Any]] = {
    "name": {"user": "nobody"},
    "database": {"database": "nothing"},
    "host": {"host": "host.invalid"},
    "socket": {"unix_socket": "/nowhere/socket"},
    "keyword": {"passwort": SECRET},
    "option": {"charset": "nothing"},
    "type": {"port": "3306"},
    "timeout": {"connect_timeout": -1},
    "sql_mode": {"sql_mode": "NOTHING"},
    "init_command": {"init_command": "NONSENSE"},
    "setting": {"conn_utilization": 7},
    "old name": {"passwd": SECRET, "password": ""},
    "certificate": {"ssl_verify_identity": True},
    "authority": {"ssl_ca": "/nowhere/ca.pem"},
    "key": {"ssl_cert": "/nowhere/cert.pem", "ssl_key_password": SECRET},
    "two ways": {"ssl": {"password": SECRET, "ca": "/nowhere"}, "ssl_ca": "/nowhere"},
    "context": {"ssl": ssl.create_default_context()},
}


def fail(server: Server, backend: Backend, events: list[Event], **wrong: Any) -> BaseException:
    """Return what connecting raises."""
    given = {
        **server.params(),
        "use_pure": True if backend == "pure" else None,
        "max_retries": 0,
        "on_event": events.append,
        **wrong,
    }
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of any kind
        slsmysql.connect(**given)
    return caught.value


@pytest.mark.parametrize("password", PASSWORDS)
def test_no_wrong_password_is_shown(
    server: Server, backend: Backend, heard: list[Event], password: str
) -> None:
    """Of whatever type it is, and whatever is wrong with it."""
    for tls in ({}, {"ssl_disabled": True}):
        assert not look(fail(server, backend, heard, password=PASSWORDS[password], **tls))


@pytest.mark.parametrize("wrong", WRONG)
def test_no_failing_connect_shows_its_password(
    server: Server, backend: Backend, heard: list[Event], wrong: str
) -> None:
    """Whatever is wrong with a connect: not in the error, nor what it comes from, nor any frame."""
    for password in (SECRET, lambda: SECRET):
        given = {"password": password, **WRONG[wrong]}
        assert not look(fail(server, backend, heard, **given))


#: What the other side says or does, by a proxy.
SAYS: dict[str, Callable[[Proxy], object]] = {
    "nobody": lambda proxy: proxy.refuse(),
    "full": lambda proxy: proxy.when(
        connecting(), reply(error_packet(1040, "Too many connections", "08004")), times=None
    ),
    "HTTP": lambda proxy: proxy.when(
        connecting(), reply(b"HTTP/1.1 400 Bad Request\r\n\r\n"), times=None
    ),
    "silence": lambda proxy: proxy.when(connecting(), freeze, times=None),
    "half a greeting": lambda proxy: proxy.when(passed(30, "client"), freeze, times=None),
    "a cut log-in": lambda proxy: proxy.when(passed(40, "server"), rst, times=None),
    "a cut behind the log-in": lambda proxy: proxy.when(passed(90, "client"), fin, times=None),
}


@pytest.mark.parametrize(
    ("says", "tls"), [*((says, False) for says in SAYS), ("a cut log-in", True)]
)
def test_no_broken_connect_shows_its_password(
    mysql: Server, backend: Backend, heard: list[Event], says: str, tls: bool
) -> None:
    """Whatever the other side says or leaves unsaid."""
    with Proxy((mysql.host, mysql.port)) as proxy:
        SAYS[says](proxy)
        with pytest.raises(slsmysql.Error) as caught:
            slsmysql.connect(
                host=proxy.host,
                port=proxy.port,
                user="app",
                password=SECRET,
                use_pure=backend == "pure",
                connect_timeout=1,
                max_retries=0,
                ssl_disabled=not tls,
                on_event=heard.append,
            )
    assert not look(caught.value)


@pytest.mark.parametrize(
    "plugin",
    ["nonsense", "mysql_clear_password", "sha256_password", "caching_sha2_password",
     "mysql_native_password", "authentication_ldap_sasl_client"],
)  # fmt: skip
def test_no_log_in_that_goes_astray_shows_its_password(
    backend: Backend, heard: list[Event], plugin: str
) -> None:
    """Nor does a log-in that the driver's plugins fail in, with the password in their frames."""

    def finish(client: Any) -> None:
        client.reply(b"\xfe" + plugin.encode() + b"\0" + SALT[:1])
        client.read()
        client.reply(b"\x01\x04")
        client.read()
        client.reply(b"\xff\x15\x04#28000Access denied")

    script = speak(lambda client: client.reply(ok()), finish=finish)
    with Rogue(script) as rogue, pytest.raises(slsmysql.Error) as caught:
        slsmysql.connect(
            host=rogue.host,
            port=rogue.port,
            user="app",
            password=SECRET,
            use_pure=backend == "pure",
            connect_timeout=2,
            max_retries=0,
            on_event=heard.append,
        )
    assert not look(caught.value)


URLS = [
    f"mysql://app:{SECRET}@127.0.0.1:1/test",
    f"mysql://app:{SECRET}@127.0.0.1:x/test",
    f"mysql://app:{SECRET}@[::1/test",
    f"http://app:{SECRET}@127.0.0.1/test",
    f"mysql://app:{SECRET}/x@127.0.0.1/test",
    f"mysql://app:{SECRET}#x@127.0.0.1/test",
    f"mysql://app@127.0.0.1/test?password={SECRET}&port=x",
    f"mysql://app@127.0.0.1/test?password={SECRET}&nothing=1",
    f"mysql://app@127.0.0.1/test?{SECRET}",
    f"mysql://app:{SECRET}%ff@127.0.0.1/test",
    f"mysql://app:{SECRET}@127.0.0.1/a/b",
    f"app:{SECRET}@127.0.0.1",
    f"mysql://app:{SECRET}@127.0.0.1/test".encode(),
]


@pytest.mark.parametrize("url", URLS)
def test_no_wrong_url_shows_its_password(heard: list[Event], url: Any) -> None:
    """Nor does a URL that is wrong, in whatever place, or right and leads nowhere."""
    with pytest.raises(slsmysql.Error) as caught:
        slsmysql.connect(url, connect_timeout=1, on_event=heard.append)
    assert not look(caught.value)


def test_no_option_file_shows_its_password(tmp_path: Path, heard: list[Event]) -> None:
    """Nor does an option file, whether it can be read or not."""
    file = tmp_path / "my.cnf"
    for text in (
        f"[client]\npassword={SECRET}\nport=x\n",
        f"[client]\npassword={SECRET}\nport=1\nhost=127.0.0.1\n",
        f"password={SECRET}\n",
        f"[client\npassword={SECRET}\n",
    ):
        file.write_text(text)
        with pytest.raises(Exception) as caught:  # noqa: PT011 - of several kinds
            slsmysql.connect(
                read_default_file=str(file), user="u", connect_timeout=1, on_event=heard.append
            )
        assert not look(caught.value), text


# -- what goes well --------------------------------------------------------------------------------


@pytest.fixture
def account(server: Server) -> Iterator[dict[str, Any]]:
    """An account with the secret for a password."""
    server.sql(
        "DROP USER IF EXISTS 'holder'@'%'",
        f"CREATE USER 'holder'@'%' IDENTIFIED BY '{SECRET}'",
        "GRANT ALL ON test.* TO 'holder'@'%'",
    )
    yield {**server.params(), "user": "holder", "password": SECRET}
    slsmysql.close_all()
    server.sql("DROP USER 'holder'@'%'")


def test_no_object_shows_its_password(
    account: dict[str, Any], backend: Backend, heard: list[Event]
) -> None:
    """Neither a connection nor anything that hangs on it, printed, copied or pickled."""
    connection = slsmysql.connect(
        **account, use_pure=backend == "pure", on_event=heard.append, deadline=lambda: 60.0
    )
    cursor = connection.cursor()
    cursor.execute("SELECT %s", (1,))
    things: list[Any] = [
        connection,
        vars(connection),
        cursor,
        vars(cursor),
        connection.options,
        connection.options.identity(),
        connection.settings,
        connection.handle,
        connection.stats(),
        slsmysql.stats(),
        copy.copy(connection.options),
        connection.options._replace(port=1),
        Settings(),
    ]
    for thing in things:
        for text in (repr(thing), str(thing), f"{thing}"):
            assert not shows(text), type(thing)
        out = io.BytesIO()
        try:
            pickle.Pickler(out).dump(thing)
        except (TypeError, AttributeError, pickle.PicklingError):
            continue  # which is as good
        assert not shows(out.getvalue()), type(thing)
    connection.quit()


def test_no_error_of_a_statement_shows_the_password(
    account: dict[str, Any], backend: Backend, heard: list[Event]
) -> None:
    """Errors of statements, of lost sessions and of what follows them neither."""
    connection = slsmysql.connect(
        **account, use_pure=backend == "pure", on_event=heard.append, max_retries=0
    )
    found = []
    cursor = connection.cursor()
    for statement in (
        "NONSENSE",
        "SELECT * FROM nothing",
        f"KILL {connection.thread_id()}",
        "DO 1",
    ):
        try:
            cursor.execute("BEGIN")
            cursor.execute(statement)
        except slsmysql.Error as error:
            found.append(error)
    assert len(found) >= 3
    for each in found:
        assert not look(each)
    connection.quit()


def test_no_server_is_told_the_password(
    server: Server, account: dict[str, Any], backend: Backend
) -> None:
    """No statement, no attribute and no process list has it: it is said in the log-in, hashed."""
    with Proxy((server.host, server.port)) as proxy:
        given = {**account, "host": proxy.host, "port": proxy.port, "use_pure": backend == "pure"}
        slsmysql.connect(**given).quit()  # MySQL wants all of it once, and by TLS
        connection = slsmysql.connect(**given, ssl_disabled=True, program_name="holder's")
        rows(connection, "SELECT 1")
        connection.change_user("holder", SECRET)
        connection.ping()

        listed = server.sql("SHOW FULL PROCESSLIST")
        connection.close()
        said = proxy.tally().requests
    slsmysql.close_all()
    assert listed
    assert not any(map(shows, listed))
    assert said
    assert not any(map(shows, said))


def test_the_secret_is_found_where_it_shows(server: Server) -> None:
    """The look itself can fail: a program's error with the password in it is found."""

    def password() -> str:
        token = SECRET
        raise LookupError(f"{token} has expired")

    with pytest.raises(LookupError) as caught:
        slsmysql.connect(**{**server.params(), "password": password})
    assert look(caught.value)
    assert shows(SECRET.encode())
