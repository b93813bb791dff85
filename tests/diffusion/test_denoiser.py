"""The anchored denoiser against a naive frame-by-frame one, and its invariants."""

import copy
import math
import weakref
from dataclasses import replace
from itertools import chain

import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor2_0
from recording import Recorder

from stag4d.diffusion import (
    COND,
    UNCOND,
    Anchor,
    ReadTokens,
    SamplingConfig,
    SeededNoise,
    WriteTokens,
    denoise,
    denoised_estimate,
    euler_ancestral_step,
)
from stag4d.progress import Interrupted, silent

GRID = (6, 4)
STEPS = 3


def steps_of(unet, scheduler, conditioning, noise=None, *, start=None, monitor=silent, **options):
    """Return an iterator over the states after each step, without an anchor unless one is given."""
    config = SamplingConfig(**{"num_steps": STEPS, "anchor": None} | options)
    return denoise(
        unet,
        scheduler,
        conditioning,
        noise or SeededNoise(7),
        config,
        grid_size=GRID,
        start=start,
        monitor=monitor,
    )


def run(*args, **options):
    """Return the latents after the last step."""
    *_, last = steps_of(*args, **options)
    return last.latents


def any_alive(references):
    return any(reference() is not None for reference in references)


class NaiveProcessor:
    """The published scheme literally: a mode, a dictionary, and the inputs of all frames and steps."""

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
def naive(unet, scheduler, conditioning, noise, anchor, scale=4.0):
    """Denoise frame after frame, branch after branch, the anchor frame first; keep all inputs."""
    state = {
        "inputs": {},
        "anchor_frame": anchor.frame,
        "strength": anchor.strength,
        "previous_strength": anchor.previous_strength,
    }
    unet.set_attn_processor({name: NaiveProcessor(name, state) for name in unet.attn_processors})
    num_frames = len(conditioning)
    latents = {}
    for frame in sorted(range(num_frames), key=lambda frame: frame != anchor.frame):
        scheduler.set_timesteps(STEPS)
        x = noise.initial(frame, (4, *GRID))[None] * scheduler.init_noise_sigma
        for step, timestep in enumerate(scheduler.timesteps):
            sigma, next_sigma = scheduler.sigmas[step : step + 2].tolist()
            outputs = []
            for branch in (UNCOND, COND):
                states = conditioning.uncond_embeddings
                if branch == COND:
                    states = conditioning.cond_embeddings[[frame]]
                state |= {"reference": {}, "step": (step, branch), "frame": frame}
                clean = conditioning.references[[frame], branch]
                fresh = noise.reference(frame, step, branch, tuple(clean.shape[1:]))[None]
                noisy = scheduler.add_noise(clean, fresh, timestep.reshape(-1))
                state["mode"] = "write"
                unet(noisy / (sigma**2 + 1) ** 0.5, timestep, states)
                state["mode"] = "read"
                outputs.append(unet(x / (sigma**2 + 1) ** 0.5, timestep, states).sample)
            guided = outputs[0] + scale * (outputs[1] - outputs[0])
            estimate = denoised_estimate(x, guided, sigma, "v_prediction")
            fresh = noise.ancestral(frame, step, (4, *GRID))[None]
            x = euler_ancestral_step(x, estimate, fresh, sigma, next_sigma)
        latents[frame] = x[0]
    return torch.stack([latents[frame] for frame in range(num_frames)])


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("anchor_frame", [0, 2])
@pytest.mark.parametrize("seed", [1, 2])
def test_lockstep_denoising_equals_naive_frame_by_frame_denoising(
    plain_unet, unet, scheduler, make_conditioning, strength, anchor_frame, seed
):
    conditioning, noise, anchor = (
        make_conditioning(3, seed),
        SeededNoise(seed),
        Anchor(anchor_frame, strength),
    )
    expected = naive(plain_unet, scheduler, conditioning, noise, anchor)
    found = run(unet, scheduler, conditioning, noise, anchor=anchor)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
@pytest.mark.parametrize("anchor", [Anchor(0, 0.3, 0.4), Anchor(2, 0.3, 0.4), Anchor(4, 0.0, 0.5)])
def test_previous_frame_as_second_anchor_equals_naive_denoising(
    plain_unet, unet, scheduler, make_conditioning, anchor, batch_size
):
    conditioning, noise = make_conditioning(5), SeededNoise(3)
    expected = naive(plain_unet, scheduler, conditioning, noise, anchor)
    found = run(unet, scheduler, conditioning, noise, anchor=anchor, batch_size=batch_size)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 7.5])
def test_every_guidance_scale_equals_naive_denoising(
    plain_unet, unet, scheduler, make_conditioning, scale, batch_size
):
    conditioning, noise, anchor = make_conditioning(3), SeededNoise(5), Anchor(1, 0.4, 0.3)
    expected = naive(plain_unet, scheduler, conditioning, noise, anchor, scale)
    found = run(
        unet, scheduler, conditioning, noise, anchor=anchor, guidance_scale=scale, batch_size=batch_size
    )
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_unconditional_branch_is_not_computed_at_guidance_scale_one(
    unet, scheduler, make_conditioning, monkeypatch
):
    conditioning, forward, sizes = make_conditioning(2), type(unet).forward, []

    def count(self, sample, *rest, **options):
        sizes.append(len(sample))
        return forward(self, sample, *rest, **options)

    monkeypatch.setattr(type(unet), "forward", count)
    once, nearly = (
        next(steps_of(unet, scheduler, conditioning, guidance_scale=scale)) for scale in (1.0, 1 + 1e-9)
    )
    assert sizes == [2, 2, 4, 4]  # reference and anchored pass of two frames, with one branch and with two
    torch.testing.assert_close(once.denoised, nearly.denoised, atol=1e-6, rtol=1e-6)


def test_input_frame_has_no_influence_at_guidance_scale_zero(unet, scheduler, make_conditioning):
    first, second = make_conditioning(1, seed=1), make_conditioning(1, seed=2)
    second = replace(second, uncond_embeddings=first.uncond_embeddings)
    second.references[:, UNCOND] = first.references[:, UNCOND]
    latents = [run(unet, scheduler, each, guidance_scale=0.0) for each in (first, second)]
    assert torch.equal(*latents)
    latents = [run(unet, scheduler, each, guidance_scale=1.0) for each in (first, second)]
    assert (latents[0] - latents[1]).abs().max() > 1e-2


@pytest.mark.parametrize(("dtype", "closeness"), [(torch.float16, 0.01), (torch.bfloat16, 0.08)])
def test_half_precision_is_close_to_single(unet, scheduler, make_conditioning, dtype, closeness):
    conditioning, anchor = make_conditioning(3), Anchor(1, 0.4, 0.3)
    expected = run(unet, scheduler, conditioning, anchor=anchor, batch_size=2)
    half = copy.deepcopy(unet).to(dtype)
    found = run(half, scheduler, conditioning, anchor=anchor, batch_size=2)
    assert found.dtype == torch.float32
    error, size = (found - expected).square().mean().sqrt(), expected.square().mean().sqrt()
    assert 0 < error < closeness * size


@pytest.mark.parametrize("prediction_type", ["v_prediction", "epsilon"])
def test_euler_ancestral_step_equals_diffusers_scheduler(scheduler, prediction_type):
    scheduler = type(scheduler).from_config(scheduler.config, prediction_type=prediction_type)
    scheduler.set_timesteps(STEPS)
    torch.manual_seed(3)
    latents, output = torch.randn(2, 1, 4, 6, 4)
    for step, timestep in enumerate(scheduler.timesteps):
        generator = torch.Generator().manual_seed(step)
        expected = scheduler.step(output, timestep, latents, generator=generator).prev_sample
        fresh = torch.randn(latents.shape, generator=torch.Generator().manual_seed(step))
        sigma, next_sigma = scheduler.sigmas[step : step + 2].tolist()
        estimate = denoised_estimate(latents, output, sigma, prediction_type)
        found = euler_ancestral_step(latents, estimate, fresh, sigma, next_sigma)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_unknown_prediction_type_is_refused():
    zero = torch.zeros(1)
    with pytest.raises(ValueError, match="prediction_type is 'sample'; expected epsilon or v_prediction"):
        denoised_estimate(zero, zero, 1.0, "sample")


def test_result_does_not_depend_on_the_batch_size(unet, scheduler, make_conditioning):
    conditioning = make_conditioning(5)
    one, two, all_five = (
        run(unet, scheduler, conditioning, anchor=Anchor(1), batch_size=size) for size in (1, 2, 5)
    )
    torch.testing.assert_close(two, one, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(all_five, one, atol=1e-5, rtol=1e-5)


def test_anchor_strength_zero_equals_independent_frames(unet, scheduler, make_conditioning):
    conditioning, noise = make_conditioning(3), SeededNoise(7, share_grid=False)
    together = run(unet, scheduler, conditioning, noise, anchor=Anchor(0, 0.0))
    alone = run(unet, scheduler, conditioning, noise, anchor=None, batch_size=1)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_anchor_frame_influences_the_other_frames_and_not_vice_versa(unet, scheduler, make_conditioning):
    conditioning = make_conditioning(3)
    first = replace(
        conditioning, cond_embeddings=conditioning.cond_embeddings[:1], references=conditioning.references[:1]
    )
    alone = run(unet, scheduler, first)
    anchored = run(unet, scheduler, conditioning, anchor=Anchor(0, 0.5))
    independent = run(unet, scheduler, conditioning, anchor=None)
    torch.testing.assert_close(anchored[:1], alone, atol=1e-5, rtol=1e-5)
    assert (anchored[1:] - independent[1:]).abs().max() > 1e-2


def test_identical_frames_with_shared_noise_give_identical_latents(unet, scheduler, make_conditioning):
    one = make_conditioning(1)
    same = replace(
        one,
        cond_embeddings=one.cond_embeddings.repeat(3, 1, 1),
        references=one.references.repeat(3, 1, 1, 1, 1),
    )
    shared = run(unet, scheduler, same, SeededNoise(7, share_reference=True), anchor=Anchor(0, 0.5))
    torch.testing.assert_close(shared[1:], shared[:1].expand(2, -1, -1, -1), atol=1e-5, rtol=1e-5)
    own = run(unet, scheduler, same, SeededNoise(7), anchor=Anchor(0, 0.5))
    assert (own[1] - own[0]).abs().max() > 1e-4


def test_every_step_yields_its_state(unet, scheduler, make_conditioning):
    states = list(steps_of(unet, scheduler, make_conditioning(2)))
    assert [(state.step, state.num_steps) for state in states] == [(1, 3), (2, 3), (3, 3)]
    torch.testing.assert_close(states[-1].denoised, states[-1].latents)  # the last noise level is 0
    assert not states[-1].latents.requires_grad


def test_yielded_states_are_not_changed_by_later_steps(unet, scheduler, make_conditioning):
    kept, copies = [], []
    for state in steps_of(unet, scheduler, make_conditioning(2)):
        kept.append(state)
        copies.append((state.latents.clone(), state.denoised.clone()))
    for state, (latents, denoised) in zip(kept, copies, strict=True):
        assert torch.equal(state.latents, latents)
        assert torch.equal(state.denoised, denoised)


def test_gradients_stay_enabled_for_the_code_between_steps(unet, scheduler, make_conditioning):
    for _ in steps_of(unet, scheduler, make_conditioning(1)):
        assert torch.is_grad_enabled()


@pytest.mark.parametrize("step", [1, 2])
def test_resumed_denoising_equals_uninterrupted_denoising(unet, scheduler, make_conditioning, step):
    conditioning, anchor = make_conditioning(3), Anchor(1)
    states = list(steps_of(unet, scheduler, conditioning, anchor=anchor))
    start = step, states[step - 1].latents
    resumed = list(steps_of(unet, scheduler, conditioning, anchor=anchor, start=start))
    assert [state.step for state in resumed] == list(range(step + 1, STEPS + 1))
    assert torch.equal(resumed[-1].latents, states[-1].latents)
    assert torch.equal(resumed[-1].denoised, states[-1].denoised)


def test_nothing_is_left_to_do_after_the_last_step(unet, scheduler, make_conditioning):
    conditioning = make_conditioning(3)
    latents = run(unet, scheduler, conditioning)
    assert list(steps_of(unet, scheduler, conditioning, start=(STEPS, latents))) == []


@pytest.mark.parametrize(("step", "num_frames"), [(1, 2), (4, 3), (-1, 3)])
def test_start_of_another_shape_or_step_is_refused(unet, scheduler, make_conditioning, step, num_frames):
    start = step, torch.zeros(num_frames, 4, *GRID)
    words = (
        rf"cannot resume from latents \[{num_frames}, 4, 6, 4\] after {step} steps; expected \[3, 4, 6, 4\]"
    )
    with pytest.raises(ValueError, match=words):
        run(unet, scheduler, make_conditioning(3), start=start)


@pytest.mark.parametrize("fits", [1, 3])
def test_out_of_memory_halves_the_batch_and_keeps_the_result(
    unet, scheduler, make_conditioning, monkeypatch, caplog, fits
):
    conditioning, anchor = make_conditioning(7), Anchor(2, 0.4, 0.3)
    expected = run(unet, scheduler, conditioning, anchor=anchor)
    forward = type(unet).forward

    def small_memory(self, sample, *rest, **options):
        exchange = options["cross_attention_kwargs"]["exchange"]
        output = forward(self, sample, *rest, **options)  # fails late, after tokens have been exchanged
        if len(sample) > 2 * fits and isinstance(exchange, ReadTokens):
            raise torch.cuda.OutOfMemoryError("out of memory")
        return output

    monkeypatch.setattr(type(unet), "forward", small_memory)
    found = run(unet, scheduler, conditioning, anchor=anchor, batch_size=7)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert "out of memory with 7 frames per call; trying 3." in caplog.text


@pytest.mark.parametrize("num_failures", [0, 1])
def test_stored_tokens_are_freed_as_soon_as_they_are_not_needed(
    unet, scheduler, make_conditioning, monkeypatch, num_failures
):
    """Reference tokens end with their batch, also one out of memory; others with the next batch or step."""
    forward, failures = type(unet).forward, []
    reference, last = [], [[]]  # weak references: to reference tokens, to each batch's last tokens
    anchors = {}  # and to the anchor frame's, by timestep
    is_within_batch, checked = [False], []

    def watch(self, sample, timestep, *rest, **options):
        exchange = options["cross_attention_kwargs"]["exchange"]
        is_within_batch[0] = isinstance(exchange, WriteTokens)
        if isinstance(exchange, WriteTokens):
            assert not any_alive(reference)
            assert not any_alive(chain(*last[:-1]))
            assert not any_alive(chain(*(anchors[other] for other in anchors if other != timestep)))
        elif len(failures) < num_failures:
            failures.append(len(sample))
            raise torch.cuda.OutOfMemoryError("out of memory")  # with all reference tokens stored
        output = forward(self, sample, timestep, *rest, **options)
        if isinstance(exchange, WriteTokens):
            reference.extend(map(weakref.ref, exchange.tokens.values()))
        else:
            last.append([weakref.ref(tokens) for tokens in exchange.last_tokens.values()])
            anchors[timestep] = [weakref.ref(tokens) for tokens in exchange.anchor_tokens.values()]
            for tokens in (*exchange.last_tokens.values(), *exchange.anchor_tokens.values()):
                assert tokens.shape[1] == 1  # frame
                assert tokens.untyped_storage().nbytes() == tokens.nbytes  # not a slice of a larger tensor
        return output

    def check(stage, done, total, **options):
        if not is_within_batch[0]:
            assert not any_alive(reference)
            checked.append(done)

    monkeypatch.setattr(type(unet), "forward", watch)
    run(unet, scheduler, make_conditioning(5), anchor=Anchor(1, 0.4, 0.3), batch_size=2, monitor=check)
    assert len(checked) > STEPS
    assert len(failures) == num_failures
    num_batches = STEPS * (3 if num_failures == 0 else 5)
    assert len(last) == 1 + num_batches
    assert len(reference) == (num_batches + num_failures) * len(last[1])


@pytest.mark.parametrize("num_steps", [60, 61, 103])
def test_last_step_ends_at_noise_level_zero_for_any_number_of_steps(
    unet, scheduler, make_conditioning, num_steps
):
    """For some numbers diffusers makes one timestep more; stopping before it would leave noise."""
    *_, last = steps_of(unet, scheduler, make_conditioning(1), num_steps=num_steps)
    assert last.step == last.num_steps == len(scheduler.timesteps)
    torch.testing.assert_close(last.latents, last.denoised)


def test_model_output_that_is_not_finite_raises_before_the_step_is_yielded(
    unet, scheduler, make_conditioning
):
    conditioning, states = make_conditioning(2), []
    conditioning.cond_embeddings[1] = float("nan")
    with pytest.raises(RuntimeError, match=r"step 1 gave values that are not finite in torch\.float32"):
        states.extend(steps_of(unet, scheduler, conditioning))
    assert states == []


def test_monitor_is_called_between_the_batches_of_a_step(unet, scheduler, make_conditioning):
    recorder = Recorder()
    run(unet, scheduler, make_conditioning(5), batch_size=2, num_steps=2, monitor=recorder)
    # 0 at the start; every number again between the passes through the UNet; the caller reports the last.
    assert recorder.calls == [("denoise", done, 10) for done in (0, 0, 2, 2, 4, 4, 5, 7, 7, 9, 9)]


def test_interrupt_between_the_batches_of_a_step_stops_the_denoiser(unet, scheduler, make_conditioning):
    recorder, steps = Recorder(("denoise", 7)), []
    with pytest.raises(Interrupted):
        for state in steps_of(unet, scheduler, make_conditioning(5), batch_size=1, monitor=recorder):
            steps.append(state.step)
    assert recorder.units_of("denoise") == [
        1,
        2,
        3,
        4,
        5,
        6,
        7,
    ]  # the second frame of the second step is the last
    assert steps == [1]


def test_strengths_may_add_up_to_one():
    for strength in (0.1, 0.3, 0.6, 0.7, 0.8, 0.9):
        Anchor(0, strength, round(1 - strength, 2))


def test_settings_out_of_range_are_refused(unet, scheduler, make_conditioning):
    with pytest.raises(ValueError, match="anchor frame 3 of 3 frames; expected 0 to 2"):
        run(unet, scheduler, make_conditioning(3), anchor=Anchor(3))
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
    with pytest.raises(ValueError, match=r"previous_strength is 0\.6 with a strength of 0\.5"):
        Anchor(0, 0.5, 0.6)


def test_noise_depends_on_seed_and_purpose_alone():
    noise = SeededNoise(1, share_grid=False)
    samples = [
        noise.initial(0, (2,)),
        noise.initial(1, (2,)),
        noise.ancestral(0, 0, (2,)),
        noise.ancestral(0, 1, (2,)),
        noise.reference(0, 0, UNCOND, (2,)),
        noise.reference(0, 0, COND, (2,)),
        noise.posterior(0, COND, (2,)),
        SeededNoise(2).initial(0, (2,)),
    ]
    assert len({tuple(sample.tolist()) for sample in samples}) == len(samples)
    assert torch.equal(noise.initial(1, (2,)), samples[1])
    shared = SeededNoise(1, share_reference=True)
    assert torch.equal(shared.initial(3, (2,)), shared.initial(0, (2,)))
    assert torch.equal(shared.reference(3, 1, COND, (2,)), shared.reference(0, 1, COND, (2,)))
