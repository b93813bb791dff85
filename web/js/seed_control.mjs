// Restores workflows that were stored before seeds had the widget "control after generate". They lack its
// value, so those of the widgets after the seed would come one place too early.

/** @typedef {import("../../../scripts/app.js").GraphNode} GraphNode */

const NODES = ["STAG4DSampleObject", "STAG4DAnchoredMultiView", "STAG4DOptimize"];
const SEED = "seed";
const CONTROLS = ["fixed", "increment", "decrement", "randomize"];

/**
 * Return the stored values of widgets, with that of the control after the seed.
 * @param {unknown[]} values
 * @param {number} seed place of the seed
 */
function withControl(values, seed) {
  if (seed < 0 || values.length <= seed || CONTROLS.includes(String(values[seed + 1]))) return values;
  return [...values.slice(0, seed + 1), CONTROLS[0], ...values.slice(seed + 1)];
}

/**
 * Whether a class of nodes has a seed with the control.
 * @param {string} name
 */
export function hasSeed(name) {
  return NODES.includes(name);
}

/**
 * Let the nodes of a class restore values that were stored without the control.
 * @param {{prototype: GraphNode}} nodeType
 */
export function restoreControl({ prototype }) {
  const { configure } = prototype;
  prototype.configure = function (stored) {
    const seed = this.widgets.findIndex((widget) => widget.name === SEED);
    const values = stored.widgets_values;
    configure.call(
      this,
      Array.isArray(values) ? { ...stored, widgets_values: withControl(values, seed) } : stored,
    );
  };
}
