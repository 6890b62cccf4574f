"""One result of a statement, as cursors read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slsmysql._driver import Field

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slsmysql.lifecycle import Lifecycle


class MySQLResult:
    """One result of a statement, as cursors read it (PyMySQL's ``MySQLResult``)."""

    affected_rows: int = 0
    insert_id: int | None = None
    warning_count: int = 0
    message: bytes | None = None
    server_status: int | None = None
    has_next: Any = False
    rows: Any = None
    unbuffered_active: bool = False
    #: While rows are streamed.
    stream: Stream | None = None
    #: The columns, None without a result set; their names are in this codec.
    _raw_fields: list[tuple[Any, ...]] | None = None
    _encoding = "utf8"
    _fields: list[Field] | None = None
    _description: Any = None

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
        stream = self.stream
        if stream is None:
            return None
        row = next(stream.ahead, None)
        if row is None:
            row = stream.connection._next_streamed_row(self, stream)
            if row is None:
                return None
        self.affected_rows = 1
        self.rows = (row,)
        return row

    def _finish_unbuffered_query(self) -> None:
        """Read the rest of a streamed result away."""
        if self.stream is not None:
            self.stream.connection._discard_stream(self, self.stream)

    def end_stream(self) -> None:
        """Note that there is nothing more to fetch."""
        self.unbuffered_active = False
        self.stream = None


class Stream:
    """What a streamed result needs until its last row has been fetched."""

    __slots__ = ("ahead", "connection", "decoders", "error", "is_last", "size")

    def __init__(self, connection: Lifecycle, decoders: Any) -> None:
        """Stream the rows of ``connection``'s result, their values made by ``decoders``."""
        self.connection: Lifecycle = connection
        self.decoders: Any = decoders
        #: The rows that have been read and not fetched, which are the last ones or not; and what
        #: ended the reading behind them.
        self.ahead: Iterator[Any] = iter(())
        self.is_last: bool = False
        self.error: Exception | None = None
        #: Rows to read at once next time.
        self.size: int = 1
