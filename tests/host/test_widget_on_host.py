"""The viewer on STAG4D Preview in a real ComfyUI in Chromium, in classic and Vue nodes."""

from __future__ import annotations

import json
from contextlib import contextmanager

import numpy as np
import pytest
from host_page import FIT, SAMPLE, SHOWS_SCENE, SIZE
from node_modes import mostly_vue
from PIL import Image

pytestmark = [pytest.mark.host, pytest.mark.browser]

CANVAS, SLIDER = ".stag4d-viewer canvas", ".stag4d-viewer input[type=range]"
ENDLESS = 100_000  # steps, far more than are done before a fit is interrupted
RECORD_PREVIEWS = """() => {
  const {api} = window.comfyAPI.api;
  const {fetchApi} = api;
  Object.assign(window, {numPreviews: 0, requestedFiles: []});
  api.fetchApi = (route, ...rest) => {
    if (route.includes(".s4d")) requestedFiles.push(route);
    return fetchApi.call(api, route, ...rest);
  };
  api.addEventListener("stag4d.live_preview", () => numPreviews++);  // after the listener of the widgets
}"""


def view(page):
    """Return the view that the node saves now, None before any was chosen."""
    text = page.run("view()")
    return json.loads(text) if text else None


def iou(first, second):
    """Return the intersection over union of two masks."""
    return (first & second).sum() / (first | second).sum()


def differ(first, second):
    """Return whether more than 0.3 % of two images' pixels differ visibly."""
    return (np.abs(first.astype(int) - second).max(axis=-1) > 40).mean() > 0.003


@contextmanager
def running_fit(page, seed):
    """Run a fit that is long enough to be interrupted at the end of the block; yield its workflow."""
    fit = FIT | {"steps": ENDLESS, "seed": seed + page.run("LiteGraph.vueNodesMode ? 1 : 0")}
    workflow = page.run("([s, f, w]) => build(s, f, w, w)", [SAMPLE, fit, SIZE])["workflow"]
    page.run("(workflow) => app.loadGraphData(workflow)", workflow)
    with page.executing():
        page.wait(SHOWS_SCENE)
        yield workflow


def test_view_in_the_widget_is_saved_and_rendered(page, graph):
    assert view(page) is None  # until the user changes it
    first = page.canvas()
    page.drag(CANVAS, (0.5, 0.5), (0.3, 0.6))
    page.wait("view()")
    orbited = view(page)
    assert orbited["azimuth"] > 20
    assert orbited["elevation"] > 10
    second = page.canvas()
    assert differ(first, second)
    page.drag(SLIDER, (0.02, 0.5), (0.6, 0.5))
    scrubbed = view(page)
    assert 0.4 < scrubbed["time"] < 0.8
    assert scrubbed["azimuth"] == orbited["azimuth"]
    third = page.canvas()
    assert differ(second, third)
    page.wait("app.extensionManager.workflow.activeWorkflow.isModified")

    executed = page.execute()
    assert {"STAG4DPreview", "STAG4DRender"} <= executed
    assert not {"STAG4DSampleObject", "STAG4DOptimize"} & executed
    rendered = page.output_image(graph["mask"])[..., 0] > 127
    assert rendered.shape == (SIZE, SIZE)
    canvas = Image.fromarray(page.canvas()[..., 3])
    assert abs(canvas.width - canvas.height) <= 1  # the aspect ratio of the node's cameras
    shown = np.asarray(canvas.resize((SIZE, SIZE), Image.Resampling.BILINEAR)) > 127
    assert shown.mean() > 0.02
    assert iou(shown, rendered) >= 0.98


@mostly_vue
def test_image_and_view_are_restored_after_another_workflow(page, graph):
    page.drag(CANVAS, (0.5, 0.5), (0.7, 0.5))
    page.wait("view()")
    saved, image = view(page), page.canvas()
    page.run("app.extensionManager.command.execute('Comfy.NewBlankWorkflow')")
    page.wait("app.graph.nodes.length === 0 && viewers().length === 0")
    page.run("app.extensionManager.command.execute('Workspace.PreviousOpenedWorkflow')")
    page.wait(SHOWS_SCENE)
    assert view(page) == saved
    page.wait_for_canvas(lambda found: found.shape == image.shape and not differ(found, image))


def test_loaded_workflow_shows_its_scene_without_a_run_and_reports_a_missing_file(page, graph, host):
    page.drag(CANVAS, (0.5, 0.5), (0.7, 0.5))
    page.wait("view()")
    saved, workflow = view(page), page.run("app.graph.serialize()")
    page.run("(workflow) => app.loadGraphData(workflow)", workflow)
    page.wait(SHOWS_SCENE)
    assert view(page) == saved
    name = page.run("node('STAG4DPreview').properties.stag4d_clip")
    (host.base / "temp" / "stag4d" / name).unlink()
    page.run("(workflow) => app.loadGraphData(workflow)", workflow)
    page.wait("viewers()[0] && messageOf(viewers()[0]).includes('no longer in the temp folder')")
    page.drag(CANVAS, (0.5, 0.5), (0.6, 0.5))
    assert view(page) is not None
    page.run("node('STAG4DPreview').widgets.find(({name}) => name === 'height').value += 8")
    page.execute()
    page.wait(SHOWS_SCENE)


@mostly_vue
def test_copied_node_shows_the_scene_and_a_removed_node_removes_its_viewer(page, graph):
    page.drag(CANVAS, (0.5, 0.5), (0.7, 0.4))
    page.wait("view()")
    page.run(
        "() => { app.canvas.selectItems([node('STAG4DPreview')]); app.canvas.copyToClipboard();"
        "app.canvas.pasteFromClipboard({ position: [900, 500] });"
        "window.copy = app.graph.nodes.at(-1); }"
    )
    page.wait("viewers().length === 2 && viewers().every(showsScene)")
    assert page.run("copy.widgets.find(({name}) => name === 'view').value") == page.run("view()")
    page.run("app.graph.remove(copy)")
    page.wait("viewers().length === 1")
    page.run("app.graph.remove(node('STAG4DPreview'))")
    page.wait("viewers().length === 0")


@mostly_vue
def test_viewer_survives_collapsing_and_resizing(page, graph):
    collapse = "node('STAG4DPreview').collapse(); app.canvas.setDirty(true, true)"
    page.run(collapse)
    page.wait("!viewers()[0]?.checkVisibility()")
    page.run(collapse)
    page.wait(f"viewers()[0]?.checkVisibility() && {SHOWS_SCENE}")
    width = page.canvas().shape[1]
    page.run("node('STAG4DPreview').setSize([600, 820]); app.canvas.setDirty(true, true)")
    page.wait(f"canvasOf(viewers()[0]).width > {width} + 50 && {SHOWS_SCENE}")


def test_wheel_zooms_the_graph_until_the_viewer_is_clicked(page, graph):
    box = page.page.locator(CANVAS).bounding_box()
    page.page.mouse.move(box["x"] + 150, box["y"] + 150)
    scale = page.run("app.canvas.ds.scale")
    page.page.mouse.wheel(0, 120)
    page.wait(f"app.canvas.ds.scale < {scale}")
    assert view(page) is None
    page.drag(CANVAS, (0.5, 0.5), (0.55, 0.5))
    page.wait("view()")
    radius, scale = view(page)["radius"], page.run("app.canvas.ds.scale")
    page.page.mouse.wheel(0, 120)
    page.wait(f"JSON.parse(view()).radius > {radius}")
    assert page.run("app.canvas.ds.scale") == scale


@mostly_vue
def test_middle_button_moves_the_graph_and_not_the_camera(page, graph):
    box, before = page.page.locator(CANVAS).bounding_box(), page.run("[...app.canvas.ds.offset]")
    page.page.mouse.move(box["x"] + 150, box["y"] + 150)
    page.page.mouse.down(button="middle")
    page.page.mouse.move(box["x"] + 210, box["y"] + 150, steps=4)
    page.page.mouse.up(button="middle")
    page.wait(f"app.canvas.ds.offset[0] > {before[0]} + 30")
    assert view(page) is None


@mostly_vue
def test_right_button_pans_the_camera_and_leaves_focus_to_the_viewer(page, graph):
    box = page.page.locator(CANVAS).bounding_box()
    page.page.mouse.move(box["x"] + 150, box["y"] + 150)
    page.page.mouse.down(button="right")
    page.page.mouse.move(box["x"] + 200, box["y"] + 150, steps=4)
    page.page.mouse.up(button="right")
    page.wait("view()")
    assert np.abs(view(page)["target"]).max() > 0.1
    page.run("rendered()")
    assert page.page.locator("[role=menu], .p-contextmenu, .p-popover, .litecontextmenu").count() == 0
    assert page.run("viewers()[0].matches(':focus-within')")
    radius, azimuth, scale = view(page)["radius"], view(page)["azimuth"], page.run("app.canvas.ds.scale")
    page.page.mouse.wheel(0, 120)
    page.wait(f"JSON.parse(view()).radius > {radius}")
    page.page.keyboard.press("ArrowRight")
    assert view(page)["azimuth"] == pytest.approx(azimuth + 5)
    assert page.run("app.canvas.ds.scale") == scale


def test_keys_move_the_camera_and_not_the_nodes(page, graph):
    page.drag(CANVAS, (0.5, 0.5), (0.55, 0.5))
    page.wait("view()")
    azimuth, nodes = view(page)["azimuth"], page.run("app.graph.nodes.map(({pos}) => [...pos])")
    page.page.keyboard.press("ArrowRight")
    assert view(page)["azimuth"] == pytest.approx(azimuth + 5)
    page.page.keyboard.press(".")
    assert view(page)["time"] == pytest.approx(1 / 3)
    assert page.run("app.graph.nodes.map(({pos}) => [...pos])") == nodes


def test_live_preview_of_a_fit_is_updated_and_kept_after_an_interrupt(page):
    with running_fit(page, seed=21):
        first = page.run("canvasOf(viewers()[0]).toDataURL()")
        page.wait(f"canvasOf(viewers()[0]).toDataURL() !== {json.dumps(first)}")
    assert page.run(SHOWS_SCENE)


@mostly_vue
def test_live_preview_is_not_shown_in_another_workflow_with_the_same_node_ids(page):
    page.run(RECORD_PREVIEWS)
    with running_fit(page, seed=31) as workflow:
        assert page.run("requestedFiles.length") > 0
        page.run(
            "async (workflow) => { await app.loadGraphData({ ...workflow, id: crypto.randomUUID() });"
            "numPreviews = requestedFiles.length = 0; }",
            workflow,
        )
        page.wait("numPreviews > 0")
        assert page.run("requestedFiles") == []
        assert page.run("messageOf(viewers()[0])") == "Run the workflow to see the scene."
