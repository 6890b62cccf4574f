"""What every operation costs in round trips, counted by the proxy: `docs/round-trips.md`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest

import slsmysql
from slsmysql import manager
from tests.fix_servers import Connect
from tests.integration.conftest import Clock
from tests.proxy import Proxy
from tests.servers import Server

PAGE = Path(__file__).parents[2] / "docs" / "round-trips.md"

#: Sessions that the crowded server lets in, and above how many there is an excess (0.8).
ROOM, THRESHOLD = 20, 16

Fill = Callable[..., list[Any]]


class Rig:
    """A driver before a server, and the count of what an operation sends."""

    def __init__(
        self,
        proxy: Proxy,
        connect: Callable[..., Any],
        clock: Clock,
        lab: Server,
        fill: Fill,
    ) -> None:
        """Count what ``connect`` and its connections send."""
        self.proxy = proxy
        self.connect = connect
        self.clock = clock
        self.lab = lab
        self.fill = fill
        self.counted: int | None = None

    @contextlib.contextmanager
    def count(self) -> Iterator[None]:
        """Count the round trips of a block."""
        with self.proxy.counting() as counting:
            yield
        self.counted = counting.round_trips

    def settled(self, **given: Any) -> Any:
        """Return a connection for which no look is due."""
        connection = self.connect(**given)
        if isinstance(connection, slsmysql.Connection):
            connection._server.next_look = float("inf")
        return connection

    def looking(self, **given: Any) -> Any:
        """Return a connection for which a look is due, and which knows the server's limits."""
        connection = self.connect(**given)
        unit(connection)
        if isinstance(connection, slsmysql.Connection):
            connection._server.next_look = float("-inf")
        return connection


def ask(connection: Any, sql: str = "SELECT 1", args: object = None) -> Any:
    """Run a statement, with a cursor of its own, and fetch all of its rows."""
    with connection.cursor() as cursor:
        cursor.execute(sql, args)
        return cursor.fetchall()


def unit(connection: Any, sql: str = "SELECT 1") -> None:
    """A unit of work: cursor, statement, fetch, cursor's close, commit."""
    ask(connection, sql)
    connection.commit()


# -- the operations --------------------------------------------------------------------------------

Operation = Callable[[Rig], None]

#: Each by its words in the page, in the page's order; what only slsmysql has is not in BOTH.
OPERATIONS: dict[str, Operation] = {}
BOTH: list[str] = []


def operation(words: str, *, both: bool = True) -> Callable[[Operation], Operation]:
    """Put an operation on the page."""

    def add(function: Operation) -> Operation:
        OPERATIONS[words] = function
        if both:
            BOTH.append(words)
        return function

    return add


@operation("`connect()`")
def _connect(rig: Rig) -> None:
    with rig.count():
        rig.connect()


@operation("`connect(autocommit=True)`")
def _connect_autocommit(rig: Rig) -> None:
    with rig.count():
        rig.connect(autocommit=True)


@operation("`connect(sql_mode=..., init_command=...)`")
def _connect_more(rig: Rig) -> None:
    with rig.count():
        rig.connect(sql_mode="ANSI_QUOTES", init_command="SET @a = 1")


@operation("`connect()` when a session is parked")
def _connect_parked(rig: Rig) -> None:
    rig.settled().close()
    with rig.count():
        rig.connect()


@operation("the third `connect()` of a process that has run nothing yet", both=False)
def _connect_again(rig: Rig) -> None:
    for _ in range(2):
        rig.connect(reuse=False)
    rig.clock.now += 1
    with rig.count():
        rig.connect(reuse=False)


@operation("`execute()`")
def _execute(rig: Rig) -> None:
    connection = rig.settled()
    with rig.count():
        ask(connection, "SELECT %s + 1", (1,))


@operation("`execute()` of 10 000 rows, streamed")
def _stream(rig: Rig) -> None:
    connection = rig.settled()
    streaming = getattr(type(connection), "__module__", "").split(".")[0]
    cursor = connection.cursor(
        slsmysql.cursors.SSCursor if streaming == "slsmysql" else pymysql.cursors.SSCursor
    )
    digits = " UNION ALL ".join(f"SELECT {n} n" for n in range(10))
    tables = ", ".join(f"({digits}) t{n}" for n in range(4))
    with rig.count():
        cursor.execute(f"SELECT t0.n FROM {tables}")
        assert len(cursor.fetchall()) == 10_000
        cursor.close()


@operation("`executemany()` of an INSERT with 1000 rows")
def _executemany(rig: Rig) -> None:
    connection = rig.settled(autocommit=True)
    ask(connection, "CREATE TEMPORARY TABLE many (n INT)")
    with rig.count(), connection.cursor() as cursor:
        cursor.executemany("INSERT INTO many VALUES (%s)", [(n,) for n in range(1000)])


@operation("`execute()` after 2 s without a statement (`stale_after`)")
def _after_idling(rig: Rig) -> None:
    connection = rig.settled()
    rig.clock.advance(2)
    with rig.count():
        ask(connection)


@operation("the same, when the session has died: a new one, then the statement", both=False)
def _after_dying(rig: Rig) -> None:
    connection = rig.settled()
    rig.proxy.cut()
    rig.clock.advance(2)
    with rig.count():
        ask(connection)


@operation(
    "`execute()` after 301 s (`reopen_after`): a new session, then the statement", both=False
)
def _after_long_idling(rig: Rig) -> None:
    connection = rig.settled()
    rig.clock.advance(301)
    with rig.count():
        ask(connection)


@operation("`commit()` or `rollback()` after a statement")
def _commit(rig: Rig) -> None:
    connection = rig.settled()
    ask(connection)
    with rig.count():
        connection.commit()


@operation("`commit()` or `rollback()` after none")
def _commit_nothing(rig: Rig) -> None:
    connection = rig.settled()
    unit(connection)
    with rig.count():
        connection.commit()


@operation("a unit of work: `execute()`, `fetchall()`, cursor's `close()`, `commit()`")
def _unit(rig: Rig) -> None:
    connection = rig.settled()
    with rig.count():
        unit(connection)


@operation("the same when a look is due, below the threshold", both=False)
def _unit_with_look(rig: Rig) -> None:
    connection = rig.looking()
    with rig.count():
        unit(connection)


@operation("the same when the limits must be read (first look, then every 15 s)", both=False)
def _unit_with_limits(rig: Rig) -> None:
    connection = rig.connect()
    with rig.count():
        unit(connection)


@operation("the same above the threshold: no zombie is found, and the session given up", both=False)
def _unit_above(rig: Rig) -> None:
    connection = rig.looking(**crowded(rig))
    rig.fill(THRESHOLD, rig.lab.app)
    with rig.count():
        unit(connection)
    assert connection.stats().kills == 0


@operation("the next one: a new session, given up in turn", both=False)
def _unit_above_again(rig: Rig) -> None:
    connection = rig.looking(**crowded(rig))
    rig.fill(THRESHOLD, rig.lab.app)
    unit(connection)
    with rig.count():
        unit(connection)


@operation("the same above the threshold, with one zombie to end", both=False)
def _unit_reaping(rig: Rig) -> None:
    connection = rig.looking(**crowded(rig))
    rig.fill(THRESHOLD, rig.lab.boss)
    with rig.count():
        unit(connection)
    assert connection.stats().kills == 1


@operation('the same above the threshold with `reap="off"`', both=False)
def _unit_giving_up(rig: Rig) -> None:
    connection = rig.looking(**crowded(rig), reap="off")
    rig.fill(THRESHOLD, rig.lab.app)
    with rig.count():
        unit(connection)
    assert connection.handle is None


@operation("`execute()` of a connection that gave its session up", both=False)
def _dormant(rig: Rig) -> None:
    connection = rig.settled()
    assert connection.handle is not None
    connection.handle.quit()
    connection._handle = None
    rig.clock.advance(1)
    with rig.count():
        ask(connection)


@operation("`with connection.transaction():` and one statement", both=False)
def _transaction(rig: Rig) -> None:
    connection = rig.settled()
    with rig.count(), connection.transaction():
        ask(connection)


@operation("the end of an `invocation()` after `commit()`", both=False)
def _invocation(rig: Rig) -> None:
    connection = rig.settled()
    with slsmysql.invocation():
        unit(connection)
        before = rig.proxy.tally()
    rig.counted = (rig.proxy.tally() - before).round_trips


@operation("`close()` when everything is committed")
def _close(rig: Rig) -> None:
    connection = rig.settled()
    unit(connection)
    with rig.count():
        connection.close()


@operation("`close()` in a transaction")
def _close_open(rig: Rig) -> None:
    connection = rig.settled()
    ask(connection)
    with rig.count():
        connection.close()


@operation("`close()` after session state was changed: reset, and set up for the next")
def _close_changed(rig: Rig) -> None:
    connection = rig.settled(autocommit=True)
    ask(connection, "SET @a = 1")
    with rig.count():
        connection.close()


@operation("`ping()`")
def _ping(rig: Rig) -> None:
    connection = rig.settled()
    with rig.count():
        connection.ping()


@operation("`select_db()`")
def _select_db(rig: Rig) -> None:
    connection = rig.settled()
    with rig.count():
        connection.select_db("test")


@operation("`set_character_set()`")
def _set_character_set(rig: Rig) -> None:
    connection = rig.settled()
    with rig.count():
        connection.set_character_set("latin1")


@operation("`autocommit(True)`")
def _autocommit(rig: Rig) -> None:
    connection = rig.settled()
    with rig.count():
        connection.autocommit(True)


@operation("`autocommit(False)` when it is off already")
def _autocommit_off(rig: Rig) -> None:
    connection = rig.settled()
    with rig.count():
        connection.autocommit(False)


@operation("`callproc()` with two arguments")
def _callproc(rig: Rig) -> None:
    connection = rig.settled()
    with rig.count(), connection.cursor() as cursor, contextlib.suppress(Exception):
        cursor.callproc("there_is_none", (1, 2))


@operation("`show_warnings()`")
def _show_warnings(rig: Rig) -> None:
    connection = rig.settled()
    with rig.count():
        connection.show_warnings()


@operation("`connect(manage_conns=False)`", both=False)
def _unmanaged_connect(rig: Rig) -> None:
    with rig.count():
        rig.connect(manage_conns=False)


@operation("a unit of work with `manage_conns=False`", both=False)
def _unmanaged_unit(rig: Rig) -> None:
    connection = rig.connect(manage_conns=False)
    with rig.count():
        unit(connection)


def crowded(rig: Rig) -> dict[str, Any]:
    """Let the proxy lead to a server with little room, and return the keywords for it."""
    rig.lab.sql(f"SET GLOBAL max_connections={ROOM}")
    rig.proxy.server = (rig.lab.host, rig.lab.port)
    # InnoDB's list of transactions is a new one for whoever reads it 0.1 s after the last.
    rig.lab.sql("SELECT SLEEP(0.15)")
    return {
        "database": "test",
        "user": rig.lab.boss.user,
        "password": rig.lab.boss.password,
        "zombie_min_timeout": 0,
    }


# -- the page --------------------------------------------------------------------------------------

COLUMNS = ("PyMySQL", "slsmysql, MariaDB", "slsmysql, MySQL")


def table() -> dict[str, dict[str, str]]:
    """Return the page's table: operation, column, figure."""
    found: dict[str, dict[str, str]] = {}
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells[0] in OPERATIONS:
            found[cells[0]] = dict(zip(COLUMNS, cells[1:], strict=True))
    return found


def test_the_page_has_every_operation_in_order() -> None:
    """No operation is measured that is not on the page, and none is on it that is not measured."""
    rows = [
        line.strip("|").split("|")[0].strip()
        for line in PAGE.read_text().splitlines()
        if line.startswith("| ") and not line.startswith(("| operation", "| ---"))
    ]
    assert rows == list(OPERATIONS)


@pytest.mark.parametrize("words", OPERATIONS)
def test_the_page_is_true_of_slsmysql(
    proxy: Proxy, connect: Connect, clock: Clock, lab: Server, fill: Fill, words: str
) -> None:
    """Every operation takes the round trips that the page says, on both back ends alike."""

    def through(**given: Any) -> slsmysql.Connection:
        return connect(**{"host": proxy.host, "port": proxy.port, **given})

    rig = Rig(proxy, through, clock, lab, fill)
    manager.forget_servers()
    OPERATIONS[words](rig)
    column = {"mariadb": COLUMNS[1], "mysql": COLUMNS[2]}[lab.kind]
    assert table()[words][column] == str(rig.counted)


@pytest.mark.parametrize("words", BOTH)
def test_the_page_is_true_of_pymysql(
    proxy: Proxy,
    pymysql_connect: Callable[..., Any],
    clock: Clock,
    lab: Server,
    fill: Fill,
    words: str,
) -> None:
    """What PyMySQL takes is measured beside it."""

    def through(**given: Any) -> Any:
        return pymysql_connect(**{"host": proxy.host, "port": proxy.port, **given})

    rig = Rig(proxy, through, clock, lab, fill)
    OPERATIONS[words](rig)
    assert table()[words][COLUMNS[0]] == str(rig.counted)


def test_no_operation_of_pymysqls_takes_longer_but_for_the_check_of_a_stale_session() -> None:
    """What a program written for PyMySQL does takes no more round trips, with the exceptions."""
    more = {
        words
        for words, row in table().items()
        if row[COLUMNS[0]] != "-"
        and max(int(row[COLUMNS[1]]), int(row[COLUMNS[2]])) > int(row[COLUMNS[0]])
    }
    assert more == {
        "`execute()` after 2 s without a statement (`stale_after`)",
        "`close()` in a transaction",
        "`close()` after session state was changed: reset, and set up for the next",
    }


def test_what_is_only_slsmysqls_has_no_figure_for_pymysql() -> None:
    """A dash stands where there is nothing to compare."""
    dashes = {words for words, row in table().items() if row[COLUMNS[0]] == "-"}
    assert dashes == set(OPERATIONS) - set(BOTH)
