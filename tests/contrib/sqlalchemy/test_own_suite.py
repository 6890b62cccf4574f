"""SQLAlchemy's suite for dialects passes as it does with PyMySQL, on both servers."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

from tests.servers import Kind, Server

SUITE = Path(__file__).parent / "suite"

#: How many pass with mysql+pymysql, run in the same way, by SQLAlchemy's line: 2.0.58 and 2.1.9
#: with PyMySQL 1.2.4 on MariaDB 10.11.19 and MySQL 9.7.4.
PASSED: dict[str, dict[Kind, int]] = {
    "2.0": {"mariadb": 1543, "mysql": 1443},
    "2.1": {"mariadb": 1753, "mysql": 1653},
}


@pytest.fixture
def url(server: Server, database: str) -> Iterator[str]:
    """The URL of an empty database, with the two schemas beside it that the suite uses."""
    schemas = [f"{database}_test_schema", f"{database}_test_schema_2"]
    server.sql(
        *(f"CREATE DATABASE {name} CHARACTER SET utf8mb4" for name in schemas),
        # Schemas that it looks for, expecting that there are none, and not to be refused.
        f"GRANT ALL ON foo_bar.* TO '{server.app.user}'@'%'",
        f"GRANT SELECT ON nonexistent_schema.* TO '{server.app.user}'@'%'",
    )
    url = server.dsn(database=database).replace("mysql", f"{server.kind}+slsmysql", 1)
    # Its tests hold several connections at a time: parked, they are not opened 2000 times.
    yield f"{url}?max_parked=8"
    server.sql(*(f"DROP DATABASE {name}" for name in schemas))


def test_sqlalchemys_suite_passes(server: Server, url: str) -> None:
    """Not one test fails, and no fewer pass than with PyMySQL."""
    command = [sys.executable, "-m", "pytest", "-c", "/dev/null", "--rootdir=.", "-q", "-rfE"]
    command += [f"--confcutdir={SUITE}", "--import-mode=append", "--tb=short", "-p", "no:randomly"]
    command += ["-p", "no:cacheprovider", str(SUITE), f"--dburi={url}"]
    done = subprocess.run(
        command, cwd=SUITE.parents[3], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    summary = re.search(r"(\d+) passed, (\d+) skipped", done.stdout)
    assert summary is not None, done.stdout
    line = ".".join(sqlalchemy.__version__.split(".")[:2])
    assert int(summary.group(1)) >= PASSED[line][server.kind], summary.group()
