"""Text in every character set that a connection can have, and in every sql_mode."""

from __future__ import annotations

import codecs
from typing import Any

import pymysql.charset
import pytest

from tests.differential.harness import Both, Side


def _has_codec(charset: str) -> bool:
    try:
        codecs.lookup(pymysql.charset.charset_by_name(charset).encoding)
    except LookupError:
        return False
    return True


#: Every character set that PyMySQL knows and Python has a codec for; the others are a deliberate
#: difference (docs/differences.md).
CHARSETS: list[str] = sorted(
    name
    for name in pymysql.charset._charsets._by_name  # type: ignore[attr-defined]
    if _has_codec(name)
)

#: What is sent: plain, accents, the multibyte sets' own, characters whose second byte is a
#: backslash (0x5C) in gbk, big5, sjis and cp932, and what only Unicode has.
TEXTS = ["abc", "", "é", "€", "中", "表\\", "表' OR 1=1 -- ", "\\'", "ソ'", "許功蓋'\\", "縗'", "誠'",
         "ア", "ｱ", "¥'", "‾", "Ω", "ж", "ש", "ก", "한", "ÿ", "\x80", "😀", "a\0b\n\x1a", "%", '"']  # fmt: skip

BYTES = [b"", b"abc", b"\xbf'", b"\xbf\x27 OR 1=1 -- ", b"\x95\x5c", bytes(range(256))]

#: Codecs that write a yen sign as a backslash.
YEN = {"sjis", "ujis"}

SQL_MODES = ["", "NO_BACKSLASH_ESCAPES", "ANSI", "ANSI,NO_BACKSLASH_ESCAPES"]

COLLATIONS = [
    ("latin1", "latin1_bin"),
    ("utf8mb4", "utf8mb4_bin"),
    ("utf8mb4", "utf8mb4_0900_ai_ci"),
    ("utf8mb4", "utf8mb4_uca1400_ai_ci"),
    ("utf8", "utf8mb4_general_ci"),
    ("utf8mb3", "utf8mb3_unicode_ci"),
    ("latin1", "utf8mb4_bin"),
    ("gbk", "gbk_bin"),
    ("", "latin1_swedish_ci"),
    ("utf8mb4", "nope"),
]


@pytest.mark.parametrize("mode", SQL_MODES[:2])
@pytest.mark.parametrize("charset", CHARSETS)
def test_text_goes_both_ways_as_with_pymysql(both: Both, charset: str, mode: str) -> None:
    """In each character set, texts and bytes come back, and fail, as they do with PyMySQL."""

    def scenario(side: Side) -> None:
        connection = side.attempt("connect", side.connect, charset=charset, sql_mode=mode)
        if connection is None:
            return
        for name in ("charset", "collation", "encoding"):
            side.note(name, getattr(connection, name))
        side.note("character_set_name()", connection.character_set_name())
        cursor = connection.cursor()
        # Of what Python writes as a backslash PyMySQL makes no literal (docs/differences.md).
        texts = [text for text in TEXTS if "¥" not in text or connection.encoding not in YEN]
        for value in [*texts, *BYTES, texts]:
            # LENGTH(HEX()), not HEX(): that would come back in the connection's own characters.
            side.attempt(f"{value!r}: execute", cursor.execute, "SELECT %s", (value,))
            side.attempt(f"{value!r}: fetchall", cursor.fetchall)
            side.attempt(f"{value!r}: description", getattr, cursor, "description")
            side.attempt("HEX", cursor.execute, "SELECT HEX(%(a)s), %(a)s=%(a)s", {"a": value})
            side.attempt("HEX: fetchall", cursor.fetchall)
            side.attempt(f"{value!r}: mogrify", cursor.mogrify, "%s", (value,))
        for text in TEXTS:
            if '"' in text or "\\" in text or "'" in text or "`" in text:
                continue
            name = "`" + text.replace("\0", "") + "`"
            side.attempt("name: execute", cursor.execute, f"SELECT 1 AS {name}")
            side.attempt("name: description", getattr, cursor, "description")
            side.attempt("name: error", cursor.execute, f"SELECT * FROM {name}")

    both.compare(scenario)


@pytest.mark.parametrize("charset", [*CHARSETS, "utf8", "UTF8MB4", "Latin1"])
def test_a_connection_changes_its_charset_as_pymysql(both: Both, charset: str) -> None:
    """set_character_set and set_charset change the session and the codec as in PyMySQL."""

    def scenario(side: Side) -> None:
        connection = side.connect()
        cursor = connection.cursor()
        for change in (connection.set_character_set, connection.set_charset):
            side.attempt("change", change, charset)
            for name in ("charset", "collation", "encoding"):
                side.note(name, getattr(connection, name))
            side.attempt(
                "session",
                cursor.execute,
                "SELECT @@character_set_client, @@character_set_results, @@collation_connection",
            )
            side.attempt("session: fetchall", cursor.fetchall)
            side.attempt("é", cursor.execute, "SELECT %s, 'é'", ("é",))
            side.attempt("é: fetchall", cursor.fetchall)

    both.compare(scenario)


@pytest.mark.parametrize(("charset", "collation"), COLLATIONS)
def test_a_collation_is_set_as_by_pymysql(both: Both, charset: str, collation: str) -> None:
    """connect(collation=) and set_character_set(collation=) set it, or fail, as in PyMySQL."""

    def scenario(side: Side) -> None:
        connection = side.attempt("connect", side.connect, charset=charset, collation=collation)
        if connection is not None:
            side.run(connection.cursor(), "SELECT @@collation_connection, @@character_set_client")
            side.note("collation", connection.collation)
        connection = side.connect()
        side.attempt("set", connection.set_character_set, charset or "utf8mb4", collation)
        side.run(connection.cursor(), "SELECT @@collation_connection, @@character_set_client")
        side.note("charset, collation", (connection.charset, connection.collation))

    both.compare(scenario)


@pytest.mark.parametrize("mode", SQL_MODES)
def test_escaping_follows_the_sessions_sql_mode(both: Both, mode: str) -> None:
    """Escaping follows the sql_mode of the moment: set at connect, by SQL, and taken back."""
    values = ("a'b", "\\' OR 1=1 -- ", "a\\b", "\\", "\\'", 'a"b', ["x'", "\\"])

    def check(side: Side, connection: Any, label: str) -> None:
        cursor = connection.cursor()
        for value in values:
            side.attempt(f"{label} {value!r}", cursor.execute, "SELECT 1 IN (%s)", (value,))
            side.attempt(f"{label} {value!r}", cursor.execute, "SELECT %s", (value,))
            side.attempt(f"{label} {value!r}: fetchall", cursor.fetchall)
            side.attempt(f"{label} {value!r}: escape", connection.escape, value)

    def scenario(side: Side) -> None:
        connection = side.connect(sql_mode=mode)
        check(side, connection, "at connect")
        connection.cursor().execute("SET sql_mode='NO_BACKSLASH_ESCAPES'")
        check(side, connection, "by SQL")
        connection.query("SET sql_mode=''")
        check(side, connection, "taken back")
        connection.cursor().execute(
            "SET SESSION sql_mode=CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES')"
        )
        check(side, connection, "by an expression")
        connection.rollback()
        check(side, connection, "after rollback")
        connection = side.connect(init_command="SET sql_mode='NO_BACKSLASH_ESCAPES'")
        check(side, connection, "by init_command")

    both.compare(scenario)


def test_names_set_by_sql_leave_the_codec(both: Both) -> None:
    """SET NAMES as a statement changes the session and, as with PyMySQL, not the codec."""

    def scenario(side: Side) -> None:
        connection = side.connect(charset="latin1")
        cursor = connection.cursor()
        side.run(cursor, "SET NAMES utf8mb4")
        side.run(cursor, "SELECT 'é', _utf8mb4 x'c3a9'")
        side.note("encoding", connection.encoding)
        connection.set_character_set("utf8mb4")
        side.run(cursor, "SELECT 'é'")
        side.run(cursor, "SET NAMES latin1")
        side.run(cursor, "SELECT _utf8mb4 x'41'")

    both.compare(scenario)
