"""Passwords as long as the tokens of cloud providers."""

from __future__ import annotations

import slsmysql
from tests.fix_servers import Backend
from tests.servers import Server


def test_a_token_longer_than_255_bytes_gets_in(server: Server, backend: Backend) -> None:
    """A password whose length does not fit into a byte is sent whole, by both back ends.

    256 bytes are the most that MySQL's caching_sha2_password takes; a provider's own plugin, which
    takes more, is not to be had here.
    """
    token = "t0ken" * 51 + "!"
    assert len(token) == 256
    server.sql(
        "DROP USER IF EXISTS 'token'@'%'",
        f"CREATE USER 'token'@'%' IDENTIFIED BY '{token}'",
    )
    try:
        connection = slsmysql.connect(
            host=server.host,
            port=server.port,
            user="token",
            password=lambda: token,
            use_pure=backend == "pure",
        )
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchall() == ((1,),)
        connection.quit()
    finally:
        server.sql("DROP USER 'token'@'%'")
