// DOM widgets whose content outlives its node where the host recreates the node, as on undo and redo. Vue
// nodes mount the element of a DOM widget once per graph and node id, so the new node adopts that element.

import { callAfter } from "./hooks.mjs";
import { isOpen, persistentName } from "./nodes.mjs";

/** @typedef {import("../../../scripts/app.js").GraphNode} GraphNode */
/** @typedef {import("../../../scripts/app.js").DOMWidget} DOMWidget */
/** @typedef {import("../../../scripts/app.js").NodeOutput} NodeOutput */

/**
 * The content of a widget. Each node that it belongs to starts it, and it can be started after a disposal.
 * @typedef {object} Content
 * @property {HTMLElement} element
 * @property {number} minHeight pixels
 * @property {string} value the widget's; empty for none
 * @property {(node: GraphNode) => void} start
 * @property {(output: NodeOutput | undefined) => void} receive show the output of a run
 * @property {(output: NodeOutput | undefined) => void} restore show an output that the host sends again
 * @property {() => void} dispose
 */

/** Contents and their nodes by node and widget. @type {Map<string, {node: GraphNode, content: Content}>} */
const kept = new Map();

/**
 * Add a DOM widget to a node.
 * @template {Content} T
 * @param {GraphNode} node
 * @param {{name: string, type: string, content: T, isStored: boolean}} description ``isStored``: whether
 *   workflows and prompts have the widget's value
 * @returns {{widget: DOMWidget, current: () => T}} the content may be another one once the node is in a graph
 */
export function addKeptWidget(node, { name, type, content, isStored }) {
  let current = content;
  const widget = node.addDOMWidget(name, type, content.element, {
    getValue: () => current.value,
    setValue: (value) => (current.value = value),
    getMinHeight: () => current.minHeight,
    hideOnZoom: false,
    hideInPanel: true, // an element can have only one parent
    serialize: isStored,
  });
  widget.serialize = isStored;
  callAfter(node, "onExecuted", (output) => current.receive(output));
  callAfter(node, "onAdded", () => {
    if (!isOpen(node)) return; // a copy of a workflow from which the host only takes nodes
    const key = `${persistentName(node)}/${name}`;
    const found = kept.get(key);
    if (found && found.node !== node && !isOpen(found.node)) {
      if (current.value) found.content.value = current.value;
      current = /** @type {T} */ (found.content);
      widget.element = current.element;
    }
    kept.set(key, { node, content: current });
    current.start(node);
  });
  // An undo adds the new nodes before the microtask.
  callAfter(node, "onRemoved", () => queueMicrotask(disposeOfRemoved));
  return { widget, current: () => current };
}

/** Dispose of the contents of nodes that are no longer in the open workflow. */
export function disposeOfRemoved() {
  for (const [key, { node, content }] of kept) {
    if (isOpen(node)) continue;
    kept.delete(key);
    content.dispose();
  }
}

/** Return the contents with their nodes. */
export function keptContents() {
  return kept.values();
}
