"""Monitors for tests: one that records what it is called with, one that cancels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from stag4d.progress import Interrupted


@dataclass
class Recorder:
    """Records every call, and cancels at the ``cancel_at``-th one of a stage.

    Attributes:
        stage: The stage to cancel; None is any.
        cancel_at: Number of the call, from 1; 0 never cancels.
        calls: Stage, done and total of each call so far.
        previews: What the previews showed, where they are asked for.
        wants_previews: Whether to ask for them.
    """

    stage: str | None = None
    cancel_at: int = 0
    wants_previews: bool = False
    calls: list[tuple[str, int, int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    previews: list[Any] = field(default_factory=list)

    def __call__(self, stage: str, done: int, total: int, *, note: str = "", preview: Any = None) -> None:
        self.calls.append((stage, done, total))
        self.notes.append(note)
        if self.wants_previews and preview is not None:
            self.previews.append(preview())
        if self.cancel_at and self.stage in (None, stage) and len(self.of(stage)) == self.cancel_at:
            raise Interrupted

    def of(self, stage: str) -> list[int]:
        """Return the units that were done at each call of a stage."""
        return [done for name, done, _ in self.calls if name == stage]
