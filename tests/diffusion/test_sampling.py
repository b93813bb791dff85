"""A clip from frames to latents: what it is put together from, and that an interrupted one goes on."""

import copy
import logging
import re
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from stag4d.diffusion import (
    Anchor,
    SamplingConfig,
    SeededNoise,
    denoise,
    sample_latents,
    sampling,
    sampling_key,
)

CONFIG = SamplingConfig(num_steps=3, anchor=Anchor(1))
NOISE = SeededNoise(4)


@pytest.fixture(scope="module")
def whole(model, clip):
    """The latents of an undisturbed call."""
    return sample_latents(model, *clip, NOISE, CONFIG)


@pytest.fixture
def checkpoint(tmp_path):
    return tmp_path / "state.safetensors"


def stop_after(step):
    """A callback that raises after a step."""

    def stop(progress):
        if progress.step == step:
            raise KeyboardInterrupt

    return stop


def interrupt(model, clip, checkpoint, step, config=CONFIG, **options):
    with pytest.raises(KeyboardInterrupt):
        sample_latents(
            model, *clip, NOISE, config, checkpoint=checkpoint, on_step=stop_after(step), **options
        )


def refuse_to_compute(*args, **kwargs):
    raise AssertionError("a network was called")


def test_it_is_conditions_and_then_denoising(model, clip, whole):
    conditions = model.encode_conditioning(*clip, NOISE)
    expected = denoise(model.unet, model.scheduler, conditions, NOISE, CONFIG, grid_size=(24, 16))
    assert whole.shape == (3, 4, 24, 16)
    assert torch.equal(whole, expected)


def test_frames_and_then_steps_are_reported_in_order(model, clip):
    reported = []
    sample_latents(
        model,
        *clip,
        NOISE,
        CONFIG,
        on_stage=lambda *stage: reported.append(stage),
        on_step=lambda progress: reported.append(progress.step),
    )
    frames = [("encode", 1, 3), ("encode", 2, 3), ("encode", 3, 3)]
    assert reported == [*frames, 1, ("denoise", 1, 3), 2, ("denoise", 2, 3), 3, ("denoise", 3, 3)]


@pytest.mark.parametrize("step", [1, 2, 3])
def test_an_interrupted_clip_goes_on_to_the_same_latents(model, clip, whole, checkpoint, step):
    interrupt(model, clip, checkpoint, step)
    steps = []
    found = sample_latents(
        model, *clip, NOISE, CONFIG, checkpoint=checkpoint, resume=True,
        on_step=lambda progress: steps.append(progress.step),
    )  # fmt: skip
    assert steps == list(range(step + 1, 4))
    assert torch.equal(found, whole)


def test_a_clip_may_be_interrupted_twice(model, clip, whole, checkpoint):
    interrupt(model, clip, checkpoint, 1)
    interrupt(model, clip, checkpoint, 2, resume=True)
    found = sample_latents(model, *clip, NOISE, CONFIG, checkpoint=checkpoint, resume=True)
    assert torch.equal(found, whole)


def test_a_clip_interrupted_within_a_step_goes_on_to_the_same_latents(
    model, clip, whole, checkpoint, monkeypatch
):
    config, calls, predict = replace(CONFIG, batch_size=1), [], model.unet.forward

    def stop_late(*args, **kwargs):
        calls.append(None)
        if len(calls) == 11:  # two calls per frame, six per step: the third frame of the second step
            raise KeyboardInterrupt
        return predict(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(model.unet, "forward", stop_late)
        with pytest.raises(KeyboardInterrupt):
            sample_latents(model, *clip, NOISE, config, checkpoint=checkpoint)
    found = sample_latents(model, *clip, NOISE, config, checkpoint=checkpoint, resume=True)
    torch.testing.assert_close(found, whole, atol=1e-5, rtol=1e-5)


def test_an_interruption_before_the_first_step_leaves_the_state_as_it_was(model, clip, checkpoint):
    def cancel(stage, done, total):
        raise KeyboardInterrupt

    for before in (None, 2):
        if before is not None:
            interrupt(model, clip, checkpoint, before)
        there = checkpoint.read_bytes() if checkpoint.exists() else None
        with pytest.raises(KeyboardInterrupt):
            sample_latents(model, *clip, NOISE, CONFIG, checkpoint=checkpoint, resume=True, on_stage=cancel)
        assert (checkpoint.read_bytes() if checkpoint.exists() else None) == there


def test_a_finished_clip_is_returned_without_any_network(model, clip, whole, checkpoint, monkeypatch):
    sample_latents(model, *clip, NOISE, CONFIG, checkpoint=checkpoint)
    for network in (model.unet, model.vae.encoder, model.vision_encoder):
        monkeypatch.setattr(network, "forward", refuse_to_compute)
    found = sample_latents(model, *clip, NOISE, CONFIG, checkpoint=checkpoint, resume=True)
    assert torch.equal(found, whole)


def test_the_state_is_written_while_the_clip_is_drawn(model, clip, checkpoint, monkeypatch):
    monkeypatch.setattr(sampling, "CHECKPOINT_SECONDS", -1.0)
    seen = []

    def look(progress):
        seen.append(torch.equal(load_file(checkpoint)["latents"], progress.latents))

    sample_latents(model, *clip, NOISE, CONFIG, checkpoint=checkpoint, on_step=look)
    assert seen == [True, True, True]
    assert [path.name for path in checkpoint.parent.iterdir()] == [checkpoint.name]


def test_without_a_time_to_wait_nothing_is_written_between(model, clip, checkpoint):
    seen = []
    sample_latents(
        model, *clip, NOISE, CONFIG, checkpoint=checkpoint,
        on_step=lambda progress: seen.append(checkpoint.exists()),
    )  # fmt: skip
    assert seen == [False, False, False]
    assert checkpoint.exists()


def test_without_being_asked_it_starts_from_the_beginning(model, clip, whole, checkpoint):
    checkpoint.write_bytes(b"of something else")
    assert torch.equal(sample_latents(model, *clip, NOISE, CONFIG, checkpoint=checkpoint), whole)
    assert torch.equal(load_file(checkpoint)["latents"], whole)


def test_where_it_goes_on_from_is_said(model, clip, checkpoint, caplog):
    caplog.set_level(logging.INFO, "stag4d")
    interrupt(model, clip, checkpoint, 2, resume=True)
    assert "nothing to go on from; the views are drawn from the beginning." in caplog.messages
    caplog.clear()
    sample_latents(model, *clip, NOISE, CONFIG, checkpoint=checkpoint, resume=True)
    assert caplog.messages == ["going on after diffusion step 2."]


def cut_short(path, latents):
    save_file({"latents": latents}, path, metadata={"step": "1"})
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    "damage",
    [
        cut_short,
        lambda path, latents: path.write_bytes(b""),
        lambda path, latents: path.write_bytes(b"not a checkpoint at all"),
        lambda path, latents: save_file({"latents": latents}, path),
        lambda path, latents: save_file({"latents": latents}, path, metadata={"step": "one"}),
        lambda path, latents: save_file({"means": latents}, path, metadata={"step": "1"}),
    ],
    ids=["cut short", "empty", "garbage", "no step", "step is a word", "no latents"],
)
def test_a_damaged_state_is_refused_with_its_path(model, clip, whole, checkpoint, damage):
    damage(checkpoint, whole)
    before = checkpoint.read_bytes()
    words = f"^{re.escape(str(checkpoint))}: damaged .*; delete it to start from the beginning"
    with pytest.raises(ValueError, match=words):
        sample_latents(model, *clip, NOISE, CONFIG, checkpoint=checkpoint, resume=True)
    assert checkpoint.read_bytes() == before


def key(model, clip, noise=NOISE, config=CONFIG):
    return sampling_key(model, *clip, noise, config)


def with_one_weight_changed(model, find):
    other = copy.deepcopy(model)
    find(other).view(-1)[3] += 0.1
    return other


def test_the_key_is_the_same_for_the_same_whatever_the_batch_size(model, published, clip):
    images, alphas = clip
    same = copy.deepcopy(model), (images.clone(), alphas.clone()), SeededNoise(4)
    for size in (None, 1, 2):
        config = SamplingConfig(num_steps=3, anchor=Anchor(1), batch_size=size)
        assert key(*same, config) == key(model, clip)


def test_the_key_changes_with_all_that_decides_the_latents(model, clip):
    images, alphas = clip
    half = copy.deepcopy(model).half()
    other_images, other_alphas = images.clone(), alphas.clone()
    other_images[2, 3, 4, 1] += 1e-3
    other_alphas[2, 3, 4] += 1e-3
    keys = [
        key(model, clip),
        key(model, (other_images, alphas)),
        key(model, (images, other_alphas)),
        key(model, (images[:2], alphas[:2])),
        key(model, (images.flip(0), alphas.flip(0))),
        *(
            key(model, clip, noise)
            for noise in (
                SeededNoise(5),
                SeededNoise(4, share_grid=False),
                SeededNoise(4, share_reference=True),
            )
        ),
        *(
            key(model, clip, config=replace(CONFIG, **change))
            for change in (
                {"num_steps": 4},
                {"guidance_scale": 4.5},
                {"anchor": None},
                {"anchor": Anchor(0)},
                {"anchor": Anchor(1, 0.4)},
                {"anchor": Anchor(1, 0.5, 0.1)},
            )
        ),
        key(with_one_weight_changed(model, lambda model: model.unet.conv_in.weight), clip),
        key(with_one_weight_changed(model, lambda model: model.unet.conv_out.weight), clip),
        key(with_one_weight_changed(model, lambda model: model.uncond_states), clip),
        key(half, clip),
    ]
    assert len(set(keys)) == len(keys)


def test_the_key_changes_with_the_ramp_and_the_noise_schedule(model, clip):
    other_ramp = with_one_weight_changed(model, lambda model: model.ramp)
    other_schedule = copy.deepcopy(model)
    other_schedule.scheduler = type(model.scheduler).from_config(model.scheduler.config, beta_end=0.02)
    keys = {key(each, clip) for each in (model, other_ramp, other_schedule)}
    assert len(keys) == 3
