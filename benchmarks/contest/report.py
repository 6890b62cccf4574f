"""What a person sees of the contest: tables on the terminal and in Markdown, data, and the laws."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from benchmarks.contest.agreement import Pair
from benchmarks.contest.contenders import NULL
from benchmarks.contest.figures import Duel, Line, Round, Target
from benchmarks.contest.scenarios import RATIOS
from benchmarks.fleet import Spread
from tests.servers import Kind

#: How the servers' makers write their names.
SERVERS: dict[Kind, str] = {"mariadb": "MariaDB", "mysql": "MySQL"}

Column = tuple[str, Callable[[Line], str]]


def _ms(spread: Spread | None, name: str) -> str:
    return "" if spread is None else f"{getattr(spread, name) * 1e3:,.0f}"


def _mean(spread: Spread | None) -> str:
    return "" if spread is None else f"{spread.mean * 1e3:,.1f}"


#: Of the tables: heading, and how a line shows it.
COLUMNS: tuple[Column, ...] = (
    ("done", lambda line: f"{line.done}"),
    ("failed", lambda line: f"{line.failed}"),
    ("mean", lambda line: _mean(line.latency)),
    ("p50", lambda line: _ms(line.latency, "p50")),
    ("p95", lambda line: _ms(line.latency, "p95")),
    ("p99", lambda line: _ms(line.latency, "p99")),
    ("max", lambda line: _ms(line.latency, "max")),
    ("settled p99", lambda line: _ms(line.settled, "p99")),
    ("first", lambda line: _ms(line.first, "mean")),
    ("first, max", lambda line: _ms(line.first, "max")),
    ("per s", lambda line: f"{line.throughput:.0f}"),
    ("containers", lambda line: f"{line.peak_containers}"),
    ("connects", lambda line: f"{line.connects}"),
    ("refused", lambda line: f"{line.refused}"),
    ("open", lambda line: f"{line.mean_open:.0f}"),
    ("peak", lambda line: f"{line.peak_open}"),
    ("kills", lambda line: f"{line.kills}"),
    ("CPU", lambda line: "" if line.cpu is None else f"{line.cpu:.3f}"),
    ("busy", lambda line: "" if line.busy is None else f"{line.busy:.0%}"),
)

#: What the headings mean.
CAPTION = (
    "Latencies in ms from arrival to result, queueing and cold start included, of what was done:"
    " mean, percentiles, and the same of what arrived when the fleet had started (settled), and of"
    " what a container was started for (first). Done per second; containers alive, at most;"
    " connects made and refused; connections open, in the mean and at most; KILL statements;"
    " seconds of the server's processor for 1000 invocations, without the harness's queries; how"
    " busy the machine was with all of it: near 100 % its processors are what was waited for."
)


def heading(each: Round) -> str:
    """Return a round's title."""
    scenario = each.scenario
    rate = f"{scenario.rate:g} per s" if scenario.rate else "bursts only"
    can = "" if scenario.carried else "; more than the connections can carry"
    restored = "; containers from a snapshot" if scenario.restored else ""
    return (
        f"{scenario.name}: {scenario.what} ({rate}, {scenario.seconds:g} s,"
        f" {scenario.connections} connections, up to {scenario.containers} containers,"
        f" {each.own * 1e3:.1f} ms a query{restored}{can})"
    )


def errors(line: Line) -> str:
    """Return a line's errors in words."""
    return ", ".join(f"{count} {label}" for label, count in line.errors.items())


def table(each: Round) -> Table:
    """Return a round as a table: a row for each contender."""
    grid = Table(title=heading(each), title_justify="left", padding=(0, 0))
    grid.add_column("")
    for name, _ in COLUMNS:
        grid.add_column(name, justify="right")
    for line in each.lines:
        if line.reason:
            grid.add_row(line.name, f"[red]not here: {line.reason}")
            continue
        cells = [show(line) for _, show in COLUMNS]
        style = "dim" if line.name == NULL.name else "red" if line.failed else None
        grid.add_row(line.name, *cells, style=style)
        if line.errors:
            grid.add_row(f"  {errors(line)}", style="red")
    return grid


def verdicts(kind: Kind, found: Sequence[Target]) -> Table:
    """Return the targets as a table."""
    grid = Table(title=f"{SERVERS[kind]}: what was to be reached", title_justify="left")
    for name in ("", "target", "measured"):
        grid.add_column(name)
    for target in found:
        colour = "green" if target.met else "yellow" if target.level else "red"
        word = f"[{colour}]{target.verdict}"
        grid.add_row(word, target.what, target.measured)
    return grid


def agreements(pairs: Sequence[tuple[str, Sequence[Pair]]]) -> Table:
    """Return the simulator's figures beside the emulator's."""
    grid = Table(title="slsmysql, emulator / simulator", title_justify="left")
    grid.add_column("")
    for pair in pairs[0][1]:
        grid.add_column(pair.what, justify="right")
    for name, row in pairs:
        grid.add_row(name, *(f"{pair.emulator:.0f} / {pair.simulator:.0f}" for pair in row))
    return grid


# -- Markdown ----------------------------------------------------------------------------------


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *("---:" for _ in head[1:])]
    return [_row(head), _row(rule), *map(_row, rows), ""]


def markdown(
    kind: Kind,
    intro: str,
    rounds: Sequence[Round],
    found: Sequence[Target],
    pairs: Sequence[tuple[str, Sequence[Pair]]],
    figure: str,
) -> str:
    """Return everything as Markdown, for a page of the documentation.

    :param intro: what ran where, in a sentence.
    :param figure: the laws' file name; empty if there is none.
    """
    lines = [f"### {SERVERS[kind]}", "", intro, ""]
    met = sum(target.met for target in found)
    level = sum(target.level for target in found)
    also = f", {level} level (the laps say now this, now that)" if level else ""
    lines += [f"Of {len(found)} targets {met} were met{also}; those that were not met:", ""]
    lines += [
        f"- {each.what}: {each.measured}{' (level)' if each.level else ''}"
        for each in found
        if not each.met
    ] or ["- none"]
    lines.append("")
    lines += [f"![The laws on {SERVERS[kind]}]({figure})", ""] if figure else []
    for each in rounds:
        lines += [f"**{heading(each)}**", ""]
        rows = [
            [line.name, f"not here: {line.reason}", *[""] * (len(COLUMNS) - 1)]
            if line.reason
            else [line.name, *(show(line) for _, show in COLUMNS)]
            for line in each.lines
        ]
        lines += _grid(["", *(name for name, _ in COLUMNS)], rows)
        failed = [f"- {line.name}: {errors(line)}" for line in each.lines if line.errors]
        lines += [*failed, ""] if failed else []
    lines += ["**Targets**", ""]
    lines += _grid(
        ["target", "", "measured"],
        [
            [each.what, each.verdict if each.met else f"**{each.verdict}**", each.measured]
            for each in found
        ],
    )
    if pairs:
        lines += ["**slsmysql, emulator / simulator**", ""]
        lines += _grid(
            ["", *(pair.what for pair in pairs[0][1])],
            [
                [name, *(f"{pair.emulator:.0f} / {pair.simulator:.0f}" for pair in row)]
                for name, row in pairs
            ],
        )
    return "\n".join(lines).rstrip() + "\n"


def insert(page: Path, kind: Kind, text: str) -> None:
    """Put a server's figures between their marks in a page of the documentation."""
    begin, end = f"<!-- {kind}: begin -->", f"<!-- {kind}: end -->"
    before = page.read_text(encoding="utf-8")
    pattern = re.escape(begin) + ".*" + re.escape(end)
    after, count = re.subn(pattern, lambda _: f"{begin}\n\n{text}\n{end}", before, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"{page} has no place for {kind}: {begin} {end}")
    page.write_text(after, encoding="utf-8")


def data(
    rounds: Sequence[Round], found: Sequence[Target], duel: Duel | None = None
) -> dict[str, object]:
    """Return rounds, laps and targets as JSON's types."""
    return {
        "laps": None if duel is None else asdict(duel),
        "rounds": [asdict(each) for each in rounds],
        "targets": [asdict(target) for target in found],
    }


# -- the laws ----------------------------------------------------------------------------------

#: Colours that stay apart for every kind of sight.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


def _of(spread: Spread | None, name: str) -> float | None:
    """Return one figure of a spread, in milliseconds."""
    return None if spread is None else float(getattr(spread, name)) * 1e3


Measure = Callable[[Line], float | None]

#: Of the figure: heading, what is drawn, and whether the axis is logarithmic.
LAWS: tuple[tuple[str, Measure, bool], ...] = (
    ("latency, mean, ms", lambda line: _of(line.latency, "mean"), True),
    ("latency, p99, when the fleet has started, ms",
     lambda line: _of(line.settled, "p99"), True),
    ("failed, %", lambda line: line.failed / max(1, line.invocations) * 100, False),
    ("refused connects for each invocation",
     lambda line: line.refused / max(1, line.invocations), False),
    ("connects for each invocation", lambda line: line.connects / max(1, line.invocations), False),
    ("the server's CPU, s for 1000 invocations", lambda line: line.cpu, False),
)  # fmt: skip


def draw(kind: Kind, rounds: Sequence[Round], path: Path) -> bool:
    """Draw how the figures grow with containers for each connection; False if there is no law."""
    wanted = {f"{ratio}x": ratio for ratio in RATIOS}
    laws = [each for each in rounds if each.scenario.name in wanted]
    if len(laws) < 2:
        return False
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib import ticker

    names = list(dict.fromkeys(line.name for each in laws for line in each.lines))
    figure, axes = plt.subplots(2, 3, sharex=True, figsize=(15, 8), layout="constrained")
    containers = laws[0].scenario.containers
    figure.suptitle(
        f"Bursts of {containers} containers, {SERVERS[kind]}, a query of"
        f" {laws[0].own * 1e3:.0f} ms: the fewer connections",
        fontsize=14,
    )
    for panel, (title, measure, logarithmic) in zip(axes.flat, LAWS, strict=True):
        for name, colour in zip(names, COLOURS, strict=False):
            points = [
                (wanted[each.scenario.name], value)
                for each in laws
                if (line := each.line(name)) is not None and (value := measure(line)) is not None
            ]
            panel.plot(*zip(*points, strict=True), marker="o", color=colour, label=name)
        panel.set_title(title, fontsize=11)
        panel.set_xscale("log")
        panel.set_xticks(list(wanted.values()))
        panel.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
        panel.xaxis.set_minor_locator(ticker.NullLocator())
        if logarithmic:
            panel.set_yscale("log")
            panel.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
        else:
            panel.set_ylim(bottom=0)
        panel.grid(visible=True, color="0.9")
    for panel in axes[1]:
        panel.set_xlabel("containers for each connection")
    axes[0][0].legend()
    figure.savefig(path, dpi=90)
    plt.close(figure)
    return True
