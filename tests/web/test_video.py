"""The mp4 turntable, played by a browser."""

from __future__ import annotations

import base64

import pytest
import torch

from stag4d.export import write_mp4

pytestmark = pytest.mark.browser

FRAMES, SIZE, FPS = 12, 64, 8
PLAY = """async (time) => {
  const video = document.querySelector("video");
  await new Promise((done) => {
    video.requestVideoFrameCallback(done); // "seeked" may come before the frame does
    video.currentTime = time;
  });
  const canvas = Object.assign(document.createElement("canvas"), { width: 2, height: 1 });
  canvas.getContext("2d").drawImage(video, 0, 0, 2, 1);
  return [...canvas.getContext("2d").getImageData(0, 0, 2, 1).data];
}"""


def test_a_browser_shows_every_frame_at_its_time(browser, tmp_path):
    """The left half is red; the right half goes from black to white."""
    frames = torch.zeros(FRAMES, SIZE, SIZE, 3)
    frames[:, :, : SIZE // 2, 0] = 1.0
    frames[:, :, SIZE // 2 :] = torch.linspace(0, 1, FRAMES)[:, None, None, None]
    write_mp4(tmp_path / "clip.mp4", frames, fps=FPS)
    content = base64.b64encode((tmp_path / "clip.mp4").read_bytes()).decode()
    page = browser.new_page()
    page.set_content(f'<video src="data:video/mp4;base64,{content}" muted></video>')
    page.wait_for_function("document.querySelector('video').readyState >= 2")
    size = page.evaluate(
        "(({videoWidth, videoHeight}) => [videoWidth, videoHeight])(document.querySelector('video'))"
    )
    assert size == [SIZE, SIZE]
    assert page.evaluate("document.querySelector('video').duration") == pytest.approx(FRAMES / FPS, abs=0.01)
    for frame in (5, 11, 0):
        red, green, blue, _, *right, _ = page.evaluate(PLAY, (frame + 0.5) / FPS)
        assert red > 200
        assert max(green, blue) < 60
        assert right == pytest.approx([255 * frame / (FRAMES - 1)] * 3, abs=14)
    page.close()
