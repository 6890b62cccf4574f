"""The simulator: nothing lost, nothing too much, nothing by chance; and the package decides."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import simulate as command
from benchmarks.fleet import Arrivals, Burst, Fleet
from benchmarks.simulation.world import Costs, Figures, Scenario, World, simulate
from slsmysql import manager, policy
from slsmysql.settings import Settings


def scenario(
    *,
    containers: int = 40,
    limit: int = 10,
    rate: float = 20.0,
    burst: int = 40,
    lifetime: tuple[float, float] = (1.0, 5.0),
    seed: int = 1,
    work: float = 0.1,
    budget: float = 10.0,
    costs: Costs | None = None,
) -> Scenario:
    """Return a small fleet that is too large for its server."""
    return Scenario(
        name="small",
        limit=limit,
        work=work,
        fleet=Fleet(containers, lifetime=lifetime, starts=500, seed=seed),
        arrivals=Arrivals.generate(
            rate=rate, seconds=6, bursts=[Burst(2.0, burst, 0.05)], seed=seed
        ),
        budget=budget,
        costs=costs or Costs(),
    )


class Watched(World):
    """A world that is looked at after each event."""

    def _step(self) -> None:
        before = self.now
        super()._step()
        assert self.now >= before
        assert 0 <= self.open <= self.scenario.limit
        assert all(session.alive for session in self._asleep.values())
        since = [session.idle_since for session in self._asleep.values()]
        assert None not in since
        assert since == sorted(moment for moment in since if moment is not None)
        assert len(self._asleep) <= self.open


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Scenario, int]:
    """Draw a fleet, a server and a seed."""
    seed = draw(st.integers(0, 1000))
    drawn = scenario(
        containers=draw(st.integers(1, 60)),
        limit=draw(st.integers(1, 30)),
        rate=draw(st.floats(0, 50)),
        burst=draw(st.integers(0, 80)),
        work=draw(st.floats(0.001, 1)),
        budget=draw(st.sampled_from([0.1, 1.0, 10.0])),
        seed=seed,
    )
    return drawn, seed


@given(worlds())
@settings(max_examples=40, deadline=None)
def test_every_arrival_ends_once_and_the_server_is_never_overfull(
    drawn: tuple[Scenario, int],
) -> None:
    """Time never runs backwards, no slot is used twice, and nothing is lost or done twice."""
    drawn_scenario, seed = drawn
    figures = Watched(drawn_scenario, Settings(), seed).run()
    assert figures.invocations == len(drawn_scenario.arrivals.times)
    assert figures.peak_open <= drawn_scenario.limit
    assert figures.connects >= figures.given_up + figures.expired + figures.killed
    assert figures.storm <= figures.refused
    assert figures.storm <= figures.rush <= figures.connects + figures.refused
    if figures.done:
        assert figures.latency is not None
        assert figures.latency.p50 > drawn_scenario.work - 1e-9
    assert figures.end >= max(drawn_scenario.arrivals.times, default=0)


def test_the_same_seed_gives_the_same_figures() -> None:
    """A figure in the docs can be had again by anyone; another seed is another draw."""
    assert simulate(scenario(), seed=3) == simulate(scenario(), seed=3)
    assert simulate(scenario(), seed=3) != simulate(scenario(), seed=4)


def test_one_container_alone_connects_once() -> None:
    """Without pressure a session is opened once and kept."""
    alone = scenario(containers=1, rate=5, burst=0, lifetime=(100, 100), limit=90)
    figures = simulate(alone)
    assert (figures.connects, figures.refused, figures.given_up, figures.failed) == (1, 0, 0, 0)
    assert figures.mean_open < 1


def test_waiting_ends_with_the_budget() -> None:
    """Whoever got no connection within the budget fails, and not later."""
    starving = scenario(
        containers=5, limit=1, rate=0, burst=5, work=3, budget=1, lifetime=(100, 100)
    )
    figures = simulate(starving)
    assert figures.done == 1
    assert figures.failed == 4
    assert figures.ready is not None
    assert figures.ready.max < 1


def test_the_package_decides() -> None:
    """What stands in the place of a decision of ``policy`` is what the fleet then does."""
    assert simulate(scenario()).given_up > 0
    with command.in_place({"gives_up": command.never}):
        assert simulate(scenario()).given_up == 0


def test_what_was_put_in_place_is_taken_away() -> None:
    """An error while other values are in place does not leave them there."""
    before = policy.CALM
    seen = []

    def broken() -> None:
        with command.in_place({"CALM": 0.1}):
            seen.append(policy.CALM)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert seen == [0.1]
    assert before == policy.CALM


def test_the_lease_ends_the_sessions_of_frozen_containers() -> None:
    """A session of a container that is not used again ends when its wait_timeout is over."""
    world = Scenario(
        name="frozen",
        limit=90,
        work=0.1,
        fleet=Fleet(50, lifetime=(900, 900), starts=1000),
        arrivals=Arrivals(tuple([1.0] * 50 + [float(second) for second in range(2, 30)])),
    )
    figures = simulate(world, Settings(lease=5))
    assert figures.expired == 49
    assert figures.opened[-1] == 1


def test_lost_containers_leave_zombies_that_are_reaped() -> None:
    """Sessions of containers that went without goodbye are killed when they are in the way."""
    many = Scenario(
        name="zombies",
        limit=20,
        work=0.05,
        fleet=Fleet(30, lifetime=(0.5, 1.5), lost=1.0, killed=0.0, starts=1000),
        arrivals=Arrivals.generate(rate=100, seconds=20, seed=1),
    )
    figures = simulate(many)
    assert figures.failed == 0
    assert figures.killed > 0


def test_counting_threads_that_serve_nobody_empties_the_server() -> None:
    """MariaDB's COM_STATISTICS at face value: a fleet gives up what nobody else needs.

    The reason why the manager takes it for an upper bound only.
    """
    exact, cached = (
        simulate(
            Scenario(
                name="cached",
                limit=90,
                work=0.155,
                fleet=Fleet(240),
                arrivals=Arrivals.generate(
                    rate=50, seconds=30, bursts=[Burst(15, 240, 0.1)], ramp=3, seed=1
                ),
                thread_cache=threads,
            )
        )
        for threads in (0, 256)
    )
    assert mean_of_last(exact) > 3 * mean_of_last(cached)


def mean_of_last(figures: Figures, seconds: float = 5.0) -> float:
    """Return the mean of the open connections in the last seconds."""
    last = figures.opened[-int(seconds * 10) :]
    return sum(last) / len(last)


@pytest.fixture
def small_law(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the command do a small law."""
    monkeypatch.setattr(command, "SIZES", ((20, 10),))
    return iter(())


@pytest.mark.usefixtures("small_law")
def test_the_command_prints_a_line_for_each_size(capsys: pytest.CaptureFixture[str]) -> None:
    """The command runs, and says what was run."""
    assert command.main(["--laws"]) == 0
    assert "20 : 10" in capsys.readouterr().out


def test_variants_differ_from_the_choice() -> None:
    """Every row of the sweep is something else than what it is held against."""
    rows = [(variant.settings, variant.policy) for variant in command.VARIANTS]
    assert (command.CHOICE.settings, command.CHOICE.policy) not in rows
    names = [(variant.group, variant.name) for variant in command.VARIANTS]
    assert len(names) == len(set(names))
    for variant in command.VARIANTS:
        Settings(**variant.settings)
        assert all(hasattr(policy, name) or hasattr(manager, name) for name in variant.policy)
