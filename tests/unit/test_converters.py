"""Values both ways, against PyMySQL's converters and its reader of result sets."""

from __future__ import annotations

import datetime
import importlib
import inspect
import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from slsmysql import converters
from slsmysql.constants import FIELD_TYPE
from slsmysql.converters import column_decoders, decode_rows

theirs = importlib.import_module("pymysql.converters")
connections = importlib.import_module("pymysql.connections")

examples = settings(deadline=None, max_examples=300)


def outcome(function: Callable[..., Any], *args: object) -> tuple[object, ...]:
    """What a call comes to: type and repr of its value, or class and args of its exception."""
    try:
        value = function(*args)
    except Exception as error:
        return ("error", type(error).__name__, error.args)
    return ("value", type(value), repr(value))


def same(name: str, *args: object) -> None:
    """Assert that the function `name` comes to the same in both modules, warnings included."""
    results = []
    for module in (converters, theirs):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = outcome(getattr(module, name), *args)
        results.append((result, [(str(w.message), w.category) for w in caught]))
    assert results[0] == results[1]


# The surface


PUBLIC = [name for name in dir(theirs) if not name.startswith("_")]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_of_pymysqls_is_there(name: str) -> None:
    """Each public name exists, and is the same kind of thing with the same signature."""
    ours, expected = getattr(converters, name), getattr(theirs, name)
    assert type(ours) is type(expected)
    if inspect.isfunction(expected):
        assert ours.__name__ == expected.__name__
        assert [
            (p.name, p.kind, p.default) for p in inspect.signature(ours).parameters.values()
        ] == [(p.name, p.kind, p.default) for p in inspect.signature(expected).parameters.values()]
    elif hasattr(expected, "pattern"):
        assert (ours.pattern, ours.flags) == (expected.pattern, expected.flags)
    elif isinstance(expected, dict):
        assert {key: convert.__name__ for key, convert in ours.items()} == {
            key: convert.__name__ for key, convert in expected.items()
        }
    elif name == "FIELD_TYPE":
        assert ours is FIELD_TYPE
    elif name == "ProgrammingError":
        assert ours.__module__ == "slsmysql.err"
    else:
        assert ours is expected or ours == expected


def test_the_aliases_are_one_function() -> None:
    """The two names that PyMySQL gives to another function are that function."""
    assert converters.convert_bit is converters.through
    assert converters.Thing2Literal is converters.escape_str


def test_text_types_are_pymysqls() -> None:
    """The types that hold text or bytes by their charset are those of PyMySQL's connections."""
    assert converters.TEXT_TYPES == connections.TEXT_TYPES


# Python to SQL literals


class Loud(str):
    """A str whose translate() and __str__() are its own."""

    __slots__ = ()

    def translate(self, table: object) -> str:
        """Not what str does."""
        return f"translated {len(self)}"

    def __str__(self) -> str:
        return "it's loud"


class Moment(datetime.datetime):
    """A datetime with another isoformat(), as pandas.Timestamp has."""

    def isoformat(self, sep: str = "T", timespec: str = "auto") -> str:
        """Not what datetime does."""
        return "nanoseconds"


class Quoted:
    """An object whose text needs escaping."""

    def __str__(self) -> str:
        return "o'b\\j"


zones = st.none() | st.just(datetime.timezone.utc) | st.timezones()
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.text(),
    st.text("\0\n\r\x1a\"'\\ab%é中😀\ud800", max_size=20),
    st.binary(),
    st.binary().map(bytearray),
    st.dates(),
    st.datetimes(timezones=zones, allow_imaginary=True),
    st.times(timezones=zones),
    st.timedeltas(),
    st.complex_numbers(),
    st.uuids(),
    st.builds(Loud, st.text()),
    st.datetimes().map(lambda d: Moment(*d.timetuple()[:6], microsecond=d.microsecond)),
    st.datetimes().map(datetime.datetime.timetuple),
    st.just(Quoted()),
)
nested = st.recursive(
    values,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text(max_size=3), inner, max_size=2),
    ),
    max_leaves=6,
)
ENCODERS = [
    "Decimal2Literal",
    "escape_None",
    "escape_bool",
    "escape_bytes",
    "escape_date",
    "escape_datetime",
    "escape_float",
    "escape_int",
    "escape_item",
    "escape_not_supported",
    "escape_sequence",
    "escape_set",
    "escape_str",
    "escape_string",
    "escape_struct_time",
    "escape_time",
    "escape_timedelta",
]


def test_every_encoder_is_compared() -> None:
    """The list of functions under comparison leaves out none of the public ones."""
    functions = {name for name in PUBLIC if inspect.isfunction(getattr(theirs, name))}
    converts = {name for name in functions if name.startswith("convert_")}
    assert {*ENCODERS, "Thing2Literal", "through"} == functions - converts


@pytest.mark.parametrize("name", ENCODERS)
@settings(deadline=None, max_examples=60)
@given(nested)
@example(datetime.timedelta(hours=-1, minutes=-30))
@example(datetime.timedelta.min)
@example(datetime.timedelta.max)
@example(datetime.datetime.min)
@example(datetime.datetime.max)
@example(Decimal("sNaN"))
@example(Decimal("1E+30"))
@example(Decimal("-0E-30"))
@example(math.inf)
@example(1e16)
@example(5e-324)
@example(time.struct_time((2024, 2, 30, 0, 0, 0, 0, 0, 0)))
@example(memoryview(b"ab"))
@example(Loud("a'b"))
@example({1})
@example(frozenset({"a"}))
@example(object)
def test_any_object_becomes_what_pymysql_makes_of_it(name: str, value: object) -> None:
    """Each encoder, given anything, comes to PyMySQL's literal, error and warnings."""
    arguments = (value, None) if name == "Decimal2Literal" else (value,)
    same(name, *arguments)


@examples
@given(st.text() | st.text("\0\n\r\x1a\"'\\ab%é中😀\ud800"))
@example("\\'")
@example("\\\\0\0")
def test_strings_are_escaped_as_pymysql_escapes_them(text: str) -> None:
    """Any str, of any length and in any mixture, comes out as PyMySQL escapes it."""
    assert converters.escape_string(text) == theirs.escape_string(text)
    assert type(converters.escape_string(Loud(text))) is str


def test_a_clean_string_is_not_copied() -> None:
    """A str without anything to escape comes back as the same object."""
    text = "nothing to see here " * 100
    assert converters.escape_string(text) is text


@examples
@given(nested, st.sampled_from(["encoders", "own", "no str", "sequence"]))
def test_mappings_decide_as_in_pymysql(value: object, kind: str) -> None:
    """With a mapping of one's own the same encoder is called with the same arguments."""
    results = []
    for module in (converters, theirs):
        mapping: dict[object, object] = dict(module.encoders)
        if kind == "own":
            mapping = {str: lambda v, m: f"<{v!r} {len(m)}>", int: module.escape_int, bool: None}
        elif kind == "no str":
            mapping = {int: module.escape_int}
        elif kind == "sequence":
            mapping |= dict.fromkeys((list, tuple), module.escape_sequence)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            results.append(outcome(module.escape_item, value, "utf8", mapping))
    assert results[0] == results[1]


def test_deprecations_point_at_the_caller() -> None:
    """The two deprecated functions warn in the name of the line that calls them."""
    for function in (converters.escape_sequence, converters.escape_set):
        with pytest.warns(DeprecationWarning, match="is deprecated") as caught:
            function([])
        assert [w.filename for w in caught] == [__file__]


# The server's bytes to Python

CONVERTERS = ["convert_date", "convert_datetime", "convert_time", "convert_timedelta"]

_number = st.integers(0, 99).map("{:02}".format) | st.integers(0, 9999).map(str)
_fraction = st.just("") | st.from_regex(r"\.[0-9]{0,7}", fullmatch=True)
_date = st.one_of(
    st.dates().map(str),
    st.tuples(st.integers(0, 10000).map("{:04}".format), _number, _number).map("-".join),
    st.just("0000-00-00"),
)
_time = st.one_of(
    st.times().map(str),
    st.tuples(st.sampled_from(["", "-"]), st.tuples(_number, _number, _number), _fraction).map(
        lambda parts: parts[0] + ":".join(parts[1]) + parts[2]
    ),
    st.sampled_from(["24:00:00", "23:59:60", "838:59:59", "-838:59:59.000000", "24:00:00.000000"]),
)
_moment = st.tuples(_date, st.sampled_from([" ", "T", "x"]), _time).map("".join)
_junk = st.text("0123456789-: .TWZ+_٣", max_size=27)
_likely = st.one_of(_date, _time, _moment, st.datetimes().map(str), _junk, st.text(max_size=8))


@pytest.mark.parametrize("name", CONVERTERS)
@settings(deadline=None, max_examples=250)
@given(_likely)
@example("2024-01-01 24:00:00")
@example("2024-01-01 24:00:00.0")
@example("2024-01-01 00:00:00")
@example("2024-01-01 10:00+01")
@example("2024-01-01 10:00:00+01:00:0")
@example("2024-W01-1T10:00:00")
@example("20240101T10:00:00.1")
@example("2024-01-01x10:00:00")
@example("2024-02-30 10:00:00")
@example("2024-00-15")
@example("2024-W01-1")
@example("20240101")
@example("2024")
@example("2024-1")
@example(" 2024-1- 1")
@example("99999999999999999999-1-1")
@example("٢٠٢٤-٠١-٠١ ١٠:٠٠:٠٠")
@example("")
@example("?000-00-00")
def test_any_text_becomes_what_pymysql_makes_of_it(name: str, text: str) -> None:
    """As str, bytes and bytearray, any text converts to PyMySQL's object, str or exception."""
    data = text.encode("utf-8", "replace")
    for argument in (text, data, bytearray(data)):
        same(name, argument)


@pytest.mark.parametrize("name", CONVERTERS)
@pytest.mark.parametrize("value", [None, 0, 1.5, [], memoryview(b"00:00:00"), Quoted(), b"\xff"])
def test_what_is_no_text_raises_what_pymysql_raises(name: str, value: object) -> None:
    """What is neither str nor ASCII bytes raises PyMySQL's exception."""
    same(name, value)


@pytest.mark.parametrize("name", CONVERTERS)
def test_a_str_subclass_is_text_too(name: str) -> None:
    """A subclass of str converts as PyMySQL converts it."""
    for text in ("2024-02-29 12:34:56", "12:34:56", "2024-02-29"):
        same(name, Loud(text))


class LenientDatetime(datetime.datetime):
    """What a Python is like whose fromisoformat takes 24:00:00 for the next day's midnight."""

    @classmethod
    def parse(cls, text: str) -> datetime.datetime:
        """Python 3.14's reading of ISO 8601."""
        if text[11:].startswith("24:00:00"):
            midnight = datetime.datetime.fromisoformat(text.replace("24:00:00", "00:00:00"))
            return midnight + datetime.timedelta(days=1)
        return datetime.datetime.fromisoformat(text)


@pytest.mark.parametrize("hour", range(25))
def test_hour_24_is_no_datetime_whatever_python_says(
    hour: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a Python that reads 24:00:00, results are still PyMySQL's."""
    monkeypatch.setattr(converters, "_parse_datetime", LenientDatetime.parse)
    for text in (f"2024-12-31 {hour:02}:00:00", f"2024-12-31 {hour:02}:00:00.000"):
        same("convert_datetime", text)
        same("convert_timedelta", text[11:])


# Rows


@dataclass(frozen=True)
class Field:
    """A column definition, as PyMySQL's reader of result sets and ours look at it."""

    type_code: int
    charsetnr: int

    def description(self) -> None:
        """Part of what PyMySQL asks of a definition."""


class EndOfFields:
    """The packet that ends the column definitions."""

    def is_eof_packet(self) -> bool:
        """It is."""
        return True


class Row:
    """A row packet, already cut into its values."""

    def __init__(self, values: tuple[bytes | None, ...]) -> None:
        self._values = iter(values)

    def read_length_coded_string(self) -> bytes | None:
        """The next value."""
        return next(self._values)


class Source:
    """As much of a PyMySQL connection as its MySQLResult needs to read column definitions."""

    def __init__(
        self, fields: list[Field], decoders: dict[int, Any], encoding: str, use_unicode: bool
    ) -> None:
        self.decoders = decoders
        self.encoding = encoding
        self.use_unicode = use_unicode
        self._packets: list[object] = [*fields, EndOfFields()]

    def _read_packet(self, kind: object = None) -> object:
        return self._packets.pop(0)


def read_by_pymysql(
    rows: list[tuple[bytes | None, ...]],
    fields: list[Field],
    decoders: dict[int, Any],
    encoding: str,
    use_unicode: bool,
) -> list[tuple[object, ...]]:
    """What PyMySQL's own code makes of the rows."""
    result = connections.MySQLResult(Source(fields, decoders, encoding, use_unicode))
    result.field_count = len(fields)
    result._get_descriptions()
    return [result._read_row_from_packet(Row(row)) for row in rows]


def see(value: object) -> tuple[str, object]:
    """A decoder of one's own, which tells what it was called with."""
    return (type(value).__name__, value)


PLAIN = {key: value for key, value in converters.conversions.items() if type(key) is int}
PLAIN_THEIRS = {key: value for key, value in theirs.conversions.items() if type(key) is int}
SEEING = dict.fromkeys(range(256), see)
UNKNOWN_TYPES = [17, 99, 200, 241, 243, 244]
TYPES = sorted({*PLAIN, *converters.TEXT_TYPES, FIELD_TYPE.JSON, FIELD_TYPE.NULL, *UNKNOWN_TYPES})
CHARSETS = [63, 45, 28]
ENCODINGS = ["utf8", "cp1252", "ascii", "gbk", "sjis", "koi8_r", "nope"]
# What a server sends for a column of a type, and what it never sends.
SAMPLES = [
    b"",
    b"0",
    b"-12",
    b"00042",
    b"18446744073709551615",
    b"1.50",
    b"-1e+22",
    b"3.4e38",
    b"2024-02-29",
    b"0000-00-00",
    b"2024-02-29 12:34:56",
    b"2024-02-29 12:34:56.123",
    b"0000-00-00 00:00:00",
    b"-838:59:59.000001",
    b"12:34:56",
    b"abc",
    "é中😀".encode(),
    b"\x80\xff",
    b'{"a": "\xc3\xa9"}',
]


def agree(ours: tuple[Any, ...], expected: tuple[Any, ...], data: bytes) -> bool:
    """Whether two outcomes are one: ValueErrors may name bytes that are no number differently."""
    if ours[0] == expected[0] == "error" and ours[1] == "ValueError":
        return expected[1] in ("ValueError", "UnicodeDecodeError") and repr(data)[:99] in str(
            ours[2][0]
        )
    return ours == expected


@pytest.mark.parametrize("use_unicode", [True, False])
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("custom", [False, True])
def test_columns_decode_as_in_pymysql(use_unicode: bool, encoding: str, custom: bool) -> None:
    """For every type, charset, codec and kind of decoder a value is what PyMySQL reads."""
    ours_by_type, theirs_by_type = (SEEING, SEEING) if custom else (PLAIN, PLAIN_THEIRS)
    for type_code in TYPES:
        for charsetnr in CHARSETS:
            fields = [Field(type_code, charsetnr)]
            decoders = column_decoders(fields, ours_by_type, encoding, use_unicode)
            for data in SAMPLES:
                ours = outcome(decode_rows, [(data,)], decoders)
                expected = outcome(
                    read_by_pymysql, [(data,)], fields, theirs_by_type, encoding, use_unicode
                )
                assert agree(ours, expected, data), (fields, data)


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(TYPES),
    st.sampled_from(CHARSETS),
    st.sampled_from(ENCODINGS),
    st.booleans(),
    st.sampled_from(SAMPLES)
    | st.binary()
    | _likely.map(lambda text: text.encode("utf8", "replace")),
)
def test_any_value_decodes_as_in_pymysql(
    type_code: int, charsetnr: int, encoding: str, use_unicode: bool, data: bytes
) -> None:
    """Whatever bytes a column of whatever kind holds, the outcome is PyMySQL's."""
    fields = [Field(type_code, charsetnr)]
    ours = outcome(decode_rows, [(data,)], column_decoders(fields, PLAIN, encoding, use_unicode))
    expected = outcome(read_by_pymysql, [(data,)], fields, PLAIN_THEIRS, encoding, use_unicode)
    assert agree(ours, expected, data)


@pytest.mark.parametrize("use_unicode", [True, False])
def test_a_vector_is_bytes(use_unicode: bool) -> None:
    """A VECTOR, which PyMySQL cannot read, comes out as its bytes; a decoder gets those too."""
    data = b"\x00\x00\x80?\x00\x00\x00@"
    fields = [Field(converters._VECTOR, 63)]
    assert column_decoders(fields, PLAIN, "utf8", use_unicode) == [None]
    decoders = column_decoders(fields, SEEING, "utf8", use_unicode)
    assert decode_rows([(data,)], decoders) == [(("bytes", data),)]


def test_usual_columns_are_read_without_python_code_in_between() -> None:
    """Integers, floats and UTF-8 text are decoded by C functions alone, binary by none."""
    fields = [
        Field(FIELD_TYPE.LONGLONG, 63),
        Field(FIELD_TYPE.DOUBLE, 63),
        Field(FIELD_TYPE.VAR_STRING, 45),
        Field(FIELD_TYPE.JSON, 63),
        Field(FIELD_TYPE.BLOB, 63),
        Field(FIELD_TYPE.GEOMETRY, 63),
        Field(FIELD_TYPE.BIT, 63),
    ]
    assert column_decoders(fields, PLAIN, "utf8", True) == [
        int,
        float,
        bytes.decode,
        bytes.decode,
        None,
        None,
        None,
    ]


def test_decoders_are_looked_up_by_type_alone() -> None:
    """A type without a decoder is text; changing the mapping changes the next result's columns."""
    fields = [Field(FIELD_TYPE.LONG, 63)]
    assert decode_rows([(b"7",)], column_decoders(fields, {}, "utf8", True)) == [("7",)]
    assert decode_rows([(b"7",)], column_decoders(fields, {3: str}, "utf8", True)) == [("7",)]
    assert decode_rows([(b"7",)], column_decoders(fields, {3: int}, "utf8", True)) == [(7,)]


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[tuple[bytes | None, ...]], list[Field]]:
    """Rows as the server sends them, with their column definitions."""
    by_type = {
        Field(FIELD_TYPE.LONGLONG, 63): st.integers().map(lambda n: b"%d" % n),
        Field(FIELD_TYPE.DOUBLE, 63): st.floats(allow_nan=False).map(lambda f: repr(f).encode()),
        Field(FIELD_TYPE.NEWDECIMAL, 63): st.decimals(allow_nan=False).map(
            lambda d: str(d).encode()
        ),
        Field(FIELD_TYPE.VAR_STRING, 45): st.text().map(
            lambda text: text.encode("utf8", "replace")
        ),
        Field(FIELD_TYPE.BLOB, 63): st.binary(),
        Field(FIELD_TYPE.DATETIME, 63): (st.datetimes().map(str) | _moment).map(str.encode),
        Field(FIELD_TYPE.DATE, 63): _date.map(str.encode),
        Field(FIELD_TYPE.TIME, 63): _time.map(str.encode),
        Field(99, 45): st.text("ab").map(str.encode),
    }
    fields = draw(st.lists(st.sampled_from(list(by_type)), min_size=1, max_size=5))
    row = st.tuples(*[st.none() | by_type[field] for field in fields])
    full = st.tuples(*[by_type[field] for field in fields])
    return draw(st.lists(row, max_size=9) | st.lists(full, max_size=9)), fields


@examples
@given(tables(), st.booleans())
def test_rows_decode_together_as_one_by_one(
    table: tuple[list[tuple[bytes | None, ...]], list[Field]], custom: bool
) -> None:
    """However many rows there are, with NULLs or without, they are what PyMySQL reads."""
    rows, fields = table
    decoders = column_decoders(fields, SEEING if custom else PLAIN, "utf8", True)
    expected = read_by_pymysql(rows, fields, SEEING if custom else PLAIN_THEIRS, "utf8", True)
    found = decode_rows(rows, decoders)
    assert found == expected
    assert [[type(value) for value in row] for row in found] == [
        [type(value) for value in row] for row in expected
    ]
    assert type(found) is list
    assert all(type(row) is tuple for row in found)


@pytest.mark.parametrize("count", [1, 3, 4, 5, 50])
def test_a_decoder_is_called_once_for_each_value_and_never_for_null(count: int) -> None:
    """A decoder with a memory sees every value of its column once, in order, and no NULL."""
    for null_at in (None, 0, count - 1):
        seen: list[bytes] = []
        rows = [(None if i == null_at else b"%d" % i, b"x") for i in range(count)]
        decode_rows(rows, [seen.append, None])
        assert seen == [value for value, _ in rows if value is not None]


@pytest.mark.parametrize("count", [1, 3, 4, 50])
def test_an_error_of_a_decoder_comes_out(count: int) -> None:
    """What a decoder raises reaches the caller as it is, from one row as from many."""

    def refuse(data: bytes) -> None:
        raise LookupError("refused", data)

    for other in (b"y", None):
        with pytest.raises(LookupError) as raised:
            decode_rows([(b"x",), *[(other,)] * (count - 1)], [refuse])
        assert raised.value.args == ("refused", b"x")


@pytest.mark.parametrize("count", [1, 6])
def test_rows_that_do_not_fit_their_columns_are_refused(count: int) -> None:
    """A row with fewer or more values than columns is an error: no value is dropped unseen."""
    for short in ((), (b"1",), (b"1", b"2", b"3")):
        with pytest.raises(ValueError, match=r"zip|values"):
            decode_rows([*[(b"1", b"2")] * (count - 1), short], [int, None])
