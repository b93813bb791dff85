// The one WebGL context that all players of a page draw in. Browsers drop the oldest context when a page has
// more than sixteen, so each player copies its picture from here to a 2D canvas of its own.

import { cameraAxes, radians } from "./camera.mjs";
import { ClipError } from "./errors.mjs";
import { FRAGMENT_SHADER, SPLATS_PER_INSTANCE, VERTEX_SHADER } from "./shaders.mjs";

const GROWTH = 128; // pixels: the canvas grows in steps, not with every pixel of a window that is dragged
const INDICES_PER_SPLAT = 6;

/** @type {Stage | null} */
let shared = null;

/**
 * Return the page's stage; it is made when it is first asked for.
 * @returns {Stage}
 * @throws {ClipError} if the browser has no WebGL2
 */
export function sharedStage() {
  shared ??= new Stage();
  return shared;
}

/**
 * Be told when the context is lost and when it is there again, until the signal says stop. Where there is no
 * WebGL2 there is nothing to tell.
 * @param {() => void} tell
 * @param {AbortSignal} signal
 */
export function watchStage(tell, signal) {
  try {
    const { watchers } = sharedStage();
    watchers.add(tell);
    signal.addEventListener("abort", () => watchers.delete(tell));
  } catch (error) {
    if (!(error instanceof ClipError)) throw error;
  }
}

/**
 * Where a picture is drawn from and how large.
 * @typedef {object} Shot
 * @property {import("./camera.mjs").View} view
 * @property {number} width pixels
 * @property {number} height pixels
 * @property {number[]} background red, green, blue, alpha
 */

/** Draws splats; owns the context, the program, and what becomes of both when the context is lost. */
class Stage {
  canvas = document.createElement("canvas");
  /** Told when the context comes and goes. @type {Set<() => void>} */
  watchers = new Set();
  /** Counts the contexts: textures of an earlier one are gone. */
  generation = 0;
  gl;
  /** @type {Record<string, WebGLUniformLocation>} */
  #uniforms = {};

  constructor() {
    const gl = this.canvas.getContext("webgl2", { antialias: false, depth: false, stencil: false });
    if (!gl) {
      throw new ClipError(
        "This browser offers no WebGL2, which the viewer draws with. Another browser, or " +
          "hardware acceleration in this one's settings, will show the clip.",
      );
    }
    this.gl = gl;
    this.#prepare();
    this.canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault(); // asks the browser to restore it
      this.#notify();
    });
    this.canvas.addEventListener("webglcontextrestored", () => {
      this.generation += 1;
      this.#prepare();
      this.#notify();
    });
  }

  get isLost() {
    return this.gl.isContextLost();
  }

  /**
   * Draw splats into the canvas's lower left corner.
   * @param {import("./clip.mjs").Clip} clip
   * @param {import("./textures.mjs").ClipTextures} textures
   * @param {[number, number]} layers of the two frames
   * @param {number} mixing between them
   * @param {Shot} shot
   */
  draw(clip, textures, layers, mixing, { view, width, height, background }) {
    const gl = this.gl;
    const at = this.#uniforms;
    const { numGaussians, grids } = clip.header;
    this.#grow(width, height);
    gl.viewport(0, 0, width, height);
    const [red, green, blue, alpha] = background;
    gl.clearColor(red * alpha, green * alpha, blue * alpha, alpha);
    gl.clear(gl.COLOR_BUFFER_BIT);
    textures.bind();
    gl.uniform1i(at.count, numGaussians);
    gl.uniform1i(at.width, clip.width);
    gl.uniform2i(at.layers, ...layers);
    gl.uniform1f(at.mixing, mixing);
    gl.uniform3fv(at.meansLow, grids.means.low);
    gl.uniform3fv(at.meansStep, grids.means.step);
    gl.uniform3fv(at.scalesLow, grids.log_scales.low);
    gl.uniform3fv(at.scalesStep, grids.log_scales.step);
    gl.uniform3fv(at.quatsLow, grids.quats.low.slice(1));
    gl.uniform3fv(at.quatsStep, grids.quats.step.slice(1));
    gl.uniform4fv(at.paintLow, [...grids.colors.low, ...grids.opacities.low]);
    gl.uniform4fv(at.paintStep, [...grids.colors.step, ...grids.opacities.step]);
    const { right, down, forward, center } = cameraAxes(view);
    const rows = [right, down, forward];
    gl.uniformMatrix3fv(
      at.rotation,
      false,
      [0, 1, 2].flatMap((axis) => rows.map((row) => row[axis])),
    );
    gl.uniform3fv(
      at.translation,
      rows.map((row) => -dot(row, center)),
    );
    const focal = (0.5 * height) / Math.tan(radians(view.fovy) / 2);
    gl.uniform2f(at.focal, focal, focal);
    gl.uniform2f(at.size, width, height);
    const instances = Math.ceil(numGaussians / SPLATS_PER_INSTANCE);
    const indices = SPLATS_PER_INSTANCE * INDICES_PER_SPLAT;
    gl.drawElementsInstanced(gl.TRIANGLES, indices, gl.UNSIGNED_SHORT, 0, instances);
  }

  /** Put what never changes into a new context. */
  #prepare() {
    const gl = this.gl;
    const program = link(gl);
    gl.useProgram(program);
    const count = gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS);
    for (let index = 0; index < count; index++) {
      const name = /** @type {WebGLActiveInfo} */ (gl.getActiveUniform(program, index)).name;
      this.#uniforms[name] = /** @type {WebGLUniformLocation} */ (gl.getUniformLocation(program, name));
    }
    ["moving", "paint", "order"].forEach((name, unit) => gl.uniform1i(this.#uniforms[name], unit));
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA); // colors are multiplied by alpha already
    const corners = Array.from({ length: SPLATS_PER_INSTANCE }, (_, splat) =>
      [0, 1, 2, 2, 1, 3].map((corner) => 4 * splat + corner),
    );
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, new Uint16Array(corners.flat()), gl.STATIC_DRAW);
  }

  /**
   * @param {number} width
   * @param {number} height
   */
  #grow(width, height) {
    const { canvas } = this;
    if (canvas.width < width) canvas.width = Math.ceil(width / GROWTH) * GROWTH;
    if (canvas.height < height) canvas.height = Math.ceil(height / GROWTH) * GROWTH;
  }

  #notify() {
    for (const watcher of this.watchers) watcher();
  }
}

/**
 * @param {WebGL2RenderingContext} gl
 * @returns {WebGLProgram}
 */
function link(gl) {
  const program = gl.createProgram();
  const sources = [
    [gl.VERTEX_SHADER, VERTEX_SHADER],
    [gl.FRAGMENT_SHADER, FRAGMENT_SHADER],
  ];
  for (const [kind, source] of /** @type {[number, string][]} */ (sources)) {
    const shader = /** @type {WebGLShader} */ (gl.createShader(kind));
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
    gl.deleteShader(shader); // with the program
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
    const shaders = gl.getAttachedShaders(program) ?? [];
    const log = [...shaders.map((shader) => gl.getShaderInfoLog(shader)), gl.getProgramInfoLog(program)];
    throw new ClipError(`This graphics driver refuses the viewer's program: ${log.join(" ").trim()}`);
  }
  return program;
}

/**
 * @param {number[]} a
 * @param {number[]} b
 */
function dot(a, b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}
