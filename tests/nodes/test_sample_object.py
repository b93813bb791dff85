"""STAG4DSampleObject: a toy by plan and seed, its clip on white, and its views."""

import importlib

import pytest
import torch


@pytest.fixture(scope="module")
def node(pack):
    return importlib.import_module(f"{pack.__name__}.nodes.sample_object").STAG4DSampleObject


def test_the_clip_the_mask_and_the_views_belong_together(node):
    images, mask, views = node.execute("fish", 5, 3, 32).args
    assert images.shape == (3, 32, 32, 3)
    assert mask.shape == (3, 32, 32)
    assert views.view_images.shape == (3, 6, 32, 32, 3)
    assert torch.equal(views.alphas, mask)
    assert (images[mask == 0] == 1).all()
    assert 0.03 < mask.mean() < 0.6


def test_any_leaves_the_plan_to_the_seed_and_a_name_chooses_it(pack, node):
    toys = importlib.import_module(f"{pack.__name__}.stag4d.toys")
    drawn = toys.toy_object(5).plan
    other = next(plan for plan in toys.PLANS if plan != drawn)
    by_seed, by_name, changed = (node.execute(name, 5, 1, 32).args[0] for name in ("any", drawn, other))
    assert torch.equal(by_seed, by_name)
    assert not torch.equal(by_seed, changed)


def test_views_made_in_inference_mode_can_be_optimised(node):
    with torch.inference_mode():
        _, _, views = node.execute("any", 1, 1, 32).args
    assert not views.images.is_inference()


def test_a_clip_that_does_not_fit_into_memory_is_refused_before_it_is_drawn(node):
    with pytest.raises(ValueError, match=r"256 frames of 1024x1024: needs 68\.7 GB of memory"):
        node.execute("any", 1, 256, 1024)
