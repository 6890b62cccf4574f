"""PyMySQL's reader of option files."""

from __future__ import annotations

import configparser
import importlib
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slsmysql import optionfile

theirs = importlib.import_module("pymysql.optionfile")

TEXT = """
[client]
string = foo
quoted = "bar"
single_quoted = 'foobar'
one = "
half = "foo
empty = ""
inner = a"b"c
Default-Character_Set = utf8mb4
interpolation = %(string)s 100%
skip-slave-start
equals = a=b:c
"""


def outcome(function: Callable[..., Any], *args: object) -> tuple[object, ...]:
    """What a call of `function` comes to: its value, or the class and text of its exception."""
    try:
        return ("value", function(*args))
    except Exception as error:
        return ("error", type(error).__name__, str(error))


def test_every_public_name_of_pymysqls_is_there() -> None:
    """The module offers whatever PyMySQL's does."""
    assert {name for name in dir(theirs) if not name.startswith("_")} <= set(dir(optionfile))
    assert issubclass(optionfile.Parser, configparser.RawConfigParser)
    assert list(inspect.signature(optionfile.Parser.get).parameters) == list(
        inspect.signature(theirs.Parser.get).parameters
    )


@pytest.mark.parametrize(
    "option",
    [
        "string",
        "quoted",
        "single_quoted",
        "single-quoted",
        "one",
        "half",
        "empty",
        "inner",
        "default_character-set",
        "interpolation",
        "skip_slave_start",
        "equals",
        "missing",
    ],
)
def test_options_are_read_as_pymysql_reads_them(option: str) -> None:
    """Quotes go, `_` is `-`, nothing is interpolated; what is missing raises the same error."""
    results = []
    for parser in (optionfile.Parser(), theirs.Parser()):
        parser.read_string(TEXT)
        results.append(outcome(parser.get, "client", option))
    assert results[0] == results[1]


def test_keyword_arguments_are_configparsers() -> None:
    """Arguments reach RawConfigParser, but options without a value are always allowed."""
    parser = optionfile.Parser(allow_no_value=False, delimiters=("~",), strict=False)
    parser.read_string("[a]\nx ~ 1\n[a]\ny\n")
    assert parser.get("a", "x") == "1"
    assert parser.options("a") == ["x", "y"]


@settings(deadline=None)
@given(st.text("ab'\"_-%=:;# \n", max_size=20))
def test_any_value_is_read_as_pymysql_reads_it(value: str) -> None:
    """Whatever a value's text is, the outcome is PyMySQL's."""

    def read(parser: Any) -> object:
        parser.read_string(f"[client]\nkey = {value}\n")
        return [(key, outcome(parser.get, "client", key)) for key in parser["client"]]

    assert outcome(read, optionfile.Parser()) == outcome(read, theirs.Parser())
