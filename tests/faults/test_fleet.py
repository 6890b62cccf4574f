"""What the programs of a fleet write down is read as it was meant."""

from __future__ import annotations

from pathlib import Path

from tests.faults.fleet import EPOCH, NUMBER, Journal, Page, read, write
from tests.faults.ledger import ATTEMPTS, Book, Entry, Totals, Violation


def test_the_page_is_shared(tmp_path: Path) -> None:
    """What one writes into the page another reads."""
    page, same = Page(tmp_path / "page"), Page(tmp_path / "page")
    page[EPOCH] = 7
    page[5] = -3
    assert (same[EPOCH], same[5], same[6]) == (7, -3, 0)


def test_a_unit_meets_what_is_in_force(tmp_path: Path) -> None:
    """A fault counts for a unit that began, went on or ended while it was in force."""
    page = Page(tmp_path / "page")
    journal = Journal(tmp_path / "1.journal", page)
    # Epochs at the beginning and at the end of a unit: odd ones are those of faults.
    for unit, (first, last) in enumerate([(0, 0), (0, 1), (1, 1), (1, 2), (0, 2), (2, 2)]):
        page[EPOCH] = first
        journal.begin(unit * ATTEMPTS, "transaction", 3, "")
        page[EPOCH] = last
        journal.told(unit * ATTEMPTS, "committed")
    book = Book()
    kept, violations = read(tmp_path)
    write(book, kept, {1: "kill"}, 2, {})
    assert violations == []
    assert book.faults == {"kill": Totals(4, committed=4)}
    assert book.calm == 2


def test_what_is_left_unsaid_is_unknown(tmp_path: Path) -> None:
    """Of an attempt that ended with its process nothing is known, but that it was withdrawn."""
    page = Page(tmp_path / "page")
    journal = Journal(tmp_path / "1.journal", page)
    journal.begin(NUMBER, "statement", 0, "")
    journal.begin(NUMBER + ATTEMPTS, "withdrawn", 2, "")
    journal.wrong(NUMBER + ATTEMPTS, "five is no answer")
    book = Book()
    kept, violations = read(tmp_path)
    write(book, kept, {}, 0, {1: "killed"})
    told = [entry._replace(note="") for entry in book.entries]
    assert told == [
        Entry(NUMBER, "unknown", 2),
        Entry(NUMBER + ATTEMPTS, "failed", 2, counter=2),
    ]
    assert violations == [Violation("answer", NUMBER + ATTEMPTS, "five is no answer")]
    assert book.faults == {"killed": Totals(2, unknown=1, failed=1)}


def test_a_fault_of_its_own_comes_first(tmp_path: Path) -> None:
    """A unit that forks is counted as one that forks."""
    journal = Journal(tmp_path / "1.journal", Page(tmp_path / "page"))
    journal.begin(ATTEMPTS, "forked", 0, "fork")
    journal.told(ATTEMPTS, "failed")
    journal.begin(ATTEMPTS + 1, "forked", 0, "fork")
    journal.told(ATTEMPTS + 1, "committed")
    book = Book()
    write(book, read(tmp_path)[0], {}, 0, {})
    assert book.faults == {"fork": Totals(1, committed=1, failed=1)}
