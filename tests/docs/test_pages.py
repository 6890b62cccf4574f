"""What the pages show runs, and where they point there is something."""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.pages import ROOT, Block, Page, all_pages
from tests.docs.shell import Shell, check_module, check_tox
from tests.servers import Server

PAGES = {page.name: page for page in all_pages()}

#: Languages that are checked here, and such that need no check: what a program printed, a drawing.
CHECKED = {"ini", "json", "python", "sh", "sql", "yaml"}
SHOWN = {"text"}

#: Pages whose Python is run, piece by piece, by tests of their own, with what these need.
ELSEWHERE = {"docs/telemetry.md": "tests/contrib/telemetry/test_page.py"}

#: Characters of a reason that says something.
SHORTEST_REASON = 15


def of(language: str) -> list[Any]:
    """Return the blocks of a language that are run or parsed as they stand, as parameters."""
    return [
        pytest.param(block, id=str(block))
        for page in PAGES.values()
        for block in page.blocks
        if block.language == language and block.is_run
    ]


def with_python() -> list[str]:
    """Return the names of the pages with Python to run."""
    return sorted({block.values[0].page for block in of("python")} - set(ELSEWHERE))


@pytest.mark.parametrize("name", with_python())
def test_python_runs(name: str, server: Server, database: str) -> None:
    """The Python of a page is a program which runs on the server, and prints what it says."""
    blocks: list[tuple[int, str, str | None]] = []
    for block in PAGES[name].blocks:
        if block.language == "python" and block.is_run:
            blocks.append((block.line, block.text, None))
        elif block.word == "output":
            assert blocks, f"{block}: nothing was run before it"
            line, source, _ = blocks.pop()
            blocks.append((line, source, block.text))
    given = {
        "page": name,
        "kind": server.kind,
        "params": server.params(database=database),
        "socket": str(server.socket),
        "blocks": blocks,
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.docs.play"],
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize("block", of("sh"))
def test_commands_are_right(block: Block, server: Server, tmp_path: Path) -> None:
    """Each command runs, or names what there is: packages, extras, environments, options."""
    assert Shell(server, tmp_path).check(block.text)


@pytest.mark.parametrize("block", of("sql"))
def test_sql_runs(block: Block, server: Server) -> None:
    """Each statement is one that the server takes from its administrator."""
    statements = re.split(r";\s*$", block.text, flags=re.MULTILINE)
    server.sql("USE test", *(each for each in statements if each.strip()))


class CloudFormation(yaml.SafeLoader):
    """YAML with the short functions of CloudFormation: `!Ref`, `!Sub`, ..."""


def _short(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return {suffix: loader.construct_scalar(node)}
    assert isinstance(node, yaml.SequenceNode)
    return {suffix: loader.construct_sequence(node)}


CloudFormation.add_multi_constructor("!", _short)


def _ini(text: str) -> list[str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    return parser.sections()


#: What reads a language that is no program.
READERS: dict[str, Callable[[str], Any]] = {
    "ini": _ini,
    "json": json.loads,
    "yaml": lambda text: yaml.load(text, CloudFormation),
}


@pytest.mark.parametrize("block", [each for name in READERS for each in of(name)])
def test_data_can_be_read(block: Block) -> None:
    """It is what it says, and there is something in it."""
    assert READERS[block.language](block.text)


@pytest.mark.parametrize("page", PAGES.values(), ids=lambda page: page.name)
def test_every_block_is_known(page: Page) -> None:
    """No block escapes: each has a language that is checked, or says why it is not."""
    for block in page.blocks:
        if block.word == "not run":
            assert len(block.rest) >= SHORTEST_REASON, f"{block}: why?"
        elif block.word == "run by":
            test = (ROOT / block.rest).read_text(encoding="utf-8")
            assert page.name in test, f"{block}: {block.rest}?"
        elif block.word == "output":
            assert block.language == "text", block
        else:
            assert block.language in CHECKED | SHOWN, f"{block}: {block.language!r}"
    assert page.text.count("\n```") % 2 == 0
    if page.name in ELSEWHERE:
        test = (ROOT / ELSEWHERE[page.name]).read_text(encoding="utf-8")
        assert Path(page.name).name in test, page.name


@pytest.mark.parametrize("page", PAGES.values(), ids=lambda page: page.name)
def test_links_lead_somewhere(page: Page) -> None:
    """Each link is to a page that is there and to a heading that it has, or to the world."""
    for target in page.links:
        if re.match(r"https://", target):
            continue
        path, _, anchor = target.partition("#")
        there = (ROOT / page.name).parent / path if path else ROOT / page.name
        assert there.exists(), f"{page.name}: {target}"
        if anchor:
            other = PAGES[there.resolve().relative_to(ROOT).as_posix()]
            assert anchor in other.anchors, f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES.values(), ids=lambda page: page.name)
def test_code_in_sentences_names_what_there_is(page: Page) -> None:
    """Paths of the project, tox environments and modules with their options are there."""
    for code in page.code:
        if match := re.fullmatch(r"((?:docs|tests|benchmarks|slsmysql)/[\w./-]*)(?:::\w+)?", code):
            assert (ROOT / match[1]).exists(), f"{page.name}: {code}"
        elif code.startswith("tox run"):
            check_tox(code.split()[1:])
        elif match := re.match(r"python -m ((?:benchmarks|tests)\S*)(.*)", code):
            check_module(match[1], match[2].split())


def test_every_page_is_in_the_table_of_contents() -> None:
    """docs/README.md leads to each page of the folder."""
    contents = PAGES["docs/README.md"]
    pages = {Path(name).name for name in PAGES if name.startswith("docs/")}
    assert set(contents.links) >= pages - {"README.md"}
