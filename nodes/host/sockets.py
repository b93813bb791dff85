"""The pack's menu category, the types of its own sockets, and a widget that several nodes share."""

from typing import Protocol

from comfy_api.latest import io

from ...stag4d.pipeline import DenoiserMaker

CATEGORY = "STAG4D"

MultiView = io.Custom("STAG4D_MULTIVIEW")  # nodes.host.models.ManagedMultiView
Views = io.Custom("STAG4D_VIEWS")  # stag4d.types.ViewSet
Guidance = io.Custom("STAG4D_GUIDANCE")  # GuidanceModel, below
Densification = io.Custom("STAG4D_DENSIFICATION")  # stag4d.optimization.DensificationConfig
Scene = io.Custom("STAG4D_SCENE")  # stag4d.scene.GaussianModel4D
CameraPath = io.Custom("STAG4D_CAMERAS")  # stag4d.types.Cameras

MOMENT = io.Float.Input(
    "moment",
    default=0.5,
    min=0.0,
    max=1.0,
    step=0.01,
    tooltip="Where in the clip time stands still: 0 is its first frame, 1 its last.",
)


class GuidanceModel(Protocol):
    """What a STAG4D_GUIDANCE socket carries."""

    def denoiser_maker(self, seed: int, work_bytes: int) -> DenoiserMaker:
        """Return the ``make_denoiser`` of a fit, with the networks on their device.

        Args:
            seed: Seed of the fit.
            work_bytes: Memory beside the weights for the host to free.
        """
        ...
