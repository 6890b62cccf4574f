"""The pure parts of the contest, and containers that are another program than Python's own."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.container import describe
from benchmarks.contest import contenders, report, scenarios
from benchmarks.contest.__main__ import arguments, planned
from benchmarks.contest.agreement import Pair, compare
from benchmarks.contest.contenders import BY_NAME, ENTRANTS, NULL, ORIGIN, OURS, UnavailableError
from benchmarks.contest.figures import Duel, Line, Round, management, rivals, targets
from benchmarks.contest.scenarios import EVERYBODY, HEADLINE, LAW, SCENARIOS, fitting
from benchmarks.fleet import (
    Arrivals,
    Contender,
    Cost,
    Failure,
    Fleet,
    Invocation,
    Phase,
    Result,
    Sample,
    Spread,
    Traffic,
)
from benchmarks.handlers.rows import QUERY
from benchmarks.platform_posix import Platform, Zygote

#: A container that is another program: it answers as ``benchmarks.container`` does.
PROGRAM = """
import json, os, socket, sys
stream = socket.socket(fileno=3).makefile("rw")
def tell(**reply):
    print(json.dumps(reply), file=stream, flush=True)
tell(pid=os.getpid())
orders = json.loads(stream.readline())
tell(seconds=0.25)
for line in stream:
    event = json.loads(line)["event"]
    tell(result=[orders["handler"], sys.argv[1:], event["number"]], seconds=0.5)
"""


def spread(value: float) -> Spread:
    """Return a spread whose figures are all the same."""
    return Spread(value, value, value, value, value)


def line(name: str, *, failed: int = 0, cpu: float = 0.5, latency: float = 0.021) -> Line:
    """Return a contender's line of a thousand invocations."""
    return Line(
        name,
        invocations=1000,
        done=1000 - failed,
        errors={"OperationalError 1040": failed} if failed else {},
        latency=spread(latency),
        settled=spread(latency),
        cpu=cpu,
    )


def verdict(lines: list[Line], what: str) -> tuple[bool, str]:
    """Return whether the headline's target with these words was met, and what was measured."""
    found = [each for each in targets([Round(HEADLINE, 0.02, tuple(lines))]) if what in each.what]
    assert len(found) == 1
    return found[0].met, found[0].measured


# -- arrivals from a file --------------------------------------------------------------------------


def test_a_trace_is_read_in_order_from_its_first_moment(tmp_path: Path) -> None:
    """Time stamps in any order, comments and empty lines are a trace."""
    path = tmp_path / "trace"
    path.write_text("# seconds\n1000.5\n\n1000.0  # the first\n1002\n")
    assert Arrivals.read(path).times == (0.0, 0.5, 2.0)


@pytest.mark.parametrize("wrong", ["soon", "nan", "inf", "1 2"])
def test_a_trace_with_something_else_in_it_is_refused(tmp_path: Path, wrong: str) -> None:
    """The error names the file and the line."""
    path = tmp_path / "trace"
    path.write_text(f"1\n{wrong}\n")
    with pytest.raises(ValueError, match="trace, line 2"):
        Arrivals.read(path)


# -- scenarios -------------------------------------------------------------------------------------


def test_scenarios_and_contenders_are_told_apart_by_name() -> None:
    """Each can be asked for, and whoever takes part is known."""
    assert len(scenarios.BY_NAME) == len(SCENARIOS)
    assert len(BY_NAME) == len(ENTRANTS)
    for scenario in SCENARIOS:
        assert set(scenario.entrants) <= set(BY_NAME)
        assert OURS in scenario.entrants
    assert {each.unmanaged for each in ENTRANTS} - {None} <= set(BY_NAME)


def test_every_scenario_can_be_carried_by_its_connections() -> None:
    """None of them is impossible, so that slsmysql may fail in none."""
    assert all(scenario.carried for scenario in SCENARIOS)


@pytest.mark.parametrize(
    ("changes", "carried"),
    [
        ({"rate": 89 / 0.02}, True),
        ({"rate": 90 / 0.02}, False),
        ({"rate": 0.0, "bursts": (0.0,), "containers": 44_000}, True),
        ({"rate": 0.0, "bursts": (0.0,), "containers": 46_000}, False),
        ({"rate": 45 / 0.02, "bursts": (0.0,), "containers": 23_000}, False),
    ],
)
def test_what_connections_can_carry_is_what_they_have_time_for(
    changes: dict[str, float], carried: bool
) -> None:
    """Ninety connections work ninety seconds a second, and on a burst for as long as one waits."""
    assert replace(HEADLINE, work=0.02, **changes).carried is carried  # type: ignore[arg-type]


@settings(deadline=None)
@given(factor=st.floats(0.1, 1.0))
def test_a_scaled_scenario_has_the_same_pressure(factor: float) -> None:
    """Rate, connections and containers shrink by the same factor, to the next whole number."""
    scaled = HEADLINE.scaled(factor)
    assert scaled.rate == HEADLINE.rate * factor
    assert scaled.connections == pytest.approx(HEADLINE.connections * factor, abs=0.5)
    assert scaled.ratio == pytest.approx(HEADLINE.ratio, rel=0.1)


def test_no_scenario_is_scaled_below_what_a_server_takes() -> None:
    """MariaDB has ten connections at least, one of them the harness's."""
    assert scenarios.law(20).connections == scenarios.LEAST
    assert scenarios.law(20).scaled(0.1).connections == scenarios.LEAST


def test_a_shortened_scenario_still_has_a_fleet_that_settles() -> None:
    """There are arrivals after the moment from which on latencies are shown by themselves."""
    for scenario in SCENARIOS:
        short = scenario.shortened(0.2)
        times = short.arrivals(1).times
        assert times[-1] >= short.settled
        assert short.seconds <= scenario.seconds


@pytest.mark.parametrize(
    ("own", "platform", "factor"),
    [
        (0.3, 0.15, 1.0),
        (1.0, 0.7, 1.0),
        (2.0, 0.5, 0.5),
        (0.9, 1.4, 0.5),
        (1e6, 1.0, 0.05),
    ],
)
def test_a_load_is_scaled_to_leave_the_processors_to_the_contenders(
    own: float, platform: float, factor: float
) -> None:
    """The emulator gets half of two processors, and its single thread most of one."""
    assert fitting(own, platform, 2) == factor


def test_the_laws_differ_in_connections_alone() -> None:
    """The same containers and arrivals on fewer and fewer connections."""
    laws = [scenarios.law(ratio) for ratio in scenarios.RATIOS]
    assert [law.ratio for law in laws] == list(scenarios.RATIOS)
    assert len({law.arrivals(3) for law in laws}) == 1
    assert {law.containers for law in laws} == {LAW.containers}


def test_an_unknown_scenario_is_refused_with_those_that_there_are() -> None:
    """A name that was misspelt is no empty run."""
    with pytest.raises(ValueError, match="headline"):
        scenarios.chosen(["head line"])


def test_the_headline_takes_a_minute_and_the_full_contest_has_everybody() -> None:
    """What the origin measured, and every contender in every scenario."""
    assert planned(arguments([]))[0].seconds == 60
    plan = planned(arguments(["--full"]))
    assert all(each.entrants == EVERYBODY for each in plan)


def test_a_trace_is_a_scenario_of_its_own(tmp_path: Path) -> None:
    """Its arrivals are those of the file, and its rate is theirs."""
    path = tmp_path / "trace"
    path.write_text("\n".join(str(n / 10) for n in range(101)))
    (scenario,) = planned(arguments(["--trace", str(path)]))
    assert scenario.arrivals(1) == Arrivals.read(path)
    assert scenario.rate == pytest.approx(10, rel=0.02)


# -- contenders ------------------------------------------------------------------------------------


def test_all_contenders_run_the_same_query() -> None:
    """What Node sends is what Python sends."""
    source = (contenders.HANDLERS / "rows.js").read_text(encoding="utf-8")
    parts = re.search(r"const QUERY =\n(.*?)\n\n", source, re.DOTALL)
    assert parts is not None
    assert "".join(re.findall(r"'([^']*)'", parts[1])) == QUERY.replace("%s", "?")


def test_a_handler_differs_from_pymysqls_by_one_line(tmp_path: Path) -> None:
    """The contender's driver stands in PyMySQL's place and nothing else does."""
    ours = contenders.ready(BY_NAME[OURS], tmp_path)
    before = (contenders.HANDLERS / "rows_module.py").read_text(encoding="utf-8")
    after = ours.handler.read_text(encoding="utf-8")
    assert before.replace("import pymysql", "import slsmysql as pymysql", 1) == after


def test_a_contender_that_cannot_be_had_gives_the_reason(tmp_path: Path) -> None:
    """It is named in the table."""
    entrant = replace(BY_NAME[OURS], needs=("no_such_driver",))
    with pytest.raises(UnavailableError, match="no_such_driver"):
        contenders.ready(entrant, tmp_path)


# -- figures and targets ---------------------------------------------------------------------------


def test_a_line_leaves_out_the_harness_and_what_was_not_settled() -> None:
    """Its session and its queries are not the fleet's, and the begin has latencies of its own."""

    def invocation(arrived: float, took: float, failure: Failure | None = None) -> Invocation:
        return Invocation(
            request=f"{arrived}",
            arrived=arrived,
            finished=arrived + took,
            container=0,
            cold=arrived == 0,
            init=None,
            handler=took,
            failure=failure,
        )

    result = Result(
        contender=OURS,
        invocations=(
            invocation(0, 3.0),
            invocation(5, 0.02),
            invocation(6, 0.04),
            invocation(7, 0.001, Failure(Phase.HANDLER, "OperationalError", 1040, "")),
        ),
        samples=(Sample(0, 11, 5, 1, 0), Sample(1, 21, 9, 1, 0)),
        started=9,
        ends={},
        traffic=Traffic(made=30, refused=2, killed=1),
        cost=Cost(wall=10.0, platform=1.0, containers=2.0, server=3.0, late=0.01),
    )
    got = Line.of(result, replace(HEADLINE, settled=4), idle=0.1, processors=2)
    assert (got.invocations, got.done, got.failed) == (4, 3, 1)
    assert got.first == spread(3.0)
    assert got.settled is not None
    assert got.settled.max == pytest.approx(0.04)
    assert (got.peak_open, got.mean_open) == (20, 15)
    assert got.cpu == pytest.approx((3.0 - 0.1 * 10) / 4 * 1000)
    assert got.busy == pytest.approx(0.3)
    assert got.throughput == pytest.approx(0.3)


def test_any_error_of_ours_misses_the_target_and_errors_of_others_do_not() -> None:
    """Zero is what was to be reached, with the management on."""
    fine = [line(OURS), line("slsmysql, unmanaged", failed=9), line("PyMySQL, module", failed=9)]
    assert verdict(fine, "no errors") == (True, "0 of 1000")
    assert verdict([line(OURS, failed=1)], "no errors") == (False, "1 of 1000")


def test_what_connections_cannot_carry_is_no_target() -> None:
    """An impossible load proves nothing."""
    impossible = replace(HEADLINE, rate=1e6)
    found = targets([Round(impossible, 0.02, (line(OURS, failed=500),))])
    assert not [each for each in found if "no errors" in each.what]


@pytest.mark.parametrize(("latency", "met"), [(0.0249, True), (0.0251, False)])
def test_the_mean_latency_is_held_against_the_querys_own(latency: float, met: bool) -> None:
    """At most a quarter more, cold starts and all."""
    assert verdict([line(OURS, latency=latency)], "mean latency")[0] is met


@pytest.mark.parametrize(
    ("ours", "theirs", "met"), [(0.5, 0.8, True), (0.5, 0.6, False), (0.39, 0.7, True)]
)
def test_management_is_what_a_contender_costs_more_than_without(
    ours: float, theirs: float, met: bool
) -> None:
    """The difference to the same contender without management, a third of the origin's at most."""
    lines = [
        line(OURS, cpu=ours),
        line("slsmysql, unmanaged", cpu=0.4),
        line(ORIGIN, cpu=theirs),
        line("serverless-mysql, unmanaged", cpu=0.4),
    ]
    assert management(Round(HEADLINE, 0.02, tuple(lines)), OURS) == pytest.approx(ours - 0.4)
    assert verdict(lines, "management")[0] is met


def test_management_that_costs_less_than_a_tick_is_no_miracle() -> None:
    """The ratio is then to the clock's tick, and that is said."""
    lines = [
        line(OURS, cpu=0.3),
        line("slsmysql, unmanaged", cpu=0.4),
        line(ORIGIN, cpu=0.5),
        line("serverless-mysql, unmanaged", cpu=0.4),
    ]
    met, measured = verdict(lines, "management")
    assert met
    assert "10.0 x" in measured
    assert "tick" in measured


def test_only_those_who_failed_as_seldom_are_compared_with() -> None:
    """Who fails saves the server work; the emulator by itself is nobody's rival."""
    lines = [
        line(OURS, cpu=0.5, latency=0.03),
        line(NULL.name, cpu=0.0, latency=0.02),
        line("slsmysql, SQLAlchemy", cpu=0.1, latency=0.02),
        line("PyMySQL, module", cpu=0.1, latency=0.02, failed=1),
        line("the driver's pool", cpu=0.6, latency=0.04),
    ]
    assert verdict(lines, "p99 below")[0]
    assert verdict(lines, "server CPU below")[0]
    lines.append(line("mysqlclient, module", cpu=0.4, latency=0.02))
    assert not verdict(lines, "p99 below")[0]
    met, measured = verdict(lines, "server CPU below")
    assert not met
    assert "mysqlclient" in measured


def test_the_best_by_each_measure_are_the_rivals() -> None:
    """Who is the best by both is one rival; who failed, or is one of us, is none."""
    lines = [
        line(OURS),
        line("slsmysql, SQLAlchemy", cpu=0.1, latency=0.01),
        line("PyMySQL, module", cpu=0.1, latency=0.01, failed=1),
        line("the driver's pool", cpu=0.6, latency=0.02),
    ]
    assert rivals(Round(HEADLINE, 0.02, tuple(lines))) == ["the driver's pool"]
    lines.append(line("mysqlclient, module", cpu=0.4, latency=0.03))
    assert rivals(Round(HEADLINE, 0.02, tuple(lines))) == [
        "the driver's pool",
        "mysqlclient, module",
    ]
    assert rivals(Round(HEADLINE, 0.02, (line(OURS),))) == []


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        ([0.022, 0.023, 0.024, 0.022, 0.023], "met"),
        ([0.020, 0.023, 0.020, 0.023, 0.021], "level"),
        ([0.020, 0.019, 0.018, 0.020, 0.019], "not met"),
    ],
)
def test_laps_decide_where_there_are_any(theirs: list[float], expected: str) -> None:
    """The ratio of each lap counts, and where they do not agree neither is better."""
    lines = (line(OURS, latency=1.0), line("PyMySQL, module"))
    duel = Duel(
        HEADLINE,
        0.02,
        {
            OURS: [line(OURS, latency=0.021)] * 5,
            "PyMySQL, module": [line("PyMySQL, module", latency=value) for value in theirs],
            "the driver's pool": [line("the driver's pool", latency=0.5)] * 5,
        },
    )
    found = [each for each in targets([Round(HEADLINE, 0.02, lines)], duel) if "p99" in each.what]
    assert [each.verdict for each in found] == [expected]
    assert "PyMySQL" in found[0].measured
    assert [each.name for each in duel.shown().lines][4:6] == [
        f"{OURS}, lap 5",
        "PyMySQL, module, lap 1",
    ]


# -- report ----------------------------------------------------------------------------------------


def rounds() -> list[Round]:
    """Return two laws with a contender that is not here."""
    return [
        Round(
            scenarios.law(ratio),
            0.021,
            (
                line(OURS, latency=0.02 * ratio),
                line("PyMySQL, in the handler", failed=ratio),
                Line("mysqlclient, module", reason="No module named 'MySQLdb'"),
            ),
        )
        for ratio in (2, 5)
    ]


def test_the_markdown_has_every_contender_its_errors_and_what_was_missed() -> None:
    """Whoever is not here is named with the reason, in a table that is one."""
    each = [*rounds(), Round(HEADLINE, 0.02, (line(OURS, failed=1),))]
    pairs = [("2x", [Pair("a", 1, 2)])]
    text = report.markdown("mysql", "Somewhere.", each, targets(each), pairs, "laws.png")
    assert "](laws.png)" in text
    assert "not here: No module named 'MySQLdb'" in text
    assert "- PyMySQL, in the handler: 5 OperationalError 1040" in text
    assert "- headline: no errors, slsmysql, module: 1 of 1000" in text
    assert "| 2x | 1 / 2 |" in text
    widths = {
        row.count("|")
        for row in text.splitlines()
        if row.startswith(("| slsmysql, module", "| mysqlclient"))
    }
    assert widths == {len(report.COLUMNS) + 2}


def test_figures_take_their_servers_place_in_a_page_and_leave_the_rest(tmp_path: Path) -> None:
    """What is between a server's marks is replaced, however often."""
    page = tmp_path / "page.md"
    page.write_text(
        "a\n<!-- mysql: begin -->\nold\n<!-- mysql: end -->\nb\n"
        "<!-- mariadb: begin -->\nkept\n<!-- mariadb: end -->\n"
    )
    for text in ("first\n", "new \\1\n"):
        report.insert(page, "mysql", text)
    assert page.read_text() == (
        "a\n<!-- mysql: begin -->\n\nnew \\1\n\n<!-- mysql: end -->\nb\n"
        "<!-- mariadb: begin -->\nkept\n<!-- mariadb: end -->\n"
    )
    page.write_text("nothing")
    with pytest.raises(ValueError, match="mysql"):
        report.insert(page, "mysql", "x")


def test_the_page_of_the_documentation_has_a_place_for_each_server() -> None:
    """`--docs` finds what it is to replace."""
    page = (Path(__file__).parents[2] / "docs" / "fleet.md").read_text(encoding="utf-8")
    for kind in ("mariadb", "mysql"):
        assert page.count(f"<!-- {kind}: begin -->") == page.count(f"<!-- {kind}: end -->") == 1


def test_laws_are_drawn_if_there_are_any(tmp_path: Path) -> None:
    """A figure of two sizes is one, and of none there is none."""
    path = tmp_path / "laws.png"
    assert report.draw("mysql", rounds(), path)
    assert path.stat().st_size > 10_000
    assert not report.draw("mysql", [Round(HEADLINE, 0.02, (line(OURS),))], path)


# -- beside the simulator --------------------------------------------------------------------------


def test_the_simulator_plays_the_scenario_that_the_emulator_played() -> None:
    """As many containers as there are connect, and none is refused where all find room."""
    roomy = replace(scenarios.law(2), connections=400, rate=0)
    got = {pair.what: pair.simulator for pair in compare(roomy, 0.02, line(OURS), seed=1)}
    assert (got["failed"], got["refused"], got["connects"]) == (0, 0, roomy.containers)


# -- containers ------------------------------------------------------------------------------------


def test_a_wrapped_error_keeps_the_drivers_number() -> None:
    """SQLAlchemy's exceptions have the driver's as ``orig``, and a text as their argument."""
    error = Exception("(OperationalError) (1040, 'Too many connections')")
    assert describe(error)["errno"] is None
    error.orig = Exception(1040, "Too many connections")  # type: ignore[attr-defined]
    assert describe(error)["errno"] == 1040


# -- containers that are another program -----------------------------------------------------------


def run(contender: Contender, fleet: Fleet, arrivals: Arrivals, log: Path) -> Platform:
    """Play arrivals to a fleet that asks no server."""

    async def play(platform: Platform) -> None:
        await platform.warm_up()
        await platform.run(arrivals)

    with log.open("wb") as file, Zygote(file, contender) as zygote:
        platform = Platform(fleet, contender, zygote)
        asyncio.run(play(platform))
    return platform


@pytest.mark.parametrize("spares", [0, 3])
def test_another_program_can_be_a_container(tmp_path: Path, spares: int) -> None:
    """It gets its socket as descriptor 3, whether it starts before the run or in it."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    contender = Contender(
        "other", Path("handler"), {}, (sys.executable, str(program)), preload=("one", "two")
    )
    fleet = Fleet(containers=2, spares=spares)
    platform = run(contender, fleet, Arrivals((0.0, 0.0, 0.0, 0.1)), tmp_path / "log")
    assert [each.failure for each in platform.invocations] == [None] * 4
    assert {each.handler for each in platform.invocations} == {0.5}
    assert platform.started == 2


@pytest.mark.parametrize("preload", [(), ("wave",)])
def test_a_snapshot_has_its_modules_loaded(tmp_path: Path, preload: tuple[str, ...]) -> None:
    """A preloaded module is there before the handler is loaded, and only then."""
    handler = tmp_path / "handler.py"
    handler.write_text(
        "import sys\nloaded = 'wave' in sys.modules\ndef handler(*_):\n    1 / loaded\n"
    )
    fleet = Fleet(containers=1, spares=1)
    contender = Contender("x", handler, preload=preload)
    platform = run(contender, fleet, Arrivals((0.0,)), tmp_path / "log")
    failures: Mapping[str, int] = {
        each.failure.kind: 1 for each in platform.invocations if each.failure
    }
    assert failures == ({} if preload else {"ZeroDivisionError": 1})
