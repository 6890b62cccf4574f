"""One result of a statement, as cursors read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slsmysql._driver import Field

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from slsmysql.lifecycle import Lifecycle


class Columns:
    """The columns of results: kept, as a program's statements have the same ones each time."""

    __slots__ = ("_description", "_encoding", "_fields", "_raw", "count", "decoders")

    def __init__(self, raw: Sequence[tuple[Any, ...]], encoding: str, decoders: Any) -> None:
        """Keep what ``Handle.raw_fields`` tells, its names in ``encoding``.

        :param decoders: what makes the values of each; None where the handle may convert.
        """
        self._raw = raw
        self._encoding = encoding
        self.decoders: Any = decoders
        self.count: int = len(raw)
        self._fields: list[Field] | None = None
        self._description: Any = None

    @property
    def fields(self) -> list[Field]:
        """Their definitions."""
        if self._fields is None:
            self._fields = [Field.of(raw, self._encoding) for raw in self._raw]
        return self._fields

    @property
    def description(self) -> Any:
        """PEP 249's description."""
        if self._description is None:
            self._description = tuple([field.description() for field in self.fields])
        return self._description


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
    #: The columns, None without a result set.
    _columns: Columns | None = None

    @property
    def fields(self) -> list[Field]:
        """The columns."""
        return self._columns.fields if self._columns is not None else []

    @property
    def field_count(self) -> int:
        """The number of columns; 0 without a result set."""
        return self._columns.count if self._columns is not None else 0

    @property
    def description(self) -> Any:
        """PEP 249's description, or None without a result set."""
        return self._columns.description if self._columns is not None else None

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
