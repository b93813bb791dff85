"""Cameras and tiles of a multi-view model's grid image, by hand."""

import json
import re
from pathlib import Path

import pytest
import torch

from stag4d.diffusion import ViewGrid, read_grid
from stag4d.diffusion.model_index import pipeline_class, read_index, settings_of
from stag4d.diffusion.view_grid import MULTIVIEW_SETTINGS, grid_of
from stag4d.geometry import OrbitPose

V11_ELEVATIONS = [30.0, -20.0] * 3
V12_ELEVATIONS = [20.0, -10.0] * 3
HERE = Path("zero123plus")
SIX = tuple(OrbitPose(azimuth_deg=60.0 * view, elevation_deg=0.0) for view in range(6))


def elevations(grid):
    return [pose.elevation_deg for pose in grid.poses]


def test_views_are_the_tiles_row_by_row():
    tiles = torch.arange(6 * 2 * 2 * 3.0).reshape(6, 2, 2, 3)
    rows = [torch.cat([tiles[left], tiles[left + 1]], dim=1) for left in (0, 2, 4)]
    grid = ViewGrid(poses=SIX, tile_size=2)
    assert torch.equal(grid.views_of(torch.cat(rows)), tiles)
    assert torch.equal(grid.image_of(tiles), torch.cat(rows))
    two = grid.image_of(torch.stack([tiles, 1 - tiles]))
    assert torch.equal(two, torch.stack([torch.cat(rows), 1 - torch.cat(rows)]))


def test_grid_of_two_rows_has_four_views():
    image = torch.tensor([[1.0, 2.0], [3.0, 4.0]])[..., None]
    views = ViewGrid(poses=SIX[:4], tile_size=1).views_of(image)
    assert views.tolist() == [[[[1.0]]], [[[2.0]]], [[[3.0]]], [[[4.0]]]]


@pytest.mark.parametrize(
    ("num_views", "tile_size", "factor", "expected"),
    [(6, 320, 8, (120, 80)), (6, 16, 2, (24, 16)), (2, 320, 8, (40, 80)), (8, 256, 8, (128, 64))],
)
def test_latent_size_is_the_image_size_divided_by_the_vaes_factor(num_views, tile_size, factor, expected):
    poses = (SIX * 2)[:num_views]
    assert ViewGrid(poses=poses, tile_size=tile_size).latent_size(factor) == expected


def test_defaults_are_the_published_numbers():
    grid = ViewGrid(poses=SIX)
    assert grid.latent_size(8) == (120, 80)
    assert (grid.latent_scale, grid.latent_shift, grid.image_scale) == (0.75, 0.22, 0.5 / 0.8)


def test_unscaled_latents_follow_the_published_formula():
    found = ViewGrid(poses=SIX).unscaled(torch.tensor([0.0, 0.75, -1.5]))
    torch.testing.assert_close(found, torch.tensor([0.22, 1.22, -1.78]))
    own = ViewGrid(poses=SIX, latent_scale=0.5, latent_shift=-1.0).unscaled(torch.tensor([1.0]))
    assert own.tolist() == [1.0]


def test_numbers_out_of_range_are_refused():
    for wrong, words in (
        ({"poses": ()}, "0 views; expected full rows of 2"),
        ({"poses": SIX[:5]}, "5 views; expected full rows of 2"),
        ({"tile_size": 0}, "tile_size 0, "),
        ({"latent_scale": 0.0}, r"latent_scale 0\.0, "),
        ({"image_scale": -1.0}, r"image_scale -1\.0; expected finite numbers, positive"),
        ({"latent_scale": float("nan")}, "latent_scale nan, "),
        ({"latent_shift": float("inf")}, "latent_shift inf, "),
    ):
        with pytest.raises(ValueError, match=f"^view grid: .*{words}"):
            ViewGrid(**{"poses": SIX} | wrong)
    with pytest.raises(ValueError, match="tiles of 30 pixels; expected a multiple of 8"):
        ViewGrid(poses=SIX, tile_size=30).latent_size(8)


def test_rig_is_chosen_by_the_user_else_the_index_else_the_published_name_else_v11():
    v12 = Path("zero123plus-v1.2")
    index_v11, index_v12 = {"stag4d": {"rig": "v1.1"}}, {"stag4d": {"rig": "v1.2"}}
    assert elevations(grid_of(index_v11, v12, "v1.2")) == V12_ELEVATIONS
    assert elevations(grid_of(index_v12, HERE, "v1.1")) == V11_ELEVATIONS
    assert elevations(grid_of(index_v11, v12, None)) == V11_ELEVATIONS
    assert elevations(grid_of(index_v12, HERE, None)) == V12_ELEVATIONS
    assert elevations(grid_of({}, v12, None)) == V12_ELEVATIONS
    assert elevations(grid_of({}, HERE, None)) == V11_ELEVATIONS


def test_name_of_the_working_directory_counts(tmp_path, monkeypatch):
    (tmp_path / "zero123plus-v1.2").mkdir()
    monkeypatch.chdir(tmp_path / "zero123plus-v1.2")
    assert elevations(grid_of({}, Path(), None)) == V12_ELEVATIONS


def test_rig_azimuths_start_at_30_degrees_in_steps_of_60():
    for rig in ("v1.1", "v1.2"):
        poses = grid_of({}, HERE, rig).poses
        assert [pose.azimuth_deg for pose in poses] == [30.0, 90.0, 150.0, 210.0, 270.0, 330.0]


def test_index_may_list_poses():
    rig = [{"azimuth": 10, "elevation": 5, "radius": 3, "fovy": 40}, {"azimuth": 190, "elevation": -5}]
    index = json.loads(json.dumps({"stag4d": {"rig": rig, "tile_size": 64}}))
    grid = grid_of(index, Path("zero123plus-v1.2"), None)
    assert grid.poses == (
        OrbitPose(azimuth_deg=10.0, elevation_deg=5.0, radius=3.0, fovy_deg=40.0),
        OrbitPose(azimuth_deg=190.0, elevation_deg=-5.0),
    )
    assert grid.latent_size(8) == (8, 16)
    assert elevations(grid_of(index, HERE, "v1.2")) == V12_ELEVATIONS


def test_index_may_set_every_number():
    numbers = {"tile_size": 64, "latent_scale": 1, "latent_shift": 0.5, "image_scale": 2.0}
    grid = grid_of({"stag4d": numbers}, HERE, "v1.1")
    assert {name: getattr(grid, name) for name in numbers} == numbers


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ([], r"stag4d is \[\]; expected an object"),
        (None, "stag4d is None; expected an object"),
        ({"tile": 64}, "stag4d has the unknown key 'tile'"),
        ({"poses": []}, "stag4d has the unknown key 'poses'"),
        ({"tile_size": "64"}, r'stag4d\.tile_size must be a finite number, not "64"'),
        ({"tile_size": 64.5}, r"stag4d\.tile_size must be a whole number from 0, not 64\.5"),
        ({"tile_size": True}, r"stag4d\.tile_size must be a finite number, not true"),
        ({"latent_scale": None}, r"stag4d\.latent_scale must be a finite number, not nothing"),
        ({"latent_shift": [0.22]}, r"stag4d\.latent_shift must be a finite number, not \[0\.22\]"),
        ({"image_scale": False}, r"stag4d\.image_scale must be a finite number, not false"),
        ({"rig": [{"azimuth": 0}]}, r"stag4d\.rig\[0\]\.elevation must be a finite number"),
        ({"rig": [30, 90]}, r"stag4d\.rig\[0\] must be an object"),
    ],
    ids=repr,
)
def test_malformed_settings_are_refused(settings, words):
    with pytest.raises(ValueError, match=rf"^model_index\.json: {words}"):
        grid_of({"stag4d": settings}, HERE, None)


def test_unknown_rig_is_refused():
    with pytest.raises(ValueError, match=r"stag4d\.rig is 'v2'; expected v1\.1 or v1\.2, or a list"):
        grid_of({"stag4d": {"rig": "v2"}}, HERE, None)
    with pytest.raises(ValueError, match="unknown version 'v2'"):
        grid_of({}, HERE, "v2")


@pytest.mark.parametrize("rig", [{"azimuth": 0}, 0, False, ""], ids=repr)
def test_rig_of_another_type_is_refused(rig):
    with pytest.raises(ValueError, match="rig"):
        grid_of({"stag4d": {"rig": rig}}, HERE, None)


def test_name_of_a_symlink_counts_as_well_as_its_targets(tmp_path):
    (tmp_path / "snapshot").mkdir()
    link = tmp_path / "zero123plus-v1.2"
    link.symlink_to(tmp_path / "snapshot", target_is_directory=True)
    assert grid_of({}, link, None).poses[0].elevation_deg == 20


def make_folder(folder, **files):
    """Make a model folder whose files hold the given JSON objects or texts, and return its index."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in {"model_index": {}, **files}.items():
        path = folder / {"card": "README.md"}.get(name, f"{name.replace('__', '/')}.json")
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_index(folder, "a model")


CARD = "---\nlicense: openrail\nbase_model: sudo-ai/zero123plus-v1.2\n---\n# A model\n"
MENTION = "---\nlicense: openrail\n---\nFor six other views see also sudo-ai/zero123plus-v1.2.\n"


@pytest.mark.parametrize("name", ["model", "zero123plus", "zero123plus-v1.2", "my-v1.2-copy"])
@pytest.mark.parametrize(
    "files",
    [
        {"stag4d": {"rig": "v1.2"}},
        {"model_index": {"_name_or_path": "sudo-ai/zero123plus-v1.2"}},
        {"unet__config": {"_name_or_path": "/cache/zero123plus_v1.2/unet"}},
        {"card": CARD},
        {"card": CARD.replace(": sudo-ai/zero123plus-v1.2", ":\n- other\n- sudo-ai/zero123plus-v1.2")},
        {"card": "\ufeff" + CARD.replace("\n", "\r\n")},
    ],
    ids=lambda files: next(iter(files)),
)
def test_rig_is_that_of_the_files_whatever_the_folder_is_called(tmp_path, name, files):
    grid = grid_of(make_folder(tmp_path / name, **files), tmp_path / name, None)
    assert elevations(grid) == V12_ELEVATIONS
    assert bool(grid.assumption) == ("stag4d" not in files)


@pytest.mark.parametrize(
    "card",
    [
        MENTION,
        MENTION.split("---\n")[2],
        MENTION + CARD,
        "---\nbase_model: other\ntags:\n- zero123plus-v1.2\n---\n",
        "---\nbase_model: zero123plus-v1.2\n",
        "",
    ],
    ids=lambda card: repr(card[:60]),
)
def test_other_text_of_a_card_does_not_choose_the_rig(tmp_path, card):
    for name in ("model", "zero123plus-v1.1"):
        folder = tmp_path / name
        assert elevations(grid_of(make_folder(folder, card=card), folder, None)) == V11_ELEVATIONS


@pytest.mark.parametrize(
    "path",
    [
        "models--sudo-ai--zero123plus-v1.2/snapshots/0123abc",
        "zero123plus-v1.2/model",
        "zero123plus-v1.1/Zero123Plus v1.2 (copy)/weights/fp16",
        "zero123++1.2",
    ],
)
def test_full_name_in_any_part_of_the_path_decides_and_the_nearest_does(tmp_path, path):
    grid = grid_of(make_folder(tmp_path / path), tmp_path / path, None)
    assert (grid.rig, grid.rig_source, elevations(grid)) == ("v1.2", "path", V12_ELEVATIONS)
    assert "assumed rig v1.2, which its path names; if it is wrong, choose" in grid.assumption


def test_files_take_precedence_over_the_folders_around_them(tmp_path):
    folder = tmp_path / "zero123plus-v1.1" / "converted"
    grid = grid_of(make_folder(folder, card=CARD), folder, None)
    assert (grid.rig, grid.rig_source) == ("v1.2", "files")


@pytest.mark.parametrize("path", ["project-v1.2/model", "zero123plus-v1.25", "stable-zero123/v1/2"])
def test_other_numbers_in_the_path_do_not_decide(tmp_path, path):
    grid = grid_of(make_folder(tmp_path / path), tmp_path / path, "v1.2" if "25" in path else None)
    assert grid.rig_source in ("default", "choice")


def test_source_of_the_rig_is_kept_and_changes_no_resume_key(tmp_path):
    stated = grid_of({"stag4d": {"rig": "v1.1"}}, HERE, None)
    chosen = grid_of({}, HERE, "v1.1")
    own = grid_of({"stag4d": {"rig": [{"azimuth": 0, "elevation": 0}] * 2}}, HERE, None)
    assumed = grid_of({}, HERE, None)
    sources = [(grid.rig, grid.rig_source) for grid in (stated, chosen, own, assumed)]
    assert sources == [("v1.1", "settings"), ("v1.1", "choice"), ("poses", "settings"), ("v1.1", "default")]
    assert repr(stated) == repr(chosen) == repr(assumed)
    assert stated == chosen == assumed


def test_assumed_rig_is_named_with_the_way_to_choose_it(tmp_path):
    index = make_folder(tmp_path / "zero123plus")
    grid = grid_of(index, tmp_path / "zero123plus", None)
    assert elevations(grid) == V11_ELEVATIONS
    assert re.match(
        r".*zero123plus: assumed rig v1\.1, since .*; if it is wrong, choose .*--rig", grid.assumption
    )
    assert grid.with_rig("v1.2").assumption == grid_of(index, tmp_path, "v1.1").assumption == ""
    assert "assumption" not in repr(grid)  # resume keys contain it


@pytest.mark.parametrize(
    ("name", "files", "words"),
    [
        ("my-v1.2-copy", {}, "only its name suggests v1.2"),
        ("zero123plus-v1.1", {"card": CARD}, "its files and its path suggest v1.1 and v1.2"),
        (
            "model",
            {"card": CARD, "vae__config": {"_name_or_path": "zero123plus-v1.1"}},
            "suggest v1.1 and v1.2",
        ),
    ],
)
def test_unclear_rig_is_asked_for(tmp_path, name, files, words):
    index = make_folder(tmp_path / name, **files)
    with pytest.raises(
        ValueError, match=rf"{name}: the rig is not stated, .*{re.escape(words)}; choose with --rig"
    ):
        grid_of(index, tmp_path / name, None)
    assert elevations(grid_of(index, tmp_path / name, "v1.2")) == V12_ELEVATIONS


def test_name_of_the_repository_in_the_hubs_cache_counts(tmp_path):
    folder = tmp_path / "models--sudo-ai--zero123plus-v1.2" / "snapshots" / "0123abc"
    assert elevations(grid_of(make_folder(folder), folder, None)) == V12_ELEVATIONS


def test_settings_beside_the_index_are_merged_and_the_index_takes_precedence(tmp_path):
    settings = {"stag4d": {"rig": "v1.1", "tile_size": 32}}
    index = make_folder(tmp_path, model_index=settings, stag4d={"rig": "v1.2", "latent_scale": 2.0})
    values = {name: setting.value for name, setting in settings_of(index, MULTIVIEW_SETTINGS).items()}
    assert values == {"rig": "v1.1", "tile_size": 32, "latent_scale": 2.0}
    assert elevations(read_grid(tmp_path)) == V11_ELEVATIONS


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"rig": "v3"}, "stag4d.json: rig is 'v3'; expected v1.1 or v1.2"),
        ({"rig": [7]}, "stag4d.json: rig[0] must be an object"),
        ({"tile": 64}, "stag4d.json has the unknown key 'tile'"),
        ({"tile_size": "64"}, "stag4d.json: tile_size must be a finite number"),
    ],
    ids=repr,
)
def test_errors_name_the_file_of_the_setting(tmp_path, settings, words):
    index = make_folder(tmp_path, model_index={"stag4d": {"latent_scale": 1.0}}, stag4d=settings)
    with pytest.raises(ValueError, match=f"^{re.escape(words)}"):
        grid_of(index, tmp_path, None)


@pytest.mark.parametrize("content", ["{", "[]", '{"rig": "v3"}'])
def test_malformed_settings_beside_the_index_are_refused(tmp_path, content):
    with pytest.raises(ValueError, match="stag4d"):
        grid_of(make_folder(tmp_path, stag4d=content), tmp_path, None)


@pytest.mark.parametrize(
    "value", [["pipeline", "Zero123PlusPipeline"], ["Zero123PlusPipeline"], "Zero123PlusPipeline"]
)
def test_class_of_a_custom_pipeline_may_be_a_pair(tmp_path, value):
    index = make_folder(tmp_path, model_index={"_class_name": value})
    assert pipeline_class(index) == "Zero123PlusPipeline"


@pytest.mark.parametrize(
    "value", [7, True, {}, [], "x" * 1000, [1, 2], ["a", "b", "c"], [["a"]], [None, "Zero123PlusPipeline"]]
)
def test_class_name_of_another_type_is_refused(tmp_path, value):
    with pytest.raises(
        ValueError, match=r"model_index\.json: _class_name is .*; expected the name of a class"
    ):
        make_folder(tmp_path, model_index={"_class_name": value})


def test_grids_that_need_too_much_memory_are_refused():
    with pytest.raises(ValueError, match="200 views of 320 pixels; expected at most 100"):
        ViewGrid(poses=SIX[:2] * 100)
    with pytest.raises(ValueError, match="6 views of 5000 pixels; expected at most"):
        ViewGrid(poses=SIX, tile_size=5000)
