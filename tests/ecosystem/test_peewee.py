"""Peewee: its MySQL database on slsmysql."""

from __future__ import annotations

import datetime
from typing import Any

import peewee
import pytest
from playhouse.pool import PooledMySQLDatabase

import slsmysql
from tests.servers import Server


@pytest.fixture(autouse=True)
def on_slsmysql(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one line: Peewee takes slsmysql for its driver."""
    monkeypatch.setattr(peewee, "mysql", slsmysql)


@pytest.mark.parametrize("kind", [peewee.MySQLDatabase, PooledMySQLDatabase])
def test_models_live_in_the_database(params: dict[str, Any], kind: Any, server: Server) -> None:
    """Tables, foreign keys, nested transactions, an integrity error, and a killed session."""
    database = kind(**params)

    class Base(peewee.Model):
        class Meta:
            pass

    Base._meta.set_database(database)

    class Author(Base):
        name = peewee.CharField(unique=True)
        born = peewee.DateField(null=True)

    class Book(Base):
        author = peewee.ForeignKeyField(Author, backref="books")
        title = peewee.TextField()
        price = peewee.DecimalField(max_digits=8, decimal_places=2)

    Author._meta.set_database(database)
    Book._meta.set_database(database)
    with database.connection_context():
        assert isinstance(database.connection(), slsmysql.Connection)
        database.create_tables([Author, Book])
        mary = Author.create(name="Mary", born=datetime.date(1797, 8, 30))
        Book.insert_many([(mary, "Frankenstein", "9.99"), (mary, "100 %", 1)]).execute()

        def name_her_twice() -> None:
            with database.atomic():
                Author.create(name="Mary")

        with database.atomic():
            with pytest.raises(peewee.IntegrityError):
                name_her_twice()
            Author.create(name="Percy")
        assert Author.select().count() == 2
        query = Book.select(Book, Author).join(Author).where(Book.title.startswith("100 %"))
        assert [(book.author.name, str(book.price)) for book in query] == [("Mary", "1.00")]
        server.sql(f"KILL {database.connection().thread_id()}")
        with pytest.raises(peewee.OperationalError):
            Author.select().count()
        assert Author.select().count() == 2
    slsmysql.close_all()
