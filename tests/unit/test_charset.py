"""The charset table."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from collections.abc import Callable

import pytest

from slsmysql import charset

theirs = importlib.import_module("pymysql.charset")
FIELDS = ("id", "name", "collation", "is_default", "encoding", "is_binary")
HIGHEST_ID = 2048  # collation ids are two bytes, and no server has one beyond


def fields(found: object) -> tuple[object, ...]:
    """All that a charset says of itself."""
    return tuple(getattr(found, field) for field in FIELDS)


def test_every_public_name_of_pymysqls_is_there() -> None:
    """The module offers whatever PyMySQL's does."""
    assert {name for name in dir(theirs) if not name.startswith("_")} <= set(dir(charset))
    assert charset.MBLENGTH == theirs.MBLENGTH


def test_signatures_are_pymysqls() -> None:
    """Charset and the two look-ups take the same arguments as PyMySQL's."""
    for name in ("Charset", "Charsets", "charset_by_id", "charset_by_name"):
        ours = inspect.signature(getattr(charset, name)).parameters.values()
        expected = inspect.signature(getattr(theirs, name)).parameters.values()
        assert [(p.name, p.kind, p.default) for p in ours] == [
            (p.name, p.kind, p.default) for p in expected
        ]


def test_the_whole_table_is_pymysqls() -> None:
    """For every collation id: the same charset in all its fields, or the same KeyError."""
    known = 0
    for number in range(HIGHEST_ID):
        try:
            expected = theirs.charset_by_id(number)
        except KeyError:
            with pytest.raises(KeyError) as raised:
                charset.charset_by_id(number)
            assert raised.value.args == (number,)
        else:
            known += 1
            found = charset.charset_by_id(number)
            assert fields(found) == fields(expected)
            assert repr(found) == repr(expected)
    assert known > 100


@pytest.mark.parametrize("change", [str.lower, str.upper, str.title])
def test_names_lead_to_pymysqls_charsets(change: Callable[[str], str]) -> None:
    """Every character set, in any case, is the default charset that PyMySQL finds."""
    names = {theirs._charsets._by_id[number].name for number in theirs._charsets._by_id}
    for name in names | {"utf8"}:
        expected = theirs.charset_by_name(change(name))
        assert fields(charset.charset_by_name(change(name))) == fields(expected)


@pytest.mark.parametrize("name", ["", "utf16", "utf32", "ucs2", "nope", "utf8mb4_bin", " utf8"])
def test_unknown_names_are_none(name: str) -> None:
    """A name that PyMySQL does not know is None, not an error."""
    assert theirs.charset_by_name(name) is None
    assert charset.charset_by_name(name) is None


def test_a_charset_is_one_object() -> None:
    """Looked up twice, by id or by name, a charset is the same object."""
    utf8mb4 = charset.charset_by_name("utf8mb4")
    assert utf8mb4 is charset.charset_by_name("UTF8")
    assert utf8mb4 is charset.charset_by_id(45)


def test_a_registry_starts_empty() -> None:
    """A Charsets of one's own knows what was added to it and nothing else."""
    registry = charset.Charsets()
    assert registry.by_name("latin1") is None
    registry.add(charset.Charset(5, "latin1", "latin1_german1_ci"))
    assert registry.by_name("latin1") is None
    registry.add(charset.Charset(8, "latin1", "latin1_swedish_ci", True))
    assert registry.by_name("LATIN1") is registry.by_id(8)
    assert registry.by_id(5).collation == "latin1_german1_ci"


def test_an_import_does_not_build_the_table() -> None:
    """Importing the package leaves the charset table unread: an import must stay cheap."""
    script = "from slsmysql import charset; raise SystemExit(charset._known.cache_info().currsize)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
