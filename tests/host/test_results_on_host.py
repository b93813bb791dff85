"""Files and metrics shown on nodes after a run in a real ComfyUI in Chromium, in classic and Vue nodes."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlparse

import pytest
from host_page import FIT, SAMPLE, SIZE
from node_modes import mostly_vue

pytestmark = [pytest.mark.host, pytest.mark.browser]

HELPERS = """Object.assign(window, {
  addOutputs() {
    const [scene, render] = [node("STAG4DOptimize"), node("STAG4DRender")];
    const saved = add("STAG4DSave", [40, 760], [330, 80], { filename_prefix: "results/scene" });
    const exported = add("STAG4DExport", [420, 760], [330, 110], { filename_prefix: "results/frames" });
    exported.widgets.find(({ name }) => name === "format").value = "ply sequence";
    const evaluated = add("STAG4DEvaluate", [800, 760], [330, 100], {});
    join(scene, "scene", saved, "scene");
    join(scene, "scene", exported, "scene");
    join(render, "images", evaluated, "images");
    join(render, "images", evaluated, "truth");
    app.canvas.ds.scale = 0.6;
    app.canvas.ds.offset = [20, 20];
    return app.graph.serialize();
  },
  results: (type) => node(type).widgets.find(({ name }) => name === "results").element,
  isShown: (type) => document.contains(results(type)) && results(type).checkVisibility(),
  shownText: (type) => results(type).querySelector("pre").textContent,
  links: (type) => [...results(type).querySelectorAll("a")].map(({ href }) => href),
})"""
TYPES = ("STAG4DSave", "STAG4DExport", "STAG4DEvaluate")
ARE_SHOWN = " && ".join(f"isShown('{type}')" for type in TYPES)
TEXTS = "[" + ", ".join(f"shownText('{type}')" for type in TYPES) + "]"


@pytest.fixture
def outputs(page):
    """A workflow that has saved, exported and evaluated a scene."""
    page.run(HELPERS)
    page.run("([s, f, w]) => build(s, f, w, w)", [SAMPLE, FIT, SIZE])
    page.run("(workflow) => app.loadGraphData(workflow)", page.run("addOutputs()"))
    page.execute()
    page.wait(ARE_SHOWN)


@mostly_vue
def test_written_files_are_shown_with_links_that_download_them(page, outputs, host):
    (saved,) = page.run("shownText('STAG4DSave')").splitlines()
    assert saved.startswith("results/scene_")
    frames = page.run("shownText('STAG4DExport')").splitlines()
    assert [frame.rpartition("/")[2] for frame in frames] == [f"frame_{f:04}.ply" for f in range(4)]
    for type, names in (("STAG4DSave", [saved]), ("STAG4DExport", frames)):
        for name, link in zip(names, page.run(f"links('{type}')"), strict=True):
            content = host.get(link.removeprefix(page.url))
            assert content == (host.base / "output" / name).read_bytes()
    with page.page.expect_download() as download:
        page.page.get_by_role("link", name=saved).click()
    assert download.value.suggested_filename == saved.rpartition("/")[2]


@mostly_vue
def test_metrics_are_shown_and_can_be_copied(page, outputs):
    report = page.run("shownText('STAG4DEvaluate')")
    assert [line.split()[:3] for line in report.splitlines()[1:4]] == [
        ["PSNR", "dB", "100.000"],
        ["PSNR", "masked", "dB"],
        ["SSIM", "1.000", "1.000"],
    ]
    page.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.run("results('STAG4DEvaluate').querySelector('button').setAttribute('aria-label', 'copy report')")
    page.page.get_by_role("button", name="copy report").click()
    page.page.get_by_text("Copied").wait_for()
    assert page.run("navigator.clipboard.readText()") == report
    page.run("() => { navigator.clipboard.writeText = () => Promise.reject(); }")  # as on a page from http
    page.run("results('STAG4DSave').querySelector('button').setAttribute('aria-label', 'copy file')")
    page.page.get_by_role("button", name="copy file").click()
    page.wait("results('STAG4DSave').querySelector('[role=status]').textContent === 'Copied'")
    assert page.run("navigator.clipboard.readText()") == page.run("shownText('STAG4DSave')")


@mostly_vue
def test_results_are_kept_on_undo_and_restored_after_another_workflow(page, outputs):
    texts = page.run(TEXTS)
    page.run("() => { node('STAG4DSave').pos = [40, 800]; }")
    tracker = "app.extensionManager.workflow.activeWorkflow.changeTracker"
    page.run(f"{tracker}.captureCanvasState()")
    for step in ("undo", "redo", "undo"):
        page.run(f"{tracker}.{step}()")
        page.wait(ARE_SHOWN)
        assert page.run(TEXTS) == texts
    page.run("app.extensionManager.command.execute('Comfy.NewBlankWorkflow')")
    page.wait("app.graph.nodes.length === 0 && !document.querySelector('.stag4d-results')")
    page.run("app.extensionManager.command.execute('Workspace.PreviousOpenedWorkflow')")
    page.wait(f"node('STAG4DSave') && {ARE_SHOWN}")
    assert page.run(TEXTS) == texts


@mostly_vue
def test_results_are_neither_in_workflows_nor_in_prompts(page, outputs):
    workflow, prompt = page.run("app.graph.serialize()"), page.run("app.graphToPrompt()")["output"]
    values = {node["type"]: node.get("widgets_values") for node in workflow["nodes"]}
    assert values["STAG4DSave"] == ["results/scene"]
    assert values["STAG4DExport"] == ["results/frames", "ply sequence"]
    assert values["STAG4DEvaluate"] is None
    assert not [node for node in prompt.values() if "results" in node["inputs"]]
    stored = page.run(
        """() => ["ply", "spz", "ply sequence"].map((format) => {
          const exported = node("STAG4DExport");
          exported.widgets.find(({ name }) => name === "format").value = format;
          return exported.serialize().widgets_values;
        })"""
    )
    assert stored == [
        ["results/frames", "ply", 0.5],
        ["results/frames", "spz", 0.5, "3"],
        ["results/frames", "ply sequence"],
    ]


@mostly_vue
def test_only_files_of_the_output_folder_are_linked(page, outputs, host):
    files = [
        {"filename": "secret.txt", "subfolder": "", "type": "input"},
        {"filename": "javascript:alert(1)", "subfolder": "../../etc", "type": "output"},
    ]
    page.run(f"node('STAG4DSave').onExecuted({{ stag4d_files: {json.dumps(files)} }})")
    page.wait("shownText('STAG4DSave').includes('javascript')")
    (link,) = map(urlparse, page.run("links('STAG4DSave')"))
    assert f"{link.scheme}://{link.netloc}" == page.url
    assert link.path.endswith("/view")
    assert parse_qs(link.query)["type"] == ["output"]
    assert "secret" not in page.run("shownText('STAG4DSave')")
