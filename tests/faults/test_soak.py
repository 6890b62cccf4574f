"""Nothing grows, however many units of work there are and however many faults strike them."""

from __future__ import annotations

from tests.faults.rig import Site
from tests.faults.soak import SLACK, Held, Soaked, soaked
from tests.fix_servers import Backend

#: Units of work, and units between two faults; 100 000 and 300 with the long command.
UNITS, EVERY = 2000, 20


def test_nothing_grows(site: Site, backend: Backend) -> None:
    """Neither memory, nor descriptors, nor threads, nor sessions, nor prepared statements."""
    found = soaked(site, backend, UNITS, EVERY, "ci")
    assert found.faulted >= UNITS // EVERY // 2
    assert found.violations == []
    assert found.grown == []


def test_what_grows_is_told() -> None:
    """Each kind of growth is told by its name, and memory's from a certain size on."""
    before = Held(memory=SLACK, descriptors=9, threads=2, sessions=1, prepared_statements=0)
    for name, much in ((name, 1) for name in Held._fields):
        grows = SLACK + much if name == "memory" else much
        after = before._replace(**{name: getattr(before, name) + grows})
        (told,) = Soaked(1, 1, before, after, []).grown
        assert told.startswith(f"{name}:")
    assert Soaked(1, 1, before, before._replace(memory=2 * SLACK), []).grown == []
