"""STAG4DPreview in a real ComfyUI in Chromium, in classic and Vue nodes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from host_page import FIT, LIT, SAMPLE, SIZE
from PIL import Image

pytestmark = [pytest.mark.host, pytest.mark.browser]

CANVAS, SLIDER = ".stag4d-viewer canvas", ".stag4d-viewer input[type=range]"


def view(page):
    """Return the view that would be saved now."""
    text = page.run("view()")
    return json.loads(text) if text else None


def iou(first, second):
    return (first & second).sum() / (first | second).sum()


def differ(first, second):
    """Return whether a visible share of two pictures' pixels differs."""
    return (np.abs(first.astype(int) - second).max(axis=-1) > 40).mean() > 0.003


def test_what_the_user_sees_is_saved_and_rendered(page, graph):
    assert view(page) is None  # looking does not change the workflow
    first = page.picture()
    page.drag(CANVAS, (0.5, 0.5), (0.3, 0.6))
    page.wait("view()")
    orbited = view(page)
    assert orbited["azimuth"] > 20
    assert orbited["elevation"] > 10
    second = page.picture()
    assert differ(first, second)
    page.drag(SLIDER, (0.02, 0.5), (0.6, 0.5))
    scrubbed = view(page)
    assert 0.4 < scrubbed["time"] < 0.8
    assert scrubbed["azimuth"] == orbited["azimuth"]
    third = page.picture()
    assert differ(second, third)
    page.wait("app.extensionManager.workflow.activeWorkflow.isModified")

    ran = page.execute()
    assert {"STAG4DPreview", "STAG4DRender"} <= ran
    assert not {"STAG4DSampleObject", "STAG4DOptimize"} & ran
    drawn = page.image(graph["mask"])[..., 0] > 127
    assert drawn.shape == (SIZE, SIZE)
    canvas = Image.fromarray(page.picture()[..., 3])
    assert abs(canvas.width - canvas.height) <= 1  # the shape of the node's cameras
    seen = np.asarray(canvas.resize((SIZE, SIZE), Image.Resampling.BILINEAR)) > 127
    assert seen.mean() > 0.02
    assert iou(seen, drawn) >= 0.98


def test_the_picture_and_the_view_come_back_after_another_workflow(page, graph):
    page.drag(CANVAS, (0.5, 0.5), (0.7, 0.5))
    page.wait("view()")
    saved, picture = view(page), page.picture()
    page.run("app.extensionManager.command.execute('Comfy.NewBlankWorkflow')")
    page.wait("app.graph.nodes.length === 0 && viewers().length === 0")
    page.run("app.extensionManager.command.execute('Workspace.PreviousOpenedWorkflow')")
    page.wait(LIT)
    assert view(page) == saved
    assert not differ(picture, page.picture())


def test_a_saved_workflow_shows_its_scene_without_a_run_and_says_when_it_is_gone(page, graph, host):
    page.drag(CANVAS, (0.5, 0.5), (0.7, 0.5))
    page.wait("view()")
    saved, workflow = view(page), page.run("app.graph.serialize()")
    page.run("(workflow) => app.loadGraphData(workflow)", workflow)
    page.wait(LIT)
    assert view(page) == saved
    name = page.run("node('STAG4DPreview').properties.stag4d_clip")
    (host.base / "temp" / "stag4d" / name).unlink()
    page.run("(workflow) => app.loadGraphData(workflow)", workflow)
    page.wait("viewers()[0] && messageOf(viewers()[0]).includes('no longer in the temp folder')")
    page.drag(CANVAS, (0.5, 0.5), (0.6, 0.5))
    assert view(page) is not None
    page.run("node('STAG4DPreview').widgets.find(({name}) => name === 'height').value += 8")
    page.execute()
    page.wait(LIT)


def test_a_copy_shows_the_same_and_leaves_when_it_is_removed(page, graph):
    page.drag(CANVAS, (0.5, 0.5), (0.7, 0.4))
    page.wait("view()")
    page.run(
        "() => { app.canvas.selectItems([node('STAG4DPreview')]); app.canvas.copyToClipboard();"
        "app.canvas.pasteFromClipboard({ position: [900, 500] });"
        "window.copy = app.graph.nodes.at(-1); }"
    )
    page.wait("viewers().length === 2 && viewers().every(isLit)")
    assert page.run("copy.widgets.find(({name}) => name === 'view').value") == page.run("view()")
    page.run("app.graph.remove(copy)")
    page.wait("viewers().length === 1")
    page.run("app.graph.remove(node('STAG4DPreview'))")
    page.wait("viewers().length === 0")


def test_it_survives_collapsing_and_another_size(page, graph):
    collapse = "node('STAG4DPreview').collapse(); app.canvas.setDirty(true, true)"
    page.run(collapse)
    page.wait("!viewers()[0]?.checkVisibility()")
    page.run(collapse)
    page.wait(f"viewers()[0]?.checkVisibility() && {LIT}")
    width = page.run("pictureOf(viewers()[0]).width")
    page.run("node('STAG4DPreview').setSize([600, 820]); app.canvas.setDirty(true, true)")
    page.wait(f"pictureOf(viewers()[0]).width > {width} + 50 && {LIT}")


def test_the_wheel_zooms_the_picture_once_it_was_clicked_and_the_graph_before(page, graph):
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


def test_the_middle_button_moves_the_graph_and_not_the_camera(page, graph):
    box, before = page.page.locator(CANVAS).bounding_box(), page.run("[...app.canvas.ds.offset]")
    page.page.mouse.move(box["x"] + 150, box["y"] + 150)
    page.page.mouse.down(button="middle")
    page.page.mouse.move(box["x"] + 210, box["y"] + 150, steps=4)
    page.page.mouse.up(button="middle")
    page.wait(f"app.canvas.ds.offset[0] > {before[0]} + 30")
    assert view(page) is None


def test_keys_move_the_camera_and_not_the_graph(page, graph):
    page.drag(CANVAS, (0.5, 0.5), (0.55, 0.5))
    page.wait("view()")
    azimuth, nodes = view(page)["azimuth"], page.run("app.graph.nodes.map((one) => [...one.pos])")
    page.page.keyboard.press("ArrowRight")
    assert view(page)["azimuth"] == pytest.approx(azimuth + 5)
    page.page.keyboard.press(".")
    assert view(page)["time"] == pytest.approx(1 / 3)
    assert page.run("app.graph.nodes.map((one) => [...one.pos])") == nodes


def test_the_scene_is_shown_while_it_grows_and_stays_when_the_fit_is_cancelled(page):
    fit = FIT | {"steps": 100_000, "seed": 21 + page.run("LiteGraph.vueNodesMode ? 1 : 0")}
    built = page.run("([s, f, w]) => build(s, f, w, w)", [SAMPLE, fit, SIZE])
    page.run("(workflow) => app.loadGraphData(workflow)", built["workflow"])
    before = page.run("ends")
    page.run("() => { app.queuePrompt(0, 1); }")
    page.wait(LIT, seconds=90)
    first = page.run("pictureOf(viewers()[0]).toDataURL()")
    page.wait(f"pictureOf(viewers()[0]).toDataURL() !== {json.dumps(first)}", seconds=60)
    assert page.run("ends") == before  # it is still at work
    page.run("window.comfyAPI.api.api.interrupt()")
    page.wait(f"ends > {before}")
    assert page.run(LIT)


def test_a_scene_does_not_grow_in_another_workflow_whose_nodes_have_the_same_ids(page):
    fit = FIT | {"steps": 100_000, "seed": 31 + page.run("LiteGraph.vueNodesMode ? 1 : 0")}
    built = page.run("([s, f, w]) => build(s, f, w, w)", [SAMPLE, fit, SIZE])
    page.run("(workflow) => app.loadGraphData(workflow)", built["workflow"])
    before = page.run("ends")
    page.run("() => { app.queuePrompt(0, 1); }")
    page.wait(LIT, seconds=90)
    page.run("(workflow) => app.loadGraphData({ ...workflow, id: crypto.randomUUID() })", built["workflow"])
    page.run("() => comfyAPI.api.api.addEventListener('stag4d.growing', () => (window.hasGrown = true))")
    page.wait("window.hasGrown", seconds=60)
    page.page.wait_for_timeout(1000)
    assert page.run("messageOf(viewers()[0])") == "Run the workflow to see the scene."
    assert page.run("ends") == before
    page.run("window.comfyAPI.api.api.interrupt()")
    page.wait(f"ends > {before}")
