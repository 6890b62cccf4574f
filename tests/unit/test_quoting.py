"""Text is quoted for the sql_mode of the session that it is sent to, whichever session that is."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

import slsmysql
from slsmysql import converters
from slsmysql.constants import FIELD_TYPE
from slsmysql.session import AUTOCOMMIT, NO_BACKSLASH_ESCAPES
from tests.unit.fake_handle import Handle, Open, column, fix_connected

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


class Raw(str):
    """A piece of SQL, for a connection that lets it through."""

    __slots__ = ()


class Trusting(slsmysql.Connection):
    """A connection that takes some values for SQL."""

    def escape(self, obj: Any, mapping: Any = None) -> str:
        """Let SQL through."""
        return str(obj) if isinstance(obj, Raw) else super().escape(obj, mapping)


@pytest.mark.parametrize("many", [False, True])
def test_a_connection_that_writes_sql_of_its_own_is_judged_by_what_is_sent(
    next_session: Callable[[int], Handle], *, many: bool
) -> None:
    """What a subclass makes of a value may lock: the text before the parameters does not say."""
    next_session(AUTOCOMMIT)
    connection = Trusting(host="memory", user="app", reuse=False)
    cursor = connection.cursor()
    lock = Raw("GET_LOCK('a', 1)")
    if many:
        cursor.executemany("INSERT INTO t VALUES (%s)", [(lock,)])
    else:
        cursor.execute("SELECT %s", (lock,))
    assert connection._state.pins == {"lock"}
    connection.quit()


@pytest.mark.parametrize("lasting", [False, True])
def test_converters_that_a_program_has_changed_in_place_count(
    monkeypatch: pytest.MonkeyPatch, *, lasting: bool
) -> None:
    """In all the dicts that a program may have changed, or only in the one that is read."""
    kind = FIELD_TYPE.LONGLONG
    monkeypatch.setitem(converters.conversions, Decimal, lambda *_: "'encoded'")
    monkeypatch.setitem(converters.conversions, kind, lambda _: "decoded")
    if lasting:
        monkeypatch.setitem(converters.encoders, Decimal, converters.conversions[Decimal])
        monkeypatch.setitem(converters.decoders, kind, converters.conversions[kind])
    connection = slsmysql.connect(defer_connect=True)
    assert connection.cursor().mogrify("%s", (Decimal(1),)) == "'encoded'"
    handle: Any = Handle()
    (decode,) = connection._new_columns(handle, ("utf8", column(b"n", kind, 63))).decoders
    assert decode(b"1") == "decoded"
