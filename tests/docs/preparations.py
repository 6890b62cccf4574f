"""What a page takes for granted, and what must be so when its programs have run.

Each is a context manager around the programs of one page, in their process (`tests.docs.play`).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import slsmysql
from tests.gate import Gate
from tests.servers import Kind, Server


@dataclass
class Play:
    """A page's programs at a server.

    :ivar params: the keywords of `connect()`.
    :ivar socket: the path of the server's socket.
    :ivar scope: the names that the programs have.
    :ivar files: what stands in the place of a file that the page names.
    :ivar before: called before each block, with its program.
    :ivar after: called behind it.
    """

    kind: Kind
    params: dict[str, Any]
    socket: str = ""
    scope: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    before: Callable[[str], object] = lambda _source: None
    after: Callable[[str], object] = lambda _source: None

    def sql(self, *statements: str) -> tuple[tuple[Any, ...], ...]:
        """Run statements on a connection of their own; return the rows of the last one."""
        connection = slsmysql.connect(**self.params, autocommit=True, manage_conns=False)
        with connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            rows: tuple[tuple[Any, ...], ...] = cursor.fetchall()
            return rows


Preparation = Callable[[Play], AbstractContextManager[None]]
PREPARATIONS: dict[str, Preparation] = {}


def prepared(page: str) -> Callable[[Callable[[Play], Iterator[None]]], None]:
    """Make a generator the preparation of a page."""

    def put(generator: Callable[[Play], Iterator[None]]) -> None:
        PREPARATIONS[page] = contextlib.contextmanager(generator)

    return put


@contextlib.contextmanager
def unprepared(play: Play) -> Iterator[None]:
    """Take nothing for granted."""
    yield


@prepared("README.md")
def readme(play: Play) -> Iterator[None]:
    """The handler answers."""
    yield
    assert play.scope["handler"]({"number": 41}, None) == 42


@prepared("docs/transactions.md")
def transactions(play: Play) -> Iterator[None]:
    """Accounts, orders and vouchers, of which the page moves money and makes orders."""
    play.sql(
        "CREATE TABLE accounts (id INT PRIMARY KEY, amount INT NOT NULL)",
        "INSERT INTO accounts VALUES (1, 100), (2, 100)",
        "CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, customer VARCHAR(20))",
        "CREATE TABLE order_lines (order_id INT NOT NULL, item VARCHAR(20))",
        "CREATE TABLE vouchers (id INT PRIMARY KEY, used INT NOT NULL)",
        "INSERT INTO vouchers VALUES (7, 0)",
    )
    connection = slsmysql.connect(**play.params)
    play.scope.update(
        slsmysql=slsmysql,
        connection=connection,
        cursor=connection.cursor(),
        customer="Ada",
        item="tea",
        voucher=7,
    )
    yield
    assert play.sql("SELECT amount FROM accounts ORDER BY id") == ((80,), (110,))
    assert play.scope["left"] == 80
    assert play.sql("SELECT * FROM orders JOIN order_lines ON id = order_id") == (
        (play.scope["number"], "Ada", play.scope["number"], "tea"),
    )
    assert play.sql("SELECT used FROM vouchers") == ((1,),)
    play.scope["handler"]({"customer": "Grace"}, None)
    assert play.sql("SELECT customer FROM orders ORDER BY id") == (("Ada",), ("Grace",))


@prepared("docs/sqlalchemy.md")
def sqlalchemy(play: Play) -> Iterator[None]:
    """An order is paid through the page's engine."""
    yield
    assert play.scope["pay"]({"id": 2}) == "paid"
    assert play.sql("SELECT customer FROM orders ORDER BY id") == (("paid",), ("paid",))
    play.scope["engine"].dispose()


@prepared("docs/django.md")
def django(play: Play) -> Iterator[None]:
    """The settings connect, and MySQLdb is slsmysql."""
    yield
    import sys

    import django as library
    from django.conf import settings
    from django.db import connection

    assert sys.modules["MySQLdb"] is slsmysql
    settings.configure(DATABASES=play.scope["DATABASES"])
    library.setup()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == ((1,),)
    assert isinstance(connection.connection, slsmysql.Connection)
    assert connection.connection.settings.conn_utilization == 0.7
    connection.close()


class SecretsManager(BaseHTTPRequestHandler):
    """As much of AWS Secrets Manager as it takes to be asked for a password by boto3."""

    password = ""
    asked = 0

    def do_POST(self) -> None:
        """Answer GetSecretValue."""
        assert self.headers["X-Amz-Target"] == "secretsmanager.GetSecretValue"
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).asked += 1
        secret = json.dumps({"username": "app", "password": self.password})
        body = json.dumps({"Name": request["SecretId"], "SecretString": secret}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def secrets_manager() -> Iterator[type[SecretsManager]]:
    """Serve it where boto3 looks for it, with credentials that are good for it."""
    with ThreadingHTTPServer(("127.0.0.1", 0), SecretsManager) as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        os.environ.update(
            AWS_ACCESS_KEY_ID="AKIATEST",
            AWS_SECRET_ACCESS_KEY="secret",
            AWS_DEFAULT_REGION="eu-central-1",
            AWS_ENDPOINT_URL_SECRETS_MANAGER=f"http://127.0.0.1:{service.server_port}",
        )
        yield SecretsManager
        service.shutdown()


def is_token(token: str, host: str, port: int) -> bool:
    """Return whether it is what RDS takes for 15 minutes from user app."""
    url = urllib.parse.urlsplit(f"https://{token}")
    query = dict(urllib.parse.parse_qsl(url.query))
    return (
        (url.hostname, url.port, query.get("Action"), query.get("DBUser"))
        == (host, port, "connect", "app")
        and query["X-Amz-Expires"] == "900"
        and query["X-Amz-Credential"].startswith("AKIATEST/")
    )


@prepared("docs/lambda.md")
def functions(play: Play) -> Iterator[None]:
    """What takes its password from AWS logs in at a gate that asks as RDS does.

    The password is rotated, and the process told to stop.
    """
    play.sql("CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, customer VARCHAR(20))")
    params, scope = play.params, play.scope
    real = Server(play.kind, params["host"], params["port"], (0, 0, 0))
    with secrets_manager() as manager:
        manager.password = params["password"]

        def lets_in(user: str, sent: str) -> bool:
            assert user == "app"
            return sent == manager.password or is_token(sent, "127.0.0.1", gate.port)

        with Gate(real, lets_in=lets_in) as gate:
            at_the_gate = ("boto3", "token", "ssl_ca")

            def before(source: str) -> None:
                port = gate.port if any(word in source for word in at_the_gate) else params["port"]
                os.environ["DB_PORT"] = str(port)

            def after(source: str) -> None:
                if "cloudsql" in source:
                    assert scope["orders"]({"customer": "Ada"}) == {"order": 1}

            os.environ["INSTANCE"] = "project:region:instance"
            play.before, play.after = before, after
            play.files["""f"/cloudsql/{os.environ['INSTANCE']}\""""] = repr(play.socket)
            for name in ("global-bundle", "azure-roots"):
                play.files[f'"{name}.pem"'] = repr(str(gate.ca))
            yield
            assert manager.asked == 1
            password, token = gate.tokens
            assert password == manager.password
            assert len(token) > 255
            assert scope["orders"]({"customer": "Grace"}) == {"order": 2}
            assert scope["handler"]({"customer": "Alan"}, None) == {"order": 3}
            # The password is rotated, a while after it was fetched.
            secret = scope["Secret"]("orders/database")
            keywords = {**params, "port": gate.port, "password": secret, "reuse": False}
            slsmysql.connect(**keywords).close()
            secret.given -= 60
            secret.fetched -= 60
            manager.password = "rotated"
            slsmysql.connect(**keywords).close()
            assert gate.tokens[-3:] == [params["password"], params["password"], "rotated"]
            assert manager.asked == 3
            # And the process is told to stop.
            assert scope["connection"].handle is not None
            with contextlib.suppress(SystemExit):
                os.kill(os.getpid(), signal.SIGTERM)
                signal.pause()
            assert scope["connection"].handle is None
            assert scope["connection"].open


@prepared("docs/tutorial.md")
def tutorial(play: Play) -> Iterator[None]:
    """The shop of the handler, whose first order PyMySQL has taken; and a wrong event."""
    play.sql(
        "CREATE TABLE products (id INT PRIMARY KEY, price DECIMAL(8, 2) NOT NULL)",
        "INSERT INTO products VALUES (1, 9.99)",
        "CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, request VARCHAR(40),"
        " product INT NOT NULL, price DECIMAL(8, 2) NOT NULL)",
    )

    def after(source: str) -> None:
        if "import pymysql\n" in source:
            assert play.scope["handler"]({"product": 1}, None) == {"order": 1}
            play.scope["connection"].close()

    play.after = after
    yield
    assert play.sql("SELECT COUNT(*), COUNT(request) FROM orders") == ((5, 1),)
    connection = play.scope["connection"]
    assert play.scope["handler"]({"product": 2}, None) == {"order": None}
    assert not connection.in_transaction


@prepared("docs/migrating.md")
def migrating(play: Play) -> Iterator[None]:
    """Items to be asked for."""
    play.sql(
        "CREATE TABLE items (id INT PRIMARY KEY, name VARCHAR(20))",
        "INSERT INTO items VALUES (1, 'tea')",
    )
    yield
    assert play.scope["handler"]({"name": "tea"}, None) == [{"id": 1, "name": "tea"}]


@prepared("docs/faq.md")
def faq(play: Play) -> Iterator[None]:
    """A table of visits."""
    play.sql("CREATE TABLE visits (n INT NOT NULL)")
    yield
