"""Ground truth folders: reading what ``stag4d render`` and other programs write, and scores against them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from recording import Recorder

from stag4d.evaluation import LearnedMetrics, evaluate_folder, on_white, read_render_folder
from stag4d.export import write_render_folder
from stag4d.geometry import OrbitPose
from stag4d.types import Cameras, RenderOutput

POSES = (OrbitPose(azimuth_deg=-75), OrbitPose(azimuth_deg=15, elevation_deg=10, radius=2.5, fovy_deg=40))
FRAMES = (0, 5, 10)
SIZE = 16


@pytest.fixture
def renders() -> tuple[torch.Tensor, torch.Tensor]:
    """Return random straight colors >= 0.1, [2, 3, 16, 16, 3], and alphas [2, 3, 16, 16] of a square."""
    images = 0.1 + 0.9 * torch.rand(2, 3, SIZE, SIZE, 3, generator=torch.Generator().manual_seed(2))
    alphas = torch.zeros(2, 3, SIZE, SIZE)
    alphas[..., 4:12, 4:12] = 1.0
    alphas[..., 4, 4:12] = 0.6
    return images, alphas


@pytest.fixture
def folder(tmp_path, renders) -> Path:
    write_render_folder(tmp_path / "truth", *renders, POSES, FRAMES, fps=12.5, num_frames=11)
    return tmp_path / "truth"


def edit(folder: Path, **changes: object) -> None:
    """Change fields of views.json; None removes one."""
    document = {**json.loads((folder / "views.json").read_text()), **changes}
    kept = {key: value for key, value in document.items() if value is not None}
    (folder / "views.json").write_text(json.dumps(kept))


def test_folder_written_by_render_is_read(folder, renders):
    truth = read_render_folder(folder)
    assert (truth.poses, truth.frames, truth.num_frames, truth.size) == (
        POSES,
        FRAMES,
        11,
        SIZE,
    )
    assert truth.frame_times.tolist() == [0.0, 0.5, 1.0]
    read = [[truth.read(view, frame) for frame in FRAMES] for view in range(len(POSES))]
    images, alphas = (
        torch.stack([torch.stack([pair[part] for pair in row]) for row in read]) for part in (0, 1)
    )
    assert (alphas - renders[1]).abs().max() < 0.51 / 255
    assert (images - renders[0])[alphas > 0].abs().max() < 0.51 / 255


def test_files_of_a_render_folder_are_as_documented(folder):
    names = [f"view{view}_frame{frame:04d}.png" for view in (0, 1) for frame in FRAMES]
    assert sorted(path.name for path in folder.iterdir()) == [*names, "views.json"]
    document = json.loads((folder / "views.json").read_text())
    pose = {"azimuth": 15, "elevation": 10, "radius": 2.5, "fovy": 40}
    assert document.pop("views")[1] == pose
    assert document == {"version": 1, "fps": 12.5, "size": SIZE, "frames": [0, 5, 10], "num_frames": 11}


def white_like(output: RenderOutput) -> RenderOutput:
    """Return white images with the alphas of a render."""
    return RenderOutput(torch.ones_like(output.images), output.alphas)


def test_scores_equal_the_known_errors_of_renders(folder, renders):
    images, alphas = renders
    white = on_white(images, alphas)
    times = []

    def render(cameras: Cameras, time: float) -> RenderOutput:
        times.append(time)
        expected = Cameras.from_poses(POSES, SIZE, SIZE)
        assert torch.equal(cameras.viewmats, expected.viewmats)
        assert torch.equal(cameras.Ks, expected.Ks)
        index = round(time * 2)
        return RenderOutput(white[:, index] + offset, alphas[:, index])

    offset = torch.zeros(2, 1, 1, 1)
    scores = evaluate_folder(render, folder)
    assert times == [0.0, 0.5, 1.0]
    assert scores["psnr"] > 55  # rounding to 8 bits
    assert scores["ssim"] > 0.999
    assert scores["iou"] == 1.0
    assert scores["psnr_masked"] > 50
    offset[1] = -0.1
    scores = evaluate_folder(render, folder)
    assert scores["per_view"]["psnr"][0] > 55
    assert scores["per_view"]["psnr"][1] == pytest.approx(20, abs=0.05)
    assert scores["per_view"]["flicker"] == pytest.approx([0, 0], abs=0.02)  # a constant error is no flicker
    offset[:] = 1.0  # brighter than white: an image file would hold white
    assert evaluate_folder(render, folder) == evaluate_folder(lambda *call: white_like(render(*call)), folder)
    monitor = Recorder()
    evaluate_folder(render, folder, monitor=monitor)
    assert monitor.calls == [("evaluate", 1, 3), ("evaluate", 2, 3), ("evaluate", 3, 3)]


class _Constant:
    """An encoder whose embedding is the mean color."""

    description = "mean color"

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(1, 2))


def test_further_metrics_are_computed_where_their_networks_are_given(folder, renders):
    images, alphas = renders
    white = on_white(images, alphas)

    def render(cameras: Cameras, time: float) -> RenderOutput:
        return RenderOutput(white[:, round(time * 2)].roll(1, dims=-1), alphas[:, round(time * 2)])

    scores = evaluate_folder(render, folder, learned=LearnedMetrics(embed=_Constant()))
    assert scores.keys() == {"psnr", "psnr_masked", "ssim", "iou", "flicker", "clip_s", "per_view"}
    means = white.double().mean(dim=(2, 3))  # [2, 3, 3]
    expected = torch.cosine_similarity(means.roll(1, dims=-1), means, dim=-1).mean()
    assert scores["clip_s"] == pytest.approx(expected.item(), abs=1e-6)
    assert scores["clip_s"] < 0.99995
    assert len(scores["per_view"]["clip_s"]) == 2


def test_views_json_needs_only_the_poses(folder):
    edit(folder, version=None, fps=None, size=None, frames=None, num_frames=None)
    truth = read_render_folder(folder)
    assert (truth.frames, truth.num_frames, truth.size) == (FRAMES, 11, SIZE)
    assert read_render_folder(folder, num_frames=21).frame_times.tolist() == [0.0, 0.25, 0.5]


def test_num_frames_of_the_folder_takes_precedence(folder):
    assert read_render_folder(folder, num_frames=21).num_frames == 11


def test_file_names_without_zero_padding_are_read_and_other_files_ignored(folder):
    for path in folder.glob("*.png"):
        path.rename(path.with_name(path.name.replace("frame000", "frame").replace("frame00", "frame")))
    (folder / "sheet.png").write_text("no image")
    (folder / "view7_frame0000.png").write_text("no image")
    assert (folder / "view1_frame5.png").exists()
    assert read_render_folder(folder).frames == FRAMES


def test_frames_may_be_a_subset_of_the_files(folder):
    edit(folder, frames=[10, 0])
    assert read_render_folder(folder).frames == (0, 10)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, r"views\.json: version 2 is newer"),
        ({"views": None}, r"views\.json: views must be an array of poses, not nothing"),
        ({"views": []}, r"views\.json: no views"),
        (
            {"views": [{"azimuth": 1, "elevation": "x"}]},
            r"views\.json: views\[0\]\.elevation must be a finite number",
        ),
        ({"frames": []}, r"views\.json: frames must be an array"),
        ({"frames": [0, 2.5]}, r"views\.json: frames\[1\] must be a whole number from 0, not 2\.5"),
        ({"frames": [-1]}, r"views\.json: frames\[0\] must be a whole number from 0, not -1"),
        ({"num_frames": 10}, "has frame 10, but the video has 10 frames"),
        ({"num_frames": 10**9}, r"has a video of 1000000000 frames; expected at most 65536"),
        ({"frame": [0]}, r'views\.json: unknown entry "frame"; did you mean frames\?'),
        ({"views": [{"azimuth": 0, "elevation": 0, "pitch": 1}] * 2}, r'views\[0\]: unknown entry "pitch"'),
        ({"num_frames": "all"}, r'views\.json: num_frames must be a finite number, not "all"'),
    ],
)
def test_malformed_views_json_is_refused_with_the_path(folder, changes, message):
    edit(folder, **changes)
    with pytest.raises(ValueError, match=message):
        read_render_folder(folder)


def test_missing_file_is_named(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"truth: .*nowhere does not exist"):
        read_render_folder(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"has no views\.json"):
        read_render_folder(tmp_path)
    (folder / "view1_frame0005.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"view1_frame0005\.png is missing; expected every frame"):
        read_render_folder(folder)
    for path in folder.glob("*.png"):
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r"has no images; expected view0_frame0000\.png"):
        read_render_folder(folder)


def test_invalid_image_is_named(folder):
    first, second = folder / "view0_frame0000.png", folder / "view1_frame0010.png"
    truth = read_render_folder(folder)
    Image.new("RGBA", (SIZE + 1, SIZE + 1)).save(second)
    with pytest.raises(ValueError, match=r"view1_frame0010\.png: 17x17 pixels; expected 16x16"):
        truth.read(1, 10)
    Image.new("RGB", (SIZE, SIZE)).save(second)
    with pytest.raises(ValueError, match=r"view1_frame0010\.png: no alpha; expected RGBA"):
        truth.read(1, 10)
    whole = first.read_bytes()
    for content in (whole[:-20], whole[:33] + whole[-12:]):  # truncated; header and end without pixels
        second.write_bytes(content)
        with pytest.raises(ValueError, match=r"view1_frame0010\.png: unreadable or cut short"):
            truth.read(1, 10)
    Image.new("RGBA", (SIZE, SIZE + 1)).save(first)
    with pytest.raises(ValueError, match=r"view0_frame0000\.png: 16x17 pixels; expected a square"):
        read_render_folder(folder)
