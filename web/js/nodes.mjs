// Nodes in the graphs of the page: whether they are open, their names, and their workflow.

import { app } from "../../../scripts/app.js";

/** @typedef {import("../../../scripts/app.js").Graph} Graph */
/** @typedef {import("../../../scripts/app.js").GraphNode} GraphNode */

/** Return the root graph of the open workflow. */
export function rootGraph() {
  return app.rootGraph ?? app.graph; // its name in older frontends
}

/**
 * Whether a node is in the open workflow: in its root graph or in a subgraph of it.
 * @param {GraphNode} node
 */
export function isOpen(node) {
  const { id, graph } = node;
  if (!graph || graph.getNodeById(id) !== node) return false;
  const root = rootGraph();
  return graph.isRootGraph ? graph === root : root.subgraphs.get(graph.id) === graph;
}

/**
 * Return a name that a node keeps when the host recreates it, for instance on undo; null without a graph.
 * @param {GraphNode} node
 */
export function persistentName({ id, graph }) {
  return graph && `${graph.rootGraph.id}/${graph.isRootGraph ? "" : graph.id}/${id}`;
}

/**
 * Return the node's key in the outputs of an execution.
 * @param {GraphNode} node
 */
export function outputName({ id, graph }) {
  return !graph || graph.isRootGraph ? String(id) : `${graph.id}:${id}`;
}

/**
 * Return the node of the open workflow that has an id in an execution, such as "12:7" for node 7 in the
 * subgraph of node 12; null without one.
 * @param {string} id
 */
export function executedNode(id) {
  const path = id.split(":");
  const last = path.pop() ?? "";
  /** @type {Graph | undefined} */
  let graph = rootGraph();
  for (const step of path) graph = graph?.getNodeById(step)?.subgraph;
  return graph?.getNodeById(last) ?? null;
}

/**
 * Whether an event is about a node's workflow; an event or a graph without an id matches any.
 * @param {GraphNode} node
 * @param {string | null} workflow
 */
export function belongsTo(node, workflow) {
  const id = node.graph?.rootGraph.id;
  return !workflow || !id || workflow === id;
}
