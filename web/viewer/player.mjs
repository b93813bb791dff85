// The player: shows an .s4d file in an element of a page, with controls; docs/viewer.md has an example.

import { boundingSphere } from "./bounds.mjs";
import { fit, viewOfPose } from "./camera.mjs";
import { observeContext, sharedContext } from "./context.mjs";
import { Controls } from "./controls.mjs";
import { download, element, encodePng } from "./dom.mjs";
import { downloadsOf, frameName } from "./downloads.mjs";
import { addTexts } from "./png.mjs";
import { AdaptiveResolution } from "./resolution.mjs";
import { readS4D } from "./s4d.mjs";
import { changedView, savedView } from "./saved_view.mjs";
import { ShownScene } from "./scene.mjs";
import { observeSize } from "./size.mjs";
import { applyStyles } from "./style.mjs";
import { Ticker } from "./ticker.mjs";
import { listenToUser } from "./user_input.mjs";
import { Viewport } from "./viewport.mjs";

/** @typedef {import("./camera.mjs").View} View */

/** @typedef {import("./saved_view.mjs").SavedView} SavedView */

/** Shows .s4d files. Fires "change" when the user, not a program, has changed the camera or the time. */
export class S4DPlayer extends EventTarget {
  /** The viewer's element; it fills its parent. */
  element = element("div", { class: "stag4d-viewer", role: "group", tabindex: "-1" });
  viewport = new Viewport(() => this.#refresh());
  downloads;
  /** Returns JSON by name for screenshots and videos. @type {() => Promise<Record<string, string>>} */
  metadata = async () => ({});
  #title;
  #controls;
  /** Of the shown .s4d file. */
  #bytes = new Uint8Array(0);
  /** Number of the latest load or release; an older load has been superseded. */
  #loads = 0;
  /** Whether the view was chosen: if not, each file is seen from a camera that shows all of it. */
  #hasView = false;
  /** Time to show when a file is loaded. */
  #pendingTime = 0;
  #disposal = new AbortController();
  #needsRedraw = true;
  #isDragged = false;
  #resolution = new AdaptiveResolution();
  #ticker = new Ticker(
    this.element,
    () => this.#needsRedraw || (this.clock.isRunning && !this.viewport.recording.isActive),
    (seconds) => this.#tick(seconds),
    this.#disposal.signal,
  );

  /**
   * @param {HTMLElement} parent
   * @param {{title?: string, page?: () => Blob}} [options] the title names the viewer and what is downloaded;
   *   page returns the self-contained page that the viewer is on
   */
  constructor(parent, { title = "scene", page } = {}) {
    super();
    this.#title = title;
    this.downloads = downloadsOf(() => this.#downloadSource(), page);
    this.element.setAttribute("aria-label", `4D viewer: ${title}`);
    this.element.setAttribute("data-capture-wheel", "true"); // ComfyUI: the wheel is for a focused viewer
    this.#controls = new Controls(this);
    const shadow = this.element.attachShadow({ mode: "open" });
    applyStyles(shadow);
    shadow.append(this.viewport.element, this.#controls.element);
    parent.append(this.element);
    this.#setMessage("No scene loaded.");
    this.#listenToUser();
    observeSize(this.viewport.canvas, (size) => this.#resize(size), this.#disposal.signal);
    observeContext(() => this.#contextChanged(), this.#disposal.signal);
  }

  get clock() {
    return this.viewport.clock;
  }

  get view() {
    return this.viewport.view;
  }

  get background() {
    return this.viewport.display.background;
  }

  /** The file's header; null while there is none. */
  get header() {
    return this.viewport.scene?.file.header ?? null;
  }

  /**
   * Show a file, at the time that the previous one was at; of several loads at once, the last one. Until the
   * user or a program chooses a view, it is seen from its input camera or, where that does not show the whole
   * object at all frames, from farther away.
   * @param {Uint8Array<ArrayBuffer> | ArrayBuffer} bytes an .s4d file
   * @throws {ViewerError} if it cannot be shown; the viewer shows the message, too
   */
  async load(bytes) {
    const load = ++this.#loads;
    try {
      sharedContext(); // throws without WebGL2, before the file is read
      if (!this.header) this.#setMessage("Loading…");
      const content = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes);
      const file = await readS4D(content);
      if (load === this.#loads) this.#show(new ShownScene(file), content);
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
    const time = this.header ? this.clock.time : this.#pendingTime;
    return savedView(this.view, time);
  }

  /**
   * Set camera and time; values that are left out stay as they are. Fires no event.
   * @param {Partial<SavedView>} view
   * @throws {TypeError} if a number is not finite or the view is of another version
   */
  setView(view) {
    const { time, ...camera } = changedView(this.getView(), view);
    this.viewport.view = camera;
    this.#hasView = true;
    this.#pendingTime = time;
    this.clock.seek(time * (this.clock.numFrames - 1));
    this.#refresh();
  }

  /** Forget the chosen view: files are seen from their first camera and at the first frame again. */
  resetView() {
    this.setView({ ...this.viewport.firstView(), time: 0 });
    this.#hasView = false;
  }

  /**
   * Return the current image as PNG, in which the checkered background is transparent, without grid and axes.
   * @returns {Promise<Blob>}
   */
  async screenshot() {
    this.viewport.draw(1, { hasGrid: false });
    this.#refresh(); // shows them again
    const image = await encodePng(this.viewport.canvas);
    return addTexts(image, await this.metadata());
  }

  /** Release all resources and remove the element from the page. */
  dispose() {
    this.#disposal.abort();
    this.#release();
    this.viewport.dispose();
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

  /** Fit the object at the current frame into the image. */
  fit() {
    const { scene, clock } = this.viewport;
    if (scene) this.#fit(boundingSphere(scene.file, clock.frame));
  }

  /** Fit the object at all frames into the image. */
  fitAll() {
    const { scene } = this.viewport;
    if (scene) this.#fit(scene.bounds);
  }

  /** @param {string} background "checker", "white", "black" or "#rrggbb" */
  setBackground(background) {
    this.viewport.setDisplay({ background, backgroundImage: null });
  }

  async saveScreenshot() {
    const name = frameName(this.#title, this.clock.frame);
    download(await this.screenshot(), `${name}.png`);
  }

  toggleFullScreen() {
    const change = document.fullscreenElement ? document.exitFullscreen() : this.element.requestFullscreen();
    change.catch(() => {}); // the browser may refuse; nothing has changed then
  }

  /**
   * @param {ShownScene} scene
   * @param {Uint8Array<ArrayBuffer>} bytes of its file
   */
  #show(scene, bytes) {
    const { time } = this.getView();
    this.#release();
    this.#bytes = bytes;
    this.viewport.show(scene, time);
    if (!this.#hasView) this.viewport.view = this.viewport.firstView();
    this.#contextChanged(); // clears the message, or shows that the context is lost
    this.#draw();
  }

  /** @param {import("./bounds.mjs").Bounds} bounds */
  #fit(bounds) {
    this.#move(fit(this.view, bounds, this.viewport.aspect));
    this.#fireChange();
  }

  #listenToUser() {
    const drag = (/** @type {View} */ view) => {
      this.#isDragged = true;
      this.#move(view);
    };
    listenToUser(this, drag, () => this.#endMovement(), this.#disposal.signal);
    for (const name of ["pointerdown", "focusin"]) {
      this.element.shadowRoot?.addEventListener(name, (event) => this.#controls.closePanels(event));
    }
  }

  /** The WebGL context was lost or restored. */
  #contextChanged() {
    const { isLost } = sharedContext();
    if (this.header) this.#setMessage(isLost ? "The graphics driver was reset; waiting for WebGL." : "");
    this.#refresh();
  }

  /** @param {View} view */
  #move(view) {
    this.viewport.view = view;
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
    this.viewport.size = size;
    if (!this.#hasView) this.viewport.view = this.viewport.firstView();
    this.#draw(); // at once: a later draw would show the old image stretched
  }

  /** @param {number} seconds */
  #tick(seconds) {
    this.clock.advance(seconds);
    const isMoving = this.#isDragged || this.clock.isRunning;
    this.#draw(this.#resolution.next(isMoving, seconds));
  }

  /** @param {number} [scale] share of the device pixels, along each side */
  #draw(scale) {
    this.viewport.draw(scale);
    this.#needsRedraw = false;
    this.#controls.update();
  }

  #downloadSource() {
    return { title: this.#title, viewport: this.viewport, bytes: this.#bytes, metadata: this.metadata };
  }

  #release() {
    this.#loads += 1;
    this.#bytes = new Uint8Array(0);
    this.viewport.release();
  }

  /** @param {string} message */
  #setMessage(message) {
    this.viewport.message.textContent = message;
    this.#controls.setEnabled(this.header !== null);
  }
}
