"""A monitor for tests: it records its calls, and can cancel at one of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from stag4d.progress import Interrupted


@dataclass
class Recorder:
    """Records every call; cancels at a given call, or when a stage has done a given number of units.

    Attributes:
        cancel_at: Number of the call that cancels, from 1, or the stage and its units done; None never.
        stage: The stage whose calls ``cancel_at`` counts; None counts all.
        wants_previews: Whether to ask for previews.
        calls: Stage, done and total of each call so far.
        notes: Note of each call.
        previews: What the previews returned.
    """

    cancel_at: int | tuple[str, int] | None = None
    stage: str | None = None
    wants_previews: bool = False
    calls: list[tuple[str, int, int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    previews: list[Any] = field(default_factory=list)

    def __call__(self, stage: str, done: int, total: int, *, note: str = "", preview: Any = None) -> None:
        self.calls.append((stage, done, total))
        self.notes.append(note)
        if self.wants_previews and preview is not None:
            self.previews.append(preview())
        num_calls = len(self.calls) if self.stage is None else len(self.of(self.stage))
        if self.stage in (None, stage) and self.cancel_at in (num_calls, (stage, done)):
            raise Interrupted

    @property
    def units(self) -> list[tuple[str, int, int]]:
        """Return the calls after a unit of work, without those before or within one."""
        new = dict.fromkeys(self.calls)
        return [(stage, done, total) for stage, done, total in new if done > 0]

    def units_of(self, stage: str) -> list[int]:
        """Return the units that were done at the calls of a stage that followed one."""
        return [done for name, done, _ in self.units if name == stage]

    def of(self, stage: str) -> list[int]:
        """Return the units that were done at each call of a stage."""
        return [done for name, done, _ in self.calls if name == stage]
