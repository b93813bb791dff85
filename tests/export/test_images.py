"""PNG files read back by Pillow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from stag4d.export import straight_colors, write_contact_sheet, write_image, write_render_folder
from stag4d.geometry import OrbitPose


def test_image_with_alpha_is_straight_rgba(tmp_path):
    image = torch.tensor([[[1.0, 0.5, 0.0], [0.2, -1.0, 2.0]]])
    write_image(tmp_path / "new" / "a.png", image, torch.tensor([[0.5, 1.0]]))
    with Image.open(tmp_path / "new" / "a.png") as read:
        assert (read.mode, read.size) == ("RGBA", (2, 1))
        assert np.asarray(read).tolist() == [[[255, 128, 0, 128], [51, 0, 255, 255]]]


def test_image_without_alpha_is_rgb(tmp_path):
    write_image(tmp_path / "a.png", torch.full((2, 3, 3), 0.2, requires_grad=True))
    with Image.open(tmp_path / "a.png") as read:
        assert (read.mode, read.size) == ("RGB", (3, 2))
        assert read.getpixel((0, 0)) == (51, 51, 51)


def test_straight_colors_of_renders_on_black():
    straight = torch.rand(2, 4, 4, 3, generator=torch.Generator().manual_seed(0))
    alphas = torch.rand(2, 4, 4, generator=torch.Generator().manual_seed(1)) * 0.9 + 0.1
    torch.testing.assert_close(straight_colors(straight * alphas[..., None], alphas), straight)
    assert not straight_colors(torch.zeros(1, 1, 3), torch.zeros(1, 1)).any()


def test_contact_sheet_is_filled_row_by_row_on_white(tmp_path):
    images = torch.stack([torch.full((2, 3, 3), value) for value in (0.0, 0.2, 0.4, 0.6, 0.8)])
    write_contact_sheet(tmp_path / "sheet.png", images, columns=3)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))[..., 0]
    assert sheet.tolist() == [
        [0, 0, 0, 255, 255, 51, 51, 51, 255, 255, 102, 102, 102],
        [0, 0, 0, 255, 255, 51, 51, 51, 255, 255, 102, 102, 102],
        [255] * 13,
        [255] * 13,
        [153, 153, 153, 255, 255, 204, 204, 204, 255, 255, 255, 255, 255],
        [153, 153, 153, 255, 255, 204, 204, 204, 255, 255, 255, 255, 255],
    ]


def test_invalid_images_are_rejected(tmp_path):
    path = tmp_path / "a.png"
    with pytest.raises(ValueError, match=r"a\.png: image and alpha of shapes \[\[4, 4, 3\], \[4, 5\]\]"):
        write_image(path, torch.zeros(4, 4, 3), torch.zeros(4, 5))
    with pytest.raises(ValueError, match=r"a\.png: image and alpha of shapes \[\[4, 4\]\]"):
        write_image(path, torch.zeros(4, 4))
    with pytest.raises(ValueError, match=r"a\.png: not-a-number"):
        write_image(path, torch.full((2, 2, 3), torch.nan))
    with pytest.raises(ValueError, match=r"a\.png: images of shape \[0, 4, 4, 3\]"):
        write_contact_sheet(path, torch.zeros(0, 4, 4, 3), columns=1)
    with pytest.raises(ValueError, match=r"a\.png: 0 columns"):
        write_contact_sheet(path, torch.zeros(1, 4, 4, 3), columns=0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("images", "alphas", "frames", "message"),
    [
        ((1, 2, 4, 4, 3), (1, 2, 4, 4), [0], r"images have shape \[1, 2, 4, 4, 3\]; expected \[1, 1, 'S'"),
        ((1, 1, 4, 5, 3), (1, 1, 4, 5), [0], r"images have shape \[1, 1, 4, 5, 3\]"),
        ((1, 1, 4, 4, 3), (1, 1, 4), [0], r"alphas have shape \[1, 1, 4\]; expected \[1, 1, 4, 4\]"),
        ((1, 1, 4, 4, 3), (1, 1, 4, 4), [8], "frames 8 to 8; expected 0 to 7"),
        ((1, 1, 4, 4, 3), (1, 1, 4, 4), [-1], "frames -1 to -1"),
    ],
)
def test_renders_of_mismatched_shapes_are_rejected(tmp_path, images, alphas, frames, message):
    poses = [OrbitPose(azimuth_deg=0)]
    with pytest.raises(ValueError, match=f"renders: {message}"):
        write_render_folder(tmp_path, torch.zeros(images), torch.zeros(alphas), poses, frames, 8.0, 8)


def test_unwritable_path_is_named(tmp_path):
    (tmp_path / "file").write_text("a file, not a folder")
    with pytest.raises(RuntimeError, match=r"a\.png: cannot be written .*; check the folder"):
        write_image(tmp_path / "file" / "a.png", torch.zeros(2, 2, 3))
