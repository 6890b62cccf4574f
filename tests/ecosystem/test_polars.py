"""polars: a connection for queries, whole or in batches."""

from __future__ import annotations

import polars as pl

import slsmysql


def test_query_becomes_a_frame(shop: slsmysql.Connection) -> None:
    """Rows and types arrive: polars fetches from what `execute()` returns, which is no bare int."""
    frame = pl.read_database("SELECT customer, amount, at FROM orders ORDER BY id", shop)
    assert frame["customer"].to_list() == ["a", "b", "c", "a", "b"]
    assert frame.schema["at"] == pl.Datetime("us")
    assert str(frame["amount"].sum()) == "17.50"


def test_parameters_go_through_execute_options(shop: slsmysql.Connection) -> None:
    """The name is that of `execute()`'s second parameter."""
    frame = pl.read_database(
        "SELECT id FROM orders WHERE customer = %s", shop, execute_options={"args": ("a",)}
    )
    assert frame["id"].to_list() == [1, 4]


def test_query_becomes_batches(shop: slsmysql.Connection) -> None:
    """Batches of the size asked for, from a connection and from a streaming cursor."""
    for source in (shop, shop.cursor(slsmysql.cursors.SSCursor)):
        batches = pl.read_database(
            "SELECT id FROM orders ORDER BY id", source, iter_batches=True, batch_size=2
        )
        assert [batch["id"].to_list() for batch in batches] == [[1, 2], [3, 4], [5]]


def test_frame_goes_to_a_table(url: str) -> None:
    """`write_database` goes through the SQLAlchemy dialect."""
    frame = pl.DataFrame({"name": ["a", "b"], "n": [1, 2]})
    assert frame.write_database("t", url) == 2
    slsmysql.close_all()
