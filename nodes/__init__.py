"""The ComfyUI nodes: each is a schema and a short ``execute`` around one call of the stag4d package.

Node ids, input ids and the order of widgets are part of every workflow that users have saved: they never
change, and new widgets go to the end. In comments, the host is ComfyUI.
"""

from comfy_api.latest import ComfyExtension, io

from .add_views import STAG4DAddViews
from .anchored_attention import STAG4DAnchoredAttention
from .anchored_multiview import STAG4DAnchoredMultiView
from .camera_path import STAG4DCameraPath
from .densification import STAG4DDensification
from .evaluate import STAG4DEvaluate
from .export import STAG4DExport
from .from_splat import STAG4DFromSplat
from .guidance_from_model import STAG4DGuidanceFromModel
from .load_guidance import STAG4DLoadGuidance
from .load_multiview import STAG4DLoadMultiView
from .load_video import STAG4DLoadVideo
from .load_views import STAG4DLoadViews
from .multiview_conditioning import STAG4DMultiViewConditioning
from .multiview_options import STAG4DMultiViewOptions
from .optimize import STAG4DOptimize
from .prepare_frames import STAG4DPrepareFrames
from .preview import STAG4DPreview
from .render import STAG4DRender
from .sample_object import STAG4DSampleObject
from .scene_files import STAG4DLoad, STAG4DSave
from .split_grid import STAG4DSplitGrid
from .to_splat import STAG4DToSplat
from .trailing_sigmas import STAG4DTrailingSigmas
from .view_cameras import STAG4DViewCameras
from .views_from_grid import STAG4DViewsFromGrid
from .views_from_images import STAG4DViewsFromImages
from .views_from_videos import STAG4DViewsFromVideos


class Extension(ComfyExtension):
    """The node pack."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Return the node classes in the order of a typical graph."""
        return [
            STAG4DSampleObject,
            STAG4DLoadViews,
            STAG4DLoadVideo,
            STAG4DPrepareFrames,
            STAG4DLoadMultiView,
            STAG4DAnchoredMultiView,
            STAG4DMultiViewOptions,
            STAG4DMultiViewConditioning,
            STAG4DAnchoredAttention,
            STAG4DTrailingSigmas,
            STAG4DViewsFromGrid,
            STAG4DSplitGrid,
            STAG4DViewsFromImages,
            STAG4DViewsFromVideos,
            STAG4DAddViews,
            STAG4DViewCameras,
            STAG4DLoadGuidance,
            STAG4DGuidanceFromModel,
            STAG4DDensification,
            STAG4DOptimize,
            STAG4DCameraPath,
            STAG4DPreview,
            STAG4DRender,
            STAG4DToSplat,
            STAG4DSave,
            STAG4DLoad,
            STAG4DFromSplat,
            STAG4DExport,
            STAG4DEvaluate,
        ]


async def comfy_entrypoint() -> Extension:
    """Return the node pack; ComfyUI calls this once, at start."""
    return Extension()
