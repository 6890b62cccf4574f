"""OpenTelemetry's instrumentation for any DB-API and X-Ray trace the program's statements alone."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
from aws_xray_sdk.core import AWSXRayRecorder, xray_recorder
from aws_xray_sdk.core.context import Context
from aws_xray_sdk.core.emitters.udp_emitter import UDPEmitter
from aws_xray_sdk.core.models.segment import Segment
from opentelemetry.instrumentation import dbapi
from opentelemetry.instrumentation._semconv import _OpenTelemetrySemanticConventionStability
from opentelemetry.trace import StatusCode

import slsmysql
from tests.contrib.documents import blocks_of
from tests.contrib.telemetry.conftest import Spans, Through
from tests.contrib.telemetry.work import kill
from tests.proxy import Proxy
from tests.servers import Server

#: OpenTelemetry says that it takes a callable, and means a module.
MODULE: Any = slsmysql


@contextlib.contextmanager
def tracing(spans: Spans, **options: Any) -> Iterator[None]:
    """Instrument `slsmysql.connect` during a block."""
    dbapi.trace_integration(MODULE, "connect", "mysql", tracer_provider=spans.provider, **options)
    try:
        yield
    finally:
        dbapi.unwrap_connect(MODULE, "connect")
        assert slsmysql.connect is slsmysql.Connection


@pytest.fixture
def traced(spans: Spans) -> Iterator[Spans]:
    """The spans of a program whose `slsmysql.connect` is instrumented."""
    with tracing(spans):
        yield spans


def test_statements_are_spans_with_their_attributes(
    traced: Spans, through: Through, server: Server, proxy: Proxy, params: dict[str, Any]
) -> None:
    """A statement's span says what, where and by whom, in text; a value is in none of them."""
    connection = through()
    assert isinstance(connection, slsmysql.Connection)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (n INT PRIMARY KEY, s VARCHAR(9))")
        cursor.execute("INSERT INTO t VALUES (%s, %s)", (1, "secret"))
        cursor.executemany("INSERT INTO t VALUES (%s, %s)", [(2, "a"), (3, "b")])
        cursor.execute("SELECT n FROM t")
        assert cursor.fetchall() == ((1,), (2,), (3,))
        with pytest.raises(slsmysql.ProgrammingError):
            cursor.execute("SELECT nonsense FROM nowhere")
    connection.commit()
    about = {
        "db.system": "mysql",
        "db.name": params["database"],
        "db.user": "app",
        "net.peer.name": proxy.host,
        "net.peer.port": proxy.port,
    }
    assert traced.take() == [
        (text.split()[0], {**about, "db.statement": text})
        for text in (
            "CREATE TABLE t (n INT PRIMARY KEY, s VARCHAR(9))",
            "INSERT INTO t VALUES (%s, %s)",
            "INSERT INTO t VALUES (%s, %s)",
            "SELECT n FROM t",
            "SELECT nonsense FROM nowhere",
        )
    ]


def test_what_is_sent_unasked_is_no_span(
    traced: Spans, through: Through, server: Server, proxy: Proxy
) -> None:
    """Set-up, looks, leases, pings, reopening, cleaning and ROLLBACKs of our own are not traced."""
    with proxy.counting() as counted:
        connection = through(reap="off", conn_utilization=1e-6, used_conns_freq=0)
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            connection.commit()
            kill(server, connection)
            connection._stale_after = -1.0
            cursor.execute("SET @a = 1")
        with slsmysql.invocation():
            connection.begin()
        connection.close()
    assert [attributes["db.statement"] for _, attributes in traced.take()] == [
        "SELECT 1",
        "SET @a = 1",
    ]
    said = counted.statements
    assert len(said) > 8
    assert {"statistics", "ping"} <= set(said)


def test_new_conventions_name_the_attributes_as_well(
    monkeypatch: pytest.MonkeyPatch, spans: Spans, through: Through, proxy: Proxy
) -> None:
    """With the stable conventions the same is under their names, and metrics see the rows."""
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "database,http")
    stability: Any = _OpenTelemetrySemanticConventionStability
    monkeypatch.setattr(stability, "_initialized", False)
    try:
        with tracing(spans), through() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM (SELECT 1) AS x")
            assert cursor.fetchall() == ((1,),)
        ((_, attributes),) = spans.take()
        assert attributes["db.system.name"] == "mysql"
        assert attributes["db.namespace"] == connection.database
        assert attributes["db.query.text"] == "SELECT 1 FROM (SELECT 1) AS x"
        assert attributes["server.address"] == proxy.host
        assert attributes["server.port"] == proxy.port
    finally:
        monkeypatch.undo()
        stability._initialized = False
        stability._initialize()


def test_comments_carry_the_trace_to_the_server(
    spans: Spans, through: Through, proxy: Proxy
) -> None:
    """The comment of sqlcommenter is behind each statement, and changes nothing that is done."""
    with tracing(spans, enable_commenter=True):
        connection = through()
        connection._server.next_look = float("inf")
        with connection.cursor() as cursor, proxy.counting() as counted:
            cursor.execute("CREATE TABLE t (n INT PRIMARY KEY)")
            cursor.executemany("INSERT INTO t VALUES (%s)", [(n,) for n in range(1000)])
            cursor.execute("SELECT COUNT(*), '100%%' FROM t WHERE n >= %s", (500,))
            assert cursor.fetchall() == ((500, "100%"),)
            cursor.execute("SELECT '100%'")
            assert cursor.fetchall() == (("100%",),)
    # Not a round trip more than without comments.
    assert counted.round_trips == 4
    for text in counted.statements:
        assert re.search(
            r" /\*db_driver='slsmysql.*traceparent='00-[0-9a-f]{32}-[0-9a-f]{16}-0\d'\*/$", text
        )
    statements = [attributes["db.statement"] for _, attributes in spans.take()]
    assert not any("traceparent" in text for text in statements)
    # A read with a comment is a plain read.
    connection.commit()
    with connection.cursor() as cursor:
        cursor.execute("SELECT n FROM t /*traceparent='00-1'*/")
    assert not connection._state.dirty


def test_an_error_is_the_spans(spans: Spans, traced: Spans, through: Through) -> None:
    """A refused statement's span has the status of an error, and the exception by its name."""
    with through().cursor() as cursor, pytest.raises(slsmysql.ProgrammingError):
        cursor.execute("SELECT")
    (span,) = spans._exporter.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert "ProgrammingError" in str(span.status.description)


@pytest.fixture
def xray(monkeypatch: pytest.MonkeyPatch) -> list[Segment]:
    """X-Ray's recorder with `slsmysql.connect` patched as docs/telemetry.md says; its segments."""
    sent: list[Segment] = []

    class Emitter:
        """Keeps what would go to the daemon."""

        def send_entity(self, entity: Segment) -> None:
            sent.append(entity)

    recorder: AWSXRayRecorder = xray_recorder
    if isinstance(recorder.emitter, UDPEmitter):
        recorder.emitter._socket.close()
    recorder.configure(
        service="test",
        sampling=False,
        context=Context(),
        emitter=Emitter(),
        context_missing="RUNTIME_ERROR",
    )
    monkeypatch.setattr(slsmysql, "connect", slsmysql.connect)
    (patch,) = [block for block in blocks_of("telemetry.md") if "XRayTracedConn" in block]
    exec(compile(patch, "telemetry.md", "exec"), {})
    return sent


def test_xray_traces_statements(
    xray: list[Segment], through: Through, proxy: Proxy, params: dict[str, Any]
) -> None:
    """Each statement of the program is a subsegment: a remote database, by its name and user."""
    with xray_recorder.in_segment("request"):
        connection = through()
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s", (1,))
            assert cursor.fetchall() == ((1,),)
        connection.commit()
        connection.close()
    (segment,) = xray
    (subsegment,) = segment.subsegments
    assert subsegment.name == f"{params['database']}@{proxy.host}"
    assert subsegment.namespace == "remote"
    assert subsegment.sql == {"database_type": "MySQL"}
