"""``doctor``: what a program in this place would meet, step by step, and what to do about it."""

from __future__ import annotations

import importlib.metadata
import re
import socket
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from slsmysql import _driver, err, manager
from slsmysql._cli import show
from slsmysql._cli.watcher import Watcher, message
from slsmysql.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from slsmysql._cli.watcher import Holder, Reading

#: Refused for want of a privilege.
_DENIED: Final = frozenset({1044, 1142, 1143, 1227})

#: What may be behind a connect that fails, by errno.
_HINTS: Final[Mapping[int, str]] = {
    1040: "All connections are taken. An account with CONNECTION_ADMIN gets in all the same:"
    " run `reap` with one.",
    1044: "The account may not use this database.",
    1045: "Account and password do not fit, or the account may not come from this host.",
    1049: "There is no such database.",
    1129: "The server has blocked this host after too many broken connects: `FLUSH HOSTS` (MariaDB)"
    " or `TRUNCATE TABLE performance_schema.host_cache` (MySQL) lets it in again.",
    1130: "The server lets nobody in from this host: the account must be 'name'@'this host'.",
    1203: "The account has as many connections as it may have (max_user_connections).",
    1226: "The account has used up one of its limits (SHOW CREATE USER).",
    2002: "Nothing answers at the socket.",
    2003: "Nothing answers at the address: is the server running, and do the network's rules"
    " (security group, subnet, firewall) let this machine through?",
    2005: "The host's name is not known here.",
    2061: "The account's way to log in needs TLS or a unix socket.",
    3159: "The server takes connections with TLS only.",
}

#: Seconds that a round trip may take before it is worth a word: more than within a region.
_SLOW: Final = 0.01

#: Seconds that a function lives for at the longest.
_LIFE: Final = int(Settings().zombie_max_timeout)

#: Looks and round trips that are measured, of which the middle one counts.
_ROUNDS: Final = 5

_LIMITS: Final = (
    "SELECT @@GLOBAL.wait_timeout, @@GLOBAL.interactive_timeout, @@GLOBAL.read_only,"
    " @@GLOBAL.performance_schema, @@version_comment"
)
_STATUS: Final = (
    "SHOW GLOBAL STATUS WHERE Variable_name IN"
    " ('Max_used_connections', 'Connection_errors_max_connections')"
)


@dataclass
class Step:
    """One step on the way to an answer, and the seconds that it took."""

    name: str
    seconds: float
    detail: str = ""
    ok: bool = True


@dataclass(frozen=True)
class Finding:
    """Something to be known, or done."""

    level: Literal["ok", "advice", "problem"]
    about: str
    text: str
    run: str = ""
    """SQL that mends it, for an account that may."""
    option: str = ""
    """An option of ``connect()`` that fits."""

    def as_dict(self) -> dict[str, str]:
        """Return it for ``--json``, without what it does not have."""
        items = {
            "level": self.level,
            "about": self.about,
            "text": self.text,
            "run": self.run,
            "option": self.option,
        }
        return {name: text for name, text in items.items() if text}


@dataclass
class Report:
    """All that was found."""

    server: str
    steps: list[Step] = field(default_factory=list)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    holders: list[dict[str, Any]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return {
            "server": self.server,
            "ok": not any(finding.level == "problem" for finding in self.findings),
            "steps": [
                {"name": s.name, "seconds": round(s.seconds, 6), "detail": s.detail, "ok": s.ok}
                for s in self.steps
            ],
            **self.facts,
            "holders": self.holders,
            "findings": [finding.as_dict() for finding in self.findings],
        }


def doctor(keywords: Mapping[str, Any], tell: Callable[[str, object], None]) -> int:
    """Tell all about the way to a server; return 1 for a problem, 2 if there is no way to it."""
    watcher = Watcher(keywords)
    report = Report(watcher.where)
    examination = _Examination(watcher, report)
    try:
        reached = examination.reach()
        if reached:
            examination.examine()
    finally:
        watcher.close()
    tell(_text(report), report.as_dict())
    if not reached:
        return 2
    return int(any(finding.level == "problem" for finding in report.findings))


class _Examination:
    def __init__(self, watcher: Watcher, report: Report) -> None:
        self.watcher = watcher
        self.options = watcher.options
        self.settings = watcher.settings
        self.report = report

    def find(
        self,
        level: Literal["ok", "advice", "problem"],
        about: str,
        text: str,
        *,
        run: str = "",
        option: str = "",
    ) -> None:
        self.report.findings.append(Finding(level, about, text, run, option))

    # -- the way there -------------------------------------------------------------------------

    def reach(self) -> bool:
        """Go step by step to a session; return whether there is one."""
        self._back_end()
        try:
            if self.options.unix_socket is None:
                self._step("resolve the name", self._resolve)
                self._step("reach the port", self._knock)
            self._step("log in", self._log_in)
        except (OSError, err.Error) as error:
            last = self.report.steps[-1]
            last.ok, last.detail = False, message(error)
            self.find("problem", "connect", self._why(last, error))
            return False
        self._step("ask for something", self._round_trip)
        try:
            self._step("look at the load", self._look)
        except (err.Error, ValueError) as error:
            handle = self.watcher.connection.handle
            if handle is None or not handle.alive:
                raise
            last = self.report.steps[-1]
            last.ok, last.detail = False, message(error)
            self.find(
                "problem",
                "load",
                "What answers here, a proxy perhaps, does not tell its load (COM_STATISTICS): it"
                " cannot be managed.",
                option="manage_conns=False",
            )
        return True

    def _step(self, name: str, work: Callable[[], tuple[float | None, str]]) -> None:
        step = Step(name, 0.0)
        self.report.steps.append(step)
        begun = time.perf_counter()
        try:
            measured, step.detail = work()
        finally:
            step.seconds = time.perf_counter() - begun
        if measured is not None:
            step.seconds = measured

    def _resolve(self) -> tuple[None, str]:
        options = self.options
        found = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)
        return None, ", ".join(dict.fromkeys(str(each[4][0]) for each in found))

    def _knock(self) -> tuple[None, str]:
        # The server takes it for a broken connect, until the next log-in from this host.
        options = self.options
        place = (options.host, options.port)
        source = (options.bind_address, 0) if options.bind_address else None
        with socket.create_connection(place, options.connect_timeout, source) as knocking:
            return None, f"port {knocking.getpeername()[1]}"

    def _log_in(self) -> tuple[None, str]:
        self.watcher.connect()
        retries = self.watcher.connection.stats().connect_retries
        again = f", after {retries} refused" if retries else ""
        ((session,),) = self.watcher.rows("SELECT CONNECTION_ID()")
        return None, f"as session {session}{again}"

    def _round_trip(self) -> tuple[float, str]:
        return _median(lambda: self.watcher.rows("SELECT 1")), "SELECT 1"

    def _look(self) -> tuple[float, str]:
        return _median(self.watcher.session.statistics), "COM_STATISTICS"

    def _why(self, step: Step, error: OSError | err.Error) -> str:
        errno = error.args[0] if error.args and isinstance(error, err.Error) else 0
        if isinstance(error, OSError):
            errno = 2005 if isinstance(error, socket.gaierror) else 2003
        hint = _HINTS.get(errno, "")
        return f"It fails to {step.name}: {step.detail}. {hint}".rstrip()

    def _back_end(self) -> None:
        options = self.options
        wanted = options.use_pure
        backend = _driver.backend_for(options)
        if wanted is not None:
            why = "asked for by use_pure or SLSMYSQL_USE_PURE"
        elif backend == "c":
            why = "the driver's extension loads, and can do all that is asked for"
        elif _driver._cext is None:
            why = f"the driver's C extension cannot be loaded: {_driver._cext_missing}"
            self.find(
                "advice",
                "back end",
                "The pure back end serves, which decodes large results more slowly. A wheel of"
                " mysql-connector-python with the C extension for this platform is faster.",
            )
        else:
            why = f"the C extension cannot do {_driver._cext.cannot(options)}"
        try:
            version = importlib.metadata.version("mysql-connector-python")
        except importlib.metadata.PackageNotFoundError:
            version = "of unknown version"
        self.report.facts["backend"] = {"name": backend, "why": why, "driver": version}

    # -- what is there -------------------------------------------------------------------------

    def examine(self) -> None:
        """Ask for all that matters, and say what follows."""
        self._server()
        self._tls()
        self._privileges()
        holders = self.watcher.holders()
        self._holders(holders)
        if self.report.steps[-1].ok:
            self._load(self.watcher.reading(), len(holders))
            self._fitting(holders)

    def _server(self) -> None:
        ((wait, interactive, read_only, schema, comment),) = self.watcher.rows(_LIMITS)
        version = self.watcher.connection.get_server_info().removeprefix("5.5.5-")
        self.wait_timeout = int(wait)
        self.report.facts["limits"] = {
            "wait_timeout": int(wait),
            "interactive_timeout": int(interactive),
        }
        self.performance_schema = schema == "1"
        is_read_only = read_only.upper() not in {"0", "OFF"}
        self.report.facts["version"] = {
            "server": version,
            "comment": comment,
            "read_only": is_read_only,
            "performance_schema": self.performance_schema,
        }
        slow = next(s.seconds for s in self.report.steps if s.name == "ask for something")
        if slow > _SLOW:
            self.find(
                "advice",
                "network",
                f"A round trip takes {show.seconds(slow)}: the server is far from here.",
            )
        if is_read_only:
            self.find("advice", "server", "The server is read-only: a replica, or in maintenance.")

    def _tls(self) -> None:
        tls = self.options.tls
        rows = self.watcher.rows(
            "SHOW SESSION STATUS WHERE Variable_name IN ('Ssl_version', 'Ssl_cipher')"
        )
        status = {str(name).lower(): value for name, value in rows}
        used = bool(status.get("ssl_cipher"))
        verified = "certificate and name" if tls.check_hostname else "certificate"
        self.report.facts["tls"] = {
            "used": used,
            "version": status.get("ssl_version") or None,
            "cipher": status.get("ssl_cipher") or None,
            "verified": verified if used and tls.verify == "required" else None,
        }
        if self.options.unix_socket is not None or _is_local(self.options.host):
            return
        if not used:
            self.find(
                "advice",
                "TLS",
                "Statements and data go over the network as they are.",
                option="ssl_verify_identity=True, ssl_ca=<the server's CA>",
            )
        elif tls.verify != "required":
            self.find(
                "advice",
                "TLS",
                "The connection is encrypted, but nobody checks that it is the right server.",
                option="ssl_verify_identity=True, ssl_ca=<the server's CA>",
            )

    def _privileges(self) -> None:
        watcher = self.watcher
        ((account,),) = watcher.rows("SELECT CURRENT_USER()")
        role = None
        with suppress(err.Error):  # a server from before there were roles
            ((role,),) = watcher.rows("SELECT CURRENT_ROLE()")
        grants = [str(row[0]) for row in watcher.rows(_grants_of(role, self._is_mariadb))]
        for_all = {
            word.strip().replace(" ", "_")
            for line in grants
            for match in [re.match(r"GRANT (.*?) ON \*\.\* TO ", line)]
            if match
            for word in match.group(1).split(",")
        }
        all_of_them = "ALL_PRIVILEGES" in for_all
        try:
            watcher.rows(f"{manager._OPEN_WORK} LIMIT 1")
            process = True
        except err.Error as error:
            if error.args[0] not in _DENIED:
                raise
            process = False
        admin = bool(all_of_them or {"CONNECTION_ADMIN", "SUPER"} & for_all)
        self.report.facts["privileges"] = {
            "account": account,
            "process": process,
            "connection_admin": admin,
        }
        self.process = process
        grantee = _grantee(account)
        if process:
            self.find(
                "ok",
                "PROCESS",
                "Transactions are seen: what sleeps without one is a zombie after"
                f" zombie_min_timeout ({self.settings.zombie_min_timeout:g} s).",
            )
        else:
            self.find(
                "advice",
                "PROCESS",
                "Without it nobody sees whether a sleeping session holds a transaction: zombies"
                f" live for zombie_max_timeout ({self.settings.zombie_max_timeout:g} s).",
                run=f"GRANT PROCESS ON *.* TO {grantee};",
            )
        if admin:
            self.find(
                "advice",
                "CONNECTION_ADMIN",
                "This account gets in when all connections are taken, and max_connections does not"
                " bound it: right for an operator, not for a function.",
            )
        else:
            privilege = "CONNECTION ADMIN" if self._is_mariadb else "CONNECTION_ADMIN"
            self.find(
                "ok",
                "CONNECTION_ADMIN",
                "Not granted, and a function needs none to end its own account's zombies. An"
                " operator's account that is to get in when all connections are taken needs"
                f" {privilege}.",
                run=f"GRANT {privilege} ON *.* TO <an operator's account>;",
            )

    @property
    def _is_mariadb(self) -> bool:
        return manager.is_mariadb(self.watcher.connection.get_server_info())

    def _load(self, reading: Reading, seen: int) -> None:
        load, server = reading.load, self.watcher.manager.server
        counted = {str(name): int(value) for name, value in self.watcher.rows(_STATUS)}
        refused = counted.get("Connection_errors_max_connections", 0)
        limits = self.report.facts["limits"]
        limits["max_connections"] = reading.server.limit
        limits["max_user_connections"] = server.account_limit or None
        limits["max_used_connections"] = counted.get("Max_used_connections")
        limits["refused_since_start"] = refused
        self.report.facts["load"] = reading.as_dict()
        if reading.excess:
            self.find(
                "problem",
                "load",
                f"{load.used} of {load.limit} connections are used, {reading.excess} above the"
                f" threshold of {reading.threshold}. `zombies` says what would be ended.",
            )
        else:
            self.find(
                "ok",
                "load",
                f"{load.used} of {load.limit} connections are used; from {reading.threshold + 1} on"
                " zombies are ended and sessions given up.",
            )
        if refused:
            self.find(
                "advice",
                "load",
                f"The server has refused {refused} connects since its start because all"
                " connections were taken.",
            )
        if not self.process and seen < reading.server.used:
            self.find(
                "advice",
                "connections",
                f"{reading.server.used - seen} of {reading.server.used} connections are other"
                " accounts', which only an account with PROCESS sees.",
            )

    def _holders(self, holders: list[Holder]) -> None:
        counts = Counter((holder.thread.user, holder.thread.command) for holder in holders)
        longest: dict[tuple[str, str], int] = {}
        for holder in holders:
            kind = (holder.thread.user, holder.thread.command)
            longest[kind] = max(longest.get(kind, 0), holder.thread.time)
        self.report.holders = [
            {"user": user, "command": command, "count": count, "longest": longest[user, command]}
            for (user, command), count in counts.most_common()
        ]

    # -- which options fit ---------------------------------------------------------------------

    def _fitting(self, holders: list[Holder]) -> None:
        settings = self.settings
        if not settings.manage_conns:
            self.find(
                "advice",
                "manage_conns",
                "Connections are not managed: right behind a proxy that pools them, and nowhere"
                " else.",
                option="manage_conns=True",
            )
            return
        self._lease(settings.lease)
        self._others(holders)
        if settings.reap == "off":
            self.find(
                "advice",
                "reap",
                "Zombies are not ended; only leases, and sessions given up, make room.",
                option='reap="user"',
            )
        if not settings.reuse:
            login = next(s.seconds for s in self.report.steps if s.name == "log in")
            self.find(
                "advice",
                "reuse",
                f"Each connect() logs in, which takes {show.seconds(login)} from here.",
                option="reuse=True",
            )

    def _lease(self, lease: int | None) -> None:
        wait = self.wait_timeout
        if lease is None and wait > _LIFE:
            self.find(
                "problem",
                "lease",
                f"The session of a container that is frozen or gone stays for {wait} s"
                " (wait_timeout).",
                option=f"lease={_LIFE}",
            )
        elif lease is not None and lease > wait:
            self.find(
                "advice",
                "lease",
                f"A session may sleep for {lease} s, longer than the server's own wait_timeout of"
                f" {wait} s.",
                option=f"lease={wait}",
            )
        elif lease is not None:
            self.find(
                "ok",
                "lease",
                f"The server itself ends a session that sleeps for {lease} s, sooner when it is"
                f" full (its own wait_timeout is {wait} s).",
            )

    def _others(self, holders: list[Holder]) -> None:
        """Say what the sessions of our account that slsmysql did not open mean for reaping."""
        watcher = self.watcher
        (own,) = (each.thread for each in holders if each.own)
        ours = [each.thread for each in holders if each.thread.user == own.user]
        tells = False
        if self.performance_schema:
            with suppress(err.Error):
                tagged = {int(row[0]) for row in watcher.rows(manager._TAGGED)}
                tells = True
        if self.settings.reap == "fleet" and not tells:
            self.find(
                "problem",
                "reap",
                'With reap="fleet" no zombie is ended: performance_schema does not tell this'
                " account which sessions are slsmysql's.",
                option='reap="user"',
            )
        elif self.settings.reap == "user" and tells:
            strangers = [each for each in ours if each.id not in tagged and each.id != own.id]
            if strangers:
                self.find(
                    "advice",
                    "reap",
                    f"{len(strangers)} of this account's {len(ours) - 1} other connections are not"
                    " opened by slsmysql. If they are a pool that likes to sleep, they would be"
                    " zombies; give functions an account of their own, or end slsmysql's alone.",
                    option='reap="fleet"',
                )


def _median(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(_ROUNDS):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return sorted(taken)[_ROUNDS // 2]


def _is_local(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")


def _grants_of(role: object, is_mariadb: bool) -> str:
    """Return the query for an account's privileges, those of its active roles among them."""
    if is_mariadb or role in {None, "NONE"}:
        return "SHOW GRANTS"
    return f"SHOW GRANTS FOR CURRENT_USER() USING {role}"


def _grantee(account: str) -> str:
    """Return ``name@host`` as GRANT wants it."""
    name, _, host = account.rpartition("@")
    return "@".join(
        "'" + part.replace("\\", "\\\\").replace("'", "''") + "'" for part in (name, host)
    )


# ------------------------------------------------------------------------------------- for people

_MARKS: Final = {"ok": "ok", "advice": "advice", "problem": "PROBLEM"}


def _text(report: Report) -> str:
    rows = [
        (step.name, show.seconds(step.seconds), "ok" if step.ok else "FAILED", step.detail)
        for step in report.steps
    ]
    parts = [show.clean(report.server), show.table(("step", "takes", "", ""), rows)]
    parts.append(show.pairs(list(_said(report))))
    if report.holders:
        held = [tuple(each.values()) for each in report.holders]
        parts.append(show.table(("user", "state", "connections", "longest (s)"), held))
    parts.append("\n".join(_finding(finding) for finding in report.findings))
    return "\n\n".join(parts)


def _said(report: Report) -> Any:
    facts = report.facts
    backend = facts["backend"]
    yield "back end", f"{backend['name']} (driver {backend['driver']}): {backend['why']}"
    if "version" in facts:
        yield "server", f"{facts['version']['server']}, {facts['version']['comment']}"
    if "tls" in facts:
        tls = facts["tls"]
        checked = tls["verified"] or "nothing"
        yield (
            "TLS",
            f"{tls['version']}, {tls['cipher']}, verified: {checked}" if tls["used"] else "none",
        )
    if "privileges" in facts:
        privileges = facts["privileges"]
        yield "account", privileges["account"]
        has = [name.upper() for name in ("process", "connection_admin") if privileges[name]]
        yield "privileges", ", ".join(has) or "neither PROCESS nor CONNECTION_ADMIN"
    for name, value in facts.get("limits", {}).items():
        yield name, "none" if value is None else value


def _finding(finding: Finding) -> str:
    lines = [f"{_MARKS[finding.level]:8}{finding.about}: {show.clean(finding.text)}"]
    if finding.run:
        lines.append(f"        run: {show.clean(finding.run)}")
    if finding.option:
        lines.append(f"        option: {show.clean(finding.option)}")
    return "\n".join(lines)
