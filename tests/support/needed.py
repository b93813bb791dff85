"""Programs and packages that tests need: without them a test is skipped, or fails if ``CI=true``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skip the test, or fail it if the environment variable ``CI`` is ``true``."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is required with CI=true")
    pytest.skip(f"{what} is not installed")


def program(*names: str) -> str:
    """Return the path of the first installed program of these names."""
    paths = [path for path in map(shutil.which, names) if path]
    return paths[0] if paths else missing(" or ".join(names))


def node_modules(folder: Path) -> Path:
    """Return a folder's ``node_modules``; runs ``npm ci`` if a package of its ``package.json`` is missing."""
    wanted = json.loads((folder / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    found = folder / "node_modules"
    if not all((found / name).is_dir() for name in wanted):
        install = [program("npm"), "ci", "--no-audit", "--no-fund", "--prefix", str(folder)]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        if done.returncode:
            missing(f"a package of {folder.name}/package.json (npm: {done.stderr.strip()[-300:]})")
    return found
