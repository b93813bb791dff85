"""The method end to end, as the functions that the commands, the nodes and the benchmarks call."""

from .demo import demo
from .fitting import CHECKPOINT, DenoiserMaker, Report, fit, fit_without_view, write_fit
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
from .scenes import (
    evaluate,
    render_views,
    write_bullet_time,
    write_turntable,
    write_views_of,
)

__all__ = [
    "CHECKPOINT",
    "DEPTH_RANGE",
    "DTYPES",
    "OFFICIAL_FILES",
    "RENDER_PASSES",
    "SCENE_SUFFIXES",
    "DenoiserMaker",
    "ModelKind",
    "RenderPass",
    "Report",
    "bundled_models",
    "bundled_scenes",
    "check_import",
    "check_model",
    "demo",
    "evaluate",
    "fit",
    "fit_without_view",
    "how_to_get",
    "import_official",
    "import_scene",
    "is_official",
    "model_folder",
    "render_views",
    "write_bullet_time",
    "write_fit",
    "write_turntable",
    "write_views_of",
]
