"""Videos on the real ComfyUI: its Load Video and Trim Video, and STAG4D Load Video, with Prepare Frames."""

from __future__ import annotations

import json
import urllib.error
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from media_files import write_video
from node_modes import mostly_vue
from PIL import Image
from workflow_graph import to_prompt

from stag4d.toys import toy_views

ROOT = Path(__file__).parents[2]
SQUARE = {"num_frames": 4, "size": 48, "margin": 0.1, "invert_mask": False}
NAMES = ["video_alpha.webm", "video_plain.mp4"]
pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def toy(host):
    """Seven frames of a toy, of which the input folder has a WebM with alpha and an MP4 on white."""
    views = toy_views(3, 7, 64)
    images, alphas = views.images, views.alphas[..., None]
    pixels = [torch.cat([images, alphas], dim=-1), images * alphas + 1 - alphas]
    codecs = [("libvpx-vp9", "yuva420p"), ("mpeg4", "yuv420p")]
    for name, values, (codec, pixel_format) in zip(NAMES, pixels, codecs, strict=True):
        frames = list((255 * values).round().byte().numpy())
        options = {"b": "4M"} if codec == "mpeg4" else {"crf": "4", "b": "0"}
        write_video(host.base / "input" / name, frames, codec, pixel_format, fps=24, options=options)
    return views


def prompt_of(sources, **linked):
    """Return a prompt that shows the frames, masks and frame rate of STAG4D Prepare Frames."""
    return sources | {
        "8": {"class_type": "STAG4DPrepareFrames", "inputs": SQUARE | linked},
        "9": {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}},
        "10": {"class_type": "MaskToImage", "inputs": {"mask": ["8", 1]}},
        "11": {"class_type": "PreviewImage", "inputs": {"images": ["10", 0]}},
        "12": {"class_type": "PreviewAny", "inputs": {"source": ["8", 2]}},
    }


def run(host, prompt):
    """Run a prompt; return frames [T, 48, 48, 3] and masks [T, 48, 48], 0..1, and the frame rate."""
    entry = host.run(prompt)
    assert entry["status"]["status_str"] == "success", entry["status"]
    shown = entry["outputs"]

    def images(node):
        paths = [f"/view?filename={item['filename']}&type=temp" for item in shown[node]["images"]]
        return np.stack([np.asarray(Image.open(BytesIO(host.get(path))).convert("RGB")) for path in paths])

    return images("9") / 255, images("11")[..., 0] / 255, float(shown["12"]["text"][0])


def refusal(host, prompt):
    """Return the answer of the host to a prompt that it refuses."""
    with pytest.raises(urllib.error.HTTPError) as error:
        host.queue(prompt)
    answer = error.value.read().decode()
    error.value.close()
    return answer


def from_host(name, **trim):
    """Return the nodes of the host that load a video, and trim it."""
    trimming = {"start_time": 0.0, "duration": 0.0, "strict_duration": False} | trim
    return {
        "1": {"class_type": "LoadVideo", "inputs": {"file": name}},
        "2": {"class_type": "Video Slice", "inputs": {"video": ["1", 0]} | trimming},
    }


def from_pack(name, **settings):
    """Return STAG4D Load Video and its links to STAG4D Prepare Frames."""
    inputs = {"file": name, "num_frames": 0, "start": 0.0, "end": 0.0} | settings
    sources = {"1": {"class_type": "STAG4DLoadVideo", "inputs": inputs}}
    return prompt_of(sources, images=["1", 0], mask=["1", 1], fps=["1", 2])


@pytest.mark.parametrize("name", NAMES)
def test_both_loaders_give_the_object_of_the_video(host, toy, name):
    by_host = run(host, prompt_of(from_host(name), video=["2", 0]))
    by_pack = run(host, from_pack(name))
    for frames, masks, fps in (by_host, by_pack):
        assert fps == 24 * 3 / 6
        assert frames.shape == (4, 48, 48, 3)
        assert 0.05 < masks.mean() < 0.6
        assert masks[:, 0, 0].max() == 0
        assert (frames[:, 0, 0] == 1).all()  # white around the object
    np.testing.assert_array_equal(by_host[0], by_pack[0])
    np.testing.assert_array_equal(by_host[1], by_pack[1])


def test_alpha_of_webm_and_plain_background_of_mp4_agree(host, toy):
    (_, masks, _), (_, others, _) = (run(host, prompt_of(from_host(n), video=["2", 0])) for n in NAMES)
    both, either = (masks > 0.5) & (others > 0.5), (masks > 0.5) | (others > 0.5)
    assert both.sum() > 0.9 * either.sum()


@pytest.mark.parametrize(
    "trim", [{"start_time": 0.08}, {"duration": 0.1}, {"start_time": -0.13, "duration": 0.1}]
)
@pytest.mark.parametrize("name", NAMES)
def test_trimmed_video_has_the_frames_that_the_host_decodes(host, toy, name, trim):
    """The host's masks, one for each of its frames, fit."""
    sources = from_host(name, **trim) | {
        "3": {"class_type": "GetVideoComponents", "inputs": {"video": ["2", 0]}},
        "4": {"class_type": "ImageToMask", "inputs": {"image": ["3", 0], "channel": "red"}},
    }
    every = {"num_frames": 0, "video": ["2", 0], "mask": ["4", 0], "invert_mask": True}
    frames, _, fps = run(host, prompt_of(sources, **every))
    by_images = prompt_of(
        sources, num_frames=0, images=["3", 0], mask=["4", 0], fps=["3", 2], invert_mask=True
    )
    expected, _, expected_fps = run(host, by_images)
    assert len(frames) == len(expected) < 7
    assert fps == expected_fps == 24


def test_created_video_is_taken_as_its_images(host, toy):
    created = {
        "5": {"class_type": "GetVideoComponents", "inputs": {"video": ["1", 0]}},
        "6": {"class_type": "CreateVideo", "inputs": {"images": ["5", 0], "fps": 12.0}},
    }
    sources = from_host(NAMES[1]) | created
    frames, masks, fps = run(host, prompt_of(sources, video=["6", 0]))
    by_images = run(host, prompt_of(sources, images=["5", 0], fps=12.0))
    np.testing.assert_array_equal(frames, by_images[0])
    np.testing.assert_array_equal(masks, by_images[1])
    assert fps == by_images[2] == 12 * 3 / 6


def test_exactly_one_of_images_and_video_must_be_connected(host, toy):
    sources = from_host(NAMES[0]) | {"3": {"class_type": "GetVideoComponents", "inputs": {"video": ["2", 0]}}}
    assert "images: not connected, nor is video" in refusal(host, prompt_of(sources))
    both = prompt_of(sources, images=["3", 0], video=["2", 0])
    assert "images: connected, and video too" in refusal(host, both)
    mismatch = "video, received_type(IMAGE) mismatch input_type(VIDEO)"
    assert mismatch in refusal(host, prompt_of(sources, video=["3", 0]))


def test_video_outside_the_input_folder_is_refused(host, toy):
    assert "lies outside ComfyUI's folders" in refusal(host, from_pack("../host.log"))
    assert "lies outside ComfyUI's input folder" in refusal(host, from_pack("a.mp4 [output]"))


def test_load_video_has_an_upload_button_and_lists_the_videos(host, toy):
    info = json.loads(host.get("/object_info/STAG4DLoadVideo"))["STAG4DLoadVideo"]
    kind, options = info["input"]["required"]["file"]
    assert kind == "COMBO"
    assert options["video_upload"] is True
    assert set(NAMES) <= set(options["options"])


def older_workflow(name):
    """Return a template as it was saved before STAG4D Prepare Frames had an input for VIDEO."""
    workflow = json.loads((ROOT / "workflows" / name).read_text(encoding="utf-8"))
    (node,) = [node for node in workflow["nodes"] if node["type"] == "STAG4DPrepareFrames"]
    node["inputs"] = [slot for slot in node["inputs"] if slot["name"] != "video"]
    return workflow, str(node["id"])


@pytest.mark.browser
@pytest.mark.parametrize("name", ["01 Quick start.json", "02 Video to 4D scene.json"])
@mostly_vue
def test_older_workflows_keep_their_links_and_values(page, name):
    workflow, node = older_workflow(name)
    page.run("(workflow) => app.loadGraphData(workflow)", workflow)
    sent = page.run("app.graphToPrompt().then(({output}) => output)")[node]["inputs"]
    assert sent == to_prompt(workflow)[node]["inputs"]
