"""Consistent4D's folders and measurements, with scores computed by hand."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from recording import Recorder

from stag4d.evaluation import LearnedMetrics
from stag4d.evaluation.consistent4d import evaluate_views, find_evaluation_views, find_objects

SIZE, FRAMES = 16, 3


def write(path: Path, color: tuple[int, ...], size: tuple[int, int] = (SIZE, SIZE)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGBA" if len(color) == 4 else "RGB", size, color).save(path)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Gray images, of level 100 + view + 10 * frame."""
    for view in range(4):
        for frame in range(FRAMES):
            write(tmp_path / "truth" / f"eval_{view}" / f"{frame}.png", (100 + view + 10 * frame,) * 3)
    return tmp_path / "truth"


def test_frames_are_read_in_the_order_of_their_numbers(folder):
    for number in range(FRAMES, 12):  # 10.png sorts before 2.png as text
        for view in range(4):
            write(folder / f"eval_{view}" / f"{number}.png", (100 + view + 10 * number,) * 3)
    write(folder / "input" / "0.png", (0, 0, 0))
    (folder / "eval_0" / "notes.txt").write_text("not a frame")
    views = find_evaluation_views(folder, "ground truth")
    assert (views.num_frames, views.size) == (12, SIZE)
    for frame in (0, 2, 10):
        images, alphas = views.read(frame)
        assert images.shape == (4, SIZE, SIZE, 3)
        expected = (100 + torch.arange(4) + 10 * frame) / 255
        torch.testing.assert_close(images[:, 0, 0, 0], expected.float())
        assert alphas is None


def test_images_with_alpha_are_composited_on_white(folder):
    for view in range(4):
        write(folder / f"eval_{view}" / "0.png", (255, 0, 0, 51))
    images, alphas = find_evaluation_views(folder, "ground truth").read(0)
    torch.testing.assert_close(images[2, 3, 3], torch.tensor([1.0, 0.8, 0.8]))
    torch.testing.assert_close(alphas, torch.full((4, SIZE, SIZE), 0.2))


def test_scores_are_means_over_frames_and_then_views(folder):
    """A constant error of level / 255 has the PSNR -20 log10(level / 255) at any size."""
    views = find_evaluation_views(folder, "ground truth")
    levels = np.array([[1, 5, 20], [2, 2, 2], [0, 0, 0], [10, 20, 40]])  # [V, F]

    def images_of(frame: int) -> torch.Tensor:
        return views.read(frame)[0] + torch.from_numpy(levels)[:, frame, None, None, None] / 255

    monitor = Recorder()
    scores = evaluate_views(views, images_of, LearnedMetrics(), monitor, size=24)
    decibels = np.where(levels > 0, -20 * np.log10(np.maximum(levels, 1) / 255), 100.0)
    assert scores["per_view"]["psnr"] == pytest.approx(decibels.mean(axis=1).tolist(), abs=1e-3)
    assert scores["psnr"] == pytest.approx(decibels.mean(), abs=1e-3)
    assert scores.keys() == {"psnr", "ssim", "per_view"}
    assert monitor.calls == [("evaluate", 1, 3), ("evaluate", 2, 3), ("evaluate", 3, 3)]


class _Sizes:
    """An encoder that records the images' shapes."""

    description = "recorder"

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        self.shapes.append(tuple(images.shape))
        return torch.ones(len(images), 2)


def test_images_are_measured_at_512_pixels_after_bicubic_resizing(folder):
    views, embed, given = find_evaluation_views(folder, "ground truth"), _Sizes(), []
    image = torch.rand(SIZE, SIZE, 3, generator=torch.Generator().manual_seed(0))

    def images_of(frame: int) -> torch.Tensor:
        given.append(image.expand(4, -1, -1, -1))
        return given[-1]

    scores = evaluate_views(views, images_of, LearnedMetrics(embed=embed))
    assert set(embed.shapes) == {(4, 512, 512, 3)}
    assert scores["clip_s"] == pytest.approx(1)
    pixels = Image.fromarray((image * 255).round().byte().numpy())
    resized = np.asarray(pixels.resize((512, 512), Image.Resampling.BICUBIC), dtype=np.float64)
    expected = [
        np.mean(
            [-10 * np.log10((((resized - 100 - view - 10 * f) / 255) ** 2).mean()) for f in range(FRAMES)]
        )
        for view in range(4)
    ]
    assert scores["per_view"]["psnr"] == pytest.approx(expected, abs=1e-4)


def test_masked_psnr_needs_alpha_in_all_images_of_the_ground_truth(folder):
    pixels = np.zeros((SIZE, SIZE, 4), np.uint8)
    pixels[:, :8, 3] = 255  # a black object on the left half
    for path in folder.glob("*/*.png"):
        Image.fromarray(pixels).save(path)
    views = find_evaluation_views(folder, "ground truth")
    images = torch.ones(4, SIZE, SIZE, 3)
    images[:, :, :8] = 0.1
    scores = evaluate_views(views, lambda frame: images, LearnedMetrics(), size=SIZE)
    error = round(0.1 * 255) / 255
    assert scores["psnr_masked"] == pytest.approx(-20 * np.log10(error), abs=1e-3)
    assert scores["psnr"] == pytest.approx(-10 * np.log10(error**2 / 2), abs=1e-3)
    write(folder / "eval_3" / "2.png", (0, 0, 0))
    views = find_evaluation_views(folder, "ground truth")
    assert "psnr_masked" not in evaluate_views(views, lambda frame: images, LearnedMetrics(), size=SIZE)


def test_objects_are_found_in_a_folder_or_are_the_folder(folder, tmp_path):
    assert find_objects(folder, "images") == {"": folder}
    shutil.copytree(folder, tmp_path / "gt" / "fox")
    shutil.copytree(folder, tmp_path / "gt" / "bird")
    (tmp_path / "gt" / "readme.txt").write_text("")
    found = find_objects(tmp_path / "gt", "images")
    assert list(found.items()) == [("bird", tmp_path / "gt" / "bird"), ("fox", tmp_path / "gt" / "fox")]
    with pytest.raises(FileNotFoundError, match=r"^images: .*nowhere does not exist; expected a folder with"):
        find_objects(tmp_path / "nowhere", "images")
    with pytest.raises(FileNotFoundError, match=r"^images: .*eval_1 has no eval_0; expected eval_0/0\.png"):
        find_objects(folder / "eval_1", "images")


def test_missing_views_and_frames_are_named(folder):
    shutil.move(folder / "eval_1" / "1.png", folder / "eval_1" / "x")
    with pytest.raises(
        FileNotFoundError, match=r"eval_1.1\.png is missing, the last frame is 2; expected every frame from 0"
    ):
        find_evaluation_views(folder, "ground truth")
    (folder / "eval_1" / "2.png").unlink()
    with pytest.raises(ValueError, match=r"eval_1 has 1 frames, eval_0 has 3; expected the same number"):
        find_evaluation_views(folder, "ground truth")
    (folder / "eval_1" / "0.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"eval_1 has no images; expected 0\.png, 1\.png"):
        find_evaluation_views(folder, "ground truth")
    shutil.rmtree(folder / "eval_1")
    with pytest.raises(
        FileNotFoundError, match=r"^ground truth: .*eval_1 is missing; expected eval_0/0\.png"
    ):
        find_evaluation_views(folder, "ground truth")


def test_additional_views_and_equal_numbers_are_refused(folder):
    write(folder / "eval_2" / "01.png", (0, 0, 0))
    with pytest.raises(ValueError, match=r"01\.png and 1\.png have the same number; remove one of them"):
        find_evaluation_views(folder, "images")
    (folder / "eval_2" / "01.png").unlink()
    write(folder / "eval_4" / "0.png", (0, 0, 0))
    with pytest.raises(ValueError, match=r"^images: .* has eval_4; expected four views, eval_0 to eval_3"):
        find_evaluation_views(folder, "images")


def test_images_of_other_sizes_are_named(folder):
    write(folder / "eval_2" / "1.png", (0, 0, 0), (SIZE, SIZE + 1))
    views = find_evaluation_views(folder, "ground truth")
    views.read(0)
    with pytest.raises(
        ValueError, match=r"eval_2.1\.png: 16x17 pixels; expected 16x16, as the first of the ground truth has"
    ):
        views.read(1)
    write(folder / "eval_0" / "0.png", (0, 0, 0), (SIZE + 1, SIZE))
    with pytest.raises(ValueError, match=r"eval_0.0\.png: 17x16 pixels; expected a square image"):
        find_evaluation_views(folder, "ground truth")
