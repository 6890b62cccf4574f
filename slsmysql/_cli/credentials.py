"""Where the command line connects to, and as whom: gathered as MySQL's own clients gather it.

The command line wins over the option files, and these over the environment (MySQL manual, "Using
Option Files").  A password is never read from the command line, which every account of the machine
can read in the process list.
"""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from slsmysql import err, mycnf
from slsmysql.options import Secret, parse_url
from slsmysql.settings import FROM_TEXT

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

#: The option files that there may be, the later one winning.
FILES: Final = ("/etc/my.cnf", "/etc/mysql/my.cnf", "~/.my.cnf")

#: The variables of MySQL's clients, by the keywords of ``connect()``.
VARIABLES: Final = {
    "host": "MYSQL_HOST",
    "port": "MYSQL_TCP_PORT",
    "unix_socket": "MYSQL_UNIX_PORT",
    "password": "MYSQL_PWD",
}

#: The options of a file that are read, by the keywords of ``connect()``.
_OPTIONS: Final = {
    "host": "host",
    "port": "port",
    "unix_socket": "socket",
    "user": "user",
    "password": "password",
    "database": "database",
    "charset": "default-character-set",
    "bind_address": "bind-address",
    "connect_timeout": "connect-timeout",
    "ssl_mode": "ssl-mode",
    "ssl_ca": "ssl-ca",
    "ssl_cert": "ssl-cert",
    "ssl_key": "ssl-key",
}

#: What a file may ask of TLS and nothing here can do: less than was asked for is not an answer.
_STRICTER: Final = ("ssl-capath", "ssl-cipher", "ssl-crl", "ssl-crlpath", "ssl-verify-server-cert")

#: What ``--ssl-mode`` of MySQL's clients means in the keywords of ``connect()``.
SSL_MODES: Final[Mapping[str, Mapping[str, object]]] = {
    "DISABLED": {"ssl_disabled": True},
    "PREFERRED": {},
    "REQUIRED": {"ssl_verify_cert": "none"},
    "VERIFY_CA": {"ssl_verify_cert": True},
    "VERIFY_IDENTITY": {"ssl_verify_identity": True},
}

_SECRETS: Final = ("password", "passwd", "ssl_key_password")


class UsageError(Exception):
    """What was asked for cannot be done as it was written; the message quotes no secret."""


def keywords(given: argparse.Namespace, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the keywords of ``connect()`` that command line, files and environment give.

    :param given: what ``__main__`` has read from the command line.
    :raises UsageError: for what is contradictory, missing or would show a password.
    """
    asked = _from_command_line(given)
    if given.ask_password:
        asked["password"] = _ask()
    files = {} if given.no_defaults else _from_files(given.defaults_file, given.defaults_group)
    if asked.get("host") or asked.get("port"):
        # A socket that is the machine's default is not the way to a server that was named.
        files.pop("unix_socket", None)
        environ = {name: text for name, text in environ.items() if name != VARIABLES["unix_socket"]}
    found = {**_from_environment(environ), **files, **asked}
    if found.get("host", "localhost") != "localhost" and not asked.get("unix_socket"):
        found.pop("unix_socket", None)
    mode = found.pop("ssl_mode", None)
    return {**found, **_tls(mode, found)}


def _from_command_line(given: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if given.url is not None:
        try:
            found = parse_url(given.url, FROM_TEXT)
        except err.ProgrammingError as error:
            raise UsageError(str(error)) from None
        if any(name in found for name in _SECRETS):
            raise UsageError(
                "a password in the URL is on the process list, for everybody to read: put it into"
                " an option file (--defaults-file) or the variable MYSQL_PWD, or be asked for it"
                " (-p)"
            )
    for name in ("host", "port", "user", "unix_socket", "database", "ssl_mode", "ssl_ca"):
        value = getattr(given, name)
        if value is None:
            continue
        if name in found:
            raise UsageError(f"{name} is given twice, in the URL and as an option")
        found[name] = value
    return found


def _ask() -> Secret:
    if not sys.stdin.isatty():
        raise UsageError(
            "-p asks for the password at a terminal, and there is none: put it into an option file"
            " (--defaults-file) or the variable MYSQL_PWD"
        )
    return Secret(getpass.getpass("Password: "))


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, variable in VARIABLES.items():
        text = environ.get(variable)
        if text:
            found[name] = _read(name, text, variable)
    return found


def _from_files(only: str | None, group: str) -> dict[str, Any]:
    """Return what the group says in that file, or in those that there are."""
    options: dict[str, str | None] = {}
    there = False
    for path in (only,) if only else FILES:
        file = str(Path(path).expanduser())
        problem = None
        try:
            groups = mycnf.read(file)
        except OSError as error:
            if only:
                raise UsageError(f"--defaults-file {only}: {error.strerror}") from None
            continue
        except mycnf.NotAnOptionFile as error:
            problem = str(error)
        if problem is not None:
            raise UsageError(f"{file} is not an option file: {problem}")
        there = there or group in groups
        options.update(groups.get(group, {}))
    if only and not there:
        raise UsageError(f"--defaults-file {only}: it has no group [{group}]")
    return _of_group(options, group)


def _of_group(options: Mapping[str, str | None], group: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in _STRICTER:
        if name in options:
            raise UsageError(
                f"{name} in an option file is not understood here: say --ssl-mode and --ssl-ca"
                " instead, with another --defaults-group or --no-defaults"
            )
    for name, option in _OPTIONS.items():
        text = options.get(option)
        if text is not None:
            found[name] = _read(name, text, f"{option} in [{group}]")
    return found


def _read(name: str, text: str, source: str) -> object:
    if name == "password":
        return Secret(text.encode())  # as it stands in the file
    if name in {"port", "connect_timeout"}:
        try:
            return int(text)
        except ValueError:
            raise UsageError(f"{source} must be a whole number") from None
    return text


def _tls(mode: str | None, found: Mapping[str, Any]) -> Mapping[str, object]:
    """Return the keywords for that ``--ssl-mode``; a CA alone is there to be verified with."""
    if mode is None:
        asked = {"ssl_verify_cert", "ssl_verify_identity", "ssl_disabled"} & set(found)
        return SSL_MODES["VERIFY_CA"] if found.get("ssl_ca") and not asked else {}
    if mode.upper() not in SSL_MODES:
        raise UsageError(f"ssl-mode must be one of {', '.join(SSL_MODES)}")
    return SSL_MODES[mode.upper()]


#: For the help.
ENVIRONMENT: Final = ", ".join(VARIABLES.values())
