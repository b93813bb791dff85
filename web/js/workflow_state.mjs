// The state of the open workflow, which the host keeps for undo and for a reload of the page.

import { app } from "../../../scripts/app.js";

/** @typedef {import("../../../scripts/app.js").GraphNode} GraphNode */

/**
 * Record a change by the user as a step that can be undone.
 * @param {GraphNode} node
 */
export function recordChange(node) {
  node.graph?.change();
  captureState();
}

/**
 * Record the result of a run, which is no step to undo: undo leads to the state before the run, with the
 * result that belongs to it.
 * @param {GraphNode} node
 */
export function recordResult(node) {
  node.graph?.change();
  const tracker = changeTracker();
  if (tracker?.squashState) tracker.squashState();
  else captureState();
}

function captureState() {
  const tracker = changeTracker();
  if (tracker?.captureCanvasState) tracker.captureCanvasState();
  else tracker?.checkState?.(); // its name in older frontends
}

function changeTracker() {
  return app.extensionManager.workflow.activeWorkflow?.changeTracker;
}
