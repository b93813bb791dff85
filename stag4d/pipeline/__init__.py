"""The method end to end, as plain calls: what the commands, the nodes and the tests run."""

from .demo import demo
from .fitting import PriorMaker, Report, fit, fit_without_view, write_fit
from .scenes import evaluate, import_official, render_views, write_turntable, write_views_of

__all__ = [
    "PriorMaker",
    "Report",
    "demo",
    "evaluate",
    "fit",
    "fit_without_view",
    "import_official",
    "render_views",
    "write_fit",
    "write_turntable",
    "write_views_of",
]
