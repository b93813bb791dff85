// The self-contained page: plays the .s4d file that the element with the id "s4d" holds as base64.

import { ViewerError } from "./errors.mjs";
import { S4DPlayer } from "./player.mjs";

/** Show the page's scene, and play it unless the user prefers reduced motion. */
export async function showEmbeddedScene() {
  const player = new S4DPlayer(document.body, { title: document.title, page: pageFile });
  player.metadata = async () => JSON.parse(document.getElementById("metadata")?.textContent ?? "{}");
  player.element.focus();
  try {
    await player.load(decodeBase64(document.getElementById("s4d")?.textContent ?? ""));
  } catch (error) {
    if (!(error instanceof ViewerError)) throw error;
    player.showMessage(error.message);
    return;
  }
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) player.play();
}

/** Return the page as a file: its document without the viewers, which its script adds. */
function pageFile() {
  const page = /** @type {HTMLElement} */ (document.documentElement.cloneNode(true));
  for (const viewer of page.querySelectorAll(".stag4d-viewer")) viewer.remove();
  return new Blob(["<!doctype html>\n", page.outerHTML, "\n"], { type: "text/html" });
}

/** @param {string} text */
function decodeBase64(text) {
  try {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  } catch {
    throw new ViewerError("The .s4d file in this page is damaged.");
  }
}
