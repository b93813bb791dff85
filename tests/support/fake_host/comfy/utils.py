"""Progress."""

from typing import ClassVar


class ProgressBar:
    """Keeps what the last bar was told."""

    reported: ClassVar[list[tuple[int, int]]] = []

    def __init__(self, total: int) -> None:
        self.total = total
        ProgressBar.reported = []

    def update_absolute(self, value: int) -> None:
        ProgressBar.reported.append((value, self.total))
