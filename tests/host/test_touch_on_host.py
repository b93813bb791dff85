"""The viewer of STAG4D Preview in a real ComfyUI on a touch screen, and its comparison of two scenes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from host_page import SHOWS_SCENE, open_host_page
from solid_scene import solid_scene

from stag4d.scene import GaussianModel4D, save_scene

pytestmark = [pytest.mark.host, pytest.mark.browser]
BUILD = """() => {
  app.graph.clear();
  const scene = add("STAG4DLoad", [40, 60], [300, 140], {file: "box.safetensors"});
  const second = add("STAG4DLoad", [40, 400], [300, 140], {file: "fewer.safetensors"});
  const preview = add("STAG4DPreview", [400, 60], [460, 680], {});
  join(scene, "scene", preview, "scene");
  join(second, "scene", preview, "scene_b");
}"""
FILES = "['', '_b'].map((end) => node('STAG4DPreview').properties['stag4d_clip' + end])"
TRACKER = "app.extensionManager.workflow.activeWorkflow.changeTracker"
CHANGE_SECOND = f"""() => {{
  {TRACKER}.captureCanvasState();
  const [, second] = app.graph.nodes.filter(({{type}}) => type === "STAG4DLoad");
  second.widgets.find(({{name}}) => name === "file").value = "box.safetensors";
  {TRACKER}.captureCanvasState();
}}"""
RADIUS = "JSON.parse(view()).radius"


@pytest.fixture(params=[False, True], ids=["classic", "vue"])
def touched(host, browser, request):
    """ComfyUI's page on a touch screen, with a scene that is compared with one of half its splats."""
    box = solid_scene()
    fewer = box.gaussians.map(lambda value: value[: len(value) // 2])
    for name, gaussians in (("box", box.gaussians), ("fewer", fewer)):
        scene = GaussianModel4D(gaussians, None, replace(box.info, num_frames=1))
        save_scene(host.base / "input" / f"{name}.safetensors", scene)
    with open_host_page(browser, host.url, vue_nodes=request.param, has_touch=True) as page:
        page.run(BUILD)
        page.execute()
        page.wait(SHOWS_SCENE)
        yield page


def test_two_fingers_on_the_viewer_zoom_the_scene_and_not_the_graph(touched):
    box = touched.page.locator(".stag4d-viewer canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 4
    session = touched.page.context.new_cdp_session(touched.page)
    before = touched.run("[app.canvas.ds.scale, ...app.canvas.ds.offset]")
    for kind, distance in (("touchStart", 0.12), ("touchMove", 0.24), ("touchMove", 0.36), ("touchEnd", 0)):
        reach = distance * box["width"]  # beside the divider of the wipe
        points = [{"x": x - reach, "y": y, "id": 0}, {"x": x + reach, "y": y, "id": 1}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points if distance else []})
    touched.wait("view()")
    assert touched.run(RADIUS) == pytest.approx(2 / 3, rel=0.1)
    assert touched.run("[app.canvas.ds.scale, ...app.canvas.ds.offset]") == before
    touched.page.touchscreen.tap(20, 500)  # the page still counts fingers right
    touched.page.mouse.move(60, 500)
    touched.page.mouse.wheel(0, 100)
    touched.wait(f"app.canvas.ds.scale !== {before[0]}")


def test_second_scene_is_compared_by_a_wipe_and_kept_over_a_reload_of_the_workflow(touched):
    divider = touched.page.get_by_role("slider", name="Wipe between A and B")
    divider.wait_for()
    first, second = touched.run(FILES)
    assert first != second
    workflow = touched.run("app.graph.serialize()")
    touched.run("(workflow) => app.loadGraphData(workflow)", workflow)
    touched.wait(SHOWS_SCENE)
    divider.wait_for()
    assert touched.run(FILES) == [first, second]
    touched.run(CHANGE_SECOND)
    touched.execute()
    touched.wait(f"{FILES}[1] === '{first}'")
    touched.wait(
        f"{TRACKER}.activeState.nodes.some(({{properties}}) => properties.stag4d_clip_b === '{first}')"
    )
    for _ in range(3):  # ComfyUI may have recorded the sizes of nodes as a step of its own
        touched.run(f"{TRACKER}.undo()")
        if touched.run(FILES) != [first, first]:
            break
    assert touched.run(FILES) == [first, second]
