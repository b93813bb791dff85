"""Do other cameras or another order explain the silhouettes of a view set better than those it has?

The visual hull of one frame is carved by all silhouettes, and each is compared with the projection of the
hull: with the right cameras it is covered. Covered shares rank arrangements of the same images. They do not
show a rotation of all cameras about the vertical, nor the sign of the azimuths of a level orthographic ring,
which explain the silhouettes equally well.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..geometry import (
    CAMERA_RIGS,
    VIEW_ORDERS,
    ViewOrder,
    input_camera,
    rig_cameras,
    view_indices,
    viewmats_from_angles,
)
from ..geometry.orbit import MAX_ELEVATION_DEG
from ..progress import Check, never_cancel
from ..scene import sample_image
from ..types import Cameras
from ..view_set import ViewSet, ViewTrack

_logger = logging.getLogger(__name__)

MIN_GAIN = 0.02  # of the median share above which another arrangement is reported
_BOUND = 1.1  # half extent of the carved cube, world units: more than any camera of a rig sees
_COARSE, _FINE = 40, 72  # voxels along the cube's edge, in all and around the object
_MAX_TRACKS = 24  # others are left out, evenly
_OPAQUE = 0.5

View = tuple[Tensor, Cameras]  # alpha [H, W] and camera


class Arrangement(NamedTuple):
    """How well cameras explain the silhouettes of a frame.

    Attributes:
        name: What the cameras or the order are.
        shares: [V] share of each silhouette that the visual hull covers.
    """

    name: str
    shares: Tensor

    @property
    def median(self) -> float:
        """Return the median share."""
        return self.shares.median().item() if len(self.shares) else 0.0


def check_rig(
    views: ViewSet, order: ViewOrder | None = None, check: Check = never_cancel
) -> tuple[Arrangement, Arrangement | None]:
    """Compare the cameras of a set with other arrangements, and log a warning if one explains it better.

    Tried are the other order of the images, mirrored azimuths, the other sign of the elevations, elevations
    relative to the input's or absolute, and all known rigs with as many views. Nothing is changed.

    Args:
        views: The set.
        order: Order in which its images came; None if they came one file per view.
        check: Called between arrangements; raises an exception to cancel.

    Returns:
        The arrangement of the set, and the best other one if it is better by more than ``MIN_GAIN``.
    """
    given = Arrangement("the given cameras", silhouette_shares(_first_views(views)))
    best: Arrangement | None = None
    for name, make_views in _alternatives(views, order):
        check()
        arrangement = Arrangement(name, silhouette_shares(make_views()))
        if best is None or arrangement.median > best.median:
            best = arrangement
    if best is None or best.median <= given.median + MIN_GAIN:
        return given, None
    _logger.warning(
        "views: the given cameras explain %.0f %% of the silhouettes, %s would explain %.0f %%. The given "
        "cameras are used.",
        100 * given.median,
        best.name,
        100 * best.median,
    )
    return given, best


def _first_views(views: ViewSet) -> list[View]:
    """Return the first frame of all tracks, or of evenly spaced ones if there are many."""
    step = -(-len(views.tracks) // _MAX_TRACKS)
    return [(track.at(0)[1], track.camera(0)) for track in views.tracks[::step]]


def _alternatives(views: ViewSet, order: ViewOrder | None) -> Iterator[tuple[str, Callable[[], list[View]]]]:
    """Yield names of other arrangements of the same images, and functions that return their first frame."""
    reference = None if views.reference is None else views.reference_track
    pose = None if reference is None else reference.orbit_pose
    elevation = 0.0 if pose is None else pose.elevation_deg

    def with_views(changed: Callable[[Cameras], Cameras]) -> Callable[[], list[View]]:
        tracks = [replace(track, cameras=changed(track.cameras), pose=None) for track in views.views]
        kept = () if reference is None else (reference,)
        return lambda: _first_views(ViewSet((*kept, *tracks), 0 if kept else None))

    if order is not None and views.num_views > 1 and views.num_frames > 1 and _have_one_size(views.views):
        for other in VIEW_ORDERS:
            if other != order:
                yield f"order {other}", partial(_reordered, views, order, other)
    yield "mirrored azimuths", with_views(partial(_reflected, signs=(-1.0, 1.0)))
    yield "elevations of the other sign", with_views(partial(_reflected, signs=(1.0, -1.0)))
    for sign, name in ((1, "elevations relative to the input's"), (-1, "absolute elevations")):
        if elevation:
            yield name, with_views(partial(_raised, degrees=sign * elevation))
    if _have_one_size(views.views):
        yield from _other_rigs(views, elevation)


def _other_rigs(views: ViewSet, elevation: float) -> Iterator[tuple[str, Callable[[], list[View]]]]:
    """Yield the known rigs with as many views whose cameras differ from the given ones."""
    for name, rig in CAMERA_RIGS.items():
        if len(rig.view_images) != views.num_views or rig.num_images != views.num_views:
            continue
        height, width = views.views[0].images.shape[1:3]
        rigged = rig_cameras(rig, width, height, elevation)
        cameras = Cameras.from_rig(rigged, width, height)
        given = [track.camera(0) for track in views.views]
        if all(_are_same(camera, cameras[[index]]) for index, camera in enumerate(given)):
            continue
        shown = [(track.at(0)[1], cameras[[index]]) for index, track in enumerate(views.views)]
        if views.reference is not None:
            image = views.reference_track
            size = image.cameras.width, image.cameras.height
            if (front := input_camera(rig, *size, elevation)) is not None:
                shown.append((image.at(0)[1], Cameras.from_rig(front, *size)))
        yield f"rig {name}", partial(list, shown)


def _reordered(views: ViewSet, order: ViewOrder, other: ViewOrder) -> list[View]:
    """Return the first frame if the images came in another order than was assumed."""
    indices = partial(
        view_indices,
        views.num_frames * views.num_views,
        num_frames=views.num_frames,
        num_views=views.num_views,
    )
    assumed = indices(order=order)  # [F, V]
    frames_views = assumed.flatten().argsort()  # of each image: frame * V + view
    shown = []
    for view, image in enumerate(indices(order=other)[0].tolist()):
        frame, source = divmod(int(frames_views[image]), views.num_views)
        shown.append((views.views[source].at(frame)[1], views.views[view].camera(0)))
    if views.reference is not None:
        shown.append((views.reference_track.at(0)[1], views.reference_track.camera(0)))
    return shown


def _have_one_size(tracks: Sequence[ViewTrack]) -> bool:
    """Return whether there are tracks, all of one size."""
    return len({tuple(track.images.shape[1:3]) for track in tracks}) == 1


def _are_same(camera: Cameras, other: Cameras) -> bool:
    """Return whether two single cameras agree to rounding."""
    return (
        camera.projection == other.projection
        and torch.allclose(camera.viewmats, other.viewmats, atol=1e-2)
        and torch.allclose(camera.Ks, other.Ks, rtol=1e-2)
    )


def _reflected(cameras: Cameras, signs: tuple[float, float]) -> Cameras:
    """Return cameras at reflected places; x and y of the world change their signs, and those of the image.

    The image's change with them, so that the axes stay right-handed: azimuth or elevation changes its sign.
    """
    reflection = torch.tensor([*signs, 1.0, 1.0], dtype=cameras.viewmats.dtype)
    return replace(cameras, viewmats=reflection[:, None] * cameras.viewmats * reflection)


def _raised(cameras: Cameras, degrees: float) -> Cameras:
    """Return upright cameras around the origin that are higher by an angle."""
    raised = []
    for camera in range(len(cameras)):
        azimuth, elevation = cameras[[camera]].angles_deg
        distance = float(cameras.viewmats[camera, :3, 3].norm())
        higher = max(-MAX_ELEVATION_DEG, min(MAX_ELEVATION_DEG, elevation + degrees))
        raised.append(viewmats_from_angles([azimuth], [higher], [distance])[0])
    return replace(cameras, viewmats=torch.stack(raised).to(cameras.viewmats))


def silhouette_shares(views: Sequence[View]) -> Tensor:
    """Return the share of each silhouette that the visual hull of all of them covers.

    Args:
        views: Alphas [H, W] and cameras of one frame; those that show nothing are left out.

    Returns:
        [V]; empty if fewer than two views show anything.
    """
    views = [view for view in views if (view[0] > _OPAQUE).any()]
    if len(views) < 2:
        return torch.zeros(0)
    low, high = torch.full((3,), -_BOUND), torch.full((3,), _BOUND)
    coarse = _carve(views, low, high, _COARSE)
    if not len(coarse):
        return torch.zeros(len(views))
    margin = 2 * _BOUND / _COARSE
    low, high = coarse.amin(dim=0) - margin, coarse.amax(dim=0) + margin
    voxels = _carve(views, low, high, _FINE)
    edge = ((high - low).max() / _FINE).item()
    return torch.tensor([_covered_share(alpha, camera, voxels, edge) for alpha, camera in views])


def _carve(views: Sequence[View], low: Tensor, high: Tensor, resolution: int) -> Tensor:
    """Return the centers [M, 3] of the voxels between two corners that project into all silhouettes."""
    edge = (high - low).max() / resolution
    axes = [
        low[axis] + edge * (torch.arange(int(torch.ceil((high[axis] - low[axis]) / edge))) + 0.5)
        for axis in range(3)
    ]
    voxels = torch.cartesian_prod(*axes)
    for alpha, camera in views:
        voxels = voxels[sample_image(alpha[..., None], camera, voxels)[:, 0] > _OPAQUE]
    return voxels


def _covered_share(alpha: Tensor, camera: Cameras, voxels: Tensor, edge: float) -> float:
    """Return the share of a silhouette's pixels that voxels hit, at a size at which they leave no gaps."""
    if not len(voxels):
        return 0.0
    pixels, depths = camera.project(voxels)  # [M, 2], [M]
    # Smaller images, so that a voxel is no larger than a pixel and neighboring voxels leave no gaps.
    nearest = depths.min().item() if camera.projection == "pinhole" else 1.0
    voxel_pixels = edge * camera.Ks[0].diagonal()[:2].max().item() / max(nearest, edge)
    scale = min(1.0, 1 / voxel_pixels)
    size = (max(1, int(camera.height * scale)), max(1, int(camera.width * scale)))
    silhouette = F.adaptive_avg_pool2d(alpha[None], size)[0] > _OPAQUE  # [h, w]
    if not silhouette.any():
        return 1.0
    columns_rows = torch.tensor(size[::-1])
    cells = (pixels / torch.tensor([camera.width, camera.height]) * columns_rows).long()
    cells = cells[((cells >= 0) & (cells < columns_rows)).all(dim=1)]
    hit = torch.zeros_like(silhouette)
    hit[cells[:, 1], cells[:, 0]] = True
    return ((hit & silhouette).sum() / silhouette.sum()).item()
