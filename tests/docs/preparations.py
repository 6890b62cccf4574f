"""What a page takes for granted, and what must be so when its programs have run.

Each is a context manager around the programs of one page, in their process (`tests.docs.play`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import slsmysql
from tests.servers import Kind


@dataclass
class Play:
    """A page's programs at a server.

    :ivar params: the keywords of `connect()`.
    :ivar scope: the names that the programs have.
    :ivar files: what stands in the place of a file that the page names.
    :ivar printed: what each block printed.
    """

    kind: Kind
    params: dict[str, Any]
    scope: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    printed: list[str] = field(default_factory=list)

    def sql(self, *statements: str) -> tuple[tuple[Any, ...], ...]:
        """Run statements on a connection of their own; return the rows of the last one."""
        connection = slsmysql.connect(**self.params, autocommit=True, manage_conns=False)
        with connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            rows: tuple[tuple[Any, ...], ...] = cursor.fetchall()
            return rows


Preparation = Callable[[Play], AbstractContextManager[None]]
PREPARATIONS: dict[str, Preparation] = {}


def prepared(page: str) -> Callable[[Callable[[Play], Iterator[None]]], None]:
    """Make a generator the preparation of a page."""

    def put(generator: Callable[[Play], Iterator[None]]) -> None:
        PREPARATIONS[page] = contextlib.contextmanager(generator)

    return put


@contextlib.contextmanager
def unprepared(play: Play) -> Iterator[None]:
    """Take nothing for granted."""
    yield


@prepared("README.md")
def readme(play: Play) -> Iterator[None]:
    """The handler answers."""
    yield
    assert play.scope["handler"]({"number": 41}, None) == 42


@prepared("docs/transactions.md")
def transactions(play: Play) -> Iterator[None]:
    """Accounts, orders and vouchers, of which the page moves money and makes orders."""
    play.sql(
        "CREATE TABLE accounts (id INT PRIMARY KEY, amount INT NOT NULL)",
        "INSERT INTO accounts VALUES (1, 100), (2, 100)",
        "CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, customer VARCHAR(20))",
        "CREATE TABLE order_lines (order_id INT NOT NULL, item VARCHAR(20))",
        "CREATE TABLE vouchers (id INT PRIMARY KEY, used INT NOT NULL)",
        "INSERT INTO vouchers VALUES (7, 0)",
    )
    connection = slsmysql.connect(**play.params)
    play.scope.update(
        slsmysql=slsmysql,
        connection=connection,
        cursor=connection.cursor(),
        customer="Ada",
        item="tea",
        voucher=7,
    )
    yield
    assert play.sql("SELECT amount FROM accounts ORDER BY id") == ((80,), (110,))
    assert play.scope["left"] == 80
    assert play.sql("SELECT * FROM orders JOIN order_lines ON id = order_id") == (
        (play.scope["number"], "Ada", play.scope["number"], "tea"),
    )
    assert play.sql("SELECT used FROM vouchers") == ((1,),)
    play.scope["handler"]({"customer": "Grace"}, None)
    assert play.sql("SELECT customer FROM orders ORDER BY id") == (("Ada",), ("Grace",))


@prepared("docs/sqlalchemy.md")
def sqlalchemy(play: Play) -> Iterator[None]:
    """An order is paid through the page's engine."""
    yield
    assert play.scope["pay"]({"id": 2}) == "paid"
    assert play.sql("SELECT customer FROM orders ORDER BY id") == (("paid",), ("paid",))
    play.scope["engine"].dispose()


@prepared("docs/django.md")
def django(play: Play) -> Iterator[None]:
    """The settings connect, and MySQLdb is slsmysql."""
    yield
    import sys

    import django as library
    from django.conf import settings
    from django.db import connection

    assert sys.modules["MySQLdb"] is slsmysql
    settings.configure(DATABASES=play.scope["DATABASES"])
    library.setup()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == ((1,),)
    assert isinstance(connection.connection, slsmysql.Connection)
    assert connection.connection.settings.conn_utilization == 0.7
    connection.close()
