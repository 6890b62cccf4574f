"""A TCP proxy before a server: counts what passes, and breaks it exactly where a test says.

One thread relays all links, so that everything is counted in the order in which it happened, and
what passes is counted before it is passed on: whoever has an answer can rely on the counts. What
shall go wrong is a pair of a point (where: `connecting`, `request`, `answer`, `passed`) and an
action (what: `fin`, `rst`, `freeze`, `reply`, `cut_short`, `delay`, `call`)::

    with Proxy(("127.0.0.1", 3306)) as proxy:
        proxy.when(request("COMMIT"), fin)  # the server never hears of it
        proxy.when(answer("COMMIT"), rst)  # the server has done it, and nobody learns of it
        proxy.when(connecting(), reply(error_packet(1040, "Too many connections")), times=3)
        with proxy.counting() as counted:
            ...
        assert counted.round_trips == 2

Behind TLS there are bytes and round trips, but neither packets nor requests: points on those need
a connection without it.
"""

from __future__ import annotations

import collections
import contextlib
import heapq
import itertools
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, NamedTuple

Direction = Literal["server", "client"]
Ending = Literal["fin", "rst"]

#: Commands, the first byte of a request (MySQL's "Client/Server Protocol").
COM_QUIT, COM_INIT_DB, COM_QUERY, COM_STATISTICS, COM_PING, COM_RESET = 1, 2, 3, 9, 14, 31
COMMANDS = {
    COM_QUIT: "quit",
    COM_INIT_DB: "init_db",
    COM_QUERY: "query",
    COM_STATISTICS: "statistics",
    COM_PING: "ping",
    COM_RESET: "reset",
}

#: The flag of a client that asks for TLS, and the length of the packet that does no more than ask.
CLIENT_SSL = 1 << 11
SSL_REQUEST = 32

#: What comes before a query's text where client and server agree on query attributes: none.
NO_ATTRIBUTES = b"\x00\x01"

#: A packet's length and sequence number come first.
HEADER = 4

#: Bytes read at a time, and bytes waiting to be written from which on no more are read.
CHUNK = 1 << 16
BACKLOG = 1 << 20

#: Bytes kept of a request.
KEPT = 1 << 16

#: Seconds until a test is told that what it waits for does not happen.
PATIENCE = 20.0


class ProxyError(AssertionError):
    """What a test waits for does not happen."""


def packet(payload: bytes, sequence: int = 0) -> bytes:
    """Return a packet of the protocol: length, sequence number, payload."""
    return len(payload).to_bytes(3, "little") + bytes((sequence,)) + payload


def error_packet(errno: int, message: str, sqlstate: str = "HY000", sequence: int = 0) -> bytes:
    """Return an ERR packet.

    Sequence number 0 is that of a server which speaks unasked: instead of greeting, or to a
    session that has said nothing for too long. The answer to a request begins with number 1.
    """
    text = f"#{sqlstate}{message}".encode()
    return packet(b"\xff" + errno.to_bytes(2, "little") + text, sequence)


@dataclass(frozen=True)
class Tally:
    """What has passed; the difference of two is what has passed between them."""

    connections: int = 0
    #: Turns of the conversation: a client has spoken, and the server has begun to answer.
    round_trips: int = 0
    packets_to_server: int = 0
    packets_to_client: int = 0
    bytes_to_server: int = 0
    bytes_to_client: int = 0
    #: The requests: a command's byte and its argument.
    requests: tuple[bytes, ...] = ()

    def __sub__(self, before: Tally) -> Tally:
        """Return what this tally has more than the one before."""
        return Tally(
            self.connections - before.connections,
            self.round_trips - before.round_trips,
            self.packets_to_server - before.packets_to_server,
            self.packets_to_client - before.packets_to_client,
            self.bytes_to_server - before.bytes_to_server,
            self.bytes_to_client - before.bytes_to_client,
            self.requests[len(before.requests) :],
        )

    @property
    def statements(self) -> list[str]:
        """The requests in words: a query's text, or the name of any other command."""
        return [
            each[1:].removeprefix(NO_ATTRIBUTES).decode("utf-8", "replace")
            if each[0] == COM_QUERY
            else COMMANDS.get(each[0], hex(each[0]))
            for each in self.requests
        ]


class Counting:
    """What has passed since its making, up to now or to the end of the block that it is for."""

    def __init__(self, proxy: Proxy) -> None:
        """Begin to count."""
        self._proxy = proxy
        self._before = proxy.tally()
        self._total: Tally | None = None

    def end(self) -> None:
        """Count no further."""
        self._total = self.tally

    @property
    def tally(self) -> Tally:
        """All the counts."""
        return self._total or self._proxy.tally() - self._before

    @property
    def connections(self) -> int:
        """Links made."""
        return self.tally.connections

    @property
    def round_trips(self) -> int:
        """Turns of the conversation."""
        return self.tally.round_trips

    @property
    def statements(self) -> list[str]:
        """The requests in words."""
        return self.tally.statements


# -- where -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    """Where something shall happen; made by the functions below."""

    kind: Literal["connecting", "request", "answer", "passed"]
    text: bytes = b""
    command: int | None = None
    #: Of the packet in the answer, or of the byte.
    number: int = 1
    toward: Direction = "client"


def connecting() -> Point:
    """When a client has connected, before anything is said."""
    return Point("connecting")


def request(text: str = "", *, command: int | None = None) -> Point:
    """Before a request with ``text`` in it (in any case) is passed on: the server is not told."""
    return Point("request", text.lower().encode(), command)


def answer(text: str = "", *, command: int | None = None, number: int = 1) -> Point:
    """Before the ``number``-th packet of the answer to such a request is passed on.

    The server has begun to answer; with a statement that has no result set it is done.
    """
    return Point("answer", text.lower().encode(), command, number)


def passed(count: int, toward: Direction) -> Point:
    """When ``count`` bytes of a link have gone one way, to the byte, with TLS or without."""
    return Point("passed", number=count, toward=toward)


# -- what ------------------------------------------------------------------------------------------


class Held(NamedTuple):
    """What is held at a point."""

    link: Link
    stream: _Stream
    data: bytes


#: An action; it returns what shall be passed on instead of what is held.
Action = Callable[[Held], bytes]


def fin(held: Held) -> bytes:
    """Close the link on both sides, in an orderly way; what is held is lost."""
    held.link.cut()
    return b""


def rst(held: Held) -> bytes:
    """Reset the link on both sides; what is held is lost."""
    held.link.cut(reset=True)
    return b""


def freeze(held: Held) -> bytes:
    """Close nothing, and let nothing pass any more until the link is thawed."""
    held.link.freeze()
    return held.data


def reply(data: bytes, *, close: bool = True) -> Action:
    """Answer the client instead of the server, who is told nothing; then close."""

    def act(held: Held) -> bytes:
        held.link.inject(data, close=close)
        return b""

    return act


def cut_short(count: int, *, reset: bool = False) -> Action:
    """Pass only the first ``count`` bytes on, then close."""

    def act(held: Held) -> bytes:
        held.stream.out += held.data[:count]
        held.link.cut(reset=reset)
        return b""

    return act


def delay(seconds: float) -> Action:
    """Hold for so many seconds whatever goes that way on the link."""

    def act(held: Held) -> bytes:
        held.link.pause(held.stream, seconds, held.data)
        return b""

    return act


def call(function: Callable[[], object]) -> Action:
    """Run a function while the packet is held, in the proxy's thread, and then pass it on.

    The function may speak with the server, but not through this proxy.
    """

    def act(held: Held) -> bytes:
        function()
        return held.data

    return act


def and_then(function: Callable[[], object]) -> Action:
    """Pass the packet on and run a function at once: it races with whoever gets the packet."""

    def act(held: Held) -> bytes:
        held.stream.out += held.data
        held.stream.flush()
        function()
        return b""

    return act


@dataclass
class _Fault:
    """An action that waits for its point."""

    point: Point
    action: Action
    left: int | None

    def act(self, held: Held) -> bytes:
        if self.left is not None:
            self.left -= 1
        return self.action(held)


# -- the links -------------------------------------------------------------------------------------


@dataclass
class _Stream:
    """One direction of a link."""

    toward: Direction
    source: socket.socket
    target: socket.socket
    #: Read, and not yet a whole packet.
    pending: bytearray = field(default_factory=bytearray)
    #: To be written.
    out: bytearray = field(default_factory=bytearray)
    paused: bool = False
    #: What the selector waits for at the source.
    watched: int = 0
    #: Let through, or lost at a point: all that was read of whole packets.
    packets: int = 0
    bytes: int = 0
    #: The packets since the last request.
    number: int = 0

    def flush(self) -> None:
        """Write what can be written now; what nobody wants any more is forgotten."""
        try:
            while self.out:
                del self.out[: self.target.send(self.out)]
        except BlockingIOError:
            pass
        except OSError:
            self.out.clear()


class Link:
    """One client's connection through the proxy."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        """Relay between these two."""
        self._proxy = proxy
        self.to_server = _Stream("server", client, server)
        self.to_client = _Stream("client", server, client)
        self.ending: Ending | None = None
        self.open = True
        self.frozen = False
        #: TLS has begun: packets cannot be told apart.
        self.opaque = False
        #: Who spoke last: the server greets.
        self.speaker: Direction = "server"
        self.round_trips = 0
        self.requests: list[bytes] = []

    def cut(self, *, reset: bool = False) -> None:
        """Close both sides, in an orderly way or by a reset, once what was let through is out."""
        self._proxy.run(lambda: self._proxy.end(self, "rst" if reset else "fin"))

    def freeze(self) -> None:
        """Close nothing, and let nothing pass until ``thaw``."""
        self._proxy.run(lambda: self._proxy.set_frozen(self, frozen=True))

    def thaw(self) -> None:
        """Let pass what has been waiting."""
        self._proxy.run(lambda: self._proxy.set_frozen(self, frozen=False))

    def inject(self, data: bytes, *, close: bool = True) -> None:
        """Say something to the client that the server has not said; then close."""

        def act() -> None:
            self.to_client.out += data
            if close:
                self._proxy.end(self, "fin")
            else:
                self._proxy.watch(self)

        self._proxy.run(act)

    def pause(self, stream: _Stream, seconds: float, held: bytes) -> None:
        """Let nothing pass in one direction for so many seconds, then what is held, and go on."""
        stream.paused = True

        def resume() -> None:
            stream.paused = False
            stream.out += held
            self._proxy.advance(self, stream)

        self._proxy.after(seconds, resume)


class Proxy:
    """A listening socket on the loopback, and the links that came of it."""

    host = "127.0.0.1"

    def __init__(self, server: tuple[str, int]) -> None:
        """Listen on a free port for clients of ``server`` (host, port)."""
        self.server = server
        self.links: list[Link] = []
        self.requests: list[bytes] = []
        self._faults: list[_Fault] = []
        self._calls: collections.deque[Callable[[], None]] = collections.deque()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._selector = selectors.DefaultSelector()
        self._changed = threading.Condition()
        self._stopping = False
        self._frozen = False
        self._failure: BaseException | None = None
        self._listener: socket.socket | None = None
        self.port = 0
        self._listen()
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._loop, name="proxy", daemon=True)
        self._thread.start()

    def __enter__(self) -> Proxy:
        """Return the proxy, which ends with the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the proxy."""
        self.close()

    def close(self) -> None:
        """Cut every link and stop listening; raise what went wrong in the proxy itself."""
        if self._thread.is_alive():
            self._stopping = True
            with contextlib.suppress(OSError):  # it has seen that by itself, and closed all
                self._wake()
            self._thread.join()
        if self._failure is not None:
            raise self._failure

    # -- what a test says ----------------------------------------------------------------------

    def when(self, point: Point, action: Action, *, times: int | None = 1) -> None:
        """Do ``action`` at ``point``, that many times; None: always."""
        self.run(lambda: self._faults.append(_Fault(point, action, times)))

    def behave(self) -> None:
        """Forget all faults, listen, and let everything pass."""

        def act() -> None:
            self._faults.clear()
            self._frozen = False
            self._listen()
            for link in self.open_links:
                self.set_frozen(link, frozen=False)

        self.run(act)

    def refuse(self) -> None:
        """Stop listening: the system refuses whoever comes, as with a server that is down."""
        self.run(self._stop_listening)

    def accept(self) -> None:
        """Listen again, on the same port."""
        self.run(self._listen)

    def freeze(self) -> None:
        """Let nothing pass on any link; for new ones the system answers, and nobody else."""

        def act() -> None:
            self._frozen = True
            for link in self.open_links:
                self.set_frozen(link, frozen=True)

        self.run(act)

    def cut(self, *, reset: bool = False) -> None:
        """Cut every link."""
        for link in self.open_links:
            link.cut(reset=reset)

    def forget(self) -> None:
        """Keep neither the links that are closed nor the requests: for runs of any length.

        What was counted of them is gone from the tally.
        """

        def act() -> None:
            self.links = self.open_links
            self.requests = []
            for link in self.links:
                del link.requests[:-1]

        self.run(act)

    @property
    def open_links(self) -> list[Link]:
        """The links that are open."""
        return [link for link in self.links if link.open]

    @property
    def link(self) -> Link:
        """The link that was made last."""
        return self.links[-1]

    def tally(self) -> Tally:
        """Return what has passed up to now, all that clients have sent by now included."""
        found: list[Tally] = []

        def act() -> None:
            # What was sent before we were asked is here: it never left this host.
            while self._turn(0.0):
                pass
            up = [link.to_server for link in self.links]
            down = [link.to_client for link in self.links]
            found.append(
                Tally(
                    len(self.links),
                    sum(link.round_trips for link in self.links),
                    sum(stream.packets for stream in up),
                    sum(stream.packets for stream in down),
                    sum(stream.bytes for stream in up),
                    sum(stream.bytes for stream in down),
                    tuple(self.requests),
                )
            )

        self.run(act)
        return found[0]

    @contextlib.contextmanager
    def counting(self) -> Iterator[Counting]:
        """Count what passes during a block."""
        counting = Counting(self)
        yield counting
        counting.end()

    def wait(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` holds, which is asked whenever something has happened."""
        end = time.monotonic() + PATIENCE
        with self._changed:
            while not condition():
                if self._failure is not None:
                    raise self._failure
                if not self._changed.wait(end - time.monotonic()):
                    raise ProxyError(f"it has not happened in {PATIENCE:.0f} s")

    # -- the thread ----------------------------------------------------------------------------

    def run(self, act: Callable[[], None]) -> None:
        """Run ``act`` in the proxy's thread, and return when that is done."""
        if threading.current_thread() is self._thread:
            act()
            return
        if not self._thread.is_alive():
            raise ProxyError("the proxy has ended") from self._failure
        done = threading.Event()
        raised: list[BaseException] = []

        def run() -> None:
            try:
                act()
            except BaseException as error:
                raised.append(error)
            done.set()

        self._calls.append(run)
        self._wake()
        if not done.wait(PATIENCE):
            raise ProxyError(f"the proxy has not answered in {PATIENCE:.0f} s") from self._failure
        if raised:
            raise raised[0]

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Run ``act`` in so many seconds."""
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._numbers), act))

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # it is awake, or has just ended
            self._wake_write.send(b"x")

    def _loop(self) -> None:
        try:
            while not self._stopping:
                timeout = None
                if self._timers:
                    timeout = max(0.0, self._timers[0][0] - time.monotonic())
                self._turn(timeout)
                while self._timers and self._timers[0][0] <= time.monotonic():
                    heapq.heappop(self._timers)[2]()
                while self._calls:
                    self._calls.popleft()()
                with self._changed:
                    self._changed.notify_all()
        except BaseException as error:  # raised by close()
            self._failure = error
        finally:
            for link in self.open_links:
                self._close(link, "fin")
            self._stop_listening()
            for each in (self._selector, self._wake_read, self._wake_write):
                each.close()
            with self._changed:
                self._changed.notify_all()

    def _turn(self, timeout: float | None) -> int:
        """Do what can be done now; return at how many sockets something was."""
        moved = 0
        for key, mask in self._selector.select(timeout):
            if key.fileobj is self._wake_read:
                with contextlib.suppress(BlockingIOError):
                    self._wake_read.recv(CHUNK)
            elif key.fileobj is self._listener:
                moved += 1
                self._connected()
            elif isinstance(link := key.data, Link) and link.open:
                moved += 1
                mine = key.fileobj is link.to_server.source
                if mask & selectors.EVENT_READ:
                    self._read(link, link.to_server if mine else link.to_client)
                if mask & selectors.EVENT_WRITE and link.open:
                    self._write(link, link.to_client if mine else link.to_server)
        return moved

    def _listen(self) -> None:
        if self._listener is None:
            self._listener = listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self.host, self.port))
            listener.listen(512)
            listener.setblocking(False)
            self.port = listener.getsockname()[1]
            self._selector.register(listener, selectors.EVENT_READ)

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None

    def _connected(self) -> None:
        assert self._listener is not None
        client, _ = self._listener.accept()
        server = socket.socket()
        link = Link(self, client, server)
        link.frozen = self._frozen
        self.links.append(link)
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.setblocking(False)
        self._act(lambda point: point.kind == "connecting", link, link.to_server, b"")
        if not link.open:
            return
        try:
            server.connect(self.server)
        except OSError:
            self._close(link, "rst")
            return
        server.setblocking(False)
        self.watch(link)

    def watch(self, link: Link) -> None:
        """Let the selector wait for whatever the link can do next."""
        if not link.open:
            return
        if link.ending is not None and not (link.to_client.out or link.to_server.out):
            self._close(link, link.ending)
            return
        for reads, writes in (
            (link.to_server, link.to_client),
            (link.to_client, link.to_server),
        ):
            events = 0
            if not link.frozen:
                if not reads.paused and link.ending is None and len(reads.out) < BACKLOG:
                    events |= selectors.EVENT_READ
                if writes.out:
                    events |= selectors.EVENT_WRITE
            if events != reads.watched:
                if not events:
                    self._selector.unregister(reads.source)
                elif reads.watched:
                    self._selector.modify(reads.source, events, link)
                else:
                    self._selector.register(reads.source, events, link)
                reads.watched = events

    def set_frozen(self, link: Link, *, frozen: bool) -> None:
        """Freeze or thaw a link."""
        link.frozen = frozen
        if not frozen:
            for stream in (link.to_server, link.to_client):
                self.advance(link, stream)
        self.watch(link)

    def end(self, link: Link, how: Ending) -> None:
        """Close a link once what was let through is out."""
        if not link.open:
            return
        link.ending = how
        link.frozen = False
        for stream in (link.to_client, link.to_server):
            stream.flush()
        self.watch(link)

    def _close(self, link: Link, how: Ending) -> None:
        link.open = False
        for stream in (link.to_server, link.to_client):
            if stream.watched:
                self._selector.unregister(stream.source)
                stream.watched = 0
        for stream in (link.to_server, link.to_client):
            if how == "rst":
                _reset(stream.source)
            else:
                stream.source.close()

    # -- what passes ---------------------------------------------------------------------------

    def _read(self, link: Link, stream: _Stream) -> None:
        try:
            data = stream.source.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            self.end(link, "rst")
            return
        if not data:
            # A last request and the end may come together.
            self.end(link, "fin")
            return
        if stream.toward == "server":
            link.speaker = "client"
        elif link.speaker == "client":
            link.speaker = "server"
            link.round_trips += 1
        stream.bytes += len(data)
        stream.pending += data
        self.advance(link, stream)

    def advance(self, link: Link, stream: _Stream) -> None:
        """Pass on what can be passed on in one direction."""
        while link.open and link.ending is None and not stream.paused and not link.frozen:
            whole = self._whole(link, stream)
            if not whole:
                break
            data = bytes(stream.pending[:whole])
            del stream.pending[:whole]
            if not link.opaque:
                data = self._packet(link, stream, data)
            if data and link.ending is None:
                self._pass(link, stream, data)
        if link.open and link.ending is None:
            if not link.frozen:
                stream.flush()
            self.watch(link)

    @staticmethod
    def _whole(link: Link, stream: _Stream) -> int:
        """Return how many bytes can be looked at together: one packet, or all where it is TLS."""
        have = len(stream.pending)
        if link.opaque:
            return have
        if have < HEADER:
            return 0
        size = HEADER + int.from_bytes(stream.pending[:3], "little")
        return size if have >= size else 0

    def _packet(self, link: Link, stream: _Stream, data: bytes) -> bytes:
        """Count a packet, and return what shall be passed on of it."""
        sequence, payload = data[3], data[HEADER:]
        stream.packets += 1
        if stream.toward == "server":
            asks_for_tls = (
                not link.requests
                and len(payload) == SSL_REQUEST
                and int.from_bytes(payload[:4], "little") & CLIENT_SSL
            )
            if asks_for_tls:
                link.opaque = True
            if sequence == 0 and payload:
                link.requests.append(payload[:KEPT])
                self.requests.append(payload[:KEPT])
                link.to_server.number = link.to_client.number = 0
        stream.number += 1
        kind = "request" if stream.toward == "server" else "answer"

        def here(point: Point) -> bool:
            asked = link.requests[-1] if link.requests else b""
            return (
                point.kind == kind
                and asked != b""
                and point.number == stream.number
                and point.command in {None, asked[0]}
                and point.text in asked[1:].lower()
            )

        return self._act(here, link, stream, data)

    def _pass(self, link: Link, stream: _Stream, data: bytes) -> None:
        """Let bytes through, up to where something shall happen after a number of them."""
        if not self._faults:
            stream.out += data
            return
        before = stream.bytes - len(stream.pending) - len(data)

        def here(point: Point) -> bool:
            return (
                point.kind == "passed"
                and point.toward == stream.toward
                and before < point.number <= before + len(data)
            )

        numbers = [
            fault.point.number for fault in self._faults if fault.left != 0 and here(fault.point)
        ]
        if numbers:
            count = min(numbers) - before
            stream.out += data[:count]
            data = self._act(here, link, stream, data[count:])
        stream.out += data

    def _act(
        self, here: Callable[[Point], bool], link: Link, stream: _Stream, data: bytes
    ) -> bytes:
        for fault in self._faults:
            if fault.left != 0 and here(fault.point):
                return fault.act(Held(link, stream, data))
        return data

    def _write(self, link: Link, stream: _Stream) -> None:
        stream.flush()
        self.watch(link)


def _reset(end: socket.socket) -> None:
    """Close by a reset: nothing lingers, and the other side learns of it at once."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()
