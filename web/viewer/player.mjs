// The player: shows an .s4d file in an element of a page, with controls.
//
//   const player = new S4DPlayer(parent, { title: "walking fox" });
//   await player.load(bytes);          // of an .s4d file
//   player.play();
//   player.addEventListener("change", () => save(player.getView()));
//   player.dispose();

import { backgroundColor } from "./background.mjs";
import { boundingSphere } from "./bounds.mjs";
import { checkedView, fit, orbit, pan, viewOfPose, zoom } from "./camera.mjs";
import { Clock } from "./clock.mjs";
import { observeContext, sharedContext } from "./context.mjs";
import { Controls } from "./controls.mjs";
import { download, element, encodePng } from "./dom.mjs";
import { listenToGestures } from "./gestures.mjs";
import { KEYS_HELP, listenToKeys } from "./keys.mjs";
import { addTexts } from "./png.mjs";
import { SceneRenderer } from "./renderer.mjs";
import { AdaptiveResolution } from "./resolution.mjs";
import { readS4D } from "./s4d.mjs";
import { observeSize, setSize } from "./size.mjs";
import { applyStyles } from "./style.mjs";
import { Ticker } from "./ticker.mjs";

/** @typedef {import("./camera.mjs").View} View */

/**
 * The camera and time that the user sees, as JSON: degrees, world units, frame time 0 to 1.
 * @typedef {View & {version: 1, time: number}} SavedView
 */

const VIEW_VERSION = 1;

/** Shows .s4d files. Fires "change" when the user, not a program, has changed the camera or the time. */
export class S4DPlayer extends EventTarget {
  /** The viewer's element; it fills its parent. */
  element = element("div", { class: "stag4d-viewer", role: "group", tabindex: "-1" });
  clock = new Clock(1, 1);
  /** @type {View} */
  view = viewOfPose({ azimuth: 0, elevation: 0, radius: 2, fovy: 49.1 });
  background = "checker";
  /** Returns JSON by name to store in screenshots. @type {() => Promise<Record<string, string>>} */
  metadata = async () => ({});
  #title;
  #canvas = element("canvas", { tabindex: "0", role: "application", "aria-label": `Scene. ${KEYS_HELP}` });
  #context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d"));
  #message = element("div", { class: "message", role: "status" });
  #controls;
  /** @type {import("./s4d.mjs").S4DFile | null} */
  #file = null;
  /** @type {SceneRenderer | null} */
  #renderer = null;
  /** Number of the latest load or release; an older load has been superseded. */
  #loads = 0;
  /** Whether the view was chosen: if not, each file is first seen from its input camera. */
  #hasView = false;
  /** Time to show when a file is loaded. */
  #pendingTime = 0;
  #disposal = new AbortController();
  #needsRedraw = true;
  #isDragged = false;
  #resolution = new AdaptiveResolution();
  /** Device pixels of the canvas at full resolution. */
  #size = { width: 1, height: 1 };
  #ticker = new Ticker(
    this.element,
    () => this.#needsRedraw || (this.clock.isPlaying && this.clock.numFrames > 1),
    (seconds) => this.#tick(seconds),
    this.#disposal.signal,
  );

  /**
   * @param {HTMLElement} parent
   * @param {{title?: string}} [options] the title names the viewer and its screenshots
   */
  constructor(parent, { title = "scene" } = {}) {
    super();
    this.#title = title;
    this.element.setAttribute("aria-label", `4D viewer: ${title}`);
    this.element.setAttribute("data-capture-wheel", "true"); // ComfyUI: the wheel is for a focused viewer
    this.#controls = new Controls(this);
    const shadow = this.element.attachShadow({ mode: "open" });
    applyStyles(shadow);
    const viewport = element("div", { class: "viewport" }, this.#canvas, this.#message);
    shadow.append(viewport, this.#controls.element);
    parent.append(this.element);
    this.#setMessage("No scene loaded.");
    this.#listenToUser();
    observeSize(this.#canvas, (size) => this.#resize(size), this.#disposal.signal);
    observeContext(() => this.#contextChanged(), this.#disposal.signal);
  }

  /** The file's header; null while there is none. */
  get header() {
    return this.#file?.header ?? null;
  }

  /**
   * Show a file; of several loads at once, the last one. It is seen from its input camera until the user or a
   * program chooses a view, and at the time that the previous file was at.
   * @param {Uint8Array<ArrayBuffer> | ArrayBuffer} bytes an .s4d file
   * @throws {ViewerError} if it cannot be shown; the viewer shows the message, too
   */
  async load(bytes) {
    const load = ++this.#loads;
    try {
      sharedContext(); // throws without WebGL2, before the file is read
      if (!this.#file) this.#setMessage("Loading…");
      const file = await readS4D(bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes));
      if (load === this.#loads) this.#show(file);
    } catch (error) {
      if (load === this.#loads) this.showMessage(error instanceof Error ? error.message : String(error));
      throw error;
    }
  }

  /**
   * Show a message in place of the scene, such as why there is none.
   * @param {string} message
   */
  showMessage(message) {
    this.#pendingTime = this.getView().time;
    this.#release();
    this.#setMessage(message);
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
   * Return the camera and time that the user sees.
   * @returns {SavedView}
   */
  getView() {
    const time = this.#file ? this.clock.time : this.#pendingTime;
    return { version: VIEW_VERSION, ...checkedView(this.view), time };
  }

  /**
   * Set camera and time; values that are left out stay as they are. Fires no event.
   * @param {Partial<SavedView>} view
   * @throws {TypeError} if a number is not finite or the view is of another version
   */
  setView({ version = VIEW_VERSION, time = this.getView().time, ...camera }) {
    if (version !== VIEW_VERSION) throw new TypeError(`view: version ${version}; expected ${VIEW_VERSION}.`);
    if (!Number.isFinite(time)) throw new TypeError(`view: time is ${time}; expected a number from 0 to 1.`);
    this.view = checkedView({ ...this.view, ...camera });
    this.#hasView = true;
    this.#pendingTime = time;
    this.clock.seek(time * (this.clock.numFrames - 1));
    this.#refresh();
  }

  /** Forget the chosen view: files are seen from their input camera and the first frame again. */
  resetView() {
    this.setView({ ...(this.header && viewOfPose(this.header.input)), time: 0 });
    this.#hasView = false;
  }

  /**
   * Return the current image as PNG, in which the checkered background is transparent.
   * @returns {Promise<Blob>}
   */
  async screenshot() {
    this.#draw();
    const image = await encodePng(this.#canvas);
    return addTexts(image, await this.metadata());
  }

  /** Release all resources and remove the element from the page. */
  dispose() {
    this.#disposal.abort();
    this.#release();
    this.element.remove();
  }

  // Called by controls and keys; changes of the camera or the time fire an event.

  toggle() {
    if (!this.clock.isPlaying) return this.play();
    this.pause();
    this.#fireChange();
  }

  /** @param {1 | -1} direction */
  step(direction) {
    this.clock.isPlaying = false;
    this.clock.step(direction);
    this.#refresh();
    this.#fireChange();
  }

  /** @param {number} position in frames */
  scrub(position) {
    this.clock.isPlaying = false;
    this.clock.seek(position);
    this.#refresh();
    this.#fireChange();
  }

  /**
   * Move to the input camera (0) or that of a view (from 1); other numbers have no effect.
   * @param {number} index
   */
  selectCamera(index) {
    const { header } = this;
    const pose = header && [header.input, ...header.views][index];
    if (!pose) return;
    this.#move(viewOfPose(pose));
    this.#fireChange();
  }

  fit() {
    if (!this.#file) return;
    const { width, height } = this.#size;
    this.#move(fit(this.view, boundingSphere(this.#file, this.clock.frame), width / height));
    this.#fireChange();
  }

  /** @param {number} speed multiple of the video's speed */
  setSpeed(speed) {
    this.clock.speed = speed;
    this.#refresh();
  }

  /** @param {boolean} isPingPong whether to play forward and back instead of starting over */
  setPingPong(isPingPong) {
    this.clock.isPingPong = isPingPong;
    this.#refresh();
  }

  /** @param {string} background "checker", "white", "black" or "#rrggbb" */
  setBackground(background) {
    backgroundColor(background); // throws if it is invalid
    this.background = background;
    this.#refresh();
  }

  async saveScreenshot() {
    const frame = String(this.clock.frame).padStart(4, "0");
    download(await this.screenshot(), `${this.#title}_frame${frame}.png`);
  }

  toggleFullScreen() {
    const change = document.fullscreenElement ? document.exitFullscreen() : this.element.requestFullscreen();
    change.catch(() => {}); // the browser may refuse; nothing has changed then
  }

  /** @param {import("./s4d.mjs").S4DFile} file */
  #show(file) {
    const { time } = this.getView();
    this.#release();
    this.#file = file;
    this.#renderer = new SceneRenderer(file);
    const { isPlaying, speed, isPingPong } = this.clock;
    const { numFrames, fps, input } = file.header;
    this.clock = Object.assign(new Clock(numFrames, fps), { isPlaying, speed, isPingPong });
    this.clock.seek(time * (numFrames - 1));
    if (!this.#hasView) this.view = viewOfPose(input);
    this.#contextChanged(); // clears the message, or shows that the context is lost
    this.#draw();
  }

  #listenToUser() {
    const drag = (/** @type {View} */ view) => {
      this.#isDragged = true;
      this.#move(view);
    };
    /** @type {import("./gestures.mjs").CameraActions} */
    const actions = {
      orbit: (right, up) => drag(orbit(this.view, right, up)),
      pan: (right, down) => drag(pan(this.view, right, down)),
      zoom: (factor) => drag(zoom(this.view, factor)),
      reset: () => this.selectCamera(0),
      end: () => this.#endMovement(),
    };
    const isFocused = () => this.element.matches(":focus-within");
    listenToGestures(this.#canvas, actions, isFocused, this.#disposal.signal);
    listenToKeys(this.element, actions, this, this.#disposal.signal);
  }

  /** The WebGL context was lost or restored. */
  #contextChanged() {
    const { isLost } = sharedContext();
    if (this.#file) this.#setMessage(isLost ? "The graphics driver was reset; waiting for WebGL." : "");
    this.#refresh();
  }

  /** @param {View} view */
  #move(view) {
    this.view = view;
    this.#hasView = true;
    this.#refresh();
  }

  #endMovement() {
    this.#isDragged = false;
    this.#refresh();
    this.#fireChange();
  }

  #fireChange() {
    this.#hasView = true;
    this.dispatchEvent(new Event("change"));
  }

  #refresh() {
    this.#needsRedraw = true;
    this.#ticker.wake();
  }

  /** @param {{width: number, height: number}} size */
  #resize(size) {
    this.#size = size;
    this.#draw(); // at once: a later draw would show the old image stretched
  }

  /** @param {number} seconds */
  #tick(seconds) {
    this.clock.advance(seconds);
    const isMoving = this.#isDragged || (this.clock.isPlaying && this.clock.numFrames > 1);
    this.#draw(this.#resolution.next(isMoving, seconds));
  }

  /** @param {number} [scale] share of the device pixels, along each side */
  #draw(scale = 1) {
    setSize(this.#canvas, scale * this.#size.width, scale * this.#size.height);
    const color = backgroundColor(this.background);
    this.#renderer?.render(this.#context, this.view, this.clock.position, color);
    this.#needsRedraw = false;
    this.#controls.update();
  }

  #release() {
    this.#loads += 1;
    this.#renderer?.dispose();
    this.#renderer = null;
    this.#file = null;
  }

  /** @param {string} message */
  #setMessage(message) {
    this.#message.textContent = message;
    this.#controls.element.inert = this.#file === null;
  }
}
