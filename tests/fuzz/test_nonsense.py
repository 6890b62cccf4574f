"""A server that speaks nonsense: an error that says so, in time, and nothing else.

What the pure back end reads itself is held to the letter of the protocol. libmysql, inside the C
extension, takes some of it for an answer: there the promise is an error or rows, in time, without
a crash. The cases run in a process of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.differential.profile import examples
from tests.fix_servers import Backend
from tests.fuzz.victim import Case, Outcome, Victims
from tests.proxy import packet
from tests.rogue import (
    AUTOCOMMIT,
    CAPABILITIES,
    DEPRECATE_EOF,
    SALT,
    Client,
    Gone,
    Rogue,
    Script,
    after_set_up,
    column,
    eof,
    greeting,
    is_query,
    ok,
    packets,
    say,
    speak,
)

#: Status word: autocommit, and another result follows.
MORE = AUTOCOMMIT | 8

DATE, DATETIME, TIME, INT, DOUBLE, DECIMAL = 10, 12, 11, 3, 5, 246


@pytest.fixture(scope="module")
def victims() -> Iterator[Victims]:
    """The process in which clients meet the nonsense."""
    victims = Victims()
    yield victims
    victims.close()


Meet = Callable[..., dict[str, Outcome | str]]


@pytest.fixture
def meet(victims: Victims, backend: Backend) -> Meet:
    """A function that lets clients meet scripts, all at once, and tells what came of it."""

    def meet(
        scripts: Mapping[str, Script],
        then: str = "connect",
        cursor: str = "Cursor",
        **keywords: int,
    ) -> dict[str, Outcome | str]:
        with ExitStack() as stack:
            cases = [
                Case(
                    stack.enter_context(Rogue(script)).port,
                    backend == "pure",
                    then,
                    cursor,
                    keywords,
                )
                for script in scripts.values()
            ]
            return dict(zip(scripts, victims.run(cases), strict=True))

    return meet


def unclear(found: Mapping[str, Outcome | str]) -> dict[str, Outcome | str]:
    """Return what is no clear error."""
    return {
        name: outcome
        for name, outcome in found.items()
        if isinstance(outcome, str) or not outcome.is_clear
    }


def broken(found: Mapping[str, Outcome | str]) -> dict[str, Outcome | str]:
    """Return what is neither a clear error nor an answer taken for one."""
    return {
        name: outcome
        for name, outcome in unclear(found).items()
        if isinstance(outcome, str) or outcome.classes
    }


def answer(*payloads: bytes, raw: bytes | None = None, silent: bool = False) -> Script:
    """Return a script that answers a command so, and then hangs up, or says nothing more."""

    def script(client: Client) -> None:
        if raw is None:
            client.reply(*payloads)
        else:
            client.send(raw)
        if silent:
            client.be_silent()
        client.hang_up()
        raise Gone

    return script


# -- before the log-in -----------------------------------------------------------------------------

HELLO = packet(greeting())

OTHERS: Mapping[str, bytes] = {
    "HTTP": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<html>",
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "SMTP": b"220 mail.example.org ESMTP Postfix\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x28",
    "PostgreSQL": b"E\0\0\0\x8fSFATAL\0VFATAL\0C08P01\0Munsupported frontend protocol\0\0",
    "Redis": b"-ERR unknown command\r\n",
    "MySQL X": b"\x05\0\0\0\x0b\x08\x05\x1a\x00",
    "nothing": b"",
    "a byte": b"\x4a",
    "a length": b"\x4a\0\0",
    "a huge packet": b"\xff\xff\xff\x00\x0a",
    "an empty packet": packet(b""),
    "a half greeting": HELLO[:20],
    "a greeting cut behind its version": packet(greeting()[:6]),
    "a greeting cut in its salt": packet(greeting()[:30]),
    "a greeting cut in its end": packet(greeting()[:44]),
    "a version without an end": packet(b"\x0a" + b"8" * 300),
    "a version of no text": packet(greeting(version=b"\xff\xfe\xfd")),
    "no version": packet(greeting(version=b"")),
    "no capabilities": packet(greeting(capabilities=0)),
    "protocol 9": packet(b"\x095.0.0\0"),
    "a greeting too late": packet(greeting(), sequence=5),
    "an error of one byte": packet(b"\xff"),
    "an error without text": packet(b"\xff\x10\x04"),
    "an error of no text": packet(b"\xff\x10\x04#08004\xff\xfe"),
    "bytes": bytes(range(256)),
    "the longest line": b"x" * 100_000,
}


@pytest.mark.parametrize("silent", [False, True], ids=["hangs up", "says no more"])
def test_something_else_behind_the_port(meet: Meet, silent: bool) -> None:
    """Whatever greets that is no server: an error within `connect_timeout`, without read_timeout.

    (A time-out that were not kept would be a victim that hangs, which `Victims` tells.)
    """
    scripts = {name: say(data, silent=silent) for name, data in OTHERS.items()}
    assert not unclear(meet(scripts, read_timeout=None, connect_timeout=1))


def test_the_budget_outlasts_no_retry(meet: Meet) -> None:
    """With retries it is the same: what fails again and again ends with the budget."""
    scripts = {name: say(data) for name, data in OTHERS.items()}
    assert not unclear(meet(scripts, max_retries=None, connect_timeout=1))


def test_a_greeting_cut_anywhere(meet: Meet) -> None:
    """A greeting that ends after any number of its bytes, as a packet or as a stream, is none."""
    payload = greeting()
    cut = {f"stream {count}": say(HELLO[:count]) for count in range(len(HELLO))}
    # The last byte ends the plugin's name, which some servers leave out.
    cut |= {f"packet {count}": say(packet(payload[:count])) for count in range(len(payload) - 1)}
    assert not unclear(meet(cut, connect_timeout=5))


@examples(6)
@given(st.lists(st.binary(max_size=200), min_size=40, max_size=40))
def test_random_bytes_are_no_greeting(meet: Meet, said: list[bytes]) -> None:
    """Random bytes, bare and in a packet, are a clear error."""
    scripts = {f"bare {data!r}": say(data) for data in said}
    scripts |= {f"packet {data!r}": say(packet(data)) for data in said}
    assert not unclear(meet(scripts, connect_timeout=5))


# -- the log-in ------------------------------------------------------------------------------------


def switch(plugin: str, data: bytes = SALT + b"\0") -> bytes:
    """Return a request to log in by another plugin."""
    return b"\xfe" + plugin.encode() + b"\0" + data


LOG_IN: Mapping[str, bytes | None] = {
    "hangs up": None,
    "unknown plugin": switch("nonsense"),
    "a path for a plugin": switch("../../../../tmp/nonsense"),
    "clear text": switch("mysql_clear_password", b""),
    "dialog": switch("dialog", b"\x04Password: "),
    "old passwords": b"\xfe",
    "native without salt": switch("mysql_native_password", b""),
    "sha2 without salt": switch("caching_sha2_password", b""),
    "a plugin without an end": b"\xfemysql_native_password",
    "sha256": switch("sha256_password"),
    "webauthn": switch("authentication_webauthn_client"),
    "kerberos": switch("authentication_kerberos_client"),
    "ldap": switch("authentication_ldap_sasl_client", b"SCRAM-SHA-1"),
    "openid": switch("authentication_openid_connect_client"),
    "a second factor": b"\x02nonsense\0abc",
    "more data": b"\x01\x04",
    "more data, and none": b"\x01",
    "junk": b"\x77nonsense",
    "nothing": b"",
    "a file": b"\xfb/etc/hostname",
    "an error of one byte": b"\xff",
    "an error without text": b"\xff\x15\x04",
    "an error of no text": b"\xff\x15\x04#28000\xff\xfe",
}


@pytest.mark.parametrize("silent", [False, True], ids=["hangs up", "says no more"])
def test_a_log_in_that_goes_astray(meet: Meet, silent: bool) -> None:
    """Whatever is asked or said in place of an OK is a clear error in time."""
    scripts = {
        name: speak(
            lambda client: client.reply(ok()),
            finish=answer(*([] if data is None else [data]), silent=silent),
        )
        for name, data in LOG_IN.items()
    }
    assert not unclear(meet(scripts, read_timeout=None, connect_timeout=1))


# -- answers ---------------------------------------------------------------------------------------


def answers(*, ok_ends_rows: bool) -> dict[str, bytes | list[bytes]]:
    """Return what is no answer to a query: packets' payloads, or what is not even packets.

    :param ok_ends_rows: whether it was agreed that rows end by an OK packet.
    """
    between = [] if ok_ends_rows else [eof()]
    end = ok(head=b"\xfe") if ok_ends_rows else eof()
    more = ok(MORE, head=b"\xfe") if ok_ends_rows else eof(MORE)
    head = [b"\x01", column(), *between]
    found: dict[str, bytes | list[bytes]] = {
        "hangs up": [],
        "nothing": [b""],
        "junk": b"nonsense and more nonsense",
        "a huge packet": b"\xff\xff\xff\x01abc",
        "an OK of one byte": [b"\0"],
        "an OK without a status": [b"\0\0\0"],
        "an OK cut in its status": [b"\0\0\0\x02"],
        "an OK with a number cut off": [b"\0\xfe"],
        "an OK with a NULL number": [b"\0\xfb\0\2\0\0\0"],
        "an error of one byte": [b"\xff"],
        "an error of two": [b"\xff\x10"],
        "an error without a number": [b"\xff\0\0#00000x"],
        "very many columns": [b"\xfe" + b"\xff" * 7 + b"\x7f", column()],
        "a number of columns cut off": [b"\xfc\x01"],
        "an EOF for columns": [b"\xfe\0\0\x02\0"],
        "no columns": [b"\xfc\0\0", *between, end],
        "fewer columns than said": [b"\x02", column(), *between, b"\x01a", end],
        "more columns than said": [b"\x01", column(), column(), *between, b"\x01a\x01b", end],
        "an empty column": [b"\x01", b"", *between, b"\x01a", end],
        "a column cut in its names": [b"\x01", column()[:9], *between, b"\x01a", end],
        "a column cut in its type": [b"\x01", column()[:-8], *between, b"\x01a", end],
        "a column of junk": [b"\x01", b"\xfe" + b"\xff" * 8, *between, b"\x01a", end],
        "no column": [b"\x01"],
        "an OK where rows should be": [*head, ok()],
        "an empty row": [*head, b"", end],
        "a value cut off": [*head, b"\x05a", end],
        "two values": [*head, b"\x01a\x01b", end],
        "a huge value": [*head, b"\xfe" + b"\xff" * 7 + b"\x7f", end],
        "an error of one byte among rows": [*head, b"\x01a", b"\xff"],
        "no end": [*head, b"\x01a"],
        "half a row": packets(*head) + b"\x20\0\0\x04half",
        "an end of one byte": [*head, b"\x01a", b"\xfe"],
        "another result of nothing": [*head, b"\x01a", more, b""],
        "another result that does not come": [*head, b"\x01a", more],
        "the answer to something else": packets(*head, b"\x01a", end, sequence=9),
    }
    return found


def scripts_of(
    found: Mapping[str, bytes | list[bytes]], *, silent: bool, ok_ends_rows: bool, setting_up: bool
) -> dict[str, Script]:
    """Return scripts that answer so: the statement that sets a session up, or the program's."""
    capabilities = CAPABILITIES if ok_ends_rows else CAPABILITIES & ~DEPRECATE_EOF
    return {
        name: speak(
            answer(raw=said, silent=silent)
            if isinstance(said, bytes)
            else answer(*said, silent=silent),
            capabilities=capabilities,
            to=is_query if setting_up else after_set_up,
        )
        for name, said in found.items()
    }


@pytest.mark.parametrize(
    ("cursor", "silent", "ok_ends_rows"),
    [
        ("Cursor", False, True),
        ("SSCursor", False, True),
        ("Cursor", False, False),
        ("SSCursor", False, False),
        # Each is a second of waiting.
        ("Cursor", True, True),
        ("SSCursor", True, False),
    ],
)
def test_what_is_no_answer(
    meet: Meet, backend: Backend, cursor: str, silent: bool, ok_ends_rows: bool
) -> None:
    """A query that is answered by nonsense is a clear error within read_timeout."""
    found = answers(ok_ends_rows=ok_ends_rows)
    scripts = scripts_of(found, silent=silent, ok_ends_rows=ok_ends_rows, setting_up=False)
    told = meet(scripts, "SELECT 1", cursor, read_timeout=1)
    assert not (unclear(told) if backend == "pure" else broken(told))


@pytest.mark.parametrize("silent", [False, True], ids=["hangs up", "says no more"])
def test_what_is_no_answer_to_the_set_up(meet: Meet, backend: Backend, silent: bool) -> None:
    """So is a connect, within its budget, when the log-in was the last that made sense."""
    scripts = scripts_of(
        answers(ok_ends_rows=True), silent=silent, ok_ends_rows=True, setting_up=True
    )
    told = meet(scripts, read_timeout=None, connect_timeout=1)
    assert not (unclear(told) if backend == "pure" else broken(told))


def test_a_ping_that_is_answered_by_nonsense(meet: Meet, backend: Backend) -> None:
    """A session that does not answer a ping is replaced, or is an error; nothing else."""
    scripts = scripts_of(
        answers(ok_ends_rows=True), silent=False, ok_ends_rows=True, setting_up=False
    )
    assert not broken(meet(scripts, "ping", read_timeout=1))


def test_an_error_in_any_place_is_that_error(meet: Meet) -> None:
    """An error packet in place of a column or among the rows is told as what it is."""
    error = b"\xff\x10\x04#42000oops"
    scripts = {
        "for an answer": [error],
        "for a column": [b"\x01", error],
        "for a row": [b"\x01", column(), error],
        "among rows": [b"\x01", column(), b"\x01a", error],
    }
    told = meet(scripts_of(scripts, silent=False, ok_ends_rows=True, setting_up=False), "SELECT 1")
    for name, outcome in told.items():
        assert isinstance(outcome, Outcome), name
        assert list(outcome.args) == [0x0410, "oops"], name


@pytest.mark.parametrize("cursor", ["Cursor", "SSCursor"])
def test_values_that_are_not_what_their_column_says(meet: Meet, cursor: str) -> None:
    """They raise what PyMySQL's converters raise, or stay text; the process goes on."""
    kinds = {"int": INT, "double": DOUBLE, "decimal": DECIMAL, "date": DATE, "datetime": DATETIME,
             "time": TIME, "text": 253}  # fmt: skip
    values = {"text": b"\x03abc", "nothing": b"\0", "bytes": b"\x02\xff\xfe"}
    found = {
        f"{kind} of {name}": [b"\x01", column(kind=code), value, ok(head=b"\xfe")]
        for kind, code in kinds.items()
        for name, value in values.items()
    }
    told = meet(
        scripts_of(found, silent=False, ok_ends_rows=True, setting_up=False), "SELECT 1", cursor
    )
    for name, outcome in told.items():
        assert isinstance(outcome, Outcome), name
        # decimal.InvalidOperation is an ArithmeticError.
        known = {"builtins.ValueError", "builtins.ArithmeticError", "builtins.TypeError"}
        assert not outcome.classes or known & set(outcome.classes), (name, outcome)


# -- random damage ---------------------------------------------------------------------------------


def result(rows: int, columns: int) -> bytes:
    """Return a good answer, as bytes."""
    row = b"".join(bytes((3,)) + b"abc" for _ in range(columns))
    return packets(
        bytes((columns,)), *[column()] * columns, *[row] * rows, ok(head=b"\xfe"), sequence=1
    )


GOOD = result(3, 3)

DAMAGE = st.one_of(
    # A byte is another, or there are more, or fewer.
    st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)).map(
        lambda where: GOOD[: where[0]] + bytes((where[1],)) + GOOD[where[0] + 1 :]
    ),
    st.tuples(st.integers(0, len(GOOD)), st.binary(min_size=1, max_size=8)).map(
        lambda where: GOOD[: where[0]] + where[1] + GOOD[where[0] :]
    ),
    st.tuples(st.integers(0, len(GOOD)), st.integers(1, 20)).map(
        lambda where: GOOD[: where[0]] + GOOD[where[0] + where[1] :]
    ),
    st.binary(max_size=60),
    st.lists(st.binary(max_size=20), max_size=6).map(lambda payloads: packets(*payloads)),
)

#: Exceptions of values, which may be damaged like all else.
OF_VALUES = {"builtins.ValueError", "builtins.ArithmeticError"}


@pytest.mark.parametrize("cursor", ["Cursor", "SSCursor"])
@examples(8)
@given(said=st.lists(DAMAGE, min_size=60, max_size=60))
def test_a_damaged_answer(meet: Meet, cursor: str, said: list[bytes]) -> None:
    """An answer with random damage is an error in time, or rows; nothing crashes or hangs."""
    scripts = {repr(data): speak(answer(raw=data)) for data in said}
    told = meet(scripts, "SELECT 1", cursor, read_timeout=1)
    bad = {
        name: outcome
        for name, outcome in broken(told).items()
        if isinstance(outcome, str) or not OF_VALUES & set(outcome.classes)
    }
    assert not bad
