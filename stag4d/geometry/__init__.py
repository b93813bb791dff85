"""Cameras, their conversions and trajectories, rigs, offsets, quaternions: functions on tensors, no state."""

from .camera_checks import (
    check_camera_model,
    check_distortion,
    check_intrinsics,
    check_origin_in_front,
    check_viewmats,
)
from .camera_frames import (
    SAME_POSE,
    CameraAxes,
    WorldUp,
    camera_centers,
    check_direction,
    have_same_pose,
    nearest_point_of_axes,
    viewmats_from_c2ws,
    world_rotation,
)
from .camera_info import CameraMatrices, FovAxis, read_camera_info, read_camera_infos, stack_cameras
from .camera_info_output import camera_info
from .camera_matrices import read_extrinsics, read_intrinsics
from .camera_path import keyframe_poses
from .camera_rigs import CameraRig, ElevationKind, RigCameras, RigReference, input_camera, rig_cameras
from .framing import (
    HALF_EXTENT,
    enlargement,
    enlargement_of_box,
    fill,
    fills_differ,
    framing_radius,
    framing_scale,
    ortho_intrinsics,
    reference_intrinsics,
)
from .image_regions import crop_intrinsics, intrinsics_of_size, resize_intrinsics
from .look_at import look_at_viewmat, quat_viewmat
from .nearest_orbit import nearest_orbit
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
    viewmats_from_angles,
)
from .projection import PROJECTIONS, Projection, check_projection, project_points
from .quaternions import multiply_quats, quats_to_rotations, rotations_to_quats
from .rig import ZERO123PLUS_RIGS, RigName, v11_rig_around, zero123plus_rig
from .rig_presets import CAMERA_RIGS, camera_rig
from .saved_view import SavedView, read_saved_view
from .similarity import Similarity, place_ortho_cameras, similarity_alignment
from .splat_frame import flip_splat_frame
from .view_order import VIEW_ORDERS, ViewOrder, charactershot_indices, view_indices

__all__ = [
    "CAMERA_RIGS",
    "DEFAULT_FOVY_DEG",
    "DEFAULT_RADIUS",
    "HALF_EXTENT",
    "PROJECTIONS",
    "SAME_POSE",
    "VIEW_ORDERS",
    "ZERO123PLUS_RIGS",
    "CameraAxes",
    "CameraMatrices",
    "CameraRig",
    "ElevationKind",
    "FovAxis",
    "OrbitPose",
    "Projection",
    "RigCameras",
    "RigName",
    "RigReference",
    "SavedView",
    "Similarity",
    "ViewOrder",
    "WorldUp",
    "angle_between_deg",
    "angle_deg",
    "camera_centers",
    "camera_info",
    "camera_rig",
    "charactershot_indices",
    "check_camera_model",
    "check_direction",
    "check_distortion",
    "check_intrinsics",
    "check_offsets",
    "check_origin_in_front",
    "check_projection",
    "check_viewmats",
    "crop_intrinsics",
    "enlargement",
    "enlargement_of_box",
    "fill",
    "fills_differ",
    "flip_splat_frame",
    "framing_radius",
    "framing_scale",
    "have_same_pose",
    "input_camera",
    "interpolate_offsets",
    "intrinsics",
    "intrinsics_of_size",
    "keyframe_poses",
    "look_at_viewmat",
    "multiply_quats",
    "nearest_orbit",
    "nearest_point_of_axes",
    "nearest_poses",
    "orbit_viewmats",
    "ortho_intrinsics",
    "place_ortho_cameras",
    "pose_towards_origin",
    "project_points",
    "quat_viewmat",
    "quats_to_rotations",
    "read_camera_info",
    "read_camera_infos",
    "read_extrinsics",
    "read_intrinsics",
    "read_saved_view",
    "reference_intrinsics",
    "resize_intrinsics",
    "rig_cameras",
    "rotations_to_quats",
    "similarity_alignment",
    "stack_cameras",
    "turn_between",
    "v11_rig_around",
    "view_indices",
    "viewmats_from_angles",
    "viewmats_from_c2ws",
    "world_offsets",
    "world_rotation",
    "zero123plus_rig",
]
