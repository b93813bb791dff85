"""The process of a command, before its imports, which take seconds: signals, standard streams, threads."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

EXIT_INTERRUPTED = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM)  # Ctrl-C; docker stop, Slurm


def exit_on_signals() -> None:
    """End the process with one line and status 130 at Ctrl-C or SIGTERM.

    Python raises KeyboardInterrupt instead, wherever it is: within an import, libraries catch it or are left
    half initialized. ``cli.console.ConsoleMonitor`` replaces the handler while there is work to keep.
    """
    for number in SIGNALS:
        signal.signal(number, _exit)


def open_standard_streams() -> None:
    """Connect the standard streams that are closed to the null device.

    Otherwise the next file that is opened takes their place, and would receive what libraries print.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))


def let_waiting_threads_sleep() -> None:
    """Make the threads of torch's operations sleep while they wait for each other, before OpenMP is loaded.

    By default they spin. On a machine that runs other processes they then take the time that the thread they
    wait for needs, and an operation takes several times as long. Results do not depend on it.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def discard_unwritten_output() -> None:
    """Connect stdout and stderr to the null device if nobody reads them any more.

    Otherwise Python reports at its end that they cannot be flushed, and exits with status 120.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _exit(number: int, frame: FrameType | None) -> None:
    """Handle a signal. Neither the stream, which may be in use, nor an exception is safe here."""
    try:
        os.write(2, b"stag4d: interrupted\n")
    finally:
        os._exit(EXIT_INTERRUPTED)
