"""The house keeps its order: who may import whom, what is pure, and what importing it changes."""

from __future__ import annotations

import ast
import graphlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "slsmysql"

#: What a pure module may use of the standard library: no I/O, no clock, no randomness.
PURE_MODULES = {
    "abc",
    "builtins",
    "collections",
    "collections.abc",
    "dataclasses",
    "datetime",
    "decimal",
    "difflib",
    "enum",
    "functools",
    "itertools",
    "math",
    "operator",
    "re",
    "struct",
    "types",
    "typing",
    "warnings",
    "__future__",
}

#: The same, of modules that have more than that.
PURE_NAMES = {"time.struct_time"}

#: Methods of pure modules that look at a clock.
CLOCKS = {"now", "today", "utcnow"}


@dataclass(frozen=True)
class Row:
    """What a module of the package may import.

    ``own`` are modules of the package, ``types`` more of them that only annotations name,
    ``foreign`` top-level modules that are neither ours nor the standard library's.
    """

    own: str = ""
    types: str = ""
    foreign: str = ""
    pure: bool = False


#: What the package's users see of it: the way in for its own leaves, too.
PUBLIC = "__init__ connections constants converters cursors err events settings times"

#: Each module of the package, from the bottom to the top. One that is not here fails the test.
TABLE = {
    "constants": Row(pure=True),
    "times": Row(),
    "charset": Row(pure=True),
    "err": Row("constants", pure=True),
    "_text": Row(pure=True),
    "converters": Row("constants err times", pure=True),
    "optionfile": Row(),
    "mycnf": Row(),
    "options": Row("constants charset err _text mycnf"),
    "settings": Row("err _text", types="events _keywords", pure=True),
    "_keywords": Row(types="events settings", pure=True),
    "policy": Row("constants settings", pure=True),
    "backoff": Row("err", types="settings", pure=True),
    "session": Row("constants", pure=True),
    "state": Row("session", pure=True),
    "events": Row(),
    "_driver": Row("constants charset err options", foreign="mysql _mysql_connector"),
    "cursors": Row("constants err converters session", types="connections"),
    "manager": Row("policy backoff settings err events"),
    "results": Row("_driver", types="lifecycle"),
    "lifecycle": Row(
        "constants err converters session state events _driver cursors manager options results",
        types="settings",
        # Lambda's runtime has it where functions start from a snapshot.
        foreign="snapshot_restore_py",
    ),
    "connections": Row(
        "constants times charset err _text converters options settings policy backoff session state"
        " events _driver cursors manager results lifecycle",
        types="_keywords",
        foreign="snapshot_restore_py",
    ),
    "invocations": Row("connections manager events"),
    "__init__": Row(f"{PUBLIC} charset options session manager invocations"),
    "_cli": Row(f"{PUBLIC} options mycnf policy manager lifecycle _driver"),
    "__main__": Row(f"{PUBLIC} _cli"),
    "contrib": Row(f"{PUBLIC} options", foreign="sqlalchemy django opentelemetry"),
}


#: Users of the package within it: they know it, it does not know them.
LEAVES = {"__main__", "contrib"}


@dataclass(frozen=True)
class Import:
    """An import found in a source: of a module, or of a name from one."""

    module: str
    name: str
    where: str
    for_types: bool

    @property
    def top(self) -> str:
        """Return the top-level module."""
        return self.module.partition(".")[0]

    @property
    def own(self) -> str:
        """Return the row of the table that is imported from, or nothing."""
        if self.top != "slsmysql":
            return ""
        inner = f"{self.module}.{self.name}".split(".")[1]
        return inner if inner in MODULES else "__init__"


def module_of(path: Path) -> str:
    """Return the row of the table that a source file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


SOURCES = sorted(PACKAGE.rglob("*.py"))
MODULES = {module_of(path) for path in SOURCES}


def imports_of(path: Path) -> Iterator[Import]:
    """Yield each import of a source file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        inner
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test).endswith("TYPE_CHECKING")
        for statement in block.body
        for inner in ast.walk(statement)
    }
    package = path.relative_to(PACKAGE.parent).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            pairs = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            pairs = [(module, alias.name) for alias in node.names]
        else:
            continue
        where = f"{path.relative_to(PACKAGE.parent)}:{node.lineno}"
        for module, name in pairs:
            yield Import(module, name, where, node in for_types)


@pytest.fixture(params=SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def source(request: pytest.FixtureRequest) -> Path:
    """Each source file of the package."""
    path: Path = request.param
    return path


def test_every_module_is_in_the_table() -> None:
    """A new module needs a row: what it may know is decided before it knows it."""
    assert set(TABLE) >= MODULES


def test_table_has_no_circle() -> None:
    """Whoever a module imports when it is loaded never imports it, directly or by others."""
    graph = {
        name: [own for own in row.own.split() if own != "__init__"]
        for name, row in TABLE.items()
        if name not in LEAVES
    }
    assert tuple(graphlib.TopologicalSorter(graph).static_order())


def test_leaves_are_imported_by_nobody() -> None:
    """`contrib` and the command line know the package; it does not know them."""
    for name, row in TABLE.items():
        assert not LEAVES & {*row.own.split(), *row.types.split()}, name


def test_source_imports_what_its_row_allows(source: Path) -> None:
    """Of the package a module imports what the table gives it, and nothing else."""
    name = module_of(source)
    row = TABLE.get(name, Row())
    allowed = {name, *row.own.split()}
    broken = [
        found
        for found in imports_of(source)
        if found.own
        and found.own not in (allowed | set(row.types.split()) if found.for_types else allowed)
    ]
    assert not broken


def test_source_needs_only_driver_and_standard_library(source: Path) -> None:
    """Nothing foreign is imported at run time but the driver, and that by `_driver` alone."""
    row = TABLE.get(module_of(source), Row())
    allowed = {"slsmysql", *row.foreign.split(), *sys.stdlib_module_names}
    broken = [
        found for found in imports_of(source) if found.top not in allowed and not found.for_types
    ]
    assert not broken


def test_driver_is_named_by_one_module_even_for_types(source: Path) -> None:
    """Not even an annotation outside of `_driver` knows the driver."""
    named = {found.top for found in imports_of(source)} & {"mysql", "_mysql_connector"}
    assert not named or module_of(source) == "_driver"


def uses_of(path: Path) -> Iterator[str]:
    """Yield what a source uses, beyond the pure modules, as `time.struct_time`; and its clocks."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    yield from (ast.unparse(node) for node in attributes if node.attr in CLOCKS)
    for found in imports_of(path):
        if found.own or found.for_types or found.module in PURE_MODULES:
            continue
        if found.name:
            yield f"{found.module}.{found.name}"
        else:
            used = [node.attr for node in attributes if ast.unparse(node.value) == found.module]
            yield from (f"{found.module}.{attribute}" for attribute in used or ["*"])


@pytest.mark.parametrize("name", sorted(n for n, row in TABLE.items() if row.pure and n in MODULES))
def test_pure_module_has_neither_io_nor_clock_nor_chance(name: str) -> None:
    """What decides is given the time, the load and the dice: it cannot look for itself."""
    broken = {
        f"{path.name}: {use}"
        for path in SOURCES
        if module_of(path) == name
        for use in uses_of(path)
        if use not in PURE_NAMES
    }
    assert not broken


@pytest.mark.parametrize("first", ["ssl", "slsmysql"])
def test_import_leaves_the_authorities_alone(first: str) -> None:
    """HTTPS elsewhere in the process trusts whom it trusted, whichever was imported first."""
    count = "import ssl; print(ssl.create_default_context().cert_store_stats())"
    # The package under test, which may be installed, and not the sources beside the tests.
    spec = importlib.util.find_spec("slsmysql")
    assert spec is not None
    assert spec.origin is not None
    place = Path(spec.origin).parent.parent

    def run(code: str) -> str:
        command = [sys.executable, "-c", code]
        return subprocess.run(command, cwd=place, check=True, capture_output=True, text=True).stdout

    second = {"ssl": "slsmysql", "slsmysql": "ssl"}[first]
    assert run(f"import {first}, {second}; {count}") == run(count)
