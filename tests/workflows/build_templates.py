"""Write workflows/*.json: ComfyUI's page builds each graph of template_graphs.py and serializes it.

``PYTHONPATH=.:tests/support:tests/workflows python tests/workflows/build_templates.py ADDRESS [NAME ...]``
with the address of a running ComfyUI that has this pack, such as http://127.0.0.1:8188.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from chromium import chromium
from host_page import open_host_page
from template_graphs import TEMPLATES
from template_parts import GROWTH, Template

FOLDER = Path(__file__).parents[2] / "workflows"
NOTE_COLORS = {"color": "#432", "bgcolor": "#653"}
GAPS = (20, 6)  # between columns, and between a node and the title bar below it, pixels
TITLE, TOP_LEFT = 30, (40, 80)  # height of a title bar, first node; pixels
BUILD = """({columns, links, noteColors, gaps, title, left, top, growth}) => {
  app.graph.clear();
  const nodes = {};
  let x = left;
  for (const {width, nodes: column} of columns) {
    let y = top;
    for (const {key, type, values, heading, height, models} of column) {
      const node = (nodes[key] = add(type, [x, y], [width, height], values));
      if (heading) node.title = heading;
      if (models.length) node.properties.models = models;
      if (type === "MarkdownNote") Object.assign(node, noteColors);
      y += Math.max(height, node.computeSize([width, height])[1]) + title + gaps[1] + (growth[type] ?? 0);
    }
    x += width + gaps[0];
  }
  for (const [from, output, to, input] of links) {
    if (!nodes[from].connect(nodes[from].findOutputSlot(output), nodes[to], nodes[to].findInputSlot(input)))
      throw new Error(`${from}.${output} does not connect to ${to}.${input}`);
  }
  for (const node of app.graph.nodes) {
    node.setSize([node.size[0], Math.max(node.size[1], node.computeSize(node.size)[1])]);
  }
  return app.graph.serialize();
}"""


def description(template: Template) -> dict[str, Any]:
    """Return what the page needs to build a template."""
    return {
        "columns": [asdict(column) for column in template.columns],
        "links": [(*source.split("."), *target.split(".", 1)) for source, target in template.links],
        "noteColors": NOTE_COLORS,
        "gaps": GAPS,
        "title": TITLE,
        "growth": GROWTH,
        "left": TOP_LEFT[0],
        "top": TOP_LEFT[1],
    }


def cleaned(workflow: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a serialized graph without what differs from one build to the next."""
    for node in workflow["nodes"]:
        node["pos"], node["size"] = ([round(length) for length in node[key]] for key in ("pos", "size"))
        for key in ("ver", "aux_id"):
            node["properties"].pop(key, None)
    return workflow | {"id": str(uuid5(NAMESPACE_URL, f"stag4d/{name}")), "extra": {}}


if __name__ == "__main__":
    address, names = sys.argv[1], sys.argv[2:] or list(TEMPLATES)
    with chromium() as browser:
        for name in names:  # each in a page of its own, which keeps widget values by the ids of nodes
            with open_host_page(browser, address, vue_nodes=False) as page:
                workflow = cleaned(page.run(BUILD, description(TEMPLATES[name])), name)
            text = json.dumps(workflow, indent=1, ensure_ascii=False)
            (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")
