"""What this pack's own sockets carry, and where its nodes stand in the host's menu."""

from comfy_api.latest import io

CATEGORY = "STAG4D"

Scene = io.Custom("STAG4D_SCENE")  # stag4d.scene.GaussianModel4D
CameraPath = io.Custom("STAG4D_CAMERAS")  # stag4d.types.Cameras
