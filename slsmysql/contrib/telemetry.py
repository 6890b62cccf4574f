"""Events as metrics: OpenTelemetry's, and CloudWatch's by way of a line in the log.

Both classes are listeners, for ``connect(..., on_event=...)``; one object serves all connections of
the process, in any thread.  ``docs/telemetry.md`` lists what they tell.
"""

from __future__ import annotations

import json
import os
import threading
import time
from typing import TYPE_CHECKING, Any

from slsmysql import VERSION_STRING
from slsmysql.connections import sessions
from slsmysql.events import OUT_OF_TIME, Event, logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
    from opentelemetry.util.types import AttributeValue
    from typing_extensions import Self

__all__ = ["EmbeddedMetrics", "OpenTelemetryMetrics"]

#: Events whose ``seconds`` were waited before something was tried again.
_WAITS = frozenset({"connect_retry", "query_retry", "transaction_retry"})


class OpenTelemetryMetrics:
    """OpenTelemetry metrics of what happens.  One object a process: it also counts its sessions.

    Needs ``opentelemetry-api`` (the extra ``telemetry``); nothing is sent until the program has
    set up a meter provider.
    """

    def __init__(
        self,
        meter_provider: MeterProvider | None = None,
        *,
        attributes: Mapping[str, AttributeValue] | None = None,
    ) -> None:
        """Make the instruments.

        :param meter_provider: None for the global one.
        :param attributes: put on every measurement.
        """
        from opentelemetry.metrics import get_meter

        meter = get_meter("slsmysql", VERSION_STRING, meter_provider)
        self._attributes: dict[str, AttributeValue] = {
            "db.system.name": "mysql",
            **(attributes or {}),
        }
        self._events = meter.create_counter(
            "slsmysql.events", unit="{event}", description="What the manager did or learned."
        )
        self._waits = meter.create_histogram(
            "slsmysql.wait_time", unit="s", description="A wait before something is tried again."
        )
        self._used = meter.create_gauge(
            "slsmysql.server.connections.used",
            unit="{connection}",
            description="Connections in use at the server, as last seen.",
        )
        self._limit = meter.create_gauge(
            "slsmysql.server.connections.limit",
            unit="{connection}",
            description="Connections that the server, or the account, may have.",
        )
        # From here on the names are those of OpenTelemetry's conventions for database clients.
        self._create_time = meter.create_histogram(
            "db.client.connection.create_time",
            unit="s",
            description="The time it took to create a new connection.",
        )
        self._timeouts = meter.create_counter(
            "db.client.connection.timeouts",
            unit="{timeout}",
            description="Connects that gave up because their time or retries were used up.",
        )
        meter.create_observable_up_down_counter(
            "db.client.connection.count",
            callbacks=[self._count],
            unit="{connection}",
            description="The connections of this process that are in the state described.",
        )

    def __call__(self, event: Event) -> None:
        """Take an event in."""
        about = self._about(event.server)
        told = {**about, "slsmysql.event": event.name}
        if event.errno is not None:
            told["db.response.status_code"] = str(event.errno)
        self._events.add(1, told)
        if event.used is not None and event.limit is not None:
            self._used.set(event.used, about)
            self._limit.set(event.limit, about)
        if event.seconds is not None and event.name in _WAITS:
            self._waits.record(event.seconds, {**about, "slsmysql.event": event.name})
        if event.seconds is not None and event.name == "connect":
            self._create_time.record(event.seconds, self._pool(event.server))
        if event.name == "connect_failed" and event.detail == OUT_OF_TIME:
            self._timeouts.add(1, self._pool(event.server))

    def _about(self, server: str) -> dict[str, AttributeValue]:
        host, colon, port = server.rpartition(":")
        if not (colon and port.isdigit()):
            return {**self._attributes, "server.address": server}  # a socket's path
        return {**self._attributes, "server.address": host, "server.port": int(port)}

    def _pool(self, server: str) -> dict[str, AttributeValue]:
        return {**self._about(server), "db.client.connection.pool.name": server}

    def _count(self, options: CallbackOptions) -> Iterable[Observation]:
        from opentelemetry.metrics import Observation

        for server, (used, parked) in sessions().items():
            for state, count in (("used", used), ("idle", parked)):
                attributes = {**self._pool(server), "db.client.connection.state": state}
                yield Observation(count, attributes)


#: Each event, and the metric that counts it.
COUNTERS = {
    "connect": "Connects",
    "connect_retry": "ConnectRetries",
    "connect_failed": "ConnectFailures",
    "look": "Looks",
    "kill": "Kills",
    "limited": "Limited",
    "give_up": "GivenUp",
    "lease": "Leases",
    "reopen": "Reopened",
    "resume": "Resumed",
    "lost": "Lost",
    "park": "Parked",
    "unpark": "ParkedReuses",
    "query_retry": "QueryRetries",
    "transaction_retry": "TransactionRetries",
    "rolled_back": "RolledBack",
}
#: The metrics that are lists of values, and their units.
_LISTS = {
    "ConnectTime": "Seconds",
    "WaitTime": "Seconds",
    "UsedConnections": "Count",
    "Utilization": "Percent",
}
_LIMIT = "ConnectionLimit"
#: The format's limits: values of a metric in one line, dimensions, characters of their values.
_MOST_VALUES = 100
_MOST_DIMENSIONS = 30
_LONGEST = 1024
#: CloudWatch's, for names of namespaces and of dimensions.
_LONGEST_NAME = 255


class EmbeddedMetrics:
    """CloudWatch metrics by one line of JSON: the "embedded metric format" of CloudWatch Logs.

    AWS Lambda sends what a function prints to CloudWatch Logs, which makes metrics of such lines:
    no call, no dependency, no time.  ::

        metrics = EmbeddedMetrics("shop")
        connection = slsmysql.connect(..., on_event=metrics)


        def handler(event, context):
            with metrics, slsmysql.invocation(context): ...
    """

    def __init__(
        self,
        namespace: str = "slsmysql",
        *,
        dimensions: Mapping[str, str] | None = None,
        write: Callable[[str], object] | None = None,
    ) -> None:
        """Begin with nothing to tell.

        :param dimensions: of all metrics, by name. None for ``FunctionName`` where the
            environment tells it (AWS Lambda), and otherwise none.
        :param write: takes a line, without its end; None to print it.
        :raises ValueError: CloudWatch would not take it.
        """
        if dimensions is None:
            name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
            dimensions = {"FunctionName": name} if name else {}
        _check(namespace, dimensions)
        self._namespace = namespace
        self._dimensions = dict(dimensions)
        self._write = write or _print
        self._lock = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self._counts: dict[str, int] = {}
        self._lists: dict[str, list[float]] = {}
        self._limit: int | None = None
        self._servers: set[str] = set()
        self._errors: dict[str, int] = {}

    def __call__(self, event: Event) -> None:
        """Take an event in; a line is written when the format lets it hold no more."""
        with self._lock:
            if any(len(values) == _MOST_VALUES for values in self._lists.values()):
                self._flush({})
            self._count(event)

    def _count(self, event: Event) -> None:
        _add(self._counts, COUNTERS[event.name])
        self._servers.add(event.server)
        if event.errno is not None:
            _add(self._errors, str(event.errno))
        if event.seconds is not None and event.name == "connect":
            self._lists.setdefault("ConnectTime", []).append(event.seconds)
        if event.seconds is not None and event.name in _WAITS:
            self._lists.setdefault("WaitTime", []).append(event.seconds)
        if event.used is not None and event.limit:
            self._limit = event.limit
            self._lists.setdefault("UsedConnections", []).append(event.used)
            self._lists.setdefault("Utilization", []).append(100.0 * event.used / event.limit)

    def flush(self, **properties: Any) -> bool:
        """Write what has happened since the last time, as one line.

        :param properties: more for the line, for those who search the log: a request's id.
        :return: False when nothing has happened, and so nothing was written.
        """
        with self._lock:
            return self._flush(properties)

    def _flush(self, properties: Mapping[str, Any]) -> bool:
        if not self._counts:
            return False
        values: dict[str, Any] = {**self._counts, **self._lists}
        units = {**dict.fromkeys(self._counts, "Count"), **_LISTS}
        if self._limit is not None:
            values[_LIMIT], units[_LIMIT] = self._limit, "Count"
        directive = {
            "Namespace": self._namespace,
            "Dimensions": [list(self._dimensions)],
            "Metrics": [{"Name": name, "Unit": units[name]} for name in values],
        }
        line = json.dumps(
            {
                **properties,
                "servers": sorted(self._servers),
                "errors": self._errors,
                **self._dimensions,
                **values,
                "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]},
            },
            default=str,
        )
        self._clear()
        self._write(line)
        return True

    def __enter__(self) -> Self:
        """Begin an invocation."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write the invocation's line; a failure of that is logged, the invocation's goes on."""
        try:
            self.flush()
        except Exception:
            logger.exception("the metrics could not be written")


def _check(namespace: str, dimensions: Mapping[str, Any]) -> None:
    """Raise ValueError for what CloudWatch would not take, or would take for something else."""
    if not 1 <= len(namespace) <= _LONGEST_NAME or not namespace.isascii():
        raise ValueError(f"namespace must have 1 to {_LONGEST_NAME} ASCII characters")
    if len(dimensions) > _MOST_DIMENSIONS:
        raise ValueError(f"there may be at most {_MOST_DIMENSIONS} dimensions")
    taken = {"_aws", "servers", "errors", _LIMIT, *COUNTERS.values(), *_LISTS}
    for name, value in dimensions.items():
        if not 1 <= len(name) <= _LONGEST_NAME or not name.isascii() or name in taken:
            raise ValueError(
                f"dimension {name!r}: a name must have 1 to {_LONGEST_NAME} ASCII characters, and"
                " not be a metric's"
            )
        if not isinstance(value, str) or not 1 <= len(value) <= _LONGEST:
            raise ValueError(f"dimension {name!r}: its value must be text of 1 to {_LONGEST}")


def _add(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - where AWS Lambda takes it from
