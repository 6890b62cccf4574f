"""Collected where there is what Lambda's runtime has: in tox, the environment `docs`."""

from __future__ import annotations

import importlib.util

collect_ignore_glob = ["test_*"] if importlib.util.find_spec("snapshot_restore_py") is None else []
