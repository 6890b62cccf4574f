"""The names: what can be imported from PyMySQL can be imported from here, and means the same."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from types import ModuleType
from typing import Any

import pymysql
import pymysql.charset
import pymysql.connections
import pymysql.converters
import pymysql.cursors
import pymysql.err
import pymysql.times
import pytest

import slsmysql
import slsmysql.charset
from slsmysql.options import DEFAULTS

#: The modules, by PyMySQL's names.
MODULES = [
    "",
    "charset",
    "connections",
    "constants",
    "constants.CLIENT",
    "constants.COMMAND",
    "constants.CR",
    "constants.ER",
    "constants.FIELD_TYPE",
    "constants.FLAG",
    "constants.SERVER_STATUS",
    "converters",
    "cursors",
    "err",
    "optionfile",
    "times",
]

#: Names of PyMySQL that are not here, with the reason.
ABSENT = {
    "connections.VERSION_STRING": "it is in the package",
    "protocol": "the protocol is the driver's",
    "connections.MysqlPacket": "the protocol is the driver's",
    "connections.FieldDescriptorPacket": "the protocol is the driver's",
    "connections.OKPacketWrapper": "the protocol is the driver's",
    "connections.EOFPacketWrapper": "the protocol is the driver's",
    "connections.LoadLocalPacketWrapper": "the protocol is the driver's",
    "connections.dump_packet": "the protocol is the driver's",
}

#: Values that are this package's own.
OWN_VALUES = {"VERSION", "VERSION_STRING"}


def both_of(name: str) -> tuple[ModuleType, ModuleType]:
    """Return PyMySQL's module of that name, and this package's."""
    dot = "." if name else ""
    return (
        importlib.import_module(f"pymysql{dot}{name}"),
        importlib.import_module(f"slsmysql{dot}{name}"),
    )


def public_names(module: ModuleType) -> list[str]:
    """Return what a module has that is no other library's module, nor private."""
    found = []
    for name, value in vars(module).items():
        foreign = isinstance(value, ModuleType) and not value.__name__.startswith("pymysql")
        other = getattr(value, "__module__", None) or ""
        if name.startswith("_") or name == "annotations" or foreign:
            continue
        if callable(value):
            if not other.startswith("pymysql"):
                continue
            if name not in getattr(module, "__all__", ()) and other != module.__name__:
                # Imported for its own use; programs import it from where it is.
                continue
        elif isinstance(value, ModuleType) and (
            name not in getattr(module, "__all__", [name])
            or value.__name__.rpartition(".")[0] != module.__name__
        ):
            continue
        found.append(name)
    return found


NAMES = [(module, name) for module in MODULES for name in public_names(both_of(module)[0])]


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_of_pymysql_is_here(module: str) -> None:
    """Whatever a program imports from PyMySQL it can import from here."""
    theirs, ours = both_of(module)
    prefix = f"{module}." if module else ""
    missing = [
        name
        for name in public_names(theirs)
        if not hasattr(ours, name) and prefix + name not in ABSENT
    ]
    assert missing == []
    for name in getattr(theirs, "__all__", ()):
        assert hasattr(ours, name), name


def test_what_is_said_to_be_absent_is() -> None:
    """The list of what is not here is true."""
    for name in ABSENT:
        module, _, attribute = name.rpartition(".")
        theirs, ours = both_of(module)
        assert hasattr(theirs, attribute)
        assert not hasattr(ours, attribute)


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_a_constant_has_pymysqls_value(module: str, name: str) -> None:
    """Numbers, strings and tuples are PyMySQL's."""
    theirs, ours = (getattr(each, name, None) for each in both_of(module))
    if isinstance(theirs, (int, str, tuple, bytes)) and name not in OWN_VALUES:
        assert type(ours) is type(theirs)
        assert ours == theirs


def members(kind: type) -> dict[str, Any]:
    """Return the methods and properties of a class that a program may call or override."""
    found = {}
    for name in dir(kind):
        value = inspect.getattr_static(kind, name)
        if name.startswith("_Parser__"):
            continue
        if name.startswith("__") and name not in ("__init__", "__enter__", "__exit__", "__iter__"):
            continue
        found[name] = value
    return found


def fits(theirs: Any, ours: Any) -> list[str]:
    """Return what is wrong with a signature for calls as PyMySQL's takes them."""
    expected = inspect.signature(theirs).parameters
    actual = inspect.signature(ours).parameters
    if theirs.__name__.startswith("_") and len(expected) == len(actual):
        return []  # called by position
    kinds = {parameter.kind for parameter in actual.values()}
    takes_any = inspect.Parameter.VAR_POSITIONAL in kinds
    takes_keywords = inspect.Parameter.VAR_KEYWORD in kinds
    wrong = []
    for position, (name, parameter) in enumerate(expected.items()):
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            if parameter.kind not in kinds and not name.startswith("exc"):
                wrong.append(f"no {parameter}")
            continue
        found = actual.get(name)
        if found is None:
            if not (takes_any or takes_keywords):
                wrong.append(f"no parameter {name}")
            continue
        if list(actual).index(name) != position and parameter.kind != parameter.KEYWORD_ONLY:
            wrong.append(f"{name} is not at {position}")
        default, own = parameter.default, found.default
        if default is not inspect.Parameter.empty and default != own:
            wrong.append(f"{name}={own!r}, not {default!r}")
    for name, parameter in actual.items():
        required = parameter.default is inspect.Parameter.empty and parameter.kind not in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        )
        if required and name not in expected:
            wrong.append(f"{name} is required")
    return wrong


#: Methods of PyMySQL's connection that speak the protocol, or are its handshake.
PROTOCOL = {
    "_auth_plugin_name",
    "_create_ssl_ctx",
    "_execute_command",
    "_get_auth_plugin_handler",
    "_get_server_information",
    "_process_auth",
    "_read_bytes",
    "_read_ok_packet",
    "_read_packet",
    "_read_query_result",
    "_request_authentication",
    "_rfile",
    "_secure",
    "_write_bytes",
    "write_packet",
    "_sock",
    "_closed",
}

CLASSES = [
    ("connections", "Connection"),
    ("cursors", "Cursor"),
    ("cursors", "DictCursor"),
    ("cursors", "DictCursorMixin"),
    ("cursors", "SSCursor"),
    ("cursors", "SSDictCursor"),
    ("charset", "Charset"),
    ("charset", "Charsets"),
    ("optionfile", "Parser"),
    *[
        ("err", name)
        for name in public_names(pymysql.err)
        if inspect.isclass(vars(pymysql.err)[name])
    ],
]


@pytest.mark.parametrize(("module", "name"), CLASSES)
def test_a_class_has_pymysqls_methods(module: str, name: str) -> None:
    """Each method and attribute of PyMySQL's class is here, with a signature that fits."""
    theirs, ours = (getattr(each, name) for each in both_of(module))
    wrong = []
    for member, value in members(theirs).items():
        if member in PROTOCOL and name == "Connection":
            continue
        if not hasattr(ours, member):
            wrong.append(f"no {member}")
        elif inspect.isfunction(value) and not (name == "Connection" and member == "__init__"):
            found = inspect.getattr_static(ours, member)
            if not inspect.isfunction(found):
                continue
            wrong += [f"{member}: {each}" for each in fits(value, found)]
    assert wrong == []


FUNCTIONS = [
    (module, name) for module, name in NAMES if inspect.isfunction(vars(both_of(module)[0])[name])
]


@pytest.mark.parametrize(("module", "name"), FUNCTIONS)
def test_a_function_takes_what_pymysqls_takes(module: str, name: str) -> None:
    """Each function of PyMySQL's modules can be called here as it is there."""
    theirs, ours = (getattr(each, name) for each in both_of(module))
    assert fits(theirs, ours) == []


def test_connect_has_pymysqls_keywords_and_defaults() -> None:
    """Every keyword of PyMySQL's connect() is one here, with the same default."""
    theirs = inspect.signature(pymysql.connect).parameters
    own = {"use_pure"}
    assert set(theirs) - {"defer_connect"} == set(DEFAULTS) - own
    for name, parameter in theirs.items():
        if name == "cursorclass":
            assert DEFAULTS[name] is None  # Cursor
        elif name != "defer_connect":
            assert DEFAULTS[name] == parameter.default, name
    assert slsmysql.connect is slsmysql.Connect is slsmysql.Connection


def test_the_exceptions_have_pymysqls_bases() -> None:
    """The tree of exceptions is PyMySQL's, with one leaf more."""
    for name in public_names(pymysql.err):
        theirs = vars(pymysql.err)[name]
        if inspect.isclass(theirs):
            ours = vars(slsmysql.err)[name]
            assert [base.__name__ for base in ours.__mro__] == [
                base.__name__ for base in theirs.__mro__
            ]
            assert getattr(slsmysql, name, ours) is ours
            assert getattr(slsmysql.Connection, name, ours) is ours
    assert slsmysql.OutcomeUnknownError.__bases__ == (slsmysql.OperationalError,)


def test_an_errno_has_pymysqls_class() -> None:
    """The map from errno to class is PyMySQL's."""
    theirs = {errno: kind.__name__ for errno, kind in pymysql.err.error_map.items()}
    assert {errno: kind.__name__ for errno, kind in slsmysql.err.error_map.items()} == theirs


def test_the_converters_are_registered_as_pymysqls() -> None:
    """Encoders and decoders are registered for PyMySQL's types, by functions of its names."""
    for name in ("encoders", "decoders", "conversions"):
        theirs, ours = (getattr(module.converters, name) for module in (pymysql, slsmysql))
        assert {key: value.__name__ for key, value in ours.items()} == {
            key: value.__name__ for key, value in theirs.items()
        }


@pytest.mark.parametrize(
    "name", ["STRING", "BINARY", "NUMBER", "DATE", "TIME", "TIMESTAMP", "DATETIME", "ROWID"]
)
def test_a_type_object_compares_as_pymysqls(name: str) -> None:
    """The type objects are equal to the type codes, and to each other, that PyMySQL's are."""
    theirs, ours = getattr(pymysql, name), getattr(slsmysql, name)
    for code in [*range(-1, 260), "x", None, 1.0]:
        assert (ours == code) is (theirs == code)
        assert (ours != code) is (theirs != code)
        assert (code in ours) is (code in theirs)
    for other in ("STRING", "BINARY", "NUMBER", "DATE", "TIMESTAMP"):
        assert (ours == getattr(slsmysql, other)) is (theirs == getattr(pymysql, other))
    for plain in ({3}, frozenset({3}), set(theirs), frozenset(theirs)):
        assert (ours == plain) is (theirs == plain)
    # PyMySQL: a set that is equal to itself is unequal to itself, too.
    assert not ours != slsmysql.DBAPISet(ours)
    assert isinstance(ours, frozenset)
    assert hash(ours) == hash(frozenset(ours))


@pytest.mark.parametrize("ticks", [0, 1, 1e9, 1.5, -1])
@pytest.mark.parametrize("name", ["DateFromTicks", "TimeFromTicks", "TimestampFromTicks"])
def test_the_constructors_from_ticks_give_pymysqls_values(name: str, ticks: float) -> None:
    """Ticks become PyMySQL's dates and times."""
    assert getattr(slsmysql, name)(ticks) == getattr(pymysql, name)(ticks)


@pytest.mark.parametrize("value", [b"x", [1, 2], bytearray(b"y"), 3, memoryview(b"z"), "x", None])
def test_binary_makes_what_pymysqls_makes(value: Any) -> None:
    """Binary() makes bytes, or fails, as PyMySQL's."""

    def outcome(module: ModuleType) -> object:
        try:
            return module.Binary(value)
        except Exception as error:
            return type(error), error.args

    assert outcome(slsmysql) == outcome(pymysql)


def test_the_module_says_of_itself_what_pymysql_says() -> None:
    """PEP 249's globals and mysqlclient's are PyMySQL's."""
    for name in ("apilevel", "threadsafety", "paramstyle", "NULL", "version_info", "__version__"):
        assert getattr(slsmysql, name) == getattr(pymysql, name)
    assert slsmysql.get_client_info() == pymysql.get_client_info()
    assert slsmysql.thread_safe() == pymysql.thread_safe()


MYSQLDB = """
import sys
import slsmysql
slsmysql.install_as_MySQLdb()
import MySQLdb
import MySQLdb.connections
import MySQLdb.constants.CLIENT
import MySQLdb.cursors
from MySQLdb import _exceptions, converters
from MySQLdb.constants import CLIENT, CR, ER, FIELD_TYPE, FLAG
from MySQLdb.cursors import DictCursor, SSCursor
assert MySQLdb is slsmysql
assert MySQLdb.cursors is sys.modules["slsmysql.cursors"]
assert DictCursor is slsmysql.cursors.DictCursor
assert MySQLdb.connections.Connection is slsmysql.Connection
assert _exceptions.OperationalError is slsmysql.OperationalError
assert MySQLdb.string_literal("a'b") == b"'a\\\\'b'"
assert MySQLdb.version_info >= (2, 2, 1)
assert not any(name.startswith("pymysql") for name in sys.modules)
"""


def test_mysqldb_is_this_package_after_installing_it() -> None:
    """install_as_MySQLdb() makes every import of MySQLdb's modules give this package's."""
    subprocess.run([sys.executable, "-c", MYSQLDB], check=True, timeout=60)
