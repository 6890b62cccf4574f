"""Faults at one point of a unit of work: armed before it, and struck when it gets there.

Each is a small frozen object that says what it does; `Both` makes one of two. Where the bytes are
counted from the beginning of the unit, so that a connection which is old gets its share.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Literal, NamedTuple, Protocol

import slsmysql
from tests import proxy
from tests.faults.rig import Rig
from tests.faults.workloads import Workload
from tests.proxy import (
    Action,
    Direction,
    Ending,
    Point,
    and_then,
    answer,
    call,
    connecting,
    error_packet,
    passed,
    reply,
    request,
)

#: Seconds until a worker gives up on an answer. The C extension knows whole ones only.
READ_TIMEOUT = 1

#: What a full server says before the hand-shake, or for an account's limit.
FULL = {
    1040: "Too many connections",
    1203: "User app already has more than 'max_user_connections' active connections",
    1226: "User 'app' has exceeded the 'max_user_connections' resource (current value: 1)",
    1053: "Server shutdown in progress",
}

#: What a server says unasked to a session that it ends.
FAREWELLS = {
    4031: "The client was disconnected by the server because of inactivity.",
    1927: "Connection was killed",
    1053: "Server shutdown in progress",
}


#: Where slsmysql speaks with the server.
DRIVER = str(Path(slsmysql.__file__).parent / "_driver")

#: Where the C extension connects: it crashes the process when an alarm interrupts it in the few
#: microseconds in which it reads the connection attributes.
CONNECTS = "__init__"

#: Seconds until an alarm rings again which came while nobody spoke with the server.
AGAIN = 0.00005


class Size(NamedTuple):
    """Bytes of a unit of work, each way."""

    to_server: int
    to_client: int


class Fault(Protocol):
    """A fault; ``name`` says its kind in the table."""

    @property
    def name(self) -> str:
        """Its kind."""

    def arm(self, rig: Rig) -> None:
        """Let it strike at its point; `Rig.disarm` ends that."""


def ending(how: Ending) -> Action:
    """Return the action that ends a link that way."""
    return proxy.fin if how == "fin" else proxy.rst


def from_here(rig: Rig, number: int, toward: Direction) -> Point:
    """Return the point after the next ``number`` bytes that go that way."""
    link = rig.link
    if link is not None:
        stream = link.to_server if toward == "server" else link.to_client
        number += stream.bytes
    return passed(number, toward)


@dataclass(frozen=True)
class Cut:
    """The connection ends at a byte."""

    toward: Direction
    byte: int
    how: Ending

    @property
    def name(self) -> str:
        """Its kind."""
        return f"cut at a byte ({self.how.upper()})"

    def arm(self, rig: Rig) -> None:
        """Let it strike."""
        rig.when(from_here(rig, self.byte, self.toward), ending(self.how))


@dataclass(frozen=True)
class CutPacket:
    """The connection ends before a request is passed on, or a packet of its answer."""

    text: str
    #: 0: the request; from 1 on: that packet of the answer.
    number: int
    how: Ending

    @property
    def name(self) -> str:
        """Its kind."""
        return f"cut at a packet ({self.how.upper()})"

    def arm(self, rig: Rig) -> None:
        """Let it strike."""
        where = answer(self.text, number=self.number) if self.number else request(self.text)
        rig.when(where, ending(self.how))


@dataclass(frozen=True)
class Freeze:
    """From a byte on nothing passes any more, until the worker has given up."""

    toward: Direction
    byte: int
    name = "freeze"

    def arm(self, rig: Rig) -> None:
        """Let it strike."""
        rig.when(from_here(rig, self.byte, self.toward), proxy.freeze)


@dataclass(frozen=True)
class Delay:
    """At a byte there is a pause."""

    toward: Direction
    byte: int
    seconds: float
    name = "delay"

    def arm(self, rig: Rig) -> None:
        """Let it strike."""
        rig.when(from_here(rig, self.byte, self.toward), proxy.delay(self.seconds))


@dataclass(frozen=True)
class Kill:
    """Root kills the session, or the statement, at a request.

    ``before`` the server has it, so that the session is dead when it comes; ``with`` it, so that
    the two race; or ``after``, when its answer is on the way.
    """

    text: str
    query: bool
    when: Literal["before", "with", "after"]

    @property
    def name(self) -> str:
        """Its kind."""
        return "KILL QUERY" if self.query else "KILL"

    def arm(self, rig: Rig) -> None:
        """Let it strike."""

        def kill() -> None:
            thread = rig.thread
            if thread is not None and rig.database.kill(thread, query=self.query):
                rig.strike()

        where = answer(self.text) if self.when == "after" else request(self.text)
        rig.proxy.when(where, and_then(kill) if self.when == "with" else call(kill))


@dataclass(frozen=True)
class Idle:
    """The session is ended while nobody uses it: killed, or cut off."""

    how: Literal["kill", "fin", "rst"]

    @property
    def name(self) -> str:
        """Its kind."""
        return "KILL of an idle session" if self.how == "kill" else "cut of an idle session"

    def arm(self, rig: Rig) -> None:
        """Strike at once."""
        link, thread = rig.link, rig.thread
        if self.how == "kill":
            if thread is not None and rig.database.kill(thread):
                rig.strike()
        elif link is not None:
            link.cut(reset=self.how == "rst")
            rig.strike()


@dataclass(frozen=True)
class Farewell:
    """The server ends the session before it reads a request, and says so."""

    text: str
    errno: int

    @property
    def name(self) -> str:
        """Its kind."""
        return f"farewell ({self.errno})"

    def arm(self, rig: Rig) -> None:
        """Let it strike."""
        rig.when(request(self.text), reply(error_packet(self.errno, FAREWELLS[self.errno])))


@dataclass(frozen=True)
class Full:
    """The server is full, or about to stop, the next few times that it is connected to.

    A session that there is, is ended first.
    """

    errno: int
    times: int

    @property
    def name(self) -> str:
        """Its kind."""
        return f"greeted with {self.errno}"

    def arm(self, rig: Rig) -> None:
        """Let it strike."""
        rig.leave()
        greeting = reply(error_packet(self.errno, FULL[self.errno]))
        rig.when(connecting(), greeting, times=self.times)


@dataclass(frozen=True)
class Refuse:
    """Nobody listens, for a while, and no session is left."""

    seconds: float
    name = "refused"

    def arm(self, rig: Rig) -> None:
        """Strike at once."""
        rig.leave()

        def act() -> None:
            rig.proxy.refuse()
            rig.proxy.after(self.seconds, rig.proxy.accept)

        rig.proxy.run(act)
        rig.strike()


class InterruptError(Exception):
    """What a program's own alarm raises; no database error."""


@dataclass(frozen=True)
class Interrupt:
    """An alarm of the program's own goes off while it speaks with the server.

    Anywhere else an exception out of nowhere may break what it likes, in any program.
    """

    seconds: float
    name = "interrupted"

    def arm(self, rig: Rig) -> None:
        """Set the alarm; in the main thread, as Python has it."""

        def ring(_number: int, frame: FrameType | None) -> None:
            code = frame.f_code if frame is not None else None
            if code is None or not code.co_filename.startswith(DRIVER) or code.co_name == CONNECTS:
                signal.setitimer(signal.ITIMER_REAL, AGAIN)
            else:
                rig.strike()
                raise InterruptError

        def end() -> None:
            # In this order: one that rings by now rings for nobody, and is not wound up again.
            signal.signal(signal.SIGALRM, lambda *_: None)
            signal.setitimer(signal.ITIMER_REAL, 0)

        signal.signal(signal.SIGALRM, ring)
        rig.at_end(end)
        signal.setitimer(signal.ITIMER_REAL, self.seconds)


@dataclass(frozen=True)
class Both:
    """One after the other, or at once: whichever point comes first."""

    first: Fault
    second: Fault

    @property
    def name(self) -> str:
        """Its kind."""
        return "two at once"

    def arm(self, rig: Rig) -> None:
        """Let both strike."""
        # An alarm last: it shall not ring while the other one is armed, which may end a session.
        for each in sorted((self.first, self.second), key=lambda each: isinstance(each, Interrupt)):
            each.arm(rig)


#: What a `Full` server says.
REFUSALS = tuple(FULL)
ENDS: tuple[Literal["kill", "fin", "rst"], ...] = ("kill", "fin", "rst")

#: The kinds that there are in the tables.
NAMES = {
    *(f"cut at a {place} ({how})" for place in ("byte", "packet") for how in ("FIN", "RST")),
    *(f"farewell ({errno})" for errno in FAREWELLS),
    *(f"greeted with {errno}" for errno in REFUSALS),
    "freeze",
    "delay",
    "refused",
    "interrupted",
    "KILL",
    "KILL QUERY",
    "KILL of an idle session",
    "cut of an idle session",
    "two at once",
}

Draw = Callable[[random.Random, Workload, Size], Fault]

TOWARD: tuple[Direction, ...] = ("server", "client")
HOW: tuple[Ending, ...] = ("fin", "rst")
WHEN: tuple[Literal["before", "with", "after"], ...] = ("before", "with", "after")


def _byte(rng: random.Random, size: Size) -> tuple[Direction, int]:
    toward = rng.choice(TOWARD)
    most = size.to_server if toward == "server" else size.to_client
    return toward, rng.randint(1, max(1, most))


def _cut(rng: random.Random, workload: Workload, size: Size) -> Fault:
    return Cut(*_byte(rng, size), rng.choice(HOW))


def _packet(rng: random.Random, workload: Workload, size: Size) -> Fault:
    return CutPacket(rng.choice(workload.texts), rng.randint(0, 3), rng.choice(HOW))


def _kill(rng: random.Random, workload: Workload, size: Size) -> Fault:
    return Kill(rng.choice(workload.texts), rng.random() < 0.4, rng.choice(WHEN))


def _idle(rng: random.Random, workload: Workload, size: Size) -> Fault:
    return Idle(rng.choice(ENDS))


def _farewell(rng: random.Random, workload: Workload, size: Size) -> Fault:
    return Farewell(rng.choice(workload.texts), rng.choice(list(FAREWELLS)))


def _full(rng: random.Random, workload: Workload, size: Size) -> Fault:
    return Full(rng.choice(REFUSALS), rng.randint(1, 4))


def _refuse(rng: random.Random, workload: Workload, size: Size) -> Fault:
    return Refuse(rng.uniform(0.001, 0.01))


def _delay(rng: random.Random, workload: Workload, size: Size) -> Fault:
    return Delay(*_byte(rng, size), rng.uniform(0.0005, 0.004))


def _interrupt(rng: random.Random, workload: Workload, size: Size) -> Fault:
    return Interrupt(rng.uniform(0.0001, 0.002))


def _freeze(rng: random.Random, workload: Workload, size: Size) -> Fault:
    return Freeze(*_byte(rng, size))


#: Those that cost no more than a connect, with their weights.
CHEAP: tuple[tuple[Draw, float], ...] = (
    (_cut, 60),
    (_packet, 12),
    (_kill, 10),
    (_idle, 5),
    (_farewell, 4),
    (_full, 2),
    (_refuse, 1),
    (_delay, 2),
    (_interrupt, 4),
)

#: How many of two at once there are among them.
PAIRS = 0.06


def draw(rng: random.Random, workload: Workload, size: Size) -> Fault:
    """Return a fault for a unit of work, of those that are cheap."""
    draws, weights = zip(*CHEAP, strict=True)
    first, second = (made(rng, workload, size) for made in rng.choices(draws, weights, k=2))
    return Both(first, second) if rng.random() < PAIRS else first


def draw_freeze(rng: random.Random, workload: Workload, size: Size) -> Fault:
    """Return a freeze, which costs a read time-out."""
    return _freeze(rng, workload, size)
