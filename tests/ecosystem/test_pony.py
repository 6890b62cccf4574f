"""Pony: its MySQL provider, which imports MySQLdb."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pony import orm

import slsmysql


@pytest.mark.usefixtures("as_mysqldb")
def test_entities_live_in_the_database(params: dict[str, Any]) -> None:
    """Entities with a relation, a generator as a query, a rolled back session."""
    database = orm.Database()

    class Customer(database.Entity):  # type: ignore[name-defined]
        name = orm.Required(str, unique=True)
        orders = orm.Set("Order")

    class Order(database.Entity):  # type: ignore[name-defined]
        customer = orm.Required(Customer)
        amount = orm.Required(Decimal, precision=8, scale=2)

    database.bind("mysql", **params)
    database.generate_mapping(create_tables=True)
    with orm.db_session:
        ann = Customer(name="Ann")
        for amount in ("1.50", "2.25"):
            Order(customer=ann, amount=Decimal(amount))

    def go_wrong() -> None:
        with orm.db_session:
            Customer(name="Bob")
            orm.flush()
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        go_wrong()
    with orm.db_session:
        assert isinstance(database.get_connection(), slsmysql.Connection)
        names = orm.select(c.name for c in Customer)  # type: ignore[attr-defined]
        assert names[:] == ["Ann"]
        total = orm.sum(o.amount for o in Order if o.customer.name == "Ann")  # type: ignore[attr-defined]
        assert total == Decimal("3.75")
    database.disconnect()
    slsmysql.close_all()
