"""Who hears how far the whole method is, and may end it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..types import StepReport

if TYPE_CHECKING:
    from ..diffusion.sampling import StageCallback  # diffusers takes seconds to import


@dataclass(frozen=True, kw_only=True)
class Listeners:
    """What the stages call.

    Attributes:
        on_stage: After each frame that is encoded or decoded and each diffusion step; it may raise.
        on_batch: After each batch of frames within a diffusion step; it may raise.
        on_report: Every few steps of the fit.
        should_stop: After every step of the fit, which ends where the answer is yes.
    """

    on_stage: StageCallback = lambda stage, done, total: None
    on_batch: Callable[[], None] = lambda: None
    on_report: Callable[[StepReport], None] = lambda report: None
    should_stop: Callable[[], bool] = lambda: False


NOBODY = Listeners()
