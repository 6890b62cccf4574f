"""A gate before a server that lets in by tokens, as RDS with IAM authentication and RDS Proxy do.

It speaks TLS with its clients, asks for the password in clear (the plugin mysql_clear_password,
MySQL's manual, "Client-Side Cleartext Pluggable Authentication"), and goes on as the server's
ordinary account in a session of its own, passing bytes on both ways::

    with Gate(server, lets_in=lambda user, token: token == "right") as gate:
        slsmysql.connect(host="127.0.0.1", port=gate.port, ..., password=lambda: "right")
    assert gate.tokens == ["right"]
"""

from __future__ import annotations

import contextlib
import secrets
import selectors
import socket
import ssl
import struct
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import pymysql
from pymysql.constants import CLIENT

from tests.certificates import Authority
from tests.servers import Server

#: A packet's length and sequence number come first.
HEADER = 4

#: Of the client's answer to the greeting: flags, longest packet, character set, and 23 zeros.
FIXED = 32

#: The server's character set and status in the greeting: utf8mb4, autocommit.
CHARSET, STATUS = 45, 2

OK = b"\x00\x00\x00\x02\x00\x00\x00"
DENIED = b"\xff" + struct.pack("<H", 1045) + b"#28000Access denied"


class Gate:
    """One listening socket, and a thread for each client."""

    def __init__(
        self, server: Server, *, lets_in: Callable[[str, str], bool], tls: bool = True
    ) -> None:
        """Guard ``server``; ``lets_in`` is asked with the user's name and what was sent for him.

        Without ``tls`` it asks for a password that everybody on the way can read.
        """
        self._server, self._lets_in, self._tls = server, lets_in, tls
        self.tokens: list[str] = []
        self.users: list[str] = []
        #: How many have come, whether or not they sent anything.
        self.callers = 0
        self._ends = contextlib.ExitStack()

    def __enter__(self) -> Gate:
        """Listen on a port of the loopback."""
        folder = Path(self._ends.enter_context(tempfile.TemporaryDirectory()))
        self.ca = folder / "ca.pem"
        Authority().write(folder)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "server-cert.pem", folder / "server-key.pem")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let nobody in any more, and end who is in."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._ends.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.callers += 1
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError), contextlib.ExitStack() as ends:
            ends.enter_context(client)
            client.settimeout(60)
            # Nothing of the protocol that PyMySQL, by which the gate logs in, does not speak.
            flags = CLIENT.CAPABILITIES | CLIENT.CONNECT_WITH_DB | (CLIENT.SSL if self._tls else 0)
            salt = secrets.token_hex(10).encode()
            with pymysql.connect(**self._server.params()) as asked:
                version = asked.get_server_info().encode()  # type: ignore[no-untyped-call]
            greeting = (
                b"\x0a" + version + b"\0" + struct.pack("<I", 1) + salt[:8] + b"\0"
                + struct.pack("<HBHHB", flags & 0xFFFF, CHARSET, STATUS, flags >> 16, 21)
                + bytes(10) + salt[8:] + b"\0mysql_native_password\0"
            )  # fmt: skip
            _send(client, 0, greeting)
            if self._tls:
                _receive(client)  # no more than that it wants TLS
                client = ends.enter_context(self._context.wrap_socket(client, server_side=True))
            sequence, answer = _receive(client)
            user, database = _parse(answer)
            _send(client, sequence + 1, b"\xfemysql_clear_password\0")
            sequence, sent = _receive(client)
            token = sent.rstrip(b"\0").decode()
            self.users.append(user)
            self.tokens.append(token)
            if not self._lets_in(user, token):
                _send(client, sequence + 1, DENIED)
                return
            given = self._server.params(database=database)
            behind = ends.enter_context(pymysql.connect(**given, client_flag=CLIENT.MULTI_RESULTS))
            _send(client, sequence + 1, OK)
            _relay(client, behind._sock)  # type: ignore[attr-defined]


def _receive(client: socket.socket) -> tuple[int, bytes]:
    head = _exactly(client, HEADER)
    return head[3], _exactly(client, int.from_bytes(head[:3], "little"))


def _exactly(client: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        more = client.recv(length - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _send(client: socket.socket, sequence: int, payload: bytes) -> None:
    client.sendall(len(payload).to_bytes(3, "little") + bytes([sequence]) + payload)


def _parse(answer: bytes) -> tuple[str, str]:
    """Return user and database of the client's answer to the greeting."""
    flags = int.from_bytes(answer[:4], "little")
    user, _, rest = answer[FIXED:].partition(b"\0")
    rest = rest[1 + rest[0] :]  # what it answers to the salt
    database = rest.partition(b"\0")[0] if flags & CLIENT.CONNECT_WITH_DB else b""
    return user.decode(), database.decode()


def _relay(client: socket.socket, server: Any) -> None:
    client.settimeout(None)
    other: dict[Any, Any] = {client: server, server: client}
    with selectors.DefaultSelector() as ready:
        for each in other:
            ready.register(each, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                source: Any = key.fileobj
                data = source.recv(65536)
                while getattr(source, "pending", int)():
                    data += source.recv(65536)
                if not data:
                    return
                other[source].sendall(data)
