"""A run of one contender from its begin to its end: the server watched, the arrivals played."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, BinaryIO

import pymysql
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.fleet import Arrivals, Contender, Cost, Fleet, Result, Sample, Traffic
from benchmarks.monitor import Monitor
from benchmarks.platform_posix import Platform, Zygote
from tests.servers import Server

#: A table with products on shelves, which every handler reads a few rows of.
PRODUCTS = """CREATE TABLE products (id INT PRIMARY KEY, shelf INT NOT NULL,
    name VARCHAR(40) NOT NULL, price DECIMAL(8, 2) NOT NULL, KEY (shelf)) ENGINE=InnoDB"""

#: Called after each look at the server.
Show = Callable[[Platform, Sample], None]


def bars(console: Console) -> Progress:
    """Return the progress bars: how many invocations are done, and what there is of the rest."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("[red]{task.fields[failed]} failed"),
        TextColumn("{task.fields[alive]} containers"),
        TextColumn("{task.fields[open]} connections"),
        TimeElapsedColumn(),
        console=console,
    )


def environment(server: Server, work: float) -> dict[str, str]:
    """Return what a handler finds in its environment.

    :param work: seconds that its slow query takes.
    """
    return {
        "DB_HOST": server.host,
        "DB_PORT": str(server.port),
        "DB_USER": server.app.user,
        "DB_PASSWORD": server.app.password,
        "DB_NAME": "test",
        "WORK_SECONDS": str(work),
    }


def fill_shelves(root: pymysql.Connection[Any], *tables: str) -> None:
    """Make the products' table, and others, in the database ``test``."""
    with root.cursor() as cursor:
        cursor.execute("USE test")
        for statement in (PRODUCTS, *tables):
            cursor.execute(statement)
        cursor.executemany(
            "INSERT INTO products (id, shelf, name, price) VALUES (%s, %s, %s, %s)",
            [(n, n % 10, f"product {n}", 5 + n * 7 % 40) for n in range(50)],
        )


def perform(
    contender: Contender,
    fleet: Fleet,
    arrivals: Arrivals,
    server: Server,
    root: pymysql.Connection[Any],
    log: BinaryIO,
    show: Show,
) -> Result:
    """Run a contender's fleet against a server, and return all that it gave but an audit.

    :param root: the harness's session, which nobody else uses meanwhile.
    :param log: for the containers' output.
    :param show: called after each look at the server.
    """
    with Zygote(log, contender) as zygote:
        platform = Platform(fleet, contender, zygote)
        monitor, own = asyncio.run(_run(platform, arrivals, root, server.pid, show))
        # Read before the fleet is ended, so that its end is not in it.
        wall, growth, cpu = platform.now(), monitor.growth(), monitor.cpu()
    return Result(
        contender=contender.name,
        invocations=tuple(platform.invocations),
        samples=tuple(monitor.samples),
        started=platform.started,
        ends=dict(platform.ends),
        traffic=Traffic.of(server.kind, growth),
        cost=Cost(wall=wall, platform=own, containers=zygote.cpu, server=cpu, late=platform.late),
    )


async def _run(
    platform: Platform, arrivals: Arrivals, root: pymysql.Connection[Any], pid: int, show: Show
) -> tuple[Monitor, float]:
    """Play the arrivals while a monitor watches; the error of either ends both.

    Returns the monitor, and the processor seconds that the two took in this process.
    """
    await platform.warm_up()
    monitor, before = Monitor(root, pid), time.process_time()
    tasks = [
        asyncio.create_task(platform.run(arrivals)),
        asyncio.create_task(monitor.watch(platform, show)),
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
    return monitor, time.process_time() - before
