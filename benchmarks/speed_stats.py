"""Figures of a run, pure: medians, quartiles, ratios with their interval, targets and verdicts.

All contenders of a workload are measured once in every round, so a round's times belong together:
whatever slowed the machine at that moment slowed all of them. Ratios are therefore taken round by
round, and their median is told with a bootstrap interval.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

#: Resamplings for an interval; 2000 settle its ends to about a tenth of its width.
RESAMPLINGS = 2000

#: What the interval of a ratio covers.
CONFIDENCE = 0.95

#: Seconds per operation by contender, one for each round, in the rounds' order.
Times = Mapping[str, Sequence[float]]

Verdict = Literal["met", "missed", "unsure"]


@dataclass(frozen=True)
class Spread:
    """The middle of a contender's rounds, in seconds per operation."""

    median: float
    low: float
    high: float
    best: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Spread:
        """Return median, quartiles and minimum.

        :raise ValueError: of nothing there is none.
        """
        if not seconds:
            raise ValueError("no rounds")
        if len(seconds) == 1:
            return cls(seconds[0], seconds[0], seconds[0], seconds[0])
        low, median, high = statistics.quantiles(seconds, n=4, method="inclusive")
        return cls(median, low, high, min(seconds))

    @property
    def noise(self) -> float:
        """Half the distance of the quartiles, as a share of the median."""
        return (self.high - self.low) / 2 / self.median if self.median else 0.0


@dataclass(frozen=True, order=True)
class Ratio:
    """How many times as fast one contender is as another, and where that surely lies."""

    value: float
    low: float
    high: float

    def reaches(self, least: float) -> Verdict:
        """Return whether it is at least so much; "unsure" where the interval holds both answers."""
        if self.low >= least:
            return "met"
        return "missed" if self.high < least else "unsure"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """Return how many times as fast ``ours`` is as ``theirs``.

    :param ours: seconds per operation, round by round.
    :param theirs: the same of the other, in the same rounds.
    :raise ValueError: the rounds are not the same, or there are none.
    """
    quotients = [there / here for here, there in zip(ours, theirs, strict=True)]
    if not quotients:
        raise ValueError("no rounds")
    # A seed of its own: the same times give the same interval.
    draw = random.Random(0)
    medians = sorted(
        statistics.median(draw.choices(quotients, k=len(quotients))) for _ in range(RESAMPLINGS)
    )
    tail = int(RESAMPLINGS * (1 - CONFIDENCE) / 2)
    return Ratio(statistics.median(quotients), medians[tail], medians[-1 - tail])


@dataclass(frozen=True)
class Target:
    """A ratio that has to be reached.

    :param workload: its name.
    :param ours: the contender whose speed is asked for.
    :param theirs: the contender that is 1.
    :param least: how many times as fast ``ours`` has to be.
    """

    workload: str
    ours: str
    theirs: str
    least: float

    def verdict(self, found: Ratio) -> Verdict:
        """Return whether it is reached."""
        return found.reaches(self.least)


@dataclass(frozen=True)
class Checked:
    """A target with what was found; ``found`` is None where a contender did not take part."""

    target: Target
    found: Ratio | None

    @property
    def verdict(self) -> Verdict | None:
        """Return whether the target is reached, None where it could not be measured."""
        return None if self.found is None else self.target.verdict(self.found)


def check(targets: Sequence[Target], results: Mapping[str, Times]) -> list[Checked]:
    """Hold what was measured, by workload, against the targets for these workloads."""
    checked = []
    for target in targets:
        times = results.get(target.workload)
        if times is None:
            continue
        ours, theirs = times.get(target.ours), times.get(target.theirs)
        found = ratio(ours, theirs) if ours and theirs else None
        checked.append(Checked(target, found))
    return checked


def repetitions(seconds: float, slot: float, most: int) -> int:
    """Return how often an operation of ``seconds`` is repeated to fill a slot, 1 to ``most``."""
    return max(1, min(most, round(slot / max(seconds, 1e-9))))


def order(names: Sequence[str], turn: int) -> list[str]:
    """Return the names in the order of round ``turn``: each is first in its turn."""
    start = turn % len(names)
    forth = [*names[start:], *names[:start]]
    # Every other time backwards, so that nobody has the same neighbour before him each time.
    return forth if (turn // len(names)) % 2 == 0 else forth[::-1]


def duration(seconds: float) -> str:
    """Return a time with three digits and the unit that fits."""
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        value = seconds * scale
        if value >= 1 or unit == "µs":
            break
    digits = 0 if value >= 99.5 else 1 if value >= 9.95 else 2
    return f"{value:.{digits}f} {unit}"
