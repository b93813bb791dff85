"""Views out of sheets that hold several images each."""

import torch
from comfy_api.latest import io

from ..stag4d.pipeline import split_sheets
from .host.sockets import CATEGORY_VIEWS


class STAG4DSplitGrid(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DSplitGrid",
            display_name="STAG4D Split Grid",
            category=CATEGORY_VIEWS,
            description="Cuts sheets of several views, one sheet per frame, into images: Zero123++ makes 3 "
            "rows of 2, as the output grid of STAG4D Anchored Multi-View.",
            search_aliases=["split image grid", "sheet to images", "zero123++ grid", "untile"],
            inputs=[
                io.Image.Input("images", tooltip="One sheet per frame."),
                io.Int.Input(
                    "rows", default=3, min=1, max=64, tooltip="Rows of images in a sheet, from above."
                ),
                io.Int.Input("columns", default=2, min=1, max=64, tooltip="Columns of images in a sheet."),
                io.Mask.Input("mask", optional=True, tooltip="Masks of the sheets, to be split alike."),
            ],
            outputs=[
                io.Image.Output(
                    "images",
                    tooltip="The images of each sheet row by row, frame by frame: for STAG4D Views from "
                    "Images.",
                ),
                io.Mask.Output("mask", tooltip="Their masks; 1 everywhere without mask."),
                io.Int.Output("num_views", tooltip="Images of each sheet."),
            ],
        )

    @classmethod
    def execute(
        cls, images: torch.Tensor, rows: int, columns: int, mask: torch.Tensor | None = None
    ) -> io.NodeOutput:
        tiles = split_sheets(images, rows, columns)
        masks = tiles.new_ones(tiles.shape[:3])
        if mask is not None:
            if mask.shape != images.shape[:3]:
                raise ValueError(
                    f"mask: shape {list(mask.shape)}; expected {list(images.shape[:3])}, as the sheets."
                )
            masks = split_sheets(mask, rows, columns)
        return io.NodeOutput(tiles, masks, rows * columns)
