// The recording of a player's loop as a video, with a dialog over the image that shows progress and cancels.

import { Clock } from "./clock.mjs";
import { compose } from "./compositor.mjs";
import { sharedContext } from "./context.mjs";
import { dialog } from "./dialog.mjs";
import { button, element } from "./dom.mjs";
import { ViewerError } from "./errors.mjs";
import { encodeVideo } from "./video.mjs";

/** @typedef {import("./viewport.mjs").Viewport} Viewport */

const MAX_PIXELS = 3840 * 2160; // per image; level 5.1 of H.264 allows 4096 x 2304

/** Records one video at a time; camera, playback and settings of the viewport stay as they are. */
export class Recording {
  element;
  #status = element("p", { role: "status" });
  #progress = element("progress", { "aria-label": "Recorded frames" });
  #cancel = button("Cancel the recording", { text: "Cancel" }, () => this.cancel());
  /** @type {AbortController | null} */
  #controller = null;

  #onChange;

  /** @param {() => void} onChange called when a recording has ended */
  constructor(onChange) {
    this.#onChange = onChange;
    const attributes = { class: "recording", "aria-label": "Recording" };
    this.element = dialog(attributes, [this.#status, this.#progress, this.#cancel], () => this.cancel());
  }

  get isActive() {
    return this.#controller !== null;
  }

  cancel() {
    this.#controller?.abort();
  }

  /**
   * Record one loop, as it is played, from the present camera.
   * @param {Viewport} viewport
   * @param {Record<string, string>} texts JSON by name, for the file
   * @returns {Promise<Blob | null>} null if it was canceled
   * @throws {ViewerError} if the browser cannot encode it
   */
  async record(viewport, texts) {
    if (this.#controller || !viewport.scene) return null;
    const { signal } = (this.#controller = new AbortController());
    const frames = loopOf(viewport, viewport.scene);
    const show = (/** @type {number} */ done) => {
      this.#status.textContent = `Recording frame ${done} of ${frames.count}`;
      this.#progress.value = done / frames.count;
    };
    this.#setShown(viewport, true);
    show(0);
    try {
      return await encodeVideo(frames, texts, show, signal);
    } catch (error) {
      if (signal.aborted) return null;
      throw error;
    } finally {
      this.#controller = null;
      this.#setShown(viewport, false);
      this.#onChange();
    }
  }

  /**
   * @param {Viewport} viewport
   * @param {boolean} isShown
   */
  #setShown({ canvas, comparison }, isShown) {
    this.element.hidden = !isShown;
    canvas.inert = comparison.element.inert = isShown;
    if (isShown) this.#cancel.focus({ preventScroll: true });
    else this.#cancel.blur();
  }
}

/**
 * Return the images of one loop, with the present camera and settings, without grid and axes. The video is
 * not transparent: the checkered background is white.
 * @param {Viewport} viewport
 * @param {import("./scene.mjs").ShownScene} scene
 * @returns {import("./video.mjs").Frames}
 */
function loopOf({ clock: { numFrames, fps, ...played }, comparison, view, display, size }, scene) {
  const clock = Object.assign(new Clock(numFrames, fps), played, { isPlaying: false });
  const background = display.background === "checker" ? "white" : display.background;
  const settings = { ...display, background, hasGrid: false };
  const scale = Math.min(1, Math.sqrt(MAX_PIXELS / (size.width * size.height)));
  const even = (/** @type {number} */ length) => String(Math.max(2 * Math.floor((scale * length) / 2), 2));
  const canvas = element("canvas", { width: even(size.width), height: even(size.height) });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const step = Math.min(clock.speed, 1); // between images, in frames of the scene
  const draw = (/** @type {number} */ index) => {
    if (sharedContext().isLost) throw new ViewerError("The graphics driver was reset; record again.");
    clock.seek(clock.positionInLoop(index * step));
    compose(context, scene, comparison.parts(scene, clock), view, settings);
  };
  return { canvas, count: Math.round(clock.loopLength / step), fps: fps * Math.max(clock.speed, 1), draw };
}
