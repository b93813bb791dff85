"""What holds for every toy: its seed, its bounds, its motion, and that it is in one piece."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stag4d.geometry import OrbitPose
from stag4d.toys import REACH, SPLITS, ToyObject, raycast, toy_object, toy_seed
from stag4d.toys.bodies import PLANS
from stag4d.toys.motions import MOTIONS
from stag4d.toys.skeleton import Joint, Skeleton, Swing, rotations_from_y, tilt_rotations
from stag4d.types import Cameras

CLIP = torch.linspace(0, 1, 16)


def tensors_of(toy: ToyObject) -> list[Tensor]:
    skeleton, solids, paint = vars(toy.skeleton), vars(toy.solids), vars(toy.paint)
    values = [*skeleton.values(), *solids.values(), *paint.values(), toy.joint_of_solid]
    return [value for value in values if isinstance(value, Tensor)]


def pieces(mask: Tensor) -> int:
    """Count a mask's connected pieces, corners included, by flooding."""
    left, count = {tuple(place) for place in mask.nonzero().tolist()}, 0
    while left:
        count, edge = count + 1, [left.pop()]
        while edge:
            row, column = edge.pop()
            around = {(row + down, column + right) for down in (-1, 0, 1) for right in (-1, 0, 1)} & left
            left -= around
            edge.extend(around)
    return count


def test_the_same_seed_gives_the_same_bytes_and_draws_nothing_global():
    state = torch.get_rng_state()
    first, second, other = toy_object(7), toy_object(7), toy_object(8)
    assert torch.equal(state, torch.get_rng_state())
    for one, two in zip(tensors_of(first), tensors_of(second), strict=True):
        assert one.numpy().tobytes() == two.numpy().tobytes()
    assert not torch.equal(first.paint.colors[:3], other.paint.colors[:3])


def test_splits_share_no_seed():
    seeds = {split: {toy_seed(split, index) for index in range(500)} for split in SPLITS}
    assert all(len(found) == 500 for found in seeds.values())
    assert len(set.union(*seeds.values())) == 1500
    assert toy_seed("train", 0) == 0 and toy_seed("val", 0) == 1 and toy_seed("test", 2) == 8  # never changes


@pytest.mark.parametrize("plan", PLANS)
def test_toys_stay_within_reach_at_times_between_those_that_were_checked(toys, plan):
    radii = toys[plan].surface_points(torch.linspace(0, 1, 37)).norm(dim=-1)
    assert 0.93 * REACH < radii.max() <= REACH


@pytest.mark.parametrize("plan", PLANS)
def test_toys_move_visibly_but_not_in_leaps(toys, plan):
    points = toys[plan].surface_points(CLIP)  # [16, P, D, 3]
    pixel = 2 * 2 * 0.4568 / 128  # 2 radius tan(fovy / 2) / size: world units at the origin, at 128 pixels
    spans = (points.amax(0) - points.amin(0)).norm(dim=-1)
    assert spans.max() > 10 * pixel
    assert (points[1:] - points[:-1]).norm(dim=-1).max() < 40 * pixel


@pytest.mark.parametrize("plan", PLANS)
def test_no_part_ever_comes_off(toys, plan):
    """From several sides and at several times, the silhouette is one piece."""
    poses = [OrbitPose(azimuth_deg=azimuth, elevation_deg=15) for azimuth in (10, 70, 130)]
    for time in (0.0, 0.4):
        _, alphas, _ = raycast(toys[plan], time, Cameras.from_poses(poses, 72, 72), supersample=1)
        for alpha in alphas:
            assert pieces(alpha > 0) == 1


def test_a_looping_toy_ends_as_it_began_and_the_others_do_not():
    kinds = {True: 0, False: 0}
    for seed in range(12):
        toy = toy_object(seed)
        start, end = toy.pose(0.0), toy.pose(1.0)
        kinds[toy.loops] += 1
        if toy.loops:  # wheels and rotors make half turns, about their centers
            torch.testing.assert_close(start.centers, end.centers, atol=1e-5, rtol=0)
        else:
            assert (start.centers - end.centers).norm(dim=-1).max() > 5e-3
    assert min(kinds.values()) >= 3


def test_plans_name_known_motions():
    named = {motion for _, motions in PLANS.values() for motion in motions}
    assert named == set(MOTIONS)


def test_a_joint_carries_its_children_about_its_own_origin():
    """An elbow at x = 1 on an arm that has turned by 90 degrees about z: worked out by hand."""
    joints = [
        Joint("arm", -1, (0, 1, 0), swings=[Swing((0, 0, 1), amplitude_deg=90, cycles=1)]),
        Joint("elbow", 0, (1, 0, 0), swings=[Swing((0, 0, 2), bias_deg=90)]),
    ]
    rotations, origins = Skeleton.from_joints(joints, bounce=(0.5, 1.0)).frames(torch.tensor([0.0, 0.25]))
    arc = 0.5 * 0.5**0.5  # of the bounce at a quarter of its one hop
    expected = [[[0, 1, 0], [0, 1 + arc, 0]], [[1, 1, 0], [0, 2 + arc, 0]]]
    torch.testing.assert_close(origins, torch.tensor(expected, dtype=torch.float64))
    forearm = rotations[1] @ torch.tensor([1.0, 0, 0], dtype=torch.float64)
    torch.testing.assert_close(forearm, torch.tensor([[0.0, 1, 0], [-1, 0, 0]], dtype=torch.float64))


@pytest.mark.parametrize("direction", [(0, 2, 0), (0, -1, 0), (1, 0, 0), (0.3, -0.5, 0.7)])
def test_rotation_from_y_is_a_rotation_that_takes_y_there(direction):
    target = torch.tensor(direction, dtype=torch.float64)
    rotation = rotations_from_y([direction])[0]
    torch.testing.assert_close(rotation[:, 1], target / target.norm())
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(3, dtype=torch.float64))
    assert torch.linalg.det(rotation).item() == pytest.approx(1)


def test_tilts_are_right_handed():
    up = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    forward = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    about_x, about_y, about_z, two = tilt_rotations([(90, 0, 0), (0, 90, 0), (0, 0, 90), (90, 90, 0)])
    assert (about_x @ up).tolist() == pytest.approx([0, 0, 1])
    assert (about_y @ forward).tolist() == pytest.approx([1, 0, 0])
    assert (about_z @ up).tolist() == pytest.approx([-1, 0, 0])
    assert (two @ up).tolist() == pytest.approx([1, 0, 0])  # about x first, then about y


def test_errors_name_the_value():
    with pytest.raises(ValueError, match="seed is -1"):
        toy_object(-1)
    with pytest.raises(ValueError, match="seed is 4294967296"):
        toy_object(2**32)
    with pytest.raises(ValueError, match="unknown split 'dev'"):
        toy_seed("dev", 0)
    with pytest.raises(ValueError, match="index is -2"):
        toy_seed("val", -2)
