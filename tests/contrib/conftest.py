"""Collect what is for the libraries that are installed; tox installs them and names the folders."""

from __future__ import annotations

import importlib.util

#: `pytest tests/contrib/sqlalchemy` without SQLAlchemy collects nothing, and that is an error.
collect_ignore = [
    name for name in ("sqlalchemy", "django") if importlib.util.find_spec(name) is None
]
