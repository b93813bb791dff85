// A clip on the graphics card: the two frames around the moment that is drawn, colors, and the drawing order.

import { frameHalves } from "./clip.mjs";

const LAYERS = 2;

/** The textures of one clip in one WebGL context. */
export class ClipTextures {
  #gl;
  #clip;
  #moving;
  #paint;
  #order;
  /** Frames in the two layers. */
  #frames = [-1, -1];

  /**
   * @param {WebGL2RenderingContext} gl
   * @param {import("./clip.mjs").Clip} clip
   */
  constructor(gl, clip) {
    this.#gl = gl;
    this.#clip = clip;
    const { width, height } = clip;
    this.#moving = this.#create(gl.TEXTURE_2D_ARRAY);
    gl.texStorage3D(gl.TEXTURE_2D_ARRAY, 1, gl.RGBA32UI, width, height, LAYERS);
    this.#order = this.#create(gl.TEXTURE_2D);
    gl.texStorage2D(gl.TEXTURE_2D, 1, gl.R32UI, width, height);
    this.#paint = this.#create(gl.TEXTURE_2D);
    gl.texStorage2D(gl.TEXTURE_2D, 1, gl.RG32UI, width, height);
    const words = new Uint32Array(clip.paint.buffer);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, width, height, gl.RG_INTEGER, gl.UNSIGNED_INT, words);
  }

  /**
   * Have two frames at hand and return their layers.
   * @param {number} first
   * @param {number} second may be the same
   * @returns {[number, number]}
   */
  layersOf(first, second) {
    const kept = this.#frames.indexOf(first);
    const firstLayer = kept >= 0 ? kept : this.#frames[0] === second ? 1 : 0;
    this.#store(first, firstLayer);
    if (second === first) return [firstLayer, firstLayer];
    this.#store(second, 1 - firstLayer);
    return [firstLayer, 1 - firstLayer];
  }

  /**
   * @param {Uint32Array} indices one a texel, farthest first
   */
  setOrder(indices) {
    const gl = this.#gl;
    const { width, height } = this.#clip;
    gl.bindTexture(gl.TEXTURE_2D, this.#order);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, width, height, gl.RED_INTEGER, gl.UNSIGNED_INT, indices);
  }

  /** Bind to the texture units 0 (frames), 1 (colors) and 2 (order). */
  bind() {
    const gl = this.#gl;
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, this.#paint);
    gl.activeTexture(gl.TEXTURE2);
    gl.bindTexture(gl.TEXTURE_2D, this.#order);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, this.#moving);
  }

  dispose() {
    for (const texture of [this.#moving, this.#paint, this.#order]) this.#gl.deleteTexture(texture);
  }

  /**
   * @param {number} frame
   * @param {number} layer
   */
  #store(frame, layer) {
    if (this.#frames[layer] === frame) return;
    const gl = this.#gl;
    const { halves, width, height } = this.#clip;
    const length = frameHalves(this.#clip) / 2;
    const words = new Uint32Array(halves.buffer, frame * length * 4, length);
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, this.#moving);
    gl.texSubImage3D(
      gl.TEXTURE_2D_ARRAY,
      0,
      0,
      0,
      layer,
      width,
      height,
      1,
      gl.RGBA_INTEGER,
      gl.UNSIGNED_INT,
      words,
    );
    this.#frames[layer] = frame;
  }

  /** @param {number} target */
  #create(target) {
    const gl = this.#gl;
    const texture = gl.createTexture();
    gl.bindTexture(target, texture);
    gl.texParameteri(target, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(target, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    return texture;
  }
}
