// Nodes in the graphs of the page: whether they are open, their names, and their workflow.

import { app } from "../../../scripts/app.js";

/** @typedef {import("../../../scripts/app.js").GraphNode} GraphNode */
/** @typedef {import("../../../scripts/app.js").NodeOutput} NodeOutput */

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
 * Whether an event is about a node's workflow; an event or a graph without an id matches any.
 * @param {GraphNode} node
 * @param {string | null} workflow
 */
export function belongsTo(node, workflow) {
  const id = node.graph?.rootGraph.id;
  return !workflow || !id || workflow === id;
}

/**
 * Whether an output is known to come from a run of a workflow in another tab. The host passes outputs to the
 * open workflow's node of the same id, whichever workflow was run.
 * @param {NodeOutput} output as passed to ``onExecuted``, after the host has stored it
 */
export function isFromAnotherTab(output) {
  const { activeWorkflow, openWorkflows = [] } = app.extensionManager.workflow;
  return openWorkflows.some(
    ({ path, changeTracker }) =>
      path !== activeWorkflow?.path && Object.values(changeTracker?.nodeOutputs ?? {}).includes(output),
  );
}
