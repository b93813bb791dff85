"""The cache of the Hugging Face hub: which snapshot a repository's folder stands for."""

import re

import pytest

from stag4d.hub_cache import cached_models, snapshot_folder

INDEX = "model_index.json"


@pytest.fixture
def repository(tmp_path):
    """The folder of a repository without snapshots, and a function that adds one."""
    folder = tmp_path / "models--owner--name"

    def add(name, *, is_model=True, is_latest=False):
        snapshot = folder / "snapshots" / name
        snapshot.mkdir(parents=True)
        if is_model:
            (snapshot / INDEX).write_text("{}")
        if is_latest:
            (folder / "refs").mkdir(exist_ok=True)
            (folder / "refs" / "main").write_text(f"{name}\n")
        return snapshot

    return folder, add


def test_only_snapshot_is_the_model(repository):
    folder, add = repository
    snapshot = add("aa")
    add("bb", is_model=False)
    assert snapshot_folder(folder, INDEX) == snapshot_folder(snapshot, INDEX) == snapshot
    assert cached_models(folder.parent, INDEX) == {"models--owner--name": snapshot}


def test_of_several_snapshots_the_latest_is_the_model(repository):
    folder, add = repository
    add("aa")
    latest = add("bb", is_latest=True)
    add("cc")
    assert snapshot_folder(folder, INDEX) == latest
    assert cached_models(folder.parent, INDEX) == {"models--owner--name": latest}


@pytest.mark.parametrize("reference", [None, "", "..", "../snapshots/aa", "dd"])
def test_several_snapshots_without_the_latest_are_refused_by_name_and_listed(repository, reference):
    folder, add = repository
    snapshots = [add("aa"), add("bb")]
    if reference is not None:
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text(reference)
    with pytest.raises(ValueError, match=f"^{re.escape(str(folder))}: has the snapshots aa, bb; expected"):
        snapshot_folder(folder, INDEX)
    names = [f"models--owner--name/snapshots/{name}" for name in ("aa", "bb")]
    assert cached_models(folder.parent, INDEX) == dict(zip(names, snapshots, strict=True))


def test_other_folders_are_as_they_are(repository, tmp_path):
    folder, add = repository
    assert snapshot_folder(folder, INDEX) == folder  # which does not exist
    add("aa", is_model=False)
    assert snapshot_folder(folder, INDEX) == folder
    (folder / INDEX).write_text("{}")  # a model that has a folder of that name
    add("bb")
    assert snapshot_folder(folder, INDEX) == folder
