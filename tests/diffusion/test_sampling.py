"""Sampling of a video's latents: encoding, then denoising; checkpoints, resuming and resume keys."""

import copy
import hashlib
import itertools
import logging
import re
from dataclasses import replace

import pytest
import torch
from full_disk import small_disk
from recording import Recorder
from safetensors.torch import load_file, save_file

from stag4d import resume
from stag4d.diffusion import (
    Anchor,
    LatentPreview,
    SamplingConfig,
    SeededNoise,
    denoise,
    sample_latents,
    sampling_key,
)
from stag4d.progress import Interrupted
from stag4d.resume import Checkpoint

CONFIG = SamplingConfig(num_steps=3, anchor=Anchor(1))
NOISE = SeededNoise(4)


@pytest.fixture(scope="module")
def states(model, video):
    """The states after each step of an uninterrupted call."""
    conditioning = model.encode_conditioning(*video, NOISE)
    return list(denoise(model.unet, model.scheduler, conditioning, NOISE, CONFIG, grid_size=model.grid_size))


@pytest.fixture(scope="module")
def latents(states):
    """The latents of an uninterrupted call."""
    return states[-1].latents


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.safetensors"


def interrupt(model, video, checkpoint, recorder, config=CONFIG):
    """Sample until the recorder cancels."""
    with pytest.raises(Interrupted):
        sample_latents(model, *video, NOISE, config, checkpoint=checkpoint, monitor=recorder)


def cancel_in_step(step):
    """Return a recorder that cancels after a step, whose frames fit into one batch."""
    return Recorder(("denoise", 3 * step))


def refuse_to_compute(*args, **kwargs):
    raise AssertionError("a network was called")


def test_sampling_encodes_the_frames_and_denoises(model, video, latents):
    found = sample_latents(model, *video, NOISE, CONFIG)
    assert found.shape == (3, 4, 24, 16)
    assert torch.equal(found, latents)


def test_monitor_is_called_after_every_encoded_frame_and_every_step(model, video):
    recorder = Recorder()
    sample_latents(model, *video, NOISE, CONFIG, monitor=recorder)
    encoded = [("encode", 1, 3), ("encode", 2, 3), ("encode", 3, 3)]
    assert recorder.units == [*encoded, ("denoise", 3, 9), ("denoise", 6, 9), ("denoise", 9, 9)]


def test_monitor_is_called_before_every_pass_through_a_network(model, video, monkeypatch):
    """So that a bar is there before the first pass, and cancel takes no longer than one."""
    passes, events = [], []

    def count(network, name):
        forward = getattr(network, name)

        def counted(*args, **kwargs):
            events.append("pass")
            passes.append(name)
            return forward(*args, **kwargs)

        monkeypatch.setattr(network, name, counted)

    count(model.unet, "forward"), count(model.vae, "encode"), count(model.vision_encoder, "forward")
    sample_latents(
        model, *video, NOISE, CONFIG, monitor=lambda stage, done, total, **_: events.append((stage, done))
    )
    assert len(passes) == 3 + 1 + 3 + 2 * 3  # images, the blank one, frames; two per step
    assert ("pass", "pass") not in set(itertools.pairwise(events))
    assert events[0] == ("encode", 0)
    assert ("denoise", 0) in events


def test_monitor_is_called_once_per_batch(model, video):
    recorder = Recorder()
    sample_latents(model, *video, NOISE, replace(CONFIG, batch_size=1), monitor=recorder)
    assert recorder.units_of("denoise") == list(range(1, 10))


def test_every_step_has_a_preview_of_another_frames_denoised_estimate(model, video, states):
    recorder, preview = Recorder(wants_previews=True), LatentPreview(model)
    sample_latents(model, *video, NOISE, CONFIG, monitor=recorder)
    expected = [preview(state.denoised[frame]) for state, frame in zip(states, (1, 2, 0), strict=True)]
    assert [image.shape for image in recorder.previews] == [(24, 16, 3)] * 3
    assert all(map(torch.equal, recorder.previews, expected))


def test_previews_are_not_computed_unless_they_are_shown(model, video, monkeypatch):
    monkeypatch.setattr(LatentPreview, "__call__", refuse_to_compute)
    sample_latents(model, *video, NOISE, CONFIG, monitor=Recorder())


@pytest.mark.parametrize("step", [1, 2, 3])
def test_resumed_sampling_equals_uninterrupted_sampling(model, video, latents, path, step):
    interrupt(model, video, Checkpoint(path), cancel_in_step(step))
    recorder = Recorder()
    found = sample_latents(model, *video, NOISE, CONFIG, checkpoint=Checkpoint(path), monitor=recorder)
    # The first call is that of the start: from there on units are counted. Nothing is left after step 3.
    assert recorder.units_of("denoise") == ([] if step == 3 else [3 * done for done in range(step, 4)])
    assert torch.equal(found, latents)


def test_sampling_can_be_interrupted_twice(model, video, latents, path):
    interrupt(model, video, Checkpoint(path), cancel_in_step(1))
    interrupt(model, video, Checkpoint(path), cancel_in_step(2))  # the first step of this call
    found = sample_latents(model, *video, NOISE, CONFIG, checkpoint=Checkpoint(path))
    assert torch.equal(found, latents)


def test_interrupt_within_a_step_resumes_from_the_step_before(model, video, latents, path):
    config, recorder = replace(CONFIG, batch_size=1), Recorder(("denoise", 5))
    interrupt(model, video, Checkpoint(path), recorder, config)
    assert recorder.units_of("denoise") == [1, 2, 3, 4, 5]  # the second frame of the second step
    recorder = Recorder()
    found = sample_latents(model, *video, NOISE, config, checkpoint=Checkpoint(path), monitor=recorder)
    assert recorder.units_of("denoise") == [3, 4, 5, 6, 7, 8, 9]
    torch.testing.assert_close(found, latents, atol=1e-5, rtol=1e-5)


def test_error_within_a_step_keeps_the_step_before(model, video, latents, path, monkeypatch):
    config, calls, forward = replace(CONFIG, batch_size=1), [], model.unet.forward

    def fail_late(*args, **kwargs):
        calls.append(None)
        if len(calls) == 11:  # two calls per frame, six per step: the third frame of the second step
            raise RuntimeError("the driver has crashed")
        return forward(*args, **kwargs)

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="driver"):
        patch.setattr(model.unet, "forward", fail_late)
        sample_latents(model, *video, NOISE, config, checkpoint=Checkpoint(path))
    found = sample_latents(model, *video, NOISE, config, checkpoint=Checkpoint(path))
    torch.testing.assert_close(found, latents, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("num_steps_before", [0, 2])
def test_interrupt_before_the_first_step_leaves_the_checkpoint_as_it_was(
    model, video, path, num_steps_before
):
    if num_steps_before:
        interrupt(model, video, Checkpoint(path), cancel_in_step(num_steps_before))
    before = path.read_bytes() if path.exists() else None
    interrupt(model, video, Checkpoint(path), Recorder(1, stage="encode"))
    assert (path.read_bytes() if path.exists() else None) == before


def test_finished_sampling_is_loaded_without_calling_a_network(model, video, latents, path, monkeypatch):
    sample_latents(model, *video, NOISE, CONFIG, checkpoint=Checkpoint(path))
    for network in (model.unet, model.vae.encoder, model.vision_encoder):
        monkeypatch.setattr(network, "forward", refuse_to_compute)
    recorder = Recorder()
    found = sample_latents(model, *video, NOISE, CONFIG, checkpoint=Checkpoint(path), monitor=recorder)
    assert torch.equal(found, latents)
    assert recorder.calls == []


def test_checkpoint_is_saved_while_sampling_when_it_is_due(model, video, states, path, monkeypatch):
    monkeypatch.setattr(resume, "SAVE_SECONDS", -1.0)
    saved = []

    def look(stage, done, total, **options):
        if stage == "denoise" and "preview" in options:  # at the end of a step
            saved.append(load_file(path)["latents"])

    sample_latents(model, *video, NOISE, CONFIG, checkpoint=Checkpoint(path), monitor=look)
    assert all(map(torch.equal, saved, [state.latents for state in states]))
    assert len(saved) == 3
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_checkpoint_is_saved_at_the_end_only_where_none_is_due(model, video, path):
    exists = []

    def look(stage, done, total, **options):
        exists.append(path.exists())

    sample_latents(model, *video, NOISE, CONFIG, checkpoint=Checkpoint(path), monitor=look)
    assert exists
    assert not any(exists)
    assert path.exists()


def test_checkpoint_that_is_not_to_be_resumed_is_overwritten(model, video, latents, path):
    path.write_bytes(b"of something else")
    checkpoint = Checkpoint(path, resume=False)
    assert torch.equal(sample_latents(model, *video, NOISE, CONFIG, checkpoint=checkpoint), latents)
    assert torch.equal(load_file(path)["latents"], latents)


def test_resumed_step_is_logged(model, video, path, caplog):
    caplog.set_level(logging.INFO, "stag4d")
    interrupt(model, video, Checkpoint(path), cancel_in_step(2))
    assert caplog.messages == []
    sample_latents(model, *video, NOISE, CONFIG, checkpoint=Checkpoint(path))
    assert caplog.messages == ["resuming after diffusion step 2 of 3."]


def test_sampling_continues_without_a_checkpoint_where_it_cannot_be_written(
    model, video, latents, path, caplog
):
    with small_disk(1000):
        found = sample_latents(model, *video, NOISE, CONFIG, checkpoint=Checkpoint(path))
    assert torch.equal(found, latents)
    assert list(path.parent.iterdir()) == []
    (message,) = caplog.messages
    assert re.match(
        rf"{re.escape(str(path))}: cannot be written .* continues without a checkpoint\.", message
    )


def cut_short(path, latents):
    save_file({"latents": latents}, path, metadata={"step": "1"})
    path.write_bytes(path.read_bytes()[:-100])


def save_state(step, change=lambda latents: latents):
    def save(path, latents):
        save_file({"latents": change(latents).contiguous()}, path, metadata={"step": str(step)})

    return save


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (cut_short, r"damaged \(.*\)"),
        (lambda path, latents: path.write_bytes(b""), r"damaged \(.*\)"),
        (lambda path, latents: path.write_bytes(b"not a checkpoint at all"), r"damaged \(.*\)"),
        (lambda path, latents: save_file({"latents": latents}, path), r"damaged \('step'\)"),
        (save_state("one"), r"damaged \(.*'one'\)"),
        (
            lambda path, latents: save_file({"means": latents}, path, metadata={"step": "1"}),
            r"damaged \('latents'\)",
        ),
        (save_state(1, lambda latents: latents / 0), "latents that are not finite"),
        (
            save_state(1, lambda latents: latents[:2]),
            r"latents \[2, 4, 24, 16\] after 1 steps; expected \[3, 4, 24, 16\] after at most 3",
        ),
        (save_state(4), r"latents \[3, 4, 24, 16\] after 4 steps; .* after at most 3"),
    ],
    ids=[
        "cut short",
        "empty",
        "garbage",
        "no step",
        "step is a word",
        "no latents",
        "not finite",
        "other frames",
        "other steps",
    ],
)
def test_damaged_checkpoint_is_refused_with_its_path(model, video, latents, path, damage, words):
    damage(path, latents)
    before = path.read_bytes()
    message = f"^checkpoint {re.escape(str(path))}: {words}; delete it to start from the beginning"
    with pytest.raises(ValueError, match=message):
        sample_latents(model, *video, NOISE, CONFIG, checkpoint=Checkpoint(path))
    assert path.read_bytes() == before


def key(model, video, noise=NOISE, config=CONFIG):
    return sampling_key(model, *video, noise, config)


def with_one_weight_changed(model, find):
    other = copy.deepcopy(model)
    find(other).view(-1)[3] += 0.1
    return other


def test_key_is_the_same_for_the_same_inputs_and_any_batch_size(model, video):
    images, alphas = video
    same = copy.deepcopy(model), (images.clone(), alphas.clone()), SeededNoise(4)
    for size in (None, 1, 2):
        config = SamplingConfig(num_steps=3, anchor=Anchor(1), batch_size=size)
        assert key(*same, config) == key(model, video)


def test_key_equals_that_of_version_0_1_0(model, video):
    """View folders of that version hold it; with another key their views would be generated again."""
    settings = [
        ("anchor", {"frame": 1, "strength": 0.5, "previous_strength": 0.0}),
        ("batch_size", None),
        ("guidance_scale", 4.0),
        ("num_steps", 3),
        ("seed", 4),
        ("share_grid", True),
        ("share_reference", False),
    ]
    digest = hashlib.sha256(f"{model.fingerprint()} {settings}".encode())
    for tensor in video:
        digest.update(repr(tuple(tensor.shape)).encode() + tensor.numpy().tobytes())
    assert key(model, video) == digest.hexdigest()


def test_key_does_not_depend_on_the_number_of_threads(model, video):
    before, keys = torch.get_num_threads(), set()
    try:
        for num_threads in (1, 2, 3):
            torch.set_num_threads(num_threads)
            keys.add(key(model, video))
    finally:
        torch.set_num_threads(before)
    assert len(keys) == 1


def test_key_changes_with_every_input_that_the_latents_depend_on(model, video):
    images, alphas = video
    half = copy.deepcopy(model).half()
    other_images, other_alphas = images.clone(), alphas.clone()
    other_images[2, 3, 4, 1] += 1e-3
    other_alphas[2, 3, 4] += 1e-3
    keys = [
        key(model, video),
        key(model, (other_images, alphas)),
        key(model, (images, other_alphas)),
        key(model, (images[:2], alphas[:2])),
        key(model, (images.flip(0), alphas.flip(0))),
        *(
            key(model, video, noise)
            for noise in (
                SeededNoise(5),
                SeededNoise(4, share_grid=False),
                SeededNoise(4, share_reference=True),
            )
        ),
        *(
            key(model, video, config=replace(CONFIG, **change))
            for change in (
                {"num_steps": 4},
                {"guidance_scale": 4.5},
                {"anchor": None},
                {"anchor": Anchor(0)},
                {"anchor": Anchor(1, 0.4)},
                {"anchor": Anchor(1, 0.5, 0.1)},
            )
        ),
        key(with_one_weight_changed(model, lambda model: model.unet.conv_in.weight), video),
        key(with_one_weight_changed(model, lambda model: model.unet.conv_out.weight), video),
        key(with_one_weight_changed(model, lambda model: model.uncond_embeddings), video),
        key(half, video),
    ]
    assert len(set(keys)) == len(keys)


def test_key_changes_with_the_ramp_and_the_noise_schedule(model, video):
    other_ramp = with_one_weight_changed(model, lambda model: model.ramp)
    other_schedule = copy.deepcopy(model)
    other_schedule.scheduler = type(model.scheduler).from_config(model.scheduler.config, beta_end=0.02)
    keys = {key(each, video) for each in (model, other_ramp, other_schedule)}
    assert len(keys) == 3
