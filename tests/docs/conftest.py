"""What the tests of the pages have: libraries, servers of their own, and a count of what they did.

Pages are for libraries too; where one is missing nothing of this folder is collected. tox has an
environment with all of them: `tox run -e docs`.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Iterator

import pytest

from tests import servers
from tests.docs.pages import all_pages
from tests.servers import KINDS, Server

LIBRARIES = ("boto3", "django", "snapshot_restore_py", "sqlalchemy", "yaml")

collect_ignore_glob = (
    ["test_*"] if any(importlib.util.find_spec(name) is None for name in LIBRARIES) else []
)


@pytest.fixture(scope="session", params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of the pages' own, of each kind in turn: what they grant stays with it."""
    with servers.start(request.param) as started:
        yield started


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many blocks of code the pages have, and list those that nothing runs."""
    if collect_ignore_glob:
        return
    blocks = [block for page in all_pages() for block in page.blocks]
    kinds = Counter(block.language for block in blocks if block.word != "not run")
    told = ", ".join(f"{n} {language}" for language, n in sorted(kinds.items()))
    left = [block for block in blocks if block.word == "not run"]
    terminalreporter.section("documentation")
    terminalreporter.line(f"{len(blocks)} blocks: {told}; not run: {len(left)}")
    for block in left:
        terminalreporter.line(f"{block} ({block.language}): {block.rest}")
