r"""Option files (`my.cnf`), read as MySQL's and MariaDB's own clients read them.

The rules are those of the manual ("Using Option Files"), and where it is silent those of
``my_print_defaults``, which ``tests/fuzz/test_option_files.py`` compares with on both servers'
clients: a ``#`` begins a comment anywhere but between quotes, ``\s`` and its like are escapes in
every value, the last of several values counts, files are included, and one that everybody may
write is not believed.
"""

from __future__ import annotations

import os
import re
import stat
import warnings
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

#: How deep files may include each other, as in MySQL's clients.
_DEEPEST: Final = 10

#: What is taken off both ends; other white space is part of a value.
_SPACE: Final = " \t\n\v\f\r"

_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "s": " "}
_ESCAPE: Final = re.compile(r"""\\([ntrbs"'\\])""")

#: The files of a folder that are read.
_ENDINGS: Final = (".cnf", ".ini") if os.name == "nt" else (".cnf",)

_DIRECTIVE: Final = re.compile(rf"!(include|includedir)(?:[{_SPACE}]+(.*))?", re.DOTALL)


class NotAnOptionFile(Exception):
    """What is wrong with an option file, and where, in words that quote nothing of it."""


def read(file: str) -> dict[str, dict[str, str | None]]:
    """Return the groups of a file, and of those that it includes: options by name, and values.

    Names are in lower case and with ``-`` for ``_``; an option without a value has None.

    :raise OSError: it cannot be opened.
    :raise NotAnOptionFile: it, or one that it includes, cannot be read as options.
    """
    groups: dict[str, dict[str, str | None]] = {}
    for group, name, value in entries(file):
        options = groups.setdefault(group, {})
        if name is not None:
            options[name.lower().replace("_", "-")] = value
    return groups


def entries(file: str, depth: int = 0) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield group, name and value of each line in order, and each group once with name None.

    What is read at all, and what is raised: see ``read``.
    """
    with open(file, "rb") as opened:
        if os.name == "posix":
            mode = os.fstat(opened.fileno()).st_mode
            if stat.S_ISREG(mode) and mode & stat.S_IWOTH:
                text = f"option file {file!r} is ignored: everybody may write it"
                warnings.warn(text, UserWarning, stacklevel=2)
                return
        data = opened.read()
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError:
        lines = []
    if data and not lines:
        # Raised from here, as that exception has the whole file in it.
        raise NotAnOptionFile("it is not UTF-8")
    del data
    group: str | None = None
    for number, line in enumerate(lines, 1):
        text = line.strip(_SPACE)
        if not text or text[0] in "#;":
            continue
        if text[0] == "!":
            for included in _included(file, text, number):
                if depth < _DEEPEST:
                    yield from _entries_if_there(included, depth + 1)
        elif text[0] == "[":
            name, bracket, _ = text[1:].partition("]")
            if not bracket:
                raise NotAnOptionFile(f"line {number} begins a group and does not end its name")
            group = name.rstrip(_SPACE)
            yield group, None, None
        elif group is None:
            raise NotAnOptionFile(f"line {number} is an option without a group before it")
        else:
            yield (group, *_option(text))


def _entries_if_there(file: str, depth: int) -> Iterator[tuple[str, str | None, str | None]]:
    try:
        yield from entries(file, depth)
    except OSError:
        return


def _included(file: str, text: str, number: int) -> list[str]:
    """Return the files that a directive names; one that is not known names none.

    A path that is not absolute begins at the file's own folder. (The clients take the current
    folder, where anybody may have put a file.)
    """
    found = _DIRECTIVE.fullmatch(_without_comment(text).rstrip(_SPACE))
    if found is None:
        return []
    word, place = found.groups()
    if not place:
        raise NotAnOptionFile(f"line {number} includes nothing")
    path = os.path.join(os.path.dirname(file), place)
    if word == "include":
        return [path]
    try:
        names = sorted(os.listdir(path))  # noqa: PTH208
    except OSError:
        raise NotAnOptionFile(f"line {number} includes a folder that cannot be read") from None
    return [os.path.join(path, name) for name in names if name.endswith(_ENDINGS)]


def _option(text: str) -> tuple[str, str | None]:
    """Return the name and the value of an option's line."""
    name, equals, value = _without_comment(text).partition("=")
    name = name.rstrip(_SPACE)
    if not equals:
        return name, None
    value = value.strip(_SPACE)
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        value = value[1:-1]
    return name, _ESCAPE.sub(lambda found: _ESCAPES.get(found[1], found[1]), value)


def _without_comment(text: str) -> str:
    """Return a line without the comment at its end: behind a ``#`` that is not between quotes."""
    quote = ""
    escaped = False
    for index, letter in enumerate(text):
        if letter in "'\"" and not escaped:
            if not quote:
                quote = letter
            elif quote == letter:
                quote = ""
        if letter == "#" and not quote:
            return text[:index]
        escaped = bool(quote) and letter == "\\" and not escaped
    return text
