"""What the programs share. Without the libraries nothing is collected: tox installs them all."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import slsmysql

#: The module of each library's program.
LIBRARIES = ("ibis", "pandas", "peewee", "petl", "polars", "pony", "sqlmodel")

#: `pytest tests/ecosystem` without any of them collects nothing, and that is an error.
collect_ignore = [f"test_{name}.py" for name in LIBRARIES if importlib.util.find_spec(name) is None]


@pytest.fixture
def connection(params: dict[str, Any]) -> Iterator[slsmysql.Connection]:
    """A connection to an empty database."""
    connection = slsmysql.connect(**params)
    yield connection
    connection.quit()


@pytest.fixture
def shop(connection: slsmysql.Connection) -> slsmysql.Connection:
    """The same with a few orders in it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, customer VARCHAR(20) NOT NULL,"
            " amount DECIMAL(8, 2) NOT NULL, at DATETIME NOT NULL)"
        )
        cursor.executemany(
            "INSERT INTO orders (customer, amount, at) VALUES (%s, %s, %s)",
            [(name, f"{n}.50", f"2026-01-{n:02} 10:00:00") for n, name in enumerate("abcab", 1)],
        )
    connection.commit()
    return connection


@pytest.fixture
def url(params: dict[str, Any]) -> str:
    """The database's URL for SQLAlchemy."""
    where = "{user}:{password}@{host}:{port}/{database}".format(**params)
    return f"mysql+slsmysql://{where}"


@pytest.fixture
def as_mysqldb(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`import MySQLdb` gives slsmysql until the end of the test."""
    before = {name: sys.modules[name] for name in sys.modules if name.startswith("MySQLdb")}
    slsmysql.install_as_MySQLdb()
    yield
    for name in [name for name in sys.modules if name.startswith("MySQLdb")]:
        del sys.modules[name]
    sys.modules.update(before)
