"""STAG4DSampleObject: a toy by plan and seed, its video on white, and its views."""

import numpy as np
import pytest
import torch


@pytest.fixture(scope="module")
def node(pack_module):
    return pack_module("nodes.sample_object").STAG4DSampleObject


def test_images_mask_and_views_show_the_same_object(node):
    images, mask, views = node.execute("fish", 5, 3, 32).args
    assert images.shape == (3, 32, 32, 3)
    assert mask.shape == (3, 32, 32)
    assert views.view_images.shape == (3, 6, 32, 32, 3)
    assert torch.equal(views.alphas, mask)
    assert (images[mask == 0] == 1).all()
    assert 0.03 < mask.mean() < 0.6


def test_plan_is_chosen_by_name_or_by_the_seed(pack_module, node):
    toys = pack_module("stag4d.toys")
    plan = toys.toy_object(5).plan
    other = next(name for name in toys.PLANS if name != plan)
    by_seed, by_name, changed = (node.execute(name, 5, 1, 32).args[0] for name in ("any", plan, other))
    assert torch.equal(by_seed, by_name)
    assert not torch.equal(by_seed, changed)


def test_views_made_in_inference_mode_can_be_used_in_a_fit(node):
    with torch.inference_mode():
        _, _, views = node.execute("any", 1, 1, 32).args
    assert not views.images.is_inference()


def test_video_that_does_not_fit_into_memory_is_rejected_before_rendering(node):
    with pytest.raises(ValueError, match=r"256 frames of 1024x1024: needs 68\.7 GB of memory"):
        node.execute("any", 1, 256, 1024)


def test_progress_is_shown_per_image_and_can_be_cancelled(node, progress_bar, cancel_at, interrupt):
    node.execute("fish", 5, 3, 32)
    assert progress_bar.reported == [(done, 21) for done in range(1, 22)]
    cancel_at(2)
    with pytest.raises(interrupt):
        node.execute("fish", 5, 3, 32)


def test_rendered_images_are_previewed(node, progress_bar, previews_always_due):
    """Input view first; the preview is what the node returns."""
    images, _, _ = node.execute("fish", 5, 2, 32).args
    kind, shown, _ = progress_bar.previews[0]
    assert kind == "JPEG" and len(progress_bar.previews) == 14
    rendered = (images[0] * 255).round().byte().numpy()
    assert (abs(np.asarray(shown).astype(int) - rendered) <= 1).all()


def test_cancel_is_checked_between_groups_of_rows_of_a_large_image(node, cancel_at, interrupt):
    """One image of 1024 pixels has 32 groups: cancelled in the tenth, before any image is done."""
    node.execute("fish", 5, 1, 32)  # afterwards the kernel is compiled
    checks = cancel_at(10)
    with pytest.raises(interrupt):
        node.execute("fish", 5, 1, 1024)
    assert len(checks) == 10
