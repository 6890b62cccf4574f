"""Iterators of delays: how long to wait before each retry; clock and randomness are handed in.

Jitter is there so that a fleet which was refused at once does not come back at once.  Full jitter
is the default: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from slsmysql import err

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeGuard

    from slsmysql.settings import Settings

#: Seconds. No delay of a user's own is longer than a year, the bound of ``connect_timeout``.
_YEAR = 31_536_000


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


class Rng(Protocol):
    """What the delays need of ``random.Random``; ``random.SystemRandom`` in production.

    Entropy comes from the operating system because containers restored from one snapshot share
    the seed of every other generator.
    """

    def uniform(self, a: float, b: float, /) -> float:
        """Return a number between ``a`` and ``b``."""


def full_jitter(base: float, cap: float, rng: Rng) -> Iterator[float]:
    """Yield for ever: the n-th delay, from 0 on, is uniform in 0 .. min(``cap``, ``base`` * 2**n).

    :param base: seconds, the upper end of the first delay.
    :param cap: seconds, the longest delay.
    """
    ceiling = min(cap, base)
    while True:
        yield rng.uniform(0.0, ceiling)
        # Doubling what is already capped cannot overflow, however many retries there are.
        ceiling = min(cap, ceiling * 2.0)


def decorrelated(base: float, cap: float, rng: Rng) -> Iterator[float]:
    """Yield for ever: each delay is uniform in ``base`` .. 3 times the one before, up to ``cap``.

    :param base: seconds, the shortest delay, and what the first one grows from.
    :param cap: seconds, the longest delay.
    """
    delay = base
    while True:
        delay = min(cap, rng.uniform(base, delay * 3.0))
        yield delay


def custom(function: Callable[[int, float], float]) -> Iterator[float]:
    """Yield what ``function(attempt, previous_delay)`` returns.

    :param function: called with the number of the retry, from 1 on, and the delay in seconds
        before it (0.0 at first); returns seconds.  It is the user's, so it is not capped.
    :raise ProgrammingError: if it returns anything but a number from 0 to 31536000.
    """
    attempt = 0
    delay = 0.0
    while True:
        attempt += 1
        answer: object = function(attempt, delay)
        if not _is_number(answer) or not 0 <= answer <= _YEAR:
            raise err.ProgrammingError(
                f"backoff returned {answer!r}: must be a number of seconds from 0 to {_YEAR}"
            )
        delay = float(answer)
        yield delay


def delays(settings: Settings, rng: Rng) -> Iterator[float]:
    """Yield, for ever, the delays in seconds that ``settings.backoff`` stands for."""
    if settings.backoff == "full":
        return full_jitter(settings.backoff_base, settings.backoff_cap, rng)
    if settings.backoff == "decorrelated":
        return decorrelated(settings.backoff_base, settings.backoff_cap, rng)
    return custom(settings.backoff)


def countdown(
    budget: float,
    clock: Callable[[], float],
    deadline: Callable[[], float] | None = None,
) -> Callable[[], float]:
    """Return a callable that says how many seconds are left, negative when they are over.

    :param budget: seconds from now on.
    :param clock: returns seconds, as ``time.monotonic`` does; read once now.
    :param deadline: returns the seconds that somebody else (a function's runtime) has left; the
        smaller of the two counts.
    :raise ProgrammingError: (from the callable) if ``deadline`` does not return a number.
    """
    end = clock() + budget

    def left() -> float:
        seconds = end - clock()
        if deadline is None:
            return seconds
        theirs: object = deadline()
        if not _is_number(theirs) or math.isnan(theirs):
            raise err.ProgrammingError(f"deadline returned {theirs!r}: must be a number of seconds")
        return min(seconds, theirs)

    return left


def within(
    delays: Iterable[float],
    left: Callable[[], float],
    *,
    reserve: float = 0.0,
    max_retries: int | None = None,
) -> Iterator[float]:
    """Yield ``delays``, clipped so that whoever sleeps them never sleeps past the end.

    Ends when nothing is left, after ``max_retries`` delays, or with ``delays``.  Nothing is drawn
    from ``delays`` once it has ended.

    :param left: returns the seconds that are left, as ``countdown`` makes it; asked before each.
    :param reserve: seconds kept at the end for the attempt that follows the last delay.
    :param max_retries: None for no bound but the time.
    """
    drawn = iter(delays)
    retries = 0
    while max_retries is None or retries < max_retries:
        room = left() - reserve
        if room <= 0:
            return
        delay = next(drawn, None)
        if delay is None:
            return
        yield min(delay, room)
        retries += 1
