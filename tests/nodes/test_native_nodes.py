"""The nodes around ComfyUI's sampler, as far as they need no network: tests/host has the rest."""

import sys
from types import SimpleNamespace

import pytest
import torch

from tiny_models import TILE, make_multiview_folder


@pytest.fixture
def outputs(pack_module, host_folders):
    """The outputs of STAG4D Load Multi-View Model for a tiny model."""
    make_multiview_folder(host_folders / "models" / "diffusers" / "tiny")
    node = pack_module("nodes.load_multiview").STAG4DLoadMultiView
    with torch.inference_mode():
        return node.execute(model="tiny", dtype="auto", rig="auto").args


def test_networks_that_are_not_used_are_not_loaded_twice(outputs, pack_module, monkeypatch):
    multiview, model, _, vae, prompt, rig = outputs
    assert "patcher" not in vars(multiview)  # it is loaded when it is used
    assert model.model.diffusion_model.unet.config.in_channels == 4
    assert vae.latent_channels == 4
    assert prompt[0][0].shape == (1, 7, 8)
    assert rig.grid == multiview.grid
    assert multiview.patcher.model.model.grid.tile_size == TILE


def test_latent_format_is_that_of_the_folder(outputs):
    _, model, _, _, _, rig = outputs
    latents = torch.randn(1, 4, 6, 4)
    form = model.model.model_config.latent_format
    torch.testing.assert_close(form.process_out(form.process_in(latents)), latents)
    torch.testing.assert_close(
        rig.grid.unscaled(form.process_in(latents)), form.scale_factor * latents
    )  # as the package decodes
    assert form.spacial_downscale_ratio == 2


def test_noise_schedule_has_the_name_that_the_host_gives_it(outputs, pack_module):
    _, model, *_ = outputs
    settings = model.model.model_config.sampling_settings
    assert (settings["beta_schedule"], settings["linear_end"]) == ("sqrt_linear", 0.012)
    read = pack_module("nodes.host.multiview_sampling").sampling_settings
    base = {"beta_start": 0.1, "beta_end": 0.2, "num_train_timesteps": 10}
    assert read(base | {"beta_schedule": "scaled_linear"})["beta_schedule"] == "linear"
    with pytest.raises(ValueError, match="beta_schedule is 'squaredcos_cap_v2'"):
        read(base | {"beta_schedule": "squaredcos_cap_v2"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", None), ("  ", None), ("[0.0, 0.5,\n 1]", [0, 0.5, 1]), ("0, 0.25", [0, 0.25])],
)
def test_ramping_coefficients_are_a_list_with_or_without_brackets(pack_module, text, expected):
    found = pack_module("nodes.multiview_options").read_ramp(text)
    assert (found if found is None else found.tolist()) == expected


def test_other_texts_are_no_ramping_coefficients(pack_module):
    node = pack_module("nodes.multiview_options").STAG4DMultiViewOptions
    assert node.validate_inputs(rig="v1.1", schedule="published", ramping_coefficients="") is True
    assert "no list of numbers" in node.validate_inputs(ramping_coefficients="0, ramp")
    assert "a number is not finite" in node.validate_inputs(ramping_coefficients="0, NaN")
    assert "'v9' is no option" in node.validate_inputs(rig="v9")


def test_options_refuse_a_model_with_other_latents(pack_module):
    node = pack_module("nodes.multiview_options").STAG4DMultiViewOptions
    flux = SimpleNamespace(get_model_object=lambda name: SimpleNamespace(latent_channels=16))
    with pytest.raises(ValueError, match="latents of 16 channels; expected 4, the UNet of Zero123"):
        node.execute(flux, "v1.1", "published", "")


def test_strengths_are_checked_before_the_prompt_runs(pack_module):
    node = pack_module("nodes.anchored_attention").STAG4DAnchoredAttention
    assert node.validate_inputs(anchor_strength=0.5, previous_strength=0.5) is True
    assert "a sum of at most 1" in node.validate_inputs(anchor_strength=0.7, previous_strength=0.5)
    assert "anchor_strength: 3" in node.validate_inputs(anchor_strength=3.0)


def test_trailing_sigmas_end_at_zero(pack_module):
    node = pack_module("nodes.trailing_sigmas").STAG4DTrailingSigmas
    schedule = sys.modules["comfy.model_sampling"].ModelSamplingDiscrete()
    model = SimpleNamespace(get_model_object=lambda name: schedule)
    assert node.execute(model, 4).args[0].tolist() == [1000, 750, 500, 250, 0]
    assert node.execute(model, 61).args[0][-3:].tolist() == [16, 1, 0]  # as diffusers, which rounds so
    flow = SimpleNamespace(get_model_object=lambda name: SimpleNamespace(sigmas=schedule.sigmas))
    with pytest.raises(ValueError, match="its timesteps are not discrete"):
        node.execute(flow, 4)


def test_frames_are_checked_before_the_grids_are_generated(pack_module):
    check = pack_module("nodes.views_from_grid").STAG4DViewsFromGrid.check_lazy_status
    frames = torch.rand(2, 8, 8, 3)
    assert check(grid=None, reference=None, fps=None) == ["reference", "fps"]
    assert check(grid=None, reference=frames, fps=8.0) == ["grid"]
    assert check(grid=None, reference=frames, fps=8.0, grid_mask=None) == ["grid", "grid_mask"]
    assert check(grid=frames, reference=frames, fps=8.0) == []
    with pytest.raises(ValueError, match="reference"):
        check(grid=None, reference=torch.rand(2, 8, 12, 3), fps=8.0)


def test_grids_become_views_that_can_be_optimized(pack_module, outputs):
    node = pack_module("nodes.views_from_grid").STAG4DViewsFromGrid
    rig = outputs[5]
    with torch.inference_mode():
        frames, mask = torch.rand(2, 8, 8, 3), torch.ones(2, 8, 8)
        mask[:, :2] = 0
        grid = torch.rand(2, 3 * TILE, 2 * TILE, 3)
        views, images = node.execute(
            grid=grid,
            rig=rig,
            reference=frames,
            input_elevation=10.0,
            mattes="none",
            fps=5.0,
            reference_mask=mask,
        ).args
    assert images.shape == (12, TILE, TILE, 3)
    assert (views.fps, views.input_pose.elevation_deg, views.num_frames) == (5.0, 10.0, 2)
    assert not views.view_images.is_inference()


def test_conditioning_has_one_reference_for_each_frame(pack_module):
    anchored = pack_module("nodes.host.anchored_model")
    ((states, options),) = anchored.conditioning(torch.zeros(2, 7, 8), torch.ones(2, 4, 6, 4))
    condition = options["model_conds"][anchored.REFERENCE]
    assert states.shape == (2, 7, 8)
    assert condition.process_cond(batch_size=2).cond.shape == (2, 4, 6, 4)
    with pytest.raises(ValueError, match="a latent of 3 frames, and the conditioning of 2"):
        condition.process_cond(batch_size=3)


def test_shared_noise_is_the_same_for_all_frames_and_new_at_every_request(pack_module):
    anchored = pack_module("nodes.host.anchored_model")
    diffusion = pack_module("stag4d.diffusion")
    sampling = anchored.Sampling(diffusion.SeededNoise(3), [10.0, 5.0, 0.0], None)
    noise = anchored._shared_noise(sampling, torch.zeros(3, 4, 6, 4))
    first, again, second = noise(10.0, 5.0), noise(10.0, 7.0), noise(5.0, 0.0)
    for of_frames in (first, again, second):
        assert torch.equal(of_frames[0], of_frames[2])
    assert not torch.equal(first, again)
    assert torch.equal(first[0], diffusion.SeededNoise(3).ancestral(0, 0, (4, 6, 4)))
    assert torch.equal(second[0], diffusion.SeededNoise(3).ancestral(0, 1, (4, 6, 4)))


def test_batches_are_those_of_the_device(pack_module):
    """ComfyUI's nodes for several GPUs call copies of a model from threads."""
    anchored = pack_module("nodes.host.anchored_model")
    sampling = anchored.Sampling(pack_module("stag4d.diffusion").SeededNoise(3), [10.0, 0.0], 2)
    on_cpu, on_meta = torch.zeros(3, 4, 6, 4), torch.zeros(3, 4, 6, 4, device="meta")
    assert sampling.batches(on_cpu) is sampling.batches(on_cpu)
    assert sampling.batches(on_cpu) is not sampling.batches(on_meta)
    assert list(sampling.batches(on_cpu).of(range(3))) == [[0, 1], [2]]


def test_easy_cache_is_refused_by_name(pack_module):
    anchored = pack_module("nodes.host.anchored_model")
    options = {"wrappers": {anchored.WrappersMP.DIFFUSION_MODEL: {"easycache": [None]}}}
    with pytest.raises(ValueError, match="EasyCache compares consecutive calls"):
        anchored._check_call(torch.zeros(1), options)


def test_frames_that_are_not_square_are_not_encoded(pack_module, outputs):
    node = pack_module("nodes.multiview_conditioning").STAG4DMultiViewConditioning
    _, _, clip_vision, vae, prompt, rig = outputs
    with pytest.raises(ValueError, match="images"):
        node.execute(clip_vision, vae, prompt, rig, torch.rand(2, 8, 12, 3), True)
