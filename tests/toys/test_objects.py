"""Invariants of all toys: determinism, bounds, motion, connectedness."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stag4d.geometry import OrbitPose
from stag4d.toys import ANY_CHARACTER, BOUNDING_RADIUS, SPLITS, ToyObject, raycast, toy_object, toy_seed
from stag4d.toys.bodies import FAST_MOTIONS_OF_PLAN, PLANS
from stag4d.toys.characters import CHARACTERS
from stag4d.toys.motions import FAST_MOTIONS, MOTIONS
from stag4d.toys.skeleton import Joint, Skeleton, Swing, rotations_from_y, tilt_rotations
from stag4d.types import Cameras

FRAME_TIMES = torch.linspace(0, 1, 16)


def tensors_of(toy: ToyObject) -> list[Tensor]:
    skeleton, solids, materials = vars(toy.skeleton), vars(toy.solids), vars(toy.materials)
    values = [*skeleton.values(), *solids.values(), *materials.values(), toy.joint_of_solid]
    return [value for value in values if isinstance(value, Tensor)]


def count_components(mask: Tensor) -> int:
    """Return the number of 8-connected components of a mask, by flood fill."""
    left, count = {tuple(place) for place in mask.nonzero().tolist()}, 0
    while left:
        count, edge = count + 1, [left.pop()]
        while edge:
            row, column = edge.pop()
            around = {(row + down, column + right) for down in (-1, 0, 1) for right in (-1, 0, 1)} & left
            left -= around
            edge.extend(around)
    return count


def test_same_seed_gives_same_bytes_without_global_random_state():
    state = torch.get_rng_state()
    first, second, other = toy_object(7), toy_object(7), toy_object(8)
    assert torch.equal(state, torch.get_rng_state())
    for one, two in zip(tensors_of(first), tensors_of(second), strict=True):
        assert one.numpy().tobytes() == two.numpy().tobytes()
    assert not torch.equal(first.materials.colors[:3], other.materials.colors[:3])


def test_splits_share_no_seed():
    seeds = {split: {toy_seed(split, index) for index in range(500)} for split in SPLITS}
    assert all(len(found) == 500 for found in seeds.values())
    assert len(set.union(*seeds.values())) == 1500
    assert toy_seed("train", 0) == 0 and toy_seed("val", 0) == 1 and toy_seed("test", 2) == 8  # fixed forever


@pytest.mark.parametrize("plan", [*PLANS, *CHARACTERS])
def test_toys_stay_within_their_bounding_radius_at_all_times(toys, plan):
    radii = toys[plan].surface_points(torch.linspace(0, 1, 37)).norm(dim=-1)
    assert 0.93 * BOUNDING_RADIUS < radii.max() <= BOUNDING_RADIUS


@pytest.mark.parametrize("plan", [*PLANS, *CHARACTERS])
def test_toys_move_visibly_and_without_jumps(toys, plan):
    points = toys[plan].surface_points(FRAME_TIMES)  # [16, P, D, 3]
    pixel = 2 * 2 * 0.4568 / 128  # 2 radius tan(fovy / 2) / size: world units at the origin, at 128 pixels
    spans = (points.amax(0) - points.amin(0)).norm(dim=-1)
    assert spans.max() > 10 * pixel
    assert (points[1:] - points[:-1]).norm(dim=-1).max() < 40 * pixel


@pytest.mark.parametrize("plan", [*PLANS, *CHARACTERS])
def test_silhouettes_are_connected(toys, plan):
    """No part is detached: checked from several sides at several times."""
    poses = [OrbitPose(azimuth_deg=azimuth, elevation_deg=15) for azimuth in (10, 70, 130)]
    for time in (0.0, 0.4):
        _, alphas, _ = raycast(toys[plan], time, Cameras.from_poses(poses, 72, 72), supersample=1)
        for alpha in alphas:
            assert count_components(alpha > 0) == 1


def test_looping_toys_end_in_their_first_pose_and_others_do_not():
    kinds = {True: 0, False: 0}
    for seed in range(12):
        toy = toy_object(seed)
        start, end = toy.pose(0.0), toy.pose(1.0)
        kinds[toy.loops] += 1
        if toy.loops:  # wheels and rotors make half turns about their centers
            torch.testing.assert_close(start.centers, end.centers, atol=1e-5, rtol=0)
        else:
            assert (start.centers - end.centers).norm(dim=-1).max() > 5e-3
    assert min(kinds.values()) >= 3


@pytest.mark.parametrize("character", CHARACTERS)
def test_characters_differ_between_seeds_in_dress_and_proportions_and_not_in_their_parts(character):
    one, other = toy_object(1, character), toy_object(2, character)
    assert one.plan == other.plan == character
    assert torch.equal(one.solids.kinds, other.solids.kinds)
    assert one.skeleton.parents == other.skeleton.parents
    assert not torch.equal(one.materials.colors, other.materials.colors)
    ratios = other.solids.sizes / one.solids.sizes
    assert ratios.min() < 0.99 * ratios.max()
    assert ratios.max() < 1.6 * ratios.min()  # narrow limits, beside the common scale


@pytest.mark.parametrize("character", CHARACTERS)
def test_patterns_of_characters_are_symmetric(character):
    """The side that a view hides has the pattern of the side that it shows."""
    for seed in range(8):
        materials = toy_object(seed, character).materials
        solids = torch.arange(len(materials.patterns)).repeat_interleave(64)
        points = torch.rand(len(solids), 3, generator=torch.Generator().manual_seed(seed)) - 0.5
        mirrored = points * torch.tensor([-1.0, 1.0, 1.0])
        assert torch.equal(materials.colors_at(solids, points), materials.colors_at(solids, mirrored))


def test_character_is_sampled_from_the_seed_or_given_by_name():
    sampled = toy_object(5, ANY_CHARACTER)
    by_name = toy_object(5, sampled.plan)
    for one, two in zip(tensors_of(sampled), tensors_of(by_name), strict=True):
        assert torch.equal(one, two)
    assert {toy_object(seed, ANY_CHARACTER).plan for seed in range(80)} == set(CHARACTERS)


def test_body_plans_use_known_motions():
    named = {motion for _, motions in PLANS.values() for motion in motions}
    assert named == set(MOTIONS)
    assert set(FAST_MOTIONS_OF_PLAN) == set(PLANS)
    assert {motion for motions in FAST_MOTIONS_OF_PLAN.values() for motion in motions} == set(FAST_MOTIONS)


@pytest.mark.parametrize("plan", PLANS)
def test_fast_toys_have_the_shape_and_colors_of_calm_ones(plan):
    calm, fast = toy_object(5, plan), toy_object(5, plan, fast_cycles=2.5)
    assert torch.equal(fast.materials.colors, calm.materials.colors)
    assert torch.equal(fast.solids.kinds, calm.solids.kinds)
    ratios = fast.solids.sizes / calm.solids.sizes  # all scaled by one factor, into the same ball
    torch.testing.assert_close(ratios, ratios[:1, :1].expand_as(ratios))


@pytest.mark.parametrize("plan", PLANS)
def test_fast_toys_move_far_between_frames_and_stay_within_their_bounding_radius(plan):
    toy = toy_object(5, plan, fast_cycles=2.5)
    points = toy.surface_points(torch.linspace(0, 1, 12))
    pixel = 2 * 2 * 0.4568 / 128  # world units at the origin, at 128 pixels
    assert (points[1:] - points[:-1]).norm(dim=-1).max() > 20 * pixel
    assert toy.surface_points(torch.linspace(0, 1, 181)).norm(dim=-1).max() <= BOUNDING_RADIUS


def test_fast_motions_repeat_as_often_as_asked():
    toy = toy_object(5, "robot", fast_cycles=4.0)
    times = torch.linspace(0, 1, 17)  # four frames a cycle
    points = toy.surface_points(times)
    torch.testing.assert_close(points[:9], points[8:], atol=1e-9, rtol=0)  # even numbers of hops and cycles
    assert (points[0] - points[2]).norm(dim=-1).max() > 0.1


def test_child_joints_rotate_about_their_parent():
    """An elbow at x = 1 on an arm rotated by 90 degrees about z, against hand-computed frames."""
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
def test_rotation_from_y_maps_y_to_the_direction(direction):
    target = torch.tensor(direction, dtype=torch.float64)
    rotation = rotations_from_y([direction])[0]
    torch.testing.assert_close(rotation[:, 1], target / target.norm())
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(3, dtype=torch.float64))
    assert torch.linalg.det(rotation).item() == pytest.approx(1)


def test_tilt_rotations_are_right_handed():
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
    with pytest.raises(ValueError, match="0 cycles; expected above 0, at most 40"):
        toy_object(0, fast_cycles=0)
    with pytest.raises(ValueError, match="'fox' has no fast motion"):
        toy_object(0, "fox", fast_cycles=2)
    with pytest.raises(ValueError, match=r"unknown body plan 'unicorn'; expected one of .*'fox'"):
        toy_object(0, "unicorn")
    with pytest.raises(ValueError, match="unknown split 'dev'"):
        toy_seed("dev", 0)
    with pytest.raises(ValueError, match="index is -2"):
        toy_seed("val", -2)
