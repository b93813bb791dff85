// What results depend on in a workflow, as a number.

/** @typedef {import("../../../scripts/app.js").StoredNode} StoredNode */
/** @typedef {import("../../../scripts/app.js").StoredWorkflow} StoredWorkflow */

const WITHOUT_INPUTS = ["STAG4DPreview"]; // the camera is no input of the scene
const OFFSET_BASIS = 0x811c9dc5; // of FNV-1a with 32 bits
const PRIME = 0x01000193;

/**
 * Return a hash of all nodes with their values, and of the links. Their order, which the host changes when a
 * node is selected, does not matter.
 * @param {StoredWorkflow} workflow
 */
export function inputsHash({ id, nodes, links, definitions }) {
  const graphs = [{ nodes, links }, ...(definitions?.subgraphs ?? [])];
  const texts = graphs.map(({ nodes, links }) =>
    JSON.stringify([sorted(nodes?.map(inputsOf)), sorted(links)]),
  );
  return fnv1a(JSON.stringify([id, texts]));
}

/** @param {unknown[] | undefined} items */
function sorted(items = []) {
  return items.map((item) => JSON.stringify(item)).sort();
}

/** @param {StoredNode} node */
function inputsOf({ id, type, mode, widgets_values: values }) {
  return [id, type, mode, WITHOUT_INPUTS.includes(type) ? [] : (values ?? [])];
}

/** @param {string} text */
function fnv1a(text) {
  return new TextEncoder()
    .encode(text)
    .reduce((hash, byte) => Math.imul(hash ^ byte, PRIME) >>> 0, OFFSET_BASIS);
}
