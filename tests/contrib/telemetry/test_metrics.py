"""OpenTelemetry's metrics say what `stats()` says."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest

import slsmysql
from slsmysql import connections
from slsmysql.contrib.telemetry import OpenTelemetryMetrics
from slsmysql.events import Event
from tests.contrib.telemetry.conftest import Collected, Through
from tests.contrib.telemetry.work import COUNTER_OF, work
from tests.fix_servers import Connect
from tests.proxy import Proxy
from tests.servers import Server


def test_metrics_agree_with_the_counters(
    collected: Collected, through: Through, proxy: Proxy, server: Server
) -> None:
    """Whatever happens is counted in a metric as often as in `stats()`, and waits are as long."""
    told: list[Event] = []
    metrics = OpenTelemetryMetrics(collected.provider)

    def listener(event: Event) -> None:
        told.append(event)
        metrics(event)

    stats = work(through, proxy, server, listener)
    points = collected.points()
    counted: Counter[str] = Counter()
    for attributes, value in points["slsmysql.events"]:
        counted[attributes["slsmysql.event"]] += int(value)
    for name, counter in COUNTER_OF.items():
        assert counted[name] == stats[counter], name
        # What a crowded server is needed for is left to the tests that have one.
        assert counted[name] or name in {"kill", "lease"}
    assert counted == Counter(event.name for event in told)
    waited = sum(
        value
        for attributes, value in points["slsmysql.wait_time"]
        if attributes["slsmysql.event"] == "connect_retry"
    )
    assert waited == pytest.approx(stats["waited"])
    took = [event.seconds or 0.0 for event in told if event.name == "connect"]
    assert points["db.client.connection.create_time"][0][1] == pytest.approx(sum(took))
    assert all(took)
    assert [value for _, value in points["db.client.connection.timeouts"]] == [1]
    seen = [event for event in told if event.used is not None]
    assert [value for _, value in points["slsmysql.server.connections.used"]] == [seen[-1].used]
    assert [value for _, value in points["slsmysql.server.connections.limit"]] == [seen[-1].limit]


def test_measurements_say_what_they_are_about(
    collected: Collected, through: Through, proxy: Proxy, server: Server
) -> None:
    """Server, pool and error stand in attributes of the conventions' names."""
    work(
        through,
        proxy,
        server,
        OpenTelemetryMetrics(collected.provider, attributes={"faas.name": "f"}),
    )
    points = collected.points()
    about = {
        "faas.name": "f",
        "db.system.name": "mysql",
        "server.address": proxy.host,
        "server.port": proxy.port,
    }
    pool = {**about, "db.client.connection.pool.name": f"{proxy.host}:{proxy.port}"}
    for name, found in points.items():
        for attributes, _ in found:
            expected = pool if name.startswith("db.client.connection.") else about
            assert attributes.items() >= expected.items(), name
    codes = {
        (attributes["slsmysql.event"], attributes.get("db.response.status_code"))
        for attributes, _ in points["slsmysql.events"]
    }
    assert codes >= {
        ("connect_retry", "1040"),
        ("connect_failed", "1040"),
        ("transaction_retry", "1213"),
        ("query_retry", "1213"),
        ("reopen", None),
    }
    assert collected.units() == {
        "db.client.connection.count": "{connection}",
        "db.client.connection.create_time": "s",
        "db.client.connection.timeouts": "{timeout}",
        "slsmysql.events": "{event}",
        "slsmysql.server.connections.limit": "{connection}",
        "slsmysql.server.connections.used": "{connection}",
        "slsmysql.wait_time": "s",
    }


def held(collected: Collected) -> dict[str, float]:
    """Return the sessions of the process, by state."""
    return {
        attributes["db.client.connection.state"]: value
        for attributes, value in collected.points().get("db.client.connection.count", [])
    }


def test_sessions_are_counted_by_their_state(collected: Collected, connect: Connect) -> None:
    """A session is used while a connection holds it, idle while it is parked, and then gone."""
    OpenTelemetryMetrics(collected.provider)
    assert held(collected) == {}
    one, other = connect(), connect()
    assert held(collected) == {"used": 2, "idle": 0}
    one.close()
    assert held(collected) == {"used": 1, "idle": 1}
    other.quit()
    assert held(collected) == {"used": 0, "idle": 1}
    slsmysql.close_all()
    assert held(collected) == {}


def test_sessions_can_be_counted_while_others_connect() -> None:
    """The exporter's thread counts while the program makes connections."""
    stop = threading.Event()
    raised: list[BaseException] = []

    def make() -> None:
        try:
            while not stop.is_set():
                slsmysql.connect(user="nobody", defer_connect=True)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    try:
        for _ in range(300):
            assert connections.sessions() == {}
    finally:
        stop.set()
        thread.join()
    assert not raised


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("db.example:3306", {"server.address": "db.example", "server.port": 3306}),
        ("2001:db8::1:3307", {"server.address": "2001:db8::1", "server.port": 3307}),
        ("/run/mysqld/mysqld.sock", {"server.address": "/run/mysqld/mysqld.sock"}),
    ],
)
def test_server_is_an_address_and_a_port(
    collected: Collected, server: str, expected: dict[str, Any]
) -> None:
    """Host, IPv6 address and a socket's path are the conventions' address; a socket has no port."""
    OpenTelemetryMetrics(collected.provider)(Event("park", server))
    ((attributes, _),) = collected.points()["slsmysql.events"]
    assert {name: attributes[name] for name in attributes if name.startswith("server.")} == expected
