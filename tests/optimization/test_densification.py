"""Which Gaussians grow and which go, what they become, and what happens to their optimiser state."""

from __future__ import annotations

import math

import pytest
import torch

from stag4d.geometry import quats_to_rotations
from stag4d.optimization import AdaptivePercentile, DensificationConfig, FixedThreshold
from stag4d.optimization.densification import GradientStatistics, densify
from stag4d.optimization.parameters import TrainableScene
from stag4d.scene import Gaussians

CPU = torch.device("cpu")


class Chosen:
    """A strategy that grows the given Gaussians."""

    def __init__(self, *indices: int) -> None:
        self.indices = list(indices)

    def select(self, gradients: torch.Tensor) -> torch.Tensor:
        chosen = torch.zeros_like(gradients, dtype=torch.bool)
        chosen[self.indices] = True
        return chosen


def statistics_of(gradients: torch.Tensor) -> GradientStatistics:
    """Return statistics whose means are the given gradients."""
    return GradientStatistics(3 * gradients, torch.full_like(gradients, 3))


def keeping_all(strategy: object, **limits: float) -> DensificationConfig:
    """Return a configuration that never prunes."""
    return DensificationConfig(
        strategy=strategy, **{"min_opacity": 0.0, "min_scale": 0.0, "max_scale": 1e9, **limits}
    )


def grown(
    scene: TrainableScene, config: DensificationConfig, gradients: torch.Tensor | None = None
) -> Gaussians:
    """Densify and return the Gaussians."""
    gradients = torch.ones(len(scene.gaussians)) if gradients is None else gradients
    densify(scene, statistics_of(gradients), config, torch.Generator().manual_seed(0))
    return scene.gaussians


@pytest.fixture
def scene(make_gaussians) -> TrainableScene:
    """Six Gaussians that have been optimised for a step, so that every one has moments."""
    scene = TrainableScene(make_gaussians(6), None)
    for value in scene.gaussians.as_dict().values():
        value.grad = torch.randn(value.shape, generator=torch.Generator().manual_seed(1))
    scene.optimizer.step()
    scene.optimizer.zero_grad()
    return scene


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize(
    ("num_nonzero", "top_share", "num_chosen"),
    [(400, 0.025, 10), (400, 0.1, 40), (39, 0.025, 0), (3, 0.4, 1)],
)
def test_the_top_share_of_the_nonzero_grows_at_any_scale(num_nonzero, top_share, num_chosen, scale):
    gradients = torch.zeros(2 * num_nonzero)
    values = 1 + torch.randperm(num_nonzero, generator=torch.Generator().manual_seed(0)).float()
    gradients[::2] = values * scale
    chosen = AdaptivePercentile(top_share=top_share).select(gradients)
    assert torch.equal(chosen[::2], values > num_nonzero - num_chosen)
    assert not chosen[1::2].any()


def test_without_gradients_nothing_grows():
    assert not AdaptivePercentile().select(torch.zeros(100)).any()


def test_a_fixed_threshold_depends_on_the_scale():
    gradients = torch.tensor([0.0, 1e-4, 3e-4, 2.0])
    assert FixedThreshold(threshold=2e-4).select(gradients).tolist() == [False, False, True, True]
    assert not FixedThreshold(threshold=2e-4).select(gradients * 1e-5).any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AdaptivePercentile(top_share=0), "top_share is 0"),
        (lambda: AdaptivePercentile(top_share=1), "top_share is 1"),
        (lambda: FixedThreshold(threshold=0), "threshold is 0"),
        (lambda: DensificationConfig(start=0.6, stop=0.5), "start 0.6, stop 0.5"),
        (lambda: DensificationConfig(every=0), "every 0"),
        (lambda: DensificationConfig(max_gaussians=0), "max_gaussians 0"),
        (lambda: DensificationConfig(min_scale=0.1, max_scale=0.1), "min_scale 0.1, max_scale 0.1"),
        (lambda: DensificationConfig(clone_scale=-1), "clone_scale -1"),
        (lambda: DensificationConfig(min_opacity=1.5), "min_opacity is 1.5"),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_it_acts_at_the_official_steps():
    config = DensificationConfig()
    assert [step for step in range(1, 8001) if config.is_due(step, 8000)] == list(range(1300, 6001, 100))
    assert not any(DensificationConfig(strategy=None).is_due(step, 8000) for step in range(1, 8001))


@pytest.mark.parametrize(("room", "added"), [(3, [2, 0, 5]), (1, [2]), (0, []), (-4, [])])
def test_the_cap_leaves_room_for_the_largest_gradients(scene, room, added):
    before = scene.gaussians.means.detach().clone()
    config = keeping_all(Chosen(0, 2, 3, 5), clone_scale=1e9, max_gaussians=6 + room)
    after = grown(scene, config, torch.tensor([0.5, 9.0, 0.9, 0.1, 9.0, 0.4]))
    torch.testing.assert_close(after.means[:6], before)
    torch.testing.assert_close(after.means[6:], before[sorted(added)])


def test_small_ones_are_cloned_and_large_ones_split(scene):
    with torch.no_grad():
        scene.gaussians.log_scales[:] = math.log(0.02)
        scene.gaussians.log_scales[4, 1] = math.log(0.2)  # one long axis is enough
    before = scene.gaussians.map(lambda value: value.detach().clone())
    after = grown(scene, keeping_all(Chosen(1, 4), clone_scale=0.1))
    others = [0, 1, 2, 3, 5]
    for name, value in before.as_dict().items():
        found = getattr(after, name)
        torch.testing.assert_close(found[:5], value[others])  # the split one is gone
        torch.testing.assert_close(found[5], value[1])  # the clone
        if name not in ("means", "log_scales"):
            torch.testing.assert_close(found[6:], value[[4, 4]])  # the two of the split
    torch.testing.assert_close(after.scales[6:], before.scales[[4, 4]] / 1.6)
    assert (after.means[6:] - before.means[4]).norm(dim=-1).min() > 0


def test_split_gaussians_lie_where_their_parent_is_dense(make_gaussians):
    parents = make_gaussians(4000)
    scales = torch.tensor([0.5, 0.2, 0.01])
    parents.log_scales[:] = scales.log()
    scene = TrainableScene(parents, None)
    config = keeping_all(Chosen(*range(4000)), clone_scale=0.1)
    children = grown(scene, config).means.detach().unflatten(0, (2, -1))  # [2, N, 3]
    offsets = (children - parents.means)[..., None]
    local = (quats_to_rotations(parents.quats).transpose(1, 2) @ offsets)[..., 0] / scales
    assert local.abs().max() < 6
    torch.testing.assert_close(local.mean(dim=(0, 1)), torch.zeros(3), atol=0.05, rtol=0)
    torch.testing.assert_close(local.flatten(0, 1).std(dim=0), torch.ones(3), atol=0.05, rtol=0)


def test_the_faint_the_vanishing_and_the_oversized_go(make_gaussians):
    gaussians = make_gaussians(6)
    gaussians.logit_opacities[:] = torch.tensor([0.5, 0.009, 0.011, 0.5, 0.5, 0.5]).logit()
    gaussians.log_scales[:] = math.log(0.01)
    gaussians.log_scales[3] = math.log(0.0009)
    gaussians.log_scales[4, 2] = math.log(0.11)
    gaussians.log_scales[5] = torch.tensor(
        [0.0001, 0.0011, 0.099]
    ).log()  # thin, but neither too small nor large
    after = grown(TrainableScene(gaussians, None), DensificationConfig(strategy=Chosen()))
    torch.testing.assert_close(after.means, gaussians.means[[0, 2, 5]])


def test_it_may_be_that_none_is_left(make_gaussians):
    scene = TrainableScene(make_gaussians(4), None)
    assert len(grown(scene, DensificationConfig(strategy=Chosen(), min_opacity=1.0))) == 0


def test_moments_of_the_kept_stay_and_new_ones_start_at_zero(scene):
    with torch.no_grad():
        scene.gaussians.log_scales[:] = math.log(0.02)
        scene.gaussians.log_scales[4] = math.log(0.2)  # is split, so it goes
        scene.gaussians.logit_opacities[0] = -9.0  # is pruned
    before = {key: value.clone() for key, value in scene.moments().items()}
    grown(scene, keeping_all(Chosen(1, 4), clone_scale=0.1, min_opacity=0.01))
    after = scene.moments()
    assert after.keys() == before.keys()
    for key, value in before.items():
        if key.endswith("step"):
            assert torch.equal(after[key], value)
        else:
            assert torch.equal(after[key][:4], value[[1, 2, 3, 5]])
            assert after[key].shape[0] == 7  # and a clone and the two of a split
            assert not after[key][4:].any()


def test_the_optimizer_updates_the_new_tensors(scene):
    grown(scene, keeping_all(Chosen(1, 4), clone_scale=1e9))
    before = scene.gaussians.means.detach().clone()
    scene.gaussians.means.sum().backward()
    scene.optimizer.step()
    # Adam's second step, on moments that were zero before it: 0.1 and 0.001
    expected = 1e-3 * (0.1 / (1 - 0.9**2)) / math.sqrt(0.001 / (1 - 0.999**2))
    moved = before - scene.gaussians.means.detach()
    torch.testing.assert_close(moved[6:], torch.full((2, 3), expected), rtol=1e-3, atol=0)


def meta(gradients: torch.Tensor, radii: torch.Tensor, width: int, height: int) -> dict:
    """Return what a rasterizer says of C renders: gradients [C, N, 2] in pixels, radii [C, N]."""
    means2d = torch.zeros_like(gradients, requires_grad=True)
    means2d.grad = gradients
    both = radii.int()[..., None].expand(-1, -1, 2)  # [C, N, 2]
    return {"means2d": means2d, "radii": both, "width": width, "height": height}


def test_gradients_of_a_step_are_summed_before_the_norm_and_counted_once():
    statistics = GradientStatistics.zeros(3, CPU)
    # Gaussian 0: opposite in two renders; 1: (3, 0) and (0, 4) in two metas; 2: never visible
    first = meta(
        torch.tensor([[[1.0, 2.0], [3.0, 0.0], [5.0, 5.0]], [[-1.0, -2.0], [0.0, 0.0], [5.0, 5.0]]]),
        torch.tensor([[4, 4, 0], [4, 0, 0]]), width=2, height=2,
    )  # fmt: skip
    second = meta(
        torch.tensor([[[0.0, 0.0], [0.0, 4.0], [5.0, 5.0]]]), torch.tensor([[0, 9, 0]]), width=2, height=2
    )
    statistics.observe([first, second])
    torch.testing.assert_close(statistics.norm_sum, torch.tensor([0.0, 5.0, 0.0]))
    assert statistics.num_seen.tolist() == [1, 1, 0]
    statistics.observe([second])
    torch.testing.assert_close(statistics.means(), torch.tensor([0.0, 4.5, 0.0]))
    assert statistics.num_seen.tolist() == [1, 2, 0]


def test_gradients_count_in_units_of_half_the_render():
    statistics = GradientStatistics.zeros(1, CPU)
    statistics.observe([meta(torch.tensor([[[0.3, 0.1]]]), torch.ones(1, 1), width=20, height=80)])
    assert statistics.norm_sum.item() == pytest.approx(math.hypot(0.3 * 10, 0.1 * 40))


def test_a_visible_render_that_the_loss_ignores_counts_as_zero():
    statistics = GradientStatistics.zeros(1, CPU)
    unmoved = meta(torch.ones(1, 1, 2), torch.ones(1, 1), width=2, height=2)
    unmoved["means2d"].grad = None  # a loss that does not depend on this render
    statistics.observe([unmoved])
    assert (statistics.norm_sum.item(), statistics.num_seen.item()) == (0, 1)
