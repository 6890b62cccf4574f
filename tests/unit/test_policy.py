"""What to do about a load: monotone, bounded, and never at the cost of somebody else's session."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from slsmysql import policy
from slsmysql.policy import Load, Thread
from slsmysql.settings import Settings

#: A loaded machine is no failure.
unhurried = settings(deadline=None)

CHANCES = st.floats(0, 1, exclude_max=True)
LIMITS = st.integers(1, 100_000)


@st.composite
def any_settings(draw: st.DrawFn, /, **fixed: Any) -> Settings:
    """Draw settings of which some are given."""
    least = draw(st.floats(0, 200))
    drawn = {
        "conn_utilization": draw(st.floats(0.01, 1)),
        "zombie_min_timeout": least,
        "zombie_max_timeout": draw(st.floats(max(least, 0.1), 2000)),
        "lease": draw(st.integers(1, 2000)),
        "reap": draw(st.sampled_from(["user", "fleet"])),
    }
    return Settings(**{**drawn, **fixed})


@st.composite
def two_loads(draw: st.DrawFn) -> tuple[Load, Load]:
    """Draw two loads of which the second is at least as high: more used, or fewer allowed."""
    limit = draw(LIMITS)
    used = draw(st.integers(0, 2 * limit))
    more = draw(st.integers(used, 2 * limit + 1))
    fewer = draw(st.integers(1, limit))
    return Load(used, limit), Load(more, fewer)


# -- reading ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Uptime: 5  Threads: 17  Questions: 3  Slow queries: 0  Open tables: 19",
        "Uptime: 5  Threads: 17  Questions: 3  Slow queries: 0  Opens: 16  Queries per second: 1",
    ],
)
def test_threads_are_in_the_statistics(text: str) -> None:
    """The count is read from the texts of both servers."""
    assert policy.threads(text) == 17


@unhurried
@given(st.text())
def test_statistics_without_a_count_are_refused(text: str) -> None:
    """A text that tells no count raises, and what does raise is a ValueError."""
    if "Threads: " not in text:
        with pytest.raises(ValueError, match="no thread count"):
            policy.threads(text)


@unhurried
@given(used=st.integers(0, 1000), limit=st.integers(-1, 1000))
def test_utilization_is_the_used_share(used: int, limit: int) -> None:
    """Without room everything is used."""
    load = Load(used, limit)
    assert load.utilization == (used / limit if limit > 0 else 1.0)


@unhurried
@given(st.integers(0, 200), LIMITS, st.integers(0, 200), LIMITS)
def test_the_tighter_limit_counts(used: int, limit: int, ours: int, account: int) -> None:
    """Of the server's and the account's load that one counts which is nearer to its limit."""
    server, own = Load(used, limit), Load(ours, account)
    assert policy.tighter(server, None) is server
    chosen = policy.tighter(server, own)
    assert chosen in {server, own}
    assert chosen.utilization == max(server.utilization, own.utilization)


# -- the threshold ---------------------------------------------------------------------------------


@unhurried
@given(two_loads(), any_settings())
def test_giving_up_grows_with_the_load(loads: tuple[Load, Load], settings: Settings) -> None:
    """Who gives its session up at a load gives it up at any higher one."""
    lower, higher = loads
    assert policy.gives_up(lower, settings) <= policy.gives_up(higher, settings)


@unhurried
@given(LIMITS, any_settings())
def test_giving_up_begins_above_the_threshold(limit: int, settings: Settings) -> None:
    """Nobody goes at the threshold, and everybody above it."""
    threshold = math.floor(settings.conn_utilization * limit)
    assert not policy.gives_up(Load(threshold, limit), settings)
    assert policy.gives_up(Load(threshold + 2, limit), settings)


@unhurried
@given(two_loads(), any_settings())
def test_the_excess_grows_with_the_load(loads: tuple[Load, Load], settings: Settings) -> None:
    """More used or fewer allowed is never less excess, which is never more than what is used."""
    lower, higher = (policy.excess(load, settings) for load in loads)
    assert 0 <= lower <= higher <= loads[1].used


@pytest.mark.parametrize(
    ("used", "limit", "share", "excess"),
    [(72, 90, 0.8, 0), (73, 90, 0.8, 1), (29, 100, 0.29, 0), (7, 10, 0.7, 0), (8, 10, 0.75, 1)],
)
def test_the_excess_is_counted_in_whole_connections(
    used: int, limit: int, share: float, excess: int
) -> None:
    """A share that binary fractions cannot say exactly is not one connection less."""
    assert policy.excess(Load(used, limit), Settings(conn_utilization=share)) == excess


# -- looks -----------------------------------------------------------------------------------------


@unhurried
@given(two_loads(), any_settings(), CHANCES)
def test_the_interval_shrinks_with_the_load(
    loads: tuple[Load, Load], settings: Settings, chance: float
) -> None:
    """The fuller the server the sooner the next look, within bounds."""
    lower, higher = (policy.interval(load, settings, chance) for load in loads)
    assert 0 <= higher <= lower < 1.5 * policy.LONGEST_INTERVAL


@unhurried
@given(LIMITS, any_settings(), CHANCES)
def test_the_interval_is_jittered(limit: int, settings: Settings, chance: float) -> None:
    """Containers that began together do not look together: half to one and a half of the mean."""
    middle = policy.interval(Load(0, limit), settings, 0.5)
    assert policy.interval(Load(0, limit), settings, chance) == pytest.approx(
        middle * (0.5 + chance)
    )
    assert middle == pytest.approx(policy.LONGEST_INTERVAL)


@unhurried
@given(two_loads(), st.floats(0, 100), CHANCES)
def test_a_fixed_interval_is_the_users(
    loads: tuple[Load, Load], seconds: float, chance: float
) -> None:
    """``used_conns_freq`` is taken as it is, at any load."""
    settings = Settings(used_conns_freq=seconds)
    assert {policy.interval(load, settings, chance) for load in loads} == {seconds}


# -- leases ----------------------------------------------------------------------------------------


@unhurried
@given(two_loads(), any_settings())
@example((Load(60, 100), Load(90, 100)), Settings(zombie_min_timeout=120))
def test_the_lease_never_grows_with_the_load(loads: tuple[Load, Load], settings: Settings) -> None:
    """The fuller the server the shorter a session may sleep, and never for longer than asked."""
    lower, higher = (policy.lease(load, settings) for load in loads)
    unknown = policy.lease(None, settings)
    assert lower is not None
    assert higher is not None
    assert 1 <= higher <= lower <= (unknown or 0) == settings.lease


@unhurried
@given(two_loads(), any_settings())
def test_a_lease_ends_no_session_that_is_no_zombie_yet(
    loads: tuple[Load, Load], settings: Settings
) -> None:
    """No lease is shorter than ``zombie_min_timeout``, unless the user's own is."""
    for load in loads:
        lease = policy.lease(load, settings)
        assert lease is not None
        assert lease >= min(settings.zombie_min_timeout, settings.lease or 0)


@unhurried
@given(two_loads())
def test_without_a_lease_the_servers_own_is_left(loads: tuple[Load, Load]) -> None:
    """``lease=None`` means that no wait_timeout is set, at any load."""
    settings = Settings(lease=None)
    assert {policy.lease(load, settings) for load in (*loads, None)} == {None}
    with pytest.raises(ValueError, match="no lease"):
        policy.lease_expression(1, settings)


def test_the_default_leases() -> None:
    """A function's longest life when there is room, a minute when it is busy, seconds when full."""
    settings = Settings()
    leases = [policy.lease(Load(used, 100), settings) for used in (0, 49, 50, 79, 80, 100, 200)]
    assert leases == [900, 900, 60, 60, 5, 5, 5]


# -- zombies ---------------------------------------------------------------------------------------

USERS = st.sampled_from(["app", "app2", "root", "event_scheduler", "system user"])
COMMANDS = st.sampled_from(
    ["Sleep", "Query", "Daemon", "Binlog Dump", "Killed", "Connect", "Execute"]
)
THREADS = st.lists(
    st.builds(Thread, st.integers(1, 60), USERS, COMMANDS, st.integers(-1, 5000), st.booleans()),
    unique_by=lambda row: row.id,
)


OWN_ASLEEP = [Thread(1, "app", "Sleep", 5000), Thread(2, "app", "Sleep", 5000)]


@example(OWN_ASLEEP, 1, frozenset(), True, Settings())
@unhurried
@given(
    THREADS, st.integers(1, 60), st.frozensets(st.integers(1, 60)), st.booleans(), any_settings()
)
def test_only_ones_own_sleepers_are_zombies(
    rows: list[Thread],
    own_id: int,
    spared: frozenset[int],
    sees_transactions: bool,
    settings: Settings,
) -> None:
    """Never oneself, another account's, one that works or is spared, nor one that slept less."""
    found = policy.zombies(
        rows,
        own_id=own_id,
        user="app",
        spared=spared,
        sees_transactions=sees_transactions,
        settings=settings,
    )
    timeout = settings.zombie_min_timeout if sees_transactions else settings.zombie_max_timeout
    for row in found:
        assert row in rows
        assert row.id != own_id
        assert row.id not in spared
        assert (row.user, row.command) == ("app", "Sleep")
        assert row.time >= timeout
        assert row.mine or settings.reap == "user"
    # And nothing that it might have taken is left out.
    left = [row for row in rows if row not in found]
    assert not [
        row
        for row in left
        if (row.user, row.command) == ("app", "Sleep")
        and row.id not in {own_id, *spared}
        and row.time >= timeout
        and (row.mine or settings.reap == "user")
    ]
    assert [row.time for row in found] == sorted((row.time for row in found), reverse=True)


@unhurried
@given(THREADS, any_settings())
def test_who_sees_less_kills_less(rows: list[Thread], settings: Settings) -> None:
    """Where transactions cannot be seen only a part of the zombies is taken."""

    def found(*, sees_transactions: bool) -> set[Thread]:
        return set(
            policy.zombies(
                rows,
                own_id=1,
                user="app",
                spared=(),
                sees_transactions=sees_transactions,
                settings=settings,
            )
        )

    assert found(sees_transactions=False) <= found(sees_transactions=True)


ASLEEP = Thread(7, "app", "Sleep", 100)


@pytest.mark.parametrize(
    ("row", "still"),
    [
        (ASLEEP, True),
        (ASLEEP._replace(time=101), True),
        (ASLEEP._replace(mine=False), True),
        (None, False),
        (ASLEEP._replace(time=99), False),
        (ASLEEP._replace(time=0), False),
        (ASLEEP._replace(command="Query"), False),
        (ASLEEP._replace(command="Killed"), False),
        (ASLEEP._replace(user="other"), False),
        (ASLEEP._replace(id=8), False),
    ],
)
def test_a_zombie_is_looked_at_again(row: Thread | None, still: bool) -> None:
    """Only the same sleep of the same session is still what it was when the list was read."""
    assert policy.still_zombie(row, ASLEEP) is still


# -- retries ---------------------------------------------------------------------------------------

#: What is worth another try: always, never, or only where the address has answered before.
RETRIES = {
    1040: True,  # too many connections
    1203: True,  # max_user_connections
    1041: True,  # out of memory
    1135: True,  # cannot create a thread
    1129: False,  # host blocked: more tries are what caused it
    1045: False,  # access denied
    1044: False,  # access denied to the database
    1049: False,  # unknown database
    1043: True,  # bad hand-shake
    2012: True,  # error in the server's hand-shake
    2026: False,  # TLS: the next server's certificate is no better
    2002: None,  # no such socket
    2003: None,  # refused, timed out
    2005: None,  # unknown host
    2013: True,  # lost during the hand-shake
    2055: True,  # lost during the hand-shake
    1053: True,  # shutting down
    1080: True,  # forcing close
    3032: True,  # offline mode
    3168: True,  # not available
    4031: True,  # timed out in the set-up
    1927: True,  # killed in the set-up (MariaDB)
    3169: True,  # killed in the set-up (MySQL)
    2006: True,  # gone in the set-up
    3024: False,  # a statement's time-out: not a full server
    1969: False,
    1317: False,  # a killed statement
    1205: False,
    1213: False,
    1614: False,
    3101: False,
    1290: False,
    1836: False,
    1792: False,
    9501: False,  # a proxy has waited for a connection already
    9001: False,
    1180: False,
    1105: False,
    1146: False,
    0: False,
}


@pytest.mark.parametrize(("errno", "worth"), RETRIES.items())
def test_what_is_worth_another_try(errno: int, worth: bool | None) -> None:
    """Each errno of the table of facts: what passes always, what is wrong never."""
    for answered in (False, True):
        expected = answered if worth is None else worth
        assert policy.retry_connect(errno, "(x)", answered_before=answered) is expected


@pytest.mark.parametrize(
    ("message", "worth"),
    [
        ("User 'a' has exceeded the 'max_user_connections' resource (current value: 5)", True),
        ("User 'a' has exceeded the 'max_connections_per_hour' resource (current value: 5)", False),
        ("User 'a' has exceeded the 'max_questions' resource (current value: 5)", False),
    ],
)
def test_of_the_accounts_limits_only_one_passes(message: str, worth: bool) -> None:
    """1226 for connections at a time passes; for connections an hour no budget is long enough."""
    assert policy.retry_connect(1226, message, answered_before=True) is worth
    assert policy.is_full(1226, message) is worth


@pytest.mark.parametrize(
    ("message", "worth"),
    [("WSREP has not yet prepared node for application use", True), ("Unknown command", False)],
)
def test_a_galera_node_becomes_ready(message: str, worth: bool) -> None:
    """1047 says two things, of which one passes."""
    assert policy.retry_connect(1047, message, answered_before=True) is worth


@pytest.mark.parametrize("errno", [1043, 2012])
def test_a_broken_handshake_is_repeated_a_few_times(errno: int) -> None:
    """More would have the server block the host (max_connect_errors)."""
    tries = [
        policy.retry_connect(errno, "", answered_before=True, retries=retries)
        for retries in range(6)
    ]
    assert tries == [True] * policy.FEW_RETRIES + [False] * (6 - policy.FEW_RETRIES)


@unhurried
@given(st.integers(0, 10_000), st.text(), st.booleans(), st.integers(0, 100))
def test_any_errno_has_an_answer(errno: int, message: str, answered: bool, retries: int) -> None:
    """What says that the server is full is worth another try, for as long as there is time."""
    worth = policy.retry_connect(errno, message, answered_before=answered, retries=retries)
    assert isinstance(worth, bool)
    if policy.is_full(errno, message):
        assert worth
    if policy.is_denied(errno) or (policy.is_unreachable(errno) and not answered):
        assert not worth


@pytest.mark.parametrize(
    ("errno", "full", "accounts"),
    [(1040, True, False), (1203, True, True), (1045, False, False), (2003, False, False)],
)
def test_what_a_refusal_says_of_the_load(errno: int, full: bool, accounts: bool) -> None:
    """A refusal for want of a connection is a reading of 100 %, of the server or of the account."""
    assert policy.is_full(errno, "") is full
    assert policy.is_accounts(errno) is accounts


@unhurried
@given(st.integers(0, 10_000), st.floats(0, 60), CHANCES)
def test_an_exhausted_server_is_left_alone(errno: int, delay: float, chance: float) -> None:
    """After "out of memory" the wait is a second on average, spread; after others as it was."""
    for exhausted in (1041, 1135):
        wait = policy.wait_after(exhausted, delay, chance)
        assert wait >= max(delay, policy.LONG_WAIT / 2)
        assert wait <= max(delay, policy.LONG_WAIT * 1.5)
    if errno not in {1041, 1135}:
        assert policy.wait_after(errno, delay, chance) == delay
