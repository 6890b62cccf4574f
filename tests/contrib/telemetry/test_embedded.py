"""CloudWatch's line: it is what the format asks for, and says what `stats()` says."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

import slsmysql
from slsmysql import events
from slsmysql.contrib.telemetry import COUNTERS, EmbeddedMetrics
from slsmysql.events import Event
from tests.contrib.telemetry.conftest import Through
from tests.contrib.telemetry.work import COUNTER_OF, work
from tests.proxy import Proxy
from tests.servers import Server

#: Units of CloudWatch's metric data that are used here; the format knows no other than CloudWatch.
UNITS = {"Count", "Seconds", "Percent"}


def values(line: str) -> dict[str, list[float]]:
    """Check a line against the specification of the format; return each metric's values.

    "Specification: Embedded metric format" (Amazon CloudWatch user guide): its root node, metadata
    object, metric directive, dimension set and metric definition, and what their targets must be.
    """
    assert "\n" not in line
    root = json.loads(line)
    metadata = root["_aws"]
    assert type(metadata["Timestamp"]) is int
    assert abs(metadata["Timestamp"] / 1000 - time.time()) < 3600
    (directive,) = metadata["CloudWatchMetrics"]
    assert set(directive) == {"Namespace", "Dimensions", "Metrics"}
    assert 1 <= len(directive["Namespace"]) <= 1024
    (dimensions,) = directive["Dimensions"]
    assert len(dimensions) <= 30
    for name in dimensions:
        assert 1 <= len(name) <= 250
        assert isinstance(root[name], str)
        assert 1 <= len(root[name]) <= 1024
    assert 1 <= len(directive["Metrics"]) <= 100
    found: dict[str, list[float]] = {}
    for metric in directive["Metrics"]:
        assert set(metric) == {"Name", "Unit"}
        assert 1 <= len(metric["Name"]) <= 1024
        assert metric["Unit"] in UNITS
        value = root[metric["Name"]]
        found[metric["Name"]] = value if isinstance(value, list) else [value]
        assert 1 <= len(found[metric["Name"]]) <= 100
        assert all(type(each) in {int, float} for each in found[metric["Name"]])
    assert len(found) == len(directive["Metrics"])
    return found


def test_a_line_agrees_with_the_counters(through: Through, proxy: Proxy, server: Server) -> None:
    """Whatever happens is in lines of the format, as often as in `stats()`, waits as long."""
    lines: list[str] = []
    told: list[Event] = []
    metrics = EmbeddedMetrics("tests", write=lines.append)

    def listener(event: Event) -> None:
        told.append(event)
        metrics(event)

    stats = work(through, proxy, server, listener)
    assert metrics.flush()
    found: dict[str, list[float]] = {}
    for line in lines:
        for name, several in values(line).items():
            found.setdefault(name, []).extend(several)
    for name, counter in COUNTER_OF.items():
        assert sum(found.get(COUNTERS[name], [])) == stats[counter], name
    assert sum(found["WaitTime"]) == pytest.approx(
        sum(event.seconds or 0.0 for event in told if event.name.endswith("_retry"))
    )
    assert found["ConnectTime"] == [event.seconds for event in told if event.name == "connect"]
    assert found["UsedConnections"] == [event.used for event in told if event.used is not None]
    assert found["Utilization"] == [
        pytest.approx(100 * event.used / event.limit)
        for event in told
        if event.used is not None and event.limit
    ]
    last = json.loads(lines[-1])
    assert last["servers"] == [f"{proxy.host}:{proxy.port}"]
    assert last["errors"]["1040"] >= 2


def test_every_event_has_its_counter() -> None:
    """An event that there will be needs a name in CloudWatch."""
    assert set(COUNTERS) == set(events.NAMES)
    assert len(set(COUNTERS.values())) == len(COUNTERS)


def test_an_invocation_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """At the end of a block what has happened is printed as one line, and nothing else ever is."""
    metrics = EmbeddedMetrics("shop")
    for _ in range(2):
        with metrics:
            metrics(Event("park", "db:3306"))
            metrics(Event("unpark", "db:3306"))
    with metrics:
        pass
    printed = capsys.readouterr().out
    assert [values(line) for line in printed.splitlines()] == [
        {"Parked": [1], "ParkedReuses": [1]}
    ] * 2
    assert printed.endswith("\n")


def test_more_than_a_line_may_hold_is_another_line() -> None:
    """The 101st value of a metric begins the next line: none is lost, none is too long."""
    lines: list[str] = []
    metrics = EmbeddedMetrics(write=lines.append)
    for number in range(201):
        metrics(Event("look", "db:3306", used=number, limit=90))
    assert len(lines) == 2
    assert metrics.flush()
    told = [value for line in lines for value in values(line)["UsedConnections"]]
    assert told == list(range(201))
    assert [values(line)["Looks"] for line in lines] == [[100], [100], [1]]


@pytest.mark.parametrize(
    ("environment", "given", "expected"),
    [
        ({}, None, {}),
        ({"AWS_LAMBDA_FUNCTION_NAME": "pay"}, None, {"FunctionName": "pay"}),
        ({"AWS_LAMBDA_FUNCTION_NAME": "pay"}, {"Service": "shop"}, {"Service": "shop"}),
        ({"AWS_LAMBDA_FUNCTION_NAME": "pay"}, {}, {}),
    ],
)
def test_dimensions_are_the_functions_name_or_ones_own(
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    given: dict[str, str] | None,
    expected: dict[str, str],
) -> None:
    """On AWS Lambda metrics are by function; `dimensions` says otherwise."""
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    lines: list[str] = []
    metrics = EmbeddedMetrics("shop", dimensions=given, write=lines.append)
    metrics(Event("park", "db:3306"))
    metrics.flush(request_id="r-1")
    assert values(lines[0]) == {"Parked": [1]}
    root = json.loads(lines[0])
    directive = root["_aws"]["CloudWatchMetrics"][0]
    assert directive["Namespace"] == "shop"
    assert directive["Dimensions"] == [list(expected)]
    assert root.items() >= expected.items()
    assert root["request_id"] == "r-1"


def test_properties_do_not_replace_what_is_measured() -> None:
    """Whatever name a property has, the metrics of the line stay true."""
    lines: list[str] = []
    metrics = EmbeddedMetrics(dimensions={"A": "b"}, write=lines.append)
    metrics(Event("park", "db:3306"))
    metrics.flush(Parked="no", _aws="no", A="no", errors="no", when=slsmysql.Date(2026, 1, 2))
    assert values(lines[0]) == {"Parked": [1]}
    assert json.loads(lines[0])["when"] == "2026-01-02"


@pytest.mark.parametrize(
    ("namespace", "dimensions", "complaint"),
    [
        ("", {}, "namespace"),
        ("n" * 256, {}, "namespace"),
        ("s", {f"d{number}": "x" for number in range(31)}, "at most 30"),
        ("s", {"": "x"}, "dimension ''"),
        ("s", {"Parked": "x"}, "dimension 'Parked'"),
        ("s", {"_aws": "x"}, "dimension '_aws'"),
        ("s", {"Größe": "x"}, "dimension 'Größe'"),
        ("s", {"Stage": ""}, "dimension 'Stage'"),
        ("s", {"Stage": "x" * 1025}, "dimension 'Stage'"),
        ("s", {"Stage": 1}, "dimension 'Stage'"),
    ],
)
def test_what_cloudwatch_would_drop_is_refused(
    namespace: str, dimensions: dict[str, Any], complaint: str
) -> None:
    """A name or value out of bounds is an error when the object is made, and no silence later."""
    with pytest.raises(ValueError, match=complaint):
        EmbeddedMetrics(namespace, dimensions=dimensions)


def test_a_broken_output_does_not_hide_the_programs_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What the invocation raises is what comes out of the block, whatever the writing does."""

    def write(line: str) -> None:
        raise OSError(28, "No space left on device")

    metrics = EmbeddedMetrics(write=write)
    metrics(Event("park", "db:3306"))
    with pytest.raises(LookupError), metrics:
        raise LookupError
    assert "the metrics could not be written" in caplog.text


def test_threads_share_it() -> None:
    """Events of several threads are all counted, each once."""
    lines: list[str] = []
    metrics = EmbeddedMetrics(write=lines.append)

    def tell() -> None:
        for _ in range(1000):
            metrics(Event("look", "db:3306", used=1, limit=2))

    threads = [threading.Thread(target=tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    metrics.flush()
    assert sum(values(line)["Looks"][0] for line in lines) == 4000
    assert sum(len(values(line)["UsedConnections"]) for line in lines) == 4000
