"""PLY and SPZ files read by JavaScript libraries: gsplat.js and Adobe's build of Niantic's."""

from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path

import numpy as np
import pytest
from needed import node_modules, program

from stag4d.export import write_ply, write_spz
from stag4d.geometry import flip_splat_frame
from stag4d.scene import GaussianModel4D

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def read(tmp_path_factory, box: GaussianModel4D) -> dict[str, dict[str, np.ndarray]]:
    """The box's third frame as each library reads it: arrays by file format and attribute."""
    pytest.importorskip("gsply")
    node_modules(HERE)
    folder = tmp_path_factory.mktemp("splats")
    gaussians = box.at(box.frame_times[[2]])[0]
    write_ply(folder / "box.ply", gaussians)
    write_spz(folder / "box.spz", gaussians)
    command = [
        program("node"),
        str(HERE / "read_splats.mjs"),
        str(folder / "box.ply"),
        str(folder / "box.spz"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    ply, spz = json.loads(done.stdout.splitlines()[-1])  # the libraries may print before
    return {
        name: {key: np.array(rows) for key, rows in one.items()} for name, one in (("ply", ply), ("spz", spz))
    }


@pytest.mark.parametrize(("name", "mean_atol", "scale_rtol"), [("ply", 1e-6, 1e-5), ("spz", 1.3e-4, 0.032)])
def test_javascript_libraries_read_the_written_gaussians(read, box, name, mean_atol, scale_rtol):
    gaussians = box.at(box.frame_times[[2]])[0]
    means, quats = flip_splat_frame(
        gaussians.means, gaussians.quats / gaussians.quats.norm(dim=-1, keepdim=True)
    )
    found = read[name]
    np.testing.assert_allclose(found["positions"].reshape(-1, 3), means, atol=mean_atol)
    scales = found["scales"].reshape(-1, 3)
    np.testing.assert_allclose(np.log(scales), gaussians.log_scales, atol=math.log(1 + scale_rtol))
    cosines = np.abs((found["rotations"].reshape(-1, 4) * quats.numpy()).sum(axis=1)).clip(max=1)
    assert np.degrees(2 * np.arccos(cosines)).max() < 1.5  # gsplat.js keeps eight bits of each component
    np.testing.assert_allclose(found["opacities"], gaussians.opacities, atol=0.005)
    np.testing.assert_allclose(found["colors"].reshape(-1, 3), gaussians.colors, atol=0.005)
