"""Progress bars."""

from typing import Any, ClassVar


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
