"""The denoiser's batch size: measured on a GPU, halved when out of memory, whatever the error looks like."""

import errno
import weakref

import pytest
import torch

from stag4d.diffusion import MAX_MEASURED_FRAMES
from stag4d.diffusion.batching import AdaptiveBatches
from stag4d.diffusion.out_of_memory import is_out_of_memory

CPU, GPU = torch.device("cpu"), torch.device("cuda")
LATENT_PIXELS = 9600


class AcceleratorError(RuntimeError):
    """As PyTorch raises it where a driver call fails."""

    def __init__(self, message, error_code):
        super().__init__(message)
        self.error_code = error_code


OUT_OF_MEMORY = [
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    torch.cuda.OutOfMemoryError(),
    AcceleratorError("CUDA error: out of memory", 2),
    AcceleratorError("CUDA error", 2),
    RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    MemoryError(),
]
OTHER_ERRORS = [
    RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
    AcceleratorError("CUDA error: an illegal memory access was encountered", 700),
    OSError(errno.ENOSPC, "No space left on device"),
    ValueError("out of memory"),
    KeyboardInterrupt("out of memory"),
]


def run(batches, frames, work, release=lambda: None):
    """Do the work on all frames, as the denoiser does a step."""
    for batch in batches.of(frames):
        with batches.attempt(batch, release):
            work(batch)


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=repr)
def test_out_of_memory_errors_are_recognized(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", OTHER_ERRORS, ids=repr)
def test_other_errors_are_not_taken_for_out_of_memory(error):
    assert not is_out_of_memory(error)


def test_the_cpu_allocators_error_is_recognized():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50)
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize("error", OUT_OF_MEMORY[:-2], ids=repr)
def test_batch_is_halved_until_it_fits_and_every_frame_is_done_once(error, caplog):
    done, attempts, releases = [], [], []

    def work(batch):
        attempts.append(batch)
        if len(batch) > 2:
            raise error
        done.extend(batch)

    batches = AdaptiveBatches(8, LATENT_PIXELS, CPU)
    run(batches, range(7), work, release=lambda: releases.append(attempts[-1]))
    assert done == list(range(7))
    assert batches.size == 1  # 7 frames per call, 3, 1
    assert releases == [list(range(7)), [0, 1, 2]]  # after the attempts that failed, and no other
    assert caplog.messages == [
        "out of memory with 7 frames per call; trying 3.",
        "out of memory with 3 frames per call; trying 1.",
    ]


def test_single_frame_out_of_memory_raises():
    def work(batch):
        raise torch.cuda.OutOfMemoryError("out of memory")

    with pytest.raises(torch.cuda.OutOfMemoryError):
        run(AdaptiveBatches(4, 1, CPU), [0, 1], work)


def test_other_errors_are_not_retried():
    attempts = []

    def work(batch):
        attempts.append(batch)
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        run(AdaptiveBatches(4, 1, CPU), range(4), work)
    assert attempts == [[0, 1, 2, 3]]


def test_small_grids_share_a_call_on_a_cpu():
    assert [AdaptiveBatches(None, pixels, CPU).size for pixels in (384, 2048, 9600)] == [5, 1, 1]


class Gpu:
    """A GPU's memory in arbitrary units: of the weights, of one frame while it is denoised, and cached."""

    def __init__(self, total: int, per_frame: int, weights: int = 10, cached: int = 0) -> None:
        self.total, self.per_frame, self.allocated, self.cached = total, per_frame, weights, cached
        self.peak, self.num_emptied = 0, 0

    def install(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(torch.cuda, "reset_peak_memory_stats", self.reset)
        patch.setattr(torch.cuda, "memory_allocated", lambda device: self.allocated)
        patch.setattr(torch.cuda, "max_memory_allocated", lambda device: self.peak)
        patch.setattr(torch.cuda, "memory_reserved", lambda device: self.allocated + self.cached)
        patch.setattr(
            torch.cuda, "mem_get_info", lambda device: (self.total - self.allocated - self.cached, self.total)
        )
        patch.setattr(torch.cuda, "empty_cache", self.empty)

    def reset(self, device: torch.device) -> None:
        self.peak = self.allocated

    def empty(self) -> None:
        self.cached, self.num_emptied = 0, self.num_emptied + 1

    def work(self, batch: list[int]) -> None:
        needed = self.allocated + self.per_frame * len(batch)
        if needed > self.total:
            raise torch.cuda.OutOfMemoryError("out of memory")
        self.peak = max(self.peak, needed)
        self.cached = max(self.cached, self.peak - self.allocated)  # PyTorch keeps it for reuse


def batch_sizes(gpu: Gpu, monkeypatch, num_frames: int = 20, size: int | None = None) -> list[int]:
    """Return the sizes of the batches that succeeded, after checking that they contain each frame once."""
    gpu.install(monkeypatch)
    done: list[list[int]] = []

    def work(batch):
        gpu.work(batch)
        done.append(batch)

    run(AdaptiveBatches(size, LATENT_PIXELS, GPU), range(num_frames), work)
    assert [frame for batch in done for frame in batch] == list(range(num_frames))
    return [len(batch) for batch in done]


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (1000, [1, 32, 32, 5]),  # 0.8 * 990 / 10 = 79, but at most 32 per call
        (250, [1, 19, 19, 19, 12]),  # 0.8 * 240 / 10 = 19.2
        (80, [1, 5, 5, 5, 4]),  # 0.8 * 70 / 10 = 5.6
        (25, [1] * 20),  # 0.8 * 15 / 10 = 1.2
        (20, [1] * 20),  # 0.8 * 10 / 10 = 0.8, but at least 1
    ],
)
def test_memory_of_the_first_frame_decides_the_batch_size_on_a_gpu(monkeypatch, total, expected):
    assert MAX_MEASURED_FRAMES == 32
    assert batch_sizes(Gpu(total, per_frame=10), monkeypatch, num_frames=sum(expected)) == expected


def test_pytorchs_cached_memory_counts_as_free(monkeypatch):
    assert batch_sizes(Gpu(80, per_frame=10, cached=60), monkeypatch) == [1, 5, 5, 5, 4]


def test_earlier_memory_peaks_do_not_count(monkeypatch):
    gpu = Gpu(80, per_frame=10)
    gpu.peak = 79
    assert batch_sizes(gpu, monkeypatch) == [1, 5, 5, 5, 4]


def test_given_batch_size_is_not_measured_but_halved(monkeypatch):
    gpu = Gpu(55, per_frame=10)
    assert batch_sizes(gpu, monkeypatch, num_frames=9, size=8) == [4, 4, 1]
    assert gpu.num_emptied == 1


def test_first_frame_out_of_memory_raises(monkeypatch):
    with pytest.raises(torch.cuda.OutOfMemoryError):
        batch_sizes(Gpu(15, per_frame=10), monkeypatch)


def test_gpu_cache_is_emptied_after_the_failed_attempts_tensors_are_freed(monkeypatch):
    gpu, activations, alive = Gpu(25, per_frame=10), [], []
    gpu.install(monkeypatch)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: alive.append(activations[-1]() is not None))

    def work(batch):
        activation = torch.empty(1)  # a local variable, which the error's traceback keeps
        activations.append(weakref.ref(activation))
        gpu.work(batch)

    run(AdaptiveBatches(2, LATENT_PIXELS, GPU), range(2), work)
    assert alive == [False]
