"""STAG4DToSplat, and splats as Gaussians: axes and activations by hand."""

import math
import sys

import pytest
import torch


@pytest.fixture(scope="module")
def splats(pack_module):
    return pack_module("nodes.host.splats")


@pytest.fixture(scope="module")
def convert(pack_module):
    """A function that executes the node and returns the splat."""
    node = pack_module("nodes.to_splat").STAG4DToSplat
    return lambda scene, **times: node.execute(scene, times).args[0]


@pytest.fixture
def one(pack_module):
    """A static scene of one Gaussian, all of whose parameters differ."""
    scene = pack_module("stag4d.scene")
    gaussians = scene.Gaussians(
        means=torch.tensor([[0.1, 0.2, 0.3]]),
        log_scales=torch.tensor([[0.01, 0.02, 0.03]]).log(),
        quats=torch.tensor([[2.0, 0.0, 0.0, 0.0]]),
        logit_opacities=torch.tensor([math.log(3.0)]),  # opacity 3/4
        sh0=torch.tensor([[[0.5, -0.25, 1.0]]]),
    )
    return scene.GaussianModel4D(gaussians, None, scene.SceneInfo(num_frames=3))


def test_values_are_activated_and_in_the_3dgs_frame(convert, one):
    splat = convert(one, times="moment", moment=0.0)
    torch.testing.assert_close(splat.positions, torch.tensor([[[0.1, -0.2, -0.3]]]))
    torch.testing.assert_close(splat.scales, torch.tensor([[[0.01, 0.02, 0.03]]]))
    torch.testing.assert_close(splat.rotations, torch.tensor([[[0.0, 1.0, 0.0, 0.0]]]))  # half a turn about x
    torch.testing.assert_close(splat.opacities, torch.tensor([[[0.75]]]))
    torch.testing.assert_close(splat.sh, torch.tensor([[[[0.5, -0.25, 1.0]]]]))
    assert splat.counts is None


def test_all_frames_are_a_batch_ordered_by_time(convert, sliding_scene):
    splat = convert(sliding_scene, times="all frames")
    shapes = [tuple(value.shape) for value in vars(splat).values() if value is not None]
    assert shapes == [(5, 1, 3), (5, 1, 3), (5, 1, 4), (5, 1, 1), (5, 1, 1, 3)]
    torch.testing.assert_close(splat.positions[:, 0, 0], torch.tensor([-0.4, -0.2, 0.0, 0.2, 0.4]))


def test_conversion_back_gives_the_same_gaussians(splats, convert, one):
    back = splats.gaussians_from(convert(one, times="all frames"))
    torch.testing.assert_close(back.means, one.gaussians.means)
    torch.testing.assert_close(back.log_scales, one.gaussians.log_scales)
    torch.testing.assert_close(back.logit_opacities, one.gaussians.logit_opacities)
    torch.testing.assert_close(back.sh0, one.gaussians.sh0)
    torch.testing.assert_close(back.quats.abs(), torch.tensor([[1.0, 0.0, 0.0, 0.0]]))


def splat_of(positions, opacities=0.5, degree=0, counts=None):
    batch, size, _ = positions.shape
    return sys.modules["comfy_api.latest"].Types.SPLAT(
        positions=positions,
        scales=torch.full((batch, size, 3), 0.1),
        rotations=torch.tensor([1.0, 0, 0, 0]).repeat(batch, size, 1),
        opacities=torch.full((batch, size, 1), opacities),
        sh=torch.zeros(batch, size, (degree + 1) ** 2, 3),
        counts=counts,
    )


def test_padding_and_view_dependent_color_are_dropped(splats):
    splat = splat_of(torch.rand(2, 7, 3), degree=2, counts=torch.tensor([4, 7]))
    gaussians = splats.gaussians_from(splat)
    assert len(gaussians) == 4
    assert gaussians.sh0.shape == (4, 1, 3)


def test_opacity_one_and_scale_zero_give_finite_parameters(splats):
    splat = splat_of(torch.zeros(1, 2, 3), opacities=1.0)
    splat.scales.zero_()
    gaussians = splats.gaussians_from(splat)
    assert torch.isfinite(gaussians.logit_opacities).all()
    assert torch.isfinite(gaussians.log_scales).all()


def test_empty_splat_is_rejected(splats):
    with pytest.raises(ValueError, match="has no Gaussians; expected at least one"):
        splats.gaussians_from(splat_of(torch.zeros(1, 3, 3), counts=torch.tensor([0])))


def test_values_that_are_not_finite_stay_so(splats):
    """The fit drops such Gaussians and logs how many; here none may turn into a usable one."""
    for name in ("positions", "scales", "rotations", "opacities", "sh"):
        for bad in (float("nan"), float("inf")):
            splat = splat_of(torch.rand(1, 3, 3))
            getattr(splat, name)[0, 1] = bad
            values = splats.gaussians_from(splat).as_dict().values()
            finite = torch.stack([value.reshape(3, -1).isfinite().all(dim=1) for value in values])
            assert finite.all(dim=0).tolist() == [True, False, True], (name, bad)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("opacities", 3.0, "opacities from 3 to 3; expected 0 to 1, that is, activated values"),
        ("opacities", -2.0, "opacities from -2 to -2"),
        ("scales", -4.0, "scales from -4 to -4; expected standard deviations, that is, activated values"),
    ],
)
def test_logits_and_logarithms_are_rejected(splats, name, value, message):
    splat = splat_of(torch.rand(1, 3, 3))
    getattr(splat, name).fill_(value)
    with pytest.raises(ValueError, match=f"^splat: {message}"):
        splats.gaussians_from(splat)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("positions", (1, 3, 2), r"positions have shape \[1, 3, 2\]; expected \[1, 3, 3\]"),
        ("scales", (1, 2, 3), r"scales have shape \[1, 2, 3\]; expected \[1, 3, 3\]"),
        ("opacities", (1, 3, 2), r"opacities have shape"),
        ("sh", (1, 3, 0, 3), r"sh has shape \[1, 3, 0, 3\]; expected \[1, 3, 'K', 3\]"),
    ],
)
def test_tensors_of_other_shapes_are_rejected(splats, name, shape, message):
    splat = splat_of(torch.rand(1, 3, 3))
    setattr(splat, name, torch.zeros(shape))
    with pytest.raises(ValueError, match=f"^splat: {message}"):
        splats.gaussians_from(splat)


def test_more_gaussians_than_there_are_is_rejected(splats):
    with pytest.raises(ValueError, match="counts has 4; expected at most 3"):
        splats.gaussians_from(splat_of(torch.rand(1, 3, 3), counts=torch.tensor([4])))
