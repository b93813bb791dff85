"""From a scene and cameras to images, a matte and a depth picture."""

import string
from collections.abc import Mapping
from typing import Any

import comfy.model_management
import numpy as np
import torch
from comfy_api.latest import io

from ..stag4d.rendering import render_sequence
from ..stag4d.scene import GaussianModel4D
from ..stag4d.types import Cameras
from .host.memory import require_memory
from .host.progress import HostMonitor
from .host.sockets import CATEGORY, MOMENT, CameraPath, Scene

PIXEL_BYTES = 60  # twice color, alpha and depth, and the depth picture, in 32-bit numbers
FARTHEST_GRAY = 0.1  # so that the farthest surface still differs from empty space, which is 0
_HOLD = io.Float.Input(
    "hold",
    default=0.5,
    min=0.0,
    max=0.95,
    step=0.05,
    tooltip="Share of the images during which time stands still.",
)


class STAG4DRender(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DRender",
            display_name="STAG4D Render",
            category=CATEGORY,
            description="Renders a 4D scene from a camera path: new views of the motion, bullet time, loops.",
            search_aliases=["render 4d", "gaussian splat video", "bullet time", "novel view"],
            inputs=[
                Scene.Input("scene", tooltip="The scene to render."),
                CameraPath.Input(
                    "cameras",
                    tooltip="One image is rendered for each camera; a single camera films the whole clip.",
                ),
                io.Color.Input(
                    "background",
                    default="#ffffff",
                    tooltip="Colour behind the object, as #rrggbb. The mask serves to put a picture there.",
                ),
                io.DynamicCombo.Input(
                    "time_mode",
                    options=[
                        io.DynamicCombo.Option("all frames", []),
                        io.DynamicCombo.Option("ping-pong", []),
                        io.DynamicCombo.Option("freeze", [MOMENT]),
                        io.DynamicCombo.Option("bullet time", [MOMENT, _HOLD]),
                    ],
                    tooltip="all frames: the clip once, spread over the cameras. ping-pong: there and back, "
                    "made to loop. freeze: one moment for all cameras. bullet time: the clip "
                    "stops at a moment while the cameras move on, then goes on.",
                ),
            ],
            outputs=[
                io.Image.Output("images", tooltip="One image a camera; with one camera, one a frame."),
                io.Mask.Output("mask", tooltip="1 on the object, 0 on the background, soft at the edges."),
                io.Image.Output(
                    "depth",
                    tooltip="White is the batch's nearest surface, dark grey its farthest, black is nothing.",
                ),
                io.Float.Output(
                    "fps",
                    tooltip="Images a second at which the scene moves at its own speed: for Create Video.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls, scene: GaussianModel4D, cameras: Cameras, background: str, time_mode: Mapping[str, Any]
    ) -> io.NodeOutput:
        times = playback_times(scene.frame_times.cpu(), len(cameras), time_mode)
        width, height = cameras.width, cameras.height
        require_memory(
            f"render of {len(times)} images of {width}x{height}", len(times) * width * height * PIXEL_BYTES
        )
        rendered = render_sequence(
            scene.to(comfy.model_management.get_torch_device()),
            cameras,
            times,
            background=parse_color(background),
            with_depth=True,
            collect_on="cpu",
            monitor=HostMonitor(render=len(times)),
        )
        images, alphas = rendered.images.clamp(0, 1), rendered.alphas.clamp(0, 1)
        rate = playback_rate(times, scene.info.num_frames, scene.info.fps)
        return io.NodeOutput(images, alphas, depth_picture(rendered.depths, alphas), rate)


def playback_times(frame_times: torch.Tensor, num_cameras: int, time_mode: Mapping[str, Any]) -> torch.Tensor:
    """Return the video time of each image.

    Args:
        frame_times: [F] times of the clip's frames, ascending.
        num_cameras: Cameras C. One camera gets an image for each frame that is played; several get one image
            each, and the clip is spread over them.
        time_mode: The widget's value: ``time_mode``, and ``moment`` and ``hold`` of the mode.

    Returns:
        [T] float32.
    """
    if time_mode["time_mode"] == "freeze":
        return torch.full((num_cameras,), float(time_mode["moment"]))
    last = len(frame_times) - 1
    if time_mode["time_mode"] == "bullet time":
        positions = _with_hold(last, num_cameras, time_mode["moment"], time_mode["hold"])
    else:
        positions = _POSITIONS[time_mode["time_mode"]](last, num_cameras)
    return torch.from_numpy(np.interp(positions, np.arange(last + 1), frame_times.numpy())).float()


def playback_rate(times: torch.Tensor, num_frames: int, fps: float) -> float:
    """Return the images a second at which a scene moves as fast as its clip did.

    Args:
        times: [T] video times of the images, 0..1, as ``playback_times`` gives them.
        num_frames: Frames of the clip.
        fps: Frames a second of the clip.

    Returns:
        The clip's own rate where time stands still.
    """
    steps = times.diff().abs() * (num_frames - 1)  # frames from each image to the next
    steps = steps[steps > 1e-4]
    return fps / steps.median().item() if len(steps) else fps


def depth_picture(depths: torch.Tensor, alphas: torch.Tensor) -> torch.Tensor:
    """Return depths as grey images.

    Args:
        depths: [T, H, W] distance along the viewing axis.
        alphas: [T, H, W].

    Returns:
        [T, H, W, 3]: 1 at the batch's nearest surface, ``FARTHEST_GRAY`` at its farthest, 0 where alpha is at
        most half.
    """
    visible = alphas > 0.5
    gray = torch.zeros_like(depths)
    if visible.any():
        near, far = depths[visible].aminmax()
        span = (far - near).clamp_min(torch.finfo(depths.dtype).eps)
        gray = torch.where(visible, 1 - (1 - FARTHEST_GRAY) * (depths - near) / span, gray)
    return gray[..., None].repeat(1, 1, 1, 3)


def parse_color(text: str) -> tuple[float, float, float]:
    """Return #rrggbb as RGB in 0..1; raises ValueError for anything else."""
    digits = text.removeprefix("#")
    if len(digits) != 6 or not set(digits) <= set(string.hexdigits):
        raise ValueError(f"background: {text!r} is not a colour; expected #rrggbb.")
    red, green, blue = bytes.fromhex(digits)
    return red / 255, green / 255, blue / 255


def _once(last: int, num_cameras: int) -> np.ndarray:
    """Return frame positions from the first frame to the last, both included."""
    return np.linspace(0, last, last + 1 if num_cameras == 1 else num_cameras)


def _there_and_back(last: int, num_cameras: int) -> np.ndarray:
    """Return frame positions that go to the last frame and back, ending one step before the first."""
    count = max(2 * last, 1) if num_cameras == 1 else num_cameras
    return last * (1 - np.abs(1 - 2 * np.arange(count) / count))


def _with_hold(last: int, num_cameras: int, moment: float, hold: float) -> np.ndarray:
    """Return frame positions that stand still at a moment for a share of the images.

    One camera films every frame, and the hold comes on top.
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
