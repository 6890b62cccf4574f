"""The SQLAlchemy dialect: ``mysql+slsmysql://`` and ``mariadb+slsmysql://``.

It is SQLAlchemy's dialect for PyMySQL with what follows from slsmysql keeping the sessions itself:
the engine has no pool of its own (``close()`` parks), what a connection is asked for is asked in
the statement that sets its session up, and the management options stand in the URL's query.
Found by its entry points; nobody needs to import it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects.mysql.mariadb import MariaDBDialect
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool, Pool

import slsmysql
from slsmysql import options, settings
from slsmysql.cursors import SSCursor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from sqlalchemy.engine import URL
    from sqlalchemy.engine.interfaces import ConnectArgsType

#: How the values in a URL's query are read, by name.
_READERS: Mapping[str, Callable[[str], object]] = {**options.FROM_TEXT, **settings.FROM_TEXT}

#: What SQLAlchemy reads itself: it adds a flag of its own to the first, and makes of the others,
#: with ``ssl_capath``, ``ssl_cipher`` and ``ssl_check_hostname``, a dict ``ssl``.
_SQLALCHEMYS = frozenset({"client_flag", "ssl_ca", "ssl_cert", "ssl_key"})

#: Keywords that replace a dict ``ssl`` (PyMySQL): with one of them the others stay keywords, too.
_INSTEAD_OF_SSL = frozenset({"ssl_verify_cert", "ssl_verify_identity"})

#: What ``create_engine(isolation_level=...)`` may ask for.
_ISOLATION_LEVELS = frozenset(
    {"SERIALIZABLE", "READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "AUTOCOMMIT"}
)


class MySQLDialect_slsmysql(MySQLDialect_pymysql):  # noqa: N801 - SQLAlchemy's way of naming them
    """``mysql+slsmysql://``, for MySQL and for MariaDB."""

    driver = "slsmysql"
    supports_statement_cache = True
    #: Each checkout is a ``connect()``, which takes the session that the last ``close()`` parked.
    poolclass: type[Pool] = NullPool
    supports_server_side_cursors = True
    _sscursor = SSCursor
    #: ``ping()`` does not reconnect behind the program's back; it takes no argument.
    _send_false_to_ping = False

    @classmethod
    def import_dbapi(cls) -> ModuleType:
        """Return the DB-API module."""
        return slsmysql

    @classmethod
    def load_provisioning(cls) -> None:
        """Let SQLAlchemy's test suite make databases as it does for PyMySQL."""
        MySQLDialect_pymysql.load_provisioning()  # type: ignore[no-untyped-call]

    def on_connect(self) -> None:  # type: ignore[override]
        """Send nothing: the character set is part of the session's set-up."""
        return

    def create_connect_args(
        self, url: URL, _translate_args: dict[str, Any] | None = None
    ) -> ConnectArgsType:
        """Return what ``connect()`` is called with for ``url``.

        :raise ArgumentError: an option in the query has an impossible value, or more than one.
        """
        names = set(url.query)
        mine = names & _READERS.keys() - _SQLALCHEMYS
        if names & _INSTEAD_OF_SSL:
            mine = names & _READERS.keys() - {"client_flag"}
        given = {name: _read(name, url.query[name]) for name in mine}
        args, keywords = super().create_connect_args(
            url.difference_update_query(mine), _translate_args
        )
        if "ssl" in keywords and "ssl_key_password" in given:
            # As a keyword it would ask for less than the dict, which verifies.
            keywords["ssl"]["password"] = given.pop("ssl_key_password")
        keywords = {**keywords, **given}
        # What the engine wants of every connection is set up with the session and kept while it
        # is parked, instead of being set again at each checkout.
        level = self._engines_level()
        if level == "AUTOCOMMIT":
            keywords.setdefault("autocommit", True)
        elif level is not None:
            keywords.setdefault("init_command", _isolation(level))
        return args, keywords

    def _engines_level(self) -> str | None:
        """Return the isolation level of all connections; None where SQLAlchemy sets or refuses."""
        level = (self._on_connect_isolation_level or "").replace("_", " ").upper()
        return level if level in _ISOLATION_LEVELS else None

    def _builtin_onconnect(self) -> Any:
        set_level = super()._builtin_onconnect()
        level = self._engines_level()
        if set_level is None or level is None or level == "AUTOCOMMIT":
            return set_level

        def on_connect(connection: Any, record: Any) -> None:
            if connection.init_command != _isolation(level):
                set_level(connection, record)

        return on_connect

    def is_disconnect(self, e: Any, connection: Any, cursor: Any) -> bool:
        """Whether ``e`` says that the connection is of no use any more.

        With those of PyMySQL: what a connection raises that has lost its session, and something
        with it, until the program shows that it knows (``InterfaceError``, code 0).
        """
        if super().is_disconnect(e, connection, cursor):
            return True
        if not isinstance(e, slsmysql.InterfaceError) or e.args[:1] != (0,):
            return False
        return (
            connection is not None and not getattr(connection, "driver_connection", connection).open
        )


class MariaDBDialect_slsmysql(MariaDBDialect, MySQLDialect_slsmysql):  # noqa: N801
    """``mariadb+slsmysql://``, for MariaDB alone."""

    supports_statement_cache = True


def _read(name: str, text: str | tuple[str, ...]) -> object:
    if not isinstance(text, str):
        raise ArgumentError(f"{name} is given twice in the URL")
    try:
        return _READERS[name](text)
    except ValueError as error:
        raise ArgumentError(f"{name} in the URL must be {error}") from None


def _isolation(level: str) -> str:
    return f"SET SESSION TRANSACTION ISOLATION LEVEL {level}"
