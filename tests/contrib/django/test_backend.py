"""The Django back end: what a request costs, and what a lost session does to the next one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import django
import django.conf
import pytest
from django.core import signals
from django.db import InterfaceError, OperationalError, connections, transaction

import slsmysql
from tests.fix_servers import Backend
from tests.servers import Server

#: Makes Django's `connections["default"]` one to the test's database, with more settings.
Use = Callable[..., Any]


@pytest.fixture
def use(params: dict[str, Any], backend: Backend) -> Iterator[Use]:
    """A function that points Django's default connection to an empty database."""
    if not django.conf.settings.configured:
        django.conf.settings.configure(USE_TZ=False)
        django.setup()
    before = connections.settings

    def use(*, options: dict[str, object] | None = None, **settings: object) -> Any:
        default = {
            "ENGINE": "slsmysql.contrib.django",
            "HOST": params["host"],
            "PORT": params["port"],
            "USER": params["user"],
            "PASSWORD": params["password"],
            "NAME": params["database"],
            "OPTIONS": {"use_pure": backend == "pure", **(options or {})},
            **settings,
        }
        connections.settings = connections.configure_settings({"default": default})
        return connections["default"]

    yield use
    connections["default"].close()
    del connections["default"]
    connections.settings = before
    slsmysql.close_all()


def start_request() -> None:
    """Do what Django does at the start of a request."""
    signals.request_started.send(sender=None)


def end_request() -> None:
    """Do what Django does at the end of a request: close what is not to be kept."""
    signals.request_finished.send(sender=None)


def ask(connection: Any, sql: str) -> Any:
    """Return the first column of the first row."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def isolation(connection: Any) -> Any:
    """Return the session's isolation level."""
    name = "tx_isolation" if connection.mysql_is_mariadb else "transaction_isolation"
    return ask(connection, f"SELECT @@SESSION.{name}")


def sent(connection: Any) -> int:
    """Return how many statements the session has been sent, with this one."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE 'Questions'")
        return int(cursor.fetchone()[1])


def kill(server: Server, connection: Any) -> None:
    """End the session of a connection from outside."""
    server.sql(f"KILL {connection.connection.thread_id()}")


def test_closing_after_each_request_costs_nothing(use: Use) -> None:
    """With CONN_MAX_AGE = 0 the next request goes on in the same session: nothing is sent."""
    connection = use(options={"used_conns_freq": 1000})
    seen = []
    for _ in range(3):
        start_request()
        seen.append((sent(connection), connection.connection.thread_id()))
        end_request()
        assert connection.connection is None
    (first, session), (second, same), (third, last) = seen
    # In between the first two Django has asked for the server's data, once and for all.
    assert third - second == 1
    assert second - first <= 2
    assert session == same == last


def test_atomic_block_leaves_a_clean_session(use: Use) -> None:
    """A request in a transaction of reads sends what Django sends, and nothing to clean up."""
    connection = use(options={"used_conns_freq": 1000})
    seen = []
    for _ in range(3):
        start_request()
        with transaction.atomic():
            seen.append(sent(connection))
        end_request()
    # autocommit off, the query, COMMIT, autocommit on.
    assert seen[2] - seen[1] == 4


@pytest.mark.parametrize("checked", [False, True])
def test_session_killed_between_requests_is_replaced(
    server: Server, use: Use, checked: bool
) -> None:
    """The next request sees no error, and has autocommit and READ COMMITTED as before."""
    connection = use(options={"stale_after": 0}, CONN_MAX_AGE=600, CONN_HEALTH_CHECKS=checked)
    start_request()
    assert isolation(connection) == "READ-COMMITTED"
    before = connection.connection.thread_id()
    end_request()
    assert connection.connection is not None
    kill(server, connection)
    start_request()
    assert isolation(connection) == "READ-COMMITTED"
    assert connection.get_autocommit()
    assert ask(connection, "SELECT @@SESSION.autocommit") == 1
    assert connection.connection.thread_id() != before
    end_request()


@pytest.mark.parametrize("level", ["serializable", None])
def test_isolation_level_of_the_settings_survives(
    server: Server, use: Use, level: str | None
) -> None:
    """Another level than Django's default holds in the new session; None is the server's own."""
    connection = use(options={"stale_after": 0, "isolation_level": level}, CONN_MAX_AGE=None)
    expected = "SERIALIZABLE" if level else "REPEATABLE-READ"
    assert isolation(connection) == expected
    kill(server, connection)
    assert isolation(connection) == expected


def test_init_command_goes_with_the_isolation_level(server: Server, use: Use) -> None:
    """A program's own command is kept, and both hold in the session that replaces a lost one."""
    options = {"init_command": "SET lc_time_names='de_DE'", "stale_after": 0}
    connection = use(options=options, CONN_MAX_AGE=None)
    for _ in range(2):
        assert ask(connection, "SELECT @@lc_time_names") == "de_DE"
        assert isolation(connection) == "READ-COMMITTED"
        kill(server, connection)


def test_autocommit_off_in_the_settings(use: Use) -> None:
    """AUTOCOMMIT = False is part of the set-up, too."""
    connection = use(AUTOCOMMIT=False)
    assert ask(connection, "SELECT @@SESSION.autocommit") == 0
    assert not connection.get_autocommit()


def test_management_options_stand_in_the_options(use: Use) -> None:
    """OPTIONS are the keywords of `connect()`."""
    connection = use(options={"conn_utilization": 0.7, "max_parked": 4})
    connection.ensure_connection()
    assert connection.connection.settings.conn_utilization == 0.7
    assert connection.connection.settings.max_parked == 4


def test_djangos_converters_are_no_program_of_their_own(use: Use) -> None:
    """Django's `conv` writes no SQL of its own: a statement is judged before its parameters."""
    connection = use()
    connection.ensure_connection()
    assert not connection.connection._encoders.changed


def test_killed_in_an_atomic_block_nothing_of_it_is_kept(server: Server, use: Use) -> None:
    """The block raises, and the next one runs on a new session with the settings' state."""
    connection = use()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (a INT)")

    def work() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("INSERT INTO t VALUES (1)")
            kill(server, connection)
            cursor.execute("INSERT INTO t VALUES (2)")

    with pytest.raises(OperationalError) as caught:
        work()
    assert caught.value.args[0] in {2006, 2013}
    end_request()
    start_request()
    with transaction.atomic():
        assert ask(connection, "SELECT COUNT(*) FROM t") == 0
    assert connection.get_autocommit()
    assert ask(connection, "SELECT @@SESSION.autocommit") == 1
    assert isolation(connection) == "READ-COMMITTED"


def test_swallowed_loss_does_not_commit_the_second_half(server: Server, use: Use) -> None:
    """A program which goes on after the error is refused, so that half a block is never kept."""
    connection = use()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (a INT)")

    def work() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("INSERT INTO t VALUES (1)")
            kill(server, connection)
            with pytest.raises(OperationalError):
                cursor.execute("INSERT INTO t VALUES (2)")
            cursor.execute("INSERT INTO t VALUES (3)")

    with pytest.raises(InterfaceError, match="the session was lost"):
        work()
    end_request()
    start_request()
    assert ask(connection, "SELECT COUNT(*) FROM t") == 0


def test_tracing_may_replace_connect(use: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in place of `slsmysql.connect` later than the back end was loaded is called."""
    made: list[slsmysql.Connection] = []

    def connect(*args: Any, **keywords: Any) -> slsmysql.Connection:
        made.append(slsmysql.Connection(*args, **keywords))
        return made[-1]

    connection = use()
    monkeypatch.setattr(slsmysql, "connect", connect)
    connection.ensure_connection()
    assert connection.connection is made[-1]


def test_mysqldb_is_left_alone() -> None:
    """The back end takes no other module's name: a MySQLdb in the process is still that."""
    code = """
import sys, types
sys.modules["MySQLdb"] = other = types.ModuleType("MySQLdb")
import slsmysql.contrib.django.base as base
assert sys.modules["MySQLdb"] is other
assert [name for name in sys.modules if name.startswith("MySQLdb.")] == []
assert "django.db.backends.mysql.base" not in sys.modules
assert base.DatabaseWrapper.Database.__name__ == "slsmysql"
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_install_as_mysqldb_serves_djangos_own_engine() -> None:
    """For those who prefer it: Django's `django.db.backends.mysql` takes slsmysql for MySQLdb."""
    code = """
import slsmysql
slsmysql.install_as_MySQLdb()
from django.db.backends.mysql import base
assert base.Database is slsmysql
"""
    subprocess.run([sys.executable, "-c", code], check=True)
