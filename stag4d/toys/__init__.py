"""Procedural animated toys: generated from a seed, ray-cast exactly from any camera at any time."""

from .bodies import PLANS
from .objects import ANY_CHARACTER, BOUNDING_RADIUS, PLAN_NAMES, SPLITS, ToyObject, toy_object, toy_seed
from .raycast import raycast
from .samples import INPUT_POSE, TEST_AZIMUTHS_DEG, TEST_POSES, render_toy, render_toys, toy_truth, toy_views

__all__ = [
    "ANY_CHARACTER",
    "BOUNDING_RADIUS",
    "INPUT_POSE",
    "PLANS",
    "PLAN_NAMES",
    "SPLITS",
    "TEST_AZIMUTHS_DEG",
    "TEST_POSES",
    "ToyObject",
    "raycast",
    "render_toy",
    "render_toys",
    "toy_object",
    "toy_seed",
    "toy_truth",
    "toy_views",
]
