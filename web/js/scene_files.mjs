// The .s4d files that STAG4D Preview shows: their names in outputs and in workflows, and their contents.

import { api } from "../../../scripts/api.js";

/** @typedef {import("../../../scripts/app.js").GraphNode} GraphNode */
/** @typedef {import("../../../scripts/app.js").NodeOutput} NodeOutput */

/**
 * The name of the file of scene A and, if there is one, that of scene B; empty without files.
 * @typedef {string[]} SceneFiles
 */

/** Keys of outputs, UI_KEY and UI_KEY_B in nodes/preview.py, and of node properties, stored in workflows. */
const KEYS = /** @type {const} */ (["stag4d_clip", "stag4d_clip_b"]);
const FOLDER = "stag4d"; // in ComfyUI's temp folder
const FILE_NAME = /^[0-9a-f]{32}\.s4d$/;

/**
 * Return the files in the output of a run.
 * @param {NodeOutput | undefined} output
 */
export function outputFiles(output) {
  return sceneFiles(KEYS.map((key) => output?.[key]?.[0]?.filename));
}

/**
 * Return the files that the workflow stores for a node.
 * @param {GraphNode} node
 */
export function storedFiles(node) {
  return sceneFiles(KEYS.map((key) => node.properties[key]));
}

/**
 * Store files in the workflow; returns whether others were stored before.
 * @param {GraphNode} node
 * @param {SceneFiles} files
 */
export function storeFiles({ properties }, files) {
  const changed = KEYS.filter((key, index) => properties[key] !== files[index]);
  for (const key of changed) {
    const name = files[KEYS.indexOf(key)];
    if (name) properties[key] = name;
    else delete properties[key];
  }
  return changed.length > 0;
}

/**
 * @param {unknown} name
 * @returns {name is string}
 */
export function isFileName(name) {
  return typeof name === "string" && FILE_NAME.test(name);
}

/**
 * Return the content of a file, or null if it is gone.
 * @param {string} name
 * @param {AbortSignal} signal
 */
export async function readFile(name, signal) {
  const query = new URLSearchParams({ filename: name, subfolder: FOLDER, type: "temp" });
  const response = await api.fetchApi(`/view?${query}`, { signal });
  return response.ok ? new Uint8Array(await response.arrayBuffer()) : null;
}

/**
 * @param {unknown[]} names of scenes A and B
 * @returns {SceneFiles}
 */
function sceneFiles([first, second]) {
  if (!isFileName(first)) return [];
  return isFileName(second) ? [first, second] : [first];
}
