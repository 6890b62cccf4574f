"""Leases and limits on real servers: the server's arithmetic, and the account's own limit."""

from __future__ import annotations

import itertools
import random
import secrets
from collections.abc import Iterator

import pytest

from slsmysql import err, manager, policy
from slsmysql.connections import Connection
from slsmysql.policy import Load
from slsmysql.settings import Settings
from tests.fix_servers import Connect
from tests.integration.conftest import Clock, rows
from tests.servers import Account, Server

#: Connections that the accounts of these tests may have at a time.
ALLOWED = 5


@pytest.fixture(params=["plain", "odd@name", "with PROCESS"])
def account(request: pytest.FixtureRequest, server: Server, database: str) -> Iterator[Account]:
    """An account with a limit: without PROCESS, with it, and one with an @ in its name."""
    user = f"{request.param.split()[0]}{secrets.token_hex(3)}"
    made = Account(user, "secret")
    server.sql(
        f"CREATE USER '{user}'@'%' IDENTIFIED BY 'secret' WITH MAX_USER_CONNECTIONS {ALLOWED}",
        f"GRANT ALL ON {database}.* TO '{user}'@'%'",
    )
    if "PROCESS" in request.param:
        server.sql(f"GRANT PROCESS ON *.* TO '{user}'@'%'")
    yield made
    server.sql(f"DROP USER '{user}'@'%'")


# -- leases ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [10, 90, 151, 1000])
def test_the_server_works_the_lease_out_as_we_do(lab: Server, connect: Connect, limit: int) -> None:
    """For any load and any settings the SQL expression gives what `policy.lease` gives."""
    lab.sql(f"SET GLOBAL max_connections={limit}")
    dice = random.Random(limit)
    shares = [0.1, 0.29, 0.5, 0.7, 0.8, 1, 0.123456789, 1 / 3, 2 / 3, 1e-05, dice.random()]
    connection = connect(**lab.params(), manage_conns=False)
    for share, minimum in itertools.product(shares, [0, 3, 3.5, 120]):
        settings = Settings(
            conn_utilization=share, zombie_min_timeout=minimum, lease=dice.choice([3, 30, 900])
        )
        near = {round(share * limit), limit // 2}
        for used in {*(each + step for each in near for step in (-1, 0, 1)), 0, 1, limit}:
            words = policy.lease_expression(used, settings)
            with connection.cursor() as cursor:
                cursor.execute(f"SET SESSION wait_timeout={words}")
            assert rows(connection, "SELECT @@SESSION.wait_timeout") == [
                (policy.lease(Load(used, limit), settings),)
            ], (used, settings)


def test_mariadb_counts_connections_where_threads_are_many(lab: Server, connect: Connect) -> None:
    """With an upper bound that says "busy" the lease is that of the connections there are."""
    if lab.kind != "mariadb":
        return  # MySQL's count of threads is exact
    lab.sql("SET GLOBAL max_connections=20")
    settings = Settings()
    connection = connect(**lab.params(), manage_conns=False)
    others = [connect(**lab.params(), manage_conns=False) for _ in range(3)]
    for upper in (4, 9, 10, 16, 20):
        words = policy.lease_expression(upper, settings, manager._CONNECTED)
        with connection.cursor() as cursor:
            cursor.execute(f"SET SESSION wait_timeout={words}")
        assert rows(connection, "SELECT @@SESSION.wait_timeout") == [(900,)]
    others += [connect(**lab.params(), manage_conns=False) for _ in range(8)]
    words = policy.lease_expression(20, settings, manager._CONNECTED)
    with connection.cursor() as cursor:
        cursor.execute(f"SET SESSION wait_timeout={words}")
    assert rows(connection, "SELECT @@SESSION.wait_timeout") == [(policy.BUSY_LEASE,)]
    assert all(other.open for other in others)


# -- the account's limit ---------------------------------------------------------------------------


def open_as(connect: Connect, account: Account, **overrides: object) -> Connection:
    """Return a connection of ``account``; with TLS, which a first log-in at MySQL needs."""
    return connect(
        user=account.user,
        password=account.password,
        ssl_disabled=False,
        reuse=False,
        **overrides,
    )


def look(connection: Connection, clock: Clock) -> None:
    """Let the connection look at the load at a boundary."""
    clock.advance(100)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    connection.commit()


def test_the_accounts_limit_is_compared_with_its_own_connections(
    connect: Connect, account: Account, clock: Clock
) -> None:
    """Others' connections do not count, ours all do, whatever the name and the privileges."""
    first = open_as(connect, account)
    look(first, clock)
    assert first._server.account_limit == ALLOWED
    assert first._server.last == first._server.account == Load(1, ALLOWED)
    second = open_as(connect, account)
    look(first, clock)
    assert first._server.last == Load(2, ALLOWED)
    assert second._server is first._server


def test_an_account_at_its_limit_makes_room(
    connect: Connect, account: Account, clock: Clock, server: Server
) -> None:
    """At its own limit a session at rest is given up, and comes back at the next use."""
    connections = [open_as(connect, account) for _ in range(ALLOWED)]
    clock.random.seed(1)
    look(connections[0], clock)
    assert connections[0]._server.last == Load(ALLOWED, ALLOWED)
    assert connections[0].handle is None
    assert connections[0].open
    # The place is free for another one.
    other = open_as(connect, account)
    assert rows(other, "SELECT 1") == [(1,)]


def test_a_refused_account_has_its_budget_and_its_errno(
    connect: Connect, account: Account, clock: Clock
) -> None:
    """One more than allowed waits for as long as it may, and gets the server's own error."""
    first = open_as(connect, account)
    look(first, clock)
    others = [open_as(connect, account) for _ in range(ALLOWED - 1)]
    begun = clock.now
    with pytest.raises(err.Error) as caught:
        open_as(connect, account, connect_timeout=3)
    assert caught.value.args[0] in {1203, 1226}
    assert "max_user_connections" in str(caught.value)
    assert 2.5 <= clock.now - begun <= 3.1
    assert first._server.last == Load(ALLOWED, ALLOWED)
    assert all(other.handle is not None for other in others)


def test_an_account_without_a_limit_is_not_counted(
    connect: Connect, clock: Clock, server: Server
) -> None:
    """Where only the server has a limit, only the server's load counts."""
    connection = connect()
    look(connection, clock)
    assert connection._server.account_limit == 0
    assert connection._server.account is None
    assert connection._server.last is not None
    assert connection._server.last.limit == connection._server.limit
