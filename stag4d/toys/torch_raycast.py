"""The ray caster where Numba does not load: all rays of some rows at once, in torch."""

from __future__ import annotations

import torch
from torch import Tensor

from ..types import Cameras
from .materials import Materials
from .shapes import Solids, first_hits


class RowTracer:
    """Renders rows of an image; see ``numba_raycast.RowTracer``, which is many times faster."""

    def __init__(self, solids: Solids, materials: Materials, camera: Cameras, supersample: int) -> None:
        self._solids, self._materials = solids, materials
        self._camera, self._supersample = camera, supersample

    def __call__(self, first: int, last: int) -> tuple[Tensor, Tensor, Tensor]:
        """Render the rows from ``first`` up to but excluding ``last``; see ``numba_raycast.RowTracer``."""
        sums = self._traced_sums(first, last) / self._supersample**2  # [h, W, 5]
        alphas = sums[..., 3]
        is_hit = alphas > 0
        straight = sums / alphas.masked_fill(~is_hit, 1.0)[..., None]
        return straight[..., :3].clamp(0, 1).masked_fill(~is_hit[..., None], 1.0), alphas, straight[..., 4]

    def _traced_sums(self, first: int, last: int) -> Tensor:
        """Return RGB, number of hits and camera z, summed over each pixel's rays, [h, W, 5]."""
        origins, directions, cosines = self._rays(first, last)
        samples = torch.zeros(len(cosines), 5)
        hits = first_hits(origins, directions, self._solids)
        ids, points = hits.ids.reshape(-1), hits.points.reshape(-1, 3)  # [R], [R, 3]
        is_hit = (ids >= 0).nonzero()[:, 0]
        colors = self._materials.colors_at(ids[is_hit], points[is_hit])
        depths = hits.distances.reshape(-1)[is_hit] * cosines[is_hit]
        samples[is_hit] = torch.cat([colors, torch.ones_like(colors[:, :1]), depths[:, None]], dim=1)
        grid = (last - first, self._supersample, self._camera.width, self._supersample, 5)
        return samples.reshape(grid).sum(dim=(1, 3))

    def _rays(self, first: int, last: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return the rays in the world, row by row.

        Returns:
            Origins and unit directions, [1, 3] and [1, R, 3] or, if orthographic, [R, 3] and [R, 1, 3], and
            camera z per distance [R].
        """
        supersample = self._supersample
        xs = (torch.arange(self._camera.width * supersample) + 0.5) / supersample
        ys = (torch.arange(first * supersample, last * supersample) + 0.5) / supersample
        rows, columns = (axis.reshape(-1) for axis in torch.meshgrid(ys, xs, indexing="ij"))  # [R]
        pixels = torch.stack([columns, rows, torch.ones_like(rows)], dim=-1)  # [R, 3]
        rays = pixels @ torch.linalg.inv(self._camera.Ks[0]).T  # [R, 3], camera axes, z = 1
        axes = self._camera.viewmats[0, :3, :3]  # rows: the camera's axes in the world
        if self._camera.projection == "ortho":
            origins = self._camera.centers + rays[:, :2] @ axes[:2]
            return origins, axes[2].expand(len(rays), 1, 3), torch.ones(len(rays))
        cosines = 1 / rays.norm(dim=-1)
        directions = cosines[..., None] * rays @ axes
        return self._camera.centers, directions[None], cosines
