// A clip's pictures: sorts, draws on the shared stage, copies to a 2D canvas.

import { cameraAxes } from "./camera.mjs";
import { frameHalves } from "./clip.mjs";
import { DepthSorter } from "./sort.mjs";
import { sharedStage } from "./stage.mjs";
import { ClipTextures } from "./textures.mjs";

/** Paints one clip; what it holds on the graphics card is released by dispose. */
export class ClipPainter {
  #clip;
  #sorter;
  #order;
  #stage = sharedStage();
  /** @type {ClipTextures | null} */
  #textures = null;
  #generation = -1;
  /** What the order was sorted for. */
  #sortedFor = "";

  /** @param {import("./clip.mjs").Clip} clip */
  constructor(clip) {
    this.#clip = clip;
    this.#sorter = new DepthSorter(clip);
    this.#order = new Uint32Array(clip.width * clip.height);
  }

  /**
   * Paint the whole of a canvas, unless the WebGL context is lost. The picture depends on nothing but the
   * arguments.
   * @param {CanvasRenderingContext2D} context
   * @param {import("./camera.mjs").View} view
   * @param {number} position the moment, in frames
   * @param {number[]} background red, green, blue, alpha
   */
  paint(context, view, position, background) {
    if (this.#stage.isLost) return;
    const textures = this.#currentTextures();
    const last = this.#clip.storedFrames - 1;
    const first = Math.min(Math.floor(position), last);
    const second = Math.min(first + 1, last);
    const mixing = second > first ? position - first : 0;
    this.#sort(textures, first, mixing > 0 ? second : first, mixing, cameraAxes(view).forward);
    const { width, height } = context.canvas;
    const layers = textures.layersOf(first, mixing > 0 ? second : first);
    this.#stage.draw(this.#clip, textures, layers, mixing, { view, width, height, background });
    const { canvas } = this.#stage;
    context.globalCompositeOperation = "copy";
    context.drawImage(canvas, 0, canvas.height - height, width, height, 0, 0, width, height);
  }

  dispose() {
    this.#textures?.dispose();
    this.#textures = null;
  }

  /** Return the clip's textures, made anew when the context is another one. */
  #currentTextures() {
    if (!this.#textures || this.#generation !== this.#stage.generation) {
      this.#textures = new ClipTextures(this.#stage.gl, this.#clip);
      this.#generation = this.#stage.generation;
      this.#sortedFor = "";
    }
    return this.#textures;
  }

  /**
   * Sort anew when the moment or the viewing direction is another one.
   * @param {ClipTextures} textures
   * @param {number} first frame
   * @param {number} second frame
   * @param {number} mixing
   * @param {number[]} forward
   */
  #sort(textures, first, second, mixing, forward) {
    const wanted = [first, mixing, ...forward].join();
    if (wanted === this.#sortedFor) return;
    const halves = frameHalves(this.#clip);
    this.#sorter.sort(first * halves, second * halves, mixing, forward, this.#order);
    textures.setOrder(this.#order);
    this.#sortedFor = wanted;
  }
}
