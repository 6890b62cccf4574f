"""The command line: what it tells, what it ends, what it returns, and that it keeps secrets."""

from __future__ import annotations

import importlib.metadata
import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pymysql
import pytest

from slsmysql.__main__ import main
from tests.integration.conftest import Clock, ids
from tests.proxy import COM_STATISTICS, Proxy, error_packet, reply, request
from tests.servers import Account, Server

Fill = Callable[..., list["pymysql.Connection[Any]"]]

#: Sessions that the server of these tests lets in; 16 are the threshold.
ROOM = 20


class Said(NamedTuple):
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The answer of ``--json``."""
        return json.loads(self.out)


Command = Callable[..., Said]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Begin without the option files and variables of whoever runs the tests."""
    for name in ("MYSQL_HOST", "MYSQL_TCP_PORT", "MYSQL_UNIX_PORT", "MYSQL_PWD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("slsmysql._cli.credentials.FILES", (str(tmp_path / "my.cnf"),))


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """A function that runs a command line in this process; no secret is in what it says."""

    def command(*arguments: object) -> Said:
        code = main([str(argument) for argument in arguments])
        said = Said(code, *capsys.readouterr())
        for secret in ("app-secret", "boss-secret", "hunter2"):
            assert secret not in said.out + said.err
        return said

    return command


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[Server, Account], list[object]]:
    """A function that gives the arguments to get to a server as an account."""

    def at(server: Server, account: Account) -> list[object]:
        monkeypatch.setenv("MYSQL_PWD", account.password)
        return ["-h", server.host, "-P", server.port, "-u", account.user]

    return at


At = Callable[[Server, Account], list[object]]


@pytest.fixture
def crowded(lab: Server) -> Server:
    """A server with little room."""
    lab.sql(f"SET GLOBAL max_connections={ROOM}")
    return lab


def test_doctor_tells_each_step_and_who_holds_what(
    server: Server, at: At, command: Command
) -> None:
    """An ordinary account gets through: five steps with times, and what to grant."""
    said = command("doctor", "--json", *at(server, server.app))
    answer = said.json
    assert said.code == 0
    assert answer["ok"]
    assert [step["name"] for step in answer["steps"]] == [
        "resolve the name",
        "reach the port",
        "log in",
        "ask for something",
        "look at the load",
    ]
    assert all(step["ok"] and step["seconds"] > 0 for step in answer["steps"])
    assert answer["backend"]["name"] in {"c", "pure"}
    assert answer["backend"]["why"]
    assert answer["limits"]["max_connections"] == server.sql("SELECT @@max_connections")[0][0]
    assert answer["limits"]["wait_timeout"] == server.sql("SELECT @@GLOBAL.wait_timeout")[0][0]
    assert {holder["user"] for holder in answer["holders"]} >= {server.app.user}


@pytest.mark.parametrize("boss", [False, True])
def test_doctor_knows_the_privileges(lab: Server, at: At, command: Command, boss: bool) -> None:
    """PROCESS is tried, CONNECTION_ADMIN read, and what is missing comes with its GRANT."""
    account = lab.boss if boss else lab.app
    answer = command("doctor", "--json", *at(lab, account)).json
    assert answer["privileges"] == {
        "account": f"{account.user}@%",
        "process": boss,
        "connection_admin": boss,
    }
    runs = {finding["about"]: finding.get("run") for finding in answer["findings"]}
    grant = f"GRANT PROCESS ON *.* TO '{account.user}'@'%';"
    assert runs["PROCESS"] == (None if boss else grant)
    name = "CONNECTION ADMIN" if lab.kind == "mariadb" else "CONNECTION_ADMIN"
    assert boss or name in runs["CONNECTION_ADMIN"]


def test_what_doctor_says_to_run_helps(lab: Server, at: At, command: Command) -> None:
    """The statement that it gives for PROCESS is one that the server takes, whatever the name."""
    name = "o'neil@home"
    lab.sql(
        "DROP USER IF EXISTS 'o''neil@home'@'%'",
        "CREATE USER 'o''neil@home'@'%' IDENTIFIED BY 'hunter2'",
    )
    try:
        arguments = at(lab, Account(name, "hunter2"))
        before = command("doctor", "--json", *arguments).json
        assert not before["privileges"]["process"]
        (run,) = [f["run"] for f in before["findings"] if f["about"] == "PROCESS"]
        lab.sql(run)
        assert command("doctor", "--json", *arguments).json["privileges"]["process"]
    finally:
        lab.sql("DROP USER 'o''neil@home'@'%'")


def test_doctor_knows_privileges_of_an_active_role(lab: Server, at: At, command: Command) -> None:
    """What the account may do by a role that is on counts as its own."""
    privilege = "CONNECTION ADMIN" if lab.kind == "mariadb" else "CONNECTION_ADMIN"
    who = "u@'%'" if lab.kind == "mysql" else "u"
    default = f"SET DEFAULT ROLE r {'TO' if lab.kind == 'mysql' else 'FOR'} {who}"
    lab.sql(
        "CREATE USER u IDENTIFIED BY 'hunter2'",
        "CREATE ROLE r",
        f"GRANT {privilege}, PROCESS ON *.* TO r",
        "GRANT r TO u",
        default,
    )
    try:
        answer = command("doctor", "--json", *at(lab, Account("u", "hunter2"))).json
        assert answer["privileges"]["process"]
        assert answer["privileges"]["connection_admin"]
    finally:
        lab.sql("DROP USER u", "DROP ROLE r")


def test_doctor_tells_a_crowd(crowded: Server, fill: Fill, at: At, command: Command) -> None:
    """Above the threshold there is a problem, the exit code says so, and who holds what is told."""
    fill(17)
    said = command("doctor", "--json", *at(crowded, crowded.boss))
    assert said.code == 1
    assert not said.json["ok"]
    assert "problem" in {f["level"] for f in said.json["findings"] if f["about"] == "load"}
    app = [h for h in said.json["holders"] if h["user"] == crowded.app.user]
    assert [(h["command"], h["count"]) for h in app] == [("Sleep", 17)]


@pytest.mark.parametrize(
    ("option", "about", "text"),
    [
        ("lease=none", "lease", "lease=900"),
        ("reap=off", "reap", 'reap="user"'),
        ("reuse=0", "reuse", "reuse=True"),
        ("manage_conns=0", "manage_conns", "manage_conns=True"),
    ],
)
def test_doctor_says_which_options_fit(
    server: Server, at: At, command: Command, option: str, about: str, text: str
) -> None:
    """An option that does not suit a function is named, with the value that does."""
    at(server, server.app)
    url = f"mysql://{server.app.user}@{server.host}:{server.port}/?{option}"
    findings = command("doctor", "--json", url).json["findings"]
    assert text in {finding.get("option") for finding in findings if finding["about"] == about}


@pytest.mark.parametrize(
    ("place", "step", "hint"),
    [
        (["-h", "nowhere.invalid"], "resolve the name", "not known"),
        (["-h", "127.0.0.1", "-P", "1"], "reach the port", "Nothing answers"),
        (["-S", "/nowhere/socket"], "log in", "Nothing answers"),
    ],
)
def test_doctor_says_where_the_way_ends(
    command: Command, place: list[str], step: str, hint: str
) -> None:
    """What fails is the last step, with what may be behind it, and the exit code is 2."""
    said = command("doctor", "--json", "-u", "app", *place)
    assert said.code == 2
    assert (said.json["steps"][-1]["name"], said.json["steps"][-1]["ok"]) == (step, False)
    assert hint in said.json["findings"][-1]["text"]


def test_doctor_says_what_a_wrong_password_means(server: Server, at: At, command: Command) -> None:
    """Refused is not unreachable: the log-in fails, and the password is not told."""
    said = command("doctor", *at(server, Account(server.app.user, "hunter2")))
    assert said.code == 2
    assert "log in" in said.out
    assert "FAILED" in said.out
    assert "(1045)" in said.out


def test_doctor_tells_a_server_that_cannot_be_looked_at(
    proxy: Proxy, server: Server, at: At, command: Command
) -> None:
    """A proxy that knows no COM_STATISTICS is a problem with a remedy, and the rest is told."""
    refusal = reply(error_packet(1047, "Unknown command", sequence=1), close=False)
    proxy.when(request(command=COM_STATISTICS), refusal, times=None)
    at(server, server.app)
    url = f"mysql://{server.app.user}@{proxy.host}:{proxy.port}/?ssl_disabled=1"
    said = command("doctor", "--json", url)
    assert said.code == 1
    assert not said.json["steps"][-1]["ok"]
    assert "manage_conns=False" in {finding.get("option") for finding in said.json["findings"]}
    assert said.json["privileges"]["account"]


def test_status_counts_as_the_manager_does(
    crowded: Server, fill: Fill, at: At, command: Command
) -> None:
    """It tells used, limit and threshold, and returns 1 above it."""
    fill(10)
    said = command("status", "--json", *at(crowded, crowded.boss))
    assert said.code == 0
    # A session that has just ended may be counted a moment longer.
    assert 11 <= said.json["used"] <= 13
    assert (said.json["limit"], said.json["threshold"]) == (ROOM, 16)
    assert said.json["excess"] == 0
    fill(7)
    said = command("status", *at(crowded, crowded.boss))
    assert said.code == 1
    assert "of 20" in said.out
    assert "too many" in said.out


def test_status_watches(server: Server, at: At, command: Command, clock: Clock) -> None:
    """One line for each look, the seconds asked for between them, until it is interrupted."""

    def stop(_seconds: float) -> None:
        if len(clock.slept) == 3:
            raise KeyboardInterrupt

    clock.on_sleep = stop
    said = command("status", "--json", "--watch=7", *at(server, server.app))
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert said.code == 0
    assert clock.slept == [7.0, 7.0, 7.0]
    assert [line["time"] - lines[0]["time"] for line in lines] == [0, 7, 14]


def test_status_goes_on_when_its_session_is_lost(
    lab: Server, at: At, command: Command, clock: Clock
) -> None:
    """Who watches a server through a restart, or is killed, sees on."""

    def kill(_seconds: float) -> None:
        if len(clock.slept) == 2:
            raise KeyboardInterrupt
        for session in ids(lab):
            lab.sql(f"KILL {session}")

    clock.on_sleep = kill
    said = command("status", "--watch", *at(lab, lab.app))
    assert said.code == 0
    assert len(said.out.splitlines()) == 2


def test_zombies_says_why_of_each(
    crowded: Server, fill: Fill, at: At, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each session is there with the reason why it would be ended or not, and none is ended."""
    monkeypatch.setenv("SLSMYSQL_ZOMBIE_MIN_TIMEOUT", "0")
    crowded.sql("CREATE TABLE IF NOT EXISTS test.busy (n INT) ENGINE=InnoDB")
    made = fill(16, crowded.boss)
    (other,) = fill(1)
    writer = made[0]
    with writer.cursor() as cursor:
        cursor.execute("INSERT INTO test.busy VALUES (1)")
    before = ids(crowded)
    said = command("zombies", "--json", *at(crowded, crowded.boss))
    assert said.code == 1
    assert said.json["excess"] >= 2
    why = {session["id"]: session["why"] for session in said.json["sessions"]}
    reaped = {session["id"] for session in said.json["sessions"] if session["reap"]}
    assert len(reaped) == said.json["excess"]
    assert reaped < {id_of(each) for each in made[1:]}
    assert why[id_of(other)] == "another account's"
    assert why[id_of(writer)] == "has a transaction that changed or locked rows"
    assert "this very session" in why.values()
    assert ids(crowded) == before
    table = command("zombies", *at(crowded, crowded.boss)).out
    assert all(f" {id_of(each)} " in table for each in made)


def test_zombies_without_process(
    crowded: Server, fill: Fill, at: At, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who cannot see transactions keeps what may hold one, and is told why."""
    monkeypatch.setenv("SLSMYSQL_ZOMBIE_MIN_TIMEOUT", "0")
    fill(18)
    said = command("zombies", *at(crowded, crowded.app))
    assert said.code == 0
    assert "zombie_max_timeout" in said.out
    assert "Without PROCESS" in said.out


def test_reap_ends_what_zombies_names(
    crowded: Server, fill: Fill, at: At, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more than the excess goes, never a writer, and below the threshold nothing does."""
    monkeypatch.setenv("SLSMYSQL_ZOMBIE_MIN_TIMEOUT", "0")
    crowded.sql("CREATE TABLE IF NOT EXISTS test.busy (n INT) ENGINE=InnoDB")
    made = fill(18, crowded.boss)
    with made[0].cursor() as cursor:
        cursor.execute("INSERT INTO test.busy VALUES (1)")
    said = command("reap", "--yes", "--json", *at(crowded, crowded.boss))
    assert said.code == 0
    assert len(said.json["killed"]) == said.json["excess"] >= 3
    while ids(crowded) & set(said.json["killed"]):  # they go when they notice
        pass
    left = {id_of(each) for each in made} - set(said.json["killed"])
    assert ids(crowded) >= left
    assert id_of(made[0]) in left
    while command("status", *at(crowded, crowded.boss)).code:  # and so does the count
        pass
    again = command("reap", "--yes", *at(crowded, crowded.boss))
    assert again.code == 0
    assert ids(crowded) >= left


def test_reap_above_a_share(
    crowded: Server, fill: Fill, at: At, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--above` makes room on a server that is not full, ten at a time."""
    monkeypatch.setenv("SLSMYSQL_ZOMBIE_MIN_TIMEOUT", "0")
    fill(14, crowded.boss)
    arguments = at(crowded, crowded.boss)
    assert command("zombies", *arguments).code == 0
    assert command("zombies", "--above", "0.05", *arguments).code == 1
    said = command("reap", "--yes", "--json", "--above", "0.05", *arguments)
    assert (said.code, len(said.json["killed"])) == (0, 10)


@pytest.mark.parametrize(
    ("answer", "is_yes"), [("y\n", True), ("\n", False), ("", False), ("no\n", False)]
)
def test_reap_asks_first(
    crowded: Server,
    fill: Fill,
    at: At,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    is_yes: bool,
) -> None:
    """At a terminal it shows what it would end, and anything but yes is no."""
    monkeypatch.setenv("SLSMYSQL_ZOMBIE_MIN_TIMEOUT", "0")
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    fill(16, crowded.boss)
    said = command("reap", "--json", *at(crowded, crowded.boss))
    asked = {session["id"] for session in said.json["sessions"] if session["reap"]}
    killed = set(said.json["killed"])
    assert re.search(rf"End {len(asked)} sessions?\? \[y/N\] ", said.err)
    assert bool(killed) == is_yes
    assert killed <= asked
    assert said.code == int(killed != asked)


def test_reap_does_not_end_what_woke_while_it_asked(
    crowded: Server, fill: Fill, at: At, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever wrote something between question and answer is spared."""
    monkeypatch.setenv("SLSMYSQL_ZOMBIE_MIN_TIMEOUT", "0")
    crowded.sql("CREATE TABLE IF NOT EXISTS test.busy (n INT) ENGINE=InnoDB")
    made = fill(16, crowded.boss)

    def write() -> None:
        for each in made:
            with each.cursor() as cursor:
                cursor.execute("INSERT INTO test.busy VALUES (1)")

    monkeypatch.setattr("sys.stdin", Terminal("y\n", before=write))
    said = command("reap", "--json", *at(crowded, crowded.boss))
    assert said.json["killed"] == []
    assert said.code == 1
    assert ids(crowded) >= {id_of(each) for each in made}


def test_nobody_is_ended_while_transactions_are_not_known(
    crowded: Server, fill: Fill, at: At, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where InnoDB's list cannot be had as it is now, a writer may look like an idler."""
    monkeypatch.setenv("SLSMYSQL_ZOMBIE_MIN_TIMEOUT", "0")
    monkeypatch.setattr("slsmysql.manager.Manager._with_open_work", lambda *_: None)
    fill(17, crowded.boss)
    said = command("reap", "--yes", "--json", *at(crowded, crowded.boss))
    assert (said.code, said.json["killed"]) == (0, [])
    assert not said.json["sees_transactions"]
    assert "INNODB_TRX" in command("zombies", *at(crowded, crowded.boss)).out


def test_reap_without_a_terminal_needs_yes(command: Command) -> None:
    """In a job there is nobody to ask: bad usage, before anything is sent."""
    said = command("reap", "-h", "127.0.0.1", "-P", "1")
    assert said.code == 2
    assert "--yes" in said.err


class Terminal:
    """A standard input at which somebody types."""

    def __init__(self, typed: str, before: Callable[[], object] = lambda: None) -> None:
        """Let that be typed, after something has been done."""
        self._typed = typed
        self._before = before

    def isatty(self) -> bool:
        """Be a terminal."""
        return True

    def readline(self) -> str:
        """Return a line."""
        self._before()
        return self._typed


def id_of(connection: Any) -> int:
    """Return the server's id of a session."""
    return int(connection.thread_id())


# -- credentials -----------------------------------------------------------------------------------


def test_option_file_is_enough(server: Server, command: Command, tmp_path: Path) -> None:
    """As for MySQL's clients: all that is needed is in `~/.my.cnf` or what it includes."""
    (tmp_path / "more.cnf").write_text(
        f"[client]\nuser={server.app.user}\npassword='{server.app.password}'\n"
    )
    (tmp_path / "my.cnf").write_text(
        f"[client]\nhost={server.host}\nport={server.port}\n!include more.cnf\n"
    )
    assert command("status", "--json").json["server"] == f"{server.host}:{server.port}"


def test_option_file_and_group_are_chosen(server: Server, command: Command, tmp_path: Path) -> None:
    """`--defaults-file` is the only one read, and `--defaults-group` says where in it."""
    (tmp_path / "my.cnf").write_text("[client]\nhost=nowhere.invalid\n")
    file = tmp_path / "other.cnf"
    file.write_text(
        f"[client]\nhost=nowhere.invalid\n[ours]\nhost={server.host}\nport={server.port}\n"
        f"user={server.app.user}\npassword={server.app.password}\n"
    )
    arguments = ["--defaults-file", file, "--defaults-group", "ours"]
    assert command("status", *arguments).code == 0
    said = command("status", "--defaults-file", file, "--defaults-group", "theirs")
    assert (said.code, "[theirs]" in said.err) == (2, True)


def test_command_line_wins_over_file_and_file_over_environment(
    server: Server, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order of MySQL's clients; a socket of a lesser source is not the way to a named host."""
    monkeypatch.setenv("MYSQL_HOST", "environment.invalid")
    monkeypatch.setenv("MYSQL_UNIX_PORT", "/nowhere/socket")
    monkeypatch.setenv("MYSQL_PWD", server.app.password)
    (tmp_path / "my.cnf").write_text("[client]\nhost=file.invalid\nuser=nobody\nport=1\n")
    said = command("doctor", "--json", "-P", 2)
    assert said.json["server"] == "file.invalid:2"
    arguments = ["-h", server.host, "-P", server.port, "-u", server.app.user]
    assert command("status", *arguments).code == 0
    said = command("doctor", "--json", "--no-defaults", "-P", 2)
    assert said.json["server"] == "environment.invalid:2"


@pytest.mark.parametrize(
    "arguments",
    [
        ["doctor", "mysql://app:hunter2@127.0.0.1/"],
        ["doctor", "mysql://app@127.0.0.1/?password=hunter2"],
        ["doctor", "mysql://app@127.0.0.1/?ssl_key_password=hunter2"],
        ["doctor", "-phunter2"],
        ["doctor", "--password=hunter2"],
        ["doctor", "-p", "hunter2"],
        ["doctor", "-p", "mysql://app@127.0.0.1/", "hunter2"],
        ["-p", "hunter2", "doctor"],
        ["hunter2"],
        ["hunter2(\\'\"["],
        ["doctor", "-P", "*hunter2 \\"],
        ["doctor", "--pasword=hunter2"],
        ["doctor", "-P", "hunter2"],
        ["status", "--watch", "hunter2"],
        ["doctor", "--ssl-mode", "hunter2"],
    ],
)
def test_password_on_the_command_line_is_refused_and_not_repeated(
    command: Command, arguments: list[str]
) -> None:
    """Whatever a password was written as, it is bad usage, and nobody reads it in a log."""
    said = command(*arguments)
    assert said.code == 2
    assert said.out == ""


def test_password_is_asked_for_at_a_terminal(
    server: Server, at: At, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`-p` asks without an echo, and what is typed wins over what lies about."""
    arguments = at(server, Account(server.app.user, "hunter2"))
    asked: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return server.app.password

    monkeypatch.setattr("getpass.getpass", ask)
    monkeypatch.setattr("sys.stdin", Terminal(""))
    assert command("status", "-p", *arguments).code == 0
    assert asked == ["Password: "]
    monkeypatch.setattr("sys.stdin", io.StringIO())
    said = command("status", "-p", *arguments)
    assert (said.code, "MYSQL_PWD" in said.err) == (2, True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[client]\nport=hunter2\n", "port in [client] must be a whole number"),
        ("hunter2\n", "line 1"),
        ("[client]\nport=1\n[hunter2\n", "not an option file"),
        ("[client]\nssl-cipher=x\n", "ssl-cipher"),
        ("[client]\nssl-mode=hunter2\n", "ssl-mode must be one of"),
    ],
)
def test_what_is_wrong_with_an_option_file_is_told(
    command: Command, tmp_path: Path, text: str, says: str
) -> None:
    """It is bad usage, named without a word of what is in the file."""
    (tmp_path / "my.cnf").write_text(text)
    said = command("status")
    assert said.code == 2
    assert says in said.err


def test_tls_is_as_strict_as_asked(mysql: Server, at: At, command: Command) -> None:
    """`--ssl-mode` means what it means to MySQL's clients, and never less."""
    arguments = at(mysql, mysql.app)

    def tls(mode: str) -> Any:
        return command("doctor", "--json", "--ssl-mode", mode, *arguments).json.get("tls")

    assert tls("REQUIRED")["used"]
    assert not tls("DISABLED")["used"]
    # Nobody knows who signed the certificate that MySQL has by itself.
    assert tls("VERIFY_CA") is None


# -- for programs ----------------------------------------------------------------------------------


def test_failure_is_json_too(command: Command) -> None:
    """A program that asked for JSON gets it with the error's number, and people their line."""
    said = command("status", "--json", "-h", "127.0.0.1", "-P", 1)
    assert said.code == 2
    assert said.json["errno"] == 2003
    assert "(2003)" in said.err


def test_wrong_setting_in_the_environment_is_bad_usage(
    server: Server, at: At, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings are read as a program reads them, and so are their mistakes."""
    monkeypatch.setenv("SLSMYSQL_LEASE", "soon")
    said = command("status", *at(server, server.app))
    assert said.code == 2
    assert "SLSMYSQL_LEASE" in said.err


def test_runs_as_a_module_into_a_pipe(server: Server) -> None:
    """`python -m slsmysql` writes plain text where there is no terminal, and exits as it should."""
    where = ["-h", server.host, "-P", str(server.port), "-u", server.app.user]
    environment = {**os.environ, "MYSQL_PWD": server.app.password, "LC_ALL": "C"}
    done = subprocess.run(
        [sys.executable, "-m", "slsmysql", "doctor", *where],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert server.app.password not in done.stdout + done.stderr
    assert "look at the load" in done.stdout


def test_console_script_is_the_same() -> None:
    """`slsmysql` runs `slsmysql.__main__:main`."""
    scripts = importlib.metadata.entry_points(group="console_scripts", name="slsmysql")
    if not scripts:
        pytest.skip("slsmysql is not installed")
    assert {script.load() for script in scripts} == {main}


def test_names_of_the_server_do_not_steer_the_terminal(
    lab: Server, at: At, command: Command
) -> None:
    """An escape sequence in an account's name is shown as question marks."""
    lab.sql("CREATE USER 'e\x1b[2Jvil' IDENTIFIED BY 'hunter2'")
    try:
        evil = pymysql.connect(host=lab.host, port=lab.port, user="e\x1b[2Jvil", password="hunter2")
        with evil:
            out = command("zombies", *at(lab, lab.boss)).out
    finally:
        lab.sql("DROP USER 'e\x1b[2Jvil'")
    assert "e?[2Jvil" in out
    assert "\x1b" not in out


def test_commands_leave_nothing_behind(lab: Server, at: At, command: Command) -> None:
    """A watcher's session ends with the command, whichever it was."""
    arguments = at(lab, lab.boss)
    for name in ("doctor", "status", "zombies"):
        command(name, *arguments)
    command("reap", "--yes", *arguments)
    end = time.monotonic() + 10
    while ids(lab):  # the server notices the end in its own time
        assert time.monotonic() < end


def test_page_names_every_option(command: Command) -> None:
    """What the help offers is in `docs/command-line.md`, and nothing is there that is not here."""
    page = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text("utf-8")
    helps = "".join(command(each, "--help").out for each in ("doctor", "status", "zombies", "reap"))
    shape = r"(?<![\w-])--[a-z][a-z-]+"
    assert set(re.findall(shape, helps)) == set(re.findall(shape, page))


def test_help_is_there(command: Command) -> None:
    """Each command says what it is for, and `-h` is the host as for MySQL's clients."""
    for arguments in (["--help"], ["doctor", "-?"], ["reap", "--help"]):
        said = command(*arguments)
        assert said.code == 0
        assert "slsmysql" in said.out
    assert command("--version").out.startswith("slsmysql ")
    assert command().code == 2
