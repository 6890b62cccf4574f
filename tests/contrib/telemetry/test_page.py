"""docs/telemetry.md: what it shows runs, and its tables are complete."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.util._once import Once

import slsmysql
from slsmysql import events
from slsmysql.contrib.telemetry import COUNTERS
from tests.contrib.documents import PAGES, blocks_of
from tests.contrib.telemetry.conftest import Collected, Spans
from tests.contrib.telemetry.work import COUNTER_OF

PAGE = "telemetry.md"
TEXT = (PAGES / PAGE).read_text(encoding="utf-8")

#: The server of the page.
WHERE = {
    "host": '"127.0.0.1"',
    "port": "3306",
    "user": '"app"',
    "password": '"app-secret"',
    "database": '"test"',
}


def block(word: str, params: dict[str, Any]) -> str:
    """Return the program of the page that has a word in it, for the server of the test."""
    (program,) = [each for each in blocks_of(PAGE) if word in each]
    for name, value in WHERE.items():
        program = program.replace(f"{name}={value}", f"{name}={params[name]!r}")
    return program


def run(program: str) -> dict[str, Any]:
    """Run a program; return its names."""
    scope: dict[str, Any] = {}
    exec(compile(program, PAGE, "exec"), scope)
    return scope


@pytest.fixture(autouse=True)
def own_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave `slsmysql.connect` as it was, whatever is wrapped around it."""
    monkeypatch.setattr(slsmysql, "connect", slsmysql.connect)


def test_an_invocation_prints_a_line(
    params: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """The handler of the page prints what connecting and its invocation were, as one line."""
    scope = run(block("EmbeddedMetrics", params))
    (line,) = capsys.readouterr().out.splitlines()
    root = json.loads(line)
    assert root["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "shop"
    assert root["Connects"] == 1
    assert root["servers"] == [f"{params['host']}:{params['port']}"]
    assert scope["handler"]({"number": 5}, None) == 30
    scope["connection"].quit()


def test_metrics_go_to_the_global_provider(
    params: dict[str, Any], monkeypatch: pytest.MonkeyPatch, collected: Collected
) -> None:
    """The program of the page sends its metrics wherever the SDK was told to."""
    provider: MeterProvider = collected.provider
    monkeypatch.setattr(metrics._internal, "_METER_PROVIDER", provider)
    monkeypatch.setattr(metrics._internal, "_METER_PROVIDER_SET_ONCE", Once())
    scope = run(block("OpenTelemetryMetrics", params))
    found = collected.points()
    assert found["db.client.connection.count"][0][1] == 1
    assert set(re.findall(r"`((?:db\.client|slsmysql)\.[a-z_.]+)`", TEXT)) >= set(found)
    scope["connection"].quit()


def test_statements_go_to_the_global_tracer(
    params: dict[str, Any], monkeypatch: pytest.MonkeyPatch, spans: Spans
) -> None:
    """The program of the page makes a span of its one statement."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", spans.provider)
    scope = run(block("trace_integration(", params))
    assert [attributes["db.statement"] for _, attributes in spans.take()] == ["SELECT 1"]
    scope["connection"].quit()


def test_tables_have_every_event() -> None:
    """What each event is, which counter counts it and which metric: all are there, and right."""
    rows = re.findall(r"^\| `(\w+)` \| (?:`(\w+)`[^|]*)?\| ([^|]+) \|$", TEXT, re.MULTILINE)
    described = {name: (counter, words) for name, counter, words in rows if name in events.NAMES}
    assert {name: words for name, (_, words) in described.items()} == events.NAMES
    counted = {name: counter for name, (counter, _) in described.items() if counter}
    assert counted == {**COUNTER_OF, "look": "looks"}
    assert dict(re.findall(r"`(\w+)` \| `([A-Z]\w+)`", TEXT)) == COUNTERS
