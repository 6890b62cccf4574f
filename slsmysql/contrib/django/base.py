"""The back end that ``"ENGINE": "slsmysql.contrib.django"`` names: Django's own, on slsmysql.

What Django wants of every connection, autocommit and the isolation level, is set up with the
session and kept while it is parked, so that a request which closes its connection
(``CONN_MAX_AGE = 0``) costs the next one nothing.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import slsmysql


def _load() -> Any:
    """Return Django's module, with slsmysql where it imports MySQLdb; and nowhere else."""
    others = {name: module for name, module in sys.modules.items() if _is_mysqldb(name)}
    slsmysql.install_as_MySQLdb()
    try:
        return importlib.import_module(f"{__package__}.mysql.base")
    finally:
        for name in [name for name in sys.modules if _is_mysqldb(name)]:
            del sys.modules[name]
        sys.modules.update(others)


def _is_mysqldb(name: str) -> bool:
    return name.split(".", maxsplit=1)[0] == "MySQLdb"


_DjangosWrapper: Any = _load().DatabaseWrapper


class DatabaseWrapper(_DjangosWrapper):  # type: ignore[misc]
    """Django's wrapper of a MySQL or MariaDB connection; ``OPTIONS`` are ``connect()``'s."""

    isolation_level: str | None
    #: The connection is new, and has the isolation level from its session's set-up.
    _is_set_up = False

    def get_connection_params(self) -> dict[str, Any]:
        """Return what ``connect()`` is called with; what ``OPTIONS`` say wins."""
        params: dict[str, Any] = super().get_connection_params()
        params.setdefault("autocommit", self.settings_dict["AUTOCOMMIT"])
        params.setdefault("init_command", self._set_isolation_level())
        return params

    def get_new_connection(self, conn_params: dict[str, Any]) -> slsmysql.Connection:
        """Return a connection, in whose session the isolation level is set already."""
        connection: slsmysql.Connection = super().get_new_connection(conn_params)
        command = self._set_isolation_level()
        self._is_set_up = command is not None and connection.init_command == command
        return connection

    def init_connection_state(self) -> None:
        """Send what is not part of the session's set-up: nothing, without other ``OPTIONS``."""
        level = self.isolation_level
        if self._is_set_up:
            self.isolation_level, self._is_set_up = None, False
        try:
            super().init_connection_state()
        finally:
            self.isolation_level = level

    def _set_isolation_level(self) -> str | None:
        level = self.isolation_level
        return level and f"SET SESSION TRANSACTION ISOLATION LEVEL {level.upper()}"
