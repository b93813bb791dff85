"""Orders of images, against vectors and by hand."""

from __future__ import annotations

import pytest
from camera_vectors import VECTORS

from stag4d.geometry import charactershot_indices, view_indices

VECTOR = VECTORS["order"]


@pytest.mark.parametrize(
    ("order", "name"),
    [("frame by frame", "frame_major_index_of[f][v]"), ("view by view", "view_major_index_of[f][v]")],
)
@pytest.mark.parametrize("known", [{"num_frames": 3, "num_views": 4}, {"num_frames": 3}, {"num_views": 4}])
def test_indices_equal_the_vectors(order, name, known):
    assert view_indices(12, order=order, **known).tolist() == VECTOR[name]


def test_charactershot_indices_follow_the_rule_of_the_vector():
    frames, batches = 3, VECTOR["charactershot_batches"]
    found = charactershot_indices(25 * frames)
    assert found.shape == (frames, 21)
    for view in range(21):
        b, s = next((b, views.index(view)) for b, views in enumerate(batches) if view in views)
        assert found[:, view].tolist() == [(b * 5 + s) * frames + t for t in range(frames)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: view_indices(83, num_frames=21, num_views=4, order="view by view"),
            r"^views: 83 images for 21 frames and 4 views, view by view; expected 84\.$",
        ),
        (
            lambda: view_indices(83, num_views=4, order="view by view"),
            r"^views: 83 images for 4 views, view by view; expected a multiple of 4\.$",
        ),
        (
            lambda: view_indices(83, num_frames=21, subject="images"),
            r"^images: 83 images for 21 frames, frame by frame; expected a multiple of 21\.$",
        ),
        (lambda: view_indices(0, num_views=4), r"^views: 0 images for 4 views"),
        (
            lambda: view_indices(84),
            r"^views: 84 images; expected a number of frames or of views\.$",
        ),
        (
            lambda: view_indices(84, num_views=4, order="random"),
            r"^views: unknown order 'random'; expected one of frame by frame, view by view\.$",
        ),
        (
            lambda: charactershot_indices(84),
            r"^views: 84 images of CharacterShot; expected a multiple of 25",
        ),
    ],
)
def test_numbers_that_do_not_match_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
