"""Body plans: how each kind of toy is put together, in units of about half its length, looking along +z."""

from __future__ import annotations

from collections.abc import Callable

from .paint import Wardrobe
from .parts import SIDES, arm, head, leg, tail
from .shapes import Vector
from .sketch import Sketch


def _root(sketch: Sketch, least_deg: float, most_deg: float) -> int:
    """Add the root joint, turned away from the input camera to either side by an angle between two bounds."""
    turn_deg = sketch.random.pick(SIDES) * sketch.random.uniform(least_deg, most_deg)
    return sketch.joint("body", -1, (0, 0, 0), (0, turn_deg, 0))


def _torso(sketch: Sketch, joint: int, half: Vector, wear: Wardrobe) -> None:
    """Add a round or, less often, a square trunk."""
    x, y, z = half
    if sketch.random.chance(0.3):
        sketch.box(joint, (0, 0, 0), (0.85 * x, 0.85 * y, 0.9 * z), wear.body)
    else:
        sketch.ellipsoid(joint, (0, 0, 0), (1.08 * x, 1.08 * y, 1.08 * z), wear.body)


def _quadruped(sketch: Sketch, wear: Wardrobe) -> None:
    """Draw a four-legged animal: trunk, neck, head with ears or horns, tail."""
    random = sketch.random
    half = (random.uniform(0.36, 0.46), random.uniform(0.38, 0.5), random.uniform(0.6, 0.8))
    length, radius = random.uniform(0.5, 0.8), random.uniform(0.14, 0.19)
    body = _root(sketch, 20, 75)
    _torso(sketch, body, half, wear)
    for row, (z, role) in enumerate(((0.62, "front hip"), (-0.62, "hip"))):
        for side in SIDES:
            hip = (side * (half[0] - 0.9 * radius), -0.45 * half[1], z * half[2])
            leg(sketch, body, wear, hip, length, radius, role, phase=0.5 * ((side > 0) ^ (row > 0)))
    rise = random.pick((0.15, 0.3, 0.75))
    neck = sketch.joint("neck", body, (0, 0.45 * half[1], 0.7 * half[2]), (random.uniform(20, 45), 0, 0))
    sketch.limb(neck, (0, 0, 0), (0, rise + 0.2, 0), (0.24, 0.2), wear.limb)
    skull = sketch.joint("head", neck, (0, rise + 0.28, 0.05), (-25, 0, 0))
    head(sketch, skull, wear, random.uniform(0.32, 0.42), ("muzzle", "muzzle", "trunk", "nose", "plate"),
         ("round", "pointed", "long", "horns", "crest"))  # fmt: skip
    tail(sketch, body, (0, 0.35 * half[1], -0.8 * half[2]), random.uniform(10, 50), random.uniform(0.4, 0.8),
         random.uniform(0.1, 0.15), (wear.body, wear.accent))  # fmt: skip


def _biped(sketch: Sketch, wear: Wardrobe) -> None:
    """Draw an animal or doll on two legs, with arms and perhaps a tail."""
    random = sketch.random
    half = (random.uniform(0.36, 0.5), random.uniform(0.45, 0.6), random.uniform(0.32, 0.42))
    length, radius = random.uniform(0.5, 0.75), random.uniform(0.14, 0.18)
    body = _root(sketch, 0, 65)
    _torso(sketch, body, half, wear)
    for side in SIDES:
        hip = (side * (0.95 * half[0] - radius), -0.65 * half[1], 0)
        leg(sketch, body, wear, hip, length, 1.1 * radius, phase=0.25 * (1 + side))
        shoulder = (side * half[0] * 0.9, 0.5 * half[1], 0)
        arm(sketch, body, wear, shoulder, random.uniform(0.62, 0.8), 0.85 * radius, phase=0.25 * (1 + side))
    skull = sketch.joint("head", body, (0, half[1] + 0.3, 0.03))
    sketch.limb(body, (0, 0.5 * half[1], 0), (0, half[1] + 0.2, 0), (0.2, 0.18), wear.limb)
    head(sketch, skull, wear, random.uniform(0.38, 0.5), ("muzzle", "nose", "plate", "beak"),
         ("round", "pointed", "long", "hat", "antenna", "crest"))  # fmt: skip
    if random.chance(0.5):
        tail(sketch, body, (0, -0.5 * half[1], -0.7 * half[2]), random.uniform(-10, 30), 0.8, 0.2,
             (wear.body, wear.accent))  # fmt: skip


def _bird(sketch: Sketch, wear: Wardrobe) -> None:
    """Draw a bird with two-part wings, a fan of a tail and a neck of any length."""
    random = sketch.random
    half = (random.uniform(0.36, 0.46), random.uniform(0.38, 0.48), random.uniform(0.5, 0.62))
    body = _root(sketch, 0, 65)
    sketch.ellipsoid(body, (0, 0, 0), half, wear.body, (random.uniform(-25, 0), 0, 0))
    for side in SIDES:
        leg(sketch, body, wear, (side * 0.17, -0.6 * half[1], 0), random.uniform(0.4, 0.55), 0.09,
            phase=0.25 * (1 + side))  # fmt: skip
        wing = sketch.joint("wing", body, (side * 0.75 * half[0], 0.3 * half[1], 0.05), side=side)
        span, chord = random.uniform(0.3, 0.36), random.uniform(0.28, 0.38)
        sketch.ellipsoid(wing, (side * span, 0, 0), (1.2 * span, 0.09, chord), wear.limb)
        tip = sketch.joint("wingtip", wing, (side * 1.9 * span, 0, -0.05), side=side)
        sketch.ellipsoid(tip, (side * 0.8 * span, 0, 0), (1.05 * span, 0.07, 0.75 * chord), wear.accent)
    fan = sketch.joint("tail", body, (0, 0.1, -0.8 * half[2]), (random.uniform(10, 35), 0, 0))
    for angle in (-28, 0, 28):
        sketch.ellipsoid(fan, (-0.25 * angle / 28, 0, -0.28), (0.15, 0.06, 0.4), wear.limb, (0, angle, 0))
    neck = sketch.joint("neck", body, (0, 0.6 * half[1], 0.5 * half[2]), (25, 0, 0))
    rise = random.pick((0.1, 0.25, 0.5))
    sketch.limb(neck, (0, 0, 0), (0, rise + 0.1, 0), (0.2, 0.17), wear.body)
    skull = sketch.joint("head", neck, (0, rise + 0.2, 0.03), (-25, 0, 0))
    head(sketch, skull, wear, random.uniform(0.3, 0.38), ("beak",), ("crest", "hat", "pointed", "antenna"))


def _fish(sketch: Sketch, wear: Wardrobe) -> None:
    """Draw a fish that bends in three parts."""
    random = sketch.random
    height, width = random.uniform(0.45, 0.62), random.uniform(0.3, 0.4)
    body = _root(sketch, 30, 85)
    sketch.ellipsoid(body, (0, 0, 0.15), (width, height, 0.72), wear.body)
    sketch.ellipsoid(body, (0, 0.9 * height, 0.0), (0.07, 0.32, 0.42), wear.limb, (-18, 0, 0))
    for side in SIDES:
        sketch.ball(body, (side * 0.62 * width, 0.25 * height, 0.62), 0.13, wear.white)
        sketch.ball(body, (side * 0.78 * width, 0.25 * height, 0.67), 0.08, wear.dark)
        root = (side * 0.85 * width, -0.25 * height, 0.2)
        fin = sketch.joint("fin", body, root, (0, 25 * side, 0), side=side)
        sketch.ellipsoid(fin, (side * 0.26, 0, -0.05), (0.32, 0.06, 0.2), wear.accent)
    sketch.ellipsoid(body, (0, -0.12, 0.84), (0.16, 0.1, 0.1), wear.accent)
    middle = sketch.joint("spine", body, (0, 0, -0.35), phase=-0.1)
    sketch.limb(middle, (0, 0, 0.1), (0, 0, -0.42), (0.62 * height, 0.4 * width), wear.body)
    end = sketch.joint("spine", middle, (0, 0, -0.42), phase=-0.25)
    for sign in (1, -1):
        sketch.ellipsoid(end, (0, 0.24 * sign, -0.28), (0.08, 0.22, 0.44), wear.limb, (40 * sign, 0, 0))


def _serpent(sketch: Sketch, wear: Wardrobe) -> None:
    """Draw a snake or cobra: a chain of links and a raised neck."""
    random = sketch.random
    radius, step = random.uniform(0.32, 0.4), random.uniform(0.34, 0.4)
    body = _root(sketch, 30, 85)
    sketch.ellipsoid(body, (0, 0, 0), (1.1 * radius, radius, 1.5 * radius), wear.body)
    joint, at = body, (0.0, 0.0, -0.15)
    count = random.pick((3, 4))
    for link in range(count):
        joint = sketch.joint("spine", joint, at, (random.uniform(-3, 3), 0, 0), phase=-0.17 * (link + 1))
        radii = (radius * (1 - 0.13 * link), radius * (1 - 0.13 * (link + 1)))
        at = (0.0, 0.0, -step)
        sketch.limb(joint, (0, 0, 0), at, radii, (wear.body, wear.limb)[link % 2])
    sketch.frustum(joint, at, (0, 0.1, -step - 0.4), (radius * (1 - 0.13 * count), 0.03), wear.accent)
    rise, raised = random.uniform(0.5, 0.8), random.uniform(20, 40)
    neck = sketch.joint("neck", body, (0, 0.1, 0.1), (raised, 0, 0))
    sketch.limb(neck, (0, 0, 0), (0, rise, 0), (radius, 0.85 * radius), wear.limb)
    if random.chance(0.5):  # a cobra's hood
        sketch.ellipsoid(neck, (0, rise, -0.08), (0.5, 0.42, 0.1), wear.body)
    skull = sketch.joint("head", neck, (0, rise + 0.2, 0.1), (-raised, 0, 0))
    head(sketch, skull, wear, random.uniform(0.34, 0.42), ("plate", "muzzle", "nose"),
         ("crest", "horns", "hat", "pointed"))  # fmt: skip


def _vehicle(sketch: Sketch, wear: Wardrobe) -> None:
    """Draw a truck with four wheels and a crane, a rotor or a driver on its roof."""
    random = sketch.random
    half = (random.uniform(0.42, 0.5), random.uniform(0.22, 0.3), random.uniform(0.75, 0.95))
    wheel = random.uniform(0.26, 0.34)
    body = _root(sketch, 20, 80)
    sketch.box(body, (0, 0, 0), half, wear.body)
    sketch.box(body, (0, -0.6 * half[1], half[2]), (0.95 * half[0], 0.08, 0.08), wear.accent)
    for z in (0.62, -0.62):
        for side in SIDES:
            hub = sketch.joint("wheel", body, (side * half[0], -half[1], z * half[2]), side=side)
            sketch.frustum(hub, (-side * 0.1, 0, 0), (side * 0.16, 0, 0), (wheel, wheel), wear.dark)
            sketch.frustum(hub, (0, 0, 0), (side * 0.2, 0, 0), (0.6 * wheel, 0.55 * wheel), wear.accent)
            sketch.box(hub, (side * 0.17, 0, 0), (0.06, 0.8 * wheel, 0.16 * wheel), wear.white)
    for side in SIDES:
        sketch.ball(body, (side * 0.6 * half[0], 0.1 * half[1], half[2]), 0.11, wear.white)
    cabin = random.uniform(0.28, 0.36)
    where = random.pick((0.3, -0.05))
    sketch.box(body, (0, half[1] + cabin, where), (0.85 * half[0], cabin, 0.36), wear.limb)
    sketch.box(body, (0, half[1] + 1.1 * cabin, where), (0.7 * half[0], 0.5 * cabin, 0.385), wear.dark)
    sketch.box(body, (0, half[1] + 1.1 * cabin, where), (0.885 * half[0], 0.5 * cabin, 0.26), wear.dark)
    _VEHICLE_TOPS[random.pick(tuple(_VEHICLE_TOPS))](sketch, body, wear, (half[1] + 2 * cabin, where))


def _crane(sketch: Sketch, body: int, wear: Wardrobe, roof: tuple[float, float]) -> None:
    """Add a turret with a boom and a hammer on the roof, whose height y and place z are given."""
    turret = sketch.joint("turret", body, (0, roof[0], roof[1]))
    sketch.frustum(turret, (0, -0.03, 0), (0, 0.16, 0), (0.3, 0.24), wear.accent)
    boom = sketch.joint("boom", turret, (0, 0.14, 0), (35, 0, 0))
    sketch.limb(boom, (0, 0, 0), (0, 0.75, 0), (0.14, 0.11), wear.head)
    sketch.box(boom, (0, 0.82, 0.05), (0.28, 0.12, 0.16), wear.accent)


def _rotor(sketch: Sketch, body: int, wear: Wardrobe, roof: tuple[float, float]) -> None:
    """Add four turning blades above the roof."""
    rotor = sketch.joint("rotor", body, (0, roof[0], roof[1]))
    sketch.frustum(rotor, (0, -0.05, 0), (0, 0.22, 0), (0.12, 0.09), wear.dark)
    sketch.box(rotor, (0, 0.24, 0), (0.8, 0.05, 0.13), wear.accent)
    sketch.box(rotor, (0, 0.24, 0), (0.13, 0.049, 0.8), wear.accent)


def _driver(sketch: Sketch, body: int, wear: Wardrobe, roof: tuple[float, float]) -> None:
    """Add a big head that looks out of the roof."""
    skull = sketch.joint("head", body, (0, roof[0] + 0.28, roof[1]))
    head(sketch, skull, wear, 0.36, ("nose", "beak", "muzzle"), ("hat", "round", "pointed", "long"))


_VEHICLE_TOPS = {"crane": _crane, "rotor": _rotor, "driver": _driver}


def _robot(sketch: Sketch, wear: Wardrobe) -> None:
    """Draw a robot of boxes, with knees that do not bend."""
    random = sketch.random
    half = (random.uniform(0.4, 0.52), random.uniform(0.42, 0.55), random.uniform(0.3, 0.4))
    body = _root(sketch, 0, 65)
    sketch.box(body, (0, 0, 0), half, wear.body)
    sketch.frustum(body, (0, 0.1, half[2] - 0.05), (0, 0.1, half[2] + 0.06), (0.2, 0.16), wear.accent)
    for side in SIDES:
        phase = 0.25 * (1 + side)  # the sides take turns
        hip = sketch.joint("hip", body, (side * 0.5 * half[0], 0.08 - half[1], 0), phase=phase, side=side)
        sketch.box(hip, (0, -0.3, 0), (0.16, 0.34, 0.17), wear.limb)
        sketch.box(hip, (0, -0.66, 0.08), (0.2, 0.1, 0.3), wear.accent)
        place = (side * (half[0] + 0.1), 0.6 * half[1], 0)
        shoulder = sketch.joint("shoulder", body, place, phase=phase, side=side)
        sketch.ball(shoulder, (0, 0, 0), 0.19, wear.accent)
        sketch.frustum(shoulder, (0, 0, 0), (0, -0.42, 0), (0.12, 0.12), wear.limb)
        elbow = sketch.joint("elbow", shoulder, (0, -0.42, 0), phase=phase, side=side)
        sketch.box(elbow, (0, -0.2, 0), (0.14, 0.26, 0.14), wear.head)
    skull = sketch.joint("head", body, (0, half[1] + 0.34, 0))
    sketch.frustum(body, (0, half[1] - 0.05, 0), (0, half[1] + 0.3, 0), (0.18, 0.18), wear.dark)
    head(sketch, skull, wear, random.uniform(0.36, 0.46), ("plate", "nose"),
         ("antenna", "round", "hat", "horns"))  # fmt: skip


PLANS: dict[str, tuple[Callable[[Sketch, Wardrobe], None], tuple[str, ...]]] = {
    "quadruped": (_quadruped, ("walk", "wave", "nod", "hop", "turn")),
    "biped": (_biped, ("walk", "wave", "nod", "hop", "turn")),
    "bird": (_bird, ("flap", "flap", "walk", "hop", "turn")),
    "fish": (_fish, ("swim", "flap", "turn")),
    "serpent": (_serpent, ("swim", "nod", "turn")),
    "vehicle": (_vehicle, ("drive",)),
    "robot": (_robot, ("walk", "wave", "nod", "hop", "turn")),
}
"""Body plan to how it is drawn and how it may move."""
