"""Load SQLAlchemy's plugin for pytest; the schemas are named after the database."""

# SQLAlchemy has no types for its testing package.
# mypy: ignore-errors

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("sqlalchemy.testing.assertions")

from sqlalchemy.engine import make_url  # noqa: E402
from sqlalchemy.testing.plugin import plugin_base, pytestplugin  # noqa: E402
from sqlalchemy.testing.plugin.pytestplugin import *  # noqa: E402, F403


def pytest_configure(config: pytest.Config) -> None:
    """Use the schemas ``<database>_test_schema`` and ``..._2``, of this run alone."""
    (url,) = config.option.dburi
    plugin_base.configure_follower(make_url(url).database)
    pytestplugin.pytest_configure(config)
