"""The coordinate frame of splat files: the only conversion of Gaussians between our world and that of 3DGS.

Our world is y-up. In 3DGS files y points down and z away from the viewer: half a turn about the x axis.
"""

from __future__ import annotations

from torch import Tensor

from .quaternions import multiply_quats


def flip_splat_frame(means: Tensor, quats: Tensor) -> tuple[Tensor, Tensor]:
    """Rotate Gaussians by half a turn about x, from our world to the 3DGS frame or back.

    Args:
        means: [..., 3].
        quats: [..., 4] wxyz.

    Returns:
        Means (x, -y, -z), and quats multiplied from the left by (0, 1, 0, 0). Twice gives the same means and
        the same rotations, with the quaternions' sign changed.
    """
    half_turn = quats.new_tensor([0.0, 1.0, 0.0, 0.0])
    return means * means.new_tensor([1.0, -1.0, -1.0]), multiply_quats(half_turn, quats)
