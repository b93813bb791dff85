"""A fit with guidance: the denoiser is prepared for the fitted views and is part of the resume key."""

import pytest
import torch
from recording import Recorder
from small_fit import small_config, small_view_set

from stag4d.diffusion import load_guidance_model
from stag4d.pipeline import fit, fit_without_view
from stag4d.pipeline.guidance import denoiser_maker
from stag4d.progress import Interrupted
from stag4d.resume import Checkpoint
from tiny_models import make_guidance_folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_guidance_model(make_guidance_folder(tmp_path_factory.mktemp("zero123")))


def test_guidance_adds_a_loss_and_changes_the_scene_reproducibly(model):
    config = small_config(12)
    plain, _ = fit(small_view_set(), config)
    guided, report = fit(small_view_set(), config, make_denoiser=denoiser_maker(model, config.seed))
    assert report.losses["guidance"] > 0
    assert not torch.equal(guided.gaussians.means, plain.gaussians.means)
    again, _ = fit(small_view_set(), config, make_denoiser=denoiser_maker(model, config.seed))
    assert torch.equal(guided.gaussians.means, again.gaussians.means)


def test_an_interrupted_guided_fit_resumes_to_the_same_scene(model, tmp_path):
    config = small_config(12)
    maker = denoiser_maker(model, config.seed)
    whole, _ = fit(small_view_set(), config, make_denoiser=maker)
    checkpoint = Checkpoint(tmp_path / "c.safetensors")
    monitor = Recorder(("optimize", 5))
    fit(small_view_set(), config, make_denoiser=maker, checkpoint=checkpoint, monitor=monitor)
    images = 3 * 7  # of three frames: the input view and six posed views
    assert monitor.units_of("guidance") == list(range(1, 2 * images + 1))  # embeddings, then latents
    resumed, _ = fit(small_view_set(), config, make_denoiser=maker, checkpoint=checkpoint)
    assert torch.equal(resumed.gaussians.means, whole.gaussians.means)
    with pytest.raises(ValueError, match="other"):
        fit(small_view_set(), config, checkpoint=checkpoint)


def test_a_cancel_while_the_denoiser_is_prepared_interrupts_the_fit(model):
    with pytest.raises(Interrupted):
        fit(
            small_view_set(),
            small_config(2),
            make_denoiser=denoiser_maker(model, 0),
            monitor=Recorder(("guidance", 2)),
        )


def test_a_held_out_view_is_no_conditioning_image(model):
    seen = []

    def maker(views, monitor):
        seen.append(views.num_views)
        return denoiser_maker(model, 0)(views, monitor)

    fit_without_view(small_view_set(), 2, small_config(2), make_denoiser=maker)
    assert seen == [5]
