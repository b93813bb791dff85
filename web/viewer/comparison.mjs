// The comparison of two scenes, A and B: one of them is shown, or both with a wipe between them.

import { clamp } from "./camera.mjs";
import { element } from "./dom.mjs";

/** @typedef {import("./scene.mjs").ShownScene} ShownScene */
/** @typedef {"a" | "b" | "wipe"} ShownPart */

const STEP = 0.05; // of the wipe by an arrow key, share of the width

/** Scene B, what is shown, and the divider that the user drags. */
export class Comparison {
  /** Divider and the names of the scenes. */
  element;
  /** @type {ShownScene | null} */
  second = null;
  /** @type {ShownPart} */
  shown = "a";
  /** Where B begins, share of the width. */
  wipe = 0.5;
  #divider;
  #names = [element("span", {}, "A"), element("span", {}, "B")];
  #onChange;

  /** @param {() => void} onChange called when the user moves the divider */
  constructor(onChange) {
    this.#onChange = onChange;
    const range = { "aria-valuemin": "0", "aria-valuemax": "100", "aria-label": "Wipe between A and B" };
    this.#divider = element("div", { class: "divider", role: "slider", tabindex: "0", ...range });
    const names = element("div", { "aria-live": "polite" }, ...this.#names);
    const group = { class: "comparison", role: "group", "aria-label": "Comparison of scenes A and B" };
    this.element = element("div", group, names, this.#divider);
    this.#divider.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.stopPropagation();
      this.#divider.setPointerCapture(event.pointerId);
    });
    this.#divider.addEventListener("pointermove", (event) => {
      if (!this.#divider.hasPointerCapture(event.pointerId)) return;
      event.stopPropagation();
      const { left, width } = this.element.getBoundingClientRect();
      this.#move((event.clientX - left) / Math.max(width, 1));
    });
    this.#divider.addEventListener("keydown", (event) => {
      const direction = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
      if (!direction) return;
      event.preventDefault();
      event.stopPropagation();
      this.#move(this.wipe + direction * STEP);
    });
    this.update();
  }

  /**
   * Return what to draw.
   * @param {ShownScene} first scene A
   * @param {import("./clock.mjs").Clock} clock
   * @returns {import("./compositor.mjs").Part[]}
   */
  parts(first, clock) {
    const a = { scene: first, position: clock.position, left: 0, right: 1 };
    if (!this.second || this.shown === "a") return [a];
    const b = { scene: this.second, position: this.second.positionAt(clock.time), left: 0, right: 1 };
    if (this.shown === "b") return [b];
    return [
      { ...a, right: this.wipe },
      { ...b, left: this.wipe },
    ];
  }

  /**
   * Set or remove scene B; the one before is disposed.
   * @param {ShownScene | null} second
   */
  setSecond(second) {
    this.second?.dispose();
    if (!this.second && second) this.shown = "wipe";
    this.second = second;
    this.update();
  }

  /** @param {ShownPart} shown */
  show(shown) {
    this.shown = shown;
    this.update();
  }

  /** Show names and divider as the state demands. */
  update() {
    const { second, shown, wipe } = this;
    this.element.hidden = !second;
    this.#names.forEach((name, index) => (name.hidden = shown === (index ? "a" : "b")));
    this.#divider.hidden = shown !== "wipe";
    this.#divider.style.left = `${100 * wipe}%`;
    this.#divider.setAttribute("aria-valuenow", String(Math.round(100 * wipe)));
  }

  /** @param {number} wipe */
  #move(wipe) {
    this.wipe = clamp(wipe, 0, 1);
    this.update();
    this.#onChange();
  }
}
