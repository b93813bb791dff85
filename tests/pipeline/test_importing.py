"""Scenes from every format: recognized by name, played, rendered, exported and saved like fitted ones."""

from __future__ import annotations

import os

import pytest
import torch
from official_result import write_official_result
from seed_files import changing_frames, moving_frames, random_gaussians, scene_of
from small_fit import small_config, small_view_set

from stag4d.export import EXPORT_FORMATS, read_ply, write_ply, write_splat_sequence
from stag4d.geometry import OrbitPose
from stag4d.pipeline import check_import, fit, import_scene, render_views
from stag4d.scene import GaussianModel4D, load_scene, save_scene


@pytest.mark.parametrize("name", ["", "model.ply", "deformation.pth"])
def test_official_result_is_recognized_by_its_files(tmp_path, caplog, name):
    write_official_result(tmp_path / "logs" / "cat8000")
    model = import_scene(tmp_path / "logs" / "cat8000" / name, num_frames=26, fps=10.0)
    assert (model.info.num_frames, model.info.fps) == (26, 10.0)
    assert model.deformation is not None
    assert not caplog.text
    assert import_scene(tmp_path / "logs" / "cat8000" / name).info.num_frames == 30
    assert "does not say its number of frames; assuming 30" in caplog.text
    for count in (0, 10**9):
        with pytest.raises(ValueError, match=rf"cat8000: {count} frames; expected 1 to 65536"):
            import_scene(tmp_path / "logs" / "cat8000" / name, num_frames=count)


def test_sequence_gives_the_same_gaussians_at_the_frames(tmp_path):
    model = scene_of(moving_frames())
    write_splat_sequence(tmp_path / "frames", model, "ply")
    imported = import_scene(tmp_path / "frames")
    assert imported.info.fps == 8.0
    write_splat_sequence(tmp_path / "again", imported, "ply")
    for frame in range(4):
        found, expected = (tmp_path / name / f"frame_{frame:04d}.ply" for name in ("again", "frames"))
        assert torch.equal(read_ply(found).means, read_ply(expected).means)


@pytest.mark.parametrize("suffix", [".4dgs", ".s4d"])
@pytest.mark.parametrize("frames", [moving_frames(), changing_frames()], ids=["related", "unrelated"])
def test_exported_scene_looks_the_same(tmp_path, suffix, frames):
    if suffix == ".4dgs":
        pytest.importorskip("fourdgs")
    model = scene_of(frames, fps=12.5)
    path = tmp_path / f"a{suffix}"
    next(entry for entry in EXPORT_FORMATS.values() if entry.suffix == suffix).write(path, model)
    imported = import_scene(path)
    assert imported.info.fps == pytest.approx(12.5)
    assert import_scene(path, fps=4.0).info.fps == 4.0
    pose = [OrbitPose(azimuth_deg=30.0)]
    expected, _ = render_views(model, pose, list(range(len(frames))), 48)
    found, _ = render_views(imported, pose, list(range(len(frames))), 48)
    assert expected.std() > 0.05
    assert (found - expected).abs().mean() < 0.01


@pytest.mark.parametrize("suffix", [".ply", ".spz"])
def test_single_file_is_a_scene_of_one_frame(tmp_path, suffix):
    if suffix == ".spz":
        pytest.importorskip("gsply")
    path = tmp_path / f"a{suffix}"
    EXPORT_FORMATS[suffix[1:]].write(path, scene_of(moving_frames()))
    imported = import_scene(path)
    assert imported.info.num_frames == 1
    torch.testing.assert_close(imported.gaussians.means, moving_frames().means[0], atol=1.3e-4, rtol=0)


def test_scene_file_is_loaded_with_its_own_or_another_frame_rate(tmp_path):
    save_scene(tmp_path / "a.safetensors", scene_of(moving_frames(), fps=12.0))
    assert import_scene(tmp_path / "a.safetensors").info.fps == 12.0
    assert import_scene(tmp_path / "a.safetensors", fps=6.0).info.fps == 6.0


@pytest.fixture(params=["moving", "changing"])
def imported(request, tmp_path) -> GaussianModel4D:
    """A scene of stored frames, from its file."""
    frames = moving_frames() if request.param == "moving" else changing_frames()
    save_scene(tmp_path / "scene.safetensors", scene_of(frames))
    return load_scene(tmp_path / "scene.safetensors")


@pytest.mark.parametrize("name", EXPORT_FORMATS)
def test_stored_frames_can_be_exported_in_all_formats(tmp_path, imported, name):
    for package in {"spz": ["gsply"], "4dgs": ["fourdgs"], "glb": ["fourdgs"]}.get(name, []):
        pytest.importorskip(package)
    path = tmp_path / f"a{EXPORT_FORMATS[name].suffix}"
    EXPORT_FORMATS[name].write(path, imported)
    assert path.stat().st_size > 100


def test_frames_are_exported_without_padding(tmp_path):
    write_splat_sequence(tmp_path, scene_of(changing_frames()), "ply")
    counts = [len(read_ply(tmp_path / f"frame_{frame:04d}.ply")) for frame in range(3)]
    assert counts == [5, 12, 8]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone", r"gone: no such file or folder"),
        ("notes.txt", r"notes\.txt: unknown suffix '\.txt'; expected \.ply, \.spz, \.s4d, \.4dgs"),
        ("empty", r"empty: no PLY or SPZ files; expected numbered ones"),
    ],
)
def test_what_cannot_be_imported_is_named(tmp_path, name, message):
    (tmp_path / "notes.txt").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        import_scene(tmp_path / name)


def test_a_name_suffices_to_refuse_a_file(tmp_path):
    """Before a prompt runs; suffixes that are known pass in any case."""
    for name in ("notes.txt", "scene"):
        (tmp_path / name).touch()
        with pytest.raises(ValueError, match=rf"{name}: unknown suffix"):
            check_import(tmp_path / name)
    for name in ("a.ply", "a.SPZ", "a.s4d", "a.Safetensors"):
        (tmp_path / name).touch()
        check_import(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
@pytest.mark.parametrize("name", ["a.ply", "a.spz", "a.s4d", "a.4dgs", "a.safetensors"])
def test_a_pipe_is_refused(tmp_path, name):
    if name == "a.4dgs":
        pytest.importorskip("fourdgs")
    os.mkfifo(tmp_path / name)
    with pytest.raises(ValueError, match=rf"{name}: is a pipe, socket or device; expected an? "):
        import_scene(tmp_path / name)


def test_number_of_frames_is_for_official_results_only(tmp_path):
    write_ply(tmp_path / "a.ply", random_gaussians())
    with pytest.raises(ValueError, match=r"a\.ply: a number of frames is only for official results"):
        import_scene(tmp_path / "a.ply", num_frames=4)
    with pytest.raises(ValueError, match=r"a\.ply: scene: 20000\.0 frames a second"):
        import_scene(tmp_path / "a.ply", fps=2e4)


def test_a_fit_can_start_from_related_frames_only():
    start = scene_of(moving_frames()).start()
    model, _ = fit(small_view_set(), small_config(2), start=start)
    assert torch.isfinite(model.gaussians.means).all()
    assert model.deformation is not None
    with pytest.raises(ValueError, match="played and exported but not fitted"):
        scene_of(changing_frames()).start()
