"""What this pack's own sockets carry, and where its nodes stand in the host's menu."""

from comfy_api.latest import io

CATEGORY = "STAG4D"

MultiView = io.Custom("STAG4D_MULTIVIEW")  # nodes.load_multiview.ManagedMultiView
Views = io.Custom("STAG4D_VIEWS")  # stag4d.types.ViewSet
Guidance = io.Custom("STAG4D_GUIDANCE")  # nodes.guidance.GuidanceModel
Densification = io.Custom("STAG4D_DENSIFICATION")  # stag4d.optimization.DensificationConfig
Scene = io.Custom("STAG4D_SCENE")  # stag4d.scene.GaussianModel4D
CameraPath = io.Custom("STAG4D_CAMERAS")  # stag4d.types.Cameras
