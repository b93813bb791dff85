// The bar under the picture: playing, time and count, cameras, speed, background, screenshot, full screen.

import { sameView, viewOfPose } from "./camera.mjs";
import { button, element, icon, relabel } from "./dom.mjs";

const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 4];
const MODES = {
  loop: "Loops; press to play forward and back",
  pingPong: "Plays forward and back; press to loop",
};
const BACKGROUNDS = [
  ["checker", "Checkered background, transparent in screenshots"],
  ["white", "White background"],
  ["black", "Black background"],
];

/**
 * What the bar shows and does; the player is one.
 * @typedef {object} Controlled
 * @property {import("./clock.mjs").Clock} clock
 * @property {import("./camera.mjs").View} view
 * @property {string} background
 * @property {import("./header.mjs").Header | null} header
 * @property {() => void} toggle
 * @property {(direction: 1 | -1) => void} step
 * @property {(position: number) => void} scrub
 * @property {(index: number) => void} look
 * @property {() => void} fit
 * @property {(speed: number) => void} setSpeed
 * @property {(isPingPong: boolean) => void} setPingPong
 * @property {(background: string) => void} setBackground
 * @property {() => void} saveScreenshot
 * @property {() => void} toggleFullScreen
 */

/** The bar; it reads what it shows from the player whenever it is told to update. */
export class Controls {
  element = element("div", { class: "dock", role: "toolbar", "aria-label": "Viewer controls" });
  #player;
  #play;
  #slider;
  #time = element("span");
  #count = element("div");
  #views = element("div", { class: "group views", role: "group", "aria-label": "Cameras" });
  #speed;
  #pingPong;
  /** @type {HTMLButtonElement[]} */
  #backgrounds;
  #color;
  /** @type {import("./header.mjs").Header | null} */
  #shown = null;

  /** @param {Controlled} player */
  constructor(player) {
    this.#player = player;
    this.#play = button("Play", "play", () => player.toggle());
    this.#play.className = "play";
    this.#slider = this.#makeSlider();
    this.#speed = this.#makeSpeed();
    this.#pingPong = button("", "loop", () => player.setPingPong(!player.clock.isPingPong));
    this.#backgrounds = BACKGROUNDS.map(([name, label]) => {
      const swatch = button(label, { text: "" }, () => player.setBackground(name));
      swatch.className = name;
      return swatch;
    });
    this.#color = element("input", { type: "color", value: "#3a4150" });
    relabel(this.#color, "Background of any color");
    for (const name of ["input", "click"]) {
      this.#color.addEventListener(name, () => player.setBackground(this.#color.value));
    }
    const steps = element(
      "div",
      { class: "group steps" },
      button("One frame back (,)", "back", () => player.step(-1)),
      button("One frame forward (.)", "forward", () => player.step(1)),
    );
    const reading = element("div", { class: "reading" }, this.#time, this.#count);
    const pace = element(
      "div",
      { class: "group pace" },
      element("span", { class: "speed" }, this.#speed),
      this.#pingPong,
    );
    const behind = { class: "group backgrounds", role: "group", "aria-label": "Background" };
    const backgrounds = element("div", behind, ...this.#backgrounds, this.#color);
    const saving = element(
      "div",
      { class: "group" },
      button("Save this picture as PNG", "picture", () => player.saveScreenshot()),
    );
    if (document.fullscreenEnabled) {
      saving.append(button("Full screen", "enlarge", () => player.toggleFullScreen()));
    }
    this.element.append(
      element("div", { class: "transport" }, this.#play, steps, this.#slider, reading),
      element("div", { class: "tools" }, this.#views, pace, backgrounds, saving),
    );
    this.update();
  }

  /** Show what the player has come to. */
  update() {
    const { clock, view, background, header } = this.#player;
    if (header !== this.#shown) this.#showClip(header);
    if (!header) return;
    this.#setPlaying(clock.isPlaying);
    const last = Math.max(clock.numFrames - 1, 1);
    this.#slider.value = String(clock.position);
    this.#slider.style.setProperty("--done", `${(100 * clock.position) / last}%`);
    const frame = `${clock.frame + 1} / ${clock.numFrames}`;
    const seconds = `${clock.seconds.toFixed(2)} s`;
    this.#slider.setAttribute("aria-valuetext", `frame ${frame}, ${seconds}`);
    setText(this.#time, clock.numFrames > 1 ? `${frame} · ${seconds}` : "one frame");
    if (this.#speed.value !== String(clock.speed)) this.#speed.value = String(clock.speed);
    const mode = clock.isPingPong ? MODES.pingPong : MODES.loop;
    if (this.#pingPong.title !== mode) {
      relabel(this.#pingPong, mode);
      this.#pingPong.replaceChildren(icon(clock.isPingPong ? "pingPong" : "loop"));
    }
    [header.input, ...header.views].forEach((pose, index) => {
      press(/** @type {HTMLElement} */ (this.#views.children[index]), sameView(view, viewOfPose(pose)));
    });
    this.#backgrounds.forEach((swatch, index) => press(swatch, background === BACKGROUNDS[index][0]));
    press(this.#color, background.startsWith("#"));
    if (background.startsWith("#")) this.#color.value = background;
  }

  /**
   * Show another clip's cameras and counts.
   * @param {import("./header.mjs").Header | null} header
   */
  #showClip(header) {
    this.#shown = header;
    if (!header) return;
    this.#slider.max = String(header.numFrames - 1);
    this.element.classList.toggle("still", header.numFrames === 1);
    const { numGaussians } = header;
    const unit = numGaussians === 1 ? "splat" : "splats";
    this.#count.textContent = `${numGaussians.toLocaleString("en")} ${unit}`;
    const look = (/** @type {number} */ index) => () => this.#player.look(index);
    this.#views.replaceChildren(
      button("The input camera (0)", "input", look(0)),
      ...header.views.map(({ azimuth, elevation }, index) => {
        const angles = `azimuth ${Math.round(azimuth)}°, elevation ${Math.round(elevation)}°`;
        return button(`View ${index + 1}: ${angles}`, { text: String(index + 1) }, look(index + 1));
      }),
      button("Fit to view (F)", "fit", () => this.#player.fit()),
    );
  }

  /** @param {boolean} isPlaying */
  #setPlaying(isPlaying) {
    const label = isPlaying ? "Pause (space)" : "Play (space)";
    if (this.#play.title === label) return;
    relabel(this.#play, label);
    this.#play.replaceChildren(icon(isPlaying ? "pause" : "play"));
  }

  #makeSlider() {
    const slider = element("input", { type: "range", min: "0", max: "1", step: "any", value: "0" });
    slider.setAttribute("aria-label", "Time");
    slider.addEventListener("input", () => this.#player.scrub(Number(slider.value)));
    slider.addEventListener("keydown", (event) => {
      const direction = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
      if (!direction) return;
      event.preventDefault();
      event.stopPropagation();
      this.#player.step(direction > 0 ? 1 : -1);
    });
    return slider;
  }

  #makeSpeed() {
    const speed = element("select", {}, ...SPEEDS.map((value) => new Option(`${value}×`, String(value))));
    relabel(speed, "Speed");
    speed.value = String(this.#player.clock.speed);
    speed.addEventListener("change", () => this.#player.setSpeed(Number(speed.value)));
    return speed;
  }
}

/**
 * @param {HTMLElement} node
 * @param {string} text
 */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * @param {HTMLElement} control
 * @param {boolean} isPressed
 */
function press(control, isPressed) {
  control.setAttribute("aria-pressed", String(isPressed));
}
