"""The pack's menu categories, its own socket types, and a widget that several nodes have."""

from typing import Protocol

from comfy_api.latest import io

from ...stag4d.pipeline import DenoiserMaker

CATEGORY = "STAG4D"
CATEGORY_LOAD, CATEGORY_VIEWS = f"{CATEGORY}/load", f"{CATEGORY}/views"
CATEGORY_SCENE, CATEGORY_OUTPUT = f"{CATEGORY}/scene", f"{CATEGORY}/output"

MultiView = io.Custom("STAG4D_MULTIVIEW")  # nodes.host.models.ManagedMultiView
Views = io.Custom("STAG4D_VIEWS")  # stag4d.types.ViewSet
Rig = io.Custom("STAG4D_RIG")  # stag4d.diffusion.MultiViewRig
Guidance = io.Custom("STAG4D_GUIDANCE")  # GuidanceModel, below
Densification = io.Custom("STAG4D_DENSIFICATION")  # stag4d.optimization.DensificationConfig
Scene = io.Custom("STAG4D_SCENE")  # stag4d.scene.GaussianModel4D
CameraPath = io.Custom("STAG4D_CAMERAS")  # stag4d.types.Cameras
Extrinsics = io.Custom("EXTRINSICS")  # of other node packs, see read_extrinsics
Intrinsics = io.Custom("INTRINSICS")  # of other node packs, see read_intrinsics
Offsets = io.Custom("STAG4D_OFFSETS")  # [F, 2], InputVideo.crop_offsets, or None

MOMENT = io.Float.Input(
    "moment",
    default=0.5,
    min=0.0,
    max=1.0,
    step=0.01,
    tooltip="Time in the scene: 0 is the first frame, 1 the last. Between frames, motion is interpolated.",
)


class GuidanceModel(Protocol):
    """A guidance model, the value of STAG4D_GUIDANCE sockets."""

    def denoiser_maker(self, seed: int, work_bytes: int) -> DenoiserMaker:
        """Return the ``make_denoiser`` argument of ``fit``.

        Args:
            seed: Seed of the fit.
            work_bytes: Memory beside the weights for the host to free.
        """
        ...
