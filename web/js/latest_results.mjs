// The files that runs have given in this tab of the browser, by the inputs that they were computed from. The
// files that a node stores may be older: after an undo, and where the page was reloaded before the host had
// stored the workflow.

import { inputsHash } from "./inputs_hash.mjs";
import { persistentName, rootGraph } from "./nodes.mjs";
import { promptOf } from "./prompts.mjs";

/** @typedef {import("../../../scripts/app.js").GraphNode} GraphNode */
/** @typedef {import("../../../scripts/app.js").NodeOutput} NodeOutput */
/** @typedef {import("./scene_files.mjs").SceneFiles} SceneFiles */

/**
 * @typedef {object} Result
 * @property {number} inputs see ``inputsHash``
 * @property {Record<string, SceneFiles>} files by persistent name of a node
 */

const STORAGE = "stag4d.latest_results"; // key in the session storage, which a reload keeps
const MAX_RESULTS = 20;

/** The latest one comes last. @type {Result[]} */
const results = readResults();

/**
 * Remember the files in an output of a node of the open workflow.
 * @param {GraphNode} node
 * @param {NodeOutput} output
 * @param {SceneFiles} files
 */
export function rememberResult(node, output, files) {
  const inputs = promptOf(output)?.inputs ?? inputsHash(rootGraph().serialize());
  const found = results.findIndex((result) => result.inputs === inputs);
  const [before] = found < 0 ? [] : results.splice(found, 1);
  results.push({ inputs, files: { ...before?.files, [String(persistentName(node))]: files } });
  results.splice(0, results.length - MAX_RESULTS);
  try {
    sessionStorage.setItem(STORAGE, JSON.stringify(results));
  } catch {
    sessionStorage.removeItem(STORAGE); // no room: after a reload, the stored files are shown
  }
}

/**
 * Return the files that the latest run with the workflow's present inputs has given for a node.
 * @param {GraphNode} node
 */
export function latestResult(node) {
  const name = String(persistentName(node));
  if (!results.some(({ files }) => files[name])) return undefined;
  const inputs = inputsHash(rootGraph().serialize());
  return results.find((result) => result.inputs === inputs)?.files[name];
}

/** @returns {Result[]} */
function readResults() {
  try {
    return JSON.parse(sessionStorage.getItem(STORAGE) ?? "[]");
  } catch {
    return []; // the browser forbids the storage
  }
}
