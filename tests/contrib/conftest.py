"""Collect what is for the libraries that are installed; tox installs them and names the folders."""

from __future__ import annotations

import importlib.util

#: Each folder, and the library that it is for.
_FOLDERS = {"sqlalchemy": "sqlalchemy", "django": "django", "telemetry": "opentelemetry"}

#: `pytest tests/contrib/sqlalchemy` without SQLAlchemy collects nothing, and that is an error.
collect_ignore = [
    folder for folder, name in _FOLDERS.items() if importlib.util.find_spec(name) is None
]
