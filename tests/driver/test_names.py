"""The names that `slsmysql._driver` uses of the driver, or puts something in the place of."""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import ssl
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from mysql.connector import errors
from mysql.connector.connection import MySQLConnection

from slsmysql import _driver
from slsmysql._driver import pure
from tests.fix_servers import BACKENDS, Backend

FOLDER = Path(_driver.__file__).parent
VERSION = tuple(
    int(part) for part in importlib.metadata.version("mysql-connector-python").split(".")
)

#: From this release on the driver's C extension needs an OpenSSL that has this version.
NEEDS_OPENSSL, OPENSSL = (26, 7), (3, 2)


def test_c_extension_is_there_where_it_can_be() -> None:
    """Only a newer driver on an older OpenSSL has no C back end, and is then tested without it."""
    loads = VERSION < NEEDS_OPENSSL or ssl.OPENSSL_VERSION_INFO >= OPENSSL
    assert ("c" in BACKENDS) is loads


def attributes(module: str, *owners: str) -> set[str]:
    """Return the names of the attributes that a source of `_driver` uses of these expressions."""
    tree = ast.parse((FOLDER / module).read_text(encoding="utf-8"))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in owners
    }


def test_driver_has_the_names(backend: Backend) -> None:
    """What a back end calls of the driver, or tells it before the log-in, is there."""
    used: list[tuple[object, set[str]]]
    if backend == "c":
        import _mysql_connector

        used = [
            (_mysql_connector.MySQL, attributes("cext.py", "m", "self._m")),
            (_mysql_connector, attributes("cext.py", "_mysql_connector")),
        ]
    else:
        login = attributes("pure.py", "login")
        used = [
            (MySQLConnection(), {name for name in login if not name.startswith("_sls_")}),
            (errors, attributes("pure.py", "errors")),
        ]
    for owner, names in used:
        assert len(names) > 1
        assert {name for name in names if not hasattr(owner, name)} == set()


def replaced(module: ModuleType) -> Iterator[tuple[str, str]]:
    """Yield class and name of each method by which a class of ours replaces one of the driver's."""
    for name, kind in inspect.getmembers(module, inspect.isclass):
        if kind.__module__ == module.__name__ and any(
            base.__module__.startswith("mysql.") for base in kind.__mro__
        ):
            for method, value in vars(kind).items():
                if inspect.isfunction(value) and not method.startswith("__"):
                    yield name, method


def test_methods_of_the_driver_that_are_replaced_are_there() -> None:
    """A method that the driver does not have any more would never be called."""
    found = list(replaced(pure))
    assert len(found) >= 6
    for name, method in found:
        bases = getattr(pure, name).__mro__[1:]
        assert any(method in vars(base) for base in bases), f"{name}.{method}"
