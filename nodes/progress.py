"""The host's progress bar for work that is done piece by piece, and its cancel."""

from collections.abc import Callable

import comfy.model_management
import comfy.utils


def progress_of(total: int) -> Callable[[int], None]:
    """Return a function to call with the number of pieces done; it raises when the user pressed cancel."""
    bar = comfy.utils.ProgressBar(total)

    def on_piece(done: int) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        bar.update_absolute(done)

    return on_piece
