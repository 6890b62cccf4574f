"""TLS: whom the client believes, option by option, and certificate by certificate."""

from __future__ import annotations

import datetime
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pymysql
import pytest

import slsmysql
from slsmysql.constants import CR
from tests import servers
from tests.certificates import Authority
from tests.fix_servers import Backend
from tests.proxy import Held, Proxy, passed
from tests.rogue import CLIENT_SSL
from tests.servers import Kind, Server

Certificate = Literal["good", "other name", "expired", "self-signed", "other authority"]

CERTIFICATES: tuple[Certificate, ...] = (
    "good",
    "other name",
    "expired",
    "self-signed",
    "other authority",
)


class Made(NamedTuple):
    """A server with TLS, and what its clients may verify it with."""

    server: Server
    ca: str
    other: Authority
    authority: Authority

    def show(self, certificate: Certificate) -> None:
        """Let the server show that certificate to whoever comes from now on."""
        assert self.server.ca is not None
        folder = self.server.ca.parent
        expires = 0.0
        if certificate == "good":
            self.authority.write(folder)
        elif certificate == "other name":
            self.authority.write(folder, ["elsewhere.example", "127.0.0.9"])
        elif certificate == "expired" and self.server.kind == "mariadb":
            self.authority.write(folder, until=-datetime.timedelta(hours=1))
        elif certificate == "expired":
            # MySQL takes none that has expired; it takes one that is about to.
            moment = datetime.timedelta(seconds=1)
            self.authority.write(folder, until=moment)
            expires = time.monotonic() + moment.total_seconds() + 1  # they count whole seconds
        elif certificate == "self-signed":
            self.authority.write(folder, self_signed=True)
        else:
            self.other.write(folder)
        self.server.sql(
            "FLUSH SSL" if self.server.kind == "mariadb" else "ALTER INSTANCE RELOAD TLS"
        )
        time.sleep(max(0.0, expires - time.monotonic()))


@pytest.fixture(scope="module")
def makers() -> Iterator[Callable[[Kind], Made]]:
    """A function that gives the server with TLS of that kind."""
    made: dict[Kind, Made] = {}

    def make(kind: Kind) -> Made:
        if kind not in made:
            server = servers.start(kind, tls=True)
            assert server.ca is not None
            authority, other = Authority(), Authority("somebody else")
            ca = server.ca.with_name("trusted.pem")
            ca.write_bytes(authority.pem)
            made[kind] = Made(server, str(ca), other, authority)
        return made[kind]

    yield make
    for each in made.values():
        each.server.stop()


@pytest.fixture(params=servers.KINDS)
def made(request: pytest.FixtureRequest, makers: Callable[[Kind], Made]) -> Made:
    """A server with TLS, of each kind."""
    return makers(request.param)


def context(ca: str, **attributes: Any) -> ssl.SSLContext:
    """Return a context as a program makes one."""
    made = ssl.create_default_context(cafile=ca)
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


#: Whom to believe, by what is asked for: keywords, and the certificates that will do.
ALL = frozenset(CERTIFICATES)
SIGNED = frozenset({"good", "other name"})
GOOD = frozenset({"good"})
NONE: frozenset[Certificate] = frozenset()

OPTIONS: Mapping[str, tuple[Callable[[str], dict[str, Any]], frozenset[str]]] = {
    "nothing": (lambda _: {}, ALL),
    "ssl_ca": (lambda ca: {"ssl_ca": ca}, ALL),
    "ssl_verify_cert": (lambda ca: {"ssl_ca": ca, "ssl_verify_cert": True}, SIGNED),
    "ssl_verify_cert required": (lambda ca: {"ssl_ca": ca, "ssl_verify_cert": "required"}, SIGNED),
    "ssl_verify_cert none": (lambda ca: {"ssl_ca": ca, "ssl_verify_cert": "none"}, ALL),
    "ssl_verify_cert by the system": (lambda _: {"ssl_verify_cert": True}, NONE),
    "ssl_verify_identity": (lambda ca: {"ssl_ca": ca, "ssl_verify_identity": True}, GOOD),
    "both": (
        lambda ca: {"ssl_ca": ca, "ssl_verify_cert": True, "ssl_verify_identity": True},
        GOOD,
    ),
    "ssl_verify_identity by the system": (lambda _: {"ssl_verify_identity": True}, NONE),
    "empty dict": (lambda _: {"ssl": {}}, ALL),
    "dict with ca": (lambda ca: {"ssl": {"ca": ca}}, GOOD),
    "dict without the name": (lambda ca: {"ssl": {"ca": ca, "check_hostname": False}}, SIGNED),
    "dict without verification": (
        lambda ca: {"ssl": {"ca": ca, "check_hostname": False, "verify_mode": "none"}},
        ALL,
    ),
    "context": (lambda ca: {"ssl": context(ca)}, GOOD),
    "context without the name": (lambda ca: {"ssl": context(ca, check_hostname=False)}, SIGNED),
    "context without verification": (
        lambda ca: {"ssl": context(ca, check_hostname=False, verify_mode=ssl.CERT_NONE)},
        ALL,
    ),
}


def ask(module: Any, server: Server, keywords: dict[str, Any]) -> str | None:
    """Connect, and return the cipher; raise what is raised."""
    own = {"max_retries": 0} if module is slsmysql else {}
    connection = module.connect(**server.params(), **own, **keywords)
    try:
        cursor = connection.cursor()
        cursor.execute("SHOW STATUS LIKE 'Ssl_cipher'")
        cipher: str = cursor.fetchone()[1]
        return cipher
    finally:
        (connection.quit if module is slsmysql else connection.close)()


def pure_or_any(backend: Backend) -> dict[str, Any]:
    """Return the keyword for a back end: the C extension's gives way where it cannot do it."""
    return {"use_pure": True} if backend == "pure" else {}


@pytest.mark.parametrize("certificate", CERTIFICATES)
def test_a_server_is_believed_as_the_options_say(
    made: Made, backend: Backend, certificate: Certificate
) -> None:
    """With each option the certificates that it trusts, and no others; as PyMySQL."""
    made.show(certificate)
    for name, (keywords, trusted) in OPTIONS.items():
        given = keywords(made.ca)
        told = []
        for module, own in ((slsmysql, pure_or_any(backend)), (pymysql, {})):
            try:
                cipher = ask(module, made.server, {**given, **own})
            except module.OperationalError as error:
                told.append(error.args[0])
            else:
                told.append("TLS" if cipher else "no TLS")
        right = "TLS" if certificate in trusted else CR.CR_CONN_HOST_ERROR
        assert told == [right, right], name


def test_which_back_end_verifies(made: Made) -> None:
    """The C extension serves what it can verify as asked: with the host's name, or not at all."""
    made.show("good")
    serves = {}
    for name, (keywords, trusted) in OPTIONS.items():
        if "good" in trusted:
            connection = slsmysql.connect(**made.server.params(), **keywords(made.ca))
            assert connection.handle is not None
            serves[name] = connection.handle.backend
            assert connection.handle.secure
            connection.quit()
    pytest.importorskip("_mysql_connector")
    assert {name for name, backend in serves.items() if backend == "c"} == {
        "nothing",
        "ssl_ca",
        "ssl_verify_cert none",
        "ssl_verify_identity",
        "both",
        "empty dict",
        "dict with ca",
        "dict without verification",
    }


def test_a_name_is_checked_as_it_was_given(made: Made, backend: Backend) -> None:
    """The certificate must be for the host that was asked for: a name, or an address."""
    folder = Path(made.ca).parent
    for names, host, right in (
        (["localhost"], "localhost", True),
        (["localhost"], "127.0.0.1", False),
        (["127.0.0.1"], "127.0.0.1", True),
        (["127.0.0.1"], "localhost", False),
        (["*.example", "localhost.example"], "localhost", False),
    ):
        made.authority.write(folder, names)
        made.server.sql(
            "FLUSH SSL" if made.server.kind == "mariadb" else "ALTER INSTANCE RELOAD TLS"
        )
        given = {"host": host, "ssl_ca": made.ca, "ssl_verify_identity": True}
        parameters = {**made.server.params(), **given, **pure_or_any(backend), "max_retries": 0}
        if right:
            slsmysql.connect(**parameters).quit()
        else:
            with pytest.raises(slsmysql.OperationalError):
                slsmysql.connect(**parameters)


def test_disabled_is_disabled(made: Made, backend: Backend) -> None:
    """With `ssl_disabled` there is no TLS, whatever else is given, and who requires it refuses."""
    made.show("good")
    given = {"ssl_disabled": True, "ssl_ca": made.ca, **pure_or_any(backend)}
    assert ask(slsmysql, made.server, given) == ""
    made.server.sql("SET GLOBAL require_secure_transport=ON")
    try:
        with pytest.raises(slsmysql.OperationalError) as caught:
            ask(slsmysql, made.server, given)
        assert caught.value.args[0] == {"mysql": 3159, "mariadb": 1045}[made.server.kind]
        assert ask(slsmysql, made.server, pure_or_any(backend))
    finally:
        made.server.sql("SET GLOBAL require_secure_transport=OFF")


#: What asks for TLS.
REQUIRING = [
    name for name, (_, trusted) in OPTIONS.items() if name not in {"nothing", "empty dict"}
]
VERIFYING = [name for name in REQUIRING if OPTIONS[name][1] < ALL]


@pytest.fixture(scope="module")
def plain_server() -> Iterator[Server]:
    """A server without TLS."""
    with servers.start("mariadb", tls=False) as server:
        yield server


@pytest.mark.parametrize("name", OPTIONS)
def test_a_server_without_tls(
    makers: Callable[[Kind], Made], plain_server: Server, backend: Backend, name: str
) -> None:
    """Where TLS is asked for a server without it is refused, as by PyMySQL; else it is taken."""
    given = OPTIONS[name][0](makers("mariadb").ca)
    for module, own in ((slsmysql, pure_or_any(backend)), (pymysql, {})):
        if name in REQUIRING:
            with pytest.raises(module.OperationalError) as caught:
                ask(module, plain_server, {**given, **own})
            assert caught.value.args[0] == CR.CR_SSL_CONNECTION_ERROR, name
        else:
            assert ask(module, plain_server, {**given, **own}) == ""


# -- a man in the middle ---------------------------------------------------------------------------


def strip_tls(held: Held) -> bytes:
    """Take TLS out of what the server says that it can do: bytes behind the first of a greeting."""
    data = bytearray(held.data)
    # Behind the version: thread, salt and a zero.
    at = data.index(0, 4) + 1 + 4 + 8 + 1
    flags = int.from_bytes(data[at : at + 2], "little")
    assert flags & CLIENT_SSL
    data[at : at + 2] = (flags & ~CLIENT_SSL).to_bytes(2, "little")
    return bytes(data)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_man_in_the_middle_who_strips_tls(
    makers: Callable[[Kind], Made], server: Server, backend: Backend, name: str
) -> None:
    """Who asks for TLS does not go on without it; who asks to verify does not even say his name."""
    made = makers(server.kind)
    made.show("good")
    given = OPTIONS[name][0](made.ca)
    with Proxy((made.server.host, made.server.port)) as proxy:
        proxy.when(passed(1, "client"), strip_tls, times=None)
        parameters = {
            **made.server.params(),
            "host": proxy.host,
            "port": proxy.port,
            "max_retries": 0,
            **pure_or_any(backend),
            **given,
        }
        if name in REQUIRING:
            with pytest.raises(slsmysql.OperationalError) as caught:
                slsmysql.connect(**parameters)
            assert caught.value.args[0] == CR.CR_SSL_CONNECTION_ERROR
        else:
            slsmysql.connect(**parameters).quit()
        said = proxy.tally().bytes_to_server
    if name in VERIFYING or (name in REQUIRING and backend == "pure"):
        assert said == 0


def test_no_password_goes_to_a_server_that_cannot_prove_who_it_is(
    makers: Callable[[Kind], Made], server: Server, backend: Backend
) -> None:
    """With verification nothing is said behind the certificate to a server that has a wrong one."""
    made = makers(server.kind)
    for certificate in CERTIFICATES[3:]:
        made.show(certificate)
        given = {"ssl_ca": made.ca, "ssl_verify_identity": True, **pure_or_any(backend)}
        with Proxy((made.server.host, made.server.port)) as proxy:
            parameters = {
                **made.server.params(),
                "host": proxy.host,
                "port": proxy.port,
                "max_retries": 0,
                **given,
            }
            with pytest.raises(slsmysql.OperationalError):
                slsmysql.connect(**parameters)
        # The request for TLS, and the client's hello; no log-in follows.
        assert all(len(each) < 40 for link in proxy.links for each in link.requests)
