// The extension of ComfyUI's page: the viewer of STAG4D Preview, results on the nodes that write files or
// compute metrics, and the controls of seeds. ComfyUI loads this file with its page; the player is imported
// when the first viewer is added to a graph.

import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { callAfter } from "./hooks.mjs";
import { addKeptWidget, disposeOfRemoved, keptContents } from "./kept_widgets.mjs";
import { belongsTo, executedNode, outputName } from "./nodes.mjs";
import { Preview } from "./preview.mjs";
import { isAnotherTabRunning, watchPrompts } from "./prompts.mjs";
import { Results } from "./results.mjs";
import { hasSeed, restoreControl } from "./seed_control.mjs";

/** @typedef {import("../../../scripts/app.js").GraphNode} GraphNode */

/**
 * An .s4d file to show while a scene is being fitted.
 * @typedef {object} LivePreview
 * @property {string[]} viewers ids, in the execution, of the Preview nodes that show it
 * @property {string | null} workflow id of the workflow that runs
 * @property {string} filename
 */

const PREVIEW = "STAG4DPreview";
const SIZE = [460, 680]; // of a new Preview node, pixels
const WITH_RESULTS = ["STAG4DOptimize", "STAG4DSave", "STAG4DExport", "STAG4DEvaluate"];
const LIVE_PREVIEW = "stag4d.live_preview"; // EVENT in nodes/host/live_preview.py

/**
 * Add the viewer to a node.
 * @param {GraphNode} node
 * @param {string} name
 */
function addViewer(node, name) {
  const description = { name, type: "STAG4D_VIEW", content: new Preview(), isStored: true };
  const { widget, current } = addKeptWidget(node, description);
  // The microtask runs when the other nodes are configured, too.
  callAfter(node, "onConfigure", () => queueMicrotask(() => current().configure()));
  for (const other of node.widgets.filter(({ name }) => ["width", "height"].includes(name))) {
    callAfter(other, "callback", () => current().updateAspect());
  }
  return { widget };
}

app.registerExtension({
  name: "STAG4D",

  beforeRegisterNodeDef(nodeType, { name }) {
    if (hasSeed(name)) restoreControl(nodeType);
  },

  getCustomWidgets: () => ({ STAG4D_VIEW: addViewer }),

  nodeCreated(node) {
    const { comfyClass = "" } = node.constructor;
    if (comfyClass === PREVIEW) node.setSize(SIZE.map((length, side) => Math.max(length, node.size[side])));
    if (WITH_RESULTS.includes(comfyClass)) {
      if (!node.widgets?.length) node.serialize_widgets = false; // workflows are as without results
      const content = new Results();
      addKeptWidget(node, { name: "results", type: "STAG4D_RESULTS", content, isStored: false });
    }
  },

  setup() {
    api.addEventListener(LIVE_PREVIEW, (/** @type {CustomEvent<LivePreview>} */ { detail }) => {
      if (isAnotherTabRunning()) return;
      const viewers = detail.viewers.map(executedNode);
      for (const { node, content } of keptContents()) {
        const isShown = belongsTo(node, detail.workflow) && viewers.includes(node);
        if (isShown && content instanceof Preview) content.show(detail.filename);
      }
    });
    watchPrompts();
    api.addEventListener("graphCleared", disposeOfRemoved);
  },

  /** The host does not call ``onRemoved`` of nodes in subgraphs of the previous graph. */
  afterConfigureGraph: disposeOfRemoved,

  /** Show outputs that ComfyUI sends again, for instance after a switch between workflows. */
  onNodeOutputsUpdated(outputs) {
    for (const { node, content } of keptContents()) content.restore(outputs[outputName(node)]);
  },
});
