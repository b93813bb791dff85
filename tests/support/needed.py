"""What a test needs from the machine: missing, the test is skipped, or fails where ``CI=true``."""

from __future__ import annotations

import os
import shutil
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
