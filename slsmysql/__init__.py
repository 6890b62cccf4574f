"""slsmysql: PyMySQL's face, MySQL Connector/Python's engine, serverless-mysql's brain.

A DB-API 2.0 module (PEP 249) for MySQL and MariaDB in serverless functions::

    import slsmysql as pymysql

Everything that PyMySQL 1.2 has is here under the same name; what is more is listed in
``docs/options.md`` and in the README.
"""

from __future__ import annotations

import sys
from typing import Any

from slsmysql import connections, constants, converters, cursors, err, times
from slsmysql.connections import Connection, close_all
from slsmysql.constants import FIELD_TYPE
from slsmysql.err import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    MySQLError,
    NotSupportedError,
    OperationalError,
    OutcomeUnknownError,
    ProgrammingError,
    Warning,
)
from slsmysql.events import Event, Stats
from slsmysql.events import process as _counted
from slsmysql.invocations import invocation
from slsmysql.settings import Settings
from slsmysql.times import (
    Date,
    DateFromTicks,
    Time,
    TimeFromTicks,
    Timestamp,
    TimestampFromTicks,
)

VERSION = (0, 1, 0, "final")
VERSION_STRING = "0.1.0"

#: mysqlclient's, which Django checks; the version of this package is ``VERSION``.
version_info: tuple[int, int, int, str, int] = (2, 2, 8, "final", 1)
__version__ = "2.2.8"

apilevel = "2.0"
threadsafety = 1
paramstyle = "pyformat"

NULL = "NULL"


class DBAPISet(frozenset[int]):
    """A PEP 249 type object: equal to each type code that is in it."""

    def __eq__(self, other: object) -> bool:
        """Return whether ``other``, a type code, is in the set (or an equal set)."""
        if isinstance(other, frozenset):
            return frozenset.__eq__(self, other)
        return other in self

    def __ne__(self, other: object) -> bool:
        """Return whether ``other`` is not in the set."""
        if isinstance(other, (set, frozenset)):
            return frozenset.__ne__(self, other)
        return other not in self

    def __hash__(self) -> int:
        """Return a frozenset's hash."""
        return frozenset.__hash__(self)


STRING = DBAPISet({FIELD_TYPE.ENUM, FIELD_TYPE.STRING, FIELD_TYPE.VAR_STRING})
BINARY = DBAPISet(
    {FIELD_TYPE.BLOB, FIELD_TYPE.LONG_BLOB, FIELD_TYPE.MEDIUM_BLOB, FIELD_TYPE.TINY_BLOB}
)
NUMBER = DBAPISet(
    {
        FIELD_TYPE.DECIMAL,
        FIELD_TYPE.DOUBLE,
        FIELD_TYPE.FLOAT,
        FIELD_TYPE.INT24,
        FIELD_TYPE.LONG,
        FIELD_TYPE.LONGLONG,
        FIELD_TYPE.TINY,
        FIELD_TYPE.YEAR,
    }
)
DATE = DBAPISet({FIELD_TYPE.DATE, FIELD_TYPE.NEWDATE})
TIME = DBAPISet({FIELD_TYPE.TIME})
TIMESTAMP = DBAPISet({FIELD_TYPE.TIMESTAMP, FIELD_TYPE.DATETIME})
DATETIME = TIMESTAMP
ROWID = DBAPISet()

connect = Connect = Connection


def Binary(x: Any) -> bytes:
    """Return ``x`` as the type of binary values."""
    return bytes(x)


def get_client_info() -> str:
    """Return mysqlclient's version, for programs written for it."""
    return __version__


def thread_safe() -> bool:
    """Return True, as mysqlclient does."""
    return True


def stats() -> Stats:
    """Return the counters of this process, all connections together."""
    return Stats(**_counted)


def install_as_MySQLdb() -> None:
    """Let ``import MySQLdb``, and of its submodules, give this package.

    Every submodule is registered, so that there is one class of each name; a ``MySQLdb`` that was
    imported before is replaced.
    """
    for name in [name for name in sys.modules if name.split(".")[0] == "MySQLdb"]:
        del sys.modules[name]
    aliases = {"MySQLdb": sys.modules[__name__], "MySQLdb._exceptions": err}
    for name in ("connections", "constants", "converters", "cursors", "err", "times"):
        aliases[f"MySQLdb.{name}"] = globals()[name]
    import importlib

    for name in ("CLIENT", "CR", "ER", "FIELD_TYPE", "FLAG"):
        aliases[f"MySQLdb.constants.{name}"] = importlib.import_module(
            f"{__name__}.constants.{name}"
        )
    sys.modules.update(aliases)


def string_literal(obj: Any) -> bytes:
    """Return ``str(obj)`` as an SQL literal in bytes (mysqlclient's)."""
    return converters.escape_str(obj).encode()


def __getattr__(name: str) -> Any:
    # What few programs use is loaded when it is asked for.
    if name in {"charset", "optionfile"}:
        import importlib

        return importlib.import_module(f"{__name__}.{name}")
    if name == "_exceptions":  # `from MySQLdb import _exceptions`, mysqlclient's name of `err`
        return err
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "BINARY",
    "DATE",
    "FIELD_TYPE",
    "NULL",
    "NUMBER",
    "ROWID",
    "STRING",
    "TIME",
    "TIMESTAMP",
    "Binary",
    "Connect",
    "Connection",
    "DBAPISet",
    "DataError",
    "DatabaseError",
    "Date",
    "DateFromTicks",
    "Error",
    "Event",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "MySQLError",
    "NotSupportedError",
    "OperationalError",
    "OutcomeUnknownError",
    "ProgrammingError",
    "Settings",
    "Stats",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "Warning",
    "__version__",
    "apilevel",
    "close_all",
    "connect",
    "connections",
    "constants",
    "converters",
    "cursors",
    "get_client_info",
    "install_as_MySQLdb",
    "invocation",
    "paramstyle",
    "stats",
    "threadsafety",
    "times",
    "version_info",
]
