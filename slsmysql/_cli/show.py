"""What people read: tables and bars, in plain characters, with or without a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_BAR: Final = 30


def clean(text: object) -> str:
    """Return text as it may go to a terminal: what a server says must not steer it."""
    return "".join(char if char.isprintable() else "?" for char in str(text))


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return rows under their heads, numbers to the right."""
    texts = [[clean(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *texts, strict=True)]
    numeric = [
        bool(rows) and all(isinstance(row[i], int) for row in rows) for i in range(len(head))
    ]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, numeric, strict=True)
        )
        return "  ".join(padded).rstrip()

    return "\n".join([line(head), line(["-" * width for width in widths]), *map(line, texts)])


def pairs(rows: Sequence[tuple[str, object]]) -> str:
    """Return names and values, the values below each other."""
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"  {name.ljust(width)}  {clean(value)}".rstrip() for name, value in rows)


def bar(share: float) -> str:
    """Return a share, 0 to 1 and beyond, as a bar."""
    full = min(_BAR, round(share * _BAR))
    return f"[{'#' * full}{'.' * (_BAR - full)}]"


def seconds(value: float) -> str:
    """Return a duration in the unit that fits it."""
    return f"{value * 1000:.1f} ms" if value < 1 else f"{value:.2f} s"
