"""The installed package's types are what `api.py` says, for mypy and for pyright, and complete."""

from __future__ import annotations

import inspect
import json
import os
import shutil
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import slsmysql
from slsmysql import _keywords, options, settings

#: Django has no types.
UNTYPED = {"slsmysql.contrib.django.base.DatabaseWrapper"}


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder with the program alone: the package comes from where it is installed."""
    shutil.copy(Path(__file__).parent / "api.py", tmp_path)
    (tmp_path / "pyrightconfig.json").write_text(
        json.dumps(
            {
                "typeCheckingMode": "strict",
                "reportUnnecessaryTypeIgnoreComment": "error",
                "pythonVersion": "3.10",
            }
        )
    )
    return tmp_path


def check(folder: Path, *command: str) -> str:
    """Run a module of Python's as a type checker; return what it prints."""
    # pyright asks the `python` on PATH where packages are.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_mypy_sees_the_types(elsewhere: Path) -> None:
    """The program is right where it says so and wrong where it says so, for mypy --strict."""
    said = check(elsewhere, "mypy", "--strict", "--python-version", "3.10", "api.py")
    assert "Success: no issues found in 1 source file" in said


def test_mypy_sees_what_is_wrong(elsewhere: Path) -> None:
    """The same without its marks has an error for each of them."""
    program = elsewhere / "api.py"
    text = program.read_text()
    marked = {
        number for number, line in enumerate(text.splitlines(), 1) if "# type: ignore[" in line
    }
    program.write_text(text.replace("# type: ignore[", "# was ["))
    said = check(elsewhere, "mypy", "--strict", "--python-version", "3.10", "api.py")
    found = {int(line.split(":")[1]) for line in said.splitlines() if ": error: " in line}
    assert found == marked
    assert len(marked) > 15


def test_pyright_sees_the_types(elsewhere: Path) -> None:
    """The program is right where it says so and wrong where it says so, for pyright's strictest."""
    said = check(elsewhere, "pyright", "api.py")
    assert "0 errors, 0 warnings" in said


def test_every_public_type_is_known(elsewhere: Path) -> None:
    """Nothing that the package exports is left for a type checker to guess."""
    said = check(
        elsewhere, "pyright", "--outputjson", "--ignoreexternal", "--verifytypes", "slsmysql"
    )
    report = json.loads(said[said.index("{") :])["typeCompleteness"]
    exported = [symbol for symbol in report["symbols"] if symbol["isExported"]]
    assert len(exported) > 500
    unknown = {symbol["name"] for symbol in exported if not symbol["isTypeKnown"]}
    ambiguous = {symbol["name"] for symbol in exported if symbol["isTypeAmbiguous"]}
    assert unknown == UNTYPED
    assert not ambiguous


def test_keywords_are_those_of_connect() -> None:
    """The types of the keywords are of all that there are, and of no other."""
    typed = set(_keywords.Keywords.__annotations__)
    assert typed | {"cursorclass"} == {
        *options.DEFAULTS,
        *settings.NAMES,
        "settings",
        "defer_connect",
    }


def test_keywords_of_settings_are_alike() -> None:
    """A management option has one type, as a keyword of `connect()` and as a field."""
    keywords = inspect.get_annotations(_keywords.Keywords)
    for name, kind in inspect.get_annotations(slsmysql.Settings).items():
        typed = keywords[name]
        text = typed.__forward_arg__ if isinstance(typed, typing.ForwardRef) else typed
        assert f"Final[{text}]" == kind, name
