"""The CUDA backend around its kernels, which run on the CPU; their results: ``test_backends_agree``."""

from __future__ import annotations

import weakref
from dataclasses import replace
from pathlib import Path

import cuda_emulator
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from stag4d.rendering.cuda import backend, check, tiling
from stag4d.rendering.cuda.layout import (
    BLOCK_SIZE,
    KERNELS_PATH,
    MAX_CHANNELS,
    MAX_INDEX,
    MAX_STRIPS,
    TILE_SIZE,
    num_blocks,
)
from stag4d.rendering.inputs import RasterInputs

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(
        cuda_emulator.unavailable_reason() is not None, reason=str(cuda_emulator.unavailable_reason())
    ),
]


def load(device: torch.device, channels: int) -> cuda_emulator.EmulatedKernels:
    return cuda_emulator.emulated_kernels(channels, torch.float32)


def assert_equal_to_reference(scene, emulator, evaluate, reference, **options) -> None:
    """Compare images and gradients with those of the reference: to rounding in float64."""
    actual, expected = evaluate(scene, emulator, **options), reference(scene, **options)
    tolerance = 1e-12 if emulator == "emulator_float64" else 1e-4
    torch.testing.assert_close(actual.renders, expected.renders, rtol=tolerance, atol=tolerance)
    for name, gradient in expected.gradients.items():
        error = (actual.gradients[name] - gradient).norm() / gradient.norm()
        assert error < tolerance, name


def test_more_channels_than_one_pass_composites_agree(emulator, random_scene, evaluate, reference):
    """In several passes; only the first gets the gradient to alpha."""
    scene = random_scene(40, channels=MAX_CHANNELS + 1, width=20, height=17)
    assert_equal_to_reference(scene, emulator, evaluate, reference, render_mode="RGB+D")


def test_splats_of_more_rows_of_tiles_than_strips_agree(emulator, scene_at_pixels, evaluate, reference):
    """Needles across the image, whose tiles are stored as strips of several rows."""
    width, height = 2 * TILE_SIZE, (2 * MAX_STRIPS + 3) * TILE_SIZE
    count = 6
    generator = torch.Generator().manual_seed(0)
    centers = torch.rand(count, 2, generator=generator) * torch.tensor([width, height])
    scene = scene_at_pixels(
        centers,
        torch.full((count,), 2.0),
        torch.full((count,), 0.4),
        torch.rand(count, 3, generator=generator),
        torch.full((count,), 4.0),
        (width, height),
    )
    scales = scene.scales * torch.tensor([1.0, 60.0, 1.0])
    quats = scene.quats + 0.05 * torch.randn(count, 4, generator=generator)
    scene = replace(scene, scales=scales, quats=quats)
    radii = reference(scene).meta["radii"]
    assert (radii[0, :, 1] > MAX_STRIPS * TILE_SIZE).all()
    assert_equal_to_reference(scene, emulator, evaluate, reference)


def test_several_sets_of_one_call_equal_separate_calls(random_scene):
    """Each by cameras of its own, the second set by none; also the gradients, and colors of all sets."""
    scenes = [random_scene(60, num_cameras=3, seed=seed) for seed in range(3)]
    cameras_per_set, parts = (2, 0, 1), (slice(0, 2), None, slice(2, 3))
    parameters = ("means", "quats", "scales", "opacities")
    sets = {
        name: torch.stack([getattr(scene, name) for scene in scenes]).requires_grad_() for name in parameters
    }
    colors = scenes[0].colors.clone().requires_grad_()
    inputs = replace(
        scenes[0].inputs(render_mode="RGB+ED"), **sets, colors=colors, cameras_per_set=cameras_per_set
    )
    with cuda_emulator.poisoned_memory():
        renders, alphas, meta = backend.rasterize(inputs, load)
        weights = torch.rand(renders.shape, generator=torch.Generator().manual_seed(0))
        found = torch.autograd.grad((renders * weights).sum(), [*sets.values(), colors])
    expected_colors = torch.zeros_like(colors)
    for index, part in enumerate(parts):
        if part is None:
            assert not any(gradient[index].any() for gradient in found[:-1])
            continue
        leaves = {name: value[index].detach().requires_grad_() for name, value in sets.items()}
        leaves["colors"] = colors.detach().requires_grad_()
        cameras = {"viewmats": inputs.viewmats[part], "Ks": inputs.Ks[part]}
        alone = replace(inputs, **leaves, **cameras, cameras_per_set=None)
        alone_renders, alone_alphas, alone_meta = backend.rasterize(alone, load)
        assert torch.equal(renders[part], alone_renders)
        assert torch.equal(alphas[part], alone_alphas)
        assert torch.equal(meta["radii"][part], alone_meta["radii"])
        gradients = torch.autograd.grad((alone_renders * weights[part]).sum(), list(leaves.values()))
        for gradient, other in zip(found, gradients[:-1], strict=False):
            assert torch.equal(gradient[index], other)
            assert other.any()
        expected_colors += gradients[-1]
    torch.testing.assert_close(found[-1], expected_colors)


def test_images_are_the_same_for_inputs_of_any_layout(random_scene):
    """Views of larger tensors, and cameras in another order of their axes."""
    inputs = random_scene(30).inputs()
    strided = {
        name: torch.stack([value, value], dim=-1)[..., 0]
        for name, value in vars(inputs).items()
        if isinstance(value, torch.Tensor)
    }
    assert not strided["means"].is_contiguous()
    assert torch.equal(
        backend.rasterize(replace(inputs, **strided), load)[0], backend.rasterize(inputs, load)[0]
    )


class Recorded(TorchDispatchMode):
    """Records the names of torch's operations."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.append(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))

    def waits(self) -> list[str]:
        """Return the operations that would wait for the GPU."""
        waiting = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "equal", "is_nonzero")
        return [name for name in self.names if name.startswith(waiting)]


def test_a_call_waits_for_the_device_once_and_its_gradient_never(random_scene):
    arguments = random_scene(50).arguments("cpu", torch.float32)
    inputs = RasterInputs(**arguments, render_mode="RGB+ED")
    with Recorded() as forward:
        renders, alphas, _ = backend.rasterize(inputs, load)
    assert forward.waits() == ["_local_scalar_dense"]
    with Recorded() as backward:
        (renders.sum() + alphas.sum()).backward()
    assert not backward.waits()
    assert arguments["means"].grad.any()


def test_gradient_to_backgrounds_alone_launches_no_kernel(random_scene):
    backgrounds = torch.zeros(2, 3, requires_grad=True)
    inputs = random_scene(20).inputs(backgrounds=backgrounds)
    kernels = cuda_emulator.EmulatedKernels(3, torch.float32)
    renders, alphas, _ = backend.rasterize(inputs, lambda *_: kernels)
    assert kernels.launches == ["project", "list_tiles", "composite"]
    renders.sum().backward()
    assert len(kernels.launches) == 3
    torch.testing.assert_close(backgrounds.grad, (1 - alphas).sum((1, 2)).expand(2, 3))


def test_warm_up_runs_every_kernel_also_in_inference_mode(monkeypatch):
    """With the channels that a fit renders."""
    kernels: dict[int, cuda_emulator.EmulatedKernels] = {}

    def make(device: torch.device, channels: int) -> cuda_emulator.EmulatedKernels:
        return kernels.setdefault(channels, cuda_emulator.EmulatedKernels(channels, torch.float32))

    with torch.inference_mode():
        check.warm_up("cpu", make)
    assert sorted(kernels) == [3, 4]
    for one in kernels.values():
        assert set(one.launches) == set(cuda_emulator.KERNELS)


def test_more_than_the_kernels_can_number_is_an_error(random_scene, monkeypatch):
    monkeypatch.setattr(tiling, "MAX_INDEX", 10)
    with pytest.raises(
        RuntimeError, match=r"^rasterize: \d+ intersections of Gaussians and tiles, more than 10"
    ):
        backend.rasterize(random_scene(50).inputs(), load)
    monkeypatch.setattr(backend, "MAX_INDEX", 50)
    with pytest.raises(RuntimeError, match=r"^rasterize: 2 cameras of 50 Gaussians, more than 50 in all"):
        backend.rasterize(random_scene(50).inputs(), load)
    with pytest.raises(
        RuntimeError, match=r"^rasterize: 2 cameras of 27 tiles of 16 x 16 pixels, more than 50"
    ):
        backend.rasterize(random_scene(5, width=130).inputs(), load)
    wide = replace(random_scene(1).inputs(), width=2**19)
    with pytest.raises(RuntimeError, match=r"^rasterize: 524288 x 41 pixels, more than 524272 on a side"):
        backend.rasterize(wide, load)


def test_indices_of_int32_do_not_overflow_in_loops_over_blocks():
    """The loops of the kernels add BLOCK_SIZE to an index below the limit."""
    assert num_blocks(MAX_INDEX) * BLOCK_SIZE <= 2**31 - 1
    assert MAX_INDEX + BLOCK_SIZE <= 2**31 - 1


def test_backward_pass_frees_the_lists_of_intersections(random_scene, monkeypatch):
    """Though the graph of the images is still referred to, as by a loss that is kept for the log."""
    lists: list[weakref.ref[torch.Tensor]] = []

    def recorded(*arguments: object) -> tiling.Tiling:
        result = tiling.tile_splats(*arguments)
        lists.extend(map(weakref.ref, (result.tile_starts, result.splat_ids, result.row_ids, result.ends)))
        return result

    monkeypatch.setattr(backend, "tile_splats", recorded)
    inputs = RasterInputs(**random_scene(20).arguments("cpu", torch.float32))
    renders, _, _ = backend.rasterize(inputs, load)
    assert all(tensor() is not None for tensor in lists)
    renders.sum().backward()
    assert renders.grad_fn is not None
    assert [tensor() for tensor in lists] == [None] * 4


def test_kernels_that_work_pass_the_check():
    assert check.unavailable_reason(torch.device("cpu"), load) is None


@pytest.mark.parametrize(
    ("correct", "wrong"),
    [
        ("weight * colors[j][k]", "weight * colors[0][k]"),
        ("-2 * slope * g_a", "2 * slope * g_a"),
    ],
)
def test_kernels_that_give_wrong_images_or_gradients_are_not_available(
    correct: str, wrong: str, tmp_path: Path
):
    """As a compiler's fault on a GPU would make them."""
    source = tmp_path / "kernels.cu"
    text = KERNELS_PATH.read_text(encoding="utf-8")
    assert text.count(correct) == 1
    source.write_text(text.replace(correct, wrong), encoding="utf-8")

    def load_wrong(device: torch.device, channels: int) -> cuda_emulator.EmulatedKernels:
        return cuda_emulator.EmulatedKernels(channels, torch.float32, source)

    reason = check.unavailable_reason(torch.device("cpu"), load_wrong)
    assert str(reason).startswith("its results differ from those of torch by ")


def test_error_of_a_launch_is_the_reason_why_the_kernels_are_not_available():
    def fail(device: torch.device, channels: int) -> cuda_emulator.EmulatedKernels:
        raise RuntimeError("CUDA driver: cuLaunchKernel: unspecified launch failure (719).")

    reason = "CUDA driver: cuLaunchKernel: unspecified launch failure (719)"
    assert check.unavailable_reason(torch.device("cpu"), fail) == reason


SELF_TEST = """
extern "C" __global__ void check(int fault, REAL* out) {
    __shared__ REAL values[BLOCK_SIZE];
    int i = threadIdx.x;
    if (fault == 1 && i % 2) __syncthreads();
    if (fault == 2 && i == 40) __syncthreads();
    if (fault == 3) out[i] = values[i];
    values[i] = REAL(i);
    if (fault != 4) __syncthreads();
    if (fault != 3) out[i] = values[BLOCK_SIZE - 1 - i] + __shfl_xor_sync(0xffffffffu, REAL(0), 1);
}
"""


@pytest.fixture
def run_faulty(tmp_path: Path):
    """Return a function that runs a kernel with one of several faults."""
    source = tmp_path / "check.cu"
    source.write_text(SELF_TEST)
    kernels = cuda_emulator.EmulatedKernels(1, torch.float32, source, names=("check",))

    def run(fault: int) -> torch.Tensor:
        out = torch.zeros(BLOCK_SIZE)
        kernels.launch("check", 1, fault, out)
        return out

    return run


def test_emulator_runs_correct_kernels(run_faulty):
    assert torch.equal(run_faulty(0), torch.arange(BLOCK_SIZE - 1.0, -1.0, -1.0))


def test_emulator_reports_barriers_that_not_all_threads_reach(run_faulty):
    with pytest.raises(RuntimeError, match=r"^check: threads wait at different barriers, lines \d+ and \d+$"):
        run_faulty(1)
    with pytest.raises(RuntimeError, match=r"^check: threads wait at different barriers, lines"):
        run_faulty(2)
    assert torch.equal(
        run_faulty(0), torch.arange(BLOCK_SIZE - 1.0, -1.0, -1.0)
    )  # the next launch is not affected


def test_emulator_shows_missing_barriers_and_reads_before_writes(run_faulty):
    assert run_faulty(3).isnan().all()
    assert run_faulty(4).isnan().any()


def test_emulator_refuses_a_wrong_number_of_arguments():
    kernels = cuda_emulator.emulated_kernels(3, torch.float32)
    with pytest.raises(RuntimeError, match=r"^project: project takes 19 arguments, not 1$"):
        kernels.launch("project", 1, 0)


def test_emulator_refuses_arguments_of_wrong_types(random_scene):
    """The driver takes any pointer and any number."""
    kernels = cuda_emulator.emulated_kernels(3, torch.float32)
    with pytest.raises(AssertionError, match=r"^project: 1\.0 is passed as int$"):
        kernels.launch("project", 1, 1.0)
    with pytest.raises(AssertionError, match=r"^composite: tensor\(.* is passed as int\*$"):
        kernels.launch("composite", 1, torch.zeros(2, dtype=torch.int64))
