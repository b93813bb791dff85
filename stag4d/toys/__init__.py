"""Animated toy objects with known truth: drawn by a seed, ray-cast exactly from any camera at any time."""

from .bodies import PLANS
from .objects import REACH, SPLITS, ToyObject, toy_object, toy_seed
from .raycast import raycast
from .samples import INPUT_POSE, TEST_AZIMUTHS_DEG, TEST_POSES, many_toys, toy_truth, toy_views

__all__ = [
    "INPUT_POSE",
    "PLANS",
    "REACH",
    "SPLITS",
    "TEST_AZIMUTHS_DEG",
    "TEST_POSES",
    "ToyObject",
    "many_toys",
    "raycast",
    "toy_object",
    "toy_seed",
    "toy_truth",
    "toy_views",
]
