"""The pure parts of the speed benchmark: figures, verdicts, workloads, contenders, imports."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import importtime, speed_memory, speed_workloads
from benchmarks.speed_contenders import CONTENDERS, PYMYSQL, Contender
from benchmarks.speed_stats import (
    Ratio,
    Spread,
    Target,
    check,
    duration,
    order,
    ratio,
    repetitions,
)
from benchmarks.speed_workloads import MANY, WORKLOADS

seconds = st.floats(1e-7, 10)
rounds = st.lists(seconds, min_size=1, max_size=30)


@given(rounds)
def test_a_spread_encloses_its_median(times: list[float]) -> None:
    """The quartiles lie about the median, and the best is the least."""
    spread = Spread.of(times)
    assert spread.best == min(times)
    assert spread.best <= spread.low <= spread.median <= spread.high <= max(times)
    assert spread.noise >= 0


def test_of_no_rounds_there_is_no_figure() -> None:
    """Neither a spread nor a ratio is made of nothing."""
    with pytest.raises(ValueError, match="no rounds"):
        Spread.of([])
    with pytest.raises(ValueError, match="no rounds"):
        ratio([], [])


def test_rounds_that_do_not_belong_together_have_no_ratio() -> None:
    """Times of unequal numbers of rounds are refused."""
    with pytest.raises(ValueError, match="zip"):
        ratio([1.0], [1.0, 2.0])


@given(rounds, st.floats(0.1, 10))
def test_what_slows_a_round_for_both_leaves_the_ratio_alone(
    times: list[float], factor: float
) -> None:
    """Whoever takes a constant share of the other's time in every round is that much faster."""
    found = ratio(times, [factor * each for each in times])
    for value in (found.value, found.low, found.high):
        assert math.isclose(value, factor, rel_tol=1e-9)


@given(st.lists(st.tuples(seconds, seconds), min_size=1, max_size=20))
def test_an_interval_encloses_its_ratio_and_comes_again(pairs: list[tuple[float, float]]) -> None:
    """The median of the rounds' ratios lies in its interval; the same times give the same."""
    ours, theirs = zip(*pairs, strict=True)
    found = ratio(ours, theirs)
    assert found.low <= found.value <= found.high
    assert ratio(ours, theirs) == found


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(1.4, 1.6, "met"), (1.39, 1.6, "unsure"), (1.2, 1.4, "unsure"), (1.2, 1.39, "missed")],
)
def test_a_verdict_follows_from_the_whole_interval(low: float, high: float, verdict: str) -> None:
    """A target is met or missed only where both ends of the interval say so."""
    assert Target("w", "a", "b", 1.4).verdict(Ratio(1.4, low, high)) == verdict


def test_targets_of_workloads_that_did_not_run_are_left_out() -> None:
    """A workload that did not run has no line, a contender that did not has one without figure."""
    targets = [Target("w", "a", "b", 1), Target("w", "a", "c", 1), Target("x", "a", "b", 1)]
    checked = check(targets, {"w": {"a": [1.0], "b": [2.0]}})
    assert [one.target for one in checked] == targets[:2]
    assert [one.verdict for one in checked] == ["met", None]


@given(st.floats(1e-9, 100), st.integers(1, 1000))
def test_operations_fill_their_slot(once: float, most: int) -> None:
    """As many operations as fit, at least one, at most as many as allowed."""
    count = repetitions(once, 0.01, most)
    assert 1 <= count <= most
    if 1 < count < most:
        assert abs(count * once - 0.01) <= once


def test_everybody_is_first_and_last_in_turn() -> None:
    """Over two turns of all, each stands in each place equally often."""
    names = ["a", "b", "c"]
    turns = [order(names, turn) for turn in range(6)]
    for place in range(3):
        assert sorted(turn[place] for turn in turns) == sorted(names * 2)
    for name in names:
        neighbours = {turn[turn.index(name) - 1] for turn in turns if turn.index(name)}
        assert len(neighbours) == 2


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2e-7, "0.20 µs"),
        (9.94e-6, "9.94 µs"),
        (9.96e-6, "10.0 µs"),
        (99.4e-6, "99.4 µs"),
        (512e-6, "512 µs"),
        (0.0123, "12.3 ms"),
        (1.5, "1.50 s"),
    ],
)
def test_times_have_three_digits_and_a_unit(value: float, text: str) -> None:
    """A time is written in the unit that leaves digits before the point."""
    assert duration(value) == text


def test_names_tell_workloads_and_contenders_apart() -> None:
    """No two workloads, and no two contenders of one workload, have the same name."""
    assert len({one.name for one in WORKLOADS}) == len(WORKLOADS)
    for workload in WORKLOADS:
        names = [one.name for one in (*CONTENDERS, *workload.extra)]
        assert len(set(names)) == len(names)


def test_what_cannot_be_imported_does_not_take_part() -> None:
    """A driver that is not installed is told by the import's own error."""
    assert PYMYSQL.missing() is None
    assert "no_such_driver" in str(Contender("x", "no_such_driver").missing())
    assert "no_such_engine" in str(Contender("x", "json", needs="no_such_engine").missing())


def test_a_cursor_class_is_found_in_the_drivers_own_module() -> None:
    """The name of a class stands for that of the driver; without keywords the method is bare."""

    class Connection:
        def cursor(self, cursor: Any = None) -> Any:
            return cursor

    connection = Connection()
    assert PYMYSQL.cursor_maker(connection) == connection.cursor
    import pymysql.cursors

    assert PYMYSQL.cursor_maker(connection, "dict")() is pymysql.cursors.DictCursor


def test_mixed_rows_have_nulls_and_more_than_ascii() -> None:
    """A quarter of the notes are NULL, the others have a character of three bytes."""
    notes = [speed_workloads.mixed_row(number)[-1] for number in range(100)]
    assert notes.count(None) == 25
    assert all("№" in str(note) for note in notes if note is not None)


def test_the_statement_for_many_rows_gives_a_multiple() -> None:
    """Beyond the table's rows they are joined with copies, as many as are asked for."""
    assert speed_memory.query(10).endswith("LIMIT 10")
    assert speed_memory.query(5 * MANY).count("SELECT") == 1 + 5


IMPORTTIME = """\
import time: self [us] | cumulative | imported package
import time:       200 |        200 |   _io
import time:       300 |        500 | site
import time:      1500 |       1500 |     configparser
import time:       250 |       1750 |   slsmysql.err
import time:       400 |       2150 | slsmysql
"""


def test_what_the_interpreter_loads_by_itself_does_not_count() -> None:
    """Of an import's report only the lines behind `site` are told, slowest first."""
    found = importtime.parse(IMPORTTIME)
    assert [name for name, _ in found] == ["configparser", "slsmysql", "slsmysql.err"]
    assert found[0][1] == pytest.approx(0.0015)


def test_a_needless_module_is_named() -> None:
    """What should be loaded when it is used is found among what an import loads."""
    assert importtime.needless(["json", "configparser", "slsmysql"]) == ["configparser"]


def test_imports_are_timed_with_their_byte_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes write byte code whatever this one was told, into a folder of their own."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    found = importtime.environment("there")
    assert "PYTHONDONTWRITEBYTECODE" not in found
    assert found["PYTHONPYCACHEPREFIX"] == "there"
