"""Cameras, camera trajectories, the Zero123++ rigs, offsets, quaternions: functions on tensors, no state."""

from .look_at import keyframe_poses, look_at_viewmat, quat_viewmat, read_camera_info
from .offsets import check_offsets, interpolate_offsets, world_offsets
from .orbit import (
    DEFAULT_FOVY_DEG,
    DEFAULT_RADIUS,
    OrbitPose,
    angle_between_deg,
    angle_deg,
    intrinsics,
    nearest_poses,
    orbit_viewmats,
    pose_towards_origin,
    turn_between,
)
from .projection import PROJECTIONS, Projection, check_projection, project_points
from .quaternions import multiply_quats, quats_to_rotations
from .rig import ZERO123PLUS_RIGS, RigName, v11_rig_around, zero123plus_rig
from .saved_view import SavedView, read_saved_view
from .splat_frame import flip_splat_frame

__all__ = [
    "DEFAULT_FOVY_DEG",
    "DEFAULT_RADIUS",
    "PROJECTIONS",
    "ZERO123PLUS_RIGS",
    "OrbitPose",
    "Projection",
    "RigName",
    "SavedView",
    "angle_between_deg",
    "angle_deg",
    "check_offsets",
    "check_projection",
    "flip_splat_frame",
    "interpolate_offsets",
    "intrinsics",
    "keyframe_poses",
    "look_at_viewmat",
    "multiply_quats",
    "nearest_poses",
    "orbit_viewmats",
    "pose_towards_origin",
    "project_points",
    "quat_viewmat",
    "quats_to_rotations",
    "read_camera_info",
    "read_saved_view",
    "turn_between",
    "v11_rig_around",
    "world_offsets",
    "zero123plus_rig",
]
