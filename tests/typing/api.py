"""A program that uses all of the public API, to be type-checked and never run.

What is wrong in it is marked: a mark that a type checker does not need is an error, too.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from typing import Any

from typing_extensions import assert_type

import slsmysql
import slsmysql as pymysql
from slsmysql import Connection, Event, OutcomeUnknownError, Settings, Stats
from slsmysql.connections import close_all
from slsmysql.constants import CLIENT, ER
from slsmysql.contrib.telemetry import EmbeddedMetrics, OpenTelemetryMetrics
from slsmysql.converters import conversions
from slsmysql.cursors import Cursor, DictCursor, SSCursor, SSDictCursor
from slsmysql.invocations import Invocation

# -- connecting ------------------------------------------------------------------------------------


def token() -> str:
    """Return a password that is good for a while."""
    return "token"


def listener(event: Event) -> None:
    """Take an event in."""
    assert_type(event.name, str)
    assert_type(event.errno, int | None)
    assert_type(event.seconds, float | None)
    event.name = "other"  # type: ignore[misc]


def connecting(environment: dict[str, Any]) -> None:
    """Every way to connect gives a connection, and its keywords have types."""
    assert_type(slsmysql.connect(), Connection[Cursor])
    assert_type(slsmysql.Connect("mysql://app@localhost/test"), Connection[Cursor])
    assert_type(pymysql.Connection(host="localhost", user="app"), Connection[Cursor])
    slsmysql.connect(**environment)
    slsmysql.connect(password=token, ssl=ssl.create_default_context(), connect_timeout=2.5)
    slsmysql.connect(client_flag=CLIENT.FOUND_ROWS, conv=conversions, autocommit=None)
    slsmysql.connect(conn_utilization=0.7, backoff="decorrelated", reap="off", on_event=listener)
    slsmysql.connect(backoff=lambda attempt, before: attempt * before, deadline=lambda: 3.0)
    slsmysql.connect(settings=Settings(lease=None, on_event=listener, max_retries=3))
    slsmysql.connect(hots="localhost")  # type: ignore[call-overload]
    slsmysql.connect(port="3306")  # type: ignore[call-overload]
    slsmysql.connect(reap="everybody")  # type: ignore[call-overload]
    slsmysql.connect(on_event=print.__name__)  # type: ignore[call-overload]
    Settings(lease="900")  # type: ignore[arg-type]
    Settings(leese=900)  # type: ignore[call-arg]
    Settings().lease = 1  # type: ignore[misc]


# -- cursors ---------------------------------------------------------------------------------------


class Upper(Cursor):
    """A cursor of one's own."""

    def first(self) -> str:
        """Return the first value."""
        row = self.fetchone()
        return str(row[0]).upper() if row else ""


def cursors(connection: Connection) -> None:
    """A cursor is of the class that was asked for, and so are its rows."""
    with connection.cursor() as cursor:
        assert_type(cursor, Cursor)
        assert_type(cursor.execute("SELECT 1"), int)
        assert_type(cursor.execute("SELECT %s", (1,)), int)
        assert_type(cursor.executemany("INSERT INTO t VALUES (%s)", [(1,), (2,)]), int | None)
        assert_type(cursor.fetchone(), tuple[Any, ...] | None)
        assert_type(cursor.fetchmany(2), Sequence[tuple[Any, ...]])
        assert_type(cursor.fetchall(), Sequence[tuple[Any, ...]])
        assert_type(cursor.rowcount, int)
        assert_type(cursor.lastrowid, int | None)
        assert_type(cursor.mogrify("SELECT %s", ("x",)), str)
        assert_type(cursor.nextset(), bool | None)
        for row in cursor:
            assert_type(row, tuple[Any, ...])
        cursor.fetchone()["name"]  # type: ignore[index, call-overload]
        cursor.executemany("INSERT INTO t VALUES (%s)", 1)  # type: ignore[arg-type]
    with connection.cursor(DictCursor) as dicts:
        assert_type(dicts, DictCursor)
        assert_type(dicts.fetchone(), dict[str, Any] | None)
        assert_type(dicts.fetchall(), Sequence[dict[str, Any]])
        for named in dicts:
            assert_type(named, dict[str, Any])
    with connection.cursor(SSCursor) as stream:
        assert_type(stream.fetchall_unbuffered(), Iterator[tuple[Any, ...]])
    with connection.cursor(SSDictCursor) as stream_of_dicts:
        assert_type(stream_of_dicts.fetchall_unbuffered(), Iterator[dict[str, Any]])
    with connection.cursor(Upper) as upper:
        assert_type(upper.first(), str)
    connection.cursor("DictCursor")  # type: ignore[call-overload]


def connection_of_dicts() -> Connection[DictCursor]:
    """The class given to `connect()` is the one that `cursor()` makes."""
    connection = slsmysql.connect(host="localhost", cursorclass=DictCursor)
    assert_type(connection, Connection[DictCursor])
    with connection.cursor() as cursor:
        assert_type(cursor.fetchone(), dict[str, Any] | None)
    with connection.transaction() as same:
        assert_type(same, Connection[DictCursor])
    return connection


# -- connections -----------------------------------------------------------------------------------


def connections(connection: Connection) -> None:
    """What PyMySQL's connection has, and what is more, has types."""
    with slsmysql.connect() as same:
        assert_type(same, Connection[Cursor])
    assert_type(connection.open, bool)
    assert_type(connection.host, str)
    assert_type(connection.user, bytes)
    assert_type(connection.db, bytes | None)
    assert_type(connection.database, str | None)
    assert_type(connection.get_autocommit(), bool)
    assert_type(connection.thread_id(), int)
    assert_type(connection.escape("x"), str)
    assert_type(connection.stats(), Stats)
    assert_type(connection.stats().waited, float)
    assert_type(connection.settings, Settings)
    connection.ping()
    connection.autocommit(True)
    connection.select_db("other")
    connection.begin()
    connection.commit()
    connection.rollback()
    connection.close()
    connection.quit()
    connection.nonsense()  # type: ignore[attr-defined]
    connection.thread_id = 1  # type: ignore[method-assign, assignment]


# -- units of work ---------------------------------------------------------------------------------


def count(connection: Connection) -> int:
    """A transaction's function."""
    return connection.cursor().execute("SELECT 1")


def units(connection: Connection) -> None:
    """A transaction gives back the connection, and what its function returns."""
    with connection.transaction() as same:
        assert_type(same, Connection[Cursor])
    assert_type(connection.run_transaction(count), int)
    assert_type(connection.run_transaction(lambda same: same.host, retries=5), str)
    connection.run_transaction(count, retries="5")  # type: ignore[arg-type]
    connection.run_transaction(len)  # type: ignore[arg-type]
    try:
        connection.commit()
    except OutcomeUnknownError as error:
        assert_type(error.args, tuple[Any, ...])
    except slsmysql.OperationalError as error:
        if error.args[0] == ER.LOCK_DEADLOCK:
            raise
    except connection.Error:
        raise


class LambdaContext:
    """What AWS Lambda hands to a handler."""

    def get_remaining_time_in_millis(self) -> int:
        """Return what is left."""
        return 1000


@slsmysql.invocation
def handler(event: dict[str, Any], context: LambdaContext) -> str:
    """A handler keeps its type."""
    with slsmysql.invocation(context) as invocation:
        assert_type(invocation, Invocation)
    with slsmysql.invocation() as invocation:
        assert_type(invocation, Invocation)
    return str(event)


@slsmysql.invocation
async def coroutine(event: dict[str, Any]) -> int:
    """And so does a coroutine."""
    return len(event)


def handlers() -> None:
    """What was decorated is called as before."""
    assert_type(handler({}, LambdaContext()), str)
    handler(1, LambdaContext())  # type: ignore[arg-type]
    slsmysql.invocation("context")  # type: ignore[call-overload]


# -- the rest --------------------------------------------------------------------------------------


def rest() -> None:
    """PEP 249's names, the counters, telemetry."""
    assert_type(slsmysql.apilevel, str)
    assert_type(slsmysql.threadsafety, int)
    assert_type(slsmysql.stats(), Stats)
    assert_type(slsmysql.Binary(b"x"), bytes)
    assert_type(slsmysql.close_all(), None)
    close_all()
    metrics = EmbeddedMetrics("shop", dimensions={"Service": "shop"}, write=print)
    with metrics as same:
        assert_type(same, EmbeddedMetrics)
    assert_type(metrics.flush(request_id="1"), bool)
    slsmysql.connect(on_event=metrics)
    slsmysql.connect(on_event=OpenTelemetryMetrics(attributes={"service.name": "shop"}))
    EmbeddedMetrics("shop", dimensions={"Service": 1})  # type: ignore[dict-item]
