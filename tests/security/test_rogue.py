"""What a server that is not ours may ask for, and what it gets."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

import slsmysql
from slsmysql.constants import CR
from tests.fix_servers import Backend
from tests.proxy import Proxy, packet
from tests.rogue import CAPABILITIES, Client, Rogue, Script, greeting, is_query, ok, speak
from tests.servers import Server

PASSWORD = "s3cret-pa55"

#: Ways to log in that hand the password over.
GREEDY = ["mysql_clear_password", "dialog", "sha256_password", "caching_sha2_password"]

#: A byte of caching_sha2_password: send the whole of it, please.
ALL_OF_IT = b"\x01\x04"

REFUSED = b"\xff\x15\x04#28000Access denied"


def to(rogue: Rogue, backend: Backend, **more: Any) -> dict[str, Any]:
    """Return the keywords of `connect()` for a rogue server."""
    return {
        "host": rogue.host,
        "port": rogue.port,
        "user": "app",
        "password": PASSWORD,
        "use_pure": backend == "pure",
        "connect_timeout": 5,
        "read_timeout": 5,
        # It knows the log-in, one SET, and then what it is asked about.
        "manage_conns": False,
        "max_retries": 0,
        **more,
    }


# -- passwords -------------------------------------------------------------------------------------


def switch_to(plugin: str) -> Script:
    """Return a log-in that goes on by that plugin, and then asks for all."""

    def ask(client: Client) -> None:
        client.reply(b"\xfe" + plugin.encode() + b"\0" + b"12345678901234567890\0")
        client.read()
        client.reply(ALL_OF_IT)
        client.read()
        client.reply(REFUSED)

    return ask


def begin_with(plugin: str) -> Script:
    """Return a script that names the plugin in its greeting, and then asks for all."""

    def ask(client: Client) -> None:
        client.send(packet(greeting(plugin=plugin.encode())))
        client.read()
        client.reply(ALL_OF_IT)
        client.read()
        client.reply(REFUSED)

    return ask


@pytest.mark.parametrize("switches", [False, True], ids=["in the greeting", "later"])
@pytest.mark.parametrize("plugin", GREEDY)
@pytest.mark.parametrize("password", [PASSWORD, lambda: PASSWORD], ids=["text", "callable"])
def test_no_password_in_the_clear_without_tls(
    backend: Backend, plugin: str, switches: bool, password: Any
) -> None:
    """Whatever way to log in a server without TLS asks for, it gets no password in the clear."""
    if switches:
        script = speak(lambda client: client.reply(ok()), finish=switch_to(plugin))
    else:
        script = begin_with(plugin)
    with Rogue(script) as rogue:
        with pytest.raises(slsmysql.Error):
            slsmysql.connect(**to(rogue, backend, password=password))
        heard = rogue.heard
    assert PASSWORD.encode() not in heard


def test_a_server_that_needs_tls_for_the_password_says_so(mysql: Server, backend: Backend) -> None:
    """MySQL asks for the whole password at an account's first log-in: an error, without TLS."""
    mysql.sql(
        "DROP USER IF EXISTS first",
        f"CREATE USER first IDENTIFIED WITH caching_sha2_password BY '{PASSWORD}'",
    )
    try:
        with Proxy((mysql.host, mysql.port)) as proxy:
            given: dict[str, Any] = {
                "host": proxy.host,
                "port": proxy.port,
                "user": "first",
                "password": PASSWORD,
            }
            with pytest.raises(slsmysql.OperationalError) as caught:
                slsmysql.connect(**given, use_pure=backend == "pure", ssl_disabled=True)
            assert caught.value.args[0] == CR.CR_AUTH_PLUGIN_ERR
            assert "secure connection" in caught.value.args[1]
            # With TLS it gets in, and then without it too: the server remembers.
            slsmysql.connect(**given, use_pure=backend == "pure", reuse=False).close()
            slsmysql.connect(
                **given, use_pure=backend == "pure", ssl_disabled=True, reuse=False
            ).close()
    finally:
        mysql.sql("DROP USER first")


# -- files -----------------------------------------------------------------------------------------

#: What is in a file of the client's.
CONTENT = b"of nobody else's concern"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of the client's."""
    file = tmp_path / "private"
    file.write_bytes(CONTENT)
    return file


def ask_for(file: Path) -> Script:
    """Return an answer that asks for a file, and is content with whatever comes."""

    def ask(client: Client) -> None:
        client.reply(b"\xfb" + str(file).encode())
        while client.read():
            pass
        client.reply(ok())

    return ask


@pytest.mark.parametrize(
    "statement",
    ["SELECT 1", "INSERT INTO t VALUES (1)", "LOAD DATA LOCAL INFILE 'private' INTO TABLE t"],
)
def test_no_file_unless_it_is_allowed(file: Path, backend: Backend, statement: str) -> None:
    """A server that asks for a file after any statement gets none, and the program an error."""
    with Rogue(speak(ask_for(file))) as rogue:
        connection = slsmysql.connect(**to(rogue, backend))
        cursor = connection.cursor()
        with pytest.raises(slsmysql.OperationalError) as caught:
            cursor.execute(statement)
        assert caught.value.args[0] == CR.CR_LOAD_DATA_LOCAL_INFILE_REJECTED
        connection.quit()
        heard = rogue.heard
    assert CONTENT not in heard


def test_no_file_while_connecting(file: Path, backend: Backend) -> None:
    """Nor does one that asks for it in answer to what sets the session up."""
    with Rogue(speak(ask_for(file), to=is_query)) as rogue:
        with pytest.raises(slsmysql.OperationalError):
            slsmysql.connect(**to(rogue, backend))
        heard = rogue.heard
    assert heard
    assert CONTENT not in heard


@pytest.mark.parametrize(
    "call",
    [
        lambda connection: connection.ping(),
        lambda connection: connection.select_db("test"),
    ],
    ids=["ping", "select_db"],
)
@pytest.mark.parametrize("allowed", [False, True])
def test_no_file_for_anything_but_a_statement(
    file: Path, backend: Backend, call: Any, allowed: bool
) -> None:
    """In answer to a command that is no statement nobody gets a file, even if it is allowed."""
    asking = speak(ask_for(file), to=lambda command: not is_query(command))
    with Rogue(asking) as rogue:
        connection = slsmysql.connect(**to(rogue, backend, local_infile=allowed, read_timeout=1))
        with contextlib.suppress(slsmysql.Error):  # a ping may be tried on another session
            call(connection)
        connection.quit()
        heard = rogue.heard
    assert CONTENT not in heard


def test_who_allows_files_allows_any(file: Path, backend: Backend) -> None:
    """With `local_infile=True` a server may ask for any file after any statement, and gets it.

    As with every client of MySQL's protocol: docs/security.md says so.
    """
    with Rogue(speak(ask_for(file))) as rogue:
        connection = slsmysql.connect(**to(rogue, backend, local_infile=True))
        connection.cursor().execute("SELECT 1")
        connection.quit()
        heard = rogue.heard
    assert CONTENT in heard


def test_the_flag_alone_does_not_allow_it(file: Path, backend: Backend) -> None:
    """`client_flag` says what the protocol can do, and allows no file."""
    from slsmysql.constants import CLIENT

    with Rogue(speak(ask_for(file), capabilities=CAPABILITIES)) as rogue:
        connection = slsmysql.connect(**to(rogue, backend, client_flag=CLIENT.LOCAL_FILES))
        with pytest.raises(slsmysql.OperationalError):
            connection.cursor().execute("SELECT 1")
        connection.quit()
        heard = rogue.heard
    assert CONTENT not in heard
