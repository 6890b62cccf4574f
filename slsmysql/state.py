"""What a session holds at this moment: pure bookkeeping of the effects of statements.

From it follows what may be done with the handle: whether anything would be lost with it, what a
new one must be told, whether it is as clean as a new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from slsmysql.session import (
    AUTOCOMMIT,
    IN_TRANSACTION,
    NO_BACKSLASH_ESCAPES,
    STATE_CHANGED,
)

if TYPE_CHECKING:
    from slsmysql.session import Effect


class State:
    """What the session of one connection holds, as far as statements and the server told."""

    __slots__ = (
        "asks",
        "changed",
        "database",
        "dirty",
        "last_insert_id",
        "next_only",
        "pins",
        "replay",
        "status",
        "tracked",
        "worked",
    )

    def __init__(
        self, *, tracked: bool = True, status: int = 0, database: str | bytes | None = None
    ) -> None:
        """Note a session as it is when it has been set up."""
        #: Whether the server reports changes of session state (status bit 0x4000).
        self.tracked: bool = tracked
        #: The server's status word as last heard.
        self.status: int = status
        #: The current database.
        self.database: str | bytes | None = database
        #: A transaction is open in which something else than plain reads was done.
        self.dirty: bool = False
        #: A statement was sent since the last end of a transaction.
        self.worked: bool = False
        #: The program has asked, once, for ROW_COUNT(), warnings or the like.
        self.asks: bool = False
        #: Something was set that the next owner of the session must not find.
        self.changed: bool = False
        #: Kinds of state that a new session would not have and cannot be given.
        self.pins: set[str] = set()
        #: The same, for the next statement only.
        self.next_only: frozenset[str] = frozenset()
        #: Statements that give a new session what the program has set.
        self.replay: dict[str, str] = {}
        self.last_insert_id: int = 0

    def ran(self, effect: Effect, status: int, insert_id: int | None) -> None:
        """Note what a statement that ran has done."""
        self.status = status
        if not status & IN_TRANSACTION:
            self.dirty = False
        elif not effect.read:
            self.dirty = True
        if self.next_only:
            self.next_only = frozenset()
        if not effect.read:
            self._note(effect, status, insert_id)
        elif status & STATE_CHANGED and self.tracked:
            # Otherwise it says less: of a MySQL Router that shares sessions, nothing at all.
            self.pins.add("session state")

    def _note(self, effect: Effect, status: int, insert_id: int | None) -> None:
        """Note what a statement other than a plain read leaves behind."""
        if insert_id:
            self.last_insert_id = insert_id
        if effect.pins:
            self.pins |= effect.pins
        if effect.unpins:
            self.pins -= effect.unpins
        if effect.next_only:
            self.next_only = effect.next_only
        for key, statement in effect.replay:
            # To the end: the order in which they were set last is the order to set them again.
            self.replay.pop(key, None)
            self.replay[key] = statement
        if effect.database is not None:
            self.database = effect.database
            self.changed = True
        if not effect.explained:
            if status & STATE_CHANGED:
                self.pins.add("session state")
            if effect.commits or insert_id is None:
                # A procedure, a stored function, several statements: what the server does not
                # report (a lock, LAST_INSERT_ID(), the database) may have changed in them.
                self.changed = True

    def failed(self, effect: Effect, status: int) -> None:
        """Note a statement that the server has refused.

        An error packet does not say whether a transaction is open.  Without autocommit a refused
        statement may have begun one, which holds the locks that it took; and what is refused in
        its third statement (CALL) has done the first two.
        """
        self.status = status
        # It may have done something before it failed, and SHOW WARNINGS tells of it.
        self.changed = True
        if effect.runs or not (
            effect.read or effect.commits or effect.ends or effect.explained or status & AUTOCOMMIT
        ):
            self.dirty = True

    def replaceable(self) -> bool:
        """Whether nothing would be lost with the session."""
        return not (self.dirty or self.pins or self.next_only)

    def clean(self) -> bool:
        """Whether the session is as it was when it was set up."""
        return self.tracked and not (
            self.changed or self.pins or self.next_only or self.last_insert_id or self.replay
        )

    def held(self) -> list[str]:
        """Return in words what would be lost with the session."""
        words = sorted(self.pins | self.next_only)
        if self.dirty:
            words.insert(0, "the transaction, which the server rolled back")
        return words

    def lost(self) -> None:
        """Note that the session is gone; what a new one will be told stays."""
        # So does how strings are quoted, as the next statement may be written before there is a
        # session, and whether it will commit by itself.
        self.status &= NO_BACKSLASH_ESCAPES | AUTOCOMMIT
        self.dirty = False
        self.worked = False
        self.pins = set()
        self.next_only = frozenset()
