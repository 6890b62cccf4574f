"""The ledger: what programs were told of their units of work, against what the tables hold.

A unit of work is tried until it is told "committed" or "unknown", or until its program gives up.
Each attempt has a number of its own, writes its rows under that number and may move a counter.
Nothing told as committed may be missing, nothing told as failed may be there, nothing may be there
twice or in part, and every counter must stand where the attempts that are there have moved it. Of
what was told to be unknown either is right, and both are counted.

Pure: whoever calls brings the entries and the rows.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Told = Literal["committed", "failed", "unknown"]

#: What can be wrong. The first seven are found here; "answer" (a read gave what is not there) and
#: "stuck" (a connection did not recover once the fault was over) are found by those who work.
Wrong = Literal[
    "lost", "risen", "split", "doubled", "twice", "stranger", "counter", "answer", "stuck"
]

#: Attempts that a unit of work can have: attempt ``n`` belongs to unit ``n // ATTEMPTS``.
ATTEMPTS = 100


class Entry(NamedTuple):
    """What a program was told of one attempt."""

    attempt: int
    told: Told
    #: Rows that it writes, as parts 1, 2, ...; 0 for a read.
    parts: int
    #: The counter that it moves by one, if any; who moves one writes rows as well.
    counter: int | None = None
    #: What it was, for whoever reads of a violation.
    note: str = ""


class Violation(NamedTuple):
    """What must never be."""

    wrong: Wrong
    attempt: int
    detail: str = ""


@dataclass(frozen=True)
class Verdict:
    """What the comparison found."""

    violations: list[Violation]
    #: Attempts told as unknown, by whether they are there.
    unknown_there: int = 0
    unknown_not_there: int = 0


def judge(
    entries: Iterable[Entry],
    rows: Iterable[tuple[int, int, int]],
    counters: Mapping[int, int],
) -> Verdict:
    """Compare what was told with what is there.

    :param entries: one for each attempt.
    :param rows: attempt, part, and how often that is there.
    :param counters: where each counter stands, from 0.
    """
    told = {entry.attempt: entry for entry in entries}
    there: dict[int, dict[int, int]] = collections.defaultdict(dict)
    for attempt, part, count in rows:
        there[attempt][part] = count

    def wrong(what: Wrong, attempt: int, detail: str) -> None:
        violations.append(Violation(what, attempt, f"{detail} ({told[attempt].note})"))

    violations = [
        Violation("stranger", attempt, f"nobody began it: {there[attempt]}")
        for attempt in sorted(there.keys() - told.keys())
    ]
    moved: collections.Counter[int] = collections.Counter()
    units: dict[int, list[int]] = collections.defaultdict(list)
    unknown: collections.Counter[bool] = collections.Counter()
    for attempt, entry in sorted(told.items()):
        found = there.get(attempt, {})
        if entry.told == "unknown":
            unknown[bool(found)] += 1
        if not found:
            if entry.told == "committed" and entry.parts:
                wrong("lost", attempt, "told as committed")
            continue
        units[attempt // ATTEMPTS].append(attempt)
        if entry.counter is not None:
            moved[entry.counter] += 1
        if entry.told == "failed":
            wrong("risen", attempt, f"told as failed: {found}")
        if set(found) != set(range(1, entry.parts + 1)):
            wrong("split", attempt, f"{found} of {entry.parts} parts")
        if max(found.values()) > 1:
            wrong("doubled", attempt, str(found))
    for unit, attempts in sorted(units.items()):
        if len(attempts) > 1:
            wrong("twice", attempts[-1], f"unit {unit} by its attempts {attempts}")
    for counter in sorted(counters.keys() | moved.keys()):
        stands = counters.get(counter, 0)
        if stands != moved[counter]:
            violations.append(
                Violation("counter", 0, f"counter {counter}: {stands}, not {moved[counter]}")
            )
    return Verdict(violations, unknown[True], unknown[False])


class Totals(NamedTuple):
    """Attempts of faulted units by what was told of them."""

    units: int = 0
    committed: int = 0
    failed: int = 0
    unknown: int = 0

    def plus(self, told: Iterable[Told]) -> Totals:
        """Return these with one unit more, of whose attempts that was told."""
        count = collections.Counter(told)
        return Totals(
            self.units + 1,
            self.committed + count["committed"],
            self.failed + count["failed"],
            self.unknown + count["unknown"],
        )

    def __add__(self, other: object) -> Totals:
        """Return the sums."""
        assert isinstance(other, Totals)
        return Totals(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class Book:
    """What has been told, counted, and judged: of one worker, or of several together."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.faults: dict[str, Totals] = {}
        #: Units that met no fault.
        self.calm = 0
        self.violations: list[Violation] = []
        self.unknown_there = self.unknown_not_there = 0
        #: Of the round that has not been judged yet.
        self.entries: list[Entry] = []

    @property
    def faulted(self) -> int:
        """Units that met a fault."""
        return sum(totals.units for totals in self.faults.values())

    def write(self, fault: str | None, entries: list[Entry]) -> None:
        """Note a unit of work by its attempts, and the fault that it met."""
        self.entries += entries
        if fault is None:
            self.calm += 1
        else:
            told = [entry.told for entry in entries]
            self.faults[fault] = self.faults.get(fault, Totals()).plus(told)

    def judge(self, rows: Iterable[tuple[int, int, int]], counters: Mapping[int, int]) -> None:
        """Compare the entries since the last time with what is there."""
        verdict = judge(self.entries, rows, counters)
        self.entries = []
        self.violations += verdict.violations
        self.unknown_there += verdict.unknown_there
        self.unknown_not_there += verdict.unknown_not_there

    def add(self, other: Book) -> None:
        """Add another one's sums."""
        for fault, totals in other.faults.items():
            self.faults[fault] = self.faults.get(fault, Totals()) + totals
        self.calm += other.calm
        self.violations += other.violations
        self.unknown_there += other.unknown_there
        self.unknown_not_there += other.unknown_not_there

    def as_dict(self) -> dict[str, Any]:
        """Return all of it for JSON."""
        return {
            "faulted units": self.faulted,
            "calm units": self.calm,
            "faults": {name: totals._asdict() for name, totals in sorted(self.faults.items())},
            "unknown and there": self.unknown_there,
            "unknown and not there": self.unknown_not_there,
            "violations": [violation._asdict() for violation in self.violations],
        }
