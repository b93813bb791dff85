"""``python -m stag4d`` and the ``stag4d`` command; signals are handled before anything else is imported."""

import os

from .startup import (
    discard_unwritten_output,
    exit_on_signals,
    let_waiting_threads_sleep,
    open_standard_streams,
)


def main() -> int:
    """Run a command as the process; returns the exit status, see ``cli.main``."""
    exit_on_signals()
    open_standard_streams()
    let_waiting_threads_sleep()
    try:
        from .cli import main as run_command  # takes seconds to import
        from .kernels.responsive import is_running

        status = run_command()
    finally:
        discard_unwritten_output()
    if is_running():  # a cancelled compilation, which may crash while the interpreter shuts down
        os._exit(status)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
