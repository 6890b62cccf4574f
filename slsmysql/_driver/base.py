"""The contract between slsmysql and one physical session with a server: the ``Handle``.

A handle sends one command at a time and hands out what the server answered, raw.  It decides
nothing: no retry, no reconnect, no conversion beyond what the C extension does faster.  Whoever
calls it holds the connection's lock.  After any exception that is not an error packet of the
server, ``alive`` is False and the handle is only good for ``abandon()``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from slsmysql import err
from slsmysql.constants import CR, ER

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

Row = tuple[Any, ...]

#: Errors that mean: this session is gone, or its stream is out of step.  1927 and 3169 are the
#: server's "connection was killed", 4031 its "disconnected because of inactivity".
LOST = frozenset(
    {
        CR.CR_SERVER_GONE_ERROR,
        CR.CR_SERVER_LOST,
        CR.CR_COMMANDS_OUT_OF_SYNC,
        CR.CR_MALFORMED_PACKET,
        2045,  # CR_SHARED_MEMORY_CONNECT_ERROR, as SQLAlchemy lists it
        CR.CR_SERVER_LOST_EXTENDED,
        1053,  # ER_SERVER_SHUTDOWN
        1080,  # ER_FORCING_CLOSE
        1927,  # ER_CONNECTION_KILLED (MariaDB)
        3169,  # ER_SESSION_WAS_KILLED
        4031,  # ER_CLIENT_INTERACTION_TIMEOUT
    }
)

#: Lost, and proven not to have run the statement: the server had written this before it read it.
LOST_UNREAD = frozenset({4031})

#: Errors of a server that says why and then closes: the statement was not run.
ENDS_SESSION = frozenset({1153, *range(1155, 1162)})

#: Errors of a server that refuses because it may not write any more (a failover happened).
READ_ONLY = frozenset({1290, 1836})

CANNOT_REACH = frozenset({2002, 2003, 2005})

LOST_MESSAGE = "Lost connection to MySQL server during query"


class Field(NamedTuple):
    """One column of a result set, in the order in which the C extension reports it.

    ``length`` is the declared length in bytes; the C extension does not have it (None).
    """

    catalog: bytes
    db: bytes
    table_name: str
    org_table: str
    name: str
    org_name: str
    charsetnr: int
    max_length: int
    type_code: int
    flags: int
    scale: int
    length: int | None = None

    @classmethod
    def of(cls, raw: tuple[Any, ...], encoding: str) -> Field:
        """Return the field for what ``Handle.raw_fields`` gave, its names decoded."""
        catalog, db, *names = raw[:6]
        # The C extension has str for an empty name, bytes for any other.
        texts = [name.decode(encoding, "replace") if name else "" for name in names]
        rest: Any = (*texts, *raw[6:])
        return cls(catalog or b"", db or b"", *rest)

    def description(self) -> tuple[str, int, None, int | None, int | None, int, bool]:
        """Return PEP 249's seven items, as PyMySQL fills them."""
        length = self.get_column_length()
        return (
            self.name,
            self.type_code,
            None,
            length,
            length,
            self.scale,
            self.flags % 2 == 0,
        )

    def get_column_length(self) -> int | None:
        """Return the length in characters for VAR_STRING, else in bytes; None if unknown."""
        if self.length is None or self.type_code != _VAR_STRING:
            return self.length
        return self.length // _MBLENGTH.get(self.charsetnr, 1)


_VAR_STRING = 253
#: Bytes per character by collation id, for the few that PyMySQL divides by.
_MBLENGTH = {8: 1, 33: 3, 88: 2, 91: 2}


class Handle(Protocol):
    """One physical session with a server."""

    backend: str
    alive: bool
    thread_id: int
    server_version: str
    host_info: str
    protocol_version: int
    server_capabilities: int
    server_charset_id: int
    secure: bool
    #: Of the last OK packet or of the end of the last result set.
    affected_rows: int
    insert_id: int
    warning_count: int
    message: bytes | None
    #: False only when the lost session is known not to have read the last command.
    maybe_read: bool
    #: Whether rows of a result set may be left unread.
    pending: bool

    def query(self, sql: bytes) -> Sequence[Hashable] | None:
        """Send ``sql`` (COM_QUERY) and read the head of the answer.

        :return: when a result set follows, which must then be read to its end, its columns as
            this back end has them; None when none does.
        """

    def next(self) -> Sequence[Hashable] | None:
        """Go to the next result of the last command; as ``query``."""

    @property
    def more(self) -> bool:
        """Whether another result follows the one that has been read to its end."""

    @property
    def status(self) -> int:
        """The server's status word as last heard, without a round trip."""

    def raw_fields(self, columns: Sequence[Any]) -> Sequence[tuple[Any, ...]]:
        """What ``query`` or ``next`` gave, each a tuple in ``Field``'s order.

        Names are as the server sent them: bytes in the connection's character set.
        """

    def read_rows(self, into: list[Row], size: int, native: bool) -> None:
        """Append the next rows to an empty list: ``size`` of them, or fewer, which ends the result.

        Their values are bytes or None; Python's own if ``native``, which the C back end can do.
        What was read before an error is in ``into``.
        """

    def ping(self) -> bool:
        """COM_PING; False when the session is gone."""

    def statistics(self) -> str:
        """COM_STATISTICS: the server's one-line summary."""

    def init_db(self, name: bytes) -> None:
        """COM_INIT_DB."""

    def reset(self) -> None:
        """COM_RESET_CONNECTION: a session as after log-in, but for the database."""

    def set_up_done(self) -> None:
        """Tell that connecting is over: from now on the options' time-outs count, not its own."""

    def set_timeouts(self, read: float | None, write: float | None) -> None:
        """Change the time-outs, in seconds; NotSupportedError where the back end cannot."""

    def quit(self) -> None:
        """Say COM_QUIT and close; never raises."""

    def abandon(self) -> None:
        """Close without a word to the server; never raises."""


def as_text(name: str | bytes | None) -> str | None:
    """Return a user's or database's name as the driver takes it."""
    return name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name


def unreachable(host: str, detail: object) -> err.Error:
    """Return PyMySQL's error for an address that cannot be reached or resolved."""
    return err.OperationalError(
        CR.CR_CONN_HOST_ERROR, f"Can't connect to MySQL server on {host!r} ({detail})"
    )


def server_error(errno: int, message: str, sqlstate: str | None) -> err.Error:
    """Return PyMySQL's exception for an error packet."""
    return err.exception_for(errno, message, sqlstate)


def is_lost(error: BaseException) -> bool:
    """Whether ``error`` ends the session it came from."""
    return isinstance(error, err.Error) and bool(error.args) and error.args[0] in LOST


#: What libmysql says to a server that asks for a file nobody has allowed it.
LOCAL_INFILE_REFUSED = "LOAD DATA LOCAL INFILE file request rejected due to restrictions on access."


def local_infile_refused() -> err.Error:
    """Return the error for a server that asks for a file nobody has allowed it."""
    return err.OperationalError(CR.CR_LOAD_DATA_LOCAL_INFILE_REJECTED, LOCAL_INFILE_REFUSED)


def file_not_found(filename: bytes, detail: object) -> err.Error:
    """Return PyMySQL's error for a file of LOAD DATA LOCAL that cannot be read."""
    return err.OperationalError(ER.FILE_NOT_FOUND, f"Can't open file '{filename!r}': {detail}")
