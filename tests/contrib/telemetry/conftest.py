"""What the tests of telemetry share: a proxy before the real servers, and collectors in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import slsmysql
from slsmysql import manager
from tests.fix_servers import Connect
from tests.proxy import Proxy
from tests.servers import Server

#: Makes a connection by way of the proxy, without TLS, which hides from it what is said.
Through = Callable[..., slsmysql.Connection]


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    """Begin without a parked session, and without anything known of a server."""
    slsmysql.close_all()
    manager.forget_servers()
    yield
    slsmysql.close_all()


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    """A proxy before the shared server."""
    with Proxy((server.host, server.port)) as proxy:
        yield proxy


@pytest.fixture
def through(proxy: Proxy, connect: Connect) -> Through:
    """`connect` by way of the proxy."""

    def through(**overrides: Any) -> slsmysql.Connection:
        where = {"host": proxy.host, "port": proxy.port, "ssl_disabled": True}
        return connect(**{**where, **overrides})

    return through


class Collected:
    """A meter provider, and what it has collected."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._reader = InMemoryMetricReader()
        self.provider = MeterProvider([self._reader])

    def points(self) -> dict[str, list[tuple[dict[str, Any], float]]]:
        """Return each metric's attributes and values; of a histogram the sum."""
        data = self._reader.get_metrics_data()
        return {
            metric.name: [
                (
                    dict(point.attributes or {}),
                    point.sum if isinstance(point, HistogramDataPoint) else point.value,
                )
                for point in metric.data.data_points
                if not hasattr(point, "scale")
            ]
            for resource in (data.resource_metrics if data is not None else [])
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def units(self) -> dict[str, str | None]:
        """Return each metric's unit."""
        data = self._reader.get_metrics_data()
        assert data is not None
        return {
            metric.name: metric.unit
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@pytest.fixture
def collected() -> Iterator[Collected]:
    """OpenTelemetry's SDK, collecting metrics in memory."""
    collected = Collected()
    yield collected
    collected.provider.shutdown()


class Spans:
    """A tracer provider, and its finished spans."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def take(self) -> list[tuple[str, dict[str, Any]]]:
        """Return name and attributes of each span since the last time."""
        spans = self._exporter.get_finished_spans()
        self._exporter.clear()
        return [(span.name, dict(span.attributes or {})) for span in spans]


@pytest.fixture
def spans() -> Iterator[Spans]:
    """OpenTelemetry's SDK, collecting spans in memory."""
    spans = Spans()
    yield spans
    spans.provider.shutdown()
