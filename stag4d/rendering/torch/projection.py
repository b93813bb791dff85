"""Projection of Gaussians to 2D, to first order around their centers (EWA splatting), and culling.

Cameras are OpenCV, pixel centers lie at +0.5, depth is camera z. A pair is one Gaussian in one camera. The
projection of orthographic cameras is linear: exact also for the covariance, and independent of the depth.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ...geometry import quats_to_rotations
from ..inputs import RasterInputs
from .constants import FAR_PLANE, FOV_MARGIN, MAX_EXTENT, MAX_RADIUS, MIN_ALPHA


class Projection(NamedTuple):
    """M projected pairs."""

    means2d: Tensor  # [M, 2] pixels
    covs2d: Tensor  # [M, 3] xx, xy, yy of the blurred covariance, square pixels
    depths: Tensor  # [M] camera z


class VisiblePairs(NamedTuple):
    """The M visible pairs, ordered by camera and then by Gaussian."""

    camera_ids: Tensor  # [M]
    gaussian_ids: Tensor  # [M]
    radii: Tensor  # [M, 2] whole pixels, as floats


def project(inputs: RasterInputs, camera_ids: Tensor, gaussian_ids: Tensor) -> Projection:
    """Project pairs: the center exactly, the covariance by the Jacobian of the projection at the center.

    Args:
        inputs: Gaussians and cameras.
        camera_ids: [M].
        gaussian_ids: [M].
    """
    views = inputs.viewmats.index_select(0, camera_ids)  # [M, 4, 4]
    intrinsics = inputs.Ks.index_select(0, camera_ids)  # [M, 3, 3]
    focals = torch.stack([intrinsics[:, 0, 0], intrinsics[:, 1, 1]], dim=-1)  # [M, 2]
    centers = intrinsics[:, :2, 2]  # [M, 2]
    view_rotations = views[:, :3, :3]
    means = inputs.means.index_select(0, gaussian_ids)
    means_camera = (view_rotations @ means[..., None])[..., 0] + views[:, :3, 3]  # [M, 3]
    depths = means_camera[:, 2]
    # J [M, 2, 3], of means2d with respect to means_camera; orthographic [[fx, 0, 0], [0, fy, 0]]
    if inputs.projection == "ortho":
        means2d = focals * means_camera[:, :2] + centers
        jacobians = torch.eye(2, 3, dtype=focals.dtype, device=focals.device) * focals[..., None]
    else:
        ratios = means_camera[:, :2] / depths[:, None]  # [M, 2] x / z and y / z
        means2d = focals * ratios + centers
        jacobians = _pinhole_jacobians(inputs, ratios, depths, focals, centers)
    # From selected Gaussians only: zero gradients of the culled ones must not be multiplied with infinities.
    rotations = quats_to_rotations(inputs.quats.index_select(0, gaussian_ids))  # [M, 3, 3]
    axes = rotations * inputs.scales.index_select(0, gaussian_ids)[:, None]  # columns: the Gaussian's axes
    axes2d = jacobians @ view_rotations @ axes  # [M, 2, 3]
    covs2d = torch.stack(
        [
            axes2d[:, 0].square().sum(-1) + inputs.eps2d,
            (axes2d[:, 0] * axes2d[:, 1]).sum(-1),
            axes2d[:, 1].square().sum(-1) + inputs.eps2d,
        ],
        dim=-1,
    )
    return Projection(means2d, covs2d, depths)


def _pinhole_jacobians(
    inputs: RasterInputs, ratios: Tensor, depths: Tensor, focals: Tensor, centers: Tensor
) -> Tensor:
    """Return J [M, 2, 3] = [[fx / z, 0, -fx x / z^2], [0, fy / z, -fy y / z^2]] of M pairs.

    The linearization is useless far outside the image: it is taken at most a little beyond the border.
    """
    sizes = inputs.means.new_tensor((inputs.width, inputs.height))
    margins = FOV_MARGIN * 0.5 * sizes / focals
    ratios = ratios.clamp(min=-(centers / focals) - margins, max=(sizes - centers) / focals + margins)
    per_depth = focals / depths[:, None]
    zeros = torch.zeros_like(depths)
    return torch.stack(
        [
            torch.stack([per_depth[:, 0], zeros, -per_depth[:, 0] * ratios[:, 0]], dim=-1),
            torch.stack([zeros, per_depth[:, 1], -per_depth[:, 1] * ratios[:, 1]], dim=-1),
        ],
        dim=-2,
    )


def _determinants(covs2d: Tensor) -> Tensor:
    """Return the determinants [M] of 2x2 covariances given as xx, xy, yy [M, 3]."""
    return covs2d[:, 0] * covs2d[:, 2] - covs2d[:, 1].square()


def conics(covs2d: Tensor) -> Tensor:
    """Return the inverses of 2x2 covariances, both as xx, xy, yy [M, 3]."""
    xx, xy, yy = covs2d.unbind(-1)
    return torch.stack([yy, -xy, xx], dim=-1) / _determinants(covs2d)[:, None]


def find_visible_pairs(inputs: RasterInputs) -> VisiblePairs:
    """Cull the pairs that contribute to no pixel; return the others with their radii in pixels."""
    num_cameras, num_gaussians, device = inputs.num_cameras, inputs.num_gaussians, inputs.means.device
    camera_ids = torch.arange(num_cameras, device=device).repeat_interleave(num_gaussians)  # [C * N]
    gaussian_ids = torch.arange(num_gaussians, device=device).repeat(num_cameras)
    means2d, covs2d, depths = project(inputs, camera_ids, gaussian_ids)
    opacities = inputs.opacities
    # alpha = o exp(-r^2 / 2) falls to 1 / 255 at r = sqrt(2 ln(255 o)), which is NaN for o < 1 / 255
    extents = (2 * (opacities * 255).log()).sqrt().clamp(max=MAX_EXTENT)
    valid = (opacities >= MIN_ALPHA) & opacities.isfinite() & (inputs.quats.norm(dim=-1) > 0)  # [N]
    deviations = covs2d[:, ::2].sqrt()
    radii = (extents.index_select(0, gaussian_ids)[:, None] * deviations).ceil().clamp(max=MAX_RADIUS)
    determinants = _determinants(covs2d)
    # Every comparison is false for NaN, so Gaussians that are not finite are culled too.
    visible = (
        valid.index_select(0, gaussian_ids)
        & (depths >= inputs.near_plane)
        & (depths <= FAR_PLANE)
        & (determinants > 0)
        & determinants.isfinite()
        & (radii > 0).all(-1)
        & (means2d + radii > 0).all(-1)
        & (means2d - radii < means2d.new_tensor((inputs.width, inputs.height))).all(-1)
    )
    return VisiblePairs(camera_ids[visible], gaussian_ids[visible], radii[visible])
