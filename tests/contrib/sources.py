"""The source distributions of SQLAlchemy and Django, in which their own tests are.

pip fetches that of the version which is installed, once; it stays in the cache folder of the
test servers.
"""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tests import servers


def sources(name: str) -> Path:
    """Return the folder of the sources of an installed distribution.

    :param name: the distribution's name, as it is in the name of its archive.
    """
    release = f"{name}-{importlib.metadata.version(name)}"

    def fetch(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as place:
            pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", name]
            subprocess.run([*pip, "--dest", place, release.replace("-", "==", 1)], check=True)
            with tarfile.open(Path(place) / f"{release}.tar.gz") as archive:
                archive.extractall(folder, filter="data")

    return servers._cached(f"{release}-sources", fetch) / release
