"""What a person sees of the results: a table, a figure, and the data behind them."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from benchmarks.fleet import Result, Spread, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Colours that stay apart for every kind of sight.
BLUE, RED, GREEN = "#0072b2", "#cc2200", "#00795a"

#: Which figures of each spread a table shows.
SHOWN = {
    "latency": ("mean", "p50", "p95", "p99", "max"),
    "in the handler": ("mean", "p99"),
    "cold start": ("mean", "max"),
}


def table(results: Sequence[Result]) -> Table:
    """Set the results side by side: a column for each contender."""
    summaries = [Summary.of(result) for result in results]
    grid = Table(
        caption="Latency is from arrival to result, with queueing and cold start, of what was done:"
        " what failed, mostly at a cold start, is left out.",
        caption_justify="left",
    )
    grid.add_column("")
    for result in results:
        grid.add_column(result.contender, justify="right")

    def row(name: str, values: Sequence[object], style: str | None = None) -> None:
        grid.add_row(name, *(str(value) for value in values), style=style)

    row("invocations", [each.invocations for each in summaries])
    row("done", [each.ok for each in summaries], "green")
    row("failed", [each.invocations - each.ok for each in summaries], "red")
    for label in dict.fromkeys(label for each in summaries for label in each.errors):
        row(f"  {label}", [each.errors.get(label, 0) for each in summaries], "red")
    grid.add_section()
    for name, spreads in (
        ("latency", [each.latency for each in summaries]),
        ("in the handler", [each.handler for each in summaries]),
        ("cold start", [each.init for each in summaries]),
    ):
        for figure in SHOWN[name]:
            row(f"{name}, {figure}, ms", [_milliseconds(one, figure) for one in spreads])
    grid.add_section()
    row("connections open, peak", [each.peak_connections for each in summaries])
    row("connections open, mean", [f"{each.mean_connections:.1f}" for each in summaries])
    row("connects made", [result.traffic.made for result in results])
    row("connects refused", [result.traffic.refused for result in results])
    row("sessions killed", [result.traffic.killed for result in results])
    grid.add_section()
    row("containers started", [each.started for each in summaries])
    row("containers alive, peak", [each.peak_alive for each in summaries])
    for fate in dict.fromkeys(fate for result in results for fate in result.ends):
        row(f"  {fate.value}", [result.ends.get(fate, 0) for result in results])
    for name, cost in (
        ("of the server", [result.cost.server for result in results]),
        ("of the containers", [result.cost.containers for result in results]),
        ("of the platform", [result.cost.platform for result in results]),
    ):
        row(f"CPU seconds {name}", ["" if one is None else f"{one:.1f}" for one in cost])
    row("platform late at worst, ms", [f"{result.cost.late * 1000:,.0f}" for result in results])
    return grid


def _milliseconds(spread: Spread | None, field: str) -> str:
    """Return one figure of a spread, which is in seconds."""
    return "" if spread is None else f"{getattr(spread, field) * 1000:,.0f}"


def data(results: Sequence[Result]) -> dict[str, Any]:
    """Return the results and their summaries as JSON's types."""
    return {
        result.contender: {
            "summary": _plain(dataclasses.asdict(Summary.of(result))),
            "result": _plain(dataclasses.asdict(result)),
        }
        for result in results
    }


def _plain(value: Any) -> Any:
    """Return a value with the enumerations in it replaced by their values."""
    if isinstance(value, dict):
        return {_plain(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.value if isinstance(value, enum.Enum) else value


def draw(results: Sequence[Result], path: Path, *, title: str, limit: int) -> None:
    """Draw latencies and open connections over time, a column for each contender.

    :param path: where to; its suffix says which format.
    :param title: what was run.
    :param limit: the server's ``max_connections``.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib import ticker

    figure, axes = plt.subplots(
        2,
        len(results),
        sharex=True,
        sharey="row",
        squeeze=False,
        figsize=(max(9.0, 6.5 * len(results)), 8),
        height_ratios=(3, 2),
        layout="constrained",
    )
    figure.suptitle(title, fontsize=14)
    for result, above, below in zip(results, *axes, strict=True):
        _draw_latencies(result, above)
        _draw_connections(result, below, limit)
    axes[0][0].set_yscale("log")
    axes[0][0].yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axes[0][0].yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axes[0][0].yaxis.set_minor_formatter(ticker.NullFormatter())
    axes[0][0].set_ylabel("seconds from arrival to result")
    axes[1][0].set_ylabel("containers, connections")
    highest = max(max(one.alive, one.connections) for each in results for one in each.samples)
    axes[1][0].set_ylim(0, 1.35 * highest)  # with room for the legend
    axes[1][0].set_xlim(left=0)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _draw_latencies(result: Result, axes: Axes) -> None:
    """Draw each invocation as a point at the time of its result."""
    done = [each for each in result.invocations if each.failure is None]
    failed = [each for each in result.invocations if each.failure is not None]
    axes.scatter(
        [each.finished for each in done],
        [each.latency for each in done],
        s=7,
        color=BLUE,
        alpha=0.5,
        linewidths=0,
        label="done",
    )
    axes.scatter(
        [each.finished for each in failed],
        [each.latency for each in failed],
        s=20,
        color=RED,
        marker="x",
        linewidths=1,
        label="failed",
    )
    axes.set_title(
        f"{result.contender}: {len(failed)} of {len(result.invocations)} invocations failed",
        color=RED if failed else GREEN,
        fontweight="bold",
    )
    axes.grid(visible=True, axis="y", color="0.9")
    axes.set_axisbelow(True)
    axes.legend(loc="upper left", markerscale=2)


def _draw_connections(result: Result, axes: Axes, limit: int) -> None:
    """Draw how many containers there are, and how many connections are open on the server."""
    moments = [sample.at for sample in result.samples]
    axes.fill_between(
        moments,
        [sample.alive for sample in result.samples],
        color="0.88",
        linewidth=0,
        label="containers alive",
    )
    axes.plot(
        moments,
        [sample.lost for sample in result.samples],
        color="0.4",
        linewidth=1,
        label="containers lost: frozen for ever",
    )
    axes.axhline(limit, color=RED, linestyle="--", linewidth=1, label=f"max_connections: {limit}")
    axes.plot(
        moments,
        [sample.connections for sample in result.samples],
        color=BLUE,
        linewidth=1.8,
        label="connections open",
    )
    axes.set_xlabel("seconds since the first arrival")
    axes.legend(loc="upper left", ncols=2)
