"""Settings of densification: clone, split and prune."""

from collections.abc import Mapping
from typing import Any

from comfy_api.latest import io

from ..stag4d.optimization import (
    AdaptivePercentile,
    DensificationConfig,
    DensificationStrategy,
    FixedThreshold,
)
from .host.sockets import CATEGORY_SCENE, Densification
from .host.validation import check_widgets, refusal

_ADAPTIVE = [
    io.Float.Input(
        "top_percent",
        default=2.5,
        min=0.1,
        max=50.0,
        step=0.1,
        tooltip="Percentage of the Gaussians, those with the largest gradients, to clone or split each time.",
    )
]
_FIXED = [
    io.Float.Input(
        "threshold",
        default=0.0002,
        min=1e-7,
        max=1.0,
        step=1e-5,
        tooltip="Gaussians are cloned or split if their gradient, in normalized image coordinates, is above "
        "this. Lower values give more Gaussians.",
    )
]


class STAG4DDensification(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DDensification",
            display_name="STAG4D Densification",
            category=CATEGORY_SCENE,
            description="Settings for cloning, splitting and pruning Gaussians in STAG4D Optimize, in place "
            "of those of its preset.",
            search_aliases=["split and clone", "densify", "prune gaussians"],
            inputs=[
                io.DynamicCombo.Input(
                    "strategy",
                    options=[
                        io.DynamicCombo.Option("adaptive", _ADAPTIVE),
                        io.DynamicCombo.Option("fixed", _FIXED),
                        io.DynamicCombo.Option("none", []),
                    ],
                    tooltip="Which Gaussians to clone or split. adaptive: those with the largest gradients, "
                    "as in STAG4D. fixed: those with gradients above a threshold, as in 3DGS. none: no "
                    "densification.",
                ),
                io.Int.Input(
                    "max_gaussians",
                    default=10_000,
                    min=1,
                    max=2_000_000,
                    tooltip="Maximum number of Gaussians. Time and memory grow with their number.",
                ),
                io.Int.Input(
                    "every",
                    default=50,
                    min=1,
                    max=10_000,
                    tooltip="Optimization steps from one densification to the next.",
                ),
                io.Float.Input(
                    "start",
                    default=0.1,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    advanced=True,
                    tooltip="Share of the optimization steps before densification starts.",
                ),
                io.Float.Input(
                    "stop",
                    default=0.6,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    advanced=True,
                    tooltip="Share of the optimization steps after which densification stops.",
                ),
                io.Float.Input(
                    "clone_scale",
                    default=0.02,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    advanced=True,
                    tooltip="Largest scale of Gaussians to clone, scene units; larger ones are split in two.",
                ),
            ],
            outputs=[Densification.Output("densification", tooltip="For STAG4D Optimize.")],
        )

    @classmethod
    def validate_inputs(
        cls,
        strategy: Mapping[str, Any] | None = None,
        start: float | None = None,
        stop: float | None = None,
    ) -> bool | str:
        def check() -> None:
            check_widgets(cls, strategy=strategy, start=start, stop=stop)
            if start is not None and stop is not None:
                DensificationConfig(start=start, stop=stop)

        return refusal(check)

    @classmethod
    def execute(
        cls,
        strategy: Mapping[str, Any],
        max_gaussians: int,
        every: int,
        start: float,
        stop: float,
        clone_scale: float,
    ) -> io.NodeOutput:
        return io.NodeOutput(
            DensificationConfig(
                strategy=_strategy(strategy),
                max_gaussians=max_gaussians,
                every=every,
                start=start,
                stop=stop,
                clone_scale=clone_scale,
            )
        )


def _strategy(settings: Mapping[str, Any]) -> DensificationStrategy | None:
    """Return the strategy for the values of the strategy widget; None without densification."""
    if settings["strategy"] == "adaptive":
        return AdaptivePercentile(top_share=settings["top_percent"] / 100)
    if settings["strategy"] == "fixed":
        return FixedThreshold(threshold=settings["threshold"])
    return None
