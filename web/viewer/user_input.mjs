// Connects gestures and keys to a player.

import { orbit, pan, zoom } from "./camera.mjs";
import { listenToGestures } from "./gestures.mjs";
import { listenToKeys } from "./keys.mjs";

/** @typedef {import("./camera.mjs").View} View */

/**
 * Listen to gestures and keys until the signal aborts.
 * @param {import("./player.mjs").S4DPlayer} player
 * @param {(view: View) => void} move moves the camera, during a movement
 * @param {() => void} end ends a movement
 * @param {AbortSignal} signal
 */
export function listenToUser(player, move, end, signal) {
  /** @type {import("./gestures.mjs").CameraActions} */
  const actions = {
    orbit: (right, up) => move(orbit(player.view, right, up)),
    pan: (right, down) => move(pan(player.view, right, down)),
    zoom: (factor) => move(zoom(player.view, factor)),
    reset: () => player.selectCamera(0),
    end,
  };
  const isFocused = () => player.element.matches(":focus-within");
  listenToGestures(player.viewport, actions, isFocused, signal);
  listenToKeys(player, actions, signal);
}
