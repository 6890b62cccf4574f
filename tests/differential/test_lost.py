"""Sessions that are lost, or refused: where slsmysql cannot do better, it does as PyMySQL.

What it does better is in docs/differences.md and in tests/integration.
"""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from tests.differential.harness import Both, Side

LOST = (2006, 2013)


def kill(side: Side, connection: Any) -> None:
    """End a connection's session by another one, and wait until the server has ended it."""
    number = connection.thread_id()
    side.server.sql(f"KILL {number}")
    gone = ((0,),)
    query = f"SELECT COUNT(*) FROM information_schema.processlist WHERE id={number}"
    while side.server.sql(query) != gone:
        pass


def note_kind(side: Side, label: str, call: Any) -> None:
    """Record the class and the errno of what a call raises; of a lost session, that it is lost.

    Which of two errnos a lost session gets depends on the moment (and the text tells more here).
    """
    try:
        value = call()
    except side.module.Error as error:
        kind = next(
            name
            for name in ("InterfaceError", "OperationalError", "Error")
            if isinstance(error, getattr(side.module, name))
        )
        errno = error.args[0]
        said = str(error.args[-1]).split("(")[0].strip()
        if kind == "InterfaceError":
            said = ""
        side.log.append((label, (kind, "lost" if errno in LOST else errno, said)))
    else:
        side.note(label, value)


@pytest.mark.parametrize("cursor_class", ["Cursor", "SSCursor"])
def test_a_session_killed_in_a_statement_is_lost_as_with_pymysql(
    both: Both, cursor_class: str
) -> None:
    """KILL during a statement is an OperationalError of that statement."""

    def scenario(side: Side) -> None:
        connection = side.connect()
        cursor = connection.cursor(getattr(side.module.cursors, cursor_class))
        number = connection.thread_id()
        running = f"SELECT COUNT(*) FROM information_schema.processlist WHERE id={number} AND info"

        def end() -> None:
            while side.server.sql(f"{running} LIKE 'SELECT SLEEP%'") == ((0,),):
                pass
            side.server.sql(f"KILL {number}")

        killer = threading.Thread(target=end)
        killer.start()
        note_kind(side, "execute", lambda: (cursor.execute("SELECT SLEEP(20)"), cursor.fetchall()))
        killer.join()
        side.attempt("close", connection.close)
        side.attempt("open", getattr, connection, "open")

    both.compare(scenario)


def test_a_transaction_lost_while_idle_is_told_as_by_pymysql(tables: Both) -> None:
    """A session killed in a transaction: the next statement fails, and so do all behind it."""

    def scenario(side: Side) -> None:
        connection = side.connect()
        cursor = connection.cursor()
        cursor.execute("INSERT INTO a1 (v) VALUES ('x')")
        kill(side, connection)
        note_kind(side, "execute", lambda: cursor.execute("SELECT 1"))
        side.attempt("open", getattr, connection, "open")
        note_kind(side, "execute again", lambda: cursor.execute("SELECT 1"))
        note_kind(side, "another cursor", lambda: connection.cursor().execute("SELECT 1"))
        side.attempt("cursor", connection.cursor)
        note_kind(side, "ping", connection.ping)
        note_kind(side, "commit", connection.commit)
        side.attempt("close", connection.close)
        note_kind(side, "close again", connection.close)

    tables.compare(scenario)


def test_a_lost_transaction_is_found_by_any_call_as_with_pymysql(tables: Both) -> None:
    """Whatever is called first after the loss of a transaction tells of it."""

    def scenario(side: Side) -> None:
        for name, call in (
            ("commit", lambda connection: connection.commit()),
            ("ping", lambda connection: connection.ping()),
            ("begin", lambda connection: connection.begin()),
            ("select_db", lambda connection: connection.select_db("information_schema")),
            ("autocommit", lambda connection: connection.autocommit(True)),
            ("show_warnings", lambda connection: connection.show_warnings()),
            ("query", lambda connection: connection.query("SELECT 1")),
            ("callproc", lambda connection: connection.cursor().callproc("p_one")),
        ):
            connection = side.connect()
            connection.cursor().execute("INSERT INTO a1 (v) VALUES ('x')")
            kill(side, connection)
            note_kind(side, name, lambda call=call, connection=connection: call(connection))
            side.attempt("close", connection.close)

    tables.compare(scenario)


def test_a_stream_lost_in_the_middle_is_told_as_by_pymysql(both: Both) -> None:
    """A session killed while rows are streamed: the fetch fails, as PyMySQL's."""

    def scenario(side: Side) -> None:
        connection = side.connect()
        cursor = connection.cursor(side.module.cursors.SSCursor)
        # Of these rows only some fit into the buffers between server and client.
        cursor.execute(
            "SELECT REPEAT('x', 60000) FROM information_schema.columns a,"
            " information_schema.columns b LIMIT 5000"
        )
        cursor.fetchone()
        side.server.sql(f"KILL {connection.thread_id()}")
        note_kind(side, "fetchall", lambda: len(cursor.fetchall()))
        side.attempt("close", connection.close)

    both.compare(scenario)


def test_a_read_timeout_is_told_as_by_pymysql(both: Both) -> None:
    """A statement that takes longer than read_timeout is OperationalError 2013."""

    def scenario(side: Side) -> None:
        # The C extension takes whole seconds.
        connection = side.connect(read_timeout=1 if both.backend == "c" else 0.2)
        note_kind(side, "execute", lambda: connection.cursor().execute("SELECT SLEEP(5)"))
        side.attempt("close", connection.close)

    both.compare(scenario)


def test_ping_reconnects_what_is_lost_as_pymysqls(tables: Both) -> None:
    """ping(reconnect=True) connects again, with PyMySQL's warning, whatever was lost."""

    def scenario(side: Side) -> None:
        connection = side.connect()
        cursor = connection.cursor()
        cursor.execute("INSERT INTO a1 (v) VALUES ('x')")
        kill(side, connection)
        side.attempt("ping", connection.ping, reconnect=True)
        side.attempt("open", getattr, connection, "open")
        side.run(cursor, "SELECT COUNT(*) FROM a1 WHERE v='x'")
        side.attempt("close", connection.close)
        side.attempt("ping", connection.ping, reconnect=True)
        side.run(cursor, "SELECT 1")

    tables.compare(scenario)


def error_packet(errno: int, text: bytes) -> bytes:
    """Return what a server says that refuses a connection before its greeting."""
    payload = b"\xff" + errno.to_bytes(2, "little") + text
    return len(payload).to_bytes(3, "little") + b"\0" + payload


#: What a server sends at once, before it hangs up.
REFUSALS = {
    "1040": error_packet(1040, b"Too many connections"),
    "1040 with a sqlstate": error_packet(1040, b"#08004Too many connections"),
    "1129": error_packet(1129, b"Host 'x' is blocked because of many connection errors"),
    "1130": error_packet(1130, b"Host 'x' is not allowed to connect to this MySQL server"),
    "1203": error_packet(1203, b"#42000User x already has more than 'max_user_connections'"),
    "1226": error_packet(1226, b"#42000User 'x' has exceeded the 'max_user_connections' resource"),
    "1053": error_packet(1053, b"#08S01Server shutdown in progress"),
    "nothing": b"",
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_before_the_greeting_is_pymysqls_error(both: Both, name: str) -> None:
    """An error packet in place of the greeting, or nothing, is PyMySQL's error."""

    def scenario(side: Side) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def serve() -> None:
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(REFUSALS[name])
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(1000):
                        pass

            server = threading.Thread(target=serve)
            server.start()
            port = listener.getsockname()[1]
            own = {} if side.is_reference else {"max_retries": 0}
            note_kind(side, "connect", lambda: side.connect(port=port, **own))
            server.join()

    both.compare(scenario)


def test_a_silent_server_is_given_up_as_by_pymysql(both: Both) -> None:
    """A server that says nothing is OperationalError 2013 after the time that was given."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def scenario(side: Side) -> None:
            # PyMySQL's connect_timeout ends with TCP's handshake.
            limits = {"connect_timeout": 1, "read_timeout": 1}
            note_kind(side, "connect", lambda: side.connect(port=port, **limits))

        both.compare(scenario)
