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


def test_gaussians_that_are_not_finite_are_dropped_and_counted(tmp_path, caplog):
    scene = gaussians(7)
    write_ply(tmp_path / "a.ply", scene)

    def spoil(table: np.ndarray) -> np.ndarray:
        table = table.copy()
        for row, (name, value) in enumerate(
            {"scale_1": np.inf, "x": np.nan, "rot_3": -np.inf, "f_dc_2": 1e30, "opacity": np.nan}.items()
        ):
            table[name][row] = value
        return table

    rewrite(tmp_path / "a.ply", spoil)
    loaded = read_ply(tmp_path / "a.ply")
    assert torch.equal(loaded.means, scene.means[5:])
    assert "a.ply: dropped 5 of 7 Gaussians, with numbers that are not finite" in caplog.text

    rewrite(tmp_path / "a.ply", lambda table: spoil(table)[:5])
    with pytest.raises(ValueError, match=r"a\.ply: no Gaussian has only finite numbers"):
        read_ply(tmp_path / "a.ply")


def test_infinite_opacities_and_scales_of_zero_are_kept(tmp_path, caplog):
    write_ply(tmp_path / "a.ply", gaussians(3))

    def saturate(table: np.ndarray) -> np.ndarray:
        table = table.copy()
        table["opacity"][:2] = np.inf, -np.inf
        table["scale_2"][2] = -np.inf
        return table

    rewrite(tmp_path / "a.ply", saturate)
    loaded = read_ply(tmp_path / "a.ply")
    assert loaded.opacities[:2].tolist() == [1.0, pytest.approx(0.0, abs=1e-20)]
    assert loaded.scales[2, 2].item() == pytest.approx(0.0, abs=1e-20)
    assert torch.isfinite(loaded.log_scales).all()
    assert not caplog.text


@pytest.mark.parametrize("layout", ["text", "big-endian", "other elements"])
def test_other_encodings_are_read(tmp_path, layout):
    scene = gaussians()
    path = tmp_path / "a.ply"
    write_ply(path, scene)
    table = PlyData.read(path)["vertex"].data.copy()  # it maps the file, which is written again
    elements = [PlyElement.describe(table, "vertex")]
    if layout == "other elements":
        cameras = np.array([(1.5, 2), (2.5, 3)], dtype=[("a", "f8"), ("b", "u1")])
        faces = np.array([([0, 1, 2],), ([2, 3],)], dtype=[("vertex_indices", "O")])
        elements.insert(0, PlyElement.describe(cameras, "camera"))
        elements.append(PlyElement.describe(faces, "face", val_types={"vertex_indices": "i4"}))
    for text in {False, layout != "big-endian"}:
        document = PlyData(elements, text=text, byte_order=">" if layout == "big-endian" else "<")
        document.comments = ["element vertex 9"]
        document.write(path)
        loaded = read_ply(path)
        torch.testing.assert_close(loaded.means, scene.means)
        torch.testing.assert_close(loaded.logit_opacities, scene.logit_opacities)


HEADERS = {
    "negative count": (b"element vertex 5", b"element vertex -5"),
    "huge count": (b"element vertex 5", b"element vertex 999999999999999"),
    "count of 400 digits": (b"element vertex 5", b"element vertex " + b"9" * 400),
    "fractional count": (b"element vertex 5", b"element vertex 5.0"),
    "negative count of another element": (
        b"element vertex",
        b"element face -1\nproperty int a\nelement vertex",
    ),
    "rows before the vertices": (b"element vertex", b"element a 99999999\nproperty int b\nelement vertex"),
    "list in the vertices": (b"property float x\n", b"property list uchar float x\nproperty float x\n"),
    "list before the vertices": (
        b"element vertex",
        b"element face 1\nproperty list uchar int a\nelement vertex",
    ),
    "column twice": (b"property float y\n", b"property float x\nproperty float y\n"),
    "vertices twice": (b"element vertex 5", b"element vertex 5\nelement vertex 5"),
    "property before any element": (b"element vertex 5", b"property float a\nelement vertex 5"),
    "unknown type": (b"property float x", b"property quad x"),
    "unknown format": (b"binary_little_endian", b"binary_middle_endian"),
    "no format": (b"format binary_little_endian 1.0\n", b""),
    "two formats": (b"element vertex", b"format ascii 1.0\nelement vertex"),
    "text declared": (b"binary_little_endian", b"ascii"),
    "endless header": (b"element vertex", b"comment " + b"a" * 2**17 + b"\nelement vertex"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_header_that_does_not_fit_the_file_is_refused(tmp_path, name):
    path = tmp_path / "a.ply"
    write_ply(path, gaussians())
    old, new = HEADERS[name]
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    with pytest.raises(
        ValueError, match=r"^\S*a\.ply: not a PLY, or damaged \(.*\); expected a splat PLY\.$"
    ):
        read_ply(path)


def test_unwritable_path_is_named(tmp_path):
    (tmp_path / "file").write_text("a file, not a folder")
    with pytest.raises(RuntimeError, match=r"a\.ply: cannot be written"):
        write_ply(tmp_path / "file" / "a.ply", gaussians())
