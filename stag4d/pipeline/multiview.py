"""Posed views of every frame of a clip: drawn by a multi-view model, cut out, and kept as a view set."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..data import UNFINISHED, remove_beyond, write_view_frame, write_view_poses
from ..data.view_layout import find_frames, find_views, poses_file
from ..diffusion import MultiViewModel, Progress, SamplingConfig, SeededNoise, sample_latents, sampling_key
from ..diffusion.sampling import StageCallback
from ..evaluation import TemporalDifferenceMeter, on_white, relative_flicker
from ..export import write_contact_sheet
from ..geometry import OrbitPose
from ..geometry.pose_json import read_json_object
from ..matting import BackgroundRemover, remove_background
from ..types import ViewSet

_logger = logging.getLogger(__name__)

_MADE = "multiview"  # field of views.json: what the call that finished a folder noted
_SHEET_FRAMES, _SHEET_TILE = 8, 160  # rows and pixels of the contact sheet's pictures, at most


def generate_views(
    model: MultiViewModel,
    images: Tensor,
    alphas: Tensor,
    noise: SeededNoise,
    config: SamplingConfig,
    *,
    input_elevation_deg: float = 0.0,
    fps: float = 8.0,
    cut: BackgroundRemover = remove_background,
    checkpoints: Path | None = None,
    on_stage: StageCallback = lambda stage, done, total: None,
    on_step: Callable[[Progress], None] = lambda progress: None,
    on_batch: Callable[[], None] = lambda: None,
) -> ViewSet:
    """Generate the views of a prepared clip, in memory.

    Args:
        model: Multi-view model.
        images: [F, S, S, 3] straight colors.
        alphas: [F, S, S].
        noise: Source of all draws.
        config: Steps, guidance, anchor.
        input_elevation_deg: Of the camera that took the clip, degrees, positive above.
        fps: Frames a second.
        cut: Takes the object out of a view.
        checkpoints: Folder for the state of a call that is interrupted; the same call goes on from it.
        on_stage: Called after each frame that is encoded or decoded and each diffusion step; it may raise.
        on_step: Called after each diffusion step with the latents; it may raise.
        on_batch: Called after each batch of frames within a step; it may raise.

    Returns:
        The clip with its views.

    Raises:
        ValueError: if a number is out of range or frames are not square.
    """
    config.check_clip(len(images))
    clip = _clip(model, images, alphas, input_elevation_deg, fps)
    checkpoint = None
    if checkpoints is not None:
        checkpoint = _checkpoint(checkpoints, sampling_key(model, images, alphas, noise, config))
    latents = sample_latents(
        model, images, alphas, noise, config,
        checkpoint=checkpoint, resume=True, on_stage=on_stage, on_step=on_step, on_batch=on_batch,
    )  # fmt: skip
    poses, side = model.grid.poses, model.grid.tile_size
    view_images = torch.empty(len(images), len(poses), side, side, 3)  # [F, V, s, s, 3]
    view_alphas = torch.empty(view_images.shape[:-1])  # [F, V, s, s]
    for frame, parts in enumerate(_cut_views(model, latents, cut, on_stage)):
        view_images[frame], view_alphas[frame] = parts
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return replace(clip, view_images=view_images, view_alphas=view_alphas, view_poses=poses)


def write_multiview(
    folder: Path,
    model: MultiViewModel,
    images: Tensor,
    alphas: Tensor,
    noise: SeededNoise,
    config: SamplingConfig,
    *,
    input_elevation_deg: float = 0.0,
    fps: float = 8.0,
    cut: BackgroundRemover = remove_background,
    resume: bool = False,
    on_stage: StageCallback = lambda stage, done, total: None,
    on_batch: Callable[[], None] = lambda: None,
) -> float | None:
    """Generate the views of a prepared clip into a view folder, frame by frame, with a contact sheet.

    What is interrupted leaves ``unfinished_*.latents`` in the folder; what is finished says so in
    ``views.json``. The other arguments are those of ``generate_views``.

    Args:
        folder: The view folder; made when it does not exist.
        resume: Whether to go on from what an interrupted call with the same clip, model and settings left; of
            one that was finished nothing is drawn again.

    Returns:
        The views' flicker against the clip's, see ``evaluation.relative_flicker``.

    Raises:
        ValueError: if a number is out of range, frames are not square, or what was left is damaged.
        RuntimeError: if a file cannot be written.
    """
    config.check_clip(len(images))
    clip = _clip(model, images, alphas, input_elevation_deg, fps)
    sampled = sampling_key(model, images, alphas, noise, config)
    key = _key(sampled, input_elevation_deg, fps, getattr(cut, "__qualname__", ""))
    made = _read_made(folder, len(images), len(model.grid.poses)) if resume else {}
    if made.get("key") == key:
        _logger.info("%s: finished before with the same settings; nothing is drawn again.", folder)
        return made.get("flicker")
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = _checkpoint(folder, sampled)
    latents = sample_latents(
        model, images, alphas, noise, config,
        checkpoint=checkpoint, resume=resume, on_stage=on_stage, on_batch=on_batch,
    )  # fmt: skip
    count = len(images)
    shown = set(torch.linspace(0, count - 1, min(count, _SHEET_FRAMES)).round().int().tolist())
    tile_size = min(_SHEET_TILE, model.grid.tile_size)
    rows: list[Tensor] = []
    clip_unrest, views_unrest = TemporalDifferenceMeter(), TemporalDifferenceMeter()
    write_view_poses(folder, clip.input_pose, model.grid.poses, fps)
    for frame, (views, view_alphas) in enumerate(_cut_views(model, latents, cut, on_stage)):
        picture = images[frame], alphas[frame]
        write_view_frame(folder, frame, picture, (views, view_alphas))
        clip_unrest.add(on_white(*picture))
        views_unrest.add(on_white(views, view_alphas))
        if frame in shown:
            tiles = [(images[frame], alphas[frame]), *zip(views, view_alphas, strict=True)]
            rows += [_tile(*tile, tile_size) for tile in tiles]
    remove_beyond(folder, count, len(model.grid.poses))
    write_contact_sheet(folder / "views.png", torch.stack(rows), columns=1 + len(model.grid.poses))
    flicker = relative_flicker(views_unrest, clip_unrest)
    made = {"key": key, "flicker": flicker}
    write_view_poses(folder, clip.input_pose, model.grid.poses, fps, {_MADE: made})
    for left in folder.glob(UNFINISHED.format("*")):
        left.unlink()
    return flicker


def _cut_views(
    model: MultiViewModel, latents: Tensor, cut: BackgroundRemover, on_stage: StageCallback
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield straight colors [V, s, s, 3] and alphas [V, s, s] of each frame's views."""
    num_doubtful, blank = 0, []
    for frame in range(len(latents)):
        parts = [cut(view) for view in model.decode(latents[frame])]
        num_doubtful += sum(not is_plain for _, _, is_plain in parts)
        blank += [
            f"view {view} of frame {frame}" for view, (_, alpha, _) in enumerate(parts) if not alpha.any()
        ]
        yield torch.stack([colors for colors, _, _ in parts]), torch.stack([alpha for _, alpha, _ in parts])
        on_stage("decode", frame + 1, len(latents))
    if blank:
        _logger.warning(
            "%d views show nothing, %s first; a fit refuses them. Try another seed.", len(blank), blank[0]
        )
    if num_doubtful:
        _logger.warning(
            "%d of %d views have no plain background; their mattes are guesses. Look at the views: more "
            "steps, another seed or an input elevation nearer the truth may help.",
            num_doubtful, len(latents) * len(model.grid.poses),
        )  # fmt: skip


def _clip(model: MultiViewModel, images: Tensor, alphas: Tensor, elevation_deg: float, fps: float) -> ViewSet:
    """Return the frames as a set without views, which checks them; distance and lens are the rig's."""
    first = model.grid.poses[0]
    pose = OrbitPose(
        azimuth_deg=0.0, elevation_deg=elevation_deg, radius=first.radius, fovy_deg=first.fovy_deg
    )
    none = torch.zeros(len(images), 0, 1, 1, 3)
    return ViewSet(images, alphas, none, none[..., 0], pose, (), fps)


def _key(*settings: object) -> str:
    """Return a hash of all that decides the pictures of a view folder."""
    return hashlib.sha256(repr(settings).encode()).hexdigest()


def _read_made(folder: Path, num_frames: int, num_views: int) -> dict[str, Any]:
    """Return what a folder says of the call that finished it; nothing if it has not every frame and view."""
    try:
        frames = find_frames(folder)
        is_whole = (len(frames), len(find_views(folder, len(frames))[0])) == (num_frames, num_views)
        made = read_json_object(poses_file(folder)).get(_MADE)
    except (FileNotFoundError, ValueError):
        return {}
    return made if is_whole and isinstance(made, dict) else {}


def _checkpoint(folder: Path, key: str) -> Path:
    """Return where a folder keeps the state of an interrupted call."""
    return folder / UNFINISHED.format(key[:16])


def _tile(image: Tensor, alpha: Tensor, size: int) -> Tensor:
    """Return a picture on white, [size, size, 3]."""
    white = on_white(image, alpha).permute(2, 0, 1)[None]  # [1, 3, S, S]
    resized = interpolate(white, size=(size, size), mode="bilinear", antialias=True)
    return resized[0].permute(1, 2, 0).clamp(0, 1)
