"""Option files, read as the clients of both servers read them: compared with their own reader."""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from slsmysql import err, mycnf
from slsmysql.options import Options, build_options
from tests import servers
from tests.differential.profile import examples
from tests.servers import Kind

#: Groups that are asked for; what is in others is not printed.
GROUPS = ("client", "a", "b c")

NAMES = st.sampled_from(["user", "password", "ssl-ca", "ssl_ca", "x", "", "a b", "port", "Port"])

#: What matters in a value, more often than chance would have it.
TEXT = st.text(st.sampled_from("ab \t'\"\\#;=[]!nstrx\u00e9"), max_size=12)

SPACE = st.text(" \t", max_size=2)

LINES = st.one_of(
    st.tuples(SPACE, NAMES, SPACE, st.just("="), SPACE, TEXT, SPACE).map("".join),
    st.tuples(SPACE, NAMES, SPACE, st.just("="), st.sampled_from("'\""), TEXT).map(
        lambda parts: "".join(parts) + parts[4]
    ),
    st.sampled_from([f"[{group}]" for group in (*GROUPS, "other", " a", "a ", "")]),
    st.tuples(st.sampled_from(["[a]", "[client]"]), TEXT).map("".join),
    st.tuples(SPACE, st.sampled_from("#;"), TEXT).map("".join),
    st.sampled_from(["!nothing", "!", "!includ x", "[client", "[", "skip-name", "", "\r", "x=1\r"]),
    TEXT,
)

FILES = st.tuples(st.sampled_from(["[client]", "[a]", ""]), st.lists(LINES, max_size=12)).map(
    lambda parts: "\n".join([parts[0], *parts[1]])
)


def printed(kind: Kind, file: Path) -> str | None:
    """Return what the client's own program reads in a file; None if it says that it cannot."""
    command = servers.client(kind, "my_print_defaults")
    show = ["--show"] if kind == "mysql" else []  # else it hides passwords
    found = subprocess.run(
        [*command, f"--defaults-file={file}", *show, *GROUPS], capture_output=True, check=False
    )
    return found.stdout.decode() if found.returncode == 0 else None


def read(file: Path) -> str | None:
    """Return the same as we read it."""
    try:
        found = [
            f"--{name}" if value is None else f"--{name}={value}"
            for group, name, value in mycnf.entries(str(file))
            if group in GROUPS and name is not None
        ]
    except mycnf.NotAnOptionFile:
        return None
    return "".join(line + "\n" for line in found)


@pytest.fixture
def file() -> Iterator[Path]:
    """The path of a file for one example after the other."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "my.cnf"


@pytest.fixture(params=servers.KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind of client."""
    kind: Kind = request.param
    return kind


@examples(60)
@given(text=FILES)
def test_any_file_is_read_as_by_the_clients(kind: Kind, file: Path, text: str) -> None:
    """Whatever is in it: the same options in the same order, or it is no option file."""
    # There they look for the end of the name before the line.
    assume(not any(line.strip()[:1] == "=" != line[:1] for line in text.split("\n")))
    file.write_text(text, encoding="utf-8", newline="")
    assert read(file) == printed(kind, file)


def test_files_are_included_as_by_the_clients(kind: Kind, tmp_path: Path) -> None:
    """Files and folders, in their places and in order, and not for ever."""
    (tmp_path / "one.cnf").write_text("[client]\nuser=one\n[other]\nx=1\n")
    (tmp_path / "no group.cnf").write_text("# nothing\n")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "b.cnf").write_text("[client]\nb=1\n")
    (folder / "a.cnf").write_text("[client]\na=1\n!include %s\n" % (tmp_path / "one.cnf"))
    (folder / "c.ini").write_text("[client]\nc=1\n")
    (folder / "d").write_text("[client]\nd=1\n")
    (folder / "e.cnf").mkdir()
    file = tmp_path / "my.cnf"
    file.write_text(
        "[client]\nfirst=1\n"
        f"!include {tmp_path / 'one.cnf'}\nbetween=1\n"
        f"  !include  \t{tmp_path / 'no group.cnf'}  \n"
        f"!include {tmp_path / 'not there.cnf'}\n"
        f"!includedir {folder}\nlast=1\n!include {file}\n"
    )
    found = read(file)
    assert found == printed(kind, file)
    assert found is not None
    assert found.count("--first=1") == found.count("--last=1") == 11


@pytest.mark.parametrize("place", ["!include", "!includedir", "!includedir /nowhere/at/all"])
def test_an_include_of_nothing_is_none_for_the_clients(
    kind: Kind, tmp_path: Path, place: str
) -> None:
    """It is an error for both."""
    file = tmp_path / "my.cnf"
    file.write_text(f"[client]\n{place}\n")
    assert read(file) is None
    assert printed(kind, file) is None


def test_a_path_of_an_include_begins_at_the_file(tmp_path: Path) -> None:
    """It does not depend on the current folder, where anybody may have put a file."""
    (tmp_path / "more.cnf").write_text("[client]\nuser=more\n")
    (tmp_path / "my.cnf").write_text("[client]\n!include more.cnf\n")
    assert read(tmp_path / "my.cnf") == "--user=more\n"


def options(file: Path, **keywords: Any) -> Options:
    """Return the options of a connection with that file."""
    return build_options({"read_default_file": str(file), **keywords})[0]


@pytest.mark.skipif(os.name != "posix", reason="permissions are of POSIX")
@pytest.mark.parametrize(
    ("mode", "believed"), [(0o600, True), (0o644, True), (0o660, True), (0o666, False)]
)
def test_a_file_that_everybody_may_write_is_not_believed(
    kind: Kind, tmp_path: Path, mode: int, believed: bool
) -> None:
    """It is ignored with a warning, included or not, as by the clients."""
    file, outer = tmp_path / "my.cnf", tmp_path / "outer.cnf"
    file.write_text("[client]\nuser=mallory\n")
    outer.write_text(f"[client]\nuser=alice\n!include {file}\n")
    file.chmod(mode)
    assert stat.S_IMODE(file.stat().st_mode) == mode
    for each, otherwise in ((file, ""), (outer, "--user=alice\n")):
        assert (printed(kind, each) or "").endswith("--user=mallory\n") == believed
        if believed:
            assert (read(each) or "").endswith("--user=mallory\n")
            continue
        with pytest.warns(UserWarning, match="everybody may write"):
            assert read(each) == otherwise
        with pytest.warns(UserWarning, match="everybody may write"):
            assert options(each).user != "mallory"


@pytest.mark.parametrize(
    ("line", "password"),
    [
        (r"password=plain", "plain"),
        (r"password = 'two words'", "two words"),
        (r'password="a#b"', "a#b"),
        (r"password=a#b", "a"),
        (r"password='it''s'", "it''s"),
        (r"password=a\sb\\c\qd", r"a b\c\qd"),
        (r"password='\'", "\\"),
        (r"password=;semi;colon", ";semi;colon"),
        ("password=é", "é"),
        (r"password=%(user)s", "%(user)s"),
        ("password=one\npassword=two", "two"),
        ("[other]\npassword=other\n[client]\npassword=mine\n[other]\nx=1", "mine"),
        ("password=", ""),
        ("password", ""),
        ("loose-password=x", ""),
    ],
)
def test_a_password_is_what_the_clients_send(tmp_path: Path, line: str, password: str) -> None:
    """As bytes: those of the file, without quotes and escapes."""
    file = tmp_path / "my.cnf"
    file.write_text(f"[client]\n{line}\n", encoding="utf-8")
    assert options(file).password.get() == password.encode()


@pytest.mark.parametrize(
    ("line", "mode", "verify", "name"),
    [
        ("", "preferred", "none", False),
        ("ssl-mode=DISABLED", "disabled", "none", False),
        ("ssl_mode=preferred", "preferred", "none", False),
        ("ssl-mode=REQUIRED", "required", "none", False),
        ("ssl-mode=VERIFY_CA", "required", "required", False),
        ("ssl-mode=verify_identity", "required", "required", True),
        ("ssl-verify-server-cert", "required", "required", True),
        ("ssl-verify-server-cert=0", "preferred", "none", False),
    ],
)
def test_tls_is_as_the_file_says(
    tmp_path: Path, line: str, mode: str, verify: str, name: bool
) -> None:
    """`ssl-mode`, and MariaDB's `ssl-verify-server-cert`: never less than a file asks for."""
    file = tmp_path / "my.cnf"
    file.write_text(f"[client]\n{line}\n")
    tls = options(file).tls
    assert (tls.mode, tls.verify, tls.check_hostname) == (mode, verify, name)


def test_keywords_win_over_the_file(tmp_path: Path) -> None:
    """TLS that the program asks for itself is what it gets."""
    file = tmp_path / "my.cnf"
    file.write_text("[client]\nssl-mode=VERIFY_IDENTITY\n")
    assert options(file, ssl_disabled=True).tls.mode == "disabled"
    unverified = {"check_hostname": False, "verify_mode": "none"}
    assert options(file, ssl=unverified).tls.verify == "none"
    file.write_text("[client]\nssl-mode=DISABLED\n")
    assert options(file, ssl_verify_identity=True).tls.check_hostname
    assert options(file, ssl_disabled=False).tls.mode == "preferred"


def test_an_unknown_mode_is_refused(tmp_path: Path) -> None:
    """A mode that is misspelt is no mode, and not the weakest."""
    file = tmp_path / "my.cnf"
    file.write_text("[client]\nssl-mode=VERIFY_ALL\n")
    with pytest.raises(err.ProgrammingError, match="ssl-mode"):
        options(file)
