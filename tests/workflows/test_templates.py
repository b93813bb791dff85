"""The bundled workflows: they agree with the schemas of the nodes, and the nodes of the pack execute."""

import asyncio
import importlib
import json
import sys
from collections import defaultdict
from fractions import Fraction
from graphlib import TopologicalSorter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from template_parts import GROWTH
from workflow_graph import NOTES, UPLOAD, live_inputs, nested, to_prompt

FOLDER = Path(__file__).parents[2] / "workflows"
TEMPLATES = sorted(FOLDER.glob("*.json"))
SMALL = {
    "STAG4DCameraPath": {"width": 32, "height": 32, "num_cameras": 3},
    "STAG4DSampleObject": {"num_frames": 2, "size": 32},
    "STAG4DLoadVideo": {"file": "frames/"},
    "STAG4DPrepareFrames": {"num_frames": 2, "size": 32},
    "STAG4DOptimize": {"steps": 3, "size": 32},
    "STAG4DLoadMultiView": {"model": "bundled/mini-zero123plus"},
    "STAG4DAnchoredMultiView": {"steps": 1, "cfg": 1.0},
}
SMALL_IN = {  # settings of single templates
    "13 Orthographic views to 4D scene": {"STAG4DLoadVideo": {"file": "sheets/"}},
    "14 Repair views and fit again": {"STAG4DSampleObject": {"num_frames": 16, "size": 32}},
}
HOST_NODES = {"CreateVideo", "SaveVideo", "CreateCameraInfo", "RenderSplat", "PreviewImage", "LoadImage"}
HOST_NODES |= {"LoadVideo", "GetVideoComponents", "LoadBackgroundRemovalModel", "RemoveBackground"}
HOST_NODES |= {"CreateList", "PrimitiveInt", "CLIPLoader", "CLIPTextEncode", "VAEDecode"}
HOST_NODES |= {"UNETLoader", "VAELoader", "ModelSamplingSD3", "KSampler", "Wan22ImageToVideoLatent"}
HOST_NODES |= {"CheckpointLoaderSimple", "LTXVConditioning", "LTXVScheduler", "EmptyLTXVLatentVideo"}
HOST_NODES |= {"KSamplerSelect", "SamplerCustom", "ImageOnlyCheckpointLoader", "VideoLinearCFGGuidance"}
HOST_NODES |= {"SVD_img2vid_Conditioning", "SV3D_Conditioning", "VideoTriangleCFGGuidance"}
HOST_NODES |= {"RebatchImages", "ImageSharpen", "ImageFromBatch", "JoinImageWithAlpha", "SplitImageWithAlpha"}
HOST_NODES |= {"TripoSplatPreprocessImage", "TripoSplatConditioning", "VAEDecodeTripoSplat"}
HOST_NODES |= {"TransformSplat", "CLIPVisionLoader", "ControlNetLoader", "ControlNetApplyAdvanced"}
USER_FILES = {
    "STAG4DLoad",
    "STAG4DLoadMultiView",
    "STAG4DLoadVideo",
}  # nodes whose options are files of the user
AUTOGROW = "COMFY_AUTOGROW_V3"
ANY_OPTION = defaultdict(str)  # values of widgets, where none matters
MAX_SIZE = (1480, 850)  # pixels of a graph that opens at 75 % in a window of 1500 by 900


@pytest.fixture(scope="module")
def nodes(pack):
    """The nodes of the pack by id."""
    return {node.__name__: node for node in asyncio.run(asyncio.run(pack.comfy_entrypoint()).get_node_list())}


@pytest.fixture(params=TEMPLATES, ids=lambda path: path.stem)
def workflow(request):
    return json.loads(request.param.read_text(encoding="utf-8"))


def test_folder_has_a_thumbnail_for_each_template_and_no_other_files():
    assert TEMPLATES
    expected = {path.with_suffix(suffix).name for path in TEMPLATES for suffix in (".json", ".jpg")}
    assert {path.name for path in FOLDER.iterdir()} == expected


def test_links_connect_outputs_and_inputs_of_equal_type(workflow):
    by_id = {node["id"]: node for node in workflow["nodes"]}
    assert len(by_id) == len(workflow["nodes"])
    for link, origin, origin_slot, target, target_slot, kind in workflow["links"]:
        output = by_id[origin]["outputs"][origin_slot]
        slot = by_id[target]["inputs"][target_slot]
        assert output["type"] == slot["type"] == kind
        assert link in output["links"]
        assert slot["link"] == link
    used = [slot["link"] for node in workflow["nodes"] for slot in node["inputs"] if slot["link"] is not None]
    assert sorted(used) == sorted(link[0] for link in workflow["links"])
    assert workflow["last_link_id"] >= max(used)
    assert workflow["last_node_id"] >= max(by_id)


def test_templates_only_use_nodes_of_the_pack_and_of_comfyui(workflow, nodes):
    assert {node["type"] for node in workflow["nodes"]} <= nodes.keys() | HOST_NODES | NOTES


def test_nodes_and_notes_do_not_overlap_in_a_run_either(workflow):
    title = 30  # height of the title bar, which is above a node's position, pixels
    boxes = [
        (*node["pos"], node["size"][0], node["size"][1] + GROWTH.get(node["type"], 0))
        for node in workflow["nodes"]
    ]
    for index, (left, top, width, height) in enumerate(boxes):
        for other_left, other_top, other_width, other_height in boxes[:index]:
            beside = left >= other_left + other_width or other_left >= left + width
            above = top - title >= other_top + other_height or other_top - title >= top + height
            assert beside or above, workflow["nodes"][index]["type"]


def test_graphs_open_at_a_zoom_at_which_text_is_shown(workflow):
    for side, limit in enumerate(MAX_SIZE):
        begin = min(node["pos"][side] for node in workflow["nodes"])
        end = max(node["pos"][side] + node["size"][side] for node in workflow["nodes"])
        assert end - begin <= limit


def test_every_template_has_a_note_and_a_square_thumbnail(request, workflow):
    assert "What happens" in [node.get("title") for node in workflow["nodes"]]
    (path,) = (path for path in TEMPLATES if path.stem in request.node.name)
    with Image.open(path.with_suffix(".jpg")) as image:
        assert image.width == image.height


def test_models_of_the_host_s_nodes_can_be_downloaded(workflow):
    for node in workflow["nodes"]:
        chosen = [value for value in node.get("widgets_values") or [] if str(value).endswith(".safetensors")]
        if node["type"] in HOST_NODES and chosen:
            (model,) = node["properties"]["models"]
            assert [model["name"]] == chosen
            assert model["url"].startswith("https://huggingface.co/")
            assert model["url"].endswith("/" + model["name"])
            assert model["directory"]


def test_fps_of_prepared_frames_is_linked_wherever_their_images_are(workflow):
    types = {node["id"]: node["type"] for node in workflow["nodes"]}
    kinds = {(types[origin], types[target], kind) for _, origin, _, target, _, kind in workflow["links"]}
    timed = {node["type"] for node in workflow["nodes"] if "fps" in {slot["name"] for slot in node["inputs"]}}
    for origin, target, kind in kinds:
        if (origin, kind) == ("STAG4DPrepareFrames", "IMAGE") and target in timed:
            assert (origin, target, "FLOAT") in kinds


@pytest.mark.parametrize(
    "name", ["01 Quick start", "02 Video to 4D scene", "04 Toy with ground-truth views to video"]
)
def test_scenes_that_take_minutes_are_saved(name):
    workflow = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    types = {node["id"]: node["type"] for node in workflow["nodes"]}
    links = {(types[link[1]], types[link[3]]) for link in workflow["links"]}
    assert ("STAG4DOptimize", "STAG4DSave") in links


def test_nodes_agree_with_their_schemas(workflow, nodes):
    prompt = to_prompt(workflow)
    for node in workflow["nodes"]:
        if node["type"] not in nodes:
            continue
        schema = nodes[node["type"]].define_schema()
        values = prompt[str(node["id"])]["inputs"]
        live = shown_inputs(live_inputs(schema.inputs, values), schema, node)
        slots = [slot for slot in node["inputs"] if slot["name"] != UPLOAD]
        assert {(slot["name"], slot["type"]) for slot in slots} == {
            (name, item.io_type) for name, item in live
        }
        assert [slot["name"] for slot in slots if "widget" in slot] == [
            name for name, item in live if item.is_widget
        ]
        assert [(slot["name"], slot["type"]) for slot in node["outputs"]] == [
            (item.id, item.io_type) for item in schema.outputs
        ]
        for name, item in live:
            if isinstance(values.get(name), list):
                continue  # linked
            if item.io_type in ("INT", "FLOAT"):
                assert item.options["min"] <= values[name] <= item.options["max"], name
            elif item.io_type == "COMBO" and (
                node["type"] not in USER_FILES or name not in ("file", "model")
            ):
                assert values[name] in item.options["options"], name


def shown_inputs(live, schema, node):
    """Return the inputs that the page shows: of sockets whose number grows those in use and the next."""
    growing = tuple(f"{item.id}." for item in schema.inputs if item.io_type == AUTOGROW)
    names = {slot["name"] for slot in node["inputs"]}
    return [(name, item) for name, item in live if name in names or not name.startswith(growing)]


def test_required_sockets_are_linked(workflow, nodes):
    for node in workflow["nodes"]:
        if node["type"] in nodes:
            inputs = nodes[node["type"]].define_schema().inputs
            optional = {name for name, item in live_inputs(inputs, ANY_OPTION) if item.is_optional}
            loose = {slot["name"] for slot in node["inputs"] if slot["link"] is None and "widget" not in slot}
            assert loose <= optional, node["type"]


@pytest.fixture
def saved_scene(pack, host_folders, sliding_scene):
    """The first scene that STAG4D Save Scene writes to the output folder."""
    scene = importlib.import_module(f"{pack.__name__}.stag4d.scene")
    model = scene.GaussianModel4D(sliding_scene.gaussians, None, sliding_scene.info)
    scene.save_scene(host_folders / "output" / "stag4d" / "scene_00001_.safetensors", model)


@pytest.fixture
def native_results(pack, host_folders):
    """Outputs of ComfyUI's nodes: five frames of a toy and their masks; the frames are input files, too.

    Of a function, the outputs are those for the inputs of the node.
    """
    toy = importlib.import_module(f"{pack.__name__}.stag4d.toys").toy_views(3, 5, 32)
    (host_folders / "input" / "frames").mkdir()
    for number, image in enumerate((255 * toy.images).byte().numpy()):
        Image.fromarray(image).save(host_folders / "input" / "frames" / f"{number}.png")
    white = toy.images * toy.alphas[..., None] + 1 - toy.alphas[..., None]
    (host_folders / "input" / "sheets").mkdir()
    for number, image in enumerate((255 * white).byte().numpy()):
        sheet = np.concatenate([image] * 6, axis=1)  # six views side by side
        Image.fromarray(sheet).save(host_folders / "input" / "sheets" / f"{number}.png")
    latest = sys.modules["comfy_api.latest"]
    video = latest.InputImpl.VideoFromComponents(latest.Types.VideoComponents(white, Fraction(8), None))
    ones = torch.ones(1, 20, 1)
    position, target = {"x": 0.0, "y": 0.0, "z": 2.0}, {"x": 0.0, "y": 0.0, "z": 0.0}
    return {
        "VAEDecode": lambda vae, **_: (toy.images if vae is None else white[:2].repeat(1, 3, 2, 1),),
        "STAG4DMultiViewConditioning": (None, None, None),  # it needs the host's networks
        "STAG4DAnchoredAttention": (None,),
        "RemoveBackground": (toy.alphas,),
        "RebatchImages": (white[:1].repeat(42, 1, 1, 1),),  # 21 images of each of two frames
        "LoadVideo": (video,),
        "ImageSharpen": lambda image, **_: (image,),
        "TransformSplat": (
            latest.Types.SPLAT(
                positions=torch.rand(1, 20, 3) - 0.5,
                scales=0.1 * ones.expand(1, 20, 3),
                rotations=torch.eye(4)[:1].expand(1, 20, 4),
                opacities=0.5 * ones,
                sh=torch.zeros(1, 20, 1, 3),
            ),
        ),
        "CreateList": (20,),  # the nodes after it are executed for each of its items
        "CreateCameraInfo": ({"position": position, "target": target, "fov": 49.0},),
    }


@pytest.mark.usefixtures("saved_scene")
def test_nodes_of_the_pack_execute(request, workflow, nodes, native_results):
    prompt = to_prompt(workflow)
    small = next((values for name, values in SMALL_IN.items() if f"[{name}]" in request.node.name), {})
    results = executed(prompt, nodes, native_results, SMALL | small)
    for node_id, step in prompt.items():
        if step["class_type"] == "STAG4DRender":
            mask = results[node_id][1]
            assert (mask.amax(dim=(1, 2)) > 0.5).all()  # every camera sees the object
        if step["class_type"] == "STAG4DAnchoredMultiView":
            (views, *_) = results[node_id]
            source = prompt[step["inputs"]["images"][0]]["inputs"]
            fps = source["fps"]
            given = results[fps[0]][fps[1]] if isinstance(fps, list) else fps
            count = len(results[source["images"][0]][source["images"][1]])
            assert views.fps == given / (count - 1)  # two frames of so many


def output_of(results, number):
    """Return an output of a node; None if the node is one of ComfyUI's whose outputs are not known."""
    return None if results is None else results[number]


def executed(prompt, nodes, native_results, small):
    """Return the outputs of the nodes of a prompt.

    Args:
        prompt: Steps by the ids of nodes.
        nodes: The pack's nodes by type.
        native_results: Outputs of other nodes by type, or functions of their inputs.
        small: Values of inputs by the type of the pack's nodes, in place of those of the prompt.
    """
    sources = {
        node_id: {value[0] for value in step["inputs"].values() if isinstance(value, list)}
        for node_id, step in prompt.items()
    }
    results = {}
    for node_id in TopologicalSorter(sources).static_order():
        step = prompt[node_id]
        kind = step["class_type"]
        is_ours = kind in nodes and kind not in native_results
        known = is_ours or callable(native_results.get(kind))
        if not known:
            results[node_id] = native_results.get(kind)
            continue
        values = {
            name: output_of(results[value[0]], value[1]) if isinstance(value, list) else value
            for name, value in step["inputs"].items()
        }
        if not is_ours:
            results[node_id] = native_results[kind](**values)
            continue
        values |= small.get(kind, {})
        inputs = nodes[kind].define_schema().inputs
        dynamic = {item.id for item in inputs if item.io_type == "COMFY_DYNAMICCOMBO_V3"}
        results[node_id] = nodes[kind].execute(**nested(values, dynamic)).args
    return results
