"""Threads, and whatever interrupts a statement: the stream is never out of step."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import slsmysql
from slsmysql.constants import CLIENT
from slsmysql.cursors import SSCursor
from slsmysql.err import InterfaceError
from tests.fix_servers import Connect
from tests.integration.conftest import rows, run
from tests.proxy import COM_PING, COM_STATISTICS, Point, Proxy, answer, call, request
from tests.servers import Server

Connection = slsmysql.Connection
Numbers = Callable[[], list[Any]]

#: Statements of each thread: enough for threads to meet, few enough to be quick.
STATEMENTS = 40


def in_threads(*works: Callable[[], object]) -> list[BaseException]:
    """Run functions in threads that begin together; return what they raised."""
    raised: list[BaseException] = []
    together = threading.Barrier(len(works))

    def run_one(work: Callable[[], object]) -> None:
        together.wait()
        try:
            work()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run_one, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


# -- threads ---------------------------------------------------------------------------------------


def test_threads_with_a_connection_each(connect: Connect) -> None:
    """Each thread gets the rows of its own statements, while all connect, ask, commit, close."""

    def work(number: int) -> None:
        for _ in range(3):
            with connect(used_conns_freq=0) as connection:
                for n in range(STATEMENTS // 4):
                    value = number * 1000 + n
                    assert rows(connection, f"SELECT {value}, '{value}'") == [(value, str(value))]
                    connection.commit()

    assert in_threads(*[lambda number=number: work(number) for number in range(4)]) == []


@pytest.fixture
def often() -> Iterator[None]:
    """Let the interpreter change threads as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("tls", [False, True])
def test_two_threads_on_one_connection(connect: Connect, often: None, *, tls: bool) -> None:
    """Against PEP 249's threadsafety 1, and yet each gets its own rows or a clear error."""
    connection = connect(autocommit=True, ssl_disabled=not tls)
    wrong = []

    def work(number: int) -> None:
        for n in range(STATEMENTS):
            value = number * 1000 + n
            found = rows(connection, f"SELECT {value}, REPEAT('x', {n})")
            if found != [(value, "x" * n)]:
                wrong.append((value, found))

    raised = in_threads(*[lambda number=number: work(number) for number in range(3)])
    assert [error for error in raised if not isinstance(error, slsmysql.Error)] == []
    assert wrong == []
    assert rows(connection, "SELECT 7") == [(7,)]


def test_a_connection_closed_by_another_thread(connect: Connect) -> None:
    """close() and quit() from elsewhere wait for the statement, and break nothing."""
    connection = connect(autocommit=True)

    def work() -> None:
        for n in range(STATEMENTS * 5):
            assert rows(connection, f"SELECT {n}") == [(n,)]

    raised = in_threads(work, connection.quit)
    assert [error for error in raised if not isinstance(error, InterfaceError)] == []


def test_the_end_of_an_invocation_leaves_another_threads_statement_alone(
    through: Connect, proxy: Proxy
) -> None:
    """invocation() ends what is open, but not what another thread is in the middle of."""
    connection = through()
    started, done = threading.Event(), threading.Event()

    def hold() -> None:
        started.set()
        done.wait(20)

    proxy.when(answer("SELECT 5"), call(hold))
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.extend(rows(connection, "SELECT 5")))
    thread.start()
    assert started.wait(20)
    with slsmysql.invocation():
        pass
    done.set()
    thread.join()
    assert found == [(5,)]


# -- interrupts ------------------------------------------------------------------------------------


class Interrupted(BaseException):
    """What the signal's handler raises: no exception that anybody would swallow."""


@contextlib.contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Give a function that interrupts the main thread, from any thread."""

    def handler(_number: int, _frame: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        yield lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)


POINTS = [
    pytest.param(request("VALUES"), id="sent"),
    pytest.param(answer("VALUES"), id="answered"),
]
READING = [
    pytest.param(request("n FROM t"), id="sent"),
    pytest.param(answer("n FROM t"), id="answered"),
    pytest.param(answer("n FROM t", number=3), id="columns read"),
    pytest.param(answer("n FROM t", number=5), id="rows read"),
]


@pytest.mark.parametrize("point", READING)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_read_that_is_interrupted(
    through: Connect, proxy: Proxy, table: Numbers, point: Point, *, streamed: bool
) -> None:
    """Wherever an exception hits, it comes out, and the next statement gets its own rows."""
    connection = through(autocommit=True)
    run(connection, "INSERT INTO t VALUES (1), (2), (3)")
    cursor = connection.cursor(SSCursor if streamed else None)

    def read() -> None:
        cursor.execute("SELECT n FROM t")
        assert list(cursor.fetchall()) == [(1,), (2,), (3,)]
        # The signal comes during the statement, or just behind it.
        for _ in range(1000):
            os.getpid()

    with interruptible() as interrupt:
        proxy.when(point, call(interrupt))
        with pytest.raises(Interrupted):
            read()
    assert rows(connection, "SELECT 7") == [(7,)]
    assert rows(connection, "SELECT 8") == [(8,)]
    assert table() == [1, 2, 3]


@pytest.mark.parametrize("point", POINTS)
def test_a_write_that_is_interrupted_runs_at_most_once(
    through: Connect, proxy: Proxy, table: Numbers, point: Point
) -> None:
    """An interrupted write in autocommit is not sent again."""
    connection = through(autocommit=True)
    with interruptible() as interrupt, proxy.counting() as counted:
        proxy.when(point, call(interrupt))
        with pytest.raises(Interrupted):
            run(connection, *["INSERT INTO t VALUES (1)", "DO 1", "DO 1", "DO 1"])
    assert counted.statements.count("INSERT INTO t VALUES (1)") == 1
    assert rows(connection, "SELECT 7") == [(7,)]
    assert table() in ([], [1])


@pytest.mark.parametrize("point", POINTS)
def test_a_transaction_that_is_interrupted_is_whole_or_not_at_all(
    through: Connect, proxy: Proxy, table: Numbers, point: Point
) -> None:
    """After an interrupt either all goes on, or nothing does before a rollback."""
    connection = through()
    run(connection, "INSERT INTO t VALUES (1)")
    with interruptible() as interrupt:
        proxy.when(point, call(interrupt))
        with pytest.raises(Interrupted):
            run(connection, *["INSERT INTO t VALUES (2)", "DO 1", "DO 1", "DO 1"])
    try:
        run(connection, "INSERT INTO t VALUES (3)")
        connection.commit()
    except InterfaceError:
        connection.rollback()
        assert table() == []
    else:
        assert table() == [1, 2, 3]


@pytest.mark.parametrize("point", [request("COMMIT"), answer("COMMIT")])
def test_a_commit_that_is_interrupted(
    through: Connect, proxy: Proxy, table: Numbers, point: Point
) -> None:
    """Whoever interrupts a commit cannot know; what comes next is a transaction of its own."""
    connection = through()
    run(connection, "INSERT INTO t VALUES (1)")

    def commit() -> None:
        connection.commit()
        for _ in range(1000):
            os.getpid()

    with interruptible() as interrupt:
        proxy.when(point, call(interrupt))
        with pytest.raises(Interrupted):
            commit()
    with contextlib.suppress(InterfaceError):
        connection.rollback()
    run(connection, "INSERT INTO t VALUES (2)")
    connection.commit()
    assert table() in ([2], [1, 2])


@pytest.mark.parametrize("command", [COM_PING, COM_STATISTICS])
@pytest.mark.parametrize("at", [request, answer])
def test_what_is_sent_besides_statements_can_be_interrupted_too(
    through: Connect, proxy: Proxy, command: int, at: Callable[..., Point]
) -> None:
    """An exception in a ping or in a look comes out, and leaves the stream in step."""
    connection = through(looks=True, autocommit=True)

    def work() -> None:
        if command == COM_PING:
            connection.ping()
        else:
            rows(connection, "SELECT 1")
        for _ in range(1000):
            os.getpid()

    with interruptible() as interrupt:
        proxy.when(at(command=command), call(interrupt))
        with pytest.raises(Interrupted):
            work()
    assert rows(connection, "SELECT 7") == [(7,)]
    assert rows(connection, "SELECT 8") == [(8,)]


def test_an_exception_set_from_another_thread(
    through: Connect, proxy: Proxy, table: Numbers
) -> None:
    """What PyThreadState_SetAsyncExc brings (a web server's time-out) is no different."""
    connection = through(autocommit=True)
    found: list[Any] = []

    def work() -> None:
        ident = threading.get_ident()

        def interrupt() -> None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(ident), ctypes.py_object(Interrupted)
            )

        proxy.when(answer("SELECT 5"), call(interrupt))
        try:
            for _ in range(100):
                rows(connection, "SELECT 5")
        except Interrupted:
            found.append(rows(connection, "SELECT 7"))
            found.append(rows(connection, "SELECT 8"))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [[(7,)], [(8,)]]


def test_ctrl_c(through: Connect, proxy: Proxy, server: Server) -> None:
    """KeyboardInterrupt, as Python's own handler raises it, is no different either."""
    connection = through(autocommit=True)
    proxy.when(answer("SELECT 5"), call(lambda: os.kill(os.getpid(), signal.SIGINT)))

    def work() -> None:
        rows(connection, "SELECT 5")
        for _ in range(1000):
            os.getpid()

    with pytest.raises(KeyboardInterrupt):
        work()
    assert rows(connection, "SELECT 7") == [(7,)]


def test_a_handler_of_a_signal_that_uses_the_connection_is_refused(
    through: Connect, proxy: Proxy
) -> None:
    """In the middle of a statement there is no other one, and the first one goes on."""
    connection = through(autocommit=True)
    refused: list[Any] = []

    def handler(_number: int, _frame: object) -> None:
        try:
            refused.append(rows(connection, "SELECT 6"))
        except InterfaceError as error:
            refused.append(error)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        main = threading.main_thread().ident or 0
        proxy.when(answer("SELECT 5"), call(lambda: signal.pthread_kill(main, signal.SIGUSR1)))
        assert rows(connection, "SELECT 5") == [(5,)]
        assert rows(connection, "SELECT 7") == [(7,)]
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(refused) == 1
    assert isinstance(refused[0], InterfaceError) or refused[0] == [(6,)]


@pytest.mark.parametrize("what", ["next_result", "stream", "ping", "select_db"])
def test_whoever_comes_in_between_is_refused(
    through: Connect, monkeypatch: pytest.MonkeyPatch, home: str, what: str
) -> None:
    """In the middle of whatever is sent or read nothing else is, and nothing is given back."""
    connection = through(autocommit=True, client_flag=CLIENT.MULTI_STATEMENTS)
    cursor = connection.cursor(SSCursor)
    works: dict[str, tuple[str, Callable[[], object]]] = {
        "next_result": ("next", cursor.nextset),
        "stream": ("read_rows", cursor.fetchone),
        "ping": ("ping", connection.ping),
        "select_db": ("init_db", lambda: connection.select_db(home)),
    }
    method, work = works[what]
    handle = connection.handle
    if what == "next_result":
        cursor.execute("SELECT 1; SELECT 2")
        cursor.fetchall()
    elif what == "stream":
        cursor.execute("SELECT 1 UNION ALL SELECT 2")
    real = getattr(type(handle), method)
    refused: list[InterfaceError] = []

    def meddled(*args: Any) -> Any:
        monkeypatch.undo()
        for meddle in (
            lambda: rows(connection, "SELECT 6"),
            connection.ping,
            lambda: connection.select_db(home),
            connection.next_result,
            connection.connect,
            lambda: connection.change_user("nobody"),
        ):
            with pytest.raises(InterfaceError, match="in the middle") as caught:
                meddle()
            refused.append(caught.value)
        slsmysql.close_all()
        return real(*args)

    monkeypatch.setattr(type(handle), method, meddled)
    work()
    assert len(refused) == 6
    assert connection.handle is handle
    cursor.close()
    assert rows(connection, "SELECT 7") == [(7,)]


# -- conversions -----------------------------------------------------------------------------------


class Refusal(Exception):
    """What a converter of the program's raises."""


@pytest.mark.parametrize("streamed", [False, True])
def test_a_converter_that_raises_leaves_the_session_in_step(
    through: Connect, *, streamed: bool
) -> None:
    """An exception out of a decoder of one's own is one's own, and the session goes on."""
    from slsmysql.constants import FIELD_TYPE
    from slsmysql.converters import conversions

    def refuse(_text: str) -> None:
        raise Refusal

    connection = through(autocommit=True, conv={**conversions, FIELD_TYPE.VAR_STRING: refuse})
    cursor = connection.cursor(SSCursor if streamed else None)

    def read() -> None:
        cursor.execute("SELECT 'a' UNION ALL SELECT 'b' UNION ALL SELECT 'c'")
        cursor.fetchall()

    with pytest.raises(Refusal):
        read()
    cursor.close()
    assert rows(connection, "SELECT 7") == [(7,)]
    assert connection.stats().connects == 1
