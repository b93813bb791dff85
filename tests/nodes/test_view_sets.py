"""Nodes that join sets, give their cameras and split sheets; other nodes with sets of any cameras."""

from dataclasses import replace

import pytest
import torch


@pytest.fixture(scope="module")
def toy(pack_module):
    return pack_module("stag4d.toys").toy_views(2, num_frames=2, size=32)


@pytest.fixture(scope="module")
def mixed(pack_module, toy):
    """Views of a toy by an orthographic rig, and a wide perspective one, without a reference."""
    geometry, toys = pack_module("stag4d.geometry"), pack_module("stag4d.toys")
    types, view_set = pack_module("stag4d.types"), pack_module("stag4d.view_set")
    tracks = []
    for name, size in (("unique3d", (24, 24)), ("charactershot", (36, 24))):
        found = geometry.rig_cameras(geometry.CAMERA_RIGS[name], *size)
        cameras = types.Cameras(found.viewmats[:4], found.Ks[:4], *size, found.projection)
        images, alphas = toys.render_toy(toys.toy_object(2), cameras, [0.0, 1.0])
        tracks += [
            view_set.ViewTrack(images=images[i], alphas=alphas[i], cameras=cameras[[i]], name=f"{name} {i}")
            for i in range(4)
        ]
    return view_set.ViewSet(tuple(tracks), None, 8.0)


def test_sets_are_joined_with_a_weight(pack_module, toy, mixed):
    (joined,) = pack_module("nodes.add_views").STAG4DAddViews.execute(toy, mixed, 0.5).args
    assert joined.reference == 0
    assert joined.num_views == 14
    assert [joined.tracks[index].weight(0) for index in (0, 6, 7)] == [1.0, 1.0, 0.5]


def test_cameras_are_given_in_the_order_of_the_views(pack_module, toy, mixed):
    node = pack_module("nodes.view_cameras").STAG4DViewCameras
    info, extrinsics, intrinsics, count = node.execute(toy, True, 0).args
    assert count == len(info) == 7
    assert extrinsics.shape == (7, 4, 4)
    assert intrinsics.shape == (7, 3, 3)
    assert info[0]["position"]["z"] == pytest.approx(2.0)
    info, extrinsics, _, count = node.execute(mixed, True, -1).args
    assert count == 16
    assert [camera["cameraType"] for camera in info[::4]] == ["orthographic", "perspective"] * 2
    assert torch.equal(extrinsics[:8], extrinsics[8:])
    single = replace(mixed, tracks=mixed.tracks[:1])
    assert node.execute(single, True, 0).args[0]["cameraType"] == "orthographic"
    with pytest.raises(ValueError, match="frame: 5 of 2 frames"):
        node.execute(toy, True, 5)


def test_principal_points_that_camera_info_loses_are_logged(pack_module, toy, mixed, caplog):
    node = pack_module("nodes.view_cameras").STAG4DViewCameras
    node.execute(toy, True, 0)
    assert caplog.records == []
    perspective, orthographic = mixed.tracks[4], mixed.tracks[0]
    moved = []
    for track in (perspective, orthographic):
        Ks = track.cameras.Ks.clone()
        Ks[:, 0, 2] += 3
        Ks[:, 1, 2] -= 4
        moved.append(replace(track, cameras=replace(track.cameras, Ks=Ks)))
    info, _, intrinsics, _ = node.execute(replace(mixed, tracks=(*moved, mixed.tracks[5])), True, 0).args
    assert "camera_info: the principal points of 1 of 3 cameras are up to 5.0 pixels from" in caplog.text
    assert intrinsics[0, :2, 2].tolist() == [18 + 3, 12 - 4]
    assert info[1]["frustum"]["left"] + info[1]["frustum"]["right"] != 0  # orthographic ones keep it


def test_grid_of_the_multi_view_model_is_split_into_its_views(pack_module, toy):
    sheets = torch.cat(
        [torch.cat([toy.view_images[:, r * 2 + c] for c in range(2)], dim=2) for r in range(3)], dim=1
    )
    masks = torch.cat(
        [torch.cat([toy.view_alphas[:, r * 2 + c] for c in range(2)], dim=2) for r in range(3)], dim=1
    )
    node = pack_module("nodes.split_grid").STAG4DSplitGrid
    images, mask, num_views = node.execute(sheets, 3, 2, masks).args
    assert torch.equal(images, toy.view_images.flatten(0, 1))
    assert torch.equal(mask, toy.view_alphas.flatten(0, 1))
    assert num_views == 6
    images, mask, _ = node.execute(sheets, 3, 2).args
    assert mask.shape == images.shape[:3]
    assert mask.min() == 1
    with pytest.raises(ValueError, match=r"mask: shape \[2, 96, 32\]; expected \[2, 96, 64\]"):
        node.execute(sheets, 3, 2, masks[:, :, :32])


def test_views_without_a_reference_are_loaded_with_the_frontmost_images(pack_module, mixed, host_folders):
    pack_module("stag4d.data").write_views(host_folders / "input" / "mixed", mixed)
    module = pack_module("nodes.load_views")
    assert "mixed" in module.STAG4DLoadViews.define_schema().inputs[0].options["options"]
    assert module.STAG4DLoadViews.validate_inputs("mixed") is True
    views, images, mask = module.STAG4DLoadViews.execute("mixed").args
    assert views.reference is None
    assert images.shape == (2, 24, 24, 3)
    torch.testing.assert_close(mask, mixed.tracks[0].alphas, atol=1 / 255, rtol=0)


def test_views_of_any_cameras_are_fitted_with_previews(
    pack_module, mixed, host_folders, progress_bar, previews_always_due
):
    node = pack_module("nodes.optimize").STAG4DOptimize
    (scene,) = node.execute(mixed, "fast", 3, 16, 0).args
    assert scene.info.num_frames == 2
    assert [image.size for _, image, _ in progress_bar.previews][:2] == [(256, 256)] * 2


def test_guidance_refuses_views_without_a_reference(pack_module, mixed, host_folders):
    guidance = pack_module("nodes.load_guidance").STAG4DLoadGuidance
    (model,) = guidance.execute("bundled/mini-zero123", "float32", "auto").args
    node = pack_module("nodes.optimize").STAG4DOptimize
    with pytest.raises(ValueError, match="views: none is the input video; expected a set with a reference"):
        node.execute(mixed, "fast", 3, 16, 0, guidance=model)
