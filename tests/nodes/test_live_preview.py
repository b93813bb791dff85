"""The scene as it grows: shown to the viewers that wait for it, in files that do not pile up."""

import importlib
import sys

import pytest

PROMPT = {
    "3": {"class_type": "STAG4DOptimize", "inputs": {}},
    "4": {"class_type": "STAG4DPreview", "inputs": {"scene": ["3", 0]}},
    "5": {"class_type": "STAG4DPreview", "inputs": {"scene": ["9", 0]}},
    "6:7": {"class_type": "STAG4DPreview", "inputs": {"scene": ["3", 0]}},
    "8": {"class_type": "STAG4DRender", "inputs": {"scene": ["3", 0]}},
}
PAGE = {"workflow": {"id": "one", "nodes": []}}  # what the page sends with a prompt


@pytest.fixture
def growing(pack):
    return importlib.import_module(f"{pack.__name__}.nodes.growing")


@pytest.fixture
def told(growing, monkeypatch):
    """What the page has been told."""
    server = sys.modules["server"].PromptServer.instance
    monkeypatch.setattr(server, "told", [])
    monkeypatch.setattr(server, "client_id", "the page")
    return server.told


def scenes(model, count):
    """Return different scenes."""
    return [
        type(model)(model.gaussians.map(lambda value, shift=shift: value + 0.01 * shift), None, model.info)
        for shift in range(count)
    ]


def test_viewers_of_the_scene_are_told_of_a_clip_that_is_there(
    growing, told, host_folders, sliding_scene, monkeypatch
):
    monkeypatch.setattr(growing, "LEAST_SECONDS", 0.0)
    growing.LivePreview(PROMPT, "3", PAGE).show(scenes(sliding_scene, 1)[0])
    ((event, data, client),) = told
    assert (event, data["viewers"], client) == ("stag4d.growing", ["4", "6:7"], "the page")
    assert data["workflow"] == "one"
    assert (host_folders / "temp" / "stag4d" / data["filename"]).is_file()


def test_only_the_last_clips_stay(growing, told, host_folders, sliding_scene, monkeypatch):
    monkeypatch.setattr(growing, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(growing, "MOST_SHARE", 1e9)
    scene = growing.LivePreview(PROMPT, "3", PAGE)
    for model in scenes(sliding_scene, 4):
        scene.show(model)
    names = [data["filename"] for _, data, _ in told]
    assert len(set(names)) == 4
    folder = host_folders / "temp" / "stag4d"
    assert {path.name for path in folder.iterdir()} == set(names[2:])
    scene.close()
    assert {path.name for path in folder.iterdir()} == {names[3]}


def test_nothing_is_packed_for_nobody_or_too_soon(growing, told, host_folders, sliding_scene, monkeypatch):
    growing.LivePreview(PROMPT, "3", PAGE).show(sliding_scene)  # LEAST_SECONDS have not passed
    monkeypatch.setattr(growing, "LEAST_SECONDS", 0.0)
    growing.LivePreview(PROMPT, "8", PAGE).show(sliding_scene)
    growing.LivePreview(None, None, None).show(sliding_scene)
    assert told == []
    assert list((host_folders / "temp").iterdir()) == []


@pytest.mark.parametrize("sent", [None, {}, {"workflow": None}, {"workflow": "cat"}, {"workflow": {}}])
@pytest.mark.usefixtures("host_folders")
def test_a_prompt_of_no_workflow_is_shown_too(growing, told, sliding_scene, monkeypatch, sent):
    monkeypatch.setattr(growing, "LEAST_SECONDS", 0.0)
    growing.LivePreview(PROMPT, "3", sent).show(sliding_scene)
    ((_, data, _),) = told
    assert data["workflow"] is None


@pytest.mark.parametrize("kind", [ValueError, RuntimeError, OSError, MemoryError])
def test_a_scene_that_cannot_be_packed_is_logged_once_and_tried_no_more(
    growing, told, sliding_scene, monkeypatch, caplog, kind
):
    tries = []

    def pack(model, on_frame):
        tries.append(model)
        raise kind("no room")

    monkeypatch.setattr(growing, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(growing, "clip_name", pack)
    scene = growing.LivePreview(PROMPT, "3", PAGE)
    for _ in range(3):
        scene.show(sliding_scene)
    scene.close()
    assert len(tries) == 1
    assert told == []
    assert [record.message for record in caplog.records] == ["The scene is not shown while it grows: no room"]


@pytest.mark.usefixtures("told", "host_folders")
def test_a_cancel_is_heard_while_a_scene_is_packed(growing, sliding_scene, monkeypatch):
    management = sys.modules["comfy.model_management"]

    def cancel():
        raise management.InterruptProcessingException

    monkeypatch.setattr(growing, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(management, "throw_exception_if_processing_interrupted", cancel)
    with pytest.raises(management.InterruptProcessingException):
        growing.LivePreview(PROMPT, "3", PAGE).show(sliding_scene)


@pytest.mark.usefixtures("host_folders")
def test_a_clip_that_is_being_read_is_left_where_it_is(growing, told, sliding_scene, monkeypatch):
    class Folder:
        """A folder whose files are all open, on Windows."""

        def __truediv__(self, name):
            return self

        def unlink(self, missing_ok):
            raise PermissionError

    monkeypatch.setattr(growing, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(growing, "MOST_SHARE", 1e9)
    monkeypatch.setattr(growing, "temp_folder", Folder)
    scene = growing.LivePreview(PROMPT, "3", PAGE)
    for model in scenes(sliding_scene, 4):
        scene.show(model)
    scene.close()
    assert len(told) == 4
