"""Run the Python of a page as one program, in a process of its own: `python -m tests.docs.play`.

On standard input: the page's name, its blocks, and the server. A block sees what the ones before
it have left. Names of the pages for a server stand for the real one's; see `in_place`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sys
from typing import Any

from tests.docs.preparations import PREPARATIONS, Play, unprepared

#: What the pages write for a server, an account and a database.
HOST, PORT, USER, PASSWORD, DATABASE = "127.0.0.1", "3306", "app", "app-secret", "test"


def in_place(source: str, play: Play) -> str:
    """Return a program with the real server in place of the pages' one."""
    params = play.params
    for written, real in play.files.items():
        source = source.replace(written, real)
    source = re.sub(rf"\b{PORT}/{DATABASE}\b", f"{params['port']}/{params['database']}", source)
    source = re.sub(rf"\b{PORT}\b", str(params["port"]), source)
    source = source.replace(f'"{DATABASE}"', f'"{params["database"]}"')
    return source.replace(HOST, params["host"]).replace(PASSWORD, params["password"])


def main() -> None:
    """Play one page."""
    given = json.load(sys.stdin)
    params: dict[str, Any] = given["params"]
    play = Play(given["kind"], params, given["socket"])
    os.environ.update(
        DB_HOST=params["host"],
        DB_PORT=str(params["port"]),
        DB_USER=params["user"],
        DB_PASSWORD=params["password"],
        DB_NAME=params["database"],
    )
    scope = play.scope
    scope["__name__"] = "page"
    with PREPARATIONS.get(given["page"], unprepared)(play):
        for line, source, output in given["blocks"]:
            # So that a traceback names the line of the page.
            text = "\n" * (line - 1) + in_place(source, play)
            printed = io.StringIO()
            play.before(source)
            with contextlib.redirect_stdout(printed):
                exec(compile(text, given["page"], "exec"), scope)
            play.after(source)
            if output is not None and printed.getvalue() != output:
                raise AssertionError(
                    f"{given['page']}:{line} prints {printed.getvalue()!r}, not {output!r}"
                )


if __name__ == "__main__":
    main()
