"""A function that starts from a snapshot, with the hooks of Lambda's runtime."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from tests.servers import Server

PROGRAM = """
import slsmysql
import snapshot_restore_py

connection = slsmysql.connect(**{params})
cursor = connection.cursor()

def session():
    cursor.execute("SELECT CONNECTION_ID()")
    connection.commit()
    return cursor.fetchall()

before = session()
for hook, arguments, keywords in snapshot_restore_py.get_before_snapshot():
    hook(*arguments, **keywords)
assert connection.handle is None
assert connection.open
for hook, arguments, keywords in snapshot_restore_py.get_after_restore():
    hook(*arguments, **keywords)
assert session() != before
print(connection.stats().lost)
"""


def test_the_runtimes_hooks_are_used(server: Server, params: dict[str, Any]) -> None:
    """Where Lambda says that it takes a snapshot, no session is in it, and each copy has its own.

    `AWS_LAMBDA_INITIALIZATION_TYPE` says so (AWS's manual, "Lambda runtime environment variables").
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM.format(params=params)],
        env={**os.environ, "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout == "0\n"
