"""docs/sqlalchemy.md: what it shows runs."""

from __future__ import annotations

from typing import Any

import slsmysql
from tests.contrib.documents import python_of

#: The server of the page.
URL = "app:app-secret@127.0.0.1:3306/test"


def test_programs_of_the_page_run(params: dict[str, Any]) -> None:
    """They make what they say, one after the other, against a real server."""
    program = python_of("sqlalchemy.md")
    assert URL in program
    here = "{user}:{password}@{host}:{port}/{database}".format(**params)
    scope: dict[str, Any] = {}
    exec(compile(program.replace(URL, here), "sqlalchemy.md", "exec"), scope)
    assert scope["pay"]({"id": 2}) == "paid"
    with slsmysql.connect(**params) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT customer FROM orders ORDER BY id")
        assert cursor.fetchall() == (("paid",), ("paid",))
    scope["engine"].dispose()
    slsmysql.close_all()
