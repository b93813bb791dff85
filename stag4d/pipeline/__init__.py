"""The method end to end, as the functions that the commands, the nodes and the benchmarks call."""

from .demo import demo
from .fit_page import fit_page, write_fit_page
from .fit_report import Report
from .fitting import CHECKPOINT, DenoiserMaker, fit, fit_without_view, write_fit
from .given_cameras import (
    GivenCameras,
    aligned_cameras,
    cameras_of_views,
    check_camera_sockets,
    views_of_given_cameras,
)
from .importing import (
    OFFICIAL_FILES,
    SCENE_SUFFIXES,
    check_import,
    import_official,
    import_scene,
    is_official,
)
from .models import (
    DTYPES,
    ModelKind,
    bundled_models,
    bundled_scenes,
    check_model,
    how_to_get,
    model_folder,
)
from .passes import DEPTH_RANGE, RENDER_PASSES, RenderPass
from .protocol import (
    PROTOCOLS,
    evaluate_images_by_protocol,
    evaluate_scene_by_protocol,
    load_learned_metrics,
    report_table,
)
from .rig_check import check_rig
from .scenes import (
    evaluate,
    render_views,
    write_bullet_time,
    write_turntable,
    write_views_of,
)
from .view_images import ObjectImages, preset_indices, split_views
from .view_joining import join_views, set_cameras, shortest_length, split_sheets
from .view_sources import (
    ReferenceUse,
    ReferenceVideo,
    ViewSettings,
    check_reference,
    views_of_cameras,
    views_of_rig,
)

__all__ = [
    "CHECKPOINT",
    "DEPTH_RANGE",
    "DTYPES",
    "OFFICIAL_FILES",
    "PROTOCOLS",
    "RENDER_PASSES",
    "SCENE_SUFFIXES",
    "DenoiserMaker",
    "GivenCameras",
    "ModelKind",
    "ObjectImages",
    "ReferenceUse",
    "ReferenceVideo",
    "RenderPass",
    "Report",
    "ViewSettings",
    "aligned_cameras",
    "bundled_models",
    "bundled_scenes",
    "cameras_of_views",
    "check_camera_sockets",
    "check_import",
    "check_model",
    "check_reference",
    "check_rig",
    "demo",
    "evaluate",
    "evaluate_images_by_protocol",
    "evaluate_scene_by_protocol",
    "fit",
    "fit_page",
    "fit_without_view",
    "how_to_get",
    "import_official",
    "import_scene",
    "is_official",
    "join_views",
    "load_learned_metrics",
    "model_folder",
    "preset_indices",
    "render_views",
    "report_table",
    "set_cameras",
    "shortest_length",
    "split_sheets",
    "split_views",
    "views_of_cameras",
    "views_of_given_cameras",
    "views_of_rig",
    "write_bullet_time",
    "write_fit",
    "write_fit_page",
    "write_turntable",
    "write_views_of",
]
