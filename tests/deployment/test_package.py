"""The recipes of docs/lambda.md, built for this Python: what is in a package, and that it works."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import package as recipes
from benchmarks.package import Package
from tests.docs.pages import ROOT, Page
from tests.servers import Server

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="functions run on Linux, and so do their packages"
)

PAGE = Page("docs/lambda.md", (ROOT / "docs" / "lambda.md").read_text("utf-8"))

#: Bytes that a zip may have at the most; half as much again as it has.
LARGEST = {"full": 34_000_000, "slim": 9_000_000, "pure": 1_700_000, "manylinux2014": 2_400_000}

#: Bytes of a function's package, unpacked, that AWS Lambda takes (its manual, "Lambda quotas").
QUOTA = 250_000_000

RECIPES = {**recipes.VARIANTS, "manylinux2014": recipes.TRAPPED}

Get = Callable[[str], Package]


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Get:
    """A function that gives a package, built when it is first asked for."""
    folder = tmp_path_factory.mktemp("packages")
    wheel = recipes.make_wheel(folder)
    built: dict[str, Package] = {}

    def get(name: str) -> Package:
        if name not in built:
            built[name] = recipes.build(name, RECIPES[name], wheel, folder)
        return built[name]

    return get


def test_the_page_has_these_recipes() -> None:
    """What is built here stands in docs/lambda.md to the letter, and nothing else is said to."""
    shown = [block.text for block in PAGE.blocks if block.word == "run by"]
    here = [recipes.FULL, recipes.ZIP, recipes.SLIM, recipes.PURE, recipes.TRAP]
    assert shown == here


@pytest.mark.parametrize("name", RECIPES)
def test_packages_are_small(package: Get, name: str) -> None:
    """None outgrows its bound, and none the quota of AWS Lambda."""
    built = package(name)
    assert built.zipped <= LARGEST[name]
    assert built.unzipped < QUOTA


def test_what_is_compiled(package: Get) -> None:
    """The slim package has the extension and three libraries; the pure one, and the trap, none."""
    extension, *libraries = package("slim").compiled
    assert extension.startswith("_mysql_connector.")
    assert libraries == ["libcrypto.so.3", "libssl.so.3", "mysql_native_password.so"]
    assert set(package("slim").compiled) < set(package("full").compiled)
    assert package("pure").compiled == package("manylinux2014").compiled == ()


@pytest.mark.parametrize("name", ["full", "slim", "pure"])
def test_packages_connect(package: Get, name: str, server: Server) -> None:
    """With nothing but the package each speaks with both servers, and warns of nothing.

    Without its plugin mysql_native_password the C extension gets into no MariaDB.
    """
    built = package(name)
    pure = name == "pure"
    code = f"""
import sys, warnings
warnings.simplefilter("error")
sys.path.insert(0, sys.argv[1])
import handler, slsmysql
connection = slsmysql.connect(**{server.params()!r}{", use_pure=True" if pure else ""})
with connection.cursor() as cursor:
    cursor.execute("SELECT %s", ("\\u20ac",))
    assert cursor.fetchall() == (("\\u20ac",),)
print(connection.handle.backend, slsmysql.__file__)
"""
    done = subprocess.run(built.command(code), capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.split() == ["pure" if pure else "c", f"{built.folder}/slsmysql/__init__.py"]


def test_trap_is_told(package: Get) -> None:
    """Who fell into it, and did not ask for the pure back end, is told by one warning."""
    code = """
import sys, warnings
sys.path.insert(0, sys.argv[1])
import slsmysql
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    try:
        slsmysql.connect(host="127.0.0.1", port=1)
    except slsmysql.OperationalError:
        pass
(warning,) = caught
print(warning.message)
"""
    trapped = package("manylinux2014")
    done = subprocess.run(trapped.command(code), capture_output=True, text=True, check=True)
    assert "No module named '_mysql_connector'" in done.stdout
    assert "SLSMYSQL_USE_PURE=1" in done.stdout


@pytest.mark.parametrize("name", ["slim", "pure"])
def test_byte_code_is_used_whatever_the_times_of_the_files_are(package: Get, name: str) -> None:
    """Each module has byte code that Python takes without looking at its source."""
    for path in package(name).folder.rglob("*.py"):
        cached = Path(importlib.util.cache_from_source(str(path)))
        flags = int.from_bytes(cached.read_bytes()[4:8], "little")
        assert flags == 0b01, cached  # by hash (bit 0), and unchecked (bit 1): PEP 552
