"""The function's container. Without the runtime client nothing is collected: tox installs it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.fix_servers import Backend
from tests.lambda_runtime.runtime_api import Container

#: `pytest tests/lambda_runtime` without it collects nothing, and that is an error.
collect_ignore = (
    [] if importlib.util.find_spec("awslambdaric") is not None else ["test_lambda_runtime.py"]
)

#: Starts a container with these keywords of ``connect()``, and more of its environment.
Deploy = Callable[..., Container]


@pytest.fixture
def deploy(backend: Backend) -> Iterator[Deploy]:
    """A function that starts the function's container, on each back end."""
    with ExitStack() as stack:

        def start(params: dict[str, Any], **environment: str) -> Container:
            names = ("host", "port", "user", "password", "database")
            where = {f"DB_{name.upper()}": str(params[name]) for name in names}
            pure = "1" if backend == "pure" else "0"
            container = Container({**where, "SLSMYSQL_USE_PURE": pure, **environment})
            stack.callback(container.close)
            return container

        yield start


@pytest.fixture
def container(deploy: Deploy, params: dict[str, Any]) -> Container:
    """The container with an empty database, loaded and frozen."""
    started = deploy(params)
    started.ready()
    return started
