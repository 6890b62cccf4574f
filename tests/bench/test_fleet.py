"""The pure parts of the fleet emulator: arrivals, lives, the pool, outcomes and figures."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.fleet import (
    Arrivals,
    Audit,
    Burst,
    Cost,
    Failure,
    Fate,
    Fleet,
    Invocation,
    Outcome,
    Phase,
    Pool,
    Result,
    Sample,
    Spread,
    Summary,
    Traffic,
    adapt,
    difference,
    percentile,
    rising_bursts,
)

#: The function that the demo's fleet runs.
HANDLER = Path(__file__).parents[2] / "benchmarks" / "handlers" / "orders.py"


def invocation(
    request: str, failure: Failure | None = None, *, took: float = 1.0, init: float | None = None
) -> Invocation:
    """Return an invocation that arrived at 1 and took so many seconds, half of them in vain."""
    return Invocation(
        request=request,
        arrived=1.0,
        finished=1.0 + took,
        container=0,
        cold=init is not None,
        init=init,
        handler=took / 2,
        failure=failure,
    )


def failed(errno: int | None, phase: Phase = Phase.HANDLER) -> Failure:
    """Return a failure with this number."""
    return Failure(phase, "OperationalError", errno, "text")


def test_the_same_seed_gives_the_same_arrivals_and_another_gives_others() -> None:
    """Every contender can be given the same arrivals."""
    bursts = [Burst(at=1, count=5, within=0.5)]
    first, again, other = (
        Arrivals.generate(rate=20, seconds=3, bursts=bursts, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@given(
    rate=st.floats(0, 200),
    seconds=st.floats(0, 5),
    at=st.floats(0, 5),
    count=st.integers(0, 50),
    within=st.floats(0, 1),
    seed=st.integers(),
)
def test_arrivals_are_ascending_and_where_they_were_asked_for(
    rate: float, seconds: float, at: float, count: int, within: float, seed: int
) -> None:
    """The stream lies within its seconds, each burst within its own, and the whole is in order."""
    stream = Arrivals.generate(rate=rate, seconds=seconds, seed=seed).times
    burst = Burst(at, count, within)
    times = Arrivals.generate(rate=rate, seconds=seconds, bursts=[burst], seed=seed).times
    assert list(times) == sorted(times)
    assert all(0 <= time < seconds for time in stream)
    extra = list(times)
    for time in stream:
        extra.remove(time)
    assert len(extra) == count
    assert all(at <= time <= at + within for time in extra)


def test_the_stream_has_the_rate_and_the_scatter_of_poisson() -> None:
    """Gaps of a Poisson stream have a mean of 1 / rate and a deviation as large as that."""
    times = Arrivals.generate(rate=100, seconds=200, seed=3).times
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    mean = sum(gaps) / len(gaps)
    deviation = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    assert mean == pytest.approx(0.01, rel=0.05)
    assert deviation == pytest.approx(0.01, rel=0.05)


def test_a_ramp_grows_evenly_to_the_rate() -> None:
    """In the first half of a ramp lies a quarter of what comes in it; after it, the full rate."""
    times = Arrivals.generate(rate=1000, seconds=20, ramp=10, seed=4).times
    assert sum(time < 5 for time in times) == pytest.approx(1250, rel=0.1)
    assert sum(time < 10 for time in times) == pytest.approx(5000, rel=0.05)
    assert sum(time >= 10 for time in times) == pytest.approx(10000, rel=0.05)


@pytest.mark.parametrize("times", [(2.0, 1.0), (-1.0, 1.0)])
def test_arrivals_that_cannot_be_played_are_refused(times: tuple[float, ...]) -> None:
    """Arrivals out of order or before the start are an error."""
    with pytest.raises(ValueError, match="arrivals"):
        Arrivals(times)


def test_impossible_rates_and_fleets_are_refused() -> None:
    """A value that makes no sense is an error which names it."""
    with pytest.raises(ValueError, match="-1"):
        Arrivals.generate(rate=-1, seconds=1, seed=0)
    for impossible in (
        {"containers": 0},
        {"starts": 0.0},
        {"loading": 0},
        {"lifetime": (5.0, 1.0)},
        {"lost": 0.7, "killed": 0.7},
        {"timeout": 0.0},
    ):
        with pytest.raises(ValueError, match=r"\d"):
            Fleet(**impossible)


def test_a_container_always_has_the_same_life() -> None:
    """The n-th container of a fleet lives as long with one driver as with the other."""
    fleet = Fleet(lifetime=(1, 2), seed=7)
    lives = [fleet.life(serial) for serial in range(50)]
    assert lives == [fleet.life(serial) for serial in range(50)]
    assert all(1 <= life.seconds <= 2 for life in lives)
    assert len({life.seconds for life in lives}) == 50


def test_containers_end_in_the_proportions_asked_for() -> None:
    """Lost, killed and terminated are as frequent as the fleet says."""
    fleet = Fleet(lost=0.3, killed=0.2)
    fates = [fleet.life(serial).fate for serial in range(5000)]
    assert fates.count(Fate.LOST) == pytest.approx(1500, rel=0.1)
    assert fates.count(Fate.KILLED) == pytest.approx(1000, rel=0.1)
    assert fates.count(Fate.TERMINATED) == pytest.approx(2500, rel=0.1)


def test_the_container_used_last_is_used_first() -> None:
    """The pool is a stack: the rest of the fleet can grow old and be recycled."""
    pool: Pool[str] = Pool(3)
    for name in "abc":
        pool.add(name)
    for name in "bca":
        pool.give_back(name)
    assert [pool.take(), pool.take(), pool.take(), pool.take()] == ["a", "c", "b", None]


def test_the_pool_counts_busy_and_idle_containers_up_to_its_limit() -> None:
    """A container is alive from its start to its end, and busy whenever it is not at rest."""
    pool: Pool[str] = Pool(2)
    pool.add("a")
    assert (pool.alive, pool.busy, pool.full) == (1, 1, False)
    pool.add("b")
    assert pool.full
    with pytest.raises(ValueError, match="2"):
        pool.add("c")
    pool.give_back("a")
    assert (pool.alive, pool.busy) == (2, 1)
    assert pool.take_away("a")
    assert not pool.take_away("a")
    assert not pool.take_away("b")
    pool.remove("b")
    assert (pool.alive, pool.busy) == (0, 0)


def test_a_container_is_never_idle_twice_nor_removed_while_idle() -> None:
    """The pool notices when the platform has lost count."""
    pool: Pool[str] = Pool(2)
    with pytest.raises(ValueError, match="busy"):
        pool.give_back("a")
    pool.add("a")
    pool.give_back("a")
    with pytest.raises(ValueError, match="busy"):
        pool.give_back("a")
    with pytest.raises(ValueError, match="idle"):
        pool.remove("a")


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (failed(1040, Phase.INIT), Outcome.FAILED),
        (failed(2013, Phase.INIT), Outcome.FAILED),
        (failed(1205), Outcome.FAILED),
        (failed(4031), Outcome.FAILED),
        (failed(2013), Outcome.UNKNOWN),
        (failed(1053), Outcome.UNKNOWN),
        (failed(0), Outcome.UNKNOWN),
        (failed(None), Outcome.UNKNOWN),
        (failed(None, Phase.PLATFORM), Outcome.UNKNOWN),
    ],
)
def test_only_what_the_server_refused_is_sure_to_have_failed(
    failure: Failure, outcome: Outcome
) -> None:
    """An error packet proves a failure; a lost connection, a time out or a death proves nothing."""
    assert invocation("a", failure).outcome is outcome


def test_the_audit_finds_what_is_lost_doubled_undead_and_foreign() -> None:
    """Each way in which table and callers can disagree is counted."""
    told = [
        invocation("there"),
        invocation("lost"),
        invocation("doubled"),
        invocation("rolled back", failed(1205)),
        invocation("undead", failed(1205)),
        invocation("unknown and there", failed(2013)),
        invocation("unknown and not", failed(2013)),
    ]
    rows = {"there": 1, "doubled": 2, "undead": 1, "unknown and there": 1, "of nobody": 1}
    audit = Audit.compare(told, rows)
    assert audit == Audit(committed=3, rows=6, doubled=1, lost=1, undead=1, foreign=1, unknown=2)
    assert not audit.clean
    assert str(audit) == (
        "rows: told committed 3, in the table 6, doubled 1, lost 1, told failed yet there 1, "
        "of nobody 1, outcome unknown 2"
    )


def test_an_audit_with_nothing_wrong_is_clean_and_short() -> None:
    """Unknown outcomes may be either, and are no fault."""
    audit = Audit.compare([invocation("a"), invocation("b", failed(1040, Phase.INIT))], {"a": 1})
    assert audit.clean
    assert str(audit) == "rows: told committed 1, in the table 1, doubled 0, lost 0"
    assert Audit.compare([invocation("a", failed(2013))], {"a": 1}).clean


@given(values=st.lists(st.floats(0, 1e6), min_size=1), percent=st.integers(1, 100))
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(
    values: list[float], percent: int
) -> None:
    """Nearest rank: a measured value, with at least the asked proportion at or below it."""
    ordered = sorted(values)
    value = percentile(ordered, percent)
    assert value in values
    assert sum(each <= value for each in values) * 100 >= percent * len(values)
    assert sum(each < value for each in values) * 100 < percent * len(values)


def test_a_percentile_outside_of_its_range_is_refused() -> None:
    """There is no 0th and no 101st percentile."""
    for impossible in (0, 101):
        with pytest.raises(ValueError, match=str(impossible)):
            percentile([1.0], impossible)


def test_a_spread_has_the_known_figures_of_a_hundred_numbers() -> None:
    """Mean, percentiles and maximum are the textbook's; of nothing there are none."""
    assert Spread.of(range(1, 101)) == Spread(mean=50.5, p50=50, p95=95, p99=99, max=100)
    assert Spread.of([]) is None


def test_a_summary_counts_errors_by_number_and_times_only_what_was_done() -> None:
    """A fast refusal must not make the latencies look better."""
    result = Result(
        contender="x",
        invocations=(
            invocation("a", took=2.0, init=0.5),
            invocation("b", took=4.0),
            invocation("c", failed(1040, Phase.INIT), took=0.001),
            invocation("d", failed(1040, Phase.INIT), took=0.001),
            invocation("e", failed(None, Phase.PLATFORM), took=30.0),
        ),
        samples=(Sample(0, 2, 1, 1, 0), Sample(1, 6, 9, 4, 1), Sample(2, 4, 8, 0, 2)),
        started=9,
        ends={Fate.LOST: 2},
        traffic=Traffic(4, 2, 0),
        cost=Cost(wall=2, platform=1, containers=None, server=None, late=0.01),
    )
    summary = Summary.of(result)
    assert (summary.invocations, summary.ok) == (5, 2)
    assert summary.errors == {"OperationalError 1040": 2, "OperationalError": 1}
    assert summary.latency == Spread(mean=3.0, p50=2.0, p95=4.0, p99=4.0, max=4.0)
    assert summary.handler == Spread(mean=1.5, p50=1.0, p95=2.0, p99=2.0, max=2.0)
    assert summary.init == Spread(mean=0.5, p50=0.5, p95=0.5, p99=0.5, max=0.5)
    assert (summary.peak_alive, summary.peak_connections, summary.mean_connections) == (9, 6, 4.0)


@pytest.mark.parametrize(
    ("kind", "growth", "made", "refused"),
    [("mariadb", (333, 187, 389), 131, 389), ("mysql", (384, 567, 278), 106, 567)],
)
def test_connects_are_read_from_counters_that_differ_between_servers(
    kind: str, growth: tuple[int, int, int], made: int, refused: int
) -> None:
    """Readings of two runs in which the callers counted what was made and what was refused."""
    names = ("Connections", "Connection_errors_max_connections", "Aborted_connects")
    counters = {**dict(zip(names, growth, strict=True)), "Com_kill": 3}
    assert Traffic.of(kind, counters) == Traffic(made, refused, 3)


def test_the_handler_differs_by_one_line_for_another_driver() -> None:
    """Nothing in the handler but its import knows which driver it has."""
    source = HANDLER.read_text(encoding="utf-8")
    assert adapt(source, "pymysql") == source
    assert difference(source, adapt(source, "slsmysql")) == [
        "- import pymysql",
        "+ import slsmysql as pymysql",
    ]


def test_a_handler_that_does_not_import_pymysql_is_refused() -> None:
    """The demo does not compare a driver with itself."""
    with pytest.raises(ValueError, match="import"):
        adapt("import MySQLdb\n", "slsmysql")


def test_the_bursts_make_the_whole_fleet_start() -> None:
    """The largest burst has as many invocations as the fleet has containers."""
    bursts = rising_bursts(30, 240)
    assert max(burst.count for burst in bursts) == 240
    assert all(burst.at >= 0 and burst.at + burst.within < 30 for burst in bursts)
