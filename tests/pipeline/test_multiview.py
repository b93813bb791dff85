"""Views of a whole clip: what is returned, what is written, and what an interrupted call leaves and finds."""

from __future__ import annotations

import gc
import json
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from full_disk import small_disk
from PIL import Image
from tiny_models import TILE, make_multiview_folder

from stag4d.data import read_views
from stag4d.diffusion import Anchor, MultiViewModel, SamplingConfig, SeededNoise, load_multiview_model
from stag4d.geometry import OrbitPose, zero123plus_rig
from stag4d.matting import remove_background
from stag4d.pipeline.multiview import generate_views, write_multiview

SIZE, STEPS = 20, 4
CONFIG = SamplingConfig(num_steps=STEPS)
NOISE = SeededNoise(3)
HALF_LEVEL = 0.51 / 255


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A model's folder."""
    return make_multiview_folder(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def model(folder) -> MultiViewModel:
    """A model that draws noise, six tiles of it."""
    return load_multiview_model(folder)


def clip(count: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Return frames of a colored square that moves to the right, white around it, and its mattes."""
    images = torch.ones(count, SIZE, SIZE, 3)
    alphas = torch.zeros(count, SIZE, SIZE)
    for frame in range(count):
        images[frame, 5:15, 3 + frame : 13 + frame] = torch.tensor([0.8, 0.1 * frame, 0.2])
        alphas[frame, 5:15, 3 + frame : 13 + frame] = 1
    return images, alphas


def files_of(folder: Path) -> dict[str, bytes]:
    """Return a folder's files by their names."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class StopAt:
    """A listener that notes all that it hears and interrupts at one moment."""

    def __init__(self, *moment: str | int) -> None:
        self.moment, self.heard = moment, []

    def __call__(self, stage: str, done: int, total: int) -> None:
        self.heard.append((stage, done, total))
        if (stage, done) == self.moment:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def written(model, tmp_path_factory) -> Path:
    """What a call that nothing interrupts writes."""
    out = tmp_path_factory.mktemp("written")
    write_multiview(out, model, *clip(), NOISE, CONFIG)
    return out


def test_a_clip_gets_the_views_of_its_models_rig(folder):
    model = load_multiview_model(folder, rig="v1.2")
    images, alphas = clip(2)
    heard = StopAt()
    views = generate_views(
        model, images, alphas, NOISE, CONFIG, input_elevation_deg=-12.5, fps=6.5, on_stage=heard
    )
    assert (views.images, views.alphas) == (images, alphas)
    assert views.view_images.shape == (2, 6, TILE, TILE, 3)
    assert views.view_alphas.shape == (2, 6, TILE, TILE)
    rig = zero123plus_rig("v1.2")
    assert views.view_poses == rig
    assert views.input_pose == OrbitPose(
        azimuth_deg=0.0, elevation_deg=-12.5, radius=rig[0].radius, fovy_deg=rig[0].fovy_deg
    )
    assert views.fps == 6.5
    assert heard.heard == [
        *[("encode", frame, 2) for frame in (1, 2)],
        *[("denoise", step, STEPS) for step in (1, 2, 3, 4)],
        *[("decode", frame, 2) for frame in (1, 2)],
    ]


def test_views_are_the_models_pictures_cut_out(model):
    seen = []

    def left_half(view: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, bool]:
        seen.append(view)
        alpha = torch.zeros(TILE, TILE)
        alpha[:, : TILE // 2] = 1
        return 1 - view, alpha, True

    views = generate_views(model, *clip(2), NOISE, CONFIG, cut=left_half)
    torch.testing.assert_close(1 - views.view_images.flatten(0, 1), torch.stack(seen))
    assert views.view_alphas[..., : TILE // 2].min() == 1
    assert views.view_alphas[..., TILE // 2 :].max() == 0
    last = {}
    generate_views(model, *clip(2), NOISE, CONFIG, on_step=lambda step: last.update(latents=step.latents))
    torch.testing.assert_close(torch.stack(seen[6:]), model.decode(last["latents"][1]))


def test_what_is_written_reads_as_what_is_generated(model, tmp_path):
    options = {"input_elevation_deg": 20.0, "fps": 12.0}
    write_multiview(tmp_path / "new" / "set", model, *clip(), NOISE, CONFIG, **options)
    found = read_views(tmp_path / "new" / "set")
    expected = generate_views(model, *clip(), NOISE, CONFIG, **options)
    for name in ("images", "alphas", "view_images", "view_alphas"):
        one, other = getattr(found, name), getattr(expected, name)
        assert one.shape == other.shape
        assert (one - other).abs().max() <= HALF_LEVEL, name
    assert (found.input_pose, found.view_poses, found.fps) == (
        expected.input_pose, expected.view_poses, expected.fps
    )  # fmt: skip


def test_a_set_has_its_frames_its_views_its_poses_and_a_sheet(written):
    assert files_of(written).keys() == {
        "views.json",
        "views.png",
        *(f"ref/{frame}_rgba.png" for frame in range(3)),
        *(f"zero123/{frame}_rgba/{view}.png" for frame in range(3) for view in range(6)),
    }


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (3, 3), (9, 8)])
def test_the_sheet_shows_a_frame_and_its_views_in_a_row(model, tmp_path, count, rows):
    write_multiview(tmp_path, model, *clip(count), NOISE, replace(CONFIG, num_steps=1))
    with Image.open(tmp_path / "views.png") as picture:
        sheet = torch.from_numpy(np.array(picture)) / 255
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


def test_what_was_interrupted_is_resumed_to_the_same_bytes(model, written, tmp_path):
    for moment in (("encode", 2), ("denoise", 2), ("decode", 1), ("decode", 3)):
        with pytest.raises(KeyboardInterrupt):
            write_multiview(tmp_path, model, *clip(), NOISE, CONFIG, resume=True, on_stage=StopAt(*moment))
        left = [name for name in files_of(tmp_path) if name.startswith("unfinished_")]
        assert len(left) == (moment[0] != "encode")
        assert not (tmp_path / "views.png").exists()
    heard = StopAt()
    write_multiview(tmp_path, model, *clip(), NOISE, CONFIG, resume=True, on_stage=heard)
    assert heard.heard == [("decode", frame, 3) for frame in (1, 2, 3)]
    assert files_of(tmp_path) == files_of(written)


def test_going_on_starts_after_the_last_step_that_was_done(model, written, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    with pytest.raises(KeyboardInterrupt):
        write_multiview(tmp_path, model, *clip(), NOISE, CONFIG, on_stage=StopAt("denoise", 2))
    heard = StopAt()
    write_multiview(tmp_path, model, *clip(), NOISE, CONFIG, resume=True, on_stage=heard)
    assert [done for stage, done, _ in heard.heard if stage == "denoise"] == [3, 4]
    assert "going on after diffusion step 2." in caplog.text
    assert files_of(tmp_path) == files_of(written)


def test_without_resume_all_is_drawn_anew(model, written, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_multiview(tmp_path, model, *clip(), NOISE, CONFIG, on_stage=StopAt("decode", 1))
    heard = StopAt()
    write_multiview(tmp_path, model, *clip(), NOISE, CONFIG, on_stage=heard)
    assert heard.heard[0] == ("encode", 1, 3)
    assert [done for stage, done, _ in heard.heard if stage == "denoise"] == [1, 2, 3, 4]
    assert files_of(tmp_path) == files_of(written)


def refuse_to_draw(stage: str, done: int, total: int) -> None:
    raise AssertionError(f"{stage} {done} of {total}")


@pytest.mark.parametrize("count", [1, 4])
def test_what_is_finished_is_not_drawn_again(model, tmp_path, caplog, count):
    flicker = write_multiview(tmp_path, model, *clip(count), NOISE, CONFIG)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    caplog.set_level(logging.INFO)
    again = write_multiview(
        tmp_path, model, *clip(count), NOISE, CONFIG, resume=True, on_stage=refuse_to_draw
    )
    assert again == flicker
    assert (flicker is None) == (count == 1)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    said = f"{tmp_path}: finished before with the same settings; nothing is drawn again."
    assert caplog.messages[-1] == said


def other_cut(view: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, bool]:
    return view, torch.ones(view.shape[:2]), True


@pytest.mark.parametrize(
    "change",
    [
        {"noise": SeededNoise(4)},
        {"config": replace(CONFIG, guidance_scale=2.0)},
        {"frames": clip(4)},
        {"fps": 9.0},
        {"input_elevation_deg": 5.0},
        {"cut": other_cut},
    ],
    ids=str,
)
def test_what_was_finished_otherwise_is_drawn_again(model, tmp_path, change):
    def write(out: Path, **options) -> None:
        settings = {"frames": clip(), "noise": NOISE, "config": CONFIG, **options}
        frames, noise, config = (settings.pop(name) for name in ("frames", "noise", "config"))
        write_multiview(out, model, *frames, noise, config, **settings)

    heard = StopAt()
    write(tmp_path / "found")
    write(tmp_path / "found", resume=True, on_stage=heard, **change)
    assert heard.heard[0][:2] == ("encode", 1)
    write(tmp_path / "expected", **change)
    assert files_of(tmp_path / "found") == files_of(tmp_path / "expected")


@pytest.mark.parametrize("lost", ["ref/2_rgba.png", "zero123/1_rgba/5.png", "views.json"])
def test_what_has_lost_a_file_since_is_drawn_again(model, written, tmp_path, lost):
    write_multiview(tmp_path, model, *clip(), NOISE, CONFIG)
    (tmp_path / lost).unlink()
    write_multiview(tmp_path, model, *clip(), NOISE, CONFIG, resume=True)
    assert files_of(tmp_path) == files_of(written)


def test_what_was_begun_anew_and_interrupted_is_not_finished(model, written, tmp_path):
    write_multiview(tmp_path, model, *clip(), NOISE, CONFIG)
    with pytest.raises(KeyboardInterrupt):
        write_multiview(tmp_path, model, *clip(), NOISE, CONFIG, on_stage=StopAt("decode", 1))
    heard = StopAt()
    write_multiview(tmp_path, model, *clip(), NOISE, CONFIG, resume=True, on_stage=heard)
    assert heard.heard == [("decode", frame, 3) for frame in (1, 2, 3)]
    assert files_of(tmp_path) == files_of(written)


def test_views_in_memory_are_held_once(model):
    """No list of all frames' views beside the set that they become."""
    held = []

    def count(stage: str, done: int, total: int) -> None:
        gc.collect()
        kept = [item for item in gc.get_objects() if type(item) is torch.Tensor]
        held.append(sum(item.shape == (6, TILE, TILE, 3) for item in kept))

    generate_views(model, *clip(5), NOISE, replace(CONFIG, num_steps=1), on_stage=count)
    decoded = held[-5:]
    assert max(decoded) == min(decoded) <= 2


def test_what_another_call_left_is_not_gone_on_from_and_stays(model, tmp_path):
    for seed in (3, 4):
        heard = StopAt("denoise", 1)
        with pytest.raises(KeyboardInterrupt):
            write_multiview(tmp_path, model, *clip(), SeededNoise(seed), CONFIG, resume=True, on_stage=heard)
        assert heard.heard[0] == ("encode", 1, 3)
    assert len(list(tmp_path.glob("unfinished_*"))) == 2


def test_a_second_call_replaces_the_set_and_leaves_nothing_of_the_first(model, written, tmp_path):
    write_multiview(tmp_path / "out", model, *clip(4), SeededNoise(9), CONFIG, fps=3.0)
    with pytest.raises(KeyboardInterrupt):  # nor of one that never ended
        write_multiview(
            tmp_path / "out", model, *clip(4), SeededNoise(8), CONFIG, on_stage=StopAt("denoise", 1)
        )
    (tmp_path / "out" / "notes.txt").write_text("precious")
    write_multiview(tmp_path / "out", model, *clip(), NOISE, CONFIG)
    assert files_of(tmp_path / "out") == {**files_of(written), "notes.txt": b"precious"}
    write_multiview(tmp_path / "out", model, *clip(), SeededNoise(9), CONFIG)
    replaced = files_of(tmp_path / "out")
    assert replaced["ref/0_rgba.png"] == files_of(written)["ref/0_rgba.png"]
    assert all(
        replaced[f"zero123/{frame}_rgba/{view}.png"] != files_of(written)[f"zero123/{frame}_rgba/{view}.png"]
        for frame in range(3)
        for view in range(6)
    )


def test_an_interrupted_call_in_memory_goes_on_by_itself(model, tmp_path):
    call = (model, *clip(), NOISE, CONFIG)
    expected = generate_views(*call)
    for moment in (("denoise", 2), ("decode", 1)):
        with pytest.raises(KeyboardInterrupt):
            generate_views(*call, checkpoints=tmp_path, on_stage=StopAt(*moment))
        assert len(list(tmp_path.iterdir())) == 1
    heard = StopAt()
    found = generate_views(*call, checkpoints=tmp_path, on_stage=heard)
    assert [stage for stage, _, _ in heard.heard] == ["decode"] * 3
    assert torch.equal(found.view_images, expected.view_images)
    assert torch.equal(found.view_alphas, expected.view_alphas)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", [lambda content: content[: len(content) // 2], lambda content: b"?" * 99])
def test_a_state_that_is_damaged_is_refused(model, tmp_path, damage):
    with pytest.raises(KeyboardInterrupt):
        write_multiview(tmp_path, model, *clip(), NOISE, CONFIG, on_stage=StopAt("denoise", 2))
    (left,) = tmp_path.iterdir()
    left.write_bytes(damage(left.read_bytes()))
    with pytest.raises(ValueError, match=rf"{left.name}: damaged \(.*\); delete it to start from the begin"):
        write_multiview(tmp_path, model, *clip(), NOISE, CONFIG, resume=True)


def test_a_full_disk_is_an_error_of_the_system(model, tmp_path):
    with small_disk(100), pytest.raises((OSError, RuntimeError)):
        write_multiview(tmp_path, model, *clip(), NOISE, CONFIG)
    assert list(tmp_path.iterdir()) == []


def test_a_set_that_is_not_whole_is_not_read_as_one(model, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_multiview(tmp_path, model, *clip(), NOISE, CONFIG, on_stage=StopAt("decode", 1))
    with pytest.raises(
        ValueError, match=r"is unfinished; run the interrupted .* again with --resume, or delete unf"
    ):
        read_views(tmp_path)
    write_multiview(tmp_path, model, *clip(), NOISE, CONFIG, resume=True)
    assert read_views(tmp_path).num_frames == 3


def test_blank_views_are_named(model, tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    numbers = iter(range(18))

    def cut(view: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, bool]:
        colors, alpha, _ = remove_background(view)
        return colors, alpha * (next(numbers) != 8), True

    write_multiview(tmp_path, model, *clip(), NOISE, CONFIG, cut=cut)
    assert "1 views show nothing, view 2 of frame 1 first; a fit refuses them." in caplog.text


def doubtful(every: int) -> Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor, bool]]:
    """Return a cutter that doubts one view of so many."""
    numbers: Iterator[int] = iter(range(1000))

    def cut(view: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, bool]:
        return *remove_background(view)[:2], bool((next(numbers) + 1) % every)

    return cut


@pytest.mark.parametrize(("every", "said"), [(1, "18 of 18"), (4, "4 of 18"), (18, "1 of 18"), (19, "")])
def test_mattes_that_are_guesses_are_counted(model, tmp_path, caplog, every, said):
    caplog.set_level(logging.WARNING)
    write_multiview(tmp_path, model, *clip(), NOISE, CONFIG, cut=doubtful(every))
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == bool(said)
    if said:
        assert f"{said} views have no plain background; their mattes are guesses." in warnings[0]


def test_a_models_noise_has_no_plain_background(model, caplog):
    caplog.set_level(logging.WARNING)
    generate_views(model, *clip(1), NOISE, CONFIG)
    assert "6 of 6 views have no plain background" in caplog.text


@pytest.mark.parametrize("elevation", [95.0, float("nan")])
def test_an_elevation_out_of_range_is_refused_before_the_work(model, tmp_path, elevation):
    heard = StopAt()
    with pytest.raises(ValueError, match="elevation"):
        write_multiview(
            tmp_path / "out", model, *clip(), NOISE, CONFIG, input_elevation_deg=elevation, on_stage=heard
        )
    with pytest.raises(ValueError, match="elevation"):
        generate_views(model, *clip(), NOISE, CONFIG, input_elevation_deg=elevation, on_stage=heard)
    assert heard.heard == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("fps", [0.0, -1.0])
def test_a_rate_out_of_range_is_refused_before_the_work(model, tmp_path, fps):
    heard = StopAt()
    with pytest.raises(ValueError, match=f"fps is {fps}; expected a positive number"):
        write_multiview(tmp_path / "out", model, *clip(), NOISE, CONFIG, fps=fps, on_stage=heard)
    assert heard.heard == []
    assert not (tmp_path / "out").exists()


def test_the_flicker_is_that_of_the_pictures(model, tmp_path):
    found = write_multiview(tmp_path, model, *clip(4), NOISE, CONFIG)
    views = read_views(tmp_path)

    def unrest(images: torch.Tensor, alphas: torch.Tensor) -> float:
        white = images * alphas[..., None] + 1 - alphas[..., None]
        return (white[2:] - 2 * white[1:-1] + white[:-2]).abs().mean().item()

    ratio = (unrest(views.view_images, views.view_alphas) + 0.001) / (
        unrest(views.images, views.alphas) + 0.001
    )
    assert found == pytest.approx(abs(math.log(ratio)), abs=0.02)  # 8 bits
    assert write_multiview(tmp_path, model, *clip(2), NOISE, CONFIG) is None  # too short to tell


def test_an_anchor_beyond_the_clip_is_refused(model, tmp_path):
    config = replace(CONFIG, anchor=Anchor(3))
    with pytest.raises(ValueError, match="anchor frame 3 of 3 frames; expected 0 to 2"):
        write_multiview(tmp_path, model, *clip(), NOISE, config)
    assert list(tmp_path.iterdir()) == []


def test_views_json_says_where_the_cameras_were(written):
    document = json.loads((written / "views.json").read_text())
    assert [view["azimuth"] for view in document["views"]] == [30, 90, 150, 210, 270, 330]
    assert [view["elevation"] for view in document["views"]] == [30, -20, 30, -20, 30, -20]
    assert (document["input"]["azimuth"], document["input"]["elevation"], document["fps"]) == (0, 0, 8)
