"""The anchored denoiser against a naive one, frame by frame, and its invariants."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor2_0

from stag4d.diffusion import (
    COND,
    UNCOND,
    Anchor,
    ReadTokens,
    SamplingConfig,
    SeededNoise,
    denoise,
    denoised_estimate,
    euler_ancestral_step,
)

GRID = (6, 4)
STEPS = 3


def run(unet, scheduler, conditions, noise=None, **options):
    calls = {name: options.pop(name) for name in ("start", "on_step", "on_batch") if name in options}
    config = SamplingConfig(**{"num_steps": STEPS, "anchor": None} | options)
    return denoise(unet, scheduler, conditions, noise or SeededNoise(7), config, grid_size=GRID, **calls)


class NaiveProcessor:
    """The published scheme word by word: a mode, a dictionary, and the inputs of all frames and steps."""

    def __init__(self, name, state):
        self.name, self.state, self.attend = name, state, AttnProcessor2_0()

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, temb=None):
        if not self.name.endswith("attn1.processor"):
            return self.attend(attn, hidden_states, encoder_hidden_states)
        state = self.state
        context = hidden_states
        if state["mode"] == "write":
            state["reference"][self.name] = context
        else:
            frame, inputs, key = state["frame"], state["inputs"], (state["step"], self.name)
            inputs[(frame, *key)] = context
            if frame != state["anchor_frame"]:
                a, b = state["strength"], state["previous_strength"] if frame > 0 else 0.0
                context = (1 - a - b) * context + a * inputs[(state["anchor_frame"], *key)]
                if b > 0:
                    context = context + b * inputs[(frame - 1, *key)]
            context = torch.cat([context, state["reference"][self.name]], dim=1)
        return self.attend(attn, hidden_states, context)


@torch.no_grad()
def naive(unet, scheduler, conditions, noise, anchor, scale=4.0):
    """Denoise frame after frame, half after half, the anchor first; keep all inputs."""
    state = {
        "inputs": {},
        "anchor_frame": anchor.frame,
        "strength": anchor.strength,
        "previous_strength": anchor.previous_strength,
    }
    unet.set_attn_processor({name: NaiveProcessor(name, state) for name in unet.attn_processors})
    count = len(conditions)
    latents = {}
    for frame in sorted(range(count), key=lambda frame: frame != anchor.frame):
        scheduler.set_timesteps(STEPS)
        x = noise.initial(frame, (4, *GRID))[None] * scheduler.init_noise_sigma
        for step, timestep in enumerate(scheduler.timesteps):
            sigma, next_sigma = scheduler.sigmas[step : step + 2].tolist()
            outputs = []
            for half in (UNCOND, COND):
                states = conditions.uncond_states if half == UNCOND else conditions.cond_states[[frame]]
                state |= {"reference": {}, "step": (step, half), "frame": frame}
                clean = conditions.references[[frame], half]
                drawn = noise.reference(frame, step, half, tuple(clean.shape[1:]))[None]
                noisy = scheduler.add_noise(clean, drawn, timestep.reshape(-1))
                state["mode"] = "write"
                unet(noisy / (sigma**2 + 1) ** 0.5, timestep, states)
                state["mode"] = "read"
                outputs.append(unet(x / (sigma**2 + 1) ** 0.5, timestep, states).sample)
            guided = outputs[0] + scale * (outputs[1] - outputs[0])
            drawn = noise.ancestral(frame, step, (4, *GRID))[None]
            x = euler_ancestral_step(x, denoised_estimate(x, guided, sigma, "v_prediction"), drawn, sigma, next_sigma)
        latents[frame] = x[0]
    return torch.stack([latents[frame] for frame in range(count)])


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("anchor_frame", [0, 2])
@pytest.mark.parametrize("seed", [1, 2])
def test_it_equals_the_naive_frame_by_frame_scheme(
    plain_unet, unet, scheduler, make_conditions, strength, anchor_frame, seed
):
    conditions, noise, anchor = make_conditions(3, seed), SeededNoise(seed), Anchor(anchor_frame, strength)
    expected = naive(plain_unet, scheduler, conditions, noise, anchor)
    found = run(unet, scheduler, conditions, noise, anchor=anchor)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
@pytest.mark.parametrize("anchor", [Anchor(0, 0.3, 0.4), Anchor(2, 0.3, 0.4), Anchor(4, 0.0, 0.5)])
def test_the_previous_frame_may_be_a_second_anchor(
    plain_unet, unet, scheduler, make_conditions, anchor, batch_size
):
    conditions, noise = make_conditions(5), SeededNoise(3)
    expected = naive(plain_unet, scheduler, conditions, noise, anchor)
    found = run(unet, scheduler, conditions, noise, anchor=anchor, batch_size=batch_size)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 7.5])
def test_every_scale_of_guidance_is_that_of_the_naive_scheme(
    plain_unet, unet, scheduler, make_conditions, scale, batch_size
):
    conditions, noise, anchor = make_conditions(3), SeededNoise(5), Anchor(1, 0.4, 0.3)
    expected = naive(plain_unet, scheduler, conditions, noise, anchor, scale)
    found = run(
        unet, scheduler, conditions, noise, anchor=anchor, guidance_scale=scale, batch_size=batch_size
    )
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_without_guidance_the_blank_half_is_not_computed_and_nothing_else_changes(
    unet, scheduler, make_conditions, monkeypatch
):
    conditions, predict, sizes = make_conditions(2), type(unet).forward, []

    def count(self, sample, *rest, **options):
        sizes.append(len(sample))
        return predict(self, sample, *rest, **options)

    monkeypatch.setattr(type(unet), "forward", count)
    seen = []
    for scale in (1.0, 1 + 1e-9):
        run(unet, scheduler, conditions, guidance_scale=scale, num_steps=1, on_step=seen.append)
    assert sizes == [2, 2, 4, 4]  # reference and grid of two frames, of one half and of both
    torch.testing.assert_close(seen[0].clean, seen[1].clean, atol=1e-6, rtol=1e-6)


def test_at_scale_zero_the_frame_does_not_matter(unet, scheduler, make_conditions):
    first, second = make_conditions(1, seed=1), make_conditions(1, seed=2)
    second = replace(second, uncond_states=first.uncond_states)
    second.references[:, UNCOND] = first.references[:, UNCOND]
    views = [run(unet, scheduler, seen, guidance_scale=0.0) for seen in (first, second)]
    assert torch.equal(*views)
    views = [run(unet, scheduler, seen, guidance_scale=1.0) for seen in (first, second)]
    assert (views[0] - views[1]).abs().max() > 1e-2


@pytest.mark.parametrize(("dtype", "closeness"), [(torch.float16, 0.01), (torch.bfloat16, 0.08)])
def test_half_precision_is_close_to_single(unet, scheduler, make_conditions, dtype, closeness):
    conditions, anchor = make_conditions(3), Anchor(1, 0.4, 0.3)
    expected = run(unet, scheduler, conditions, anchor=anchor, batch_size=2)
    half = copy.deepcopy(unet).to(dtype)
    found = run(half, scheduler, conditions, anchor=anchor, batch_size=2)
    assert found.dtype == torch.float32
    error, size = (found - expected).square().mean().sqrt(), expected.square().mean().sqrt()
    assert 0 < error < closeness * size


@pytest.mark.parametrize("prediction_type", ["v_prediction", "epsilon"])
def test_the_step_is_that_of_diffusers_scheduler(scheduler, prediction_type):
    scheduler = type(scheduler).from_config(scheduler.config, prediction_type=prediction_type)
    scheduler.set_timesteps(STEPS)
    torch.manual_seed(3)
    latents, predicted = torch.randn(2, 1, 4, 6, 4)
    for step, timestep in enumerate(scheduler.timesteps):
        generator = torch.Generator().manual_seed(step)
        expected = scheduler.step(predicted, timestep, latents, generator=generator).prev_sample
        drawn = torch.randn(latents.shape, generator=torch.Generator().manual_seed(step))
        sigma, next_sigma = scheduler.sigmas[step : step + 2].tolist()
        clean = denoised_estimate(latents, predicted, sigma, prediction_type)
        found = euler_ancestral_step(latents, clean, drawn, sigma, next_sigma)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_another_kind_of_prediction_is_refused():
    zero = torch.zeros(1)
    with pytest.raises(ValueError, match="prediction_type is 'sample'; expected epsilon or v_prediction"):
        denoised_estimate(zero, zero, 1.0, "sample")


def test_the_batch_size_does_not_matter(unet, scheduler, make_conditions):
    conditions = make_conditions(5)
    one, two, all_five = (
        run(unet, scheduler, conditions, anchor=Anchor(1), batch_size=size) for size in (1, 2, 5)
    )
    torch.testing.assert_close(two, one, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(all_five, one, atol=1e-5, rtol=1e-5)


def test_strength_zero_is_every_frame_for_itself(unet, scheduler, make_conditions):
    conditions, noise = make_conditions(3), SeededNoise(7, share_grid=False)
    together = run(unet, scheduler, conditions, noise, anchor=Anchor(0, 0.0))
    alone = run(unet, scheduler, conditions, noise, anchor=None, batch_size=1)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_the_anchor_is_not_changed_by_the_others_but_they_by_it(unet, scheduler, make_conditions):
    conditions = make_conditions(3)
    first = type(conditions)(conditions.uncond_states, conditions.cond_states[:1], conditions.references[:1])
    alone = run(unet, scheduler, first)
    anchored = run(unet, scheduler, conditions, anchor=Anchor(0, 0.5))
    free = run(unet, scheduler, conditions, anchor=None)
    torch.testing.assert_close(anchored[:1], alone, atol=1e-5, rtol=1e-5)
    assert (anchored[1:] - free[1:]).abs().max() > 1e-2


def test_identical_frames_give_identical_views_when_every_draw_is_shared(unet, scheduler, make_conditions):
    one = make_conditions(1)
    same = replace(
        one, cond_states=one.cond_states.repeat(3, 1, 1), references=one.references.repeat(3, 1, 1, 1, 1)
    )
    shared = run(unet, scheduler, same, SeededNoise(7, share_reference=True), anchor=Anchor(0, 0.5))
    torch.testing.assert_close(shared[1:], shared[:1].expand(2, -1, -1, -1), atol=1e-5, rtol=1e-5)
    own = run(unet, scheduler, same, SeededNoise(7), anchor=Anchor(0, 0.5))
    assert (own[1] - own[0]).abs().max() > 1e-4


def test_steps_are_reported_and_a_cancel_gets_through(unet, scheduler, make_conditions):
    reported = []
    result = run(unet, scheduler, make_conditions(2), on_step=reported.append)
    assert [(progress.step, progress.num_steps) for progress in reported] == [(1, 3), (2, 3), (3, 3)]
    assert torch.equal(reported[-1].latents, result)
    torch.testing.assert_close(reported[-1].clean, result)  # no noise is left after the last step

    def cancel(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(unet, scheduler, make_conditions(2), on_step=cancel)


def test_an_interrupted_run_goes_on_to_the_same_result(unet, scheduler, make_conditions):
    conditions, states = make_conditions(3), []
    whole = run(
        unet,
        scheduler,
        conditions,
        anchor=Anchor(1),
        on_step=lambda progress: states.append(progress.latents.clone()),
    )
    resumed = run(unet, scheduler, conditions, anchor=Anchor(1), start=(2, states[1]))
    assert torch.equal(resumed, whole)
    assert torch.equal(run(unet, scheduler, conditions, start=(3, whole)), whole)
    with pytest.raises(ValueError, match=r"cannot go on from latents \[2, 4, 6, 4\] after 1 steps"):
        run(unet, scheduler, conditions, start=(1, whole[:2]))


@pytest.mark.parametrize("fits", [1, 3])
def test_out_of_memory_halves_the_batch_and_loses_nothing(
    unet, scheduler, make_conditions, monkeypatch, caplog, fits
):
    conditions, anchor = make_conditions(7), Anchor(2, 0.4, 0.3)
    expected = run(unet, scheduler, conditions, anchor=anchor)
    predict = type(unet).forward

    def small_memory(self, sample, *rest, **options):
        read = options["cross_attention_kwargs"]["exchange"]
        output = predict(self, sample, *rest, **options)  # fails late, when tokens have been exchanged
        if len(sample) > 2 * fits and isinstance(read, ReadTokens):
            raise torch.cuda.OutOfMemoryError("out of memory")
        return output

    monkeypatch.setattr(type(unet), "forward", small_memory)
    found = run(unet, scheduler, conditions, anchor=anchor, batch_size=7)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert "out of memory with 7 frames at once; going on with 3." in caplog.text


@pytest.mark.parametrize("asked", [60, 61, 103])
def test_the_last_step_leaves_no_noise_whatever_the_count(unet, scheduler, make_conditions, asked):
    """For some counts diffusers makes one timestep more, and stopping before it would leave noise."""
    seen = []
    result = run(unet, scheduler, make_conditions(1), num_steps=asked, on_step=seen.append)
    assert seen[-1].step == seen[-1].num_steps == len(scheduler.timesteps)
    torch.testing.assert_close(result, seen[-1].clean)


def test_numbers_that_are_not_finite_stop_the_run_before_they_are_reported(unet, scheduler, make_conditions):
    conditions, seen = make_conditions(2), []
    conditions.cond_states[1] = float("nan")
    with pytest.raises(RuntimeError, match=r"step 1 gave numbers that are not finite in torch\.float32"):
        run(unet, scheduler, conditions, on_step=seen.append)
    assert seen == []


def test_a_cancel_is_heard_between_the_batches_of_a_step(unet, scheduler, make_conditions):
    heard = []

    def on_batch():
        heard.append(None)
        if len(heard) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(unet, scheduler, make_conditions(5), batch_size=1, on_batch=on_batch)
    assert len(heard) == 2


def test_strengths_may_add_up_to_one():
    for strength in (0.1, 0.3, 0.6, 0.7, 0.8, 0.9):
        Anchor(0, strength, round(1 - strength, 2))


def test_numbers_out_of_range_are_refused(unet, scheduler, make_conditions):
    with pytest.raises(ValueError, match="anchor frame 3 of 3 frames; expected 0 to 2"):
        run(unet, scheduler, make_conditions(3), anchor=Anchor(3))
    for wrong, words in (
        ({"batch_size": 0}, "batches of 0 frames; expected at least 1"),
        ({"num_steps": 0}, "0 steps; expected 1 to 1000"),
        ({"guidance_scale": math.nan}, "guidance_scale is nan; expected 0 or more"),
        ({"guidance_scale": math.inf}, "guidance_scale is inf; expected 0 or more"),
        ({"guidance_scale": -0.5}, r"guidance_scale is -0\.5; expected 0 or more"),
    ):
        with pytest.raises(ValueError, match=words):
            SamplingConfig(**wrong)
    with pytest.raises(ValueError, match=r"strength is 1\.5; expected 0 to 1"):
        Anchor(0, 1.5)
    with pytest.raises(ValueError, match=r"previous_strength is 0\.6 beside a strength of 0\.5"):
        Anchor(0, 0.5, 0.6)


def test_a_draw_depends_on_its_purpose_alone():
    noise = SeededNoise(1, share_grid=False)
    draws = [
        noise.initial(0, (2,)),
        noise.initial(1, (2,)),
        noise.ancestral(0, 0, (2,)),
        noise.ancestral(0, 1, (2,)),
        noise.reference(0, 0, UNCOND, (2,)),
        noise.reference(0, 0, COND, (2,)),
        noise.posterior(0, COND, (2,)),
        SeededNoise(2).initial(0, (2,)),
    ]
    assert len({tuple(draw.tolist()) for draw in draws}) == len(draws)
    assert torch.equal(noise.initial(1, (2,)), draws[1])
    shared = SeededNoise(1, share_reference=True)
    assert torch.equal(shared.initial(3, (2,)), shared.initial(0, (2,)))
    assert torch.equal(shared.reference(3, 1, COND, (2,)), shared.reference(0, 1, COND, (2,)))
