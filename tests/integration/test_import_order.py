"""Importing slsmysql changes nothing for whoever else uses ssl in the process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import slsmysql
from benchmarks import importtime

ROOT = str(Path(slsmysql.__file__).parent.parent)

#: What another package's HTTPS depends on: the CA store, and which OpenSSL there is.
STORE = (
    "print(json.dumps([ssl.create_default_context().cert_store_stats(), ssl.OPENSSL_VERSION,"
    " ssl.get_default_verify_paths()]))"
)


def printed(*lines: str, **environment: str) -> Any:
    """Return what a program in a process of its own prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(["import json", *lines])],
        env={**os.environ, "PYTHONPATH": ROOT, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.mark.parametrize("first", ["ssl", "slsmysql"])
@pytest.mark.parametrize("pure", ["0", "1"])
def test_the_ca_store_is_as_without_slsmysql(first: str, pure: str) -> None:
    """Whichever is imported first: the same certificates, the same OpenSSL, the same paths."""
    without = printed("import ssl", STORE)
    second = {"ssl": "slsmysql", "slsmysql": "ssl"}[first]
    found = printed(f"import {first}", f"import {second}", STORE, SLSMYSQL_USE_PURE=pure)
    assert found == without


def test_the_pure_back_end_is_loaded_when_it_is_needed() -> None:
    """Importing slsmysql, where the C extension serves, loads none of the driver's Python."""
    found = printed(
        "import sys, slsmysql",
        "print(json.dumps([name for name in sys.modules if name.startswith('mysql')]))",
    )
    assert found == []


def test_the_import_loads_nothing_that_a_program_may_never_use() -> None:
    """A cold start pays for each module; ``ssl`` and ``inspect`` take as long as all of ours."""
    found = printed(
        "import logging, sys",  # which Lambda's runtime client has loaded
        "before = set(sys.modules)",
        "import slsmysql",
        "print(json.dumps(sorted(set(sys.modules) - before)))",
        SLSMYSQL_USE_PURE="0",
    )
    assert "slsmysql.connections" in found
    assert importtime.needless(found) == []
