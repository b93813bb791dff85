"""Conversion between scenes and ComfyUI's SPLAT, which holds activated values in the 3DGS frame."""

import math

import torch
from comfy_api.latest import Types

from ...stag4d.geometry import flip_splat_frame
from ...stag4d.scene import GaussianFrames, GaussianModel4D, Gaussians, logit, valid_frames

_MIN_SCALE, _MIN_OPACITY = 1e-6, 1e-4  # so that logarithm and logit are finite
_TOLERANCE = 1e-3


@torch.no_grad()
def splat_at(scene: GaussianModel4D, frame_times: torch.Tensor) -> Types.SPLAT:
    """Return a scene at B times as a SPLAT whose tensors are [B, N, ...]."""
    deformed = scene.at(frame_times)
    count, size = len(deformed), deformed.means.shape[1]
    quats = torch.nn.functional.normalize(deformed.quats.expand(count, size, 4), dim=-1)
    positions, rotations = flip_splat_frame(deformed.means, quats)
    return Types.SPLAT(
        positions=positions.contiguous(),
        scales=deformed.log_scales.exp().expand(count, size, 3).contiguous(),
        rotations=rotations.contiguous(),
        opacities=deformed.logit_opacities.sigmoid().expand(count, size)[..., None].clone(),
        sh=deformed.sh0.expand(count, size, 1, 3).clone(),
        counts=None if deformed.counts is None else torch.tensor(deformed.counts),
    )


def frames_from(splat: Types.SPLAT) -> GaussianFrames:
    """Return a batch of splats as frames, related if all have the same number of Gaussians.

    Gaussians with a value that is not finite or too large are dropped, with a warning, as those of a PLY are.

    Raises:
        ValueError: if there are no valid Gaussians, values are not activated, or tensors do not match.
    """
    _check_shapes(splat)
    frames = [_gaussians_at(splat, index) for index in range(len(splat.positions))]
    if not any(len(frame) for frame in frames):
        raise ValueError("splat: the batch has no Gaussians; expected at least one.")
    return valid_frames(frames, [f"splat {index}" for index in range(len(frames))], "splat")


def gaussians_from(splat: Types.SPLAT) -> Gaussians:
    """Return the first splat of a batch as Gaussians in our world frame, without padding.

    Of the spherical harmonics only degree 0 is kept. Values that are not finite stay so.

    Raises:
        ValueError: if it has no Gaussians, its tensors do not match, or scales or opacities are no activated
            values.
    """
    _check_shapes(splat)
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
    _check_activated("scales", scales, "standard deviations", math.inf)
    _check_activated("opacities", opacities, "0 to 1", 1.0)
    means, quats = flip_splat_frame(positions, rotations)
    opacities = opacities.reshape(count)
    opacities = torch.where(opacities.isfinite(), opacities.clamp(_MIN_OPACITY, 1 - _MIN_OPACITY), math.nan)
    return Gaussians(
        means=means,
        log_scales=scales.clamp_min(_MIN_SCALE).log(),
        quats=quats,
        logit_opacities=logit(opacities),
        sh0=sh[:, :1].contiguous(),
    )


def _check_shapes(splat: Types.SPLAT) -> None:
    """Raise ValueError unless the tensors are those of one batch of splats."""
    lead = splat.positions.shape[:2]
    for name, size in {"positions": 3, "scales": 3, "rotations": 4, "opacities": 1}.items():
        shape = getattr(splat, name).shape
        if shape != (*lead, size):
            raise ValueError(f"splat: {name} have shape {list(shape)}; expected {[*lead, size]}.")
    if splat.sh.ndim != 4 or splat.sh.shape[:2] != lead or splat.sh.shape[-1] != 3 or not splat.sh.shape[2]:
        raise ValueError(f"splat: sh has shape {list(splat.sh.shape)}; expected {[*lead, 'K', 3]}.")
    if splat.counts is not None and int(splat.counts.max()) > lead[1]:
        raise ValueError(f"splat: counts has {int(splat.counts.max())}; expected at most {lead[1]}.")


def _check_activated(name: str, values: torch.Tensor, expected: str, most: float) -> None:
    """Raise ValueError if a finite value is below 0 or above a maximum, with a tolerance for rounding."""
    finite = values[values.isfinite()]
    if len(finite) and not -_TOLERANCE <= finite.min() <= finite.max() <= most + _TOLERANCE:
        raise ValueError(
            f"splat: {name} from {finite.min():g} to {finite.max():g}; expected {expected}, that is, "
            "activated values and no logarithms or logits."
        )
