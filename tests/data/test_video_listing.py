"""Which files and folders are listed as videos, and which files are read for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from media_files import half_transparent, write_animation
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from stag4d.data import find_videos, frame_files

FRAMES = [half_transparent(60 * index, 32, 24) for index in range(3)]


def write_images(folder: Path, count: int, suffix: str = ".png") -> None:
    """Write images 0, 1, ... into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(folder / f"{index}{suffix}")


def listed(root: Path) -> list[str]:
    """Return the relative paths of the videos below a folder."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return [path.relative_to(root).as_posix() for path in find_videos(files, root)]


def test_videos_are_known_by_their_suffix(tmp_path):
    for name in ("a.mp4", "b.MOV", "c.webm", "d.mkv", "e.txt", "f.wav", "g.jpg", "h.safetensors"):
        (tmp_path / name).touch()
    assert listed(tmp_path) == ["a.mp4", "b.MOV", "c.webm", "d.mkv"]


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_images_are_listed_if_they_are_animated(tmp_path, suffix):
    write_animation(tmp_path / f"moving{suffix}", FRAMES, 100)
    Image.fromarray(FRAMES[0]).save(tmp_path / f"still{suffix}")
    (tmp_path / f"empty{suffix}").touch()
    assert listed(tmp_path) == [f"moving{suffix}"]


def test_metadata_before_an_animation_and_words_in_images_do_not_matter(tmp_path):
    info = PngInfo()
    info.add_text("workflow", "acTL IDAT" * 10_000)
    write_animation(tmp_path / "moving.png", FRAMES, 100, pnginfo=info)
    still = tmp_path / "still.png"
    info = PngInfo()
    info.add_text("workflow", "acTL")
    Image.fromarray(FRAMES[0]).save(still, pnginfo=info)
    still.write_bytes(still.read_bytes() + b"acTL")  # after the pixels
    assert listed(tmp_path) == ["moving.png"]


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_file_is_opened_again_only_after_a_change(tmp_path, monkeypatch, suffix):
    path, opened, open_path = tmp_path / f"a{suffix}", [], Path.open

    def counted(path, *arguments, **options):
        opened.append(path.name)
        return open_path(path, *arguments, **options)

    Image.fromarray(FRAMES[0]).save(path)
    monkeypatch.setattr(Path, "open", counted)
    assert [listed(tmp_path) for _ in range(3)] == [[]] * 3
    assert opened == [path.name]
    write_animation(path, FRAMES, 100)
    opened.clear()
    assert [listed(tmp_path) for _ in range(3)] == [[path.name]] * 3
    assert opened == [path.name]


@pytest.mark.parametrize("suffix", [".png", ".webp", ".avif"])
@pytest.mark.parametrize("num_bytes", [0, 7, 8, 12, 16, 20])
def test_file_that_is_cut_short_is_no_animation(tmp_path, suffix, num_bytes):
    start = b"\x89PNG\r\n\x1a\n" if suffix == ".png" else b"RIFF\0\0\0\0WEBPVP8X"
    (tmp_path / f"a{suffix}").write_bytes(start.ljust(num_bytes, b"\xff")[:num_bytes])
    assert listed(tmp_path) == []


def test_folders_of_images_are_listed_once(tmp_path):
    write_images(tmp_path, 3)  # of other nodes
    write_images(tmp_path / "one", 1)
    write_images(tmp_path / "sequence", 2, ".jpg")
    for name in ("images", "masks"):
        write_images(tmp_path / "masked" / name, 2)
    write_images(tmp_path / "view folder" / "ref", 2)
    for frame in range(2):
        write_images(tmp_path / "view folder" / "zero123" / f"{frame}_rgba", 6)
    write_images(tmp_path / "frames", 2)
    assert listed(tmp_path) == ["frames", "masked", "sequence", "view folder"]


def test_files_of_a_folder_are_its_images_and_their_masks(tmp_path):
    write_images(tmp_path / "cat" / "images", 2, ".jpg")
    write_images(tmp_path / "cat" / "masks", 2)
    (tmp_path / "cat" / "notes.txt").touch()
    found = [path.relative_to(tmp_path).as_posix() for path in frame_files(tmp_path / "cat")]
    assert found == ["cat/images/0.jpg", "cat/masks/0.png", "cat/images/1.jpg", "cat/masks/1.png"]
    assert frame_files(tmp_path / "a.mp4") == [tmp_path / "a.mp4"]
