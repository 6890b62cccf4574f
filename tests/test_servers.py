"""The launcher of real servers: what it promises to the tests, the benchmarks and the demo."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pymysql
import pytest

from tests import servers
from tests.fix_servers import PyMySQLConnect
from tests.servers import DSNS_VARIABLE, KINDS, Kind, Router, Server, ServerError

#: The project's folder: where `python -m tests.servers` is run.
ROOT = Path(__file__).parent.parent

#: Seconds for a guard to do its work; a test that waits for it goes on as soon as it is done.
GUARD_PATIENCE = 30.0


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind of server."""
    chosen: Kind = request.param
    return chosen


@pytest.fixture
def start(kind: Kind) -> Iterator[Callable[..., Server]]:
    """`servers.start()` for the kind, stopped after the test."""
    started = []

    def start(**options: object) -> Server:
        server = servers.start(kind, **options)  # type: ignore[arg-type]
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


def log_in(
    server: Server | Router, **overrides: object
) -> pymysql.Connection[pymysql.cursors.Cursor]:
    """Return a connection of the ordinary account."""
    connection: pymysql.Connection[pymysql.cursors.Cursor] = pymysql.connect(
        **{**server.params(), **overrides}
    )
    return connection


def cipher(connection: pymysql.Connection[pymysql.cursors.Cursor]) -> str:
    """Return what the session is encrypted with."""
    with connection, connection.cursor() as cursor:
        cursor.execute("SHOW STATUS LIKE 'Ssl_cipher'")
        ((_, value),) = cursor.fetchall()
        return str(value)


def session(connection: pymysql.Connection[pymysql.cursors.Cursor]) -> int:
    """Return the server's number for a session."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT CONNECTION_ID()")
        ((number,),) = cursor.fetchall()
        return int(number)


def listens(port: int) -> bool:
    """Return whether something answers at a port of the loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_started_server_is_of_its_kind_and_version(server: Server) -> None:
    """A server says the kind and the version that its description says."""
    ((version,),) = server.sql("SELECT VERSION()")
    assert ("MariaDB" in version) == (server.kind == "mariadb")
    assert version.startswith(".".join(map(str, server.version)))


def test_dsn_says_what_params_say(server: Server) -> None:
    """The URL form of an address has everything that the keywords have."""
    said = server.params(server.app)
    assert server.dsn(server.app) == (
        f"mysql://{said['user']}:{said['password']}@{said['host']}:{said['port']}/test"
    )


def test_ordinary_account_owns_its_databases_and_sees_nobody(private_server: Server) -> None:
    """The account `app` makes databases `test_...`, no others, and has no PROCESS privilege."""
    with log_in(private_server) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE test_of_app")
        cursor.execute("DROP DATABASE test_of_app")
        for refused in ("CREATE DATABASE other", "SELECT * FROM information_schema.innodb_trx"):
            with pytest.raises(pymysql.err.MySQLError) as caught:
                cursor.execute(refused)
            assert caught.value.args[0] in {1044, 1227}


def test_privileged_account_gets_in_where_all_connections_are_taken(
    start: Callable[..., Server],
) -> None:
    """`max_connections` holds for `app`, and `boss` comes in beyond it, sees all and kills."""
    server = start(max_connections=10)
    taken = [log_in(server) for _ in range(10)]
    with pytest.raises(pymysql.err.OperationalError) as caught:
        log_in(server)
    assert caught.value.args[0] == 1040
    with pymysql.connect(**server.params(server.boss)) as boss, boss.cursor() as cursor:
        cursor.execute("SELECT id FROM information_schema.processlist WHERE user='app'")
        ids = {row[0] for row in cursor.fetchall()}
        assert ids == {session(connection) for connection in taken}
        cursor.execute(f"KILL {session(taken[0])}")
    for connection in taken:
        connection.close()


def test_root_comes_in_through_the_socket_alone(private_server: Server) -> None:
    """The account without a password cannot be used over TCP, where others might."""
    with pytest.raises(pymysql.err.OperationalError) as caught:
        pymysql.connect(host=private_server.host, port=private_server.port, user="root")
    assert caught.value.args[0] == 1045
    assert private_server.sql("SELECT USER()") == (("root@localhost",),)
    assert private_server.socket.parent.stat().st_mode & 0o077 == 0


def test_options_have_the_last_word(start: Callable[..., Server]) -> None:
    """An option of the caller's reaches the server, even where the launcher has another value."""
    options = ("--performance-schema=ON", "--wait-timeout=77", "--innodb-buffer-pool-size=48M")
    server = start(options=options)
    assert server.sql(
        "SELECT @@performance_schema, @@global.wait_timeout, @@innodb_buffer_pool_size"
    ) == ((1, 77, 48 * 2**20),)


def test_tls_can_be_verified(start: Callable[..., Server]) -> None:
    """With `tls=True` a client that verifies authority and host name gets in, encrypted."""
    server = start(tls=True)
    for host in ("127.0.0.1", "localhost"):
        connection = log_in(
            server, host=host, ssl_ca=server.ca, ssl_verify_cert=True, ssl_verify_identity=True
        )
        assert cipher(connection)


def test_tls_can_be_absent(start: Callable[..., Server]) -> None:
    """With `tls=False` no session is encrypted, and a password is still taken."""
    assert not cipher(log_in(start(tls=False)))


def test_wrong_option_is_told_with_the_servers_log(start: Callable[..., Server]) -> None:
    """A server that does not start is an error with what it said, and leaves nothing behind."""
    before = set(servers._running)
    with pytest.raises(ServerError, match="no-such-option"):
        start(options=["--no-such-option"])
    assert set(servers._running) == before


def test_stop_removes_everything(start: Callable[..., Server]) -> None:
    """After `stop()` there is no process, no port and no file; and it may be called again."""
    with start() as server:
        home, pid, port = server.datadir.parent, server.pid, server.port
        assert listens(port)
    assert not home.exists()
    assert not listens(port)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    server.stop()


def test_stop_ends_a_frozen_server(start: Callable[..., Server]) -> None:
    """A server that SIGSTOP holds is stopped like any other."""
    server = start()
    os.kill(server.pid, signal.SIGSTOP)
    server.stop()
    assert not server.private.home.exists()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_restart_keeps_port_and_commits(start: Callable[..., Server], how: signal.Signals) -> None:
    """After a crash or a shutdown all that was committed is there, at the same port."""
    server = start()
    server.sql("CREATE TABLE test.kept (n INT) ENGINE=InnoDB", "INSERT INTO test.kept VALUES (7)")
    pid = server.pid
    server.kill(how)
    assert not listens(server.port)
    with pytest.raises(ServerError, match="does not run"):
        _ = server.pid
    server.restart()
    assert server.pid != pid
    with log_in(server) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT n FROM kept")
        assert cursor.fetchall() == ((7,),)


def test_two_servers_are_strangers(start: Callable[..., Server]) -> None:
    """Each server has a port, a folder and data of its own."""
    one, other = start(), start()
    assert one.port != other.port
    assert one.datadir != other.datadir
    one.sql("CREATE TABLE test.mine (n INT)")
    assert other.sql("SHOW TABLES IN test") == ()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_server_ends_with_its_starter(kind: Kind, how: signal.Signals) -> None:
    """Whichever way the process that started a server ends, the server and its files go too."""
    command = [sys.executable, "-m", "tests.servers", kind]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        _, dsn, log = starter.stdout.readline().split()
        port = int(dsn.rpartition(":")[2].partition("/")[0])
        home = Path(log).parent
        with pymysql.connect(
            host="127.0.0.1", port=port, user="app", password="app-secret"
        ) as connection:
            starter.send_signal(how)
            # The end of the session is the end of the server.
            ended = select.select([connection._sock], [], [], GUARD_PATIENCE)[0]  # type: ignore[attr-defined]
        if not ended:
            starter.kill()
    assert ended
    wait_for_removal(home)
    assert not listens(port)


def test_server_outlives_a_forked_child(start: Callable[..., Server]) -> None:
    """A child of fork() can neither stop its parent's server nor hold back the guard."""
    server = start()
    pid = os.fork()
    if pid == 0:
        server.stop()
        servers._stop_all()
        os._exit(0)
    assert os.waitpid(pid, 0) == (pid, 0)
    assert server.sql("SELECT 1") == ((1,),)


def wait_for_removal(folder: Path) -> None:
    """Wait until a folder is gone."""
    shell = 'while [ -e "$1" ]; do sleep 0.05; done'
    subprocess.run(["/bin/sh", "-c", shell, "sh", str(folder)], check=True, timeout=GUARD_PATIENCE)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with no programs at all, and an account without privileges."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(servers, "SYSTEM_FOLDERS", ())
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


@pytest.mark.usefixtures("bare")
def test_missing_mariadb_is_told() -> None:
    """Without MariaDB and without the right to install it, the error says what to install."""
    with pytest.raises(ServerError, match=r"apt-get install .* mariadb-server-core"):
        servers._mariadb()


@pytest.mark.usefixtures("bare")
def test_missing_mysql_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without MySQL, and without apt to unpack it, the error says what to install."""
    monkeypatch.setenv(servers.CACHE_VARIABLE, str(tmp_path))
    with pytest.raises(ServerError, match=r"no MySQL server .* on PATH"):
        servers._mysql()
    assert not (tmp_path / "mysql-sid").exists()


@pytest.mark.usefixtures("bare")
def test_missing_router_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without MySQL Router, and without apt to unpack it, the error says what to install."""
    monkeypatch.setenv(servers.CACHE_VARIABLE, str(tmp_path))
    with pytest.raises(ServerError, match=r"no MySQL Router \(mysqlrouter\) on PATH"):
        servers.prepare_router()
    assert not (tmp_path / "mysql-router-sid").exists()


def test_mysql_whose_libraries_have_moved_is_told(tmp_path: Path) -> None:
    """An unpacked MySQL that does not run is an error, never a server of another kind."""
    libraries = tmp_path / "usr/lib/x86_64-linux-gnu"
    libraries.mkdir(parents=True)
    loader = libraries / "ld-linux-x86-64.so.2"
    loader.write_text("#!/bin/sh\necho 'libx.so.9: cannot open shared object file'\nexit 127\n")
    loader.chmod(0o755)
    with pytest.raises(ServerError, match=r"libx\.so\.9"):
        _ = servers._unpacked_mysql(tmp_path).version


def test_mariadb_under_mysqls_name_is_not_mysql(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A mysqld on PATH that is MariaDB's is passed over."""
    program = tmp_path / "mysqld"
    program.write_text("#!/bin/sh\necho 'mysqld  Ver 10.11.19-MariaDB for Linux'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert servers._mysql().command[0] != str(program)


def test_mysql_on_path_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A mysqld on PATH that is MySQL's is run from there."""
    program = tmp_path / "mysqld"
    program.write_text("#!/bin/sh\necho 'mysqld  Ver 8.4.3 for Linux on x86_64 (MySQL)'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    found = servers._mysql()
    assert (found.command, found.version) == ((str(program),), (8, 4, 3))


def test_cache_never_has_half_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A preparation that breaks off leaves no folder, and the next one starts from nothing."""
    monkeypatch.setenv(servers.CACHE_VARIABLE, str(tmp_path))

    def break_off(folder: Path) -> None:
        (folder / "half").touch()
        raise ServerError("no network")

    with pytest.raises(ServerError, match="no network"):
        servers._cached("thing", break_off)
    assert not (tmp_path / "thing").exists()
    made = servers._cached("thing", lambda folder: (folder / "whole").touch())
    assert [path.name for path in made.iterdir()] == ["whole"]

    def never(folder: Path) -> None:
        pytest.fail(f"{folder} has been made before")

    assert servers._cached("thing", never) == made


def test_mirrors_are_the_machines_own() -> None:
    """Debian's mirrors are read from the machine's apt sources, the main archive first."""
    if shutil.which("apt-get") is None:
        pytest.skip("a machine without apt has no mirrors")
    mirrors = servers._mirrors()
    assert mirrors
    assert not any("-security" in mirror for mirror in mirrors)


def test_own_servers_replace_the_private_ones(
    private_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A URL in the environment gives a server with that account, and nothing that only we have."""
    monkeypatch.setenv(DSNS_VARIABLE, f"  {private_server.dsn(private_server.boss)} ")
    own = servers.own_servers()
    assert list(own) == [private_server.kind]
    found = own[private_server.kind]
    assert found.params() == private_server.params(private_server.boss)
    assert found.version == private_server.version
    assert found.sql("SELECT 1", "SELECT SUBSTRING_INDEX(USER(), '@', 1)") == (("boss",),)
    assert found.log_tail() == ""
    found.stop()
    for private in ("pid", "socket", "datadir", "log"):
        with pytest.raises(ServerError, match=DSNS_VARIABLE):
            getattr(found, private)


def test_fixture_gives_an_empty_database(
    params: dict[str, object], pymysql_connect: PyMySQLConnect
) -> None:
    """The fixtures' database is there, empty, and in utf8mb4 on either server."""
    with pymysql_connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT DATABASE(), @@character_set_database")
        assert cursor.fetchall() == ((params["database"], "utf8mb4"),)
        cursor.execute("SHOW TABLES")
        assert cursor.fetchall() == ()


def test_a_router_passes_on_and_leaves_nothing(mysql: Server) -> None:
    """It goes to the servers in their order, starts anew where it was, and is gone when stopped."""
    with servers.start_router(mysql) as router:
        for _ in range(2):
            log_in(router).close()
            router.kill()
            assert not listens(router.port)
            router.restart()
        home = router._run.home
    assert not listens(router.port)
    assert not home.exists()


def test_a_router_that_does_not_start_is_told(mysql: Server) -> None:
    """The error shows what Router says of its configuration, and nothing is left behind."""
    with pytest.raises(ServerError, match=r"option 'routing\.nonsense' is not supported"):
        servers.start_router(mysql, options={"nonsense": 1})
