"""What a statement does to the session it runs in: read from its text, pure.

The server tells most of it by itself (``session_track_state_change``: status bit 0x4000).  The
text says the rest: what the server does not report (``GET_LOCK``, ``LOCK TABLES``, ``HANDLER``,
``@x :=``, ``INTO @x``, ``SQL_CALC_FOUND_ROWS``, ``SET TRANSACTION``), what can be set again on
a new session, and whether a statement is a plain read.  In doubt the answer is the careful one:
not a plain read, pinned.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from slsmysql.constants import SERVER_STATUS

STATE_CHANGED = 0x4000
IN_TRANSACTION = SERVER_STATUS.SERVER_STATUS_IN_TRANS
AUTOCOMMIT = SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT
NO_BACKSLASH_ESCAPES = SERVER_STATUS.SERVER_STATUS_NO_BACKSLASH_ESCAPES


@dataclass(frozen=True, slots=True)
class Effect:
    """What a statement does.

    ``read``: it reads and changes, locks and remembers nothing.  ``begins``: it opens a
    transaction explicitly.  ``ends``: it is a COMMIT or ROLLBACK (of the whole transaction).
    ``commits``: it commits what is open before it runs (DDL, BEGIN, LOCK TABLES, ...).
    ``rolls_back``: it is a ROLLBACK.
    ``pins``: the kinds of state it leaves that a new session would not have.  ``unpins``: kinds
    that it ends.  ``next_only``: kinds that last until the next statement.
    ``replay``: pairs of a key and a statement that sets the same again on a new session; the
    later of two with the same key replaces the earlier.
    ``database``: the schema that ``USE`` selects.  ``explained``: the server's 0x4000 after it
    means nothing beyond what is said here.
    ``asks``: it asks for something about the statement before it (ROW_COUNT(), warnings, ...).
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


PLAIN_READ = Effect(read=True)
OTHER = Effect()

#: Statements are recognised by their text before the parameters go in; a program has few.
_CACHE_SIZE = 512
_cache: dict[str, Effect] = {}


def effect_of(sql: str) -> Effect:
    """Return what ``sql`` does; remembered by text, so give it the text without parameters."""
    effect = _cache.get(sql)
    if effect is None:
        effect = classify(sql)
        if len(_cache) >= _CACHE_SIZE:
            _cache.clear()
        if len(sql) <= _LONG:
            _cache[sql] = effect
    return effect


#: A longer text is not worth keeping.
_LONG = 8192

# Comments and quoted things, so that words inside them do not count.  A comment that the server
# executes (/*! ... */, /*M! ... */) is kept: its words count.
_QUOTED = re.compile(
    r"""
      '(?:[^'\\]|\\.|'')*'
    | "(?:[^"\\]|\\.|"")*"
    | `(?:[^`]|``)*`
    | /\*(?!M?!).*?(?:\*/|\Z)
    | (?:\#|--(?=[\s\x00-\x1f]|\Z))[^\n]*
    """,
    re.VERBOSE | re.DOTALL,
)


def _blank(match: re.Match[str]) -> str:
    first = match.group()[0]
    if first in "'\"":
        return "''"
    if first == "`":
        return "`q`"
    return " "


_WORD = re.compile(r"[\s(;]*([A-Za-z_]+)")
_EXECUTED_COMMENT = re.compile(r"/\*M?!")

_PINNING = (
    ("lock", re.compile(r"\bGET_LOCK\s*\(", re.I)),
    ("user variable", re.compile(r":=|\bINTO\s+@|\bINTO\s+(?:OUTFILE|DUMPFILE)\b.*@", re.I)),
    ("user variable", re.compile(r"\bLAST_INSERT_ID\s*\(\s*[^)\s]", re.I)),
)
_FOUND_ROWS = re.compile(r"\bSQL_CALC_FOUND_ROWS\b", re.I)
_LOCKING_READ = re.compile(r"\bFOR\s+(?:UPDATE|SHARE)\b|\bLOCK\s+IN\s+SHARE\s+MODE\b", re.I)
_INTO = re.compile(r"\bINTO\b", re.I)
_CALL_OF = re.compile(r"(?:(`q`|[A-Za-z_][\w$]*)\s*\.\s*)?(`q`|[A-Za-z_][\w$]*)\s*\(")
_ASKS = re.compile(
    r"\b(?:ROW_COUNT|FOUND_ROWS|LAST_INSERT_ID)\s*\(|\bSHOW\s+(?:COUNT\s*\(\s*\*\s*\)\s+)?"
    r"(?:WARNINGS|ERRORS)\b|\bGET\s+(?:CURRENT\s+|STACKED\s+)?DIAGNOSTICS\b"
    r"|@@(?:session\.|local\.)?(?:warning_count|error_count|last_insert_id|identity)\b",
    re.I,
)

_READ_VERBS = frozenset(
    {"SELECT", "WITH", "SHOW", "DESC", "DESCRIBE", "EXPLAIN", "TABLE", "VALUES", "HELP"}
)
_IMPLICIT_COMMIT = frozenset(
    {
        *("ALTER", "ANALYZE", "CACHE", "CHECK", "CREATE", "DROP", "FLUSH", "GRANT", "INSTALL"),
        *("LOCK", "OPTIMIZE", "RENAME", "REPAIR", "RESET", "REVOKE", "TRUNCATE", "UNINSTALL"),
    }
)

# What a read may call: the functions of the manuals of MySQL 9.7 and MariaDB 10.11 that change
# nothing.  Any other name may be a stored function, which may do anything.
_FUNCTIONS = frozenset(
    """
    abs acos adddate addtime aes_decrypt aes_encrypt any_value ascii asin atan atan2 avg
    benchmark bin bin_to_uuid binary bit_and bit_count bit_length bit_or bit_xor can_access_column
    cast ceil ceiling char char_length character_length charset chr coalesce coercibility collation
    compress concat concat_ws connection_id conv convert convert_tz cos cot count crc32 cume_dist
    curdate current_date current_role current_time current_timestamp current_user curtime database
    date date_add date_format date_sub datediff day dayname dayofmonth dayofweek dayofyear decode
    default degrees dense_rank div elt encode exp export_set extract extractvalue field find_in_set
    first_value floor format format_bytes format_pico_time found_rows from_base64 from_days
    from_unixtime get_format greatest group_concat grouping hex hour if ifnull in inet6_aton
    inet6_ntoa inet_aton inet_ntoa insert instr interval is_free_lock is_ipv4 is_ipv4_compat
    is_ipv4_mapped is_ipv6 is_used_lock is_uuid isnull json_array json_array_append
    json_array_insert json_arrayagg json_compact json_contains json_contains_path json_depth
    json_detailed json_exists json_extract json_insert json_keys json_length json_loose json_merge
    json_merge_patch json_merge_preserve json_object json_objectagg json_overlaps json_pretty
    json_query json_quote json_remove json_replace json_schema_valid
    json_schema_validation_report json_search json_set json_storage_free json_storage_size
    json_table json_type json_unquote json_valid json_value lag last_day last_insert_id last_value
    lcase lead least left length linestring ln load_file localtime localtimestamp locate log log10
    log2 lower lpad ltrim make_set makedate maketime master_pos_wait max mbrcontains mbrcoveredby
    mbrcovers mbrdisjoint mbrequals mbrintersects mbroverlaps mbrtouches mbrwithin md5 median
    microsecond mid min minute mod month monthname multilinestring multipoint multipolygon name_const
    natural_sort_key not now nth_value ntile nullif nvl nvl2 oct octet_length ord password
    percent_rank percentile_cont percentile_disc period_add period_diff pi point polygon position
    pow power ps_current_thread_id ps_thread_id quarter quote radians rand random_bytes rank regexp_instr
    regexp_like regexp_replace regexp_substr repeat replace reverse right round row row_count
    row_number rpad rtrim schema sec_to_time second session_user sha sha1 sha2 sign sin sleep soundex
    space sqrt st_area st_asbinary st_asgeojson st_astext st_aswkb st_aswkt st_buffer st_centroid
    st_contains st_convexhull st_crosses st_difference st_dimension st_disjoint st_distance
    st_distance_sphere st_endpoint st_envelope st_equals st_exteriorring st_geohash
    st_geometryn st_geometrytype st_geomfromgeojson st_geomfromtext st_geomfromwkb st_intersection
    st_intersects st_isclosed st_isempty st_issimple st_isvalid st_latfromgeohash st_latitude
    st_length st_longfromgeohash st_longitude st_makeenvelope st_numgeometries st_numinteriorrings
    st_numpoints st_overlaps st_pointfromgeohash st_pointfromtext st_pointn st_simplify st_srid
    st_startpoint st_swapxy st_symdifference st_touches st_transform st_union st_validate st_within
    st_x st_y statement_digest statement_digest_text std stddev stddev_pop stddev_samp str_to_date
    strcmp string_to_vector subdate substr substring substring_index subtime sum sys_guid sysdate
    system_user tan time time_format time_to_sec timediff timestamp timestampadd timestampdiff
    to_base64 to_char to_days to_seconds to_vector trim truncate ucase uncompress
    uncompressed_length unhex unix_timestamp updatexml upper user utc_date utc_time utc_timestamp
    uuid uuid_short uuid_to_bin validate_password_strength values var_pop var_samp variance
    vec_distance vec_distance_cosine vec_distance_euclidean vec_fromtext vec_totext
    vector_dim vector_to_string version week weekday weekofyear weight_string year yearweek

    all and any as between by case distinct else exists from group having join limit lateral like
    offset on or order over partition regexp rlike select some then union except intersect unique
    using when where window with xor recursive straight_join ignore force use index key keys table
    decimal numeric signed unsigned float double varchar nchar varbinary datetime enum set int
    integer bigint smallint tinyint mediumint bit text blob columns nested path is collate return
    show explain analyze set_user_var within
    """.split()
)

#: Session variables that a plain literal sets and that a new session is given again.
_REPLAYABLE = frozenset(
    """
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
    net_write_timeout old_alter_table old_mode optimizer_search_depth optimizer_switch
    range_optimizer_max_mem_size read_buffer_size read_rnd_buffer_size regexp_stack_limit
    sort_buffer_size sql_auto_is_null sql_big_selects sql_generate_invisible_primary_key sql_mode
    sql_notes sql_quote_show_create sql_require_primary_key sql_safe_updates sql_select_limit
    sql_warnings standard_compliant_cte time_zone tmp_table_size transaction_isolation
    transaction_read_only tx_isolation tx_read_only unique_checks updatable_views_with_limit
    wait_timeout windowing_use_high_precision
    """.split()
)

_LITERAL = r"""(?:'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|[+-]?[\w.\-]+)"""
_ASSIGNMENT = re.compile(
    rf"""\s*(?:(?:SESSION|LOCAL)\s+|@@(?:SESSION|LOCAL)\s*\.\s*|@@(?!GLOBAL|PERSIST|\w+\s*\.))?
        (`?)(\w+)\1\s*:?=\s*({_LITERAL})\s*""",
    re.I | re.X,
)
_NAMES = re.compile(
    rf"\s*NAMES\s+({_LITERAL})(?:\s+COLLATE\s+({_LITERAL}))?\s*", re.I
)
_CHARACTER_SET = re.compile(rf"\s*(?:CHARACTER\s+SET|CHARSET)\s+({_LITERAL})\s*", re.I)
_SESSION_TRANSACTION = re.compile(
    r"""\s*(?:SESSION|LOCAL)\s+TRANSACTION\s+
        ((?:ISOLATION\s+LEVEL\s+(?:REPEATABLE\s+READ|READ\s+COMMITTED|READ\s+UNCOMMITTED
        |SERIALIZABLE)|READ\s+(?:ONLY|WRITE))(?:\s*,\s*(?:ISOLATION\s+LEVEL\s+(?:REPEATABLE\s+READ
        |READ\s+COMMITTED|READ\s+UNCOMMITTED|SERIALIZABLE)|READ\s+(?:ONLY|WRITE)))?)\s*""",
    re.I | re.X,
)
_GLOBAL_ONLY = re.compile(
    r"\s*(?:GLOBAL|PERSIST|PERSIST_ONLY|@@GLOBAL\s*\.|@@PERSIST(?:_ONLY)?\s*\.|PASSWORD|RESOURCE)",
    re.I,
)
_USE = re.compile(r"\s*USE\s+(?:`((?:[^`]|``)+)`|([^\s;`]+))\s*;?\s*", re.I)
_SET = re.compile(r"\s*SET\b", re.I)
_NOT_VALUES = frozenset({"select", "concat", "replace", "default"})


def classify(sql: str) -> Effect:  # noqa: C901, PLR0911, PLR0912 - one branch a verb
    """Return what ``sql`` does, from its text alone.

    :param sql: one statement (with more than one, what the first verb says is not relied on).
    """
    bare = _QUOTED.sub(_blank, sql)
    if _EXECUTED_COMMENT.search(bare):
        return Effect(pins=frozenset({"executable comment"}), asks=bool(_ASKS.search(bare)))
    if ";" in bare.rstrip("; \t\r\n"):
        return Effect(
            commits=True,
            pins=frozenset({"several statements"}) if _UNTRACKED.search(bare) else frozenset(),
            asks=bool(_ASKS.search(bare)),
        )
    match = _WORD.match(bare)
    verb = match.group(1).upper() if match else ""
    asks = bool(_ASKS.search(bare))
    pins = {kind for kind, pattern in _PINNING if pattern.search(bare)}
    if verb == "SET":
        return _classify_set(sql, bare, asks=asks)
    if verb in _READ_VERBS:
        if _FOUND_ROWS.search(bare):
            return Effect(
                pins=frozenset(pins), next_only=frozenset({"found rows"}), asks=asks
            )
        if pins or _INTO.search(bare) or _LOCKING_READ.search(bare) or _calls_unknown(bare):
            return Effect(pins=frozenset(pins), asks=asks)
        if verb == "WITH" and re.search(r"\b(?:UPDATE|DELETE|INSERT|REPLACE)\b(?!\s*\()", bare, re.I):
            return Effect(asks=asks)
        return Effect(read=True, asks=True) if asks else PLAIN_READ
    if verb in {"BEGIN", "START"}:
        starts = verb == "BEGIN" or re.match(r"\s*START\s+TRANSACTION", bare, re.I)
        return Effect(begins=bool(starts), commits=True, explained=True)
    if verb in {"COMMIT", "ROLLBACK"}:
        if re.search(r"\bTO\b", bare, re.I):
            return Effect(explained=True)
        chained = bool(re.search(r"(?<!NO)\s+CHAIN\b", bare, re.I))
        return Effect(
            ends=True, rolls_back=verb == "ROLLBACK", begins=chained, explained=True
        )
    if verb in {"SAVEPOINT", "RELEASE"}:
        return Effect(explained=True)
    if verb == "USE":
        use = _USE.fullmatch(sql)
        if use:
            name = use.group(1)
            return Effect(
                database=use.group(2) if name is None else name.replace("``", "`"), explained=True
            )
        return Effect(pins=frozenset({"database"}))
    if verb == "UNLOCK":
        return Effect(unpins=frozenset({"table locks"}), commits=True)
    if verb == "DO" and re.search(r"\bRELEASE_ALL_LOCKS\s*\(", bare, re.I):
        return Effect(unpins=frozenset({"lock"}))
    kind = {
        "HANDLER": "open handler",
        "PREPARE": "prepared statement",
        "XA": "XA transaction",
        "LOCK": "table locks",
    }.get(verb)
    if verb == "HANDLER" and not re.search(r"\bOPEN\b", bare, re.I):
        kind = None
    if verb == "FLUSH" and re.search(r"\bWITH\s+READ\s+LOCK\b|\bFOR\s+EXPORT\b", bare, re.I):
        kind = "table locks"
    if verb == "CREATE" and re.search(r"\bTEMPORARY\b", bare, re.I):
        return Effect(pins=frozenset(pins | {"temporary table"}), asks=asks)
    if verb == "DROP" and re.match(r"\s*DROP\s+TEMPORARY\b", bare, re.I):
        return OTHER
    if kind:
        pins.add(kind)
    commits = verb in _IMPLICIT_COMMIT
    if pins or commits or asks:
        return Effect(pins=frozenset(pins), commits=commits, asks=asks)
    return OTHER


#: State that the server does not report, anywhere in a text of several statements.
_UNTRACKED = re.compile(
    r"\bGET_LOCK\s*\(|:=|\bINTO\s+@|\bLOCK\s+TABLES?\b|\bHANDLER\b|\bREAD\s+LOCK\b|\bXA\b"
    r"|\bSQL_CALC_FOUND_ROWS\b|\bSET\s+TRANSACTION\b|\bLAST_INSERT_ID\s*\(\s*[^)\s]",
    re.I,
)


def _calls_unknown(bare: str) -> bool:
    for schema, name in _CALL_OF.findall(bare):
        if schema or name.lower() not in _FUNCTIONS:
            return True
    return False


def _split_assignments(text: str) -> list[str]:
    """Split at the commas that are in no quote and no parenthesis."""
    parts: list[str] = []
    depth = start = 0
    for match in re.finditer(rf"{_QUOTED.pattern}|[(),]", text, re.X | re.S):
        token = match.group()
        if token == "(":
            depth += 1
        elif token == ")":
            depth -= 1
        elif token == "," and depth == 0:
            parts.append(text[start : match.start()])
            start = match.end()
    parts.append(text[start:])
    return parts


def _classify_set(sql: str, bare: str, *, asks: bool) -> Effect:
    """Return what a SET statement does: replayable, global only, or pinning."""
    comment_free = _QUOTED.sub(
        lambda m: m.group() if m.group()[0] in "'\"`" else " ", sql
    ).strip().rstrip(";")
    head = _SET.match(comment_free)
    if head is None:
        return Effect(pins=frozenset({"session variable"}), asks=asks)
    body = comment_free[head.end() :]
    transaction = _SESSION_TRANSACTION.fullmatch(body)
    if transaction:
        return Effect(replay=(("transaction", f"SET SESSION TRANSACTION {transaction.group(1)}"),),
                      explained=True)
    if re.match(r"\s*TRANSACTION\b", body, re.I):
        # For the next transaction only: ends with it.
        return Effect(pins=frozenset({"next transaction"}), explained=True)
    replay: list[tuple[str, str]] = []
    for part in _split_assignments(body):
        names = _NAMES.fullmatch(part)
        if names:
            replay.append(("names", f"SET {part.strip()}"))
            continue
        if _CHARACTER_SET.fullmatch(part):
            replay.append(("names", f"SET {part.strip()}"))
            continue
        if _GLOBAL_ONLY.match(part):
            continue
        assignment = _ASSIGNMENT.fullmatch(part)
        if assignment:
            name, value = assignment.group(2).lower(), assignment.group(3)
            if name in _REPLAYABLE and value.lower() not in _NOT_VALUES:
                key = {"tx_isolation": "transaction", "transaction_isolation": "transaction"}.get(
                    name, name
                )
                replay.append((key, f"SET SESSION {name}={value}"))
                continue
        kind = "user variable" if re.match(r"\s*@[^@]", part) else "session variable"
        return Effect(pins=frozenset({kind}), asks=asks)
    del bare
    return Effect(replay=tuple(replay), explained=True, asks=asks)
