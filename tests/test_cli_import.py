"""``stag4d import``: a scene file from each kind of source, and refusals."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from official_result import write_official_result
from seed_files import changing_frames, moving_frames, scene_of

from stag4d.cli import main
from stag4d.export import frame_files, write_s4d, write_splat_sequence
from stag4d.scene import load_scene


def test_sequence_becomes_a_scene_that_can_be_exported_again(tmp_path, capsys):
    write_splat_sequence(tmp_path / "frames", scene_of(changing_frames()), "ply")
    out = tmp_path / "new" / "scene.safetensors"
    assert main(["import", str(tmp_path / "frames"), "-o", str(out), "--fps", "12"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result == {"file": str(out), "frames": 3, "fps": 12.0, "gaussians": {"min": 5, "max": 12}}
    assert main(["export", str(out), "-o", str(tmp_path / "a.html")]) == 0
    assert main(["export", str(out), "-o", str(tmp_path / "a.splat"), "--frames", "1"]) == 0
    assert (tmp_path / "a.splat").stat().st_size == 12 * 32


def test_official_result_becomes_a_scene(tmp_path, capsys):
    write_official_result(tmp_path / "logs" / "cat")
    out = tmp_path / "scene.safetensors"
    assert main(["import", str(tmp_path / "logs" / "cat"), "-o", str(out), "--frames", "26"]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 26
    assert load_scene(out).deformation is not None


def test_moving_file_keeps_its_frame_rate(tmp_path, capsys):
    write_s4d(tmp_path / "a.s4d", scene_of(moving_frames(), fps=12.5))
    out = tmp_path / "scene.safetensors"
    assert main(["import", str(tmp_path / "a.s4d"), "-o", str(out)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["fps"], result["gaussians"]) == (12.5, 12)


def test_ctrl_c_ends_the_import_without_leaving_a_file(tmp_path, monkeypatch, capsys):
    write_splat_sequence(tmp_path / "frames", scene_of(moving_frames()), "ply")
    real = frame_files.read_ply_rows

    def read(path: Path) -> object:
        signal.raise_signal(signal.SIGTERM)
        return real(path)

    monkeypatch.setattr(frame_files, "read_ply_rows", read)
    assert main(["import", str(tmp_path / "frames"), "-o", str(tmp_path / "out" / "a.safetensors")]) == 130
    assert "interrupting; press Ctrl-C again" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gone", "-o", "a.safetensors"], "gone: no such file or folder"),
        (["{tmp}", "-o", "a.ply"], "a.ply: the suffix is '.ply'; expected .safetensors."),
        (["{tmp}", "-o", "a.safetensors"], "no PLY or SPZ files"),
        (["{tmp}", "-o", "a.safetensors", "--fps", "0"], "--fps: 0 frames per second"),
        (
            ["{tmp}", "-o", "a.safetensors", "--frames", "3"],
            "a number of frames is only for official results",
        ),
        (["{tmp}"], "the following arguments are required: -o/--out"),
    ],
)
def test_bad_input_is_one_line(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert main(["import", *(word.format(tmp=tmp_path) for word in words)]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not captured.out
    assert not list(tmp_path.iterdir())
