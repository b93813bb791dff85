"""The viewer and a clip in one HTML file, which opens from disk without a server and without a network.

The viewer's modules in ``web/viewer`` are put into one script, each in a function of its own that returns
what the module exports. That asks two things of them: imports are ``import { a, b } from "./other.mjs";`` and
exports stand in front of declarations. The page's content policy allows that script and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from pathlib import Path

from ..atomic import write_whole

_HERE = Path(__file__).resolve()
_VIEWER_FOLDERS = (_HERE.parents[1] / "viewer", _HERE.parents[2] / "web" / "viewer")  # installed; as cloned
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
<script type="text/plain" id="clip">{clip}</script>
<script type="module">{script}</script>
</body>
</html>
"""


def write_html(path: str | Path, clip: bytes, title: str) -> None:
    """Write a page that shows a clip; the folder is made when it does not exist.

    Args:
        path: The file.
        clip: What ``encode_s4d`` returns.
        title: Of the page, and of the pictures that its user saves.

    Raises:
        FileNotFoundError: if the viewer's modules are not there.
        RuntimeError: if the file cannot be written.
    """
    script = f"\n{bundle_viewer()}"
    rules = {
        "default-src": "'none'",
        "script-src": _hash_source(script),
        "style-src": _hash_source(_STYLE),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    page = _PAGE.format(
        policy="; ".join(f"{name} {value}" for name, value in rules.items()),
        title=html.escape(title),
        style=_STYLE,
        clip=base64.b64encode(clip).decode(),
        script=script,
    )
    write_whole(path, page.encode())


def bundle_viewer() -> str:
    """Return the viewer as one script that starts the page.

    Raises:
        FileNotFoundError: if the viewer's modules are not there.
        ValueError: if a module imports or exports in a way that is not understood.
    """
    folder = _viewer_folder()
    modules: dict[str, str] = {}
    _add_module(folder, _ENTRY, modules)
    return "\n".join([*modules.values(), f"${_ENTRY}.showInlineClip();\n"])


def _viewer_folder() -> Path:
    """Return where the viewer's modules are; raises FileNotFoundError where they are not."""
    for folder in _VIEWER_FOLDERS:
        if (folder / f"{_ENTRY}.mjs").is_file():
            return folder
    places = " or ".join(str(folder) for folder in _VIEWER_FOLDERS)
    raise FileNotFoundError(f"viewer: not in {places}; install stag4d anew, or clone the whole repository.")


def _add_module(folder: Path, name: str, modules: dict[str, str]) -> None:
    """Add a module and before it all that it imports, each once."""
    source = (folder / f"{name}.mjs").read_text(encoding="utf-8")
    for match in _IMPORT.finditer(source):
        if match[2] not in modules:
            _add_module(folder, match[2], modules)
    exported = [match[1] for match in _EXPORT.finditer(source)]
    body = _EXPORT.sub("", _IMPORT.sub(r"const {\1} = $\2;", source))
    left = _OTHER.search(body)
    if left or "</script" in body.lower():
        raise ValueError(
            f"viewer: {name}.mjs has {left[0] if left else '</script'!r}; a page cannot hold it."
        )
    modules[name] = f"const ${name} = (() => {{\n{body}\nreturn {{ {', '.join(exported)} }};\n}})();"


def _hash_source(text: str) -> str:
    """Return what a content policy calls a text that it allows."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
