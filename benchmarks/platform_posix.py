"""An emulated function platform: containers as processes, frozen between invocations.

``Platform.run`` plays a list of arrivals to a fleet as a function platform does: at most one
invocation at a time for each container, the container that was used last first, a new one when all
are busy, a queue when the fleet is full. A container is stopped with SIGSTOP as soon as its result
is there, and continued with SIGCONT for its next invocation. When its life is over it is recycled:
terminated, killed while frozen, or lost. A lost one stays frozen until the end of the run, as if
its host had kept the sandbox: its sockets stay open, and the server keeps a session that nobody
will use. (SIGKILL leaves no such zombie, since the kernel closes a dead process's sockets.)

One event loop in one process does it all; ``Result.cost`` tells whether it was the bottleneck.
"""

from __future__ import annotations

import asyncio
import compileall
import contextlib
import functools
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from benchmarks.container import ORDER, START
from benchmarks.fleet import (
    Arrivals,
    Contender,
    Failure,
    Fate,
    Fleet,
    Invocation,
    Life,
    Phase,
    Pool,
)

#: Seconds that a container has to go after SIGTERM, before SIGKILL.
GRACE = 2.0

#: Runtimes that are started at once before a run, and the seconds that one may take.
BOOTING = 8
BOOT = 60.0

#: Seconds that the zygote has to end what is left of the fleet.
END = 15.0


#: Seconds between two looks at whether there is room for a container to start.
GAP = 0.01


class ContainerError(Exception):
    """A container ended, or took too long: the platform's own error."""


class InitError(Exception):
    """A handler's module could not be loaded; the only argument is the container's word for it."""


@dataclass(frozen=True, slots=True)
class Request:
    """An arrival on its way.

    :param number: its place in the list of arrivals.
    :param arrived: when it was to arrive, in seconds since the start of the run: what it then
        waits because the platform itself is late is part of its latency.
    """

    number: int
    arrived: float

    @property
    def id(self) -> str:
        """Its unique name."""
        return f"request-{self.number:06}"


@dataclass(eq=False, slots=True)
class Container:
    """A process of the fleet, as the platform knows it.

    :param serial: its number.
    :param life: when and how it ends.
    :param pid: its process id; 0 until it has told it.
    :param over: whether its time has come while it was busy.
    :param init: seconds that it took to load its handler.
    :param job: what it does after its rest; None: it ends.
    """

    serial: int
    life: Life
    pid: int = 0
    over: bool = False
    init: float | None = None
    job: asyncio.Future[Request | None] = field(init=False)


def on_processor(container: Container) -> bool:
    """Whether a container runs or would like to, as opposed to waiting for something.

    Source: proc(5), ``/proc/PID/stat``, field 3. Where Linux is not, nobody knows: False.
    """
    if not container.pid:
        return True  # it has just been forked
    try:
        text = Path(f"/proc/{container.pid}/stat").read_text(encoding="ascii")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] in {"R", "D"}


class Channel:
    """The platform's end of a container's socket: a line of JSON each way."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take the streams of a connected socket."""
        self._reader = reader
        self._writer = writer
        self._pid = 0

    async def pid(self, timeout: float) -> int:
        """Return the container's process id, which is its first word: its runtime has started.

        :param timeout: in seconds.
        :raises ContainerError: there is none.
        """
        if not self._pid:
            self._pid = int((await self.hear(timeout))["pid"])
        return self._pid

    def tell(self, **order: Any) -> None:
        """Write an order; the socket's buffer is larger than any, so nobody waits."""
        self._writer.write(json.dumps(order).encode() + b"\n")

    async def hear(self, timeout: float) -> dict[str, Any]:
        """Return the container's next word.

        :param timeout: in seconds.
        :raises ContainerError: there is none.
        """
        try:
            line = await asyncio.wait_for(self._reader.readline(), timeout)
        except asyncio.TimeoutError:
            raise ContainerError(f"no result after {timeout:g} seconds") from None
        except ConnectionError as error:
            raise ContainerError(f"the container died: {error}") from error
        if not line:
            raise ContainerError("the container died")
        reply: dict[str, Any] = json.loads(line)
        return reply

    async def silent(self) -> None:
        """Return when the container has gone: its process has closed the socket."""
        with contextlib.suppress(ConnectionError):
            while await self._reader.read(4096):
                pass

    def close(self) -> None:
        """Close the platform's end."""
        self._writer.close()


@functools.cache
def compile_ours() -> None:
    """Have bytecode of slsmysql and the handlers, as pip has made it of everybody else's package.

    Where PYTHONDONTWRITEBYTECODE is set, each cold start would compile what it imports from a
    checkout: 75 ms of processor instead of 24.
    """
    spec = importlib.util.find_spec("slsmysql")
    assert spec is not None
    for folder in (*(spec.submodule_search_locations or ()), Path(__file__).parent):
        compileall.compile_dir(folder, quiet=2)


class Zygote:
    """The fork server, in a session of its own, out of the reach of a terminal's Ctrl-C."""

    def __init__(self, log: BinaryIO, contender: Contender) -> None:
        """Start it.

        :param log: where the standard output and errors of all containers go.
        :param contender: whose containers it starts.
        """
        compile_ours()
        options = ["--preload", *contender.preload]
        if contender.command:
            options = ["--command", *contender.command, *contender.preload]
        #: Processor seconds of the zygote and all containers; known when it has ended.
        self.cpu: float | None = None
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.container", str(theirs.fileno()), *options],
                pass_fds=[theirs.fileno()],
                cwd=Path(__file__).parents[1],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self) -> Zygote:
        """Wait until the runtime is warm."""
        if not self._control.recv(ORDER.size):
            self._process.wait()
            raise RuntimeError(f"the zygote ended at once, status {self._process.returncode}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the zygote and all containers, the frozen ones too."""
        try:
            self._control.shutdown(socket.SHUT_WR)
            self._control.settimeout(END)
            told = self._control.recv(1024)
            self._process.wait(END)
            self.cpu = json.loads(told)["cpu"] if told else None
        except (OSError, subprocess.TimeoutExpired):
            pass  # then by force
        finally:
            self._control.close()
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()

    async def start(self) -> Channel:
        """Fork a container and return the channel to it."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._control, [ORDER.pack(START)], [theirs.fileno()])
        return Channel(*await asyncio.open_connection(sock=ours))

    def release(self, pid: int) -> None:
        """Let the process id of a dead container go."""
        self._control.sendall(ORDER.pack(pid))


class Platform:
    """Plays arrivals to a fleet of one contender; can be watched meanwhile."""

    def __init__(self, fleet: Fleet, contender: Contender, zygote: Zygote) -> None:
        """Make a platform without any container.

        :param fleet: what it does with its containers.
        :param contender: what runs in them.
        :param zygote: where they come from; its end is up to the caller.
        """
        self.fleet = fleet
        self.contender = contender
        self.pool: Pool[Container] = Pool(fleet.containers)
        self.invocations: list[Invocation] = []
        #: Containers started so far, and those of them that run or are frozen between invocations.
        self.started = 0
        self.alive = 0
        self.failed = 0
        #: Seconds that the platform was late for an arrival, at worst.
        self.late = 0.0
        self.ends: Counter[Fate] = Counter()
        self._zygote = zygote
        self._queue: deque[Request] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._begin = time.monotonic()
        self._expected = 0
        self._launched = 0
        self._next_start = 0.0
        self._spares: deque[Channel] = deque()
        self._door = asyncio.Lock()
        self._loading: set[Container] = set()
        self._finished: asyncio.Future[None]
        self._loop: asyncio.AbstractEventLoop

    def now(self) -> float:
        """Return the seconds since the start of the run."""
        return time.monotonic() - self._begin

    async def warm_up(self) -> None:
        """Have runtimes in store, with no handler yet, as function platforms do.

        A container that outnumbers them pays for its own.
        """
        wanted = min(self.fleet.spares, self.fleet.containers)
        while missing := min(BOOTING, wanted - len(self._spares)):
            batch = [await self._zygote.start() for _ in range(missing)]
            await asyncio.gather(*(channel.pid(BOOT) for channel in batch))
            self._spares.extend(batch)

    async def run(self, arrivals: Arrivals) -> None:
        """Play the arrivals, and return when each of them has its result.

        The containers that are there then stay as they are, most of them frozen.
        """
        self._expected = len(arrivals.times)
        self._loop = asyncio.get_running_loop()
        self._finished = self._loop.create_future()
        self._begin = time.monotonic()
        try:
            for number, moment in enumerate(arrivals.times):
                delay = moment - self.now()
                if delay > 0:
                    await asyncio.wait([self._finished], timeout=delay)
                if self._finished.done():
                    break  # by an error
                self.late = max(self.late, self.now() - moment)
                self._queue.append(Request(number, moment))
                self._dispatch()
            if self._expected:
                await self._finished
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            while self._spares:
                self._spares.pop().close()

    def _dispatch(self) -> None:
        """Give the waiting requests to containers, new ones if there is none at rest."""
        while self._queue:
            container = self.pool.take()
            if container is not None:
                container.job.set_result(self._queue.popleft())
            elif not self.pool.full:
                self._launch(self._queue.popleft())
            else:
                break

    def _launch(self, request: Request) -> None:
        """Start a container for a request that found none."""
        container = Container(self._launched, self.fleet.life(self._launched))
        self._launched += 1
        self.pool.add(container)
        task = self._loop.create_task(self._guard(container, request))
        self._tasks.add(task)
        task.add_done_callback(self._leave)

    def _expire(self, container: Container) -> None:
        """End a container whose time has come: now, or when it has finished what it does."""
        if self.pool.take_away(container):
            if not container.job.cancelled():  # the run is over
                container.job.set_result(None)
        else:
            container.over = True

    def _leave(self, task: asyncio.Task[None]) -> None:
        """Let go of a guardian; one that failed ends the run."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._break(error)

    def _break(self, error: BaseException) -> None:
        """Have ``run`` raise an error."""
        if not self._finished.done():
            self._finished.set_exception(error)

    async def _guard(self, container: Container, first: Request) -> None:
        """Lead a container from its cold start to its end."""
        request = first
        fate = Fate.DISCARDED
        with contextlib.closing(await self._start(container)) as channel:
            try:
                try:
                    await self._init(container, channel)
                finally:
                    self._loading.discard(container)
                while True:
                    event = {"request": request.id, "number": request.number}
                    channel.tell(event=event, timeout=self.fleet.timeout)
                    reply = await channel.hear(self.fleet.timeout)
                    self._note(container, request, first, Phase.HANDLER, reply)
                    following = await self._rest(container)
                    if following is None:
                        break
                    request = following
                fate = container.life.fate
            except InitError as error:
                self._note(container, request, first, Phase.INIT, {"error": error.args[0]})
                self.pool.remove(container)
            except ContainerError as error:
                word = {"kind": type(error).__name__, "errno": None, "message": str(error)}
                self._note(container, request, first, Phase.PLATFORM, {"error": word})
                self.pool.remove(container)
            self._dispatch()
            await self._end(container, channel, fate)

    async def _start(self, container: Container) -> Channel:
        """Start a container's process when its turn has come."""
        async with self._door:
            await asyncio.sleep(self._next_start - self.now())
            # No event tells that a process has begun to wait: it has to be looked at.
            while (  # noqa: ASYNC110
                len(self._loading) >= self.fleet.loading
                and sum(map(on_processor, self._loading)) >= self.fleet.loading
            ):
                await asyncio.sleep(GAP)
            self._next_start = self.now() + 1 / self.fleet.starts
            channel = self._spares.popleft() if self._spares else await self._zygote.start()
            self._loading.add(container)
        self.started += 1
        self.alive += 1
        self._loop.call_later(container.life.seconds, self._expire, container)
        return channel

    async def _init(self, container: Container, channel: Channel) -> None:
        """Have the handler's module loaded in a fresh container."""
        channel.tell(
            handler=str(self.contender.handler), environment=dict(self.contender.environment)
        )
        container.pid = await channel.pid(self.fleet.timeout)
        reply = await channel.hear(self.fleet.timeout)
        if "error" in reply:
            raise InitError(reply["error"])
        container.init = reply["seconds"]

    async def _rest(self, container: Container) -> Request | None:
        """Freeze a container until there is another request for it; None: it has to go."""
        os.kill(container.pid, signal.SIGSTOP)
        if container.over:
            self.pool.remove(container)
            return None
        container.job = self._loop.create_future()
        self.pool.give_back(container)
        self._dispatch()
        request = await container.job
        if request is not None:
            os.kill(container.pid, signal.SIGCONT)
        return request

    async def _end(self, container: Container, channel: Channel, fate: Fate) -> None:
        """Carry out a container's fate."""
        self.ends[fate] += 1
        self.alive -= 1
        if fate is Fate.LOST:
            await asyncio.Event().wait()  # nobody ever sets it; the guardian is cancelled
        if container.pid and fate is Fate.TERMINATED:
            os.kill(container.pid, signal.SIGTERM)
            os.kill(container.pid, signal.SIGCONT)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(channel.silent(), GRACE)
        if container.pid:
            os.kill(container.pid, signal.SIGKILL)  # the id is ours until it is released
            await channel.silent()
            self._zygote.release(container.pid)

    def _note(
        self,
        container: Container,
        request: Request,
        first: Request,
        phase: Phase,
        reply: dict[str, Any],
    ) -> None:
        """Write down what came of a request."""
        error = reply.get("error")
        self.failed += error is not None
        self.invocations.append(
            Invocation(
                request=request.id,
                arrived=request.arrived,
                finished=self.now(),
                container=container.serial,
                cold=request is first,
                init=container.init if request is first else None,
                handler=reply.get("seconds"),
                failure=Failure(phase, **error) if error else None,
            )
        )
        if len(self.invocations) == self._expected and not self._finished.done():
            self._finished.set_result(None)
