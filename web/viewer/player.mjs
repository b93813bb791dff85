// The player: a clip in any element of a page, with its controls.
//
//   const player = new ClipPlayer(parent, { title: "walking fox" });
//   await player.load(bytes);          // of a .s4d file
//   player.play();
//   player.addEventListener("change", () => save(player.getView()));
//   player.dispose();

import { backgroundColor } from "./background.mjs";
import { boundingSphere } from "./bounds.mjs";
import { checkedView, fit, orbit, pan, viewOfPose, zoom } from "./camera.mjs";
import { readClip } from "./clip.mjs";
import { Clock } from "./clock.mjs";
import { Controls } from "./controls.mjs";
import { Detail } from "./detail.mjs";
import { download, element } from "./dom.mjs";
import { ClipError } from "./errors.mjs";
import { listenToGestures } from "./gestures.mjs";
import { KEYS_HELP, listenToKeys } from "./keys.mjs";
import { ClipPainter } from "./painter.mjs";
import { followSize } from "./size.mjs";
import { sharedStage, watchStage } from "./stage.mjs";
import { dress } from "./style.mjs";
import { Ticker } from "./ticker.mjs";

/** @typedef {import("./camera.mjs").View} View */

/**
 * What the user sees, as JSON: degrees, world units, time 0 to 1 as frame times count.
 * @typedef {View & {version: 1, time: number}} SavedView
 */

const VIEW_VERSION = 1;

/** Shows clips. Tells "change" when the user has changed the view or the time, not when a program has. */
export class ClipPlayer extends EventTarget {
  /** The viewer's element; it fills its parent. */
  element = element("div", {
    class: "stag4d-viewer",
    role: "group",
    tabindex: "-1",
    "data-capture-wheel": "true",
  });
  clock = new Clock(1, 1);
  /** @type {View} */
  view = viewOfPose({ azimuth: 0, elevation: 0, radius: 2, fovy: 49.1 });
  background = "checker";
  #title;
  #canvas = element("canvas", { tabindex: "0", role: "application", "aria-label": `Scene. ${KEYS_HELP}` });
  #context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d"));
  #message = element("div", { class: "message", role: "status" });
  #controls;
  /** @type {import("./clip.mjs").Clip | null} */
  #clip = null;
  /** @type {ClipPainter | null} */
  #painter = null;
  #loads = 0;
  #hasView = false;
  /** Of a view that was set before there was a clip. */
  #awaitedTime = 0;
  #end = new AbortController();
  #isStale = true;
  #isDragged = false;
  #detail = new Detail();
  /** Pixels that the screen has for the picture. */
  #size = { width: 1, height: 1 };
  #ticker = new Ticker(
    this.element,
    () => this.#isStale || (this.clock.isPlaying && this.clock.numFrames > 1),
    (seconds) => this.#tick(seconds),
    this.#end.signal,
  );

  /**
   * @param {HTMLElement} parent
   * @param {{title?: string}} [options] the title names the viewer and its screenshots
   */
  constructor(parent, { title = "scene" } = {}) {
    super();
    this.#title = title;
    this.element.setAttribute("aria-label", `4D viewer: ${title}`);
    this.#controls = new Controls(this);
    const shadow = this.element.attachShadow({ mode: "open" });
    dress(shadow);
    const picture = element("div", { class: "picture" }, this.#canvas, this.#message);
    shadow.append(picture, this.#controls.element);
    parent.append(this.element);
    this.#say("No clip yet.");
    this.#listenToUser();
    followSize(this.#canvas, (size) => this.#resize(size), this.#end.signal);
    watchStage(() => this.#contextChanged(), this.#end.signal);
  }

  /** What the clip's header says; null while there is none. */
  get header() {
    return this.#clip?.header ?? null;
  }

  /**
   * Show a clip; where several are asked for, the last. It is seen from its input camera until the user or a
   * program has chosen a view, and at the moment of the clip before.
   * @param {Uint8Array<ArrayBuffer> | ArrayBuffer} bytes a .s4d file
   * @throws {ClipError} if it cannot be shown; the viewer says why, too
   */
  async load(bytes) {
    const load = ++this.#loads;
    try {
      sharedStage();
      if (!this.#clip) this.#say("Loading…");
      const clip = await readClip(bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes));
      if (load === this.#loads) this.#show(clip);
    } catch (error) {
      if (load === this.#loads) this.fail(error instanceof Error ? error.message : String(error));
      throw error;
    }
  }

  /**
   * Show a sentence in place of the clip, such as why there is none.
   * @param {string} message
   */
  fail(message) {
    this.#awaitedTime = this.getView().time;
    this.#release();
    this.#say(message);
  }

  play() {
    this.clock.isPlaying = true;
    this.#refresh();
  }

  pause() {
    this.clock.isPlaying = false;
    this.#refresh();
  }

  /**
   * Return what the user sees.
   * @returns {SavedView}
   */
  getView() {
    const time = this.#clip ? this.clock.time : this.#awaitedTime;
    return { version: VIEW_VERSION, ...checkedView(this.view), time };
  }

  /**
   * Look from somewhere, at some moment; what is left out stays as it is. Tells no change.
   * @param {Partial<SavedView>} view
   * @throws {TypeError} if a number is not finite or the view is of another version
   */
  setView({ version = VIEW_VERSION, time = this.getView().time, ...camera }) {
    if (version !== VIEW_VERSION) throw new TypeError(`view: version ${version}; expected ${VIEW_VERSION}.`);
    if (!Number.isFinite(time)) throw new TypeError(`view: time is ${time}; expected a number from 0 to 1.`);
    this.view = checkedView({ ...this.view, ...camera });
    this.#hasView = true;
    this.#awaitedTime = time;
    this.clock.seek(time * (this.clock.numFrames - 1));
    this.#refresh();
  }

  /**
   * Return the picture as PNG; the checkered background is transparent in it.
   * @returns {Promise<Blob>}
   */
  async screenshot() {
    this.#draw();
    const blob = await new Promise((done) => this.#canvas.toBlob(done, "image/png"));
    if (!blob) throw new ClipError("The picture could not be made.");
    return /** @type {Blob} */ (blob);
  }

  /** Release everything and leave the page. */
  dispose() {
    this.#end.abort();
    this.#release();
    this.element.remove();
  }

  // What the controls and keys do; those that change the view or the time tell so.

  toggle() {
    if (!this.clock.isPlaying) return this.play();
    this.pause();
    this.#tellChange();
  }

  /** @param {1 | -1} direction */
  step(direction) {
    this.clock.isPlaying = false;
    this.clock.step(direction);
    this.#refresh();
    this.#tellChange();
  }

  /** @param {number} position in frames */
  scrub(position) {
    this.clock.isPlaying = false;
    this.clock.seek(position);
    this.#refresh();
    this.#tellChange();
  }

  /**
   * Look from the input camera (0) or one of the views (from 1); others do nothing.
   * @param {number} index
   */
  look(index) {
    const { header } = this;
    const pose = header && [header.input, ...header.views][index];
    if (!pose) return;
    this.#move(viewOfPose(pose));
    this.#tellChange();
  }

  fit() {
    if (!this.#clip) return;
    const { width, height } = this.#size;
    this.#move(fit(this.view, boundingSphere(this.#clip, this.clock.frame), width / height));
    this.#tellChange();
  }

  /** @param {number} speed how many times as fast as the video */
  setSpeed(speed) {
    this.clock.speed = speed;
    this.#refresh();
  }

  /** @param {boolean} isPingPong forward and back instead of starting over */
  setPingPong(isPingPong) {
    this.clock.isPingPong = isPingPong;
    this.#refresh();
  }

  /** @param {string} background "checker", "white", "black" or "#rrggbb" */
  setBackground(background) {
    backgroundColor(background); // throws where it is none
    this.background = background;
    this.#refresh();
  }

  async saveScreenshot() {
    const frame = String(this.clock.frame).padStart(4, "0");
    download(await this.screenshot(), `${this.#title}_frame${frame}.png`);
  }

  toggleFullScreen() {
    const change = document.fullscreenElement ? document.exitFullscreen() : this.element.requestFullscreen();
    change.catch(() => {}); // the browser has its reasons, and stays as it is
  }

  /** @param {import("./clip.mjs").Clip} clip */
  #show(clip) {
    const { time } = this.getView();
    this.#release();
    this.#clip = clip;
    this.#painter = new ClipPainter(clip);
    const { isPlaying, speed, isPingPong } = this.clock;
    const { numFrames, fps, input } = clip.header;
    this.clock = Object.assign(new Clock(numFrames, fps), { isPlaying, speed, isPingPong });
    this.clock.seek(time * (numFrames - 1));
    if (!this.#hasView) this.view = viewOfPose(input);
    this.#contextChanged(); // it may be lost
    this.#draw();
  }

  #listenToUser() {
    const drag = (/** @type {View} */ view) => {
      this.#isDragged = true;
      this.#move(view);
    };
    /** @type {import("./gestures.mjs").CameraMoves} */
    const moves = {
      orbit: (right, up) => drag(orbit(this.view, right, up)),
      pan: (right, down) => drag(pan(this.view, right, down)),
      zoom: (factor) => drag(zoom(this.view, factor)),
      reset: () => this.look(0),
      settle: () => this.#settle(),
    };
    const isFocused = () => this.element.matches(":focus-within");
    listenToGestures(this.#canvas, moves, isFocused, this.#end.signal);
    listenToKeys(this.element, moves, this, this.#end.signal);
  }

  /** The WebGL context was lost, or is there again. */
  #contextChanged() {
    const { isLost } = sharedStage();
    if (this.#clip) this.#say(isLost ? "The graphics driver was reset; waiting for it." : "");
    this.#refresh();
  }

  /** @param {View} view */
  #move(view) {
    this.view = view;
    this.#hasView = true;
    this.#refresh();
  }

  /** A movement has ended. */
  #settle() {
    this.#isDragged = false;
    this.#refresh();
    this.#tellChange();
  }

  #tellChange() {
    this.#hasView = true;
    this.dispatchEvent(new Event("change"));
  }

  #refresh() {
    this.#isStale = true;
    this.#ticker.wake();
  }

  /** @param {{width: number, height: number}} size */
  #resize(size) {
    this.#size = size;
    this.#draw(); // at once, or the picture would be stretched
  }

  /** @param {number} seconds */
  #tick(seconds) {
    this.clock.advance(seconds);
    const isMoving = this.#isDragged || (this.clock.isPlaying && this.clock.numFrames > 1);
    this.#draw(this.#detail.next(isMoving, seconds));
  }

  /** @param {number} [share] of the screen's pixels, along each side */
  #draw(share = 1) {
    for (const side of /** @type {const} */ (["width", "height"])) {
      const pixels = Math.max(Math.round(share * this.#size[side]), 1);
      if (this.#canvas[side] !== pixels) this.#canvas[side] = pixels;
    }
    const color = backgroundColor(this.background);
    this.#painter?.paint(this.#context, this.view, this.clock.position, color);
    this.#isStale = false;
    this.#controls.update();
  }

  #release() {
    this.#loads += 1;
    this.#painter?.dispose();
    this.#painter = null;
    this.#clip = null;
  }

  /** @param {string} message */
  #say(message) {
    this.#message.textContent = message;
    this.#controls.element.inert = this.#clip === null;
  }
}
