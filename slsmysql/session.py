"""What a statement does to the session it runs in: read from its text, pure.

The server tells most of it by itself (``session_track_state_change``: status bit 0x4000).  The
text says the rest: what the server does not report (``GET_LOCK``, ``LOCK TABLES``, ``HANDLER``,
``@x :=``, ``INTO @x``, ``SQL_CALC_FOUND_ROWS``, ``SET TRANSACTION``), what can be set again on
a new session, and whether a statement is a plain read.  In doubt the answer is the careful one:
not a plain read, pinned, may have committed.

A text is cut into tokens, in which comments are left out and a quoted thing is one token, and
everything else is said of the tokens.  Where the sql_mode decides what is quoted (a backslash
under NO_BACKSLASH_ESCAPES, double quotes under ANSI_QUOTES) the text is read in each way, and
only what all ways agree on is believed.

What no text shows: state that a stored procedure leaves without the server reporting it
(``GET_LOCK``, ``SELECT ... INTO @x`` and ``@x :=`` in its body).
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from slsmysql.constants import SERVER_STATUS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

STATE_CHANGED = 0x4000
IN_TRANSACTION = SERVER_STATUS.SERVER_STATUS_IN_TRANS
AUTOCOMMIT = SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT
MORE_RESULTS = SERVER_STATUS.SERVER_MORE_RESULTS_EXISTS
NO_BACKSLASH_ESCAPES = SERVER_STATUS.SERVER_STATUS_NO_BACKSLASH_ESCAPES


class Effect(NamedTuple):
    """What a statement does.

    ``read``: it reads and changes, locks and remembers nothing.  ``begins``: it opens a
    transaction explicitly.  ``ends``: it is a COMMIT or ROLLBACK (of the whole transaction).
    ``rolls_back``: it is a ROLLBACK.
    ``commits``: it commits what is open before it runs (DDL, BEGIN, LOCK TABLES, ...), or may
    commit while it runs (CALL, EXECUTE, several statements).
    ``pins``: the kinds of state it leaves that a new session would not have.  ``unpins``: kinds
    that it ends.  ``next_only``: kinds that last until the next statement.
    ``replay``: pairs of a key and a statement that sets the same again on a new session; the
    later of two with the same key replaces the earlier, and all are to be set again in the order
    in which they were set last.
    ``database``: the schema that ``USE`` selects.  ``explained``: the server's 0x4000 after it
    means nothing beyond what is said here.
    ``asks``: it asks for what any statement before it would have changed (ROW_COUNT(), warnings).
    ``runs``: it runs several statements, or such as are not in its text (CALL, EXECUTE): where it
    fails, some of them may have run.
    """

    read: bool = False
    begins: bool = False
    ends: bool = False
    rolls_back: bool = False
    commits: bool = False
    pins: frozenset[str] = frozenset()
    unpins: frozenset[str] = frozenset()
    next_only: frozenset[str] = frozenset()
    replay: tuple[tuple[str, str], ...] = ()
    database: str | None = None
    explained: bool = False
    asks: bool = False
    runs: bool = False


PLAIN_READ = Effect(read=True)
OTHER = Effect()

_COMMITS = Effect(commits=True)
_RUNS = Effect(commits=True, runs=True)
_EXPLAINED = Effect(explained=True)

#: Statements are recognised by their text before the parameters go in; a program has few.
_CACHE_SIZE = 512
#: Characters; a longer text is not worth keeping.
_LONG = 8192
#: What ``effect_of`` remembers; where a call counts, it is looked into first.
known_effects: dict[str, Effect] = {}


def effect_of(sql: str) -> Effect:
    """Return what ``sql`` does; remembered by text, so give it the text without parameters."""
    effect = known_effects.get(sql)
    if effect is None:
        effect = classify(sql)
        if len(known_effects) >= _CACHE_SIZE:
            known_effects.clear()
        if len(sql) <= _LONG:
            known_effects[sql] = effect
    return effect


def classify(sql: str) -> Effect:
    """Return what ``sql`` does, from its text alone; never raises, in time linear in its length.

    :param sql: one statement, or several.
    """
    if _changes_rows_only(sql):
        return OTHER
    effect, *others = [_effect(tokens) for tokens in _readings(sql)]
    for other in others:
        if other != effect:
            effect = _both(effect, other)
    return effect


_CHANGE = re.compile(
    r"\s*(?:UPDATE|DELETE|(?:INSERT|REPLACE)\b(?:[\sA-Z_]{0,60}?\bINTO)?)\b",
    re.ASCII | re.IGNORECASE,
)
_MATTERING = (
    *(";", ":=", "/*!", "/*M!"),
    *("GET_LOCK", "LAST_INSERT_ID", "ROW_COUNT", "FOUND_ROWS", "WARNING_COUNT", "ERROR_COUNT"),
)


def _changes_rows_only(sql: str) -> bool:
    """Whether ``sql`` is a change of rows with nothing in it, not even quoted, that could matter.

    A short cut: such texts may be megabytes of values, which are cut into tokens in 0.2 s a MB and
    searched in 2 ms.
    """
    head = _CHANGE.match(sql)
    if head is None:
        return False
    text = sql.upper()
    if any([word in text for word in _MATTERING]):  # noqa: C419 - faster than a generator
        return False
    return "@" not in text or "INTO" not in text[head.end() :]


# -- the text --------------------------------------------------------------------------------------

#: What begins something that hides the words in it.  ``--`` is a comment only before white space,
#: a control character or the end (MySQL manual, "Comments").
_OPENING = re.compile(r"""['"`\#]|/\*|--(?=[\s\x00-\x1f\x7f]|\Z)""", re.ASCII | re.VERBOSE)
#: A word is what the server takes for an identifier or a number (manual, "Schema Object Names"):
#: letters, digits, _, $ and all beyond ASCII; said by what is left, as to compile the set of a
#: million characters takes 2 ms of every import.
_WORD = re.compile(r"[^\x00-#%-/:-@\[-^`{-\x7f]+")
_TOKEN = re.compile(rf"{_WORD.pattern}|:=|@@|\S", re.ASCII)

#: Stands for a comment that the server executes, or not, by its version.
_EXECUTED = "/*!"


def _readings(sql: str) -> Iterator[list[str]]:
    """Yield the tokens of ``sql``, in each way that an sql_mode could make the server read it."""
    yield _tokens(sql, "'\"")
    if "\\" in sql:
        yield _tokens(sql, "")  # NO_BACKSLASH_ESCAPES
        if '"' in sql:
            yield _tokens(sql, "'")  # ANSI_QUOTES: "..." is an identifier


def _tokens(sql: str, escaping: str) -> list[str]:
    """Return the words, quoted things and punctuation of ``sql``.

    A doubled quote makes two tokens of one quoted thing.  Nothing after a comment that may be
    executed is read: who can tell what it opens.

    :param escaping: the quotes within which a backslash escapes.
    """
    tokens: list[str] = []
    start = 0
    while opening := _OPENING.search(sql, start):
        begin, inside = opening.span()
        tokens += _TOKEN.findall(sql, start, begin)
        mark = opening.group()
        if mark == "/*":
            if sql.startswith(("!", "M!"), inside):
                tokens.append(_EXECUTED)
                return tokens
            start = _after(sql, "*/", inside)
        elif mark in {"#", "--"}:
            start = _after(sql, "\n", inside)
        else:
            start = _after_quoted(sql, mark, inside, escapes=mark in escaping)
            tokens.append(sql[begin:start])
    tokens += _TOKEN.findall(sql, start)
    return tokens


def _after(sql: str, mark: str, start: int) -> int:
    """Return the index behind the next ``mark``, or the end of the text."""
    found = sql.find(mark, start)
    return len(sql) if found < 0 else found + len(mark)


def _after_quoted(sql: str, quote: str, start: int, *, escapes: bool) -> int:
    """Return the index behind the quote that closes what began before ``start``."""
    while True:
        end = _after(sql, quote, start)
        if not escapes:
            return end
        # Each stretch between two quotes is looked at once.
        stretch = sql[start:end].removesuffix(quote)
        if (len(stretch) - len(stretch.rstrip("\\"))) % 2 == 0 or end == len(sql):
            return end
        start = end


# -- one text --------------------------------------------------------------------------------------


def _effect(tokens: list[str]) -> Effect:
    """Return what the text of these tokens does."""
    if tokens[-1:] == [_EXECUTED]:
        return _RUNS._replace(pins=frozenset({"executable comment"}), asks=True)
    while tokens and tokens[-1] == ";":
        tokens.pop()
    words = [token.upper() for token in tokens]
    if ";" in words:
        return _several(tokens, words)
    return _one(tokens, words)


def _one(tokens: Sequence[str], words: Sequence[str]) -> Effect:
    """Return what one statement does.

    :param words: ``tokens`` in upper case.
    """
    first = 0
    while first < len(words) and words[first] == "(":
        first += 1
    if first:
        tokens, words = tokens[first:], words[first:]
    if not words:
        return OTHER
    verb = words[0]
    if verb == "SET":
        return _set(tokens, words)
    if verb in _NEVER_COMMIT:
        effect = OTHER
    elif verb in _READS:
        effect = _read(words)
    else:
        handler = _VERBS.get(verb)
        effect = _COMMITS if handler is None else handler(tokens, words)
    pins, asks = _marks(words)
    if pins or asks:
        return effect._replace(
            read=effect.read and not pins, pins=effect.pins | pins, asks=effect.asks or asks
        )
    return effect


def _both(one: Effect, other: Effect) -> Effect:
    """Return what may be believed of a text that does one thing or the other."""
    pins = one.pins | other.pins
    if one.replay != other.replay:
        pins |= {"session variable"}
    if one.database != other.database:
        pins |= {"database"}
    return Effect(
        read=one.read and other.read,
        begins=one.begins and other.begins,
        ends=one.ends and other.ends,
        rolls_back=one.rolls_back and other.rolls_back,
        commits=one.commits or other.commits or one.ends != other.ends,
        pins=pins,
        unpins=one.unpins & other.unpins,
        next_only=one.next_only | other.next_only,
        replay=one.replay if one.replay == other.replay else (),
        database=one.database if one.database == other.database else None,
        explained=one.explained and other.explained,
        asks=one.asks or other.asks,
        runs=one.runs or other.runs,
    )


#: Words behind which a statement begins in a compound statement.
_INNER_BEGINS = frozenset({";", "BEGIN", "ATOMIC", "THEN", "ELSE", "LOOP", "REPEAT", "DO", ":"})


def _several(tokens: Sequence[str], words: Sequence[str]) -> Effect:
    """Return what several statements do, or one that contains others.

    Its effect is noted when the first result is there, and an error may end it behind that:
    everything in it pins, and nothing is relied on.
    """
    pins: set[str] = set()
    asks = False
    start = 0
    for index in range(len(words) + 1):
        if index < len(words) and words[index] not in _INNER_BEGINS:
            continue
        part = words[start:index]
        if part and part[0] in _INNER_BEGINS:
            part = part[1:]
        effect = _one(tokens[index - len(part) : index], part)
        pins |= effect.pins | effect.next_only
        asks = asks or effect.asks
        if effect.replay:
            pins.add("session variable")
        if effect.database is not None:
            pins.add("database")
        start = index
    return _RUNS._replace(pins=frozenset(pins), asks=asks)


# -- what may stand anywhere -----------------------------------------------------------------------


def _quoted_too(*names: str) -> frozenset[str]:
    """Return ``names`` as they may be written: native functions can be called by quoted names."""
    return frozenset(f"{quote}{name}{quote}" for name in names for quote in ("", "`", '"'))


_GET_LOCK = _quoted_too("GET_LOCK")
_LAST_INSERT_ID = _quoted_too("LAST_INSERT_ID")
_ASKING_FUNCTIONS = _quoted_too("ROW_COUNT", "FOUND_ROWS")
_ASKING_VARIABLES = frozenset({"WARNING_COUNT", "ERROR_COUNT"})
_TELLTALES = frozenset(
    {":=", "INTO", *_GET_LOCK, *_LAST_INSERT_ID, *_ASKING_FUNCTIONS, *_ASKING_VARIABLES}
)


def _marks(words: Sequence[str]) -> tuple[frozenset[str], bool]:
    """Return the pins that an expression or a clause anywhere leaves, and whether one asks."""
    if _TELLTALES.isdisjoint(words):
        return frozenset(), False
    pins: set[str] = set()
    asks = False
    for index, word in enumerate(words):
        if word not in _TELLTALES:
            continue
        called = words[index + 1 : index + 2] == ["("]
        if word == ":=":
            pins.add("user variable")
        elif word == "INTO":
            if _into_variable(words, index + 1):
                pins.add("user variable")
        elif word in _ASKING_VARIABLES:
            asks = asks or "@@" in words[max(0, index - 3) : index]
        elif called and word in _GET_LOCK:
            pins.add("lock")
        elif called and word in _LAST_INSERT_ID:
            if words[index + 2 : index + 3] != [")"]:
                pins.add("last insert id")
        elif called:
            asks = True
    return frozenset(pins), asks


def _into_variable(words: Sequence[str], index: int) -> bool:
    """Whether a user variable is among the targets of INTO, which begin at ``index``."""
    while index < len(words) and words[index] != "INTO":
        if words[index] == "@":
            return True
        if words[index + 1 : index + 2] != [","]:
            return False
        index += 2
    return False


# -- reads -----------------------------------------------------------------------------------------

_READS = frozenset(
    {"SELECT", "WITH", "SHOW", "DESC", "DESCRIBE", "EXPLAIN", "TABLE", "VALUES", "HELP"}
)

#: With one of these a read writes, locks rows or gives a sequence's next value away.
_WRITING = frozenset({"INTO", "UPDATE", "DELETE", "INSERT", "REPLACE", "SHARE", "NEXTVAL"})

#: Behind these a name with a parenthesis is an alias with its columns.
_NAMING = frozenset({"AS", "WITH", "RECURSIVE"})


def _read(words: Sequence[str]) -> Effect:
    """Return what a statement that may be a plain read does."""
    if words[0] == "SHOW" and ("WARNINGS" in words or "ERRORS" in words):
        return Effect(read=True, asks=True)
    if "SQL_CALC_FOUND_ROWS" in words:
        return Effect(next_only=frozenset({"found rows"}))
    if list(words[1:]) == ["RELEASE_ALL_LOCKS", "(", ")"]:
        return Effect(unpins=frozenset({"lock"}))
    if not _WRITING.isdisjoint(words):
        for index, word in enumerate(words):
            # INSERT() and REPLACE() are functions, too.
            if word in _WRITING and not (word in _KNOWN and words[index + 1 : index + 2] == ["("]):
                return OTHER
    if "NEXT" in words and ("NEXT", "VALUE") in pairwise(words):
        return OTHER
    for index in [index for index, word in enumerate(words) if word == "("]:
        if index and not _harmless_call(words, index):
            return OTHER
    return PLAIN_READ


def _harmless_call(words: Sequence[str], index: int) -> bool:
    """Whether what is before the parenthesis at ``index`` is no call that could change anything."""
    name = words[index - 1]
    before = words[index - 2] if index > 1 else ""
    if name in _KNOWN:
        return before != "."
    return not (_WORD.match(name) or name[0] in "`\"']") or before in _NAMING


# What a read may call: the functions of the manuals of MySQL 9.7 and MariaDB 10.11 that change
# nothing.  Any other name may be a stored function, which may do anything, and so may these when
# they are quoted or qualified.
_FUNCTIONS = """
    abs acos adddate addtime aes_decrypt aes_encrypt any_value ascii asin atan atan2 avg
    benchmark bin bin_to_uuid bit_and bit_count bit_length bit_or bit_xor
    cast ceil ceiling char char_length character_length charset chr coalesce coercibility collation
    compress concat concat_ws connection_id conv convert convert_tz cos cot count crc32 crc32c
    cume_dist curdate current_date current_role current_time current_timestamp current_user curtime
    database date date_add date_format date_sub datediff day dayname dayofmonth dayofweek dayofyear
    decode decode_histogram default degrees dense_rank elt encode exp export_set extract
    extractvalue field find_in_set first_value floor format format_bytes format_pico_time
    found_rows from_base64 from_days from_unixtime get_format greatest group_concat grouping hex
    hour if ifnull inet6_aton inet6_ntoa inet_aton inet_ntoa insert instr interval is_free_lock
    is_ipv4 is_ipv4_compat is_ipv4_mapped is_ipv6 is_used_lock is_uuid isnull json_array
    json_array_append json_array_insert json_arrayagg json_compact json_contains json_contains_path
    json_depth json_detailed json_equals json_exists json_extract json_insert json_keys json_length
    json_loose json_merge json_merge_patch json_merge_preserve json_normalize json_object
    json_objectagg json_overlaps json_pretty json_query json_quote json_remove json_replace
    json_schema_valid json_schema_validation_report json_search json_set json_storage_free
    json_storage_size json_table json_type json_unquote json_valid json_value lag last_day
    last_insert_id last_value lcase lead least left length linestring ln load_file localtime
    localtimestamp locate log log10 log2 lower lpad ltrim make_set makedate maketime max
    mbrcontains mbrcoveredby mbrcovers mbrdisjoint mbrequals mbrintersects mbroverlaps mbrtouches
    mbrwithin md5 median microsecond mid min minute mod month monthname multilinestring multipoint
    multipolygon name_const natural_sort_key now nth_value ntile nullif nvl nvl2 oct octet_length
    ord password percent_rank percentile_cont percentile_disc period_add period_diff pi point
    polygon position pow power ps_current_thread_id ps_thread_id quarter quote radians rand
    random_bytes rank regexp_instr regexp_like regexp_replace regexp_substr repeat replace reverse
    right round row_count row_number rpad rtrim schema sec_to_time second session_user sformat sha
    sha1 sha2 sign sin sleep soundex space sqrt st_area st_asbinary st_asgeojson st_astext st_aswkb
    st_aswkt st_buffer st_centroid st_contains st_convexhull st_crosses st_difference st_dimension
    st_disjoint st_distance st_distance_sphere st_endpoint st_envelope st_equals st_exteriorring
    st_geohash st_geometryn st_geometrytype st_geomfromgeojson st_geomfromtext st_geomfromwkb
    st_interiorringn st_intersection st_intersects st_isclosed st_isempty st_issimple st_isvalid
    st_latfromgeohash st_latitude st_length st_longfromgeohash st_longitude st_makeenvelope
    st_numgeometries st_numinteriorrings st_numpoints st_overlaps st_pointfromgeohash
    st_pointfromtext st_pointn st_simplify st_srid st_startpoint st_swapxy st_symdifference
    st_touches st_transform st_union st_validate st_within st_x st_y statement_digest
    statement_digest_text std stddev stddev_pop stddev_samp str_to_date strcmp string_to_vector
    subdate substr substring substring_index subtime sum sys_guid sysdate system_user tan time
    time_format time_to_sec timediff timestamp timestampadd timestampdiff to_base64 to_char to_days
    to_seconds to_vector trim truncate ucase uncompress uncompressed_length unhex unix_timestamp
    updatexml upper user utc_date utc_time utc_timestamp uuid uuid_short uuid_to_bin
    validate_password_strength values var_pop var_samp variance vector_dim vector_to_string version
    week weekday weekofyear weight_string year yearweek
"""

#: Words of the grammar, and types, that a parenthesis may follow.
_GRAMMAR = """
    against all analyze and any as between bigint binary bit blob by case collate columns cross
    datetime decimal desc describe dec distinct distinctrow div double dual else end enum escape
    except exists explain first float for force from full geometrycollection having high_priority
    ignore in index inner int integer intersect is join json key keys lateral left like limit match
    mediumint minus natural nchar nested not null numeric nvarchar of offset on or order outer over
    partition path recursive regexp return rlike rollup row select separator set show signed
    smallint some sounds sql_big_result sql_buffer_result sql_cache sql_no_cache sql_small_result
    straight_join table text then tinyint union unique unsigned use using varbinary varchar when
    where window with within xor
"""

_KNOWN = frozenset(f"{_FUNCTIONS}{_GRAMMAR}".upper().split())


# -- the other verbs -------------------------------------------------------------------------------

#: These commit nothing; what is not named here or below is taken for a statement that does
#: (manual, "Statements That Cause an Implicit Commit").
_NEVER_COMMIT = frozenset(
    {
        *("INSERT", "REPLACE", "UPDATE", "DELETE"),
        *("KILL", "CHECKSUM", "SIGNAL", "RESIGNAL", "BINLOG"),
    }
)


def _begin(tokens: Sequence[str], words: Sequence[str]) -> Effect:
    if len(words) == 1 or list(words[1:]) == ["WORK"]:
        return _BEGINS
    return _several(tokens, words)  # MariaDB's BEGIN NOT ATOMIC ... END


def _start(_tokens: Sequence[str], words: Sequence[str]) -> Effect:
    return _BEGINS if "TRANSACTION" in words[1:2] else _COMMITS  # START REPLICA


def _end(_tokens: Sequence[str], words: Sequence[str]) -> Effect:
    if "TO" in words:
        return _EXPLAINED  # ROLLBACK TO SAVEPOINT
    chains = ("AND", "CHAIN") in pairwise(words)
    return Effect(
        ends=True,
        rolls_back=words[0] == "ROLLBACK",
        begins=chains,
        # The chained transaction has the characteristics of the one before.
        unpins=frozenset() if chains else frozenset({"next transaction"}),
        explained=True,
    )


def _explained(_tokens: Sequence[str], _words: Sequence[str]) -> Effect:
    return _EXPLAINED


def _use(tokens: Sequence[str], words: Sequence[str]) -> Effect:
    name = _name(tokens[1]) if len(words) == 2 else ""  # noqa: PLR2004 - USE and the name
    if not name:
        return Effect(pins=frozenset({"database"}))
    return Effect(database=name, explained=True)


def _do(_tokens: Sequence[str], words: Sequence[str]) -> Effect:
    if list(words[1:]) == ["RELEASE_ALL_LOCKS", "(", ")"]:
        return Effect(unpins=frozenset({"lock"}))
    return OTHER


def _analyze(_tokens: Sequence[str], words: Sequence[str]) -> Effect:
    """MariaDB's ANALYZE runs the statement behind it; ANALYZE TABLE is another thing."""
    inner = next((word for word in words if word in _ANALYZED), None)
    if inner is None or words[1] in {"TABLE", "TABLES", "LOCAL", "NO_WRITE_TO_BINLOG"}:
        return _COMMITS
    return _read(words) if inner in _READS else OTHER


_ANALYZED = frozenset({"SELECT", "WITH", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE"})


def _lock(_tokens: Sequence[str], words: Sequence[str]) -> Effect:
    return Effect(pins=_INSTANCE if "INSTANCE" in words[1:2] else _TABLES, commits=True)


def _unlock(_tokens: Sequence[str], words: Sequence[str]) -> Effect:
    return Effect(unpins=_INSTANCE if "INSTANCE" in words[1:2] else _TABLES, commits=True)


_TABLES = frozenset({"table locks"})
_INSTANCE = frozenset({"backup lock"})


def _backup(_tokens: Sequence[str], _words: Sequence[str]) -> Effect:
    return Effect(pins=_INSTANCE, commits=True)  # MariaDB's BACKUP STAGE and BACKUP LOCK


def _flush(_tokens: Sequence[str], words: Sequence[str]) -> Effect:
    locks = "LOCK" in words or "EXPORT" in words
    return Effect(pins=_TABLES, commits=True) if locks else _COMMITS


def _handler(_tokens: Sequence[str], words: Sequence[str]) -> Effect:
    return Effect(pins=frozenset({"open handler"})) if "OPEN" in words else OTHER


def _xa(_tokens: Sequence[str], words: Sequence[str]) -> Effect:
    kind = frozenset({"XA transaction"})
    step = "".join(words[1:2])
    if step in {"COMMIT", "ROLLBACK"}:
        # With a transaction of its own attached a session cannot end another one's.
        return Effect(unpins=kind, commits=True, explained=True)
    return OTHER if step == "RECOVER" else Effect(pins=kind, commits=True, explained=True)


def _prepare(_tokens: Sequence[str], _words: Sequence[str]) -> Effect:
    return Effect(pins=frozenset({"prepared statement"}), explained=True)


def _execute(_tokens: Sequence[str], words: Sequence[str]) -> Effect:
    if "IMMEDIATE" in words[1:2]:
        return _RUNS._replace(pins=frozenset({"dynamic statement"}))
    return _RUNS


def _create(_tokens: Sequence[str], words: Sequence[str]) -> Effect:
    what = words[3:4] if list(words[1:3]) == ["OR", "REPLACE"] else words[1:2]
    if "TEMPORARY" in what:
        return Effect(pins=frozenset({"temporary table"}))
    return _COMMITS


def _drop(_tokens: Sequence[str], words: Sequence[str]) -> Effect:
    return _EXPLAINED if words[1:2] in (["TEMPORARY"], ["PREPARE"]) else _COMMITS


def _call(_tokens: Sequence[str], words: Sequence[str]) -> Effect:
    return _RUNS._replace(pins=_OUT) if "@" in words else _RUNS


def _load(_tokens: Sequence[str], words: Sequence[str]) -> Effect:
    if words[1:2] == ["INDEX"]:
        return _COMMITS
    return Effect(pins=_OUT) if "@" in words else OTHER  # LOAD DATA ... (a, @b)


def _get(_tokens: Sequence[str], words: Sequence[str]) -> Effect:
    return Effect(pins=_OUT if "@" in words else frozenset(), asks=True)  # GET DIAGNOSTICS


_OUT = frozenset({"user variable"})
_BEGINS = Effect(begins=True, commits=True, explained=True)

_VERBS: dict[str, Callable[[Sequence[str], Sequence[str]], Effect]] = {
    "ANALYZE": _analyze,
    "BACKUP": _backup,
    "BEGIN": _begin,
    "CALL": _call,
    "COMMIT": _end,
    "CREATE": _create,
    "DEALLOCATE": _explained,
    "DO": _do,
    "DROP": _drop,
    "EXECUTE": _execute,
    "FLUSH": _flush,
    "GET": _get,
    "HANDLER": _handler,
    "LOAD": _load,
    "LOCK": _lock,
    "PREPARE": _prepare,
    "RELEASE": _explained,
    "ROLLBACK": _end,
    "SAVEPOINT": _explained,
    "START": _start,
    "UNLOCK": _unlock,
    "USE": _use,
    "XA": _xa,
}


# -- SET -------------------------------------------------------------------------------------------

#: Session variables that a literal sets and that a new session is given again.  Not here: those
#: of which a statement sets a part (optimizer_switch), and those that need privileges.
_REPLAYABLE = """
    auto_increment_increment auto_increment_offset autocommit big_tables bulk_insert_buffer_size
    character_set_client character_set_connection character_set_results collation_connection
    completion_type cte_max_recursion_depth default_storage_engine default_tmp_storage_engine
    default_week_format div_precision_increment eq_range_index_dive_limit
    explicit_defaults_for_timestamp foreign_key_checks generated_random_password_length
    group_concat_max_len idle_transaction_timeout information_schema_stats_expiry
    innodb_lock_wait_timeout innodb_strict_mode interactive_timeout internal_tmp_mem_storage_engine
    join_buffer_size lc_messages lc_time_names lock_wait_timeout low_priority_updates
    max_execution_time max_heap_table_size max_join_size max_length_for_sort_data
    max_sort_length max_sp_recursion_depth max_statement_time net_read_timeout net_retry_count
    net_write_timeout old_alter_table old_mode optimizer_search_depth
    range_optimizer_max_mem_size read_buffer_size read_rnd_buffer_size
    sort_buffer_size sql_auto_is_null sql_big_selects sql_generate_invisible_primary_key sql_mode
    sql_notes sql_quote_show_create sql_require_primary_key sql_safe_updates sql_select_limit
    sql_warnings standard_compliant_cte time_zone tmp_table_size transaction_isolation
    transaction_read_only tx_isolation tx_read_only unique_checks updatable_views_with_limit
    wait_timeout windowing_use_high_precision
"""
REPLAYABLE = frozenset(_REPLAYABLE.split())

#: MariaDB's old names, under one key with the new ones.
_SAME = {"tx_isolation": "transaction_isolation", "tx_read_only": "transaction_read_only"}

_AUTOCOMMIT = _quoted_too("AUTOCOMMIT")
_GLOBAL = frozenset({"GLOBAL", "PERSIST", "PERSIST_ONLY"})
_SESSION = frozenset({"SESSION", "LOCAL"})
_NEXT_TRANSACTION = frozenset({"next transaction"})
_UNKNOWN = frozenset({"session variable"})

_PLAIN = re.compile(r"\w+", re.ASCII)
#: Words that are no value but ask for one.
_FUNCTION_WORDS = frozenset(
    {
        *("CURRENT_DATE", "CURRENT_ROLE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "CURRENT_USER"),
        *("LOCALTIME", "LOCALTIMESTAMP", "UTC_DATE", "UTC_TIME", "UTC_TIMESTAMP"),
    }
)


def _set(tokens: Sequence[str], words: Sequence[str]) -> Effect:
    """Return what a SET statement does: to be set again, global, or pinning."""
    what = words[1] if len(words) > 1 else ""
    if what == "STATEMENT":
        return _set_statement(tokens, words)
    pins, asks = _marks([word for word in words if word != ":="])
    special = _set_special(what, words)
    if special is not None:
        return special._replace(pins=special.pins | pins, asks=asks) if pins or asks else special
    replay: list[tuple[str, str]] = []
    scope = ""
    for part in _parts(tokens[1:]):
        scope, given, state = _assignment(part, scope)
        replay += given
        pins |= state
    return Effect(
        # autocommit=1 commits what is open.
        commits=not _AUTOCOMMIT.isdisjoint(words),
        pins=pins,
        replay=tuple(replay),
        explained=True,
        asks=asks,
    )


def _set_special(what: str, words: Sequence[str]) -> Effect | None:
    """Return what those forms of SET do that assign nothing to a variable; None for the others."""
    if what in {"PASSWORD", "DEFAULT"}:
        return _COMMITS  # the account's, not the session's
    if what == "ROLE":
        return Effect(pins=frozenset({"role"}), explained=True)
    if what == "RESOURCE":
        return _EXPLAINED if "FOR" in words else Effect(pins=frozenset({"resource group"}))
    if what == "TRANSACTION":
        return Effect(pins=_NEXT_TRANSACTION, explained=True)
    if words[2:3] == ["TRANSACTION"]:
        return _EXPLAINED if what in _GLOBAL else _set_transaction(words[3:])
    return None


def _set_transaction(words: Sequence[str]) -> Effect:
    """Return what SET SESSION TRANSACTION does."""
    replay = []
    for part in _parts(words):
        text = " ".join(part)
        if part[:2] == ["ISOLATION", "LEVEL"]:
            key = "transaction_isolation"
        elif part in (["READ", "ONLY"], ["READ", "WRITE"]):
            key = "transaction_read_only"
        else:
            return Effect(pins=_UNKNOWN, commits=True)
        replay.append((key, f"SET SESSION TRANSACTION {text}"))
    return Effect(replay=tuple(replay), explained=True)


def _set_statement(tokens: Sequence[str], words: Sequence[str]) -> Effect:
    """Return what MariaDB's SET STATEMENT variable=value FOR statement does.

    The variables are as before when the statement is done.
    """
    inner = words.index("FOR") + 1 if "FOR" in words else len(words)
    if words[inner : inner + 1] in ([], ["SET"], ["USE"]):
        return Effect(pins=_UNKNOWN, commits=True)
    effect = _one(tokens[inner:], words[inner:])
    pins, asks = _marks(words[:inner])
    return Effect(
        commits=effect.commits or effect.ends,
        pins=effect.pins | pins,
        next_only=effect.next_only,
        explained=effect.read,
        asks=effect.asks or asks,
        runs=effect.runs,
    )


def _parts(tokens: Sequence[str]) -> Iterator[list[str]]:
    """Yield what is between the commas that are in no parenthesis."""
    part: list[str] = []
    depth = 0
    for each in tokens:
        if each == "," and depth == 0:
            yield part
            part = []
            continue
        depth += (each == "(") - (each == ")")
        part.append(each)
    yield part


def _assignment(part: list[str], scope: str) -> tuple[str, list[tuple[str, str]], frozenset[str]]:
    """Return what one assignment of a SET statement does.

    :param scope: the scope that the last keyword before it has named, which counts on: after
        ``SET GLOBAL a=1, b=2`` both are global (tried on both servers).
    :return: the scope from now on, what to replay, and the pins.
    """
    words = [token.upper() for token in part]
    if words[:1] == ["@"]:
        return scope, [], _OUT
    if words[:1] in (["NAMES"], ["CHARSET"], ["CHARACTER"]):
        statement = _names(part, words)
        return (scope, [("names", statement)], frozenset()) if statement else (scope, [], _UNKNOWN)
    next_only = False
    own = scope
    if words[:1] == ["@@"]:
        named = words[2:3] == ["."]
        own = words[1] if named else "SESSION"
        # Without a scope a transaction characteristic is for the next transaction only.
        next_only = not named
        part, words = (part[3:], words[3:]) if named else (part[1:], words[1:])
    elif words[:1] and words[0] in _GLOBAL | _SESSION:
        own = scope = words[0]
        part, words = part[1:], words[1:]
    if len(words) < 3 or words[1] not in {"=", ":="}:  # noqa: PLR2004 - a name, a sign, a value
        return scope, [], _UNKNOWN
    value = _literal(part[2:])
    if own in _GLOBAL:
        # A value that has to be worked out may do anything while it is.
        return scope, [], frozenset() if value else _UNKNOWN
    name = _name(part[0]).lower()
    key = _SAME.get(name, name)
    if next_only and key in {"transaction_isolation", "transaction_read_only"}:
        return scope, [], _NEXT_TRANSACTION
    if value is None or name not in REPLAYABLE or own not in {"", *_SESSION}:
        return scope, [], _UNKNOWN
    return scope, [(key, f"SET SESSION {name}={value}")], frozenset()


def _names(part: Sequence[str], words: Sequence[str]) -> str | None:
    """Return SET NAMES or SET CHARACTER SET in plain words; None if it is anything else."""
    head = 2 if words[:2] == ["CHARACTER", "SET"] else 1
    value = _literal(part[head : head + 1])
    if value is None or (words[0] == "CHARACTER" and head == 1):
        return None
    text = f"SET {' '.join(words[:head])} {value}"
    if len(part) == head + 1:
        return text
    collation = _literal(part[head + 2 :])
    if words[0] != "NAMES" or words[head + 1] != "COLLATE" or collation is None:
        return None
    return f"{text} COLLATE {collation}"


def _name(token: str) -> str:
    """Return the name that ``token`` is, without quotes; '' if it is none."""
    quote = token[0]
    if quote in '`"':
        return token[1:-1] if len(token) > 2 and token[-1] == quote else ""  # noqa: PLR2004 - quotes
    return token if _WORD.fullmatch(token) else ""


def _literal(tokens: Sequence[str]) -> str | None:
    """Return a literal or a plain word as it can be set again; None for anything else."""
    text = "".join(tokens)
    first, last = text[:1], text[-1:]
    if first in {"'", '"'}:
        # Two tokens are two strings, or one with a quote in it.
        inner = text[1:-1]
        if len(tokens) != 1 or len(text) < 2 or first != last or "\\" in inner:  # noqa: PLR2004
            return None
        if first == '"' and "'" in inner:
            return None
        # "..." may be read as a name, by the sql_mode of the day.
        return f"'{inner}'"
    digits = text[1:] if first in {"+", "-"} else text
    if digits.replace(".", "", 1).isdecimal() and digits.isascii():
        return text
    if len(tokens) == 1 and _PLAIN.fullmatch(text) and text.upper() not in _FUNCTION_WORDS:
        return text
    return None
