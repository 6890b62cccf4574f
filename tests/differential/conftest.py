"""Fixtures of the differential suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.differential.harness import Both
from tests.fix_servers import Backend
from tests.servers import Kind, Server


@pytest.fixture(scope="session")
def arenas(
    shared_server: Callable[[Kind], Server],
) -> Iterator[Callable[[Server, Backend], Both]]:
    """A function that gives the `Both` of a server and a back end, made by the first test."""
    made: dict[tuple[str, Backend], Both] = {}

    def get(server: Server, backend: Backend) -> Both:
        key = (server.kind, backend)
        if key not in made:
            made[key] = Both(server, backend)
        return made[key]

    yield get
    for both in made.values():
        both.close()


@pytest.fixture
def both(server: Server, backend: Backend, arenas: Callable[[Server, Backend], Both]) -> Both:
    """PyMySQL and slsmysql on each server, with each of slsmysql's back ends."""
    return arenas(server, backend)


@pytest.fixture
def tables(both: Both) -> Both:
    """The same, with the tables and routines of `harness.SCHEMA`."""
    both.lay_out()
    return both
