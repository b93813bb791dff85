"""A resumed fit equals an uninterrupted one; damaged and foreign checkpoints are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from changed_views import changed_views
from constant_color import ConstantColorDenoiser
from full_disk import small_disk
from recording import Recorder
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from stag4d.optimization import (
    AdaptivePercentile,
    BatchConfig,
    DensificationConfig,
    OptimizationConfig,
    Trainer,
)
from stag4d.optimization.checkpoint import load_state, save_state
from stag4d.progress import Interrupted
from stag4d.resume import Checkpoint, CheckpointError
from stag4d.scene import save_scene

STEPS = 16
HEADER = "stag4d_checkpoint"
MISSHAPEN = {"moments.means.0.exp_avg": torch.zeros(1)}
NEGATIVE = {"moments.means.0.step": torch.tensor(-1.0)}
FOREIGN = {"moments.other.0.step": torch.tensor(1.0)}
EIGHT_BITS = {"statistics.norm_sum": torch.zeros(100, dtype=torch.float8_e4m3fn)}
INTEGERS = {"statistics.num_seen": torch.zeros(100, dtype=torch.int32)}


@pytest.fixture
def config(make_config) -> OptimizationConfig:
    """A fit that densifies after steps 5, 10 and 15, and deforms from step 4 on."""
    return make_config(
        steps=STEPS,
        densification=DensificationConfig(
            strategy=AdaptivePercentile(top_share=0.1),
            start=0,
            stop=1,
            every=5,
            clone_scale=0.05,
            min_opacity=0.02,
            max_scale=0.5,
        ),
        batch=BatchConfig(static_until=0.25, sizes=((0.5, 0.7),)),
    )


@pytest.fixture
def interrupted(view_set, config, tmp_path) -> Callable[[int], Path]:
    """A function that interrupts a fit after a step and returns its checkpoint."""

    def interrupt(step: int) -> Path:
        trainer = Trainer(view_set, config)
        with pytest.raises(Interrupted):
            trainer.run(Recorder(("optimize", step)))
        path = tmp_path / "checkpoint.safetensors"
        save_state(Checkpoint(path), trainer)
        return path

    return interrupt


def state_of(trainer: Trainer) -> dict[str, Tensor]:
    """Return all state that the next step depends on."""
    return {
        **trainer.scene.gaussians.as_dict(),
        **trainer.scene.deformation.state_dict(),
        **{f"moments.{name}": value for name, value in trainer.scene.moments().items()},
        "norm_sum": trainer.statistics.norm_sum,
        "num_seen": trainer.statistics.num_seen,
        "generator": trainer.generator.get_state(),
        "step": torch.tensor(trainer.step),
    }


@pytest.mark.parametrize("step", [1, 3, 5, 7, 15], ids=lambda step: f"after step {step}")
def test_a_resumed_fit_equals_an_uninterrupted_one(view_set, config, interrupted, step):
    whole = Trainer(view_set, config)
    whole.run()
    resumed = Trainer(view_set, config)
    load_state(Checkpoint(interrupted(step)), resumed)
    assert resumed.step == step
    resumed.run()
    expected, found = state_of(whole), state_of(resumed)
    assert found.keys() == expected.keys()
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []
    assert len(whole.scene.gaussians) != 100  # or densification was not put to the test
    assert resumed.history.steps == list(range(1, STEPS + 1))
    assert resumed.history.losses == whole.history.losses
    assert resumed.history.num_gaussians == whole.history.num_gaussians


def test_a_checkpoint_without_a_history_resumes(view_set, config, interrupted):
    """Those of version 0.2 have none."""
    path = interrupted(5)
    rewrite(path, {"history": None})
    resumed = Trainer(view_set, config)
    load_state(Checkpoint(path), resumed)
    resumed.run()
    assert resumed.history.steps == list(range(6, STEPS + 1))


@pytest.fixture
def guided(view_set, config) -> Callable[[], Trainer]:
    """A function that makes a trainer with guidance, so that a step has all of its parts."""
    poses = (view_set.input_pose, *view_set.view_poses)
    one_size = replace(config, batch=replace(config.batch, sizes=()))  # of the denoiser's latents
    return lambda: Trainer(view_set, one_size, denoiser=ConstantColorDenoiser((0.9, 0.1, 0.2), poses))


def test_a_cancel_anywhere_within_a_step_leaves_the_state_of_the_step_before(guided):
    """At each call of the monitor during the first, fifth and sixth step; the fifth densifies."""
    recorder = Recorder(("optimize", 6))
    with pytest.raises(Interrupted):
        guided().run(recorder)
    done = recorder.of("optimize")
    calls_within_steps = [number for number, step in enumerate(done, start=1) if step in (0, 4, 5)]
    assert len(calls_within_steps) > 18  # frames, renders, encoding, prediction and backward pass
    expected = {0: guided()}
    for step in (4, 5):
        expected[step] = guided()
        with pytest.raises(Interrupted):
            expected[step].run(Recorder(("optimize", step)))
    for number in calls_within_steps:
        trainer, step = guided(), done[number - 1]
        with pytest.raises(Interrupted):
            trainer.run(Recorder(cancel_at=number))
        state, wanted = state_of(trainer), state_of(expected[step])
        assert state.keys() == wanted.keys()
        assert [name for name in wanted if not torch.equal(state[name], wanted[name])] == []
        assert all(value.grad is None for value in trainer.scene.parameters())
        assert trainer.losses == expected[step].losses


@pytest.mark.parametrize("offset", [1, 2, 3, 4])
def test_a_fit_that_is_cancelled_within_a_step_resumes_to_the_same_scene(guided, tmp_path, offset):
    whole = guided()
    whole.run()
    recorder = Recorder()
    guided().run(recorder)
    number = recorder.of("optimize").index(7) + 1 + offset  # within the eighth step
    trainer, resumed = guided(), guided()
    with pytest.raises(Interrupted):
        trainer.run(Recorder(cancel_at=number))
    checkpoint = Checkpoint(tmp_path / "c.safetensors")
    save_state(checkpoint, trainer)
    load_state(checkpoint, resumed)
    assert resumed.step == 7
    resumed.run()
    expected, found = state_of(whole), state_of(resumed)
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []


def test_a_cancel_within_the_first_step_after_a_resume_without_losses_is_a_cancel(guided):
    """Checkpoints of version 0.1 have no losses."""
    trainer = guided()
    with pytest.raises(Interrupted):
        trainer.run(Recorder(("optimize", 3)))
    trainer.losses = {}
    with pytest.raises(Interrupted):
        trainer.run(Recorder(cancel_at=1))
    assert trainer.step == 3


def test_a_state_is_saved_between_steps_only(guided, tmp_path):
    """The random generator has advanced when the monitor is called within a step."""
    trainer, saved = guided(), []
    trainer.run(after_step=lambda: saved.append(state_of(trainer)["generator"]))
    again, seen = guided(), []
    again.run(lambda *_, **options: seen.append((bool(options.get("preview")), again.generator.get_state())))
    between = [state for is_between, state in seen if is_between]
    assert len(between) == STEPS
    assert all(torch.equal(one, two) for one, two in zip(saved, between, strict=True))
    within = [state for is_between, state in seen if not is_between]
    assert any(not any(torch.equal(state, other) for other in saved) for state in within)


def test_a_resumed_fit_adds_to_its_time(view_set, config, interrupted):
    resumed = Trainer(view_set, config)
    path = interrupted(4)
    load_state(Checkpoint(path), resumed)
    before = resumed.seconds
    assert before > 0
    resumed.run()
    assert resumed.seconds > before


def test_a_fit_of_one_frame_resumes_too(view_set, config, tmp_path):
    still = changed_views(
        view_set,
        images=view_set.images[:1],
        alphas=view_set.alphas[:1],
        view_images=view_set.view_images[:1],
        view_alphas=view_set.view_alphas[:1],
    )
    whole, stopped, resumed = (Trainer(still, config) for _ in range(3))
    with pytest.raises(Interrupted):
        stopped.run(Recorder(("optimize", 6)))
    checkpoint = Checkpoint(tmp_path / "c.safetensors")
    save_state(checkpoint, stopped)
    assert load_state(checkpoint, resumed)
    assert torch.equal(resumed.run().gaussians.means, whole.run().gaussians.means)


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"steps": STEPS + 1}, {"size": 20}, {"start": None}],
    ids=lambda change: next(iter(change)),
)
def test_a_checkpoint_of_other_settings_is_refused(view_set, config, interrupted, change):
    if "start" in change:
        change = {"start": replace(config.start, num_points=99)}
    trainer = Trainer(view_set, replace(config, **change))
    with pytest.raises(ValueError, match="other views or settings; resume with the same ones, or delete it"):
        load_state(Checkpoint(interrupted(2)), trainer)


@pytest.mark.parametrize("part", ["pixels", "poses"])
def test_a_checkpoint_of_other_views_is_refused(view_set, config, interrupted, part):
    if part == "pixels":
        other = changed_views(view_set, images=view_set.images.clone())
        other.images[1, 12, 12] = 1 - other.images[1, 12, 12]
    else:
        other = changed_views(view_set, view_poses=view_set.view_poses[::-1])
    with pytest.raises(ValueError, match="belongs to other views or settings"):
        load_state(Checkpoint(interrupted(2)), Trainer(other, config))


def rewrite(
    path: Path, header: dict | None = None, without: str = "", replaced: dict[str, Tensor] | None = None
) -> None:
    """Change a checkpoint's header, leave tensors out, or replace some."""
    with safe_open(path, framework="pt") as file:
        values = json.loads(file.metadata()[HEADER])
    tensors = {name: value for name, value in load_file(path).items() if not without or without not in name}
    save_file(tensors | (replaced or {}), path, {HEADER: json.dumps({**values, **(header or {})})})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "damaged .*; delete it to"),
        (lambda path: path.write_bytes(b"not a checkpoint" * 99), "damaged .*; delete it to"),
        (lambda path: path.write_bytes(b""), "damaged .*; delete it to"),
        (
            lambda path: rewrite(path, {"version": 2}),
            "version 2, this program reads up to 1; update STAG4D, or",
        ),
        (lambda path: rewrite(path, {"version": "new"}), "no checkpoint header"),
        (lambda path: rewrite(path, {"step": None}), "a part is missing or has the wrong form"),
        (lambda path: rewrite(path, without="generator"), "a part is missing or has the wrong form"),
        (lambda path: rewrite(path, without="sh0"), "a part is missing or has the wrong form"),
        (lambda path: rewrite(path, without="means_head"), "a part is missing or has the wrong form"),
        (lambda path: rewrite(path, {"version": float("inf")}), "no checkpoint header"),
        (lambda path: rewrite(path, {"step": STEPS + 1}), rf".*\(step {STEPS + 1} of {STEPS}\)"),
        (lambda path: rewrite(path, {"step": -1}), r".*\(step must be a whole number from 0, not -1"),
        (lambda path: rewrite(path, {"step": 1.5}), r".*\(step must be a whole number from 0, not 1\.5"),
        (lambda path: rewrite(path, {"seconds": float("nan")}), r".*\(seconds must be a finite number"),
        (lambda path: rewrite(path, {"seconds": -3}), r".*\(-3 seconds\)"),
        (lambda path: rewrite(path, {"history": {}}), r".*\(history\.losses: no object"),
        (lambda path: rewrite(path, without="moments.means.0.exp_avg_sq"), r".*exp_avg_sq is missing"),
        (
            lambda path: rewrite(path, replaced=MISSHAPEN),
            r".*exp_avg is torch\.float32 \[1\]; expected float32",
        ),
        (lambda path: rewrite(path, replaced=NEGATIVE), r".*moments\.means\.0\.step is negative"),
        (lambda path: rewrite(path, replaced=FOREIGN), r".*moments\.other\.0\.step is of no parameter"),
        (lambda path: rewrite(path, replaced=EIGHT_BITS), r".*norm_sum is torch\.float8_e4m3fn and not"),
        (
            lambda path: rewrite(path, replaced=INTEGERS),
            r".*num_seen is torch\.int32 \[100\]; expected float32",
        ),
    ],
    ids=[
        *("truncated", "garbage", "empty", "newer", "version", "step", "generator", "gaussians", "field"),
        *("infinite version", "step beyond the end", "negative step", "fractional step", "time not a number"),
        *(
            "negative time",
            "history",
            "missing moment",
            "misshapen moment",
            "negative moment",
            "foreign moment",
        ),
        "eight bits",
        "integers",
    ],
)
def test_a_damaged_checkpoint_is_refused(view_set, config, interrupted, damage, message):
    path = interrupted(2)
    damage(path)
    trainer = Trainer(view_set, config)
    before = {name: value.clone() for name, value in state_of(trainer).items()}
    with pytest.raises(CheckpointError, match=f"^checkpoint {path}: {message}"):
        load_state(Checkpoint(path), trainer)
    after = state_of(trainer)
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_a_scene_is_refused_as_a_checkpoint(view_set, config, tmp_path):
    trainer = Trainer(view_set, config)
    save_scene(tmp_path / "scene.safetensors", trainer.model())
    with pytest.raises(ValueError, match="no checkpoint header, so it is another kind of file"):
        load_state(Checkpoint(tmp_path / "scene.safetensors"), trainer)


def test_without_a_checkpoint_nothing_is_loaded(view_set, config, interrupted, tmp_path):
    trainer = Trainer(view_set, config)
    assert not load_state(Checkpoint(tmp_path / "none.safetensors"), trainer)
    assert not load_state(Checkpoint(interrupted(2), resume=False), trainer)
    assert trainer.step == 0


def test_a_failed_write_keeps_the_old_checkpoint(view_set, config, interrupted):
    path = interrupted(2)
    before = path.read_bytes()
    with small_disk(5000), pytest.raises(RuntimeError, match=f"^{path}: cannot be written"):
        save_state(Checkpoint(path), Trainer(view_set, config))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
