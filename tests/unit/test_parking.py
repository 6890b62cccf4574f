"""Parking: the newest of an identity comes back, the oldest of all goes, and a child speaks not."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import slsmysql
from slsmysql import err, manager
from slsmysql.connections import _after_fork_in_child
from tests.unit.fake_handle import Handle, Open, fix_connected

__all__ = ["fix_connected"]

#: A loaded machine is no failure.
unhurried = settings(deadline=None)


class Parked:
    """A session that says when it was ended."""

    server = "db:3306"

    def __init__(self, name: str = "") -> None:
        """Begin alive."""
        self.name = name
        self.ended = 0

    def end(self) -> None:
        """Say goodbye."""
        self.ended += 1


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    """Nothing is parked, before and after."""
    manager.end_parked()
    yield
    manager.end_parked()
    manager._orphans.clear()


def test_a_parked_session_comes_back_once() -> None:
    """What was parked is taken by the next of the same identity, and by no second one."""
    session = Parked()
    assert manager.park("a", session, 1)
    assert manager.parked_count() == 1
    assert manager.take("b") is None
    assert manager.take("a") is session
    assert manager.take("a") is None
    assert session.ended == 0


def test_the_one_parked_last_comes_back_first() -> None:
    """The others get older and can go."""
    sessions = [Parked() for _ in range(3)]
    for session in sessions:
        manager.park("a", session, 3)
    assert [manager.take("a") for _ in range(3)] == sessions[::-1]


def test_the_bound_is_the_processs() -> None:
    """One more than allowed, of whatever identity, ends the oldest."""
    one, other = Parked(), Parked()
    manager.park("a", one, 1)
    manager.park("b", other, 1)
    assert (one.ended, other.ended) == (1, 0)
    assert manager.take("a") is None
    assert manager.take("b") is other


def test_the_oldest_goes_first_whatever_its_identity() -> None:
    """Age is that of the session, not of the first one that was parked under its identity."""
    sessions = {name: Parked(name) for name in ("a1", "b1", "a2", "c1", "c2")}
    for name, session in sessions.items():
        manager.park(name[0], session, 3)
    assert [name for name, session in sessions.items() if session.ended] == ["a1", "b1"]


@pytest.mark.parametrize("most", [0, -1])
def test_nothing_is_parked_where_nothing_may_be(most: int) -> None:
    """With room for none the caller keeps what it has, and ends it."""
    session = Parked()
    assert not manager.park("a", session, most)
    assert manager.parked_count() == session.ended == 0


def test_a_smaller_bound_makes_room() -> None:
    """The bound of the one that parks now counts, also for what is there."""
    sessions = [Parked() for _ in range(4)]
    for session in sessions[:3]:
        manager.park("a", session, 3)
    manager.park("a", sessions[3], 2)
    assert [session.ended for session in sessions] == [1, 1, 0, 0]


def test_all_are_ended_before_a_snapshot() -> None:
    """``end_parked`` leaves nothing, and may be called again."""
    sessions = [Parked() for _ in range(3)]
    for index, session in enumerate(sessions):
        manager.park(index, session, 3)
    manager.end_parked()
    manager.end_parked()
    assert [session.ended for session in sessions] == [1, 1, 1]
    assert manager.parked_count() == 0


def test_a_child_neither_takes_nor_ends_its_parents() -> None:
    """After a fork they are kept for ever, so that no finalizer speaks on the parent's socket."""
    session = Parked()
    manager.park("a", session, 1)
    manager.orphan_parked()
    assert manager.take("a") is None
    manager.end_parked()
    assert session.ended == 0
    assert manager._orphans == [session]


def test_a_child_is_not_stopped_by_a_thread_that_it_does_not_have() -> None:
    """A lock that another thread held at the fork is not waited for."""
    lock = manager._parking
    held = threading.Thread(target=lock.acquire)
    held.start()
    held.join()
    manager.orphan_parked()
    assert manager.park("a", Parked(), 1)


def test_a_child_is_not_stopped_by_a_statement_that_it_does_not_run(connected: Open) -> None:
    """The parent's threads may be in the middle of anything: the child begins anew."""
    connection, handle = connected()
    parents = connection._lock
    connection._busy = True
    _after_fork_in_child()
    assert connection._lock is not parents
    assert connection.handle is None
    assert handle.alive  # it is the parent's
    connection.cursor().execute("DO 1")


def test_a_server_from_before_session_tracking_is_served_and_reset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it does not know is left out, from then on at once, and no session counts as clean."""
    sent: list[bytes] = []

    class Old(Handle):
        def query(self, sql: bytes) -> None:
            sent.append(sql)
            if b"session_track" in sql:
                raise err.OperationalError(1193, "Unknown system variable")

    monkeypatch.setattr("slsmysql._driver.open_handle", lambda *_, **__: Old())
    manager.forget_servers()
    for _ in range(2):
        connection = slsmysql.connect(host="memory", user="app", reuse=False)
        assert not connection._state.clean()
        connection.quit()
    assert [b"session_track" in sql for sql in sent] == [True, False, False]
    assert all(b"wait_timeout" in sql for sql in sent)
    manager.forget_servers()


def test_a_signals_handler_may_end_all_while_one_is_parked() -> None:
    """``close_all`` in a handler of SIGTERM waits for nobody, in whatever it interrupts."""
    with manager._parking:
        manager.park("a", Parked(), 2)
        manager.end_parked()
    assert manager.parked_count() == 0


def test_threads_park_and_take_together() -> None:
    """No session is lost, taken twice, or kept beyond the bound."""
    sessions = [[Parked() for _ in range(200)] for _ in range(4)]
    taken: list[Parked] = []

    def work(mine: list[Parked]) -> None:
        for session in mine:
            manager.park("a", session, 3)
            found = manager.take("a")
            if found is not None:
                taken.append(found)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    every = [session for mine in sessions for session in mine]
    left = len(every) - len(taken) - sum(session.ended for session in every)
    assert len(taken) == len(set(map(id, taken)))
    assert 0 <= left == manager.parked_count() <= 3
    assert all(session.ended + (session in taken) <= 1 for session in every)


class Parking(RuleBasedStateMachine):
    """Parking and taking in any order, beside a list that is obviously right."""

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__()
        manager.end_parked()
        self.kept: list[tuple[str, Parked]] = []
        self.most = 0

    @rule(identity=st.sampled_from("abc"), most=st.integers(0, 4))
    def park(self, identity: str, most: int) -> None:
        """Park one."""
        session = Parked(identity)
        assert manager.park(identity, session, most) is (most > 0)
        if most:
            self.kept.append((identity, session))
            gone, self.kept = self.kept[:-most], self.kept[-most:]
            assert all(old.ended == 1 for _, old in gone)

    @rule(identity=st.sampled_from("abc"))
    def take(self, identity: str) -> None:
        """Take one."""
        mine = [item for item in self.kept if item[0] == identity]
        found = manager.take(identity)
        assert found is (mine[-1][1] if mine else None)
        if mine:
            self.kept.remove(mine[-1])

    @invariant()
    def nothing_kept_is_ended(self) -> None:
        """What is kept is alive, and is what is counted."""
        assert manager.parked_count() == len(self.kept)
        assert not any(session.ended for _, session in self.kept)

    def teardown(self) -> None:
        """Leave nothing."""
        manager.end_parked()
        assert all(session.ended == 1 for _, session in self.kept)


TestParking = Parking.TestCase
TestParking.settings = unhurried


@unhurried
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 3))))
def test_never_more_than_asked_are_kept(steps: list[tuple[str, int]]) -> None:
    """After each parking there are at most as many as the one that parked allows."""
    manager.end_parked()
    for identity, most in steps:
        manager.park(identity, Parked(), most)
        assert manager.parked_count() <= most
