"""Leave the types alone where there is no type checker: tox's environment `typing` has them."""

from __future__ import annotations

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("pyright") else ["test_*.py"]
