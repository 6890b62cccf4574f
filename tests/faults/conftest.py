"""Servers, processes and rigs of the fault laboratory's tests."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from slsmysql import close_all, manager
from tests import servers
from tests.faults.processes import Pool
from tests.faults.rig import OPTIONS_BY_KIND, Rig, Site
from tests.fix_servers import Backend
from tests.servers import KINDS, Kind


@pytest.fixture(scope="session")
def sites() -> Iterator[Callable[[Kind], Site]]:
    """A function that gives the laboratory's server of a kind, started by the first who asks."""
    with contextlib.ExitStack() as stack:
        started: dict[Kind, Site] = {}

        def get(kind: Kind) -> Site:
            if kind not in started:
                server = servers.start(kind, tls=True, options=OPTIONS_BY_KIND[kind])
                started[kind] = Site.of(stack.enter_context(server))
            return started[kind]

        yield get


@pytest.fixture(params=KINDS)
def site(request: pytest.FixtureRequest, sites: Callable[[Kind], Site]) -> Site:
    """The laboratory's server, of each kind in turn."""
    return sites(request.param)


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    """The processes in which units of work are done by the thousand."""
    with Pool() as pool:
        yield pool


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    """Begin without a parked session, and without anything known of a server."""
    close_all()
    manager.forget_servers()
    yield
    close_all()


@pytest.fixture
def rig(site: Site, backend: Backend) -> Iterator[Rig]:
    """A bench, in this process."""
    with Rig.for_slsmysql(site, pure=backend == "pure") as rig:
        yield rig
