"""The workflow and prompt in files of STAG4D Save Scene and STAG4D Export."""

import json
import logging
import sys
from types import SimpleNamespace

import pytest
from plyfile import PlyData
from safetensors import safe_open

PROMPT = {"7": {"class_type": "STAG4DSave", "inputs": {"scene": ["6", 0]}}}
WORKFLOW = {"id": "5d8f", "nodes": [{"id": 7, "type": "STAG4DSave"}], "version": 0.4}
EXTRA = {"workflow": WORKFLOW, "stag4d": "not a header", "other": 1}
NO_SPACE = "left out of the file"


@pytest.fixture
def file_metadata(pack_module):
    return pack_module("nodes.host.file_metadata").file_metadata


@pytest.fixture
def in_prompt(pack_module, monkeypatch):
    """A function that gives the nodes the hidden inputs of a prompt."""

    def arrange(prompt=PROMPT, extra=EXTRA):
        hidden = SimpleNamespace(unique_id="7", prompt=prompt, extra_pnginfo=extra)
        monkeypatch.setattr(pack_module("nodes.scene_files").STAG4DSave, "hidden", hidden)
        monkeypatch.setattr(pack_module("nodes.export").STAG4DExport, "hidden", hidden)

    return arrange


@pytest.fixture
def no_metadata(pack, monkeypatch):
    """ComfyUI was started with --disable-metadata."""
    monkeypatch.setattr(sys.modules["comfy.cli_args"].args, "disable_metadata", True)


@pytest.fixture
def save(pack_module, host_folders, sliding_scene):
    """A function that saves a static scene and returns the file."""
    scene = pack_module("stag4d.scene")
    model = scene.GaussianModel4D(sliding_scene.gaussians, None, sliding_scene.info)

    def run():
        (name,) = pack_module("nodes.scene_files").STAG4DSave.execute(model, "ball").args
        return host_folders / "output" / name.removesuffix(" [output]")

    return run


@pytest.fixture
def export(pack_module, host_folders, sliding_scene):
    """A function that exports the scene and returns the file or folder."""

    def run(format, **settings):
        chosen = {"format": format, **settings}
        node = pack_module("nodes.export").STAG4DExport
        name = node.execute(sliding_scene, "ball", chosen).args[1]
        return host_folders / "output" / name.removesuffix(" [output]")

    return run


def stored(path):
    """Return the metadata of a scene file besides its header, parsed."""
    with safe_open(path, framework="pt") as file:
        return {name: json.loads(text) for name, text in file.metadata().items() if name != "stag4d"}


def test_saved_scene_holds_workflow_and_prompt_and_can_be_loaded(
    in_prompt, save, pack_module, sliding_scene, host_folders
):
    in_prompt()
    path = save()
    assert stored(path) == {"workflow": WORKFLOW, "prompt": PROMPT}  # and no other key that a client sent
    (loaded,) = pack_module("nodes.scene_files").STAG4DLoad.execute(f"{path.name} [output]").args
    assert loaded.gaussians.means.tolist() == sliding_scene.gaussians.means.tolist()


def test_scene_without_a_prompt_has_the_bytes_of_the_commands(in_prompt, save, pack_module, tmp_path):
    plain = save()
    pack_module("stag4d.scene").save_scene(
        tmp_path / "a.safetensors", pack_module("stag4d.scene").load_scene(plain)
    )
    assert plain.read_bytes() == (tmp_path / "a.safetensors").read_bytes()
    in_prompt(prompt=None, extra=None)
    assert save().read_bytes() == plain.read_bytes()


@pytest.mark.usefixtures("no_metadata")
def test_disable_metadata_leaves_them_out(in_prompt, save, export):
    in_prompt()
    assert stored(save()) == {}
    files = [export("ply", moment=0.0), export("clip"), export("html"), *export("ply sequence").iterdir()]
    for path in files:
        assert b"STAG4DSave" not in path.read_bytes()


def test_exports_with_a_place_for_metadata_hold_them(in_prompt, export):
    in_prompt()
    comments = PlyData.read(export("ply", moment=0.5))["vertex"].comments
    assert [json.loads(comment.partition(" ")[2]) for comment in comments] == [WORKFLOW, PROMPT]
    for path in export("ply sequence").iterdir():
        assert PlyData.read(path)["vertex"].comments == comments
    for name in ("clip", "html"):
        assert b'"workflow": "{\\"id\\":\\"5d8f\\"' in export(name).read_bytes()
    pytest.importorskip("fourdgs")
    assert b'"workflow":"{\\"id\\":\\"5d8f\\"' in export("glb", moment=0.0).read_bytes()
    assert b"STAG4DSave" not in export("4dgs").read_bytes()


def test_formats_without_a_place_have_the_same_bytes_in_a_prompt(in_prompt, export):
    pytest.importorskip("gsply")
    plain = [export("spz", moment=0.0).read_bytes(), export("splat", moment=0.0).read_bytes()]
    in_prompt()
    assert plain == [export("spz", moment=0.0).read_bytes(), export("splat", moment=0.0).read_bytes()]


@pytest.mark.parametrize("extra", [None, {}, [], "workflow", {"workflow": None}])
def test_prompt_of_a_client_without_a_workflow_is_stored(in_prompt, save, extra):
    in_prompt(extra=extra)
    assert stored(save()) == {"prompt": PROMPT}


def test_what_does_not_fit_is_left_out_with_a_warning_the_prompt_first(file_metadata, caplog):
    hidden = SimpleNamespace(prompt=PROMPT, extra_pnginfo=EXTRA)
    everything = file_metadata(hidden, 10_000)
    assert list(everything) == ["workflow", "prompt"]
    assert not caplog.records
    size = len(json.dumps(everything))
    assert file_metadata(hidden, size) == everything
    with caplog.at_level(logging.WARNING):
        assert list(file_metadata(hidden, size - 1)) == ["workflow"]
        assert caplog.messages == [f"prompt: {NO_SPACE}; {size} bytes, {size - 1} fit into it."]
        assert file_metadata(hidden, 20) == {}
        assert file_metadata(hidden, 0) == {}
    assert [message.split(":")[0] for message in caplog.messages] == ["prompt", "workflow", "prompt"]


def test_large_workflow_does_not_stop_an_export(in_prompt, export, read_ply_count, caplog):
    in_prompt(extra={"workflow": {"nodes": ["a" * 70_000]}})
    path = export("ply", moment=0.0)
    assert read_ply_count(path) == 1
    assert [comment.split(" ")[0] for comment in PlyData.read(path)["vertex"].comments] == ["prompt"]
    assert NO_SPACE in caplog.text


@pytest.fixture
def read_ply_count(pack_module):
    return lambda path: len(pack_module("stag4d.export").read_ply(path))
