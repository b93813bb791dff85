"""The optional packages that some formats need, and how to install them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_INSTALL = {
    "gsply": 'pip install "gsply>=0.4.6,<0.5"',
    "fourdgs": 'pip install "fourdgs>=0.6,<0.7"',
}


@contextmanager
def importing(package: str, subject: str) -> Iterator[None]:
    """Turn the error of an import of an optional package into one that names the command to install it.

    Args:
        package: Name of the package.
        subject: The format that needs it.

    Raises:
        RuntimeError: if the package is not installed.
    """
    try:
        yield
    except ImportError as error:
        raise RuntimeError(
            f"{subject}: the package {package} is not installed; {_INSTALL[package]} in the environment of "
            f"{sys.executable}."
        ) from error


def require_package(package: str, subject: str) -> None:
    """Raise RuntimeError as ``importing`` does unless an optional package is installed."""
    with importing(package, subject):
        importlib.import_module(package)
