"""PLY files read and written by plyfile and gsply."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plyfile import PlyData, PlyElement

from stag4d.export import read_ply, write_ply
from stag4d.geometry import flip_splat_frame, quats_to_rotations
from stag4d.scene import Gaussians

COLUMNS = (
    "x y z nx ny nz f_dc_0 f_dc_1 f_dc_2 opacity scale_0 scale_1 scale_2 rot_0 rot_1 rot_2 rot_3"
).split()


def gaussians(count: int = 5, seed: int = 0) -> Gaussians:
    generator = torch.Generator().manual_seed(seed)
    shapes = {"means": (3,), "log_scales": (3,), "quats": (4,), "logit_opacities": (), "sh0": (1, 3)}
    return Gaussians(
        **{name: torch.randn(count, *rest, generator=generator) for name, rest in shapes.items()}
    )


def rewrite(path, change) -> None:
    """Replace the vertex table of a PLY with plyfile."""
    table = change(PlyData.read(path)["vertex"].data)
    PlyData([PlyElement.describe(table, "vertex")]).write(path)


def test_file_has_the_columns_of_3dgs_in_their_order(tmp_path):
    scene = gaussians()
    write_ply(tmp_path / "new" / "a.ply", scene)
    document = PlyData.read(tmp_path / "new" / "a.ply")
    assert (document.text, document.byte_order) == (False, "<")
    vertices = document["vertex"]
    assert [prop.name for prop in vertices.properties] == COLUMNS
    assert {prop.val_dtype for prop in vertices.properties} == {"f4"}
    means, quats = flip_splat_frame(scene.means, torch.nn.functional.normalize(scene.quats, dim=-1))
    expected = torch.cat(
        [means, torch.zeros(5, 3), scene.sh0[:, 0], scene.logit_opacities[:, None], scene.log_scales, quats],
        dim=1,
    )
    np.testing.assert_array_equal(np.stack([vertices[name] for name in COLUMNS], axis=1), expected.numpy())


def test_file_is_y_down(tmp_path):
    scene = gaussians(1)
    scene.means[:] = torch.tensor([1.0, 2.0, 3.0])
    scene.quats[:] = torch.tensor([1.0, 0.0, 0.0, 0.0])
    write_ply(tmp_path / "a.ply", scene)
    vertex = PlyData.read(tmp_path / "a.ply")["vertex"][0]
    assert [float(vertex[name]) for name in ("x", "y", "z")] == [1, -2, -3]
    assert [float(vertex[f"rot_{index}"]) for index in range(4)] == [0, 1, 0, 0]


@pytest.mark.parametrize("count", [0, 1, 7])
def test_written_gaussians_are_read_back(tmp_path, count):
    scene = gaussians(count)
    write_ply(tmp_path / "a.ply", scene.map(lambda values: values.double().requires_grad_()))
    loaded = read_ply(tmp_path / "a.ply")
    for name in ("means", "log_scales", "logit_opacities", "sh0"):
        assert torch.equal(getattr(loaded, name), getattr(scene, name)), name
    torch.testing.assert_close(quats_to_rotations(loaded.quats), quats_to_rotations(scene.quats))


def test_columns_are_read_in_any_order_and_others_are_ignored(tmp_path):
    scene = gaussians()
    path = tmp_path / "a.ply"
    write_ply(path, scene)

    def shuffle(table: np.ndarray) -> np.ndarray:
        names = ["f_rest_0", *reversed([name for name in COLUMNS if not name.startswith("n")])]
        shuffled = np.zeros(len(table), dtype=[(name, "f8") for name in names])
        for name in names[1:]:
            shuffled[name] = table[name]
        return shuffled

    rewrite(path, shuffle)
    loaded = read_ply(path)
    assert loaded.means.dtype == torch.float32
    assert torch.equal(loaded.means, scene.means)
    assert torch.equal(loaded.log_scales, scene.log_scales)


def test_gsply_reads_the_same_gaussians(tmp_path):
    gsply = pytest.importorskip("gsply")
    scene = gaussians()
    write_ply(tmp_path / "a.ply", scene)
    found = gsply.plyread(str(tmp_path / "a.ply"))
    means, quats = flip_splat_frame(scene.means, torch.nn.functional.normalize(scene.quats, dim=-1))
    expected = (means, quats, scene.log_scales, scene.logit_opacities, scene.sh0[:, 0])
    columns = (found.means, found.quats, found.scales, found.opacities, found.sh0)
    for column, values in zip(columns, expected, strict=True):
        np.testing.assert_array_equal(column, values.numpy())


def test_file_that_is_no_splat_ply_is_rejected_by_name(tmp_path):
    path = tmp_path / "a.ply"
    with pytest.raises(FileNotFoundError, match=r"a\.ply: no such file"):
        read_ply(path)
    path.write_bytes(b"not a ply")
    with pytest.raises(ValueError, match=r"a\.ply: not a PLY, or damaged"):
        read_ply(path)
    write_ply(path, gaussians())
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    with pytest.raises(ValueError, match=r"a\.ply: not a PLY, or damaged"):
        read_ply(path)
    path.write_bytes(whole.replace(b"rot_3", b"rot_9").replace(b"element vertex", b"element vertex"))
    with pytest.raises(ValueError, match=r"a\.ply: no column rot_3; expected"):
        read_ply(path)
    path.write_bytes(whole.replace(b"vertex", b"corner"))
    with pytest.raises(ValueError, match=r"a\.ply: no column x, y, z,"):
        read_ply(path)


def test_values_that_are_not_finite_are_rejected(tmp_path):
    write_ply(tmp_path / "a.ply", gaussians())

    def set_infinite(table: np.ndarray) -> np.ndarray:
        table = table.copy()
        table["scale_1"][2] = np.inf
        return table

    rewrite(tmp_path / "a.ply", set_infinite)
    with pytest.raises(ValueError, match=r"a\.ply: log_scales are not all finite"):
        read_ply(tmp_path / "a.ply")


def test_unwritable_path_is_named(tmp_path):
    (tmp_path / "file").write_text("a file, not a folder")
    with pytest.raises(RuntimeError, match=r"a\.ply: cannot be written"):
        write_ply(tmp_path / "file" / "a.ply", gaussians())
