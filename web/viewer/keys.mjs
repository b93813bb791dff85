// Keyboard shortcuts, and the list of them that the help shows.

/** Keys and their effects, for the help. @type {[string, string][]} */
export const SHORTCUTS = [
  ["Arrow keys", "orbit; with Shift, pan"],
  ["+  −", "zoom"],
  ["Space", "play, pause"],
  [",  .", "previous, next frame"],
  ["I  O", "start, end of the loop range here"],
  ["X", "loop over all frames"],
  ["0 or Home", "the input camera"],
  ["1 to 9", "the posed views"],
  ["F", "fit the object into the image; with Shift, at all frames"],
  ["G", "ground grid and axes"],
  ["B", "compare: switch between scenes A and B"],
  ["W", "compare: wipe between A and B"],
  ["?", "this help"],
];

/** The most important shortcuts, for screen readers. */
export const KEYS_HELP =
  "Arrow keys orbit, with Shift they pan; plus and minus zoom; space plays and pauses; comma and period " +
  "step by one frame; digits select a camera; F fits; question mark shows all shortcuts.";

const ORBIT_STEP = 5; // degrees
const PAN_STEP = 0.04; // of the image height
const ZOOM_STEP = 1.1;

/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** @typedef {import("./player.mjs").S4DPlayer} Player */

/**
 * Listen to keys until the signal aborts.
 * @param {Player} player
 * @param {import("./gestures.mjs").CameraActions} actions
 * @param {AbortSignal} signal
 */
export function listenToKeys(player, actions, signal) {
  player.element.addEventListener(
    "keydown",
    (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const target = event.composedPath()[0];
      const isHandled = target instanceof HTMLElement && handlesKey(target, event.key);
      const action = isHandled ? null : actionOf(event.key, event.shiftKey, actions, player, player.viewport);
      if (isHandled || action) event.stopPropagation(); // the page may have shortcuts, too
      if (!action) return;
      event.preventDefault();
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
 * @param {Player} commands
 * @param {Player["viewport"]} viewport
 * @returns {(() => void) | null}
 */
export function actionOf(key, isShifted, actions, commands, viewport) {
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
  switch (key.toLowerCase()) {
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
    case "home":
      return () => commands.selectCamera(0);
    case "f":
      return () => (isShifted ? commands.fitAll() : commands.fit());
    case "i":
      return () => viewport.startLoopHere();
    case "o":
      return () => viewport.endLoopHere();
    case "x":
      return () => viewport.loopAll();
    case "g":
      return () => viewport.toggleGrid();
    case "b":
      return viewport.comparison.second && (() => viewport.switchScene());
    case "w":
      return viewport.comparison.second && (() => viewport.toggleWipe());
    case "?":
      return () => viewport.help.toggle();
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
  if (!(control instanceof HTMLInputElement)) return control.role === "slider" && key in ARROWS;
  if (control.type === "checkbox") return key === " ";
  return ["color", "number"].includes(control.type) || key in ARROWS || key === "Home";
}
