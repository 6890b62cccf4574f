"""The inside of the fleet: a function's runtime, and the fork server that containers come from.

A function platform starts a container from a runtime that is there already: an interpreter
with its standard library, and nothing of the user's. 240 interpreters started from nothing would
keep two processors busy for ten seconds with what no function pays for. So one process, the
zygote, imports the standard library (``RUNTIME``; it refuses to start if a driver came along)
and forks. What a cold start is then made of happens in the fresh process: the handler's module is
loaded there, with the import of its driver and its module-level connection.

Every container is a process with an interpreter and memory of its own. It takes one invocation at
a time from its socket and knows nothing of being frozen in between.

    python -m benchmarks.container FD [--preload MODULE ...] [--command WORD ...]

Preloaded modules are in the runtime, so that a container's start is without their imports: as if it
was restored from a snapshot. With a command a container is that program (another language's
runtime), with its socket as file descriptor 3; it says its process id as soon as it has started,
and takes its orders as one that was forked does.

FD is a connected Unix socket of four-byte messages: 0 starts a container, whose own socket comes
along as ancillary data; a process id releases a dead one. The zygote says 0 itself once it is
ready. Ids are not reaped before they are
released, so that the platform's signals can never reach a stranger. When the socket is closed,
the zygote kills what is left of its containers, tells its use of the processor, and goes.

On its own socket a container reads one line of JSON that tells it what it is, then a line for
each invocation, and answers each with a line.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import importlib.util
import json
import os
import resource
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

#: A message on the control socket.
ORDER = struct.Struct("!i")

#: The order to start a container; any other is a process id to release.
START = 0

#: The file descriptor of the socket, for a program that is a container.
CHANNEL = 3

#: The standard library as a warm runtime has it: what Lambda's own runtime client and the
#: drivers under test import of it, the same for all.
RUNTIME = (
    "ast",
    "bisect",
    "configparser",
    "datetime",
    "decimal",
    "dis",
    "getpass",
    "hashlib",
    "heapq",
    "http.client",
    "inspect",
    "locale",
    "logging",
    "platform",
    "queue",
    "random",
    "selectors",
    "ssl",
    "stringprep",
    "subprocess",
    "threading",
    "traceback",
    "typing",
    "unicodedata",
    "urllib.parse",
    "uuid",
    "warnings",
    "weakref",
    "zlib",
)


class Context:
    """What a function platform hands to a handler beside the event, under Lambda's names."""

    def __init__(self, request: str, deadline: float) -> None:
        """Note the request's id and its end, in seconds of the monotonic clock."""
        self.aws_request_id = request
        self._deadline = deadline

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the platform ends the invocation."""
        return max(0, round((self._deadline - time.monotonic()) * 1000))


def main(control: socket.socket, command: Sequence[str] = (), preload: Sequence[str] = ()) -> None:
    """Fork a container for each message that asks for one, until the socket is closed."""
    for name in () if command else RUNTIME:
        importlib.import_module(name)
    guests = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
    if extra := guests & {"pymysql", "MySQLdb", "mysql", "_mysql_connector", "slsmysql"}:
        raise SystemExit(f"a warm runtime has no driver in it, this one has: {sorted(extra)}")
    for name in preload:
        importlib.import_module(name)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the platform says when it is over
    gc.freeze()  # so that the children's collector does not copy the parent's pages
    children: set[int] = set()
    control.sendall(ORDER.pack(START))
    while True:
        message, sockets, _, _ = socket.recv_fds(control, ORDER.size, 1)
        if not message:
            break
        (order,) = ORDER.unpack(message)
        if order != START:
            children.discard(order)
            os.waitpid(order, 0)
            continue
        pid = os.fork()
        if pid == 0:
            control.close()
            if command:
                become(command, sockets[0])
            contain(socket.socket(fileno=sockets[0]))
        os.close(sockets[0])
        children.add(pid)
    for pid in children:
        os.kill(pid, signal.SIGKILL)
    for pid in children:
        os.waitpid(pid, 0)
    usage = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds = sum(one.ru_utime + one.ru_stime for one in usage)
    with contextlib.suppress(OSError):  # a platform that has died does not listen any more
        control.sendall(json.dumps({"cpu": seconds}).encode())


def become(command: Sequence[str], channel: int) -> NoReturn:
    """Be a container by way of another program."""
    try:
        os.dup2(channel, CHANNEL)
        os.set_inheritable(CHANNEL, True)  # also where it was that number already
        os.closerange(CHANNEL + 1, 256)
        os.execvp(command[0], list(command))
    finally:
        os._exit(1)  # never back into the zygote's loop


def contain(channel: socket.socket) -> NoReturn:
    """Be a container: load the handler, then serve invocations until the platform goes away."""
    status = 1
    try:
        with channel, channel.makefile("rw", encoding="utf-8", newline="\n") as stream:

            def tell(**reply: Any) -> None:
                stream.write(json.dumps(reply) + "\n")
                stream.flush()

            tell(pid=os.getpid())
            orders = json.loads(stream.readline())
            os.environ.update(orders["environment"])
            begin = time.monotonic()
            try:
                handler = load(orders["handler"])
            except BaseException as error:  # SystemExit too: the platform is told
                tell(seconds=time.monotonic() - begin, error=describe(error))
            else:
                tell(seconds=time.monotonic() - begin)
                for line in stream:
                    tell(**invoke(handler, json.loads(line)))
                status = 0
    finally:
        os._exit(status)  # never back into the zygote's loop, nor through its exit handlers


def load(path: str) -> Callable[[dict[str, Any], Context], object]:
    """Load the handler's module from its file and return its function ``handler``."""
    spec = importlib.util.spec_from_file_location("handler", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"no Python module: {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules["handler"] = module
    spec.loader.exec_module(module)
    function: Callable[[dict[str, Any], Context], object] = module.handler
    return function


def invoke(
    handler: Callable[[dict[str, Any], Context], object], order: dict[str, Any]
) -> dict[str, Any]:
    """Call the handler once; a container outlives an exception of its handler."""
    event = order["event"]
    begin = time.monotonic()
    context = Context(event["request"], begin + order["timeout"])
    try:
        reply: dict[str, Any] = {"result": handler(event, context)}
    except Exception as error:
        reply = {"error": describe(error)}
    reply["seconds"] = time.monotonic() - begin
    return reply


def describe(error: BaseException) -> dict[str, Any]:
    """Return class, number and text of an exception."""
    told = getattr(error, "orig", None) or error  # what SQLAlchemy has wrapped
    first = told.args[0] if told.args else None
    return {
        "kind": type(error).__name__,
        "errno": first if isinstance(first, int) else None,
        "message": str(error),
    }


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("control", type=int)
    arguments.add_argument("--preload", nargs="*", default=[])
    arguments.add_argument("--command", nargs=argparse.REMAINDER, default=[])
    given = arguments.parse_args()
    main(socket.socket(fileno=given.control), given.command, given.preload)
