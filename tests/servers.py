"""Private MariaDB and MySQL servers for tests, benchmarks and the demo: had, started, removed.

``start("mariadb")`` and ``start("mysql")`` give a server of one's own on a free port of the
loopback, with an empty data directory that goes away with it. A server ends with ``stop()``, with
its ``with`` block, with the interpreter, and, whatever happens to the interpreter, with its guard:
a shell that waits for the end of a pipe.

Programs are looked for on PATH. MariaDB comes from apt if it is not there, and MySQL, which no
stable suite of Debian has, is unpacked from the ``sid`` suite into a cache folder and run from
there beside the system. What cannot be had is a `ServerError` that says what to install.

``start_router(server, ...)`` gives a MySQL Router before such servers, by the same rules.

    python -m tests.servers {mariadb|mysql|both} [--prepare] [--max-connections N]
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import fcntl
import functools
import os
import re
import secrets
import shlex
import shutil
import signal
import socket as sockets
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import pymysql

Kind = Literal["mariadb", "mysql"]

#: Every kind of server that slsmysql is for.
KINDS: tuple[Kind, ...] = ("mariadb", "mysql")

#: The environment variable that names the folder of unpacked programs and data templates.
CACHE_VARIABLE = "SLSMYSQL_TEST_CACHE"

#: The environment variable with the URLs of servers to use instead of private ones.
DSNS_VARIABLE = "SLSMYSQL_TEST_DSNS"

#: Where server programs are, though an ordinary account's PATH may leave them out.
SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin")

#: Debian's keys, by which apt knows the ``sid`` suite for what it is.
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

#: Seconds that a server may take to answer after its start. It takes less than one, but a machine
#: under load gets what it needs.
PATIENCE = 60.0

#: Seconds between two looks at a server that starts.
POLL_INTERVAL = 0.01

#: The ports to choose from: below those that Linux (from 32768) and macOS (from 49152) give to
#: outgoing connections, one of which could hold the port at the moment of a restart.
PORTS = range(20_000, 30_000)

#: Lines of the server's log to show with an error.
LOG_LINES = 30

#: Outlives us: told the process ids of a server's runs on its standard input, at whose end (our
#: death is enough for that) it kills the last one, and removes the server's folder a moment later,
#: so that no last write brings a file back. An empty line: nothing runs.
GUARD = """
while read -r line; do server=$line; done
[ -z "$server" ] || kill -9 "$server"
sleep 0.5
rm -rf -- "$1"
"""


class ServerError(RuntimeError):
    """A server cannot be had, or does not start; the message says what to do about it."""


@dataclass(frozen=True)
class Account:
    """A name, and the password with which a server lets it in."""

    user: str
    password: str = field(repr=False)


#: May do everything; through the socket only.
ROOT = Account("root", "")

#: An ordinary account: all on the databases ``test`` and ``test_...``, and no PROCESS.
APP = Account("app", "app-secret")

#: The same with PROCESS and CONNECTION ADMIN, which lets it in when all connections are taken.
BOSS = Account("boss", "boss-secret")

#: Run at each start, before the first connection. MySQL takes one statement a line.
SETUP = f"""\
CREATE DATABASE IF NOT EXISTS test CHARACTER SET utf8mb4;
DROP USER IF EXISTS 'root'@'127.0.0.1', 'root'@'::1';
CREATE USER IF NOT EXISTS '{APP.user}'@'%' IDENTIFIED BY '{APP.password}';
CREATE USER IF NOT EXISTS '{BOSS.user}'@'%' IDENTIFIED BY '{BOSS.password}';
GRANT ALL ON `test`.* TO '{APP.user}'@'%', '{BOSS.user}'@'%';
GRANT ALL ON `test\\_%`.* TO '{APP.user}'@'%', '{BOSS.user}'@'%';
GRANT PROCESS, {{connection_admin}} ON *.* TO '{BOSS.user}'@'%';
"""

#: What makes a server small, quick and private.
OPTIONS = (
    "--bind-address=127.0.0.1",
    # 'localhost' is then the socket and nothing else, which keeps root's empty password in our
    # folder; and the host cache, which would lock out who breaks off handshakes, is not used.
    "--skip-name-resolve",
    # The packaged default names a folder that is not there, and MySQL stops.
    "--secure-file-priv=",
    "--skip-log-bin",
    # Written at each commit, so that SIGKILL loses nothing, and synchronized once a second: it is
    # only the power that could fail.
    "--innodb-flush-log-at-trx-commit=2",
)

#: The same, by kind. The redo log (96 and 100 MB by default) is copied for each server.
OPTIONS_BY_KIND: Mapping[Kind, tuple[str, ...]] = {
    "mariadb": ("--innodb-log-file-size=8M", "--innodb-buffer-pool-size=16M"),
    "mysql": ("--innodb-redo-log-capacity=8M", "--innodb-buffer-pool-size=32M", "--mysqlx=OFF"),
}


@dataclass(frozen=True)
class _Package:
    """A package of Debian's ``sid`` suite that is unpacked where its program is not on PATH."""

    name: str
    #: What it is, in an error.
    what: str
    #: Where its program is.
    path: str
    #: How to get it otherwise.
    cure: str
    #: Where it has libraries of its own.
    libraries: str = "usr/lib"


MYSQL = _Package(
    "mysql-server-core",
    "MySQL server",
    "usr/sbin/mysqld",
    "(Ubuntu: `apt-get install mysql-server-core-8.4` or the one that there is, macOS: "
    f"`brew install mysql`) so that mysqld is on PATH, or set {DSNS_VARIABLE}",
)

ROUTER = _Package(
    "mysql-router",
    "MySQL Router",
    "usr/bin/mysqlrouter",
    "(MySQL's own package `mysql-router`) so that mysqlrouter is on PATH",
    "usr/lib/mysql-router",
)


@dataclass(frozen=True)
class _Program:
    """A server's program on this machine: the command up to its options, and what these must be."""

    kind: Kind
    command: tuple[str, ...]
    options: tuple[str, ...] = ()

    @functools.cached_property
    def version(self) -> tuple[int, int, int]:
        """Return what the program says of itself."""
        return _version(_output(*self.command, "--no-defaults", "--version"))

    def arguments(self, datadir: Path) -> tuple[str, ...]:
        """Return the options that making a data directory and running on it have in common."""
        # Started by root, a server wants to be told that it is meant to be root's.
        user = ("--user=root",) if os.geteuid() == 0 else ()
        own = (*self.options, *OPTIONS_BY_KIND[self.kind])
        return ("--no-defaults", f"--datadir={datadir}", *user, *own)

    def make_datadir(self, datadir: Path) -> None:
        """Make a new server's data in that folder."""
        if self.kind == "mysql":
            _output(*self.command, *self.arguments(datadir), "--initialize-insecure")
            return
        script = _which("mariadb-install-db")
        if script is None:
            raise ServerError("mariadbd is installed without mariadb-install-db: reinstall MariaDB")
        own = ("--auth-root-authentication-method=normal", "--skip-test-db")
        _output(script, *self.arguments(datadir), *own)


class _Run:
    """A private server's folder, the process that runs on it, and the guard of both."""

    def __init__(self, home: Path) -> None:
        """Take charge of an empty folder."""
        self.home = home
        self.socket = home / "socket"
        self.datadir = home / "data"
        self.log = home / "log"
        self.command: tuple[str, ...] = ()
        self.process: subprocess.Popen[bytes] | None = None
        # In a session of its own, as the server is: Ctrl-C at the terminal is for us alone.
        self.guard = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "guard", str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        _running.add(self)

    def tell_guard(self, line: str) -> None:
        """Tell the guard which process is its charge, if any."""
        if self.guard.stdin is not None:
            self.guard.stdin.write(line.encode() + b"\n")
            self.guard.stdin.flush()

    def launch(self) -> None:
        """Start the server and wait until it answers, or raise `ServerError` with its log."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.home,
                start_new_session=True,
            )
        self.tell_guard(str(self.process.pid))
        end = time.monotonic() + PATIENCE
        while not self.answers():
            ended = self.process.poll() is not None
            if ended or time.monotonic() > end:
                what = "ended" if ended else f"did not answer in {PATIENCE:.0f} s"
                raise ServerError(f"the server {what}; its log:\n{self.log_tail()}")
            time.sleep(POLL_INTERVAL)
        self.warm_up()

    def warm_up(self) -> None:
        """Let the accounts log in, so that whoever comes finds nothing to be done first."""
        # The first login of an account after a start needs TLS, a socket or the server's RSA key
        # (MySQL manual, "Caching SHA-2 Pluggable Authentication"). This is it, so that whoever
        # comes without TLS finds the server as it is after a minute of work.
        for account in (APP, BOSS):
            with contextlib.suppress(pymysql.err.OperationalError):  # a test may have changed it
                self.log_in(account).close()

    def answers(self) -> bool:
        """Return whether the server greets whoever comes to its socket."""
        with sockets.socket(sockets.AF_UNIX) as probe, contextlib.suppress(OSError):
            probe.settimeout(PATIENCE)
            probe.connect(str(self.socket))
            return probe.recv(1) != b""
        return False

    def log_in(self, account: Account) -> pymysql.Connection[pymysql.cursors.Cursor]:
        """Return a connection through the socket."""
        return pymysql.connect(
            unix_socket=str(self.socket),
            user=account.user,
            password=account.password,
            # There is none on a socket; PyMySQL would read the CA store all the same, for 40 ms.
            ssl_disabled=True,
        )

    def end(self, how: signal.Signals) -> None:
        """Send the server that signal and wait for its end; nothing if it does not run."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait()
            self.tell_guard("")
            self.process = None

    def remove(self) -> None:
        """End the server at once and remove its folder; nothing if done, or if it is a parent's."""
        if self not in _running:
            return
        self.end(signal.SIGKILL)
        shutil.rmtree(self.home, ignore_errors=True)
        _running.discard(self)
        self.guard.kill()
        self.guard.communicate()

    def log_tail(self) -> str:
        """Return the last lines of the server's log."""
        if not self.log.exists():  # removed with the server
            return ""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-LOG_LINES:])


class _RouterRun(_Run):
    """The same for a Router, which has a port and no socket, and no accounts of its own."""

    def __init__(self, home: Path, port: int) -> None:
        """Take charge of an empty folder; the Router is going to listen on ``port``."""
        super().__init__(home)
        self.port = port

    def answers(self) -> bool:
        """Return whether the Router takes connections, whether or not a server is behind it."""
        with sockets.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def warm_up(self) -> None:
        """Do nothing."""


#: The private servers of this process.
_running: set[_Run] = set()


@atexit.register
def _stop_all() -> None:
    """Stop whatever runs still when the interpreter ends."""
    for run in tuple(_running):
        run.remove()


def _disown_all() -> None:
    """Let go, in a child, of its parent's servers: the guards wait for the parent alone."""
    for run in _running:
        if run.guard.stdin is not None:
            run.guard.stdin.close()
    _running.clear()


os.register_at_fork(after_in_child=_disown_all)


@dataclass(frozen=True)
class Server:
    """A server to connect to: a private one from `start`, or one of the user's own."""

    kind: Kind
    host: str
    port: int
    version: tuple[int, int, int]
    #: The accounts: those of this module, or thrice the one that the user's URL names.
    root: Account = ROOT
    app: Account = APP
    boss: Account = BOSS
    #: The certificate to verify the server with, if it has one of ours.
    ca: Path | None = None
    _run: _Run | None = field(default=None, repr=False, compare=False)

    def __enter__(self) -> Server:
        """Return the server, which stops with the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the server."""
        self.stop()

    @property
    def is_private(self) -> bool:
        """Return whether this is a server of `start`, with all that only such a one has."""
        return self._run is not None

    @property
    def private(self) -> _Run:
        """Return what only a server of `start` has, or raise `ServerError`."""
        if self._run is None:
            raise ServerError(
                f"this needs a private server: run it without {DSNS_VARIABLE} in the environment"
            )
        return self._run

    @property
    def socket(self) -> Path:
        """Return the path of the Unix socket."""
        return self.private.socket

    @property
    def datadir(self) -> Path:
        """Return the data directory."""
        return self.private.datadir

    @property
    def log(self) -> Path:
        """Return the path of the server's log."""
        return self.private.log

    @property
    def pid(self) -> int:
        """Return the id of the server's process, or raise `ServerError` if it does not run."""
        process = self.private.process
        if process is None or process.poll() is not None:
            raise ServerError("the server does not run")
        return process.pid

    def log_tail(self) -> str:
        """Return the last lines of the server's log; nothing for a server of the user's own."""
        return "" if self._run is None else self._run.log_tail()

    def params(self, account: Account | None = None, database: str = "test") -> dict[str, Any]:
        """Return the keywords of `connect()` for an account, the ordinary one by default."""
        account = account or self.app
        return {
            "host": self.host,
            "port": self.port,
            "user": account.user,
            "password": account.password,
            "database": database,
        }

    def dsn(self, account: Account | None = None, database: str = "test") -> str:
        """Return the same as a URL."""
        account = account or self.app
        user, password = (urllib.parse.quote(s, "") for s in (account.user, account.password))
        return f"mysql://{user}:{password}@{self.host}:{self.port}/{database}"

    def sql(self, *statements: str) -> tuple[tuple[Any, ...], ...]:
        """Run statements as root, on a connection of their own, and return the last one's rows."""
        if self._run is not None:
            connection = self._run.log_in(self.root)
        else:
            given = self.params(self.root)
            del given["database"]
            connection = pymysql.connect(**given)
        with connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            connection.commit()
            return tuple(cursor.fetchall())

    def stop(self) -> None:
        """End the server at once and remove all that it left; nothing if that has been done."""
        if self._run is not None:
            self._run.remove()

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End the process by a signal and wait for it; the data stays for `restart`.

        SIGKILL is a crash, SIGTERM a clean shutdown.
        """
        self.private.end(how)

    def restart(self) -> None:
        """Start the server again on the same data and port, after a shutdown if it still runs."""
        self.private.end(signal.SIGTERM)
        self.private.launch()


def start(
    kind: Kind, *, max_connections: int = 151, tls: bool | None = None, options: Sequence[str] = ()
) -> Server:
    """Start a private server, and return it as soon as it answers.

    With ``tls=True`` it has a certificate for 127.0.0.1 and localhost that `Server.ca` verifies,
    with ``tls=False`` no TLS at all, and with None what it has by itself: MySQL an unverifiable
    certificate, MariaDB 10.11 none. ``options`` are the program's own and have the last word:
    ``["--performance-schema=ON"]`` (it is on in MySQL alone). ``max_connections`` is a number of
    connections as in the server's variable. `ServerError` says what is missing.
    """
    program, template = prepare(kind)
    # The folder is for our account alone, and so is the socket in it.
    run = _Run(Path(tempfile.mkdtemp(prefix=f"slsmysql-{kind}-")))
    try:
        shutil.copytree(template, run.datadir)
        connection_admin = "CONNECTION ADMIN" if kind == "mariadb" else "CONNECTION_ADMIN"
        setup = run.home / "setup.sql"
        setup.write_text(SETUP.format(connection_admin=connection_admin))
        port = _free_port()
        # A starting MariaDB clears the temporary tables of its tmpdir, whosever they are, and the
        # server that they belong to crashes.
        temporary = run.home / "tmp"
        temporary.mkdir()
        run.command = (
            *program.command,
            *program.arguments(run.datadir),
            *OPTIONS,
            f"--init-file={setup}",
            f"--socket={run.socket}",
            f"--tmpdir={temporary}",
            f"--port={port}",
            f"--max-connections={max_connections}",
            *_tls_options(kind, run.home, tls),
            *options,
        )
        run.launch()
    except BaseException:
        run.remove()
        raise
    ca = run.home / "ca.pem" if tls else None
    return Server(kind, "127.0.0.1", port, program.version, ca=ca, _run=run)


@dataclass(frozen=True)
class Router:
    """A MySQL Router from `start_router`, and the servers behind it."""

    servers: tuple[Server, ...]
    host: str
    port: int
    #: The certificate to verify the Router with, if it encrypts by itself.
    ca: Path | None
    _run: _RouterRun = field(repr=False, compare=False)

    def __enter__(self) -> Router:
        """Return the Router, which stops with the block."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop the Router."""
        self.stop()

    def params(self, account: Account | None = None, database: str = "test") -> dict[str, Any]:
        """Return the keywords of `connect()` for an account, the ordinary one by default."""
        behind = self.servers[0].params(account, database)
        return {**behind, "host": self.host, "port": self.port}

    def log_tail(self) -> str:
        """Return the last lines of the Router's log."""
        return self._run.log_tail()

    def stop(self) -> None:
        """End the Router at once and remove all that it left; nothing if that has been done."""
        self._run.remove()

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End the process by a signal and wait for it; `restart` starts it again."""
        self._run.end(how)

    def restart(self) -> None:
        """Start the Router again on the same port, after a shutdown if it still runs."""
        self._run.end(signal.SIGTERM)
        self._run.launch()


def start_router(*servers: Server, options: Mapping[str, object] | None = None) -> Router:
    """Start a MySQL Router before private servers, and return it as soon as it takes connections.

    It has one classic route, to the servers in their order (``first-available``). ``options`` are
    those of the section ``[routing]`` and have the last word; where they name a
    ``client_ssl_mode`` the Router encrypts by itself, with a certificate that `Router.ca`
    verifies, otherwise TLS is between client and server. `ServerError` says what is missing.
    """
    command, plugins = prepare_router()
    port = _free_port()
    run = _RouterRun(Path(tempfile.mkdtemp(prefix="slsmysql-router-")), port)
    given = options or {}
    try:
        routing: dict[str, object] = {
            "bind_address": "127.0.0.1",
            "bind_port": port,
            "protocol": "classic",
            "routing_strategy": "first-available",
            "destinations": ",".join(f"{server.host}:{server.port}" for server in servers),
        }
        encrypts = given.get("client_ssl_mode", "PASSTHROUGH") not in {"PASSTHROUGH", "DISABLED"}
        if encrypts:
            from tests.certificates import Authority  # cryptography takes time to import

            Authority().write(run.home)
            routing["client_ssl_cert"] = run.home / "server-cert.pem"
            routing["client_ssl_key"] = run.home / "server-key.pem"
        folders = dict.fromkeys(("runtime_folder", "data_folder", "config_folder"), run.home)
        sections: dict[str, Mapping[str, object]] = {
            # Without a folder the log goes to the standard error.
            "DEFAULT": {
                "logging_folder": "",
                "unknown_config_option": "error",
                **folders,
                **({"plugin_folder": plugins} if plugins else {}),
            },
            "logger": {"level": "info"},
            "routing": {**routing, **given},
        }
        config = run.home / "router.conf"
        config.write_text(
            "\n".join(
                f"[{name}]\n" + "".join(f"{key}={value}\n" for key, value in keys.items())
                for name, keys in sections.items()
            )
        )
        run.command = (*command, f"--config={config}")
        run.launch()
    except BaseException:
        run.remove()
        raise
    return Router(servers, "127.0.0.1", port, run.home / "ca.pem" if encrypts else None, run)


def prepare_router() -> tuple[tuple[str, ...], Path | None]:
    """Return the command of MySQL Router, and the folder of its plug-ins if it is not its own."""
    if found := _which("mysqlrouter"):
        return (found,), None
    root = _cached("mysql-router-sid", _unpack_router)
    return _beside(root, ROUTER), root / "usr/lib/mysqlrouter/plugin"


def own_servers() -> dict[Kind, Server]:
    """Return the servers that the environment names, by kind; if it names any, no other is used."""
    found: dict[Kind, Server] = {}
    for dsn in os.environ.get(DSNS_VARIABLE, "").split():
        url = urllib.parse.urlsplit(dsn)
        user, password = (urllib.parse.unquote(s or "") for s in (url.username, url.password))
        host, port = url.hostname or "127.0.0.1", url.port or 3306
        connection = pymysql.connect(host=host, port=port, user=user, password=password)
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT VERSION()")
            ((said,),) = cursor.fetchall()
        kind: Kind = "mariadb" if "MariaDB" in said else "mysql"
        account = Account(user, password)
        found[kind] = Server(kind, host, port, _version(said), account, account, account)
    return found


def prepare(kind: Kind) -> tuple[_Program, Path]:
    """Return the program of that kind, had by whatever means there are, and a new server's data."""
    found = _prepared(kind)
    if isinstance(found, str):
        raise ServerError(found)
    return found


@functools.cache
def _prepared(kind: Kind) -> tuple[_Program, Path] | str:
    """Return the same, or what is wrong; either is found out once, not for each of many tests."""
    try:
        program = _mariadb() if kind == "mariadb" else _mysql()
        version = ".".join(map(str, program.version))
        return program, _cached(f"{kind}-{version}-data", program.make_datadir)
    except ServerError as error:
        return str(error)


def client(kind: Kind, name: str) -> tuple[str, ...]:
    """Return the command of a program that comes with that server, or raise `ServerError`."""
    program, _ = prepare(kind)
    server = Path(program.command[-1])
    found = server.parents[1] / "bin" / name
    if not found.exists():
        found = Path(_which(name) or "")
    if not found.is_file():
        raise ServerError(f"there is no {name} with the {kind} server {server}")
    return (*program.command[:-1], str(found))


def _mariadb() -> _Program:
    """Return MariaDB from PATH, else from apt."""
    found = _which("mariadbd")
    if found is None:
        packages = "mariadb-server-core mariadb-client-core"
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            raise ServerError(
                "no mariadbd on PATH: install MariaDB's server "
                f"(Debian, Ubuntu: `apt-get install --no-install-recommends {packages}`, "
                f"macOS: `brew install mariadb`), or set {DSNS_VARIABLE}"
            )
        with _lock("apt"):
            apt_install(*packages.split())
        found = _which("mariadbd")
        if found is None:
            raise ServerError(f"apt-get has installed {packages}, and still no mariadbd on PATH")
    return _Program("mariadb", (found,))


def apt_install(*packages: str) -> None:
    """Install Debian packages, with new lists if it does not go with those that are there."""
    install = ("apt-get", "-y", "--no-install-recommends", "install", *packages)
    try:
        _output(*install)
    except ServerError:
        _output("apt-get", "update")
        _output(*install)


def _mysql() -> _Program:
    """Return MySQL from PATH, else from the cache, unpacked there if need be."""
    found = _which("mysqld")
    # MariaDB has a mysqld too: the name of its own program is behind the link.
    if found is not None and "MariaDB" not in _output(found, "--no-defaults", "--version"):
        return _Program("mysql", (found,))
    return _unpacked_mysql(_cached("mysql-sid", _unpack_mysql))


def _unpacked_mysql(root: Path) -> _Program:
    """Return the MySQL under a root folder of its own, run by that folder's loader."""
    return _Program(
        "mysql",
        _beside(root, MYSQL),
        (
            f"--basedir={root / 'usr'}",
            f"--lc-messages-dir={root / 'usr/share/mysql'}",
            f"--plugin-dir={root / 'usr/lib/mysql/plugin'}",
        ),
    )


def _beside(root: Path, package: _Package) -> tuple[str, ...]:
    """Return the command that runs an unpacked program with the libraries beside it."""
    loader = next(root.glob("usr/lib/*-linux-gnu*/ld-linux-*.so.*"), None)
    if loader is None:
        raise ServerError(f"{root} has no loader: remove the folder, and it is made anew")
    libraries = f"{loader.parent}:{root / package.libraries}"
    return str(loader), "--library-path", libraries, str(root / package.path)


def _unpack_mysql(root: Path) -> None:
    """Fill a folder with MySQL's server and its libraries."""
    _unpack(MYSQL, root, lambda: _unpacked_mysql(root).version)


def _unpack_router(root: Path) -> None:
    """Fill a folder with MySQL Router and its libraries."""
    _unpack(ROUTER, root, lambda: _version(_output(*_beside(root, ROUTER), "--version")))


def _unpack(package: _Package, root: Path, version: Callable[[], tuple[int, int, int]]) -> None:
    """Fill a folder with a package and its libraries from Debian's ``sid`` suite, and try it.

    The folder has an apt state of its own, so nothing of the system is touched, and no privilege
    is needed. The mirror is the one that the machine uses.
    """
    missing = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if missing or not KEYRING.exists():
        program = Path(package.path).name
        raise ServerError(
            f"no {package.what} ({program}) on PATH, and only Debian's can be unpacked here: "
            f"install it {package.cure}"
        )
    apt = root / "apt"
    (apt / "lists" / "partial").mkdir(parents=True)
    (apt / "cache" / "archives" / "partial").mkdir(parents=True)
    (apt / "status").touch()
    settings = {
        "Dir::State": apt,
        "Dir::State::status": apt / "status",
        "Dir::Cache": apt / "cache",
        "Dir::Etc::SourceList": apt / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::Etc::Preferences": "/dev/null",
        "Dir::Etc::PreferencesParts": "/dev/null",
        # A mirror may be a snapshot, and what is unpacked here stays as old as it is anyway.
        "Acquire::Check-Valid-Until": "false",
        "Acquire::Languages": "none",
        "Acquire::Retries": 3,
        # A list that cannot be had is an error, not a warning.
        "APT::Update::Error-Mode": "any",
        # apt's own account, to which root steps down, need not be able to enter the cache.
        **({"APT::Sandbox::User": "root"} if os.geteuid() == 0 else {}),
    }
    apt_get = ("apt-get", *(f"-o{name}={value}" for name, value in settings.items()))
    failures = []
    for mirror in _mirrors():
        line = f"deb [signed-by={KEYRING}] {mirror} sid main\n"
        (apt / "sources.list").write_text(line)
        try:
            _output(*apt_get, "update")
            _output(*apt_get, "-y", "--no-install-recommends", "--download-only", "install",
                 package.name)  # fmt: skip
        except ServerError as error:
            failures.append(str(error))
        else:
            break
    else:
        raise ServerError(
            f"no {package.what} could be had from Debian's sid suite: install one {package.cure}\n"
            + "\n".join(failures or ["no Debian mirror"])
        )
    for archive in (apt / "cache" / "archives").glob("*.deb"):
        _output("dpkg-deb", "--extract", str(archive), str(root))
    shutil.rmtree(apt)
    try:
        said = version()
    except ServerError as error:
        raise ServerError(
            f"the {package.what} of Debian's sid suite does not run beside this system (its "
            "libraries may be in a state of change, as sid's are at times): install one "
            f"{package.cure}\n{error}"
        ) from error
    print(f"unpacked {package.what} {'.'.join(map(str, said))}", file=sys.stderr)


def _mirrors() -> list[str]:
    """Return the addresses of Debian's archive that the machine's apt sources name."""
    release = Path("/etc/os-release").read_text()
    codename = re.search(r"^VERSION_CODENAME=\"?([\w-]+)", release, re.MULTILINE)
    found = _output(
        "apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)"
    )  # one line for each index, translations and all
    own: list[str] = []
    others: list[str] = []
    for line in dict.fromkeys(found.splitlines()):
        match line.split():
            case [uri, suite, "main"] if not suite.endswith("-security"):
                (own if codename and suite == codename[1] else others).append(uri)
    return list(dict.fromkeys(own + others))


def _tls_options(kind: Kind, home: Path, tls: bool | None) -> tuple[str, ...]:
    """Return a server's options for TLS or its absence, with certificates made in its folder."""
    if tls is None:
        return ()
    if not tls:
        return ("--skip-ssl",) if kind == "mariadb" else ("--tls-version=",)
    from tests.certificates import Authority  # cryptography takes time to import

    Authority().write(home)
    return (
        f"--ssl-ca={home / 'ca.pem'}",
        f"--ssl-cert={home / 'server-cert.pem'}",
        f"--ssl-key={home / 'server-key.pem'}",
    )


def _free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    while True:
        port = secrets.choice(PORTS)
        with sockets.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _which(name: str) -> str | None:
    """Return the path of a program on PATH or in the system's folders."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *SYSTEM_FOLDERS))
    return shutil.which(name, path=path)


def _version(text: str) -> tuple[int, int, int]:
    """Return the first version number in a text."""
    match = re.search(r"(\d+)\.(\d+)\.(\d+)", text)
    if match is None:
        raise ServerError(f"no version number in {text!r}")
    return int(match[1]), int(match[2]), int(match[3])


def _output(*command: str) -> str:
    """Run a command to its end and return its output, or raise `ServerError` with it."""
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-LOG_LINES:])
        raise ServerError(f"`{shlex.join(command)}` failed ({done.returncode}):\n{tail}")
    return done.stdout


def _cache() -> Path:
    """Return the folder for what is kept between runs."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        folder = Path(chosen).absolute()
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(base).absolute() / "slsmysql"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def _lock(name: str) -> Iterator[None]:
    """Hold a lock that all runs on this cache know; it ends with the process at the latest."""
    with (_cache() / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _cached(name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder of the cache, made first by the first who needs it: whole, or not at all."""
    final = _cache() / name
    if not final.is_dir():
        with _lock(name):
            if not final.is_dir():
                partial = final.with_name(f"{name}.partial")
                shutil.rmtree(partial, ignore_errors=True)  # of a run that was interrupted
                partial.mkdir()
                make(partial)
                partial.rename(final)
    return final


def main(arguments: Sequence[str] | None = None) -> None:
    """Prepare servers, or run them until interrupted, and print how to reach them."""
    parser = argparse.ArgumentParser(prog="python -m tests.servers", description=__doc__)
    parser.add_argument("kind", choices=(*KINDS, "both"))
    parser.add_argument("--prepare", action="store_true", help="only install or unpack them")
    parser.add_argument("--max-connections", type=int, default=151, metavar="N")
    chosen = parser.parse_args(arguments)
    kinds = [kind for kind in KINDS if chosen.kind in (kind, "both")]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # Ctrl-C ends it even where a shell has started it in the background, ignoring SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        for kind in kinds:
            if chosen.prepare:
                prepare(kind)
            else:
                server = start(kind, max_connections=chosen.max_connections)
                print(kind, server.dsn(), server.log, flush=True)
        if not chosen.prepare:
            signal.pause()
    except ServerError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
