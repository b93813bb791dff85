"""Write docs/demo.webp: the demo's input video, beside renders of its scene from all around.

``PYTHONPATH=. python tests/support/demo_animation.py demo_out``
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from stag4d.data import read_views
from stag4d.evaluation import on_white
from stag4d.export import to_pil_image
from stag4d.geometry import OrbitPose
from stag4d.pipeline.scenes import render_frames
from stag4d.scene import load_scene
from stag4d.types import Cameras

OUT = Path(__file__).parents[2] / "docs" / "demo.webp"
SIZE, FPS = 256, 8.0
NUM_COLUMNS = 4  # the video and three cameras
ELEVATION_DEG = 10.0

folder = Path(sys.argv[1])
model = load_scene(folder / "scene.safetensors").object_centered()
views = read_views(folder / "views", SIZE)
count = model.info.num_frames
columns = [on_white(views.images, views.alphas)]
for column in range(NUM_COLUMNS - 1):
    turn = 360 * column / (NUM_COLUMNS - 1)
    poses = [
        OrbitPose(azimuth_deg=turn + 90 * frame / count, elevation_deg=ELEVATION_DEG)
        for frame in range(count)
    ]
    columns.append(on_white(*render_frames(model, Cameras.from_poses(poses, SIZE, SIZE))))
frames = [
    Image.fromarray(np.concatenate([np.asarray(to_pil_image(column[frame])) for column in columns], axis=1))
    for frame in range(count)
]
frames[0].save(
    OUT, save_all=True, append_images=frames[1:], duration=round(1000 / FPS), loop=0, quality=80, method=6
)
