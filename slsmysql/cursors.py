"""The cursors: how a result is fetched (buffered, streamed) by what a row is (tuple, dict).

Two axes of mixins and leaf classes of two lines, with PyMySQL's names throughout, so that
subclasses of users find the methods that they override.
"""

from __future__ import annotations

import re
import warnings
from contextlib import suppress
from itertools import repeat
from typing import TYPE_CHECKING, Any

from slsmysql import err
from slsmysql.session import OTHER, PLAIN_READ, effect_of, known_effects

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from slsmysql.connections import Connection, MySQLResult

_PLACEHOLDER = r"(?:%s|%\([^)]+\)s)"
_NAME = r"""(?:`[^`]+`|"[^"]+"|[0-9A-Za-z_$]+)"""

#: An INSERT or REPLACE whose VALUES hold nothing but placeholders: what ``executemany`` can send
#: as statements of many rows.  A comment at the end is what tracing puts there (sqlcommenter).
_INSERT_VALUES = (
    rf"\s*((?:INSERT|REPLACE)\b.+\bVALUES?\s*)"
    rf"(\(\s*{_PLACEHOLDER}\s*(?:,\s*{_PLACEHOLDER}\s*)*\))"
    rf"(\s*(?:AS\s+{_NAME}\s*(?:\(\s*{_NAME}\s*(?:,\s*{_NAME}\s*)*\))?\s*)?"
    rf"(?:ON DUPLICATE.*|/\*(?!M?!|\+)(?:(?!\*/).)*\*/)?);?\s*\Z"
)


def _insert_values() -> Any:
    """Return it compiled, which takes 1.7 ms that most functions never need.

    PyMySQL's name for it is there from then on, and what a program has put there counts.
    """
    found = globals().get("RE_INSERT_VALUES")
    if found is None:
        found = globals()["RE_INSERT_VALUES"] = re.compile(
            _INSERT_VALUES, re.IGNORECASE | re.DOTALL
        )
    return found


def __getattr__(name: str) -> Any:
    if name == "RE_INSERT_VALUES":
        return _insert_values()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class RowCount(int):
    """The number of rows that ``execute`` returns: an int that can also be fetched from.

    PyMySQL's ``execute`` returns an int; polars takes what it returns for a result.
    """

    _cursor: Cursor

    @property
    def description(self) -> Any:
        """The cursor's ``description``."""
        return self._cursor.description

    def fetchone(self) -> Any:
        """Fetch from the cursor."""
        return self._cursor.fetchone()

    def fetchmany(self, size: int | None = None) -> Any:
        """Fetch from the cursor."""
        return self._cursor.fetchmany(size)

    def fetchall(self) -> Any:
        """Fetch from the cursor."""
        return self._cursor.fetchall()


class Cursor:
    """A buffered cursor whose rows are tuples (PEP 249, PyMySQL's ``Cursor``).

    Made by ``Connection.cursor()``.
    """

    #: Bytes that one statement made by ``executemany`` may have at the most.
    max_stmt_length = 1024000

    #: Whether rows are read from the server as they are fetched.
    _unbuffered = False
    #: Whether a subclass wants to be asked for the next result where there is none, too.
    _asks_nextset = False

    # What a new cursor has; to be found in the class costs less than to be set in each.
    connection: Connection[Any] | None
    warning_count: int = 0
    rownumber: int = 0
    rowcount: int = -1
    arraysize: int
    lastrowid: int | None
    _description: Any = None
    _executed: Any = None
    _result: MySQLResult | None = None
    _rows: Any = None

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Find out which of the methods that are left out where that shows nothing it has."""
        super().__init_subclass__(**keywords)
        cls._asks_nextset = (cls.nextset, cls._nextset) != (Cursor.nextset, Cursor._nextset)

    def __init__(self, connection: Connection[Any]) -> None:
        """Make a cursor of ``connection``; talks to nobody."""
        self.connection = connection
        self.arraysize = 1  # whatever a subclass has: PyMySQL's

    @property
    def description(self) -> Any:
        """PEP 249: a tuple of 7-item tuples, one a column; None without a result set."""
        description = self._description
        if description is None and self._result is not None:
            description = self._description = self._result.description
        return description

    @description.setter
    def description(self, value: Any) -> None:
        self._description = value

    def close(self) -> None:
        """Read what is left of the statement's results and let go of the connection.

        A boundary: the connection may look at the server's load here and give its session back.
        """
        connection = self.connection
        if connection is None:
            return
        result = self._result
        try:
            if self._asks_nextset or (result is not None and result.has_next):
                while self.nextset():
                    pass
        finally:
            self.connection = None
        if connection._monotonic() >= connection._looked_at.next_look:
            connection._cursor_closed()

    def __enter__(self) -> Self:
        """Return the cursor."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        """Close the cursor."""
        self.close()

    # Where it counts a caller writes `self.connection or self._get_db()`: a call less.
    def _get_db(self) -> Connection[Any]:
        if self.connection is None:
            raise err.ProgrammingError("Cursor closed")
        return self.connection

    def _check_executed(self) -> None:
        if not self._executed:
            raise err.ProgrammingError("execute() first")

    def _conv_row(self, row: Any) -> Any:
        return row

    def setinputsizes(self, *args: object) -> None:
        """Do nothing (PEP 249 requires the method)."""

    def setoutputsizes(self, *args: object) -> None:
        """Do nothing (PyMySQL's spelling of PEP 249's ``setoutputsize``)."""

    setoutputsize = setoutputsizes

    def _nextset(self, unbuffered: bool = False) -> bool | None:
        connection = self.connection or self._get_db()
        current = self._result
        if current is None or current is not connection._result or not current.has_next:
            return None
        self._clear_result()
        with connection._lock:
            connection.next_result(unbuffered=unbuffered)
            self._do_get_result()
        return True

    def nextset(self) -> bool | None:
        """Go to the next result set of the statement.

        :return: True, or None when there is none.
        :raises err.Error: the error of the statement that the next result belongs to.
        """
        return self._nextset(self._unbuffered)

    def _mogrify(self, query: Any, args: Any) -> Any:
        connection = self.connection or self._get_db()
        if isinstance(args, (tuple, list)):
            find = connection._literals().get
            texts = []
            for item in args:  # a comprehension costs a call
                literal = find(type(item))
                texts.append(connection.escape(item) if literal is None else literal(item))
            args = tuple(texts)
        elif isinstance(args, dict):
            escape = connection.escape
            args = {key: escape(item) for key, item in args.items()}
        else:
            warnings.warn(
                "single argument is deprecated and will be removed in the next version.",
                DeprecationWarning,
                stacklevel=3,
            )
            args = connection.escape(args)
        try:
            return query % args
        except TypeError as error:
            raise err.ProgrammingError(str(error)) from None

    def mogrify(self, query: str, args: Any = None) -> str:
        """Return the text that ``execute`` would send.

        :param args: a tuple or list for ``%s``, a dict for ``%(name)s``, None for no formatting.
        """
        if args is None:
            return query
        text: str = self._mogrify(query, args)
        return text

    def execute(self, query: Any, args: Any = None) -> int:
        """Run a statement.

        :param query: SQL with ``%s`` or ``%(name)s`` where parameters go.
        :param args: a tuple or list, a dict, or None: then ``query`` is sent as it is.
        :return: the number of rows, found or affected.
        :raises err.Error: PyMySQL's exception for the server's error.
        :raises err.OutcomeUnknownError: the session was lost before the answer came.
        """
        connection = self.connection or self._get_db()
        result = self._result
        if self._asks_nextset or (result is not None and result.has_next):
            while self.nextset():
                pass
        if args is None:
            count = self._query(query)
            self._executed = query
            return count
        if connection._handle is None:
            connection._wake()
        template, query = query, self._mogrify(query, args)
        if type(template) is str and not (
            connection._encoders.changed or connection._escapes_itself
        ):
            # What the statement does is read from its text before the parameters.
            effect = known_effects.get(template) or effect_of(template)
            if effect is PLAIN_READ or effect is OTHER:
                connection._effect = (query, effect)
            # Of anything else (SET time_zone = %s) the values matter, too.
        try:
            count = self._query(query)
        finally:
            connection._effect = None
        self._executed = query
        return count

    def executemany(self, query: str, args: Iterable[Any]) -> int | None:
        """Run a statement for each set of parameters.

        An INSERT or REPLACE with VALUES of placeholders only is sent as statements of many rows,
        of ``max_stmt_length`` bytes at the most.

        :param args: any iterable of tuples, lists, dicts or single values.
        :return: the number of rows affected; None, and nothing done, without parameters.
        """
        if not args:
            return None
        match = _insert_values().match(query)
        if match is None:
            self.rowcount = sum(self.execute(query, each) for each in args)
            return self.rowcount
        prefix, values, postfix = match.groups()
        return self._do_execute_many(
            prefix % (),
            values.rstrip(),
            (postfix or "") % (),
            args,
            self.max_stmt_length,
            self._get_db().encoding,
        )

    def _do_execute_many(
        self,
        prefix: Any,
        values: str,
        postfix: Any,
        args: Iterable[Any],
        max_stmt_length: int,
        encoding: str,
    ) -> int:
        connection = self._get_db()
        connection._wake()
        escape = connection.escape
        find = connection._literals().get
        template = f"{prefix}{values}{postfix}"
        if isinstance(prefix, str):
            prefix = prefix.encode(encoding)
        if isinstance(postfix, str):
            postfix = postfix.encode(encoding)
        room = max_stmt_length - len(postfix) - 1
        mogrify = self._mogrify
        plain = type(self)._mogrify is Cursor._mogrify
        rows = 0
        sql = bytearray()
        for each in args:
            if plain and type(each) is tuple:
                try:
                    text = values % tuple([find(type(item), escape)(item) for item in each])
                except TypeError as error:
                    raise err.ProgrammingError(str(error)) from None
            else:
                text = mogrify(values, each)
            row = text.encode(encoding)
            if not sql:
                sql += prefix
            elif len(sql) + len(row) > room:
                rows += self._execute_rows(template, sql + postfix)
                sql = bytearray(prefix)
            else:
                sql += b","
            sql += row
        if not sql:
            # PyMySQL lets an iterator without rows escape as StopIteration.
            return 0
        rows += self._execute_rows(template, sql + postfix)
        self.rowcount = rows
        return rows

    def _execute_rows(self, template: str, sql: bytearray) -> int:
        connection = self._get_db()
        if not (connection._encoders.changed or connection._escapes_itself):
            connection._effect = (sql, effect_of(template))
        try:
            return self.execute(sql)
        finally:
            connection._effect = None

    def callproc(self, procname: str, args: Sequence[Any] = ()) -> Sequence[Any]:
        """Call a stored procedure.

        The arguments go through user variables ``@_procname_n``, from which OUT and INOUT values
        can be selected afterwards (they pin the session).  The call itself ends with a result of
        its own, behind the procedure's result sets.

        :return: ``args`` as given.
        """
        connection = self._get_db()
        connection._wake()
        quoted = procname.replace("`", "``")
        if args:
            values = [
                f"@`_{quoted}_{index}`={connection.escape(arg)}" for index, arg in enumerate(args)
            ]
            self._query(f"SET {','.join(values)}")
            self.nextset()
        variables = [f"@`_{quoted}_{index}`" for index in range(len(args))]
        call = f"CALL `{quoted}`({','.join(variables)})"
        self._query(call)
        self._executed = call
        return args

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next row, or None."""
        if not self._executed:
            self._check_executed()
        rows = self._rows
        if rows is None or self.rownumber >= len(rows):
            return None
        row: tuple[Any, ...] = rows[self.rownumber]
        self.rownumber += 1
        return row

    def fetchmany(self, size: int | None = None) -> Sequence[tuple[Any, ...]]:
        """Return the next ``size`` rows (``arraysize`` if None or 0); () at the end."""
        self._check_executed()
        rows = self._rows
        if rows is None:
            return ()
        end = self.rownumber + (size or self.arraysize)
        found: Sequence[tuple[Any, ...]] = rows[self.rownumber : end]
        self.rownumber = min(end, len(rows))
        return found

    def fetchall(self) -> Sequence[tuple[Any, ...]]:
        """Return the rows that are left; [] after a statement without a result set."""
        if not self._executed:
            self._check_executed()
        rows = self._rows
        if rows is None:
            return []
        found: Sequence[tuple[Any, ...]] = rows[self.rownumber :] if self.rownumber else rows
        self.rownumber = len(rows)
        return found

    def scroll(self, value: int, mode: str = "relative") -> None:
        """Move to another row.

        :param mode: "relative" or "absolute".
        :raises IndexError: the row is not there.
        """
        self._check_executed()
        if mode == "relative":
            position = self.rownumber + value
        elif mode == "absolute":
            position = value
        else:
            raise err.ProgrammingError(f"unknown scroll mode {mode}")
        if not 0 <= position < len(self._rows):
            raise IndexError("out of range")
        self.rownumber = position

    def _query(self, query: Any) -> int:
        connection = self.connection or self._get_db()
        self._clear_result()
        # Held for both, or a thread of somebody's who shares the connection would take the result.
        with connection._lock:
            if self._unbuffered:
                connection.query(query, unbuffered=True)
            else:
                connection.query(query)
            self._do_get_result()
        if self._rows is None and not self._unbuffered:
            return self.rowcount  # nothing to fetch
        count = RowCount(self.rowcount)
        count._cursor = self
        return count

    def _clear_result(self) -> None:
        self.rownumber = 0
        self._result = None
        self.rowcount = 0
        self.warning_count = 0
        self._description = None
        self.lastrowid = None
        self._rows = None

    def _do_get_result(self) -> None:
        self._result = result = (self.connection or self._get_db())._result
        assert result is not None
        self.rowcount = result.affected_rows
        self.warning_count = result.warning_count
        self.lastrowid = result.insert_id
        self._rows = result.rows

    def __iter__(self) -> Self:
        """Return the cursor, which is its own iterator."""
        return self

    def __next__(self) -> tuple[Any, ...]:
        """Return the next row."""
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row


class DictCursorMixin(Cursor):
    """Rows as mappings; ``dict_type`` may be overridden.

    A name that comes again is written ``table.name``.
    """

    dict_type: Any = dict

    if TYPE_CHECKING:
        # At run time the methods are those of the cursors that this is mixed into.
        def fetchone(self) -> dict[str, Any] | None:  # type: ignore[override]
            """Return the next row, or None."""

        def fetchmany(  # type: ignore[override]
            self, size: int | None = None
        ) -> Sequence[dict[str, Any]]:
            """Return the next rows."""

        def fetchall(self) -> Sequence[dict[str, Any]]:  # type: ignore[override]
            """Return the rows that are left."""

        def __next__(self) -> dict[str, Any]:  # type: ignore[override]
            """Return the next row."""

    def _do_get_result(self) -> None:
        super()._do_get_result()
        names: list[str] = []
        if self._result is not None and self._result.field_count:
            for field in self._result.fields:
                name = field.name
                if name in names:
                    name = f"{field.table_name}.{name}"
                names.append(name)
            self._fields = names
        if names and self._rows:
            if type(self)._conv_row is DictCursorMixin._conv_row:
                # 0.6 of the time of a comprehension: no Python code for each row.
                self._rows = list(map(self.dict_type, map(zip, repeat(names), self._rows)))
            else:
                self._rows = [self._conv_row(row) for row in self._rows]

    def _conv_row(self, row: Any) -> Any:
        if row is None:
            return None
        return self.dict_type(zip(self._fields, row))  # noqa: B905 - equal by the protocol


class DictCursor(DictCursorMixin, Cursor):
    """A buffered cursor whose rows are dicts."""


class SSCursor(Cursor):
    """An unbuffered cursor: rows are read from the server as they are fetched.

    For results that do not fit into memory.  Their number is not known before the last one, there
    is no way back, and another statement on the connection discards what has not been read.
    """

    _unbuffered = True

    # As in Cursor; type checkers want it again where a subclass assigns to them.
    rownumber: int
    warning_count: int

    def close(self) -> None:
        """Read the rest of the rows away and let go of the connection."""
        connection = self.connection
        if connection is None:
            return
        result = self._result
        try:
            if result is not None and result is connection._result:
                result._finish_unbuffered_query()
        finally:
            super().close()

    def __del__(self) -> None:
        """Close; a finalizer has nobody to raise to."""
        with suppress(err.Error):
            self.close()

    def read_next(self) -> Any:
        """Return the next row, or None.

        :raises err.ProgrammingError: the last statement failed, so there is nothing to read.
        """
        if self._result is None:
            raise err.ProgrammingError("execute() first")
        return self._conv_row(self._result._read_rowdata_packet_unbuffered())

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next row, or None."""
        if not self._executed:
            self._check_executed()
        row: tuple[Any, ...] | None = self.read_next()
        if row is None:
            if self._result is not None:
                self.warning_count = self._result.warning_count
            return None
        self.rownumber += 1
        return row

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return all rows that are left as a list; this buffers them."""
        return list(self.fetchall_unbuffered())

    def fetchall_unbuffered(self) -> Iterator[tuple[Any, ...]]:
        """Return an iterator over the rows that are left."""
        return iter(self.fetchone, None)

    def fetchmany(self, size: int | None = None) -> Sequence[tuple[Any, ...]]:
        """Return a list of the next ``size`` rows (``arraysize`` if None); () at the end."""
        self._check_executed()
        if size is None:
            size = self.arraysize
        rows = []
        for _ in range(size):
            row = self.read_next()
            if row is None:
                assert self._result is not None
                self.warning_count = self._result.warning_count
                break
            rows.append(row)
            self.rownumber += 1
        return rows or ()

    def scroll(self, value: int, mode: str = "relative") -> None:
        """Skip rows; forward only.

        :raises err.NotSupportedError: the row lies behind.
        """
        self._check_executed()
        if mode == "relative":
            skip = value
        elif mode == "absolute":
            skip = value - self.rownumber
        else:
            raise err.ProgrammingError(f"unknown scroll mode {mode}")
        if skip < 0:
            raise err.NotSupportedError("Backwards scrolling not supported by this cursor")
        for _ in range(skip):
            self.read_next()
        self.rownumber += skip


class SSDictCursor(DictCursorMixin, SSCursor):  # type: ignore[misc]
    """An unbuffered cursor whose rows are dicts."""

    if TYPE_CHECKING:

        def fetchall(self) -> list[dict[str, Any]]:  # type: ignore[override]
            """Return all rows that are left as a list; this buffers them."""

        def fetchall_unbuffered(self) -> Iterator[dict[str, Any]]:  # type: ignore[override]
            """Return an iterator over the rows that are left."""
