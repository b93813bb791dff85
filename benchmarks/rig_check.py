"""Which cameras does the check by silhouettes prefer?

    python3 tasks.py bench rig_check [--views FOLDER]

A toy's true views by the rig of Zero123++ v1.1 are taken with the right cameras, as v1.2, mirrored, and in
the other order; prints the median share of the silhouettes that the visual hull of each covers, and the best
other arrangement. With ``--views`` the same for the views of a folder.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from stag4d.data import read_views
from stag4d.geometry import OrbitPose, zero123plus_rig
from stag4d.pipeline import check_rig
from stag4d.toys import toy_seed, toy_views
from stag4d.view_set import ViewSet

SIZE, FRAMES = 96, 4


def main() -> None:
    """Print a row per arrangement."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--views", help="view folder")
    options = parser.parse_args()
    views = (
        toy_views(toy_seed("test", 2), FRAMES, SIZE)
        if options.views is None
        else read_views(options.views, 256)
    )
    mirrored = [replace(pose, azimuth_deg=-pose.azimuth_deg) for pose in views.view_poses]
    print("| cameras | explained | best other | explained |\n|---|---|---|---|")
    _print_row("as they are", views)
    _print_row("rig zero123++1.2", _with_poses(views, zero123plus_rig("v1.2")))
    _print_row("mirrored azimuths", _with_poses(views, mirrored))
    _print_row("view by view taken as frame by frame", _in_other_order(views))


def _print_row(name: str, views: ViewSet) -> None:
    given, better = check_rig(views, "frame by frame")
    other = "none, by 0.02 | " if better is None else f"{better.name} | {better.median:.3f}"
    print(f"| {name} | {given.median:.3f} | {other} |", flush=True)


def _with_poses(views: ViewSet, poses: list[OrbitPose] | tuple[OrbitPose, ...]) -> ViewSet:
    """Return the same images with other cameras of the views."""
    images, alphas = views.view_images, views.view_alphas
    return ViewSet.from_orbit(views.images, views.alphas, images, alphas, views.input_pose, poses, views.fps)


def _in_other_order(views: ViewSet) -> ViewSet:
    """Return the images [F, V] as if they had come view by view and had been read frame by frame."""
    images = views.view_images.transpose(0, 1).reshape(views.view_images.shape)
    alphas = views.view_alphas.transpose(0, 1).reshape(views.view_alphas.shape)
    poses = views.view_poses
    return ViewSet.from_orbit(views.images, views.alphas, images, alphas, views.input_pose, poses, views.fps)


if __name__ == "__main__":
    main()
