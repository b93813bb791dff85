// The workflow and prompt of the page's graph, for images and videos that the viewer saves.

import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";

const DISABLE = "--disable-metadata"; // option of ComfyUI

/**
 * Return "workflow" and "prompt" as JSON, under the names that ComfyUI's own files have; nothing if ComfyUI
 * was started with --disable-metadata, or if it does not say whether.
 * @returns {Promise<Record<string, string>>}
 */
export async function graphMetadata() {
  try {
    const response = await api.fetchApi("/system_stats");
    const { argv } = (await response.json()).system;
    if (argv.includes(DISABLE)) return {};
    const { workflow, output } = await app.graphToPrompt();
    return { workflow: JSON.stringify(workflow), prompt: JSON.stringify(output) };
  } catch (error) {
    console.warn(`STAG4D: the file is saved without its workflow (${error}).`);
    return {};
  }
}
