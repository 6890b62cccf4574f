"""The commands of the pages: run where that is cheap, else held against what there is.

A command that is not known here is an error: it is to be marked in its page, or to be taught here.
"""

from __future__ import annotations

import ast
import configparser
import importlib.metadata
import importlib.util
import itertools
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from packaging.requirements import Requirement

from slsmysql.settings import PREFIX, Settings
from tests.docs.pages import ROOT
from tests.servers import Server

#: What the pages install besides the package itself.
OTHERS = {"tox"}

#: Options of pip that need nothing else to be right.
PIP_OPTIONS = {"-q"}

#: What a page writes for a server's name, and for what is to be replaced with it.
FAR = re.compile(r"\b(?:[\w-]+\.)*example\.com(?::\d+)?|\b127\.0\.0\.1:3306\b")

_SETTING = re.compile(r"(?P<name>[A-Z][A-Z0-9_]*)=(?P<value>.*)", re.DOTALL)


class Unknown(AssertionError):
    """A command that nothing is known about."""


class Shell:
    """Checks commands, with a server for those that want one."""

    def __init__(self, server: Server, folder: Path) -> None:
        """Run commands against ``server``, in ``folder``."""
        self._server, self._folder = server, folder

    def check(self, text: str) -> int:
        """Check each command of a block, and return how many there are."""
        commands = [command for line in _lines(text) for command in _split(line)]
        for command in commands:
            self._check(command)
        return len(commands)

    def _check(self, words: list[str]) -> None:
        while words and (match := _SETTING.fullmatch(words[0])):
            _check_setting(match["name"], match["value"])
            words = words[1:]
        if not words:
            return
        program, *arguments = words
        known: dict[str, Callable[[list[str]], None]] = {
            "cd": _no_check,
            "export": self._check,
            "pip": _check_pip,
            "pytest": _check_pytest,
            "python": self._check_python,
            "slsmysql": self._run_ours,
            "tox": check_tox,
        }
        name = Path(program).name
        name = "python" if re.fullmatch(r"python3?", name) else name
        if name not in known:
            raise Unknown(f"{program}: mark the block, or teach {__name__}")
        known[name](arguments)

    def _check_python(self, arguments: list[str]) -> None:
        match arguments:
            case ["-m", "slsmysql", *rest]:
                self._run_ours(rest)
            case ["-m", "venv", _]:
                pass
            case ["-m", "pip", *rest]:
                _check_pip(rest)
            case ["-m", module, *rest]:
                check_module(module, rest)
            case _:
                raise Unknown(f"python {shlex.join(arguments)}")

    def _run_ours(self, arguments: list[str]) -> None:
        """Run the package's own command on the server; it must understand, and get through."""
        place = f"{self._server.host}:{self._server.port}"
        arguments = [FAR.sub(place, each).replace("/orders", "/test") for each in arguments]
        done = subprocess.run(
            [sys.executable, "-m", "slsmysql", *arguments],
            check=False,
            env={**os.environ, "MYSQL_PWD": self._server.app.password},
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        # 1 is a finding: there is always some advice for an ordinary account.
        assert done.returncode in {0, 1}, (arguments, done.stdout, done.stderr)


def _no_check(_arguments: list[str]) -> None:
    """Nothing can be wrong with it."""


def _lines(text: str) -> list[str]:
    """Return the lines of a block with what a backslash continues, without comments."""
    joined = re.sub(r"\\\n\s*", " ", text)
    return [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def _split(line: str) -> list[list[str]]:
    """Return the commands of a line, each as its words."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&;")
    lexer.whitespace_split = True
    groups = itertools.groupby(lexer, lambda word: word in {"&&", ";"})
    return [list(words) for is_end, words in groups if not is_end]


def _check_setting(name: str, value: str) -> None:
    if name.startswith(PREFIX):
        Settings.build({}, {name: value})


def _check_pip(arguments: list[str]) -> None:
    assert arguments[0] == "install", arguments
    wanted = [word for word in arguments[1:] if word not in PIP_OPTIONS]
    assert wanted, arguments
    for word in wanted:
        requirement = Requirement(word)
        if requirement.name == "slsmysql":
            extras = importlib.metadata.metadata("slsmysql").get_all("Provides-Extra", [])
            assert requirement.extras <= set(extras), f"{word}: the extras are {extras}"
        else:
            assert requirement.name in OTHERS, f"{word}: neither ours nor known"


def _check_pytest(arguments: list[str]) -> None:
    for word in arguments:
        assert word.startswith("-") or (ROOT / word).exists(), word


def tox_environments() -> dict[str, str]:
    """Return tox.ini's environments, with the command that each runs."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "tox.ini")
    found = dict.fromkeys(parser["tox"]["env_list"].split(), parser["testenv"]["commands"])
    for section in parser.sections():
        kind, _, pattern = section.partition(":")
        if kind == "testenv" and pattern:
            for name in _expand(pattern):
                found[name] = parser[section].get("commands", parser["testenv"]["commands"])
    return found


def _expand(pattern: str) -> list[str]:
    """Return the names that a section's braces stand for."""
    parts = re.split(r"\{([^}]*)\}", pattern)
    choices = [part.split(",") if n % 2 else [part] for n, part in enumerate(parts)]
    return ["".join(each) for each in itertools.product(*choices)]


def check_tox(arguments: Sequence[str]) -> None:
    """Check that the environments of a tox command are there, and take what is passed on."""
    environments = tox_environments()
    words = list(arguments)
    passed = words[words.index("--") + 1 :] if "--" in words else []
    words = words[: len(words) - len(passed) - bool("--" in words)]
    match words:
        case ["run"]:
            chosen = []
        case ["run", "-e", names]:
            chosen = names.split(",")
        case _:
            raise Unknown(f"tox {shlex.join(arguments)}")
    for name in chosen:
        assert name in environments, f"tox.ini has no environment {name}"
        if passed:
            match = re.search(r"python -m (\S+)", environments[name])
            assert match, f"{name} takes nothing"
            check_module(match[1], passed)


def check_module(module: str, arguments: Sequence[str]) -> None:
    """Check that a module can be run, and that it has the options that it is given."""
    spec = importlib.util.find_spec(module)
    assert spec is not None, f"there is no module {module}"
    if spec.submodule_search_locations is not None:
        spec = importlib.util.find_spec(f"{module}.__main__")
        assert spec is not None, f"{module} cannot be run"
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    options = {
        each.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "add_argument"
        for each in node.args
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    }
    for word in arguments:
        if word.startswith("-"):
            assert word.partition("=")[0] in options, f"{module} has no {word}: {sorted(options)}"
