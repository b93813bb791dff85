"""How exact are the two kinds of normals of a render: those of its depth, and the Gaussians' shortest axes?

    python3 tasks.py bench normals [--size 192]

Renders the bundled scene and ray-casts its toy from the input camera and the test cameras, at three frames.
Prints the median and mean angle between the normals of renders and those of the ray-cast depth, over the
pixels that are inside of the toy and opaque in the render.
"""

from __future__ import annotations

import argparse

import torch
from torch import Tensor

from stag4d.geometry import quats_to_rotations
from stag4d.rendering import normals_from_depth, rasterize, render
from stag4d.scene import Gaussians, load_scene
from stag4d.toys import INPUT_POSE, TEST_POSES, raycast, toy_object
from stag4d.types import Cameras
from stag4d.weights import SCENE, SCENE_PLAN, SCENE_SEED

FRAMES = (0, 8, 15)
OPAQUE = 0.95  # alpha of the render


@torch.no_grad()
def main() -> None:
    """Print the angles."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=192, help="pixels (default: %(default)s)")
    options = parser.parse_args()
    model, toy = load_scene(SCENE), toy_object(SCENE_SEED, SCENE_PLAN)
    cameras = Cameras.from_poses((INPUT_POSE, *TEST_POSES), options.size, options.size)
    angles: dict[str, list[Tensor]] = {"depth": [], "shortest axis": []}
    for frame in FRAMES:
        time = model.frame_times[frame].item()
        _, true_alphas, true_depths = raycast(toy, time, cameras)
        truth = normals_from_depth(true_depths, true_alphas, cameras.Ks)
        gaussians = model.at(model.frame_times[[frame]])[0]
        output = render(gaussians, cameras, with_depth=True)
        assert output.depths is not None  # requested
        found = {
            "depth": normals_from_depth(output.depths, output.alphas, cameras.Ks),
            "shortest axis": _shortest_axes(gaussians, cameras),
        }
        valid = (true_alphas == 1) & (output.alphas > OPAQUE) & (truth != 0).any(dim=-1)
        for name, normals in found.items():
            cosines = (torch.nn.functional.normalize(normals, dim=-1) * truth).sum(dim=-1)[valid]
            angles[name].append(torch.rad2deg(cosines.clamp(-1, 1).arccos()))
    for name, parts in angles.items():
        values = torch.cat(parts)
        print(f"{name}: median {values.median():.1f} degrees, mean {values.mean():.1f}, {len(values)} pixels")


def _shortest_axes(gaussians: Gaussians, cameras: Cameras) -> Tensor:
    """Return the shortest axes of Gaussians, toward the camera and composited as colors, [C, H, W, 3]."""
    shortest = gaussians.scales.argmin(dim=-1)
    rotations = quats_to_rotations(gaussians.quats)  # their columns are the axes
    axes = rotations.gather(2, shortest[:, None, None].expand(-1, 3, 1))[..., 0]  # [N, 3]
    in_camera = axes @ cameras.viewmats[:, :3, :3].transpose(1, 2)  # [C, N, 3]
    centers = gaussians.means @ cameras.viewmats[:, :3, :3].transpose(1, 2) + cameras.viewmats[:, None, :3, 3]
    facing = torch.where((in_camera * centers).sum(dim=-1, keepdim=True) > 0, -in_camera, in_camera)
    images = [
        rasterize(
            gaussians.means,
            gaussians.quats,
            gaussians.scales,
            gaussians.opacities,
            colors,
            cameras.viewmats[[index]],
            cameras.Ks[[index]],
            cameras.width,
            cameras.height,
        )[0]
        for index, colors in enumerate(facing)
    ]
    return torch.cat(images)


if __name__ == "__main__":
    main()
