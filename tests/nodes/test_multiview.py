"""STAG4DLoadMultiView and STAG4DAnchoredMultiView: models under the host's management, progress, cancel."""

import gc
import sys
import weakref
from types import SimpleNamespace

import pytest
import torch

from tiny_models import TILE, make_guidance_folder, make_multiview_folder

SETTINGS = {
    "steps": 3,
    "cfg": 4.0,
    "seed": 1,
    "anchor_strength": 0.5,
    "anchor_frame": 0,
    "input_elevation": 10.0,
    "previous_strength": 0.0,
    "share_noise": True,
    "share_reference_noise": False,
    "mattes": "border",
    "fps": 12.0,
}


@pytest.fixture
def loader(pack_module, host_folders):
    return pack_module("nodes.load_multiview").STAG4DLoadMultiView


@pytest.fixture
def models(host_folders):
    """The models/diffusers folder, with a tiny model and an empty folder in it."""
    root = host_folders / "models" / "diffusers"
    make_multiview_folder(root / "tiny")
    (root / "empty").mkdir()
    return root


@pytest.fixture
def load(loader, models):
    return lambda **settings: loader.execute(
        **{"model": "tiny", "dtype": "auto", "rig": "auto", **settings}
    ).args[0]


@pytest.fixture
def generate(pack_module, load):
    """A function that executes the node in inference mode, as the host does, and returns its outputs."""
    node = pack_module("nodes.anchored_multiview").STAG4DAnchoredMultiView
    multiview = load()

    def call(images, mask=None, **settings):
        with torch.inference_mode():
            connected = {} if mask is None else {"mask": mask}
            settings = {"multiview": multiview, **SETTINGS, **settings}
            return node.execute(images=images, **settings, **connected).args

    call.multiview = multiview
    return call


@pytest.fixture
def cancel_after(pack_module, monkeypatch):
    """A function that presses cancel, once, after a number of units of a stage."""
    progress = pack_module("nodes.host.progress")
    management, call = sys.modules["comfy.model_management"], progress.HostMonitor.__call__

    def arrange(stage, units):
        presses = iter([None])

        def pressed(monitor, name, done, total, **options):
            if (name, done) == (stage, units):
                for _ in presses:
                    management.interrupt_current_processing()
            call(monitor, name, done, total, **options)

        monkeypatch.setattr(progress.HostMonitor, "__call__", pressed)

    yield arrange
    management.interrupt_current_processing(False)


@pytest.fixture
def video():
    """Three frames of a square that moves, and their masks."""
    mask = torch.zeros(3, 40, 40)
    for frame, left in zip(mask, (8, 12, 16), strict=True):
        frame[10:30, left : left + 14] = 1
    return torch.rand(3, 40, 40, 3, generator=torch.Generator().manual_seed(2)), mask


def test_folders_with_an_index_are_listed(pack_module, loader, models):
    make_multiview_folder(models / "author" / "nested")
    folders = pack_module("nodes.host.folders").model_folders("multiview")
    assert [name for name in folders if not name.startswith("bundled/")] == ["tiny", "author/nested"]
    assert loader.validate_inputs("tiny") is True
    assert "no folder '../tiny'; expected one with a model_index.json" in loader.validate_inputs("../tiny")


def test_models_in_the_hubs_cache_are_listed_by_their_repository(pack_module, loader, models):
    snapshot = models / "models--sudo-ai--zero123plus-v1.2" / "snapshots" / "0123abc"
    make_multiview_folder(snapshot)
    folders = pack_module("nodes.host.folders").model_folders("multiview")
    name = "models--sudo-ai--zero123plus-v1.2"
    assert folders[name] == snapshot
    assert [name for name in folders if not name.startswith("bundled/")] == ["tiny", name]
    assert loader.validate_inputs(name) is True
    multiview = loader.execute(model=name, dtype="auto", rig="auto").args[0]
    assert multiview.grid.poses[0].elevation_deg == 20  # of v1.2, by the repository's name


def test_dtype_and_rig_can_be_chosen(load):
    assert load().patcher.model.get_dtype() == torch.float32  # a CPU is not fast at half precision
    multiview = load(dtype="bfloat16", rig="v1.2")
    assert multiview.patcher.model.get_dtype() == torch.bfloat16
    assert multiview.grid.poses[0].elevation_deg == 20


def test_assumed_rig_is_shown_and_a_chosen_one_is_not(loader, models, monkeypatch):
    server = sys.modules["server"].PromptServer.instance
    monkeypatch.setattr(server, "sent", [])
    monkeypatch.setattr(loader, "hidden", SimpleNamespace(unique_id="7"))
    assumed = loader.execute(model="tiny", dtype="auto", rig="auto")
    assert server.sent == [("text", ("7", assumed.ui.as_dict()["text"][0]), None)]
    assert "tiny: assumed rig v1.1, " in assumed.ui.as_dict()["text"][0]
    assert loader.execute(model="tiny", dtype="auto", rig="v1.1").ui is None
    make_multiview_folder(models / "stated", settings={"rig": "v1.2", "tile_size": TILE})
    stated = loader.execute(model="stated", dtype="auto", rig="auto")
    assert (stated.ui, stated.args[0].grid.poses[0].elevation_deg) == (None, 20)


def test_folder_whose_name_suggests_another_rig_asks_even_where_it_is_loaded(loader, models):
    make_multiview_folder(models / "my-v1.2")
    chosen = loader.execute(model="my-v1.2", dtype="auto", rig="v1.2").args[0]
    assert chosen.grid.poses[0].elevation_deg == 20
    with pytest.raises(ValueError, match=r"only its name suggests v1\.2; choose with --rig, in ComfyUI"):
        loader.execute(model="my-v1.2", dtype="auto", rig="auto")


def test_rigs_share_the_networks_and_have_their_own_cameras(load, generate, video):
    first = generate.multiview
    second, half = load(rig="v1.2"), load(dtype="bfloat16")
    assert second.patcher is first.patcher
    assert half.patcher is not first.patcher
    elevations = []
    for multiview in (first, second, first):
        views, _, _ = generate(*video, multiview=multiview)
        elevations.append([pose.elevation_deg for pose in views.view_poses[:2]])
    assert elevations == [[30, -20], [20, -10], [30, -20]]
    assert (second.grid.tile_size, second.grid.latent_scale) == (TILE, first.grid.latent_scale)


def test_networks_without_a_node_that_holds_them_are_freed(load):
    alive = weakref.ref(load(dtype="bfloat16").patcher)
    gc.collect()
    assert alive() is None
    assert load(dtype="bfloat16").patcher is not None


def test_bundled_models_are_listed_first_by_the_loader_of_their_kind(
    pack_module, loader, models, tmp_path, monkeypatch
):
    weights = tmp_path / "weights"
    make_multiview_folder(weights / "mini-zero123plus", seed=1)
    make_guidance_folder(weights / "mini-zero123")
    folders = pack_module("nodes.host.folders").model_folders
    monkeypatch.setattr(pack_module("stag4d.pipeline.models"), "FOLDER", weights)
    make_multiview_folder(models / "bundled" / "mini-zero123plus")  # of the same name
    assert list(folders("multiview")) == ["bundled/mini-zero123plus", "tiny"]
    assert list(folders("guidance")) == ["bundled/mini-zero123", "tiny", "bundled/mini-zero123plus"]
    assert folders("multiview")["bundled/mini-zero123plus"] == weights / "mini-zero123plus"
    assert loader.define_schema().inputs[0].options["options"][0] == "bundled/mini-zero123plus"
    assert loader.validate_inputs("bundled/mini-zero123plus") is True
    assert "no folder 'bundled/mini-zero123'" in loader.validate_inputs("bundled/mini-zero123")
    multiview = loader.execute(model="bundled/mini-zero123plus", dtype="auto", rig="auto").args[0]
    assert multiview.patcher.model.model.grid.tile_size == TILE


def test_folder_with_another_kind_of_model_is_rejected(load, models):
    (models / "tiny" / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    with pytest.raises(ValueError, match="holds a StableDiffusionPipeline; expected a Zero123PlusPipeline"):
        load()


def test_outputs_are_posed_views_grids_and_single_images(generate, video):
    views, grid, view_images = generate(*video)
    assert views.view_images.shape == (3, 6, TILE, TILE, 3)
    assert grid.shape == (3, 3 * TILE, 2 * TILE, 3)
    assert view_images.shape == (18, TILE, TILE, 3)
    assert torch.equal(grid[1, TILE : 2 * TILE, TILE:], view_images[6 + 3])  # second frame, second row, right
    assert (views.input_pose.elevation_deg, views.fps) == (10.0, 12.0)
    assert [pose.azimuth_deg for pose in views.view_poses] == [30, 90, 150, 210, 270, 330]
    assert torch.equal(views.alphas, video[1])
    assert not views.view_images.is_inference()  # it can be used in an optimization


def test_offsets_are_those_of_the_views(generate, video):
    assert generate(*video)[0].offsets is None
    with torch.inference_mode():
        offsets = torch.tensor([[-0.5, 0.0], [0.0, 0.0], [0.5, 0.0]])
    moved = generate(*video, offsets=offsets, input_elevation=0.0)[0].offsets
    torch.testing.assert_close(moved[:, 0], torch.tensor([-0.9135, 0.0, 0.9135]), rtol=0, atol=1e-3)
    assert (moved[:, 1:] == 0).all()
    assert not moved.is_inference()
    with pytest.raises(ValueError, match="2 offsets for 3 frames; expected one per frame"):
        generate(*video, offsets=offsets[:2])


def test_host_loads_the_model_with_room_for_all_frames(generate, video):
    requests = sys.modules["comfy.model_management"].load_models_gpu.requests
    requests.clear()
    generate(*video)
    [(models, memory, is_full)] = requests
    assert models == [generate.multiview.patcher]
    assert is_full
    frame_bytes = (3 * TILE // 2) * (2 * TILE // 2) * 2 * 56_000  # float32, per pixel of the latent
    assert memory == 3 * frame_bytes


@pytest.mark.parametrize(("frames", "batch_size"), [(1, 1), (7, 7), (8, 8), (200, 8)])
def test_room_is_for_the_frames_of_one_batch(generate, frames, batch_size):
    requests = sys.modules["comfy.model_management"].load_models_gpu.requests
    requests.clear()
    generate.multiview.load(1)
    generate.multiview.load(frames)
    (_, one, _), (_, many, _) = requests
    assert many == batch_size * one


def test_request_for_published_sizes_is_a_little_more_than_their_tensors_take(pack_module):
    """In GiB, by benchmarks/memory.py; 4 for eight frames."""
    latent_bytes = pack_module("nodes.host.models").LATENT_BYTES
    for frames, computed in ((1, 0.40), (2, 0.70), (4, 1.31), (8, 2.54)):
        request = frames * 120 * 80 * latent_bytes / 2**30
        assert 1.2 * computed < request < 1.6 * computed


def test_every_setting_changes_the_views(generate, video):
    default = generate(*video)[2]
    for change in (
        {"seed": 2},
        {"cfg": 2.0},
        {"steps": 2},
        {"anchor_strength": 0.1},
        {"anchor_frame": 1},
        {"previous_strength": 0.3},
        {"share_noise": False},
        {"share_reference_noise": True},
        {"mattes": "none"},
    ):
        assert not torch.equal(generate(*video, **change)[2], default), change
    assert torch.equal(generate(*video)[2], default)


def test_zero_steps_and_cfg_are_the_models_own(generate, video, load, models, progress_bar):
    make_multiview_folder(
        models / "quick",
        settings={"tile_size": TILE, "sampling": {"num_steps": 2, "guidance_scale": 1.5}},
    )
    quick = load(model="quick")
    own = generate(*video, multiview=quick, steps=0, cfg=0.0)
    assert progress_bar.reported[-1] == (12, 12)  # three frames: encoded, two steps, decoded
    assert torch.equal(own[2], generate(*video, multiview=quick, steps=2, cfg=1.5)[2])
    assert not torch.equal(own[2], generate(*video, multiview=quick, steps=3, cfg=0.0)[2])
    assert not torch.equal(own[2], generate(*video, multiview=quick, steps=0, cfg=4.0)[2])
    published = generate.multiview.sampling  # the folder states none
    assert (published.num_steps, published.guidance_scale) == (75, 4.0)


def test_without_background_removal_views_are_opaque(generate, video):
    views, _, view_images = generate(*video, mattes="none")
    assert views.view_alphas.min() == 1
    assert torch.equal(view_images, views.view_images.flatten(0, 1))


@pytest.mark.usefixtures("previews_always_due")
def test_progress_and_previews_of_the_grid(generate, video, progress_bar):
    generate(*video)
    # Three frames are encoded, denoised in three steps, and decoded.
    assert progress_bar.reported == [(value, 15) for value in (1, 2, 3, 6, 9, 12, 13, 14, 15)]
    assert len(progress_bar.previews) == 3
    for kind, image, size in progress_bar.previews:
        assert (kind, size) == ("JPEG", 512)
        assert max(image.size) > 256  # enlarged
        assert image.width * 3 == image.height * 2


def test_cancelled_node_resumes_with_the_same_prompt(
    generate, video, host_folders, cancel_after, interrupt, progress_bar
):
    uninterrupted = generate(*video)[2]
    cancel_after("denoise", 2 * 3)  # three frames are encoded, and two steps are done
    with pytest.raises(interrupt):
        generate(*video)
    assert len(list((host_folders / "temp" / "stag4d").glob("unfinished_*.latents"))) == 1
    assert torch.equal(generate(*video)[2], uninterrupted)
    # Only the third step is left, and the bar continues at the second.
    assert [value for value, _ in progress_bar.reported] == [1, 2, 3, 9, 12, 13, 14, 15]
    assert list((host_folders / "temp" / "stag4d").iterdir()) == []


def test_node_cancelled_while_views_are_decoded_resumes_there(
    generate, video, cancel_after, interrupt, progress_bar
):
    uninterrupted = generate(*video)[2]
    cancel_after("decode", 1)
    with pytest.raises(interrupt):
        generate(*video)
    assert torch.equal(generate(*video)[2], uninterrupted)
    assert [value for value, _ in progress_bar.reported] == [12, 13, 14, 15]


def test_damaged_state_is_ignored_with_a_warning(
    generate, video, host_folders, cancel_after, interrupt, progress_bar, caplog
):
    uninterrupted = generate(*video)[2]
    cancel_after("denoise", 2 * 3)
    with pytest.raises(interrupt):
        generate(*video)
    (kept,) = (host_folders / "temp" / "stag4d").glob("unfinished_*.latents")
    kept.write_bytes(kept.read_bytes()[:-100])
    assert torch.equal(generate(*video)[2], uninterrupted)
    assert progress_bar.reported[0][0] == 1
    assert "starting from the beginning" in caplog.text


def test_colors_far_from_0_to_1_are_rejected(generate, video):
    images, mask = video
    with pytest.raises(ValueError, match=r"^frames: image 0 has pixels from .* to .*; expected 0 to 1"):
        generate(images * 255, mask)


def test_unsuitable_frames_are_rejected(generate, video):
    images, mask = video
    with pytest.raises(ValueError, match="frames: image 0 "):  # neither mask nor alpha nor plain background
        generate(images)
    with pytest.raises(ValueError, match="image 1 "):  # an empty mask
        generate(images, mask * torch.tensor([1.0, 0.0, 1.0])[:, None, None])
    with pytest.raises(ValueError, match="anchor frame 3 of 3 frames"):
        generate(*video, anchor_frame=3)
    with pytest.raises(ValueError, match=r"40x30 pixels; expected square"):
        generate(images[:, :30], mask[:, :30])


def test_views_that_do_not_fit_into_memory_are_rejected_before_the_model_is_loaded(
    generate, video, monkeypatch
):
    management = sys.modules["comfy.model_management"]
    monkeypatch.setattr(management, "get_free_memory", lambda device: 1e3)
    management.load_models_gpu.requests.clear()
    with pytest.raises(ValueError, match=r"18 views of \d+x\d+: needs .* GB of memory"):
        generate(*video)
    assert management.load_models_gpu.requests == []
