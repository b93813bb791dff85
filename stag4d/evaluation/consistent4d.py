"""The evaluation protocol of Consistent4D (Jiang et al., ICLR 2024): its folders and its measurements.

The facts are those of yanqinJiang/Consistent4D at commit e6d3e25 and of its issues. The input camera has
azimuth 0; the four test cameras differ from it in azimuth only (issue 12, the data's readme), by
``AZIMUTHS_DEG``, and elevations are 0 (issue 10). Ground truth is composited on white (README, Evaluation).
All images are resized to 512 x 512 pixels, bicubic as 8-bit images, then measured; means are over frames,
then views, then objects (``evaluation/compute_image_level_metrics.py``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..data.png import read_image
from ..progress import Monitor, silent
from .learned import LearnedMetrics
from .metrics import masked_psnr, on_white, psnr, ssim, summarize

AZIMUTHS_DEG = (-75.0, 15.0, 105.0, 195.0)  # of eval_0 to eval_3, from the input camera's
MEASURED_SIZE = 512  # pixels
FRAME_FILE = re.compile(r"([0-9]{1,9})\.png")
_VIEW_FOLDER = re.compile(r"eval_[0-9]+")
_LAYOUT = "eval_0/0.png, eval_0/1.png, ... to eval_3"


@dataclass(frozen=True)
class EvaluationViews:
    """Images of one object from the four test cameras, on disk.

    Attributes:
        subject: What they are, for messages.
        files: The files of F frames, by view.
        size: Width and height of the images, pixels.
    """

    subject: str
    files: tuple[tuple[Path, ...], ...]
    size: int

    @property
    def num_frames(self) -> int:
        """Return F."""
        return len(self.files[0])

    def read(self, frame: int) -> tuple[Tensor, Tensor | None]:
        """Return a frame from all views: images on white [V, S, S, 3], and alphas [V, S, S], float32.

        The alphas are None if an image has none.

        Raises:
            ValueError: if a file is damaged or of another size.
        """
        pairs = [self._read(files[frame]) for files in self.files]
        alphas = [alpha for _, alpha in pairs if alpha is not None]
        images = torch.stack([image if alpha is None else on_white(image, alpha) for image, alpha in pairs])
        return images, torch.stack(alphas) if len(alphas) == len(pairs) else None

    def _read(self, path: Path) -> tuple[Tensor, Tensor | None]:
        """Return colors [S, S, 3] and alpha [S, S] of a file."""
        colors, alpha = read_image(path)
        if colors.shape[:2] != (self.size, self.size):
            raise ValueError(
                f"{path}: {colors.shape[1]}x{colors.shape[0]} pixels; expected {self.size}x{self.size}, as "
                f"the first of the {self.subject} has."
            )
        return torch.from_numpy(colors), None if alpha is None else torch.from_numpy(alpha)


def find_objects(folder: str | Path, subject: str) -> dict[str, Path]:
    """Return the folders of objects by name: those in a folder, or the folder itself under the name ``""``.

    Args:
        folder: Holds ``eval_0``, ..., or one folder with these per object.
        subject: What the folder holds, for messages.

    Raises:
        FileNotFoundError: if there are none.
    """
    root = Path(folder)
    if (root / "eval_0").is_dir():
        return {"": root}
    if not root.is_dir():
        raise FileNotFoundError(f"{subject}: {root} does not exist; expected a folder with {_LAYOUT}.")
    found = {entry.name: entry for entry in sorted(root.iterdir()) if (entry / "eval_0").is_dir()}
    if not found:
        raise FileNotFoundError(
            f"{subject}: {root} has no eval_0; expected {_LAYOUT}, or one folder with these per object."
        )
    return found


def find_evaluation_views(folder: Path, subject: str) -> EvaluationViews:
    """Find the images of one object.

    Args:
        folder: Holds ``eval_{v}/{f}.png``; v counts the test cameras, f the frames, from 0.
        subject: What the images are, for messages.

    Raises:
        FileNotFoundError: if a view or a frame is missing.
        ValueError: if there are other views, the views have unequal numbers of frames, two files have the
            same number, or the first image is damaged or not square.
    """
    names = [f"eval_{view}" for view in range(len(AZIMUTHS_DEG))]
    for name in names:
        if not (folder / name).is_dir():
            raise FileNotFoundError(f"{subject}: {folder / name} is missing; expected {_LAYOUT}.")
    present = {entry.name for entry in folder.iterdir() if _VIEW_FOLDER.fullmatch(entry.name)}
    if others := sorted(present - set(names)):
        raise ValueError(f"{subject}: {folder} has {others[0]}; expected four views, eval_0 to eval_3.")
    files = tuple(_frames(folder / name, subject) for name in names)
    for name, found in zip(names, files, strict=True):
        if len(found) != len(files[0]):
            raise ValueError(
                f"{subject}: {folder / name} has {len(found)} frames, eval_0 has {len(files[0])}; expected "
                "the same number in each view."
            )
    height, width = read_image(files[0][0])[0].shape[:2]
    if height != width:
        raise ValueError(f"{files[0][0]}: {width}x{height} pixels; expected a square image.")
    return EvaluationViews(subject, files, height)


def evaluate_views(
    truth: EvaluationViews,
    images_of: Callable[[int], Tensor],
    learned: LearnedMetrics,
    monitor: Monitor = silent,
    size: int = MEASURED_SIZE,
) -> dict[str, Any]:
    """Measure images of one object against its ground truth.

    Args:
        truth: Ground truth of V views and F frames.
        images_of: Returns the images of a frame, on white, [V, S, S, 3].
        learned: Networks of LPIPS and CLIP-S.
        monitor: Progress callback, called after each frame with the stage ``evaluate``.
        size: Pixels on a side at which images are measured.

    Returns:
        ``lpips`` and ``clip_s`` where their networks are given, ``psnr``, ``psnr_masked`` where all images of
        the ground truth have alpha, and ``ssim``: means over frames, then views; ``per_view`` has the same
        names with lists of V means over frames.

    Raises:
        ValueError: if a file is damaged or of another size.
        Interrupted: if the monitor cancels.
    """
    by_frame: list[dict[str, Tensor]] = []  # [V] each
    for frame in range(truth.num_frames):
        true_images, alphas = truth.read(frame)
        images, true_images = _resized(images_of(frame), size), _resized(true_images, size)
        scores = learned.measure(images, true_images)
        scores["psnr"] = psnr(images, true_images)
        if alphas is not None:
            scores["psnr_masked"] = masked_psnr(images, true_images, _resized(alphas, size))
        scores["ssim"] = ssim(images, true_images)
        by_frame.append(scores)
        monitor("evaluate", frame + 1, truth.num_frames)
    names = [name for name in by_frame[0] if all(name in scores for scores in by_frame)]
    return summarize({name: torch.stack([scores[name] for scores in by_frame], dim=1) for name in names})


def _frames(folder: Path, subject: str) -> tuple[Path, ...]:
    """Return the files of a view by frame, from 0; raises an error if they are not numbered so."""
    found: dict[int, Path] = {}
    for path in _numbered(folder):
        number = int(path.stem)
        if number in found:
            raise ValueError(
                f"{subject}: {found[number]} and {path.name} have the same number; remove one of them."
            )
        found[number] = path
    if not found:
        raise FileNotFoundError(f"{subject}: {folder} has no images; expected 0.png, 1.png, ...")
    for number in range(len(found)):
        if number not in found:
            raise FileNotFoundError(
                f"{subject}: {folder / f'{number}.png'} is missing, the last frame is {max(found)}; expected "
                "every frame from 0."
            )
    return tuple(found[number] for number in range(len(found)))


def _numbered(folder: Path) -> Iterable[Path]:
    """Return the files of a folder that are named as frames, sorted by name."""
    return sorted(entry for entry in folder.iterdir() if FRAME_FILE.fullmatch(entry.name))


def _resized(values: Tensor, size: int) -> Tensor:
    """Return images [V, S, S, 3] or alphas [V, S, S] at another size, rounded to 8 bits; float32 0..1."""
    quantized = (values.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    resized = [
        np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC))
        for image in quantized
    ]
    return torch.from_numpy(np.stack(resized)).float() / 255
