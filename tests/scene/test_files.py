"""Scene files: round trips, and error messages for damaged files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from seed_files import random_gaussians, scene_of
from torch import Tensor

from stag4d.scene import (
    MAX_METADATA_BYTES,
    FieldConfig,
    GaussianModel4D,
    Gaussians,
    SceneInfo,
    load_scene,
    save_scene,
    stack_frames,
)
from stag4d.scene.files import FORMAT_VERSION, write_tensors


@pytest.fixture
def scene_file(moving_scene, tmp_path) -> Path:
    path = tmp_path / "scene.safetensors"
    save_scene(path, moving_scene)
    return path


def read_header(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        assert list(file.metadata()) == ["stag4d"]
        return json.loads(file.metadata()["stag4d"])


def rewrite(path: Path, change: Callable[[dict[str, Tensor], dict[str, Any]], object]) -> None:
    """Change the tensors and the header of a scene in place."""
    tensors, header = load_file(path), read_header(path)
    change(tensors, header)
    save_file(tensors, path, metadata={"stag4d": json.dumps(header)})


def assert_same_parameters(first: GaussianModel4D, second: GaussianModel4D) -> None:
    for name, value in first.gaussians.as_dict().items():
        assert torch.equal(value, getattr(second.gaussians, name)), name
    state, other = first.deformation.state_dict(), second.deformation.state_dict()
    assert list(state) == list(other)
    assert all(torch.equal(state[name], other[name]) for name in state)


def test_scene_round_trips_through_its_file(moving_scene, scene_file):
    loaded = load_scene(str(scene_file))
    assert_same_parameters(moving_scene, loaded)
    assert loaded.info == moving_scene.info
    assert loaded.deformation.config == moving_scene.deformation.config
    assert not any(parameter.requires_grad for parameter in loaded.deformation.parameters())
    times = moving_scene.frame_times
    assert torch.equal(loaded.at(times).means, moving_scene.at(times).means)


def test_scene_with_gradients_is_saved(make_gaussians, make_field, tmp_path):
    gaussians = make_gaussians().map(lambda value: value.requires_grad_())
    model = GaussianModel4D(gaussians, make_field(), SceneInfo(num_frames=3))
    save_scene(tmp_path / "new" / "folder" / "a.safetensors", model)
    assert_same_parameters(model, load_scene(tmp_path / "new" / "folder" / "a.safetensors"))


def test_header_holds_the_metadata(scene_file):
    header = read_header(scene_file)
    assert header["format_version"] == 1  # readers of version 1 read scenes without stored frames
    assert header["num_frames"] == 5
    assert header["fps"] == 12.0
    assert header["frame_times"] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert header["input_pose"] == {"azimuth_deg": 30, "elevation_deg": -10, "radius": 2.5, "fovy_deg": 40}
    assert header["settings"] == {"preset": "fast", "steps": [1, 2]}
    assert header["field"]["config"]["bound"] == 1.5
    assert (header["field"]["time_scale"], header["field"]["time_offset"]) == (2.0, -1.0)


def test_metadata_are_stored_beside_the_header_and_ignored_by_readers(moving_scene, scene_file, tmp_path):
    texts = {"workflow": json.dumps({"note": "Füchse \n </script>"}), "prompt": "{}"}
    path = tmp_path / "b.safetensors"
    save_scene(path, moving_scene, texts)
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"stag4d": json.dumps(read_header(scene_file)), **texts}
    assert_same_parameters(load_scene(scene_file), load_scene(path))
    assert load_scene(path).info == moving_scene.info
    assert {k: v.tolist() for k, v in load_file(path).items()} == {
        k: v.tolist() for k, v in load_file(scene_file).items()
    }


def test_scene_with_the_same_metadata_has_the_same_bytes(moving_scene, scene_file, tmp_path):
    texts = dict.fromkeys("edcba", "1")
    contents = set()
    for number in range(5):  # the library's own order of five names differs almost surely
        save_scene(tmp_path / f"{number}.safetensors", moving_scene, texts)
        contents.add((tmp_path / f"{number}.safetensors").read_bytes())
    assert len(contents) == 1
    save_scene(tmp_path / "none.safetensors", moving_scene, {})
    assert (tmp_path / "none.safetensors").read_bytes() == scene_file.read_bytes()


def test_header_with_a_workflow_of_2_mb_ends_where_the_page_of_comfyui_stops_reading(moving_scene, tmp_path):
    node = {"id": 12, "type": "STAG4DOptimize", "pos": [40, 320], "widgets_values": ["fast", 800, 256, 0]}
    workflow = json.dumps({"nodes": [node] * (2_000_000 // len(json.dumps(node)))})
    path = tmp_path / "a.safetensors"
    save_scene(path, moving_scene, {"workflow": workflow})
    assert 2_000_000 < int.from_bytes(path.read_bytes()[:8], "little") < 2**22 - 8
    assert load_scene(path).info == moving_scene.info
    largest = {"workflow": "a" * (MAX_METADATA_BYTES - len(json.dumps({"workflow": ""})))}
    save_scene(path, moving_scene, largest)
    assert int.from_bytes(path.read_bytes()[:8], "little") < 2**22 - 8


def test_unusable_metadata_are_refused(moving_scene, tmp_path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(ValueError, match=r"bytes of metadata; expected at most 3670016\."):
        save_scene(path, moving_scene, {"workflow": "a" * MAX_METADATA_BYTES})
    with pytest.raises(ValueError, match="metadata 'stag4d' is the header's name"):
        save_scene(path, moving_scene, {"stag4d": "{}"})
    with pytest.raises(TypeError, match="metadata 'workflow' is dict; expected strings"):
        save_scene(path, moving_scene, {"workflow": {}})
    assert not path.exists()


def test_tensors_in_the_file_are_the_parameters(moving_scene, scene_file):
    tensors = load_file(scene_file)
    for name, value in moving_scene.gaussians.as_dict().items():
        assert torch.equal(tensors[f"gaussians.{name}"], value)
    assert torch.equal(tensors["deformation.trunk.weight"], moving_scene.deformation.trunk.weight)
    assert {name.split(".")[0] for name in tensors} == {"gaussians", "deformation"}


def test_same_scene_gives_same_bytes(moving_scene, scene_file, tmp_path):
    save_scene(tmp_path / "again.safetensors", load_scene(scene_file))
    assert (tmp_path / "again.safetensors").read_bytes() == scene_file.read_bytes()


def with_offsets(model: GaussianModel4D) -> GaussianModel4D:
    offsets = torch.linspace(-1.5, 2.0, 15).reshape(5, 3)
    return GaussianModel4D(model.gaussians, model.deformation, replace(model.info, offsets=offsets))


def test_offsets_round_trip_in_a_version_that_older_readers_refuse(moving_scene, scene_file, tmp_path):
    model = with_offsets(moving_scene)
    save_scene(tmp_path / "a.safetensors", model)
    loaded = load_scene(tmp_path / "a.safetensors")
    assert torch.equal(loaded.info.offsets, model.info.offsets)
    assert torch.equal(loaded.at(model.frame_times).means, model.at(model.frame_times).means)
    assert read_header(tmp_path / "a.safetensors")["format_version"] == 2
    assert load_scene(scene_file).info.offsets is None
    save_scene(tmp_path / "b.safetensors", loaded)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    save_scene(tmp_path / "c.safetensors", loaded.object_centered())
    assert (tmp_path / "c.safetensors").read_bytes() == scene_file.read_bytes()


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        (torch.zeros(4, 3), "4 offsets for 5 frames"),
        (torch.zeros(5), r"offsets have shape \[5\]; expected \[5, 3\]"),
        (torch.full((5, 3), 1e30), "offsets up to 1e"),
        (torch.full((5, 3), torch.nan), "offsets holds numbers that are not finite"),
        (torch.zeros(5, 3, dtype=torch.float64), "offsets is torch.float64"),
    ],
)
def test_damaged_offsets_are_refused(scene_file, offsets, message):
    rewrite(scene_file, lambda tensors, header: tensors.update(offsets=offsets))
    with pytest.raises(ValueError, match=message):
        load_scene(scene_file)


def test_static_scene_round_trips_without_a_field(make_gaussians, tmp_path):
    model = GaussianModel4D(make_gaussians(), None, SceneInfo(num_frames=1))
    save_scene(tmp_path / "a.safetensors", model)
    loaded = load_scene(tmp_path / "a.safetensors")
    assert loaded.deformation is None
    assert loaded.info == model.info
    assert torch.equal(loaded.gaussians.sh0, model.gaussians.sh0)


def test_time_mapping_and_static_scales_round_trip(make_gaussians, make_field, tmp_path):
    config = FieldConfig(resolutions=(3,), num_channels=2, deform_scales=False)
    field = make_field(config, time_scale=0.75, time_offset=0.125)
    save_scene(tmp_path / "a.safetensors", GaussianModel4D(make_gaussians(), field, SceneInfo(num_frames=2)))
    loaded = load_scene(tmp_path / "a.safetensors").deformation
    assert (loaded.time_scale, loaded.time_offset) == (0.75, 0.125)
    assert loaded.config == config


def test_strided_views_of_a_tensor_are_written_contiguously(make_gaussians, tmp_path):
    gaussians = make_gaussians(8).map(lambda value: value.expand(8, *value.shape[1:])[::2])
    save_scene(tmp_path / "a.safetensors", GaussianModel4D(gaussians, None, SceneInfo(num_frames=1)))
    assert torch.equal(load_scene(tmp_path / "a.safetensors").gaussians.quats, make_gaussians(8).quats[::2])


def change_version(tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    header["format_version"] = FORMAT_VERSION + 1


def spoil_number(tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    tensors["deformation.trunk.weight"][0, 0] = float("nan")


def drop_tensor(tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    del tensors["gaussians.quats"]


def drop_plane(tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    del tensors["deformation.hexplane.time_planes.1"]


def cut_tensor(tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    tensors["gaussians.sh0"] = tensors["gaussians.sh0"][:2].clone()


def drop_scalar(tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    tensors["gaussians.means"] = torch.tensor(1.0)


def change_sizes(tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    header["field"]["config"]["width"] = 9


def drop_frames(tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    del header["num_frames"]


def no_frames(tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    header["num_frames"] = 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_version, r"format version 3, this program reads up to 2; update STAG4D\."),
        (
            spoil_number,
            r"deformation\.trunk\.weight holds numbers that are not finite; the file is damaged\.",
        ),
        (drop_tensor, r"an entry is missing or malformed \('gaussians\.quats'\); save the scene again\."),
        (drop_plane, r"an entry is missing or malformed .*hexplane\.time_planes\.1"),
        (cut_tensor, r"an entry is missing or malformed .*sh0 has shape \[2, 1, 3\]"),
        (drop_scalar, r"an entry is missing or malformed .*means has shape \[\]"),
        (change_sizes, r"an entry is missing or malformed .*trunk\.weight has shape .*; expected \[9, 4\]"),
        (drop_frames, r"an entry is missing or malformed \('num_frames'\)"),
        (no_frames, r"an entry is missing or malformed \(scene: 0 frames"),
    ],
)
def test_malformed_scene_is_refused(scene_file, change, message):
    rewrite(scene_file, change)
    with pytest.raises(ValueError, match=rf"(?s)^scene .*scene\.safetensors: {message}"):
        load_scene(scene_file)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("num_frames",), 2.5),
        (("num_frames",), True),
        (("fps",), float("nan")),
        (("settings",), None),
        (("settings",), ["size"]),
        (("settings", "size"), None),
        (("field", "time_scale"), None),
        (("field", "time_offset"), float("nan")),
        (("input_pose", "radius"), "far"),
        (("input_pose",), None),
        (("input_pose",), []),
        (("input_pose", "radius"), 1e300),
        (("input_pose", "azimuth_deg"), 1e300),
        (("field",), []),
        (("field", "config"), None),
        (("field", "config", "resolutions"), "35"),
        (("field", "config", "resolutions"), [3, "5"]),
        (("field", "config", "num_channels"), 2.5),
        (("field", "config", "deform_scales"), 1),
        (("field", "config", "bound"), 1e300),
        (("field", "config", "bound"), float("nan")),
        (("field", "time_scale"), 1e300),
        (("field", "time_offset"), -1e300),
        (("num_frames",), 30_000_000),
        (("num_frames",), 10**400),
    ],
    ids=lambda value: f"{value!s:.20}",
)
def test_header_value_of_the_wrong_type_is_refused(scene_file, where, value):
    def spoil(tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
        *parents, name = where
        for parent in parents:
            header = header[parent]
        header[name] = value

    rewrite(scene_file, spoil)
    name = {"num_frames": "frames", "azimuth_deg": "azimuth"}.get(where[-1], where[-1])
    with pytest.raises(ValueError, match=rf"malformed \(.*{name}.*\); save the scene again"):
        load_scene(scene_file)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("resolutions", [50_000, 50_000]),
        ("resolutions", [3, 5, 7]),
        ("resolutions", [2] * 1_000_000),
        ("time_resolution", 10**9),
        ("num_channels", 10**9),
        ("width", 40_000),
    ],
)
def test_sizes_that_the_tensors_do_not_have_are_refused_before_memory_is_allocated(
    scene_file, monkeypatch, name, value
):
    rewrite(scene_file, lambda tensors, header: header["field"]["config"].update({name: value}))

    def allocate(*arguments: object, **options: object) -> None:
        raise AssertionError("memory for the declared sizes is allocated")

    monkeypatch.setattr("stag4d.scene.field_header.Deformation", allocate)
    with pytest.raises(ValueError, match=r"has shape|is missing|levels"):
        load_scene(scene_file)


@pytest.mark.parametrize("header", ["[" * 100_000, '{"a":' * 100_000, " " * 2**22 + "{}"])
def test_deeply_nested_and_overlong_headers_are_refused(tmp_path, header):
    save_file({"a": torch.zeros(2)}, tmp_path / "a.safetensors", metadata={"stag4d": header})
    with pytest.raises(ValueError, match=r"a\.safetensors: no scene header"):
        load_scene(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("means", -1e30),
        ("log_scales", 21.0),
        ("log_scales", -1e30),
        ("quats", 1e30),
        ("sh0", 1e30),
        ("logit_opacities", 1e30),
    ],
)
def test_values_out_of_range_are_refused(scene_file, name, value):
    rewrite(scene_file, lambda tensors, header: tensors[f"gaussians.{name}"].view(-1)[0].fill_(value))
    with pytest.raises(ValueError, match=rf"^scene .*Gaussians: {name} up to .*; expected at most"):
        load_scene(scene_file)


def test_a_folder_and_a_pipe_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^scene .*: is a folder; expected a \.safetensors file\.$"):
        load_scene(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(
            ValueError, match=r"^scene .*pipe: is a pipe, socket or device; expected a \.safe"
        ):
            load_scene(tmp_path / "pipe")


def test_infinite_version_is_refused(scene_file):
    rewrite(scene_file, lambda tensors, header: header.update(format_version=float("inf")))
    with pytest.raises(ValueError, match="no scene header"):
        load_scene(scene_file)


def test_tensors_other_than_float32_are_refused(scene_file):
    rewrite(
        scene_file,
        lambda tensors, header: tensors.update({"gaussians.means": tensors["gaussians.means"].half()}),
    )
    with pytest.raises(ValueError, match=r"gaussians\.means is torch\.float16; expected torch\.float32"):
        load_scene(scene_file)


def test_floats_of_eight_bits_are_refused(tmp_path):
    tensors = {"gaussians.means": torch.zeros(2, 3).to(torch.float8_e4m3fn)}
    save_file(tensors, tmp_path / "a.safetensors", metadata={"stag4d": "{}"})
    with pytest.raises(
        ValueError, match=r"means is torch\.float8_e4m3fn; expected a float of 16 bits or more"
    ):
        load_scene(tmp_path / "a.safetensors")


def test_missing_and_damaged_files_are_refused(scene_file, tmp_path):
    whole, path = scene_file.read_bytes(), tmp_path / "bad.safetensors"
    with pytest.raises(
        FileNotFoundError, match=r"^scene .*bad\.safetensors: no such file; expected a \.safetens"
    ):
        load_scene(path)
    for content in (b"", b"not a scene", whole[:-5], whole[: len(whole) // 2], whole[:20]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"^scene .*bad\.safetensors: corrupt or truncated"):
            load_scene(path)


@pytest.mark.parametrize(
    "metadata", [None, {"other": "{}"}, {"stag4d": "{"}, {"stag4d": "[1]"}, {"stag4d": "{}"}], ids=str
)
def test_safetensors_file_without_scene_header_is_refused(tmp_path, metadata):
    save_file({"a": torch.zeros(2)}, tmp_path / "a.safetensors", metadata=metadata)
    with pytest.raises(
        ValueError, match=r"a\.safetensors: no scene header; expected a file that `stag4d fit` wr"
    ):
        load_scene(tmp_path / "a.safetensors")


def test_unwritable_path_is_named(moving_scene, tmp_path):
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file" / "a.safetensors", tmp_path / "file" / "deeper" / "a.safetensors"):
        with pytest.raises(
            RuntimeError, match=r"a\.safetensors: cannot be written .*; check the folder and its space"
        ):
            save_scene(path, moving_scene)
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(RuntimeError, match=r"folder\.safetensors: cannot be written"):
        save_scene(tmp_path / "folder.safetensors", moving_scene)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.safetensors"]


def test_failed_write_keeps_the_old_file(scene_file, moving_scene, monkeypatch):
    before = scene_file.read_bytes()

    def full_disk(path: Path, content: bytes) -> None:
        path.write_text("half a file")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(RuntimeError, match=r"scene\.safetensors: cannot be written .*No space left on"):
        save_scene(scene_file, moving_scene)
    assert scene_file.read_bytes() == before
    assert list(scene_file.parent.iterdir()) == [scene_file]


def test_write_tensors_keeps_values_and_dtypes(tmp_path):
    table = torch.arange(6.0).reshape(2, 3)
    write_tensors(tmp_path / "a.safetensors", {"columns": table.T, "count": torch.tensor(3)}, {"a": "b"})
    tensors = load_file(tmp_path / "a.safetensors")
    assert torch.equal(tensors["columns"], table.T)
    assert tensors["count"].dtype == torch.int64


@pytest.fixture
def frames_file(tmp_path) -> Path:
    """Return the file of a scene of stored frames, of which only the centers change."""
    first = random_gaussians(6)
    frames = stack_frames([first, replace(first, means=first.means + 0.1)])
    save_scene(tmp_path / "scene.safetensors", scene_of(frames))
    return tmp_path / "scene.safetensors"


@pytest.mark.parametrize("name", ["means", "log_scales"])
def test_values_of_stored_frames_out_of_range_are_refused(frames_file, name):
    rewrite(frames_file, lambda tensors, header: tensors[f"frames.{name}"].view(-1)[-1].fill_(1e30))
    with pytest.raises(ValueError, match=rf"^scene .*frames: {name} up to 1e\+30; expected at most"):
        load_scene(frames_file)


def test_gaussians_of_another_number_than_those_of_the_frames_are_refused(frames_file):
    def drop_a_row(tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
        for name in Gaussians.names():
            tensors[f"gaussians.{name}"] = tensors[f"gaussians.{name}"][1:].clone()

    rewrite(frames_file, drop_a_row)
    with pytest.raises(ValueError, match="scene: 5 Gaussians and frames of 6; expected equal numbers"):
        load_scene(frames_file)


@pytest.mark.parametrize("suffix", [".ply", ".SPZ", ".s4d", ".4dgs"])
def test_a_scene_in_another_format_is_refused_with_the_remedy(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"ply\n" * 9)
    expected = rf"^scene .*a\{suffix}: is a \{suffix.lower()} file; convert it with `stag4d import`\.$"
    with pytest.raises(ValueError, match=expected):
        load_scene(path)
