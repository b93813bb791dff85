// A file that is shown: its renderer and its bounds, which are computed when they are first needed.

import { boundsOf, sampledFrames } from "./bounds.mjs";
import { SceneRenderer } from "./renderer.mjs";

/** One scene of a player; dispose releases its GPU memory. */
export class ShownScene {
  file;
  renderer;
  /** @type {import("./bounds.mjs").Bounds | null} */
  #bounds = null;

  /** @param {import("./s4d.mjs").S4DFile} file */
  constructor(file) {
    this.file = file;
    this.renderer = new SceneRenderer(file);
  }

  /** Of the object at all frames. */
  get bounds() {
    this.#bounds ??= boundsOf(this.file, sampledFrames(this.file));
    return this.#bounds;
  }

  /**
   * Return the position of a frame time, in frames.
   * @param {number} time 0 to 1
   */
  positionAt(time) {
    return time * (this.file.header.numFrames - 1);
  }

  dispose() {
    this.renderer.dispose();
  }
}
