// The image area of a player: the canvas with its camera, time, settings and scenes, and what lies over it.

import { decodeImage } from "./background.mjs";
import { sampledFrames, showsObject } from "./bounds.mjs";
import { fit, viewOfPose } from "./camera.mjs";
import { Clock } from "./clock.mjs";
import { Comparison } from "./comparison.mjs";
import { compose } from "./compositor.mjs";
import { sharedContext } from "./context.mjs";
import { checkedDisplay, DEFAULT_DISPLAY } from "./display.mjs";
import { element } from "./dom.mjs";
import { Help } from "./help.mjs";
import { KEYS_HELP } from "./keys.mjs";
import { Recording } from "./recording.mjs";
import { readS4D } from "./s4d.mjs";
import { ShownScene } from "./scene.mjs";
import { setSize } from "./size.mjs";

/** @typedef {import("./camera.mjs").View} View */
/** @typedef {import("./display.mjs").DisplaySettings} DisplaySettings */

/** Draws when its draw() is called; calls onChange when a new image is needed. */
export class Viewport {
  canvas = element("canvas", { tabindex: "0", role: "application", "aria-label": `Scene. ${KEYS_HELP}` });
  message = element("div", { class: "message", role: "status" });
  help = new Help();
  recording = new Recording(() => this.#onChange());
  comparison = new Comparison(() => this.#onChange());
  element = element("div", { class: "viewport" }, this.canvas, this.message, this.comparison.element);
  clock = new Clock(1, 1);
  /** @type {View} */
  view = viewOfPose({ azimuth: 0, elevation: 0, radius: 2, fovy: 49.1 });
  /** @type {DisplaySettings} */
  display = { ...DEFAULT_DISPLAY };
  /** The scene, in a comparison scene A. @type {ShownScene | null} */
  scene = null;
  /** Device pixels of the canvas at full resolution. */
  size = { width: 1, height: 1 };
  #context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
  #isDisposed = false;
  /** Number of the latest choice of scene B; an earlier load has been superseded. */
  #seconds = 0;
  /** The same for the background image. */
  #images = 0;
  #onChange;

  /** @param {() => void} onChange */
  constructor(onChange) {
    this.#onChange = onChange;
    this.element.append(this.help.element, this.recording.element);
  }

  /** Width of the image by its height. */
  get aspect() {
    return this.size.width / this.size.height;
  }

  /**
   * Show a scene at a time; playback goes on as before.
   * @param {ShownScene} scene
   * @param {number} time 0 to 1
   */
  show(scene, time) {
    this.release();
    this.scene = scene;
    const { isPlaying, speed, isPingPong, numFrames: before, range } = this.clock;
    const { numFrames, fps } = scene.file.header;
    this.clock = Object.assign(new Clock(numFrames, fps), { isPlaying, speed, isPingPong });
    if (numFrames === before) this.clock.setRange(...range);
    this.clock.seek(time * (numFrames - 1));
  }

  /**
   * Return the scene's input camera or, where it does not show the whole object at all frames, one in its
   * direction that does; without a scene, the present camera.
   * @returns {View}
   */
  firstView() {
    if (!this.scene) return this.view;
    const { file } = this.scene;
    const view = viewOfPose(file.header.input);
    const isWhole = showsObject(file, sampledFrames(file), view, this.aspect);
    return isWhole ? view : fit(view, this.scene.bounds, this.aspect);
  }

  /**
   * Draw now.
   * @param {number} [scale] share of the device pixels, along each side
   * @param {Partial<DisplaySettings>} [display] differences from the settings
   */
  draw(scale = 1, display = {}) {
    setSize(this.canvas, scale * this.size.width, scale * this.size.height);
    const parts = this.scene ? this.comparison.parts(this.scene, this.clock) : [];
    compose(this.#context, this.scene, parts, this.view, { ...this.display, ...display });
  }

  /** Stop showing the scene. */
  release() {
    this.recording.cancel();
    this.scene?.dispose();
    this.scene = null;
  }

  /** Release all resources. */
  dispose() {
    this.#isDisposed = true;
    this.release();
    this.comparison.setSecond(null);
    this.display.backgroundImage?.close();
  }

  /**
   * Change settings of the image.
   * @param {Partial<DisplaySettings>} display
   * @throws {TypeError} if one is invalid
   * @throws {ViewerError} if the graphics driver cannot render normals
   */
  setDisplay(display) {
    const changed = checkedDisplay({ ...this.display, ...display });
    if (changed.mode === "normals" && !sharedContext().isLost) sharedContext().prepareNormals();
    if ("backgroundImage" in display) this.#images += 1;
    if (changed.backgroundImage !== this.display.backgroundImage) this.display.backgroundImage?.close();
    this.display = changed;
    this.#onChange();
  }

  /**
   * Show an image behind the scene, or remove it; of several images at once, the last one.
   * @param {Blob | null} file
   * @throws {ViewerError} if the browser cannot decode it
   */
  async setBackgroundImage(file) {
    const choice = ++this.#images;
    const image = file && (await decodeImage(file));
    if (choice === this.#images && !this.#isDisposed) this.setDisplay({ backgroundImage: image });
    else image?.close();
  }

  toggleGrid() {
    this.setDisplay({ hasGrid: !this.display.hasGrid });
  }

  /** @param {number} speed multiple of the video's speed */
  setSpeed(speed) {
    this.clock.speed = speed;
    this.#onChange();
  }

  /** @param {boolean} isPingPong whether to play forward and back instead of starting over */
  setPingPong(isPingPong) {
    this.clock.isPingPong = isPingPong;
    this.#onChange();
  }

  /**
   * Loop over some frames.
   * @param {number} first frame, from 0
   * @param {number} last frame
   */
  setLoopRange(first, last) {
    this.clock.setRange(first, last);
    this.#onChange();
  }

  startLoopHere() {
    this.setLoopRange(this.clock.frame, Math.max(this.clock.frame, this.clock.range[1]));
  }

  endLoopHere() {
    this.setLoopRange(Math.min(this.clock.frame, this.clock.range[0]), this.clock.frame);
  }

  loopAll() {
    this.setLoopRange(0, this.clock.numFrames - 1);
  }

  /**
   * Compare the scene, A, with another one, B, at the same frame time; of several loads, the last one.
   * @param {Uint8Array<ArrayBuffer> | Blob} content an .s4d file
   * @throws {ViewerError} if it cannot be shown
   */
  async loadSecond(content) {
    const load = ++this.#seconds;
    const bytes = content instanceof Blob ? new Uint8Array(await content.arrayBuffer()) : content;
    const file = await readS4D(bytes);
    if (load === this.#seconds && !this.#isDisposed) this.setSecond(new ShownScene(file));
  }

  /** @param {ShownScene | null} scene B; null ends the comparison */
  setSecond(scene) {
    this.#seconds += 1;
    this.recording.cancel(); // its scene B is gone
    this.comparison.setSecond(scene);
    this.#onChange();
  }

  /** @param {import("./comparison.mjs").ShownPart} shown */
  showScene(shown) {
    this.comparison.show(shown);
    this.#onChange();
  }

  /** Show the other scene of a comparison. */
  switchScene() {
    this.showScene(this.comparison.shown === "b" ? "a" : "b");
  }

  /** Show both scenes of a comparison with a wipe between them, or scene A only. */
  toggleWipe() {
    this.showScene(this.comparison.shown === "wipe" ? "a" : "wipe");
  }
}
