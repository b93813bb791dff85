"""STAG4DFromSplat: a batch of splats becomes a scene, and back."""

import pytest
import torch


@pytest.fixture(scope="module")
def from_splat(pack_module):
    return pack_module("nodes.from_splat").STAG4DFromSplat


@pytest.fixture
def splat(pack_module, sliding_scene):
    """The scene as a batch of splats."""
    return pack_module("nodes.host.splats").splat_at(sliding_scene, sliding_scene.frame_times)


def test_splats_become_the_frames_of_a_scene(from_splat, splat, sliding_scene, pack_module):
    with torch.inference_mode():
        (scene,) = from_splat.execute(splat, 12.0).args
    assert (scene.info.num_frames, scene.info.fps) == (5, 12.0)
    assert not scene.frames.means.is_inference()
    deformed = scene.at(scene.frame_times)
    torch.testing.assert_close(deformed.means, sliding_scene.at(sliding_scene.frame_times).means)
    again = pack_module("nodes.host.splats").splat_at(scene, scene.frame_times)
    for name in ("positions", "scales", "opacities", "sh"):
        torch.testing.assert_close(getattr(again, name), getattr(splat, name), msg=name)
    assert again.counts is None


def test_splats_of_different_sizes_keep_their_counts(from_splat, splat, pack_module):
    batch = type(splat)(
        *(value.repeat(1, 3, *[1] * (value.ndim - 2)) for value in (splat.positions, splat.scales)),
        *(value.repeat(1, 3, *[1] * (value.ndim - 2)) for value in (splat.rotations, splat.opacities)),
        splat.sh.repeat(1, 3, 1, 1),
        counts=torch.tensor([3, 1, 0, 2, 3]),
    )
    (scene,) = from_splat.execute(batch, 8.0).args
    assert scene.frames.counts == (3, 1, 0, 2, 3)
    again = pack_module("nodes.host.splats").splat_at(scene, scene.frame_times)
    assert again.counts.tolist() == [3, 1, 0, 2, 3]
    assert len(scene.at(scene.frame_times[[3]])[0]) == 2


def test_scene_of_splats_can_be_exported_and_optimized_further(from_splat, splat, host_folders, pack_module):
    (scene,) = from_splat.execute(splat, 8.0).args
    pack_module("nodes.export").STAG4DExport.execute(scene, "ball", {"format": "ply sequence"})
    assert len(list((host_folders / "output").rglob("*.ply"))) == 5
    assert len(pack_module("nodes.optimize")._start(scene, None)) == len(scene.gaussians)


def test_empty_batch_is_refused(from_splat, splat):
    splat.counts = torch.zeros(5, dtype=torch.int64)
    with pytest.raises(ValueError, match="splat: the batch has no Gaussians; expected at least one"):
        from_splat.execute(splat, 8.0)


def test_gaussian_that_is_invalid_in_one_splat_is_dropped_in_all(from_splat, splat, caplog):
    for name in ("positions", "scales", "rotations", "opacities", "sh"):
        value = getattr(splat, name)
        setattr(splat, name, value.repeat(1, 3, *[1] * (value.ndim - 2)))
    splat.positions[2, 1, 0] = float("nan")
    splat.opacities[3, 2] = float("nan")
    (scene,) = from_splat.execute(splat, 8.0).args
    assert scene.frames.counts is None
    assert scene.frames.means.shape == (5, 1, 3)
    assert "splat: dropped 2 of 3 Gaussians, with numbers that are not finite" in caplog.text
    splat.sh[1, 0] = 1e30
    with pytest.raises(ValueError, match="splat: no Gaussian has finite numbers"):
        from_splat.execute(splat, 8.0)
