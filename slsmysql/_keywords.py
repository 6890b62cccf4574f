"""The types of the keywords of ``connect()``, for type checkers: nothing imports it at run time.

What the keywords mean is in ``docs/options.md``, what is accepted beyond these types in ``options``
and ``settings``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from slsmysql.events import Event
    from slsmysql.settings import Settings


class SettingsKeywords(TypedDict, total=False):
    """The management options, as ``Settings`` takes them too."""

    manage_conns: bool
    conn_utilization: float
    zombie_min_timeout: float
    zombie_max_timeout: float
    max_conns_freq: float
    used_conns_freq: float | None
    backoff: Literal["full", "decorrelated"] | Callable[[int, float], float]
    backoff_base: float
    backoff_cap: float
    max_retries: int | None
    query_retries: int
    on_event: Callable[[Event], object] | None
    lease: int | None
    stale_after: float
    reopen_after: float
    reuse: bool
    max_parked: int
    reap: Literal["user", "fleet", "off"]
    resume_reads: bool
    deadline: Callable[[], float] | None


class Keywords(SettingsKeywords, total=False):
    """All keywords but ``cursorclass``, which says what ``cursor()`` returns."""

    user: str | bytes | None
    password: str | bytes | Callable[[], str | bytes] | None
    host: str | None
    database: str | bytes | None
    unix_socket: str | None
    port: int
    charset: str | None
    collation: str | None
    sql_mode: str | None
    read_default_file: str | None
    conv: Mapping[Any, Any] | None
    use_unicode: bool | None
    client_flag: int
    init_command: str | None
    connect_timeout: float
    read_default_group: str | None
    autocommit: bool | None
    local_infile: bool
    max_allowed_packet: int
    auth_plugin_map: Mapping[Any, Any] | None
    read_timeout: float | None
    write_timeout: float | None
    bind_address: str | None
    binary_prefix: bool
    program_name: str | None
    server_public_key: bytes | None
    ssl: ssl.SSLContext | Mapping[str, Any] | None
    ssl_ca: str | None
    ssl_cert: str | None
    ssl_disabled: bool | None
    ssl_key: str | None
    ssl_key_password: str | bytes | Callable[[], str | bytes] | None
    ssl_verify_cert: bool | str | None
    ssl_verify_identity: bool | None
    compress: bool | None
    named_pipe: bool | None
    passwd: str | bytes | None
    db: str | bytes | None
    use_pure: bool | None
    defer_connect: bool
    settings: Settings | None
