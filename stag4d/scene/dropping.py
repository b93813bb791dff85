"""Drop Gaussians with values that are not finite or too large, and warn of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch

from .frames import GaussianFrames, pad_frames, stack_frames
from .gaussians import MAX_MAGNITUDE, Gaussians, valid_rows

_logger = logging.getLogger(__name__)


def drop_invalid(gaussians: Gaussians, subject: str) -> Gaussians:
    """Return the valid Gaussians, see ``valid_rows``, and warn of the others.

    Args:
        gaussians: N Gaussians.
        subject: Begins the messages.

    Raises:
        ValueError: if there are Gaussians, but none is valid.
    """
    is_valid = valid_rows(gaussians)
    count, num_invalid = len(is_valid), int((~is_valid).sum())
    if not num_invalid:
        return gaussians
    if num_invalid == count:
        raise ValueError(
            f"{subject}: no Gaussian has only finite numbers below {MAX_MAGNITUDE:g}; expected splats."
        )
    _logger.warning(
        "%s: dropped %d of %d Gaussians, with numbers that are not finite or too large.",
        subject,
        num_invalid,
        count,
    )
    return gaussians.map(lambda values: values[is_valid])


def valid_frames(frames: Sequence[Gaussians], subjects: Sequence[str], subject: str) -> GaussianFrames:
    """Return the valid Gaussians of frames, and warn of the others.

    Frames with equal numbers of Gaussians are taken for the same Gaussians: one that is invalid in one of the
    frames is dropped in all of them.

    Args:
        frames: One or more frames.
        subjects: Begin the messages about one frame.
        subject: Begins the messages about all frames.

    Raises:
        ValueError: if a frame, or all related frames together, have Gaussians, but no valid ones, or the
            numbers of Gaussians differ too much.
    """
    if len(frames) == 1 or len({len(frame) for frame in frames}) > 1:
        kept = [drop_invalid(frame, name) for frame, name in zip(frames, subjects, strict=True)]
        try:
            return stack_frames(kept) if len(kept) == 1 else pad_frames(kept)
        except ValueError as error:
            raise ValueError(f"{subject}: {error}") from error
    is_valid = torch.stack([valid_rows(frame) for frame in frames]).all(dim=0)
    count, num_valid = len(is_valid), int(is_valid.sum())
    if count and not num_valid:
        raise ValueError(
            f"{subject}: no Gaussian has finite numbers below {MAX_MAGNITUDE:g} in all frames; expected "
            "splats."
        )
    if num_valid < count:
        _logger.warning(
            "%s: dropped %d of %d Gaussians, with numbers that are not finite or too large in some frames.",
            subject,
            count - num_valid,
            count,
        )
        frames = [frame.map(lambda values: values[is_valid]) for frame in frames]
    return stack_frames(frames)
