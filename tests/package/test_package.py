"""The published files have what they should, and work where nothing but the driver is installed."""

from __future__ import annotations

import json
import sys
import tarfile
import zipfile
from email.parser import Parser
from typing import Any

import pytest

from tests.package.conftest import ROOT, Built, Environment, Install, run
from tests.servers import Server

#: Files of the package, by their paths in a wheel.
SOURCES = {
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "slsmysql").rglob("*")
    if path.is_file() and path.suffix != ".pyc"
}

#: A user's program; its arguments are the keywords of `connect()`.
PROGRAM = """
import json, sys

import slsmysql
from slsmysql.cursors import DictCursor

with slsmysql.connect(**json.loads(sys.argv[1])) as connection:
    with connection.cursor(DictCursor) as cursor:
        cursor.execute("CREATE TABLE t (n INT AUTO_INCREMENT PRIMARY KEY, s VARCHAR(20))")
        cursor.executemany("INSERT INTO t (s) VALUES (%s)", [("a",), ("é",), ("日本",)])
        cursor.execute("SELECT s FROM t WHERE n > %s", (1,))
        found = [row["s"] for row in cursor.fetchall()]
    connection.commit()
    print(json.dumps([slsmysql.__file__, found, connection.handle.backend]))
"""


def test_files_are_fit_to_be_published(built: Built) -> None:
    """Twine has no complaint, not even a warning."""
    said = run(
        sys.executable, "-m", "twine", "check", "--strict", built.sdist, built.wheel, cwd=ROOT
    )
    assert said.count("PASSED") == 2


def test_wheel_has_the_package_and_nothing_else(built: Built) -> None:
    """Every module, the marker of a typed package and the licence; no test, no benchmark."""
    names = set(zipfile.ZipFile(built.wheel).namelist())
    info = f"{'-'.join(built.wheel.name.split('-')[:2])}.dist-info"
    assert "slsmysql/py.typed" in SOURCES
    assert names == SOURCES | {
        f"{info}/{name}"
        for name in (
            "METADATA",
            "RECORD",
            "WHEEL",
            "entry_points.txt",
            "licenses/LICENSE",
            "top_level.txt",
        )
    }
    assert built.wheel.name.endswith("-py3-none-any.whl")


def test_wheel_says_what_it_is(built: Built) -> None:
    """Licence, Python, the one dependency and the extras are in its metadata."""
    archive = zipfile.ZipFile(built.wheel)
    (name,) = [each for each in archive.namelist() if each.endswith("/METADATA")]
    metadata = Parser().parsestr(archive.read(name).decode())
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert set(metadata.get_all("Provides-Extra", [])) == {"sqlalchemy", "django", "telemetry"}
    needed = [each for each in metadata.get_all("Requires-Dist", []) if "extra" not in each]
    assert [each.split("<")[0].split(">")[0] for each in needed] == ["mysql-connector-python"]
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])


def test_sdist_has_what_the_wheel_is_made_of(built: Built) -> None:
    """The wheel was made of it; the changes and the licence are there, and no half of the tests."""
    with tarfile.open(built.sdist) as archive:
        files = {
            member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()
        }
    assert files >= SOURCES | {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml"}
    assert {name.partition("/")[0] for name in files if "/" in name} == {
        "slsmysql",
        "slsmysql.egg-info",
    }


@pytest.fixture
def clean(install: Install) -> Environment:
    """An environment with the wheel and what it needs."""
    return install("")


def packages(environment: Environment) -> set[str]:
    """Return the names of what is installed."""
    return {each["name"] for each in json.loads(environment.pip("list", "--format=json"))}


def test_nothing_but_the_driver_is_installed(clean: Environment) -> None:
    """Two packages, and they fit each other."""
    assert packages(clean) == {"slsmysql", "mysql-connector-python"}
    assert "No broken requirements" in clean.pip("check")


@pytest.mark.parametrize("backend", ["c", "pure"])  # of the wheel's driver: here is none
def test_program_runs_from_the_wheel(
    clean: Environment, params: dict[str, Any], backend: str
) -> None:
    """Installed alone, it connects, writes and reads, with each back end, and warns of nothing."""
    arguments = json.dumps({**params, "use_pure": backend == "pure"})
    said = clean.run("python", "-I", "-W", "error", "-c", PROGRAM, arguments)
    place, found, served = json.loads(said)
    assert place.startswith(str(clean.home))
    assert found == ["é", "日本"]
    assert served == backend


def test_command_runs_from_the_wheel(clean: Environment, server: Server) -> None:
    """`slsmysql` and `python -m slsmysql` are there, and speak with a server."""
    options = clean.cwd / "options.cnf"
    lines = [f"{name}={server.params()[name]}" for name in ("host", "port", "user", "password")]
    options.write_text("\n".join(["[client]", *lines]))
    asked = ["status", "--json", "--defaults-file", str(options)]
    for said in (
        clean.run("slsmysql", *asked),
        clean.run("python", "-I", "-m", "slsmysql", *asked),
    ):
        assert json.loads(said)


#: What needs an extra, and nothing else.
WITH_EXTRA = {
    "sqlalchemy": """
import sqlalchemy

sqlalchemy.create_engine("mysql+slsmysql://user@host/database")
sqlalchemy.create_engine("mariadb+slsmysql://user@host/database")
""",
    "django": "import slsmysql.contrib.django.base",
    "telemetry": """
import slsmysql
from slsmysql.contrib.telemetry import OpenTelemetryMetrics

OpenTelemetryMetrics()(slsmysql.Event("park", "host:3306"))
""",
}

#: Without them the modules say what is missing.
WITHOUT_EXTRAS = """
import importlib

from slsmysql.contrib.telemetry import EmbeddedMetrics, OpenTelemetryMetrics

EmbeddedMetrics()
for load, name in (
    (lambda: importlib.import_module("slsmysql.contrib.sqlalchemy"), "sqlalchemy"),
    (lambda: importlib.import_module("slsmysql.contrib.django.base"), "django"),
    (OpenTelemetryMetrics, "opentelemetry"),
):
    try:
        load()
    except ImportError as error:
        assert error.name.split(".")[0] == name, error.name
    else:
        raise AssertionError(name)
"""


@pytest.mark.parametrize("extra", WITH_EXTRA)
def test_extra_brings_what_its_module_needs(install: Install, extra: str) -> None:
    """With the extra alone its module works, and everything installed fits together."""
    environment = install(f"[{extra}]")
    environment.run("python", "-I", "-W", "error", "-c", WITH_EXTRA[extra])
    assert "No broken requirements" in environment.pip("check")


def test_without_extras_their_modules_say_what_is_missing(clean: Environment) -> None:
    """A module of `contrib` without its library is an ImportError that names the library."""
    clean.run("python", "-I", "-W", "error", "-c", WITHOUT_EXTRAS)
