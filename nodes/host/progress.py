"""The host's progress bar for work that is done piece by piece, and its cancel."""

from collections.abc import Callable

import comfy.model_management
import comfy.utils


def progress_of(total: int) -> Callable[[int], None]:
    """Return a function to call with the number of pieces done; it raises when the user pressed cancel."""
    bar = comfy.utils.ProgressBar(total)

    def on_piece(done: int) -> None:
        check_cancel(done)
        bar.update_absolute(done)

    return on_piece


def check_cancel(done: int) -> None:
    """Raise when the user pressed cancel; for work that has no bar, called as the functions above are."""
    comfy.model_management.throw_exception_if_processing_interrupted()
