"""The ledger catches whatever must never be, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.faults.ledger import ATTEMPTS, Book, Entry, Told, Totals, judge

Rows = list[tuple[int, int, int]]

#: The first two attempts of a unit, and an attempt of another one.
FIRST, SECOND, OTHER = 7 * ATTEMPTS, 7 * ATTEMPTS + 1, 8 * ATTEMPTS


def wrongs(entries: list[Entry], rows: Rows, counters: Mapping[int, int] | None = None) -> set[str]:
    """Return the kinds of what is wrong."""
    return {violation.wrong for violation in judge(entries, rows, counters or {}).violations}


@pytest.mark.parametrize(
    ("told", "rows", "wrong"),
    [
        ("committed", [(FIRST, 1, 1), (FIRST, 2, 1)], set()),
        ("committed", [], {"lost"}),
        ("committed", [(FIRST, 1, 1)], {"split"}),
        ("committed", [(FIRST, 2, 1)], {"split"}),
        ("committed", [(FIRST, 1, 1), (FIRST, 2, 1), (FIRST, 3, 1)], {"split"}),
        ("committed", [(FIRST, 1, 2), (FIRST, 2, 2)], {"doubled"}),
        ("committed", [(FIRST, 1, 1), (FIRST, 2, 2)], {"doubled"}),
        ("failed", [], set()),
        ("failed", [(FIRST, 1, 1), (FIRST, 2, 1)], {"risen"}),
        ("failed", [(FIRST, 2, 1)], {"risen", "split"}),
        ("unknown", [], set()),
        ("unknown", [(FIRST, 1, 1), (FIRST, 2, 1)], set()),
        ("unknown", [(FIRST, 1, 1)], {"split"}),
        ("unknown", [(FIRST, 1, 2), (FIRST, 2, 2)], {"doubled"}),
    ],
)
def test_an_attempt_is_there_as_told(told: Told, rows: Rows, wrong: set[str]) -> None:
    """Missing, there in spite of a failure, in part, doubled: each has its name."""
    assert wrongs([Entry(FIRST, told, 2)], rows) == wrong


def test_a_unit_is_there_once() -> None:
    """Two attempts of a unit that are both there are one too many, whatever was told."""
    entries = [Entry(FIRST, "unknown", 1), Entry(SECOND, "committed", 1)]
    assert wrongs(entries, [(SECOND, 1, 1)]) == set()
    assert wrongs(entries, [(FIRST, 1, 1), (SECOND, 1, 1)]) == {"twice"}


def test_units_do_not_stand_for_each_other() -> None:
    """The row of another unit is no substitute for one's own."""
    assert wrongs([Entry(FIRST, "committed", 1)], [(OTHER, 1, 1)]) == {"lost", "stranger"}


@pytest.mark.parametrize(
    ("told", "there", "stands", "wrong"),
    [
        ("committed", True, 1, set()),
        ("committed", True, 0, {"counter"}),
        ("committed", True, 2, {"counter"}),
        ("failed", False, 0, set()),
        ("failed", False, 1, {"counter"}),
        ("unknown", True, 1, set()),
        ("unknown", False, 1, {"counter"}),
        ("unknown", True, 0, {"counter"}),
    ],
)
def test_counters_and_rows_belong_together(
    told: Told, stands: int, wrong: set[str], *, there: bool
) -> None:
    """A counter stands where those have moved it whose rows are there: else a unit was split."""
    rows: Rows = [(FIRST, 1, 1)] if there else []
    assert wrongs([Entry(FIRST, told, 1, counter=3)], rows, {3: stands, 4: 0}) == wrong


def test_a_read_leaves_nothing() -> None:
    """A read that was told to be done needs no row."""
    assert wrongs([Entry(FIRST, "committed", 0)], []) == set()


@given(
    st.dictionaries(
        st.integers(0, 10**6), st.tuples(st.sampled_from(["c", "f", "u"]), st.booleans())
    )
)
def test_whatever_is_as_told_passes(told: dict[int, tuple[str, bool]]) -> None:
    """No set of attempts that are there just as they were told is complained of."""
    words: dict[str, Told] = {"c": "committed", "f": "failed", "u": "unknown"}
    entries, rows, there = [], [], 0
    for unit, (letter, chance) in told.items():
        attempt = unit * ATTEMPTS
        entries.append(Entry(attempt, words[letter], 2, counter=0))
        if letter == "c" or (letter == "u" and chance):
            rows += [(attempt, 1, 1), (attempt, 2, 1)]
            there += 1
    verdict = judge(entries, rows, {0: there})
    unknown = [chance for letter, chance in told.values() if letter == "u"]
    assert verdict.violations == []
    assert (verdict.unknown_there, verdict.unknown_not_there) == (
        sum(unknown),
        len(unknown) - sum(unknown),
    )


def test_a_book_counts_faulted_units_once() -> None:
    """A unit counts as faulted once, by its fault, however many attempts it took."""
    book = Book()
    book.write("cut", [Entry(FIRST, "failed", 1), Entry(SECOND, "committed", 1)])
    book.write(None, [Entry(OTHER, "committed", 1)])
    assert book.faults == {"cut": Totals(1, committed=1, failed=1)}
    assert (book.faulted, book.calm) == (1, 1)
    book.judge([(SECOND, 1, 1), (OTHER, 1, 1)], {})
    assert book.violations == []


def test_books_are_judged_in_rounds_and_added() -> None:
    """What was judged is not judged again, and the sums of books can be added."""
    book, other = Book(), Book()
    book.write("cut", [Entry(FIRST, "unknown", 1)])
    book.judge([(FIRST, 1, 1)], {})
    book.judge([], {})
    other.write("cut", [Entry(OTHER, "unknown", 1)])
    other.write("kill", [Entry(FIRST, "committed", 1)])
    other.judge([], {})
    book.add(other)
    assert book.faults == {"cut": Totals(2, unknown=2), "kill": Totals(1, committed=1)}
    assert (book.unknown_there, book.unknown_not_there) == (1, 1)
    assert [violation.wrong for violation in book.violations] == ["lost"]
    assert book.as_dict()["faulted units"] == 3
