"""A program to which everything happens that events tell of, for the tests of what they become."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pymysql

import slsmysql
from slsmysql.events import Event
from tests.contrib.telemetry.conftest import Through
from tests.proxy import Proxy, connecting, error_packet, fin, reply, request
from tests.servers import Server

FULL = error_packet(1040, "Too many connections", "08004")
DEADLOCK = error_packet(1213, "Deadlock found when trying to get lock", "40001", 1)

#: Each event that a counter counts with it, and the counter.
COUNTER_OF = {
    "connect": "connects",
    "connect_retry": "connect_retries",
    "connect_failed": "connect_failures",
    "give_up": "given_up",
    "kill": "kills",
    "lease": "leases",
    "reopen": "reopened",
    "resume": "resumed",
    "lost": "lost",
    "park": "parked",
    "unpark": "parked_reuses",
    "query_retry": "query_retries",
    "transaction_retry": "transaction_retries",
    "rolled_back": "rolled_back",
}


def kill(server: Server, connection: slsmysql.Connection) -> None:
    """End the session of a connection from outside."""
    with contextlib.suppress(pymysql.err.Error):  # gone by itself
        server.sql(f"KILL {connection.thread_id()}")


def insert(connection: slsmysql.Connection, number: int) -> None:
    """Insert a row."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO t VALUES (%s)", (number,))


def work(
    through: Through, proxy: Proxy, server: Server, listener: Callable[[Event], object]
) -> dict[str, float]:
    """Let it all happen, and return what `connection.stats()` and the refused connect count.

    Sessions are refused, replaced, resumed, lost, given up, parked and taken again, a statement and
    a transaction are run again, and one is left open by an invocation.
    """
    before = slsmysql.stats().as_dict()
    proxy.when(connecting(), reply(FULL), times=2)
    connections = [
        # No zombie of another test is ended for this; every look finds the server too full.
        through(
            on_event=listener,
            reap="off",
            conn_utilization=1e-6,
            used_conns_freq=0,
            query_retries=1,
            lease=600,
        )
    ]
    (connection,) = connections
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (n INT PRIMARY KEY) ENGINE=InnoDB")
        connection._stale_after = -1.0  # every statement asks first whether the session is alive
        kill(server, connection)
        cursor.execute("SELECT 1")
        connection.commit()
        cursor.execute("SELECT n FROM t")
        kill(server, connection)
        cursor.execute("SELECT n FROM t")
        connection.rollback()
        insert(connection, 1)
        kill(server, connection)
        with contextlib.suppress(slsmysql.OperationalError):
            cursor.execute("SELECT 1")
        connection.rollback()
        proxy.when(request("(2)"), reply(DEADLOCK, close=False))
        connection.run_transaction(lambda each: insert(each, 2))
        connection.autocommit(True)
        proxy.when(request("(3)"), reply(DEADLOCK, close=False))
        insert(connection, 3)
        connection.autocommit(False)
        with slsmysql.invocation():
            insert(connection, 4)
        while not connection.stats().given_up:
            connection.commit()
            cursor.execute("SELECT 1")
        connection._server.next_look = float("inf")
        cursor.execute("SELECT 1")
    connection.close()
    connections.append(through(on_event=listener, reap="off", conn_utilization=1e-6, lease=600))
    connections[-1]._server.next_look = float("inf")
    connections[-1].close()
    proxy.when(connecting(), fin)
    proxy.when(connecting(), reply(FULL), times=None)
    with contextlib.suppress(slsmysql.OperationalError):
        through(on_event=listener, max_retries=1, reuse=False)
    proxy.behave()
    after = slsmysql.stats().as_dict()
    process = {name: after[name] - before[name] for name in after}
    for name in after:
        own = sum(each.stats().as_dict()[name] for each in connections)
        # One connection was refused for good: nobody has an object to ask.
        assert own == process[name] or name in {
            "connect_failures",
            "connect_retries",
            "refused",
            "waited",
        }
    return process
