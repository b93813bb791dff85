"""The ``.s4d`` files that the viewers in the browser load from ComfyUI's temp folder."""

import hashlib
from weakref import WeakKeyDictionary

from ...stag4d.atomic import replacing
from ...stag4d.export import encode_s4d
from ...stag4d.progress import Monitor
from ...stag4d.scene import GaussianModel4D
from .files import temp_folder

_names: WeakKeyDictionary[GaussianModel4D, str] = WeakKeyDictionary()  # of the files of scenes in use


def viewer_file(scene: GaussianModel4D, monitor: Monitor) -> str:
    """Write a scene's .s4d file into the temp folder unless it exists; returns its name, a hash of it.

    Args:
        scene: The scene.
        monitor: Called after each frame that is encoded.
    """
    folder, name = temp_folder(), _names.get(scene)
    if name is None or not (folder / name).is_file():
        content = encode_s4d(scene, monitor=monitor)
        name = f"{hashlib.sha256(content).hexdigest()[:32]}.s4d"
        with replacing(folder / name) as temporary:
            temporary.write_bytes(content)
        _names[scene] = name
    return name
