"""The viewer and an ``.s4d`` file in one HTML page, which opens from disk without a server or a network.

The viewer's modules in ``web/viewer`` are bundled into one script: each becomes a function that returns its
exports. This requires imports of the form ``import { a, b } from "./other.mjs";`` and exports in front of
declarations. The page's content security policy allows this script and its style only.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from pathlib import Path

from ..atomic import write_whole

_HERE = Path(__file__).resolve()
_VIEWER_FOLDERS = (_HERE.parents[1] / "viewer", _HERE.parents[2] / "web" / "viewer")  # wheel; clone
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
<script type="text/plain" id="s4d">{s4d}</script>
<script type="module">{script}</script>
</body>
</html>
"""


def write_html(path: str | Path, s4d: bytes, title: str) -> None:
    """Write a page that plays an ``.s4d`` file, creating the folder if it does not exist.

    Args:
        path: The HTML file.
        s4d: Content of the ``.s4d`` file, from ``encode_s4d``.
        title: Title of the page and prefix of screenshot names.

    Raises:
        FileNotFoundError: if the viewer's modules are missing.
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
        s4d=base64.b64encode(s4d).decode(),
        script=script,
    )
    write_whole(path, page.encode())


def bundle_viewer() -> str:
    """Return the viewer as one script that starts the page.

    Raises:
        FileNotFoundError: if the viewer's modules are missing.
        ValueError: if an import or export of a module has another form than those in the module docstring.
    """
    folder = _viewer_folder()
    modules: dict[str, str] = {}
    _add_module(folder, _ENTRY, modules)
    return "\n".join([*modules.values(), f"${_ENTRY}.showEmbeddedScene();\n"])


def _viewer_folder() -> Path:
    """Return the folder of the viewer's modules; raises FileNotFoundError if it is missing."""
    for folder in _VIEWER_FOLDERS:
        if (folder / f"{_ENTRY}.mjs").is_file():
            return folder
    places = " or ".join(str(folder) for folder in _VIEWER_FOLDERS)
    raise FileNotFoundError(f"viewer: not in {places}; reinstall stag4d, or clone the whole repository.")


def _add_module(folder: Path, name: str, modules: dict[str, str]) -> None:
    """Add a module after the modules that it imports, each once."""
    source = (folder / f"{name}.mjs").read_text(encoding="utf-8")
    for match in _IMPORT.finditer(source):
        if match[2] not in modules:
            _add_module(folder, match[2], modules)
    exported = [match[1] for match in _EXPORT.finditer(source)]
    body = _EXPORT.sub("", _IMPORT.sub(r"const {\1} = $\2;", source))
    left = _OTHER.search(body)
    if left or "</script" in body.lower():
        raise ValueError(
            f"viewer: {name}.mjs has {left[0] if left else '</script'!r}, which cannot be bundled; use "
            'import { a } from "./b.mjs"; and exported declarations.'
        )
    modules[name] = f"const ${name} = (() => {{\n{body}\nreturn {{ {', '.join(exported)} }};\n}})();"


def _hash_source(text: str) -> str:
    """Return the hash source expression of an inline text for a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
