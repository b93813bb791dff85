"""Conversion between scenes and ComfyUI's SPLAT, which holds activated values in the 3DGS frame."""

import torch
from comfy_api.latest import Types

from ...stag4d.geometry import flip_splat_frame
from ...stag4d.scene import GaussianFrames, GaussianModel4D, Gaussians, logit, pad_frames, stack_frames

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
        opacities=posed.logit_opacities.sigmoid().expand(count, size)[..., None].clone(),
        sh=posed.sh0.expand(count, size, 1, 3).clone(),
        counts=None if posed.counts is None else torch.tensor(posed.counts),
    )


def frames_from(splat: Types.SPLAT) -> GaussianFrames:
    """Return a batch of splats as frames, related if all have the same number of Gaussians.

    Raises:
        ValueError: if there are no Gaussians, or a value is not finite.
    """
    frames = [_gaussians_at(splat, index) for index in range(len(splat.positions))]
    counts = {len(frame) for frame in frames}
    if counts <= {0}:
        raise ValueError("splat: the batch has no Gaussians; expected at least one.")
    return stack_frames(frames) if len(counts) == 1 else pad_frames(frames)


def gaussians_from(splat: Types.SPLAT) -> Gaussians:
    """Return the first splat of a batch as Gaussians in our world frame, without padding.

    Of the spherical harmonics only degree 0 is kept.

    Raises:
        ValueError: if it has no Gaussians, or a value is not finite.
    """
    gaussians = _gaussians_at(splat, 0)
    if not len(gaussians):
        raise ValueError("splat: the first one of the batch has no Gaussians; expected at least one.")
    return gaussians


def _gaussians_at(splat: Types.SPLAT, index: int) -> Gaussians:
    """Return a splat of a batch as Gaussians in our world frame, without padding."""
    count = splat.positions.shape[1] if splat.counts is None else int(splat.counts[index])
    positions, rotations, scales, opacities, sh = (
        value[index, :count].detach().cpu().float().clone()
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
