"""Do true views from every known camera rig give as good scenes as as many views of the default rig?

    python3 tasks.py bench rigs [--rigs sv4d2 mv-adapter] [--steps 600] [--frames 8] [--size 96] [--toys 2]

Test toys are seen by the cameras of each rig, and by a ring of as many pinhole cameras at the elevations of
Zero123++ v1.1, both with the input video where the rig has it. If the input video is one of the rig's views,
the ring has one view less. Scenes are fitted to both with preset ``fast``, and rendered from azimuths -75,
15, 105 and 195 at elevation 0. Prints PSNR on white and silhouette IoU, means over toys, and the difference
of PSNR to the ring.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch

from stag4d.evaluation import compare
from stag4d.geometry import CAMERA_RIGS, CameraRig, input_camera, rig_cameras
from stag4d.optimization import preset
from stag4d.pipeline import fit
from stag4d.pipeline.scenes import render_views
from stag4d.toys import TEST_POSES, ToyObject, render_toy, toy_object, toy_seed, toy_truth
from stag4d.types import Cameras, frame_times
from stag4d.view_set import ViewSet, ViewTrack

SAME_CAMERA = 1e-3


def main() -> None:
    """Print a row for each rig as it is finished."""
    options = _options()
    print(
        "| rig | views | input video | PSNR | IoU | ring: PSNR | difference |\n|---|---|---|---|---|---|---|"
    )
    rings: dict[tuple[int, bool], dict[str, float]] = {}
    for name in options.rigs:
        rig = CAMERA_RIGS[name]
        found = _mean_scores(rig, options)
        has_input = rig.reference == "azimuth 0"
        count = len(rig.view_images) - (has_input and 0.0 in [rig.azimuths_deg[i] for i in rig.view_images])
        key = count, has_input
        if key not in rings:
            rings[key] = _mean_scores(_ring(*key), options)
        print(
            f"| {name} | {key[0]} | {'yes' if key[1] else 'no'} | {found['psnr']:.2f} | {found['iou']:.3f} "
            f"| {rings[key]['psnr']:.2f} | {found['psnr'] - rings[key]['psnr']:+.2f} |",
            flush=True,
        )


def _ring(count: int, has_input: bool) -> CameraRig:
    """Return evenly spaced cameras at the elevations of Zero123++ v1.1, none at azimuth 0."""
    return CameraRig(
        azimuths_deg=tuple((index + 0.5) * 360 / count for index in range(count)),
        elevations_deg=tuple((30.0, -20.0)[index % 2] for index in range(count)),
        reference="azimuth 0" if has_input else "not a view",
    )


def _mean_scores(rig: CameraRig, options: argparse.Namespace) -> dict[str, float]:
    """Return PSNR and IoU at the test views, means over toys."""
    rows = []
    for index in range(options.toys):
        seed = toy_seed("test", index)
        config = preset("fast", steps=options.steps, size=options.size)
        model, _ = fit(_views(toy_object(seed), rig, options), config)
        rendered = render_views(model, list(TEST_POSES), list(range(options.frames)), options.size)
        scores = compare(*rendered, *toy_truth(seed, TEST_POSES, options.frames, options.size))
        rows.append((scores["psnr"], scores["iou"]))
    means = torch.tensor(rows).mean(dim=0).tolist()
    return dict(zip(("psnr", "iou"), means, strict=True))


def _views(toy: ToyObject, rig: CameraRig, options: argparse.Namespace) -> ViewSet:
    """Return the true views of a toy by a rig, and the input video unless it is one of them."""
    size, times = options.size, frame_times(options.frames).tolist()
    found = rig_cameras(rig, size, size)
    cameras = Cameras.from_rig(found, size, size)
    tracks = _tracks(toy, cameras, times, [f"view {index}" for index in range(len(cameras))])
    front = input_camera(rig, size, size)
    if front is None:
        return ViewSet(tuple(tracks), None)
    differences = (found.viewmats - front.viewmats).abs().amax(dim=(1, 2))  # [V]
    if differences.min() < SAME_CAMERA:
        return ViewSet(tuple(tracks), int(differences.argmin()))
    first = Cameras.from_rig(front, size, size)
    return ViewSet((*_tracks(toy, first, times, ["input frames"]), *tracks), 0)


def _tracks(
    toy: ToyObject, cameras: Cameras, times: Sequence[float], names: Sequence[str]
) -> list[ViewTrack]:
    """Return the images of a toy from each camera."""
    images, alphas = render_toy(toy, cameras, times)
    return [
        ViewTrack(images=images[index], alphas=alphas[index], cameras=cameras[[index]], name=name)
        for index, name in enumerate(names)
    ]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rigs", nargs="+", choices=tuple(CAMERA_RIGS), default=tuple(CAMERA_RIGS))
    parser.add_argument("--steps", type=int, default=600, help="(default: %(default)s)")
    parser.add_argument("--frames", type=int, default=8, help="(default: %(default)s)")
    parser.add_argument("--size", type=int, default=96, help="pixels (default: %(default)s)")
    parser.add_argument("--toys", type=int, default=2, help="(default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
