// The GPU textures of a scene: the two frames around the current time, colors, and the drawing order.

import { frameStride } from "./s4d.mjs";

const LAYERS = 2;

/** The textures of one file in one WebGL context. */
export class SceneTextures {
  #gl;
  #file;
  #geometry;
  #rgba;
  #order;
  /** Frames stored in the two layers. */
  #frames = [-1, -1];

  /**
   * @param {WebGL2RenderingContext} gl
   * @param {import("./s4d.mjs").S4DFile} file
   */
  constructor(gl, file) {
    this.#gl = gl;
    this.#file = file;
    const { width, height } = file;
    this.#geometry = this.#create(gl.TEXTURE_2D_ARRAY);
    gl.texStorage3D(gl.TEXTURE_2D_ARRAY, 1, gl.RGBA32UI, width, height, LAYERS);
    this.#order = this.#create(gl.TEXTURE_2D);
    gl.texStorage2D(gl.TEXTURE_2D, 1, gl.R32UI, width, height);
    this.#rgba = this.#create(gl.TEXTURE_2D_ARRAY);
    gl.texStorage3D(gl.TEXTURE_2D_ARRAY, 1, gl.RG32UI, width, height, file.coloredFrames > 1 ? LAYERS : 1);
    if (file.coloredFrames === 1) this.#uploadColors(0, 0);
  }

  /**
   * Upload two frames, unless they are in the texture, and return their layers.
   * @param {number} first
   * @param {number} second may equal the first
   * @returns {[number, number]}
   */
  layersOf(first, second) {
    const kept = this.#frames.indexOf(first);
    const firstLayer = kept >= 0 ? kept : this.#frames[0] === second ? 1 : 0;
    this.#upload(first, firstLayer);
    if (second === first) return [firstLayer, firstLayer];
    this.#upload(second, 1 - firstLayer);
    return [firstLayer, 1 - firstLayer];
  }

  /**
   * @param {Uint32Array} indices one per texel, farthest first
   */
  setOrder(indices) {
    const gl = this.#gl;
    const { width, height } = this.#file;
    gl.bindTexture(gl.TEXTURE_2D, this.#order);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, width, height, gl.RED_INTEGER, gl.UNSIGNED_INT, indices);
  }

  /** Bind to the texture units 0 (geometry), 1 (rgba) and 2 (order). */
  bind() {
    const gl = this.#gl;
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, this.#rgba);
    gl.activeTexture(gl.TEXTURE2);
    gl.bindTexture(gl.TEXTURE_2D, this.#order);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, this.#geometry);
  }

  dispose() {
    for (const texture of [this.#geometry, this.#rgba, this.#order]) this.#gl.deleteTexture(texture);
  }

  /**
   * @param {number} frame
   * @param {number} layer
   */
  #upload(frame, layer) {
    if (this.#frames[layer] === frame) return;
    const gl = this.#gl;
    const { texels, width, height } = this.#file;
    const length = frameStride(this.#file) / 2; // 32-bit words
    const words = new Uint32Array(texels.buffer, frame * length * 4, length);
    const [target, format, type] = [gl.TEXTURE_2D_ARRAY, gl.RGBA_INTEGER, gl.UNSIGNED_INT];
    gl.bindTexture(target, this.#geometry);
    gl.texSubImage3D(target, 0, 0, 0, layer, width, height, 1, format, type, words);
    if (this.#file.coloredFrames > 1) this.#uploadColors(frame, layer);
    this.#frames[layer] = frame;
  }

  /**
   * @param {number} frame
   * @param {number} layer
   */
  #uploadColors(frame, layer) {
    const gl = this.#gl;
    const { rgba, width, height } = this.#file;
    const length = width * height * 2; // 32-bit words
    const words = new Uint32Array(rgba.buffer, frame * length * 4, length);
    const [target, format, type] = [gl.TEXTURE_2D_ARRAY, gl.RG_INTEGER, gl.UNSIGNED_INT];
    gl.bindTexture(target, this.#rgba);
    gl.texSubImage3D(target, 0, 0, 0, layer, width, height, 1, format, type, words);
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
