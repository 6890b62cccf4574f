"""The exception classes of PEP 249, and which of them a server's error number becomes."""

from __future__ import annotations

import builtins
import struct
from typing import NoReturn

from .constants import ER


class MySQLError(Exception):
    """Root of everything that this package raises or warns of. Source: PyMySQL."""


class Warning(builtins.Warning, MySQLError):
    """Something to be noticed, such as data truncated by an insert. Source: PEP 249."""


class Error(MySQLError):
    """Root of all errors: catch this to catch every one. Source: PEP 249.

    `args` is `(errno, message)` for what the server or the network says, and `(message,)` for a
    misuse that was found before anything was sent. `sqlstate` is the server's five characters,
    or None when there are none. Both survive pickling.
    """

    def __init__(self, *args: object, sqlstate: str | None = None) -> None:
        super().__init__(*args)
        self.sqlstate = sqlstate


class InterfaceError(Error):
    """The interface is at fault, not the database: a closed connection used. Source: PEP 249."""


class DatabaseError(Error):
    """Root of what the database is at fault for. Source: PEP 249."""


class DataError(DatabaseError):
    """A value that does not fit: out of range, too long, truncated. Source: PEP 249."""


class OperationalError(DatabaseError):
    """Not always the program's fault: a lost connection, a deadlock, a refused login.

    Also every server error that no other class claims. Source: PEP 249, PyMySQL.
    """


class OutcomeUnknownError(OperationalError):
    """The statement was sent and the connection was lost before its answer: it may have run.

    It may as well not have run, so it is never sent again on its own; only the caller can tell
    whether sending it twice does harm. `args` is `(errno, message)`.
    """


class IntegrityError(DatabaseError):
    """A key or a constraint was violated: a duplicate, a missing parent row. Source: PEP 249."""


class InternalError(DatabaseError):
    """The database is confused, or reports an operating system's errno. Source: PEP 249."""


class ProgrammingError(DatabaseError):
    """The program is wrong: bad syntax, no such table, wrong parameters. Source: PEP 249."""


class NotSupportedError(DatabaseError):
    """The server or its engine cannot do what was asked for. Source: PEP 249."""


# Errno to class, entry by entry PyMySQL's: programs match on the classes that they have met.
error_map: dict[int, type[Error]] = {
    **dict.fromkeys(
        (
            ER.DB_CREATE_EXISTS,
            ER.WRONG_DB_NAME,
            ER.WRONG_TABLE_NAME,
            ER.FIELD_SPECIFIED_TWICE,
            ER.INVALID_GROUP_FUNC_USE,
            ER.UNSUPPORTED_EXTENSION,
            ER.TABLE_MUST_HAVE_COLUMNS,
            ER.NO_SUCH_TABLE,
            ER.SYNTAX_ERROR,
            ER.PARSE_ERROR,
            ER.WRONG_COLUMN_NAME,
            ER.CANT_DO_THIS_DURING_AN_TRANSACTION,
        ),
        ProgrammingError,
    ),
    **dict.fromkeys(
        (
            ER.NO_DEFAULT,
            ER.PRIMARY_CANT_HAVE_NULL,
            ER.WARN_NULL_TO_NOTNULL,
            ER.WARN_DATA_OUT_OF_RANGE,
            ER.WARN_DATA_TRUNCATED,
            ER.TRUNCATED_WRONG_VALUE_FOR_FIELD,
            ER.ILLEGAL_VALUE_FOR_TYPE,
            ER.DATA_TOO_LONG,
            ER.DATETIME_FUNCTION_OVERFLOW,
        ),
        DataError,
    ),
    **dict.fromkeys(
        (
            ER.BAD_NULL_ERROR,
            ER.DUP_ENTRY,
            ER.CANNOT_ADD_FOREIGN,
            ER.NO_REFERENCED_ROW,
            ER.ROW_IS_REFERENCED,
            ER.ROW_IS_REFERENCED_2,
            ER.NO_REFERENCED_ROW_2,
        ),
        IntegrityError,
    ),
    **dict.fromkeys(
        (
            ER.WARNING_NOT_COMPLETE_ROLLBACK,
            ER.NOT_SUPPORTED_YET,
            ER.UNKNOWN_STORAGE_ENGINE,
            ER.FEATURE_DISABLED,
        ),
        NotSupportedError,
    ),
    **dict.fromkeys(
        (
            ER.CON_COUNT_ERROR,
            ER.DBACCESS_DENIED_ERROR,
            ER.ACCESS_DENIED_ERROR,
            ER.TABLEACCESS_DENIED_ERROR,
            ER.COLUMNACCESS_DENIED_ERROR,
            ER.LOCK_DEADLOCK,
            ER.CONSTRAINT_FAILED,
        ),
        OperationalError,
    ),
}


def exception_for(errno: int, message: str, sqlstate: str | None = None) -> Error:
    """The exception, not yet raised, that PyMySQL would raise for a server's error.

    `error_map` decides; an errno that it does not know is an InternalError below 1000 (those are
    the server's operating system's) and an OperationalError from there on.
    """
    known = error_map.get(errno)
    if known is None:
        known = InternalError if errno < ER.ERROR_FIRST else OperationalError
    return known(errno, message, sqlstate=sqlstate)


def raise_mysql_exception(data: bytes) -> NoReturn:
    """Raise what an error packet says: `data` is its payload, the 0xff byte first.

    The errno is read as signed, as PyMySQL does: above 32767 it comes out negative.
    Raises the class that `exception_for` picks; struct.error or IndexError for a packet cut short.
    Source: MySQL, "Client/Server Protocol", ERR_Packet.
    """
    (errno,) = struct.unpack("<h", data[1:3])
    sqlstate, message = None, data[3:]
    if data[3] == ord("#"):
        sqlstate, message = data[4:9].decode(), data[9:]
    raise exception_for(errno, message.decode("utf-8", "replace"), sqlstate)
