"""The exported MP4 turntable in Chromium."""

from __future__ import annotations

import base64

import pytest
import torch
from chromium import TIMEOUT_MS

from stag4d.export import write_mp4

pytestmark = pytest.mark.browser

FRAMES, SIZE, FPS = 12, 64, 8
# The event "seeked" may come before the frame is there; a frame that is presented comes with its time.
RECORD_PRESENTED_FRAMES = """() => {
  window.video = document.querySelector("video");
  const record = (now, { mediaTime }) => {
    window.presentedTime = mediaTime;
    video.requestVideoFrameCallback(record);
  };
  video.requestVideoFrameCallback(record);
}"""
READ_TWO_PIXELS = """() => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 2, height: 1 });
  canvas.getContext("2d").drawImage(video, 0, 0, 2, 1);
  return [...canvas.getContext("2d").getImageData(0, 0, 2, 1).data];
}"""


def test_browser_shows_every_frame_at_its_time(browser, tmp_path):
    """The left half is red; the right half goes from black to white."""
    frames = torch.zeros(FRAMES, SIZE, SIZE, 3)
    frames[:, :, : SIZE // 2, 0] = 1.0
    frames[:, :, SIZE // 2 :] = torch.linspace(0, 1, FRAMES)[:, None, None, None]
    write_mp4(tmp_path / "turntable.mp4", frames, fps=FPS)
    content = base64.b64encode((tmp_path / "turntable.mp4").read_bytes()).decode()
    page = browser.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    page.set_content(f'<video src="data:video/mp4;base64,{content}" muted></video>')
    page.wait_for_function("document.querySelector('video').readyState >= 2")
    page.evaluate(RECORD_PRESENTED_FRAMES)
    assert page.evaluate("[video.videoWidth, video.videoHeight]") == [SIZE, SIZE]
    assert page.evaluate("video.duration") == pytest.approx(FRAMES / FPS, abs=0.01)
    for frame in (5, 11, 0):
        page.evaluate("(time) => { video.currentTime = time; }", (frame + 0.5) / FPS)
        page.wait_for_function(f"Math.abs(window.presentedTime * {FPS} - {frame}) < 0.5 && !video.seeking")
        red, green, blue, _, *right, _ = page.evaluate(READ_TWO_PIXELS)
        assert red > 200
        assert max(green, blue) < 60
        assert right == pytest.approx([255 * frame / (FRAMES - 1)] * 3, abs=14)
    page.close()
