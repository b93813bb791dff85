"""Progress bars."""

from typing import Any, ClassVar

from safetensors.torch import load_file


class ProgressBar:
    """Records the updates of the last bar, and their preview images."""

    reported: ClassVar[list[tuple[int, int]]] = []
    previews: ClassVar[list[tuple[str, Any, int]]] = []

    def __init__(self, total: int) -> None:
        self.total = total
        ProgressBar.reported, ProgressBar.previews = [], []

    def update_absolute(
        self, value: int, total: int | None = None, preview: tuple[str, Any, int] | None = None
    ) -> None:
        ProgressBar.reported.append((value, self.total if total is None else total))
        if preview is not None:
            ProgressBar.previews.append(preview)


def load_torch_file(ckpt: str, safe_load: bool = False) -> dict[str, Any]:
    """Return the tensors of a file."""
    return load_file(ckpt)
