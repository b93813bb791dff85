"""Background removal from generated views, on disks of known coverage and color."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import pytest
import torch
from simple_images import disk, paint

from stag4d.matting import rembg_remover, remove_background
from stag4d.matting.background import border_color

GRAY = (127 / 255,) * 3
PINK = (0.9, 0.6, 0.75)  # light, and far from gray
NAVY = (0.05, 0.1, 0.3)


def bands(*values: tuple[float, int]) -> torch.Tensor:
    """Return a view [10, 10, 3] of vertical bands: (red value, number of columns) each."""
    row = torch.cat([torch.full((count,), value) for value, count in values])
    view = torch.zeros(10, 10, 3)
    view[..., 0] = row
    return view


COVERAGE = disk(48, (23.3, 25.1), 13.4)


@pytest.mark.parametrize("color", [PINK, NAVY])
def test_alpha_of_a_disk_on_gray_is_its_pixel_coverage(color):
    _, alpha, is_plain = remove_background(paint(COVERAGE, color, GRAY))
    assert (alpha.shape, alpha.dtype, is_plain) == ((48, 48), torch.float32, True)
    assert (alpha - COVERAGE).abs().max() < 0.08  # barely covered pixels count as background
    assert alpha[COVERAGE == 0].max() == 0


@pytest.mark.parametrize("color", [PINK, NAVY])
@pytest.mark.parametrize("background", [GRAY, (0.2, 0.8, 0.3)])
def test_edge_pixels_have_the_color_of_the_object_alone(color, background):
    view = paint(COVERAGE, color, background)
    colors, alpha, _ = remove_background(view)
    assert colors.shape == (48, 48, 3)
    is_edge = (alpha > 0.15) & (alpha < 0.95)
    assert is_edge.sum() > 40
    difference = (colors - torch.tensor(color)).abs().amax(dim=-1)
    assert difference[is_edge].max() < 0.05
    mixed = (view - torch.tensor(color)).abs().amax(dim=-1)
    assert mixed[is_edge].max() > 0.3  # the background's part in the view


def test_colors_and_alpha_are_computed_with_the_same_background():
    """Half of the 60 border pixels are darker: the median lies between, if each corner counts once."""
    view = torch.full((16, 16, 3), 0.5)
    view[:8] = 0.48
    view[5:11, 5:11] = torch.tensor(NAVY)
    view[5:11, 5] = 0.5 * torch.tensor(NAVY) + 0.5 * 0.49  # half covered
    colors, alpha, is_plain = remove_background(view)
    assert is_plain and alpha[7, 5].item() == pytest.approx(0.5, abs=0.01)
    torch.testing.assert_close(border_color(view), torch.full((3,), 0.49))
    torch.testing.assert_close(colors[6:10, 5], torch.tensor(NAVY).expand(4, 3), atol=5e-3, rtol=0)


@pytest.mark.parametrize(("color", "most"), [(PINK, 0.05), (NAVY, 0.08)])
def test_result_on_white_equals_the_disk_painted_on_white(color, most):
    colors, alpha, _ = remove_background(paint(COVERAGE, color, GRAY))
    white = colors * alpha[..., None] + 1 - alpha[..., None]
    assert (white - paint(COVERAGE, color, (1.0, 1.0, 1.0))).abs().max() < most


def test_colors_of_opaque_pixels_are_unchanged():
    view = paint(COVERAGE, PINK, GRAY)
    inside = disk(48, (23.3, 25.1), 11.0) > 0
    view[inside] += 0.05 * torch.randn(int(inside.sum()), 3, generator=torch.Generator().manual_seed(0))
    colors, _, _ = remove_background(view.clamp(0, 1))
    torch.testing.assert_close(colors[inside], view.clamp(0, 1)[inside])


@pytest.mark.parametrize("seed", range(4))
def test_noise_gives_a_mask_that_is_reported_as_unreliable(seed):
    view = torch.rand(32, 32, 3, generator=torch.Generator().manual_seed(seed))
    colors, alpha, is_plain = remove_background(view)
    assert not is_plain
    assert sorted(alpha.unique().tolist()) == [0, 1]
    torch.testing.assert_close(colors, view)  # the mask has no soft edges


@pytest.mark.parametrize("value", [0.0, 127 / 255, 1.0])
def test_alpha_of_a_constant_view_is_zero_with_a_plain_background(value):
    colors, alpha, is_plain = remove_background(torch.full((16, 16, 3), value))
    assert not alpha.any()
    assert is_plain
    assert colors.isfinite().all()


@pytest.mark.parametrize(
    ("view", "object_columns"),
    [
        (bands((0.2, 6), (0.7, 4)), 4),
        (bands((0.7, 6), (0.2, 4)), 4),  # darker than the border's median
        # 60 at 0, 20 at 0.2, 20 at 1: a threshold above 0 gives 60 * 40 * 0.6^2 = 864, above 0.2
        # 80 * 20 * 0.95^2 = 1444.
        (bands((0.0, 6), (0.2, 2), (1.0, 2)), 2),
        # 60 at 0, 20 at 0.8, 20 at 1: above 0 60 * 40 * 0.9^2 = 1944, above 0.8 80 * 20 * 0.8^2 = 1024.
        (bands((0.0, 6), (0.8, 2), (1.0, 2)), 4),
    ],
)
def test_otsu_threshold_separates_two_groups_if_the_border_is_not_plain(view, object_columns):
    expected = torch.zeros(10, 10)
    expected[:, 10 - object_columns :] = 1
    _, alpha, is_plain = remove_background(view)
    assert torch.equal(alpha, expected)
    assert not is_plain


def test_missing_rembg_is_an_error_with_the_install_command():
    if find_spec("rembg") is not None:
        pytest.skip("rembg is installed")
    with pytest.raises(
        RuntimeError, match=r"rembg: the package rembg is not installed; pip install 'rembg\[cpu\]'"
    ):
        rembg_remover()


def test_rembg_that_exits_on_import_is_reported_as_missing(tmp_path, monkeypatch):
    (tmp_path / "rembg.py").write_text("import sys\nsys.exit(1)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "rembg", raising=False)
    with pytest.raises(RuntimeError, match="the package rembg is not installed"):
        rembg_remover()
