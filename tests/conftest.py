"""What all tests have in common: a clean environment, and no skipping where it would be silent."""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import settings

from tests.servers import Server

pytest_plugins = ["tests.fix_servers"]

#: `pytest --hypothesis-profile=long`: many more examples than belong into every run.
settings.register_profile("long", max_examples=1000, deadline=None)

#: In continuous integration a skip is a failure: nobody would read of it.
IN_CI = os.environ.get("CI", "").lower() not in {"", "0", "false"}


def pytest_configure() -> None:
    """Let SIGINT interrupt, in tests and what they start, where a shell has it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    """Say which slsmysql is under test: the installed one, or the sources."""
    spec = importlib.util.find_spec("slsmysql")
    return f"slsmysql: {spec and spec.origin}"


@pytest.fixture(autouse=True)
def sls_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the package's options out of the environment, and leave the test servers' there."""
    for name in os.environ:
        if name.startswith("SLSMYSQL_") and not name.startswith("SLSMYSQL_TEST_"):
            monkeypatch.delenv(name)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the server's log with a failure, and fail instead of skipping in CI."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"nothing is skipped in CI: {_reason(report.longrepr)}"
    server = getattr(item, "funcargs", {}).get("server")
    if report.failed and isinstance(server, Server):
        report.sections.append((f"log of the {server.kind} server", server.log_tail()))
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fail in CI instead of skipping a whole module."""
    report = yield
    if IN_CI and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"nothing is skipped in CI: {_reason(report.longrepr)}"
    return report


def _reason(longrepr: Any) -> str:
    """Return why pytest would have skipped: the last of file, line and message."""
    return str(longrepr[-1] if isinstance(longrepr, tuple) else longrepr)
