"""EXTRINSICS and INTRINSICS values in the forms that node packs use."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stag4d.geometry import OrbitPose, intrinsics, orbit_viewmats, read_extrinsics, read_intrinsics

VIEWMATS = orbit_viewmats([OrbitPose(azimuth_deg=azimuth) for azimuth in (0.0, 90.0)])
KS = intrinsics([40.0, 50.0], 64, 48)


@pytest.mark.parametrize(
    "value",
    [
        VIEWMATS,
        VIEWMATS.double(),
        VIEWMATS.numpy(),
        VIEWMATS.tolist(),
        list(VIEWMATS),
        [VIEWMATS[:1], np.asarray(VIEWMATS[1])],
        VIEWMATS[:, :3],
    ],
)
def test_extrinsics_of_any_form_are_the_same_cameras(value):
    assert torch.equal(read_extrinsics(value), VIEWMATS)


def test_single_matrix_is_one_camera():
    assert torch.equal(read_extrinsics(VIEWMATS[1]), VIEWMATS[1:])
    assert torch.equal(read_intrinsics(KS[0], 3), KS[:1].expand(3, 3, 3))
    assert torch.equal(read_intrinsics(KS.tolist(), 2), KS)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: read_extrinsics(torch.zeros(3)), r"^extrinsics: shape \[3\]; expected \[4, 4\] or \[3, 4\]"),
        (lambda: read_extrinsics([]), r"^extrinsics: shape \[0\]; expected"),
        (lambda: read_extrinsics("front"), r"^extrinsics: not a matrix or list of matrices \("),
        (lambda: read_extrinsics(None), r"^extrinsics: not a matrix or list of matrices \("),
        (lambda: read_extrinsics([VIEWMATS[0], KS[0]]), r"^extrinsics: not a matrix or list of matrices \("),
        (
            lambda: read_extrinsics(VIEWMATS * torch.tensor([[-1.0], [1], [1], [1]])),
            r"^extrinsics\[0\]: the camera matrix has mirrored axes",
        ),
        (
            lambda: read_intrinsics(KS, 3),
            r"^intrinsics: 2 matrices for 3 cameras; expected 1 or 3\.$",
        ),
        (lambda: read_intrinsics(-KS, 2), r"^intrinsics\[0\]: focals -.*; expected positive"),
        (lambda: read_intrinsics(VIEWMATS, 2), r"^intrinsics: shape \[2, 4, 4\]; expected \[3, 3\]"),
    ],
)
def test_invalid_matrices_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
