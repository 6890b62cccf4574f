"""The management options: one frozen ``Settings``, from keywords, environment and defaults.

The body of ``Settings`` is the single place of each option's name, default, unit, meaning and
rule.  ``docs/options.md``, the environment variables and the URL form follow from it.  Nothing
is read here: the environment is handed in.

Like all that is imported with the package it does without ``dataclasses``, which load ``inspect``
and compile text for each class: every cold start would pay for that.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, NoReturn

from slsmysql import _text, err

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from typing_extensions import Unpack

    from slsmysql._keywords import SettingsKeywords
    from slsmysql.events import Event

#: Prefix of the environment variables: ``SLSMYSQL_LEASE`` is ``lease``.
PREFIX: Final = "SLSMYSQL_"

#: Variables with the prefix that are no settings, and the prefix of the test suite's own.
NOT_SETTINGS: Final = frozenset({"SLSMYSQL_USE_PURE"})
TEST_PREFIX: Final = "SLSMYSQL_TEST_"

#: Seconds; MySQL's upper bound of ``wait_timeout``, and PyMySQL's of ``connect_timeout``.
_YEAR: Final = 31_536_000


class Rule(NamedTuple):
    """What values an option may have.

    ``right`` ends the sentence "must be ...".  ``holds`` says whether a value is one.  ``read``
    makes a value of text, and is None for what only code can give.
    """

    right: str
    holds: Callable[[Any], bool]
    read: Callable[[str], object] | None


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: object) -> bool:
    return _whole(value) or (isinstance(value, float) and math.isfinite(value))


def _seconds(*, positive: bool = False) -> Rule:
    if positive:
        return Rule(
            f"a number of seconds above 0 and at most {_YEAR}",
            lambda value: _number(value) and 0 < value <= _YEAR,
            _text.number,
        )
    return Rule(
        f"a number of seconds from 0 to {_YEAR}",
        lambda value: _number(value) and 0 <= value <= _YEAR,
        _text.number,
    )


def _count(least: int) -> Rule:
    return Rule(
        f"a whole number, at least {least}",
        lambda value: _whole(value) and value >= least,
        _text.integer,
    )


def _one_of(*words: str) -> Rule:
    return Rule(
        " or ".join(repr(word) for word in words),
        lambda value: isinstance(value, str) and value in words,
        lambda text: text.strip().lower(),
    )


def _or_none(rule: Rule) -> Rule:
    return Rule(
        f"{rule.right}, or None",
        lambda value: value is None or rule.holds(value),
        None if rule.read is None else _text.optional(rule.read),
    )


_FLAG = Rule("True or False", lambda value: isinstance(value, bool), _text.boolean)
_CALLABLE = Rule("a callable", callable, None)
_SHARE = Rule(
    "a share of the connections, above 0 and at most 1",
    lambda value: _number(value) and 0 < value <= 1,
    _text.number,
)
_LEASE = Rule(
    f"a whole number of seconds from 1 to {_YEAR}",
    lambda value: _whole(value) and 1 <= value <= _YEAR,
    _text.integer,
)
_KINDS = _one_of("full", "decorrelated")
_BACKOFF = Rule(
    f"{_KINDS.right} or a callable",
    lambda value: callable(value) or _KINDS.holds(value),
    _KINDS.read,
)


class Option(NamedTuple):
    """One option.

    ``unit`` is what a number counts, '' where there is nothing to count; ``doc`` the meaning, one
    paragraph of Markdown.
    """

    default: object
    rule: Rule
    unit: str
    doc: str


def _option(default: object, rule: Rule, unit: str, doc: str) -> Any:
    """Return an ``Option``, of whatever type a type checker wants."""
    return Option(default, rule, unit, doc)


class Settings:
    """How connections are managed.  Every value is checked when the object is made.

    :raise ProgrammingError: for an impossible value; it says the name, the value, and what would
        be right.
    :raise TypeError: for an unknown keyword.
    """

    manage_conns: Final[bool] = _option(
        True,
        _FLAG,
        "",
        "Manage connections at all. With False nothing is sent that a plain driver would not "
        "send (no look at the server's load, no lease, no `KILL`), but for the ping of "
        "`stale_after`. For servers behind a proxy.",
    )
    conn_utilization: Final[float] = _option(
        0.8,
        _SHARE,
        "share",
        "Above this share of `max_connections`, or of the account's `max_user_connections`, "
        "zombies are ended and sessions given up.",
    )
    zombie_min_timeout: Final[float] = _option(
        3,
        _seconds(),
        "s",
        "A session that has slept for less is never a zombie.",
    )
    zombie_max_timeout: Final[float] = _option(
        900,
        _seconds(positive=True),
        "s",
        "A session that has slept for longer is a zombie, even where it cannot be seen whether "
        "it holds a transaction. 900 is a function's longest life on AWS Lambda.",
    )
    max_conns_freq: Final[float] = _option(
        15,
        _seconds(),
        "s",
        "How long the server's limits (`max_connections`, `max_user_connections`) are "
        "remembered before they are read again.",
    )
    used_conns_freq: Final[float | None] = _option(
        None,
        _or_none(_seconds()),
        "s",
        "How long to wait between two looks at the server's load. None: by headroom, the more "
        "connections are free the longer.",
    )
    backoff: Final[Literal["full", "decorrelated"] | Callable[[int, float], float]] = _option(
        "full",
        _BACKOFF,
        "",
        'The delays between attempts to connect: `"full"` or `"decorrelated"` jitter, or a '
        "callable that takes the number of the retry (from 1) and the delay before it in "
        "seconds, and returns seconds.",
    )
    backoff_base: Final[float] = _option(
        0.05,
        _seconds(positive=True),
        "s",
        "What the delays grow from: with full jitter the longest first delay, with "
        "decorrelated jitter the shortest delay.",
    )
    backoff_cap: Final[float] = _option(
        1.0,
        _seconds(positive=True),
        "s",
        "The longest delay. A callable's delays are not capped.",
    )
    max_retries: Final[int | None] = _option(
        None,
        _or_none(_count(0)),
        "attempts",
        "How many attempts to connect may follow the first one. None: as many as fit into "
        "`connect_timeout`, which bounds them in any case.",
    )
    query_retries: Final[int] = _option(
        0,
        _count(0),
        "attempts",
        "How often a statement in autocommit is run again after a lock wait timeout (1205) or "
        "a deadlock (1213). Inside a transaction a statement is never run again by itself.",
    )
    on_event: Final[Callable[[Event], object] | None] = _option(
        None,
        _or_none(_CALLABLE),
        "",
        "Called with each event (a named tuple). What it raises is logged, not passed on.",
    )
    lease: Final[int | None] = _option(
        900,
        _or_none(_LEASE),
        "s",
        "The session's `wait_timeout`, set when it is opened: the server ends the session of a "
        "container that is frozen or gone for longer. None: the server's own is left.",
    )
    stale_after: Final[float] = _option(
        1,
        _seconds(),
        "s",
        "A session that has been idle for longer is asked (one round trip) whether it is alive "
        "before the next statement, unless it is in a transaction.",
    )
    reopen_after: Final[float] = _option(
        300,
        _seconds(positive=True),
        "s",
        "A session that has been idle for longer is replaced without asking. Cloud networks "
        "forget a silent flow after 350 seconds, and a ping into one hangs.",
    )
    reuse: Final[bool] = _option(
        True,
        _FLAG,
        "",
        "`close()` keeps the session, cleaned, for the next `connect()` of the same identity "
        "in this process. With False it ends the session.",
    )
    max_parked: Final[int] = _option(
        1,
        _count(1),
        "sessions",
        "How many sessions of closed connections the process keeps; the oldest make room.",
    )
    reap: Final[Literal["user", "fleet", "off"]] = _option(
        "user",
        _one_of("user", "fleet", "off"),
        "",
        "Whose zombies are ended: those of the same account, only those that slsmysql opened "
        "(where `performance_schema` can tell), or none.",
    )
    resume_reads: Final[bool] = _option(
        True,
        _FLAG,
        "",
        "A transaction that has only read, and whose session the server has ended meanwhile, "
        "goes on in a new session. With False the program gets the error.",
    )
    deadline: Final[Callable[[], float] | None] = _option(
        None,
        _or_none(_CALLABLE),
        "",
        "Returns the seconds that the function has left; waiting for a connection ends then, "
        "if that is before `connect_timeout`.",
    )

    def __init__(self, **options: Unpack[SettingsKeywords]) -> None:
        """Take the options that differ from the defaults."""
        for name, value in options.items():
            if name not in OPTIONS:
                raise TypeError(f"unknown setting {name!r}.{_text.did_you_mean(name, NAMES)}")
            _check(name, value, name)
        self.__dict__.update(options)
        _check_order(self, "zombie_min_timeout", "zombie_max_timeout")
        _check_order(self, "backoff_base", "backoff_cap")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"settings do not change: cannot set {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"settings do not change: cannot delete {name!r}")

    def _values(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in NAMES)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Settings):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        values = zip(NAMES, self._values(), strict=True)
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in values)})"

    @classmethod
    def build(cls, keywords: Mapping[str, object], environ: Mapping[str, str]) -> Settings:
        """Return the settings that the keywords, else the environment, else the defaults give.

        :param keywords: names of ``NAMES`` with their values; and ``settings``, a ``Settings`` to
            start from, in whose stead the environment then is not read.
        :param environ: environment variables by name; those of ``PREFIX`` count.
        :raise ProgrammingError: for an impossible value, and for a variable with the prefix that
            is no setting.
        :raise TypeError: for an unknown keyword.
        """
        environ = _ours(environ)
        given: dict[str, Any] = dict(keywords)
        base = given.pop("settings", None)
        if base is None:
            given = {**from_environ(environ), **given}
            return cls(**given) if given else _DEFAULT
        if not isinstance(base, cls):
            raise err.ProgrammingError(f"settings must be a Settings, not {type(base).__name__}")
        return cls(**{**vars(base), **given}) if given else base


#: Each option by its name, in the order of the class.
OPTIONS: Final[dict[str, Option]] = {
    name: option for name, option in vars(Settings).items() if isinstance(option, Option)
}
for _name, _one in OPTIONS.items():
    setattr(Settings, _name, _one.default)

#: The options' names.
NAMES: Final = tuple(OPTIONS)

#: How to read from text those that text can give; for the URL form of ``connect()``.
FROM_TEXT: Final[dict[str, Callable[[str], object]]] = {
    name: option.rule.read for name, option in OPTIONS.items() if option.rule.read is not None
}


def from_environ(environ: Mapping[str, str]) -> dict[str, object]:
    """Return the settings that the environment gives, read and checked.

    :raise ProgrammingError: for a variable of ``PREFIX`` that is no setting, or whose value is
        not right.
    """
    environ = _ours(environ)
    found: dict[str, object] = {}
    for variable, text in environ.items():
        name = variable.removeprefix(PREFIX).lower()
        read = FROM_TEXT.get(name)
        if read is None or variable != variable.upper():
            raise err.ProgrammingError(f"unknown environment variable {variable}.{_hint(variable)}")
        try:
            value = read(text)
        except ValueError as error:
            raise err.ProgrammingError(f"{variable}={text!r}: must be {error}") from None
        _check(name, value, variable)
        found[name] = value
    return found


def _ours(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that may be settings.

    The others are let go of at once: they hold the function's credentials, and a crash reporter
    shows the locals of every frame.
    """
    return {
        variable: environ[variable]
        for variable in environ
        if variable.startswith(PREFIX)
        and variable not in NOT_SETTINGS
        and not variable.startswith(TEST_PREFIX)
    }


def _hint(variable: str) -> str:
    if variable.removeprefix(PREFIX).lower() in OPTIONS and variable == variable.upper():
        return " It can only be given in code, as a keyword of connect()."
    return _text.did_you_mean(
        variable.upper(), [*(PREFIX + name.upper() for name in FROM_TEXT), *NOT_SETTINGS]
    )


def _check(name: str, value: object, source: str) -> None:
    rule = OPTIONS[name].rule
    if not rule.holds(value):
        raise err.ProgrammingError(f"{source}={value!r}: must be {rule.right}")


def _check_order(settings: Settings, smaller: str, larger: str) -> None:
    low, high = getattr(settings, smaller), getattr(settings, larger)
    if low > high:
        raise err.ProgrammingError(
            f"{smaller}={low!r}: must be at most {larger}, which is {high!r}"
        )


_DEFAULT: Final = Settings()
