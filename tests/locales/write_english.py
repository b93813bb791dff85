"""Write locales/en/nodeDefs.json: the texts of the nodes' schemas.

``PYTHONPATH=tests:tests/support:tests/support/fake_host python tests/locales/write_english.py``
"""

import asyncio
import json

from conftest import ROOT, load_pack
from node_texts import node_texts

nodes = asyncio.run(asyncio.run(load_pack().comfy_entrypoint()).get_node_list())
path = ROOT / "locales" / "en" / "nodeDefs.json"
path.write_text(json.dumps(node_texts(nodes), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
