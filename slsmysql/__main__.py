"""The command line, ``python -m slsmysql`` or ``slsmysql``: what is said, and what comes back.

0 is fine, 1 says that something was found which should not be so, and 2 that there is no answer:
bad usage, or no connection.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from slsmysql import VERSION_STRING, err
from slsmysql._cli import credentials
from slsmysql._cli.credentials import UsageError

OK, FOUND, FAILED = 0, 1, 2

_COMMANDS = ("doctor", "status", "zombies", "reap")

#: Seconds between two looks of ``--watch``.
_WATCH = 2.0
_SHORTEST_WATCH = 0.1


class _Parser(argparse.ArgumentParser):
    """argparse, but that it repeats nothing of what it was given: some of it may be a password."""

    #: The whole command line, for the parsers of its parts too.
    given: Sequence[str] = ()

    def __init__(self, *, helps: bool = True, **keywords: Any) -> None:
        super().__init__(**keywords, allow_abbrev=False, add_help=False)
        if helps:
            # -h is the host, as for MySQL's clients.
            self.add_argument("-?", "--help", action="help", help="show this and go")

    def error(self, message: str) -> NoReturn:
        for argument in sorted(self.given, key=len, reverse=True):
            name, equals, value = argument.partition("=")
            secret = value if equals and name.startswith("--") else argument
            # A single dash: what follows the letter may be a value.
            is_name = argument in _COMMANDS or re.fullmatch(r"--[^=]+|-.", argument)
            if secret and not is_name:
                for shape in (repr(secret), secret):
                    message = re.sub(rf"(?<!\w){re.escape(shape)}(?!\w)", "...", message)
        super().error(message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code.

    :param arguments: without the program's name; None for the process's own.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    # A name from the server may have characters that the terminal's encoding has not.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return _run(given)
    except SystemExit as stop:  # argparse's
        return stop.code if isinstance(stop.code, int) else FAILED
    except BrokenPipeError:
        # Whoever read it has seen enough (Python manual, "Note on SIGPIPE").
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return FAILED


def _run(given: Sequence[str]) -> int:
    _Parser.given = given
    parser = _parser()
    if any(re.match(r"-p.|--password=", argument) for argument in given):
        parser.error(
            "a password on the command line is on the process list, for everybody to read: -p asks"
            " for it, and an option file (--defaults-file) or the variable MYSQL_PWD have it ready"
        )
    asked = parser.parse_args(given)

    def tell(text: str, answer: object) -> None:
        print(json.dumps(answer) if asked.json else text, flush=True)

    try:
        return _command(asked, tell)
    except UsageError as error:
        return _fail(f"{parser.prog}: {error}", asked.json, None)
    except err.Error as error:
        from slsmysql._cli.watcher import message

        errno = error.args[0] if error.args else None
        return _fail(f"{parser.prog}: {message(error)}", asked.json, errno)


def _command(asked: argparse.Namespace, tell: Callable[[str, object], None]) -> int:
    keywords = credentials.keywords(asked, os.environ)
    if asked.command == "doctor":
        from slsmysql._cli.doctor import doctor

        return doctor(keywords, tell)
    if asked.command == "status":
        from slsmysql._cli.status import status

        return status(keywords, asked.watch, tell)
    from slsmysql._cli.reaping import reap, zombies

    if asked.command == "zombies":
        return zombies(keywords, asked.above, tell)
    return reap(keywords, asked.above, tell, sure=asked.yes)


def _fail(text: str, as_json: bool, errno: object) -> int:
    if as_json:
        print(json.dumps({"error": text, "errno": errno}), flush=True)
    print(text, file=sys.stderr, flush=True)
    return FAILED


def _parser() -> _Parser:
    parser = _Parser(
        prog="slsmysql",
        description="See how a MySQL or MariaDB server is used, and make room.",
        epilog="0: fine. 1: something was found. 2: bad usage, or no connection.",
    )
    parser.add_argument("--version", action="version", version=f"slsmysql {VERSION_STRING}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    shared = _shared()

    def add(name: str, help: str) -> argparse.ArgumentParser:
        text = f"{help[0].upper()}{help[1:]}."
        return commands.add_parser(name, help=help, description=text, parents=[shared])

    add("doctor", "go step by step to the server, and say what to do better")
    status = add("status", "how many connections are used, of how many")
    status.add_argument(
        "--watch",
        nargs="?",
        const=_WATCH,
        type=_interval,
        metavar="SECONDS",
        help=f"again and again, every {_WATCH:g} seconds or so many",
    )
    zombies = add("zombies", "which sessions would be ended, and why each is or is not")
    reap = add("reap", "end zombies, as a program above its threshold does; asks first")
    for command in (zombies, reap):
        command.add_argument(
            "--above",
            type=_share,
            metavar="SHARE",
            help="make room above this share of the connections instead of conn_utilization",
        )
    reap.add_argument("-y", "--yes", action="store_true", help="do not ask")
    return parser


def _shared() -> _Parser:
    """Return the options of all commands; those to connect are named as MySQL's clients' are."""
    shared = _Parser(helps=False)
    shared.add_argument("--json", action="store_true", help="for programs")
    to = shared.add_argument_group(
        "connection",
        "The command line wins over option files, and these over the variables "
        f"{credentials.ENVIRONMENT}. Settings are read from SLSMYSQL_... as by a program.",
    )
    to.add_argument(
        "url", nargs="?", metavar="URL", help="mysql://user@host:port/database?option=value"
    )
    to.add_argument("-h", "--host")
    to.add_argument("-P", "--port", type=int)
    to.add_argument("-u", "--user")
    to.add_argument(
        "-p", "--password", dest="ask_password", action="store_true", help="ask for the password"
    )
    to.add_argument("-S", "--socket", dest="unix_socket", metavar="PATH")
    to.add_argument("-D", "--database")
    to.add_argument(
        "--ssl-mode",
        type=str.upper,
        choices=credentials.SSL_MODES,
        metavar="MODE",
        help=", ".join(credentials.SSL_MODES),
    )
    to.add_argument("--ssl-ca", metavar="FILE", help="verify the server with these certificates")
    to.add_argument("--defaults-file", metavar="FILE", help="the only option file to read")
    to.add_argument(
        "--defaults-group", default="client", metavar="GROUP", help="of the files (%(default)s)"
    )
    to.add_argument("--no-defaults", action="store_true", help="read no option file")
    return shared


def _interval(text: str) -> float:
    value = float(text)
    if not _SHORTEST_WATCH <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be {_SHORTEST_WATCH:g} seconds or more")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError("must be above 0 and at most 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
