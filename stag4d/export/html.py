"""HTML pages that hold the viewer and a scene: they open from disk, without a server or a network.

The modules of the viewer in ``web/viewer`` are bundled into one script: each becomes a function that returns
its exports. So a module may import only by ``import { a, b } from "./other.mjs";`` and export only by the
keyword in front of a declaration. The Content-Security-Policy of the page allows this script and no other.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping
from pathlib import Path

from ..atomic import write_whole
from ..metadata import checked_metadata

MAX_METADATA_BYTES = 2**22
_HERE = Path(__file__).resolve()
_VIEWER_FOLDERS = (_HERE.parents[1] / "viewer", _HERE.parents[2] / "web" / "viewer")  # installed; in a clone
_ENTRY = "page"
_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.mjs";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async function|function|class|const) (\w+))", re.MULTILINE)
_OTHER = re.compile(r"^(?:import|export)\b.*$", re.MULTILINE)
_STYLE = "html, body { height: 100%; margin: 0; background: #16171b; }"

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<noscript>This page shows a moving 3D scene; it needs JavaScript.</noscript>
{metadata}<script type="text/plain" id="s4d">{s4d}</script>
<script type="module">{script}</script>
</body>
</html>
"""


def write_html(path: str | Path, s4d: bytes, title: str, metadata: Mapping[str, str] | None = None) -> None:
    """Write a page that plays a scene.

    Args:
        path: The file; its folder is made when it does not exist.
        s4d: The scene as ``encode_s4d`` returns it.
        title: Title of the page and file name of the images that its user saves.
        metadata: JSON texts by name, which the script element with the id ``metadata`` and those images hold.

    Raises:
        FileNotFoundError: if the modules of the viewer are missing.
        RuntimeError: if the file cannot be written.
        TypeError: if a name or value of the metadata is not a string.
        ValueError: if the metadata are larger than ``MAX_METADATA_BYTES``.
    """
    script = f"\n{bundle_viewer()}"
    rules = {
        "default-src": "'none'",
        "script-src": hash_source(script),
        "style-src": hash_source(_STYLE),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    page = _PAGE.format(
        policy="; ".join(f"{name} {value}" for name, value in rules.items()),
        title=html.escape(title),
        style=_STYLE,
        metadata=_metadata_element(checked_metadata(metadata, str(path), MAX_METADATA_BYTES)),
        s4d=base64.b64encode(s4d).decode(),
        script=script,
    )
    write_whole(path, page.encode())


def bundle_viewer() -> str:
    """Return the modules of the viewer as one script, which shows the scene of the page.

    Raises:
        FileNotFoundError: if the modules are missing.
        ValueError: if a module has an import or export of another form.
    """
    folder = _viewer_folder()
    modules: dict[str, str] = {}
    _add_module(folder, _ENTRY, modules)
    return "\n".join([*modules.values(), f"${_ENTRY}.showEmbeddedScene();\n"])


def _metadata_element(metadata: dict[str, str]) -> str:
    """Return the line with metadata, none if there are none; no text in it can end the element."""
    if not metadata:
        return ""
    text = json.dumps(metadata).replace("<", "\\u003c")
    return f'<script type="application/json" id="metadata">{text}</script>\n'


def _viewer_folder() -> Path:
    """Return the folder of the viewer's modules; raises FileNotFoundError without one."""
    for folder in _VIEWER_FOLDERS:
        if (folder / f"{_ENTRY}.mjs").is_file():
            return folder
    places = " or ".join(str(folder) for folder in _VIEWER_FOLDERS)
    raise FileNotFoundError(f"viewer: not in {places}; reinstall stag4d, or clone the whole repository.")


def _add_module(folder: Path, name: str, modules: dict[str, str]) -> None:
    """Add a module after all modules that it imports, each once."""
    source = (folder / f"{name}.mjs").read_text(encoding="utf-8")
    for match in _IMPORT.finditer(source):
        if match[2] not in modules:
            _add_module(folder, match[2], modules)
    exported = [match[1] for match in _EXPORT.finditer(source)]
    body = _EXPORT.sub("", _IMPORT.sub(r"const {\1} = $\2;", source))
    left = _OTHER.search(body)
    if left or "</script" in body.lower():
        raise ValueError(
            f"viewer: {name}.mjs has {left[0] if left else '</script'!r}; it cannot be bundled into a page."
        )
    modules[name] = f"const ${name} = (() => {{\n{body}\nreturn {{ {', '.join(exported)} }};\n}})();"


def hash_source(text: str) -> str:
    """Return the source expression by which a Content-Security-Policy allows a text, its SHA-256."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
