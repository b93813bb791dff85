"""Many players, disposed players, lost WebGL contexts, and players out of sight."""

from __future__ import annotations

import pytest
from counted_gl import COUNT_GL, LOSE_CONTEXT, RESTORE_CONTEXT
from viewer_page import Viewer

pytestmark = pytest.mark.browser

COUNT_REQUESTED_FRAMES = """() => {
  window.requestedFrames = 0;
  const request = window.requestAnimationFrame;
  window.requestAnimationFrame = (callback) => {
    window.requestedFrames += 1;
    return request(callback);
  };
}"""
HIDE_WEBGL2 = """() => {
  const { getContext } = HTMLCanvasElement.prototype;
  HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
    return kind === "webgl2" ? null : getContext.call(this, kind, ...rest);
  };
}"""


def test_disposed_players_leave_no_gl_objects_elements_or_references(page, box_s4d):
    page.evaluate(COUNT_GL)
    page.evaluate("(s4d) => add(200, 300, s4d)", box_s4d)
    page.evaluate("players[0].dispose(); players.length = 0")
    before = page.evaluate("({ ...glCounts })")
    page.evaluate(
        """async (s4d) => {
            window.references = [];
            for (let repetition = 0; repetition < 40; repetition++) {
              await add(200, 300, s4d);
              players[0].play();
              await rendered();
              references.push(new WeakRef(players[0]), new WeakRef(players[0].element));
              players[0].dispose();
              players.length = 0;
              document.body.lastElementChild.remove();
            }
        }""",
        box_s4d,
    )
    assert before["contexts"] == 1
    assert page.evaluate("glCounts") == before
    assert page.evaluate("document.querySelectorAll('canvas, .stag4d-viewer').length") == 0
    assert count_references_after_collection(page) == 0


def count_references_after_collection(page) -> int:
    """Collect garbage until no player or element is left, at most 200 times; return how many are left."""
    session = page.context.new_cdp_session(page)
    left = -1
    for _ in range(200):
        page.evaluate("rendered()")  # the browser itself holds an element for some frames after its removal
        session.send("HeapProfiler.collectGarbage")
        left = page.evaluate("references.filter((reference) => reference.deref()).length")
        if left == 0:
            break
    return left


def test_dispose_is_safe_twice_and_while_a_file_loads(page, box_s4d):
    page.evaluate(
        """async (s4d) => {
            await add(200, 300);
            const loading = players[0].load(bytes(s4d));
            players[0].dispose();
            players[0].dispose();
            await loading;
        }""",
        box_s4d,
    )
    assert page.evaluate("[players[0].header, players[0].element.isConnected]") == [None, False]


def test_twenty_playing_players_share_one_context_and_each_shows_an_image(page_with_manual_clock, box_s4d):
    page = page_with_manual_clock
    page.set_viewport_size({"width": 900, "height": 1100})  # five in a row, all visible
    page.evaluate(COUNT_GL)
    for _ in range(20):
        page.evaluate("(s4d) => add(160, 250, s4d)", box_s4d)
    viewers = [Viewer(page, index) for index in range(20)]
    page.evaluate("for (const player of players) player.play()")
    viewers[0].advance(100)
    assert page.evaluate("players.every((player) => player.clock.position > 0)")
    page.evaluate("for (const player of players) player.pause()")
    for viewer in viewers:
        viewer.set_view(azimuth=18 * viewer.index)
        assert viewer.canvas()[..., 3].max() > 200, viewer.index
    viewers[0].advance(20)
    for viewer in viewers:
        assert viewer.canvas()[..., 3].max() > 200, viewer.index
    assert page.evaluate("glCounts.contexts") == 1


def test_image_after_a_restored_context_equals_the_image_before(page, box_s4d):
    page.evaluate(COUNT_GL)
    viewer = Viewer(page, page.evaluate("(s4d) => add(400, 300, s4d)", box_s4d))
    viewer.set_view(azimuth=30, time=0.5)
    before = viewer.screenshot()
    page.evaluate(LOSE_CONTEXT)
    status = page.get_by_role("status")
    status.get_by_text("graphics driver was reset").wait_for()
    viewer.set_view(azimuth=60)  # while nothing can be rendered
    viewer.wait_for_render()
    page.evaluate(RESTORE_CONTEXT)
    status.wait_for(state="hidden")
    viewer.wait_for_render()
    assert viewer.canvas()[..., 3].max() > 200
    assert (viewer.canvas() != before).any()
    viewer.set_view(azimuth=30)
    assert (viewer.screenshot() == before).all()
    assert page.evaluate("glCounts.contexts") == 1


def test_player_out_of_sight_requests_no_frames_and_plays_on_once_visible(page_with_manual_clock, box_s4d):
    page = page_with_manual_clock
    viewer = Viewer(page, page.evaluate("(s4d) => add(400, 300, s4d)", box_s4d))
    page.evaluate("document.body.style.height = '5000px'")
    viewer.run("player.play()")
    viewer.advance(150)
    assert viewer.run("return player.clock.position") > 1
    page.evaluate("scrollTo(0, 4000)")
    viewer.wait_until_out_of_sight()
    hidden_at = viewer.run("return player.clock.position")
    page.evaluate(COUNT_REQUESTED_FRAMES)
    viewer.advance(1000)
    assert page.evaluate("requestedFrames") == 0
    assert viewer.run("return player.clock.position") == hidden_at
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_function("requestedFrames > 0")
    viewer.advance(150)
    assert viewer.run("return player.clock.position") != hidden_at


def test_paused_player_requests_no_frames(page_with_manual_clock, box_s4d):
    page = page_with_manual_clock
    viewer = Viewer(page, page.evaluate("(s4d) => add(400, 300, s4d)", box_s4d))
    viewer.set_view(azimuth=10)
    viewer.advance(100)
    page.evaluate(COUNT_REQUESTED_FRAMES)
    viewer.advance(1000)
    assert page.evaluate("requestedFrames") == 0


def test_missing_webgl2_is_reported(page, box_s4d):
    page.evaluate(HIDE_WEBGL2)
    page.evaluate("(s4d) => add(400, 300, s4d).catch(() => {})", box_s4d)
    page.get_by_role("status").get_by_text("no WebGL2").wait_for()
