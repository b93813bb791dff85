"""How the number of Gaussians changes during a fit."""

from collections.abc import Mapping
from typing import Any

from comfy_api.latest import io

from ..stag4d.optimization import (
    AdaptivePercentile,
    DensificationConfig,
    DensificationStrategy,
    FixedThreshold,
)
from .host.sockets import CATEGORY, Densification

_ADAPTIVE = [
    io.Float.Input(
        "top_percent",
        default=2.5,
        min=0.1,
        max=50.0,
        step=0.1,
        tooltip="Percent of the Gaussians, those with the largest gradients, that grow each time.",
    )
]
_FIXED = [
    io.Float.Input(
        "threshold",
        default=0.0002,
        min=1e-7,
        max=1.0,
        step=1e-5,
        tooltip="Gradient in normalised image coordinates from which a Gaussian grows; lower adds more.",
    )
]


class STAG4DDensification(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DDensification",
            display_name="STAG4D Densification",
            category=CATEGORY,
            description="Says when a fit adds and removes Gaussians, instead of its preset.",
            search_aliases=["split and clone", "prune gaussians"],
            inputs=[
                io.DynamicCombo.Input(
                    "strategy",
                    options=[
                        io.DynamicCombo.Option("adaptive", _ADAPTIVE),
                        io.DynamicCombo.Option("fixed", _FIXED),
                        io.DynamicCombo.Option("none", []),
                    ],
                    tooltip="adaptive: a share of the largest gradients, as STAG4D does. fixed: all above a "
                    "threshold, as 3DGS does. none: the number stays.",
                ),
                io.Int.Input(
                    "max_gaussians",
                    default=10_000,
                    min=1,
                    max=2_000_000,
                    tooltip="The number never grows beyond this. Time and memory grow with it.",
                ),
                io.Int.Input(
                    "every",
                    default=50,
                    min=1,
                    max=10_000,
                    tooltip="Optimisation steps between two times.",
                ),
                io.Float.Input(
                    "start",
                    default=0.1,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    advanced=True,
                    tooltip="Share of the fit after which it begins.",
                ),
                io.Float.Input(
                    "stop",
                    default=0.6,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    advanced=True,
                    tooltip="Share of the fit after which the number stays; the rest of the fit settles.",
                ),
                io.Float.Input(
                    "clone_scale",
                    default=0.02,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    advanced=True,
                    tooltip="Scene units: Gaussians up to this size are cloned, larger ones split in two.",
                ),
            ],
            outputs=[Densification.Output("densification", tooltip="For STAG4D Optimize.")],
        )

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
    """Return the strategy that the widgets describe."""
    if settings["strategy"] == "adaptive":
        return AdaptivePercentile(top_share=settings["top_percent"] / 100)
    if settings["strategy"] == "fixed":
        return FixedThreshold(threshold=settings["threshold"])
    return None
