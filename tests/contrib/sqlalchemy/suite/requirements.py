"""What the dialect can do: SQLAlchemy's own list, where a driver's name stands in for a property.

That list is only in SQLAlchemy's source distribution.
"""

# SQLAlchemy has no types for its testing package.
# mypy: ignore-errors

from __future__ import annotations

import importlib.util
from typing import Any

from sqlalchemy.testing import exclusions

from tests.contrib.sources import sources

_spec = importlib.util.spec_from_file_location(
    "sqlalchemys_requirements", sources("sqlalchemy") / "test" / "requirements.py"
)
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)


class Requirements(_module.DefaultRequirements):
    """SQLAlchemy's requirements, with slsmysql wherever PyMySQL is named."""

    @property
    def format_paramstyle(self) -> Any:
        """`%s`: yes."""
        return exclusions.open()

    @property
    def pyformat_paramstyle(self) -> Any:
        """`%(name)s`: yes."""
        return exclusions.open()

    @property
    def date_implicit_bound(self) -> Any:
        """A bare date is a string to the server."""
        return exclusions.fails_on(["+slsmysql", "+pymysql"])

    time_implicit_bound = datetime_implicit_bound = date_implicit_bound
