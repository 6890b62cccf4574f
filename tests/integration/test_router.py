"""Behind MySQL Router: what it passes on, what it answers by itself, and what follows for us."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pymysql
import pytest

import slsmysql
from slsmysql import OperationalError, OutcomeUnknownError
from slsmysql.__main__ import main
from slsmysql.constants import ER
from slsmysql.cursors import DictCursor, SSCursor
from slsmysql.events import Event
from tests import servers
from tests.fix_servers import Backend, Connect
from tests.integration.conftest import Clock, empty, ids, names, rows, run
from tests.proxy import Proxy
from tests.servers import Account, Kind, Router, Server

#: Routes as they are configured: TLS and all passes through; Router ends TLS and begins it anew
#: (as it does when it is bootstrapped); the same, and idle sessions with a server are lent to
#: whoever needs one.
ROUTES: dict[str, dict[str, object]] = {
    "passes": {},
    "encrypts": {"client_ssl_mode": "PREFERRED", "server_ssl_mode": "PREFERRED"},
    "shares": {
        "client_ssl_mode": "PREFERRED",
        "server_ssl_mode": "PREFERRED",
        "connection_sharing": 1,
        "connection_sharing_delay": 0,
    },
}

#: Seconds of inactivity after which the server ends a session: the fewest that there are.
SHORT = 1

Routes = Callable[..., Router]


@pytest.fixture
def server(private_server: Callable[[Kind], Server]) -> Iterator[Server]:
    """The MySQL server behind Router, to be filled and stopped; afterwards it is as before."""
    server = private_server("mysql")
    empty(server)
    yield server
    server.sql("SET GLOBAL max_connections=151", "SET GLOBAL general_log=0")


@pytest.fixture(scope="module")
def home(private_server: Callable[[Kind], Server]) -> Iterator[str]:
    """The name of the database of these tests, with a table ``t (n INT PRIMARY KEY)``."""
    server = private_server("mysql")
    server.sql("CREATE DATABASE test_router", "CREATE TABLE test_router.t (n INT PRIMARY KEY)")
    yield "test_router"
    server.sql("DROP DATABASE test_router")


@pytest.fixture(scope="module")
def other() -> Iterator[Server]:
    """The server that a Router falls back on."""
    with servers.start("mysql") as other:
        yield other


@pytest.fixture(scope="module")
def routes(private_server: Callable[[Kind], Server]) -> Iterator[Routes]:
    """A function that gives the Router of a route and of options besides, started by the first."""
    started: dict[str, Router] = {}
    with contextlib.ExitStack() as stack:

        def get(route: str, *others: Server, **options: object) -> Router:
            key = repr((route, others, options))
            if key not in started:
                behind = (private_server("mysql"), *others)
                router = servers.start_router(*behind, options={**ROUTES[route], **options})
                started[key] = stack.enter_context(router)
            return started[key]

        yield get


@pytest.fixture(params=ROUTES)
def route(request: pytest.FixtureRequest) -> str:
    """Each way to configure a route."""
    name: str = request.param
    return name


@pytest.fixture
def router(routes: Routes, route: str) -> Router:
    """A Router before the server."""
    return routes(route)


@pytest.fixture
def params(router: Router, home: str) -> dict[str, Any]:
    """The keywords of `connect()` by way of Router; with TLS, as a client does by itself."""
    return router.params(database=home)


def await_end(server: Server, session: int) -> None:
    """Wait until a session is gone."""
    gone = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = %d"
    while server.sql(gone % session) != ((0,),):
        server.sql("DO SLEEP(0.02)")


def kill(server: Server, connection: Any) -> None:
    """End a connection's session, as an administrator does."""
    ((session,),) = ask(connection, "SELECT CONNECTION_ID()")
    server.sql(f"KILL {session}")
    await_end(server, session)


def ask(connection: Any, sql: str) -> Any:
    """Return what a statement finds, with slsmysql or PyMySQL."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


@pytest.mark.parametrize(
    ("client", "behind"),
    [
        ("PREFERRED", "DISABLED"),
        ("REQUIRED", "AS_CLIENT"),
        ("REQUIRED", "REQUIRED"),
        ("DISABLED", "REQUIRED"),
        ("DISABLED", "DISABLED"),
    ],
)
def test_tls_on_either_side(
    routes: Routes, home: str, backend: Backend, client: str, behind: str
) -> None:
    """Router's certificate is verified where it ends TLS; where it has none, that is an error."""
    router = routes("passes", client_ssl_mode=client, server_ssl_mode=behind)
    given = {**router.params(database=home), "use_pure": backend == "pure"}
    if client == "DISABLED":
        with pytest.raises(OperationalError):
            slsmysql.connect(**given, ssl={"verify_mode": "none"})
    else:
        given |= {"ssl_ca": str(router.ca), "ssl_verify_identity": True}
    connection = slsmysql.connect(**given)
    handle = connection.handle
    assert handle is not None
    assert handle.secure is (client != "DISABLED")
    ((_, cipher),) = rows(connection, "SHOW STATUS LIKE 'Ssl_cipher'")
    assert bool(cipher) is (behind != "DISABLED")
    connection.quit()


@pytest.mark.parametrize("manage_conns", [True, False])
def test_everyday_work(connect: Connect, home: str, manage_conns: bool) -> None:
    """Statements, transactions, streams, errors and session state are as without Router."""
    connection = connect(manage_conns=manage_conns)
    run(connection, "DELETE FROM t")
    connection.commit()
    with connection.cursor() as cursor:
        assert cursor.executemany("INSERT INTO t VALUES (%s)", [(n,) for n in range(100)]) == 100
    connection.rollback()
    assert rows(connection, "SELECT COUNT(*) FROM t") == [(0,)]
    with connection.cursor(DictCursor) as cursor:
        cursor.execute("INSERT INTO t VALUES (%s), (%s)", (1, 2))
        connection.commit()
        with pytest.raises(slsmysql.IntegrityError) as caught:
            cursor.execute("INSERT INTO t VALUES (1)")
        assert caught.value.args[0] == ER.DUP_ENTRY
        cursor.execute("SELECT n, %s AS text FROM t ORDER BY n", ("é\\'" * 100_000,))
        assert [row["n"] for row in cursor.fetchall()] == [1, 2]
    with connection.cursor(SSCursor) as cursor:
        cursor.execute("SELECT a.n FROM t a, t b, t c ORDER BY a.n")
        assert [n for (n,) in cursor] == [1] * 4 + [2] * 4
    run(connection, "SET @a = 5", "CREATE TEMPORARY TABLE own (n INT)", "DO GET_LOCK('own', 0)")
    connection.commit()
    run(connection, "INSERT INTO own SELECT @a")
    connection.commit()
    assert rows(connection, "SELECT n, @a, IS_USED_LOCK('own') = CONNECTION_ID() FROM own") == [
        (5, 5, 1)
    ]
    connection.select_db("information_schema")
    assert rows(connection, "SELECT DATABASE()") == [("information_schema",)]
    connection.select_db(home)
    connection.ping()
    assert rows(connection, "SELECT @a") == [(5,)]


def test_the_load_is_that_of_the_server_behind(
    connect: Connect, server: Server, route: str, events: list[Event], clock: Clock
) -> None:
    """COM_STATISTICS is the server's answer: whoever else is connected there is counted too."""
    connection = connect(on_event=events.append)
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(pymysql.connect(**server.params()))
        connection._server.next_look = 0.0
        rows(connection, "SELECT 1")
        connection.commit()
        # The test's own looks may still be on their way out.
        looks = [event for event in events if event.name == "look"]
        assert looks[-1].limit == 151
        assert looks[-1].used is not None
        assert looks[-1].used >= len(ids(server)) == 6


def test_the_lease_is_that_of_the_session_behind(connect: Connect) -> None:
    """`wait_timeout` is set in the server's session."""
    assert rows(connect(), "SELECT @@SESSION.wait_timeout") == [(900,)]
    connection = connect(manage_conns=False)
    assert rows(connection, "SELECT @@SESSION.wait_timeout = @@GLOBAL.wait_timeout") == [(1,)]


def test_sharing_takes_the_tracking_from_us(connect: Connect, route: str) -> None:
    """A Router that shares tracks sessions by itself: the text says then what a statement does."""
    connection = connect()
    assert connection._server.tracks_state is connection._state.tracked is (route != "shares")
    run(connection, "SET @a = 1")
    assert not connection._state.replaceable()
    connection.close()
    connection = connect()
    assert connection.stats().parked_reuses == 1
    assert rows(connection, "SELECT @a, DATABASE()") == [(None, connection.options.database)]
    assert connection._state.replaceable()


def test_a_parked_session_is_clean(connect: Connect) -> None:
    """COM_RESET_CONNECTION goes through: the next owner finds nothing, and the lease."""
    connection = connect()
    run(connection, "SET @a = 5", "SET SESSION sql_mode = ''", "CREATE TEMPORARY TABLE own (n INT)")
    connection.close()
    again = connect()
    assert again.stats().connects == 0
    found = rows(again, "SELECT @a, @@sql_mode = '', @@SESSION.wait_timeout, @@autocommit")
    assert found == [(None, 0, 900, 0)]
    with pytest.raises(slsmysql.ProgrammingError):
        run(again, "SELECT * FROM own")


def test_a_session_killed_while_idle(
    connect: Connect, server: Server, table: Callable[[], list[Any]], events: list[Event]
) -> None:
    """At rest it is replaced and a write runs once; a transaction is told, and not split."""
    connection = connect(autocommit=True, stale_after=0, on_event=events.append)
    kill(server, connection)
    run(connection, "INSERT INTO t VALUES (1)")
    assert table() == [1]
    # A Router that shares has replaced it by itself.
    assert names(events) == ([] if not connection._server.tracks_state else ["reopen"])
    connection = connect()
    run(connection, "INSERT INTO t VALUES (2)")
    kill(server, connection)
    with pytest.raises(OperationalError) as caught:
        run(connection, "INSERT INTO t VALUES (3)")
    assert not isinstance(caught.value, OutcomeUnknownError)
    with pytest.raises(slsmysql.InterfaceError):
        run(connection, "INSERT INTO t VALUES (4)")
    connection.rollback()
    run(connection, "INSERT INTO t VALUES (5)")
    connection.commit()
    assert table() == [1, 5]


def test_a_session_that_the_server_ended_for_inactivity(
    connect: Connect, server: Server, table: Callable[[], list[Any]]
) -> None:
    """Router passes the server's 4031 on: a write in autocommit was not run, and runs once."""
    # Not asked before the statement, as a session that has just been used.
    keywords: dict[str, Any] = {"autocommit": True, "stale_after": 3600, "reopen_after": 3600}
    idle, pinned = connect(**keywords), connect(**keywords)
    run(pinned, "SET @a = 1")
    for connection in (idle, pinned):
        run(connection, f"SET SESSION wait_timeout={SHORT}")
    sessions = [rows(each, "SELECT CONNECTION_ID()")[0][0] for each in (idle, pinned)]
    await_end(server, sessions[1])
    # With sharing an idle client has no session, and Router may find a dead one for it.
    tracked = idle._server.tracks_state
    if tracked:
        await_end(server, sessions[0])
        run(idle, "INSERT INTO t VALUES (1)")
    with pytest.raises(OperationalError) as caught:
        run(pinned, "INSERT INTO t VALUES (2)")
    assert not isinstance(caught.value, OutcomeUnknownError)
    assert table() == ([1] if tracked else [])


def test_a_session_killed_in_a_write(connect: Connect, server: Server) -> None:
    """Router's word that the server is lost proves nothing: the outcome is unknown."""
    connection = connect(autocommit=True)
    ((session,),) = rows(connection, "SELECT CONNECTION_ID()")
    running = "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE 'INSERT INTO t SEL%'"

    def kill_it() -> None:
        while not (found := server.sql(running)):
            pass
        server.sql(f"KILL {found[0][0]}")

    killer = threading.Thread(target=kill_it)
    killer.start()
    with pytest.raises(OutcomeUnknownError):
        run(connection, "INSERT INTO t SELECT SLEEP(60)")
    killer.join()
    assert session not in ids(server)
    assert rows(connection, "SELECT 5") == [(5,)]


def test_router_without_room(
    routes: Routes, route: str, home: str, backend: Backend, clock: Clock
) -> None:
    """Router's own `max_connections` is a 1040 like the server's: tried until there is room."""
    router = routes(route, max_connections=2)
    given = router.params(database=home)
    holders: list[Any] = []
    while len(holders) < 2:
        # A place is taken until Router has noticed that its last owner is gone.
        with contextlib.suppress(pymysql.err.OperationalError):
            holders.append(pymysql.connect(**given))

    def connect(on_event: Callable[[Event], object]) -> slsmysql.Connection:
        clock.on_sleep = lambda _seconds: None
        return slsmysql.connect(
            **given, use_pure=backend == "pure", connect_timeout=60, on_event=on_event
        )

    told: list[Event] = []
    with pytest.raises(OperationalError) as caught:
        connect(told.append)
    assert caught.value.args == (1040, "Too many connections to MySQL Router")
    assert {event.errno for event in told} == {1040}

    def make_room(event: Event) -> None:
        if event.name == "connect_retry" and len(holders) == 2:
            holders.pop().close()

    connection = connect(make_room)
    assert rows(connection, "SELECT 5") == [(5,)]
    connection.quit()
    holders.pop().close()


def test_the_server_without_room(
    routes: Routes, route: str, server: Server, home: str, backend: Backend
) -> None:
    """The server's 1040 is passed on, by a Router that ends TLS after tries of its own."""
    router = routes(route, connect_retry_timeout=0)
    server.sql("SET GLOBAL max_connections=2")
    holders = [pymysql.connect(**server.params(), ssl_disabled=True) for _ in range(2)]
    told: list[int | None] = []

    def make_room(event: Event) -> None:
        if event.name == "connect_retry":
            told.append(event.errno)
            if holders:
                holders.pop().close()

    given = router.params(database=home)
    connection = slsmysql.connect(
        **given, use_pure=backend == "pure", connect_timeout=60, on_event=make_room
    )
    assert set(told) == {1040}
    assert rows(connection, "SELECT 5") == [(5,)]
    connection.quit()
    for holder in holders:
        holder.close()


def test_zombies_are_ended(
    connect: Connect, server: Server, router: Router, home: str, table: Callable[[], list[Any]]
) -> None:
    """Router's sessions have no number of their own; ours is asked for, and spared."""
    boss = router.params(server.boss)
    account = {"user": boss["user"], "password": boss["password"]}
    with contextlib.ExitStack() as stack:

        def sleeper(account: Account) -> Any:
            return stack.enter_context(pymysql.connect(**server.params(account, home)))

        strangers = {sleeper(server.app).thread_id() for _ in range(3)}
        zombies = {sleeper(server.boss).thread_id() for _ in range(3)}
        worker = sleeper(server.boss)
        ask(worker, "INSERT INTO t VALUES (77)")
        connection = connect(
            **account, conn_utilization=0.01, zombie_min_timeout=0, autocommit=True
        )
        rows(connection, "SELECT 1")
        connection._server.next_look = 0.0
        connection.commit()
        left = ids(server)
        assert connection.stats().kills >= len(zombies)
        assert not zombies & left
        assert strangers | {worker.thread_id()} <= left
        assert rows(connection, "SELECT 5") == [(5,)]


def test_the_command_line_knows_itself(
    router: Router,
    server: Server,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It finds its own session in the list, though Router has told it no number."""
    monkeypatch.setenv("MYSQL_PWD", server.boss.password)
    where = ["-h", router.host, "-P", str(router.port), "-u", server.boss.user, "--json"]
    assert main(["zombies", *where]) == 0
    judged = json.loads(capsys.readouterr().out)["sessions"]
    assert [each["why"] for each in judged].count("this very session") == 1
    assert main(["reap", "--yes", *where]) == 0
    assert main(["doctor", *where]) == 0


def test_the_second_server_takes_over_and_the_first_comes_back(
    routes: Routes, server: Server, other: Server
) -> None:
    """Idle sessions go on at the other server, a transaction is told; with both gone it is 2003."""
    for each in (server, other):
        each.sql("CREATE TABLE IF NOT EXISTS test.u (n INT)", "DELETE FROM test.u")
    routers = [routes(name, other) for name in ROUTES]
    made: list[tuple[slsmysql.Connection, slsmysql.Connection, dict[str, Any]]] = []
    for router in routers:
        for use_pure in (False, True):
            given = {**router.params(), "use_pure": use_pure}
            idle = slsmysql.connect(**given, autocommit=True, stale_after=0)
            busy = slsmysql.connect(**given)
            run(busy, "INSERT INTO u VALUES (1)")
            assert rows(idle, "SELECT @@port") == [(server.port,)]
            made.append((idle, busy, given))
    server.kill()
    for idle, busy, _ in made:
        assert rows(idle, "SELECT @@port") == [(other.port,)]
        with pytest.raises(OperationalError) as caught:
            run(busy, "INSERT INTO u VALUES (2)")
        assert not isinstance(caught.value, OutcomeUnknownError)
        busy.rollback()
        run(busy, "INSERT INTO u VALUES (3)")
        busy.commit()
        assert rows(busy, "SELECT @@port") == [(other.port,)]
        idle.quit()
        busy.quit()
    assert other.sql("SELECT n FROM test.u") == ((3,),) * len(made)
    other.kill()
    told: list[int | None] = []

    def come_back(event: Event) -> None:
        if event.name == "connect_retry":
            told.append(event.errno)
            if len(told) == 1:
                server.restart()

    for _, _, given in made:
        again = slsmysql.connect(**given, connect_timeout=60, on_event=come_back)
        assert rows(again, "SELECT @@port") == [(server.port,)]
        again.quit()
    assert set(told) == {2003}
    assert server.sql("SELECT n FROM test.u") == ()
    other.restart()


def _a_day(connection: Any) -> None:
    """Do what programs do, and close."""
    # At rest, where a managed session looks at the load.
    ask(connection, "SELECT 1")
    connection.commit()
    ask(connection, "CREATE TEMPORARY TABLE own (n INT)")
    ask(connection, "INSERT INTO own VALUES (5)")
    connection.commit()
    ask(connection, "SELECT n FROM own")
    connection.rollback()
    connection.select_db("test")
    connection.ping()
    connection.autocommit(True)
    ask(connection, "DO 1")
    connection.close()


def test_unmanaged_nothing_is_sent_that_pymysql_does_not_send(
    router: Router, server: Server, backend: Backend
) -> None:
    """The server's general log is the same, but that one SET takes the place of PyMySQL's two."""
    server.sql("SET GLOBAL log_output='TABLE'", "SET GLOBAL general_log=1")

    def logged(connection: Any) -> list[tuple[str, str]]:
        server.sql("TRUNCATE mysql.general_log")
        _a_day(connection)
        sql = (
            "SELECT command_type, CONVERT(argument USING utf8mb4) FROM mysql.general_log"
            " WHERE user_host LIKE 'app%' ORDER BY event_time"
        )
        return [each for each in server.sql(sql) if each[0] != "Quit"]

    given = router.params()
    expected = logged(pymysql.connect(**given))
    assert ("Query", "DO 1") in expected
    pure = backend == "pure"
    assert logged(slsmysql.connect(**given, use_pure=pure, manage_conns=False)) == expected


@pytest.mark.parametrize("route", ["passes"], indirect=True)
def test_unmanaged_nothing_is_on_the_wire_that_pymysql_does_not_send(
    router: Router, backend: Backend
) -> None:
    """The same of what the log does not show: pings, looks, resets."""
    with Proxy((router.host, router.port)) as proxy:
        given = {**router.params(), "host": proxy.host, "port": proxy.port, "ssl_disabled": True}
        said = []
        for opened in (
            lambda: pymysql.connect(**given),
            lambda: slsmysql.connect(**given, use_pure=backend == "pure", manage_conns=False),
        ):
            with proxy.counting() as counted:
                _a_day(opened())
                proxy.wait(lambda: proxy.open_links == [])
            said.append([each for each in counted.statements if not each.startswith("SET NAMES")])
        assert "ping" in said[0]
        assert said[1] == [each for each in said[0] if each != "SET AUTOCOMMIT = 0"]
