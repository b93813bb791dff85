"""Every workflow that ships opens and runs: it agrees with the nodes' schemas, and its own nodes execute."""

import asyncio
import importlib
import json
from pathlib import Path

import pytest
from workflow_graph import live_inputs, nested, to_prompt

FOLDER = Path(__file__).parents[2] / "workflows"
TEMPLATES = sorted(FOLDER.glob("*.json"))
SMALL = {
    "STAG4DCameraPath": {"width": 32, "height": 32, "num_cameras": 3},
    "STAG4DSampleObject": {"num_frames": 2, "size": 32},
    "STAG4DPrepareFrames": {"num_frames": 2, "size": 32},
    "STAG4DOptimize": {"steps": 3, "size": 32},
}
HOST_NODES = {"CreateVideo", "SaveVideo", "CreateCameraInfo", "RenderSplat", "PreviewImage"}


@pytest.fixture(scope="module")
def nodes(pack):
    return {node.__name__: node for node in asyncio.run(asyncio.run(pack.comfy_entrypoint()).get_node_list())}


@pytest.fixture(params=TEMPLATES, ids=lambda path: path.stem)
def workflow(request):
    return json.loads(request.param.read_text(encoding="utf-8"))


def test_the_folder_holds_templates_with_their_thumbnails_and_nothing_else():
    assert TEMPLATES
    expected = {path.with_suffix(suffix).name for path in TEMPLATES for suffix in (".json", ".jpg")}
    assert {path.name for path in FOLDER.iterdir()} == expected


def test_links_join_outputs_and_inputs_of_one_type(workflow):
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


def test_only_nodes_of_the_pack_and_native_ones_are_used(workflow, nodes):
    assert {node["type"] for node in workflow["nodes"]} <= nodes.keys() | HOST_NODES


def test_nodes_agree_with_their_schemas(workflow, nodes):
    prompt = to_prompt(workflow)
    for node in workflow["nodes"]:
        if node["type"] not in nodes:
            continue
        schema = nodes[node["type"]].define_schema()
        values = prompt[str(node["id"])]["inputs"]
        live = list(live_inputs(schema.inputs, values))
        assert [(slot["name"], slot["type"]) for slot in node["inputs"]] == [
            (name, item.io_type) for name, item in live
        ]
        assert [slot["name"] for slot in node["inputs"] if "widget" in slot] == [
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
            elif item.io_type == "COMBO" and node["type"] != "STAG4DLoad":  # whose files are the user's
                assert values[name] in item.options["options"], name


def test_required_sockets_are_linked(workflow, nodes):
    for node in workflow["nodes"]:
        if node["type"] in nodes:
            optional = {item.id for item in nodes[node["type"]].define_schema().inputs if item.is_optional}
            loose = {slot["name"] for slot in node["inputs"] if slot["link"] is None and "widget" not in slot}
            assert loose <= optional, node["type"]


def test_the_packs_nodes_execute(workflow, nodes, pack, host_folders, sliding_scene):
    scene = importlib.import_module(f"{pack.__name__}.stag4d.scene")
    model = scene.GaussianModel4D(sliding_scene.gaussians, None, sliding_scene.info)
    results = {}
    for node_id, step in to_prompt(workflow).items():  # nodes are stored in the order in which they run
        if step["class_type"] not in nodes:
            continue
        node = nodes[step["class_type"]]
        values = {
            name: results[value[0]][value[1]] if isinstance(value, list) else value
            for name, value in step["inputs"].items()
        }
        if step["class_type"] == "STAG4DLoad":
            scene.save_scene(host_folders / "input" / values["file"], model)
        values |= SMALL.get(step["class_type"], {})
        inputs = node.define_schema().inputs
        dynamic = {item.id for item in inputs if item.io_type == "COMFY_DYNAMICCOMBO_V3"}
        results[node_id] = node.execute(**nested(values, dynamic)).args
        if step["class_type"] == "STAG4DRender":
            mask = results[node_id][1]
            assert (mask.amax(dim=(1, 2)) > 0.5).all()  # every camera sees the object
