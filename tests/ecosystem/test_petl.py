"""petl: tables from and to a connection."""

from __future__ import annotations

import petl

import slsmysql


def test_table_goes_through_a_pipeline(shop: slsmysql.Connection) -> None:
    """From a query, through transformations, to a table made by hand, and more behind it."""
    with shop.cursor() as cursor:
        # petl quotes names with ".
        cursor.execute("SET sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES')")
        cursor.execute('CREATE TABLE totals ("customer" VARCHAR(20), "total" DECIMAL(8, 2))')
    orders = petl.fromdb(shop, "SELECT customer, amount FROM orders WHERE amount > %s", (1,))
    totals = petl.rename(petl.aggregate(orders, "customer", sum, "amount"), "value", "total")
    petl.todb(totals, shop, "totals")
    petl.appenddb([["customer", "total"], ["é", None]], shop, "totals")
    back = petl.fromdb(shop, "SELECT customer, total FROM totals ORDER BY customer")
    assert [(name, total and str(total)) for name, total in petl.data(back)] == [
        ("a", "6.00"),
        ("b", "8.00"),
        ("c", "3.50"),
        ("é", None),
    ]
