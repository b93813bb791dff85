// Renders a scene to a 2D canvas: sorts the splats, draws them in the shared WebGL context, copies the image.

import { cameraAxes } from "./camera.mjs";
import { sharedContext } from "./context.mjs";
import { frameStride } from "./s4d.mjs";
import { DepthSorter } from "./sort.mjs";
import { SceneTextures } from "./textures.mjs";

/**
 * How splats are rendered, apart from camera and time.
 * @typedef {object} SplatStyle
 * @property {number[]} background red, green, blue, alpha
 * @property {import("./shaders.mjs").RenderMode} mode
 * @property {number} splatSize factor of the splats' standard deviations
 * @property {[number, number]} depthRange camera z of white and of dark gray, world units
 */

/** Renders one file; dispose releases its GPU memory. */
export class SceneRenderer {
  #file;
  #sorter;
  #order;
  #context = sharedContext();
  /** @type {SceneTextures | null} */
  #textures = null;
  #generation = -1;
  /** Time and viewing direction that the order was sorted for. */
  #sortedFor = "";

  /** @param {import("./s4d.mjs").S4DFile} file */
  constructor(file) {
    this.#file = file;
    this.#sorter = new DepthSorter(file);
    this.#order = new Uint32Array(file.width * file.height);
  }

  /**
   * Render an image over the whole of a canvas, or its clipping region, unless the WebGL context is lost. The
   * image depends only on the arguments.
   * @param {CanvasRenderingContext2D} target
   * @param {import("./camera.mjs").View} view
   * @param {number} position time, in frames
   * @param {SplatStyle} style
   * @param {"copy" | "source-over"} operation whether to replace the canvas's content or draw over it
   */
  render(target, view, position, style, operation = "copy") {
    if (this.#context.isLost) return;
    const textures = this.#currentTextures();
    const last = this.#file.storedFrames - 1;
    if (!this.#file.header.interpolate) position = Math.round(position);
    const first = Math.min(Math.floor(position), last);
    const next = Math.min(first + 1, last);
    const fraction = next > first ? position - first : 0;
    const second = fraction > 0 ? next : first;
    this.#sort(textures, first, second, fraction, cameraAxes(view).forward);
    const { width, height } = target.canvas;
    const layers = textures.layersOf(first, second);
    this.#context.draw(this.#file, textures, layers, fraction, { view, width, height, ...style });
    const { canvas } = this.#context;
    target.globalCompositeOperation = operation;
    target.drawImage(canvas, 0, canvas.height - height, width, height, 0, 0, width, height);
  }

  dispose() {
    this.#textures?.dispose();
    this.#textures = null;
  }

  /** Return the file's textures, created again if the context was lost and restored. */
  #currentTextures() {
    if (!this.#textures || this.#generation !== this.#context.generation) {
      this.#textures = new SceneTextures(this.#context.gl, this.#file);
      this.#generation = this.#context.generation;
      this.#sortedFor = "";
    }
    return this.#textures;
  }

  /**
   * Sort again if the time or the viewing direction has changed.
   * @param {SceneTextures} textures
   * @param {number} first frame
   * @param {number} second frame
   * @param {number} fraction
   * @param {number[]} forward
   */
  #sort(textures, first, second, fraction, forward) {
    const key = [first, fraction, ...forward].join();
    if (key === this.#sortedFor) return;
    const stride = frameStride(this.#file);
    this.#sorter.sort(first * stride, second * stride, fraction, forward, this.#order);
    textures.setOrder(this.#order);
    this.#sortedFor = key;
  }
}
