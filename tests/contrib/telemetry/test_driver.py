"""The driver's own telemetry is never used, and instrumentation of the driver sees nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.fix_servers import Backend, Connect
from tests.proxy import Proxy, Tally
from tests.servers import Server

#: Connects and works; without OpenTelemetry, or with everything that could make something of it.
PROGRAM = """
import json, os, sys

params, module, instrumented = json.loads(sys.argv[1])
taken = []
if instrumented:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)

    import mysql.connector
    from mysql.connector.opentelemetry.constants import OTEL_ENABLED
    from mysql.connector.opentelemetry.instrumentation import MySQLInstrumentor
    from opentelemetry.instrumentation import dbapi

    assert OTEL_ENABLED
    MySQLInstrumentor().instrument()
    dbapi.trace_integration(mysql.connector, "connect", "mysql")

    from aws_xray_sdk.core import patch, xray_recorder

    class Emitter:
        def send_entity(self, entity):
            taken.append([each.name for each in entity.subsegments])

    xray_recorder.emitter._socket.close()
    xray_recorder.configure(service="test", sampling=False, emitter=Emitter())
    patch(["mysql"])
else:
    sys.modules["opentelemetry"] = None


def work():
    if module == "mysql.connector":
        import mysql.connector

        connection = mysql.connector.connect(**params)
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == [(1,)]
        connection.close()
        return
    import slsmysql

    connection = slsmysql.connect(**params, used_conns_freq=1000)
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s", (1,))
        assert cursor.fetchall() == ((1,),)
        cursor.execute("SET @a = 1")
    connection.commit()
    connection.ping()
    connection.close()
    slsmysql.close_all()


if instrumented:
    with trace.get_tracer("program").start_as_current_span("outer"):
        with xray_recorder.in_segment("segment"):
            work()
    taken += [span.name for span in exporter.get_finished_spans()]
else:
    work()
    assert not any(name.startswith("opentelemetry.") for name in sys.modules)
print(json.dumps([os.getpid(), taken]))
"""


def said(
    proxy: Proxy,
    params: dict[str, Any],
    backend: Backend,
    module: str = "slsmysql",
    *,
    instrumented: bool,
) -> tuple[Tally, int, list[Any]]:
    """Run the program; return what it sent, the bytes that makes, and what was traced.

    The C extension tells the server the process's number, which is longer or shorter and is
    therefore not counted.
    """
    given = {**params, "host": proxy.host, "port": proxy.port, "ssl_disabled": True}
    arguments = json.dumps([{**given, "use_pure": backend == "pure"}, module, instrumented])
    with proxy.counting() as counted:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", PROGRAM, arguments],
            check=True,
            capture_output=True,
            text=True,
        )
    assert done.stderr == ""
    pid, taken = json.loads(done.stdout)
    told = counted.tally
    return told, told.bytes_to_server - (len(str(pid)) if backend == "c" else 0), taken


def test_nothing_is_sent_or_traced_unasked(
    proxy: Proxy, params: dict[str, Any], backend: Backend, connect: Connect
) -> None:
    """With an SDK, an open span and every instrumentation of the driver, the bytes are the same."""
    connect(ssl_disabled=True)  # the server remembers the password: the next log-ins are all alike
    plain, size, _ = said(proxy, params, backend, instrumented=False)
    instrumented, size_then, taken = said(proxy, params, backend, instrumented=True)
    assert instrumented.requests == plain.requests
    assert size_then == size
    assert not any(b"traceparent" in request for request in instrumented.requests)
    # The program's own segment and span, and nothing in them.
    assert taken == [[], "outer"]


def test_the_driver_by_itself_does_send_and_trace(mysql: Server, backend: Backend) -> None:
    """The same program with the driver in our place: what is not to be seen above is seen here."""
    with Proxy((mysql.host, mysql.port)) as proxy:
        told, _, (segment, *spans) = said(
            proxy, mysql.params(), backend, "mysql.connector", instrumented=True
        )
    assert any(b"traceparent" in request for request in told.requests)
    assert segment
    assert spans != ["outer"]
