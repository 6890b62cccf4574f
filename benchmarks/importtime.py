"""The import time of slsmysql beside that of the driver underneath and of PyMySQL.

    python -m benchmarks.importtime [--rounds 30] [--loaded]

Each import is made in a fresh process and timed there, from before the import to behind it, so
that the interpreter's own start does not count; the modules take turns, and medians are told.
With ``--loaded`` the modules that slsmysql loads are listed, slowest first.

The exit status is 0 when slsmysql costs no more than the driver by itself, within 10 %; else 1.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence

from benchmarks.speed_stats import Spread, duration, order, ratio

OURS, DRIVER = "slsmysql", "mysql.connector"
MODULES = (OURS, DRIVER, "pymysql")

#: As many times as long as the driver's own import ours may take.
MOST = 1.1

#: What a program may never use; slsmysql has to load it when it does.
LAZY = (
    "mysql.connector",
    "dataclasses",
    "inspect",
    "ssl",
    "socket",
    "random",
    "configparser",
    "urllib.parse",
    "platform",
    "subprocess",
    "tempfile",
    "asyncio",
    "getpass",
    "dns",
    "opentelemetry",
    "slsmysql.optionfile",
    "slsmysql._driver.pure",
)

_TIMED = """
import sys, time
begin = time.perf_counter()
import {module}
end = time.perf_counter()
print(end - begin, len(sys.modules))
"""

_LINE = re.compile(r"import time:\s*(\d+) \|\s*(\d+) \| (\s*)(\S+)")


def environment(folder: str) -> dict[str, str]:
    """Return the environment of the processes: byte code is written, and kept in ``folder``.

    As installed by pip every module has its byte code; a source tree may not, or may not be given
    any (PYTHONDONTWRITEBYTECODE).
    """
    ours = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
    ours.pop("PYTHONDONTWRITEBYTECODE", None)
    return ours


def once(module: str, env: Mapping[str, str]) -> tuple[float, int]:
    """Return the seconds that the import takes in a fresh process, and the modules there then."""
    done = subprocess.run(
        [sys.executable, "-c", _TIMED.format(module=module)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=env,
    )
    seconds, modules = done.stdout.split()
    return float(seconds), int(modules)


def loaded(module: str, env: Mapping[str, str]) -> list[tuple[str, float]]:
    """Return what an import loads and what each costs by itself in seconds, slowest first."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", f"import {module}"],
        stderr=subprocess.PIPE,
        text=True,
        check=True,
        env=env,
    )
    return parse(done.stderr)


def parse(report: str) -> list[tuple[str, float]]:
    """Return the modules of ``-X importtime`` with their own seconds, slowest first.

    What is loaded before the first line of a program (up to ``site``) is left out.
    """
    found = [
        (match[4], int(match[1]) / 1e6)
        for line in report.splitlines()
        if (match := _LINE.match(line))
    ]
    names = [name for name, _ in found]
    if "site" in names:
        found = found[names.index("site") + 1 :]
    return sorted(found, key=lambda each: -each[1])


def needless(modules: Sequence[str]) -> list[str]:
    """Return those of ``modules`` that should be loaded when they are used."""
    return [name for name in modules if name in LAZY]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a table, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.importtime", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--loaded", action="store_true", help="list what slsmysql loads")
    args = parser.parse_args(argv)
    from rich.console import Console
    from rich.progress import track
    from rich.table import Table

    console = Console()
    times: dict[str, list[float]] = {module: [] for module in MODULES}
    with tempfile.TemporaryDirectory(prefix="slsmysql-importtime-") as folder:
        env = environment(folder)
        counts = {module: once(module, env)[1] for module in MODULES}  # and writes the byte code
        base = once("time", env)[1]  # which is there anyway
        for turn in track(range(args.rounds), "importing", console=console):
            for module in order(MODULES, turn):
                times[module].append(once(module, env)[0])
        modules = loaded(OURS, env)
    grid = Table()
    for name in ("", "median", "fastest", "modules", f"times {DRIVER}'s"):
        grid.add_column(name, justify="right" if name else "left")
    for module in MODULES:
        spread, against = Spread.of(times[module]), ratio(times[DRIVER], times[module])
        grid.add_row(
            module,
            f"{duration(spread.median)} ±{spread.noise:.0%}",
            duration(spread.best),
            str(counts[module] - base),
            f"{against.value:.2f} ({against.low:.2f} to {against.high:.2f})",
        )
    console.print(grid)
    if args.loaded:
        for name, seconds in modules:
            console.print(f"{seconds * 1e3:7.2f} ms  {name}", highlight=False)
    for name in needless([name for name, _ in modules]):
        console.print(f"loaded, and seldom needed: {name}", highlight=False)
    times_as_long = ratio(times[DRIVER], times[OURS])
    met = times_as_long.value <= MOST
    console.print(
        f"{'met' if met else 'missed'}: {OURS} takes {times_as_long.value:.2f} times as long as"
        f" {DRIVER}; target: at most {MOST:g}",
        highlight=False,
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
