// The latest result of each workflow in this tab of the browser, and the inputs that it was computed from.
// The file that a node stores may be older: after an undo, and where the page was reloaded before the host
// had stored the workflow.

import { persistentName, rootGraph } from "./nodes.mjs";

/** @typedef {import("../../../scripts/app.js").GraphNode} GraphNode */
/** @typedef {import("../../../scripts/app.js").StoredNode} StoredNode */

/** @typedef {{inputs: string, files: Record<string, string>}} Result files by persistent name of a node */

const STORAGE = "stag4d.results"; // key in the session storage, which a reload keeps
const WITHOUT_INPUTS = ["STAG4DPreview"]; // the camera is no input of the scene

/** By id of the root graph. @type {Record<string, Result>} */
const results = readResults();

/** Inputs of the prompt that was queued last, by id of the root graph. @type {Record<string, string>} */
const queued = {};

/** Remember the inputs of a prompt that was just queued. */
export function rememberInputs() {
  queued[rootGraph().id ?? ""] = currentInputs();
}

/**
 * Remember the file that a run has given for a node of the open workflow.
 * @param {GraphNode} node
 * @param {string} file
 */
export function rememberResult(node, file) {
  const id = rootGraph().id ?? "";
  const inputs = queued[id] ?? currentInputs();
  const files = results[id]?.inputs === inputs ? results[id].files : {};
  results[id] = { inputs, files: { ...files, [String(persistentName(node))]: file } };
  try {
    sessionStorage.setItem(STORAGE, JSON.stringify(results));
  } catch {
    sessionStorage.removeItem(STORAGE); // no room: after a reload, the stored file is shown
  }
}

/**
 * Return the file that the latest run has given for a node, if it had the workflow's present inputs.
 * @param {GraphNode} node
 */
export function latestResult(node) {
  const result = results[rootGraph().id ?? ""];
  return result?.inputs === currentInputs() ? result.files[String(persistentName(node))] : undefined;
}

/** @returns {Record<string, Result>} */
function readResults() {
  try {
    return JSON.parse(sessionStorage.getItem(STORAGE) ?? "{}");
  } catch {
    return {}; // the browser forbids the storage
  }
}

/** Return what results depend on: all nodes with their values, and the links. */
function currentInputs() {
  const { nodes, links, definitions } = rootGraph().serialize();
  const graphs = [{ nodes, links }, ...(definitions?.subgraphs ?? [])];
  return JSON.stringify(graphs.map(({ nodes, links }) => [nodes.map(inputsOf), links]));
}

/** @param {StoredNode} node */
function inputsOf({ id, type, mode, widgets_values: values }) {
  return [id, type, mode, WITHOUT_INPUTS.includes(type) ? [] : (values ?? [])];
}
