"""``executemany``: which statements it sends as one."""

from __future__ import annotations

import re

import pytest

from slsmysql import cursors
from tests.unit.fake_handle import Open, fix_connected

__all__ = ["fix_connected"]

SQL = "INSERT INTO t VALUES (%s, NOW())"


def test_the_pattern_that_a_program_has_put_there_counts(
    connected: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As PyMySQL's users do it, who want more statements to be sent as one."""
    connection, handle = connected()
    connection.cursor().executemany(SQL, [(1,), (2,)])
    assert len(handle.sent) == 2
    wider = re.compile(r"\s*(INSERT\b.+\bVALUES\s*)(\(.*\))(.*)", re.DOTALL)
    monkeypatch.setattr(cursors, "RE_INSERT_VALUES", wider)
    connection.cursor().executemany(SQL, [(1,), (2,)])
    assert handle.sent[2:] == [b"INSERT INTO t VALUES (1, NOW()),(2, NOW())"]
