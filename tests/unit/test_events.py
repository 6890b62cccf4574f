"""What the manager tells: frozen events, counters, and listeners whose errors are their own."""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

import slsmysql
from slsmysql import events
from slsmysql.events import NAMES, Event, Stats, Teller
from slsmysql.policy import Load

PACKAGE = Path(slsmysql.__file__).parent


@pytest.fixture(autouse=True)
def own_counters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counters of the process that begin with the test."""
    monkeypatch.setattr(events, "process", {})


def calls(method: str) -> Iterator[tuple[str, str]]:
    """Yield module and first argument of each call of ``method`` in the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == method
                and ast.unparse(node.func.value).endswith("teller")
            ):
                for constant in ast.walk(node.args[0]):
                    if isinstance(constant, ast.Constant) and isinstance(constant.value, str):
                        yield path.name, constant.value


def test_every_event_that_is_told_is_documented_and_the_other_way_round() -> None:
    """``NAMES`` has all the events that there are, and no other."""
    assert {name for _, name in calls("tell")} == set(NAMES)
    assert all(NAMES.values())


def test_every_counter_that_is_counted_is_one_and_the_other_way_round() -> None:
    """``Stats`` has all the counters that are counted, and no other."""
    assert {name for _, name in calls("count")} == set(Stats._fields)


def test_a_listener_gets_a_frozen_event() -> None:
    """All that is known is in the event, which nobody can change."""
    told: list[Event] = []
    Teller("db:3306", told.append).tell(
        "lease",
        connection_id=7,
        errno=1040,
        seconds=5.0,
        attempt=2,
        load=Load(81, 90),
        detail="why",
    )
    (event,) = told
    assert event == Event("lease", "db:3306", 7, 1040, 5.0, 2, 81, 90, "why")
    with pytest.raises(AttributeError):
        event.name = "other"  # type: ignore[misc]


def test_what_is_not_known_is_none() -> None:
    """An event of which nothing but the name is known says so."""
    told: list[Event] = []
    Teller("db:3306", told.append).tell("park")
    assert told == [Event("park", "db:3306")]
    assert told[0] == ("park", "db:3306", *[None] * 6, "")


@pytest.mark.parametrize("error", [RuntimeError("x"), slsmysql.OperationalError(1040, "x")])
def test_a_listeners_error_never_reaches_the_program(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """What a listener raises is logged, and the next event is told again."""
    told: list[Event] = []

    def listener(event: Event) -> None:
        told.append(event)
        raise error

    teller = Teller("db:3306", listener)
    teller.tell("park")
    teller.tell("unpark")
    assert [event.name for event in told] == ["park", "unpark"]
    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.exc_info[1] for record in logged if record.exc_info] == [error, error]


def test_a_log_handlers_error_never_reaches_the_program() -> None:
    """A handler of the program's logging that raises keeps no listener from being told."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError(record.getMessage())

    told: list[Event] = []

    def listener(event: Event) -> None:
        told.append(event)
        raise RuntimeError

    handler = Handler()
    logging.getLogger("slsmysql").addHandler(handler)
    try:
        Teller("db:3306", listener).tell("lost")
    finally:
        logging.getLogger("slsmysql").removeHandler(handler)
    assert [event.name for event in told] == ["lost"]


def test_an_interrupt_in_a_listener_is_the_programs() -> None:
    """Ctrl-C is not a listener's error."""

    def listener(event: Event) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Teller("db:3306", listener).tell("park")


def test_the_logger_gets_what_the_listener_gets(caplog: pytest.LogCaptureFixture) -> None:
    """With no listener an event is a line of the logger ``slsmysql``, by its weight."""
    caplog.set_level(logging.DEBUG, logger="slsmysql")
    teller = Teller("db:3306", None)
    for name in ("look", "kill", "limited", "lost"):
        teller.tell(name, detail=f"about {name}")
    assert [(record.name, record.levelname) for record in caplog.records] == [
        ("slsmysql", "DEBUG"),
        ("slsmysql", "INFO"),
        ("slsmysql", "WARNING"),
        ("slsmysql", "WARNING"),
    ]
    assert "about kill" in caplog.records[1].getMessage()


def test_nothing_is_made_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a listener, and with a logger that does not listen, no event is even made."""
    monkeypatch.setattr(events.logger, "isEnabledFor", lambda _level: False)
    monkeypatch.delattr(events, "Event")
    Teller("db:3306", None).tell("look")


def test_the_library_is_silent_by_itself() -> None:
    """Its logger has a handler that writes nowhere, as Python's logging HOWTO asks of it."""
    assert any(isinstance(handler, logging.NullHandler) for handler in events.logger.handlers)


def test_counters_are_of_the_connection_and_of_the_process() -> None:
    """What one connection counts is in its own counters and in those of the process."""
    one, other = Teller("a", None), Teller("b", None)
    one.count("connects")
    one.count("waited", 1.5)
    other.count("connects")
    assert (one.stats.connects, one.stats.waited) == (1, 1.5)
    assert (other.stats.connects, other.stats.waited) == (1, 0.0)
    assert events.process == {"connects": 2, "waited": 1.5}


def test_what_was_counted_stands_still() -> None:
    """What was asked for does not change with what comes after."""
    teller = Teller("a", None)
    teller.count("looks")
    before = teller.stats
    teller.count("looks")
    assert (before.looks, teller.stats.looks) == (1, 2)
    assert before.as_dict() == {**Stats().as_dict(), "looks": 1}
