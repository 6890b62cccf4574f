"""Passwords as long as the tokens of cloud providers."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

import slsmysql
from tests.fix_servers import Backend
from tests.gate import Gate
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


def test_a_token_that_is_asked_for_in_clear_gets_in(server: Server) -> None:
    """Where the server asks for mysql_clear_password, as for IAM tokens, TLS carries a long one.

    The C extension cannot, and does not try twice: from the second session on of the process the
    pure back end is asked at once.
    """
    token = "t0ken" * 400
    keywords: dict[str, Any] = {
        "host": "127.0.0.1",
        "user": "iam",
        "database": "test",
        "reuse": False,
    }
    with Gate(server, lets_in=lambda _user, sent: sent == token) as gate:
        keywords.update(port=gate.port, ssl_ca=str(gate.ca), ssl_verify_identity=True)
        for n in range(1, 3):
            with (
                slsmysql.connect(password=lambda: token, **keywords) as connection,
                connection.cursor() as cursor,
            ):
                cursor.execute("SELECT %s", ("\u20ac" * 40_000,))
                assert cursor.fetchall() == (("\u20ac" * 40_000,),)
            assert gate.users == ["iam"] * n
        if importlib.util.find_spec("_mysql_connector") is not None:
            assert gate.callers == 3
        with pytest.raises(slsmysql.OperationalError, match="1045"):
            slsmysql.connect(password="wrong", **keywords)


def test_c_back_end_alone_says_that_it_cannot_send_a_password_in_clear(
    server: Server,
) -> None:
    """With `use_pure=False` there is a clear error, which says what to do."""
    pytest.importorskip("_mysql_connector")
    with Gate(server, lets_in=lambda _user, _sent: True) as gate:
        with pytest.raises(slsmysql.NotSupportedError, match="leave use_pure out"):
            slsmysql.connect(
                host="127.0.0.1", port=gate.port, user="iam", password="token", use_pure=False
            )
        assert gate.tokens == []


@pytest.mark.parametrize("use_pure", [None, True])
def test_no_password_is_sent_in_clear_without_tls(server: Server, use_pure: bool | None) -> None:
    """A server without TLS may ask for it, and gets an error's silence."""
    with Gate(server, lets_in=lambda _user, _sent: True, tls=False) as gate:
        with pytest.raises(slsmysql.OperationalError, match="requires SSL") as caught:
            slsmysql.connect(
                host="127.0.0.1", port=gate.port, user="iam", password="token", use_pure=use_pure
            )
        assert "token" not in str(caught.value)
        assert gate.tokens == []
