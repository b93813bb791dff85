"""From pictures that another node made of known directions to a set of posed views."""

import torch
from comfy_api.latest import io

from ..stag4d.geometry import DEFAULT_FOVY_DEG, DEFAULT_RADIUS, OrbitPose
from ..stag4d.matting import object_alphas
from ..stag4d.types import ViewSet
from .host.sockets import CATEGORY, Views


class STAG4DViewsFromImages(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DViewsFromImages",
            display_name="STAG4D Views from Images",
            category=CATEGORY,
            description="Joins a clip with images of the same object from other sides, made by any model.",
            search_aliases=["posed views", "multi-view images", "sv4d", "sv3d", "zero123plus"],
            inputs=[
                io.Image.Input("reference", tooltip="The clip's frames, square: see STAG4D Prepare Frames."),
                io.Image.Input(
                    "views",
                    tooltip="Square views, frame by frame: all views of the first frame, then of the second.",
                ),
                io.String.Input(
                    "azimuths",
                    default="30, 90, 150, 210, 270, 330",
                    tooltip="Degrees for each view of a frame: 0 is the clip's camera, 90 is to its right.",
                ),
                io.String.Input(
                    "elevations",
                    default="30, -20, 30, -20, 30, -20",
                    tooltip="Degrees for each view of a frame; positive cameras look down from above.",
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
                    tooltip="Distance of all cameras from the object's middle, scene units.",
                ),
                io.Float.Input(
                    "fps",
                    default=8.0,
                    min=0.1,
                    max=240.0,
                    step=0.1,
                    advanced=True,
                    tooltip="Frames a second of these images: connect that of STAG4D Prepare Frames, which "
                    "knows how many were left out.",
                ),
                io.Float.Input(
                    "input_elevation",
                    default=0.0,
                    min=-89.0,
                    max=89.0,
                    step=1.0,
                    advanced=True,
                    tooltip="Degrees that the clip's camera stands above the object's middle.",
                ),
                io.Mask.Input(
                    "reference_mask",
                    optional=True,
                    tooltip="1 on the object, one for each frame. Without it the images' alpha serves, or "
                    "else a plain background is found.",
                ),
                io.Mask.Input(
                    "views_mask", optional=True, tooltip="The same for the views, one for each of them."
                ),
            ],
            outputs=[Views.Output("views", tooltip="The frames and their posed views.")],
        )

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
    ) -> io.NodeOutput:
        directions = view_directions(azimuths, elevations)
        lead = len(reference), len(directions)  # F, V
        if len(views) != lead[0] * lead[1]:
            raise ValueError(
                f"views: {len(views)} view images for {lead[0]} frames and {lead[1]} views; expected "
                f"{lead[0] * lead[1]}, frame by frame."
            )
        with torch.inference_mode(False):  # so that a later node may optimise against what is kept here
            images, alphas = square_pictures("reference", reference, reference_mask)
            view_images, view_alphas = square_pictures("views", views, views_mask)
            poses = [
                OrbitPose(azimuth_deg=azimuth, elevation_deg=elevation, radius=radius, fovy_deg=fovy)
                for azimuth, elevation in [(0.0, input_elevation), *directions]
            ]
            return io.NodeOutput(
                ViewSet(
                    images=images,
                    alphas=alphas,
                    view_images=view_images.unflatten(0, lead),  # [F, V, h, w, 3]
                    view_alphas=view_alphas.unflatten(0, lead),  # [F, V, h, w]
                    input_pose=poses[0],
                    view_poses=tuple(poses[1:]),
                    fps=fps,
                )
            )


def view_directions(azimuths: str, elevations: str) -> list[tuple[float, float]]:
    """Return the azimuth and elevation of each view, degrees, from two lists separated by commas."""
    columns = _numbers("azimuths", azimuths), _numbers("elevations", elevations)
    counts = [len(column) for column in columns]
    if counts[0] != counts[1]:
        raise ValueError(
            f"views: {counts[0]} azimuths and {counts[1]} elevations; expected one of each a view."
        )
    return list(zip(*columns, strict=True))


def square_pictures(
    name: str, images: torch.Tensor, mask: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return copies of an input's colors [N, S, S, 3] and mattes [N, S, S], float32 on the CPU."""
    height, width = images.shape[1:3]
    if height != width:
        raise ValueError(
            f"{name}: images of {width}x{height} pixels; expected square ones (use STAG4D Prepare Frames on "
            "the clip before views are made of it)."
        )
    copies = [None if part is None else part.to("cpu", torch.float32, copy=True) for part in (images, mask)]
    return copies[0][..., :3].contiguous(), object_alphas(*copies, subject=name)


def _numbers(name: str, text: str) -> list[float]:
    """Return the numbers of a list separated by commas; raises ValueError with the item that is none."""
    numbers = []
    for item in text.split(","):
        try:
            numbers.append(float(item))
        except ValueError:
            raise ValueError(
                f"{name}: {item.strip()!r} is not a number; expected numbers separated by commas."
            ) from None
    return numbers
