"""The contest's function without a server: what the emulator itself takes."""

from __future__ import annotations

import os
import time
from typing import Any


def handler(_event: dict[str, Any], _context: object) -> int:
    """Sleep for as long as the query would take."""
    time.sleep(float(os.environ["WORK_SECONDS"]))
    return 5
