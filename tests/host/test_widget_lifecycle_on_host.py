"""Many and removed viewers in a real ComfyUI, a lost context, a reloaded page, and subgraphs."""

from __future__ import annotations

import pytest
from counted_gl import COUNT_GL, LOSE_CONTEXT, RESTORE_CONTEXT
from host_page import SHOWS_SCENE

pytestmark = [pytest.mark.host, pytest.mark.browser]

COPY = """() => {
  const copy = node("STAG4DPreview").clone();
  const number = app.graph.nodes.length;
  app.graph.add(copy);
  [copy.pos, copy.size] = [[60 + 420 * (number % 7), 900 + 620 * Math.floor(number / 7)], [400, 600]];
  return copy.id;
}"""
# ComfyUI stores the workflow, JSON within JSON, some time after a change.
IS_VIEW_STORED = (
    r"""Object.values({...localStorage}).some((text) => text.replaceAll("\\", "").includes(view()))"""
)
SHOW_ALL = "app.canvas.ds.scale = 0.2; app.canvas.ds.offset = [0, 0]; app.canvas.setDirty(true, true)"


@pytest.fixture
def page_with_gl_counts(page):
    """The page, on which ``glCounts`` counts WebGL2 contexts and objects."""
    page.run(COUNT_GL)
    return page


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


def test_twenty_viewers_share_one_context_and_all_show_the_scene(page_with_gl_counts, graph):
    page = page_with_gl_counts
    page.run(SHOW_ALL)
    for _ in range(19):
        page.run(COPY)
    page.wait("viewers().length === 20 && viewers().every(showsScene)")
    assert page.run("glCounts.contexts") == 1
    page.run("app.graph.clear()")
    page.wait("viewers().length === 0")


def test_viewer_shows_the_scene_after_a_restored_context(page_with_gl_counts, graph):
    page = page_with_gl_counts
    page.run(LOSE_CONTEXT)
    page.wait("messageOf(viewers()[0]).includes('graphics driver was reset')")
    page.run(RESTORE_CONTEXT)
    page.wait(SHOWS_SCENE)


def test_reloaded_page_shows_the_scene_and_the_saved_view(page, graph):
    page.run("app.extensionManager.setting.set('Comfy.Workflow.Persist', true)")
    page.drag(".stag4d-viewer canvas", (0.5, 0.5), (0.7, 0.5))
    page.wait("view()")
    saved = page.run("view()")
    page.wait(IS_VIEW_STORED)
    page.page.reload()
    page.wait_for_app()
    page.wait(SHOWS_SCENE)
    assert page.run("view()") == saved


def test_viewer_in_a_subgraph_shows_its_scene(page, graph):
    page.run("() => { window.converted = app.graph.convertToSubgraph(new Set([node('STAG4DPreview')])); }")
    page.execute()
    page.run("app.canvas.openSubgraph(converted.subgraph, converted.node)")
    page.wait(SHOWS_SCENE)
    page.drag(".stag4d-viewer canvas", (0.5, 0.5), (0.7, 0.5))
    page.wait("app.canvas.graph.nodes.find(({type}) => type === 'STAG4DPreview').widgets.at(-1).value")
