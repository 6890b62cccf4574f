"""Text is quoted for the sql_mode of the session that it is sent to, whichever session that is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import slsmysql
from slsmysql.session import AUTOCOMMIT, NO_BACKSLASH_ESCAPES
from tests.unit.fake_handle import Handle, Open, fix_connected

__all__ = ["fix_connected"]

#: Ends the quotes where backslashes are escapes and it is quoted as if they were none, and the
#: other way round.
EVIL = "\\' OR 1=1 -- "

#: How it must look under NO_BACKSLASH_ESCAPES, and without.
PLAIN, ESCAPED = rb"'\'' OR 1=1 -- '", rb"'\\\' OR 1=1 -- '"

MODES = [(AUTOCOMMIT | NO_BACKSLASH_ESCAPES, PLAIN), (AUTOCOMMIT, ESCAPED)]

WAYS: list[Callable[[Any], object]] = [
    lambda cursor: cursor.execute("SELECT %s", (EVIL,)),
    lambda cursor: cursor.executemany("INSERT INTO t VALUES (%s)", [(EVIL,)]),
    lambda cursor: cursor.callproc("p", (EVIL,)),
]


@pytest.fixture
def next_session(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Handle]:
    """A function that says what the status word of the next session will be, and returns it."""

    def next_session(status: int) -> Handle:
        handle = Handle(status)
        monkeypatch.setattr("slsmysql._driver.open_handle", lambda *_, **__: handle)
        return handle

    return next_session


@pytest.mark.parametrize(("status", "quoted"), MODES)
@pytest.mark.parametrize("way", WAYS)
def test_text_is_quoted_while_there_is_no_session(
    connected: Open,
    next_session: Callable[[int], Handle],
    status: int,
    quoted: bytes,
    way: Callable[[Any], object],
) -> None:
    """A dormant connection quotes as the session does that will run the statement."""
    connection, first = connected(status)
    assert connection._give_back()
    assert not first.alive
    second = next_session(status)
    way(connection.cursor())
    assert any(quoted in statement for statement in second.sent)


@pytest.mark.parametrize("way", WAYS)
def test_a_dormant_connection_learns_the_new_mode_before_it_writes(
    connected: Open, next_session: Callable[[int], Handle], way: Callable[[Any], object]
) -> None:
    """Text is quoted as the new session wants it, though its sql_mode is another."""
    connection, _ = connected(AUTOCOMMIT)
    assert connection._give_back()
    second = next_session(AUTOCOMMIT | NO_BACKSLASH_ESCAPES)
    way(connection.cursor())
    assert any(PLAIN in statement for statement in second.sent)


def test_a_statement_written_for_another_mode_is_not_sent(
    connected: Open, next_session: Callable[[int], Handle]
) -> None:
    """A session that is found lost after the text was written is not replaced by another kind."""
    connection, first = connected(AUTOCOMMIT)
    cursor = connection.cursor()
    written = cursor.mogrify("SELECT %s", (EVIL,))
    first.alive = False
    second = next_session(AUTOCOMMIT | NO_BACKSLASH_ESCAPES)
    with pytest.raises(slsmysql.OperationalError, match="sql_mode"):
        cursor.execute(written)
    assert not any(b"OR 1=1" in statement for statement in second.sent)
