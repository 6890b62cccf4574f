"""Django's own tests pass on slsmysql as they do on PyMySQL, on both servers and by both ways."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contrib.sources import sources
from tests.servers import Server

#: What of Django's suite is about the database itself: some 1400 tests.
LABELS = (
    *("backends", "basic", "transactions", "introspection", "inspectdb", "model_fields"),
    *("datatypes", "bulk_create", "select_for_update", "transaction_hooks", "get_or_create"),
    *("expressions", "raw_query"),
)

#: It imports MySQLdb, and expects of its `escape()` what PyMySQL's does not give either: bytes.
KNOWN = {"test_quote_value"}

SETTINGS = """
from test_sqlite import *

{first}

DATABASES = {{
    alias: {{**{database!r}, "TEST": {{"NAME": {name!r} + alias, "CHARSET": "utf8mb4"}}}}
    for alias in ("default", "other")
}}
"""


@pytest.mark.parametrize(
    ("engine", "first", "labels", "least"),
    [
        ("slsmysql.contrib.django", "", LABELS, 1300),
        (
            "django.db.backends.mysql",
            "import slsmysql; slsmysql.install_as_MySQLdb()",
            ("backends", "introspection"),
            200,
        ),
    ],
    ids=["engine", "install_as_MySQLdb"],
)
def test_djangos_tests_pass(
    server: Server,
    database: str,
    tmp_path: Path,
    engine: str,
    first: str,
    labels: tuple[str, ...],
    least: int,
) -> None:
    """Not one fails but what fails with PyMySQL, too."""
    params = server.params()
    connection = {
        "ENGINE": engine,
        "HOST": params["host"],
        "PORT": params["port"],
        "USER": params["user"],
        "PASSWORD": params["password"],
        "NAME": "test",
    }
    text = SETTINGS.format(first=first, database=connection, name=f"{database}_")
    (tmp_path / "slsmysql_settings.py").write_text(text)
    command = [sys.executable, "runtests.py", "--settings=slsmysql_settings", "--parallel=1"]
    done = subprocess.run(
        [*command, "--noinput", *labels],
        cwd=sources("django") / "tests",
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    ran = re.search(r"^Ran (\d+) tests", done.stdout, re.MULTILINE)
    assert ran is not None, done.stdout
    assert int(ran.group(1)) >= least
    failed = set(re.findall(r"^(?:FAIL|ERROR): (\w+)", done.stdout, re.MULTILINE))
    assert failed <= KNOWN, done.stdout
