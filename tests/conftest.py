"""Shared fixtures: the pack as the host imports it, and a scene with known motion."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def pack() -> Iterator[ModuleType]:
    """Return the pack as the host imports it: under a name derived from its path, with a fake host."""
    name = str(ROOT).replace(".", "_x_")
    entry, folders = ROOT / "__init__.py", [str(ROOT)]
    spec = importlib.util.spec_from_file_location(name, entry, submodule_search_locations=folders)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "tests" / "support" / "fake_host")
        patch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        yield module


@pytest.fixture
def host_folders(pack: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the fake host's base folder, with the folders input, output and temp."""
    for name in ("input", "output", "temp"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(sys.modules["folder_paths"], "base", tmp_path)
    return tmp_path


class Slide(torch.nn.Module):
    """A deformation that translates all Gaussians from x = -0.4 at time 0 to x = +0.4 at time 1."""

    def forward(self, means: torch.Tensor, frame_times: torch.Tensor) -> SimpleNamespace:
        offsets = torch.zeros(len(frame_times), *means.shape)  # [T, N, 3]
        offsets[..., 0] = (0.8 * frame_times - 0.4)[:, None]
        return SimpleNamespace(means=offsets, quats=torch.zeros(1, len(means), 4), log_scales=None)


@pytest.fixture
def sliding_scene(pack: ModuleType):
    """Return a scene of five frames with one white Gaussian that moves from left to right."""
    scene = importlib.import_module(f"{pack.__name__}.stag4d.scene")
    gaussians = scene.Gaussians(
        means=torch.zeros(1, 3),
        log_scales=torch.full((1, 3), -2.0),
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
        logit_opacities=torch.tensor([6.0]),
        sh0=torch.full((1, 1, 3), 0.5 / scene.SH_C0),  # white
    )
    return scene.GaussianModel4D(gaussians, Slide(), scene.SceneInfo(num_frames=5))
