"""Who takes part: the handlers, the drivers in them, and why one of them cannot be had."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from benchmarks import stage
from benchmarks.fleet import Contender, adapt
from tests import servers
from tests.servers import Server

HANDLERS = Path(__file__).parents[1] / "handlers"

#: What a container in Node runs. The heap is what Node gets of a Lambda function of 256 MB.
NODE = ("node", "--max-old-space-size=192", str(HANDLERS.with_name("container.js")))

#: The release of serverless-mysql that is held against.
SERVERLESS_MYSQL = "2.1.0"

#: Seconds that npm may take.
NPM_PATIENCE = 120.0


class UnavailableError(Exception):
    """A contender cannot be had here; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Entrant:
    """A contender before it is known where its server is.

    :param name: what tables and figures call it.
    :param handler: file in ``benchmarks/handlers``.
    :param driver: module that stands in PyMySQL's place in the handler, if any does.
    :param needs: modules that have to be there: one that cannot be imported is the reason why this
        entrant does not take part. A snapshot has them loaded.
    :param distributions: whose versions are told.
    :param environment: beside the address of the server.
    :param plain: further keywords for ``connect()`` where the server has no TLS.
    :param secure: the same where it wants it; ``{ca}`` in them is the path of its certificate.
    :param unmanaged: name of the entrant that differs from this one in its management alone.
    """

    name: str
    handler: str
    driver: str | None = None
    needs: tuple[str, ...] = ()
    distributions: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    plain: Mapping[str, object] = field(default_factory=dict)
    secure: Mapping[str, object] = field(default_factory=dict)
    unmanaged: str | None = None

    @property
    def node(self) -> bool:
        """Whether its containers run Node."""
        return self.handler.endswith(".js")


#: The emulator by itself: no server is asked for anything.
NULL = Entrant("null handler", "rows_null.py")

#: The one that must not fail, and the one that it descends from.
OURS = "slsmysql, module"
ORIGIN = "serverless-mysql"

#: PyMySQL reads the system's CA store at each connect, for 40 ms of processor, unless it is told
#: that there is no TLS. In our fleets that would be all that is seen of it.
NO_TLS = {"ssl_disabled": True}

_SLS = ("slsmysql", "mysql-connector-python")

#: It loads the driver's extension, of 27 MB, when it connects. Loaded here once, so that the first
#: contender's containers do not wait for the disk.
_LOADS = ("slsmysql", *(["slsmysql._driver.cext"] if find_spec("_mysql_connector") else []))

#: In the order of the tables.
ENTRANTS = (
    NULL,
    Entrant(OURS, "rows_module.py", "slsmysql", _LOADS, _SLS, unmanaged="slsmysql, unmanaged"),
    Entrant("slsmysql, in the handler", "rows_connect.py", "slsmysql", _LOADS, _SLS),
    Entrant(
        "slsmysql, SQLAlchemy",
        "rows_engine.py",
        needs=(*_LOADS, "sqlalchemy", "slsmysql.contrib.sqlalchemy"),
        distributions=("SQLAlchemy",),
        environment={"DB_DIALECT": "mysql+slsmysql"},
    ),
    Entrant(
        "slsmysql, unmanaged",
        "rows_module.py",
        "slsmysql",
        _LOADS,
        environment={"SLSMYSQL_MANAGE_CONNS": "0"},
    ),
    Entrant(ORIGIN, "rows.js", unmanaged="serverless-mysql, unmanaged"),
    Entrant("serverless-mysql, unmanaged", "rows.js", environment={"MANAGE_CONNS": "0"}),
    Entrant(
        "PyMySQL, module", "rows_module.py", "pymysql", ("pymysql",), ("PyMySQL",), plain=NO_TLS
    ),
    Entrant("PyMySQL, in the handler", "rows_connect.py", "pymysql", ("pymysql",), plain=NO_TLS),
    Entrant(
        "mysqlclient, module",
        "rows_module.py",
        "MySQLdb",
        ("MySQLdb",),
        ("mysqlclient",),
        secure={"ssl": {"ca": "{ca}"}},
    ),
    Entrant("the driver's pool", "rows_pool.py", needs=("mysql.connector.pooling",)),
    Entrant(
        "SQLAlchemy QueuePool, PyMySQL",
        "rows_engine.py",
        needs=("pymysql", "sqlalchemy", "sqlalchemy.dialects.mysql.pymysql"),
        environment={"DB_DIALECT": "mysql+pymysql"},
        plain=NO_TLS,
    ),
)

BY_NAME = {entrant.name: entrant for entrant in ENTRANTS}


def node_modules() -> Path:
    """Return the folder with serverless-mysql, had by npm when it is needed first."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise UnavailableError(f"there is no {program} here")
    try:
        return servers._cached(f"serverless-mysql-{SERVERLESS_MYSQL}", _install) / "node_modules"
    except subprocess.CalledProcessError as error:
        last = (error.stderr or "").strip().splitlines()[-1:]
        raise UnavailableError(f"npm cannot install it: {''.join(last)}") from None
    except (OSError, subprocess.SubprocessError) as error:
        raise UnavailableError(f"npm cannot install it: {error}") from None


def _install(folder: Path) -> None:
    """Install serverless-mysql into a folder."""
    command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder)]
    subprocess.run(
        [*command, f"serverless-mysql@{SERVERLESS_MYSQL}"],
        check=True,
        capture_output=True,
        text=True,
        timeout=NPM_PATIENCE,
    )


def ready(entrant: Entrant, folder: Path) -> Contender:
    """Return the contender without its server, or raise `UnavailableError` with the reason.

    It comes with all that a snapshot has loaded.

    :param folder: for the handler's copy.
    """
    preload = entrant.needs
    for module in entrant.needs:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise UnavailableError(str(error)) from None
    handler = HANDLERS / entrant.handler
    environment = dict(entrant.environment)
    if entrant.node:
        modules = node_modules()
        environment["NODE_MODULES"] = str(modules)
        preload = (f"{modules}/serverless-mysql", f"{modules}/mysql2")
    elif entrant.driver is not None:
        copy = folder / f"{entrant.name.replace(' ', '_')}.py"
        source = handler.read_text(encoding="utf-8")
        copy.write_text(adapt(source, entrant.driver), encoding="utf-8")
        handler = copy
    return Contender(entrant.name, handler, environment, NODE if entrant.node else (), preload)


def at(
    contender: Contender, entrant: Entrant, server: Server, *, work: float, restored: bool
) -> Contender:
    """Return the contender with the server to go to.

    :param work: seconds that the query takes.
    :param restored: whether its containers come from a snapshot.
    """
    environment = {**contender.environment, **stage.environment(server, work)}
    options = json.dumps(entrant.plain if server.ca is None else entrant.secure)
    environment["DB_OPTIONS"] = options.replace("{ca}", str(server.ca))
    if server.ca is not None:
        environment["DB_TLS"] = "1"
    preload = contender.preload if restored else ()
    return replace(contender, environment=environment, preload=preload)


def versions() -> dict[str, str]:
    """Return the versions of what takes part."""
    found = {ORIGIN: SERVERLESS_MYSQL}
    for entrant in ENTRANTS:
        for name in entrant.distributions:
            with suppress(PackageNotFoundError):
                found[name] = version(name)
    if shutil.which("node"):
        said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False)
        found["Node"] = said.stdout.strip().lstrip("v")
    return found
