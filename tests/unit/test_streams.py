"""Streams: how many rows are read at once, so that none waits for another and calls are few."""

from __future__ import annotations

import pytest

from slsmysql._driver import Row
from slsmysql.cursors import SSCursor
from tests.unit.fake_handle import Handle, Open, fix_connected

__all__ = ["fix_connected"]


def test_rows_are_read_ahead_only_as_fast_as_they_come(
    connected: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice as many each time, up to 32, and one by one again after a wait for them."""
    connection, _ = connected()
    now, wait = [0.0], [0.0]
    connection._monotonic = lambda: now[0]
    sizes: list[int] = []

    def read_rows(_self: Handle, into: list[Row], size: int, _native: bool) -> None:
        sizes.append(size)
        into += [(b"5", b"soap", b"1.99")] * size
        now[0] += wait[0]

    monkeypatch.setattr(Handle, "read_rows", read_rows)
    cursor = connection.cursor(SSCursor)
    cursor.execute("SELECT id")
    cursor.fetchmany(1 + 2 + 4 + 8 + 16 + 32 + 32)
    assert sizes == [1, 2, 4, 8, 16, 32, 32]
    wait[0] = 0.1
    cursor.fetchmany(32 + 1 + 1)
    assert sizes[7:] == [32, 1, 1]
    connection._result = None
