"""Masks beside images: which files are masks, and masks that are given for a video."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from media_files import write_animation, write_video
from PIL import Image

from stag4d.data import read_video

MASK = np.zeros((4, 6), np.uint8)
MASK[1:3, 2:5] = 255
RNG = np.random.default_rng(1)


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def image(level: int, size: tuple[int, int] = (4, 6)) -> np.ndarray:
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[:] = level, 128, 30
    return pixels


def cutout(level: int) -> np.ndarray:
    return np.dstack([image(level), MASK])


LAYOUTS = {
    "suffix of another format": ("{}.jpg", "{}_mask.png"),
    "suffix of the same format": ("{}.png", "{}_mask.png"),
    "suffix after a dash": ("frame{}.png", "frame{}-Mask.png"),
    "alpha": ("{}.png", "{}_alpha.png"),
    "matte": ("{}.png", "{}.matte.png"),
    "prefix": ("{}.png", "mask_{}.png"),
    "prefix without a separator": ("frame{}.png", "mask{}.png"),
    "prefixes": ("rgb_{}.png", "mask_{}.png"),
    "between": ("frame_{}.png", "frame_mask_{}.png"),
    "folder masks": ("{}.jpg", "masks/{}.png"),
    "folder mask": ("{}.png", "Mask/{}.png"),
    "folder of masks with their suffix": ("{}.png", "masks/{}_mask.png"),
    "folder of masks with the whole name": ("{}.jpg", "masks/{}.jpg.png"),
    "folder of masks in the same order": ("frame_{}.png", "masks/object_{}.png"),
    "folders of images and masks": ("images/{}.jpg", "masks/{}.png"),
    "folders of frames and mask": ("frames/{}.jpg", "mask/{}.png"),
    "twins": ("{}.jpg", "{}.png"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_masks_become_alpha(tmp_path, layout):
    image_name, mask_name = LAYOUTS[layout]
    for number in (9, 10):
        save(tmp_path / image_name.format(number), image(10 * number))
        save(tmp_path / mask_name.format(number), MASK if number == 9 else 255 - MASK)
    video = read_video(tmp_path)
    assert video.frames.shape == (2, 4, 6, 4)
    assert video.names == [Path(image_name.format(number)).name for number in (9, 10)]
    np.testing.assert_array_equal(video.frames[0, ..., 3], MASK)
    np.testing.assert_array_equal(video.frames[1, ..., 3], 255 - MASK)
    assert np.abs(video.frames[:, 0, 0, 0].numpy().astype(int) - [90, 100]).max() <= 3  # JPEG


@pytest.mark.parametrize("names", [("0", "0"), ("rgb_0", "object_0000")])
def test_folder_of_images_finds_the_masks_beside_it(tmp_path, names):
    save(tmp_path / "images" / f"{names[0]}.jpg", image(50))
    save(tmp_path / "masks" / f"{names[1]}.png", MASK)
    np.testing.assert_array_equal(read_video(tmp_path / "images").frames[0, ..., 3], MASK)


def test_masks_beside_a_folder_of_images_are_not_paired_by_order(tmp_path):
    for number in range(2):
        save(tmp_path / "images" / f"{number}.jpg", image(50))
        save(tmp_path / "masks" / f"other_{number + 7}.png", MASK)
    with pytest.raises(
        ValueError, match=r"0\.jpg: has no mask in .*masks, which has 2; expected .* named as"
    ):
        read_video(tmp_path / "images")
    assert read_video(tmp_path).frames.shape == (2, 4, 6, 4)  # inside the folder they are


def test_folder_within_one_that_cannot_be_listed_is_read(tmp_path, monkeypatch):
    save(tmp_path / "images" / "0.jpg", image(50))
    listed = Path.iterdir

    def iterdir(path: Path) -> Iterator[Path]:
        if path == tmp_path:
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert read_video(tmp_path / "images").frames.shape == (1, 4, 6, 3)


def test_what_is_no_file_is_no_frame(tmp_path):
    save(tmp_path / "0.png", image(50))
    (tmp_path / "1.png").mkdir()
    (tmp_path / "2.png").symlink_to(tmp_path / "none.png")
    assert read_video(tmp_path).names == ["0.png"]


def test_the_mask_of_a_single_image_needs_no_name(tmp_path):
    save(tmp_path / "cat.png", image(50))
    save(tmp_path / "mask.png", MASK)
    np.testing.assert_array_equal(read_video(tmp_path).frames[0, ..., 3], MASK)


@pytest.mark.parametrize("color", [(1, 1, 1), (128, 0, 0), (0, 0, 255)])
def test_label_maps_of_one_object_are_masks(tmp_path, color):
    save(tmp_path / "0.png", image(50))
    save(tmp_path / "0_mask.png", (MASK[..., None] > 0) * np.array(color, np.uint8))
    np.testing.assert_array_equal(read_video(tmp_path).frames[0, ..., 3], MASK)


def test_palette_label_map_is_a_mask(tmp_path):
    save(tmp_path / "0.jpg", image(50))
    labels = Image.fromarray(MASK // 255).convert("P")
    labels.putpalette([0, 0, 0, 128, 0, 0])
    (tmp_path / "masks").mkdir()
    labels.save(tmp_path / "masks" / "0.png")
    np.testing.assert_array_equal(read_video(tmp_path).frames[0, ..., 3], MASK)


def test_transparent_twin_is_the_alpha(tmp_path):
    save(tmp_path / "0.jpg", image(50))
    save(tmp_path / "0.png", cutout(50))
    np.testing.assert_array_equal(read_video(tmp_path).frames[0, ..., 3], MASK)


def test_a_folder_of_masks_is_a_video(tmp_path):
    for number in range(2):
        save(tmp_path / f"{number}_mask.png", MASK)
    assert read_video(tmp_path).frames.shape == (2, 4, 6, 3)


def test_alpha_of_the_images_comes_before_masks(tmp_path, caplog):
    save(tmp_path / "0.png", cutout(50))
    save(tmp_path / "masks" / "0.png", 255 - MASK)
    np.testing.assert_array_equal(read_video(tmp_path).frames[0, ..., 3], MASK)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "0.png has alpha; the mask" in caplog.text


def test_masks_that_are_used_are_logged_once(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    for number in range(2):
        save(tmp_path / f"{number}.png", image(50))
        save(tmp_path / "masks" / f"{number}.png", MASK)
    read_video(tmp_path)
    assert caplog.messages == [
        f"{tmp_path}: images with masks, such as 0.png with {tmp_path / 'masks' / '0.png'}."
    ]


UNCLEAR = {
    "an image without a mask": (
        {"0.png": image(1), "1.png": image(1), "0_mask.png": MASK},
        r"1\.png: has no mask beside it; expected one, as .*0_mask\.png is a mask",
    ),
    "a mask without an image": (
        {"0.png": image(1), "0_mask.png": MASK, "1_mask.png": MASK},
        r"1_mask\.png: no image belongs to this mask; expected an image named '1' in the same folder\.",
    ),
    "a folder without some masks": (
        {"0.png": image(1), "1.png": image(1), "masks/0.png": MASK},
        r"1\.png: has no mask in .*masks, which has 1; expected one for each of the 2",
    ),
    "two masks of one image": (
        {"0.png": image(1), "0_alpha.png": MASK, "0_mask.png": MASK},
        r"0_alpha\.png and 0_mask\.png: two images of one frame; expected one mask for 0\.png",
    ),
    "one mask of several images": (
        {"0.png": image(1), "1.png": image(1), "mask.png": MASK},
        r"mask\.png: no image belongs to this mask; expected a single image beside it\.",
    ),
    "two images of one name": (
        {"0.png": image(1), "0.bmp": image(1)},
        r"0\.bmp and 0\.png: two images of one frame; expected one image for each frame",
    ),
    "a twin of one frame": (
        {"0.jpg": image(1), "0.png": MASK, "1.jpg": image(1)},
        r"0\.jpg and 0\.png: two images of one frame",
    ),
    "twins of which none is a mask": (
        {"0.jpg": image(1), "0.png": image(200)},
        r"0\.png, the mask of 0\.jpg: has colors and no alpha; expected a gray mask",
    ),
    "a depth map": (
        {"r_0.png": image(1), "r_0_depth_0001.png": MASK},
        r"r_0_depth_0001\.png and r_0\.png: two images of one frame; expected a folder without depth maps",
    ),
    "labels of several objects": (
        {"0.png": image(1), "0_mask.png": np.dstack([MASK, MASK.T.reshape(4, 6), MASK * 0])},
        r"0_mask\.png, the mask of 0\.png: has colors and no alpha; expected a gray mask",
    ),
    "another size": (
        {"0.png": image(1), "0_mask.png": np.zeros((5, 6), np.uint8)},
        r"0_mask\.png: 6x5 pixels; expected 6x4, as .*0\.png has",
    ),
}


@pytest.mark.parametrize("case", UNCLEAR)
def test_unclear_masks_are_rejected_by_name(tmp_path, case):
    files, message = UNCLEAR[case]
    for name, pixels in files.items():
        save(tmp_path / name, pixels)
    with pytest.raises(ValueError, match=message):
        read_video(tmp_path)


def numbered_masks(count: int) -> list[np.ndarray]:
    """Return masks [4, 6] of which the first ``index`` pixels of the first row are white."""
    masks = []
    for index in range(count):
        masks.append(np.zeros((4, 6), np.uint8))
        masks[-1][0, :index] = 255
    return masks


@pytest.fixture
def video(tmp_path) -> Path:
    return write_video(tmp_path / "clip.mkv", [image(40 * index) for index in range(5)], "ffv1", "bgr0")


def mask_folder(folder: Path, masks: list[np.ndarray]) -> Path:
    for number, mask in enumerate(masks):
        save(folder / f"{number}.png", mask)
    return folder


def mask_folder_with_images(folder: Path, masks: list[np.ndarray]) -> Path:
    for number in range(len(masks)):
        save(folder / f"{number}.jpg", image(9))
    return mask_folder(folder / "masks", masks).parent


def mask_cutouts(folder: Path, masks: list[np.ndarray]) -> Path:
    for number, mask in enumerate(masks):
        save(folder / f"{number}.png", np.dstack([image(number), mask]))
    return folder


def mask_video(folder: Path, masks: list[np.ndarray]) -> Path:
    return write_video(folder / "mask.mkv", [np.dstack([mask] * 3) for mask in masks], "ffv1", "gray")


def mask_animation(folder: Path, masks: list[np.ndarray]) -> Path:
    folder.mkdir()
    return write_animation(folder / "mask.webp", [np.dstack([mask] * 3) for mask in masks], 100)


WRITERS = [mask_folder, mask_folder_with_images, mask_cutouts, mask_video, mask_animation]


@pytest.mark.parametrize("write", WRITERS)
def test_given_masks_become_the_alpha_of_the_chosen_frames(tmp_path, video, write):
    video = read_video(video, 3, masks=write(tmp_path / "given", numbered_masks(5)))
    assert video.indices == [0, 2, 4]
    assert video.frames[:, 0, 0, 0].tolist() == [0, 80, 160]
    assert (video.frames[..., 3] == 255).sum(dim=(1, 2)).tolist() == [0, 2, 4]


def test_masks_of_the_chosen_frames_are_taken_in_order(tmp_path, video):
    video = read_video(video, 2, masks=mask_folder(tmp_path / "masks", numbered_masks(2)))
    assert (video.frames[..., 3] == 255).sum(dim=(1, 2)).tolist() == [0, 1]


def test_given_masks_replace_alpha(tmp_path):
    save(tmp_path / "images" / "0.png", cutout(50))
    given = mask_folder(tmp_path / "given", [255 - MASK])
    np.testing.assert_array_equal(read_video(tmp_path / "images", masks=given).frames[0, ..., 3], 255 - MASK)


@pytest.mark.parametrize("own", ["{}_mask.png", "masks/{}.png", "{}.png", "mask/wrong_{}.png"])
def test_masks_of_the_folder_are_not_read_where_others_are_given(tmp_path, own):
    for number in range(3):
        save(tmp_path / "clip" / f"{number}.jpg", image(50))
    for number in range(3 if own == "{}.png" else 2):  # incomplete, and no images
        path = tmp_path / "clip" / own.format(number)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"?")
    given = mask_folder(tmp_path / "given", numbered_masks(3))
    video = read_video(tmp_path / "clip", masks=given)
    assert video.names == ["0.jpg", "1.jpg", "2.jpg"]
    np.testing.assert_array_equal(video.frames[..., 3], np.stack(numbered_masks(3)))


def test_given_masks_that_are_white_throughout_are_kept(tmp_path, video):
    masks = mask_folder(tmp_path / "masks", [np.full((4, 6), 255, np.uint8)] * 5)
    assert (read_video(video, masks=masks).frames[..., 3] == 255).all()


def test_other_number_or_size_of_masks_is_rejected(tmp_path, video):
    masks = mask_folder(tmp_path / "three", numbered_masks(3))
    with pytest.raises(
        ValueError, match=r"three: 3 masks; expected 5, one for each frame of the video, or 2, one"
    ):
        read_video(video, 2, masks=masks)
    masks = mask_folder(tmp_path / "large", [np.zeros((8, 8), np.uint8)] * 5)
    with pytest.raises(ValueError, match=r"0\.png: 8x8 pixels; expected 6x4, as frame 0 of .*clip\.mkv has"):
        read_video(video, masks=masks)


def test_clip_tells_how_many_frames_could_be_read(tmp_path, video):
    assert read_video(video, 2).num_available == 5
    assert read_video(video, 1, start=2 / 8).num_available == 3
    for number, available in ((5, 5), (2, 2)):
        masks = mask_folder(tmp_path / str(number), numbered_masks(number))
        assert read_video(video, 2, masks=masks).num_available == available


def test_missing_masks_are_named(tmp_path, video):
    with pytest.raises(FileNotFoundError, match="none: no such file or folder"):
        read_video(video, masks=tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="empty: no images; expected masks"):
        read_video(video, masks=tmp_path / "empty")
