"""LPIPS (Zhang et al., 2018), the perceptual distance of images, with weights from files: metric and loss.

The features of five stages of a network for classification are normalized along the channels, and their
squared differences are weighted per channel and averaged over the positions. The networks are torchvision's
VGG16 and AlexNet up to the last of these stages; the weights of the channels are those of the package lpips,
version 0.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor, nn

from .resume import input_key
from .state_dict import read_state_dict

Backbone = Literal["vgg16", "alexnet"]

_EPS = 1e-10  # of the package lpips, beside the norm of the features
_SHIFT = (-0.030, -0.088, -0.188)  # mean and standard deviation of ImageNet's colors, in -1..1
_SCALE = (0.458, 0.448, 0.450)
_BACKBONE_NAME = re.compile(
    r"(?:features|net\.slice[0-9])\.([0-9]{1,2})\.(weight|bias)"
)  # torchvision; lpips
_HEAD_NAME = re.compile(r"lin([0-9])\.model\.1\.weight")  # of lpips


class _Conv(NamedTuple):
    """A convolution, which a ReLU follows."""

    inputs: int
    outputs: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1


class _Pool(NamedTuple):
    """A maximum over windows with stride 2."""

    kernel: int


class _Architecture(NamedTuple):
    """Layers, the indices after which features are taken, and the smallest side of images, pixels."""

    layers: tuple[_Conv | _Pool, ...]
    taps: tuple[int, ...]
    min_side: int


def _vgg16_layers() -> Iterator[_Conv | _Pool]:
    """Yield the layers of VGG16 (Simonyan and Zisserman, 2014, configuration D) up to conv5_3."""
    inputs = 3
    for stage, (count, outputs) in enumerate(((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))):
        if stage:
            yield _Pool(2)
        for _ in range(count):
            yield _Conv(inputs, outputs)
            inputs = outputs


_ARCHITECTURES: dict[Backbone, _Architecture] = {
    # taps: relu1_2, relu2_2, relu3_3, relu4_3, relu5_3
    "vgg16": _Architecture(tuple(_vgg16_layers()), (3, 8, 15, 22, 29), 16),
    "alexnet": _Architecture(  # Krizhevsky, 2014, as in torchvision
        (
            _Conv(3, 64, kernel=11, stride=4, padding=2),
            _Pool(3),
            _Conv(64, 192, kernel=5, padding=2),
            _Pool(3),
            _Conv(192, 384),
            _Conv(384, 256),
            _Conv(256, 256),
        ),
        (1, 4, 7, 9, 11),
        31,
    ),
}


class PerceptualDistance(nn.Module):
    """The LPIPS network; ``load_perceptual_distance`` returns one with weights.

    Args:
        backbone: Network whose features are compared.
    """

    features: nn.Sequential
    heads: nn.ParameterList
    shift: Tensor
    scale: Tensor

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        architecture = _ARCHITECTURES[backbone]
        self.backbone, self.taps, self.min_side = backbone, architecture.taps, architecture.min_side
        self.features = nn.Sequential(*_modules(architecture.layers))  # with torchvision's indices
        convolutions = {index: m for index, m in enumerate(self.features) if isinstance(m, nn.Conv2d)}
        widths = [convolutions[tap - 1].out_channels for tap in self.taps]
        self.heads = nn.ParameterList([nn.Parameter(torch.zeros(1, width, 1, 1)) for width in widths])
        self.register_buffer("shift", torch.tensor(_SHIFT)[:, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor(_SCALE)[:, None, None], persistent=False)

    @property
    def key(self) -> str:
        """Hash of the network and its weights, for resume keys."""
        return input_key(self.backbone, *self.state_dict().values())

    @torch.no_grad()
    def forward(self, images: Tensor, truth: Tensor) -> Tensor:
        """Return the LPIPS of images and their ground truth.

        Args:
            images: [N, H, W, 3] in 0..1.
            truth: The same shape.

        Returns:
            [N] float64 on the CPU; 0 for equal images.

        Raises:
            ValueError: if the shapes differ or the images are too small for the network.
        """
        if images.shape != truth.shape or images.ndim != 4 or images.shape[-1] != 3 or not len(images):
            raise ValueError(
                f"LPIPS: images of shape {list(images.shape)} and {list(truth.shape)}; expected one shape "
                "[N, H, W, 3], N > 0."
            )
        height, width = images.shape[1:3]
        if min(height, width) < self.min_side:
            raise ValueError(
                f"LPIPS: images of {width}x{height} pixels; expected {self.min_side} pixels or more on each "
                f"side, for {self.backbone}."
            )
        pairs = zip(images, truth, strict=True)  # one at a time: VGG's features of a large image are large
        return torch.stack([self.distance(*pair) for pair in pairs]).double().cpu()

    def distance(self, image: Tensor, truth: Tensor) -> Tensor:
        """Return the LPIPS of one image, differentiably; not of its ground truth.

        Args:
            image: [H, W, 3] in 0..1, ``min_side`` pixels or more on each side.
            truth: The same shape; it gets no gradient.

        Returns:
            A scalar on the network's device.
        """
        values, true_values = self._normalized(image), self._normalized(truth.detach())  # [1, 3, H, W]
        distance = values.new_zeros(())
        heads = dict(zip(self.taps, self.heads, strict=True))
        for index, module in enumerate(self.features):
            values, true_values = module(values), module(true_values)
            if index in heads:
                difference = _unit(values) - _unit(true_values)  # [1, C, h, w]
                distance = distance + (heads[index] * difference.square()).sum(dim=1).mean()
        return distance

    def _normalized(self, image: Tensor) -> Tensor:
        """Return an image [H, W, 3] in 0..1 as the input of the network, [1, 3, H, W]."""
        values = image.permute(2, 0, 1)[None].to(self.shift) * 2 - 1
        return (values - self.shift) / self.scale


def _unit(features: Tensor) -> Tensor:
    """Return features [1, C, h, w] divided by their norms over the channels; zeros stay zeros."""
    return features / (features.norm(dim=1, keepdim=True) + _EPS)


def load_perceptual_distance(paths: Sequence[str | Path]) -> PerceptualDistance:
    """Load the LPIPS network from files; nothing is downloaded.

    Args:
        paths: One file with all weights, as ``lpips.LPIPS(...).state_dict()`` has them, or two: torchvision's
            VGG16 or AlexNet, and the heads of the package lpips. Safetensors, or pickles of torch.save.

    Returns:
        The network on the CPU; its backbone is the one whose weights the files have.

    Raises:
        FileNotFoundError: if a file does not exist.
        ValueError: if a file is damaged or has none of the weights, or a weight is missing or of another
            shape.
    """
    weights: dict[str, Tensor] = {}
    for path in map(Path, paths):
        found = read_state_dict(path, f"LPIPS weights {path}", lambda name: _our_name(name) is not None)
        if not found:
            raise ValueError(
                f"LPIPS weights {path}: no weights of LPIPS; expected features.0.weight, ... of "
                "torchvision's VGG16 or AlexNet, lin0.model.1.weight, ... of the package lpips, or both."
            )
        weights |= {cast(str, _our_name(name)): value for name, value in found.items()}
    first = weights.get("features.0.weight")
    network = PerceptualDistance("alexnet" if first is not None and first.shape[-1] == 11 else "vgg16")
    _check_weights(network, weights, " and ".join(str(path) for path in paths))
    network.load_state_dict({name: weights[name] for name in network.state_dict()})
    return network.eval().requires_grad_(False)


def _check_weights(network: PerceptualDistance, weights: Mapping[str, Tensor], files: str) -> None:
    """Raise ValueError unless each weight of a network is there in its shape."""
    for name, expected in network.state_dict().items():
        shape = list(weights[name].shape) if name in weights else None
        if shape == list(expected.shape):
            continue
        is_head = name.startswith("heads.")
        published = f"lin{name.removeprefix('heads.')}.model.1.weight" if is_head else name
        source = "the package lpips" if is_head else f"torchvision's {network.backbone}"
        problem = f"{published} is missing" if shape is None else f"{published} has the shape {shape}"
        raise ValueError(
            f"LPIPS weights {files}: {problem}; expected the shape {list(expected.shape)}, of {source}. Give "
            "one file with all weights, or one of the backbone and one of the heads lin0 to lin4."
        )


def _our_name(name: str) -> str | None:
    """Return our name of a published weight; None for others, such as the layers that classify."""
    if match := _BACKBONE_NAME.fullmatch(name):
        return f"features.{int(match[1])}.{match[2]}"
    if match := _HEAD_NAME.fullmatch(name):
        return f"heads.{int(match[1])}"
    return None


def _modules(layers: Sequence[_Conv | _Pool]) -> Iterator[nn.Module]:
    """Yield the modules of layers; their order gives them torchvision's indices."""
    for layer in layers:
        if isinstance(layer, _Pool):
            yield nn.MaxPool2d(layer.kernel, stride=2)
        else:
            yield nn.Conv2d(
                layer.inputs, layer.outputs, layer.kernel, stride=layer.stride, padding=layer.padding
            )
            yield nn.ReLU()
