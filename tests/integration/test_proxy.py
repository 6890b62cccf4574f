"""The proxy of these tests: it counts what passes, and breaks it where it was told to."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pymysql
import pytest

from tests.fix_servers import PyMySQLConnect
from tests.proxy import (
    COM_PING,
    Action,
    Point,
    Proxy,
    ProxyError,
    and_then,
    answer,
    call,
    connecting,
    cut_short,
    delay,
    error_packet,
    fin,
    freeze,
    passed,
    reply,
    request,
    rst,
)

Plain = Callable[..., Any]


@pytest.fixture
def plain(proxy: Proxy, pymysql_connect: PyMySQLConnect) -> Plain:
    """PyMySQL, by way of the proxy."""

    def plain(**overrides: Any) -> Any:
        return pymysql_connect(**{"host": proxy.host, "port": proxy.port, **overrides})

    return plain


def ask(connection: Any, sql: str) -> Any:
    """Return what a statement finds."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def test_all_that_passes_is_counted(plain: Plain, proxy: Proxy) -> None:
    """Links, turns, packets, bytes and requests are those of the protocol."""
    with proxy.counting() as counted:
        connection = plain(autocommit=None)
        ask(connection, "SELECT 1")
        connection.ping()
        connection.close()
    tally = counted.tally
    assert tally.connections == 1
    assert tally.round_trips == 4  # log-in, names, statement, ping
    assert tally.statements == ["SET NAMES utf8mb4", "SELECT 1", "ping", "quit"]
    assert tally.packets_to_server == 5
    assert tally.bytes_to_server > 5 * 5
    assert tally.packets_to_client > 5


def test_a_block_counts_what_is_said_in_it(plain: Plain, proxy: Proxy) -> None:
    """What came before a block, or comes after it, is not counted in it."""
    connection = plain()
    with proxy.counting() as counted:
        assert counted.round_trips == 0
        ask(connection, "SELECT 1")
        assert counted.round_trips == 1
    ask(connection, "SELECT 2")
    assert counted.statements == ["SELECT 1"]


def test_tls_has_round_trips_and_no_requests(plain: Plain, proxy: Proxy) -> None:
    """Where it cannot be seen what is said, it is seen how often."""
    connection = plain(ssl_disabled=False)
    with proxy.counting() as counted:
        ask(connection, "SELECT 1")
    assert counted.round_trips == 1
    assert counted.statements == ([] if proxy.link.opaque else ["SELECT 1"])


def test_large_packets_pass_unchanged(plain: Plain, proxy: Proxy) -> None:
    """Statements and rows larger than any buffer come through."""
    connection = plain()
    text = "x" * 3_000_000
    assert ask(connection, f"SELECT '{text}', LENGTH('{text}')") == ((text, len(text)),)


@pytest.mark.parametrize(
    ("point", "action"),
    [
        (request("SELECT 5"), fin),
        (request("select 5"), rst),
        (answer("SELECT 5"), fin),
        (answer("SELECT 5", number=3), rst),
        (answer("SELECT 5"), cut_short(3)),
        (passed(1, "server"), fin),
        (passed(30, "client"), fin),
    ],
)
def test_a_link_is_cut_where_it_was_said(
    plain: Plain, proxy: Proxy, point: Point, action: Action
) -> None:
    """Once, and not before."""
    proxy.when(point, action)

    def work() -> None:
        connection = plain()
        ask(connection, "SELECT 4")
        assert point.kind != "passed"
        ask(connection, "SELECT 5")

    with pytest.raises(pymysql.err.OperationalError):
        work()
    assert proxy.open_links == []
    assert ask(plain(), "SELECT 5") == ((5,),)


def test_a_fault_can_be_there_several_times_or_always(plain: Plain, proxy: Proxy) -> None:
    """As often as was said; ``behave`` ends it."""
    refusal = error_packet(1105, "no", sequence=1)
    connection = plain()
    proxy.when(request("SELECT 5"), reply(refusal, close=False), times=2)
    for _ in range(2):
        with pytest.raises(pymysql.err.OperationalError, match="no"):
            ask(connection, "SELECT 5")
    assert ask(connection, "SELECT 5") == ((5,),)
    proxy.when(request(command=COM_PING), reply(refusal, close=False), times=None)
    for _ in range(3):
        with pytest.raises(pymysql.err.OperationalError):
            connection.ping(reconnect=False)
    proxy.behave()
    assert ask(plain(), "SELECT 6") == ((6,),)


def test_a_canned_answer_instead_of_a_server(plain: Plain, proxy: Proxy) -> None:
    """The server is not even connected to."""
    proxy.when(connecting(), reply(error_packet(1040, "Too many connections", "08004")))
    with pytest.raises(pymysql.err.OperationalError) as caught:
        plain()
    assert caught.value.args == (1040, "Too many connections")


def test_refused_and_let_in_again(plain: Plain, proxy: Proxy) -> None:
    """The port stays the same."""
    port = proxy.port
    proxy.refuse()
    with pytest.raises(pymysql.err.OperationalError, match="refused"):
        plain()
    proxy.accept()
    assert ask(plain(), "SELECT 5") == ((5,),)
    assert proxy.port == port


def test_a_frozen_link_passes_nothing_and_closes_nothing(plain: Plain, proxy: Proxy) -> None:
    """What was on its way when it froze arrives when it is thawed."""
    connection = plain()
    proxy.when(answer("SELECT 5"), freeze)
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(ask(connection, "SELECT 5")))
    thread.start()
    proxy.wait(lambda: proxy.link.frozen)
    assert found == []
    assert proxy.link.open
    proxy.link.thaw()
    thread.join()
    assert found == [((5,),)]


def test_a_frozen_proxy_takes_new_links_and_says_nothing(proxy: Proxy, plain: Plain) -> None:
    """As a host does whose server is stopped."""
    proxy.freeze()
    with socket.create_connection((proxy.host, proxy.port)) as client:
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.recv(1)
    proxy.behave()
    assert ask(plain(), "SELECT 5") == ((5,),)


def test_a_delay_holds_what_goes_that_way(plain: Plain, proxy: Proxy) -> None:
    """An answer comes no sooner than was said, and whole."""
    connection = plain()
    proxy.when(answer("SELECT 5"), delay(0.05))
    start = time.monotonic()
    assert ask(connection, "SELECT 5") == ((5,),)
    assert time.monotonic() - start >= 0.05


def test_a_function_is_called_while_the_packet_is_held(plain: Plain, proxy: Proxy) -> None:
    """What a test wants to happen in the middle of a statement happens there."""
    connection = plain()
    order: list[str] = []
    proxy.when(answer("SELECT 5"), call(lambda: order.append("held")))
    ask(connection, "SELECT 5")
    order.append("answered")
    assert order == ["held", "answered"]


def test_a_function_is_called_when_the_packet_is_on_its_way(
    plain: Plain, proxy: Proxy, params: dict[str, Any]
) -> None:
    """The server has the request by then, and can be asked about it."""
    connection = plain()
    name = f"passed-{connection.thread_id()}"
    found: list[Any] = []

    def wait_for_the_lock() -> None:
        # Not by way of the proxy, whose thread this is.
        with pymysql.connect(**params) as direct:
            while not (seen := ask(direct, f"SELECT IS_USED_LOCK('{name}')")[0][0]):
                pass
            found.append(seen)

    proxy.when(request("GET_LOCK"), and_then(wait_for_the_lock))
    assert ask(connection, f"SELECT GET_LOCK('{name}', 0)") == ((1,),)
    assert found == [connection.thread_id()]


def test_links_that_are_closed_can_be_forgotten(plain: Plain, proxy: Proxy) -> None:
    """A long run keeps what is open, and goes on counting."""
    first, second = plain(), plain()
    links = list(proxy.links)
    first.close()
    proxy.wait(lambda: not links[0].open)
    proxy.forget()
    assert proxy.links == links[1:]
    assert proxy.requests == []
    assert len(links[1].requests) == 1
    with proxy.counting() as counted:
        ask(second, "SELECT 1")
    assert counted.statements == ["SELECT 1"]


def test_a_server_that_hangs_up_is_passed_on(plain: Plain, proxy: Proxy) -> None:
    """The end of one side is the end of the other."""
    connection = plain()
    link = proxy.link
    connection.close()
    proxy.wait(lambda: not link.open)
    killed, killer = plain(), plain()
    link = proxy.links[-2]
    ask(killer, f"KILL {killed.thread_id()}")
    proxy.wait(lambda: not link.open)


def test_a_server_that_is_not_there_is_passed_on() -> None:
    """Nobody behind the proxy: whoever comes is sent away."""
    with Proxy(("127.0.0.1", 1)) as proxy:
        client = socket.create_connection((proxy.host, proxy.port))
        with client, pytest.raises(ConnectionResetError):
            client.recv(1)


def test_what_goes_wrong_in_the_proxy_is_told() -> None:
    """An exception in a function of the test's ends the proxy, and is raised at its end."""

    def work() -> None:
        with Proxy(("127.0.0.1", 1)) as proxy:
            proxy.when(connecting(), call(lambda: 1 / 0))
            with socket.create_connection((proxy.host, proxy.port)) as client:
                client.recv(1)

    with pytest.raises(ZeroDivisionError):
        work()


def test_an_ended_proxy_says_so() -> None:
    """It does not leave anybody waiting."""
    proxy = Proxy(("127.0.0.1", 1))
    proxy.close()
    with pytest.raises(ProxyError):
        proxy.refuse()
