"""Fixtures for tests on real servers: each runs once for every kind of server.

A test that asks for ``server``, or for anything made of it, runs on MariaDB and on MySQL; one that
asks for ``backend`` or ``connect`` runs on the C extension and on the pure back end as well. The
servers are shared by all tests; what is to be killed, filled or set differently is a server of
the test's own (`tests.servers.start`).
"""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import pymysql
import pytest
from pymysql.cursors import Cursor

from tests import servers
from tests.servers import DSNS_VARIABLE, KINDS, Kind, Server

if TYPE_CHECKING:
    # Not before a test asks for it: some are about what importing it does.
    from slsmysql.connections import Connection

Backend = Literal["c", "pure"]

#: `connect()` with keywords of the test's own, closed after the test.
Connect = Callable[..., "Connection"]
PyMySQLConnect = Callable[..., "pymysql.Connection[Cursor]"]

#: Seconds to wait for a table that a connection of the test has not let go, before that is told.
LOCK_PATIENCE = 10


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Callable[[Kind], Server]]:
    """A function that gives the server of a kind which all tests share, started by the first."""
    own = servers.own_servers()
    with contextlib.ExitStack() as stack:
        started: dict[Kind, Server] = {}

        def get(kind: Kind) -> Server:
            if own and kind not in own:
                pytest.skip(f"{DSNS_VARIABLE} names no {kind} server")
            if own:
                return own[kind]
            if kind not in started:
                started[kind] = stack.enter_context(servers.start(kind))
            return started[kind]

        yield get


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest, shared_server: Callable[[Kind], Server]) -> Server:
    """The shared server, of each kind in turn."""
    return shared_server(request.param)


@pytest.fixture
def private_server(server: Server) -> Server:
    """The shared server where it is one of ours: with a socket, a log and accounts of all kinds."""
    if not server.is_private:
        pytest.skip(f"needs a private server, and {DSNS_VARIABLE} names others")
    return server


@pytest.fixture
def mariadb(shared_server: Callable[[Kind], Server]) -> Server:
    """The shared MariaDB server, for what it alone can do."""
    return shared_server("mariadb")


@pytest.fixture
def mysql(shared_server: Callable[[Kind], Server]) -> Server:
    """The shared MySQL server, for what it alone can do."""
    return shared_server("mysql")


def _backends() -> list[Backend]:
    """Return the back ends that the driver has here; `tests/driver` says which it must have."""
    # Not in this process, where some tests are about what importing it does.
    loads = subprocess.run(
        [sys.executable, "-c", "import ssl, _mysql_connector"], capture_output=True, check=False
    )
    return ["pure"] if loads.returncode else ["c", "pure"]


BACKENDS = _backends()


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each of the driver's back ends: its C extension, and its Python."""
    chosen: Backend = request.param
    return chosen


@pytest.fixture
def database(server: Server) -> Iterator[str]:
    """The name of an empty database (utf8mb4) that goes away with the test."""
    name = f"test_{secrets.token_hex(6)}"
    server.sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    yield name
    server.sql(f"SET SESSION lock_wait_timeout={LOCK_PATIENCE}", f"DROP DATABASE {name}")


@pytest.fixture
def params(server: Server, database: str) -> dict[str, Any]:
    """The keywords of `connect()` for the ordinary account on that database."""
    return server.params(database=database)


@pytest.fixture
def connect(params: dict[str, Any], backend: Backend) -> Iterator[Connect]:
    """`slsmysql.connect()` with ``params`` and the back end; the test's keywords override them."""
    import slsmysql

    connections = []

    def connect(**overrides: Any) -> Connection:
        connection = slsmysql.connect(**{**params, "use_pure": backend == "pure", **overrides})
        connections.append(connection)
        return connection

    yield connect
    for connection in connections:
        with contextlib.suppress(slsmysql.Error):  # closed by the test, in whatever way
            connection.quit()
    slsmysql.close_all()


@pytest.fixture
def pymysql_connect(params: dict[str, Any]) -> Iterator[PyMySQLConnect]:
    """`pymysql.connect()` with ``params``; the test's keywords override them."""
    connections = []

    def connect(**overrides: Any) -> pymysql.Connection[Cursor]:
        connection: pymysql.Connection[Cursor] = pymysql.connect(**{**params, **overrides})
        connections.append(connection)
        return connection

    yield connect
    for connection in connections:
        if connection.open:
            connection.close()
