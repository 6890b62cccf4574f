"""The control group: programs that do what is often done lose, double and split, and are caught."""

from __future__ import annotations

import pytest

from tests.faults.campaign import controls
from tests.faults.control import GROUPS
from tests.faults.processes import Pool
from tests.faults.rig import Site

#: Faulted units of work; a tenth of them goes wrong.
UNITS = 300

#: What each of the groups must be caught at.
CAUGHT = {
    "connect again and send again": {"doubled", "split"},
    "an error is a failure": {"risen", "twice"},
}


@pytest.mark.parametrize("group", GROUPS)
def test_the_control_group_is_caught(pool: Pool, site: Site, group: str) -> None:
    """The ledger catches who sends again, and who takes an unknown outcome for a failure."""
    book = pool.submit(controls(site, group, UNITS, "ci")).result()
    assert book.faulted >= UNITS
    assert {violation.wrong for violation in book.violations} >= CAUGHT[group]
