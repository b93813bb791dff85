"""Write workflows/*.jpg, the thumbnails of the templates: renders of the bundled scene and of toys.

``PYTHONPATH=.:tests/workflows python tests/workflows/make_thumbnails.py``
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image, ImageFilter
from template_graphs import TEMPLATES
from torch import Tensor

from stag4d.export import to_pil_image
from stag4d.geometry import OrbitPose, camera_rig, rig_cameras
from stag4d.rendering import render
from stag4d.scene import GaussianModel4D, load_scene
from stag4d.toys import render_toy, toy_object, toy_truth
from stag4d.types import Cameras
from stag4d.weights import SCENE

FOLDER = Path(__file__).parents[2] / "workflows"
Color = tuple[float, float, float]
SIZE, MARGIN = 384, 12  # pixels
DARK, LIGHT, GRAY = (0.11, 0.12, 0.15), (0.90, 0.91, 0.94), (0.5, 0.5, 0.5)


def on_background(image: Tensor, alpha: Tensor, color: Color, size: int) -> Image.Image:
    """Return an image of straight colors [H, W, 3] and alpha [H, W] on a color."""
    composite = to_pil_image(image * alpha[..., None] + torch.tensor(color) * (1 - alpha[..., None]))
    return composite.resize((size, size), Image.Resampling.LANCZOS)


def scene_image(model: GaussianModel4D, azimuth: float, time: float, color: Color, size: int) -> Image.Image:
    """Return a render of the bundled scene."""
    camera = Cameras.from_poses([OrbitPose(azimuth_deg=azimuth, elevation_deg=12)], size, size)
    gaussians = model.at(torch.tensor([time]))[0]
    return to_pil_image(render(gaussians, camera, background=color).images[0])


def toy_images(plan: str, seed: int, azimuths: Sequence[float], color: Color, size: int) -> list[Image.Image]:
    """Return a toy at its first frame from several azimuths."""
    poses = [OrbitPose(azimuth_deg=azimuth, elevation_deg=12) for azimuth in azimuths]
    images, alphas = toy_truth(seed, poses, num_frames=1, size=2 * size, plan=plan)
    return [on_background(images[i, 0], alphas[i, 0], color, size) for i in range(len(azimuths))]


def grid(images: Sequence[Image.Image], columns: int) -> Image.Image:
    """Return images side by side in a square."""
    size = SIZE // columns
    result = Image.new("RGB", (SIZE, SIZE))
    for i, image in enumerate(images):
        result.paste(
            image.resize((size, size), Image.Resampling.LANCZOS),
            ((i % columns) * size, (i // columns) * size),
        )
    return result


def with_inset(image: Image.Image, inset: Image.Image, count: int = 1) -> Image.Image:
    """Return an image with smaller ones in its lower left corner: what the scene is made from."""
    side = SIZE // 4
    small = inset.resize((side, side), Image.Resampling.LANCZOS)
    result = image.copy()
    for i in reversed(range(count)):
        result.paste(small, (MARGIN + 6 * i, SIZE - side - MARGIN - 6 * i))
    return result


def side_by_side(left: Image.Image, right: Image.Image) -> Image.Image:
    """Return the left half of one image beside the right half of another."""
    result = right.copy()
    result.paste(left.crop((0, 0, SIZE // 2, SIZE)))
    return result


def thumbnails() -> list[Image.Image]:
    """Return the thumbnails in the order of the templates."""
    model = load_scene(SCENE)

    def scene(azimuth: float, time: float, color: Color = DARK) -> Image.Image:
        return scene_image(model, azimuth, time, color, SIZE)

    generated = []
    for plan, seed in (("robot", 3), ("bird", 4), ("fish", 5)):
        front, side = toy_images(plan, seed, (0, 40), DARK, SIZE)
        generated.append(with_inset(side, front))
    return [
        with_inset(scene(35, 0.2), scene(0, 0.2, LIGHT)),
        with_inset(scene(-40, 0.6), scene(0, 0.6, LIGHT), count=3),
        scene(50, 0.0),
        grid([scene(40 * i, i / 8) for i in range(9)], 3),
        scene(-25, 0.3, LIGHT),
        grid(
            [
                scene(azimuth, 0.4, color)
                for azimuth, color in ((20, DARK), (110, LIGHT), (200, LIGHT), (290, DARK))
            ],
            2,
        ),
        *generated,
        grid(
            [
                toy_images(plan, 7, (30,), DARK, SIZE // 2)[0]
                for plan in ("quadruped", "biped", "serpent", "vehicle")
            ],
            2,
        ),
        *view_source_thumbnails(model),
        with_inset(scene(70, 0.8), scene(0, 0.8, LIGHT), count=2),
        side_by_side(scene(-60, 0.5, LIGHT), scene(-60, 0.5)),
    ]


def view_source_thumbnails(model: GaussianModel4D) -> list[Image.Image]:
    """Return the thumbnails of the templates of ``view_source_graphs``."""
    side = SIZE // 2
    cameras = rig_cameras(camera_rig("mv-adapter"), side, side)
    images, alphas = render_toy(
        toy_object(3, plan="robot"),
        Cameras.from_rig(cameras, side, side),
        [0.0],
    )
    behind = scene_image(model, 150, 0.4, DARK, SIZE)
    small = replace(model.gaussians, log_scales=model.gaussians.log_scales - 1.2)
    dots = GaussianModel4D(small, model.deformation, model.info)
    return [
        grid(toy_images("biped", 7, [40 * i for i in range(9)], LIGHT, SIZE // 3), 3),
        grid(toy_images("vehicle", 7, (60, 120, 180, 240), LIGHT, side), 2),
        grid([on_background(images[i, 0], alphas[i, 0], GRAY, side) for i in (0, 1, 2, 3)], 2),
        side_by_side(behind.filter(ImageFilter.GaussianBlur(5)), behind),
        side_by_side(scene_image(dots, 30, 0.5, DARK, SIZE), scene_image(model, 30, 0.5, DARK, SIZE)),
    ]


if __name__ == "__main__":
    for name, thumbnail in zip(TEMPLATES, thumbnails(), strict=True):
        thumbnail.save(FOLDER / f"{name}.jpg", quality=85, optimize=True)
