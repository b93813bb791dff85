"""The benchmark against ground truth: cells, repeated and failed runs, and the table."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest
import torch

from benchmarks import _truth_cells, _truth_rows, _truth_table
from benchmarks import truth as truth_script
from tiny_models import make_guidance_folder, make_multiview_folder

ROWS = ("full", "no_sds", "frames_alone", "true_views")


@pytest.fixture(scope="module")
def truth():
    """Return the script and its modules."""
    return SimpleNamespace(script=truth_script, rows=_truth_rows, cells=_truth_cells, table=_truth_table)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    make_multiview_folder(folder / "multiview")
    make_guidance_folder(folder / "guidance")
    return ["--multiview-model", str(folder / "multiview"), "--guidance-model", str(folder / "guidance")]


@pytest.fixture(scope="module")
def run(truth, models):
    """Return a function that runs rows at a small size, on one toy and one seed."""

    def run_rows(out, *more, rows=ROWS):
        small = "--frames 2 --size 32 --steps 4 --sampling-steps 2 --objects 1 1 --seeds 1 1"
        return truth.script.main(["--out", str(out), *small.split(), *models, "--rows", *rows, *more])

    return run_rows


@pytest.fixture(scope="module")
def finished(run, tmp_path_factory):
    """Return a folder with all cells finished."""
    out = tmp_path_factory.mktemp("bench")
    assert run(out) == 0
    return out


def read(out, name):
    return json.loads((out / name).read_text(encoding="utf-8"))


def test_every_cell_is_measured_at_the_test_views(finished):
    assert {path.stem for path in (finished / "cells").iterdir()} == {f"{row}-test0-seed0" for row in ROWS}
    for row in ROWS:
        scores = read(finished, f"cells/{row}-test0-seed0.json")["scores"]
        assert 0 < scores["psnr"] < 40
        assert 0 < scores["iou"] <= 1
        assert scores["flicker"] > 0
        assert (scores["views_psnr"] is None) == (row == "true_views")


def test_true_views_are_better_than_those_of_a_random_model(finished):
    scores = (read(finished, f"cells/{row}-test0-seed0.json")["scores"] for row in ("full", "true_views"))
    generated, true = scores
    assert true["psnr"] > generated["psnr"] + 3
    assert true["iou"] > generated["iou"] + 0.2


def test_only_rows_with_guidance_need_a_guidance_model(run, tmp_path, capsys):
    absent = ["--guidance-model", "bundled/none"]
    assert run(tmp_path, *absent, rows=["no_sds"]) == 0
    assert run(tmp_path, *absent, rows=["full"]) == 2
    assert "bundled/none: no such guidance model in the package" in capsys.readouterr().err


def test_rows_that_differ_only_in_the_fit_share_their_views(finished):
    assert [path.name for path in (finished / "views").iterdir()] == ["full-test0-seed0"]


def test_table_holds_the_differences_of_the_cells(finished):
    table = read(finished, "table.json")
    cells = {row: read(finished, f"cells/{row}-test0-seed0.json")["scores"] for row in ROWS}
    assert list(table["rows"]) == list(ROWS)
    expected = cells["no_sds"]["psnr"] - cells["full"]["psnr"]
    assert table["against_full"]["no_sds"]["psnr"] == {"mean": pytest.approx(expected), "interval": None}
    written = (finished / "table.md").read_text(encoding="utf-8")
    assert f"| no_sds | 1 | 1 | {cells['no_sds']['psnr']:.2f} |" in written
    assert f"| no_sds | 1 | 1 | {expected:+.2f} |" in written


def test_finished_cells_are_kept_and_a_missing_one_is_recomputed(run, finished, capsys):
    kept, lost = (finished / "cells" / f"{row}-test0-seed0.json" for row in ("full", "no_sds"))
    before, scores = kept.stat(), read(lost.parent, lost.name)["scores"]
    lost.unlink()
    assert run(finished) == 0
    assert kept.stat() == before
    assert read(lost.parent, lost.name)["scores"] == scores
    assert "[1/1] no_sds-test0-seed0: PSNR" in capsys.readouterr().out


def test_cells_with_other_settings_are_refused(run, finished, capsys):
    assert run(finished, "--steps", "5") == 2
    assert "full-test0-seed0.json: has bench.steps 4; expected 5" in capsys.readouterr().err


def test_table_of_cells_with_different_settings_is_refused(run, finished, tmp_path, capsys):
    (tmp_path / "cells").mkdir()
    for row in ("full", "no_sds"):
        cell = read(finished, f"cells/{row}-test0-seed0.json")
        cell["settings"]["bench"]["size"] += row == "no_sds"
        (tmp_path / "cells" / f"{row}-test0-seed0.json").write_text(json.dumps(cell), encoding="utf-8")
    assert run(tmp_path, "--table") == 2
    assert "no_sds-test0-seed0.json: has bench.size 33; expected 32" in capsys.readouterr().err


def test_table_of_cells_with_different_guidance_models_is_refused(run, finished, tmp_path, capsys):
    (tmp_path / "cells").mkdir()
    cell = read(finished, "cells/full-test0-seed0.json")
    for row, prior in (("full", "one"), ("no_anchor", "another")):
        cell["settings"]["fit"]["prior"] = prior
        (tmp_path / "cells" / f"{row}-test0-seed0.json").write_text(json.dumps(cell), encoding="utf-8")
    assert run(tmp_path, "--table") == 2
    assert "no_anchor-test0-seed0.json: has prior another; expected one" in capsys.readouterr().err


def test_cell_of_an_unknown_row_is_named(run, finished, tmp_path, capsys):
    (tmp_path / "cells").mkdir()
    cell = (finished / "cells" / "full-test0-seed0.json").read_text(encoding="utf-8")
    (tmp_path / "cells" / "fuller-test0-seed0.json").write_text(cell, encoding="utf-8")
    assert run(tmp_path, "--table") == 2
    assert "unknown row fuller; expected one of full, no_anchor" in capsys.readouterr().err


def test_failed_cell_does_not_stop_the_others(run, tmp_path, capsys):
    (tmp_path / "views").mkdir()
    (tmp_path / "views" / "full-test0-seed0").touch()  # a file in place of the folder
    assert run(tmp_path, rows=("full", "true_views")) == 1
    assert [path.stem for path in (tmp_path / "cells").iterdir()] == ["true_views-test0-seed0"]
    assert "[1/2] full-test0-seed0: " in capsys.readouterr().err


def test_folder_without_cells_is_refused(run, tmp_path, capsys):
    assert run(tmp_path, "--table") == 2
    assert "no cells yet" in capsys.readouterr().err


def test_central_rows_get_more_toys_and_seeds(truth):
    options = truth.script._options(["--objects", "2", "1", "--seeds", "2", "1"])
    planned = truth.script._planned(options)
    assert len(planned) == len(set(planned)) == 5 * 4 + 6
    assert not any(cell.row == "paper" for cell in planned)
    assert sum(cell.row == "no_sds" for cell in planned) == 4
    assert [cell for cell in planned if cell.row == "previous"] == [("previous", 0, 0)]


def test_frames_alone_render_as_many_images_in_total(truth):
    full, alone = (truth.rows.ROWS[row].fitting(500, 96, 0, 16) for row in ("full", "frames_alone"))
    total = 16 * alone.steps * alone.batch.num_frames
    assert abs(total / (full.steps * full.batch.num_frames) - 1) < 0.02


def test_frames_alone_are_densified_as_often_as_the_full_method(truth):
    full, alone = (truth.rows.ROWS[row].fitting(500, 96, 0, 16) for row in ("full", "frames_alone"))
    times = [
        sum(config.densification.is_due(step, config.steps) for step in range(1, config.steps + 1))
        for config in (full, alone)
    ]
    assert times[0] > 3
    assert abs(times[0] - times[1]) <= 1


def test_steps_of_the_paper_row_scale_with_its_preset(truth):
    assert truth.rows.ROWS["paper"].fitting(750, 96, 0, 16).steps == 4000


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (7, 2.3646), (23, 2.0687), (120, 1.9799)],
)
def test_t_quantiles_equal_printed_tables(truth, degrees, expected):
    assert truth.table.t_quantile(degrees) == pytest.approx(expected, abs=6e-5)


def test_differences_are_paired_and_have_an_interval(truth):
    psnr = {
        **{("full", toy, 0): value for toy, value in enumerate((20.0, 25.0, 30.0))},
        **{("no_sds", toy, 0): value for toy, value in enumerate((19.0, 23.0, 27.0, 50.0))},
    }
    table = truth.table.summarize(results_of(truth, psnr))
    assert table["rows"]["no_sds"]["psnr"] == pytest.approx(29.75)
    found = table["against_full"]["no_sds"]
    # differences -1, -2, -3: standard deviation 1, so 4.3027 / sqrt(3)
    assert found["pairs"] == 3
    assert found["psnr"] == {"mean": pytest.approx(-2), "interval": pytest.approx(2.4841, abs=1e-3)}
    assert found["lpips"] is None
    assert found["base"]["psnr"] == pytest.approx(25)  # over the three toys of both rows
    assert list(found["seeds"]) == [0]
    written = truth.table.as_markdown(table)
    assert "| no_sds | 3 | 3 | -2.00 ± 2.48 |" in written
    assert "| no_sds | full | 25.00 | 0.500 | 0.500 | - |" in written
    assert "seed 0" not in written  # with one seed it would repeat the mean


def test_seeds_of_one_toy_are_not_independent(truth):
    full = {("full", toy, seed): 20.0 for toy in range(2) for seed in range(3)}
    other = {("no_sds", toy, seed): 19.0 - 2 * toy + seed for toy in range(2) for seed in range(3)}
    found = truth.table.summarize(results_of(truth, full | other))["against_full"]["no_sds"]
    assert (found["pairs"], found["toys"]) == (6, 2)
    # the toys' differences are 0 and -2: standard deviation sqrt(2), so 12.7062 / sqrt(2) of that
    assert found["psnr"] == {"mean": pytest.approx(-1), "interval": pytest.approx(12.7062, abs=1e-3)}


def test_differences_are_listed_by_seed(truth):
    full = {("full", toy, seed): 20.0 + toy for toy in range(2) for seed in range(3)}
    other = {("no_sds", toy, seed): 19.0 - toy + seed for toy in range(2) for seed in range(3)}
    table = truth.table.summarize(results_of(truth, full | other))
    found = table["against_full"]["no_sds"]["seeds"]
    assert {seed: means["psnr"] for seed, means in found.items()} == {0: -2.0, 1: -1.0, 2: 0.0}
    assert {seed: means["lpips"] for seed, means in found.items()} == dict.fromkeys(range(3))
    written = truth.table.as_markdown(json.loads(json.dumps(table)))
    assert "| no_sds | seed 1 | -1.00 | +0.000 | +0.000 | - |" in written


def test_every_toy_has_the_same_weight(truth):
    full = {("full", 0, 0): 29.0, ("full", 0, 1): 30.0, ("full", 0, 2): 31.0, ("full", 1, 0): 20.0}
    other = {("no_sds", 0, 0): 30.0, ("no_sds", 1, 0): 21.0}
    table = truth.table.summarize(results_of(truth, full | other))
    assert [table["rows"][row]["psnr"] for row in ("full", "no_sds")] == [25.0, 25.5]
    assert "| full | 2 | 4 | 25.00 |" in truth.table.as_markdown(table)


def test_median_toy_is_the_lower_of_the_middle_two(truth):
    means = {0: 24.0, 1: 20.0, 2: 26.0, 3: 31.0}
    psnr = {("full", toy, seed): mean + seed - 0.5 for toy, mean in means.items() for seed in (0, 1)}
    results = results_of(truth, psnr)
    assert truth.table.median_toy(results, 4) == (0, means)
    assert truth.table.median_toy(results, 2)[0] == 1
    with pytest.raises(ValueError, match="no cell of toy 4"):
        truth.table.median_toy(results, 5)


def results_of(truth, psnr):
    """Return results with the given PSNR and constant other scores."""
    bench = {"frames": 16, "size": 96, "steps": 500, "sampling_steps": 12}
    rest = dict.fromkeys(truth.table.DIGITS, 0.5) | {"lpips": None}
    return {
        truth.cells.Cell(*cell): {
            "settings": {"bench": bench},
            "scores": {**rest, "psnr": value},
            "num_gaussians": 100,
            "seconds": {"fit": 1.0},
        }
        for cell, value in psnr.items()
    }


def test_lpips_is_measured_if_its_package_is_installed(truth, monkeypatch):
    """With a fake package, whose network gets the frames of each view and returns their mean difference."""

    class Network:
        def __init__(self, net, verbose):
            assert net == "vgg"

        def eval(self):
            return self

        def __call__(self, images, others, normalize):
            assert images.shape == (2, 3, 8, 8)
            assert normalize
            return (images - others).abs().mean(dim=(1, 2, 3), keepdim=True)

    images = torch.zeros(4, 2, 8, 8, 3)
    images[3] = 1
    for package, expected in ((SimpleNamespace(LPIPS=Network), 0.25), (None, None)):
        monkeypatch.setitem(sys.modules, "lpips", package)
        truth.cells._perceptual_network.cache_clear()
        assert truth.cells._perceptual_distance(images, torch.zeros_like(images)) == expected
    truth.cells._perceptual_network.cache_clear()
