"""The dialect: what the URL says, what a checkout costs, and what a lost session does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import NullPool, QueuePool

import slsmysql
from slsmysql import constants
from tests.fix_servers import Backend
from tests.servers import Server

#: No look at the server's load while round trips are counted.
CALM = "used_conns_freq=1000"

CreateEngine = Callable[..., Engine]


@pytest.fixture
def url(params: dict[str, Any], backend: Backend) -> sa.URL:
    """The URL of an empty database, for each back end."""
    return sa.URL.create(
        "mysql+slsmysql",
        params["user"],
        params["password"],
        params["host"],
        params["port"],
        params["database"],
        {"use_pure": str(backend == "pure")},
    )


@pytest.fixture
def create_engine(url: sa.URL) -> Iterator[CreateEngine]:
    """`sqlalchemy.create_engine` on that database, with more of a query; disposed of at the end."""
    engines = []

    def create(query: str = "", **keywords: Any) -> Engine:
        more = dict(part.split("=") for part in query.split("&") if part)
        engines.append(sa.create_engine(url.update_query_dict(more), **keywords))
        return engines[-1]

    yield create
    for engine in engines:
        engine.dispose()
    slsmysql.close_all()


def dbapi(connection: Connection) -> slsmysql.Connection:
    """Return what SQLAlchemy's connection holds."""
    found: slsmysql.Connection = connection.connection.driver_connection  # type: ignore[assignment]
    return found


def kill(server: Server, *connections: slsmysql.Connection) -> None:
    """End the sessions of connections from outside."""
    for connection in connections:
        with contextlib.suppress(Exception):  # pymysql's, whose KILL is answered with an error
            server.sql(f"KILL {connection.thread_id()}")


def statements(connection: Connection) -> int:
    """Return how many statements the session has been sent, with this one."""
    row = connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Questions'").one()
    return int(row[1])


@pytest.mark.parametrize("name", ["mysql", "mariadb"])
def test_dialects_are_found_by_their_urls(name: str) -> None:
    """Nothing is imported or registered: the entry points say it."""
    engine = sa.create_engine(f"{name}+slsmysql://somebody@localhost/test")
    assert engine.dialect.driver == "slsmysql"
    assert engine.dialect.name == name
    assert type(engine.dialect).__module__ == "slsmysql.contrib.sqlalchemy"


def test_engine_has_no_pool_of_its_own_unless_asked() -> None:
    """`close()` parks, so the default is NullPool; what the program asks for wins."""
    url = "mysql+slsmysql://somebody@localhost/test"
    assert isinstance(sa.create_engine(url).pool, NullPool)
    assert isinstance(sa.create_engine(url, poolclass=QueuePool).pool, QueuePool)


def test_query_of_the_url_holds_options_of_both_kinds(create_engine: CreateEngine) -> None:
    """Management options and PyMySQL's arrive with their types, and the found-rows flag."""
    engine = create_engine(
        "conn_utilization=0.7&max_parked=3&lease=60&connect_timeout=2.5&program_name=it&charset=utf8"
    )
    with engine.connect() as connection:
        held = dbapi(connection)
        assert held.settings.conn_utilization == 0.7
        assert held.settings.max_parked == 3
        assert held.settings.lease == 60
        assert held.connect_timeout == 2.5
        assert held.options.program_name == "it"
        assert held.character_set_name() == "utf8"
        assert held.client_flag & constants.CLIENT.FOUND_ROWS


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("conn_utilization=much", "conn_utilization in the URL must be a number"),
        ("reuse=perhaps", "reuse in the URL must be"),
        ("lease=1&lease=2", "lease is given twice"),
    ],
)
def test_wrong_option_is_refused_when_the_engine_is_made(query: str, words: str) -> None:
    """What cannot be read is told by name, before anything is sent."""
    with pytest.raises(sa.exc.ArgumentError, match=words):
        sa.create_engine(f"mysql+slsmysql://somebody@localhost/test?{query}")


@pytest.mark.parametrize(
    ("query", "keywords"),
    [
        ("ssl_ca=ca&ssl_check_hostname=false", {"ssl": {"ca": "ca", "check_hostname": False}}),
        (
            "ssl_ca=ca&ssl_verify_identity=true",
            {"ssl_ca": "ca", "ssl_verify_identity": True},
        ),
        (
            "ssl_ca=ca&ssl_cert=cert&ssl_key_password=word",
            {"ssl": {"ca": "ca", "cert": "cert", "password": "word"}},
        ),
        ("ssl_disabled=1", {"ssl_disabled": True}),
    ],
)
def test_tls_options_mean_what_they_mean_to_pymysqls_dialect(
    query: str, keywords: dict[str, object]
) -> None:
    """SQLAlchemy's dict stays; keywords that would replace it keep the others beside them."""
    url = sa.make_url(f"mysql+slsmysql://somebody@localhost/test?{query}")
    _, given = url.get_dialect()().create_connect_args(url)
    assert {name: given[name] for name in given if name.startswith("ssl")} == keywords


def test_tracing_may_replace_connect(
    create_engine: CreateEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands in the place of `slsmysql.connect` later than the engine was made is called."""
    engine = create_engine(CALM)
    made: list[slsmysql.Connection] = []

    def connect(*args: Any, **keywords: Any) -> slsmysql.Connection:
        made.append(slsmysql.Connection(*args, **keywords))
        return made[-1]

    monkeypatch.setattr(slsmysql, "connect", connect)
    with engine.connect() as connection:
        assert dbapi(connection) is made[-1]


@pytest.mark.parametrize("level", [None, "READ COMMITTED", "read_committed"])
def test_checkout_sends_nothing(create_engine: CreateEngine, level: str | None) -> None:
    """The next checkout goes on in the same session, and only its ROLLBACK was sent between."""
    keywords = {"isolation_level": level} if level else {}
    engine = create_engine(CALM, **keywords)
    with engine.connect() as connection:
        assert not level or connection.get_isolation_level() == "READ COMMITTED"
    seen = []
    for _ in range(3):
        with engine.connect() as connection:
            seen.append((dbapi(connection).thread_id(), statements(connection)))
    assert len({session for session, _ in seen}) == 1
    (_, first), (_, second), (_, third) = seen
    # SHOW STATUS itself, and the ROLLBACK when it was given back.
    assert third - second == second - first == 2


def test_autocommit_engine_sends_not_even_a_rollback(create_engine: CreateEngine) -> None:
    """With AUTOCOMMIT from the set-up there is nothing to switch and nothing to roll back."""
    engine = create_engine(CALM, isolation_level="AUTOCOMMIT", skip_autocommit_rollback=True)
    with engine.connect() as connection:
        first = statements(connection)
        assert dbapi(connection).get_autocommit()
    with engine.connect() as connection:
        assert statements(connection) - first == 1


def test_isolation_level_of_one_checkout_ends_with_it(create_engine: CreateEngine) -> None:
    """Whatever one block asks for, the next one has the engine's level again."""
    engine = create_engine(isolation_level="READ COMMITTED")
    with engine.connect().execution_options(isolation_level="SERIALIZABLE") as connection:
        assert connection.get_isolation_level() == "SERIALIZABLE"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        assert dbapi(connection).get_autocommit()
    with engine.connect() as connection:
        assert connection.get_isolation_level() == "READ COMMITTED"
        assert not dbapi(connection).get_autocommit()


def test_isolation_level_and_init_command_go_together(create_engine: CreateEngine) -> None:
    """A program's own `init_command` is kept, and the level is set after it."""
    engine = create_engine(
        isolation_level="READ COMMITTED", connect_args={"init_command": "SET lc_time_names='de_DE'"}
    )
    for _ in range(2):
        with engine.connect() as connection:
            assert connection.get_isolation_level() == "READ COMMITTED"
            assert connection.scalar(sa.text("SELECT @@lc_time_names")) == "de_DE"


def test_update_counts_the_rows_found(create_engine: CreateEngine) -> None:
    """`rowcount` is the number of rows matched, as SQLAlchemy expects, changed or not."""
    with create_engine().begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a INT)")
        connection.exec_driver_sql("INSERT INTO t VALUES (%s)", [(1,), (1,)])
        assert connection.execute(sa.text("UPDATE t SET a = 1")).rowcount == 2


def test_session_lost_with_work_in_it_invalidates(
    server: Server, create_engine: CreateEngine
) -> None:
    """The error says so, the block must end, and the next one runs on a new session."""
    engine = create_engine()
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a INT)")
    with engine.connect() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
        kill(server, dbapi(connection))
        with pytest.raises(sa.exc.OperationalError) as caught:
            connection.exec_driver_sql("INSERT INTO t VALUES (2)")
        assert connection.invalidated
    assert caught.value.connection_invalidated
    assert caught.value.orig is not None
    assert caught.value.orig.args[0] in {2006, 2013}
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT COUNT(*) FROM t")) == 0


def test_commit_of_a_lost_session_invalidates(server: Server, create_engine: CreateEngine) -> None:
    """A COMMIT that has not come through raises, and leaves a connection that can go on."""
    engine = create_engine()
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a INT)")
    with engine.connect() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
        kill(server, dbapi(connection))
        with pytest.raises(sa.exc.OperationalError) as caught:
            connection.commit()
        assert isinstance(caught.value.orig, slsmysql.OutcomeUnknownError)
        assert caught.value.connection_invalidated
        assert connection.invalidated
        connection.rollback()
        assert connection.scalar(sa.text("SELECT COUNT(*) FROM t")) == 0


def test_lost_connection_raises_until_told(server: Server, create_engine: CreateEngine) -> None:
    """What the driver refuses after a loss that went past SQLAlchemy is a disconnect, too."""
    engine = create_engine()
    with engine.connect() as connection:
        held = dbapi(connection)
        held.begin()
        held.cursor().execute("SELECT 1")
        kill(server, held)
        with pytest.raises(slsmysql.OperationalError):
            held.cursor().execute("SELECT 1")
        with pytest.raises(sa.exc.InterfaceError) as caught:
            connection.exec_driver_sql("SELECT 1")
        assert caught.value.connection_invalidated


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (slsmysql.OutcomeUnknownError(2013, "Lost connection (outcome unknown)"), True),
        (slsmysql.OperationalError(2006, "MySQL server has gone away"), True),
        (slsmysql.InterfaceError(0, ""), True),
        (slsmysql.Error("Already closed"), True),
        (slsmysql.OperationalError(1205, "Lock wait timeout exceeded"), False),
        (slsmysql.ProgrammingError(1064, "You have an error in your SQL syntax"), False),
        (slsmysql.InterfaceError(0, "the connection is in the middle of a statement"), False),
    ],
)
def test_errors_of_a_lost_session_are_told_from_others(
    create_engine: CreateEngine, error: slsmysql.Error, lost: bool
) -> None:
    """A disconnect is what leaves nothing to go on with, with and without a connection at hand."""
    engine = create_engine()
    with engine.connect() as connection:
        for held in (connection.connection, dbapi(connection), None):
            assert engine.dialect.is_disconnect(error, held, None) is lost  # type: ignore[arg-type]


@pytest.mark.parametrize("pinned", [False, True])
def test_pre_ping_replaces_what_died_in_the_pool(
    server: Server, create_engine: CreateEngine, pinned: bool
) -> None:
    """A checkout never hands out a dead session, whether something was lost with it or not."""
    engine = create_engine(poolclass=QueuePool, pool_size=1, pool_pre_ping=True)
    with engine.connect() as connection:
        if pinned:
            connection.exec_driver_sql("CREATE TEMPORARY TABLE mine (a INT)")
        held = dbapi(connection)
        before = held.thread_id()
    kill(server, held)
    for _ in range(2):
        with engine.connect() as connection:
            assert connection.scalar(sa.text("SELECT 1")) == 1
            assert dbapi(connection).thread_id() != before


def test_one_disconnect_renews_the_whole_pool(server: Server, create_engine: CreateEngine) -> None:
    """After the first error every pooled connection from before it is replaced, unasked."""
    engine = create_engine(poolclass=QueuePool, pool_size=2)
    with engine.connect() as one, engine.connect() as other:
        for connection in (one, other):
            connection.exec_driver_sql("CREATE TEMPORARY TABLE mine (a INT)")
        both = dbapi(one), dbapi(other)
    kill(server, *both)
    with engine.connect() as connection, pytest.raises(sa.exc.DBAPIError) as caught:
        connection.exec_driver_sql("SELECT 1")
    assert caught.value.connection_invalidated
    with engine.connect() as one, engine.connect() as other:
        assert one.scalar(sa.text("SELECT 1")) == other.scalar(sa.text("SELECT 1")) == 1


def test_what_died_while_parked_is_not_noticed(server: Server, create_engine: CreateEngine) -> None:
    """A session that the server ended between two checkouts is replaced before it is used."""
    engine = create_engine("stale_after=0", isolation_level="READ COMMITTED")
    with engine.connect() as connection:
        held = dbapi(connection)
    kill(server, held)
    with engine.connect() as connection:
        assert connection.get_isolation_level() == "READ COMMITTED"


def test_listeners_settings_survive_a_new_session(
    server: Server, create_engine: CreateEngine
) -> None:
    """What a `connect` listener has set is set again on the session that replaces a lost one."""
    engine = create_engine("stale_after=0", poolclass=QueuePool, pool_size=1)

    @sa.event.listens_for(engine, "connect")
    def set_time_zone(connection: slsmysql.Connection, record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET time_zone='+03:00'")

    with engine.connect() as connection:
        held = dbapi(connection)
    kill(server, held)
    with engine.connect() as connection:
        assert dbapi(connection) is held
        assert connection.scalar(sa.text("SELECT @@time_zone")) == "+03:00"
