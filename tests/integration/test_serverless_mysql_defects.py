"""The defects of serverless-mysql 2.1 that only a server shows, each by its number, and not here.

They were found by reading its `index.js`; the numbers are those of the list in the issue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import slsmysql
from slsmysql import policy
from slsmysql.constants import ER
from slsmysql.err import InterfaceError, OperationalError, OutcomeUnknownError
from slsmysql.events import Event
from tests.fix_servers import Connect
from tests.integration.conftest import Clock, ids, rows, run
from tests.proxy import Proxy, answer, connecting, error_packet, fin, freeze, reply, request
from tests.servers import Account, Server

Connection = slsmysql.Connection
Numbers = Callable[[], list[Any]]
Fill = Callable[..., list[Any]]

DEADLOCK = error_packet(1213, "Deadlock found when trying to get lock", "40001", 1)
TOO_MANY = error_packet(1040, "Too many connections", "08004")

ROOM, THRESHOLD = 20, 16


@pytest.fixture
def crowded(proxy: Proxy, lab: Server, clock: Clock, through: Connect) -> Connect:
    """Connect to a server with little room as an account with PROCESS; every boundary looks."""
    lab.sql(f"SET GLOBAL max_connections={ROOM}")
    proxy.server = (lab.host, lab.port)
    clock.random.share = 0.999
    clock.on_sleep = lambda seconds: lab.sql(f"SELECT SLEEP({seconds})")

    def crowded(account: Account = lab.boss, **overrides: Any) -> Connection:
        who = {"user": account.user, "password": account.password, "database": "test"}
        how = {"looks": True, "used_conns_freq": 0, "zombie_min_timeout": 0}
        return through(**{**who, **how, **overrides})

    return crowded


def boundary(connection: Connection) -> None:
    """Bring a connection to a boundary."""
    rows(connection, "SELECT 1")
    connection.commit()


def test_defect_1_the_limit_of_an_account_is_compared_with_its_own_sessions(
    crowded: Connect, lab: Server, fill: Fill, events: list[Event]
) -> None:
    """There the per-user mode never filters; here others' sessions are not counted in it."""
    lab.sql(
        "SET GLOBAL max_connections=151",
        "DROP USER IF EXISTS ten",
        "CREATE USER ten IDENTIFIED BY 'ten-secret' WITH MAX_USER_CONNECTIONS 10",
        "GRANT ALL ON test.* TO ten",
    )
    ten = Account("ten", "ten-secret")
    # The first login of an account on MySQL needs a socket.
    lab.private.log_in(ten).close()
    fill(30)
    fill(6, ten)
    boundary(crowded(ten))
    assert {(event.used, event.limit) for event in events if event.name == "look"} == {(7, 10)}


def test_defect_2_the_event_scheduler_makes_no_zombie_unreachable(
    crowded: Connect, lab: Server, fill: Fill
) -> None:
    """There the age of a daemon, as old as the server, is taken for the time-out of sleepers."""
    lab.sql("SET GLOBAL event_scheduler=ON")
    daemon = "SELECT 1 FROM information_schema.PROCESSLIST WHERE USER = 'event_scheduler'"
    while not lab.sql(daemon):
        pass
    connection = crowded()
    fill(THRESHOLD + 1, lab.boss)
    boundary(connection)
    assert 2 <= connection.stats().kills <= 3  # MariaDB's scheduler is a connection of its own
    assert lab.sql(daemon)
    if lab.kind == "mariadb":
        lab.sql("SET GLOBAL event_scheduler=OFF")


def test_defect_3_a_write_whose_answer_was_lost_is_not_sent_again(
    through: Connect, proxy: Proxy, table: Numbers
) -> None:
    """There it is run again, for ever while the server hangs up."""
    connection = through(autocommit=True)
    proxy.when(answer("INSERT"), fin, times=None)
    with proxy.counting() as counted, pytest.raises(OutcomeUnknownError):
        run(connection, "INSERT INTO t VALUES (1)")
    assert counted.statements.count("INSERT INTO t VALUES (1)") == 1
    assert table() == [1]


def test_defect_4_a_transaction_is_never_continued_in_another_session(
    through: Connect, proxy: Proxy, table: Numbers
) -> None:
    """There the second half runs in autocommit on a new one, and commit() succeeds."""
    connection = through()
    run(connection, "INSERT INTO t VALUES (1)")
    proxy.when(request("(2)"), fin)
    for n in (2, 3):
        with pytest.raises(slsmysql.Error):
            run(connection, f"INSERT INTO t VALUES ({n})")
    with pytest.raises(InterfaceError):
        connection.commit()
    assert table() == []


def test_defect_5_a_deadlock_in_a_transaction_is_no_partial_commit(
    through: Connect, proxy: Proxy, table: Numbers, clock: Clock
) -> None:
    """There only the failed statement is run again; here all of it, or nothing."""
    connection = through(query_retries=5)
    proxy.when(request("(2)"), reply(DEADLOCK, close=False), times=2)
    with pytest.raises(OperationalError):
        run(connection, "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)")
    connection.rollback()  # what the server did when it said so
    assert table() == []
    connection.run_transaction(
        lambda connection: run(connection, "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)")
    )
    assert table() == [1, 2]


@pytest.mark.parametrize("backoff", ["full", "decorrelated"])
def test_defect_6_the_waits_between_retries_of_a_statement_grow_and_differ(
    through: Connect, proxy: Proxy, table: Numbers, clock: Clock, backoff: str
) -> None:
    """There they are 0 to 2 ms, or 1 ms, always."""

    def waits(share: float) -> list[float]:
        clock.random.share = share
        clock.slept.clear()
        connection = through(
            autocommit=True, query_retries=6, backoff=backoff, backoff_base=0.01, backoff_cap=5
        )
        proxy.when(request("INSERT"), reply(DEADLOCK, close=False), times=6)
        run(connection, "INSERT IGNORE INTO t VALUES (1)")
        return list(clock.slept)

    short, long = waits(0.2), waits(0.8)
    assert len(short) == len(long) == 6
    assert long == sorted(long)
    assert long[-1] > 10 * long[0]
    assert all(a < b for a, b in zip(short, long, strict=True))


def test_defect_7_a_budget_that_was_used_up_is_there_again(
    through: Connect, proxy: Proxy, clock: Clock
) -> None:
    """There a container that ran out of retries once fails at the first error ever after."""
    proxy.when(connecting(), reply(TOO_MANY), times=None)
    tries = []
    for _ in range(3):
        clock.slept.clear()
        with pytest.raises(OperationalError):
            through(max_retries=7)
        tries.append(len(clock.slept))
    assert tries == [7, 7, 7]


@pytest.mark.parametrize(
    ("says", "errno"),
    [
        (TOO_MANY, 1040),
        (error_packet(1129, "Host is blocked"), 1129),
        (error_packet(1041, "Out of resources"), 1041),
    ],
)
def test_defect_8_an_error_keeps_its_number(
    through: Connect, proxy: Proxy, clock: Clock, says: bytes, errno: int
) -> None:
    """There every failed connect is an Error without a code; here it can be told which."""
    proxy.when(connecting(), reply(says), times=None)
    with pytest.raises(OperationalError) as caught:
        through(max_retries=2)
    assert caught.value.args[0] == errno


def test_defect_9_reaping_is_bounded_and_spares_transactions(
    crowded: Connect, lab: Server, fill: Fill
) -> None:
    """There every sleeper of the user is killed at once, whatever it holds."""
    lab.sql(
        "SET GLOBAL max_connections=40",
        "DROP TABLE IF EXISTS test.w",
        "CREATE TABLE test.w (n INT PRIMARY KEY) ENGINE=InnoDB",
    )
    connection = crowded(conn_utilization=0.1)
    busy = fill(5, lab.boss)
    for number, each in enumerate(busy):
        each.cursor().execute("INSERT INTO w VALUES (%s)", (number,))
    fill(25, lab.boss)
    boundary(connection)
    assert connection.stats().kills == policy.MOST_KILLS
    assert {each.thread_id() for each in busy} <= ids(lab)


@pytest.mark.parametrize("server", ["mariadb"], indirect=True)  # a second each
def test_defect_10_a_time_out_of_a_statement_is_no_full_server(
    through: Connect, proxy: Proxy, clock: Clock
) -> None:
    """There a query that takes too long makes connect wait and try again."""
    connection = through(autocommit=True, read_timeout=1)
    proxy.when(answer("SELECT 5"), freeze)
    with proxy.counting() as counted, pytest.raises(OperationalError) as caught:
        rows(connection, "SELECT 5")
    assert caught.value.args[0] != ER.CON_COUNT_ERROR
    assert counted.statements.count("SELECT 5") == 1
    assert clock.slept == []
    assert connection.stats().refused == 0


def test_defect_11_who_never_closes_is_managed_too(
    crowded: Connect, lab: Server, fill: Fill, clock: Clock
) -> None:
    """There only end() checks anything; here a lease is set at once, and every boundary looks."""
    fill(THRESHOLD + 1, lab.app)
    clock.random.share = 0.0
    connection = crowded(lab.app, reap="off", autocommit=True)
    assert connection.stats().given_up == 0
    rows(connection, "SELECT 1")  # the cursor's close
    assert connection.stats().given_up == 1
    clock.random.share = 0.999
    other = crowded(lab.app, reap="off")
    assert rows(other, "SELECT @@SESSION.wait_timeout") == [(policy.PRESSED_LEASE,)]


def test_defect_12_without_process_all_connections_are_counted(
    crowded: Connect, lab: Server, fill: Fill, events: list[Event]
) -> None:
    """There an account without PROCESS sees its own sessions and takes the server for empty."""
    connection = crowded(lab.app)
    fill(THRESHOLD, lab.boss)
    boundary(connection)
    (look,) = {(event.used, event.limit) for event in events if event.name == "look"}
    assert look == (THRESHOLD + 1, ROOM)


def test_defect_13_a_limit_per_hour_is_not_retried_and_a_lack_of_memory_not_at_once(
    through: Connect, proxy: Proxy, clock: Clock
) -> None:
    """There 1226 is tried again whatever the limit is, and ER_OUT_OF_RESOURCES after 2 ms."""
    hourly = "User 'app' has exceeded the 'max_connections_per_hour' resource (current value: 1)"
    proxy.when(connecting(), reply(error_packet(1226, hourly, "42000")))
    with pytest.raises(OperationalError) as caught:
        through()
    assert caught.value.args[0] == ER.USER_LIMIT_REACHED
    assert clock.slept == []
    proxy.when(connecting(), reply(error_packet(1041, "Out of resources")))
    through()
    assert clock.slept
    assert clock.slept[0] >= 0.5
