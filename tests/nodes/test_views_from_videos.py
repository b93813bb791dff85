"""STAG4DViewsFromVideos: frames, alpha and rates of the videos, masks, the reference, and errors."""

import sys
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from media_files import write_video

RIG = {"rig": "custom", "azimuths": "90, 180", "elevations": "0, 0", "fovy": 40.0, "radius": 2.0}


@pytest.fixture(scope="module")
def combine(pack_module):
    """A function that executes the node and returns the view set."""
    node = pack_module("nodes.views_from_videos").STAG4DViewsFromVideos

    def call(*videos, **others):
        views = {f"view{index}": video for index, video in enumerate(videos)}
        return node.execute(views, **{**RIG, **others}).args[0]

    return call


@pytest.fixture
def host(host_folders):
    latest = sys.modules["comfy_api.latest"]
    return SimpleNamespace(
        file=latest.InputImpl.VideoFromFile,
        images=latest.InputImpl.VideoFromComponents,
        components=latest.Types.VideoComponents,
        folder=host_folders / "input",
    )


def pixels(count, level, size=(32, 32)):
    """Return frames with a square of a level of green that grows by 2 from frame to frame, [F, h, w, 4]."""
    width, height = size
    frames = np.zeros((count, height, width, 4), np.uint8)
    for index in range(count):
        frames[index, 8:24, 8:24] = (0, level + 2 * index, 0, 255)
    return frames


def file_of(host, name, count, level, fps=8, size=(32, 32)):
    path = write_video(
        host.folder / f"{name}.mov", list(pixels(count, level, size)), "qtrle", "argb", fps=fps
    )
    return host.file(str(path))


def decoded(host, count, level, fps=8, with_alpha=True):
    frames = torch.from_numpy(pixels(count, level)).float() / 255
    images, alpha = frames[..., :3], frames[..., 3:]
    if not with_alpha:
        images = images + 1 - alpha
    return host.images(host.components(images, Fraction(fps), alpha if with_alpha else None))


def levels(track):
    return track.images[:, 16, 16, 1].int().tolist()


def test_each_video_is_a_view_with_its_frames_alpha_and_size(combine, host):
    views = combine(
        file_of(host, "a", 4, 100),
        file_of(host, "b", 4, 150, size=(48, 32)),
        reference=file_of(host, "r", 4, 50),
    )
    assert views.reference == 0
    assert [levels(track) for track in views.tracks] == [
        [50, 52, 54, 56],
        [100, 102, 104, 106],
        [150, 152, 154, 156],
    ]
    assert views.fps == 8
    assert [track.cameras.width for track in views.tracks] == [32, 32, 48]
    assert [track.images.dtype for track in views.tracks] == [torch.uint8] * 3
    for track in views.tracks:
        assert torch.equal(track.alphas[:, 8:24, 8:24], torch.full((4, 16, 16), 255, dtype=torch.uint8))
        assert track.alphas[:, :8].max() == 0


def test_decoded_videos_give_the_same_as_files(combine, host):
    reference = file_of(host, "r", 3, 50)
    one = combine(file_of(host, "a", 3, 100), file_of(host, "b", 3, 150), reference=reference)
    other = combine(decoded(host, 3, 100), decoded(host, 3, 150), reference=reference)
    for track, same in zip(one.tracks, other.tracks, strict=True):
        opaque = track.alphas > 0
        assert torch.equal(track.alphas, same.alphas)
        assert torch.equal(track.images[opaque], same.images[opaque])


def test_videos_are_cut_to_the_shortest(combine, host, caplog):
    frames = torch.from_numpy(pixels(5, 50)).float() / 255
    views = combine(file_of(host, "a", 3, 100), file_of(host, "b", 4, 150), reference_images=frames)
    assert views.num_frames == 3
    assert levels(views.tracks[2]) == [150, 152, 154]
    assert "view1 (4), reference (5) cut to the 3 frames of the shortest video" in caplog.text


def test_frame_rates_must_agree_unless_one_is_given(combine, host):
    videos = file_of(host, "a", 2, 100, fps=10), file_of(host, "b", 2, 150, fps=10)
    reference = file_of(host, "r", 2, 50, fps=24)
    message = "view0, view1, reference: 10, 10, 24 frames per second; expected equal frame rates"
    with pytest.raises(ValueError, match=message):
        combine(*videos, reference=reference)
    assert combine(*videos, reference=reference, fps=24.0).fps == 24
    assert combine(*videos, reference_use="not a view").fps == 10


def test_masks_belong_to_the_videos_of_their_numbers(combine, host):
    mask = torch.zeros(2, 32, 32)
    mask[:, 10:22, 10:22] = 1
    views = combine(
        decoded(host, 2, 100),
        decoded(host, 2, 150, with_alpha=False),
        masks={"mask1": mask},
        reference_use="not a view",
    )
    assert torch.equal(views.tracks[1].alphas, (255 * mask).to(torch.uint8))
    assert views.tracks[0].alphas[0, 9, 9] == 255
    with pytest.raises(ValueError, match="mask2: there is no view2"):
        combine(decoded(host, 2, 100), decoded(host, 2, 150), masks={"mask2": mask})
    with pytest.raises(ValueError, match="view0: 1 masks for 2 frames; expected one per frame"):
        combine(decoded(host, 2, 100), decoded(host, 2, 150), masks={"mask0": mask[:1]})


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"rig": "sv4d2"}, "2 images of each frame|2 views for a rig of 4|rig sv4d2"),
        ({}, "reference: no frames of the input video"),
        ({"rig": "cameras"}, "camera_info: not connected, nor are extrinsics"),
    ],
)
def test_videos_that_do_not_fit_the_rig_are_refused(combine, host, others, message):
    with pytest.raises(ValueError, match=message):
        combine(decoded(host, 2, 100), decoded(host, 2, 150), **others)


def test_views_can_be_used_in_a_fit(combine, host):
    with torch.inference_mode():
        videos = decoded(host, 2, 100), decoded(host, 2, 150)
        views = combine(*videos, reference_images=torch.from_numpy(pixels(2, 50)).float() / 255)
    for track in views.tracks:
        assert not track.images.is_inference()
        assert not track.alphas.is_inference()
