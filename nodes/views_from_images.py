"""Posed views from images that other nodes have made, with given camera angles."""

from typing import Any

import torch
from comfy_api.latest import io

from ..stag4d.geometry import DEFAULT_FOVY_DEG, DEFAULT_RADIUS, OrbitPose, world_offsets
from ..stag4d.matting import object_alphas
from ..stag4d.view_set import ViewSet
from .host.lazy_inputs import not_evaluated
from .host.sockets import CATEGORY_VIEWS, Offsets, Views
from .host.validation import refusal

OF_VIEWS = ("views", "views_mask")  # inputs that come with the views


class STAG4DViewsFromImages(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DViewsFromImages",
            display_name="STAG4D Views from Images",
            category=CATEGORY_VIEWS,
            description="Combines the frames of a video with images of the same object from other cameras, "
            "made by any multi-view model.",
            search_aliases=["posed views", "multi-view images", "sv4d", "sv3d", "zero123plus"],
            inputs=[
                io.Image.Input("reference", tooltip="Square video frames, from STAG4D Prepare Frames."),
                io.Image.Input(
                    "views",
                    lazy=True,
                    tooltip="Square views: all views of the first frame, then all of the second, and so on.",
                ),
                io.String.Input(
                    "azimuths",
                    default="30, 90, 150, 210, 270, 330",
                    tooltip="Azimuth of each view of a frame, degrees: 0 is the video's camera, 90 is to its "
                    "right.",
                ),
                io.String.Input(
                    "elevations",
                    default="30, -20, 30, -20, 30, -20",
                    tooltip="Elevation of each view of a frame, degrees; positive ones look down from above.",
                ),
                io.Float.Input(
                    "fovy",
                    default=DEFAULT_FOVY_DEG,
                    min=1.0,
                    max=120.0,
                    step=0.1,
                    tooltip="Vertical field of view of all images, degrees.",
                ),
                io.Float.Input(
                    "radius",
                    default=DEFAULT_RADIUS,
                    min=0.05,
                    max=100.0,
                    step=0.05,
                    tooltip="Distance of all cameras from the object's center, scene units.",
                ),
                io.Float.Input(
                    "fps",
                    default=8.0,
                    min=0.1,
                    max=240.0,
                    step=0.1,
                    advanced=True,
                    tooltip="Frames per second of reference: connect fps of STAG4D Prepare Frames, which "
                    "accounts for skipped frames.",
                ),
                io.Float.Input(
                    "input_elevation",
                    default=0.0,
                    min=-89.0,
                    max=89.0,
                    step=1.0,
                    advanced=True,
                    tooltip="Elevation of the video's camera, degrees, positive above the object.",
                ),
                io.Mask.Input(
                    "reference_mask",
                    optional=True,
                    tooltip="1 on the object, one mask per frame. Without it, the images need alpha or a "
                    "plain background.",
                ),
                io.Mask.Input(
                    "views_mask",
                    optional=True,
                    lazy=True,
                    tooltip="1 on the object, one mask per view.",
                ),
                Offsets.Input(
                    "offsets",
                    optional=True,
                    tooltip="From STAG4D Prepare Frames with crop follow: the object moves in the scene as "
                    "in the video. Without it, the object stays in the center.",
                ),
            ],
            outputs=[Views.Output("views", tooltip="Frames and their posed views, for STAG4D Optimize.")],
        )

    @classmethod
    def validate_inputs(cls, azimuths: str | None = None, elevations: str | None = None) -> bool | str:
        return refusal(lambda: _check_angles(azimuths, elevations))

    @classmethod
    def check_lazy_status(
        cls, reference: torch.Tensor, azimuths: str, elevations: str, views: Any = None, **others: Any
    ) -> list[str]:
        """Have the frames and the angles checked before the views, which other nodes may have to generate."""
        if views is None:
            view_angles(azimuths, elevations)
            _check_square("reference", reference)
        return not_evaluated(OF_VIEWS, {"views": views, **others})

    @classmethod
    def execute(
        cls,
        reference: torch.Tensor,
        views: torch.Tensor,
        azimuths: str,
        elevations: str,
        fovy: float,
        radius: float,
        fps: float,
        input_elevation: float,
        reference_mask: torch.Tensor | None = None,
        views_mask: torch.Tensor | None = None,
        offsets: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        angles = view_angles(azimuths, elevations)
        lead = len(reference), len(angles)  # F, V
        if len(views) != lead[0] * lead[1]:
            raise ValueError(
                f"views: {len(views)} view images for {lead[0]} frames and {lead[1]} views; expected "
                f"{lead[0] * lead[1]}, frame by frame."
            )
        with torch.inference_mode(False):  # else no optimization could use the tensors
            images, alphas = square_images("reference", reference, reference_mask)
            view_images, view_alphas = square_images("views", views, views_mask)
            input_pose, *view_poses = (
                OrbitPose(azimuth_deg=azimuth, elevation_deg=elevation, radius=radius, fovy_deg=fovy)
                for azimuth, elevation in [(0.0, input_elevation), *angles]
            )
            view_images = view_images.unflatten(0, lead)  # [F, V, h, w, 3]
            view_alphas = view_alphas.unflatten(0, lead)  # [F, V, h, w]
            moved = None if offsets is None else world_offsets(offsets.clone(), input_pose)
            poses = tuple(view_poses)
            return io.NodeOutput(
                ViewSet.from_orbit(images, alphas, view_images, view_alphas, input_pose, poses, fps, moved)
            )


def view_angles(azimuths: str, elevations: str) -> list[tuple[float, float]]:
    """Return azimuth and elevation of each view, degrees, from two lists separated by commas."""
    columns = _numbers("azimuths", azimuths), _numbers("elevations", elevations)
    counts = [len(column) for column in columns]
    if counts[0] != counts[1]:
        raise ValueError(
            f"views: {counts[0]} azimuths and {counts[1]} elevations; expected one of each per view."
        )
    return list(zip(*columns, strict=True))


def _check_angles(azimuths: str | None, elevations: str | None) -> None:
    """Raise ValueError unless both lists hold as many angles, in range; None is not known yet."""
    if azimuths is not None and elevations is not None:
        for azimuth, elevation in view_angles(azimuths, elevations):
            OrbitPose(azimuth_deg=azimuth, elevation_deg=elevation)
    elif azimuths is not None:
        _numbers("azimuths", azimuths)
    elif elevations is not None:
        _numbers("elevations", elevations)


def square_images(
    name: str, images: torch.Tensor, mask: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return copies of the colors [N, S, S, 3] and alphas [N, S, S] of an input, float32 on the CPU."""
    _check_square(name, images)
    copy = images.to("cpu", torch.float32, copy=True)  # [N, S, S, 3 or 4]
    given = None if mask is None else mask.to("cpu", torch.float32, copy=True)
    alphas = object_alphas(copy, given, subject=name)  # it refuses values that are far from 0..1
    return copy[..., :3].clamp(0, 1), alphas


def _check_square(name: str, images: torch.Tensor) -> None:
    """Raise ValueError unless images are square."""
    height, width = images.shape[1:3]
    if height != width:
        raise ValueError(
            f"{name}: images of {width}x{height} pixels; expected square ones (use STAG4D Prepare Frames on "
            "the video before generating views)."
        )


def _numbers(name: str, text: str) -> list[float]:
    """Return the numbers of a list separated by commas; raises ValueError with an item that is no number."""
    numbers = []
    for item in text.split(","):
        try:
            numbers.append(float(item))
        except ValueError:
            raise ValueError(
                f"{name}: {item.strip()!r} is not a number; expected numbers separated by commas."
            ) from None
    return numbers
