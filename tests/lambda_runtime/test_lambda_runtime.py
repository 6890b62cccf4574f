"""One function under AWS Lambda's runtime client, frozen between invocations, on real servers."""

from __future__ import annotations

import time
from typing import Any

import pymysql
import pytest

from tests import servers
from tests.lambda_runtime.conftest import Deploy
from tests.lambda_runtime.runtime_api import PATIENCE, Container
from tests.servers import Server

#: Seconds between two looks at the server.
POLL = 0.02

#: The least ``max_connections`` that MariaDB takes.
FEW = 10


def sessions(server: Server, database: str) -> list[int]:
    """Return the ids of the sessions that use the function's database."""
    return [
        row[0]
        for row in server.sql(
            f"SELECT id FROM information_schema.processlist WHERE db = '{database}'"
        )
    ]


def wait_for_none(server: Server, database: str) -> None:
    """Return when no session uses the database."""
    end = time.monotonic() + PATIENCE
    while sessions(server, database):
        assert time.monotonic() < end, "the session is still there"
        time.sleep(POLL)


def fill(server: Server) -> list[pymysql.Connection[pymysql.cursors.Cursor]]:
    """Take all places of a small server; those of sessions that have ended become free late."""
    taken: list[pymysql.Connection[pymysql.cursors.Cursor]] = []
    end = time.monotonic() + PATIENCE
    while len(taken) < FEW:
        try:
            taken.append(pymysql.connect(**server.params()))
        except pymysql.err.OperationalError as error:
            if error.args[0] != 1040 or time.monotonic() > end:
                raise
            time.sleep(POLL)
    return taken


@pytest.fixture
def table(server: Server, database: str) -> str:
    """A table, and nothing in it."""
    server.sql(f"CREATE TABLE {database}.orders (n INT PRIMARY KEY) ENGINE=InnoDB")
    return f"{database}.orders"


def test_invocations_of_a_container_share_a_session(container: Container) -> None:
    """The module's connection outlives its invocations, with the container frozen in between."""
    first, second = (container.invoke(f"SELECT {number}") for number in (1, 2))
    assert (first.error, second.error) == (None, None)
    assert (first.body["rows"], second.body["rows"]) == ([[1]], [[2]])
    assert first.body["session"] == second.body["session"]


def test_a_session_whose_lease_is_over_is_replaced(
    deploy: Deploy, server: Server, database: str, params: dict[str, Any], table: str
) -> None:
    """The server ends the session of a frozen container, and the next invocation has another."""
    container = deploy(params, SLSMYSQL_LEASE="1")
    container.ready()
    before = container.invoke("SELECT 1").body["session"]
    wait_for_none(server, database)
    reply = container.invoke("INSERT INTO orders VALUES (1)", "SELECT n FROM orders", commit=True)
    assert (reply.error, reply.body.get("rows")) == (None, [[1]])
    assert reply.body["session"] != before
    assert server.sql(f"SELECT n FROM {table}") == ((1,),)


def test_what_an_invocation_left_open_is_rolled_back(
    container: Container, server: Server, table: str
) -> None:
    """A handler that raises in the middle of a transaction leaves nothing to the next one."""
    reply = container.invoke("INSERT INTO orders VALUES (1)", fail="half way")
    assert (reply.error, reply.body["errorMessage"]) == ("ValueError", "half way")
    assert server.sql(f"SELECT n FROM {table} LOCK IN SHARE MODE") == ()
    reply = container.invoke("INSERT INTO orders VALUES (2)", "SELECT n FROM orders", commit=True)
    assert reply.body["rows"] == [[2]]
    assert server.sql(f"SELECT n FROM {table}") == ((2,),)


def test_an_error_reaches_the_caller_by_its_name(container: Container) -> None:
    """Lambda is told the exception's class and the server's number, and the container goes on."""
    reply = container.invoke("SELECT nothing")
    assert reply.error == "OperationalError"
    assert "1054" in reply.body["errorMessage"]
    assert container.invoke("SELECT 1").error is None


def test_the_session_ends_with_the_container(
    container: Container, server: Server, database: str
) -> None:
    """A container that is recycled leaves no session behind."""
    container.invoke("SELECT 1")
    assert len(sessions(server, database)) == 1
    container.process.kill()
    wait_for_none(server, database)


def test_a_snapshot_holds_no_session(
    deploy: Deploy, server: Server, database: str, params: dict[str, Any]
) -> None:
    """With SnapStart the session ends before the snapshot, and each restored one has its own."""
    container = deploy(params, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start")
    assert container.api.before_snapshot.wait(PATIENCE)
    wait_for_none(server, database)
    container.api.restored.set()
    container.ready()
    reply = container.invoke("SELECT 1")
    assert reply.error is None
    assert sessions(server, database) == [reply.body["session"]]


def test_a_function_whose_server_is_full_tells_so_before_its_time_is_over(
    deploy: Deploy, server: Server
) -> None:
    """The wait for a connection ends with the invocation's time, in an error that says why."""
    with servers.start(server.kind, max_connections=FEW) as small:
        # What is idle is asked at once, not after a second, whether it is alive.
        container = deploy(small.params(), SLSMYSQL_STALE_AFTER="0")
        container.ready()
        first = container.invoke("SELECT 1").body["session"]
        small.sql(f"KILL {first}")
        wait_for_none(small, "test")
        others = fill(small)
        reply = container.invoke("SELECT 2", seconds=4.0)
        assert reply.error == "OperationalError"
        # Or that of a last attempt for which there was hardly time.
        assert any(word in reply.body["errorMessage"] for word in ("1040", "timed out"))
        for other in others:
            other.close()
        # With the places free again, the same container works.
        reply = container.invoke("SELECT 3")
        assert (reply.error, reply.body["rows"]) == (None, [[3]])
