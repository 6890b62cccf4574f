"""Deployment packages of a function: what they weigh, and what they cost a cold start.

    python -m benchmarks.package [--rounds 20] [--keep FOLDER]

Builds the zips of `docs/lambda.md` by the commands that stand there, for the Python that runs this,
unpacks each into a folder of its own, and measures in fresh interpreters that have this folder and
the standard library, and nothing else: the import; and import, connect and ``SELECT 1`` together,
on both servers, MySQL with TLS. PyMySQL is packed in the same way. Nothing is written beside the
modules, as nothing can be in a function's folder. Medians are told, and the fastest in parentheses.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.speed_stats import Spread, duration, order
from tests import servers

ROOT = Path(__file__).parents[1]

#: The Python and the machine that the recipes are written for.
PYTHON, MACHINE = "3.13", "x86_64"

#: The package with the C extension, as a whole. (Byte code is made by the last step, for the Python
#: that will run it, and not by pip for its own.)
FULL = """\
pip install --no-compile --target package --only-binary=:all: \\
    --platform manylinux_2_28_x86_64 --python-version 3.13 slsmysql
"""

#: The C extension without what a function does not need.
SLIM = """\
cd package
rm -r mysql/ai mysql/connector/aio mysql/connector/django mysql/vendor/private
find mysql/vendor/plugin -name '*.so' ! -name mysql_native_password.so -delete
strip --strip-all _mysql_connector*.so mysql/vendor/lib*.so* mysql/vendor/plugin/*.so
cd ..
"""

#: No compiled code at all.
PURE = """\
pip install --no-compile --target package --only-binary=:all: --platform any slsmysql
rm -r package/mysql/ai package/mysql/connector/aio package/mysql/connector/django
"""

#: What AWS's manual names for packages with compiled code, and what it gets here.
TRAP = """\
pip install --no-compile --target package --only-binary=:all: \\
    --platform manylinux2014_x86_64 --python-version 3.13 slsmysql
"""

#: The last step, for all of them.
ZIP = """\
cp handler.py package
python3.13 -m compileall -q --invalidation-mode unchecked-hash package
cd package
python3.13 -m zipfile -c ../function.zip *
cd ..
"""

VARIANTS = {"full": (FULL, ZIP), "slim": (FULL, SLIM, ZIP), "pure": (PURE, ZIP)}
TRAPPED = (TRAP, ZIP)
REFERENCE = (FULL.replace("slsmysql", "pymysql"), ZIP)

#: How the servers' makers write their names, and what is between them and the client.
SERVERS: dict[servers.Kind, str] = {"mariadb": "MariaDB", "mysql": "MySQL, TLS"}

#: Columns of the table, which is to be put into a page.
WIDTH = 160

#: A function's file, as it lies beside the package.
HANDLER = "import slsmysql\n"

#: Prints the seconds of the import, and of everything.
_TIMED = """
import sys, time
folder, module, pure = sys.argv[1:4]
host, port, user, password, database = sys.argv[4:] or [None] * 5
sys.path.insert(0, folder)
begin = time.perf_counter()
driver = __import__(module)
imported = time.perf_counter()
if host:
    options = {"use_pure": pure == "pure"} if module == "slsmysql" else {}
    connection = driver.connect(
        host=host, port=int(port), user=user, password=password, database=database, **options
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == ((1,),)
end = time.perf_counter()
print(imported - begin, end - begin)
"""


@dataclass(frozen=True)
class Package:
    """A deployment package.

    :ivar zipped: bytes of the zip.
    :ivar unzipped: bytes of its files.
    :ivar compiled: the names of the files of compiled code.
    :ivar folder: where it is unpacked.
    """

    name: str
    zipped: int
    unzipped: int
    compiled: tuple[str, ...]
    folder: Path
    module: str = "slsmysql"

    def command(self, code: str, *arguments: str) -> list[str]:
        """Return a command that runs code with nothing but the package on the path."""
        return [sys.executable, "-I", "-S", "-B", "-c", code, str(self.folder), *arguments]

    def seconds(self, params: dict[str, Any] | None = None) -> tuple[float, float]:
        """Return the seconds of the import, and of import, connect and SELECT 1."""
        names = ("host", "port", "user", "password", "database")
        given = [str(params[name]) for name in names] if params else []
        how = "c" if self.compiled else "pure"
        done = subprocess.run(
            self.command(_TIMED, self.module, how, *given),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        imported, all_of_it = done.stdout.split()
        return float(imported), float(all_of_it)


def make_wheel(folder: Path) -> Path:
    """Build the wheel of this project in a folder, and leave nothing in the project."""
    sources = folder / "sources"
    sources.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, sources)
    shutil.copytree(ROOT / "slsmysql", sources / "slsmysql")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]
    subprocess.run([*pip, str(folder), str(sources)], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def commands(recipe: Sequence[str], wheel: Path) -> str:
    """Return a recipe for the Python and the machine that run this, and for this project."""
    version = ".".join(platform.python_version_tuple()[:2])
    text = "set -e\n" + "".join(recipe).replace(f"python{PYTHON}", sys.executable)
    text = text.replace("pip install", f"{sys.executable} -m pip install --quiet")
    text = text.replace(MACHINE, platform.machine()).replace(PYTHON, version)
    return text.replace(" slsmysql\n", f" {wheel}\n")


def build(name: str, recipe: Sequence[str], wheel: Path, folder: Path) -> Package:
    """Build a package by its recipe, and unpack it."""
    if shutil.which("strip") is None:
        servers.apt_install("binutils")
    work = folder / name
    work.mkdir()
    (work / "handler.py").write_text(HANDLER, encoding="utf-8")
    subprocess.run(["/bin/sh", "-c", commands(recipe, wheel)], cwd=work, check=True)
    zipped = work / "function.zip"
    with zipfile.ZipFile(zipped) as archive:
        archive.extractall(work / "task")
        unzipped = sum(each.file_size for each in archive.infolist())
    shutil.rmtree(work / "package")
    compiled = tuple(sorted(path.name for path in (work / "task").rglob("*.so*")))
    module = "pymysql" if name == "PyMySQL" else "slsmysql"
    return Package(name, zipped.stat().st_size, unzipped, compiled, work / "task", module)


def size(count: int) -> str:
    """Return a number of bytes as text, in millions of them."""
    return f"{count / 1e6:.2f} MB"


def without_byte_code(package: Package, folder: Path) -> Package:
    """Return a copy of an unpacked package without its byte code."""
    copy = folder / f"{package.name} without .pyc"
    shutil.copytree(package.folder, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return replace(package, name=copy.name, zipped=0, folder=copy)


def main(argv: Sequence[str] | None = None) -> int:
    """Build, measure, print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.package", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--keep", type=Path, help="build into this folder, and leave it there")
    parser.add_argument("--json", type=Path, help="write what was measured to this file")
    args = parser.parse_args(argv)
    from rich.box import MARKDOWN
    from rich.console import Console
    from rich.progress import track
    from rich.table import Table

    console = Console()
    with ExitStack() as stack:
        folder = args.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(exist_ok=True)
        wheel = make_wheel(folder)
        recipes = {**VARIANTS, "manylinux2014": TRAPPED, "PyMySQL": REFERENCE}
        packages = {
            name: build(name, recipes[name], wheel, folder)
            for name in track(recipes, "building", console=console)
        }
        bare = [without_byte_code(packages[name], folder) for name in ("slim", "pure", "PyMySQL")]
        packages.update({package.name: package for package in bare})
        started = {kind: stack.enter_context(servers.start(kind)) for kind in servers.KINDS}
        columns = ["import", *(f"to `SELECT 1`, {SERVERS[kind]}" for kind in started)]
        times: dict[str, dict[str, list[float]]] = {
            name: {column: [] for column in columns} for name in packages
        }
        for turn in track(range(args.rounds), "starting cold", console=console):
            for name in order(list(packages), turn):
                package, taken = packages[name], times[name]
                taken["import"].append(package.seconds()[0])
                for column, server in zip(columns[1:], started.values(), strict=True):
                    taken[column].append(package.seconds(server.params())[1])
    grid = Table(box=MARKDOWN)
    for title in ("", "zip", "unzipped", "compiled files", *columns):
        grid.add_column(title, justify="right" if title else "left")
    for name, package in packages.items():
        spreads = [Spread.of(times[name][column]) for column in columns]
        grid.add_row(
            name,
            size(package.zipped) if package.zipped else "",
            size(package.unzipped) if package.zipped else "",
            str(len(package.compiled)) if package.zipped else "",
            *(f"{duration(each.median)} ({duration(each.best)})" for each in spreads),
        )
    Console(width=WIDTH).print(grid)
    if args.json:
        args.json.write_text(json.dumps(times), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
