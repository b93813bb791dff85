"""Write a toy capture, three cameras around a ball at two frames, in the formats of other programs.

The writers are made from the formats' documentation, without the code under test.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from media_files import write_video
from PIL import Image

Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # (x, y, z) with y up to the same point with z up
OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
NUM_FRAMES = 2
AZIMUTHS = (0.0, 50.0, 200.0)
ELEVATION = 12.0


@dataclass(frozen=True)
class Toy:
    """Cameras of a toy capture, in a world with y up.

    Attributes:
        size: Width and height of the images, pixels.
        focals: fx and fy, pixels.
        principal: cx and cy, pixels; the center of the first pixel is at (0.5, 0.5).
        center: Where the ball is, and where all cameras look.
        distance: Of the cameras from the ball.
        radius: Of the ball.
    """

    size: tuple[int, int] = (48, 32)
    focals: tuple[float, float] = (60.0, 60.0)
    principal: tuple[float, float] = (24.0, 16.0)
    center: tuple[float, float, float] = (0.5, 1.0, -0.25)
    distance: float = 4.0
    radius: float = 0.5
    viewmats: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "viewmats", np.stack([self._viewmat(azimuth) for azimuth in AZIMUTHS]))

    @property
    def K(self) -> np.ndarray:
        """[3, 3] intrinsics."""
        return np.array(
            [[self.focals[0], 0, self.principal[0]], [0, self.focals[1], self.principal[1]], [0, 0, 1]]
        )

    @property
    def c2ws(self) -> np.ndarray:
        """[3, 4, 4] camera-to-world, OpenCV axes."""
        return np.linalg.inv(self.viewmats)

    @property
    def nerf_c2ws(self) -> np.ndarray:
        """[3, 4, 4] camera-to-world, OpenGL axes, in a world with z up."""
        turn = np.eye(4)
        turn[:3, :3] = Z_UP
        return turn @ self.c2ws @ OPENGL

    def image(self, camera: int, frame: int) -> np.ndarray:
        """Return the image of a camera, uint8 [H, W, 4]: a red ball that grows with time."""
        scale = self.focals[0] / self.distance
        columns, rows = np.meshgrid(np.arange(self.size[0]) + 0.5, np.arange(self.size[1]) + 0.5)
        reach = np.hypot(columns - self.principal[0], rows - self.principal[1])
        pixels = np.zeros((self.size[1], self.size[0], 4), np.uint8)
        pixels[..., 0], pixels[..., 1] = 200, 40 * camera
        pixels[..., 3] = 255 * (reach <= scale * self.radius * (1 + 0.2 * frame))
        return pixels

    def _viewmat(self, azimuth_deg: float) -> np.ndarray:
        a, e = math.radians(azimuth_deg), math.radians(ELEVATION)
        rotation = np.array(
            [
                [math.cos(a), 0, -math.sin(a)],
                [math.sin(e) * math.sin(a), -math.cos(e), math.sin(e) * math.cos(a)],
                [-math.cos(e) * math.sin(a), -math.sin(e), -math.cos(e) * math.cos(a)],
            ]
        )
        viewmat = np.eye(4)
        viewmat[:3, :3] = rotation
        viewmat[:3, 3] = np.array([0, 0, self.distance]) - rotation @ np.array(self.center)
        return viewmat


def save_image(path: Path, pixels: np.ndarray) -> None:
    """Write uint8 pixels [H, W, 4]; JPEG on white."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    if path.suffix == ".jpg":
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image)
        white.convert("RGB").save(path, quality=95)
    else:
        image.save(path)


def save_json(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def on_white(pixels: np.ndarray) -> np.ndarray:
    """Return uint8 [H, W, 3]."""
    alpha = pixels[..., 3:].astype(float) / 255
    return np.rint(pixels[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)


def write_camera_videos(
    folder: Path, toy: Toy, names: Sequence[str], lengths: Sequence[int] = (2, 2, 2)
) -> None:
    for camera, (name, length) in enumerate(zip(names, lengths, strict=True)):
        frames = [on_white(toy.image(camera, frame % 2)) for frame in range(length)]
        write_video(folder / name, frames, fps=30)


def write_nerfstudio(root: Path, toy: Toy, **extra: Any) -> Path:
    (fx, fy), (cx, cy) = toy.focals, toy.principal
    frames = []
    for frame in reversed(range(NUM_FRAMES)):
        for camera in range(3):
            name = f"images/cam{camera:02d}/{frame:05d}.png"
            save_image(root / name, toy.image(camera, frame))
            matrix = toy.nerf_c2ws[camera].tolist()
            frames.append({"file_path": name, "transform_matrix": matrix, "time": float(frame)})
    intrinsics = {"fl_x": fx, "fl_y": fy, "cx": cx, "cy": cy, "w": toy.size[0], "h": toy.size[1]}
    document = {"camera_model": "OPENCV", **intrinsics, "k1": 0.0, "frames": frames, **extra}
    return save_json(root / "transforms.json", document)


def write_dnerf(root: Path, toy: Toy) -> Path:
    """One image for each time, the camera jumps; ``train`` has three, ``test`` one."""
    angle = 2 * math.atan(0.5 * toy.size[0] / toy.focals[0])
    for split, cameras in (("train", (0, 1, 2)), ("test", (1,))):
        frames = []
        for index, camera in enumerate(cameras):
            save_image(root / f"{split}/r_{index:03d}.png", toy.image(camera, 0))
            matrix = toy.nerf_c2ws[camera].tolist()
            entry = {"file_path": f"./{split}/r_{index:03d}", "rotation": 0.1, "time": index / 2}
            frames.append({**entry, "transform_matrix": matrix})
        save_json(root / f"transforms_{split}.json", {"camera_angle_x": angle, "frames": frames})
    return root


def write_frameset(root: Path, toy: Toy, first: int = 0) -> Path:
    (fx, fy), (cx, cy) = toy.focals, toy.principal
    for frame in range(NUM_FRAMES):
        folder = root / f"frame_{frame + first:03d}"
        frames = []
        for camera in range(3):
            save_image(folder / f"images/{camera:02d}.png", toy.image(camera, frame))
            entry = {"file_path": f"images/{camera:02d}.png", "fl_x": fx, "fl_y": fy, "cx": cx, "cy": cy}
            entry |= {"w": toy.size[0], "h": toy.size[1], "transform_matrix": toy.nerf_c2ws[camera].tolist()}
            frames.append(entry)
        save_json(folder / "transforms.json", {"camera_model": "OPENCV", "frames": frames})
    return root


def write_4danyone(root: Path, toy: Toy) -> Path:
    write_camera_videos(root / "videos/dense", toy, [f"{camera:02d}.mp4" for camera in range(3)])
    cameras = [
        {
            "camera_id": camera,
            "layer_index": 0,
            "pitch": ELEVATION,
            "yaw": -AZIMUTHS[camera],
            "K": toy.K.tolist(),
            "camera_to_world": toy.c2ws[camera].tolist(),
            "image_width": toy.size[0],
            "image_height": toy.size[1],
            "video": f"videos/dense/{camera:02d}.mp4",
        }
        for camera in range(3)
    ]
    return save_json(
        root / "cameras.json", {"camera_model": "OPENCV", "cameras": cameras, "front_camera_ids": [0]}
    )


def quaternion(rotation: np.ndarray) -> np.ndarray:
    """Return wxyz of a rotation [3, 3], from the eigenvector of its 4 x 4 matrix."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation
    matrix = np.array(
        [
            [xx + yy + zz, zy - yz, xz - zx, yx - xy],
            [zy - yz, xx - yy - zz, xy + yx, xz + zx],
            [xz - zx, xy + yx, yy - xx - zz, yz + zy],
            [yx - xy, xz + zx, yz + zy, zz - xx - yy],
        ]
    )
    return np.linalg.eigh(matrix)[1][:, -1]


def write_colmap(root: Path, toy: Toy, *, is_binary: bool, model: str = "PINHOLE") -> Path:
    """``cam00/00000.png`` and so on; the model in ``sparse/0`` has the first frame."""
    for camera in range(3):
        for frame in range(NUM_FRAMES):
            save_image(root / f"images/cam{camera:02d}/{frame:05d}.png", toy.image(camera, frame))
    parameters = [*toy.focals, *toy.principal] + ([0.0] * 4 if model == "OPENCV" else [])
    poses = [
        (quaternion(viewmat[:3, :3]), viewmat[:3, 3], f"cam{camera:02d}/00000.png")
        for camera, viewmat in enumerate(toy.viewmats)
    ]
    folder = root / "sparse/0"
    folder.mkdir(parents=True)
    if not is_binary:
        numbers = " ".join(map(repr, parameters))
        (folder / "cameras.txt").write_text(f"# comment\n7 {model} {toy.size[0]} {toy.size[1]} {numbers}\n")
        lines = [
            f"{index} {' '.join(map(repr, map(float, [*quat, *position])))} 7 {name}\n1.5 2.5 -1\n"
            for index, (quat, position, name) in enumerate(poses, start=1)
        ]
        (folder / "images.txt").write_text("# comment\n" + "".join(lines))
        return root
    model_id = {"PINHOLE": 1, "OPENCV": 4}[model]
    camera_record = struct.pack("<iiQQ", 7, model_id, *toy.size) + struct.pack(
        f"<{len(parameters)}d", *parameters
    )
    (folder / "cameras.bin").write_bytes(struct.pack("<Q", 1) + camera_record)
    content = struct.pack("<Q", len(poses))
    for index, (quat, position, name) in enumerate(poses, start=1):
        content += struct.pack("<i4d3di", index, *quat, *position, 7) + name.encode() + b"\0"
        content += struct.pack("<Qddq", 1, 1.5, 2.5, -1)
    (folder / "images.bin").write_bytes(content)
    point = struct.pack("<Qddd3BdQii", 1, *toy.center, 1, 2, 3, 0.5, 1, 1, 0)
    (folder / "points3D.bin").write_bytes(struct.pack("<Q", 1) + point)
    return root


def llff_row(c2w: np.ndarray, size: tuple[int, int], focal: float) -> np.ndarray:
    """Return a row [17] of a camera-to-world matrix [4, 4] with OpenCV axes."""
    right, down, forward, position = c2w[:3].T
    columns = [down, right, -forward, position, (size[1], size[0], focal)]
    return np.concatenate([np.stack(columns, axis=-1).ravel(), [1.0, 9.0]])


def write_llff(root: Path, toy: Toy) -> Path:
    write_camera_videos(root, toy, [f"cam{camera:02d}.mp4" for camera in range(3)])
    np.save(root / "poses_bounds.npy", np.stack([llff_row(c2w, toy.size, toy.focals[0]) for c2w in toy.c2ws]))
    return root


def write_hypernerf(root: Path, toy: Toy) -> Path:
    """Images of half the size; positions are outside of the world of the cameras by center and scale."""
    center, scale = np.array([0.1, -0.2, 0.3]), 0.5
    save_json(root / "scene.json", {"scale": scale, "center": center.tolist(), "near": 0.1, "far": 9.0})
    ids, metadata = [], {}
    for camera in range(3):
        for frame in range(NUM_FRAMES):
            name = f"{camera}_{frame:05d}"
            ids.append(name)
            metadata[name] = {"warp_id": frame, "appearance_id": frame, "camera_id": camera}
            half = Image.fromarray(toy.image(camera, frame)).resize((toy.size[0] // 2, toy.size[1] // 2), 0)
            save_image(root / f"rgb/2x/{name}.png", np.asarray(half))
            save_json(root / f"camera/{name}.json", hypernerf_camera(toy, camera, center, scale))
    save_json(root / "metadata.json", metadata)
    save_json(root / "dataset.json", {"ids": ids, "count": len(ids), "train_ids": ids, "val_ids": []})
    return root


def hypernerf_camera(toy: Toy, camera: int, center: np.ndarray, scale: float) -> dict[str, Any]:
    return {
        "orientation": toy.viewmats[camera, :3, :3].tolist(),
        "position": (toy.c2ws[camera, :3, 3] / scale + center).tolist(),
        "focal_length": toy.focals[0],
        "pixel_aspect_ratio": toy.focals[1] / toy.focals[0],
        "principal_point": list(toy.principal),
        "image_size": list(toy.size),
        "skew": 0.0,
        "radial_distortion": [0.0, 0.0, 0.0],
        "tangential_distortion": [0.0, 0.0],
    }


def write_panoptic(root: Path, toy: Toy) -> Path:
    """JPEG images with masks in ``seg``."""
    names = [[f"{camera}/{frame:06d}.jpg" for camera in range(3)] for frame in range(NUM_FRAMES)]
    for frame in range(NUM_FRAMES):
        for camera in range(3):
            pixels = toy.image(camera, frame)
            save_image(root / "ims" / names[frame][camera], pixels)
            mask = root / "seg" / names[frame][camera].replace(".jpg", ".png")
            mask.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[..., 3]).save(mask)
    document = {
        "w": toy.size[0],
        "h": toy.size[1],
        "k": [[toy.K.tolist()] * 3] * NUM_FRAMES,
        "w2c": [toy.viewmats.tolist()] * NUM_FRAMES,
        "fn": names,
        "cam_id": [[0, 1, 2]] * NUM_FRAMES,
    }
    return save_json(root / "train_meta.json", document)


def write_easymocap(root: Path, toy: Toy) -> Path:
    """Pixel centers at integers, rotations as matrices."""
    intrinsics, extrinsics = [], []
    for camera in range(3):
        K, viewmat = toy.K.copy(), toy.viewmats[camera]
        K[:2, 2] -= 0.5
        intrinsics += [
            _opencv_matrix(f"K_{camera:02d}", K),
            _opencv_matrix(f"dist_{camera:02d}", np.zeros((1, 5))),
        ]
        extrinsics += [_opencv_matrix(f"Rot_{camera:02d}", viewmat[:3, :3])]
        extrinsics += [_opencv_matrix(f"T_{camera:02d}", viewmat[:3, 3:])]
        for frame in range(NUM_FRAMES):
            save_image(root / f"images/{camera:02d}/{frame:06d}.png", toy.image(camera, frame))
    names = "names:\n" + "".join(f'  - "{camera:02d}"\n' for camera in range(3))
    (root / "intri.yml").write_text("%YAML:1.0\n---\n" + names + "".join(intrinsics))
    (root / "extri.yml").write_text("%YAML:1.0\n---\n" + names + "".join(extrinsics))
    return root


def _opencv_matrix(name: str, values: np.ndarray) -> str:
    rows, columns = values.shape
    data = ", ".join(map(repr, values.ravel().tolist()))
    return f"{name}: !!opencv-matrix\n  rows: {rows}\n  cols: {columns}\n  dt: d\n  data: [ {data} ]\n"


WRITERS: dict[str, Callable[[Path, Toy], Path]] = {
    "nerfstudio": write_nerfstudio,
    "frameset": write_frameset,
    "4danyone": write_4danyone,
    "colmap text": lambda root, toy: write_colmap(root, toy, is_binary=False),
    "colmap binary": lambda root, toy: write_colmap(root, toy, is_binary=True),
    "llff": write_llff,
    "hypernerf": write_hypernerf,
    "panoptic": write_panoptic,
    "easymocap": write_easymocap,
}
"""Writers of captures with three cameras and two frames, by name of the format."""
