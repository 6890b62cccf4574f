"""A process that connects where it is told to, so that its hanging or crashing harms nobody else.

It reads a line of JSON for each batch of cases, runs them at the same time, and prints a line of
JSON with what each came to. `Victims` runs it and starts another one where it has died.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

#: Seconds after which a client hangs: many times the time-outs that the cases give it.
PATIENCE = 60.0


class Case(NamedTuple):
    """What a client does: where it connects to, with which keywords, and then what."""

    port: int
    use_pure: bool
    #: "connect", a statement, or "ping".
    then: str
    cursor: str = "Cursor"
    keywords: dict[str, Any] = {}  # noqa: RUF012 - never changed


class Outcome(NamedTuple):
    """What came of it: rows, or the classes and arguments of an exception."""

    rows: Any = None
    classes: Sequence[str] = ()
    args: Any = ()
    #: Where an exception that is none of ours was raised.
    trace: str = ""
    seconds: float = 0.0

    @property
    def is_clear(self) -> bool:
        """Whether it is an error of PEP 249 with a number and a text, or says what cannot be."""
        return "slsmysql.err.NotSupportedError" in self.classes or (
            "slsmysql.err.Error" in self.classes
            and len(self.args) == 2
            and isinstance(self.args[0], int)
            and isinstance(self.args[1], str)
        )


def run(case: Case) -> Outcome:
    """Do what a case says."""
    import traceback

    import slsmysql
    from slsmysql import cursors

    start = time.monotonic()
    try:
        given: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": case.port,
            "user": "app",
            "password": "app-secret",
            "connect_timeout": 2,
            "read_timeout": 2,
            "max_retries": 0,
            "use_pure": case.use_pure,
            "used_conns_freq": 1000,
            "lease": None,
            **case.keywords,
        }
        connection = slsmysql.connect(**given)
        rows: Any = "connected"
        try:
            if case.then == "ping":
                connection.ping()
            elif case.then != "connect":
                cursor = connection.cursor(getattr(cursors, case.cursor))
                cursor.execute(case.then)
                rows = [list(map(repr, row)) for row in cursor]
                cursor.close()
        finally:
            connection.quit()
    except BaseException as error:
        classes = [f"{each.__module__}.{each.__name__}" for each in type(error).__mro__]
        args = [each if isinstance(each, (int, str)) else repr(each) for each in error.args]
        trace = "".join(traceback.format_exception(error))
        return Outcome(None, classes, args, trace, time.monotonic() - start)
    return Outcome(rows, seconds=time.monotonic() - start)


def main() -> None:
    """Serve batches until the standard input ends."""
    with ThreadPoolExecutor(64) as pool:
        for line in sys.stdin:
            cases = [Case(*each) for each in json.loads(line)]
            print(json.dumps(list(pool.map(run, cases))), flush=True)


class Victims:
    """The process, another one whenever it has died."""

    def __init__(self) -> None:
        """Start none yet."""
        self._process: subprocess.Popen[str] | None = None

    def run(self, cases: Sequence[Case]) -> list[Outcome | str]:
        """Return what each case came to; or "crashed ..." or "hung" if one of them did."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", "-m", "tests.fuzz.victim"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        hung = threading.Event()

        def give_up() -> None:
            hung.set()
            process.kill()

        timer = threading.Timer(PATIENCE, give_up)
        timer.start()
        try:
            process.stdin.write(json.dumps(cases) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        finally:
            timer.cancel()
        if line:
            return [Outcome(*each) for each in json.loads(line)]
        self.close()
        if len(cases) > 1:  # whose fault was it?
            return [found for case in cases for found in self.run([case])]
        return ["hung" if hung.is_set() else f"crashed: {process.returncode}"]

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(OSError):
                process.communicate()


if __name__ == "__main__":
    main()
