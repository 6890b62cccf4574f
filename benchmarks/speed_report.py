"""What a person sees of a speed run: tables, verdicts, a figure, and the data behind them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.speed_contenders import CONTENDERS, PURE, PYMYSQL, C
from benchmarks.speed_stats import Checked, Spread, Target, check, duration, ratio

#: Colours that stay apart for every kind of sight, and marks that do without colour.
MARKS = (
    ("#0072b2", "o"),
    ("#56b4e9", "s"),
    ("0.35", "|"),
    ("#d55e00", "^"),
    ("#009e73", "D"),
    ("#8fd3bd", "v"),
)

STYLES = {"met": "green", "missed": "red", "unsure": "yellow", None: "dim"}

#: The ratios that the figure has room for.
SHOWN = (0.3, 16)

#: Bytes that a peak may differ by from run to run.
SLACK = 256 * 1024


@dataclass(frozen=True)
class Report:
    """A whole run.

    :param versions: of Python and the drivers.
    :param tls: whether everything went over TLS.
    :param workloads: what each is, by name, in the order of the tables.
    :param contenders: those who ran everything, in the order of the columns.
    :param extra: those who ran one workload each.
    :param missing: why a contender did not take part, by name.
    :param targets: what has to be reached.
    :param servers: for each server its name ("server"), the seconds per operation by workload
        and contender ("times"), and the peaks by contender ("memory").
    """

    versions: Mapping[str, str]
    tls: bool
    workloads: Mapping[str, str]
    contenders: Sequence[str]
    extra: Sequence[str]
    missing: Mapping[str, str]
    targets: Sequence[Target]
    servers: Sequence[Mapping[str, Any]]

    @property
    def subtitle(self) -> str:
        """Return the versions and the TLS setting in a line."""
        said = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return f"{said}; {'with TLS' if self.tls else 'without TLS'}"

    # -- tables --------------------------------------------------------------------------------

    def tables(self) -> Iterator[Table]:
        """Return the tables of each server."""
        for server in self.servers:
            yield self._medians(server)
            yield self._ratios(server)
            if server["memory"]:
                yield self._peaks(server)

    def _medians(self, server: Mapping[str, Any]) -> Table:
        grid = Table(
            title=f"{server['server']}: median time of one operation, ± half the quartiles'"
            " distance",
            caption=self.subtitle,
        )
        grid.add_column("")
        for name in self.contenders:
            grid.add_column(name, justify="right")
        for workload, times in server["times"].items():
            grid.add_row(workload, *(self._time(name, times) for name in self.contenders))
            for name in self.extra:
                if name in times:
                    grid.add_row(f"  {name}", self._time(name, times))
        return grid

    def _time(self, name: str, times: Mapping[str, Sequence[float]]) -> str:
        if name not in times:
            return "[dim]missing[/]" if name in self.missing else ""
        spread = Spread.of(times[name])
        return f"{duration(spread.median)} [dim]±{spread.noise:4.0%}[/]"

    def _ratios(self, server: Mapping[str, Any]) -> Table:
        grid = Table(
            title=f"{server['server']}: how many times as fast, with the 95 % interval of the"
            " median, and the target"
        )
        for name in ("", "", "as", "times as fast", "interval", "target", ""):
            right = name in {"times as fast", "interval", "target"}
            grid.add_column(name, justify="right" if right else "left")
        last = ""
        for one in check(self.targets, server["times"]):
            target, found = one.target, one.found
            shown = (f"{found.value:.2f}", f"{found.low:.2f} to {found.high:.2f}") if found else ()
            if last != target.ours + target.theirs:
                grid.add_section()
            last = target.ours + target.theirs
            style = STYLES[one.verdict]
            grid.add_row(
                target.ours,
                target.workload,
                target.theirs,
                *(shown or ("", "")),
                f"{target.least:g}",
                f"[{style}]{one.verdict or 'not measured'}[/]",
            )
        return grid

    def _peaks(self, server: Mapping[str, Any]) -> Table:
        grid = Table(
            title=f"{server['server']}: peak memory of the fetch in MiB, Python's / the process's"
        )
        grid.add_column("")
        for name in server["memory"]:
            grid.add_column(name, justify="right")
        kinds = next(iter(server["memory"].values()))
        for kind in kinds:
            grid.add_row(
                kind,
                *(
                    f"{peaks[kind]['python'] / 2**20:.1f} / {peaks[kind]['resident'] / 2**20:.1f}"
                    for peaks in server["memory"].values()
                ),
            )
        return grid

    # -- verdicts ------------------------------------------------------------------------------

    def checked(self, server: Mapping[str, Any]) -> list[Checked]:
        """Return the targets that were measured on a server."""
        return [one for one in check(self.targets, server["times"]) if one.found is not None]

    def memory_checked(self, server: Mapping[str, Any]) -> dict[str, bool]:
        """Return what is asked of memory on a server, and whether it holds."""
        peaks = server["memory"]
        found = {}
        for name in (C.name, PURE.name):
            if name not in peaks:
                continue
            for kind in ("python", "resident"):
                if PYMYSQL.name in peaks:
                    theirs = peaks[PYMYSQL.name]["buffered"][kind]
                    found[f"{name}: peak of 20 000 rows ({kind}) no more than PyMySQL's"] = (
                        peaks[name]["buffered"][kind] <= theirs + SLACK
                    )
                few = peaks[name]["streamed"][kind]
                many = peaks[name]["streamed, 5 times as many"][kind]
                found[f"{name}: SSCursor's peak ({kind}) constant in the number of rows"] = (
                    many <= few + SLACK
                )
        return found

    def verdicts(self) -> Iterator[str]:
        """Return a line for each server's count, and one for each target that is not met."""
        for server in self.servers:
            checked, memory = self.checked(server), self.memory_checked(server)
            met = sum(one.verdict == "met" for one in checked) + sum(memory.values())
            yield f"{server['server']}: {met} of {len(checked) + len(memory)} targets are met"
            for one in checked:
                if one.found is not None and one.verdict != "met":
                    target = one.target
                    yield (
                        f"  {one.verdict}: {target.workload}: {target.ours} is"
                        f" {one.found.value:.2f} ({one.found.low:.2f} to {one.found.high:.2f})"
                        f" times as fast as {target.theirs}; target {target.least:g}"
                    )
            for name, holds in memory.items():
                if not holds:
                    yield f"  missed: {name}"

    def missed(self) -> bool:
        """Return whether a target was surely missed."""
        return any(
            any(one.verdict == "missed" for one in self.checked(server))
            or not all(self.memory_checked(server).values())
            for server in self.servers
        )

    # -- data and figure -----------------------------------------------------------------------

    def data(self) -> dict[str, Any]:
        """Return everything as JSON's types."""
        return {
            "versions": dict(self.versions),
            "tls": self.tls,
            "workloads": dict(self.workloads),
            "missing": dict(self.missing),
            "servers": [
                {
                    "server": server["server"],
                    "medians": {
                        workload: {
                            name: asdict(Spread.of(seconds)) for name, seconds in times.items()
                        }
                        for workload, times in server["times"].items()
                    },
                    "targets": [
                        {
                            **asdict(one.target),
                            "found": asdict(one.found) if one.found else None,
                            "verdict": one.verdict,
                        }
                        for one in check(self.targets, server["times"])
                    ],
                    "memory": server["memory"],
                    "memory targets": self.memory_checked(server),
                    "times": server["times"],
                }
                for server in self.servers
            ],
        }

    def draw(self, path: Path) -> None:
        """Draw how many times as fast as PyMySQL everybody is, a panel for each server.

        :param path: where to; its suffix says which format.
        """
        import matplotlib as mpl

        mpl.use("Agg")
        from matplotlib import pyplot as plt
        from matplotlib import ticker

        height = 1.6 + 0.42 * len(self.workloads)
        figure, panels = plt.subplots(
            1,
            len(self.servers),
            sharey=True,
            squeeze=False,
            figsize=(2.6 + 6.2 * len(self.servers), height),
            layout="constrained",
        )
        for axes, server in zip(panels[0], self.servers, strict=True):
            self._draw_server(axes, server)
            axes.set_xscale("log")
            axes.set_xlim(*SHOWN)
            axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
            axes.xaxis.set_minor_formatter(ticker.NullFormatter())
            axes.set_xlabel("times as fast as PyMySQL (further right is faster)")
        panels[0][0].set_yticks(range(len(self.workloads)), list(self.workloads))
        panels[0][0].invert_yaxis()
        handles, labels = panels[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
        subtitle = textwrap.fill(self.subtitle, 60 + 60 * len(self.servers))
        figure.suptitle(f"The same work through each driver\n{subtitle}", fontsize=11)
        figure.savefig(path, dpi=110)
        plt.close(figure)

    def _draw_server(self, axes: Any, server: Mapping[str, Any]) -> None:
        """Draw one server's ratios: a row for each workload, a mark for each contender."""
        axes.set_title(server["server"], fontweight="bold")
        axes.axvline(1, color="0.35", linewidth=1.2)
        least = {
            one.workload: one.least
            for one in self.targets
            if one.ours == C.name and one.theirs == PYMYSQL.name
        }
        rows = list(self.workloads)
        axes.scatter(
            [least[name] for name in rows if name in least],
            [row for row, name in enumerate(rows) if name in least],
            marker="|",
            s=330,
            linewidths=2,
            color="#cc79a7",
            label=f"what {C.name} has to reach",
            zorder=2,
        )
        for contender, (color, mark) in zip(CONTENDERS, MARKS, strict=True):
            name = contender.name
            if name not in self.contenders or name in self.missing or contender is PYMYSQL:
                continue
            values, places = [], []
            for row, workload in enumerate(rows):
                times = server["times"][workload]
                if PYMYSQL.name not in times:
                    continue
                found = ratio(times[name], times[PYMYSQL.name])
                axes.plot([found.low, found.high], [row, row], color=color, linewidth=1.4, zorder=2)
                if found.value > SHOWN[1]:
                    # Off to the right: at the edge, with the figure in words.
                    values.append(SHOWN[1] * 0.93)
                    place = (SHOWN[1] * 0.85, row)
                    if name == C.name:
                        axes.annotate(f"{found.value:.0f}", place, ha="right", va="center")
                else:
                    values.append(found.value)
                places.append(row)
            ours = name == C.name
            axes.scatter(
                values,
                places,
                marker=mark,
                s=80 if ours else 42,
                color=color,
                label=name,
                zorder=4 if ours else 3,
            )
        axes.grid(visible=True, axis="x", color="0.9")
        axes.set_axisbelow(True)
        for row in range(len(rows)):
            axes.axhline(row, color="0.93", linewidth=0.8, zorder=0)
