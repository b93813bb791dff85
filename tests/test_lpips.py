"""LPIPS: the published formula on random weights, the layouts of published files, and their damage."""

from __future__ import annotations

import pickle

import pytest
import torch
from random_lpips import ALEXNET, ALEXNET_WIDTHS, random_heads, random_weights
from safetensors.torch import save_file
from torch.nn.functional import conv2d, max_pool2d, relu

from stag4d.evaluation import PerceptualDistance, load_perceptual_distance

SHIFT = torch.tensor([-0.030, -0.088, -0.188])[None, :, None, None]
SCALE = torch.tensor([0.458, 0.448, 0.450])[None, :, None, None]
VGG_WIDTHS = (64, 128, 256, 512, 512)
# torchvision's indices of the convolutions, by stage
VGG_STAGES = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))


@pytest.fixture(scope="module")
def vgg() -> dict[str, torch.Tensor]:
    shapes, inputs = {}, 3
    for indices, width in zip(VGG_STAGES, VGG_WIDTHS, strict=True):
        for index in indices:
            shapes[index] = (width, inputs, 3, 3)
            inputs = width
    return random_weights(shapes)


@pytest.fixture(scope="module")
def alexnet() -> dict[str, torch.Tensor]:
    return random_weights(ALEXNET)


@pytest.fixture(scope="module")
def vgg_files(vgg, tmp_path_factory):
    """The two files as published: torchvision's with the layers that classify, in both formats."""
    folder = tmp_path_factory.mktemp("vgg")
    save_file({**vgg, "classifier.0.weight": torch.zeros(2, 3)}, folder / "vgg16.safetensors")
    torch.save(random_heads(VGG_WIDTHS), folder / "vgg.pth", _use_new_zipfile_serialization=False)
    return [folder / "vgg16.safetensors", folder / "vgg.pth"]


@pytest.fixture
def images() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    truth = torch.rand(2, 40, 36, 3, generator=generator)
    return (truth + 0.2 * torch.rand(truth.shape, generator=generator)).clamp(0, 1), truth


def distance(
    features: list[tuple[torch.Tensor, torch.Tensor]], heads: dict[str, torch.Tensor]
) -> torch.Tensor:
    """Return the sum over stages of mean over positions of sum over channels of w (f / |f| - g / |g|)^2."""
    total = torch.zeros(len(features[0][0]))
    for (first, second), head in zip(features, heads.values(), strict=True):
        first, second = (part / part.square().sum(dim=1, keepdim=True).sqrt() for part in (first, second))
        total += (head * (first - second) ** 2).sum(dim=1).mean(dim=(1, 2))
    return total


def vgg_features(weights: dict[str, torch.Tensor], images: torch.Tensor) -> list[torch.Tensor]:
    values, found = (images.permute(0, 3, 1, 2) * 2 - 1 - SHIFT) / SCALE, []
    for stage, indices in enumerate(VGG_STAGES):
        values = max_pool2d(values, 2) if stage else values
        for index in indices:
            weight, bias = weights[f"features.{index}.weight"], weights[f"features.{index}.bias"]
            values = relu(conv2d(values, weight, bias, padding=1))
        found.append(values)
    return found


def test_lpips_with_vgg_is_the_published_formula(vgg, vgg_files, images):
    network = load_perceptual_distance(vgg_files)
    pairs = list(zip(*(vgg_features(vgg, part) for part in images), strict=True))
    expected = distance(pairs, random_heads(VGG_WIDTHS))
    values = network(*images)
    assert network.backbone == "vgg16"
    assert (values.shape, values.dtype) == ((2,), torch.float64)
    assert expected.min() > 0.01
    torch.testing.assert_close(values.float(), expected, rtol=1e-4, atol=1e-6)


def test_lpips_with_alexnet_is_the_published_formula(alexnet, images, tmp_path):
    heads = random_heads(ALEXNET_WIDTHS)
    torch.save({**alexnet, **heads}, tmp_path / "one.pth")
    network = load_perceptual_distance([tmp_path / "one.pth"])
    pairs = []
    for part in images:
        values, found = (part.permute(0, 3, 1, 2) * 2 - 1 - SHIFT) / SCALE, []
        for index, stride, padding, pool in (
            (0, 4, 2, 0),
            (3, 1, 2, 1),
            (6, 1, 1, 1),
            (8, 1, 1, 0),
            (10, 1, 1, 0),
        ):
            values = max_pool2d(values, 3, stride=2) if pool else values
            weight, bias = alexnet[f"features.{index}.weight"], alexnet[f"features.{index}.bias"]
            values = relu(conv2d(values, weight, bias, stride=stride, padding=padding))
            found.append(values)
        pairs.append(found)
    expected = distance(list(zip(*pairs, strict=True)), heads)
    assert network.backbone == "alexnet"
    assert expected.min() > 0.01
    torch.testing.assert_close(network(*images).float(), expected, rtol=1e-4, atol=1e-6)


def test_lpips_of_equal_images_is_zero(vgg_files, images):
    assert load_perceptual_distance(vgg_files)(images[1], images[1]).tolist() == [0, 0]


def test_one_file_of_the_package_lpips_is_read_like_two(vgg, vgg_files, images, tmp_path):
    """Its names have the slice, and the heads twice."""
    names = {index: stage + 1 for stage, indices in enumerate(VGG_STAGES) for index in indices}
    weights = dict(random_heads(VGG_WIDTHS))
    weights |= {f"lins.{stage}.model.1.weight": torch.zeros(1) for stage in range(5)}
    for name, value in vgg.items():
        _, index, kind = name.split(".")
        weights[f"net.slice{names[int(index)]}.{index}.{kind}"] = value
    weights["scaling_layer.shift"] = SHIFT
    torch.save(weights, tmp_path / "lpips.pth")
    one, two = load_perceptual_distance([tmp_path / "lpips.pth"]), load_perceptual_distance(vgg_files)
    assert torch.equal(one(*images), two(*images))


def test_half_precision_weights_are_converted(vgg, images, tmp_path):
    weights = {name: value.half() for name, value in {**vgg, **random_heads(VGG_WIDTHS)}.items()}
    save_file(weights, tmp_path / "half.safetensors")
    network = load_perceptual_distance([tmp_path / "half.safetensors"])
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32}
    assert (network(*images) > 0.01).all()


def test_missing_and_wrong_weights_are_named(vgg, vgg_files, alexnet, tmp_path):
    with pytest.raises(
        ValueError,
        match=r"lin0\.model\.1\.weight is missing; expected the shape \[1, 64, 1, 1\], of the package lpips",
    ):
        load_perceptual_distance(vgg_files[:1])
    with pytest.raises(
        ValueError,
        match=r"features\.0\.weight is missing; expected the shape \[64, 3, 3, 3\], of torchvision's vgg16",
    ):
        load_perceptual_distance(vgg_files[1:])
    torch.save(alexnet, tmp_path / "alexnet.pth")
    with pytest.raises(
        ValueError,
        match=r"lin1\.model\.1\.weight has the shape \[1, 128, 1, 1\]; expected the shape \[1, 192, 1, 1\]",
    ):
        load_perceptual_distance([tmp_path / "alexnet.pth", vgg_files[1]])
    torch.save({"fc.weight": torch.zeros(2, 2)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"other\.pth: no weights of LPIPS; expected features\.0\.weight"):
        load_perceptual_distance([vgg_files[0], tmp_path / "other.pth"])


def test_damaged_files_are_refused(vgg_files, tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"LPIPS weights .*none\.pth: no such file; expected a file of"
    ):
        load_perceptual_distance([tmp_path / "none.pth"])
    content = vgg_files[0].read_bytes()
    for name in ("cut.safetensors", "cut.pth"):
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(ValueError, match=r"LPIPS weights .*cut\..*: (cannot be read|refused)"):
            load_perceptual_distance([tmp_path / name])
    (tmp_path / "code.pth").write_bytes(pickle.dumps({"features.0.weight": print}, protocol=2))
    with pytest.raises(ValueError, match=r"code\.pth: refused .* pickled objects, which could run code"):
        load_perceptual_distance([tmp_path / "code.pth"])
    torch.save([torch.zeros(2)], tmp_path / "list.pth")
    with pytest.raises(ValueError, match=r"list\.pth: holds a list; expected a state dict"):
        load_perceptual_distance([tmp_path / "list.pth"])
    torch.save({"lin0.model.1.weight": torch.full((1, 64, 1, 1), float("nan"))}, tmp_path / "nan.pth")
    with pytest.raises(ValueError, match=r"lin0\.model\.1\.weight is not dense or not finite"):
        load_perceptual_distance([tmp_path / "nan.pth"])
    torch.save({"lin0.model.1.weight": torch.zeros(1).expand(1, 64, 1, 1)}, tmp_path / "expanded.pth")
    with pytest.raises(ValueError, match=r"lin0\.model\.1\.weight is not dense or not finite"):
        load_perceptual_distance([tmp_path / "expanded.pth"])


@pytest.mark.parametrize(("backbone", "side"), [("vgg16", 16), ("alexnet", 31)])
def test_images_of_the_smallest_size_are_measured_and_smaller_ones_refused(backbone, side):
    network = PerceptualDistance(backbone)
    images = torch.zeros(1, side, side, 3)
    assert network(images, images).tolist() == [0]
    with pytest.raises(
        ValueError, match=f"LPIPS: images of {side}x{side - 1} pixels; expected {side} pixels"
    ):
        network(images[:, 1:], images[:, 1:])
    with pytest.raises(ValueError, match=r"LPIPS: images of shape \[1, 32, 32\] and"):
        network(torch.zeros(1, 32, 32), torch.zeros(1, 32, 32))


def test_the_gradient_of_a_distance_is_its_derivative(alexnet, images, tmp_path):
    torch.save({**alexnet, **random_heads(ALEXNET_WIDTHS)}, tmp_path / "one.pth")
    network = load_perceptual_distance([tmp_path / "one.pth"]).double()
    image, truth = (part[0].double() for part in images)
    image, truth = image.requires_grad_(), truth.requires_grad_()
    network.distance(image, truth).backward()
    assert truth.grad is None
    direction = torch.randn(image.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        ends = [network.distance(image + step * direction, truth) for step in (1e-6, -1e-6)]
    slope = (ends[0] - ends[1]) / 2e-6
    assert slope.abs() > 1e-4
    assert (image.grad * direction).sum().item() == pytest.approx(slope.item(), rel=1e-4)


def test_features_that_are_all_zero_have_a_finite_gradient(alexnet, images, tmp_path):
    """The norm of such features, by which they are divided, has no derivative."""
    dead = {**alexnet, "features.6.bias": torch.full((384,), -1e4)}
    torch.save({**dead, **random_heads(ALEXNET_WIDTHS)}, tmp_path / "one.pth")
    network = load_perceptual_distance([tmp_path / "one.pth"])
    image = images[0][0].clone().requires_grad_()
    network.distance(image, images[1][0]).backward()
    assert image.grad.isfinite().all()
    assert image.grad.abs().max() > 0  # of the stages before


def test_the_key_is_that_of_the_weights_and_not_of_the_files(alexnet, tmp_path):
    heads = random_heads(ALEXNET_WIDTHS)
    torch.save({**alexnet, **heads}, tmp_path / "one.pth")
    save_file(alexnet, tmp_path / "backbone.safetensors")
    torch.save(heads, tmp_path / "heads.pth")
    one = load_perceptual_distance([tmp_path / "one.pth"]).key
    assert load_perceptual_distance([tmp_path / "heads.pth", tmp_path / "backbone.safetensors"]).key == one
    torch.save({**heads, "lin4.model.1.weight": heads["lin4.model.1.weight"] * 2}, tmp_path / "heads.pth")
    other = load_perceptual_distance([tmp_path / "heads.pth", tmp_path / "backbone.safetensors"]).key
    assert other != one
