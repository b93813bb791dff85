// Keyboard shortcuts: arrows orbit, with Shift they pan; + and - zoom; comma and period step by one frame;
// space plays and pauses; 0 and Home select the input camera, the other digits a view; F fits.

/** The shortcuts, for screen readers. */
export const KEYS_HELP =
  "Arrow keys orbit, with Shift they pan; plus and minus zoom; space plays and pauses; comma and period " +
  "step by one frame; digits select a camera; F fits.";

const ORBIT_STEP = 5; // degrees
const PAN_STEP = 0.04; // of the image height
const ZOOM_STEP = 1.1;

/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * @typedef {object} Commands called by keys, besides the camera actions
 * @property {() => void} toggle play or pause
 * @property {(direction: 1 | -1) => void} step
 * @property {(index: number) => void} selectCamera the input camera (0) or a view (from 1)
 * @property {() => void} fit
 */

/**
 * Listen to keys until the signal aborts.
 * @param {HTMLElement} root the viewer
 * @param {import("./gestures.mjs").CameraActions} actions
 * @param {Commands} commands
 * @param {AbortSignal} signal
 */
export function listenToKeys(root, actions, commands, signal) {
  root.addEventListener(
    "keydown",
    (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const target = event.composedPath()[0];
      const action = actionOf(event.key, event.shiftKey, actions, commands);
      if (!action || (target instanceof HTMLElement && handlesKey(target, event.key))) return;
      event.preventDefault();
      event.stopPropagation();
      action();
    },
    { signal },
  );
}

/**
 * Return a key's action, or null.
 * @param {string} key
 * @param {boolean} isShifted
 * @param {import("./gestures.mjs").CameraActions} actions
 * @param {Commands} commands
 * @returns {(() => void) | null}
 */
export function actionOf(key, isShifted, actions, commands) {
  const movement = (/** @type {() => void} */ move) => () => {
    move();
    actions.end();
  };
  if (key in ARROWS) {
    const [right, down] = ARROWS[key];
    return movement(() =>
      isShifted
        ? actions.pan(-right * PAN_STEP, -down * PAN_STEP)
        : actions.orbit(right * ORBIT_STEP, -down * ORBIT_STEP),
    );
  }
  if (/^[0-9]$/.test(key)) return () => commands.selectCamera(Number(key));
  switch (key) {
    case "+":
    case "=":
      return movement(() => actions.zoom(1 / ZOOM_STEP));
    case "-":
      return movement(() => actions.zoom(ZOOM_STEP));
    case ",":
      return () => commands.step(-1);
    case ".":
      return () => commands.step(1);
    case " ":
      return () => commands.toggle();
    case "Home":
      return () => commands.selectCamera(0);
    case "f":
    case "F":
      return () => commands.fit();
    default:
      return null;
  }
}

/**
 * Return whether a control handles a key itself.
 * @param {HTMLElement} control
 * @param {string} key
 */
function handlesKey(control, key) {
  if (control instanceof HTMLButtonElement) return key === " ";
  if (control instanceof HTMLSelectElement) return true;
  return control instanceof HTMLInputElement && (control.type === "color" || key in ARROWS || key === "Home");
}
