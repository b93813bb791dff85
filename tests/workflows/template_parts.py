"""Parts of workflow templates: nodes in columns, links, and what several templates have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stag4d.weights import SCENE_PLAN, SCENE_SEED

_PREVIEW, _LINK = 220, 70  # pixels by which a node grows: for ComfyUI's live preview, for a link to a file
GROWTH = {  # of nodes in a run, pixels
    **dict.fromkeys(("STAG4DSampleObject", "STAG4DAnchoredMultiView", "KSampler", "SamplerCustom"), _PREVIEW),
    "STAG4DOptimize": _PREVIEW + _LINK,
}
HUGGING_FACE = "https://huggingface.co/{}/resolve/main/{}"


@dataclass(frozen=True)
class Node:
    """A node.

    Attributes:
        key: Name in the links of the template.
        type: Node id.
        values: Widget values that differ from the defaults.
        heading: Title, if it differs from the node's.
        height: Smallest height, pixels.
        models: Files that ComfyUI offers to download: name, url and directory below its models folder.
    """

    key: str
    type: str
    values: Mapping[str, Any] = field(default_factory=dict)
    heading: str = ""
    height: int = 60
    models: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True)
class Column:
    """Nodes below each other, of one width in pixels.

    Nodes that show a preview while they run are last in their column where it has no room for it below them.
    """

    width: int
    nodes: tuple[Node, ...]


Links = tuple[tuple[str, str], ...]  # ``node.output`` and ``node.input``


@dataclass(frozen=True)
class Template:
    """A template."""

    columns: tuple[Column, ...]
    links: Links


def note(heading: str, text: str, height: int) -> Node:
    """Return a note; text is Markdown."""
    paragraphs = (paragraph.replace("\n", " ") for paragraph in text.strip().split("\n\n"))
    return Node(heading, "MarkdownNote", {"text": "\n\n".join(paragraphs)}, heading, height)


def model_file(repository: str, path: str, directory: str) -> dict[str, str]:
    """Return what ComfyUI needs to download a file of a Hugging Face repository."""
    name = path.rsplit("/", 1)[-1]
    return {"name": name, "url": HUGGING_FACE.format(repository, path), "directory": directory}


FIXED = {"control_after_generate": "fixed"}  # the next run computes nothing anew
CHARACTER = {"name": "fox", "seed": 35}
TOY = {"name": SCENE_PLAN, "seed": SCENE_SEED}  # that of the bundled scene
BIREFNET = model_file("Comfy-Org/BiRefNet", "background_removal/birefnet.safetensors", "background_removal")
BACKGROUND_REMOVAL = (
    Node("birefnet", "LoadBackgroundRemovalModel", {"bg_removal_name": BIREFNET["name"]}, models=(BIREFNET,)),
    Node("background", "RemoveBackground"),
)
GET_ZERO123PLUS = """
**Zero123++** (3.9 GB, CC-BY-NC 4.0; the authors leave the outputs to you). In this pack's folder, with
ComfyUI's Python:

`python -m stag4d download zero123plus-v1.1 -o PATH_TO_COMFYUI/models/diffusers`

Then press **R** and choose it in **Load Multi-View Model**. The bundled model needs no download, but it
knows ten characters of **Sample Object** only.
"""


def fit(preset: str = "auto") -> tuple[Node, Node]:
    """Return the nodes that fit and save a scene."""
    return Node("fit", "STAG4DOptimize", {"preset": preset}), Node("save", "STAG4DSave")


def turntable(prefix: str, time_mode: str = "ping-pong") -> tuple[Node, ...]:
    """Return the nodes that render a scene along a turn and save a video."""
    return (
        Node("path", "STAG4DCameraPath", {"mode": "turntable", "mode.elevation": 10.0}),
        Node("render", "STAG4DRender", {"time_mode": time_mode}),
        Node("video", "CreateVideo"),
        Node("file", "SaveVideo", {"filename_prefix": f"video/{prefix}"}, height=320),
    )


TURNTABLE_LINKS = (
    ("path.cameras", "render.cameras"),
    ("render.images", "video.images"),
    ("render.fps", "video.fps"),
    ("video.VIDEO", "file.video"),
)
SCENE_LINKS = (("fit.scene", "save.scene"), ("fit.scene", "preview.scene"))
PREVIEW = Node("preview", "STAG4DPreview", height=620)
SMALL_PREVIEW = Node("preview", "STAG4DPreview", height=400)
VIEWS = (Node("model", "STAG4DLoadMultiView"), Node("views", "STAG4DAnchoredMultiView"))
VIEW_LINKS = (
    ("frames.images", "views.images"),
    ("frames.mask", "views.mask"),
    ("frames.fps", "views.fps"),
    ("model.multiview", "views.multiview"),
    ("views.views", "fit.views"),
)
