"""The numbers under PyMySQL's names."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest

MODULES = ["CLIENT", "COMMAND", "CR", "ER", "FIELD_TYPE", "FLAG", "SERVER_STATUS"]


def public(module: ModuleType) -> dict[str, object]:
    """The names that a module gives to its users, and what they are."""
    return {name: value for name, value in vars(module).items() if not name.startswith("_")}


@pytest.mark.parametrize("name", MODULES)
def test_names_and_values_are_pymysqls(name: str) -> None:
    """A module of constants has PyMySQL's names, no other, with PyMySQL's values."""
    theirs = importlib.import_module(f"pymysql.constants.{name}")
    ours = importlib.import_module(f"slsmysql.constants.{name}")
    assert public(ours) == public(theirs)


@pytest.mark.parametrize("name", MODULES)
def test_constants_are_plain_ints(name: str) -> None:
    """Every constant is an int and nothing more, so that masks and comparisons cost nothing."""
    ours = importlib.import_module(f"slsmysql.constants.{name}")
    assert {type(value) for value in public(ours).values()} == {int}
