"""Every string becomes a literal that the server gives back unchanged, and never a statement.

In every character set that a connection can have, and in every sql_mode that changes how text is
quoted; with back ends and servers. What a codec of Python's writes otherwise than it was (cp932 has
one wave dash for two) comes back as the codec reads it.
"""

from __future__ import annotations

import enum
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import slsmysql
from slsmysql.cursors import Cursor
from tests.differential.profile import examples
from tests.differential.test_charsets import CHARSETS
from tests.fix_servers import Connect
from tests.servers import Server

MODES = ["", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES", "ANSI,NO_BACKSLASH_ESCAPES"]

#: Character sets in which a backslash, or a quote, can be the second half of a character, and
#: those in which a character's only byte can be a backslash.
TRICKY = {"big5", "cp932", "gbk", "sjis", "ujis"}

GROUPS = {
    **{charset: [charset] for charset in sorted(TRICKY)},
    "the others": [charset for charset in CHARSETS if charset not in TRICKY],
}

#: Of the others so many characters are tried: each of the first two pages, and one of so many.
STRIDE = 61

#: Parameters of one statement.
MANY = 400

#: euc_kr writes the Hangul filler, and does not read what it has written.
UNREADABLE = {"euckr": "\u3164"}

#: What breaks out of a literal that is quoted by other rules than the server reads it by.
ATTACKS = [
    "' OR 1=1 -- ",
    "\\' OR 1=1 -- ",
    "\\\\' OR 1=1 -- ",
    "'' OR 1=1 -- ",
    "\\",
    "\\\\",
    "'",
    "''",
    '"',
    '" OR 1=1 -- ',
    "';SELECT 1;-- ",
    "\0' OR 1=1 -- ",
    "\x1a' OR 1=1 #",
    "a' /*! OR 1=1 */ -- ",
    "\u00a5' OR 1=1 -- ",
    "\u203e' OR 1=1 -- ",
    "\u7e17' OR 1=1 -- ",
    "\u8868' OR 1=1 -- ",
    "\u00bf\u0027 OR 1=1 -- ",
    "\u5c45\\' OR 1=1 -- ",
    "%' OR '1'='1",
    "%s",
    "%(name)s",
    "{}",
]


def encodable(codec: str, stride: int) -> list[str]:
    """Return characters that a codec can write: of the first plane one of so many, and others."""
    beyond = (0x10000, 0x1F600, 0x20000, 0x2A6D6, 0x10FFFF)
    found = []
    for code in (
        *range(512),
        *range(512, 0xD800, stride),
        *range(0xE000, 0x10000, stride),
        *beyond,
    ):
        try:
            chr(code).encode(codec)
        except UnicodeEncodeError:
            continue
        found.append(chr(code))
    return found


def as_read(text: str, codec: str) -> str:
    """Return what a codec reads of what it has written."""
    return text.encode(codec).decode(codec)


def in_long_runs() -> bool:
    """Whether this is the long version."""
    return settings.get_current_profile_name() == "long"


def answers(cursor: Cursor, texts: Sequence[str]) -> list[Any]:
    """Return what the server gives back of so many parameters, and the mark behind them."""
    cursor.execute(f"SELECT {', '.join(['%s'] * len(texts))}, 'end'", tuple(texts))
    (row,) = cursor.fetchall()
    return list(row)


@pytest.mark.parametrize("charsets", GROUPS.values(), ids=GROUPS)
def test_every_character_comes_back(server: Server, connect: Connect, charsets: list[str]) -> None:
    """Before a quote, before a backslash and at the end, each character is what it was."""
    for charset in charsets:
        try:
            connection = connect(charset=charset)
        except slsmysql.OperationalError:
            assert (charset, server.kind) == ("gb18030", "mariadb")
            continue
        codec = connection.encoding
        stride = 1 if charset in TRICKY or in_long_runs() else STRIDE
        characters = [each for each in encodable(codec, stride) if each != UNREADABLE.get(charset)]
        cursor = connection.cursor()
        texts = [f"{each}'{each}\\{each}" for each in characters]
        for mode in MODES[:2]:
            cursor.execute("SET sql_mode=%s", (mode,))
            for start in range(0, len(texts), MANY):
                some = texts[start : start + MANY]
                right = [as_read(text, codec) for text in some]
                assert answers(cursor, some) == [*right, "end"], (charset, mode)
        connection.quit()


@pytest.mark.parametrize("charset", ["gbk", "sjis", "big5", "cp932", "ujis", "utf8mb4", "latin1"])
@examples(12)
@given(data=st.data(), mode=st.sampled_from(MODES))
def test_any_text_comes_back(
    server: Server, shared: Connect, charset: str, data: st.DataObject, mode: str
) -> None:
    """By whatever way it is bound: by position, by name, in a list, in many rows."""
    connection = shared(charset)
    codec = connection.encoding
    own = st.binary(max_size=12).map(lambda raw: raw.decode(codec, "ignore"))
    breaking = st.text(st.sampled_from("\\'\"%\0\n\r\x1a`;-#/* _\u00a5"), max_size=6)
    part = (own | breaking | st.sampled_from(ATTACKS)).map(
        lambda text: text.encode(codec, "ignore").decode(codec)
    )
    texts = data.draw(st.lists(st.lists(part, max_size=3).map("".join), min_size=1, max_size=4))
    cursor = connection.cursor()
    cursor.execute("SET sql_mode=%s", (mode,))
    right = [as_read(text, codec) for text in texts]
    assert answers(cursor, texts) == [*right, "end"]
    names = {f"n{index}": text for index, text in enumerate(texts)}
    cursor.execute("SELECT " + ", ".join(f"%({name})s" for name in names) + ", 'end'", names)
    assert cursor.fetchall() == ((*right, "end"),)
    for text in texts:
        cursor.execute("SELECT 'neither this' IN %s, 'end'", (["nor", text, "that"],))
        assert cursor.fetchall() == ((0, "end"),)
    cursor.execute(
        "CREATE TEMPORARY TABLE IF NOT EXISTS l (n INT AUTO_INCREMENT PRIMARY KEY, t BLOB)"
    )
    cursor.execute("TRUNCATE l")
    assert cursor.executemany("INSERT INTO l (t) VALUES (%s)", [(t,) for t in texts]) == len(texts)
    cursor.execute("SELECT t FROM l ORDER BY n")
    assert [value for (value,) in cursor.fetchall()] == [text.encode(codec) for text in right]


@pytest.fixture
def shared(connect: Connect) -> Connect:
    """A function that gives the connection of a character set, the same for every example."""
    made: dict[str, Any] = {}

    def shared(charset: str) -> Any:
        if charset not in made:
            made[charset] = connect(charset=charset)
        return made[charset]

    return shared


@examples(12)
@given(texts=st.lists(st.text(max_size=20) | st.sampled_from(ATTACKS), min_size=1, max_size=5))
@pytest.mark.parametrize("mode", MODES)
def test_binary_has_no_characters(connect_binary: Any, texts: list[str], mode: str) -> None:
    """Where the session's character set is binary, text comes back as the bytes that it is."""
    cursor = connect_binary.cursor()
    cursor.execute("SET sql_mode=%s", (mode,))
    assert answers(cursor, texts) == [*(text.encode() for text in texts), b"end"]


@pytest.fixture
def connect_binary(connect: Connect) -> Any:
    """A connection whose session has no character set: no `charset=`, as Python has no codec."""
    return connect(init_command="SET NAMES binary")


# -- injection -------------------------------------------------------------------------------------


class Word(str, enum.Enum):
    """An enumeration of texts, one of which is an attack."""

    EVIL = "\\' OR 1=1 -- "


class Speaks:
    """Something that is text when it is asked for it."""

    def __init__(self, text: str) -> None:
        """Say that."""
        self.text = text

    def __str__(self) -> str:
        """Return the text."""
        return self.text


class Text(str):
    """Text of a class of a program's own."""

    __slots__ = ()


@pytest.fixture
def table(connect: Connect) -> Iterator[Any]:
    """A connection, with a table of a row that no attack names."""
    connection = connect(autocommit=True)
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE secrets (s VARCHAR(100) COLLATE utf8mb4_bin, n INT)")
    cursor.execute("INSERT INTO secrets VALUES ('not to be found', 7)")
    yield connection
    cursor.execute("SET sql_mode=''")
    cursor.execute("SELECT s, n FROM secrets")
    assert cursor.fetchall() == (("not to be found", 7),)


@pytest.mark.parametrize("mode", MODES)
def test_no_parameter_becomes_sql(table: Any, mode: str) -> None:
    """Whatever type an attack comes as, it is a value that nothing is equal to."""
    cursor = table.cursor()
    cursor.execute("SET sql_mode=%s", (mode,))
    for attack in ATTACKS:
        for value in (
            attack,
            Text(attack),
            Speaks(attack),
            pathlib.PurePosixPath(attack),
            attack.encode(),
            bytearray(attack.encode()),
        ):
            cursor.execute("SELECT s FROM secrets WHERE s = %s", (value,))
            assert cursor.fetchall() == (), value
            cursor.execute("SELECT s FROM secrets WHERE s IN %s", ([value, "x"],))
            assert cursor.fetchall() == (), value
            cursor.execute("SELECT %(a)s, 'end'", {"a": value})
            text = value if isinstance(value, (bytes, bytearray)) else str(value)
            assert cursor.fetchall() == ((text, "end"),), value


@pytest.mark.parametrize("mode", MODES)
def test_no_enumeration_becomes_sql(table: Any, mode: str) -> None:
    """Nor does a member of an enumeration of texts, which is its value."""
    cursor = table.cursor()
    cursor.execute("SET sql_mode=%s", (mode,))
    cursor.execute("SELECT s FROM secrets WHERE s = %s", (Word.EVIL,))
    assert cursor.fetchall() == ()
    cursor.execute("SELECT %s, 'end'", (Word.EVIL,))
    assert cursor.fetchall() == ((Word.EVIL.value, "end"),)


def test_no_name_of_a_procedure_becomes_sql(table: Any) -> None:
    """A name is a name, whatever is in it."""
    cursor = table.cursor()
    for attack in ("p`(); DROP TABLE secrets; -- ", "p` ", "`", "p\\`", "p(); --"):
        with pytest.raises(slsmysql.Error):
            cursor.callproc(attack, ("x",))


def test_two_statements_are_an_error(table: Any) -> None:
    """Where a program pastes text into SQL itself, a second statement at least does not run."""
    pasted = "x'); DELETE FROM secrets; -- "
    with pytest.raises(slsmysql.ProgrammingError):
        table.cursor().execute(f"SELECT ('{pasted}')")
