"""Units of work by the thousand, each under a fault: what is told is what is there.

The numbers of units add up to 20 000 faulted ones on two servers and two back ends, the weather's
not counted. `python -m tests.faults` does a million.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slsmysql.err import OperationalError, OutcomeUnknownError
from slsmysql.lifecycle import Lifecycle
from tests.faults import points, worker
from tests.faults.campaign import Task, at_points_of, cuts, freezes, measured, portions
from tests.faults.ledger import ATTEMPTS, Book
from tests.faults.points import HOW, TOWARD, WHEN, Fault, Size
from tests.faults.processes import Job, Pool
from tests.faults.rig import Rig, Site
from tests.faults.weather import SCENES, Weather
from tests.faults.worker import LIVES, Worker
from tests.faults.workloads import WORKLOADS, Workload, expect
from tests.fix_servers import Backend
from tests.proxy import connecting, freeze, request, rst
from tests.servers import KINDS, Kind

#: Faulted units at points, for each server and back end, and how many of them with TLS.
POINTS, POINTS_IN_TLS = 4300, 50

#: Units that freeze.
FREEZES = 40

#: A life is cut at every so manieth byte, without TLS and with.
EVERY, EVERY_IN_TLS = 10, 100

#: Faulted units in which the broken package must be caught.
CAUGHT_IN = 400

#: The seed of all but Hypothesis: the same faults in each run, so that a failure can be repeated.
SEED = "ci"

#: What the package does.
failed = Lifecycle._failed

#: Chances are whole numbers out of this many.
WHOLE = 10_000


def told_right(futures: Iterable[Future[Book]]) -> Book:
    """Return all that was told, after a look at whether it is right."""
    book = Book()
    for future in futures:
        book.add(future.result())
    assert book.violations == []
    return book


def test_faults_at_points(pool: Pool, site: Site, backend: Backend) -> None:
    """Wherever a unit of work is struck, it is there as told, whole and once."""
    task = Task(site, backend, SEED)
    jobs = [
        freezes(task, FREEZES),
        *portions(task, POINTS - POINTS_IN_TLS),
        *portions(task._replace(tls=True), POINTS_IN_TLS),
    ]
    book = told_right(pool.begin(jobs))
    assert book.faulted >= POINTS + FREEZES
    assert set(book.faults) == points.NAMES
    assert book.unknown_there > 0
    assert book.unknown_not_there > 0


@pytest.mark.parametrize("tls", [False, True])
def test_cut_at_bytes_of_a_whole_life(
    pool: Pool, site: Site, backend: Backend, *, tls: bool
) -> None:
    """From connect to close, a connection can be cut at any byte."""
    every = EVERY_IN_TLS if tls else EVERY
    task = Task(site, backend, SEED, tls)
    size = pool.submit(Job(measured, (task,))).result()
    book = told_right(pool.begin(cuts(task, size, every)))
    assert len(book.faults) == len(HOW)
    # As many lives as there are bytes in one of them, by a low estimate.
    assert book.faulted >= len(HOW) * (4000 if tls else 1000) // every


# -- for a while -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weathers() -> dict[Kind, Book]:
    """What was told in each weather, on each kind of server, both at once."""

    def lap(kind: Kind) -> Book:
        book = Book()
        with Weather(kind, SEED) as weather:
            weather.lap(list(SCENES), book, lambda _what: None)
        return book

    with ThreadPoolExecutor() as threads:
        return dict(zip(KINDS, threads.map(lap, KINDS), strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_faults_for_a_while(weathers: dict[Kind, Book], kind: Kind) -> None:
    """In any weather what a fleet of programs is told is what is there, and all recover."""
    book = weathers[kind]
    assert book.violations == []
    # Whom a process's end meets in the middle of an attempt is a matter of luck.
    assert set(book.faults) >= {name for name, scene in SCENES.items() if not scene.for_one}


# -- what strikes where, by Hypothesis -------------------------------------------------------------


@st.composite
def faults(draw: st.DrawFn, workload: Workload, size: Size) -> Fault:
    """Draw a fault for a unit of work of that size."""
    toward = draw(st.sampled_from(TOWARD))
    most = size.to_server if toward == "server" else size.to_client
    byte = 1 + draw(st.integers(0, WHOLE - 1)) * most // WHOLE
    text = draw(st.sampled_from(workload.texts))
    how = draw(st.sampled_from(HOW))
    choices: list[Fault] = [
        points.Cut(toward, byte, how),
        points.CutPacket(text, draw(st.integers(0, 4)), how),
        points.Kill(text, draw(st.booleans()), draw(st.sampled_from(WHEN))),
        points.Idle(draw(st.sampled_from(points.ENDS))),
        points.Farewell(text, draw(st.sampled_from(sorted(points.FAREWELLS)))),
        points.Full(draw(st.sampled_from(points.REFUSALS)), draw(st.integers(1, 3))),
        points.Delay(toward, byte, 0.001),
    ]
    return draw(st.sampled_from(choices))


def test_any_sequence_of_faults(rig: Rig) -> None:
    """No sequence of units of work and faults that Hypothesis finds is told wrongly."""
    busy = Worker(rig, Book(), random.Random(SEED))

    @settings(deadline=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        busy.book = book = Book()
        try:
            for _ in range(data.draw(st.integers(1, 3))):
                workload = data.draw(st.sampled_from(WORKLOADS))
                begin = data.draw(st.sampled_from(LIVES))
                size = busy.size(workload, begin)
                fault = data.draw(faults(workload, size))
                second = data.draw(st.none() | faults(workload, size))
                busy.begin(begin)
                busy.unit(workload, points.Both(fault, second) if second else fault)
        finally:
            # In any case: a draw may end an example in the middle.
            rig.judge(book)
        assert book.violations == []

    check()


@pytest.mark.parametrize("turned", [False, True])
def test_an_alarm_is_armed_last(monkeypatch: pytest.MonkeyPatch, *, turned: bool) -> None:
    """It shall ring in the unit of work, and not while the other fault ends a session."""
    armed: list[str] = []
    for each in (points.Interrupt, points.Refuse):
        monkeypatch.setattr(each, "arm", lambda self, _rig: armed.append(self.name))
    pair = [points.Interrupt(0.001), points.Refuse(0.001)]
    points.Both(*(reversed(pair) if turned else pair)).arm(cast("Rig", None))
    assert armed == ["refused", "interrupted"]


def test_who_gets_no_connection_has_failed(site: Site, backend: Backend) -> None:
    """Even a careless program hears of a connect that takes too long, whatever its number."""
    pure = backend == "pure"
    with Rig.for_slsmysql(site, pure=pure, connect_timeout=1, reuse=False) as rig:
        busy = Worker(rig, book := Book(), random.Random(SEED))
        # A change of the session that is lost leaves a connection that knows it has no session.
        rig.connected(autocommit=True)
        rig.when(request("autocommit"), rst)
        with pytest.raises(OperationalError):
            rig.connected(autocommit=False)
        rig.when(connecting(), freeze)
        careless = next(each for each in WORKLOADS if each.name == "careless")
        entry, through = busy.attempt(careless, ATTEMPTS, 0, None)
        assert (entry.told, through) == ("failed", False)
        book.write(None, [entry])
        rig.disarm()
        rig.judge(book)
        assert book.violations == []


def test_a_new_connection_is_in_the_size(rig: Rig) -> None:
    """Where a unit of work connects, faults strike in its connect as well."""
    busy = Worker(rig, Book(), random.Random(SEED))
    new, kept = busy.size(WORKLOADS[0], "new"), busy.size(WORKLOADS[0], "kept")
    assert min(kept) > 0
    assert new.to_server > 2 * kept.to_server
    assert new.to_client > 2 * kept.to_client


# -- the laboratory can fail -----------------------------------------------------------------------


def send_again(self: Any, error: Any, handle: Any, sql: Any, effect: Any, unbuffered: Any) -> None:
    """Send a lost statement again, whatever is known of it."""
    if handle.alive or sql is None:
        failed(self, error, handle, sql, effect, unbuffered)
    else:
        handle.abandon()
        self._again(sql, effect, unbuffered, "lost")


def fail(self: Any, error: Any, handle: Any, sql: Any, effect: Any, unbuffered: Any) -> None:
    """Tell of a statement of which nothing is known that it failed."""
    try:
        failed(self, error, handle, sql, effect, unbuffered)
    except OutcomeUnknownError as unknown:
        raise OperationalError(*unknown.args) from None


# An alarm in the middle of a connect leaves the socket to its finalizer.
@pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning")
@pytest.mark.parametrize("site", ["mariadb"], indirect=True)  # it is not the server that is broken
@pytest.mark.parametrize(
    ("breaks", "caught"),
    [(send_again, {"doubled", "split", "counter"}), (fail, {"risen", "twice"})],
)
def test_a_broken_package_is_caught(
    monkeypatch: pytest.MonkeyPatch,
    rig: Rig,
    breaks: Callable[..., None],
    caught: set[str],
) -> None:
    """If slsmysql sent again, or said failed where it does not know, this would tell."""
    monkeypatch.setattr(Lifecycle, "_failed", breaks)
    book = at_points_of(rig, random.Random(SEED), CAUGHT_IN)
    assert {violation.wrong for violation in book.violations} >= caught


def refused(connection: Any, attempt: int, counter: int) -> None:
    """Work that never gets through."""
    raise OperationalError(1205, "Lock wait timeout exceeded")


def misled(connection: Any, attempt: int, counter: int) -> None:
    """Work whose read gives what is not so."""
    expect(1, 2)


@pytest.mark.parametrize("site", ["mariadb"], indirect=True)
@pytest.mark.parametrize(("run", "wrong"), [(refused, "stuck"), (misled, "answer")])
def test_what_only_a_worker_sees_is_told(
    monkeypatch: pytest.MonkeyPatch, rig: Rig, run: Callable[[Any, int, int], None], wrong: str
) -> None:
    """Who does not get through when the fault is over is stuck, and a wrong answer is told."""
    monkeypatch.setattr(worker, "PATIENCE", 0.0)
    book = Book()
    Worker(rig, book, random.Random(SEED)).unit(Workload(run, parts=0, moves=False))
    assert [violation.wrong for violation in book.violations] == [wrong]
