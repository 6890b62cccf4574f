"""The ends and the splits of processes: exit, fork, SIGTERM, snapshot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import slsmysql
from slsmysql import connections, manager
from slsmysql.events import Event
from tests.fix_servers import Connect
from tests.integration.conftest import Clock, ids, names, rows, run
from tests.proxy import Proxy
from tests.servers import Server

Numbers = Callable[[], list[Any]]
Python = Callable[..., str]

#: What every program here begins with: ``connect(**overrides)``, and the parameters in ``P``.
PRELUDE = """
import json, os, sys
import slsmysql
P = json.loads(os.environ["PARAMS"])
def connect(**overrides):
    return slsmysql.connect(**{**P, **overrides})
def ask(connection, sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()
def child(work):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        work()
        return True
    _, status = os.waitpid(pid, 0)
    assert status == 0, status
    return False
"""

ROOT = str(Path(slsmysql.__file__).parent.parent)


@pytest.fixture
def python(params: dict[str, Any], backend: str, home: str, tmp_path: Path) -> Python:
    """Run a program to its end; it may say nothing but what it prints, which is returned."""
    given = {**params, "database": home, "use_pure": backend == "pure"}

    def python(code: str, *options: str, **overrides: Any) -> str:
        done = subprocess.run(
            [sys.executable, *options, "-c", PRELUDE + code],
            env={**os.environ, "PYTHONPATH": ROOT, "PARAMS": json.dumps({**given, **overrides})},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return python


# -- exit ------------------------------------------------------------------------------------------

LEFT = {
    "open": "connection = connect()",
    "used": "connection = connect(); ask(connection, 'SELECT 1')",
    "in a transaction": "connection = connect(); ask(connection, 'INSERT INTO t VALUES (1)')",
    "parked": "connect().close()",
    "in a cycle": "a = [connect()]; a.append(a)",
    "streaming": (
        "from slsmysql.cursors import SSCursor\n"
        "cursor = connect().cursor(SSCursor)\n"
        "cursor.execute('SELECT 1 UNION ALL SELECT 2')\n"
        "cursor.fetchone()"
    ),
}


@pytest.mark.parametrize("left", LEFT)
def test_exit_says_nothing_and_ends_the_sessions(
    python: Python, proxy: Proxy, table: Numbers, left: str
) -> None:
    """Whatever is left open, the interpreter prints nothing, and the server has it no more."""
    python(LEFT[left], port=proxy.port)
    (link,) = proxy.links
    proxy.wait(lambda: not link.open)
    if left != "streaming":
        assert link.requests[-1] == b"\x01"  # told goodbye
    assert table() == []


def test_exit_in_development_mode(python: Python, proxy: Proxy) -> None:
    """Python's development mode has nothing to say of connections that were closed."""
    python("with connect() as connection: ask(connection, 'SELECT 1')", "-X", "dev")


# -- threads ---------------------------------------------------------------------------------------


def test_there_is_no_thread_but_the_programs(python: Python, table: Numbers) -> None:
    """Whatever is done with connections, no thread is left: none would run in a frozen one."""
    said = python(
        """
import threading
def tasks():
    kernels = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 1
    return threading.active_count(), kernels
for _ in range(2):
    connection = connect(used_conns_freq=0)
    ask(connection, "SELECT 1")
    connection.commit()
    with slsmysql.invocation(), connection.transaction():
        ask(connection, "INSERT INTO t VALUES (%d)" % _)
    connection.ping()
    print(connection.stats().looks > 0, tasks())
    connection.close()
    print(tasks())
"""
    )
    assert said == "True (1, 1)\n(1, 1)\n" * 2
    assert table() == [0, 1]


# -- fork ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("ends", ["sys.exit(0)", "os._exit(0)"])
def test_a_child_opens_a_session_of_its_own(
    python: Python, server: Server, table: Numbers, ends: str, *, tls: bool
) -> None:
    """A child's connection works, on another session; the parent's goes on when it has ended."""
    said = python(
        f"""
connection = connect(autocommit=True)
mine = ask(connection, "SELECT CONNECTION_ID()")
def work():
    theirs = ask(connection, "SELECT CONNECTION_ID()")
    assert theirs != mine
    connection.close()
    {ends}
for _ in range(2):
    child(work)
    assert ask(connection, "SELECT CONNECTION_ID()") == mine
ask(connection, "INSERT INTO t VALUES (1)")
connection.close()
assert ask(connect(autocommit=True), "SELECT CONNECTION_ID()") == mine
print("done")
""",
        ssl_disabled=not (tls and server.kind == "mysql"),
    )
    assert said == "done\n"
    assert table() == [1]


def test_a_fork_in_a_transaction(python: Python, table: Numbers) -> None:
    """The transaction is the parent's: a child is told so, and disturbs nothing."""
    said = python(
        """
connection = connect()
ask(connection, "INSERT INTO t VALUES (1)")
def work():
    try:
        ask(connection, "INSERT INTO t VALUES (2)")
    except slsmysql.InterfaceError as error:
        assert "forked" in repr(error) or error.args[0] == 0
    else:
        raise AssertionError("the child wrote into a transaction that it does not have")
    connection.rollback()
    ask(connection, "INSERT INTO t VALUES (3)")
    connection.commit()
    sys.exit(0)
child(work)
ask(connection, "INSERT INTO t VALUES (4)")
connection.commit()
print("done")
"""
    )
    assert said == "done\n"
    assert table() == [1, 3, 4]


def test_a_fork_with_a_parked_session(python: Python, table: Numbers) -> None:
    """What the parent has parked is no child's; the parent takes it again."""
    said = python(
        """
first = connect(autocommit=True)
mine = ask(first, "SELECT CONNECTION_ID()")
first.close()
def work():
    connection = connect(autocommit=True)
    assert connection.stats().parked_reuses == 0
    assert ask(connection, "SELECT CONNECTION_ID()") != mine
    connection.close()
    slsmysql.close_all()
    sys.exit(0)
child(work)
again = connect(autocommit=True)
assert again.stats().parked_reuses == 1
assert ask(again, "SELECT CONNECTION_ID()") == mine
print("done")
"""
    )
    assert said == "done\n"


def test_a_fork_in_a_stream(python: Python) -> None:
    """A stream goes on in the parent; a child that lets go of its copy takes nothing away."""
    said = python(
        """
from slsmysql.cursors import SSCursor
connection = connect(autocommit=True)
cursor = connection.cursor(SSCursor)
cursor.execute("SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3")
assert cursor.fetchone() == (1,)
def work():
    global cursor
    cursor.close()
    del cursor
    assert ask(connection, "SELECT 5") == ((5,),)
    sys.exit(0)
child(work)
assert list(cursor.fetchall()) == [(2,), (3,)]
print("done")
"""
    )
    assert said == "done\n"


def test_a_pool_of_forked_workers(python: Python, table: Numbers) -> None:
    """The workers of a pool each have a session, and the parent has its own."""
    said = python(
        """
import multiprocessing
connection = connect(autocommit=True)
mine = connection.thread_id()
def work(n):
    ask(connection, f"INSERT INTO t VALUES ({n})")
    return connection.thread_id()
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        sessions = set(pool.map(work, range(10)))
        pool.close()
        pool.join()
    assert mine not in sessions
    assert ask(connection, "SELECT COUNT(*) FROM t") == ((10,),)
    print("done")
"""
    )
    assert said == "done\n"
    assert table() == list(range(10))


# -- signals ---------------------------------------------------------------------------------------


def test_close_all_in_a_handler_of_sigterm(python: Python, proxy: Proxy) -> None:
    """A container that is told to stop ends its sessions in the time that it has."""
    said = python(
        """
import signal
def stop(number, frame):
    slsmysql.close_all()
    print("stopped")
    os._exit(0)
signal.signal(signal.SIGTERM, stop)
connect().close()
sys.stdout.reconfigure(line_buffering=True)
os.kill(os.getpid(), signal.SIGTERM)
""",
        port=proxy.port,
    )
    assert said == "stopped\n"
    (link,) = proxy.links
    proxy.wait(lambda: not link.open)
    assert link.requests[-1] == b"\x01"


# -- snapshots -------------------------------------------------------------------------------------


def test_before_a_snapshot_all_sessions_at_rest_end(
    through: Connect, proxy: Proxy, events: list[Event]
) -> None:
    """A process that will be started many times from its image has no session in it."""
    connection = through(autocommit=True)
    rows(connection, "SELECT 1")
    through(autocommit=True).close()
    connections.before_snapshot()
    proxy.wait(lambda: not proxy.open_links)
    assert manager.parked_count() == 0
    assert connection.open
    connections.after_restore()
    assert rows(connection, "SELECT 2") == [(2,)]
    assert connection.stats().lost == 0
    assert "reopen" in names(events)


def test_a_transaction_open_at_the_snapshot_is_lost_and_that_is_told(
    through: Connect, table: Numbers, events: list[Event]
) -> None:
    """No copy of the process goes on in the middle of a transaction that none of them has."""
    connection = through()
    run(connection, "INSERT INTO t VALUES (1)")
    connections.before_snapshot()
    assert table() == []
    assert names(events) == ["lost"]
    connections.after_restore()
    with pytest.raises(slsmysql.InterfaceError):
        run(connection, "INSERT INTO t VALUES (2)")
    connection.rollback()
    run(connection, "INSERT INTO t VALUES (3)")
    connection.commit()
    assert table() == [3]


def test_after_a_restore_the_load_is_looked_at_anew(
    through: Connect, proxy: Proxy, clock: Clock, server: Server
) -> None:
    """What was known of the server when the image was taken is forgotten."""
    connection = through(looks=True)
    rows(connection, "SELECT 1")
    connection.commit()
    connections.before_snapshot()
    connections.after_restore()
    with proxy.counting() as counted:
        again = through(looks=True)
        rows(again, "SELECT 1")
        again.commit()
    assert any("max_connections" in statement for statement in counted.statements)
    assert connection.thread_id() not in ids(server) or connection.handle is None
