"""Import of official results, against the official formula evaluated plane by plane on random weights."""

from __future__ import annotations

import itertools
import os
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from official_result import CHANNELS, COLUMNS, HEADS, NET, official_table, official_weights
from plyfile import PlyData, PlyElement
from torch import Tensor

from stag4d.pipeline import import_official
from stag4d.scene import GaussianModel4D, load_scene, read_official_deformation, save_scene

FRAMES, COUNT = 7, 40


def official_offsets(weights: dict[str, Tensor], means: Tensor, time: float) -> dict[str, Tensor]:
    """Return the official network's offsets of the Gaussians' parameters at an official time."""
    far, near = weights[f"{NET}grid.aabb"]
    normalized = (means - far) * (2.0 / (near - far)) - 1.0
    places = torch.cat([normalized, torch.full((len(means), 1), time)], dim=1)  # [N, 4]
    features = []
    for level in range(2):
        product = torch.ones(CHANNELS, len(means))
        for index, axes in enumerate(itertools.combinations(range(4), 2)):
            plane = weights[f"{NET}grid.grids.{level}.{index}"]
            grid = places[:, axes][None, None]  # [1, 1, N, 2]
            found = F.grid_sample(plane, grid, mode="bilinear", padding_mode="border", align_corners=True)
            product = product * found[0, :, 0]
        features.append(product)

    def linear(values: Tensor, name: str) -> Tensor:
        return values @ weights[f"{NET}{name}.weight"].T + weights[f"{NET}{name}.bias"]

    hidden = linear(torch.cat(features).T, "feature_out.0")
    return {name: linear(linear(hidden.relu(), f"{name}.1").relu(), f"{name}.3") for name in HEADS}


@pytest.fixture
def weights() -> dict[str, Tensor]:
    return official_weights()


@pytest.fixture
def table() -> np.ndarray:
    """Return forty Gaussians, some of them outside of the box, with the columns of the official PLY file."""
    return official_table(COUNT)


def columns(table: np.ndarray, names: str) -> Tensor:
    return torch.from_numpy(np.stack([table[name] for name in names.split()], axis=1))


@pytest.fixture
def imported(weights, table, tmp_path) -> Callable[..., GaussianModel4D]:
    """Return a function that writes both files and imports them."""

    def run(
        weights: object = weights, table: np.ndarray = table, num_frames: int = FRAMES
    ) -> GaussianModel4D:
        PlyData([PlyElement.describe(table, "vertex")]).write(tmp_path / "model.ply")
        torch.save(weights, tmp_path / "deformation.pth")
        return import_official(tmp_path / "model.ply", tmp_path / "deformation.pth", num_frames, fps=10.0)

    return run


def assert_moves_as_officially(model: GaussianModel4D, weights: dict[str, Tensor], table: np.ndarray) -> None:
    means, log_scales = columns(table, "x y z"), columns(table, "scale_0 scale_1 scale_2")
    quats = columns(table, "rot_0 rot_1 rot_2 rot_3")
    deformed = model.at(model.frame_times)
    assert len(deformed) == FRAMES
    for frame in range(FRAMES):
        offsets = official_offsets(weights, means, frame / FRAMES)
        close = {"atol": 1e-5, "rtol": 1e-5}
        torch.testing.assert_close(deformed[frame].means, means + offsets["pos_deform"], **close)
        torch.testing.assert_close(deformed[frame].log_scales, log_scales + offsets["scales_deform"], **close)
        torch.testing.assert_close(deformed[frame].quats, quats + offsets["rotations_deform"], **close)


def test_imported_motion_equals_the_official_formula(imported, weights, table):
    assert columns(table, "x y z").abs().max() > 1.6  # some are outside of the box
    model = imported()
    assert_moves_as_officially(model, weights, table)
    first, last = model.at(torch.tensor([0.0, 1.0])).means
    assert (first - last).abs().amax(dim=1).min() > 1e-3  # all of them move


def test_imported_opacities_and_colors_are_static(imported, table):
    deformed = imported().at(torch.tensor([0.0, 0.6]))
    assert torch.equal(deformed.logit_opacities, columns(table, "opacity")[:, 0])
    assert torch.equal(deformed.sh0[:, 0], columns(table, "f_dc_0 f_dc_1 f_dc_2"))


def test_imported_metadata_and_sizes(imported):
    model = imported()
    assert (model.info.num_frames, model.info.fps) == (FRAMES, 10.0)
    assert model.deformation.config.resolutions == (4, 8)
    assert model.deformation.config.time_resolution == 5
    assert not any(parameter.requires_grad for parameter in model.deformation.parameters())


def test_imported_scene_round_trips_through_a_scene_file(imported, weights, table, tmp_path):
    save_scene(tmp_path / "a.safetensors", imported())
    assert_moves_as_officially(load_scene(tmp_path / "a.safetensors"), weights, table)


@pytest.mark.parametrize("corner", [1.2, -1.2])
def test_box_of_the_file_sets_bound_and_direction(imported, weights, table, corner):
    weights[f"{NET}grid.aabb"] = torch.tensor([[corner], [-corner]]).expand(2, 3).clone()
    assert_moves_as_officially(imported(), weights, table)


def test_file_without_a_box_uses_the_official_bound(imported, weights, table):
    boxless = {name: value for name, value in weights.items() if "aabb" not in name}
    assert_moves_as_officially(imported(boxless), weights, table)


@pytest.mark.parametrize("prefix", ["", "module.deformation_net.", "_deformation.deformation_net."])
def test_any_name_prefix_is_accepted(imported, weights, table, prefix):
    renamed = {name.replace(NET, prefix): value for name, value in weights.items()}
    assert_moves_as_officially(imported(renamed), weights, table)


def test_single_frame_is_at_time_zero(imported, weights, table):
    model = imported(num_frames=1)
    expected = columns(table, "x y z") + official_offsets(weights, columns(table, "x y z"), 0.0)["pos_deform"]
    torch.testing.assert_close(model.at(model.frame_times).means[0], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        "grid.grids.0.0",
        "grid.grids.0.2",
        "grid.grids.1.0",
        "grid.grids.1.5",
        "feature_out.0.weight",
        "feature_out.0.bias",
        "pos_deform.1.weight",
        "scales_deform.3.bias",
        "rotations_deform.3.weight",
    ],
)
def test_missing_misshapen_or_non_finite_tensor_is_named(imported, weights, name):
    key = NET + name
    whole = weights.pop(key)
    subject = rf"^official deformation .*deformation\.pth: {re.escape(key)}"
    with pytest.raises(
        ValueError, match=rf"{subject} is missing; expected the state dict of STAG4D's network"
    ):
        imported(weights)
    weights[key] = whole[None]
    with pytest.raises(ValueError, match=rf"{subject} has shape \[1, .*\]; expected \[.+\]\."):
        imported(weights)
    weights[key] = whole.clone()
    weights[key].view(-1)[-1] = float("inf")
    with pytest.raises(ValueError, match=rf"{subject} holds numbers that are not finite"):
        imported(weights)


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("grid.grids.1.3", (1, 3, 8, 7), r"\[1, 3, 8, 8\]"),
        ("grid.grids.1.0", (1, 2, 8, 8), r"\[1, 3, any, any\]"),
        ("grid.grids.1.4", (1, 3, 6, 8), r"\[1, 3, 5, 8\]"),
        ("feature_out.0.weight", (8, 9), r"\[any, 6\]"),
        ("pos_deform.3.weight", (2, 8), r"\[3, 8\]"),
        ("grid.aabb", (6,), r"\[2, 3\]"),
    ],
)
def test_inconsistent_shape_is_named(imported, weights, name, shape, expected):
    weights[NET + name] = torch.ones(shape)
    with pytest.raises(ValueError, match=rf"{name} has shape .*; expected {expected}\."):
        imported(weights)


def test_other_networks_are_refused(imported, weights):
    uneven = weights | {f"{NET}grid.aabb": torch.tensor([[1.6, 1.6, 1.6], [-1.6, -1.6, -1.0]])}
    with pytest.raises(ValueError, match=r"deformation\.pth: the box is .*; expected a cube around 0"):
        imported(uneven)
    with pytest.raises(ValueError, match=r"feature_out has several layers; expected one"):
        imported(weights | {f"{NET}feature_out.2.weight": torch.zeros(8, 8)})
    for other in ([torch.zeros(3)], torch.zeros(3), {1: torch.zeros(3)}):
        with pytest.raises(ValueError, match=r"deformation\.pth: holds a \w+; expected a state dict"):
            imported(other)
    for other in ({}, {"a": torch.zeros(2)}, {f"{NET}grid.grids.0.0": "not a tensor"}):
        with pytest.raises(ValueError, match=r"deformation_net\.grid\.grids\.0\.0 is missing"):
            imported(other)


class Malicious:
    """An object that runs code when it is unpickled: it creates a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.folder),)


def test_pickled_code_is_refused_and_never_runs(imported, weights, tmp_path):
    marker = tmp_path / "it ran"
    with pytest.raises(ValueError, match=r"deformation\.pth: refused \(UnpicklingError\), .*could run code"):
        imported(weights | {"extra": Malicious(marker)})
    assert not marker.exists()
    path = tmp_path / "plain.pth"
    path.write_bytes(pickle.dumps(Malicious(marker)))
    with pytest.raises(ValueError, match=r"plain\.pth: not an archive of torch\.save"):
        read_official_deformation(path, FRAMES)
    assert not marker.exists()
    pickle.loads(path.read_bytes())  # unpickling it would have run the code
    assert marker.exists()


def test_damaged_files_and_wrong_numbers_are_refused(imported, weights, tmp_path):
    model = imported()
    whole = (tmp_path / "deformation.pth").read_bytes()
    path = tmp_path / "bad.pth"
    with pytest.raises(FileNotFoundError, match=r"bad\.pth: no such file"):
        read_official_deformation(path, FRAMES)
    for content in (b"", b"some text", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"bad\.pth: not an archive of torch\.save, or truncated"):
            read_official_deformation(path, FRAMES)
    path.write_bytes(whole[len(whole) // 2 :])  # it ends like an archive, which only newer Pythons reject
    with pytest.raises(ValueError, match=r"bad\.pth: (refused \(\w+\), as it is damaged|.*truncated)"):
        read_official_deformation(path, FRAMES)
    with pytest.raises(ValueError, match=r"official deformation: 0 frames; expected at least one"):
        read_official_deformation(tmp_path / "deformation.pth", 0)
    with pytest.raises(ValueError, match=r"scene: 0 frames"):
        imported(num_frames=0)
    assert model.deformation.time_offset == 0.0


def test_ply_of_another_layout_is_refused(imported, table):
    def empty(names: list[str]) -> np.ndarray:
        return np.zeros(COUNT, dtype=[(name, "<f4") for name in names])

    with pytest.raises(ValueError, match=r"model\.ply: has view-dependent color .*; expected SH degree 0"):
        imported(table=empty([*COLUMNS, "f_rest_0"]))
    with pytest.raises(ValueError, match=r"model\.ply: no column rot_3; expected"):
        imported(table=empty(COLUMNS[:-1]))


def test_gaussians_that_are_not_finite_are_dropped(imported, weights, table):
    valid = np.delete(table, 3)
    table["rot_1"][3] = np.nan
    model = imported(table=table)
    assert len(model.gaussians) == COUNT - 1
    assert_moves_as_officially(model, weights, valid)


def test_tensors_that_are_larger_than_what_is_stored_are_refused(imported, weights):
    name = f"{NET}grid.grids.0.0"
    stretched = torch.zeros(1).expand(1, CHANNELS, 30_000, 30_000)  # 10 GB from 4 bytes
    size = (1, CHANNELS, 30_000, 30_000)
    sparse = torch.sparse_coo_tensor(torch.zeros(4, 1), torch.ones(1), size, check_invariants=True)
    for value in (stretched, sparse, weights[name].int(), weights[name].to("meta")):
        with pytest.raises(ValueError, match=rf"{re.escape(name)} is not stored number by number"):
            imported(weights | {name: value})


def test_compressed_archive_is_refused(imported, weights, tmp_path):
    imported(weights)
    source, path = tmp_path / "deformation.pth", tmp_path / "small.pth"
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as copy:
        for name in archive.namelist():
            copy.writestr(name, archive.read(name))
    with pytest.raises(ValueError, match=r"small\.pth: compressed, or truncated"):
        read_official_deformation(path, FRAMES)


def test_record_shorter_than_its_tensor_is_refused(imported, weights, tmp_path):
    """A tensor of the last record would reach beyond the file."""
    imported(weights)
    source, path = tmp_path / "deformation.pth", tmp_path / "short.pth"
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(path, "w") as copy:
        for name in archive.namelist():
            content = archive.read(name)
            copy.writestr(name, content[:1] if "/data/" in name else content)
    with pytest.raises(ValueError, match=r"short\.pth: "):
        read_official_deformation(path, FRAMES)
