"""Renders of a scene: images, masks, depth and normals."""

import string
from collections.abc import Mapping
from typing import Any, cast

import comfy.model_management
import numpy as np
import torch
from comfy_api.latest import io

from ..stag4d.rendering import render_sequence
from ..stag4d.scene import GaussianModel4D
from ..stag4d.types import Cameras
from .host.memory import require_memory
from .host.progress import HostMonitor
from .host.render_images import composite, normal_images
from .host.sockets import CATEGORY_OUTPUT, MOMENT, CameraPath, Scene
from .host.validation import check_widgets, refusal

# float32 per pixel of an image: render (color, alpha and depth), its color and alpha in 0..1, images of depth
# and normals, and intermediate results of the depth
PIXEL_BYTES = 4 * (5 + 4 + 6 + 3)
FARTHEST_GRAY = 0.1  # above 0, which is empty space
BLACK = (0.0, 0.0, 0.0)
VIEW_BY_VIEW = "view by view"
_HOLD = io.Float.Input(
    "hold",
    default=0.5,
    min=0.0,
    max=0.95,
    step=0.05,
    tooltip="Share of the images for which time stands still.",
)


class STAG4DRender(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DRender",
            display_name="STAG4D Render",
            category=CATEGORY_OUTPUT,
            description="Renders a 4D scene from a camera path: novel views, bullet time, loops.",
            search_aliases=["render 4d", "gaussian splat video", "bullet time", "novel view"],
            inputs=[
                Scene.Input("scene", tooltip="The scene to render."),
                CameraPath.Input(
                    "cameras",
                    tooltip="One image is rendered per camera; with a single camera, one per frame.",
                ),
                io.Color.Input(
                    "background",
                    default="#ffffff",
                    tooltip="Background color, #rrggbb. To composite on images, connect background_image.",
                ),
                io.DynamicCombo.Input(
                    "time_mode",
                    options=[
                        io.DynamicCombo.Option("all frames", []),
                        io.DynamicCombo.Option("ping-pong", []),
                        io.DynamicCombo.Option("freeze", [MOMENT]),
                        io.DynamicCombo.Option("bullet time", [MOMENT, _HOLD]),
                        io.DynamicCombo.Option(VIEW_BY_VIEW, []),
                    ],
                    tooltip="all frames: the motion once, spread over the cameras. ping-pong: forward and "
                    "back, a seamless loop. freeze: one moment for all cameras. bullet time: the motion "
                    "pauses at a moment while the cameras move on, then continues. view by view: all frames "
                    "from the first camera, then all from the second, for STAG4D Views from Images.",
                ),
                io.Image.Input(
                    "background_image",
                    optional=True,
                    tooltip="Image behind the scene, in place of the background color: one for all images, "
                    "or one each. It is scaled and cropped to cover them.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    "images", tooltip="One image per camera; with one camera, or view by view, one per frame."
                ),
                io.Mask.Output("mask", tooltip="Alpha of the images: 1 on the object, 0 on the background."),
                io.Image.Output(
                    "depth",
                    tooltip="White is the nearest surface of all images, dark gray the farthest, black is "
                    "background.",
                ),
                io.Float.Output(
                    "fps",
                    tooltip="Images per second at which the motion has its original speed: for Create Video.",
                ),
                io.Image.Output(
                    "normals",
                    tooltip="Normals of the surfaces in camera axes, as in OpenGL normal maps: red is right, "
                    "green up, blue toward the camera; black is background.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(
        cls, background: str | None = None, time_mode: Mapping[str, Any] | None = None
    ) -> bool | str:
        def check() -> None:
            check_widgets(cls, time_mode=time_mode)
            if background is not None:
                parse_color(background)

        return refusal(check)

    @classmethod
    def execute(
        cls,
        scene: GaussianModel4D,
        cameras: Cameras,
        background: str,
        time_mode: Mapping[str, Any],
        background_image: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        times = playback_times(scene.frame_times.cpu(), len(cameras), time_mode)
        if time_mode["time_mode"] == VIEW_BY_VIEW:
            cameras = cameras[torch.arange(len(times)) // scene.info.num_frames]
        width, height = cameras.width, cameras.height
        require_memory(
            f"render of {len(times)} images of {width}x{height}", len(times) * width * height * PIXEL_BYTES
        )
        monitor = HostMonitor(render=len(times), normals=len(times))
        rendered = render_sequence(
            scene.to(comfy.model_management.get_torch_device()),
            cameras,
            times,
            background=parse_color(background) if background_image is None else BLACK,
            with_depth=True,
            collect_on="cpu",
            monitor=monitor,
        )
        images, alphas = rendered.images.clamp(0, 1), rendered.alphas.clamp(0, 1)
        if background_image is not None:
            composite(images, alphas, background_image)
        rate = playback_rate(times, scene.info.num_frames, scene.info.fps)
        depths = cast(torch.Tensor, rendered.depths)
        normals = normal_images(depths, alphas, cameras, monitor)
        return io.NodeOutput(images, alphas, depth_images(depths, alphas), rate, normals)


def playback_times(frame_times: torch.Tensor, num_cameras: int, time_mode: Mapping[str, Any]) -> torch.Tensor:
    """Return the video time of each image.

    Args:
        frame_times: [F] times of the scene's frames, ascending.
        num_cameras: Number of cameras. One camera gets an image per frame that is played; several get one
            image each, and the frames are spread over them; view by view, each gets all frames.
        time_mode: Values of the time_mode widget: ``time_mode``, and ``moment`` and ``hold`` of the mode.

    Returns:
        [T] float32.
    """
    if time_mode["time_mode"] == "freeze":
        return torch.full((num_cameras,), float(time_mode["moment"]))
    if time_mode["time_mode"] == VIEW_BY_VIEW:
        return frame_times.float().repeat(num_cameras)
    last = len(frame_times) - 1
    if time_mode["time_mode"] == "bullet time":
        positions = _with_hold(last, num_cameras, time_mode["moment"], time_mode["hold"])
    else:
        positions = _POSITIONS[time_mode["time_mode"]](last, num_cameras)
    return torch.from_numpy(np.interp(positions, np.arange(last + 1), frame_times.numpy())).float()


def playback_rate(times: torch.Tensor, num_frames: int, fps: float) -> float:
    """Return the images per second at which the motion has its original speed.

    Args:
        times: [T] video times of the images, 0..1, from ``playback_times``.
        num_frames: Frames of the scene.
        fps: Frames per second of the scene.

    Returns:
        The median over the image pairs in motion; ``fps`` if time stands still.
    """
    steps = times.diff().abs() * (num_frames - 1)  # frames from each image to the next
    steps = steps[steps > 1e-4]
    return fps / steps.median().item() if len(steps) else fps


def depth_images(depths: torch.Tensor, alphas: torch.Tensor) -> torch.Tensor:
    """Return depths as gray images.

    Args:
        depths: [T, H, W] camera z.
        alphas: [T, H, W].

    Returns:
        [T, H, W, 3]: 1 at the nearest surface of all images, ``FARTHEST_GRAY`` at the farthest, 0 where alpha
        is at most one half.
    """
    visible = alphas > 0.5
    gray = torch.zeros_like(depths)
    if visible.any():
        near, far = depths[visible].aminmax()
        span = (far - near).clamp_min(torch.finfo(depths.dtype).eps)
        gray = torch.where(visible, 1 - (1 - FARTHEST_GRAY) * (depths - near) / span, gray)
    return gray[..., None].repeat(1, 1, 1, 3)


def parse_color(text: str) -> tuple[float, float, float]:
    """Return RGB in 0..1 of a color #rrggbb; raises ValueError for anything else."""
    digits = text.removeprefix("#")
    if len(digits) != 6 or not set(digits) <= set(string.hexdigits):
        raise ValueError(f"background: {text!r} is not a color; expected #rrggbb.")
    red, green, blue = bytes.fromhex(digits)
    return red / 255, green / 255, blue / 255


def _once(last: int, num_cameras: int) -> np.ndarray:
    """Return frame positions from the first frame to the last, both included."""
    return np.linspace(0, last, last + 1 if num_cameras == 1 else num_cameras)


def _there_and_back(last: int, num_cameras: int) -> np.ndarray:
    """Return frame positions to the last frame and back, ending one step before the first."""
    count = max(2 * last, 1) if num_cameras == 1 else num_cameras
    return last * (1 - np.abs(1 - 2 * np.arange(count) / count))


def _with_hold(last: int, num_cameras: int, moment: float, hold: float) -> np.ndarray:
    """Return frame positions that pause at a moment for a share of the images.

    A single camera gets every frame, and the pause in addition.
    """
    if num_cameras == 1:
        num_played = last + 1
        num_held = round(num_played * hold / (1 - hold))
    else:
        num_held = round(num_cameras * hold)
        num_played = num_cameras - num_held
    played, stop = np.linspace(0, last, num_played), moment * last
    before = int((played < stop).sum())
    return np.concatenate([played[:before], np.full(num_held, stop), played[before:]])


_POSITIONS = {"all frames": _once, "ping-pong": _there_and_back}
