"""Views of a video: in memory, in a folder, interrupted and resumed."""

from __future__ import annotations

import gc
import json
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from full_disk import small_disk
from PIL import Image
from recording import Recorder

from stag4d.data import read_views
from stag4d.diffusion import (
    Anchor,
    MultiViewModel,
    SamplingConfig,
    SeededNoise,
    load_multiview_model,
    sample_latents,
)
from stag4d.geometry import OrbitPose, world_offsets, zero123plus_rig
from stag4d.matting import BackgroundRemover, remove_background
from stag4d.pipeline.multiview import generate_views, write_multiview
from stag4d.progress import Interrupted
from stag4d.resume import CheckpointFolder
from stag4d.types import InputVideo
from tiny_models import TILE, make_multiview_folder

SIZE, STEPS = 20, 4
CROP_OFFSETS = torch.tensor([[-0.5, 0.25], [0.0, 0.0], [0.5, 0.1]])
CONFIG = SamplingConfig(num_steps=STEPS)
NOISE = SeededNoise(3)
HALF_LEVEL = 0.51 / 255


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A model's folder."""
    return make_multiview_folder(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def model(folder) -> MultiViewModel:
    """A multi-view model with random weights, six tiles per frame."""
    return load_multiview_model(folder)


def video(count: int = 3, **settings: Any) -> InputVideo:
    """Return frames of a colored square that moves to the right on white."""
    images = torch.ones(count, SIZE, SIZE, 3)
    alphas = torch.zeros(count, SIZE, SIZE)
    for frame in range(count):
        images[frame, 5:15, 3 + frame : 13 + frame] = torch.tensor([0.8, 0.1 * frame, 0.2])
        alphas[frame, 5:15, 3 + frame : 13 + frame] = 1
    return InputVideo(images, alphas, **settings)


def remover(remove: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor, bool]]) -> BackgroundRemover:
    """Return a background remover that calls a function."""
    found = BackgroundRemover()
    found._remove = remove
    return found


def files_of(folder: Path) -> dict[str, bytes]:
    """Return a folder's files by their names."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def written(model, tmp_path_factory) -> Path:
    """The output of an uninterrupted call."""
    out = tmp_path_factory.mktemp("written")
    write_multiview(out, model, video(), NOISE, CONFIG)
    return out


def work(monitor: Recorder) -> list[tuple[str, int, int]]:
    """Return the units of work that a monitor was told of, without the checksum of the weights."""
    return [call for call in monitor.units if call[0] != "start"]


def test_views_have_the_poses_of_the_models_rig(folder):
    model = load_multiview_model(folder, rig="v1.2")
    given = video(2, fps=6.5, elevation_deg=-12.5)
    monitor = Recorder()
    views = generate_views(model, given, NOISE, CONFIG, monitor=monitor)
    assert (views.images, views.alphas) == (given.images, given.alphas)
    assert views.view_images.shape == (2, 6, TILE, TILE, 3)
    assert views.view_alphas.shape == (2, 6, TILE, TILE)
    rig = zero123plus_rig("v1.2")
    assert views.view_poses == rig
    assert views.input_pose == OrbitPose(
        azimuth_deg=0.0, elevation_deg=-12.5, radius=rig[0].radius, fovy_deg=rig[0].fovy_deg
    )
    assert views.fps == 6.5
    assert work(monitor) == [
        *[("encode", frame, 2) for frame in (1, 2)],
        *[("denoise", 2 * step, 2 * STEPS) for step in (1, 2, 3, 4)],
        *[("decode", frame, 2) for frame in (1, 2)],
    ]


def test_views_are_the_decoded_images_without_background(model):
    seen = []

    def left_half(view: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, bool]:
        seen.append(view)
        alpha = torch.zeros(TILE, TILE)
        alpha[:, : TILE // 2] = 1
        return 1 - view, alpha, True

    views = generate_views(model, video(2), NOISE, CONFIG, remover=remover(left_half))
    torch.testing.assert_close(1 - views.view_images.flatten(0, 1), torch.stack(seen))
    assert views.view_alphas[..., : TILE // 2].min() == 1
    assert views.view_alphas[..., TILE // 2 :].max() == 0
    latents = sample_latents(model, video(2).images, video(2).alphas, NOISE, CONFIG)
    torch.testing.assert_close(torch.stack(seen[6:]), model.decode(latents[1]))


def test_a_written_set_reads_as_the_generated_views(model, tmp_path):
    given = video(fps=12.0, elevation_deg=20.0)
    write_multiview(tmp_path / "new" / "set", model, given, NOISE, CONFIG)
    found = read_views(tmp_path / "new" / "set")
    expected = generate_views(model, given, NOISE, CONFIG)
    for name in ("images", "alphas", "view_images", "view_alphas"):
        one, other = getattr(found, name), getattr(expected, name)
        assert one.shape == other.shape
        assert (one - other).abs().max() <= HALF_LEVEL, name
    assert (found.input_pose, found.view_poses, found.fps) == (
        expected.input_pose,
        expected.view_poses,
        expected.fps,
    )


def test_offsets_of_the_crop_become_those_of_the_object(folder, tmp_path):
    model = load_multiview_model(folder, rig="v1.2")
    given = video(elevation_deg=20.0, crop_offsets=CROP_OFFSETS)
    views = generate_views(model, given, NOISE, CONFIG)
    assert torch.equal(views.offsets, world_offsets(CROP_OFFSETS, views.input_pose))
    write_multiview(tmp_path, model, given, NOISE, CONFIG)
    assert torch.equal(read_views(tmp_path).offsets, views.offsets)
    before, monitor = files_of(tmp_path), Recorder()
    write_multiview(tmp_path, model, given, NOISE, CONFIG, resume=True, monitor=monitor)
    assert (files_of(tmp_path), work(monitor)) == (before, [])


def test_offsets_of_other_frames_are_refused_first(model, tmp_path):
    given = video(crop_offsets=CROP_OFFSETS[:2])
    with pytest.raises(ValueError, match="2 offsets for 3 frames; expected one per frame"):
        write_multiview(tmp_path / "new", model, given, NOISE, CONFIG)
    assert not (tmp_path / "new").exists()
    with pytest.raises(ValueError, match="2 offsets for 3 frames"):
        generate_views(model, given, NOISE, CONFIG)


def test_a_set_has_frames_views_poses_and_a_contact_sheet(written):
    assert files_of(written).keys() == {
        "views.json",
        "views.png",
        *(f"ref/{frame}_rgba.png" for frame in range(3)),
        *(f"zero123/{frame}_rgba/{view}.png" for frame in range(3) for view in range(6)),
    }


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (3, 3), (9, 8)])
def test_each_row_of_the_contact_sheet_is_a_frame_and_its_views(model, tmp_path, count, rows):
    write_multiview(tmp_path, model, video(count), NOISE, replace(CONFIG, num_steps=1))
    with Image.open(tmp_path / "views.png") as image:
        sheet = torch.from_numpy(np.array(image)) / 255
    side = TILE + 2  # with the gap
    assert sheet.shape == (rows * side - 2, 7 * side - 2, 3)
    views = read_views(tmp_path)
    assert views.num_frames == count
    shown = [0, 1, 2, 3, 5, 6, 7, 8] if count == 9 else range(count)  # 8 of 9: 3.43 -> 3, 4.57 -> 5
    for row, frame in enumerate(shown):
        alphas = views.view_alphas[frame, ..., None]
        white = views.view_images[frame] * alphas + 1 - alphas
        for view in range(6):
            tile = sheet[row * side : row * side + TILE, (1 + view) * side : (1 + view) * side + TILE]
            assert (tile - white[view]).abs().max() < 2.5 / 255, (frame, view)
    left = sheet[: rows * side, :TILE]
    assert left[7, 7].sub(torch.tensor([0.8, 0.0, 0.2])).abs().max() < 0.01  # the first frame's square
    assert left[0, 0].min() == 1


def test_an_interrupted_call_resumes_to_the_same_bytes(model, written, tmp_path):
    for moment in (("encode", 2), ("denoise", 2 * 3), ("decode", 1), ("decode", 3)):
        with pytest.raises(Interrupted):
            write_multiview(tmp_path, model, video(), NOISE, CONFIG, resume=True, monitor=Recorder(moment))
        left = [name for name in files_of(tmp_path) if name.startswith("unfinished_")]
        assert len(left) == (moment[0] != "encode")
        assert not (tmp_path / "views.png").exists()
    monitor = Recorder()
    write_multiview(tmp_path, model, video(), NOISE, CONFIG, resume=True, monitor=monitor)
    assert work(monitor) == [("decode", frame, 3) for frame in (1, 2, 3)]
    assert files_of(tmp_path) == files_of(written)


def test_resuming_starts_after_the_last_finished_step(model, written, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    with pytest.raises(Interrupted):
        write_multiview(tmp_path, model, video(), NOISE, CONFIG, monitor=Recorder(("denoise", 2 * 3)))
    monitor = Recorder()
    write_multiview(tmp_path, model, video(), NOISE, CONFIG, resume=True, monitor=monitor)
    assert monitor.units_of("denoise") == [2 * 3, 3 * 3, 4 * 3]  # the first at the start
    assert "resuming after diffusion step 2 of 4." in caplog.text
    assert files_of(tmp_path) == files_of(written)


def test_without_resume_everything_is_sampled_again(model, written, tmp_path):
    with pytest.raises(Interrupted):
        write_multiview(tmp_path, model, video(), NOISE, CONFIG, monitor=Recorder(("decode", 1)))
    monitor = Recorder()
    write_multiview(tmp_path, model, video(), NOISE, CONFIG, monitor=monitor)
    assert work(monitor)[0] == ("encode", 1, 3)
    assert monitor.units_of("denoise") == [3, 6, 9, 12]
    assert files_of(tmp_path) == files_of(written)


def test_a_call_can_be_cancelled_while_the_weights_are_summed(model, tmp_path):
    calls: list[str] = []

    def cancel(stage: str, done: int, total: int, **_: object) -> None:
        calls.append(stage)
        if len(calls) == 5:
            raise Interrupted

    with pytest.raises(Interrupted):
        write_multiview(tmp_path / "out", model, video(), NOISE, CONFIG, monitor=cancel)
    assert calls == ["start"] * 5
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("size", "is_small"), [(27, True), (28, False)])
def test_frames_smaller_than_the_networks_take_are_reported(model, caplog, size, is_small):
    """The vision encoder takes 28 pixels, the VAE 24."""
    images = torch.rand(1, size, size, 3, generator=torch.Generator().manual_seed(0))
    generate_views(model, InputVideo(images, torch.ones(1, size, size)), NOISE, CONFIG)
    message = "views: frames of 27 pixels; the model's feature extractors take 28, so that detail is lost."
    assert (message in caplog.messages) == is_small


@pytest.mark.parametrize(("rig", "record"), [(None, ("v1.1", "default")), ("v1.2", ("v1.2", "choice"))])
def test_rig_and_what_it_is_known_from_are_kept_in_the_views(folder, tmp_path, rig, record, caplog):
    caplog.set_level(logging.INFO)
    write_multiview(tmp_path, load_multiview_model(folder, rig=rig), video(2), NOISE, CONFIG)
    kept = json.loads((tmp_path / "views.json").read_text())["multiview"]
    assert (kept["rig"], kept["rig_source"]) == record
    assert f"rig {record[0]} of the views, " in caplog.text
    assert read_views(tmp_path).view_poses == zero123plus_rig(record[0])


def fail(stage: str, done: int, total: int, **_: object) -> None:
    if stage != "start":  # the checksum of the weights
        raise AssertionError(f"{stage} {done} of {total}")


@pytest.mark.parametrize("count", [1, 4])
def test_a_finished_set_is_not_sampled_again(model, tmp_path, caplog, count):
    flicker = write_multiview(tmp_path, model, video(count), NOISE, CONFIG)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    caplog.set_level(logging.INFO)
    again = write_multiview(tmp_path, model, video(count), NOISE, CONFIG, resume=True, monitor=fail)
    assert again == flicker
    assert (flicker is None) == (count == 1)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    message = f"{tmp_path}: finished with the same inputs before; nothing is generated."
    assert caplog.messages[-1] == message


@pytest.mark.parametrize("flicker", ["low", float("nan"), True, [1.0]], ids=str)
def test_a_set_with_a_damaged_record_is_sampled_again(model, tmp_path, flicker):
    write_multiview(tmp_path, model, video(), NOISE, CONFIG)
    before = files_of(tmp_path)
    document = json.loads((tmp_path / "views.json").read_text())
    document["multiview"]["flicker"] = flicker
    (tmp_path / "views.json").write_text(json.dumps(document))
    write_multiview(tmp_path, model, video(), NOISE, CONFIG, resume=True)
    assert files_of(tmp_path) == before


@pytest.mark.parametrize(
    "change",
    [
        {"noise": SeededNoise(4)},
        {"config": replace(CONFIG, guidance_scale=2.0)},
        {"video": video(4)},
        {"video": video(fps=9.0)},
        {"video": video(elevation_deg=5.0)},
        {"remover": BackgroundRemover("none")},
        {"video": video(crop_offsets=CROP_OFFSETS)},
    ],
    ids=["seed", "scale", "frames", "fps", "elevation", "background", "offsets"],
)
def test_a_set_with_other_inputs_is_sampled_again(model, tmp_path, change):
    def write(out: Path, **options) -> None:
        settings = {"video": video(), "noise": NOISE, "config": CONFIG, **options}
        write_multiview(out, model, **settings)

    monitor = Recorder()
    write(tmp_path / "found")
    write(tmp_path / "found", resume=True, monitor=monitor, **change)
    assert work(monitor)[0][:2] == ("encode", 1)
    write(tmp_path / "expected", **change)
    assert files_of(tmp_path / "found") == files_of(tmp_path / "expected")


@pytest.mark.parametrize("lost", ["ref/2_rgba.png", "zero123/1_rgba/5.png", "views.json"])
def test_a_set_with_a_missing_file_is_written_again(model, written, tmp_path, lost):
    write_multiview(tmp_path, model, video(), NOISE, CONFIG)
    (tmp_path / lost).unlink()
    write_multiview(tmp_path, model, video(), NOISE, CONFIG, resume=True)
    assert files_of(tmp_path) == files_of(written)


def test_an_interrupted_second_call_makes_a_set_unfinished(model, written, tmp_path):
    write_multiview(tmp_path, model, video(), NOISE, CONFIG)
    with pytest.raises(Interrupted):
        write_multiview(tmp_path, model, video(), NOISE, CONFIG, monitor=Recorder(("decode", 1)))
    monitor = Recorder()
    write_multiview(tmp_path, model, video(), NOISE, CONFIG, resume=True, monitor=monitor)
    assert work(monitor) == [("decode", frame, 3) for frame in (1, 2, 3)]
    assert files_of(tmp_path) == files_of(written)


def test_views_in_memory_exist_once(model):
    """There is no list of all frames' views beside the result."""
    held = []

    finished: list[int] = [0]

    def count(stage: str, done: int, total: int, **_: object) -> None:
        if stage != "decode" or done == finished[-1]:
            return
        finished.append(done)
        gc.collect()
        kept = [item for item in gc.get_objects() if type(item) is torch.Tensor]
        held.append(sum(item.shape == (6, TILE, TILE, 3) for item in kept))

    generate_views(model, video(5), NOISE, replace(CONFIG, num_steps=1), monitor=count)
    assert len(held) == 5
    assert max(held) == min(held) <= 2


def test_the_checkpoint_of_another_call_is_neither_used_nor_removed(model, tmp_path):
    for seed in (3, 4):
        monitor = Recorder(("denoise", 1 * 3))
        with pytest.raises(Interrupted):
            write_multiview(tmp_path, model, video(), SeededNoise(seed), CONFIG, resume=True, monitor=monitor)
        assert work(monitor)[0] == ("encode", 1, 3)
    assert len(list(tmp_path.glob("unfinished_*"))) == 2


def test_a_second_call_replaces_the_whole_set(model, written, tmp_path):
    write_multiview(tmp_path / "out", model, video(4, fps=3.0), SeededNoise(9), CONFIG)
    with pytest.raises(Interrupted):  # nor of one that never ended
        write_multiview(
            tmp_path / "out", model, video(4), SeededNoise(8), CONFIG, monitor=Recorder(("denoise", 1 * 4))
        )
    (tmp_path / "out" / "notes.txt").write_text("precious")
    write_multiview(tmp_path / "out", model, video(), NOISE, CONFIG)
    assert files_of(tmp_path / "out") == {**files_of(written), "notes.txt": b"precious"}
    write_multiview(tmp_path / "out", model, video(), SeededNoise(9), CONFIG)
    replaced = files_of(tmp_path / "out")
    assert replaced["ref/0_rgba.png"] == files_of(written)["ref/0_rgba.png"]
    assert all(
        replaced[f"zero123/{frame}_rgba/{view}.png"] != files_of(written)[f"zero123/{frame}_rgba/{view}.png"]
        for frame in range(3)
        for view in range(6)
    )


def test_an_interrupted_call_in_memory_is_resumed(model, tmp_path):
    call = (model, video(), NOISE, CONFIG)
    expected = generate_views(*call)
    for moment in (("denoise", 2 * 3), ("decode", 1)):
        with pytest.raises(Interrupted):
            generate_views(*call, checkpoints=CheckpointFolder(tmp_path), monitor=Recorder(moment))
        assert len(list(tmp_path.iterdir())) == 1
    monitor = Recorder()
    found = generate_views(*call, checkpoints=CheckpointFolder(tmp_path), monitor=monitor)
    assert [stage for stage, _, _ in work(monitor)] == ["decode"] * 3
    assert torch.equal(found.view_images, expected.view_images)
    assert torch.equal(found.view_alphas, expected.view_alphas)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", [lambda content: content[: len(content) // 2], lambda content: b"?" * 99])
def test_a_damaged_checkpoint_is_refused(model, tmp_path, damage):
    with pytest.raises(Interrupted):
        write_multiview(tmp_path, model, video(), NOISE, CONFIG, monitor=Recorder(("denoise", 2 * 3)))
    (left,) = tmp_path.iterdir()
    left.write_bytes(damage(left.read_bytes()))
    with pytest.raises(ValueError, match=rf"{left.name}: damaged \(.*\); delete it to start from the begin"):
        write_multiview(tmp_path, model, video(), NOISE, CONFIG, resume=True)


def test_a_full_disk_is_an_error(model, tmp_path):
    with small_disk(100), pytest.raises((OSError, RuntimeError)):
        write_multiview(tmp_path, model, video(), NOISE, CONFIG)
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_set_is_refused_by_the_reader(model, tmp_path):
    with pytest.raises(Interrupted):
        write_multiview(tmp_path, model, video(), NOISE, CONFIG, monitor=Recorder(("decode", 1)))
    with pytest.raises(
        ValueError, match=r"is unfinished; run the interrupted .* again with --resume, or delete unf"
    ):
        read_views(tmp_path)
    write_multiview(tmp_path, model, video(), NOISE, CONFIG, resume=True)
    assert read_views(tmp_path).num_frames == 3


def test_empty_views_are_named(model, tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    numbers = iter(range(18))

    def remove(view: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, bool]:
        colors, alpha, _ = remove_background(view)
        return colors, alpha * (next(numbers) != 8), True

    write_multiview(tmp_path, model, video(), NOISE, CONFIG, remover=remover(remove))
    assert "1 views are empty, the first is view 2 of frame 1; a fit refuses them." in caplog.text


def unreliable(every: int) -> BackgroundRemover:
    """Return a remover that finds one view of so many without a plain background."""
    numbers: Iterator[int] = iter(range(1000))

    def remove(view: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, bool]:
        return *remove_background(view)[:2], bool((next(numbers) + 1) % every)

    return remover(remove)


@pytest.mark.parametrize(("every", "expected"), [(1, "18 of 18"), (4, "4 of 18"), (18, "1 of 18"), (19, "")])
def test_estimated_alphas_are_counted(model, tmp_path, caplog, every, expected):
    caplog.set_level(logging.WARNING)
    write_multiview(tmp_path, model, video(), NOISE, CONFIG, remover=unreliable(every))
    warnings = [message for message in caplog.messages if "plain background" in message]
    assert len(warnings) == bool(expected)
    if expected:
        assert f"{expected} views have no plain background; their alphas are estimates." in warnings[0]


def test_noise_has_no_plain_background(model, caplog):
    caplog.set_level(logging.WARNING)
    generate_views(model, video(1), NOISE, CONFIG)
    assert "6 of 6 views have no plain background" in caplog.text


@pytest.mark.parametrize("elevation", [95.0, float("nan")])
def test_an_elevation_out_of_range_is_refused_first(model, tmp_path, elevation):
    monitor = Recorder()
    with pytest.raises(ValueError, match="elevation"):
        write_multiview(
            tmp_path / "out", model, video(elevation_deg=elevation), NOISE, CONFIG, monitor=monitor
        )
    with pytest.raises(ValueError, match="elevation"):
        generate_views(model, video(elevation_deg=elevation), NOISE, CONFIG, monitor=monitor)
    assert monitor.calls == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("fps", [0.0, -1.0])
def test_a_frame_rate_out_of_range_is_refused_first(model, tmp_path, fps):
    monitor = Recorder()
    with pytest.raises(ValueError, match=f"fps is {fps}; expected above 0 and below 10000"):
        write_multiview(tmp_path / "out", model, video(fps=fps), NOISE, CONFIG, monitor=monitor)
    assert monitor.calls == []
    assert not (tmp_path / "out").exists()


def test_the_flicker_is_that_of_the_written_images(model, tmp_path):
    found = write_multiview(tmp_path, model, video(4), NOISE, CONFIG)
    views = read_views(tmp_path)

    def temporal_difference(images: torch.Tensor, alphas: torch.Tensor) -> float:
        white = images * alphas[..., None] + 1 - alphas[..., None]
        return (white[2:] - 2 * white[1:-1] + white[:-2]).abs().mean().item()

    ratio = (temporal_difference(views.view_images, views.view_alphas) + 0.001) / (
        temporal_difference(views.images, views.alphas) + 0.001
    )
    assert found == pytest.approx(abs(math.log(ratio)), abs=0.02)  # 8 bits
    assert write_multiview(tmp_path, model, video(2), NOISE, CONFIG) is None  # too short to tell


def test_an_anchor_frame_out_of_range_is_refused(model, tmp_path):
    config = replace(CONFIG, anchor=Anchor(3))
    with pytest.raises(ValueError, match="anchor frame 3 of 3 frames; expected 0 to 2"):
        write_multiview(tmp_path, model, video(), NOISE, config)
    assert list(tmp_path.iterdir()) == []


def test_views_json_has_the_rigs_cameras(written):
    document = json.loads((written / "views.json").read_text())
    assert [view["azimuth"] for view in document["views"]] == [30, 90, 150, 210, 270, 330]
    assert [view["elevation"] for view in document["views"]] == [30, -20, 30, -20, 30, -20]
    assert (document["input"]["azimuth"], document["input"]["elevation"], document["fps"]) == (0, 0, 8)
