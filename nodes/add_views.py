"""The views of two sets of the same frames as one set."""

from comfy_api.latest import io

from ..stag4d.pipeline import join_views
from ..stag4d.view_set import ViewSet
from .host.sockets import CATEGORY_VIEWS, Views


class STAG4DAddViews(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DAddViews",
            display_name="STAG4D Add Views",
            category=CATEGORY_VIEWS,
            description="Joins the views of two sets of the same frames, such as those of two models, or "
            "renders of a scene that were repaired by image models.",
            search_aliases=["join views", "merge view sets", "combine views", "refit"],
            inputs=[
                Views.Input("views", tooltip="A set; its reference stays the reference."),
                Views.Input(
                    "added",
                    tooltip="Views to add, with as many frames and the same frame rate. Their reference is "
                    "left out if both sets have one: it is the same video.",
                ),
                io.Float.Input(
                    "weight",
                    default=1.0,
                    min=0.0,
                    max=100.0,
                    step=0.05,
                    tooltip="Weight of the added views in the losses.",
                ),
            ],
            outputs=[Views.Output("views", tooltip="Views of both sets, for STAG4D Optimize.")],
        )

    @classmethod
    def execute(cls, views: ViewSet, added: ViewSet, weight: float) -> io.NodeOutput:
        return io.NodeOutput(join_views(views, added, weight))
