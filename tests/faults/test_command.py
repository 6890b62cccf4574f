"""The long command: what it prints and writes, how it ends, and when it says that it is wrong."""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.faults import __main__ as command
from tests.faults import campaign
from tests.faults.__main__ import PHASES, Run, main, spread
from tests.faults.campaign import Task
from tests.faults.ledger import Book, Entry, Violation
from tests.faults.processes import Job
from tests.faults.soak import Held, Soaked
from tests.faults.test_processes import PATIENCE, die, double

#: One server, one back end, one phase, one process.
ONE = ["--server", "mariadb", "--backend", "c", "--only", "points", "--processes", "1"]

#: More than is done before it is ended.
MANY = 10**7


@pytest.fixture
def run() -> Run:
    """A run that has not begun."""
    given = {"units": 1, "seed": "1", "processes": 1, "only": None, "minutes": None}
    files = {"json": None, "table": None}
    return Run(argparse.Namespace(**given, **files, server="both", backend="both"))


def test_a_short_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The phases asked for are run, told in tables and written as JSON."""
    report = tmp_path / "report.json"
    arguments = ["--units", "60", "--server", "mariadb", "--seed", "7", "--processes", "1"]
    status = main([*arguments, "--json", str(report), "--only", "points"])
    said = capsys.readouterr()
    assert (status, said.out.splitlines()[-1]) == (0, "nothing is wrong")
    assert "seed 7" in said.err
    found = json.loads(report.read_text())
    assert found["total"]["faulted units"] >= 60
    assert found["total"]["violations"] == []
    assert set(found["by server and back end"]) == {"mariadb, c", "mariadb, pure"}
    assert found["seed"] == "7"


def test_nothing_wrong_is_right(run: Run) -> None:
    """Without violations, growth or a control group that got away all is right."""
    run.books["a"].write("cut", [Entry(1, "committed", 1)])
    run.controls["b"] = caught = Book()
    caught.violations.append(Violation("doubled", 1))
    assert run.is_right
    assert run.phases == list(PHASES)


def test_a_violation_is_wrong(run: Run) -> None:
    """One violation among a million is one too many."""
    run.books["a"].violations.append(Violation("lost", 1))
    assert not run.is_right


def test_a_control_group_that_gets_away_is_wrong(run: Run) -> None:
    """A ledger that finds nothing in the control group would find nothing anywhere."""
    run.controls["b"] = Book()
    assert not run.is_right


@pytest.mark.parametrize(("sessions", "violations"), [(2, []), (1, ["lost"])])
def test_what_a_soak_finds_is_wrong(run: Run, sessions: int, violations: list[str]) -> None:
    """What grows in the soak is wrong, and so is a violation in it."""
    held = Held(1, 1, 1, 1, 0)
    run.soaks["a"] = Soaked(1, 1, held, held._replace(sessions=sessions), violations)
    assert not run.is_right


def test_ctrl_c_tells_what_there_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that is ended before its time has its tables, and has proved nothing."""

    def interrupted(run: Run) -> None:
        run.books["a"].write("cut", [Entry(1, "committed", 1)])
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "run", interrupted)
    report = tmp_path / "report.json"
    assert main(["--json", str(report)]) == 1
    assert "cut " in capsys.readouterr().out
    found = json.loads(report.read_text())
    assert (found["ended"], found["total"]["faulted units"]) == ("interrupted", 1)


def test_the_time_is_up(capsys: pytest.CaptureFixture[str]) -> None:
    """After so many minutes it ends with what there is, and says of how many units."""
    assert main([*ONE, "--units", str(MANY), "--minutes", "0.05"]) == 0
    said = capsys.readouterr().out
    assert "the time is up: " in said
    assert f"of {MANY:,} units" in said
    assert "without a result" not in said


def test_at_ctrl_c_all_hand_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At the first Ctrl-C what is under way is judged and told, and the servers are removed."""
    rang: list[str] = []
    tell = Run.tell

    def ring(run: Run, what: str) -> None:
        tell(run, what)
        if not rang:
            rang.append(what)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Run, "tell", ring)
    monkeypatch.setattr(campaign, "PORTION", 20)
    before = signal.getsignal(signal.SIGINT)
    report, tables = tmp_path / "report.json", tmp_path / "tables"
    files = ["--json", str(report), "--table", str(tables)]
    assert main([*ONE, *files, "--units", str(MANY)]) == 1
    found = json.loads(report.read_text())
    assert (found["ended"], found["failures"]) == ("interrupted", [])
    assert found["total"]["faulted units"] >= 20
    assert capsys.readouterr().out == tables.read_text()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_process_that_dies_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others' figures are there, and the command has failed."""

    def portions(task: Task, units: int) -> list[Job]:
        return [Job(die, ()), *campaign.portions(task, units)]

    monkeypatch.setattr(command, "portions", portions)
    assert main([*ONE, "--units", "60"]) == 1
    said = capsys.readouterr().out
    assert "without a result: points, mariadb, c: process" in said
    assert "0 violations" in said
    assert "mariadb, c     " in said


def test_what_there_is_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run: Run
) -> None:
    """Who kills the command has what it had found a moment before."""
    monkeypatch.setattr(command, "WRITTEN_EVERY", 0.01)
    run.table = tmp_path / "tables"
    run.books["a"].write("a cut of its own", [Entry(1, "committed", 1)])
    end = time.monotonic() + PATIENCE
    with run._writing():
        while not run.table.exists():
            assert time.monotonic() < end
            time.sleep(0.001)
    assert "a cut of its own" in run.table.read_text()


def test_all_plans_get_their_turns() -> None:
    """A run that is ended has done the same share of each server's and back end's jobs."""
    plans = [
        [(name, Job(double, (n,))) for n in range(many)] for name, many in (("a", 4), ("b", 2))
    ]
    done = spread(plans)
    assert "".join(name for name, _ in done) == "abaaba"
    assert [job.arguments[0] for name, job in done if name == "a"] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "arguments",
    [["--units", "0"], ["--minutes", "-1"], ["--only", "luck"], ["--server", "x"]],
)
def test_wrong_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be asked for is refused before anything starts."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err
