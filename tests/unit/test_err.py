"""The exception classes, and which of them a server's error becomes."""

from __future__ import annotations

import builtins
import copy
import importlib
import inspect
import pickle
import struct
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from slsmysql import err

theirs = importlib.import_module("pymysql.err")
CLASSES = [
    name
    for name, value in vars(theirs).items()
    if isinstance(value, type) and issubclass(value, BaseException)
]
ERRORS = [name for name in CLASSES if issubclass(getattr(theirs, name), theirs.Error)]


def raised_by(function: Any, *args: object) -> tuple[str, tuple[object, ...], object]:
    """Class, args and sqlstate of what `function` raises."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it raises is the result
        function(*args)
    error = caught.value
    return type(error).__name__, error.args, getattr(error, "sqlstate", "no sqlstate")


def test_every_public_name_of_pymysqls_is_there() -> None:
    """The module offers whatever PyMySQL's does."""
    assert {name for name in dir(theirs) if not name.startswith("_")} <= set(dir(err))


@pytest.mark.parametrize("name", CLASSES)
def test_classes_descend_as_pymysqls(name: str) -> None:
    """Each class has PyMySQL's line of ancestors, so that the same `except` clauses catch it."""
    ours: type = getattr(err, name)
    assert [base.__name__ for base in ours.__mro__] == [
        base.__name__ for base in getattr(theirs, name).__mro__
    ]
    assert ours.__module__ == "slsmysql.err"


def test_warning_is_a_builtin_warning() -> None:
    """`warnings.warn` and its filters take the module's Warning."""
    assert issubclass(err.Warning, builtins.Warning)


def test_error_takes_what_pymysqls_takes() -> None:
    """Errors take any arguments and the keyword sqlstate, which is None unless given."""
    parameters = inspect.signature(err.Error).parameters.values()
    assert [(p.name, p.kind, p.default) for p in parameters] == [
        (p.name, p.kind, p.default) for p in inspect.signature(theirs.Error).parameters.values()
    ]
    for arguments in [(), ("text",), (1064, "text"), (1, 2, 3)]:
        for name in ERRORS:
            ours, expected = getattr(err, name)(*arguments), getattr(theirs, name)(*arguments)
            assert (ours.args, ours.sqlstate) == (expected.args, expected.sqlstate)
            assert (str(ours), repr(ours)) == (str(expected), repr(expected))
    assert err.DataError(1264, "text", sqlstate="22003").sqlstate == "22003"
    with pytest.raises(TypeError):
        err.Error("text", errno=1)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", [*CLASSES, "OutcomeUnknownError"])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickling_keeps_everything(name: str, protocol: int) -> None:
    """An exception sent to another process arrives with its class, args and sqlstate."""
    cls: type[Exception] = getattr(err, name)
    error = cls(1064, "text é")
    if isinstance(error, err.Error):
        error.sqlstate = "42000"
    for arrived in (pickle.loads(pickle.dumps(error, protocol)), copy.copy(error)):
        assert type(arrived) is cls
        assert arrived.args == (1064, "text é")
        assert vars(arrived) == vars(error)


def test_error_map_is_pymysqls() -> None:
    """The same error numbers lead to the classes of the same names."""
    assert {errno: cls.__name__ for errno, cls in err.error_map.items()} == {
        errno: cls.__name__ for errno, cls in theirs.error_map.items()
    }


def test_every_errno_becomes_pymysqls_class() -> None:
    """For every number that a server can send, exception_for picks the class that PyMySQL does."""
    for errno in range(2**15):
        packet = b"\xff" + struct.pack("<h", errno) + b"#42000text"
        with pytest.raises(theirs.Error) as expected:
            theirs.raise_mysql_exception(packet)
        ours = err.exception_for(errno, "text", "42000")
        assert type(ours).__name__ == type(expected.value).__name__
        assert (ours.args, ours.sqlstate) == (expected.value.args, expected.value.sqlstate)


def test_exception_for_needs_no_sqlstate() -> None:
    """Without a sqlstate the exception has None for it, and nothing is raised yet."""
    error = err.exception_for(1040, "Too many connections")
    assert type(error) is err.OperationalError
    assert (error.args, error.sqlstate) == ((1040, "Too many connections"), None)


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=40) | st.binary(max_size=30).map(lambda rest: b"\xff\x28\x04#" + rest))
@example(b"")
@example(b"\xff\x28")
@example(b"\xff\x28\x04")
@example(b"\xff\x28\x04#")
@example(b"\xff\x28\x0442000")
@example(b"\xff\x28\x04#\xff\xff\xff\xff\xfftext")
@example(b"\xff\xff\xff#HY000\xfftext")
def test_packets_raise_what_pymysql_raises(packet: bytes) -> None:
    """Any error packet, malformed ones too, raises the same class, args and sqlstate."""
    assert raised_by(err.raise_mysql_exception, packet) == raised_by(
        theirs.raise_mysql_exception, packet
    )


def test_outcome_unknown_is_an_operational_error() -> None:
    """Code that catches PyMySQL's OperationalError for a lost connection catches this one too."""
    error = err.OutcomeUnknownError(2013, "Lost connection to MySQL server during query")
    assert isinstance(error, err.OperationalError)
    assert error.args == (2013, "Lost connection to MySQL server during query")
    assert error.sqlstate is None
