"""Images of objects from sockets are copies that keep no more than themselves in memory."""

import pytest
import torch


@pytest.mark.parametrize("channels", [3, 4])
def test_frames_of_a_cut_video_do_not_keep_the_whole_video(pack_module, channels):
    video = torch.full((50, 16, 16, channels), 255, dtype=torch.uint8)
    video[:, 4:12, 4:12, :3] = 100
    if channels == 4:
        video[:, :4, :, 3] = 0
    frames = pack_module("nodes.host.object_images").object_frames("view0", video[:2], None)
    for values in frames:
        assert values.untyped_storage().nbytes() == values.numel()
    assert torch.equal(frames.images, video[:2, ..., :3])
    video[:] = 0
    assert frames.images[0, 8, 8].tolist() == [100, 100, 100]
