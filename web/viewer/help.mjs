// The keyboard help: a dialog over the image that lists all shortcuts.

import { dialog } from "./dialog.mjs";
import { button, element } from "./dom.mjs";
import { SHORTCUTS } from "./keys.mjs";

const GESTURES = [
  ["Drag", "orbit; with the right button or Shift, pan"],
  ["One finger, two fingers", "orbit; pan and zoom"],
  ["Wheel", "zoom, once the viewer has focus"],
  ["Double click or tap", "the input camera"],
];

/** The dialog; it closes on Escape, on ? and by its button, and gives the focus back. */
export class Help {
  element;
  #close;
  /** What had the focus; hidden if it is in a panel, which has closed. @type {HTMLElement | null} */
  #focused = null;

  constructor() {
    this.#close = button("Close", { text: "Close" }, () => this.toggle());
    const rows = [...SHORTCUTS, ...GESTURES].flatMap(([key, effect]) => [
      element("dt", {}, key),
      element("dd", {}, effect),
    ]);
    const title = element("h2", { id: "help-title" }, "Keyboard, mouse and touch");
    const content = [title, element("dl", {}, ...rows), this.#close];
    this.element = dialog({ class: "help", "aria-labelledby": title.id }, content, () => this.toggle());
  }

  toggle() {
    const isOpening = this.element.hidden;
    const root = /** @type {ShadowRoot} */ (this.element.getRootNode());
    if (isOpening) this.#focused = /** @type {HTMLElement | null} */ (root.activeElement);
    this.element.hidden = !isOpening;
    const before = this.#focused?.offsetParent ? this.#focused : root.host;
    /** @type {HTMLElement} */ (isOpening ? this.#close : before).focus({ preventScroll: true });
  }
}
