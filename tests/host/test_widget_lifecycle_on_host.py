"""Many viewers in a real ComfyUI, short lives, a lost context, a reloaded page, and subgraphs."""

from __future__ import annotations

import pytest
from counted_gl import COUNT_GL
from host_page import LIT

pytestmark = [pytest.mark.host, pytest.mark.browser]

COPY = """() => {
  const copy = node("STAG4DPreview").clone();
  const number = app.graph.nodes.length;
  app.graph.add(copy);
  [copy.pos, copy.size] = [[60 + 420 * (number % 7), 900 + 620 * Math.floor(number / 7)], [400, 600]];
  return copy.id;
}"""
SHOW_ALL = "app.canvas.ds.scale = 0.2; app.canvas.ds.offset = [0, 0]; app.canvas.setDirty(true, true)"


@pytest.fixture
def counted(page):
    """The page, which counts contexts and what is made in them."""
    page.run(COUNT_GL)
    return page


def test_forty_lives_leave_nothing(counted, graph):
    page = counted
    page.run(SHOW_ALL)
    page.wait(LIT)
    before = page.run("({ ...made })")
    for life in range(40):
        page.run(COPY)
        is_seen = " && viewers().every(isLit)" if life % 4 == 0 else ""  # the others end while they load
        page.wait(f"viewers().length === 2{is_seen}")
        page.run("app.graph.remove(app.graph.nodes.at(-1))")
        page.wait("viewers().length === 1")
    page.wait("made.things === " + str(before["things"]))  # what was loading has noticed
    assert page.run("made.contexts") == before["contexts"] == 1
    assert page.run(LIT)


def test_twenty_viewers_are_all_lit(counted, graph):
    page = counted
    page.run(SHOW_ALL)
    for _ in range(19):
        page.run(COPY)
    page.wait("viewers().length === 20 && viewers().every(isLit)", seconds=120)
    assert page.run("made.contexts") == 1
    page.run("app.graph.clear()")
    page.wait("viewers().length === 0")


def test_a_lost_context_comes_back(counted, graph):
    page = counted
    page.run("() => { window.loss = gl.getExtension('WEBGL_lose_context'); loss.loseContext(); }")
    page.wait("messageOf(viewers()[0]).includes('graphics driver was reset')")
    page.run("loss.restoreContext()")
    page.wait(LIT)


def test_a_reloaded_page_shows_the_scene_again(page, graph):
    page.drag(".stag4d-viewer canvas", (0.5, 0.5), (0.7, 0.5))
    page.wait("view()")
    saved = page.run("view()")
    page.run("app.extensionManager.setting.set('Comfy.Workflow.Persist', true)")
    page.page.wait_for_timeout(1500)  # the host keeps the workflow a moment after a change
    page.page.reload()
    page.wait_for_app()
    page.wait(LIT)
    assert page.run("view()") == saved


def test_a_viewer_in_a_subgraph_shows_its_scene(page, graph):
    page.run("() => { window.made = app.graph.convertToSubgraph(new Set([node('STAG4DPreview')])); }")
    page.execute()
    page.run("app.canvas.openSubgraph(made.subgraph, made.node)")
    page.wait(LIT)
    page.drag(".stag4d-viewer canvas", (0.5, 0.5), (0.7, 0.5))
    page.wait("app.canvas.graph.nodes.find(({type}) => type === 'STAG4DPreview').widgets.at(-1).value")
