"""How many Python calls, and how many commands, the everyday operations take.

The counts are taken on a handle that answers from memory, so they are the same on every machine.
When one is above its bound, the message lists the calls: compare it with the list before the
change. A call costs 50 to 100 ns in every statement of every program; if the new one is worth that,
raise the bound in the same commit and say why. A count below its bound is a reason to lower it.
The bounds are those of Python 3.10 and 3.11, where a comprehension is a call; 3.12 has it inline.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from decimal import Decimal
from types import FrameType
from typing import Any

import pytest

import slsmysql
from tests.unit import fake_handle
from tests.unit.fake_handle import Open, fix_connected

__all__ = ["fix_connected"]

POINT = "SELECT id, name, price FROM products WHERE id = %s"
INSERT = "INSERT INTO products (name, price) VALUES (%s, %s)"


def calls(work: Callable[[], object]) -> list[str]:
    """Return the names of the functions of slsmysql that ``work`` calls."""
    found: list[str] = []

    def profile(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_filename not in {__file__, fake_handle.__file__}:
            found.append(frame.f_code.co_name)

    work()
    work()  # everything is remembered by now
    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(before)
    return found


def check(work: Callable[[], object], most: int) -> None:
    """Fail, with the list of calls, if ``work`` makes more than ``most`` of them."""
    found = calls(work)
    assert len(found) <= most, f"{len(found)} calls, at most {most} expected: {' '.join(found)}"


def test_a_point_select_takes_few_calls(connected: Open) -> None:
    """`execute()` of a select with a parameter and `fetchall()` stay within their bound."""
    connection, _ = connected()
    cursor = connection.cursor()

    def work() -> None:
        cursor.execute(POINT, (5,))
        cursor.fetchall()

    check(work, 14)


def test_an_insert_takes_few_calls(connected: Open) -> None:
    """`execute()` of an insert with two parameters stays within its bound."""
    connection, _ = connected()
    cursor = connection.cursor()
    check(lambda: cursor.execute(INSERT, ("soap", Decimal("1.99"))), 13)


def test_fetchone_is_one_call(connected: Open) -> None:
    """`fetchone()` on a buffered result calls nothing further."""
    connection, _ = connected()
    cursor = connection.cursor()
    cursor.execute(POINT, (5,))
    check(cursor.fetchone, 1)


def test_making_and_closing_a_cursor_takes_few_calls(connected: Open) -> None:
    """`cursor()` and `close()` stay within their bound."""
    connection, _ = connected()
    check(lambda: connection.cursor().close(), 3)


def test_a_commit_takes_few_calls(connected: Open) -> None:
    """`commit()` of work that was done stays within its bound."""
    connection, _ = connected()
    cursor = connection.cursor()
    execute = len(calls(lambda: cursor.execute(INSERT, ("soap", Decimal("1.99")))))

    def work() -> None:
        cursor.execute(INSERT, ("soap", Decimal("1.99")))
        connection.commit()

    check(work, execute + 6)


def test_a_commit_of_nothing_takes_next_to_no_calls(connected: Open) -> None:
    """`commit()` right after a `commit()` stays within its bound, and sends nothing."""
    connection, handle = connected()
    check(connection.commit, 2)
    assert handle.sent == []


def test_a_connect_while_the_last_look_is_good_asks_nothing(
    connected: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second session takes its lease from the load that the first one saw: one statement."""
    connected()
    second = fake_handle.Handle()
    monkeypatch.setattr("slsmysql._driver.open_handle", lambda *_, **__: second)
    slsmysql.connect(host="memory", user="app", reuse=False).close()
    (sent,) = second.sent
    assert sent.startswith(b"SET NAMES utf8mb4")
    assert b"SESSION wait_timeout=900" in sent


@pytest.mark.parametrize("managed", [True, False])
def test_a_unit_of_work_sends_its_statements_and_nothing_else(
    connected: Open, managed: bool
) -> None:
    """A cursor, a select, a commit and a close are two commands, managed or not."""
    connection, handle = connected(manage_conns=managed)
    for key in range(3):
        with connection.cursor() as cursor:
            cursor.execute(POINT, (key,))
            assert cursor.fetchall() == ((5, "soap", Decimal("1.99")),)
        connection.commit()
    assert handle.sent == [
        statement
        for key in range(3)
        for statement in (POINT.replace("%s", str(key)).encode(), b"COMMIT")
    ]


def test_management_takes_no_call_more_where_no_look_is_due(connected: Open) -> None:
    """A unit of work makes as many calls with management as without."""

    def unit(**keywords: Any) -> int:
        connection, _ = connected(**keywords)

        def work() -> None:
            with connection.cursor() as cursor:
                cursor.execute(POINT, (5,))
                cursor.fetchall()
            connection.commit()

        return len(calls(work))

    assert unit() == unit(manage_conns=False)
