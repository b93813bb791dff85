"""View folders whose files are JPEG or WebP, and whose views are sheets of 3 rows and 2 columns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from disk_views import disk_views
from PIL import Image

from stag4d.data import check_views, read_views, write_views
from stag4d.data.view_layout import frame_file, view_file


def write_as(folder, suffix, *, sheets):
    """Write a set, then convert its files: WebP without loss, JPEG on white."""
    views = disk_views(frames=2, size=32, view_size=24)
    write_views(folder, views)
    for frame in range(2):
        convert(frame_file(folder, frame), suffix)
        files = [view_file(folder, frame, view) for view in range(6)]
        if not sheets:
            for file in files:
                convert(file, suffix)
            continue
        sheet = Image.new("RGBA", (48, 72))
        for view, file in enumerate(files):
            sheet.paste(Image.open(file), (24 * (view % 2), 24 * (view // 2)))
            file.unlink()
        files[0].parent.rmdir()
        save(sheet, folder / f"zero123/{frame}_rgba.{suffix}")
    return views


def convert(file, suffix):
    image = Image.open(file)
    image.load()
    file.unlink()
    save(image, file.with_suffix(f".{suffix}"))


def save(image, path):
    if path.suffix == ".webp":
        image.save(path, lossless=True, exact=True)
    elif path.suffix == ".png":
        image.save(path)
    else:
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image)
        white.convert("RGB").save(path, quality=97)


@pytest.mark.parametrize("sheets", [False, True])
@pytest.mark.parametrize("suffix", ["png", "webp", "jpg", "jpeg"])
def test_files_of_other_formats_and_sheets(tmp_path, suffix, sheets):
    write_as(tmp_path, suffix, sheets=sheets)
    write_views(tmp_path / "as PNG", disk_views(frames=2, size=32, view_size=24))
    (tmp_path / "as PNG/views.json").rename(tmp_path / "views.json")
    check_views(tmp_path)
    found, expected = read_views(tmp_path), disk_views(frames=2, size=32, view_size=24)
    # JPEG has no alpha: it is computed from the white background of a disk of other colors
    tolerance = 0.06 if suffix.startswith("jp") else 1 / 255
    for name in ("alphas", "view_alphas"):
        difference = (getattr(found, name) - getattr(expected, name)).abs().mean()
        assert difference < tolerance, name
    inside = expected.view_alphas == 1
    difference = (found.view_images - expected.view_images).abs()[inside]
    assert difference.mean() < (0.03 if suffix.startswith("jp") else 1 / 255)


def test_png_files_win_over_others(tmp_path):
    views = disk_views(frames=1)
    write_views(tmp_path, views)
    before = read_views(tmp_path)
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / "ref/1_rgba.jpg")
    Image.fromarray(np.zeros((72, 48, 3), np.uint8)).save(tmp_path / "zero123/0_rgba.png")
    after = read_views(tmp_path)
    assert torch.equal(before.view_images, after.view_images)
    assert after.num_frames == 1


def test_sheet_of_another_shape(tmp_path):
    write_as(tmp_path, "webp", sheets=True)
    Image.new("RGBA", (72, 48)).save(tmp_path / "zero123/1_rgba.webp")
    with pytest.raises(ValueError, match=r"1_rgba.webp: 72x48 pixels; expected a sheet of 3 rows"):
        read_views(tmp_path)


def test_sheet_that_is_missing(tmp_path):
    write_as(tmp_path, "webp", sheets=True)
    (tmp_path / "zero123/1_rgba.webp").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 sheets of views.*expected 0 to 1"):
        check_views(tmp_path)
