"""The PEP 249 constructors of dates and times."""

from __future__ import annotations

import importlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slsmysql import times

theirs = importlib.import_module("pymysql.times")
MAKERS = ["DateFromTicks", "TimeFromTicks", "TimestampFromTicks"]


def test_every_public_name_of_pymysqls_is_there() -> None:
    """The types and names that PyMySQL's module offers are offered, and are the same types."""
    for name in dir(theirs):
        if not name.startswith("_") and name not in MAKERS:
            assert getattr(times, name) is getattr(theirs, name)
    assert set(MAKERS) < set(dir(times))


@settings(deadline=None)
@given(st.floats(-2_000_000_000, 4_000_000_000), st.sampled_from(MAKERS))
def test_ticks_become_what_pymysql_makes_of_them(ticks: float, maker: str) -> None:
    """A moment in ticks is the same local date, time and timestamp as in PyMySQL."""
    assert getattr(times, maker)(ticks) == getattr(theirs, maker)(ticks)


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("ticks", [float("inf"), float("nan"), 1e300, "1", b"1"])
def test_impossible_ticks_raise_what_pymysql_raises(maker: str, ticks: object) -> None:
    """What is no moment raises the same exception as in PyMySQL."""
    with pytest.raises(Exception) as expected:  # noqa: PT011 - whatever PyMySQL raises
        getattr(theirs, maker)(ticks)
    with pytest.raises(expected.type) as raised:
        getattr(times, maker)(ticks)
    assert raised.value.args == expected.value.args
