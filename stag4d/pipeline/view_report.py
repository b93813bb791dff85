"""What is in a view set: a line per camera, a contact sheet, and a diagram of the cameras around the hull."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..evaluation import on_white
from ..export import draw_cameras, write_contact_sheet, write_image
from ..geometry import OrbitPose
from ..rendering import render
from ..scene import visual_hull
from ..types import Cameras
from ..view_set import ViewSet, ViewTrack

_TILE = 160  # longer side of the sheet's images, pixels
_DIAGRAM = 640  # width and height, pixels
_NUM_POINTS, _BOUND = 4000, 1.0  # of the hull in the diagram
_FROM = OrbitPose(azimuth_deg=35, elevation_deg=30)  # camera of the diagram


def describe_tracks(views: ViewSet) -> list[dict[str, Any]]:
    """Return name, size, projection, angles and frames of each track, for JSON."""
    described = []
    for index, track in enumerate(views.tracks):
        azimuth, elevation = track.cameras.angles_deg
        described.append(
            {
                "name": track.name,
                "reference": index == views.reference,
                "width": track.cameras.width,
                "height": track.cameras.height,
                "projection": track.cameras.projection,
                "azimuth": round(azimuth, 2),
                "elevation": round(elevation, 2),
                "distance": round(float(track.cameras.centers[0].norm()), 4),
                "fx": round(float(track.cameras.Ks[0, 0, 0]), 3),
                "moves": len(track.cameras) > 1,
                "weight": round(sum(track.weight(frame) for frame in range(len(track))) / len(track), 4),
            }
        )
    return described


def write_view_sheet(path: Path, views: ViewSet) -> None:
    """Write a contact sheet: first, middle and last frame, one column per track, on white."""
    frames = sorted({0, views.num_frames // 2, views.num_frames - 1})
    tiles = [_tile(track, frame) for frame in frames for track in views.tracks]
    write_contact_sheet(path, torch.stack(tiles), columns=len(views.tracks))


def write_camera_diagram(path: Path, views: ViewSet) -> None:
    """Write a diagram of the cameras of the middle frame around the visual hull of its silhouettes.

    Raises:
        ValueError: if no point projects into the silhouettes.
    """
    frame = views.num_frames // 2
    images, alphas = zip(*(track.at(frame) for track in views.tracks), strict=True)
    cameras = [track.camera(frame) for track in views.tracks]
    generator = torch.Generator().manual_seed(0)
    hull = visual_hull(list(images), list(alphas), cameras, _NUM_POINTS, _BOUND, generator)
    farthest = max(float(camera.centers[0].norm()) for camera in cameras)
    camera = Cameras.from_poses([replace(_FROM, radius=3 * max(farthest, 1.0))], _DIAGRAM, _DIAGRAM)
    rendered = render(hull, camera).images[0]
    labels = [track.name for track in views.tracks]
    write_image(path, draw_cameras(rendered, camera, cameras, labels, views.reference))


def _tile(track: ViewTrack, frame: int) -> Tensor:
    """Return an image on white in the middle of a square tile, [S, S, 3]."""
    white = on_white(*track.at(frame)).permute(2, 0, 1)[None]  # [1, 3, H, W]
    height, width = white.shape[2:]
    scale = _TILE / max(height, width)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    resized = interpolate(white, size=size, mode="bilinear", antialias=True)[0].permute(1, 2, 0)
    tile = torch.ones(_TILE, _TILE, 3)
    top, left = (_TILE - size[0]) // 2, (_TILE - size[1]) // 2
    tile[top : top + size[0], left : left + size[1]] = resized.clamp(0, 1)
    return tile
