"""The visual hull of solids with exactly known silhouettes: spheres and a box, traced pixel by pixel."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stag4d.geometry import OrbitPose, zero123plus_rig
from stag4d.scene import Gaussians, visual_hull
from stag4d.scene.initialization import sample_image
from stag4d.types import Cameras

SIZE, BOUND, COUNT = 128, 0.8, 3000
VOXEL = 2 * BOUND / 96
RADIUS = 0.5
POSES = (OrbitPose(azimuth_deg=0.0), *zero123plus_rig())
CAMERAS = [Cameras.from_poses([pose], SIZE, SIZE) for pose in POSES]
RED, BLUE = torch.tensor([1.0, 0.1, 0.1]), torch.tensor([0.1, 0.1, 1.0])

View = tuple[Tensor, Tensor]


def directions_of(camera: Cameras) -> Tensor:
    """Return unit rays [H, W, 3] from the camera center through the pixel centers."""
    rows, columns = torch.meshgrid(torch.arange(SIZE) + 0.5, torch.arange(SIZE) + 0.5, indexing="ij")
    pixels = torch.stack([columns, rows, torch.ones_like(rows)], dim=-1)
    rays = pixels @ torch.linalg.inv(camera.Ks[0]).T @ camera.viewmats[0, :3, :3]
    return rays / rays.norm(dim=-1, keepdim=True)


def sphere_view(camera: Cameras, radius: float = RADIUS) -> View:
    """Return image and alpha of a ball around the origin, red where x > 0 and blue elsewhere."""
    directions, center = directions_of(camera), camera.centers[0]
    along = directions @ center
    discriminant = along.square() - center @ center + radius**2
    points = center + (-along - discriminant.clamp_min(0).sqrt())[..., None] * directions
    return torch.where(points[..., :1] > 0, RED, BLUE), (discriminant > 0).float()


def box_view(camera: Cameras, half: Tensor) -> View:
    """Return image and alpha of a gray box around the origin."""
    directions, center = directions_of(camera), camera.centers[0]
    walls = torch.stack([(side * half - center) / directions for side in (-1, 1)])  # [2, H, W, 3]
    enter, leave = walls.amin(dim=0).amax(dim=-1), walls.amax(dim=0).amin(dim=-1)
    return torch.full((SIZE, SIZE, 3), 0.5), (enter < leave).float()


def hull_of(views: list[View], count: int = COUNT) -> Gaussians:
    images, alphas = [image for image, _ in views], [alpha for _, alpha in views]
    generator = torch.Generator().manual_seed(0)
    return visual_hull(images, alphas, CAMERAS[: len(views)], count, BOUND, generator)


def excess(points: Tensor) -> Tensor:
    """Return the distances [N] of points from the sphere's exact hull: the largest over the cameras' rays."""
    distances = []
    for camera in CAMERAS:
        center = camera.centers[0]
        rays = torch.nn.functional.normalize(points - center, dim=-1)
        distances.append(torch.linalg.cross(rays, center.expand_as(rays)).norm(dim=-1))
    return torch.stack(distances).amax(dim=0) - RADIUS


@pytest.fixture(scope="module")
def sphere() -> Gaussians:
    return hull_of([sphere_view(camera) for camera in CAMERAS])


def test_points_lie_on_the_surface(sphere):
    offsets = excess(sphere.means).abs()
    assert len(sphere) == COUNT
    assert offsets.median() < VOXEL
    assert offsets.max() < 3 * VOXEL  # an edge voxel's far corner


def test_points_cover_the_surface(sphere):
    rays = torch.randn(500, 3, generator=torch.Generator().manual_seed(1))
    rays = torch.nn.functional.normalize(rays, dim=-1)
    low, high = torch.full((500, 1), RADIUS), torch.full((500, 1), BOUND)
    for _ in range(20):  # bisection: where each ray from the origin leaves the hull
        middle = (low + high) / 2
        is_inside = excess(middle * rays)[:, None] < 0
        low, high = torch.where(is_inside, middle, low), torch.where(is_inside, high, middle)
    assert torch.cdist(low * rays, sphere.means).amin(dim=1).max() < 6 * VOXEL


def test_points_take_the_color_of_their_side(sphere):
    sides = sphere.means[:, 0]
    clear = sides.abs() > 3 * VOXEL
    expected = torch.where(sides[clear, None] > 0, RED, BLUE)
    errors = (sphere.colors[clear] - expected).abs().amax(dim=1)
    assert (errors < 0.1).float().mean() > 0.98
    assert clear.float().mean() > 0.8


def test_initial_gaussians_are_half_opaque_and_small(sphere):
    torch.testing.assert_close(sphere.opacities, torch.full((COUNT,), 0.5))
    assert sphere.scales.max() <= 3 * VOXEL * 1.0001
    assert torch.isfinite(sphere.quats).all()


def count_silhouettes(views: list[View], points: Tensor) -> Tensor:
    """Return the number [N] of silhouettes, dilated by two pixels, that points project into."""
    count = torch.zeros(len(points))
    for (_, alpha), camera in zip(views, CAMERAS, strict=False):
        dilated = torch.nn.functional.max_pool2d(alpha[None], 5, stride=1, padding=2)[0]
        count += sample_image(dilated[..., None], camera, points)[:, 0] > 0.5
    return count


def test_hull_of_a_box_encloses_it_and_stays_inside_its_silhouettes():
    half = torch.tensor([0.2, 0.4, 0.3])
    views = [box_view(camera, half) for camera in CAMERAS[:4]]
    means = hull_of(views, 1500).means
    assert not (means.abs() < half - 2 * VOXEL).all(dim=1).any()  # the surface encloses the whole box
    assert count_silhouettes(views, means).min() == 4
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3) * half
    assert torch.cdist(corners, means).amin(dim=1).max() < 6 * VOXEL


@pytest.mark.parametrize("lost", [0.5, 1.0])
def test_view_with_a_partly_or_fully_missing_silhouette_is_tolerated(lost):
    views = [sphere_view(camera) for camera in CAMERAS[:4]]
    views[2][1][:, : int(lost * SIZE)] = 0
    means = hull_of(views).means
    assert excess(means).min() > -3 * VOXEL  # nothing of the sphere is carved away
    assert count_silhouettes(views, means).min() == 3  # what is outside of two silhouettes is


def test_view_with_a_wrong_silhouette_is_tolerated():
    views = [sphere_view(camera) for camera in CAMERAS[:5]]
    alpha = torch.zeros(SIZE, SIZE)
    alpha[: SIZE // 3] = 1  # above the ball and touching it
    views[2] = views[2][0], alpha
    means = hull_of(views).means
    assert excess(means).min() > -3 * VOXEL
    assert count_silhouettes(views, means).min() == 4


def test_more_points_than_surface_voxels_are_all_distinct():
    means = hull_of([sphere_view(camera, 0.03) for camera in CAMERAS[:3]], 1000).means
    assert means.norm(dim=1).max() < 0.03 + 4 * VOXEL
    assert len(means.unique(dim=0)) == 1000


@pytest.mark.parametrize("case", ["empty", "apart"])
def test_silhouettes_without_a_common_volume_are_refused(case):
    upper, lower = torch.zeros(SIZE, SIZE), torch.zeros(SIZE, SIZE)
    if case == "apart":  # two level cameras, an object above the horizon and one below it
        upper[:50], lower[-50:] = 1, 1
    cameras = [Cameras.from_poses([OrbitPose(azimuth_deg=azimuth)], SIZE, SIZE) for azimuth in (0.0, 90.0)]
    images = [torch.zeros(SIZE, SIZE, 3)] * 2
    with pytest.raises(ValueError, match="visual hull: no point in space projects into the silhouettes"):
        visual_hull(images, [upper, lower], cameras, 10, BOUND, torch.Generator())


def test_image_is_sampled_at_the_projections_of_points():
    camera = CAMERAS[0]  # at (0, 0, 2), looking along -z
    centers = torch.arange(SIZE) + 0.5
    ramp = torch.stack(torch.meshgrid(centers, centers, indexing="ij"), dim=-1)  # [H, W, 2]: row, column
    focal = camera.Ks[0, 0, 0].item()
    points = torch.tensor([[0.0, 0.0, 0.0], [0.2, 0.3, 1.0], [0.0, 0.0, 3.0], [5.0, 0.0, 0.0]])
    rows_columns = sample_image(ramp, camera, points)
    # The second is at depth 1, to the right and above; the third is behind the camera, the last out of view.
    expected = torch.tensor([[64.0, 64.0], [64 - 0.3 * focal, 64 + 0.2 * focal], [0.0, 0.0], [0.0, 0.0]])
    torch.testing.assert_close(rows_columns, expected, atol=1e-3, rtol=0)
