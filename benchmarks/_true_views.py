"""True views of a toy, calm or fast, and its images at the test views."""

from __future__ import annotations

from torch import Tensor

from stag4d.geometry import zero123plus_rig
from stag4d.toys import INPUT_POSE, TEST_POSES, render_toy, toy_object
from stag4d.types import Cameras, frame_times
from stag4d.view_set import ViewSet

Images = tuple[Tensor, Tensor]  # straight colors [V, F, S, S, 3] and alphas [V, F, S, S]


def true_views(
    seed: int, num_frames: int, size: int, fast_cycles: float | None = None
) -> tuple[ViewSet, Images]:
    """Return the input video of a toy with the six true views of the v1.1 rig, and images at the test views.

    Args:
        seed: Seed of the toy.
        num_frames: F.
        size: S, pixels along each side of every image.
        fast_cycles: See ``toy_object``.
    """
    poses = [INPUT_POSE, *zero123plus_rig("v1.1"), *TEST_POSES]
    cameras = Cameras.from_poses(poses, size, size)
    toy = toy_object(seed, fast_cycles=fast_cycles)
    images, alphas = render_toy(toy, cameras, frame_times(num_frames).tolist())
    given = slice(1, len(poses) - len(TEST_POSES))
    views = ViewSet.from_orbit(
        images[0].clone(),
        alphas[0].clone(),
        images[given].transpose(0, 1).contiguous(),
        alphas[given].transpose(0, 1).contiguous(),
        INPUT_POSE,
        poses[given],
    )
    return views, (images[given.stop :], alphas[given.stop :])
