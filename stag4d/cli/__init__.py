"""The ``stag4d`` command: progress on stderr, results on stdout, one clear line when something is wrong."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from .. import __version__
from .console import CommandParser, UsageError, join_negative_values
from .exporting import add_export
from .fitting import add_fitting
from .options import EXIT_INTERRUPTED
from .scenes import add_scenes
from .views import add_views
from .whole import add_whole

_USER_ERRORS = (ValueError, OSError, RuntimeError, MemoryError)  # any other is a bug, with its traceback
_EXIT_BAD_INPUT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: Words after ``stag4d``; the process's own when None.

    Returns:
        The exit status: 0 done, 2 bad input or an environment that does not allow it, 130 interrupted.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    words = sys.argv[1:] if arguments is None else arguments
    try:
        options = _parser().parse_args(join_negative_values(words))
    except UsageError as error:
        return _refuse(str(error))
    try:
        return options.run(options)
    except _USER_ERRORS as error:
        return _refuse(f"stag4d {options.command}: {str(error) or 'out of memory'}")
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = CommandParser(
        prog="stag4d", description="4D Gaussian scenes from a short video of one object (STAG4D, ECCV 2024)."
    )
    parser.add_argument("--version", action="version", version=f"stag4d {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_whole(commands)
    add_fitting(commands)
    add_views(commands)
    add_scenes(commands)
    add_export(commands)
    return parser


def _refuse(message: str) -> int:
    """Print what is wrong as one line on stderr; returns the exit status."""
    sys.stderr.write(" ".join(message.split()) + "\n")
    return _EXIT_BAD_INPUT
