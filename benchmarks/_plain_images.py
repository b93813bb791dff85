"""Synthetic images of one object with known alpha in front of a plain background.

Positions and lengths are in 1/128 of the image's side, x to the right and y down. Values are 0..1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor

SIDE = 128
RED, GRAY, PURPLE = (0.8, 0.2, 0.1), (0.45, 0.45, 0.45), (0.3, 0.2, 0.5)
WHITE, BLACK, DARK = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (0.06, 0.06, 0.06)
GREEN_WALL, GRAY_WALL = (0.6, 0.7, 0.6), (0.85, 0.85, 0.85)


class Frames(NamedTuple):
    """An image, or the frames of a video.

    Attributes:
        images: [F, S, S, 3].
        alphas: [F, S, S] of the object.
    """

    images: Tensor
    alphas: Tensor


class Canvas:
    """Shapes on a square image of S pixels; each is the share of every pixel that it covers, [S, S].

    Attributes:
        x: [S, S] of the pixel centers.
        y: [S, S].
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.y, self.x = _grid(size)
        self._samples_y, self._samples_x = _grid(4 * size)

    def disk(self, x: float, y: float, radius: float) -> Tensor:
        """Return a disk around (x, y)."""
        return self._coverage((self._samples_x - x) ** 2 + (self._samples_y - y) ** 2 <= radius**2)

    def ring(self, x: float, y: float, outer: float, inner: float) -> Tensor:
        """Return a ring around (x, y) between two radii."""
        return self.disk(x, y, outer) - self.disk(x, y, inner)

    def box(self, left: float, top: float, right: float, bottom: float) -> Tensor:
        """Return a box with its edges at the given positions."""
        x, y = self._samples_x, self._samples_y
        return self._coverage((x >= left) & (x < right) & (y >= top) & (y < bottom))

    def _coverage(self, inside: Tensor) -> Tensor:
        return inside.float().reshape(self.size, 4, self.size, 4).mean(dim=(1, 3))


def holes(canvas: Canvas) -> dict[str, Frames]:
    """Return objects through which the white background is seen."""
    handle = canvas.ring(84, 65, 20, 13)
    plate = canvas.box(20, 20, 108, 108)
    for left in range(26, 111, 17):
        for top in range(26, 111, 17):
            plate = plate - canvas.box(left, top, left + 9, top + 9)
    wires = [canvas.box(left, 20, left + 3, 103) for left in range(20, 101, 16)]
    wires += [canvas.box(20, top, 103, top + 3) for top in range(20, 101, 16)]
    alphas = {
        "ring": canvas.ring(60, 64, 40, 23),
        "mug with a handle": torch.maximum(canvas.box(25, 40, 80, 100), handle),
        "lattice of 25 holes": plate,
        "grid of wires": reduce(torch.maximum, wires),
    }
    return {name: _frame(_over(_wall(canvas, WHITE), alpha, RED), alpha) for name, alpha in alphas.items()}


def eyes_and_highlight(canvas: Canvas) -> Iterator[Frames]:
    """Yield red balls on white: with a white eye, with eyes with pupils, and with a white highlight."""
    ball = canvas.disk(64, 64, 44)
    plain = _over(_wall(canvas, WHITE), ball, RED)
    yield _frame(_over(plain, canvas.disk(70, 58, 9), WHITE), ball)
    image = plain
    for x in (50, 78):
        image = _over(_over(image, canvas.disk(x, 50, 9), WHITE), canvas.disk(x, 50, 4), BLACK)
    yield _frame(image, ball)
    distance_sq = (canvas.x - 48) ** 2 + (canvas.y - 44) ** 2
    shine = (1.4 * torch.exp(-distance_sq / 12**2)).clamp(max=1)
    yield _frame(_over(_wall(canvas, WHITE), ball, _over(_wall(canvas, RED), shine, WHITE)), ball)


def shirts(canvas: Canvas) -> dict[str, list[Frames]]:
    """Return persons with white shirts on white: shaded ones, and one of exactly the background's color."""
    legs = torch.maximum(canvas.box(40, 36, 88, 80), canvas.box(48, 80, 80, 118))
    body = torch.maximum(canvas.disk(64, 25, 12), legs)
    plain = _over(_wall(canvas, WHITE), body, PURPLE)
    shades = {
        "folds": 0.98 - 0.03 * torch.sin(canvas.x / 5),
        "from the side": 1 - 0.025 * (canvas.x - 47) / 34,
        "exact": torch.ones_like(canvas.x),
    }
    found = {}
    for name, shade in shades.items():
        shirt = _over(plain, canvas.box(47, 42, 81, 78), shade[..., None].expand(-1, -1, 3))
        found[name] = _frame(shirt, body)
    return {"shaded": [found["folds"], found["from the side"]], "exact": [found["exact"]]}


def vignette(canvas: Canvas, depth: float) -> Frames:
    """Return a red ball in front of a wall whose brightness falls by ``depth`` to the corners."""
    distance_sq = ((canvas.x - 64) ** 2 + (canvas.y - 64) ** 2) / (2 * 64**2)
    return _lit_ball(canvas, 0.9 * (1 - depth * distance_sq))


def lamp_from_above(canvas: Canvas) -> Frames:
    """Return a red ball in front of a wall under a lamp above the image: inverse square law and Lambert."""
    distance_sq = (canvas.x - 64) ** 2 + (canvas.y + 10) ** 2
    return _lit_ball(canvas, 0.95 * (1 + distance_sq / 150**2) ** -1.5)


def shadow(canvas: Canvas, color: Sequence[float], depth: float, width: float) -> Frames:
    """Return a shaded ball above its shadow, which is ``depth`` darker in the middle, on a gray wall."""
    distance_sq = ((canvas.x - 64) / (2.5 * width)) ** 2 + ((canvas.y - 90) / width) ** 2
    floor = _wall(canvas, GRAY_WALL) * (1 - depth * torch.exp(-distance_sq / 2))[..., None]
    ball = canvas.disk(64, 62, 25)
    shade = 0.55 + 0.45 * (0.8 * (62 - canvas.y) + 0.3 * (64 - canvas.x)) / 25
    return _frame(_over(floor, ball, torch.tensor(color) * shade.clamp(0.3, 1)[..., None]), ball)


def shaded_gray_ball(canvas: Canvas) -> Frames:
    """Return a gray ball that is lit from the camera, dark at its rim, on a gray wall."""
    normal_z = (1 - ((canvas.x - 64) ** 2 + (canvas.y - 62) ** 2) / 25**2).clamp_min(0).sqrt()
    ball = canvas.disk(64, 62, 25)
    color = (0.2 + 0.6 * normal_z)[..., None].expand(-1, -1, 3)
    return _frame(_over(_wall(canvas, GRAY_WALL), ball, color), ball)


def moving_ball(canvas: Canvas, num_frames: int) -> Frames:
    """Return frames of a red ball that moves to the right in front of a green wall."""
    frames = [canvas.disk(58 + 4 * frame, 64, 18) for frame in range(num_frames)]
    images = [_over(_wall(canvas, GREEN_WALL), alpha, RED) for alpha in frames]
    return Frames(torch.stack(images), torch.stack(frames))


def with_bars(frames: Frames, color: Sequence[float], widths: Sequence[float]) -> Frames:
    """Return frames with bars of the given widths at the top, bottom, left and right; 0 for none."""
    images = frames.images.clone()
    size = images.shape[1]
    top, bottom, left, right = (round(width * size / SIDE) for width in widths)
    fill = torch.tensor(color)
    images[:, :top] = images[:, size - bottom :] = fill
    images[:, :, :left] = images[:, :, size - right :] = fill
    return Frames(images, frames.alphas)


def _lit_ball(canvas: Canvas, brightness: Tensor) -> Frames:
    """Return a red ball in front of a white wall of a brightness [S, S]."""
    ball = canvas.disk(68, 60, 25)
    return _frame(_over(brightness[..., None].expand(-1, -1, 3), ball, RED), ball)


def _grid(count: int) -> tuple[Tensor, Tensor]:
    """Return y and x, each [count, count], of the centers of equal cells."""
    positions = (torch.arange(count) + 0.5) * SIDE / count
    y, x = torch.meshgrid(positions, positions, indexing="ij")
    return y, x


def _wall(canvas: Canvas, color: Sequence[float]) -> Tensor:
    return torch.tensor(color).expand(canvas.size, canvas.size, 3)


def _over(background: Tensor, alpha: Tensor, color: Sequence[float] | Tensor) -> Tensor:
    """Return a color, [3] or [S, S, 3], composited over a background [S, S, 3] with an alpha [S, S]."""
    share = alpha[..., None]
    return share * torch.as_tensor(color) + (1 - share) * background


def _frame(image: Tensor, alpha: Tensor) -> Frames:
    return Frames(image[None], alpha[None])
