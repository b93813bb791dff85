"""Files in ComfyUI's folders: results of a search are reused for two seconds."""

import pytest


@pytest.fixture
def files(pack_module):
    return pack_module("nodes.host.files")


def test_a_folder_is_searched_again_after_two_seconds(files, tmp_path, monkeypatch):
    now = 100.0
    monkeypatch.setattr(files, "monotonic", lambda: now)

    def names(pattern="*.txt", root=tmp_path):
        return [path.name for path in files.find_paths(pattern, root)]

    (tmp_path / "b.txt").touch()
    (tmp_path / "deep").mkdir()
    assert names() == ["b.txt"]
    (tmp_path / "a.txt").touch()
    (tmp_path / "deep" / "c.txt").touch()
    now = 101.9
    assert names() == ["b.txt"]
    assert names("a*") == ["a.txt"]  # another pattern and another folder are other searches
    assert names(root=tmp_path / "deep") == ["c.txt"]
    now = 102.0
    assert names() == ["a.txt", "b.txt", "c.txt"]


def test_both_loader_nodes_reuse_results(pack_module, files, host_folders, monkeypatch):
    monkeypatch.setattr(files, "monotonic", lambda: 100.0)
    nodes = pack_module("nodes.load_views").STAG4DLoadViews, pack_module("nodes.scene_files").STAG4DLoad

    def options():
        names = [node.define_schema().inputs[0].options["options"] for node in nodes]
        return [[name for name in found if not name.startswith("bundled/")] for found in names]

    assert options() == [[], []]
    (host_folders / "input" / "toy" / "ref").mkdir(parents=True)
    (host_folders / "input" / "cat.safetensors").touch()
    assert options() == [[], []]
    monkeypatch.setattr(files, "monotonic", lambda: 102.0)
    assert options() == [["toy"], ["cat.safetensors"]]


def test_two_calls_at_once_get_different_paths(files, host_folders):
    with files.new_path("a/b", ".ply") as first, files.new_path("a/b", ".spz") as second:
        assert [path.name for path in (first, second)] == ["b_00001_.ply", "b_00002_.spz"]
        second.touch()
    with files.new_path("a/b", ".ply") as third:
        assert third.name == "b_00003_.ply"
    assert [path.name for path in (host_folders / "output" / "a").iterdir()] == ["b_00002_.spz"]


def test_an_error_of_the_caller_is_not_taken_for_a_lock(files, host_folders):
    with pytest.raises(BlockingIOError, match="of the caller"), files.new_path("a/b", ".ply"):
        raise BlockingIOError("of the caller")


def test_checkpoints_of_cancelled_prompts_are_limited(files, host_folders):
    for number in range(9):
        (files.temp_folder() / f"unfinished_{number}.checkpoint").touch()
    files.unfinished_calls().checkpoint("new", ".checkpoint")
    assert len(list(files.temp_folder().iterdir())) == files.MAX_UNFINISHED - 1
