"""The connect loop: what is tried again, for how long, and what is raised in the end."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pymysql
import pytest

import slsmysql
from slsmysql.constants import CR, ER
from slsmysql.err import OperationalError
from slsmysql.events import Event
from tests.fix_servers import Connect
from tests.integration.conftest import Clock, rows
from tests.proxy import (
    Action,
    Point,
    Proxy,
    connecting,
    error_packet,
    fin,
    freeze,
    packet,
    passed,
    reply,
    request,
    rst,
)
from tests.servers import Server

Connection = slsmysql.Connection
Fill = Callable[..., list[Any]]

#: The fewest connections that both servers can be told to let in.
FEWEST = 10

TOO_MANY = error_packet(1040, "Too many connections", "08004")


@pytest.fixture
def full(lab: Server, fill: Fill) -> list[Any]:
    """The sessions that fill the server up, to be closed by the test."""
    lab.sql(f"SET GLOBAL max_connections={FEWEST}")
    return fill(FEWEST)


def to(server: Server) -> dict[str, Any]:
    """Return the keywords for a server other than the shared one."""
    return {"host": server.host, "port": server.port, "database": "test"}


# -- a full server ---------------------------------------------------------------------------------


def test_it_gets_in_when_there_is_room(
    connect: Connect, lab: Server, full: list[Any], clock: Clock
) -> None:
    """1040 is waited for with jitter until somebody leaves; all is counted, nothing is raised."""

    def leave(_seconds: float) -> None:
        if len(clock.slept) == 4:
            full.pop().close()

    clock.on_sleep = leave
    told: list[Event] = []
    connection = connect(**to(lab), on_event=told.append)
    assert rows(connection, "SELECT 1") == [(1,)]
    stats = connection.stats()
    assert stats.connect_retries == stats.refused == len(clock.slept) >= 4
    assert stats.waited == sum(clock.slept)
    assert stats.connects == 1
    # The time from beginning to end, waits included.
    (took,) = [event.seconds for event in told if event.name == "connect"]
    assert took == pytest.approx(stats.waited)


def test_the_budget_ends_with_the_last_real_error(
    connect: Connect, lab: Server, full: list[Any], clock: Clock
) -> None:
    """After connect_timeout seconds, waits included, 1040 is raised as PyMySQL raises it."""
    start = clock.now
    with pytest.raises(OperationalError) as caught:
        connect(**to(lab), connect_timeout=7)
    assert caught.value.args[0] == ER.CON_COUNT_ERROR
    assert caught.value.args[1] == "Too many connections"
    assert 6 < clock.now - start <= 7
    assert len(clock.slept) > 5


def test_a_deadline_ends_it_earlier(
    connect: Connect, lab: Server, full: list[Any], clock: Clock
) -> None:
    """A function's remaining time clips the budget."""
    start = clock.now
    end = start + 2
    with pytest.raises(OperationalError) as caught:
        connect(**to(lab), connect_timeout=7, deadline=lambda: end - clock.now)
    assert caught.value.args[0] == ER.CON_COUNT_ERROR
    assert 1 < clock.now - start <= 2


@pytest.mark.parametrize("most", [0, 3])
def test_the_number_of_retries_can_be_bounded(
    connect: Connect, lab: Server, full: list[Any], clock: Clock, most: int
) -> None:
    """With max_retries there are no more, however much time is left."""
    with pytest.raises(OperationalError):
        connect(**to(lab), max_retries=most)
    assert len(clock.slept) == most


def test_a_backoff_of_ones_own(
    connect: Connect, lab: Server, full: list[Any], clock: Clock
) -> None:
    """A callable decides how long to wait: by the number of the retry, and the wait before."""
    asked = []

    def backoff(attempt: int, before: float) -> float:
        asked.append((attempt, before))
        return attempt / 4

    with pytest.raises(OperationalError):
        connect(**to(lab), backoff=backoff, max_retries=4)
    assert clock.slept == [0.25, 0.5, 0.75, 1.0]
    assert asked == [(1, 0.0), (2, 0.25), (3, 0.5), (4, 0.75)]


def test_a_dormant_connection_waits_too(
    connect: Connect, lab: Server, fill: Fill, clock: Clock
) -> None:
    """A statement on a connection that gave its session up waits for another, in its budget."""
    connection = connect(**to(lab), autocommit=True)
    assert connection.handle is not None
    connection.handle.quit()
    connection._handle = None
    lab.sql(f"SET GLOBAL max_connections={FEWEST}")
    others = fill(FEWEST)
    with pytest.raises(OperationalError) as caught:
        rows(connection, "SELECT 1")
    assert caught.value.args[0] == ER.CON_COUNT_ERROR
    clock.on_sleep = lambda _seconds: others.pop().close() if len(others) == FEWEST else None
    assert rows(connection, "SELECT 1") == [(1,)]


def test_the_limit_of_an_account_is_waited_for(connect: Connect, lab: Server, clock: Clock) -> None:
    """1226 for max_user_connections passes when another session of the account ends."""
    lab.sql(
        "DROP USER IF EXISTS one",
        "CREATE USER one IDENTIFIED BY 'one-secret' WITH MAX_USER_CONNECTIONS 1",
        "GRANT ALL ON test.* TO one",
    )
    account: dict[str, Any] = {"user": "one", "password": "one-secret"}
    pymysql.connect(unix_socket=str(lab.socket), **account).close()
    first = pymysql.connect(**to(lab), **account)
    clock.on_sleep = lambda _seconds: first.close() if first.open else None
    connection = connect(**to(lab), **account)
    assert connection.stats().refused > 0


def test_a_limit_per_hour_is_not_waited_for(connect: Connect, lab: Server, clock: Clock) -> None:
    """1226 for a limit that no budget outlasts is raised at once."""
    lab.sql(
        "DROP USER IF EXISTS hourly",
        "CREATE USER hourly IDENTIFIED BY 'hourly-secret' WITH MAX_CONNECTIONS_PER_HOUR 1",
        "GRANT ALL ON test.* TO hourly",
    )
    account: dict[str, Any] = {"user": "hourly", "password": "hourly-secret"}
    pymysql.connect(unix_socket=str(lab.socket), **account).close()
    with pytest.raises(OperationalError) as caught:
        connect(**to(lab), **account)
    assert caught.value.args[0] == ER.USER_LIMIT_REACHED
    assert clock.slept == []


# -- what is not tried again -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "errno"),
    [
        # With TLS where there is: without it MySQL's C client refuses to send a password at all.
        ({"password": "wrong", "ssl_disabled": False}, ER.ACCESS_DENIED_ERROR),
        ({"user": "nobody", "ssl_disabled": False}, ER.ACCESS_DENIED_ERROR),
        ({"database": "test_that_is_not_there"}, ER.BAD_DB_ERROR),
        ({"database": "mysql"}, ER.DBACCESS_DENIED_ERROR),
    ],
)
def test_what_no_retry_mends_fails_at_once(
    through: Connect, proxy: Proxy, clock: Clock, wrong: dict[str, Any], errno: int
) -> None:
    """A wrong name or password is told after one attempt, as PyMySQL's error."""
    with proxy.counting() as counted, pytest.raises(OperationalError) as caught:
        through(**wrong)
    assert caught.value.args[0] == errno
    assert clock.slept == []
    assert counted.connections == 1


def test_an_empty_port_fails_at_once(connect: Connect, proxy: Proxy, clock: Clock) -> None:
    """Where nobody has ever answered nobody is waited for: 2003, as with PyMySQL."""
    proxy.refuse()
    with pytest.raises(OperationalError) as caught:
        connect(host=proxy.host, port=proxy.port)
    assert caught.value.args[0] == CR.CR_CONN_HOST_ERROR
    assert "127.0.0.1" in caught.value.args[1]
    assert clock.slept == []


def test_a_name_that_is_not_known_fails_at_once(connect: Connect, clock: Clock) -> None:
    """A host that cannot be resolved is 2003 with its name in it."""
    with pytest.raises(OperationalError) as caught:
        connect(host="host.invalid")
    assert caught.value.args[0] == CR.CR_CONN_HOST_ERROR
    assert "host.invalid" in caught.value.args[1]
    assert clock.slept == []


def test_a_server_that_has_answered_once_is_waited_for(
    through: Connect, proxy: Proxy, clock: Clock
) -> None:
    """After one success a refusal is a restart, and earns the budget."""
    through(reuse=False).close()
    proxy.refuse()
    clock.on_sleep = lambda _seconds: proxy.accept() if len(clock.slept) == 3 else None
    connection = through(reuse=False)
    assert connection.stats().connect_retries == 3


def test_a_server_that_stays_away_costs_the_budget(
    through: Connect, proxy: Proxy, clock: Clock
) -> None:
    """In the end the last real error is raised."""
    through(reuse=False).close()
    proxy.refuse()
    start = clock.now
    with pytest.raises(OperationalError) as caught:
        through(reuse=False, connect_timeout=5)
    assert caught.value.args[0] == CR.CR_CONN_HOST_ERROR
    assert clock.now - start <= 5


# -- broken handshakes, and what is no server ------------------------------------------------------


@pytest.mark.parametrize(
    ("point", "action"),
    [
        (connecting(), fin),
        (passed(1, "client"), fin),
        (passed(20, "client"), fin),
        (passed(10, "server"), fin),
        (passed(10, "server"), rst),
        (passed(40, "server"), rst),
    ],
)
def test_a_broken_handshake_is_tried_again(
    through: Connect, proxy: Proxy, clock: Clock, point: Point, action: Action
) -> None:
    """Whatever cuts a handshake off, the next attempt gets in."""
    proxy.when(point, action)
    proxy.when(point, action)
    connection = through()
    assert rows(connection, "SELECT 1") == [(1,)]
    assert connection.stats().connect_retries == 2


def test_a_refusal_instead_of_a_greeting_is_tried_again(
    through: Connect, proxy: Proxy, clock: Clock
) -> None:
    """What a full server says instead of a greeting is waited for: 1040, 1203, 1226."""
    proxy.when(connecting(), reply(TOO_MANY))
    proxy.when(connecting(), reply(error_packet(1203, "User app has too many connections")))
    used_up = "User 'app' has exceeded the 'max_user_connections' resource (current value: 5)"
    proxy.when(connecting(), reply(error_packet(1226, used_up, "42000")))
    connection = through()
    assert rows(connection, "SELECT 1") == [(1,)]
    assert connection.stats().refused == 3


def test_a_broken_set_up_is_tried_again(through: Connect, proxy: Proxy, clock: Clock) -> None:
    """A session that is lost before it is set up is not the program's."""
    proxy.when(request("SET NAMES"), rst)
    connection = through()
    assert rows(connection, "SELECT 1") == [(1,)]
    assert connection.stats().connect_retries == 1


@pytest.mark.parametrize("server", ["mariadb"], indirect=True)  # which is never asked
@pytest.mark.parametrize(
    "says",
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<html>", id="http"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="ssh"),
        pytest.param(b"-ERR unknown command\r\n", id="redis"),
        pytest.param(bytes(range(256)), id="bytes"),
        pytest.param(b"", id="hangs up"),
        pytest.param(packet(b""), id="empty packet"),
        pytest.param(packet(b"\x09old protocol\x00"), id="old protocol"),
        pytest.param(packet(b"\x0a8.0"), id="cut greeting"),
    ],
)
def test_something_else_behind_the_port(
    through: Connect, proxy: Proxy, clock: Clock, says: bytes
) -> None:
    """What does not speak MySQL's protocol is an OperationalError within the budget."""
    proxy.when(connecting(), reply(says), times=None)
    start = clock.now
    with pytest.raises(OperationalError) as caught:
        through(connect_timeout=3)
    assert isinstance(caught.value.args[0], int)
    assert clock.now - start <= 3


@pytest.mark.parametrize("server", ["mariadb"], indirect=True)  # which is never asked
def test_silence_behind_the_port(through: Connect, proxy: Proxy) -> None:
    """What says nothing is an OperationalError when the budget is over, and not later."""
    proxy.when(connecting(), freeze, times=None)
    with pytest.raises(OperationalError):
        through(connect_timeout=1)
    assert len(proxy.links) <= 3


# -- passwords -------------------------------------------------------------------------------------


def test_a_password_is_asked_for_again_after_a_refusal(
    through: Connect, server: Server, proxy: Proxy, clock: Clock
) -> None:
    """A rotated secret costs one more attempt, and no wait."""
    given = iter(["old-secret", server.app.password])
    asked = []

    def password() -> str:
        asked.append(next(given))
        return asked[-1]

    with proxy.counting() as counted:
        through(password=password, ssl_disabled=False)
    assert asked == ["old-secret", server.app.password]
    assert counted.connections == 2
    assert clock.slept == []


def test_a_password_is_asked_for_only_once_again(through: Connect, proxy: Proxy) -> None:
    """Twice refused is refused."""
    asked = []

    def password() -> str:
        asked.append(1)
        return "wrong"

    with pytest.raises(OperationalError) as caught:
        through(password=password, ssl_disabled=False)
    assert caught.value.args[0] == ER.ACCESS_DENIED_ERROR
    assert len(asked) == 2


def test_a_password_is_asked_for_at_every_session(
    through: Connect, server: Server, clock: Clock
) -> None:
    """A token that lives for minutes is a new one whenever a session is opened."""
    asked = []

    def password() -> bytes:
        asked.append(1)
        return server.app.password.encode()

    connection = through(password=password, autocommit=True)
    clock.advance(301)
    rows(connection, "SELECT 1")
    assert len(asked) == 2


# -- ways to connect -------------------------------------------------------------------------------


def test_by_socket(connect: Connect, server: Server) -> None:
    """A Unix socket serves like a port."""
    connection = connect(unix_socket=str(server.socket), host=None)
    assert rows(connection, "SELECT 1") == [(1,)]
    assert connection.get_host_info() == "Localhost via UNIX socket"


def test_a_socket_that_is_not_there(connect: Connect, clock: Clock, server: Server) -> None:
    """A path without a server is 2003, at once."""
    with pytest.raises(OperationalError) as caught:
        connect(unix_socket=str(server.socket) + ".none")
    assert caught.value.args[0] == CR.CR_CONN_HOST_ERROR
    assert clock.slept == []


def test_by_url(server: Server, clock: Clock) -> None:
    """A URL says where to, as whom, and how."""
    with slsmysql.connect(server.dsn() + "?conn_utilization=0.7&ssl_disabled=1") as connection:
        assert rows(connection, "SELECT DATABASE()") == [("test",)]
        assert connection.settings.conn_utilization == 0.7


@pytest.mark.parametrize("ssl_disabled", [False, True])
def test_without_a_database(connect: Connect, server: Server, *, ssl_disabled: bool) -> None:
    """No database is none, with TLS and without."""
    connection = connect(database=None, ssl_disabled=ssl_disabled)
    assert rows(connection, "SELECT DATABASE()") == [(None,)]
    assert connection.db is None


def test_a_deferred_connect(through: Connect, proxy: Proxy) -> None:
    """With defer_connect nothing is sent before connect(), and a statement before it says so."""
    connection = through(looks=True, defer_connect=True)
    assert proxy.links == []
    connection.connect()
    assert rows(connection, "SELECT 1") == [(1,)]


_ = socket
