// A panel over the image that a button of the control bar opens and closes. It closes on Escape and on a
// press outside of it.

import { dialog } from "./dialog.mjs";
import { button } from "./dom.mjs";

const MARGIN = 8; // around the panel, as in panel_style.mjs

/** A button with its panel; only one panel of a viewer is open at a time. */
export class Popover {
  button;
  panel;
  #onOpen;

  /**
   * @param {string} label of button and panel
   * @param {import("./dom.mjs").IconName} icon
   * @param {HTMLElement[]} rows content of the panel
   * @param {() => void} [onOpen] called when the panel is shown
   */
  constructor(label, icon, rows, onOpen = () => {}) {
    this.#onOpen = onOpen;
    this.button = button(label, icon, () => this.toggle());
    this.panel = dialog({ class: "panel", "aria-label": label }, rows, () => this.leave());
    this.button.setAttribute("aria-haspopup", "dialog");
    this.button.setAttribute("aria-expanded", "false");
  }

  get isOpen() {
    return !this.panel.hidden;
  }

  toggle() {
    if (this.isOpen) return this.close();
    this.panel.hidden = false;
    this.panel.style.maxHeight = `${this.#room()}px`;
    this.#onOpen();
    this.button.setAttribute("aria-expanded", "true");
    this.panel.focus({ preventScroll: true });
  }

  /** Return the height of the image, CSS pixels: the panel is above the control bar, in which it stands. */
  #room() {
    const bar = /** @type {HTMLElement} */ (this.panel.offsetParent);
    const viewer = /** @type {ShadowRoot} */ (this.panel.getRootNode()).host;
    return viewer.clientHeight - bar.offsetHeight - 2 * MARGIN;
  }

  close() {
    this.panel.hidden = true;
    this.button.setAttribute("aria-expanded", "false");
  }

  /** Close and give the focus to the button. */
  leave() {
    this.close();
    this.button.focus();
  }

  /**
   * Close if an event happened outside of the panel and its button.
   * @param {Event} event
   */
  closeOutside(event) {
    const path = event.composedPath();
    if (this.isOpen && !path.includes(this.panel) && !path.includes(this.button)) this.close();
  }
}
