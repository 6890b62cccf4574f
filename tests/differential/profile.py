"""How many examples hypothesis makes: few by default, ten times as many in the profile "long"."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

#: How many times as many examples `pytest --hypothesis-profile=long` runs.
LONG = 20


def examples(number: int, steps: int = 50) -> settings:
    """Return the settings of a test with so many examples by default.

    ``steps`` is of a state machine. An example talks to a server: it has no deadline.
    """
    long = settings.get_current_profile_name() == "long"
    return settings(
        max_examples=number * LONG if long else number,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
