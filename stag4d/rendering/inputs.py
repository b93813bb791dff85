"""``RasterInputs``: the checked inputs of one rasterization, the only argument of every backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from ..geometry import Projection, check_projection

RENDER_MODES = ("RGB", "D", "ED", "RGB+D", "RGB+ED")

# renders [C, H, W, D'], alphas [C, H, W, 1] and meta, see ``rendering.rasterize``
Rasterization: TypeAlias = tuple[Tensor, Tensor, dict[str, Any]]


@dataclass(frozen=True, eq=False, kw_only=True)
class RasterInputs:
    """N Gaussians, or T sets of them, C cameras and the options of a call; see ``rendering.rasterize``.

    Raises:
        TypeError: One of the tensors is not a ``torch.Tensor``.
        ValueError: Shapes, dtypes, devices or options do not fit.
    """

    means: Tensor  # [N, 3] or [T, N, 3], world units
    quats: Tensor  # [N, 4] or [T, N, 4] wxyz, of any norm but zero
    scales: Tensor  # [N, 3] or [T, N, 3] standard deviations, world units
    opacities: Tensor  # [N] or [T, N] in [0, 1]
    colors: Tensor  # [N, D] or [C, N, D]
    viewmats: Tensor  # [C, 4, 4] world-to-camera, OpenCV axes
    Ks: Tensor  # [C, 3, 3] pixels; focals of orthographic cameras: pixels per world unit
    width: int  # pixels
    height: int  # pixels
    backgrounds: Tensor | None = None  # [C, D]
    near_plane: float = 0.01  # world units
    eps2d: float = 0.3  # square pixels
    render_mode: str = "RGB"
    projection: Projection = "pinhole"  # of all cameras
    cameras_per_set: tuple[int, ...] | None = None  # how many consecutive cameras render each of T sets

    def __post_init__(self) -> None:
        self._check_options()
        tensors = {
            "means": self.means,
            "quats": self.quats,
            "scales": self.scales,
            "opacities": self.opacities,
            "colors": self.colors,
            "viewmats": self.viewmats,
            "Ks": self.Ks,
        }
        if self.backgrounds is not None:
            tensors["backgrounds"] = self.backgrounds
        _check_dtypes_and_devices(tensors)
        _check_shapes(tensors, self.cameras_per_set)

    @property
    def num_gaussians(self) -> int:
        """N."""
        return self.means.shape[-2]

    @property
    def num_cameras(self) -> int:
        """C."""
        return self.viewmats.shape[0]

    @property
    def renders_colors(self) -> bool:
        """Whether the renders have color channels."""
        return self.render_mode not in ("D", "ED")

    @property
    def renders_depth(self) -> bool:
        """Whether the last channel of the renders is depth."""
        return self.render_mode != "RGB"

    @property
    def renders_expected_depth(self) -> bool:
        """Whether that depth is divided by alpha."""
        return self.render_mode.endswith("ED")

    def meta(self, means2d: Tensor, radii: Tensor, depths: Tensor) -> dict[str, Any]:
        """Return the meta dictionary of ``rasterize`` for projected Gaussians.

        Args:
            means2d: [C, N, 2] pixels.
            radii: [C, N, 2] int32, pixels; 0 where culled.
            depths: [C, N] camera z.
        """
        return {
            "means2d": means2d,
            "radii": radii,
            "depths": depths,
            "width": self.width,
            "height": self.height,
            "n_cameras": self.num_cameras,
            "gaussian_ids": None,
        }

    def _check_options(self) -> None:
        for name, value in (("width", self.width), ("height", self.height)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}: {value!r} pixels; expected a positive integer.")
        if not self.near_plane > 0:
            raise ValueError(f"near_plane: {self.near_plane!r}; expected a positive distance.")
        if not self.eps2d >= 0:
            raise ValueError(f"eps2d: {self.eps2d!r}; expected a variance of at least 0 square pixels.")
        if self.render_mode not in RENDER_MODES:
            expected = ", ".join(RENDER_MODES)
            raise ValueError(f"render_mode: unknown {self.render_mode!r}; expected one of {expected}.")
        check_projection(self.projection, "camera_model")


def _check_dtypes_and_devices(tensors: dict[str, Tensor]) -> None:
    """Check that all are tensors of the means' floating dtype and device."""
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name}: is a {type(tensor).__name__}; expected a torch.Tensor.")
    means = tensors["means"]
    if means.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"means: have dtype {means.dtype}; expected torch.float32 or torch.float64.")
    for name, tensor in tensors.items():
        if tensor.dtype != means.dtype:
            raise ValueError(f"{name}: have dtype {tensor.dtype}; expected {means.dtype} like the means.")
        if tensor.device != means.device:
            raise ValueError(f"{name}: are on {tensor.device}; expected {means.device} like the means.")


def _check_shapes(tensors: dict[str, Tensor], cameras_per_set: tuple[int, ...] | None) -> None:
    """Check all shapes against N of the means, C of the viewmats, D of the colors and the number of sets."""
    means, viewmats, colors = tensors["means"], tensors["viewmats"], tensors["colors"]
    sets = () if cameras_per_set is None else (len(cameras_per_set),)
    if means.ndim != len(sets) + 2 or means.shape[:-2] != sets or means.shape[-1] != 3:
        expected_means = f"[{sets[0]}, N, 3]" if sets else "[N, 3]"
        raise ValueError(f"means: have shape {list(means.shape)}; expected {expected_means}.")
    if viewmats.ndim != 3 or viewmats.shape[0] < 1 or viewmats.shape[1:] != (4, 4):
        raise ValueError(f"viewmats: have shape {list(viewmats.shape)}; expected [C, 4, 4], C at least 1.")
    n, c = means.shape[-2], viewmats.shape[0]
    if cameras_per_set is not None and (min(cameras_per_set, default=0) < 0 or sum(cameras_per_set) != c):
        raise ValueError(f"cameras_per_set: {cameras_per_set}; expected the numbers of {c} cameras.")
    if colors.ndim not in (2, 3) or colors.shape[:-1] not in ((n,), (c, n)) or colors.shape[-1] < 1:
        raise ValueError(f"colors: have shape {list(colors.shape)}; expected [{n}, D] or [{c}, {n}, D].")
    expected = {
        "quats": (*sets, n, 4),
        "scales": (*sets, n, 3),
        "opacities": (*sets, n),
        "Ks": (c, 3, 3),
        "backgrounds": (c, colors.shape[-1]),
    }
    for name, shape in expected.items():
        if name in tensors and tensors[name].shape != shape:
            raise ValueError(f"{name}: have shape {list(tensors[name].shape)}; expected {list(shape)}.")
