"""Many players, short lives, lost contexts, and players that nobody sees."""

from __future__ import annotations

import pytest
from counted_gl import COUNT_GL
from viewer_page import Viewer

pytestmark = pytest.mark.browser

COUNT_FRAMES = """() => {
  window.asked = 0;
  const request = window.requestAnimationFrame;
  window.requestAnimationFrame = (callback) => {
    window.asked += 1;
    return request(callback);
  };
}"""
HIDE_WEBGL2 = """() => {
  const { getContext } = HTMLCanvasElement.prototype;
  HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
    return kind === "webgl2" ? null : getContext.call(this, kind, ...rest);
  };
}"""


def test_forty_lives_leave_nothing(page, box_clip):
    page.evaluate(COUNT_GL)
    page.evaluate("(clip) => add(200, 300, clip)", box_clip)
    page.evaluate("players[0].dispose(); players.length = 0")
    before = page.evaluate("({ ...made })")
    page.evaluate(
        """async (clip) => {
            window.references = [];
            for (let life = 0; life < 40; life++) {
              await add(200, 300, clip);
              players[0].play();
              await settled();
              references.push(new WeakRef(players[0]), new WeakRef(players[0].element));
              players[0].dispose();
              players.length = 0;
              document.body.lastElementChild.remove();
            }
        }""",
        box_clip,
    )
    assert before["contexts"] == 1
    assert page.evaluate("made") == before
    assert page.evaluate("document.querySelectorAll('canvas, .stag4d-viewer').length") == 0
    assert count_alive(page) == 0


def count_alive(page) -> int:
    """Return how many players and elements are left when garbage is collected, some frames after the last."""
    session = page.context.new_cdp_session(page)
    alive = -1
    for _ in range(10):
        page.evaluate("settled()")
        session.send("HeapProfiler.collectGarbage")
        alive = page.evaluate("references.filter((reference) => reference.deref()).length")
        if alive == 0:
            break
    return alive


def test_disposing_twice_or_while_loading_does_no_harm(page, box_clip):
    page.evaluate(
        """async (clip) => {
            await add(200, 300);
            const loading = players[0].load(bytes(clip));
            players[0].dispose();
            players[0].dispose();
            await loading;
        }""",
        box_clip,
    )
    assert page.evaluate("[players[0].header, players[0].element.isConnected]") == [None, False]


def test_twenty_players_are_all_lit(page, box_clip):
    page.set_viewport_size({"width": 900, "height": 1100})  # five a row, all in sight
    page.evaluate(COUNT_GL)
    for _ in range(20):
        page.evaluate("(clip) => add(160, 250, clip)", box_clip)
    page.evaluate("for (const player of players) player.play()")
    page.wait_for_function("players.every((player) => player.clock.position > 0)")
    page.evaluate("for (const player of players) player.pause()")
    for index in range(20):
        viewer = Viewer(page, index)
        viewer.look(azimuth=18 * index)
        assert viewer.canvas()[..., 3].max() > 200, index
    page.evaluate("settled()")
    for index in range(20):
        assert Viewer(page, index).canvas()[..., 3].max() > 200, index
    assert page.evaluate("made.contexts") == 1


def test_after_a_lost_context_the_picture_is_the_same_again(page, box_clip):
    page.evaluate(COUNT_GL)
    viewer = Viewer(page, page.evaluate("(clip) => add(400, 300, clip)", box_clip))
    viewer.look(azimuth=30, time=0.5)
    before = viewer.picture()
    page.evaluate("() => { window.loss = gl.getExtension('WEBGL_lose_context'); loss.loseContext(); }")
    status = page.get_by_role("status")
    status.get_by_text("graphics driver was reset").wait_for()
    viewer.look(azimuth=60)  # asked for while nothing can be drawn
    page.evaluate("settled()")
    page.evaluate("loss.restoreContext()")
    status.wait_for(state="hidden")
    page.evaluate("settled()")
    assert viewer.canvas()[..., 3].max() > 200
    assert (viewer.canvas() != before).any()
    viewer.look(azimuth=30)
    assert (viewer.picture() == before).all()
    assert page.evaluate("made.contexts") == 1


def test_nothing_is_drawn_off_screen_and_playing_goes_on_in_sight(page, box_clip):
    viewer = Viewer(page, page.evaluate("(clip) => add(400, 300, clip)", box_clip))
    page.evaluate("document.body.style.height = '5000px'")
    viewer.run("player.play()")
    page.wait_for_function("players[0].clock.position > 1")
    page.evaluate("scrollTo(0, 4000)")
    page.evaluate("settled()")
    page.evaluate("settled()")
    page.evaluate(COUNT_FRAMES)
    hidden = viewer.run("return player.clock.position")
    for _ in range(5):
        page.evaluate("new Promise((done) => setTimeout(done, 50))")
    assert page.evaluate("asked") == 0
    assert viewer.run("return player.clock.position") == hidden
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_function("(hidden) => players[0].clock.position !== hidden", arg=hidden)


def test_a_player_that_stands_still_draws_nothing(page, box_clip):
    viewer = Viewer(page, page.evaluate("(clip) => add(400, 300, clip)", box_clip))
    viewer.look(azimuth=10)
    page.evaluate("settled()")
    page.evaluate(COUNT_FRAMES)
    page.evaluate("new Promise((done) => setTimeout(done, 100))")
    assert page.evaluate("asked") == 0


def test_without_webgl2_the_viewer_says_so(page, box_clip):
    page.evaluate(HIDE_WEBGL2)
    page.evaluate("(clip) => add(400, 300, clip).catch(() => {})", box_clip)
    page.get_by_role("status").get_by_text("no WebGL2").wait_for()
