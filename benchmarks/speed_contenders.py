"""The drivers that are measured, each behind the few names that differ between them.

What a workload does with a connection and a cursor is PEP 249's and the same for all. Connecting,
and the choice of a cursor, are here.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from slsmysql.settings import Settings

#: What a cursor gives: all rows as tuples or as dicts once `execute` returns, or rows one by one.
Rows = Literal["tuple", "dict", "stream"]

#: The keywords of a connection that every driver knows: host, port, user, password, database.
Address = Mapping[str, Any]


@dataclass(frozen=True)
class Contender:
    """A driver in one of its configurations.

    :param name: as the tables have it.
    :param module: the module to import; what cannot be imported does not take part.
    :param needs: a second module without which it cannot be measured, or None.
    :param options: keywords of ``connect()`` of its own.
    :param plain: keywords for a connection without TLS.
    :param tls: keywords for one with TLS, and without verification: every driver's default where
        the server has it.
    :param cursors: the keywords of ``Connection.cursor()`` for each kind of rows. A string in
        them is the name of a class in the driver's module ``cursors``.
    """

    name: str
    module: str
    needs: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    plain: Mapping[str, Any] = field(default_factory=dict)
    tls: Mapping[str, Any] = field(default_factory=dict)
    cursors: Mapping[Rows, Mapping[str, Any]] = field(default_factory=dict)

    def missing(self) -> str | None:
        """Return why the driver cannot take part, or None when it can."""
        for module in (self.module, self.needs):
            try:
                if module is not None:
                    importlib.import_module(module)
            except ImportError as error:
                return str(error)
        return None

    def connector(self, address: Address, *, tls: bool) -> Callable[[], Any]:
        """Return what makes a connection when it is called."""
        module = importlib.import_module(self.module)
        keywords = {**address, **self.options, **(self.tls if tls else self.plain)}
        made: Callable[[], Any] = functools.partial(module.connect, **keywords)
        return made

    def cursor_maker(self, connection: Any, rows: Rows = "tuple") -> Callable[[], Any]:
        """Return what makes a cursor of ``connection`` when it is called."""
        keywords = dict(self.cursors.get(rows, {}))
        for name, value in keywords.items():
            if isinstance(value, str):
                keywords[name] = getattr(importlib.import_module(f"{self.module}.cursors"), value)
        if not keywords:
            bare: Callable[[], Any] = connection.cursor
            return bare
        return functools.partial(connection.cursor, **keywords)


_PYMYSQL_CURSORS: Mapping[Rows, Mapping[str, Any]] = {
    "dict": {"cursor": "DictCursor"},
    "stream": {"cursor": "SSCursor"},
}


def _slsmysql(
    name: str, *, pure: bool, reuse: bool = False, manage_conns: bool = True
) -> Contender:
    return Contender(
        name,
        "slsmysql",
        needs=None if pure else "_mysql_connector",
        options={
            "use_pure": pure,
            # Made once: the defaults, which a program uses, cost a connect nothing either.
            "settings": Settings(reuse=reuse, manage_conns=manage_conns),
        },
        plain={"ssl_disabled": True},
        cursors=_PYMYSQL_CURSORS,
    )


def _driver(name: str, *, pure: bool) -> Contender:
    return Contender(
        name,
        "mysql.connector",
        needs=None if pure else "_mysql_connector",
        options={"use_pure": pure},
        plain={"ssl_disabled": True},
        cursors={
            "tuple": {"buffered": True},
            "dict": {"buffered": True, "dictionary": True},
            "stream": {"buffered": False},
        },
    )


C = _slsmysql("slsmysql (C)", pure=False)
PURE = _slsmysql("slsmysql (pure)", pure=True)
PYMYSQL = Contender("PyMySQL", "pymysql", plain={"ssl_disabled": True}, cursors=_PYMYSQL_CURSORS)
MYSQLCLIENT = Contender(
    "mysqlclient",
    "MySQLdb",
    # Its default is latin1, and every other's utf8mb4.
    options={"charset": "utf8mb4"},
    plain={"ssl_mode": "DISABLED"},
    tls={"ssl_mode": "REQUIRED"},
    cursors={"dict": {"cursorclass": "DictCursor"}, "stream": {"cursorclass": "SSCursor"}},
)
DRIVER_C = _driver("Connector/Python (C)", pure=False)
DRIVER_PURE = _driver("Connector/Python (pure)", pure=True)

#: Everybody who runs every workload, in the order of the tables.
CONTENDERS = (C, PURE, PYMYSQL, MYSQLCLIENT, DRIVER_C, DRIVER_PURE)

#: Nothing but the C extension, for what a round trip dominates.
ENGINE = Contender("the C extension alone", "benchmarks.speed_engine")

#: Configurations of ours that run one workload each.
C_REUSE = _slsmysql("slsmysql (C), parked", pure=False, reuse=True)
PURE_REUSE = _slsmysql("slsmysql (pure), parked", pure=True, reuse=True)
C_UNMANAGED = _slsmysql("slsmysql (C), unmanaged", pure=False, manage_conns=False)
