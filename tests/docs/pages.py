"""The pages of the documentation, taken apart: blocks of code, headings, links.

A block of code is run, or parsed where it is no program, unless a comment on the line before it
says otherwise:

- ``<!-- not run: REASON -->``: it cannot be;
- ``<!-- run by: tests/some/test_file.py -->``: that test runs it, to the letter;
- ``<!-- output -->``: it is what the Python before it prints.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\S*)\n(?P<text>.*?)^ *```$", re.DOTALL | re.MULTILINE
)
_COMMENT = re.compile(
    r"<!--\s*(?P<word>not run|run by|output)(?::\s*(?P<rest>(?:(?!-->).)*?))?\s*-->\n *\Z",
    re.DOTALL,
)
_HEADING = re.compile(r"^#+ +(?P<title>.+?) *$", re.MULTILINE)
_LINK = re.compile(r"(?<!\\)\[(?:[^\[\]]|\[[^\]]*\])*\]\((?P<target>[^()\s]+)\)")
_INLINE = re.compile(r"(?<!`)`(?P<code>[^`]+)`(?!`)")


@dataclass(frozen=True)
class Block:
    """A block of code.

    :ivar page: the page's path from the root of the project.
    :ivar line: the number of its first line there.
    :ivar language: the word behind its fence.
    :ivar word: what the comment before it says: "not run", "run by", "output" or nothing.
    :ivar rest: why, or by what.
    """

    page: str
    line: int
    language: str
    text: str
    word: str = ""
    rest: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_run(self) -> bool:
        """Whether it is to be run, or parsed, as it stands."""
        return not self.word


@dataclass(frozen=True)
class Page:
    """A page of the documentation."""

    name: str
    text: str

    @property
    def blocks(self) -> list[Block]:
        """The blocks of code, in order."""
        found = []
        for match in _FENCE.finditer(self.text):
            before = self.text[: match.start()]
            comment = _COMMENT.search(before)
            said = {"word": comment["word"], "rest": comment["rest"] or ""} if comment else {}
            indent = len(match["indent"])
            text = "".join(line[indent:] or "\n" for line in match["text"].splitlines(True))
            found.append(Block(self.name, before.count("\n") + 2, match["language"], text, **said))
        return found

    @property
    def prose(self) -> str:
        """The text without its blocks of code."""
        return _FENCE.sub("", self.text)

    @property
    def anchors(self) -> set[str]:
        """The names of its headings, as GitHub makes them."""
        found: set[str] = set()
        for match in _HEADING.finditer(self.prose):
            title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match["title"])
            name = re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")
            unique, n = name, 0
            while unique in found:
                n += 1
                unique = f"{name}-{n}"
            found.add(unique)
        return found

    @property
    def links(self) -> list[str]:
        """Where it points."""
        return [match["target"] for match in _LINK.finditer(_INLINE.sub("code", self.prose))]

    @property
    def code(self) -> list[str]:
        """What stands in its sentences as code."""
        return [" ".join(match["code"].split()) for match in _INLINE.finditer(self.prose)]


def all_pages() -> list[Page]:
    """Return every page, README.md first."""
    paths = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [
        Page(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in paths
    ]
