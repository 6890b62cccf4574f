"""Values on their way to the server: every type of parameter, every form of placeholder."""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import enum
import importlib.util
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.differential.harness import Both, Side

UTC = datetime.timezone.utc


class Colour(enum.Enum):
    """A plain enumeration."""

    RED = "red"


class Number(enum.IntEnum):
    """An enumeration of ints."""

    THREE = 3


class Word(str, enum.Enum):
    """An enumeration of strings."""

    RED = "red"


class Flags(enum.IntFlag):
    """Flags."""

    A = 1
    B = 2


class SubInt(int):
    """An int of a user's own."""


class SubFloat(float):
    """A float of a user's own, as numpy's float64 is one."""


class SubStr(str):
    """A str of a user's own."""

    __slots__ = ()


class SubBytes(bytes):
    """Bytes of a user's own, as numpy's bytes_ are."""


class SubList(list):  # type: ignore[type-arg]
    """A list of a user's own."""


class SubTuple(tuple):  # type: ignore[type-arg]
    """A tuple of a user's own."""

    __slots__ = ()


class SubDict(dict):  # type: ignore[type-arg]
    """A dict of a user's own."""


class SubDatetime(datetime.datetime):
    """A datetime of a user's own, as pandas' Timestamp is one."""


class SubDate(datetime.date):
    """A date of a user's own."""


class SubTime(datetime.time):
    """A time of a user's own."""


class SubTimedelta(datetime.timedelta):
    """A timedelta of a user's own, as pandas' Timedelta is one."""


class SubDecimal(decimal.Decimal):
    """A Decimal of a user's own."""


class Speaks:
    """An object whose text holds a quote."""

    def __str__(self) -> str:
        """Return a text to be escaped."""
        return "obj'x\\"


class Fails:
    """An object that has no text."""

    def __str__(self) -> str:
        """Raise what no driver expects."""
        raise ZeroDivisionError("no text")


Point = collections.namedtuple("Point", "x y")


def _generator() -> Iterator[int]:
    yield 1


#: Makers rather than values: a generator is used up by the first driver.
VALUES: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "True": lambda: True,
    "False": lambda: False,
    "0": lambda: 0,
    "-5": lambda: -5,
    "2**63": lambda: 2**63,
    "2**70": lambda: 2**70,
    "-2**70": lambda: -(2**70),
    "1.5": lambda: 1.5,
    "1.0": lambda: 1.0,
    "0.1": lambda: 0.1,
    "-0.0": lambda: -0.0,
    "1e-10": lambda: 1e-10,
    "1e22": lambda: 1e22,
    "1.7e308": lambda: 1.7976931348623157e308,
    "5e-324": lambda: 5e-324,
    "inf": lambda: float("inf"),
    "-inf": lambda: float("-inf"),
    "nan": lambda: float("nan"),
    "Decimal 1.50": lambda: decimal.Decimal("1.50"),
    "Decimal 1E+3": lambda: decimal.Decimal("1E+3"),
    "Decimal -0": lambda: decimal.Decimal("-0"),
    "Decimal 1E-30": lambda: decimal.Decimal("1E-30"),
    "Decimal big": lambda: decimal.Decimal("12345678901234567890.123456789"),
    "Decimal NaN": lambda: decimal.Decimal("NaN"),
    "Decimal sNaN": lambda: decimal.Decimal("sNaN"),
    "Decimal Infinity": lambda: decimal.Decimal("-Infinity"),
    "str": lambda: "abc",
    "str empty": lambda: "",
    "str quote": lambda: "a'b",
    "str double quote": lambda: 'a"b',
    "str backslash": lambda: "a\\b",
    "str backslash at the end": lambda: "a\\",
    "str backslash quote": lambda: "\\' OR 1=1 -- ",
    "str NUL": lambda: "a\0b",
    "str control": lambda: "a\n\r\x1a\t\bb",
    "str percent": lambda: "100%",
    "str placeholder": lambda: "%s %(a)s %%",
    "str emoji": lambda: "😀é中表",
    "str semicolon": lambda: "a;b -- c # d /* e",
    "str surrogate": lambda: "a\udc80",
    "str long": lambda: "é'" * 20000,
    "bytes": lambda: b"abc",
    "bytes empty": lambda: b"",
    "bytes all": lambda: bytes(range(256)),
    "bytearray": lambda: bytearray(b"a\xff"),
    "memoryview": lambda: memoryview(b"ab"),
    "array": lambda: array.array("B", b"ab"),
    "date": lambda: datetime.date(2024, 1, 2),
    "date of year 1": lambda: datetime.date(1, 1, 1),
    "date max": lambda: datetime.date.max,
    "datetime": lambda: datetime.datetime(2024, 1, 2, 3, 4, 5),
    "datetime microseconds": lambda: datetime.datetime(2024, 1, 2, 3, 4, 5, 678),
    "datetime aware": lambda: datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC),
    "datetime min": lambda: datetime.datetime.min,
    "datetime max": lambda: datetime.datetime.max,
    "time": lambda: datetime.time(1, 2, 3),
    "time microseconds": lambda: datetime.time(1, 2, 3, 4),
    "time aware": lambda: datetime.time(1, 2, 3, tzinfo=UTC),
    "timedelta": lambda: datetime.timedelta(hours=1, minutes=2, seconds=3),
    "timedelta microseconds": lambda: datetime.timedelta(seconds=1, microseconds=5),
    "timedelta 30 h": lambda: datetime.timedelta(hours=30),
    "timedelta 1000 h": lambda: datetime.timedelta(hours=1000),
    "timedelta negative": lambda: datetime.timedelta(hours=-1, minutes=-30),
    "timedelta negative us": lambda: datetime.timedelta(seconds=-1.5),
    "timedelta negative 30 h": lambda: datetime.timedelta(hours=-30, seconds=-1),
    "timedelta min": lambda: datetime.timedelta.min,
    "timedelta max": lambda: datetime.timedelta.max,
    "struct_time": lambda: time.struct_time((2024, 1, 2, 3, 4, 5, 1, 2, 0)),
    "struct_time wrong": lambda: time.struct_time((2024, 13, 2, 3, 4, 5, 1, 2, 0)),
    "list": lambda: [1, 2],
    "list of str": lambda: ["a", "b'c", "\\"],
    "list of everything": lambda: [None, True, 1, 1.5, "x", b"x", datetime.date(2024, 1, 2)],
    "list nested": lambda: [[1, 2], [3]],
    "list empty": list,
    "tuple": lambda: (1, "a"),
    "tuple of one": lambda: (1,),
    "tuple empty": tuple,
    "set": lambda: {1},
    "frozenset": lambda: frozenset({"x"}),
    "set empty": set,
    "dict": lambda: {"a": 1},
    "dict in a list": lambda: [{"a": 1}],
    "range": lambda: range(2),
    "generator": _generator,
    "dict keys": lambda: {1: 2}.keys(),
    "deque": lambda: collections.deque([1]),
    "named tuple": lambda: Point(1, 2),
    "Enum": lambda: Colour.RED,
    "IntEnum": lambda: Number.THREE,
    "str Enum": lambda: Word.RED,
    "IntFlag": lambda: Flags.A | Flags.B,
    "UUID": lambda: uuid.UUID(int=5),
    "object": Speaks,
    "object in a list": lambda: [Speaks()],
    "object that fails": Fails,
    "subclass of int": lambda: SubInt(7),
    "subclass of float": lambda: SubFloat(1.5),
    "subclass of str": lambda: SubStr("s'x"),
    "subclass of bytes": lambda: SubBytes(b"q"),
    "subclass of list": lambda: SubList([1]),
    "subclass of tuple": lambda: SubTuple([1]),
    "subclass of dict": lambda: SubDict(a=1),
    "subclass of datetime": lambda: SubDatetime(2024, 1, 2, 3, 4, 5, 6),
    "subclass of date": lambda: SubDate(2024, 1, 2),
    "subclass of time": lambda: SubTime(1, 2, 3, 4),
    "subclass of timedelta": lambda: SubTimedelta(hours=-1),
    "subclass of Decimal": lambda: SubDecimal("1.5"),
    "complex": lambda: 1j,
    "a type": lambda: int,
    "a function": lambda: len,
    "Ellipsis": lambda: ...,
    "a cursor": lambda: collections.OrderedDict,
    "an exception": lambda: ValueError("x'y"),
}

if importlib.util.find_spec("numpy"):
    import numpy as np

    VALUES |= {
        "numpy int64": lambda: np.int64(5),
        "numpy uint8": lambda: np.uint8(5),
        "numpy float64": lambda: np.float64(1.5),
        "numpy float32": lambda: np.float32(1.5),
        "numpy nan": lambda: np.float64("nan"),
        "numpy bool": lambda: np.bool_(True),
        "numpy str": lambda: np.str_("a'b"),
        "numpy bytes": lambda: np.bytes_(b"a"),
        "numpy datetime64": lambda: np.datetime64("2024-01-02T03:04:05"),
        "numpy array": lambda: np.array([1, 2]),
        "numpy list": lambda: [np.int64(1), np.int64(2)],
    }

SQL_MODES = ["", "NO_BACKSLASH_ESCAPES", "ANSI", "ANSI,NO_BACKSLASH_ESCAPES"]

#: Text by their `str()`, with a quote in it: docs/differences.md, `spoken-text`.
SPOKEN = {
    "a cursor",
    "a type",
    "an exception",
    "array",
    "object",
    "object in a list",
    "subclass of dict",
}


@pytest.mark.parametrize("name", VALUES)
def test_a_parameter_is_bound_as_by_pymysql(both: Both, name: str) -> None:
    """A parameter of each type becomes PyMySQL's literal, or fails with its exception."""
    make = VALUES[name]

    def scenario(side: Side, connection: Any) -> None:
        cursor = connection.cursor()
        for mode in SQL_MODES:
            if name in SPOKEN and "NO_BACKSLASH_ESCAPES" in mode:
                continue
            cursor.execute(f"SET sql_mode='{mode}'")
            side.attempt(f"{mode}: mogrify", cursor.mogrify, "SELECT %s", (make(),))
            side.attempt(f"{mode}: by name", cursor.mogrify, "SELECT %(a)s", {"a": make()})
            side.attempt(f"{mode}: escape", connection.escape, make())
            side.attempt(f"{mode}: literal", connection.literal, make())
            for query, args in (
                ("SELECT %s", [make()]),
                ("SELECT %(a)s, %(a)s", {"a": make()} if name != "generator" else {"a": 1}),
                ("SELECT 1 IN %s", (make(),)),
            ):
                side.attempt(f"{mode}: {query}", cursor.execute, query, args)
                side.attempt(f"{mode}: {query}: fetchall", cursor.fetchall)
                side.attempt(f"{mode}: {query}: _executed", getattr, cursor, "_executed")
        cursor.execute("SET sql_mode=''")

    both.compare_shared(scenario)


@pytest.mark.parametrize("name", VALUES)
def test_a_single_argument_is_taken_as_by_pymysql(both: Both, name: str) -> None:
    """What is no tuple, list or dict is a single argument, deprecated with PyMySQL's warning."""
    make = VALUES[name]

    def scenario(side: Side, connection: Any) -> None:
        cursor = connection.cursor()
        side.run(cursor, "SELECT %s", make())
        side.attempt("mogrify", cursor.mogrify, "SELECT %s", make())
        side.attempt("executemany", cursor.executemany, "SELECT %s", [make(), make()])
        side.attempt("executemany: fetchall", cursor.fetchall)

    both.compare_shared(scenario)


#: Queries with and without what goes into their placeholders.
PLACEHOLDERS: dict[str, tuple[Any, ...]] = {
    "no args, %": ("SELECT '100%'",),
    "None, %": ("SELECT '100%'", None),
    "no args, %%": ("SELECT '100%%'",),
    "(), %": ("SELECT '100%'", ()),
    "(), %%": ("SELECT '100%%'", ()),
    "[], %%": ("SELECT '100%%'", []),
    "{}, %%": ("SELECT '100%%'", {}),
    "(1,), %%": ("SELECT '100%%', %s", (1,)),
    "LIKE %": ("SELECT 'a' LIKE 'a%', %s", (1,)),
    "dict, %%": ("SELECT '100%%', %(a)s", {"a": 1}),
    "extra key": ("SELECT %(a)s", {"a": 1, "b": 2}),
    "missing key": ("SELECT %(b)s", {"a": 1}),
    "a key twice": ("SELECT %(a)s, %(a)s", {"a": 1}),
    "an odd key": ("SELECT %(a b.c)s, %(é)s", {"a b.c": 1, "é": 2}),
    "too few": ("SELECT %s, %s", (1,)),
    "too many": ("SELECT %s", (1, 2)),
    "no placeholder": ("SELECT 1", (1,)),
    "no placeholder, dict": ("SELECT 1", {"a": 1}),
    "names with a tuple": ("SELECT %(a)s", (1,)),
    "positions with a dict": ("SELECT %s", {"a": 1}),
    "a string": ("SELECT %s", "abc"),
    "0": ("SELECT %s", 0),
    "empty string": ("SELECT %s", ""),
    "False": ("SELECT %s", False),
    "single with two places": ("SELECT %s, %s", 1),
    "dict subclass": ("SELECT %(a)s", SubDict(a=1)),
    "list subclass": ("SELECT %s", SubList([1])),
    "tuple subclass": ("SELECT %s", SubTuple([1])),
    "named tuple": ("SELECT %s, %s", Point(1, 2)),
    "%s in quotes": ("SELECT '%s'", ("a",)),
    "%d": ("SELECT %d", (1,)),
    "%f": ("SELECT %f", (1.5,)),
    "%i": ("SELECT %i", (1,)),
    "%r": ("SELECT %r", ("a",)),
    "%a": ("SELECT %a", ("é",)),
    "%5s": ("SELECT %5s", (1,)),
    "%-5s": ("SELECT %-5s", (1,)),
    "%.1s": ("SELECT %.1s", (15,)),
    "%*s": ("SELECT %*s", (5, 1)),
    "%c": ("SELECT %c", (65,)),
    "%(a)d": ("SELECT %(a)d", {"a": 1}),
    "% at the end": ("SELECT 1 %", (1,)),
    "%(": ("SELECT %(a", {"a": 1}),
    "in a comment": ("SELECT /* %s */ 1", (5,)),
    "a value like a place": ("SELECT %s, %s", ("%s", "x")),
    "a value like a name": ("SELECT %(a)s, %(b)s", {"a": "%(b)s", "b": "y"}),
    "an identifier": ("SELECT 1 AS `a%sb`", (5,)),
    "modulo": ("SELECT 5 % 3",),
    "modulo with args": ("SELECT 5 % 3, %s", (1,)),
    "DATE_FORMAT": ("SELECT DATE_FORMAT('2024-01-02', '%%Y'), %s", (1,)),
    "DATE_FORMAT without": ("SELECT DATE_FORMAT('2024-01-02', '%Y')",),
    "bytes": (b"SELECT 'abc'",),
    "bytes with args": (b"SELECT %s", (1,)),
    "bytes with a dict": (b"SELECT %(a)s", {"a": 1}),
    "bytes with ()": (b"SELECT 1", ()),
    "bytearray": (bytearray(b"SELECT 1"),),
    "bytearray with args": (bytearray(b"SELECT %s"), (1,)),
    "memoryview": (memoryview(b"SELECT 1"),),
    "subclass of str": (SubStr("SELECT 1"),),
    "subclass of str with args": (SubStr("SELECT %s"), ("x",)),
    "subclass of bytes": (SubBytes(b"SELECT 1"),),
    "str Enum": (Word.RED,),
    "empty": ("",),
    "spaces": ("   ",),
    "a comment": ("-- c",),
    "a comment in C": ("/* c */",),
    "semicolon": (";",),
    "trailing semicolon": ("SELECT 1;",),
    "trailing semicolon, space": ("SELECT 1; \n",),
    "two statements": ("SELECT 1; SELECT 2",),
    "NUL": ("SELECT 'a\0b'",),
    "surrogate": ("SELECT '\ud800'",),
    "emoji": ("SELECT '😀' AS '😀'",),
    "an int": (1,),
    "None": (None,),
    "a list": (["SELECT 1"],),
    "a list of bytes": ([b"SELECT 1"],),
    "a tuple": (("SELECT 1",),),
    "a dict": ({"a": 1},),
    "an object": (Speaks(),),
    "a float": (1.5,),
    "True": (True,),
    "an int with args": (7, (2,)),
    "None with args": (None, (2,)),
    "a list with args": (["SELECT %s"], (2,)),
    "an array": (array.array("b", b"SELECT 1"),),
}


@pytest.mark.parametrize("name", PLACEHOLDERS)
def test_a_query_is_formatted_as_by_pymysql(both: Both, name: str) -> None:
    """What a query and its arguments become, or fail with, is what PyMySQL makes of them."""
    query, *args = PLACEHOLDERS[name]

    def scenario(side: Side, connection: Any) -> None:
        for cursor_class in ("Cursor", "SSCursor"):
            cursor = connection.cursor(getattr(side.module.cursors, cursor_class))
            side.run(cursor, "SELECT 'before'")
            side.attempt("execute", cursor.execute, query, *args)
            side.state("after", cursor)
            side.attempt("fetchall", cursor.fetchall)
            side.attempt("mogrify", cursor.mogrify, query, *args)
            side.attempt("query", connection.query, query)
            side.run(connection.cursor(), "SELECT 'after'")
            cursor.close()

    both.compare_shared(scenario)
