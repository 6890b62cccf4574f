"""A function as it is deployed: a connection of the module, and a handler."""

from __future__ import annotations

import os
from typing import Any

import slsmysql

connection = slsmysql.connect(
    host=os.environ["DB_HOST"],
    port=int(os.environ["DB_PORT"]),
    user=os.environ["DB_USER"],
    password=os.environ["DB_PASSWORD"],
    database=os.environ["DB_DATABASE"],
)


@slsmysql.invocation
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Run the event's statements, and do as it says; tell the last rows and the session's id."""
    with connection.cursor() as cursor:
        for statement in event["statements"]:
            cursor.execute(statement)
        rows = cursor.fetchall()
        cursor.execute("SELECT CONNECTION_ID()")
        ((session,),) = cursor.fetchall()
    if event.get("fail"):
        raise ValueError(event["fail"])
    if event.get("commit"):
        connection.commit()
    return {"rows": rows, "session": session}
