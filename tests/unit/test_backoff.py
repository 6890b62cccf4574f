"""Delays: their bounds, the bounds of their sum, their growth, and what a user's own may be."""

from __future__ import annotations

import itertools
import math
import random
import statistics
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slsmysql import backoff, err
from slsmysql.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS = st.floats(min_value=1e-6, max_value=1e6)
SEEDS = st.integers(0, 2**32)


class Extreme:
    """A generator of random numbers that always draws the same share of the range."""

    def __init__(self, share: float) -> None:
        self.share = share

    def uniform(self, a: float, b: float, /) -> float:
        """Return the point at ``share`` of the way from ``a`` to ``b``."""
        return a + (b - a) * self.share


class FakeClock:
    """A clock that moves when it is told to, or by being slept on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        self.now += seconds


def first(count: int, delays: Iterator[float]) -> list[float]:
    """Return the first ``count`` delays."""
    return list(itertools.islice(delays, count))


@given(base=SECONDS, cap=SECONDS, seed=SEEDS)
def test_full_jitter_stays_below_the_doubling_ceiling(base: float, cap: float, seed: int) -> None:
    """The n-th delay is in 0 .. min(cap, base * 2**n), whatever is drawn."""
    delays = first(40, backoff.full_jitter(base, cap, random.Random(seed)))
    for n, delay in enumerate(delays):
        assert 0 <= delay <= min(cap, base * 2**n)
    assert sum(delays) <= sum(min(cap, base * 2**n) for n in range(40)) * (1 + 1e-9)


@given(base=SECONDS, factor=st.floats(1, 1e6), seed=SEEDS)
def test_decorrelated_stays_between_base_and_three_times_the_last(
    base: float, factor: float, seed: int
) -> None:
    """Each delay is in min(cap, base) .. min(cap, 3 * the one before), from base on."""
    cap = base * factor
    before = base
    for delay in first(40, backoff.decorrelated(base, cap, random.Random(seed))):
        assert min(cap, base) <= delay <= min(cap, before * 3.0) * (1 + 1e-12)
        before = delay


@pytest.mark.parametrize("make", [backoff.full_jitter, backoff.decorrelated])
def test_the_mean_grows_up_to_the_cap(
    make: Callable[[float, float, backoff.Rng], Iterator[float]],
) -> None:
    """Later delays are longer on average, from the very first on, until the cap levels them."""
    rng = random.Random(7)
    runs = [first(12, make(0.01, 1.0, rng)) for _ in range(2000)]
    means = [statistics.fmean(column) for column in zip(*runs, strict=True)]
    assert all(later > 1.2 * earlier for earlier, later in itertools.pairwise(means[:5]))
    assert max(means) <= 1.0
    assert means[-1] > 0.3


@pytest.mark.parametrize("make", [backoff.full_jitter, backoff.decorrelated])
def test_every_delay_is_jittered(
    make: Callable[[float, float, backoff.Rng], Iterator[float]],
) -> None:
    """No delay is a constant, the first included (serverless-mysql's first one was)."""
    runs = [first(5, make(0.01, 1.0, random.Random(seed))) for seed in range(50)]
    for column in zip(*runs, strict=True):
        assert len(set(column)) == len(runs)


def test_full_jitter_reaches_its_ceiling() -> None:
    """With the highest draws the delays are base, twice base, ... and then cap."""
    delays = first(6, backoff.full_jitter(0.25, 2.0, Extreme(1.0)))
    assert delays == [0.25, 0.5, 1.0, 2.0, 2.0, 2.0]


def test_decorrelated_reaches_its_ceiling() -> None:
    """With the highest draws each delay is three times the one before, and then cap."""
    assert first(4, backoff.decorrelated(0.5, 5.0, Extreme(1.0))) == [1.5, 4.5, 5.0, 5.0]


@pytest.mark.parametrize("make", [backoff.full_jitter, backoff.decorrelated])
def test_thousands_of_retries_do_not_overflow(
    make: Callable[[float, float, backoff.Rng], Iterator[float]],
) -> None:
    """The delay after 5000 retries, where base * 2**n is no float any more, is the cap."""
    *_, last = first(5000, make(0.01, 3.0, Extreme(1.0)))
    assert last == 3.0


def test_each_iterator_begins_anew() -> None:
    """Nothing is kept between two loops (serverless-mysql's counter was, and never recovered)."""
    settings = Settings()
    long = first(100, backoff.delays(settings, Extreme(1.0)))
    assert first(1, backoff.delays(settings, Extreme(1.0))) == long[:1] == [settings.backoff_base]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(backoff="full", backoff_base=0.5, backoff_cap=1), [0.5, 1.0, 1.0]),
        (Settings(backoff="decorrelated", backoff_base=0.5, backoff_cap=4), [1.5, 4.0, 4.0]),
        (Settings(backoff=lambda attempt, before: attempt + before), [1.0, 3.0, 6.0]),
    ],
)
def test_settings_choose(settings: Settings, expected: list[float]) -> None:
    """Each value of ``backoff`` gives its delays; a callable gets the number and the one before."""
    assert first(3, backoff.delays(settings, Extreme(1.0))) == expected


def test_a_users_delays_are_not_capped() -> None:
    """A callable knows best: ``backoff_cap`` is not applied to it."""
    settings = Settings(backoff=lambda _attempt, _before: 60, backoff_cap=1)
    assert first(2, backoff.delays(settings, Extreme(0.5))) == [60.0, 60.0]


@pytest.mark.parametrize(
    "answer", [-1, -0.001, math.nan, math.inf, -math.inf, None, "1", True, 10**400, 1j]
)
def test_a_users_impossible_delay_is_refused(answer: object) -> None:
    """What a callable returns must be a number of seconds that can be slept."""
    delays = backoff.custom(lambda _attempt, _before: answer)  # type: ignore[arg-type,return-value]
    with pytest.raises(err.ProgrammingError, match="backoff returned"):
        next(delays)


def test_a_users_exception_comes_out() -> None:
    """What a callable raises is not hidden."""

    def broken(_attempt: int, _before: float) -> float:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        next(backoff.custom(broken))


@given(
    budget=st.floats(0, 100),
    base=st.floats(0.001, 10),
    work=st.floats(0, 5),
    reserve=st.floats(0, 2),
    seed=SEEDS,
)
def test_the_budget_is_never_overslept(
    budget: float, base: float, work: float, reserve: float, seed: int
) -> None:
    """Sleeping every delay, with work in between, no sleep ends later than budget - reserve."""
    clock = FakeClock()
    start = clock.now
    left = backoff.countdown(budget, clock)
    delays = backoff.full_jitter(base, base * 100, random.Random(seed))
    for delay in itertools.islice(backoff.within(delays, left, reserve=reserve), 200):
        assert delay >= 0
        clock.sleep(delay)
        assert clock.now - start <= budget - reserve + 1e-9
        clock.sleep(work)


def test_the_last_delay_is_clipped_to_what_is_left() -> None:
    """The delay that would pass the end is cut, and nothing comes after it."""
    clock = FakeClock()
    slept = []
    for delay in backoff.within(itertools.repeat(4.0), backoff.countdown(10.0, clock)):
        clock.sleep(delay)
        slept.append(delay)
    assert slept == [4.0, 4.0, 2.0]


def test_the_reserve_is_left_for_the_last_attempt() -> None:
    """With a reserve the last sleep ends that much before the end."""
    clock = FakeClock()
    left = backoff.countdown(10.0, clock)
    slept = []
    for delay in backoff.within(itertools.repeat(4.0), left, reserve=1.5):
        clock.sleep(delay)
        slept.append(delay)
    assert slept == [4.0, 4.0, 0.5]
    assert left() == 1.5


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_max_retries_bounds_the_number(retries: int) -> None:
    """No more delays than ``max_retries``, and not one drawn in vain."""
    drawn = itertools.count()
    delays = (0.0 * n for n in drawn)
    assert len(list(backoff.within(delays, lambda: 1.0, max_retries=retries))) == retries
    assert next(drawn) == retries


def test_delays_that_end_end_it() -> None:
    """A finite iterable of delays is not an error."""
    assert list(backoff.within([1.0, 2.0], lambda: 100.0)) == [1.0, 2.0]


def test_nothing_is_left_from_the_start() -> None:
    """With no time there is no delay, and none is drawn."""
    drawn = itertools.count()
    assert list(backoff.within((float(n) for n in drawn), lambda: 0.0)) == []
    assert next(drawn) == 0


@given(budget=st.floats(0, 100), theirs=st.floats(-10, 100), passed=st.floats(0, 200))
def test_the_earlier_of_budget_and_deadline_counts(
    budget: float, theirs: float, passed: float
) -> None:
    """What is left is the smaller of the budget's rest and what the deadline says."""
    clock = FakeClock()
    left = backoff.countdown(budget, clock, lambda: theirs)
    clock.sleep(passed)
    assert left() == min(1000.0 + budget - clock.now, theirs)


@pytest.mark.parametrize("answer", [None, "5", math.nan, True])
def test_a_deadline_that_is_no_number_is_refused(answer: object) -> None:
    """A deadline callable must return a number of seconds."""
    left = backoff.countdown(1.0, FakeClock(), lambda: answer)  # type: ignore[arg-type,return-value]
    with pytest.raises(err.ProgrammingError, match="deadline returned"):
        left()
