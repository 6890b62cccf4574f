"""The management options: one frozen ``Settings``, from keywords, environment and defaults.

The fields of ``Settings`` are the single place of each option's name, default, unit, meaning and
rule.  ``docs/options.md``, the environment variables and the URL form follow from them.  Nothing
is read here: the environment is handed in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from slsmysql import _text, err

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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


def _about(rule: Rule, unit: str, doc: str) -> dict[str, object]:
    """Return the metadata of one option's field.

    :param unit: what a number counts, '' where there is nothing to count.
    :param doc: the meaning, one paragraph of Markdown.
    """
    return {"rule": rule, "unit": unit, "doc": doc}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How connections are managed.  Every value is checked when the object is made.

    :raise ProgrammingError: for an impossible value; it says the name, the value, and what would
        be right.
    """

    manage_conns: bool = field(
        default=True,
        metadata=_about(
            _FLAG,
            "",
            "Manage connections at all. With False nothing is sent that a plain driver would not "
            "send (no look at the server's load, no lease, no `KILL`), but for the ping of "
            "`stale_after`. For servers behind a proxy.",
        ),
    )
    conn_utilization: float = field(
        default=0.8,
        metadata=_about(
            _SHARE,
            "share",
            "Above this share of `max_connections`, or of the account's `max_user_connections`, "
            "zombies are ended and sessions given up.",
        ),
    )
    zombie_min_timeout: float = field(
        default=3,
        metadata=_about(
            _seconds(),
            "s",
            "A session that has slept for less is never a zombie.",
        ),
    )
    zombie_max_timeout: float = field(
        default=900,
        metadata=_about(
            _seconds(positive=True),
            "s",
            "A session that has slept for longer is a zombie, even where it cannot be seen whether "
            "it holds a transaction. 900 is a function's longest life on AWS Lambda.",
        ),
    )
    max_conns_freq: float = field(
        default=15,
        metadata=_about(
            _seconds(),
            "s",
            "How long the server's limits (`max_connections`, `max_user_connections`) are "
            "remembered before they are read again.",
        ),
    )
    used_conns_freq: float | None = field(
        default=None,
        metadata=_about(
            _or_none(_seconds()),
            "s",
            "How long to wait between two looks at the server's load. None: by headroom, the more "
            "connections are free the longer.",
        ),
    )
    backoff: Literal["full", "decorrelated"] | Callable[[int, float], float] = field(
        default="full",
        metadata=_about(
            _BACKOFF,
            "",
            'The delays between attempts to connect: `"full"` or `"decorrelated"` jitter, or a '
            "callable that takes the number of the retry (from 1) and the delay before it in "
            "seconds, and returns seconds.",
        ),
    )
    backoff_base: float = field(
        default=0.05,
        metadata=_about(
            _seconds(positive=True),
            "s",
            "What the delays grow from: with full jitter the longest first delay, with "
            "decorrelated jitter the shortest delay.",
        ),
    )
    backoff_cap: float = field(
        default=1.0,
        metadata=_about(
            _seconds(positive=True),
            "s",
            "The longest delay. A callable's delays are not capped.",
        ),
    )
    max_retries: int | None = field(
        default=None,
        metadata=_about(
            _or_none(_count(0)),
            "attempts",
            "How many attempts to connect may follow the first one. None: as many as fit into "
            "`connect_timeout`, which bounds them in any case.",
        ),
    )
    query_retries: int = field(
        default=0,
        metadata=_about(
            _count(0),
            "attempts",
            "How often a statement in autocommit is run again after a lock wait timeout (1205) or "
            "a deadlock (1213). Inside a transaction a statement is never run again by itself.",
        ),
    )
    on_event: Callable[[Event], object] | None = field(
        default=None,
        metadata=_about(
            _or_none(_CALLABLE),
            "",
            "Called with each event (a frozen dataclass). What it raises is logged, not passed on.",
        ),
    )
    lease: int | None = field(
        default=900,
        metadata=_about(
            _or_none(_LEASE),
            "s",
            "The session's `wait_timeout`, set when it is opened: the server ends the session of a "
            "container that is frozen or gone for longer. None: the server's own is left.",
        ),
    )
    stale_after: float = field(
        default=1,
        metadata=_about(
            _seconds(),
            "s",
            "A session that has been idle for longer is asked (one ping) whether it is alive "
            "before the next statement, unless it is in a transaction.",
        ),
    )
    reopen_after: float = field(
        default=300,
        metadata=_about(
            _seconds(positive=True),
            "s",
            "A session that has been idle for longer is replaced without asking. Cloud networks "
            "forget a silent flow after 350 seconds, and a ping into one hangs.",
        ),
    )
    reuse: bool = field(
        default=True,
        metadata=_about(
            _FLAG,
            "",
            "`close()` keeps the session, cleaned, for the next `connect()` of the same identity "
            "in this process. With False it ends the session.",
        ),
    )
    max_parked: int = field(
        default=1,
        metadata=_about(
            _count(1),
            "sessions",
            "How many sessions of closed connections the process keeps; the oldest make room.",
        ),
    )
    reap: Literal["user", "fleet", "off"] = field(
        default="user",
        metadata=_about(
            _one_of("user", "fleet", "off"),
            "",
            "Whose zombies are ended: those of the same account, only those that slsmysql opened "
            "(where `performance_schema` can tell), or none.",
        ),
    )
    resume_reads: bool = field(
        default=True,
        metadata=_about(
            _FLAG,
            "",
            "A transaction that has only read, and whose session the server has ended meanwhile, "
            "goes on in a new session. With False the program gets the error.",
        ),
    )
    deadline: Callable[[], float] | None = field(
        default=None,
        metadata=_about(
            _or_none(_CALLABLE),
            "",
            "Returns the seconds that the function has left; waiting for a connection ends then, "
            "if that is before `connect_timeout`.",
        ),
    )

    def __post_init__(self) -> None:
        """Check every value, then those that must fit together."""
        for name, usual in _USUAL.items():
            value = getattr(self, name)
            if value is not usual:
                _check(name, value, name)
        _check_order(self, "zombie_min_timeout", "zombie_max_timeout")
        _check_order(self, "backoff_base", "backoff_cap")

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
        for name in given:
            if name not in RULES:
                raise TypeError(f"unknown setting {name!r}.{_text.did_you_mean(name, NAMES)}")
        if base is None:
            given = {**from_environ(environ), **given}
            return cls(**given) if given else _DEFAULT
        if not isinstance(base, cls):
            raise err.ProgrammingError(f"settings must be a Settings, not {type(base).__name__}")
        return replace(base, **given) if given else base


#: Each option's rule, in the order of the fields.
RULES: Final[dict[str, Rule]] = {item.name: item.metadata["rule"] for item in fields(Settings)}

#: The options' names.
NAMES: Final = tuple(RULES)

#: How to read from text those that text can give; for the URL form of ``connect()``.
FROM_TEXT: Final[dict[str, Callable[[str], object]]] = {
    name: rule.read for name, rule in RULES.items() if rule.read is not None
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
    if variable.removeprefix(PREFIX).lower() in RULES and variable == variable.upper():
        return " It can only be given in code, as a keyword of connect()."
    return _text.did_you_mean(
        variable.upper(), [*(PREFIX + name.upper() for name in FROM_TEXT), *NOT_SETTINGS]
    )


def _check(name: str, value: object, source: str) -> None:
    rule = RULES[name]
    if not rule.holds(value):
        raise err.ProgrammingError(f"{source}={value!r}: must be {rule.right}")


def _check_order(settings: Settings, smaller: str, larger: str) -> None:
    low, high = getattr(settings, smaller), getattr(settings, larger)
    if low > high:
        raise err.ProgrammingError(
            f"{smaller}={low!r}: must be at most {larger}, which is {high!r}"
        )


_USUAL: Final[dict[str, object]] = {item.name: item.default for item in fields(Settings)}
_DEFAULT: Final = Settings()
