"""Names of files in the host's folders: a walk through them serves for a moment."""

import importlib

import pytest


@pytest.fixture
def host_files(pack):
    return importlib.import_module(f"{pack.__name__}.nodes.host_files")


def test_a_folder_is_walked_through_once_in_two_seconds(host_files, tmp_path, monkeypatch):
    now = 100.0
    monkeypatch.setattr(host_files, "monotonic", lambda: now)

    def names(pattern="*.txt", root=tmp_path):
        return [path.name for path in host_files.paths_named(pattern, root)]

    (tmp_path / "b.txt").touch()
    (tmp_path / "deep").mkdir()
    assert names() == ["b.txt"]
    (tmp_path / "a.txt").touch()
    (tmp_path / "deep" / "c.txt").touch()
    now = 101.9
    assert names() == ["b.txt"]
    assert names("a*") == ["a.txt"]  # another pattern and another folder are other walks
    assert names(root=tmp_path / "deep") == ["c.txt"]
    now = 102.0
    assert names() == ["a.txt", "b.txt", "c.txt"]


def test_both_loaders_list_by_it(pack, host_files, host_folders, monkeypatch):
    monkeypatch.setattr(host_files, "monotonic", lambda: 100.0)
    nodes = [
        getattr(importlib.import_module(f"{pack.__name__}.nodes.{module}"), name)
        for module, name in (("load_views", "STAG4DLoadViews"), ("scene_files", "STAG4DLoad"))
    ]

    def offered():
        return [node.define_schema().inputs[0].options["options"] for node in nodes]

    assert offered() == [[], []]
    (host_folders / "input" / "toy" / "ref").mkdir(parents=True)
    (host_folders / "input" / "cat.safetensors").touch()
    assert offered() == [[], []]
    monkeypatch.setattr(host_files, "monotonic", lambda: 102.0)
    assert offered() == [["toy"], ["cat.safetensors"]]
