"""LivePreview: the scene of a running fit in connected viewers, by temporary files that do not accumulate."""

import sys

import pytest

PROMPT = {
    "3": {"class_type": "STAG4DOptimize", "inputs": {}},
    "4": {"class_type": "STAG4DPreview", "inputs": {"scene": ["3", 0]}},
    "5": {"class_type": "STAG4DPreview", "inputs": {"scene": ["9", 0]}},
    "6:7": {"class_type": "STAG4DPreview", "inputs": {"scene": ["3", 0]}},
    "8": {"class_type": "STAG4DRender", "inputs": {"scene": ["3", 0]}},
}
PNG_INFO = {"workflow": {"id": "one", "nodes": []}}  # as the browser sends it with a prompt


def silent(stage, done, total, **details):
    """A monitor that does nothing."""


@pytest.fixture
def live_preview(pack_module):
    return pack_module("nodes.host.live_preview")


@pytest.fixture
def without_delay(live_preview, monkeypatch):
    """Updates follow each other at once."""
    monkeypatch.setattr(live_preview, "MIN_SECONDS", 0.0)
    monkeypatch.setattr(live_preview, "MAX_SHARE", 1e9)


@pytest.fixture
def sent(pack, monkeypatch):
    """The messages to the browser."""
    server = sys.modules["server"].PromptServer.instance
    monkeypatch.setattr(server, "sent", [])
    monkeypatch.setattr(server, "client_id", "browser")
    return server.sent


def scenes(model, count):
    """Return different scenes."""
    return [
        type(model)(model.gaussians.map(lambda value, shift=shift: value + 0.01 * shift), None, model.info)
        for shift in range(count)
    ]


@pytest.mark.usefixtures("without_delay")
def test_connected_viewers_get_the_name_of_an_existing_file(live_preview, sent, host_folders, sliding_scene):
    live_preview.LivePreview(PROMPT, "3", PNG_INFO).show(sliding_scene, silent)
    ((event, data, client),) = sent
    assert (event, data["viewers"], client) == ("stag4d.live_preview", ["4", "6:7"], "browser")
    assert data["workflow"] == "one"
    assert (host_folders / "temp" / "stag4d" / data["filename"]).is_file()


@pytest.mark.usefixtures("without_delay")
def test_two_files_are_kept_and_one_at_the_end(live_preview, sent, host_folders, sliding_scene):
    live = live_preview.LivePreview(PROMPT, "3", PNG_INFO)
    for model in scenes(sliding_scene, 4):
        live.show(model, silent)
    names = [data["filename"] for _, data, _ in sent]
    assert len(set(names)) == 4
    folder = host_folders / "temp" / "stag4d"
    assert {path.name for path in folder.iterdir()} == set(names[2:])
    live.close()
    assert {path.name for path in folder.iterdir()} == {names[3]}


def test_nothing_is_encoded_too_early_or_without_a_viewer(
    live_preview, sent, host_folders, sliding_scene, monkeypatch
):
    live_preview.LivePreview(PROMPT, "3", PNG_INFO).show(sliding_scene, silent)  # before MIN_SECONDS
    monkeypatch.setattr(live_preview, "MIN_SECONDS", 0.0)
    live_preview.LivePreview(PROMPT, "8", PNG_INFO).show(sliding_scene, silent)
    live_preview.LivePreview(None, None, None).show(sliding_scene, silent)
    assert sent == []
    assert list((host_folders / "temp").iterdir()) == []


def test_updates_take_at_most_their_share_of_the_time(live_preview, sent, sliding_scene, monkeypatch):
    now = 100.0
    monkeypatch.setattr(live_preview.time, "monotonic", lambda: now)

    def encode(model, monitor):
        nonlocal now
        now += 0.5
        return "scene.s4d"

    monkeypatch.setattr(live_preview, "viewer_file", encode)
    live = live_preview.LivePreview(PROMPT, "3", PNG_INFO)
    times = []
    for _ in range(250):
        now += 0.125
        before = len(sent)
        live.show(sliding_scene, silent)
        times += [now] * (len(sent) - before)
    # After 3 seconds, then every 0.5 / 0.05 = 10 seconds.
    assert times == [103.5, 114.0, 124.5]


@pytest.mark.parametrize(
    "info", [None, {}, [], "cat", {"workflow": None}, {"workflow": "cat"}, {"workflow": {}}]
)
@pytest.mark.usefixtures("host_folders", "without_delay")
def test_prompts_without_a_workflow_are_shown_too(live_preview, sent, sliding_scene, info):
    live_preview.LivePreview(PROMPT, "3", info).show(sliding_scene, silent)
    ((_, data, _),) = sent
    assert data["workflow"] is None


@pytest.mark.parametrize("kind", [ValueError, RuntimeError, OSError, MemoryError])
@pytest.mark.usefixtures("without_delay")
def test_a_scene_that_cannot_be_encoded_is_logged_once_and_ends_the_updates(
    live_preview, sent, sliding_scene, monkeypatch, caplog, kind
):
    attempts = []

    def encode(model, monitor):
        attempts.append(model)
        raise kind("no room")

    monkeypatch.setattr(live_preview, "viewer_file", encode)
    live = live_preview.LivePreview(PROMPT, "3", PNG_INFO)
    for _ in range(3):
        live.show(sliding_scene, silent)
    live.close()
    assert len(attempts) == 1
    assert sent == []
    assert [record.message for record in caplog.records] == ["The live preview stops: no room"]


@pytest.mark.usefixtures("sent", "host_folders", "without_delay")
def test_cancel_interrupts_the_encoding(live_preview, pack_module, sliding_scene, interrupt, cancel_at):
    checks = cancel_at(2)
    check_cancel = pack_module("nodes.host.progress").check_cancel
    with pytest.raises(interrupt):
        live_preview.LivePreview(PROMPT, "3", PNG_INFO).show(sliding_scene, check_cancel)
    assert len(checks) == 2  # of five frames


@pytest.mark.usefixtures("host_folders", "without_delay")
def test_files_that_cannot_be_removed_are_left(live_preview, sent, sliding_scene, monkeypatch):
    class Folder:
        """A folder whose files are all open, on Windows."""

        def __truediv__(self, name):
            return self

        def unlink(self, missing_ok):
            raise PermissionError

    monkeypatch.setattr(live_preview, "temp_folder", Folder)
    live = live_preview.LivePreview(PROMPT, "3", PNG_INFO)
    for model in scenes(sliding_scene, 4):
        live.show(model, silent)
    live.close()
    assert len(sent) == 4
