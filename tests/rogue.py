"""A server that says what a test tells it to: nonsense, half a packet, or a question of its own.

`Rogue` listens on the loopback and gives every client a `Client` to a script, in a thread of its
own; `speak` is a script that behaves up to where a test wants it to misbehave. It knows as much of
the protocol as that takes (MySQL's "Client/Server Protocol")::

    with Rogue(speak(answer=lambda client: client.send(b"nonsense"))) as rogue:
        slsmysql.connect(host=rogue.host, port=rogue.port, ...)
    assert b"secret" not in rogue.heard
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType

from tests.proxy import COM_QUERY, COM_QUIT, HEADER, packet

#: What a server of today can do, but for TLS and compression.
CAPABILITIES = 0xFFFF_FFFF & ~((1 << 5) | (1 << 11) | (1 << 26))
CLIENT_SSL = 1 << 11
SESSION_TRACK = 1 << 23
DEPRECATE_EOF = 1 << 24

#: Status word: autocommit.
AUTOCOMMIT = 2

#: Seconds of silence after which a script's thread ends.
PATIENCE = 60.0

SALT = b"abcdefgh" + b"ijklmnopqrst"


def lenenc(text: bytes) -> bytes:
    """Return a length-encoded string, of less than 251 bytes."""
    return bytes((len(text),)) + text


def greeting(
    *,
    version: bytes = b"8.4.0",
    capabilities: int = CAPABILITIES,
    plugin: bytes = b"mysql_native_password",
) -> bytes:
    """Return the payload of a server's first packet."""
    low, high = capabilities & 0xFFFF, capabilities >> 16
    return b"".join(
        (
            b"\x0a" + version + b"\0" + (7).to_bytes(4, "little") + SALT[:8] + b"\0",
            low.to_bytes(2, "little") + b"\x2d" + AUTOCOMMIT.to_bytes(2, "little"),
            high.to_bytes(2, "little") + bytes((len(SALT) + 1,)) + bytes(10),
            SALT[8:] + b"\0" + plugin + b"\0",
        )
    )


def ok(status: int = AUTOCOMMIT, *, head: bytes = b"\x00") -> bytes:
    """Return the payload of an OK packet; with ``head`` 0xFE that of the end of rows."""
    return head + b"\0\0" + status.to_bytes(2, "little") + b"\0\0"


def eof(status: int = AUTOCOMMIT) -> bytes:
    """Return the payload of a classic EOF packet."""
    return b"\xfe\0\0" + status.to_bytes(2, "little")


def column(name: bytes = b"x", kind: int = 253, collation: int = 45) -> bytes:
    """Return the payload of a column's definition."""
    fixed = collation.to_bytes(2, "little") + (100).to_bytes(4, "little") + bytes((kind,))
    return b"".join(map(lenenc, (b"def", b"", b"", b"", name, name))) + b"\x0c" + fixed + bytes(5)


def packets(*payloads: bytes, sequence: int = 1) -> bytes:
    """Return packets one after the other."""
    return b"".join(
        packet(payload, (sequence + index) & 255) for index, payload in enumerate(payloads)
    )


class Gone(Exception):
    """The client has closed, or has said nothing for too long."""


class Client:
    """One client of a rogue server."""

    def __init__(self, rogue: Rogue, sock: socket.socket) -> None:
        """Speak with who has connected."""
        self._rogue = rogue
        self._sock = sock
        self._pending = b""
        #: The last packet's.
        self.sequence = 0
        #: What client and server agree on, once it has logged in.
        self.capabilities = 0

    def send(self, data: bytes) -> None:
        """Send bytes."""
        with contextlib.suppress(OSError):
            self._sock.sendall(data)

    def reply(self, *payloads: bytes) -> None:
        """Send packets that follow the last one heard."""
        self.send(packets(*payloads, sequence=self.sequence + 1))

    def read(self) -> bytes:
        """Return the payload of the client's next packet."""
        head = self._exactly(HEADER)
        self.sequence = head[3]
        return self._exactly(int.from_bytes(head[:3], "little"))

    def _exactly(self, count: int) -> bytes:
        while len(self._pending) < count:
            try:
                data = self._sock.recv(1 << 16)
            except OSError as error:
                raise Gone from error
            if not data:
                raise Gone
            self._rogue.heard += data
            self._pending += data
        found, self._pending = self._pending[:count], self._pending[count:]
        return found

    def hang_up(self) -> None:
        """Close, once all is sent."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def be_silent(self) -> None:
        """Say nothing more until the client has gone."""
        with contextlib.suppress(Gone):
            while True:
                self._exactly(len(self._pending) + 1)


Script = Callable[[Client], object]


def say(data: bytes, *, silent: bool = False) -> Script:
    """Return a script that says something and then hangs up, or nothing more."""

    def script(client: Client) -> None:
        client.send(data)
        if silent:
            client.be_silent()
        client.hang_up()

    return script


def log_in(
    client: Client,
    *,
    capabilities: int = CAPABILITIES,
    version: bytes = b"8.4.0",
    finish: Script | None = None,
) -> bytes:
    """Greet a client and let it in, by whatever ``finish`` says; return its log-in packet."""
    client.send(packet(greeting(version=version, capabilities=capabilities)))
    asked = client.read()
    client.capabilities = capabilities & int.from_bytes(asked[:4], "little")
    if finish is None:
        client.reply(ok())
    else:
        finish(client)
    return asked


def after_set_up(command: bytes) -> bool:
    """Whether a command is none of those that set a session up."""
    return not command.upper().startswith(b"\x03SET")


def speak(
    answer: Script,
    *,
    capabilities: int = CAPABILITIES,
    version: bytes = b"8.4.0",
    finish: Script | None = None,
    to: Callable[[bytes], bool] = after_set_up,
) -> Script:
    """Return a script that serves as a server would, but for commands that ``to`` says.

    :param answer: called for each of these, once the command has been read.
    """

    def script(client: Client) -> None:
        log_in(client, capabilities=capabilities, version=version, finish=finish)
        while True:
            command = client.read()
            if command[:1] == bytes((COM_QUIT,)):
                return
            # Without query attributes, whether agreed on or not.
            text = command.replace(b"\x03\x00\x01", b"\x03", 1)
            if to(text):
                answer(client)
            else:
                client.reply(ok())

    return script


def is_query(command: bytes) -> bool:
    """Whether a command is a statement."""
    return command[:1] == bytes((COM_QUERY,))


class Rogue:
    """A listening socket on the loopback, with a script for whoever comes."""

    host = "127.0.0.1"

    def __init__(self, script: Script) -> None:
        """Listen on a free port."""
        self._script = script
        #: All that clients have said.
        self.heard = b""
        self.clients = 0
        self._open: list[socket.socket] = []
        self._listener = socket.create_server((self.host, 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name="rogue", daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.clients += 1
            sock.settimeout(PATIENCE)
            self._open.append(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(Gone, OSError):
            client = Client(self, sock)
            self._script(client)
            # A close with something unread is a reset, which could overtake what was said.
            client.hang_up()
            client.be_silent()
        sock.close()

    def __enter__(self) -> Rogue:
        """Return the server, which ends with the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening, and hang up."""
        # Else accept() goes on waiting on a socket that is closed.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE)
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
