"""ViewSet folders: writing and reading back, defaults of ``views.json``, and held-out views."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from changed_views import changed_views
from PIL import Image

from stag4d.data import hold_out_view, read_views, write_views
from stag4d.data.png import write_png
from stag4d.data.resizing import resize_with_alpha
from stag4d.geometry import OrbitPose, zero123plus_rig

LEVEL = 1 / 255


def close(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Return whether images are equal within half an 8-bit level."""
    return first.shape == second.shape and bool((first - second).abs().max() <= 0.51 * LEVEL)


def official_image(size: int = 16) -> np.ndarray:
    """Return a square as the official pipeline writes it: uint8 [size, size, 4], alpha 255 or 1."""
    pixels = np.full((size, size, 4), (127, 128, 127, 1), dtype=np.uint8)
    pixels[4:10, 5:12] = (200, 40, 30, 255)
    return pixels


@pytest.mark.parametrize(("frames", "num_views"), [(3, 6), (1, 2), (11, 1)])
def test_written_set_is_read_back(tmp_path, make_views, frames, num_views):
    views = make_views(frames, num_views)
    write_views(tmp_path / "new" / "set", views)
    loaded = read_views(tmp_path / "new" / "set")
    for name in ("images", "alphas", "view_images", "view_alphas"):
        assert close(getattr(loaded, name), getattr(views, name)), name
    assert (loaded.input_pose, loaded.view_poses, loaded.fps) == (
        views.input_pose,
        views.view_poses,
        views.fps,
    )


def test_offsets_are_read_back(tmp_path, make_views):
    offsets = torch.tensor([[-0.1, 0.2, 1 / 3], [0.0, 0.0, 0.0], [1.7, -1e-7, 12.0]])
    views = replace(make_views(3, 2), offsets=offsets)
    write_views(tmp_path, views)
    loaded = read_views(tmp_path)
    assert torch.equal(loaded.offsets, offsets)
    assert torch.equal(hold_out_view(loaded, 0)[0].offsets, offsets)


def test_set_without_offsets_has_no_entry_for_them(tmp_path, make_views):
    write_views(tmp_path, make_views(2, 1))
    assert list(json.loads((tmp_path / "views.json").read_text())) == ["version", "fps", "input", "views"]
    assert read_views(tmp_path).offsets is None


def test_input_frames_alone_are_a_set_without_views(tmp_path, make_views):
    views = make_views(2, 0)
    write_views(tmp_path, views)
    (tmp_path / "views.json").unlink()
    loaded = read_views(tmp_path)
    assert (loaded.num_frames, loaded.num_views, loaded.view_images.shape[:2]) == (2, 0, (2, 0))
    assert loaded.input_pose == OrbitPose(azimuth_deg=0)
    assert not (tmp_path / "zero123").exists()


def test_views_without_poses_have_those_of_the_v11_rig(tmp_path, make_views):
    write_views(tmp_path, make_views())
    (tmp_path / "views.json").unlink()
    loaded = read_views(tmp_path)
    assert loaded.view_poses == zero123plus_rig("v1.1")
    assert (loaded.input_pose, loaded.fps) == (OrbitPose(azimuth_deg=0), 8.0)


def test_missing_fields_of_views_json_have_defaults(tmp_path, make_views):
    write_views(tmp_path, make_views())
    (tmp_path / "views.json").write_text('{"version": 1, "input": {"azimuth": 300}}')
    loaded = read_views(tmp_path)
    assert loaded.input_pose == OrbitPose(azimuth_deg=300)
    assert loaded.view_poses == zero123plus_rig("v1.1", input_azimuth_deg=300)


def test_v11_rig_takes_radius_and_fovy_of_the_input_camera(tmp_path, make_views):
    write_views(tmp_path, make_views())
    document = {"version": 1, "input": {"azimuth": 10, "elevation": 5, "radius": 3.4, "fovy": 30}}
    (tmp_path / "views.json").write_text(json.dumps(document))
    loaded = read_views(tmp_path)
    assert loaded.input_pose == OrbitPose(azimuth_deg=10, elevation_deg=5, radius=3.4, fovy_deg=30)
    rig = zero123plus_rig("v1.1", input_azimuth_deg=10)
    assert loaded.view_poses == tuple(replace(pose, radius=3.4, fovy_deg=30) for pose in rig)


def test_official_alpha_of_255_and_1_becomes_1_and_0(tmp_path, save_png):
    save_png(tmp_path / "ref" / "0_rgba.png", official_image())
    for view in range(6):
        save_png(tmp_path / "zero123" / "0_rgba" / f"{view}.png", official_image(8))
    loaded = read_views(tmp_path)
    assert sorted(loaded.alphas.unique().tolist()) == [0, 1]
    assert loaded.alphas.sum() == 42  # the square's 6 x 7 pixels
    assert loaded.alphas[0, 4, 5] == 1
    small = read_views(tmp_path, size=4)
    assert small.alphas[0, 0, 0] == 0
    red = small.images[0, 1, 2]  # inside the square
    torch.testing.assert_close(red, torch.tensor([200.0, 40, 30]) / 255)


def test_soft_alpha_keeps_small_values(tmp_path, save_png):
    pixels = official_image()
    pixels[3, 5:12, 3] = 128
    save_png(tmp_path / "ref" / "0_rgba.png", pixels)
    levels = (read_views(tmp_path).alphas * 255).round().unique().tolist()
    assert levels == [1, 128, 255]


def test_input_and_views_may_differ_in_size_and_bit_depth(tmp_path, save_png, save_png_16):
    for frame in range(2):
        save_png_16(tmp_path / "ref" / f"{frame}_rgba.png", official_image(24).astype(np.uint16) * 257)
        for view in range(6):
            save_png(tmp_path / "zero123" / f"{frame}_rgba" / f"{view}.png", official_image(16))
    loaded = read_views(tmp_path)
    assert (loaded.images.shape, loaded.view_images.shape) == ((2, 24, 24, 3), (2, 6, 16, 16, 3))
    torch.testing.assert_close(loaded.images[1, 5, 6], torch.tensor([200.0, 40, 30]) / 255)
    assert loaded.alphas.sum() == 84
    resized = read_views(tmp_path, size=20)
    assert (resized.images.shape, resized.view_alphas.shape) == ((2, 20, 20, 3), (2, 6, 20, 20))


def test_images_are_resized_premultiplied(tmp_path, make_views):
    views = make_views(1, 1)
    write_views(tmp_path, views)
    native, loaded = read_views(tmp_path), read_views(tmp_path, size=6)
    colors, alpha = resize_with_alpha(native.view_images[0, 0].numpy(), native.view_alphas[0, 0].numpy(), 6)
    torch.testing.assert_close(loaded.view_images[0, 0], torch.from_numpy(colors))
    torch.testing.assert_close(loaded.view_alphas[0, 0], torch.from_numpy(alpha))
    torch.testing.assert_close(loaded.alphas.mean(), native.alphas.mean())  # resizing keeps the mean


@pytest.mark.parametrize("kind", ["RGB", "L", "P"])
def test_files_without_alpha_get_it_from_the_border_with_one_warning(tmp_path, caplog, kind):
    colors = official_image()[..., :3]
    (tmp_path / "ref").mkdir()
    image = Image.fromarray(colors)
    image = image.quantize(8) if kind == "P" else image.convert(kind)
    for frame in range(3):
        image.save(tmp_path / "ref" / f"{frame}_rgba.png")
    with caplog.at_level(logging.WARNING):
        loaded = read_views(tmp_path)
    assert (loaded.alphas > 0.5).sum() == 3 * 42
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "3 of 3 files have no alpha" in caplog.text


def test_other_files_are_ignored(tmp_path, make_views):
    write_views(tmp_path, make_views())
    names = [
        "ref/.DS_Store",
        "ref/thumbs.db",
        "ref/00_rgba.png",
        "ref/5_rgb.png",
        "ref/x0_rgba.png",
        "readme.txt",
    ]
    for name in [*names, "zero123/notes.txt", "zero123/0_rgba/grid.png", "zero123/0_rgba/06.png"]:
        (tmp_path / name).write_text("not an image")
    loaded = read_views(tmp_path)
    assert (loaded.num_frames, loaded.num_views) == (2, 6)


def test_frames_are_read_in_numeric_order(tmp_path, make_views):
    views = make_views(12, 0)
    write_views(tmp_path, views)
    assert close(read_views(tmp_path).images, views.images)


def test_writing_replaces_a_larger_set_and_keeps_other_files(tmp_path, make_views):
    write_views(tmp_path, make_views(4, 6))
    (tmp_path / "zero123" / "3_rgba" / "notes.txt").write_text("mine")
    smaller = make_views(2, 3)
    write_views(tmp_path, smaller)
    loaded_files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png"))
    posed = [f"zero123/{frame}_rgba/{view}.png" for frame in range(2) for view in range(3)]
    assert loaded_files == ["ref/0_rgba.png", "ref/1_rgba.png", *posed]
    assert (tmp_path / "zero123" / "3_rgba" / "notes.txt").exists()
    assert not (tmp_path / "zero123" / "2_rgba").exists()


def test_writing_removes_the_checkpoint_of_an_unfinished_set(tmp_path, make_views):
    views = make_views()
    (tmp_path / "unfinished_0123456789abcdef.latents").write_text("checkpoint")
    write_views(tmp_path, views)
    assert close(read_views(tmp_path).images, views.images)


def test_partially_written_set_is_rejected(tmp_path, make_views, monkeypatch):
    written = []

    def fail_at_the_tenth(path, *pixels):
        written.append(path)
        if len(written) == 10:
            raise RuntimeError("disk full")
        write_png(path, *pixels)

    monkeypatch.setattr("stag4d.data.view_folder.write_png", fail_at_the_tenth)
    with pytest.raises(RuntimeError, match="disk full"):
        write_views(tmp_path, make_views(3, 6))
    with pytest.raises(FileNotFoundError, match=r"1_rgba has no input frame; expected .*ref.1_rgba\.png"):
        read_views(tmp_path)


def test_fields_of_views_json(tmp_path, make_views):
    write_views(tmp_path, make_views(1, 1))
    document = json.loads((tmp_path / "views.json").read_text())
    assert document.keys() == {"version", "fps", "input", "views"}
    assert (document["version"], document["fps"], len(document["views"])) == (1, 12.5, 1)
    assert document["input"] == {"azimuth": 10.5, "elevation": -7.25, "radius": 1.9, "fovy": 33.3}


@pytest.mark.parametrize("index", [0, 2, 5])
def test_held_out_view_is_removed_from_the_set(make_views, index):
    views = make_views()
    rest, held_out = hold_out_view(views, index)
    others = [view for view in range(6) if view != index]
    assert held_out.pose == views.view_poses[index]
    assert torch.equal(held_out.images, views.view_images[:, index])
    assert torch.equal(held_out.alphas, views.view_alphas[:, index])
    assert rest.view_poses == tuple(views.view_poses[view] for view in others)
    assert torch.equal(rest.view_images, views.view_images[:, others])
    assert torch.equal(rest.view_alphas, views.view_alphas[:, others])
    assert rest.images is views.images


def test_the_only_view_can_be_held_out(make_views):
    rest, _ = hold_out_view(make_views(2, 1), 0)
    assert (rest.num_views, rest.num_frames) == (0, 2)


@pytest.mark.parametrize(
    ("num_views", "index", "expected"), [(6, 6, "0 to 5"), (6, -1, "0 to 5"), (0, 0, "no views")]
)
def test_holding_out_a_missing_view_is_rejected(make_views, num_views, index, expected):
    views = make_views(1, num_views)
    with pytest.raises(
        ValueError, match=f"held-out view: {index} of {num_views} views; expected .*{expected}"
    ):
        hold_out_view(views, index)


def test_tensors_with_gradients_and_other_dtypes_are_written(tmp_path, make_views):
    views = make_views(1, 0)
    write_views(
        tmp_path,
        changed_views(views, images=views.images.double().requires_grad_(), alphas=views.alphas.half()),
    )
    assert close(read_views(tmp_path).images, views.images)
