"""The Python in the pages of `docs/`, to be run."""

from __future__ import annotations

import re
from pathlib import Path

_DOCS = Path(__file__).parents[2] / "docs"


def python_of(page: str) -> str:
    """Return the Python blocks of a page, one after the other, as one program."""
    text = (_DOCS / page).read_text(encoding="utf-8")
    return "\n".join(re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))
