"""Lambda's side of a function: the Runtime API over HTTP, and a container that can be frozen.

Source: AWS Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes". The runtime
asks for the next invocation, is kept waiting until there is one, and posts what came of it.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

VERSION = "/2018-06-01/runtime"
ARN = "arn:aws:lambda:us-east-1:123456789012:function:f"

#: The folder that the function is deployed from.
FUNCTION = Path(__file__).with_name("function")

#: Seconds that anything may take here before the test is over: a machine under load gets what it
#: needs.
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What the runtime posted of an invocation, or of its start.

    :param error: its type; None when the handler returned.
    :param body: what the handler returned, or the error's description.
    """

    error: str | None
    body: Any


@dataclass(frozen=True, slots=True)
class Invocation:
    """An event on its way to the function.

    :param seconds: that the function has for it.
    """

    event: dict[str, Any]
    seconds: float
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


class RuntimeApi:
    """The Runtime API of one container."""

    def __init__(self) -> None:
        """Listen on a free port of the loopback."""
        self._events: queue.Queue[Invocation | None] = queue.Queue()
        self._replies: queue.Queue[Reply] = queue.Queue()
        #: One for each time that the runtime has asked: what it had before is over.
        self.asked: queue.Queue[None] = queue.Queue()
        #: The runtime is ready for its snapshot, and waits to be restored.
        self.before_snapshot = threading.Event()
        self.restored = threading.Event()
        api = self

        class Handler(BaseHTTPRequestHandler):
            """Answers the runtime."""

            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                """Give the next invocation, or let a restored container go on."""
                if self.path == f"{VERSION}/restore/next":
                    api.before_snapshot.set()
                    api.restored.wait()
                    self._answer(HTTPStatus.OK)
                    return
                api.asked.put(None)
                invocation = api._events.get()
                if invocation is None:
                    self.close_connection = True
                    return
                self._answer(
                    HTTPStatus.OK,
                    json.dumps(invocation.event).encode(),
                    {
                        "Content-Type": "application/json",
                        "Lambda-Runtime-Aws-Request-Id": invocation.id,
                        "Lambda-Runtime-Deadline-Ms": str(
                            round((time.time() + invocation.seconds) * 1000)
                        ),
                        "Lambda-Runtime-Invoked-Function-Arn": ARN,
                        "Lambda-Runtime-Trace-Id": f"Root={invocation.id}",
                    },
                )

            def do_POST(self) -> None:
                """Take what came of an invocation, or of the start."""
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                failed = self.path.endswith("/error")
                api._replies.put(Reply(body["errorType"] if failed else None, body))
                self._answer(HTTPStatus.ACCEPTED, b"{}")

            def _answer(
                self, status: HTTPStatus, body: bytes = b"", headers: Mapping[str, str] = {}
            ) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def send(self, invocation: Invocation) -> None:
        """Have the runtime find an invocation when it asks."""
        self._events.put(invocation)

    def reply(self) -> Reply:
        """Return the next word of the runtime."""
        return self._replies.get(timeout=PATIENCE)

    def close(self) -> None:
        """Let everybody who waits go."""
        self.restored.set()
        self._events.put(None)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Container:
    """The runtime client with the function in a process, frozen whenever it has nothing to do."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Start it.

        :param environment: of the function, beside what Lambda itself sets.
        """
        self.api = RuntimeApi()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "awslambdaric", "app.handler"],
            cwd=FUNCTION,
            env={
                **os.environ,
                "AWS_LAMBDA_RUNTIME_API": self.api.address,
                # From 3.12 on the client asks for the next invocation in a thread.
                "AWS_EXECUTION_ENV": "AWS_Lambda_python{}.{}".format(*sys.version_info),
                "AWS_LAMBDA_FUNCTION_NAME": "f",
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
                **environment,
            },
        )

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        self.api.close()

    def ready(self) -> None:
        """Wait until the function has been loaded, and freeze it."""
        self.api.asked.get(timeout=PATIENCE)
        self.process.send_signal(signal.SIGSTOP)

    def invoke(self, *statements: str, seconds: float = PATIENCE, **event: Any) -> Reply:
        """Thaw it for one invocation, freeze it again, and return what came of it."""
        self.api.send(Invocation({"statements": statements, **event}, seconds))
        self.process.send_signal(signal.SIGCONT)
        reply = self.api.reply()
        self.ready()
        return reply
