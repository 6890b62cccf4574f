"""Both drivers side by side through random sequences of calls: after each, all that shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.differential.harness import Both, Side, differing
from tests.differential.profile import examples
from tests.differential.test_values import CURSORS

CLIENT_MULTI_STATEMENTS = 1 << 16

QUERIES: list[tuple[str, Any]] = [
    ("SELECT 1", None),
    ("SELECT id, v FROM a1 ORDER BY id", None),
    ("SELECT * FROM a1 WHERE id=%s", (1,)),
    ("SELECT * FROM a1 WHERE id=%(id)s", {"id": 99}),
    ("SELECT 1 AS a, 'é' AS a, NULL UNION ALL SELECT 2, 'b', 2.5 UNION ALL SELECT 3, 'c', 1", None),
    ("SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6", None),
    ("SELECT 1; SELECT 2, 'x'; DO 0", None),
    ("SELECT 1 UNION SELECT 2; SELECT v FROM a1 WHERE id=2; SELECT 3", None),
    ("SELECT 1; SELECT * FROM nothing; SELECT 3", None),
    ("DO 0; INSERT INTO a1 (v) VALUES ('m'); SELECT LAST_INSERT_ID()>0", None),
    ("INSERT INTO a1 (v) VALUES (%s)", ("ins",)),
    ("INSERT INTO a1 (v) VALUES (%s), (%s)", ("i1", "i2")),
    ("INSERT INTO a1 (v) VALUES (%s)", ("too long",)),
    ("UPDATE a1 SET n=COALESCE(n, id)+1000", None),
    ("UPDATE a1 SET v='u' WHERE id<%s", (3,)),
    ("DELETE FROM a1 WHERE id=2", None),
    ("REPLACE INTO a1 (id, v, n) VALUES (1, 'r', NULL)", None),
    ("SELECT 1/0, CAST('x' AS SIGNED)", None),
    ("SELECT * FROM nothing", None),
    ("SELEC", None),
    ("SELECT %s", ()),
    ("SELECT %s", ("a'b\\",)),
    ("SELECT %s", (float("nan"),)),
    ("CALL p_two()", None),
    ("CALL p_fail()", None),
    ("CALL p_write()", None),
    ("SET @a=5", None),
    ("SELECT @a", None),
    ("SET autocommit=1", None),
    ("SET autocommit=0", None),
    ("SET sql_mode='NO_BACKSLASH_ESCAPES'", None),
    ("SET sql_mode=''", None),
    ("START TRANSACTION", None),
    ("COMMIT", None),
    ("ROLLBACK", None),
    ("SHOW WARNINGS", None),
    ("USE information_schema", None),
    ("SELECT DATABASE() LIKE 'test%%', %s", (1,)),
    ("SELECT COUNT(*) FROM a1", None),
]

MANY: list[tuple[str, list[Any]]] = [
    ("INSERT INTO a1 (v) VALUES (%s)", [("x",), ("y",), ("z",)]),
    ("INSERT INTO a1 (v, n) VALUES (%(v)s, %(n)s)", [{"v": "x", "n": 70}, {"v": "y", "n": 71}]),
    ("INSERT INTO a1 (v, n) VALUES (%s, %s)", [("x", 80), ("y", 80)]),
    ("UPDATE a1 SET v='w' WHERE id=%s", [(1,), (2,), (77,)]),
    ("SELECT %s", [(1,), (2,)]),
    ("SELECT * FROM nothing WHERE a=%s", [(1,), (2,)]),
    ("INSERT INTO a1 (v) VALUES (%s)", []),
]

CONNECTION_CALLS: dict[str, Callable[[Any], Any]] = {
    "commit": lambda connection: connection.commit(),
    "rollback": lambda connection: connection.rollback(),
    "begin": lambda connection: connection.begin(),
    "ping": lambda connection: connection.ping(),
    "autocommit(True)": lambda connection: connection.autocommit(True),
    "autocommit(False)": lambda connection: connection.autocommit(False),
    "show_warnings": lambda connection: connection.show_warnings(),
    "select_db": lambda connection: connection.select_db("information_schema"),
    "query": lambda connection: connection.query("SELECT 1, 2"),
    "query of several": lambda connection: connection.query("SELECT 1; SELECT 2"),
    "set_character_set": lambda connection: connection.set_character_set("latin1"),
    "set_character_set back": lambda connection: connection.set_character_set("utf8mb4"),
    "escape": lambda connection: connection.escape("a'b\\"),
}


def machine_of(both: Both) -> type[RuleBasedStateMachine]:
    """Return a state machine class on the databases of ``both``."""

    class Machine(RuleBasedStateMachine):
        """Two connections, one a driver, each with the same cursors."""

        cursors = Bundle("cursors")

        def __init__(self) -> None:
            super().__init__()
            # Laid out anew by the next test at the latest; here what counts is AUTO_INCREMENT.
            again = ["ALTER TABLE a1 AUTO_INCREMENT=1"] if both.has_differed else []
            both.prepare(
                "USE {database}",
                "DELETE FROM a1",
                *again,
                "INSERT INTO a1 (id, v, n) VALUES (1, 'one', 1), (2, 'two', 2)",
            )
            self.sides = both.sides()
            self.made: list[tuple[Any, Any]] = []
            self.closed = False

        def teardown(self) -> None:
            """Close what is open."""
            for side in self.sides:
                with side.finalized_quietly():
                    side.close()

        def both(self, label: str, call: Callable[[Side], Any]) -> None:
            """Do the same on both sides, and fail if it does not show the same."""
            for side in self.sides:
                with side.finalized_quietly():
                    side.attempt(label, call, side)
            self.compare()

        def compare(self) -> None:
            """Fail with what differs in the notes since the last time."""
            found = differing(*self.sides)
            for side in self.sides:
                side.log.clear()
            if found:
                both.has_differed = True
                raise AssertionError("\n".join(["", *found[:5]]))

        def of(self, index: int, side: Side) -> Any:
            """Return the cursor of that index on a side."""
            return self.made[index][self.sides.index(side)]

        @initialize(
            autocommit=st.sampled_from([False, False, True, None]),
            cursorclass=st.sampled_from(CURSORS),
        )
        def connect(self, autocommit: bool | None, cursorclass: str) -> None:
            """Connect both."""
            for side in self.sides:
                side.connect(
                    autocommit=autocommit,
                    cursorclass=getattr(side.module.cursors, cursorclass),
                    client_flag=CLIENT_MULTI_STATEMENTS,
                )

        @rule(target=cursors, kind=st.none() | st.sampled_from(CURSORS))
        def open_cursor(self, kind: str | None) -> int:
            """Make a cursor, of the connection's class or of another."""
            self.made.append(
                tuple(
                    side.connections[0].cursor(kind and getattr(side.module.cursors, kind))
                    for side in self.sides
                )
            )
            return len(self.made) - 1

        @rule(index=cursors, query=st.sampled_from(QUERIES))
        def execute(self, index: int, query: tuple[str, Any]) -> None:
            """Execute on a cursor."""
            self.both(f"{index}: {query}", lambda side: self.of(index, side).execute(*query))

        @rule(index=cursors, query=st.sampled_from(MANY))
        def executemany(self, index: int, query: tuple[str, list[Any]]) -> None:
            """Execute many on a cursor."""
            self.both(
                f"{index}: executemany{query}",
                lambda side: self.of(index, side).executemany(*query),
            )

        @rule(
            index=cursors,
            name=st.sampled_from(["p_none", "p_two", "p_out", "p_fail", "nothing"]),
            args=st.sampled_from([(), (1, 2, 3)]),
        )
        def callproc(self, index: int, name: str, args: tuple[int, ...]) -> None:
            """Call a procedure."""
            self.both(
                f"{index}: callproc {name}{args}",
                lambda side: self.of(index, side).callproc(name, args),
            )

        @rule(
            index=cursors,
            name=st.sampled_from(["fetchone", "fetchone", "fetchall", "nextset", "__next__"]),
        )
        def fetch(self, index: int, name: str) -> None:
            """Fetch, or go to the next set."""
            self.both(f"{index}: {name}", lambda side: getattr(self.of(index, side), name)())

        @rule(index=cursors, size=st.sampled_from([None, 0, 1, 2, 5, -1]))
        def fetchmany(self, index: int, size: int | None) -> None:
            """Fetch some."""
            self.both(
                f"{index}: fetchmany {size}", lambda side: self.of(index, side).fetchmany(size)
            )

        @rule(
            index=cursors,
            value=st.integers(-3, 4),
            mode=st.sampled_from(["relative", "absolute", "nope"]),
        )
        def scroll(self, index: int, value: int, mode: str) -> None:
            """Scroll."""
            self.both(
                f"{index}: scroll {value} {mode}",
                lambda side: self.of(index, side).scroll(value, mode),
            )

        @rule(index=cursors, size=st.integers(1, 4))
        def set_arraysize(self, index: int, size: int) -> None:
            """Set arraysize."""
            self.both(
                f"{index}: arraysize", lambda side: setattr(self.of(index, side), "arraysize", size)
            )

        @rule(index=consumes(cursors))
        def close_and_forget(self, index: int) -> None:
            """Close a cursor."""
            self.both(f"{index}: close", lambda side: self.of(index, side).close())

        @rule(index=cursors)
        def close_and_use(self, index: int) -> None:
            """Close a cursor that may be used again."""
            self.both(f"{index}: close", lambda side: self.of(index, side).close())

        @rule(name=st.sampled_from(sorted(CONNECTION_CALLS)))
        def call(self, name: str) -> None:
            """Call a method of the connection."""
            call = CONNECTION_CALLS[name]
            self.both(name, lambda side: call(side.connections[0]))

        @rule()
        def close_connection(self) -> None:
            """Close the connection, when all is read: PyMySQL cannot bear it otherwise.

            Its cursor's next call raises AttributeError, its connect() waits for ever.
            """
            result = self.sides[0].connections[0]._result
            if result is not None and (result.unbuffered_active or result.has_next):
                return
            self.both("connection.close", lambda side: side.connections[0].close())

        @rule()
        def connect_again(self) -> None:
            """Connect again after close()."""
            if not self.sides[0].connections[0].open:
                self.both("connection.connect", lambda side: side.connections[0].connect())

        @rule()
        def look_from_outside(self) -> None:
            """Look at what another session sees."""
            for name, side in zip(both.databases, self.sides, strict=True):
                side.note("outside", both.look(f"SELECT id, v, n FROM {name}.a1 ORDER BY id"))
            self.compare()

        @invariant()
        def the_same_shows(self) -> None:
            """All attributes of all cursors, and of the connection, are the same."""
            for side in self.sides:
                if not side.connections:
                    return
                connection = side.connections[0]
                for name in ("open", "charset", "encoding", "autocommit_mode"):
                    side.note(name, getattr(connection, name))
                side.note("affected_rows()", connection.affected_rows())
                side.attempt("insert_id()", connection.insert_id)
                side.attempt("get_autocommit()", connection.get_autocommit)
                for index in range(len(self.made)):
                    side.state(f"cursor {index}", self.of(index, side))
            self.compare()

    return Machine


def test_random_sequences_of_calls_show_the_same(both: Both) -> None:
    """Whatever a program does with a connection and its cursors, it sees what PyMySQL shows."""
    both.lay_out()
    run_state_machine_as_test(machine_of(both), settings=examples(40, steps=40))
