"""PyMySQL's reader of MySQL option files (`my.cnf`)."""

from __future__ import annotations

import configparser
from typing import Any


class Parser(configparser.RawConfigParser):
    """A configparser that takes `_` in an option's name for `-`, and quotes off its value.

    Options without a value (`skip-networking`) are read without complaint; keyword arguments are
    RawConfigParser's. Source: PyMySQL.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "allow_no_value": True})

    def optionxform(self, key: str) -> str:
        """The name that the option `key` is kept under: lower case, `-` for `_`."""
        return key.lower().replace("_", "-")

    def get(self, section: str, option: str) -> str:  # type: ignore[override]
        """The value of `option` in `section`, without a pair of quotes around it.

        Raises configparser.NoSectionError or NoOptionError when it is not there, and TypeError when
        it is but has no value.
        """
        value: str = super().get(section, option)
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            return value[1:-1]
        return value
