// The control bar: playback, time, number of splats, cameras, speed, background, screenshot, downloads,
// settings, full screen.

import { sameView, viewOfPose } from "./camera.mjs";
import { button, element, icon, setLabel } from "./dom.mjs";
import { attempt } from "./errors.mjs";
import { Popover } from "./popover.mjs";
import { SettingsMenu } from "./settings.mjs";

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

/** @typedef {import("./player.mjs").S4DPlayer} S4DPlayer */

/** The bar; update copies the player's state into it. */
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
  #settings;
  /** Why the latest download failed. */
  #error = element("div", { class: "error", role: "alert" });
  /** @type {Popover[]} */
  #popovers;
  /** @type {import("./header.mjs").Header | null} */
  #header = null;

  /** @param {S4DPlayer} player */
  constructor(player) {
    this.#player = player;
    this.#play = button("Play", "play", () => player.toggle());
    this.#play.className = "play";
    this.#slider = this.#makeSlider();
    this.#speed = this.#makeSpeed();
    this.#pingPong = button("", "loop", () => player.viewport.setPingPong(!player.clock.isPingPong));
    this.#backgrounds = BACKGROUNDS.map(([name, label]) => {
      const swatch = button(label, { text: "" }, () => player.setBackground(name));
      swatch.className = name;
      return swatch;
    });
    this.#color = element("input", { type: "color", value: "#3a4150" });
    setLabel(this.#color, "Custom background color");
    for (const name of ["input", "click"]) {
      this.#color.addEventListener(name, () => player.setBackground(this.#color.value));
    }
    const back = button("Previous frame (,)", "back", () => player.step(-1));
    const forward = button("Next frame (.)", "forward", () => player.step(1));
    const steps = element("div", { class: "group steps" }, back, forward);
    const reading = element("div", { class: "reading" }, this.#time, this.#count);
    const speed = element("span", { class: "speed" }, this.#speed);
    const pace = element("div", { class: "group pace" }, speed, this.#pingPong);
    const backgroundGroup = { class: "group backgrounds", role: "group", "aria-label": "Background" };
    const backgrounds = element("div", backgroundGroup, ...this.#backgrounds, this.#color);
    this.#settings = new SettingsMenu(player);
    this.#popovers = [this.#makeDownloads(), this.#settings.popover];
    const output = element("div", { class: "group" });
    const screenshot = () => attempt(this.#error, () => player.saveScreenshot());
    output.append(button("Save screenshot as PNG", "screenshot", screenshot));
    output.append(...this.#popovers.map((popover) => popover.button));
    if (document.fullscreenEnabled) {
      output.append(button("Full screen", "fullScreen", () => player.toggleFullScreen()));
    }
    this.element.append(
      element("div", { class: "transport" }, this.#play, steps, this.#slider, reading),
      element("div", { class: "tools" }, this.#views, pace, backgrounds, output),
      this.#error,
      ...this.#popovers.map((popover) => popover.panel),
    );
    this.update();
  }

  /** Show the player's current state. */
  update() {
    const { clock, view, header, background } = this.#player;
    this.#settings.update();
    if (header !== this.#header) this.#showHeader(header);
    if (!header) return;
    this.#setPlaying(clock.isPlaying);
    const last = Math.max(clock.numFrames - 1, 1);
    this.#slider.value = String(clock.position);
    this.#slider.style.setProperty("--done", `${(100 * clock.position) / last}%`);
    this.#slider.style.setProperty("--in", `${(100 * clock.range[0]) / last}%`);
    this.#slider.style.setProperty("--out", `${(100 * clock.range[1]) / last}%`);
    const frame = `${clock.frame + 1} / ${clock.numFrames}`;
    const seconds = `${clock.seconds.toFixed(2)} s`;
    this.#slider.setAttribute("aria-valuetext", `frame ${frame}, ${seconds}`);
    setText(this.#time, clock.numFrames > 1 ? `${frame} · ${seconds}` : "one frame");
    if (this.#speed.value !== String(clock.speed)) this.#speed.value = String(clock.speed);
    const mode = clock.isPingPong ? MODES.pingPong : MODES.loop;
    if (this.#pingPong.title !== mode) {
      setLabel(this.#pingPong, mode);
      this.#pingPong.replaceChildren(icon(clock.isPingPong ? "pingPong" : "loop"));
    }
    [header.input, ...header.views].forEach((pose, index) => {
      press(/** @type {HTMLElement} */ (this.#views.children[index]), sameView(view, viewOfPose(pose)));
    });
    const isColor = !this.#player.viewport.display.backgroundImage;
    this.#backgrounds.forEach((swatch, i) => press(swatch, isColor && background === BACKGROUNDS[i][0]));
    press(this.#color, isColor && background.startsWith("#"));
    if (background.startsWith("#")) this.#color.value = background;
  }

  /** Close the panels that an event happened outside of. @param {Event} event */
  closePanels(event) {
    for (const popover of this.#popovers) popover.closeOutside(event);
  }

  /**
   * Enable the bar, or disable it and close its panels.
   * @param {boolean} isEnabled
   */
  setEnabled(isEnabled) {
    this.element.inert = !isEnabled;
    if (!isEnabled) for (const popover of this.#popovers) popover.close();
  }

  /**
   * Show the cameras and counts of another file.
   * @param {import("./header.mjs").Header | null} header
   */
  #showHeader(header) {
    this.#header = header;
    if (!header) return;
    this.#slider.max = String(header.numFrames - 1);
    this.element.classList.toggle("single-frame", header.numFrames === 1);
    const { numGaussians } = header;
    const unit = numGaussians === 1 ? "splat" : "splats";
    this.#count.textContent = `${numGaussians.toLocaleString("en")} ${unit}`;
    const select = (/** @type {number} */ index) => () => this.#player.selectCamera(index);
    this.#views.replaceChildren(
      button("The input camera (0)", "input", select(0)),
      ...header.views.map(({ azimuth, elevation }, index) => {
        const angles = `azimuth ${Math.round(azimuth)}°, elevation ${Math.round(elevation)}°`;
        return button(`View ${index + 1}: ${angles}`, { text: String(index + 1) }, select(index + 1));
      }),
      button("Fit to view (F)", "fit", () => this.#player.fit()),
    );
  }

  /** @param {boolean} isPlaying */
  #setPlaying(isPlaying) {
    const label = isPlaying ? "Pause (space)" : "Play (space)";
    if (this.#play.title === label) return;
    setLabel(this.#play, label);
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

  #makeDownloads() {
    const { downloads, viewport } = this.#player;
    const items = downloads.map(({ label, hint, save }) => {
      const item = button(label, { text: label }, async () => {
        popover.leave();
        this.element.inert = true; // while a video is recorded
        await attempt(this.#error, save);
        this.element.inert = !this.#player.header;
        if (document.activeElement === document.body) popover.button.focus({ preventScroll: true });
      });
      item.title = hint;
      return item;
    });
    const popover = new Popover("Download", "download", items, () => {
      const owner = viewport.comparison.second ? " of scene A" : "";
      items.forEach((item, i) => {
        const { label, isOfImage } = downloads[i];
        item.ariaLabel = item.textContent = isOfImage ? label : label + owner;
      });
    });
    return popover;
  }

  #makeSpeed() {
    const speed = element("select", {}, ...SPEEDS.map((value) => new Option(`${value}×`, String(value))));
    setLabel(speed, "Speed");
    speed.value = String(this.#player.clock.speed);
    speed.addEventListener("change", () => this.#player.viewport.setSpeed(Number(speed.value)));
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
