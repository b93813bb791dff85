"""Ray hits on solids, against hand-computed values and against ray marching of implicit functions."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from stag4d.toys.materials import Material, Materials
from stag4d.toys.shapes import BOX, ELLIPSOID, FRUSTUM, ROUNDED_CONE, Solids, first_hits
from stag4d.toys.skeleton import axis_rotations
from stag4d.types import Cameras

SIDE, DIAGONAL = 2 / math.sqrt(3), math.sqrt(2)

# kind, sizes, origin, direction (any length), distance (None: a miss), the hit in the solid's frame
BY_HAND = {
    "ellipsoid from the front": (ELLIPSOID, (1, 2, 3), (0, 0, 5), (0, 0, -1), 2, (0, 0, 3)),
    "ellipsoid off its center": (ELLIPSOID, (1, 2, 4), (0.6, 0, 5), (0, 0, -1), 1.8, (0.6, 0, 3.2)),
    "ellipsoid missed": (ELLIPSOID, (1, 2, 3), (1.01, 0, 5), (0, 0, -1), None, None),
    "ellipsoid behind": (ELLIPSOID, (1, 2, 3), (0, 0, 5), (0, 0, 1), None, None),
    "box face": (BOX, (1, 2, 3), (0.9, 1.9, 5), (0, 0, -1), 2, (0.9, 1.9, 3)),
    "box from the side": (BOX, (1, 1, 1), (3, 0, 3.5), (-1, 0, -1), 2.5 * DIAGONAL, (0.5, 0, 1)),
    "box corner missed": (BOX, (1, 1, 1), (3, 0, -0.9), (-1, 0, -1), None, None),
    "capsule side": (ROUNDED_CONE, (0.5, 0.5, 1), (4, 0.9, 0), (-1, 0, 0), 3.5, (0.5, 0.9, 0)),
    "capsule end": (ROUNDED_CONE, (0.5, 0.5, 1), (0, 4, 0), (0, -1, 0), 2.5, (0, 1.5, 0)),
    "capsule's round corner": (ROUNDED_CONE, (0.5, 0.5, 1), (4, 1.3, 0), (-1, 0, 0), 3.6, (0.4, 1.3, 0)),
    # tangent to both spheres: rho cos 30 + (y + 1) sin 30 = 1.5, so at y = 0 rho = 1 / cos 30 = SIDE
    "rounded cone side": (ROUNDED_CONE, (1.5, 0.5, 1), (4, 0, 0), (-1, 0, 0), 4 - SIDE, (SIDE, 0, 0)),
    "rounded cone bottom": (ROUNDED_CONE, (1.5, 0.5, 1), (0, -4, 0), (0, 1, 0), 1.5, (0, -2.5, 0)),
    "frustum side": (FRUSTUM, (2, 0, 1), (4, 0.5, 0), (-1, 0, 0), 3.5, (0.5, 0.5, 0)),
    "frustum bottom": (FRUSTUM, (2, 1, 1), (1.9, -4, 0), (0, 1, 0), 3, (1.9, -1, 0)),
    "frustum top": (FRUSTUM, (2, 1, 1), (0.9, 4, 0), (0, -1, 0), 3, (0.9, 1, 0)),
    "frustum, parallel inside": (FRUSTUM, (2, 0, 1), (3, -3, 0), (-1, 1, 0), 2 * DIAGONAL, (1, -1, 0)),
    "frustum, parallel outside": (FRUSTUM, (2, 0, 1), (4.5, -3, 0), (-1, 1, 0), None, None),
    "frustum, far side": (FRUSTUM, (2, 0, 1), (-3, 3, 0), (1, -1, 0), 2.5 * DIAGONAL, (-0.5, 0.5, 0)),
    "frustum, past its rim": (FRUSTUM, (2, 1, 1), (4, 1.01, 0), (-1, 0, 0), None, None),
    "frustum, no second cone beyond its tip": (FRUSTUM, (2, 0, 1), (4, 1.5, 0), (-1, 0, 0), None, None),
}  # fmt: skip

SIZES = {
    ELLIPSOID: (0.5, 0.2, 0.35),
    BOX: (0.4, 0.15, 0.3),
    ROUNDED_CONE: (0.3, 0.12, 0.4),
    FRUSTUM: (0.1, 0.4, 0.3),
}


def solid(kind: int, sizes: tuple[float, float, float], rotation: Tensor, center: Tensor) -> Solids:
    sizes_tensor = torch.tensor([sizes], dtype=torch.float64)
    return Solids(torch.tensor([kind]), sizes_tensor, rotation[None].double(), center[None].double())


def at_rest(kind: int, sizes: tuple[float, float, float]) -> Solids:
    return solid(kind, sizes, torch.eye(3), torch.zeros(3))


def implicit(kind: int, sizes: tuple[float, float, float], points: Tensor) -> Tensor:
    """Return an implicit function of a solid at points [..., 3], negative inside; independent of the code."""
    first, second, third = sizes
    if kind == ELLIPSOID:
        return (points / torch.tensor(sizes)).norm(dim=-1) - 1
    if kind == BOX:
        return (points.abs() - torch.tensor(sizes)).amax(-1)
    y, rho = points[..., 1], points[..., [0, 2]].norm(dim=-1)
    part = ((y + third) / (2 * third))[..., None]  # 0 at the bottom, 1 at the top
    if kind == FRUSTUM:
        return torch.maximum(y.abs() - third, rho - (first + (second - first) * part[..., 0]))
    steps = torch.linspace(0, 1, 65, dtype=torch.float64)  # a rounded cone: the union of spheres in between
    gaps = torch.hypot(rho[..., None], y[..., None] - third * (2 * steps - 1))
    return (gaps - (first + (second - first) * steps)).amin(-1)


def random_pose(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    axis = torch.randn(3, generator=generator, dtype=torch.float64)
    angle = torch.rand((), generator=generator, dtype=torch.float64) * 6
    center = torch.rand(3, generator=generator, dtype=torch.float64) * 0.4 - 0.2
    return axis_rotations(axis / axis.norm(), angle), center


@pytest.mark.parametrize(
    ("kind", "sizes", "origin", "direction", "distance", "point"), BY_HAND.values(), ids=BY_HAND
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_hits_equal_hand_computed_hits(kind, sizes, origin, direction, distance, point, dtype):
    heading = torch.tensor(direction, dtype=dtype)
    solids = Solids(
        torch.tensor([kind]),
        torch.tensor([sizes], dtype=dtype),
        torch.eye(3, dtype=dtype)[None],
        torch.zeros(1, 3, dtype=dtype),
    )
    start = torch.tensor([origin], dtype=dtype)
    hits = first_hits(start, (heading / heading.norm())[None, None], solids)
    if distance is None:
        assert hits.ids.item() == -1 and hits.distances.item() == math.inf
    else:
        assert hits.ids.item() == 0
        assert hits.distances.item() == pytest.approx(distance, abs=1e-5)
        assert hits.points[0, 0].tolist() == pytest.approx(point, abs=1e-5)


@pytest.mark.parametrize(
    ("kind", "sizes", "origin", "direction", "distance", "point"), BY_HAND.values(), ids=BY_HAND
)
def test_compiled_hits_equal_hand_computed_hits(kind, sizes, origin, direction, distance, point):
    """The ray through the center of a camera's only pixel: its camera z is the distance."""
    numba_raycast = pytest.importorskip("stag4d.toys.numba_raycast")
    z = torch.nn.functional.normalize(torch.tensor(direction, dtype=torch.float64), dim=0)
    x = torch.nn.functional.normalize(torch.linalg.cross(z, torch.tensor([0.3, 0.5, 0.7]).double()), dim=0)
    viewmat = torch.eye(4, dtype=torch.float64)
    viewmat[:3, :3] = torch.stack([x, torch.linalg.cross(z, x), z])
    viewmat[:3, 3] = -viewmat[:3, :3] @ torch.tensor(origin, dtype=torch.float64)
    K = torch.tensor([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
    # The color changes to blue at the x of the expected hit, minus a thousandth, along x.
    edge = 0.0 if point is None else point[0] - 1e-3
    material = Material((1.0, 0, 0), (0, 0, 1.0), "two_tone", axis=(1.0, 0, 0), cell=1.0, phase=-edge)
    tracer = numba_raycast.RowTracer(
        at_rest(kind, sizes), Materials.from_list([material]), Cameras(viewmat[None], K[None], 1, 1), 1
    )
    color, alpha, depth = (value[0, 0].tolist() for value in tracer(0, 1))
    if distance is None:
        assert (color, alpha, depth) == ([1, 1, 1], 0, 0)
    else:
        assert (color, alpha) == ([0, 0, 1], 1)
        assert depth == pytest.approx(distance, abs=1e-5)


@pytest.mark.parametrize("kind", SIZES)
def test_hits_equal_ray_marching_of_an_implicit_function(kind):
    generator = torch.Generator().manual_seed(kind)
    rotation, center = random_pose(generator)
    origins = torch.tensor([[0.0, 0.3, 2.0], [-1.5, 0.2, 0.4]], dtype=torch.float64)
    aims = center + 0.6 * torch.rand(2, 60, 3, generator=generator, dtype=torch.float64) - 0.3
    directions = torch.nn.functional.normalize(aims - origins[:, None], dim=-1)
    hits = first_hits(origins, directions, solid(kind, SIZES[kind], rotation, center))

    step = 2e-3
    along = torch.arange(0.8, 2.8, step, dtype=torch.float64)
    march = origins[:, None, None] + along[:, None] * directions[:, :, None]  # [2, 60, steps, 3]
    inside = implicit(kind, SIZES[kind], (march - center) @ rotation) < 0
    marched = inside.any(-1)
    first = along[inside.int().argmax(-1)]
    hit = hits.ids == 0
    assert marched.sum() > 30 and (~marched).sum() > 10
    assert hit[marched].all()
    assert ((first - hits.distances)[marched] > -1e-3).all()
    assert ((first - hits.distances)[marched] < step + 1e-3).all()
    # The march may step over a ray's short way through an edge: its hit is on the surface nevertheless.
    assert implicit(kind, SIZES[kind], hits.points[hit]).abs().max() < 1e-3
    world = hits.points[hit] @ rotation.T + center
    torch.testing.assert_close(world, (origins[:, None] + hits.distances[..., None] * directions)[hit])


def test_nearest_solid_is_hit_and_ties_go_to_the_first():
    kinds, sizes = torch.full((3,), BOX), torch.ones(3, 3)
    centers = torch.tensor([[0.0, 0.0, -3.0], [0.0, 0.0, 0.0], [0.5, 0.0, 0.0]])
    solids = Solids(kinds, sizes, torch.eye(3).expand(3, 3, 3), centers)
    origin = torch.tensor([[0.0, 0.0, 5.0]])
    ahead = torch.tensor([[[0.0, 0.0, -1.0]]])
    hits = first_hits(origin, ahead, solids)
    assert (hits.ids.item(), hits.distances.item()) == (1, 4.0)


@pytest.mark.parametrize("kind", SIZES)
def test_support_points_lie_on_the_surface_and_bound_all_hits(kind):
    generator = torch.Generator().manual_seed(10 + kind)
    directions = torch.nn.functional.normalize(
        torch.randn(50, 3, generator=generator, dtype=torch.float64), dim=-1
    )
    still = at_rest(kind, SIZES[kind])
    supports = still.support_points(directions)[0]  # [50, 3]
    assert implicit(kind, SIZES[kind], supports).abs().max() < 1e-6
    assert supports.norm(dim=-1).max() <= still.bounding_radii().item() + 1e-9

    origins = 3 * directions[:10]
    aims = 0.5 * torch.rand(10, 40, 3, generator=generator, dtype=torch.float64) - 0.25
    hits = first_hits(origins, torch.nn.functional.normalize(aims - origins[:, None], dim=-1), still)
    surface = hits.points[hits.ids == 0]
    assert len(surface) > 100
    reach = (supports * directions).sum(-1)
    assert (surface @ directions.T <= reach + 1e-9).all()
