"""GLB files read back by the package fourdgs and as plain glTF."""

from __future__ import annotations

import json
import struct
from dataclasses import replace

import numpy as np
import pytest
import torch
from seed_files import random_gaussians

from stag4d.export import encode_glb

fourdgs = pytest.importorskip("fourdgs")


def test_gaussians_are_stored_without_loss_in_world_coordinates(tmp_path):
    gaussians = random_gaussians(20)
    (tmp_path / "a.glb").write_bytes(encode_glb(gaussians))
    found = fourdgs.from_gltf(str(tmp_path / "a.glb")).gaussians
    np.testing.assert_array_equal(found.positions, gaussians.means)
    np.testing.assert_allclose(found.scales, gaussians.scales, rtol=1e-6)
    quats = torch.nn.functional.normalize(gaussians.quats, dim=-1)[:, [1, 2, 3, 0]]
    np.testing.assert_allclose(found.rotations, quats, atol=1e-6)
    np.testing.assert_allclose(found.colors[:, :3], gaussians.colors.clamp(0, 1), atol=1e-6)
    np.testing.assert_allclose(found.colors[:, 3], gaussians.opacities, atol=1e-6)


def test_file_declares_the_extension():
    content = encode_glb(random_gaussians(3))
    magic, version, length, json_length, kind = struct.unpack_from("<4sIIII", content)
    assert (magic, version, length, kind) == (b"glTF", 2, len(content), 0x4E4F534A)
    document = json.loads(content[20 : 20 + json_length])
    assert document["extensionsUsed"] == ["KHR_gaussian_splatting"]
    primitive = document["meshes"][0]["primitives"][0]
    assert primitive["extensions"]["KHR_gaussian_splatting"]["colorSpace"] == "srgb_rec709_display"
    assert document["accessors"][primitive["attributes"]["POSITION"]]["count"] == 3
    assert encode_glb(random_gaussians(3)) == content


def test_what_glb_cannot_hold_is_refused():
    gaussians = random_gaussians(3)
    with pytest.raises(ValueError, match="glb: there are no Gaussians"):
        encode_glb(gaussians.map(lambda values: values[:0]))
    with pytest.raises(ValueError, match="glb: positions are not all finite"):
        encode_glb(replace(gaussians, means=gaussians.means / 0))
