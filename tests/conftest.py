"""Shared fixtures: repeatable random numbers, the pack as ComfyUI loads it, and a scene with known motion."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from hypothesis import settings

ROOT = Path(__file__).parents[1]
torch.set_num_threads(1)  # tests work on small tensors, and threads wait for each other on a busy machine
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _seed() -> None:
    """Seed torch's global generator, so that no test depends on those before it."""
    torch.manual_seed(0)


def load_pack() -> ModuleType:
    """Import the pack as ComfyUI does, under a name made from its path; a host must be on the path."""
    name = str(ROOT).replace(".", "_x_")
    spec = importlib.util.spec_from_file_location(
        name, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def pack() -> Iterator[ModuleType]:
    """The pack with ``tests/support/fake_host``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "tests" / "support" / "fake_host")
        yield load_pack()


@pytest.fixture
def host_folders(pack: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The fake host's base folder, with input, output and temp in it."""
    for name in ("input", "output", "temp"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(sys.modules["folder_paths"], "base", tmp_path)
    return tmp_path


class Slide(torch.nn.Module):
    """A deformation that moves everything from x = -0.4 at time 0 to x = +0.4 at time 1."""

    def forward(self, means: torch.Tensor, frame_times: torch.Tensor) -> SimpleNamespace:
        offsets = torch.zeros(len(frame_times), *means.shape)  # [T, N, 3]
        offsets[..., 0] = (0.8 * frame_times - 0.4)[:, None]
        return SimpleNamespace(means=offsets, quats=torch.zeros(1, len(means), 4), log_scales=None)


@pytest.fixture
def sliding_scene(pack: ModuleType):
    """One white Gaussian that slides from left to right during five frames."""
    scene = importlib.import_module(f"{pack.__name__}.stag4d.scene")
    gaussians = scene.Gaussians(
        means=torch.zeros(1, 3),
        log_scales=torch.full((1, 3), -2.0),
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
        logit_opacities=torch.tensor([6.0]),
        sh0=torch.full((1, 1, 3), 0.5 / scene.SH_C0),  # white
    )
    return scene.GaussianModel4D(gaussians, Slide(), scene.SceneInfo(num_frames=5))
