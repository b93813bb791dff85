"""ViewSet folders on disk."""

from .training_views import Targets, TrainingViews
from .view_folder import hold_out_view, read_views, write_views

__all__ = ["Targets", "TrainingViews", "hold_out_view", "read_views", "write_views"]
