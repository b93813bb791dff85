"""Viewers in a real ComfyUI: many, removed, undone, in subgraphs; lost contexts, reloads, other tabs."""

from __future__ import annotations

import pytest
from counted_gl import COUNT_GL, LOSE_CONTEXT, RESTORE_CONTEXT
from host_page import FIT, SAMPLE, SHOWS_SCENE, SIZE
from node_modes import mostly_vue

pytestmark = [pytest.mark.host, pytest.mark.browser]

COPY = """() => {
  const copy = node("STAG4DPreview").clone();
  const number = app.graph.nodes.length;
  app.graph.add(copy);
  [copy.pos, copy.size] = [[60 + 420 * (number % 7), 900 + 620 * Math.floor(number / 7)], [400, 600]];
  return copy.id;
}"""
UNDO_HELPERS = """Object.assign(window, {
  tracker: () => app.extensionManager.workflow.activeWorkflow.changeTracker,
  clip: () => node("STAG4DPreview").properties.stag4d_clip,
  isClipCaptured: () =>
    tracker().activeState.nodes.some(({properties}) => properties.stag4d_clip === clip()),
  setSeed(seed) {
    node("STAG4DOptimize").widgets.find(({name}) => name === "seed").value = seed;
    tracker().captureCanvasState();
  },
  move(changed, x) {
    changed.pos = [x, 60];
    tracker().captureCanvasState();
  },
  // ComfyUI stores the workflow, JSON within JSON, some time after a change.
  isStored: (text) =>
    Object.values({...localStorage}).some((item) => item.replaceAll("\\\\", "").includes(text)),
})"""
RECORD_FILES = """() => {
  const {api} = window.comfyAPI.api;
  const {fetchApi} = api;
  window.requestedFiles = [];
  api.fetchApi = (route, ...rest) => {
    if (route.includes(".s4d")) requestedFiles.push(new URLSearchParams(route.split("?")[1]).get("filename"));
    return fetchApi.call(api, route, ...rest);
  };
}"""
SHOW_ALL = "app.canvas.ds.scale = 0.2; app.canvas.ds.offset = [0, 0]; app.canvas.setDirty(true, true)"


@pytest.fixture
def page(page):
    """The page, with ``UNDO_HELPERS``, after reloads too."""
    page.page.add_init_script(UNDO_HELPERS)
    page.run(UNDO_HELPERS)
    return page


@pytest.fixture
def page_with_gl_counts(page):
    """The page, on which ``glCounts`` counts WebGL2 contexts and objects."""
    page.run(COUNT_GL)
    return page


@mostly_vue
def test_removed_viewers_leave_no_gl_objects(page_with_gl_counts, graph):
    page = page_with_gl_counts
    page.run(SHOW_ALL)
    page.wait(SHOWS_SCENE)
    before = page.run("({ ...glCounts })")
    for repetition in range(40):
        page.run(COPY)
        # Three of four are removed while they load.
        is_loaded = " && viewers().every(showsScene)" if repetition % 4 == 0 else ""
        page.wait(f"viewers().length === 2{is_loaded}")
        page.run("app.graph.remove(app.graph.nodes.at(-1))")
        page.wait("viewers().length === 1")
    page.wait(f"glCounts.objects === {before['objects']}")
    assert page.run("glCounts.contexts") == before["contexts"] == 1
    assert page.run(SHOWS_SCENE)


@mostly_vue
def test_twenty_viewers_share_one_context_and_all_show_the_scene(page_with_gl_counts, graph):
    page = page_with_gl_counts
    page.run(SHOW_ALL)
    for _ in range(19):
        page.run(COPY)
    page.wait("viewers().length === 20 && viewers().every(showsScene)")
    assert page.run("glCounts.contexts") == 1
    page.run("app.graph.clear()")
    page.wait("viewers().length === 0")


@mostly_vue
def test_viewer_shows_the_scene_after_a_restored_context(page_with_gl_counts, graph):
    page = page_with_gl_counts
    page.run(LOSE_CONTEXT)
    page.wait("messageOf(viewers()[0]).includes('graphics driver was reset')")
    page.run(RESTORE_CONTEXT)
    page.wait(SHOWS_SCENE)


@mostly_vue
def test_every_undo_and_redo_keeps_the_scene_and_its_gl_objects(page_with_gl_counts, graph):
    page = page_with_gl_counts
    page.wait(SHOWS_SCENE)
    before = page.run("({ ...glCounts })")
    page.run(RECORD_FILES)
    for number in range(20):
        page.run("(x) => move(node('STAG4DRender'), x)", 1000 + 10 * number)
    for step in ("undo", "redo"):
        for _ in range(20):
            page.run(f"tracker().{step}()")
            page.wait(f"{SHOWS_SCENE} && viewers()[0].checkVisibility()")
    assert page.run("viewers().length") == 1
    assert page.run("requestedFiles") == []
    assert page.run("({ ...glCounts })") == before


@mostly_vue
def test_undo_restores_the_camera(page, graph):
    first = page.canvas()
    num_steps = page.run("tracker().undoQueue.length")
    page.drag(".stag4d-viewer canvas", (0.5, 0.5), (0.7, 0.5))
    page.wait(f"view() && tracker().undoQueue.length > {num_steps}")
    page.run("rendered()")
    page.run("tracker().undo()")
    assert not page.run("view()")
    page.wait_for_canvas(lambda found: (found == first).all())
    page.run("tracker().redo()")
    assert page.run("view()")
    page.wait_for_canvas(lambda found: (found != first).any())


@pytest.mark.slow
def test_undo_of_an_input_shows_the_scene_that_was_fitted_with_it(page, graph):
    first = page.run("clip()")
    page.run("setSeed", 12)
    page.execute()
    page.wait(f"clip() !== '{first}' && isClipCaptured()")
    second = page.run("clip()")
    page.run(RECORD_FILES)
    for step, shown in (("undo", first), ("redo", second), ("undo", first)):
        page.run(f"tracker().{step}()")
        page.run("rendered()")
        assert page.run("clip()") == shown
        page.wait(f"requestedFiles.at(-1) === '{shown}'")
        page.wait(SHOWS_SCENE)


@pytest.mark.slow
def test_undo_of_a_change_during_a_run_keeps_the_scene_of_the_run(page, graph):
    first = page.run("clip()")
    page.run("setSeed", 14)
    page.run("async () => { await app.queuePrompt(0, 1); move(node('STAG4DRender'), 1000); }")
    page.wait(f"clip() !== '{first}' && isClipCaptured()")
    second = page.run("clip()")
    page.run("tracker().undo()")
    assert page.run("node('STAG4DRender').pos[0]") != 1000
    page.run("rendered()")
    assert page.run("clip()") == second
    page.wait(SHOWS_SCENE)


@mostly_vue
def test_page_reloaded_right_after_a_run_shows_its_scene(page, graph):
    page.run("app.extensionManager.setting.set('Comfy.Workflow.Persist', true)")
    first = page.run("clip()")
    page.run("setSeed", 13)
    page.wait("""isStored('"seed":13')""")
    page.execute()
    page.wait(f"clip() !== '{first}'")
    second = page.run("clip()")
    page.page.reload()  # before ComfyUI has stored the workflow
    page.wait_for_app()
    page.wait(SHOWS_SCENE)
    assert page.run("clip()") == second
    page.wait(f"isStored('{second}')")


@pytest.mark.slow
def test_result_of_a_run_is_shown_only_in_the_tab_of_its_workflow(page):
    workflow = page.run("([s, f, w]) => build(s, f, w, w)", [SAMPLE, FIT | {"seed": 41}, SIZE])["workflow"]
    page.run("(workflow) => app.loadGraphData(workflow)", workflow)
    ended = page.run("numEnds")
    page.run(
        "async (workflow) => { await app.queuePrompt(0, 1);"
        "await app.loadGraphData({ ...workflow, id: crypto.randomUUID() }); }",
        workflow,
    )
    page.wait(f"numEnds > {ended}")
    page.run("rendered()")
    assert page.run("messageOf(viewers()[0])") == "Run the workflow to see the scene."
    assert not page.run("clip()")
    page.run("app.extensionManager.command.execute('Workspace.PreviousOpenedWorkflow')")
    page.wait(SHOWS_SCENE)
    page.run("app.extensionManager.command.execute('Workspace.NextOpenedWorkflow')")
    page.wait("viewers()[0] && messageOf(viewers()[0]) === 'Run the workflow to see the scene.'")


@mostly_vue
def test_reloaded_page_shows_the_scene_and_the_saved_view(page, graph):
    page.run("app.extensionManager.setting.set('Comfy.Workflow.Persist', true)")
    page.drag(".stag4d-viewer canvas", (0.5, 0.5), (0.7, 0.5))
    page.wait("view()")
    saved = page.run("view()")
    page.wait("isStored(view())")
    page.page.reload()
    page.wait_for_app()
    page.wait(SHOWS_SCENE)
    assert page.run("view()") == saved


@mostly_vue
def test_viewer_in_a_subgraph_shows_its_scene(page, graph):
    page.run("() => { window.converted = app.graph.convertToSubgraph(new Set([node('STAG4DPreview')])); }")
    page.execute()
    page.run("app.canvas.openSubgraph(converted.subgraph, converted.node)")
    page.wait(SHOWS_SCENE)
    page.drag(".stag4d-viewer canvas", (0.5, 0.5), (0.7, 0.5))
    page.wait("app.canvas.graph.nodes.find(({type}) => type === 'STAG4DPreview').widgets.at(-1).value")


@pytest.mark.slow
def test_undo_keeps_the_viewer_in_a_subgraph(page_with_gl_counts, graph):
    page = page_with_gl_counts
    page.run("() => { window.converted = app.graph.convertToSubgraph(new Set([node('STAG4DPreview')])); }")
    page.execute()
    page.run("app.canvas.openSubgraph(converted.subgraph, converted.node)")
    page.wait(SHOWS_SCENE)
    before = page.run("({ ...glCounts })")
    for number in range(5):
        page.run(
            "(x) => { app.canvas.graph.nodes[0].pos = [x, 90]; tracker().captureCanvasState(); }", 60 + number
        )
    for step in ("undo", "redo"):
        for _ in range(5):
            page.run(f"tracker().{step}()")
            page.wait(f"{SHOWS_SCENE} && viewers()[0].checkVisibility()")
    assert page.run("viewers().length") == 1
    assert page.run("({ ...glCounts })") == before
