"""``zombies`` and ``reap``: which sessions would be ended and why, and their end."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from slsmysql import manager, policy
from slsmysql._cli import show
from slsmysql._cli.credentials import UsageError
from slsmysql._cli.watcher import connected

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from slsmysql._cli.watcher import Reading, Verdict, Watcher


def zombies(
    keywords: Mapping[str, Any], above: float | None, tell: Callable[[str, object], None]
) -> int:
    """Tell of each session whether it would be ended; return 1 if one would.

    :param above: share of the limit above which there is an excess; None for the setting.
    """
    with connected(keywords, above=above) as watcher:
        reading = watcher.reading()
        verdicts = watcher.verdicts(reading)
        parts = [_headline(watcher, reading, verdicts), _table(verdicts), *_notes(watcher)]
        tell("\n\n".join(parts), {**_as_dict(watcher, reading, verdicts)})
        return int(any(verdict.reaped for verdict in verdicts))


def reap(
    keywords: Mapping[str, Any],
    above: float | None,
    tell: Callable[[str, object], None],
    *,
    sure: bool,
) -> int:
    """End zombies as the manager does; return 1 if one that should have gone is there still.

    :param sure: False: ask first.
    :raises UsageError: there is nobody to ask.
    """
    if not sure and not sys.stdin.isatty():
        raise UsageError("reap asks first, and there is no terminal to answer at: say --yes")
    with connected(keywords, above=above) as watcher:
        reading = watcher.reading()
        verdicts = watcher.verdicts(reading)
        doomed = {verdict.holder.thread.id for verdict in verdicts if verdict.reaped}
        answer: dict[str, Any] = {**_as_dict(watcher, reading, verdicts), "killed": []}
        headline = _headline(watcher, reading, verdicts)
        if not doomed:
            tell("\n\n".join([headline, *_notes(watcher)]), answer)
            return 0
        if not sure:
            listed = _table([verdict for verdict in verdicts if verdict.reaped])
            sys.stderr.write(f"{headline}\n\n{listed}\n\nEnd {_sessions(len(doomed))}? [y/N] ")
            sys.stderr.flush()
            if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
                tell("Nothing was ended.", answer)
                return 1
        answer["killed"] = killed = _end(watcher, doomed)
        text = f"Ended {_sessions(len(killed))}"
        text += f": {', '.join(map(str, killed))}." if killed else "."
        if len(killed) < len(doomed):
            text += (
                " The others woke up or went meanwhile, the load sank, or another process reaps"
                " now: ask again."
            )
        tell("\n\n".join([text, *_notes(watcher)]), answer)
        return int(len(killed) < len(doomed))


def _end(watcher: Watcher, doomed: Collection[int]) -> list[int]:
    """End those of the sessions that are zombies still; return their ids."""
    # A new session: by its id it is known that InnoDB's list of transactions is not the one that
    # the former has seen.
    watcher.connect()
    it, session = watcher.manager, watcher.session
    if not manager.takes(session, manager._CLAIM):
        return []
    return [
        verdict.holder.thread.id
        for verdict in watcher.verdicts(watcher.reading())
        if verdict.reaped and verdict.holder.thread.id in doomed
        if it._kill(session, verdict.holder.thread)
    ]


def _sessions(count: int) -> str:
    return "1 session" if count == 1 else f"{count} sessions"


def _headline(watcher: Watcher, reading: Reading, verdicts: Sequence[Verdict]) -> str:
    load = reading.load
    asleep = sum(verdict.zombie for verdict in verdicts)
    doomed = sum(verdict.reaped for verdict in verdicts)
    over = (
        f"{reading.excess} above the threshold of {reading.threshold}"
        if reading.excess
        else f"not above the threshold of {reading.threshold}"
    )
    zombie = "1 zombie" if asleep == 1 else f"{asleep} zombies"
    return (
        f"{show.clean(watcher.where)}: {load.used} of {load.limit} connections, {over}; "
        f"{zombie}, of which {doomed} would be ended now (at most {policy.MOST_KILLS} at a time)."
    )


def _table(verdicts: Sequence[Verdict]) -> str:
    rows = [
        (
            "reap" if verdict.reaped else "zombie" if verdict.zombie else "keep",
            verdict.holder.thread.id,
            verdict.holder.thread.user,
            verdict.holder.host,
            verdict.holder.thread.command,
            verdict.holder.thread.time,
            verdict.why,
        )
        for verdict in verdicts
    ]
    return show.table(("what", "id", "user", "host", "command", "s", "why"), rows)


def _notes(watcher: Watcher) -> list[str]:
    notes = []
    limited = [event.detail for event in watcher.told if event.name == "limited"]
    if "transactions" in limited:
        notes.append(
            "Without PROCESS only this account's sessions are seen, and nobody's transactions: what"
            " has slept for less than zombie_max_timeout is kept. `doctor` says what to run."
        )
    if watcher.stale:
        notes.append(
            "Others read INNODB_TRX all the time, so that it shows transactions as they once were:"
            " nobody is ended by that."
        )
    if "connection attributes" in limited:
        notes.append('performance_schema does not tell who uses slsmysql: reap="fleet" ends none.')
    if "kill" in limited:
        notes.append("The server refused to end a session.")
    if watcher.settings.reap == "off":
        notes.append('With these settings (reap="off") programs end none of them by themselves.')
    return notes


def _as_dict(watcher: Watcher, reading: Reading, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    return {
        "server": watcher.where,
        **reading.as_dict(),
        "sees_transactions": watcher.sees_transactions,
        "sessions": [
            {
                "id": verdict.holder.thread.id,
                "user": verdict.holder.thread.user,
                "host": verdict.holder.host,
                "database": verdict.holder.database or None,
                "command": verdict.holder.thread.command,
                "seconds": verdict.holder.thread.time,
                "state": verdict.holder.state or None,
                "zombie": verdict.zombie,
                "reap": verdict.reaped,
                "why": verdict.why,
            }
            for verdict in verdicts
        ],
    }
