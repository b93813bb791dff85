// The keyboard help: a dialog over the image that lists all shortcuts.

import { button, element } from "./dom.mjs";
import { SHORTCUTS } from "./keys.mjs";

const GESTURES = [
  ["Drag", "orbit; with the right button or Shift, pan"],
  ["One finger, two fingers", "orbit; pan and zoom"],
  ["Wheel", "zoom, once the viewer has focus"],
  ["Double click or tap", "the input camera"],
];

/** The dialog; it closes on Escape, on ?, by its button, and gives the focus back. */
export class Help {
  element;
  #close;
  /** @type {HTMLElement | null} */
  #focused = null;

  constructor() {
    this.#close = button("Close", { text: "Close" }, () => this.toggle());
    const rows = [...SHORTCUTS, ...GESTURES].flatMap(([key, effect]) => [
      element("dt", {}, key),
      element("dd", {}, effect),
    ]);
    const title = element("h2", {}, "Keyboard, mouse and touch");
    const attributes = { class: "help", role: "dialog", "aria-label": "Keyboard shortcuts", tabindex: "-1" };
    this.element = element("div", attributes, title, element("dl", {}, ...rows), this.#close);
    this.element.hidden = true;
    this.element.addEventListener("wheel", (event) => event.stopPropagation()); // scrolls the dialog
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.toggle();
    });
  }

  toggle() {
    const isOpening = this.element.hidden;
    const root = /** @type {ShadowRoot} */ (this.element.getRootNode());
    if (isOpening) this.#focused = /** @type {HTMLElement | null} */ (root.activeElement);
    this.element.hidden = !isOpening;
    if (isOpening) this.#close.focus({ preventScroll: true });
    else this.#focused?.focus({ preventScroll: true });
  }
}
