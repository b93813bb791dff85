"""The report of a fit, ``report.json``: settings, times, losses, and how well each view was met."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..atomic import replacing
from ..optimization import FitHistory
from .fit_comparison import FitComparison


@dataclass
class Report:
    """Contents of ``report.json``.

    Attributes:
        settings: The configuration, with the size that the views allowed.
        seconds: Wall time by stage.
        losses: Weighted loss terms of the last step.
        steps: Steps done; fewer than configured if the fit was interrupted.
        num_gaussians: Number of Gaussians of the scene.
        backend: Rasterizer.
        metrics: Metrics where ground truth is known.
        warnings: Sentences on what went wrong, see ``fit_warnings``.
        history: Losses, number of Gaussians and times of some steps.
        comparison: The scene beside the given views; None if it was not compared.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    losses: dict[str, float] = field(default_factory=dict)
    steps: int = 0
    num_gaussians: int = 0
    backend: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    history: FitHistory = field(default_factory=FitHistory)
    comparison: FitComparison | None = None

    @property
    def is_finished(self) -> bool:
        """Whether all configured steps are done."""
        return self.steps == self.settings.get("steps", self.steps)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the block's wall time to a stage."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - began, 3)

    def as_json(self) -> dict[str, Any]:
        """Return the content for JSON."""
        values = {name: value for name, value in vars(self).items() if name not in ("history", "comparison")}
        comparison = None if self.comparison is None else self.comparison.as_json()
        return {**values, "comparison": comparison, "history": self.history.as_json()}

    def write(self, path: Path) -> None:
        """Write it as JSON, atomically; the numbers of the history on one line."""
        document = self.as_json()
        history = json.dumps(document.pop("history"), separators=(",", ":"))
        text = json.dumps(document, indent=1).removesuffix("\n}")
        with replacing(path) as temporary:
            temporary.write_text(f'{text},\n "history": {history}\n}}\n', encoding="utf-8")
