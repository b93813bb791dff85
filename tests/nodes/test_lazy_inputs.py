"""Inputs behind which the long work lies are evaluated last, after the others have been checked."""

import asyncio
from types import SimpleNamespace

import pytest
import torch

IMAGES = torch.rand(4, 8, 8, 3)


@pytest.fixture(scope="module")
def nodes(pack):
    return {node.__name__: node for node in asyncio.run(asyncio.run(pack.comfy_entrypoint()).get_node_list())}


@pytest.fixture
def in_prompt(monkeypatch):
    """A function that sets the prompt in which a node runs, as node ``this``."""

    def arrange(node, prompt):
        hidden = SimpleNamespace(prompt=prompt, unique_id="this", extra_pnginfo=None)
        monkeypatch.setattr(node, "hidden", hidden, raising=False)

    return arrange


@pytest.fixture
def multiview():
    """What the lazy check of STAG4D Anchored Multi-View reads of a model with six views."""
    from stag4d.diffusion import SamplingConfig

    return SimpleNamespace(grid=SimpleNamespace(poses=range(6)), sampling=SamplingConfig(), patcher=None)


def test_lazy_inputs_are_those_that_the_nodes_ask_for(nodes):
    lazy = {
        name: [item.id for item in node.define_schema().inputs if item.options.get("lazy")]
        for name, node in nodes.items()
    }
    assert {name: found for name, found in lazy.items() if found} == {
        "STAG4DAnchoredMultiView": ["images", "fps", "mask", "offsets"],
        "STAG4DViewsFromGrid": ["grid", "reference", "fps", "reference_mask", "grid_mask", "offsets"],
        "STAG4DViewsFromImages": ["views", "views_mask"],
        "STAG4DOptimize": ["views"],
        "STAG4DEvaluate": ["images", "mask"],
    }


def test_only_linked_inputs_are_asked_for(nodes, multiview):
    """The host raises an error for an input that is not connected."""
    views = nodes["STAG4DAnchoredMultiView"].check_lazy_status
    settings = {"multiview": multiview, "anchor_frame": 0, "fps": 8.0}
    assert views(**settings, images=None) == ["images"]
    assert views(**{**settings, "fps": None}, images=None, mask=None) == ["images", "mask", "fps"]
    assert views(**settings, images=IMAGES, offsets=None) == ["offsets"]  # the host knows if it is None
    truth = {"truth": IMAGES}
    assert nodes["STAG4DEvaluate"].check_lazy_status(**truth, images=None) == ["images"]
    assert nodes["STAG4DEvaluate"].check_lazy_status(**truth, images=IMAGES, mask=None) == ["mask"]
    angles = {"azimuths": "0", "elevations": "0"}
    posed = nodes["STAG4DViewsFromImages"].check_lazy_status
    assert posed(reference=IMAGES, views=None, views_mask=None, **angles) == ["views", "views_mask"]
    assert posed(reference=IMAGES, views=IMAGES, **angles) == []


def test_fit_refuses_its_start_before_the_views_are_made(nodes, sliding_scene):
    check = nodes["STAG4DOptimize"].check_lazy_status
    assert check(views=None, preset="fast", size=0) == ["views"]
    assert check(views=None, preset="paper", size=0, guidance=object()) == ["views"]
    with pytest.raises(ValueError, match="both a scene and a splat are connected"):
        check(views=None, preset="fast", size=0, scene=sliding_scene, splat=object())
    with pytest.raises(ValueError, match="preset paper: only score distillation"):
        check(views=None, preset="paper", size=0)  # from a link, which the validation does not see


def test_offsets_of_frames_that_are_not_square_fail_before_the_views_are_made(nodes):
    check = nodes["STAG4DViewsFromImages"].check_lazy_status
    frames = {"reference": IMAGES[:, :6], "azimuths": "0", "elevations": "0"}
    assert check(**frames, views=None) == ["views"]
    with pytest.raises(ValueError, match=r"reference: 8x6 pixels; .* STAG4D Prepare Frames"):
        check(**frames, offsets=torch.zeros(4, 2), views=None)


@pytest.mark.parametrize(
    ("video", "message"),
    [
        (("STAG4DPrepareFrames", {"num_frames": 16}), "anchor frame 16 of 16 frames; expected 0 to 15"),
        (("STAG4DSampleObject", {"num_frames": 16}), "anchor frame 16 of 16 frames; expected 0 to 15"),
        (("STAG4DLoadVideo", {"num_frames": 16}), "anchor frame 16 of 16 frames; expected 0 to 15"),
        (("STAG4DPrepareFrames", {"num_frames": 0}), None),  # all, as many as there will be
        (("STAG4DPrepareFrames", {"num_frames": ["x", 0]}), None),
        (("LoadVideo", {"num_frames": 16}), None),
    ],
)
def test_anchor_frame_beyond_the_video_fails_before_the_video_is_made(
    nodes, in_prompt, multiview, video, message
):
    node, (kind, inputs) = nodes["STAG4DAnchoredMultiView"], video
    prompt = {
        "this": {"class_type": node.__name__, "inputs": {"images": ["video", 0]}},
        "video": {"class_type": kind, "inputs": inputs},
    }
    in_prompt(node, prompt)
    assert node.check_lazy_status(multiview, 15, images=None) == ["images"]
    if message is None:
        assert node.check_lazy_status(multiview, 16, images=None) == ["images"]
        return
    with pytest.raises(ValueError, match=message):
        node.check_lazy_status(multiview, 16, images=None)


def test_angles_for_another_number_of_views_fail_before_the_views_are_generated(nodes, in_prompt, multiview):
    node = nodes["STAG4DAnchoredMultiView"]
    inputs = {"views": ["this", 2], "azimuths": "30, 90, 150, 210, 270, 330"}
    prompt = {"posed": {"class_type": "STAG4DViewsFromImages", "inputs": inputs}}
    in_prompt(node, prompt)
    assert node.check_lazy_status(multiview, 0, images=IMAGES) == []
    inputs["azimuths"] = "30, 90"
    with pytest.raises(ValueError, match=r"views: 6 of each frame are generated, and azimuths of .* has 2"):
        node.check_lazy_status(multiview, 0, images=IMAGES)
    inputs["rig"] = "zero123++1.1"  # the lists are not used then
    assert node.check_lazy_status(multiview, 0, images=IMAGES) == []
    inputs["rig"] = "sv4d2"
    with pytest.raises(ValueError, match=r"views: 6 of each frame are generated, and rig sv4d2 .* has 4"):
        node.check_lazy_status(multiview, 0, images=IMAGES)
    inputs |= {"rig": "era3d", "order": "view by view"}
    with pytest.raises(ValueError, match=r"views: generated frame by frame, and order .* is view by view"):
        node.check_lazy_status(multiview, 0, images=IMAGES)
    inputs["views"] = ["resized", 0]  # other nodes may select views
    assert node.check_lazy_status(multiview, 0, images=IMAGES) == []


def test_ground_truth_for_another_number_of_cameras_fails_before_the_scene_is_made(nodes, in_prompt):
    node = nodes["STAG4DEvaluate"]
    cameras = {"class_type": "STAG4DCameraPath", "inputs": {"num_cameras": 4}}
    prompt = {
        "this": {"class_type": "STAG4DEvaluate", "inputs": {"images": ["render", 0]}},
        "render": {"class_type": "STAG4DRender", "inputs": {"cameras": ["cameras", 0]}},
        "cameras": cameras,
    }
    in_prompt(node, prompt)
    assert node.check_lazy_status(truth=IMAGES, images=None) == ["images"]
    cameras["inputs"]["num_cameras"] = 5
    with pytest.raises(ValueError, match=r"5 images are rendered, .* and truth has 4; expected the same"):
        node.check_lazy_status(truth=IMAGES, images=None)
    cameras["inputs"]["mode"] = "camera"  # whose socket may give a list
    assert node.check_lazy_status(truth=IMAGES, images=None) == ["images"]
    cameras["inputs"] = {"num_cameras": 1}  # one camera renders each frame of the scene
    assert node.check_lazy_status(truth=IMAGES, images=None) == ["images"]
    with pytest.raises(ValueError, match="truth has 4 channels"):
        node.check_lazy_status(truth=torch.rand(4, 8, 8, 4), images=None)
