"""The PEP 249 constructors of dates and times, under PyMySQL's names."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from time import localtime

Date = date
Time = time
TimeDelta = timedelta
Timestamp = datetime


def DateFromTicks(ticks: float | None) -> date:
    """The local date at `ticks` seconds since the epoch (None: now).

    Source: PEP 249, "Type Objects and Constructors".
    Raises OverflowError or OSError when the platform cannot represent the moment.
    """
    at = localtime(ticks)
    return date(at.tm_year, at.tm_mon, at.tm_mday)


def TimeFromTicks(ticks: float | None) -> time:
    """The local time of day, in whole seconds, at `ticks` seconds since the epoch (None: now).

    Source: PEP 249, "Type Objects and Constructors".
    Raises OverflowError or OSError when the platform cannot represent the moment.
    """
    at = localtime(ticks)
    return time(at.tm_hour, at.tm_min, at.tm_sec)


def TimestampFromTicks(ticks: float | None) -> datetime:
    """The naive local date and time, in whole seconds, at `ticks` since the epoch (None: now).

    Source: PEP 249, "Type Objects and Constructors".
    Raises OverflowError or OSError when the platform cannot represent the moment.
    """
    at = localtime(ticks)
    return datetime(at.tm_year, at.tm_mon, at.tm_mday, at.tm_hour, at.tm_min, at.tm_sec)
