"""A fit with a posed prior: it is made for the views that are fitted, and a checkpoint knows it."""

import pytest
import torch
from small_fit import small_clip, small_config
from tiny_models import make_guidance_folder

from stag4d.diffusion import load_guidance_model
from stag4d.pipeline import fit, fit_without_view
from stag4d.pipeline.guidance import distilling


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_guidance_model(make_guidance_folder(tmp_path_factory.mktemp("zero123")))


def test_the_prior_joins_the_losses_and_changes_the_scene(model):
    config = small_config(12)
    plain, _ = fit(small_clip(), config)
    guided, report = fit(small_clip(), config, make_prior=distilling(model, config))
    assert report.losses["guidance"] > 0
    assert not torch.equal(guided.gaussians.means, plain.gaussians.means)
    again, _ = fit(small_clip(), config, make_prior=distilling(model, config))
    assert torch.equal(guided.gaussians.means, again.gaussians.means)


def test_an_interrupted_guided_fit_goes_on_to_the_same_scene(model, tmp_path):
    config = small_config(12)
    maker = distilling(model, config)
    whole, _ = fit(small_clip(), config, make_prior=maker)
    steps = []

    def stop():
        steps.append(None)
        return len(steps) == 5

    path = tmp_path / "c.safetensors"
    fit(small_clip(), config, make_prior=maker, checkpoint=path, should_stop=stop)
    resumed, _ = fit(small_clip(), config, make_prior=maker, checkpoint=path, resume=True)
    assert torch.equal(resumed.gaussians.means, whole.gaussians.means)
    with pytest.raises(ValueError, match="other"):
        fit(small_clip(), config, checkpoint=path, resume=True)


def test_a_view_that_is_held_out_is_no_condition(model):
    seen = []

    def maker(views):
        seen.append(views.num_views)
        return distilling(model, small_config(2))(views)

    fit_without_view(small_clip(), 2, small_config(2), make_prior=maker)
    assert seen == [5]
