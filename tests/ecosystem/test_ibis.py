"""ibis: its MySQL back end, which imports MySQLdb."""

from __future__ import annotations

import ibis
import pytest

import slsmysql


@pytest.mark.usefixtures("as_mysqldb")
# The servers have no tables of time zones.
@pytest.mark.filterwarnings("ignore:Unable to set session timezone:UserWarning")
# Between ibis and pandas 3.
@pytest.mark.filterwarnings("ignore:The 'future.infer_string' option:DeprecationWarning")
def test_expressions_run_on_the_server(shop: slsmysql.Connection) -> None:
    """An aggregation over a table of the database, on a connection that ibis is given."""
    backend = ibis.mysql.from_connection(shop)
    assert backend.list_tables() == ["orders"]
    orders = backend.table("orders")
    totals = orders.group_by("customer").aggregate(total=orders.amount.sum()).order_by("customer")
    frame = totals.execute()
    assert [str(total) for total in frame["total"]] == ["6.00", "8.00", "3.50"]
    assert backend.version
