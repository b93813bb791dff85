// Scene B of STAG4D Preview: the file of its input scene_b, which the player compares with the scene.

import { api } from "../../../scripts/api.js";

/** @typedef {import("../../../scripts/app.js").GraphNode} GraphNode */
/** @typedef {import("../viewer/player.mjs").S4DPlayer} S4DPlayer */

const OUTPUT = "stag4d_clip_b"; // the .s4d file; UI_KEY_B in nodes/preview.py
const PROPERTY = "stag4d_clip_b"; // node property, stored in workflows
const FOLDER = "stag4d"; // in ComfyUI's temp folder
const FILE_NAME = /^[0-9a-f]{32}\.s4d$/;

/** Files that players compare with, unless the user has chosen them. @type {WeakMap<S4DPlayer, string>} */
const shown = new WeakMap();

/**
 * Store the second file of a run's output in the node, or that it has none.
 * @param {GraphNode} node
 * @param {import("../../../scripts/app.js").NodeOutput} output
 */
export function storeSecond(node, output) {
  const name = output[OUTPUT]?.[0]?.filename;
  if (name) node.properties[PROPERTY] = name;
  else delete node.properties[PROPERTY];
}

/**
 * Show the second file of a node in its player's comparison. A file that is gone is left out.
 * @param {GraphNode} node
 * @param {S4DPlayer} player
 * @param {AbortSignal} signal aborts when the player is disposed
 */
export async function showSecond(node, player, signal) {
  const name = node.properties[PROPERTY];
  const before = shown.get(player);
  if (name === before) return;
  if (typeof name !== "string" || !FILE_NAME.test(name)) {
    shown.delete(player);
    if (before) player.viewport.setSecond(null);
    return;
  }
  shown.set(player, name);
  try {
    const query = new URLSearchParams({ filename: name, subfolder: FOLDER, type: "temp" });
    const response = await api.fetchApi(`/view?${query}`, { signal });
    if (!response.ok || shown.get(player) !== name) return;
    await player.viewport.loadSecond(new Uint8Array(await response.arrayBuffer()));
  } catch (error) {
    if (!signal.aborted) console.warn(`STAG4D Preview: ${error instanceof Error ? error.message : error}`);
  }
}
