"""SPZ files of all versions that are read: written by this program, by gsply, and byte by byte."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from seed_files import random_gaussians

from stag4d.export import read_spz, write_spz
from stag4d.geometry import flip_splat_frame, quats_to_rotations
from stag4d.scene import Gaussians


def spz(
    version: int = 2,
    count: int = 1,
    *,
    degree: int = 0,
    fractional_bits: int = 12,
    flags: int = 0,
    body: bytes = b"",
) -> bytes:
    """Return a file with a header of the given fields."""
    header = struct.pack("<4sIIBBBB", b"NGSP", version, count, degree, fractional_bits, flags, 0)
    return gzip.compress(header + body)


def body(positions: bytes, rotations: bytes) -> bytes:
    """Return the sections of one Gaussian with opacity 51/255, the color of code 204, and scales e^-6."""
    return positions + bytes([51]) + bytes([204] * 3) + bytes([64] * 3) + rotations


def assert_close(found: Gaussians, expected: Gaussians, degrees: float) -> None:
    torch.testing.assert_close(found.means, expected.means, atol=1.3e-4, rtol=0)
    torch.testing.assert_close(found.log_scales, expected.log_scales, atol=0.032, rtol=0)
    torch.testing.assert_close(found.opacities, expected.opacities, atol=0.002, rtol=0)
    torch.testing.assert_close(found.colors, expected.colors, atol=0.004, rtol=0)
    first, second = quats_to_rotations(found.quats.double()), quats_to_rotations(expected.quats.double())
    cosines = ((first * second).sum(dim=(1, 2)) - 1) / 2
    assert torch.rad2deg(torch.arccos(cosines.clamp(-1, 1))).max() < degrees


@pytest.mark.parametrize(("version", "degrees"), [(2, 13.0), (3, 0.5)])
def test_written_gaussians_are_read_back(tmp_path, version, degrees):
    pytest.importorskip("gsply")
    gaussians = random_gaussians(500)
    write_spz(tmp_path / "a.spz", gaussians, version)
    assert_close(read_spz(tmp_path / "a.spz"), gaussians, degrees)


def test_file_of_gsply_is_read(tmp_path):
    gsply = pytest.importorskip("gsply")
    gaussians = random_gaussians(50)
    means, quats = flip_splat_frame(gaussians.means, torch.nn.functional.normalize(gaussians.quats, dim=-1))
    columns = (means, gaussians.log_scales, quats, gaussians.logit_opacities, gaussians.sh0[:, 0])
    shn = np.zeros((50, 8, 3), np.float32)  # spherical harmonics of degree 2
    arrays = [column.numpy() for column in columns]
    gsply.write_spz(tmp_path / "a.spz", gsply.GSData.from_arrays(*arrays, shn, format="ply"))
    assert_close(read_spz(tmp_path / "a.spz"), gaussians, 0.5)


def test_version_2_is_decoded_by_its_specification(tmp_path):
    positions = b"".join(
        number.to_bytes(3, "little", signed=True) for number in (4096, -2048, 8388607)
    )  # 1, -0.5 and the largest
    (tmp_path / "a.spz").write_bytes(spz(2, body=body(positions, bytes([255, 127, 128]))))
    found = read_spz(tmp_path / "a.spz")
    assert found.means[0].tolist() == [1.0, 0.5, -8388607 / 4096]  # y and z have the opposite sign here
    assert found.log_scales[0].tolist() == [-6.0] * 3
    assert found.opacities.item() == pytest.approx(0.2)
    assert found.sh0[0, 0].tolist() == pytest.approx([0.3 / 0.15] * 3)
    x = 1.0  # the other components are nearly 0: half a turn about x, and another one for the frame
    torch.testing.assert_close(quats_to_rotations(found.quats)[0], torch.eye(3), atol=0.02 * x, rtol=0)


def test_version_1_has_positions_of_16_bits(tmp_path):
    positions = np.array([1.5, -2.0, 0.25], "<f2").tobytes()
    (tmp_path / "a.spz").write_bytes(spz(1, body=body(positions, bytes([128] * 3))))
    assert read_spz(tmp_path / "a.spz").means[0].tolist() == [1.5, 2.0, -0.25]


@pytest.mark.parametrize(("frame", "sign"), [(6, -1), (0, -1), (4, 1)])
def test_coordinate_frame_of_the_extension_is_honored(tmp_path, frame, sign):
    positions = b"".join(number.to_bytes(3, "little") for number in (4096, 4096, 4096))
    other = struct.pack("<II", 7, 5) + bytes(5)  # of another kind
    extension = other + struct.pack("<III", 0xADBE0003, 4, frame)
    (tmp_path / "a.spz").write_bytes(spz(2, flags=2, body=body(positions, bytes([128] * 3)) + extension))
    assert read_spz(tmp_path / "a.spz").means[0].tolist() == [1.0, sign, sign]


def test_opacities_0_and_1_are_finite(tmp_path):
    content = body(bytes(9), bytes([128] * 3))
    for code, opacity in ((0, 0.0), (255, 1.0)):
        (tmp_path / "a.spz").write_bytes(spz(2, body=content[:9] + bytes([code]) + content[10:]))
        found = read_spz(tmp_path / "a.spz")
        assert torch.isfinite(found.logit_opacities).all()
        assert found.opacities.item() == pytest.approx(opacity, abs=2e-6)


ONE = body(bytes(9), bytes([128] * 3))
FILES = {
    "nothing": b"",
    "text": b"no spz",
    "version 4": b"NGSP" + struct.pack("<I", 4) + bytes(40),
    "gzip of nothing": gzip.compress(b""),
    "another magic": gzip.compress(b"NGSQ" + bytes(40)),
    "version 0": spz(0, body=ONE),
    "version 5": spz(5, body=ONE),
    "degree 9": spz(2, degree=9, body=ONE),
    "fractional bits": spz(2, fractional_bits=25, body=ONE),
    "truncated Gaussians": spz(2, 2, body=ONE),
    "missing spherical harmonics": spz(2, degree=1, body=ONE),
    "4 billion Gaussians": spz(2, 2**32 - 1, body=ONE),
    "bomb": spz(2, 3_000_000, body=bytes(19 * 3_000_000)),
    "truncated gzip": spz(2, 50, body=bytes(range(256)) * 8)[:-700],
    "left-handed frame": spz(2, flags=2, body=ONE + struct.pack("<III", 0xADBE0003, 4, 1)),
    "version 1, infinite": spz(1, body=body(b"\x00\x7c" * 3, bytes(3))),
}


@pytest.mark.parametrize("name", FILES)
def test_damaged_file_is_refused_by_name(tmp_path, name):
    path = tmp_path / "a.spz"
    path.write_bytes(FILES[name])
    with pytest.raises(ValueError, match=r"^\S*a\.spz: not an SPZ file, or damaged \(.+\); expected version"):
        read_spz(path)


def test_missing_file_is_named(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"a\.spz: no such file"):
        read_spz(tmp_path / "a.spz")
