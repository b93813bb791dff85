"""Videos that the player records: decoded, with their texts, and the dialog that cancels them."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import av
import numpy as np
import pytest
from viewer_page import Viewer

pytestmark = pytest.mark.browser

TEXTS = {"workflow": json.dumps({"note": "Füchse 狐"}, ensure_ascii=False), "prompt": '{"1": {}}'}
HIDE_VIDEO_ENCODER = "delete window.VideoEncoder"
COUNT_ENCODED_FRAMES = """() => {
  const { encode } = VideoEncoder.prototype;
  VideoEncoder.prototype.encode = function (...values) {
    encoded += 1;
    return encode.apply(this, values);
  };
}"""
HOLD_TIMERS = """() => {  // the recording waits after each frame
  window.encoded = 0;
  window.setTimeout = (resume) => Number(Boolean((window.resume = resume)));
}"""


def choose(viewer: Viewer, label: str) -> None:
    """Choose an entry of the download menu."""
    viewer.page.get_by_role("button", name="Download", exact=True).click()
    viewer.page.get_by_role("dialog", name="Download").get_by_role("button", name=label, exact=True).click()


def record(viewer: Viewer, label: str, path: Path) -> str:
    """Save a video and return the name that it suggests."""
    viewer.run("player.metadata = async () => value", TEXTS)
    with viewer.page.expect_download() as download:
        choose(viewer, label)
    download.value.save_as(path)
    return download.value.suggested_filename


def decode(path: Path) -> tuple[list[np.ndarray], list[float], dict[str, str]]:
    """Return the images, uint8 [H, W, 3], their times in seconds, and the file's tags."""
    with av.open(str(path)) as file:
        frames = list(file.decode(video=0))
        times = [float(frame.pts * frame.time_base) for frame in frames]
        return [frame.to_ndarray(format="rgb24") for frame in frames], times, dict(file.metadata)


def test_mp4_video_has_the_images_of_the_loop_and_the_workflow(viewer, tmp_path):
    viewer.run("player.viewport.setLoopRange(1, 3); player.viewport.setDisplay({ hasGrid: true })")
    viewer.set_view(azimuth=30, time=0.25)
    before = viewer.run("return [player.getView(), player.clock.range, player.viewport.display]")
    assert record(viewer, "MP4 video", tmp_path / "a.mp4") == "scene.mp4"
    assert viewer.run("return [player.getView(), player.clock.range, player.viewport.display]") == before
    assert viewer.run("return player.element.shadowRoot.activeElement.title") == "Download"
    images, times, tags = decode(tmp_path / "a.mp4")
    np.testing.assert_allclose(times, [0, 0.1, 0.2], atol=1e-4)
    assert {name: tags[name] for name in TEXTS} == TEXTS
    viewer.run("player.setBackground('white')")
    expected = []
    for frame in (1, 2, 3):
        viewer.set_view(time=frame / 4)
        expected.append(viewer.screenshot()[..., :3].astype(int))
    height, width = (length // 2 * 2 for length in expected[0].shape[:2])
    errors = [[np.abs(image - other[:height, :width]).mean() for other in expected] for image in images]
    assert np.argmin(errors, axis=1).tolist() == [0, 1, 2]
    assert np.diag(errors).max() < 4


@pytest.mark.parametrize(
    ("speed", "is_ping_pong", "count", "fps"),
    [(1, True, 4, 10), (0.5, False, 6, 10), (4, False, 3, 40)],  # three frames, ten a second
)
def test_video_plays_at_the_players_speed_and_direction(viewer, tmp_path, speed, is_ping_pong, count, fps):
    viewer.run("player.viewport.setLoopRange(1, 3); player.viewport.setSpeed(value)", speed)
    viewer.run("player.viewport.setPingPong(value)", is_ping_pong)
    record(viewer, "MP4 video", tmp_path / "a.mp4")
    _, times, _ = decode(tmp_path / "a.mp4")
    np.testing.assert_allclose(times, np.arange(count) / fps, atol=1e-4)


def test_without_an_mp4_encoder_the_video_is_webm(page, box_s4d, tmp_path):
    page.evaluate(HIDE_VIDEO_ENCODER)
    viewer = Viewer(page, page.evaluate("(s4d) => add(480, 360, s4d)", box_s4d))
    viewer.run("player.viewport.setSpeed(0.1)")  # 50 images in 5 s
    name = record(viewer, "WebM video, without workflow", tmp_path / "a.webm")
    assert name == "scene.webm"
    images, _, tags = decode(tmp_path / "a.webm")
    assert len(images) > 1  # recorded in real time, in which a slow machine drops frames
    assert images[0].shape[1] == 480
    assert not TEXTS.keys() & tags.keys()


def test_recording_is_canceled_by_its_button_and_by_another_file(viewer, box_s4d):
    page = viewer.page
    viewer.run("player.play()")
    page.evaluate(COUNT_ENCODED_FRAMES)
    dialog = page.get_by_role("dialog", name="Recording")
    for cancel in ("button", "key", "file"):
        page.evaluate(HOLD_TIMERS)
        choose(viewer, "MP4 video")
        dialog.get_by_text("Recording frame 1 of 5").wait_for()
        if cancel == "button":
            dialog.get_by_role("button", name="Cancel the recording").click()
        elif cancel == "key":
            page.keyboard.press("Escape")
        else:
            viewer.run("await player.load(bytes(value))", box_s4d)
        page.evaluate("resume()")
        dialog.wait_for(state="hidden")
        assert page.evaluate("encoded") == 1
        assert viewer.run("return player.clock.isPlaying")
        assert not viewer.run("return canvasOf(player).inert || player.viewport.recording.isActive")


def test_mp4_of_frames_in_another_decoding_order_is_decoded_at_their_times(page):
    """The stream is libx264's, with B-frames; the box writer is the viewer's."""
    source = io.BytesIO()
    with av.open(source, "w", format="mp4") as file:
        stream = file.add_stream("libx264", rate=8, options={"bf": "2", "b_strategy": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for level in range(0, 240, 20):
            image = np.full((48, 64, 3), level, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        file.mux(stream.encode())
    with av.open(io.BytesIO(source.getvalue())) as file:
        stream = file.streams.video[0]
        packets = [packet for packet in file.demux(stream) if packet.size]
        samples = [
            {
                "bytes": base64.b64encode(bytes(packet)).decode(),
                "index": round(packet.pts * packet.time_base * 8),
                "isKey": packet.is_keyframe,
            }
            for packet in packets
        ]
        avc_c = base64.b64encode(stream.codec_context.extradata).decode()
    assert [sample["index"] for sample in samples] != sorted(sample["index"] for sample in samples)
    script = """async ([avcC, samples]) => {
      const { encodeMp4 } = await import("/viewer/mp4.mjs");
      const decoded = samples.map((sample) => ({ ...sample, bytes: bytes(sample.bytes) }));
      const video = { width: 64, height: 48, fps: 8, avcC: bytes(avcC), samples: decoded };
      const data = new Uint8Array(await encodeMp4(video, { prompt: "{}" }).arrayBuffer());
      return btoa(String.fromCharCode(...data));
    }"""
    content = base64.b64decode(page.evaluate(script, [avc_c, samples]))
    with av.open(io.BytesIO(content)) as file:
        frames = list(file.decode(video=0))
        assert file.metadata["prompt"] == "{}"
    np.testing.assert_allclose([float(frame.pts * frame.time_base) for frame in frames], np.arange(12) / 8)
    levels = [frame.to_ndarray(format="rgb24").mean() for frame in frames]
    np.testing.assert_allclose(levels, np.arange(0, 240, 20), atol=6)
