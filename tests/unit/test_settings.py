"""The management options: their rules, where their values come from, and their documentation."""

from __future__ import annotations

import ast
import math
import pickle
import traceback
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slsmysql import err, settings
from slsmysql.settings import Settings

ROOT = Path(__file__).parents[2]
DOC = ROOT / "docs" / "options.md"


def render_table() -> str:
    """Return the table of the management options as ``docs/options.md`` must have it."""
    lines = [
        "| option | environment variable | default | unit | must be | meaning |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, option in settings.OPTIONS.items():
        variable = f"`{settings.PREFIX}{name.upper()}`" if option.rule.read else "only in code"
        lines.append(
            f"| `{name}` | {variable} | `{option.default!r}` | {option.unit} "
            f"| {option.rule.right} | {option.doc} |"
        )
    return "\n".join(lines) + "\n"


def test_the_documentation_has_this_table() -> None:
    """``docs/options.md`` holds the table that the options give, to the letter."""
    assert render_table() in DOC.read_text(encoding="utf-8"), render_table()


def test_the_module_reads_nothing_by_itself() -> None:
    """The module imports no clock, no randomness and no environment."""
    tree = ast.parse(Path(settings.__file__).read_text(encoding="utf-8"))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported.isdisjoint({"os", "time", "random", "socket", "threading", "datetime"})


def test_the_defaults_are_those_of_the_design() -> None:
    """Each default has the value that users are promised."""
    made = Settings()
    assert {name: getattr(made, name) for name in settings.NAMES} == {
        "manage_conns": True,
        "conn_utilization": 0.8,
        "zombie_min_timeout": 3,
        "zombie_max_timeout": 900,
        "max_conns_freq": 15,
        "used_conns_freq": None,
        "backoff": "full",
        "backoff_base": 0.05,
        "backoff_cap": 1.0,
        "max_retries": None,
        "query_retries": 0,
        "on_event": None,
        "lease": 900,
        "stale_after": 1,
        "reopen_after": 300,
        "reuse": True,
        "max_parked": 1,
        "reap": "user",
        "resume_reads": True,
        "deadline": None,
    }


def test_settings_do_not_change() -> None:
    """A ``Settings`` is frozen, has no room for other attributes, and takes keywords only."""
    made: Any = Settings()
    for name in ("lease", "leese"):
        with pytest.raises(AttributeError):
            setattr(made, name, 1)
        with pytest.raises(AttributeError):
            delattr(made, name)
    assert made == Settings()
    with pytest.raises(TypeError):
        Settings(True)  # type: ignore[call-arg]


def test_settings_are_values() -> None:
    """Equal settings are equal, hash equal and survive pickling."""
    made = Settings(lease=60)
    assert made == Settings(lease=60) != Settings()
    assert hash(made) == hash(Settings(lease=60))
    assert pickle.loads(pickle.dumps(made)) == made


GOOD: dict[str, list[object]] = {
    "manage_conns": [True, False],
    "conn_utilization": [0.8, 1, 1.0, 1e-9],
    "zombie_min_timeout": [0, 0.5, 900],
    "zombie_max_timeout": [3, 3.5, 31_536_000],
    "max_conns_freq": [0, 15, 0.1],
    "used_conns_freq": [None, 0, 2.5],
    "backoff": ["full", "decorrelated", lambda _attempt, _before: 1.0],
    "backoff_base": [1e-9, 1, 1.0],
    "backoff_cap": [0.05, 5, 60.0],
    "max_retries": [None, 0, 50],
    "query_retries": [0, 5],
    "on_event": [None, print],
    "lease": [None, 1, 900, 31_536_000],
    "stale_after": [0, 1, 1e6],
    "reopen_after": [0.1, 300],
    "reuse": [True, False],
    "max_parked": [1, 7],
    "reap": ["user", "fleet", "off"],
    "resume_reads": [True, False],
    "deadline": [None, lambda: 3.0],
}

BAD: dict[str, list[object]] = {
    "manage_conns": [None, 1, 0, "true"],
    "conn_utilization": [0, -0.1, 1.01, 80, None, "0.8", True, math.nan, math.inf],
    "zombie_min_timeout": [-1, None, "3", math.nan, math.inf, True, 10**400],
    "zombie_max_timeout": [0, -1, None, "900", math.nan, 1e9],
    "max_conns_freq": [-0.1, None, "15", math.nan],
    "used_conns_freq": [-1, "adaptive", math.nan, False],
    "backoff": ["FULL", "exponential", "", None, 2],
    "backoff_base": [0, -1, None, "0.01", math.nan],
    "backoff_cap": [0, -1, None, "1", math.inf],
    "max_retries": [-1, 1.5, "3", True],
    "query_retries": [-1, None, 1.0, "3", True],
    "on_event": ["print", 1, ()],
    "lease": [0, -1, 0.5, 900.0, "900", True, 31_536_001],
    "stale_after": [-1, None, "1", math.nan],
    "reopen_after": [0, -300, None, "300"],
    "reuse": [None, 1, "no"],
    "max_parked": [0, -1, None, 1.0, True],
    "reap": ["none", "", None, "User"],
    "resume_reads": [None, 0, "yes"],
    "deadline": [5.0, "5", ()],
}


def test_every_option_has_good_and_bad_examples() -> None:
    """No option is forgotten below."""
    assert GOOD.keys() == BAD.keys() == set(settings.NAMES)


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in GOOD.items() for v in values])
def test_a_possible_value_is_taken(name: str, value: object) -> None:
    """A value within the rule is kept as it is."""
    assert getattr(Settings(**{name: value}), name) is value  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in BAD.items() for v in values])
def test_an_impossible_value_is_refused(name: str, value: object) -> None:
    """The error says the name, the value and what would be right."""
    with pytest.raises(err.ProgrammingError) as caught:
        Settings.build({name: value}, {})
    message = str(caught.value)
    assert message == f"{name}={value!r}: must be {settings.OPTIONS[name].rule.right}"


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [("zombie_min_timeout", "zombie_max_timeout"), ("backoff_base", "backoff_cap")],
)
@given(data=st.data())
def test_bounds_that_cross_are_refused(smaller: str, larger: str, data: st.DataObject) -> None:
    """A lower bound above its upper bound is refused by name; equal ones are not."""
    low = data.draw(st.floats(0.01, 1e6))
    high = data.draw(st.floats(0.01, 1e6))
    keywords: dict[str, Any] = {smaller: low, larger: high}
    if low <= high:
        assert getattr(Settings(**keywords), smaller) == low
    else:
        with pytest.raises(err.ProgrammingError, match=f"{smaller}=.* at most {larger}"):
            Settings(**keywords)


@given(
    name=st.sampled_from(settings.NAMES),
    value=st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.binary(),
        st.just(10**400),
        st.lists(st.integers()),
        st.complex_numbers(),
        st.decimals(),
    ),
)
def test_any_value_is_kept_or_refused(name: str, value: object) -> None:
    """Whatever is given, it is kept or refused with a ProgrammingError, and nothing else."""
    try:
        made = Settings.build({name: value}, {})
    except err.ProgrammingError as error:
        assert name in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert getattr(made, name) is value


TEXTS = [
    ("MANAGE_CONNS", "0", False),
    ("MANAGE_CONNS", "off", False),
    ("MANAGE_CONNS", "No", False),
    ("MANAGE_CONNS", " FALSE ", False),
    ("REUSE", "1", True),
    ("REUSE", "on", True),
    ("REUSE", "Yes", True),
    ("REUSE", "true", True),
    ("CONN_UTILIZATION", "0.7", 0.7),
    ("CONN_UTILIZATION", "1", 1),
    ("ZOMBIE_MIN_TIMEOUT", "2.5", 2.5),
    ("LEASE", "60", 60),
    ("LEASE", "", None),
    ("LEASE", "None", None),
    ("MAX_RETRIES", "none", None),
    ("MAX_RETRIES", "7", 7),
    ("USED_CONNS_FREQ", "", None),
    ("USED_CONNS_FREQ", "1e-1", 0.1),
    ("BACKOFF", "decorrelated", "decorrelated"),
    ("BACKOFF", "Full", "full"),
    ("REAP", "fleet", "fleet"),
]


@pytest.mark.parametrize(("variable", "text", "value"), TEXTS)
def test_an_environment_variable_is_typed(variable: str, text: str, value: object) -> None:
    """The text of a variable becomes a value of the option's own type."""
    made = Settings.build({}, {f"SLSMYSQL_{variable}": text, "PATH": "/bin"})
    got = getattr(made, variable.lower())
    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("MANAGE_CONNS", "maybe"),
        ("MANAGE_CONNS", ""),
        ("CONN_UTILIZATION", "80%"),
        ("CONN_UTILIZATION", "80"),
        ("CONN_UTILIZATION", "none"),
        ("CONN_UTILIZATION", ""),
        ("LEASE", "15.5"),
        ("LEASE", "0"),
        ("LEASE", "never"),
        ("MAX_RETRIES", "-1"),
        ("ZOMBIE_MIN_TIMEOUT", "nan"),
        ("ZOMBIE_MAX_TIMEOUT", "inf"),
        ("BACKOFF", "linear"),
        ("REAP", "all"),
    ],
)
def test_a_wrong_text_is_refused_by_the_variables_name(variable: str, text: str) -> None:
    """The error names the variable, not only the option, so that one knows where to look."""
    with pytest.raises(err.ProgrammingError, match=f"^SLSMYSQL_{variable}=.*must be "):
        Settings.build({}, {f"SLSMYSQL_{variable}": text})


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("SLSMYSQL_CONN_UTILISATION", "Did you mean 'SLSMYSQL_CONN_UTILIZATION'?"),
        ("SLSMYSQL_Lease", "Did you mean 'SLSMYSQL_LEASE'?"),
        ("SLSMYSQL_USE_PUR", "Did you mean 'SLSMYSQL_USE_PURE'?"),
        ("SLSMYSQL_ON_EVENT", "only be given in code"),
        ("SLSMYSQL_DEADLINE", "only be given in code"),
        ("SLSMYSQL_", "unknown environment variable SLSMYSQL_."),
    ],
)
def test_an_unknown_variable_is_refused(variable: str, hint: str) -> None:
    """A variable with the prefix that is no setting is an error which helps."""
    with pytest.raises(err.ProgrammingError) as caught:
        Settings.build({}, {variable: "1"})
    assert variable in str(caught.value)
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    "variable", ["SLSMYSQL_USE_PURE", "SLSMYSQL_TEST_DSNS", "PATH", "XSLSMYSQL_LEASE", "slsmysql_x"]
)
def test_other_variables_are_let_alone(variable: str) -> None:
    """What is known to be no setting, and what has another prefix, is not looked at."""
    assert Settings.build({}, {variable: "whatever"}) == Settings()


def test_keywords_win_over_the_environment() -> None:
    """A keyword in the code beats the variable; other variables still count."""
    environ = {"SLSMYSQL_LEASE": "60", "SLSMYSQL_REUSE": "0"}
    made = Settings.build({"lease": None}, environ)
    assert (made.lease, made.reuse) == (None, False)


def test_an_object_wins_over_the_environment_and_keywords_over_it() -> None:
    """A ``Settings`` stands for the whole environment, and further keywords change it."""
    base = Settings(lease=60, max_parked=4)
    environ = {"SLSMYSQL_LEASE": "30", "SLSMYSQL_REUSE": "0"}
    assert Settings.build({"settings": base}, environ) is base
    made = Settings.build({"settings": base, "lease": 10}, environ)
    assert made == Settings(lease=10, max_parked=4)


def test_no_object_is_as_none_given() -> None:
    """``settings=None`` is the default of a keyword, not a value."""
    assert Settings.build({"settings": None}, {"SLSMYSQL_LEASE": "30"}).lease == 30


@pytest.mark.parametrize("value", [{}, {"lease": 3}, Settings, "lease=3"])
def test_something_else_than_an_object_is_refused(value: object) -> None:
    """``settings`` takes a ``Settings`` only."""
    with pytest.raises(err.ProgrammingError, match="settings must be a Settings, not"):
        Settings.build({"settings": value}, {})


def test_an_unknown_keyword_is_refused() -> None:
    """As any function does, with a TypeError, and the nearest right name."""
    with pytest.raises(TypeError, match=r"'conn_utilisation'\. Did you mean 'conn_utilization'"):
        Settings.build({"conn_utilisation": 0.5}, {})


def test_nothing_given_costs_nothing() -> None:
    """The default settings are one object, not made again at each connect."""
    assert Settings.build({}, {}) is Settings.build({}, {"PATH": "/bin"})


def test_text_can_give_what_is_not_a_callable() -> None:
    """Every option but the two callables can stand in the environment and in a URL."""
    assert set(settings.NAMES) - set(settings.FROM_TEXT) == {"on_event", "deadline"}


@given(name=st.sampled_from(sorted(settings.FROM_TEXT)), text=st.text())
def test_any_text_is_read_or_refused(name: str, text: str) -> None:
    """Whatever a variable holds, it gives a possible value or a ProgrammingError naming it."""
    variable = f"SLSMYSQL_{name.upper()}"
    try:
        found = settings.from_environ({variable: text})
    except err.ProgrammingError as error:
        assert variable in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert settings.OPTIONS[name].rule.holds(found[name])


@pytest.mark.parametrize(
    ("keywords", "variable"),
    [
        ({}, "SLSMYSQL_LEASE"),
        ({}, "SLSMYSQL_UNKNOWN"),
        ({"lease": 0}, "PATH"),
        ({"unknown": 1}, "PATH"),
    ],
)
def test_no_other_variable_is_held_when_something_is_wrong(
    keywords: dict[str, object], variable: str
) -> None:
    """The environment holds credentials; no frame of ours keeps it where a crash report looks."""
    environ = {"DB_PASSWORD": "opensesame", variable: "x"}
    with pytest.raises((err.ProgrammingError, TypeError)) as caught:
        Settings.build(keywords, environ)
    report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in report.stack if frame.filename == settings.__file__]
    assert ours
    assert "opensesame" not in repr([frame.locals for frame in ours])
