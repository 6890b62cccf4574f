"""Two drivers doing the same, and the record of what each of them showed.

A *scenario* is a function of a `Side`: it connects through that side's module and notes what comes
of each step, be it a value, an exception or a warning. `Both.compare` runs it once with PyMySQL and
once with slsmysql, each in a database of its own, and fails with all the notes that differ.

What is noted is types and values, all the way down: of an exception its name, those of its bases,
its arguments and its sqlstate; of a warning its category, its text and whether it points at the
caller's code.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pymysql
import pytest

import slsmysql
from tests.fix_servers import Backend
from tests.servers import Server

#: The names of the database, of either side, in what is noted.
DATABASE = "<database>"

#: What scenarios find in their database.
SCHEMA = [
    "CREATE TABLE a1 (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(5), n INT UNIQUE)",
    "CREATE TABLE a2 (id INT PRIMARY KEY, v VARCHAR(5))",
    "CREATE PROCEDURE p_none () BEGIN END",
    "CREATE PROCEDURE p_one () SELECT 1 AS a, 'x' AS b",
    "CREATE PROCEDURE p_two () BEGIN SELECT 1; SELECT 2, 'é' UNION SELECT 3, 'b'; END",
    "CREATE PROCEDURE p_write () BEGIN INSERT INTO a1 (v) VALUES ('w'); SELECT 5; END",
    "CREATE PROCEDURE p_out (IN x INT, OUT y INT, INOUT z INT) BEGIN SET y = x * 2, z = z"
    " + 1; SELECT x; SELECT z, 'k'; END",
    "CREATE PROCEDURE p_fail () BEGIN SELECT 1; SIGNAL SQLSTATE '45000' SET "
    "MESSAGE_TEXT='inproc'; END",
    "CREATE PROCEDURE `p ``odd` (x VARCHAR(20)) SELECT x",
    "CREATE PROCEDURE p_many (n INT) BEGIN DECLARE i INT DEFAULT 0; WHILE i < n DO SELECT"
    " i; SET i = i + 1; END WHILE; END",
    "CREATE TABLE parent (id INT PRIMARY KEY)",
    "INSERT INTO parent VALUES (1), (2)",
    "CREATE TABLE child (id INT PRIMARY KEY, p INT, CONSTRAINT fk FOREIGN KEY (p) "
    "REFERENCES parent (id))",
    "INSERT INTO child VALUES (1, 1)",
    "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, u INT UNIQUE, n INT NOT NULL, s "
    "VARCHAR(3), ti TINYINT, de DECIMAL(3,1), e ENUM('a','b'), da DATE, CHECK (ti < 100))",
    "INSERT INTO t (id, u, n) VALUES (1, 1, 1)",
    "CREATE TABLE parted (a INT) PARTITION BY RANGE (a) (PARTITION p0 VALUES LESS THAN (10))",
    "CREATE VIEW v AS SELECT COUNT(*) AS c FROM t",
    "CREATE PROCEDURE pr (x INT) SELECT x",
    "CREATE PROCEDURE raises () SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT='raised é', "
    "MYSQL_ERRNO=4711",
    "CREATE FUNCTION f (x INT) RETURNS INT NO SQL RETURN x",
    "CREATE TRIGGER tr BEFORE DELETE ON t FOR EACH ROW SIGNAL SQLSTATE '45001' SET "
    "MESSAGE_TEXT='no'",
]

#: What makes text differ from run to run: the address of an object.
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")

#: How many differences a failure shows, and how many characters of each.
SHOWN = 12
WIDTH = 400

#: PyMySQL's warning of rows that were left unread, which points into PyMySQL.
UNREAD = "Previous unbuffered result was left incomplete"

_TESTS = str(Path(__file__).parent)

#: What a step shows, in a form that can be compared and read.
Shown = Any

Scenario = Callable[["Side"], None]


@dataclass
class Side:
    """One driver at work in a database of its own, and the record of what it showed."""

    module: ModuleType
    server: Server
    database: str
    keywords: dict[str, Any]
    backend: Backend | None
    log: list[tuple[str, Shown]] = field(default_factory=list)
    connections: list[Any] = field(default_factory=list)

    @property
    def is_reference(self) -> bool:
        """Return whether this is PyMySQL."""
        return self.module is pymysql

    def connect(self, **overrides: Any) -> Any:
        """Connect as the ordinary account to this side's database; closed after the scenario."""
        connection = self.module.connect(**{**self.keywords, **overrides})
        self.connections.append(connection)
        return connection

    def cursor(self, name: str = "Cursor", **overrides: Any) -> Any:
        """Connect, and return a cursor of the class of that name."""
        return self.connect(**overrides).cursor(getattr(self.module.cursors, name))

    def note(self, label: str, value: Any) -> None:
        """Record a value."""
        self.log.append((label, self.show(value)))

    def attempt(self, label: str, function: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
        """Call, record what comes of it, and return the value; None after an exception."""
        value = None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                value = function(*args, **keywords)
                shown = self.show(value)
            except Exception as error:
                shown = self.show_error(error)
        caught = [warning for warning in caught if warning.category is not ResourceWarning]
        if caught:
            shown = (shown, [self.show_warning(warning) for warning in caught])
        self.log.append((label, shown))
        return value

    def state(self, label: str, cursor: Any) -> None:
        """Record the attributes of a cursor."""
        for name in (
            "description",
            "rowcount",
            "lastrowid",
            "rownumber",
            "warning_count",
            "arraysize",
            "_executed",
        ):
            self.attempt(f"{label}: {name}", getattr, cursor, name)

    def run(self, cursor: Any, query: Any, args: Any = None, *, fetch: str = "fetchall") -> None:
        """Execute, fetch, and record all there is to see at each of the steps."""
        label = query if isinstance(query, str) else repr(query)
        self.attempt(f"{label}: execute", cursor.execute, query, args)
        self.state(label, cursor)
        self.attempt(f"{label}: {fetch}", getattr(cursor, fetch))
        self.attempt(f"{label}: rownumber then", getattr, cursor, "rownumber")
        self.attempt(f"{label}: warning_count then", getattr, cursor, "warning_count")

    def close(self) -> None:
        """Close what the scenario has left open."""
        while self.connections:
            connection = self.connections.pop()
            with contextlib.suppress(Exception):
                if self.is_reference:
                    if connection._result is not None:
                        # Or finalizers will fail to read on a closed connection.
                        connection._result.unbuffered_active = False
                        connection._result.has_next = None
                    connection.close()
                else:
                    connection.quit()

    @contextlib.contextmanager
    def finalized_quietly(self) -> Iterator[None]:
        """Ignore what PyMySQL's finalizers raise: its results fail on a connection that is gone."""
        if self.is_reference:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(sys, "unraisablehook", lambda _: None)
                yield
        else:
            yield

    # What is shown

    def show(self, value: Any) -> Shown:
        """Return what is compared of a value: its type and its content, all the way down."""
        kind = type(value)
        if isinstance(value, type):
            return f"class {self.name_of(value)}"
        if kind in (tuple, list):
            return (kind.__name__, [self.show(item) for item in value])
        if isinstance(value, Mapping):
            items = [(self.show(key), self.show(item)) for key, item in value.items()]
            return (self.name_of(kind), items)
        if isinstance(value, BaseException):
            return self.show_error(value)
        if isinstance(value, slsmysql.cursors.RowCount):
            # Deliberate: an int that can be fetched from as well (docs/differences.md).
            return ("int", repr(int(value)))
        module = kind.__module__.split(".")[0]
        if module in ("pymysql", "slsmysql"):
            return f"<{self.name_of(kind)}>"
        return (self.name_of(kind), self.mask(repr(value)))

    def show_error(self, error: BaseException) -> Shown:
        """Return what is compared of an exception."""
        bases = [self.name_of(base) for base in type(error).__mro__]
        sqlstate = getattr(error, "sqlstate", "no such attribute")
        return ("raised", bases, self.show(error.args), sqlstate)

    def show_warning(self, warning: warnings.WarningMessage) -> Shown:
        """Return what is compared of a warning."""
        where = "the caller" if warning.filename.startswith(_TESTS) else "the driver"
        if str(warning.message) == UNREAD and self.is_reference:
            assert where == "the driver"
            where = "the caller"  # Deliberate: where the program left something unread
        return (self.name_of(warning.category), str(warning.message), f"points at {where}")

    def name_of(self, kind: type) -> str:
        """Return the name of a class, with its module unless that is the driver's."""
        module = kind.__module__
        if module.split(".")[0] in ("pymysql", "slsmysql", "builtins") or module.startswith(
            "tests."
        ):
            return kind.__qualname__
        return f"{module}.{kind.__qualname__}"

    def mask(self, text: str) -> str:
        """Return a text without what is each side's own."""
        return _ADDRESS.sub("0x...", text.replace(self.database, DATABASE))


class Both:
    """PyMySQL and slsmysql (on one back end) on one server, each in a database of its own."""

    def __init__(self, server: Server, backend: Backend) -> None:
        """Make two empty databases, whose names are equally long."""
        self.server = server
        self.backend = backend
        stem = f"test_{secrets.token_hex(6)}"
        self.databases = (f"{stem}_p", f"{stem}_s")
        #: Whether something differed: then the tables may, too.
        self.has_differed = True
        self._shared: tuple[Side, Side] | None = None
        params: dict[str, Any] = server.params()
        del params["database"]
        self._admin = pymysql.connect(**params, autocommit=True, charset="utf8mb4")
        self.prepare("CREATE DATABASE {database} CHARACTER SET utf8mb4")

    def close(self) -> None:
        """Remove the databases."""
        if self._shared is not None:
            for side in self._shared:
                side.close()
        self.prepare("SET SESSION lock_wait_timeout=10", "DROP DATABASE {database}")
        self._admin.close()

    def prepare(self, *statements: str) -> None:
        """Run statements in each database, whose name stands for ``{database}``."""
        with self._admin.cursor() as cursor:
            for name in self.databases:
                for statement in statements:
                    cursor.execute(statement.replace("{database}", name))

    def look(self, query: str) -> Any:
        """Return the rows of a query on a session of its own."""
        with self._admin.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    def lay_out(self) -> None:
        """Give both databases the schema, anew if something differed."""
        if self.has_differed:
            for side in self._shared or ():
                side.close()
            drop = "DROP DATABASE {database}", "CREATE DATABASE {database} CHARACTER SET utf8mb4"
            self.prepare(*drop, "USE {database}", *SCHEMA)
            self.has_differed = False

    def sides(self) -> tuple[Side, Side]:
        """Return PyMySQL's side and slsmysql's, both fresh."""
        sides = []
        for module, name in zip((pymysql, slsmysql), self.databases, strict=True):
            keywords = self.server.params(database=name)
            # TLS is the same for all that is compared here, and takes most of a connect's time.
            # (MySQL lets those in without whom it has let in with TLS before: `_admin`.)
            keywords["ssl_disabled"] = True
            sides.append(Side(module, self.server, name, keywords, None))
        reference, subject = sides
        subject.backend = self.backend
        subject.keywords["use_pure"] = self.backend == "pure"
        return reference, subject

    @contextlib.contextmanager
    def open_sides(self) -> Iterator[tuple[Side, Side]]:
        """Give two sides whose connections are closed afterwards."""
        sides = self.sides()
        try:
            yield sides
        finally:
            for side in sides:
                side.close()
            slsmysql.close_all()

    def compare(self, scenario: Scenario) -> None:
        """Run a scenario on both sides and fail with all the notes that differ."""
        with self.open_sides() as sides:
            for side in sides:
                with side.finalized_quietly():
                    scenario(side)
                    side.close()
            self.check(*sides)

    def shared(self) -> tuple[Side, Side]:
        """Return two sides with one connection each, kept for what changes nothing in a session."""
        sides = self._shared
        if sides is None:
            sides = self._shared = self.sides()
        for side in sides:
            if not side.connections or not side.connections[0].open:
                side.close()
                side.connect(autocommit=True)
            side.log.clear()
        return sides

    def compare_shared(self, scenario: Callable[[Side, Any], None]) -> None:
        """Run a scenario on the shared connections; it leaves their sessions as they were."""
        sides = self.shared()
        for side in sides:
            with side.finalized_quietly():
                scenario(side, side.connections[0])
        self.check(*sides)

    def check(self, reference: Side, subject: Side) -> None:
        """Fail with all the notes that differ."""
        differences = differing(reference, subject)
        if differences:
            self.has_differed = True
            count = f"slsmysql ({self.backend}) differs in {len(differences)} of the steps:"
            pytest.fail("\n".join([count, *differences[:SHOWN]]), pytrace=False)


def differing(reference: Side, subject: Side) -> list[str]:
    """Return the notes that differ, in words."""
    found = []
    for index in range(max(len(reference.log), len(subject.log))):
        entries = [
            side.log[index] if index < len(side.log) else ("(no such step)", None)
            for side in (reference, subject)
        ]
        (label, expected), (other, actual) = entries
        expected = translated(expected)
        if subject.backend == "c":
            if label.endswith("description"):
                expected = without_lengths(expected)
            expected = without_sqlstate(expected)
        if label != other or expected != actual:
            label = label if label == other else f"{label} / {other}"
            label = f"step {index}, {label}"
            found.append(f"{label}\n    pymysql   {around(expected, actual)}")
            found[-1] += f"\n    slsmysql  {around(actual, expected)}"
    return found


def around(shown: Shown, other: Shown) -> str:
    """Return what is shown as text; of a long one the part where the other begins to differ."""
    text, against = str(shown), str(other)
    if len(text) <= WIDTH:
        return text
    same = next((i for i, (a, b) in enumerate(zip(text, against, strict=False)) if a != b), 0)
    start = max(0, same - WIDTH // 4)
    return f"...{text[start : start + WIDTH]}..."


#: What PyMySQL lets out where an SSCursor's last statement failed, and slsmysql's error.
_NOTHING_TO_READ = "_read_rowdata_packet_unbuffered"
_EXECUTE_FIRST = (
    "raised",
    [*("ProgrammingError", "DatabaseError", "Error", "MySQLError"),
     *("Exception", "BaseException", "object")],
    ("tuple", [("str", "'execute() first'")]),
    None,
)  # fmt: skip


def translated(shown: Shown) -> Shown:
    """Return what is shown, or slsmysql's error where PyMySQL lets an AttributeError out."""
    match shown:
        case ("raised", ["AttributeError", *_], arguments, _) if _NOTHING_TO_READ in str(arguments):
            return _EXECUTE_FIRST
        case [("raised", ["AttributeError", *_], _, _) as error, [*caught]]:
            return (translated(error), caught)
    return shown


def without_sqlstate(shown: Shown) -> Shown:
    """Return an error as the C back end has it if its text is not UTF-8: without its sqlstate."""
    match shown:
        case ("raised", bases, arguments, _) if "\ufffd" in str(arguments):
            shown = ("raised", bases, arguments, None)
    return shown


def without_lengths(shown: Shown) -> Shown:
    """Return a description as the C back end has it: without the lengths that it is not told."""
    nothing = ("NoneType", "None")
    match shown:
        case ("tuple", [*columns]):
            shown = ("tuple", [_without_lengths(column, nothing) for column in columns])
    return shown


def _without_lengths(column: Shown, nothing: Shown) -> Shown:
    match column:
        case ("tuple", [name, code, display, _, _, scale, null]):
            return ("tuple", [name, code, display, nothing, nothing, scale, null])
    return column
