// The keyboard: arrows orbit (with Shift they move), + and - zoom, comma and period step, space plays, 0 and
// Home are the input camera, the other digits views, F fits.

/** What the keys do, for those who cannot see the picture. */
export const KEYS_HELP =
  "Arrow keys orbit, with Shift they move; plus and minus zoom; space plays; comma and period step; " +
  "digits choose a camera; F fits.";

const TURN = 5; // degrees
const SHIFT = 0.04; // of the picture's height
const ZOOM = 1.1;

/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * @typedef {object} Commands what keys do, besides moving the camera
 * @property {() => void} toggle play or pause
 * @property {(direction: 1 | -1) => void} step
 * @property {(index: number) => void} look from the input camera (0) or a view (from 1)
 * @property {() => void} fit
 */

/**
 * Listen to keys until the signal says stop.
 * @param {HTMLElement} root the viewer
 * @param {import("./gestures.mjs").CameraMoves} moves
 * @param {Commands} commands
 * @param {AbortSignal} signal
 */
export function listenToKeys(root, moves, commands, signal) {
  root.addEventListener(
    "keydown",
    (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const target = event.composedPath()[0];
      const act = actionOf(event.key, event.shiftKey, moves, commands);
      if (!act || (target instanceof HTMLElement && ownsKey(target, event.key))) return;
      event.preventDefault();
      event.stopPropagation();
      act();
    },
    { signal },
  );
}

/**
 * Return what a key does, or null.
 * @param {string} key
 * @param {boolean} isShifted
 * @param {import("./gestures.mjs").CameraMoves} moves
 * @param {Commands} commands
 * @returns {(() => void) | null}
 */
export function actionOf(key, isShifted, moves, commands) {
  const settled = (/** @type {() => void} */ move) => () => {
    move();
    moves.settle();
  };
  if (key in ARROWS) {
    const [right, down] = ARROWS[key];
    return settled(() =>
      isShifted ? moves.pan(-right * SHIFT, -down * SHIFT) : moves.orbit(right * TURN, -down * TURN),
    );
  }
  if (/^[0-9]$/.test(key)) return () => commands.look(Number(key));
  switch (key) {
    case "+":
    case "=":
      return settled(() => moves.zoom(1 / ZOOM));
    case "-":
      return settled(() => moves.zoom(ZOOM));
    case ",":
      return () => commands.step(-1);
    case ".":
      return () => commands.step(1);
    case " ":
      return () => commands.toggle();
    case "Home":
      return () => commands.look(0);
    case "f":
    case "F":
      return () => commands.fit();
    default:
      return null;
  }
}

/**
 * Whether a control needs a key for itself.
 * @param {HTMLElement} control
 * @param {string} key
 */
function ownsKey(control, key) {
  if (control instanceof HTMLButtonElement) return key === " ";
  if (control instanceof HTMLSelectElement) return true;
  return control instanceof HTMLInputElement && (control.type === "color" || key in ARROWS || key === "Home");
}
