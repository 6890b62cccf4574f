"""URLs and keywords of any content: what went in comes out, or is refused without being shown."""

from __future__ import annotations

import warnings
from typing import Any, cast
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import slsmysql
from slsmysql import err
from slsmysql.options import DEFAULTS, FROM_TEXT, Secret, build_options, parse_url
from slsmysql.settings import FROM_TEXT as OF_SETTINGS
from slsmysql.settings import NAMES, Settings
from tests.differential.profile import examples
from tests.security.test_secrets import SECRET, look, shows

#: Text with what matters in a URL, more often than chance would have it.
TEXT = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from(":/?#@%&=+[]; "), max_size=20
)

HOSTS = st.sampled_from(["localhost", "127.0.0.1", "[::1]", "[fe80::1%25eth0]", "db.example.com"])

OPTIONS = {
    "charset": st.sampled_from(["utf8mb4", "latin1"]),
    "sql_mode": TEXT,
    "init_command": TEXT,
    "program_name": TEXT,
    "unix_socket": TEXT,
    "connect_timeout": st.sampled_from(["1", "0.5", "10"]),
    "autocommit": st.sampled_from(["1", "off", "none"]),
    "conn_utilization": st.sampled_from(["0.5", "1"]),
    "lease": st.sampled_from(["60", "none"]),
}


def either(text: str) -> st.SearchStrategy[str]:
    """Return the ways to write a text in a URL: as much encoded as must be, or all of it."""
    everything = "".join(f"%{byte:02{case}}" for case in "X" for byte in text.encode())
    return st.sampled_from([quote(text, safe=""), everything, everything.lower()])


@examples(200)
@given(
    data=st.data(),
    scheme=st.sampled_from(["mysql", "mariadb", "mysql+slsmysql", "mariadb+slsmysql"]),
    user=TEXT,
    password=TEXT,
    host=HOSTS,
    port=st.none() | st.integers(1, 65535),
    database=TEXT,
    options=st.fixed_dictionaries({}, optional=OPTIONS),
)
def test_a_url_gives_back_what_it_was_made_of(
    data: st.DataObject,
    scheme: str,
    user: str,
    password: str,
    host: str,
    port: int | None,
    database: str,
    options: dict[str, str],
) -> None:
    """Every part comes out as it went in, however it was percent-encoded."""
    user, password, database = user or "u", password or "p", database or "d"
    query = "&".join(
        f"{name}={data.draw(st.sampled_from([quote(value, safe=''), quote_plus(value)]))}"
        for name, value in options.items()
    )
    url = (
        f"{scheme}://{data.draw(either(user))}:{data.draw(either(password))}@{host}"
        + (f":{port}" if port else "")
        + f"/{data.draw(either(database))}"
        + (f"?{query}" if query else "")
    )
    found = parse_url(url, OF_SETTINGS)
    readers = {**FROM_TEXT, **OF_SETTINGS}
    assert found.pop("password") == Secret(password)
    assert found.pop("host") == host.strip("[]").replace("%25", "%")
    assert found.pop("port", None) == port
    assert (found.pop("user"), found.pop("database")) == (user, database)
    assert found == {name: readers[name](value) for name, value in options.items()}


@examples(300)
@given(before=TEXT, after=TEXT, scheme=st.sampled_from(["mysql", "http", "", "mysql+nothing"]))
@example(before="", after="", scheme="mysql")
@example(before="x:", after="@h/d?password=x", scheme="mysql")
def test_a_url_of_anything_shows_no_password(before: str, after: str, scheme: str) -> None:
    """Whatever a URL is, it is keywords or a ProgrammingError, and nothing shows what is in it."""
    url = f"{scheme}://{before}:{SECRET}{after}"
    found: dict[str, Any] = {}
    problem: BaseException | None = None
    try:
        found = parse_url(url, OF_SETTINGS)
    except err.ProgrammingError as error:
        problem = error
    assert problem is None or not look(problem)
    for name, value in found.items():
        # One that the URL itself says is something else, a database's name say, is no password.
        assert not shows(value) or name in {"user", "database", "host"}, name


#: What a keyword may be, and what it may not.
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    TEXT,
    st.binary(max_size=10),
    st.lists(TEXT, max_size=2),
    st.dictionaries(st.sampled_from(["ca", "cert", "check_hostname", "verify_mode", "x"]), TEXT),
)

#: Those that read files of whoever runs the tests.
FILES = {"read_default_file", "read_default_group"}


@examples(300)
@given(
    keywords=st.dictionaries(
        st.sampled_from([*sorted(set(DEFAULTS) - FILES), *sorted(NAMES), "passwort", "hots"]),
        ANYTHING,
        max_size=4,
    )
)
def test_any_keywords_are_taken_or_refused_before_any_io(keywords: dict[str, Any]) -> None:
    """An error of the documented classes, or options; and never a password in what is shown."""
    given_keywords = {**keywords, "password": SECRET, "user": "u"}
    refused = (err.Error, TypeError, ValueError, NotImplementedError, OSError)
    others = frozenset({*NAMES, "settings", "defer_connect"})
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        problem: BaseException | None = None
        try:
            options, rest = build_options(given_keywords, others=others)
            Settings.build(rest, {})
        except refused as error:
            problem = error
        else:
            assert not shows(repr(options))
            assert options.password == Secret(SECRET.encode())
            hash(options.identity())
    assert problem is None or not (shows(str(problem)) or shows(problem.args))
    assert not shows([str(warning.message) for warning in warned])


@pytest.mark.parametrize("name", ["passwort", "pasword", "Password", "pass", "pwd", "passphrase"])
def test_a_misspelt_password_is_not_shown(name: str) -> None:
    """What a keyword that is none was given may be a password: nothing shows it."""
    with pytest.raises(TypeError, match=name) as caught:
        slsmysql.connect(**cast("dict[str, Any]", {name: SECRET}))
    assert not look(caught.value)
