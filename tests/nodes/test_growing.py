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
    growing.GrowingScene(PROMPT, "3").show(scenes(sliding_scene, 1)[0])
    ((event, data, client),) = told
    assert (event, data["viewers"], client) == ("stag4d.growing", ["4", "6:7"], "the page")
    assert (host_folders / "temp" / "stag4d" / data["filename"]).is_file()


def test_only_the_last_clips_stay(growing, told, host_folders, sliding_scene, monkeypatch):
    monkeypatch.setattr(growing, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(growing, "MOST_SHARE", 1e9)
    scene = growing.GrowingScene(PROMPT, "3")
    for model in scenes(sliding_scene, 4):
        scene.show(model)
    names = [data["filename"] for _, data, _ in told]
    assert len(set(names)) == 4
    folder = host_folders / "temp" / "stag4d"
    assert {path.name for path in folder.iterdir()} == set(names[2:])
    scene.close()
    assert {path.name for path in folder.iterdir()} == {names[3]}


def test_nothing_is_packed_for_nobody_or_too_soon(growing, told, host_folders, sliding_scene, monkeypatch):
    growing.GrowingScene(PROMPT, "3").show(sliding_scene)  # LEAST_SECONDS have not passed
    monkeypatch.setattr(growing, "LEAST_SECONDS", 0.0)
    growing.GrowingScene(PROMPT, "8").show(sliding_scene)
    growing.GrowingScene(None, None).show(sliding_scene)
    assert told == []
    assert list((host_folders / "temp").iterdir()) == []
