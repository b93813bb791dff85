"""The given images at the size of the fit, and the targets of renders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.resizing import resize_with_alpha
from ..types import Cameras, ViewSet


class Targets(NamedTuple):
    """Targets of C renders of one frame.

    Attributes:
        images: [C, H, W, 3] composited on the backgrounds.
        alphas: [C, H, W].
    """

    images: Tensor
    alphas: Tensor


@dataclass(frozen=True, eq=False)
class TrainingViews:
    """All given images; camera 0 is the input's, the others are the posed views in order.

    Attributes:
        premultiplied: [F, 1 + V, S, S, 4] uint8 RGBA, color times alpha: a fourth of the memory of floats.
        cameras: 1 + V cameras of size S.
    """

    premultiplied: Tensor
    cameras: Cameras

    @classmethod
    def from_views(cls, views: ViewSet, size: int) -> TrainingViews:
        """Resize the input frames and the posed views to ``size`` pixels."""
        poses = (views.input_pose, *views.view_poses)
        premultiplied = torch.empty(views.num_frames, len(poses), size, size, 4, dtype=torch.uint8)
        for frame in range(views.num_frames):
            premultiplied[frame, 0] = _premultiplied_bytes(views.images[frame], views.alphas[frame], size)
            for view in range(views.num_views):
                premultiplied[frame, 1 + view] = _premultiplied_bytes(
                    views.view_images[frame, view], views.view_alphas[frame, view], size
                )
        return cls(premultiplied, Cameras.from_poses(poses, size, size))

    def to(self, device: torch.device | str) -> TrainingViews:
        """Return the same views on a device."""
        return TrainingViews(self.premultiplied.to(device), self.cameras.to(device))

    @property
    def num_frames(self) -> int:
        """Return F."""
        return self.premultiplied.shape[0]

    @property
    def num_cameras(self) -> int:
        """Return 1 + V."""
        return self.premultiplied.shape[1]

    @property
    def size(self) -> int:
        """Return S, pixels."""
        return self.premultiplied.shape[2]

    def scaled(self, size: int) -> Cameras:
        """Return the cameras for another image size, pixels."""
        Ks = self.cameras.Ks.clone()  # [1 + V, 3, 3]
        Ks[:, :2] *= size / self.size
        return Cameras(self.cameras.viewmats, Ks, size, size)

    def targets(self, frame: int, cameras: Tensor, backgrounds: Tensor, size: int) -> Targets:
        """Return the targets of renders of one frame.

        Args:
            frame: Frame index.
            cameras: [C] camera indices.
            backgrounds: [C, 3] RGB.
            size: Pixels; below S the images are averaged over areas.

        Returns:
            Targets of C renders.
        """
        rgba = self.premultiplied[frame, cameras].float() / 255  # [C, S, S, 4]
        if size != self.size:
            rgba = F.interpolate(rgba.permute(0, 3, 1, 2), size=(size, size), mode="area").permute(0, 2, 3, 1)
        alphas = rgba[..., 3]  # [C, size, size]
        images = rgba[..., :3] + (1 - alphas[..., None]) * backgrounds[:, None, None]
        return Targets(images, alphas)

    def on_white(self, camera: int) -> Targets:
        """Return one camera's images of all frames, [F, S, S, 3] on white, and their alphas."""
        white, chosen = torch.ones(1, 3), torch.tensor([camera])
        frames = [self.targets(frame, chosen, white, self.size) for frame in range(self.num_frames)]
        return Targets(torch.cat([one.images for one in frames]), torch.cat([one.alphas for one in frames]))


def _premultiplied_bytes(image: Tensor, alpha: Tensor, size: int) -> Tensor:
    """Return [size, size, 4] uint8, color times alpha, of an image [H, W, 3] and its alpha [H, W]."""
    if image.shape[0] != size:
        colors, resized_alpha = resize_with_alpha(image.numpy(), alpha.numpy(), size)
        image, alpha = (
            torch.from_numpy(np.ascontiguousarray(colors)),
            torch.from_numpy(np.ascontiguousarray(resized_alpha)),
        )
    rgba = torch.cat([image * alpha[..., None], alpha[..., None]], dim=-1)
    return (rgba.clamp(0, 1) * 255).round().byte()
