"""pandas: a connection for queries, the SQLAlchemy dialect for tables."""

from __future__ import annotations

import pandas as pd
import pytest
import sqlalchemy as sa

import slsmysql

#: What pandas says to every connection but SQLAlchemy's and sqlite3's.
pytestmark = pytest.mark.filterwarnings("ignore:pandas only supports SQLAlchemy:UserWarning")


@pytest.mark.parametrize(
    ("condition", "given"),
    [("customer = %s AND amount > %s", ["a", 1]), ("customer = %(name)s", {"name": "a"})],
)
def test_read_sql_takes_parameters(
    shop: slsmysql.Connection, condition: str, given: object
) -> None:
    """Parameters by position and by name; the columns have the types they have with PyMySQL."""
    sql = f"SELECT id, amount, at FROM orders WHERE {condition} ORDER BY id"
    frame = pd.read_sql(sql, shop, params=given)
    assert list(frame["amount"]) == [1.5, 4.5]
    assert [str(kind)[:10] for kind in frame.dtypes] == ["int64", "float64", "datetime64"]


def test_read_sql_leaves_a_percent_sign_alone(shop: slsmysql.Connection) -> None:
    """Without parameters the text goes out as it is."""
    frame = pd.read_sql("SELECT * FROM orders WHERE customer LIKE 'a%'", shop)
    assert len(frame) == 2


def test_read_sql_in_chunks_may_be_left_unfinished(shop: slsmysql.Connection) -> None:
    """Chunks come one by one, and the connection can be used when they are not all taken."""
    chunks = pd.read_sql("SELECT id FROM orders ORDER BY id", shop, chunksize=2)
    assert list(next(chunks)["id"]) == [1, 2]
    assert len(pd.read_sql("SELECT id FROM orders", shop)) == 5
    assert [len(chunk) for chunk in chunks] == [2, 1]


def test_error_reaches_the_program(shop: slsmysql.Connection) -> None:
    """Since its version 3 pandas passes the driver's exception on, and the connection goes on."""
    with pytest.raises(slsmysql.ProgrammingError, match="nowhere"):
        pd.read_sql("SELECT * FROM nowhere", shop)
    assert len(pd.read_sql("SELECT id FROM orders", shop)) == 5


def test_frame_goes_to_a_table_and_back(url: str) -> None:
    """`to_sql` says how many rows it wrote, `read_sql_table` gives them back."""
    frame = pd.DataFrame(
        {
            "name": ["é", "b", None],
            "n": [1, 2, 3],
            "x": [0.5, 1e300, float("nan")],
            "at": pd.to_datetime(["2026-01-01 10:00:00", "2026-01-02 00:00:00", None]),
        }
    )
    engine = sa.create_engine(url)
    assert frame.to_sql("t", engine, index=False) == 3
    assert frame.to_sql("t", engine, index=False, if_exists="append", method="multi") == 3
    back = pd.read_sql_table("t", engine)
    twice = pd.concat([frame, frame], ignore_index=True)
    pd.testing.assert_frame_equal(back, twice, check_dtype=False)
    assert pd.read_sql("SELECT COUNT(*) AS n FROM t", engine)["n"][0] == 6
    slsmysql.close_all()
