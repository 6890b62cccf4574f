"""The long command: what it prints, what it writes, and when it says that something is wrong."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from tests.faults.__main__ import PHASES, Run, main
from tests.faults.ledger import Book, Entry, Violation
from tests.faults.soak import Held, Soaked


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


@pytest.mark.parametrize("arguments", [["--units", "0"], ["--only", "luck"], ["--server", "x"]])
def test_wrong_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be asked for is refused before anything starts."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err
