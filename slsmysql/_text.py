"""Values written as text (an environment variable, a URL) read as Python values.

A reader takes the text and returns the value, or raises ``ValueError`` whose message says what
would have been right.  It never repeats the text, which may be a secret in the wrong place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    T = TypeVar("T")

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


def string(text: str) -> str:
    """Return ``text`` as it is."""
    return text


def boolean(text: str) -> bool:
    """Return the truth value that ``text`` names, in any case.

    :raise ValueError: if it names none.
    """
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError("one of 1, true, yes, on, 0, false, no, off")


def integer(text: str) -> int:
    """Return the whole number that ``text`` writes in decimal digits.

    :raise ValueError: if it is none.
    """
    try:
        return int(text)
    except ValueError:
        pass
    raise ValueError("a whole number")


def number(text: str) -> float:
    """Return the number that ``text`` writes: an ``int`` if it is a whole one, else a ``float``.

    :raise ValueError: if it is none.
    """
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    raise ValueError("a number")


def optional(read: Callable[[str], T]) -> Callable[[str], T | None]:
    """Return a reader that gives None for an empty text or ``none``, and asks ``read`` else."""

    def read_or_none(text: str) -> T | None:
        if text.strip().lower() in {"", "none"}:
            return None
        try:
            return read(text)
        except ValueError as error:
            right = f"{error}, or none"
        raise ValueError(right)

    return read_or_none


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the one of ``names`` nearest to ``name``, or ''."""
    import difflib  # only for an error message; costs 2 ms at import

    near = difflib.get_close_matches(name, list(names), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
