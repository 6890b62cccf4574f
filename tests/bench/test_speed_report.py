"""What the speed benchmark has to reach, and what it says of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rich", reason="the benchmarks' dependencies are not here")

from benchmarks import speed, speed_workloads
from benchmarks.speed_contenders import C_UNMANAGED, DRIVER_C, PURE, PYMYSQL, C
from benchmarks.speed_report import Report
from benchmarks.speed_stats import Target
from benchmarks.speed_workloads import ROUND_TRIPS, ROWS, WORKLOADS


def test_each_target_of_the_issue_is_there() -> None:
    """Both back ends are held against PyMySQL on every workload, C against the engine's own too."""
    found = {(one.workload, one.ours, one.theirs): one.least for one in speed.targets()}
    for workload in WORKLOADS:
        if workload is speed_workloads.UNIT_OF_WORK:
            assert found[workload.name, C.name, C_UNMANAGED.name] == 0.97
            continue
        assert found[workload.name, PURE.name, PYMYSQL.name] >= 1
        assert found[workload.name, C.name, DRIVER_C.name] == 1
    assert {found[one.name, C.name, PYMYSQL.name] for one in ROUND_TRIPS} == {1.4}
    assert {found[one.name, C.name, PYMYSQL.name] for one in ROWS} == {2}
    known = {one.name for one in WORKLOADS}
    assert {workload for workload, _, _ in found} <= known


def results(**factors: float) -> dict[str, Any]:
    """Return one server's results in which each takes ``factors`` times a millisecond."""
    times = {name: [factor * 1e-3] * 5 for name, factor in factors.items()}
    return {"server": "TestDB 1", "times": {"w": times}, "memory": {}}


def report(server: dict[str, Any], *targets: Target) -> Report:
    """Return the report of one server's results."""
    names = list(server["times"]["w"])
    return Report(
        versions={"Python": "3"},
        tls=False,
        workloads={"w": "what is timed"},
        contenders=names,
        extra=[],
        missing={"gone": "not installed"},
        targets=targets,
        servers=[server],
    )


def test_a_report_tells_what_was_missed() -> None:
    """A target that was surely missed has a line and makes the run fail, one that was met not."""
    found = report(results(a=1, b=2), Target("w", "a", "b", 1.4), Target("w", "b", "a", 1.0))
    assert found.missed()
    lines = list(found.verdicts())
    assert lines[0] == "TestDB 1: 1 of 2 targets are met"
    assert lines[1].strip().startswith("missed: w: b is 0.50")
    assert not report(results(a=1, b=2), Target("w", "a", "b", 1.4)).missed()


def test_a_reports_data_is_json() -> None:
    """The data can be written, and has medians and verdicts."""
    data = json.loads(json.dumps(report(results(a=1, b=2), Target("w", "a", "b", 1.4)).data()))
    (server,) = data["servers"]
    assert server["medians"]["w"]["b"]["median"] == 0.002
    assert server["targets"][0]["verdict"] == "met"


def test_memory_is_held_against_pymysqls() -> None:
    """More than PyMySQL's peak, or a stream that grows with its rows, is a miss."""
    same = {"python": 10 << 20, "resident": 10 << 20}
    more = {"python": 12 << 20, "resident": 12 << 20}
    few = {"python": 1, "resident": 1}

    def server(ours: dict[str, int], streamed: dict[str, int]) -> dict[str, Any]:
        peaks = {"buffered": same, "streamed": few, "streamed, 5 times as many": few}
        mine = {"buffered": ours, "streamed": few, "streamed, 5 times as many": streamed}
        return {**results(a=1), "memory": {PYMYSQL.name: peaks, C.name: mine}}

    assert not report(server(same, few)).missed()
    assert report(server(more, few)).missed()
    assert report(server(same, more)).missed()


def test_a_figure_is_drawn(tmp_path: Path) -> None:
    """The figure is written, also where a ratio lies beyond its edge."""
    pytest.importorskip("matplotlib", reason="the benchmarks' dependencies are not here")
    server = results(**{C.name: 1, PYMYSQL.name: 100, PURE.name: 90})
    path = tmp_path / "speed.png"
    report(server, Target("w", C.name, PYMYSQL.name, 1.4)).draw(path)
    assert path.stat().st_size > 10_000
