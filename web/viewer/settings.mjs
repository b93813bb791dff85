// The panel with the settings of the image, of the loop range and of the comparison.

import { MAX_SPLAT_SIZE, MIN_SPLAT_SIZE } from "./display.mjs";
import { button, chooseFile, element, setLabel } from "./dom.mjs";
import { attempt } from "./errors.mjs";
import { Popover } from "./popover.mjs";

const MODES = [
  ["color", "Color"],
  ["depth", "Depth"],
  ["normals", "Normals"],
];
const SHOWN = [
  ["wipe", "A and B, wipe"],
  ["a", "A"],
  ["b", "B"],
];

/** @typedef {import("./player.mjs").S4DPlayer} S4DPlayer */

/** The panel with its button; update copies the player's state into it. */
export class SettingsMenu {
  popover;
  #viewport;
  #mode = select("View mode", MODES);
  #size = element("input", {
    type: "range",
    min: String(MIN_SPLAT_SIZE),
    max: String(MAX_SPLAT_SIZE),
    step: "0.05",
  });
  #sizeText = element("output", { class: "value" });
  #grid = element("input", { type: "checkbox" });
  #removeImage;
  #range = [frameInput("First frame of the loop"), frameInput("Last frame of the loop")];
  #loopAll;
  #rangeRow;
  #shown = select("Shown scene", SHOWN);
  #removeSecond;
  #error = element("div", { class: "error", role: "alert" });

  /** @param {S4DPlayer} player */
  constructor(player) {
    const viewport = (this.#viewport = player.viewport);
    setLabel(this.#size, "Splat size");
    setLabel(this.#grid, "Ground grid and axes (G)");
    const chooseImage = button("Choose a background image", { text: "Choose…" }, () =>
      this.#open("image/*", (file) => viewport.setBackgroundImage(file)),
    );
    this.#removeImage = button("Remove the background image", { text: "Remove" }, () =>
      viewport.setBackgroundImage(null),
    );
    this.#loopAll = button("Loop over all frames (X)", { text: "All" }, () => viewport.loopAll());
    const chooseSecond = button("Choose an .s4d file to compare with", { text: "Choose…" }, () =>
      this.#open(".s4d", (file) => viewport.loadSecond(file)),
    );
    this.#removeSecond = button("Remove scene B", { text: "Remove" }, () => viewport.setSecond(null));
    this.#rangeRow = row("Loop", this.#range[0], element("span", {}, "to"), this.#range[1], this.#loopAll);
    const fit = button("Fit all frames (Shift+F)", { text: "Fit all frames" }, () => player.fitAll());
    const help = button("Keyboard shortcuts (?)", { text: "Shortcuts" }, () => {
      this.popover.leave();
      viewport.help.toggle();
    });
    const rows = [
      row("View", this.#mode),
      row("Splat size", this.#size, this.#sizeText),
      row("Grid and axes", this.#grid),
      row("Background image", chooseImage, this.#removeImage),
      this.#rangeRow,
      row("Compare with", this.#shown, chooseSecond, this.#removeSecond),
      this.#error,
      element("div", { class: "row wide" }, fit, help),
    ];
    this.popover = new Popover("Settings", "settings", rows, () => {
      this.#error.textContent = "";
      this.update();
    });
    this.#listen();
  }

  /** Show the player's current state. */
  update() {
    if (!this.popover.isOpen) return;
    const { display, clock, comparison } = this.#viewport;
    this.#mode.value = display.mode;
    this.#size.value = String(display.splatSize);
    this.#size.style.setProperty(
      "--done",
      `${(100 * (display.splatSize - MIN_SPLAT_SIZE)) / (MAX_SPLAT_SIZE - MIN_SPLAT_SIZE)}%`,
    );
    this.#sizeText.textContent = `${display.splatSize.toFixed(2)}×`;
    this.#grid.checked = display.hasGrid;
    this.#removeImage.hidden = !display.backgroundImage;
    this.#rangeRow.hidden = clock.numFrames === 1;
    this.#range.forEach((input, end) => {
      input.max = String(clock.numFrames);
      if (!input.matches(":focus")) input.value = String(clock.range[end] + 1);
    });
    this.#loopAll.disabled = clock.loopsAll;
    this.#shown.hidden = this.#removeSecond.hidden = !comparison.second;
    this.#shown.value = comparison.shown;
  }

  #listen() {
    const viewport = this.#viewport;
    this.#mode.addEventListener("change", async () => {
      const mode = /** @type {import("./shaders.mjs").RenderMode} */ (this.#mode.value);
      await attempt(this.#error, () => viewport.setDisplay({ mode }));
      this.update();
    });
    this.#size.addEventListener("input", () => viewport.setDisplay({ splatSize: Number(this.#size.value) }));
    this.#size.addEventListener("dblclick", () => viewport.setDisplay({ splatSize: 1 }));
    this.#grid.addEventListener("change", () => viewport.setDisplay({ hasGrid: this.#grid.checked }));
    this.#shown.addEventListener("change", () =>
      viewport.showScene(/** @type {import("./comparison.mjs").ShownPart} */ (this.#shown.value)),
    );
    for (const input of this.#range) {
      input.addEventListener("change", () => {
        const [first, last] = this.#range.map((end) => Number(end.value) - 1);
        const isStart = input === this.#range[0];
        viewport.setLoopRange(
          isStart ? first : Math.min(first, last),
          isStart ? Math.max(first, last) : last,
        );
      });
    }
  }

  /**
   * Let the user choose a file, and show why it cannot be used.
   * @param {string} accept
   * @param {(file: File) => Promise<void>} use
   */
  async #open(accept, use) {
    const file = await chooseFile(accept);
    if (file) attempt(this.#error, () => use(file));
  }
}

/**
 * @param {string} label
 * @param {HTMLElement[]} controls
 */
function row(label, ...controls) {
  const name = element("span", { class: "name" }, label);
  const isCheckbox = controls[0].matches("[type=checkbox]"); // then a press anywhere on the row toggles it
  return element(isCheckbox ? "label" : "div", { class: "row" }, name, ...controls);
}

/**
 * @param {string} label
 * @param {string[][]} options values and texts
 */
function select(label, options) {
  const created = element("select", {}, ...options.map(([value, text]) => new Option(text, value)));
  setLabel(created, label);
  return created;
}

/** @param {string} label */
function frameInput(label) {
  const input = element("input", { type: "number", min: "1", step: "1" });
  setLabel(input, label);
  return input;
}
