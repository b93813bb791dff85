"""Conversion between scenes and ComfyUI's SPLAT, which holds activated values in the 3DGS frame."""

import torch
from comfy_api.latest import Types

from ...stag4d.geometry import flip_splat_frame
from ...stag4d.scene import GaussianModel4D, Gaussians, logit

_MIN_SCALE, _MIN_OPACITY = 1e-6, 1e-4  # so that logarithm and logit are finite


@torch.no_grad()
def splat_at(scene: GaussianModel4D, frame_times: torch.Tensor) -> Types.SPLAT:
    """Return a scene at B times as a SPLAT whose tensors are [B, N, ...]."""
    posed = scene.at(frame_times)
    count, size = len(posed), posed.means.shape[1]
    quats = torch.nn.functional.normalize(posed.quats.expand(count, size, 4), dim=-1)
    positions, rotations = flip_splat_frame(posed.means, quats)
    return Types.SPLAT(
        positions=positions.contiguous(),
        scales=posed.log_scales.exp().expand(count, size, 3).contiguous(),
        rotations=rotations.contiguous(),
        opacities=posed.logit_opacities.sigmoid()[None, :, None].repeat(count, 1, 1),
        sh=posed.sh0[None].repeat(count, 1, 1, 1),
    )


def gaussians_from(splat: Types.SPLAT) -> Gaussians:
    """Return the first splat of a batch as Gaussians in our world frame, without padding.

    Of the spherical harmonics only degree 0 is kept.

    Raises:
        ValueError: if it has no Gaussians, or a value is not finite.
    """
    count = splat.positions.shape[1] if splat.counts is None else int(splat.counts[0])
    if count < 1:
        raise ValueError("splat: the first one of the batch has no Gaussians; expected at least one.")
    positions, rotations, scales, opacities, sh = (
        value[0, :count].detach().cpu().float().clone()
        for value in (splat.positions, splat.rotations, splat.scales, splat.opacities, splat.sh)
    )
    means, quats = flip_splat_frame(positions, rotations)
    gaussians = Gaussians(
        means=means,
        log_scales=scales.clamp_min(_MIN_SCALE).log(),
        quats=quats,
        logit_opacities=logit(opacities.reshape(count).clamp(_MIN_OPACITY, 1 - _MIN_OPACITY)),
        sh0=sh[:, :1].contiguous(),
    )
    for name, value in gaussians.as_dict().items():
        if not torch.isfinite(value).all():
            raise ValueError(f"splat: {name} has values that are not finite; every value must be.")
    return gaussians
