// The self-contained page: shows the clip that stands in it, as base64, in the element with the id "clip".

import { ClipError } from "./errors.mjs";
import { ClipPlayer } from "./player.mjs";

/** Show the page's clip, and play it unless the user asked for less motion. */
export async function showInlineClip() {
  const player = new ClipPlayer(document.body, { title: document.title });
  player.element.focus();
  try {
    await player.load(decodeBase64(document.getElementById("clip")?.textContent ?? ""));
  } catch (error) {
    if (!(error instanceof ClipError)) throw error;
    player.fail(error.message);
    return;
  }
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) player.play();
}

/** @param {string} text */
function decodeBase64(text) {
  try {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  } catch {
    throw new ClipError("The clip in this page is damaged.");
  }
}
