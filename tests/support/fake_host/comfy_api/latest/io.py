"""Schemas that store their options and reject those that ComfyUI does not have."""

from dataclasses import dataclass, field
from enum import Enum
from types import SimpleNamespace
from typing import Any, ClassVar


class ControlAfterGenerate(str, Enum):
    """How the browser changes a seed after each run."""

    fixed = "fixed"


class Input:
    """An input: a socket, or a widget if its type has a default."""

    io_type: ClassVar[str]
    known: ClassVar[set[str]]

    def __init__(self, id: str, **options: Any) -> None:
        unknown = (
            options.keys()
            - self.known
            - {"display_name", "optional", "tooltip", "lazy", "advanced", "extra_dict"}
        )
        if unknown:
            raise TypeError(f"{self.io_type} input {id}: unknown options {sorted(unknown)}")
        self.id, self.options, self.tooltip = id, options, options.get("tooltip")

    def get_io_type(self) -> str:
        return self.io_type

    @property
    def is_optional(self) -> bool:
        return self.options.get("optional", False)

    @property
    def is_widget(self) -> bool:
        is_own = self.options.get("extra_dict", {}).get("socketless", False)  # its widget is the pack's own
        return is_own or "default" in self.known or self.io_type == "COMFY_DYNAMICCOMBO_V3"

    def as_dict(self) -> dict[str, Any]:
        """Return the options as the browser gets them."""
        values = dict(self.options)
        if self.io_type == "COMFY_DYNAMICCOMBO_V3":
            options = values["options"]
            values["options"] = [{"key": one.key, "inputs": definitions(one.inputs)} for one in options]
        return values


def definitions(inputs: list[Input]) -> dict[str, dict[str, tuple[str, dict[str, Any]]]]:
    """Return type and options of inputs by name, the required and the optional ones."""
    found: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {"required": {}, "optional": {}}
    for item in inputs:
        found["optional" if item.is_optional else "required"][item.id] = (item.io_type, item.as_dict())
    return found


class Output:
    """An output."""

    io_type: ClassVar[str]

    def __init__(self, id: str, tooltip: str | None = None) -> None:
        self.id, self.tooltip = id, tooltip


def Custom(name: str, *known: str) -> type:
    """Return a socket type whose inputs have the given options."""
    members = {"io_type": name, "known": set(known)}
    parts = {"Input": type("Input", (Input,), members), "Output": type("Output", (Output,), members)}
    return type(name, (), parts)


Image = Custom("IMAGE")
Mask = Custom("MASK")
Video = Custom("VIDEO")
Model = Custom("MODEL")
ClipVision = Custom("CLIP_VISION")
Vae = Custom("VAE")
Conditioning = Custom("CONDITIONING")
Latent = Custom("LATENT")
Sigmas = Custom("SIGMAS")
Int = Custom("INT", "default", "min", "max", "step", "control_after_generate")
Float = Custom("FLOAT", "default", "min", "max", "step")
Color = Custom("COLOR", "default")
Combo = Custom("COMBO", "default", "options", "upload")
Boolean = Custom("BOOLEAN", "default")
String = Custom("STRING", "default", "multiline", "placeholder")
Load3DCamera = Custom("LOAD3D_CAMERA")
Splat = Custom("SPLAT")
File3DSplatAny = Custom("FILE_3D_SPLAT_ANY")


class MultiType:
    """A socket that takes several types."""

    class Input(Input):
        """The input; its type is that of all, separated by commas."""

        known: ClassVar[set[str]] = set()

        def __init__(self, id: str, types: list[type], **options: Any) -> None:
            self.io_type = ",".join(kind.Input.io_type for kind in types)
            super().__init__(id, **options)


class DynamicCombo:
    """A combo whose options have widgets of their own."""

    Input = type("Input", (Input,), {"io_type": "COMFY_DYNAMICCOMBO_V3", "known": {"options"}})

    @dataclass
    class Option:
        """One option."""

        key: str
        inputs: list[Input]


class Autogrow:
    """A list of sockets that grows."""

    Input = type("Input", (Input,), {"io_type": "COMFY_AUTOGROW_V3", "known": {"template"}})

    class TemplatePrefix:
        """Sockets with a common beginning of their names, ``min`` of them required."""

        def __init__(self, input: Input, prefix: str, min: int = 1, max: int = 10) -> None:
            self.input, self.prefix, self.min, self.max = input, prefix, min, max

        def sockets(self) -> list[Input]:
            """Return the sockets that there may be."""
            kind = type(self.input)
            options = {**self.input.options}
            required = 0 if self.input.is_optional else self.min
            return [
                kind(f"{self.prefix}{i}", **{**options, "optional": i >= required}) for i in range(self.max)
            ]


class UploadType(str, Enum):
    """Kinds of files that the button of a combo uploads."""

    video = "video_upload"


class Hidden:
    """Inputs that a node gets from ComfyUI."""

    unique_id = "UNIQUE_ID"
    prompt = "PROMPT"
    extra_pnginfo = "EXTRA_PNGINFO"


@dataclass
class Schema:
    node_id: str
    display_name: str
    category: str
    description: str
    inputs: list[Input]
    outputs: list[Output]
    search_aliases: list[str] = field(default_factory=list)
    is_output_node: bool = False
    hidden: list[str] = field(default_factory=list)


class ComfyNode:
    """The base class of nodes."""

    hidden = SimpleNamespace(unique_id=None, prompt=None, extra_pnginfo=None)  # while no node is executed

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, tuple[str, dict[str, Any]]]]:
        """Return type and options of the inputs by name, the required and the optional ones."""
        return definitions(cls.define_schema().inputs)


class NodeOutput:
    """Outputs of a node, and what its UI shows."""

    def __init__(self, *args: Any, ui: Any = None) -> None:
        self.args, self.ui = args, ui
