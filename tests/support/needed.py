"""What a test needs from the machine: missing, the test is skipped, or fails where ``CI=true``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skip the test, or fail it where the environment says ``CI=true``."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is needed here")
    pytest.skip(f"{what} is not there")


def program(*names: str) -> str:
    """Return the path of the first of some programs that is installed."""
    paths = [path for path in map(shutil.which, names) if path]
    return paths[0] if paths else missing(" or ".join(names))


def node_modules(folder: Path) -> Path:
    """Return the packages that a folder's ``package.json`` names, as npm has installed them beside it."""
    wanted = json.loads((folder / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    found = folder / "node_modules"
    if not all((found / name).is_dir() for name in wanted):
        install = [program("npm"), "ci", "--no-audit", "--no-fund", "--prefix", str(folder)]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        if done.returncode:
            missing(f"what {folder.name}/package.json names (npm says: {done.stderr.strip()[-300:]})")
    return found
