"""``status``: how full the server is, once or again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slsmysql import policy
from slsmysql._cli import show
from slsmysql._cli.watcher import connected
from slsmysql.manager import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from slsmysql._cli.watcher import Reading


def status(
    keywords: Mapping[str, Any], every: float | None, tell: Callable[[str, object], None]
) -> int:
    """Tell the load; return 1 if it is above the threshold.

    :param every: seconds between two looks; None for a single one.
    :param tell: takes a text and the same for ``--json``.
    """
    with connected(keywords) as watcher:
        reading = watcher.reading()
        if every is None:
            tell(_text(watcher.where, reading), {"server": watcher.where, **reading.as_dict()})
            return int(reading.excess > 0)
        try:
            while True:
                now = environment.wall()
                tell(_line(now, reading), {"time": round(now, 3), **reading.as_dict()})
                environment.sleep(every)
                reading = watcher.reading()
        except KeyboardInterrupt:
            return int(reading.excess > 0)


def _text(where: str, reading: Reading) -> str:
    server, account, settings = reading.server, reading.account, reading.settings
    rows: list[tuple[str, object]] = [
        ("connections", f"{server.used} of {server.limit}, this one included"),
    ]
    if account is not None:
        rows.append(("of the account", f"{account.used} of {account.limit} (max_user_connections)"))
    rows += [
        ("utilization", f"{reading.load.utilization:.0%} {show.bar(reading.load.utilization)}"),
        (
            "threshold",
            f"{reading.threshold} (conn_utilization {settings.conn_utilization:g}): "
            + (f"{reading.excess} too many" if reading.excess else "below it"),
        ),
    ]
    lease = policy.lease(reading.load, settings)
    rows.append(("lease now", "the server's wait_timeout" if lease is None else f"{lease} s"))
    return f"{show.clean(where)}\n{show.pairs(rows)}"


def _line(now: float, reading: Reading) -> str:
    from datetime import datetime

    load = reading.load
    clock = datetime.fromtimestamp(now).strftime("%H:%M:%S")
    over = f"  {reading.excess} above the threshold" if reading.excess else ""
    return (
        f"{clock}  {load.used:5} of {load.limit}  {load.utilization:4.0%} "
        f"{show.bar(load.utilization)}{over}"
    )
