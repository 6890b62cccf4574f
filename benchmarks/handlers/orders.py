"""An order function of a shop: an ordinary PyMySQL program, as one finds it in any repository.

The connection is made once for each container, when the module is loaded, and used by every
invocation of that container. ``WORK_SECONDS`` is how long its slow query takes: it sleeps on the
server, so that many invocations are under way at once without many processors.
"""

from __future__ import annotations

import os
from typing import Any

import pymysql

connection = pymysql.connect(
    host=os.environ["DB_HOST"],
    port=int(os.environ["DB_PORT"]),
    user=os.environ["DB_USER"],
    password=os.environ["DB_PASSWORD"],
    database=os.environ["DB_NAME"],
)


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Look at a shelf, think for a while, and order its cheapest product."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT id, name, price FROM products WHERE shelf = %s ORDER BY price",
                (event["number"] % 10,),
            )
            products = cursor.fetchall()
            cursor.execute("SELECT SLEEP(%s)", (os.environ["WORK_SECONDS"],))
            cursor.execute(
                "INSERT INTO orders (request, product, price) VALUES (%s, %s, %s)",
                (event["request"], products[0][0], products[0][2]),
            )
        connection.commit()
    except pymysql.Error:
        connection.rollback()
        raise
    return {"ordered": products[0][1], "choice": len(products)}
