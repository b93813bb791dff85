"""The ``stag4d`` command: progress on stderr, results on stdout, errors as one line."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from contextlib import suppress

from .. import __version__
from ..progress import Interrupted
from ..startup import EXIT_INTERRUPTED
from .console import CommandParser, UsageError, join_negative_values
from .doctor import add_doctor
from .evaluating import add_evaluate
from .exporting import add_export
from .fitting import add_fitting
from .importing import add_import
from .rendering import add_render
from .view_report import add_view_report
from .views import add_views
from .whole import add_whole

_USER_ERRORS = (ValueError, OSError, RuntimeError, MemoryError)  # others are bugs: they keep their traceback
_BUGS = (NotImplementedError, RecursionError)  # though RuntimeErrors
_EXIT_BAD_INPUT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: Arguments after ``stag4d``; None takes the process's.

    Returns:
        The exit status: 0 for success, 2 for bad input or a missing requirement, 130 if interrupted.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        options = _parser().parse_args(join_negative_values(arguments))
    except UsageError as error:
        return _refuse(str(error))
    try:
        status: int = options.run(options)
        return status
    except _BUGS:
        raise
    except _USER_ERRORS as error:
        return _refuse(f"stag4d {options.command}: {str(error) or 'out of memory'}")
    except Interrupted:  # which the monitor has reported
        return EXIT_INTERRUPTED
    except KeyboardInterrupt:
        _write_line("stag4d: interrupted")
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    """Return the argument parser with all commands."""
    parser = CommandParser(
        prog="stag4d", description="4D Gaussian scenes from a short video of one object (STAG4D, ECCV 2024)."
    )
    parser.add_argument("--version", action="version", version=f"stag4d {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_whole(commands)
    add_fitting(commands)
    add_views(commands)
    add_view_report(commands)
    add_render(commands)
    add_evaluate(commands)
    add_export(commands)
    add_import(commands)
    add_doctor(commands)
    return parser


def _refuse(message: str) -> int:
    """Write an error message as one line to stderr; returns the exit status."""
    _write_line(" ".join(message.split()))
    return _EXIT_BAD_INPUT


def _write_line(line: str) -> None:
    """Write a line to stderr, if somebody reads it."""
    with suppress(OSError):
        sys.stderr.write(f"{line}\n")
