"""``stag4d download``: nothing is downloaded unless the license is accepted. No test uses the network."""

import json

import huggingface_hub
import pytest
from terminal import at_terminal

from stag4d.cli import main
from stag4d.diffusion import read_grid
from stag4d.diffusion.published import PUBLISHED
from stag4d.geometry import zero123plus_rig

NAME = "zero123plus-v1.1"


@pytest.fixture
def requests(monkeypatch):
    """The calls of ``snapshot_download``, which are recorded and not made."""
    calls = []
    monkeypatch.setattr(
        huggingface_hub,
        "snapshot_download",
        lambda repository, **options: calls.append((repository, options)),
    )
    return calls


@pytest.mark.parametrize("answer", [None, "\n", "n\n", "maybe\n"])
def test_nothing_is_downloaded_without_a_yes(requests, tmp_path, capsys, caplog, monkeypatch, answer):
    caplog.set_level("INFO")
    if answer is not None:
        at_terminal(monkeypatch, answer)
    assert main(["download", NAME, "-o", str(tmp_path)]) == 2
    assert requests == []
    assert "CC-BY-NC 4.0: non-commercial use only" in caplog.text
    assert "the license was not accepted, nothing was downloaded" in capsys.readouterr().err


def test_yes_at_the_terminal_downloads_the_model(requests, tmp_path, capsys, monkeypatch):
    at_terminal(monkeypatch, "y\n")
    assert main(["download", NAME, "-o", str(tmp_path)]) == 0
    [(repository, options)] = requests
    assert repository == "sudo-ai/zero123plus-v1.1"
    assert options["local_dir"] == tmp_path / NAME
    assert "model_index.json" in options["allow_patterns"]
    assert json.loads(capsys.readouterr().out) == {"folder": str(tmp_path / NAME)}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_downloaded_folder_states_its_rig_under_any_name(requests, tmp_path, name):
    assert main(["download", name, "-o", str(tmp_path), "--accept-license"]) == 0
    folder = (tmp_path / name).rename(tmp_path / "renamed")
    (folder / "model_index.json").write_text("{}")
    grid = read_grid(folder)
    assert grid.poses == zero123plus_rig(name.removeprefix("zero123plus-"))
    assert grid.assumption == ""


def test_a_repeated_download_keeps_the_settings_of_the_folder(requests, tmp_path):
    (tmp_path / NAME).mkdir()
    settings = tmp_path / NAME / "stag4d.json"
    settings.write_text('{"rig": "v1.1", "sampling": {"num_steps": 28}}')
    assert main(["download", NAME, "-o", str(tmp_path), "--accept-license"]) == 0
    assert json.loads(settings.read_text())["sampling"] == {"num_steps": 28}


def test_accept_license_downloads_without_a_question(requests, tmp_path):
    assert main(["download", "zero123plus-v1.2", "-o", str(tmp_path), "--accept-license"]) == 0
    assert [repository for repository, _ in requests] == ["sudo-ai/zero123plus-v1.2"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (huggingface_hub.errors.LocalEntryNotFoundError("offline\nand more"), "offline"),
        (huggingface_hub.errors.HTTPError("Server disconnected without sending a response."), "Server disc"),
        (huggingface_hub.errors.HTTPError(""), "HTTPError"),  # errors of HTTP libraries may have no message
        (TimeoutError("timed out"), "timed out"),
    ],
    ids=repr,
)
def test_a_failed_download_is_a_one_line_error(tmp_path, capsys, monkeypatch, error, reason):
    def fail(repository, **options):
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    assert main(["download", NAME, "-o", str(tmp_path), "--accept-license"]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert f"sudo-ai/{NAME} could not be fetched ({reason}" in line
    assert "check the connection" in line


def test_unknown_names_are_refused_with_the_known_ones(requests, tmp_path, capsys):
    assert main(["download", "zero123plus-v9", "-o", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert all(name in error for name in PUBLISHED)
