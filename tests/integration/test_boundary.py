"""Boundaries: when the server's load is looked at, what follows, and what nobody must notice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pymysql
import pytest

import slsmysql
from slsmysql import manager, policy
from slsmysql.cursors import SSCursor
from slsmysql.events import Event
from tests.fix_servers import Connect
from tests.integration.conftest import Clock, as_root, ids, names, rows, run, settle
from tests.proxy import (
    COM_STATISTICS,
    Action,
    Proxy,
    error_packet,
    fin,
    packet,
    reply,
    request,
    rst,
)
from tests.servers import Server

Connection = slsmysql.Connection
Fill = Callable[..., list[Any]]

LIMITS = "SELECT @@GLOBAL.max_connections, @@SESSION.max_user_connections"

#: Who is about to kill.
KILLER = "SELECT IS_USED_LOCK('slsmysql.kill')"

#: Sessions that the crowded server lets in, and above how many there is an excess (0.8).
ROOM, THRESHOLD = 20, 16


@pytest.fixture
def crowded(proxy: Proxy, lab: Server, clock: Clock, through: Connect) -> Connect:
    """Connect to a server with little room, by way of the proxy; every boundary looks.

    Nothing is given up unless the test changes the chance.
    """
    lab.sql(f"SET GLOBAL max_connections={ROOM}")
    proxy.server = (lab.host, lab.port)
    clock.random.share = 0.999
    # InnoDB's list of transactions grows old by the server's clock, not by ours.
    clock.on_sleep = lambda seconds: as_root(lab, f"SELECT SLEEP({seconds})")

    def crowded(**overrides: Any) -> Connection:
        given = {"looks": True, "database": "test", "used_conns_freq": 0, "zombie_min_timeout": 0}
        return through(**{**given, **overrides})

    return crowded


def account(lab: Server, *, boss: bool = True) -> dict[str, str]:
    """Return the keywords of an account: with PROCESS, or without."""
    chosen = lab.boss if boss else lab.app
    return {"user": chosen.user, "password": chosen.password}


# -- when ------------------------------------------------------------------------------------------


def test_a_look_is_one_round_trip_when_due_and_none_when_not(
    through: Connect, proxy: Proxy, clock: Clock
) -> None:
    """Below the threshold: COM_STATISTICS once per interval, and the limits once per 15 s."""
    connection = through(looks=True, used_conns_freq=10, max_conns_freq=15, stale_after=100)
    looks = []
    for _ in range(9):
        with proxy.counting() as counted:
            rows(connection, "SELECT 1")
            connection.commit()
        looks.append([each for each in counted.statements if each not in {"SELECT 1", "COMMIT"}])
        clock.advance(5)
    assert looks == [
        ["statistics", LIMITS],
        [],
        ["statistics"],
        [],
        ["statistics", LIMITS],
        [],
        ["statistics"],
        [],
        ["statistics", LIMITS],
    ]
    assert connection.stats().looks == 6  # with the one for the lease, when it connected


def test_the_emptier_the_server_the_rarer_the_looks(
    crowded: Connect, proxy: Proxy, clock: Clock, fill: Fill
) -> None:
    """By itself the interval shrinks from seconds to a fraction as the server fills."""
    connection = crowded(used_conns_freq=None, conn_utilization=0.8, stale_after=100)
    clock.random.share = 0.5
    waits = []
    for more in (0, 7, 7):
        fill(more)
        clock.advance(100)
        rows(connection, "SELECT 1")
        connection.commit()
        waits.append(connection._server.next_look - clock.now)
    assert 3.5 < waits[0] <= 5
    assert 1 < waits[1] < 3.5
    assert 0 < waits[2] < 1


def test_no_look_while_a_transaction_has_writes(
    through: Connect, proxy: Proxy, clock: Clock, table: Callable[[], list[Any]]
) -> None:
    """However overdue a look is, a transaction with changes goes on undisturbed."""
    connection = through(looks=True, used_conns_freq=0)
    with proxy.counting() as counted:
        run(connection, "INSERT INTO t VALUES (1)", "SELECT n FROM t")
        clock.advance(0.5)
        run(connection, "INSERT INTO t VALUES (2)")
    assert "statistics" not in counted.statements
    with proxy.counting() as counted:
        connection.commit()
    assert counted.statements[:2] == ["COMMIT", "statistics"]


def test_no_look_on_a_pinned_session(through: Connect, proxy: Proxy) -> None:
    """A session that cannot be given up is not asked how full the server is."""
    connection = through(looks=True, used_conns_freq=0, autocommit=True)
    with proxy.counting() as counted:
        run(connection, "SET @a = 5", "SELECT @a")
    assert counted.statements == ["SET @a = 5", "SELECT @a"]


@pytest.mark.parametrize("unread", ["stream", "results"])
def test_no_look_while_rows_are_unread(
    through: Connect, proxy: Proxy, server: Server, database: str, unread: str
) -> None:
    """An open result is not touched, and all of its rows are had."""
    server.sql(f"CREATE PROCEDURE {database}.p() BEGIN SELECT 1; SELECT 2; END")
    connection = through(looks=True, used_conns_freq=0, autocommit=True, database=database)
    other = connection.cursor()
    cursor = connection.cursor(SSCursor if unread == "stream" else None)
    cursor.execute("SELECT 1 UNION ALL SELECT 2" if unread == "stream" else "CALL p()")
    with proxy.counting() as counted:
        other.close()
    assert counted.statements == []
    got = list(cursor.fetchall())
    if unread == "results":
        assert cursor.nextset()
        got += cursor.fetchall()
    assert got == [(1,), (2,)]


def test_a_program_that_only_writes_in_autocommit_is_managed_too(
    through: Connect, proxy: Proxy, clock: Clock, table: Callable[[], list[Any]]
) -> None:
    """Where no boundary allows a look with statements, one comes with the ping after idling."""
    connection = through(looks=True, used_conns_freq=0, autocommit=True)
    with proxy.counting() as counted:
        run(connection, "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)")
    assert counted.statements == ["INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)"]
    clock.advance(1.5)
    with proxy.counting() as counted:
        run(connection, "INSERT INTO t VALUES (3)")
    assert counted.statements[:3] == ["ping", "statistics", LIMITS]
    assert counted.statements[-2:] == ["INSERT INTO t VALUES (3)", "statistics"]


def test_not_managed_nothing_is_sent(through: Connect, proxy: Proxy, clock: Clock) -> None:
    """With manage_conns=False there is neither a look nor a lease."""
    with proxy.counting() as counted:
        connection = through(looks=True, manage_conns=False, autocommit=False)
        for _ in range(3):
            rows(connection, "SELECT 1")
            connection.commit()
        connection.close()
    assert counted.statements == [
        "SET NAMES utf8mb4, autocommit=0",
        *["SELECT 1", "COMMIT"] * 3,
        "quit",
    ]


# -- what nobody must notice -----------------------------------------------------------------------

ASKED = {
    "FOUND_ROWS": (["SELECT SQL_CALC_FOUND_ROWS n FROM t LIMIT 1"], "SELECT FOUND_ROWS()"),
    "ROW_COUNT": (["UPDATE t SET n = n + 10"], "SELECT ROW_COUNT()"),
    "LAST_INSERT_ID": (["INSERT INTO a VALUES ()"], "SELECT LAST_INSERT_ID()"),
    "warnings": (["INSERT IGNORE INTO t VALUES (1), ('x')"], "SHOW WARNINGS"),
    "warning_count": (["SELECT 1 + 'x'"], "SELECT @@warning_count"),
    "errors": (["SELECT 1 + 'x'"], "SHOW COUNT(*) WARNINGS"),
}


@pytest.mark.parametrize(
    ("asked", "commits"),
    # After COMMIT there is no ROW_COUNT() but COMMIT's own.
    [
        (each, commits)
        for each in ASKED
        for commits in (False, True)
        if each + str(commits) != "ROW_COUNTTrue"
    ],
)
def test_a_look_changes_no_answer(
    crowded: Connect, lab: Server, fill: Fill, asked: str, *, commits: bool
) -> None:
    """With looks at every boundary of a full server all is answered as PyMySQL has it."""
    fill(ROOM - 3)
    lab.sql(
        "CREATE TABLE IF NOT EXISTS test.t (n INT PRIMARY KEY)",
        "CREATE TABLE IF NOT EXISTS test.a (n INT AUTO_INCREMENT PRIMARY KEY)",
    )
    before, question = ASKED[asked]

    def answers(connection: Any) -> list[Any]:
        lab.sql("TRUNCATE test.t", "TRUNCATE test.a", "INSERT INTO test.t VALUES (1), (2), (3)")
        said = []
        for statement in [*before, question]:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                said = cursor.fetchall()
            if commits:
                connection.commit()
        return list(said)

    connection = crowded(**account(lab))
    with pymysql.connect(**lab.params(lab.boss), ssl_disabled=True) as plain:
        expected = answers(plain)
    assert answers(connection) == expected
    assert connection.stats().looks > 0


def test_found_rows_outlive_a_commit_and_its_look(
    crowded: Connect, lab: Server, fill: Fill
) -> None:
    """A program that asks for FOUND_ROWS() is told the same behind a COMMIT, without CALC too."""
    fill(ROOM - 3)
    connection = crowded(max_conns_freq=0)
    rows(connection, "SELECT FOUND_ROWS()")
    assert len(rows(connection, "SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3")) == 3
    connection.commit()
    assert rows(connection, "SELECT FOUND_ROWS()") == [(3,)]


def test_a_look_changes_no_answer_when_the_session_is_given_up(
    crowded: Connect, lab: Server, fill: Fill, clock: Clock
) -> None:
    """LAST_INSERT_ID() is the same in the session that replaces one which was given up."""
    lab.sql("CREATE TABLE IF NOT EXISTS test.a (n INT AUTO_INCREMENT PRIMARY KEY)")
    connection = crowded(**account(lab), reap="off")
    rows(connection, "SELECT 1")
    connection.commit()
    fill(ROOM - 2)
    clock.random.share = 0.0
    run(connection, "INSERT INTO a VALUES ()")
    (((expected,),),) = [rows(connection, "SELECT LAST_INSERT_ID()")]
    connection.commit()
    assert connection.handle is None
    assert rows(connection, "SELECT LAST_INSERT_ID()") == [(expected,)]


@pytest.mark.parametrize(
    "action",
    [
        pytest.param(fin, id="cut"),
        pytest.param(rst, id="reset"),
        pytest.param(
            reply(error_packet(1047, "Unknown command", sequence=1), close=False), id="no"
        ),
        pytest.param(reply(packet(b"Uptime: 5  Slow: 0", 1), close=False), id="no count"),
    ],
)
def test_a_look_that_fails_never_reaches_the_program(
    through: Connect, proxy: Proxy, clock: Clock, action: Action
) -> None:
    """Whatever becomes of a look, the commit before it was a success, and all goes on."""
    connection = through(looks=True)
    rows(connection, "SELECT 1")
    proxy.when(request(command=COM_STATISTICS), action, times=None)
    connection.commit()
    with proxy.counting() as counted:
        assert rows(connection, "SELECT 2") == [(2,)]
        connection.commit()
        assert rows(connection, "SELECT 3") == [(3,)]
    assert counted.statements.count("statistics") <= 1  # of a new session, for its lease


def test_a_listener_that_raises_is_not_heard_of(crowded: Connect, lab: Server, fill: Fill) -> None:
    """An exception in on_event reaches the log and nobody else."""

    def listen(event: Event) -> None:
        raise ValueError(event.name)

    fill(ROOM - 3, lab.boss)
    connection = crowded(**account(lab), on_event=listen)
    rows(connection, "SELECT 1")
    connection.commit()
    assert connection.stats().kills > 0


# -- reaping ---------------------------------------------------------------------------------------


def test_zombies_are_ended_as_many_as_are_too_many(
    crowded: Connect, lab: Server, fill: Fill, events: list[Event]
) -> None:
    """Above the threshold the excess is killed and no more; our own session is not given up."""
    connection = crowded(**account(lab))
    session = connection.thread_id()
    fill(THRESHOLD + 1, lab.boss)
    rows(connection, "SELECT 1")
    connection.commit()
    assert connection.stats().kills == 2
    assert len(ids(lab)) == THRESHOLD
    assert [event.name for event in events].count("kill") == 2
    assert connection.thread_id() == session
    assert session in ids(lab)
    for _ in range(3):
        rows(connection, "SELECT 1")
        connection.commit()
    assert connection.stats().kills == 2


def test_a_reaper_holds_a_lock_from_its_reading_to_its_kill(
    crowded: Connect, lab: Server, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever wakes in between can see it, and nobody is kept waiting afterwards."""
    connection = crowded(**account(lab))
    fill(THRESHOLD + 1, lab.boss)
    holders, judge = [], policy.still_zombie

    def still_zombie(*args: Any) -> bool:
        holders.append(as_root(lab, KILLER)[0][0])
        return judge(*args)

    monkeypatch.setattr(policy, "still_zombie", still_zombie)
    rows(connection, "SELECT 1")
    connection.commit()
    assert connection.stats().kills == 2
    assert holders == [connection.thread_id()] * 2
    assert as_root(lab, KILLER) == ((None,),)


@pytest.mark.parametrize("killed", [True, False])
def test_who_wakes_lets_a_reaper_go_first(
    crowded: Connect, lab: Server, fill: Fill, clock: Clock, events: list[Event], killed: bool
) -> None:
    """Between a reaper's reading and its KILL no statement is sent, whose outcome were unknown."""
    connection = crowded(zombie_min_timeout=3, used_conns_freq=1e6, autocommit=True)
    run(connection, "DROP TABLE IF EXISTS woken", "CREATE TABLE woken (n INT)")
    session = connection.thread_id()
    (reaper,) = fill(1, lab.boss)
    with reaper.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK('slsmysql.kill', 0)")

    def finish(_seconds: float) -> None:
        if killed:
            as_root(lab, f"KILL {session}")
        reaper._force_close()
        while as_root(lab, KILLER) != ((None,),):
            pass

    clock.on_sleep = finish
    clock.advance(4)
    run(connection, "INSERT INTO woken VALUES (1)")
    assert clock.slept[:1] == [manager._SOON]
    assert rows(connection, "SELECT n FROM woken") == [(1,)]
    assert ("reopen" in names(events)) is killed
    run(connection, "DROP TABLE woken")


def test_who_has_slept_for_a_moment_waits_for_nobody(
    crowded: Connect, lab: Server, fill: Fill, clock: Clock
) -> None:
    """Nobody takes for a zombie what has not slept for ``zombie_min_timeout``."""
    connection = crowded(zombie_min_timeout=3, used_conns_freq=1e6)
    (reaper,) = fill(1, lab.boss)
    with reaper.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK('slsmysql.kill', 0)")
    clock.advance(1.9)
    assert rows(connection, "SELECT 1") == [(1,)]
    assert clock.slept == []


@pytest.mark.parametrize("server", ["mysql"], indirect=True)  # TIME can be set there
def test_the_longest_asleep_is_ended_first(crowded: Connect, lab: Server, fill: Fill) -> None:
    """Of all zombies those go that have slept for the longest time."""
    connection = crowded(**account(lab))
    sleepers = fill(THRESHOLD + 1, lab.boss)
    for seconds, sleeper in ((500, sleepers[7]), (400, sleepers[3]), (300, sleepers[5])):
        sleeper.cursor().execute(f"SET timestamp = UNIX_TIMESTAMP() - {seconds}")
    rows(connection, "SELECT 1")
    connection.commit()
    left = ids(lab)
    gone = [n for n, sleeper in enumerate(sleepers) if sleeper.thread_id() not in left]
    assert gone == [3, 7]


@pytest.mark.parametrize(
    "work", ["INSERT INTO w VALUES (%s)", "SELECT n FROM w WHERE n = 0 FOR UPDATE", "running"]
)
def test_what_holds_a_transaction_or_runs_is_spared(
    crowded: Connect, lab: Server, fill: Fill, work: str
) -> None:
    """A session with changed or locked rows is no zombie, nor is one that runs a statement."""
    lab.sql(
        "DROP TABLE IF EXISTS test.w",
        "CREATE TABLE test.w (n INT PRIMARY KEY) ENGINE=InnoDB",
        "INSERT INTO test.w VALUES (0)",
    )
    connection = crowded(**account(lab))
    busy = fill(THRESHOLD, lab.boss)
    (idle,) = fill(1, lab.boss)
    for number, each in enumerate(busy, 1):
        if work == "running":
            each._execute_command(3, "SELECT SLEEP(1000)")
        elif "FOR UPDATE" in work:
            # Each has a lock of its own: a row cannot be locked by all.
            each.cursor().execute(f"SELECT n FROM w WHERE n = {number} FOR UPDATE")
        else:
            each.cursor().execute(work, (number,))
    if work == "running":
        # All of them are at it.
        running = (
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT SLEEP%'"
        )
        while lab.sql(running) != ((THRESHOLD,),):
            pass
    rows(connection, "SELECT 1")
    connection.commit()
    assert connection.stats().kills == 1
    left = ids(lab)
    assert idle.thread_id() not in left
    assert {each.thread_id() for each in busy} <= left


def test_a_transaction_begun_a_moment_ago_is_spared(
    crowded: Connect, lab: Server, fill: Fill
) -> None:
    """InnoDB's list of transactions, old as long as somebody reads it, is not believed."""
    lab.sql("DROP TABLE IF EXISTS test.w", "CREATE TABLE test.w (n INT PRIMARY KEY)")
    connection = crowded(**account(lab))
    busy = fill(THRESHOLD + 1, lab.boss)
    lab.sql("SELECT COUNT(*) FROM information_schema.INNODB_TRX")
    for number, each in enumerate(busy):
        each.cursor().execute("INSERT INTO w VALUES (%s)", (number,))
    rows(connection, "SELECT 1")
    connection.commit()
    assert connection.stats().kills == 0


def test_sessions_of_another_account_are_left_alone(
    crowded: Connect, lab: Server, fill: Fill
) -> None:
    """Only what belongs to our account is ever ended, however full the server is."""
    connection = crowded(**account(lab))
    others = fill(THRESHOLD + 2, lab.app)
    rows(connection, "SELECT 1")
    connection.commit()
    assert connection.stats().kills == 0
    assert {each.thread_id() for each in others} <= ids(lab)


def test_young_sleepers_are_no_zombies(crowded: Connect, lab: Server, fill: Fill) -> None:
    """What has slept for less than zombie_min_timeout is left alone."""
    connection = crowded(**account(lab), zombie_min_timeout=60)
    fill(THRESHOLD + 2, lab.boss)
    rows(connection, "SELECT 1")
    connection.commit()
    assert connection.stats().kills == 0


def test_without_process_only_the_oldest_are_ended(
    crowded: Connect, lab: Server, fill: Fill, clock: Clock, events: list[Event]
) -> None:
    """Who cannot see transactions ends what zombie_max_timeout proves dead; one event tells so."""
    connection = crowded(**account(lab, boss=False), zombie_max_timeout=1, lease=None)
    fill(THRESHOLD + 2, lab.app)
    for _ in range(3):
        rows(connection, "SELECT 1")
        connection.commit()
        clock.advance(60)
    asleep = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'app' AND TIME >= 1"
    while lab.sql(asleep) < ((3,),):
        lab.sql("SELECT SLEEP(0.1)")
    connection.ping()
    settle(connection, THRESHOLD + 3)
    rows(connection, "SELECT 1")
    assert connection.stats().kills == 3
    assert [event.errno for event in events if event.name == "limited"] == [1227]
    assert [event.detail for event in events if event.name == "limited"] == ["transactions"]


@pytest.mark.parametrize("reap", ["user", "fleet", "off"])
def test_whose_zombies_are_ended(
    crowded: Connect, connect: Connect, lab: Server, fill: Fill, proxy: Proxy, reap: str
) -> None:
    """By reap: all of our account's, only those that slsmysql opened, or none."""
    connection = crowded(**account(lab), reap=reap)
    strangers = fill(THRESHOLD - 2, lab.boss)
    given = {**lab.params(lab.boss), "ssl_disabled": True}
    ours = [connect(**given) for _ in range(4)]
    with proxy.counting() as counted:
        rows(connection, "SELECT 1")
        connection.commit()
    left = ids(lab)
    dead_strangers = sum(each.thread_id() not in left for each in strangers)
    dead_ours = sum(each.thread_id() not in left for each in ours)
    if reap == "user":
        assert dead_strangers + dead_ours == 3
    elif reap == "off":
        assert dead_strangers + dead_ours == 0
        assert not any("PROCESSLIST" in statement for statement in counted.statements)
    else:
        assert dead_strangers == 0
        # MariaDB has performance_schema off: it does not tell whose they are.
        assert dead_ours == (3 if lab.kind == "mysql" else 0)


def test_many_containers_kill_no_more_than_the_excess(
    crowded: Connect, lab: Server, fill: Fill
) -> None:
    """Six that look at the same moment end no more sessions than one would, or go themselves."""
    containers = []
    for _ in range(6):
        manager.forget_servers()  # each is a process of its own
        containers.append(crowded(**account(lab)))
        rows(containers[-1], "SELECT 1")
    fill(THRESHOLD - 6 + 3, lab.boss)
    together = threading.Barrier(6)

    def commit(connection: Connection) -> None:
        together.wait()
        connection.commit()

    threads = [threading.Thread(target=commit, args=(each,)) for each in containers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kills = sum(each.stats().kills for each in containers)
    given_up = sum(each.stats().given_up for each in containers)
    assert kills <= 3
    assert kills + given_up >= 3


def test_a_thread_that_has_gone_by_itself_is_no_error(
    crowded: Connect, lab: Server, fill: Fill, proxy: Proxy
) -> None:
    """KILL of a session that has just ended (1094) is as good as done."""
    connection = crowded(**account(lab))
    fill(THRESHOLD + 1, lab.boss)
    gone = error_packet(1094, "Unknown thread id", sequence=1)
    proxy.when(request("KILL"), reply(gone, close=False), times=None)
    rows(connection, "SELECT 1")
    connection.commit()
    assert rows(connection, "SELECT 2") == [(2,)]


# -- giving up -------------------------------------------------------------------------------------


@pytest.mark.parametrize("autocommit", [False, True])
def test_a_session_is_given_up_and_taken_again_unnoticed(
    crowded: Connect,
    lab: Server,
    fill: Fill,
    clock: Clock,
    events: list[Event],
    *,
    autocommit: bool,
) -> None:
    """DORMANT: the server has a session less, the connection is open, and all is as it was set."""
    lab.sql("CREATE DATABASE IF NOT EXISTS test_other")
    connection = crowded(**account(lab), reap="off")
    connection.autocommit(autocommit)
    connection.select_db("test_other")
    connection.set_character_set("latin1")
    run(
        connection,
        "SET SESSION sql_mode = 'ANSI_QUOTES'",
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SET time_zone = '+05:00'",
        "SET lock_wait_timeout = 77",
    )
    isolation = "transaction_isolation" if lab.kind == "mysql" else "tx_isolation"
    state = (
        f"SELECT DATABASE(), @@autocommit, @@character_set_client, @@sql_mode, @@{isolation},"
        " @@time_zone, @@lock_wait_timeout"
    )
    before = rows(connection, state)
    connection.commit()
    session = connection.thread_id()
    fillers = fill(ROOM - 1)
    clock.random.share = 0.0
    rows(connection, "SELECT 1")
    connection.commit()
    assert connection.handle is None
    assert connection.open
    assert connection.get_autocommit() is autocommit
    assert connection.stats().given_up == 1
    while session in ids(lab):
        pass
    connection.commit()
    connection.rollback()
    connection.ping()
    for filler in fillers:
        filler.close()
    while len(ids(lab)) > THRESHOLD - 1:
        pass
    assert rows(connection, state) == before
    assert connection.thread_id() != session
    assert connection.encoding == "cp1252"
    assert [name for name in names(events) if name != "lease"] == ["give_up", "reopen"]


def test_a_transaction_of_reads_is_not_given_up(
    crowded: Connect, lab: Server, fill: Fill, clock: Clock
) -> None:
    """A program that never ends its reads is looked at, and keeps its session."""
    connection = crowded(**account(lab), reap="off")
    session = connection.thread_id()
    fill(ROOM - 1)
    clock.random.share = 0.0
    rows(connection, "SELECT @@max_connections FROM information_schema.SCHEMATA LIMIT 1")
    rows(connection, "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA")
    if connection.in_transaction:
        assert connection.thread_id() == session
        assert connection.handle is not None
    assert connection.stats().looks > 0


def test_a_closed_connection_gives_its_session_up_too(
    crowded: Connect, lab: Server, fill: Fill, clock: Clock
) -> None:
    """On a full server close() parks nothing."""
    connection = crowded(**account(lab), reap="off")
    fill(ROOM - 1)
    clock.random.share = 0.0
    connection.close()
    assert manager.parked_count() == 0
    assert connection.stats().given_up == 1


# -- leases ----------------------------------------------------------------------------------------


def wait_timeout(connection: Connection) -> int:
    """Return a session's wait_timeout, and have no boundary behind that."""
    handle = connection.handle
    assert handle is not None
    ((seconds,),) = connection._simple(handle, "SELECT @@SESSION.wait_timeout")
    return int(seconds)


def test_leases_shrink_under_pressure_and_grow_again(
    crowded: Connect, lab: Server, fill: Fill, proxy: Proxy, clock: Clock, events: list[Event]
) -> None:
    """One statement when the band changes, none otherwise."""
    lab.sql("CREATE TABLE IF NOT EXISTS test.r (n INT)")
    connection = crowded(**account(lab), reap="off", max_conns_freq=1000)
    seen = []
    for more in (0, 0, 9, 0, 7, 0):
        fillers = fill(more)
        with proxy.counting() as counted:
            # In a transaction of reads, which is never given up.
            rows(connection, "SELECT n FROM test.r")
        changes = sum("wait_timeout" in statement for statement in counted.statements)
        seen.append((changes, wait_timeout(connection)))
    assert seen == [(0, 900), (0, 900), (1, 60), (0, 60), (1, 5), (0, 5)]
    del fillers
    assert [event.seconds for event in events if event.name == "lease"] == [60, 5]


@pytest.mark.parametrize(("used", "lease"), [(1, 900), (11, 60), (17, 5)])
@pytest.mark.parametrize("autocommit", [False, True])
def test_the_lease_of_a_new_session(
    crowded: Connect, lab: Server, fill: Fill, used: int, lease: int, *, autocommit: bool
) -> None:
    """The fuller the server, the shorter the lease from the first moment on, if it can be known."""
    fill(used - 1)
    connection = crowded(**account(lab), autocommit=autocommit)
    # With autocommit as the server has it a connect has no round trip to spare for a look.
    assert wait_timeout(connection) == (900 if autocommit else lease)


def test_a_wait_timeout_of_the_programs_own_is_left_alone(
    crowded: Connect, lab: Server, fill: Fill, clock: Clock
) -> None:
    """Neither pressure nor a new session changes what the program has set."""
    connection = crowded(**account(lab), reap="off")
    run(connection, "SET SESSION wait_timeout = 1234")
    fillers = fill(ROOM - 1)
    clock.random.share = 0.0
    connection.commit()
    assert connection.stats().given_up == 1
    for filler in fillers:
        filler.close()
    while len(ids(lab)) > THRESHOLD - 1:
        pass
    rows(connection, "SELECT 1")
    assert wait_timeout(connection) == 1234


def test_lease_none_leaves_the_servers_wait_timeout(through: Connect, proxy: Proxy) -> None:
    """With lease=None no statement has a wait_timeout in it."""
    with proxy.counting() as counted:
        connection = through(looks=True, lease=None)
        rows(connection, "SELECT 1")
        connection.commit()
        connection.close()
    assert not any("wait_timeout" in statement for statement in counted.statements)


# -- what is counted -------------------------------------------------------------------------------


@pytest.mark.parametrize("server", ["mariadb"], indirect=True)  # MySQL counts no such threads
def test_threads_kept_for_later_connections_are_no_load(
    crowded: Connect, lab: Server, fill: Fill, clock: Clock, events: list[Event]
) -> None:
    """MariaDB's COM_STATISTICS counts cached threads for minutes; nobody has to go for them."""
    lab.sql("SET GLOBAL thread_cache_size=64")
    cached = "SHOW GLOBAL STATUS LIKE 'Threads_cached'"
    for each in fill(ROOM - 2):
        each.close()
    while int(lab.sql(cached)[0][1]) < ROOM - 4:
        pass
    clock.random.share = 0.0
    connection = crowded(**account(lab))
    settle(connection, 1)
    run(connection, "DO 1")
    rows(connection, "SELECT 1")
    connection.commit()
    assert {event.used for event in events if event.name == "look"} == {1}
    assert connection.stats().given_up == 0
    assert wait_timeout(connection) == 900
    lab.sql("SET GLOBAL thread_cache_size=0")
    while int(lab.sql(cached)[0][1]):
        pass


# -- the account's limit ---------------------------------------------------------------------------


def test_the_limit_of_the_account_counts_if_it_is_tighter(
    crowded: Connect, lab: Server, fill: Fill, clock: Clock, events: list[Event]
) -> None:
    """max_user_connections is compared with the sessions of the account, not with all."""
    lab.sql(
        "SET GLOBAL max_connections=151",
        "DROP USER IF EXISTS few",
        "CREATE USER few IDENTIFIED BY 'few-secret' WITH MAX_USER_CONNECTIONS 6",
        "GRANT ALL ON test.* TO few",
    )
    pymysql.connect(unix_socket=str(lab.socket), user="few", password="few-secret").close()
    fill(20)
    given = {"user": "few", "password": "few-secret", "reap": "off"}
    connections = [crowded(**given) for _ in range(6)]
    rows(connections[0], "SELECT 1")
    connections[0].commit()
    (look,) = [event for event in events if event.name == "look"]
    assert (look.used, look.limit) == (6, 6)
    clock.random.share = 0.0
    rows(connections[0], "SELECT 1")
    connections[0].commit()
    assert connections[0].handle is None
