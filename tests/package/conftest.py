"""Build what is published, once; and leave it alone where nothing can build it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

#: tox's environment `package` has what builds; elsewhere `pytest` collects nothing here. (A module
#: "build" may be found anywhere: the folder that setuptools leaves behind.)
collect_ignore_glob = [] if importlib.util.find_spec("twine") else ["test_*.py"]

ROOT = Path(__file__).parents[2]

#: What is in a working copy and in no clone.
_LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist")


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command with nothing of this environment's Python in its way; return what it prints."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
    }
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass(frozen=True)
class Built:
    """The published files."""

    sdist: Path
    wheel: Path


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """An sdist made of the sources, and the wheel made of that sdist."""
    folder = tmp_path_factory.mktemp("built")
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=_LEFT_OUT)
    run(sys.executable, "-m", "build", "--outdir", folder / "dist", source, cwd=folder)
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    (wheel,) = (folder / "dist").glob("*.whl")
    return Built(sdist, wheel)


@dataclass(frozen=True)
class Environment:
    """A virtual environment, and an empty folder to run its programs in."""

    home: Path
    cwd: Path

    def run(self, name: str, *arguments: str) -> str:
        """Run a program of the environment."""
        return run(self.home / "bin" / name, *arguments, cwd=self.cwd)

    def pip(self, *arguments: str) -> str:
        """Run pip for the environment, which has none of its own."""
        python = self.home / "bin" / "python"
        return run(sys.executable, "-m", "pip", "--python", python, *arguments, cwd=self.cwd)


#: Makes an environment that has the wheel, with extras or without.
Install = Callable[[str], Environment]


@pytest.fixture(scope="session")
def install(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Install:
    """A function that installs the wheel as its users do: `""`, or `"[extra]"`, once each."""
    made: dict[str, Environment] = {}

    def install(extras: str) -> Environment:
        if extras not in made:
            home, cwd = tmp_path_factory.mktemp("venv"), tmp_path_factory.mktemp("empty")
            venv.create(home)
            made[extras] = Environment(home, cwd)
            made[extras].pip("install", "-q", f"{built.wheel}{extras}")
        return made[extras]

    return install
