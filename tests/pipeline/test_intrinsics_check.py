"""Given intrinsics: those of images of another size are refused, those of crops are not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from stag4d.geometry import CameraRig, crop_intrinsics, resize_intrinsics, rig_cameras
from stag4d.pipeline import GivenCameras, ObjectImages, views_of_given_cameras
from stag4d.types import Cameras

LENS = CameraRig(azimuths_deg=(), elevations_deg=(), radius=2.0)
RING = replace(LENS, azimuths_deg=(0.0, 90.0, 200.0), elevations_deg=(10.0, -20.0, 30.0))


def views_of(viewmats, Ks, *sizes, align=False):
    """Return the set of views of one frame, the object on the middle half of each image."""
    images = []
    for width, height in sizes:
        alphas = torch.zeros(1, height, width)
        alphas[:, height // 4 : -height // 4, width // 4 : -width // 4] = 1
        images.append(ObjectImages(torch.zeros(1, height, width, 3), alphas))
    given = GivenCameras(extrinsics=viewmats, intrinsics=Ks, align=align)
    return views_of_given_cameras(images, given, LENS)


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("projection", ["pinhole", "ortho"])
@pytest.mark.parametrize(
    ("declared", "actual", "message"),
    [
        ((128, 128), (64, 64), r"is \(64, 64\), .* images of 64x64 pixels, as in images of 128x128;"),
        ((32, 32), (64, 64), r"is \(16, 16\), .* images of 64x64 pixels, as in images of 32x32;"),
        ((1, 1), (64, 64), r"is \(0\.5, 0\.5\), .* as in images of 1x1;"),  # normalized
        ((128, 72), (64, 64), r"is \(64, 36\), .* as in images of 128x72;"),
    ],
)
def test_intrinsics_of_another_size_are_refused(declared, actual, message, projection, align):
    cameras = rig_cameras(replace(RING, projection=projection), *declared)
    with pytest.raises(ValueError, match=rf"^intrinsics: the principal point of view 0 {message} expected"):
        views_of(cameras.viewmats, cameras.Ks, *[actual] * 3, align=align)


def test_one_matrix_for_views_of_two_sizes_is_refused_for_the_second():
    viewmats, Ks, *_ = rig_cameras(RING, 64, 64)
    assert len(views_of(viewmats, Ks[0], *[(64, 64)] * 3).tracks) == 3
    with pytest.raises(ValueError, match=r"view 2 is \(32, 32\), far from the center of its images of 32x32"):
        views_of(viewmats, Ks[0], (64, 64), (64, 64), (32, 32))


def test_intrinsics_of_crops_to_the_object_are_kept():
    """Cameras beside their aim: the crops around the object lie anywhere in the images."""
    viewmats, Ks, *_ = rig_cameras(RING, 256, 256)
    viewmats[:, :2, 3] = torch.tensor([[0.5, 0.4], [-0.5, 0.3], [0.6, -0.6]])
    crops = []
    for viewmat, K in zip(viewmats, Ks, strict=True):
        x, y = Cameras(viewmat[None], K[None], 256, 256).project(torch.zeros(1, 3))[0][0].tolist()
        crops.append(crop_intrinsics(K, round(x) - 30, round(y) - 34))  # the object is in their middle
    shares = torch.stack(crops)[:, :2, 2] / 64
    assert (shares - 0.5).abs().amin() > 0.5  # all principal points are outside of the images
    tracks = views_of(viewmats, torch.stack(crops), *[(64, 64)] * 3).tracks
    torch.testing.assert_close(torch.cat([track.cameras.Ks for track in tracks]), torch.stack(crops))


def test_intrinsics_of_cameras_that_look_at_a_head_are_kept():
    viewmats, Ks, *_ = rig_cameras(RING, 128, 128)
    crops = crop_intrinsics(resize_intrinsics(Ks, (128, 128), (256, 256)), 96, 120)  # (32, 8) of 64x80
    assert crops[0, :2, 2].tolist() == [32, 8]
    assert len(views_of(viewmats, crops, *[(64, 80)] * 3).tracks) == 3
