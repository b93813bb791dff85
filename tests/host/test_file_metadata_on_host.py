"""The page of a real ComfyUI restores the graph from the files that the nodes and the viewer have saved."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from host_page import open_host_page
from plyfile import PlyData
from safetensors import safe_open
from seed_files import random_gaussians

from stag4d.export import encode_glb
from stag4d.scene import GaussianModel4D, SceneInfo, load_scene, save_scene

pytestmark = [pytest.mark.host, pytest.mark.browser]

BUILD = """(name) => {
  app.graph.clear();
  const load = add("STAG4DLoad", [40, 60], [300, 160], {file: name});
  const save = add("STAG4DSave", [400, 60], [300, 120], {filename_prefix: "metadata/scene"});
  const page = {filename_prefix: "metadata/page", format: "html"};
  const write = add("STAG4DExport", [400, 240], [300, 160], page);
  const preview = add("STAG4DPreview", [760, 60], [460, 680], {width: 64, height: 64});
  for (const node of [save, write, preview]) join(load, "scene", node, "scene");
}"""
RESTORE = """async ([name, type, data]) => {
  app.graph.clear();
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  await app.handleFile(new File([bytes], name, {type}));
  return app.graph.nodes.map(({type, widgets}) => [type, widgets?.[0]?.value]).sort();
}"""


@pytest.fixture
def scene_name(host) -> str:
    """A static scene in ComfyUI's output folder, under the name in the list of STAG4D Load Scene."""
    path = host.base / "output" / "metadata-source.safetensors"
    save_scene(path, GaussianModel4D(random_gaussians(20), None, SceneInfo(num_frames=2)))
    return f"{path.name} [output]"


@pytest.fixture
def page(host, scene_name, browser):
    """The page with a graph that loads the scene, saves and exports it, and shows it in the viewer."""
    with open_host_page(browser, host.url, vue_nodes=False) as page:
        page.run(BUILD, scene_name)
        yield page


def newest(host, pattern: str) -> Path:
    """Return the file that was written last."""
    return max((host.base / "output" / "metadata").glob(pattern), key=lambda path: path.stat().st_mtime_ns)


def restored(page, path: Path, kind: str) -> list:
    """Drop a file on an empty graph; return types and first widget values of its nodes, sorted by type."""
    data = base64.b64encode(path.read_bytes()).decode()
    return page.run(RESTORE, [path.name, kind, data])


def test_scene_image_and_video_dropped_on_the_page_restore_the_graph(host, page, scene_name, tmp_path):
    page.execute()
    expected = [
        ["STAG4DExport", "metadata/page"],
        ["STAG4DLoad", scene_name],
        ["STAG4DPreview", 64],
        ["STAG4DSave", "metadata/scene"],
    ]
    page.wait("viewers()[0] && messageOf(viewers()[0]) === ''")
    with page.page.expect_download() as download:
        page.page.get_by_role("button", name="Save screenshot as PNG").dispatch_event("click")
    download.value.save_as(tmp_path / "viewer.png")
    with page.page.expect_download() as download:
        page.page.get_by_role("button", name="Download", exact=True).dispatch_event("click")
        page.page.get_by_role("button", name="MP4 video").dispatch_event("click")
    download.value.save_as(tmp_path / "viewer.mp4")

    scene = newest(host, "scene_*.safetensors")
    assert len(load_scene(scene).gaussians) == 20
    assert restored(page, scene, "") == expected
    assert restored(page, tmp_path / "viewer.png", "image/png") == expected
    assert restored(page, tmp_path / "viewer.mp4", "video/mp4") == expected
    exported = newest(host, "page_*.html").read_text(encoding="utf-8")
    text = exported.partition('id="metadata">')[2].partition("</script>")[0]
    nodes = json.loads(json.loads(text)["workflow"])["nodes"]
    assert sorted(node["type"] for node in nodes) == [kind for kind, _ in expected]


def test_glb_with_a_workflow_dropped_on_the_page_restores_the_graph(page, tmp_path):
    pytest.importorskip("fourdgs")
    workflow = json.dumps(page.run("app.graph.serialize()"))
    path = tmp_path / "a.glb"
    path.write_bytes(encode_glb(random_gaussians(3), {"workflow": workflow}))
    types = ["STAG4DExport", "STAG4DLoad", "STAG4DPreview", "STAG4DSave"]
    assert [kind for kind, _ in restored(page, path, "")] == types


def test_prompt_with_extra_pnginfo_is_in_the_files_and_a_second_save_is_not_recomputed(host, scene_name):
    prompt = {
        "1": {"class_type": "STAG4DLoad", "inputs": {"file": scene_name}},
        "2": {"class_type": "STAG4DSave", "inputs": {"scene": ["1", 0], "filename_prefix": "metadata/api"}},
        "3": {
            "class_type": "STAG4DExport",
            "inputs": {
                "scene": ["1", 0],
                "filename_prefix": "metadata/api",
                "format": "ply",
                "format.moment": 0.0,
            },
        },
    }
    for number in (1, 2):  # another workflow, but the same inputs: the results are in the cache
        extra = {"extra_pnginfo": {"workflow": {"id": f"workflow {number}"}}}
        answer = json.loads(host.post("/prompt", {"prompt": prompt, "extra_data": extra}))
        assert host.entry(answer["prompt_id"])["status"]["status_str"] == "success"
    (scene,) = (host.base / "output" / "metadata").glob("api_*.safetensors")
    with safe_open(scene, framework="pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata["workflow"]) == {"id": "workflow 1"}
    assert json.loads(metadata["prompt"])["2"]["class_type"] == "STAG4DSave"
    (ply,) = (host.base / "output" / "metadata").glob("api_*.ply")
    comments = dict(comment.split(" ", 1) for comment in PlyData.read(ply)["vertex"].comments)
    assert {name: json.loads(text) for name, text in comments.items()} == {
        name: json.loads(metadata[name]) for name in ("workflow", "prompt")
    }
