"""One result of a statement, as cursors read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slsmysql._driver import Field

if TYPE_CHECKING:
    from slsmysql.lifecycle import Lifecycle


class MySQLResult:
    """One result of a statement, as cursors read it (PyMySQL's ``MySQLResult``)."""

    affected_rows = 0
    insert_id: int | None = None
    warning_count = 0
    message: bytes | None = None
    server_status: int | None = None
    has_next: Any = False
    rows: Any = None
    unbuffered_active = False
    #: What a streamed result still needs.
    connection: Lifecycle | None = None
    decoders: Any = None
    _fields: list[Field] | None = None
    _description: Any = None

    def __init__(self, raw_fields: list[tuple[Any, ...]] | None, encoding: str = "utf8") -> None:
        """Make a result with these columns, or none; ``encoding`` is that of their names."""
        self._raw_fields = raw_fields
        self._encoding = encoding

    @property
    def fields(self) -> list[Field]:
        """The columns."""
        if self._fields is None:
            self._fields = [Field.of(raw, self._encoding) for raw in self._raw_fields or ()]
        return self._fields

    @property
    def field_count(self) -> int:
        """The number of columns; 0 without a result set."""
        return len(self._raw_fields) if self._raw_fields else 0

    @property
    def description(self) -> Any:
        """PEP 249's description, or None without a result set."""
        if self._raw_fields is None:
            return None
        if self._description is None:
            self._description = tuple([field.description() for field in self.fields])
        return self._description

    def _read_rowdata_packet_unbuffered(self) -> Any:
        """Return the next row of a streamed result, or None."""
        if not self.unbuffered_active or self.connection is None:
            return None
        return self.connection._next_streamed_row(self)

    def _finish_unbuffered_query(self) -> None:
        """Read the rest of a streamed result away."""
        if self.unbuffered_active and self.connection is not None:
            self.connection._discard_stream(self)
