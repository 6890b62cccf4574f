"""The Python in the pages of `docs/`, to be run."""

from __future__ import annotations

import re
from pathlib import Path

PAGES = Path(__file__).parents[2] / "docs"


def blocks_of(page: str) -> list[str]:
    """Return the Python blocks of a page."""
    text = (PAGES / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def python_of(page: str) -> str:
    """Return the Python blocks of a page, one after the other, as one program."""
    return "\n".join(blocks_of(page))
