// The WebGL context that all players of a page share: browsers drop the oldest context when a page has more
// than sixteen. Each player copies its image from here to its own 2D canvas.

import { cameraAxes, radians } from "./camera.mjs";
import { ViewerError } from "./errors.mjs";
import { NormalsPass } from "./normals.mjs";
import { linkProgram } from "./program.mjs";
import { FRAGMENT_SHADER, SPLATS_PER_INSTANCE, vertexShader } from "./shaders.mjs";

const GROWTH = 128; // pixels: the canvas grows in steps, not with each pixel while a window is resized
const INDICES_PER_SPLAT = 6;
const SAMPLERS = ["geometry", "rgba", "order"]; // in the order of their texture units

/** @type {SharedContext | null} */
let shared = null;

/**
 * Return the page's context; the first call creates it.
 * @returns {SharedContext}
 * @throws {ViewerError} if the browser has no WebGL2
 */
export function sharedContext() {
  shared ??= new SharedContext();
  return shared;
}

/**
 * Call back when the context is lost or restored, until the signal aborts; never without WebGL2.
 * @param {() => void} onChange
 * @param {AbortSignal} signal
 */
export function observeContext(onChange, signal) {
  try {
    const { observers } = sharedContext();
    observers.add(onChange);
    signal.addEventListener("abort", () => observers.delete(onChange));
  } catch (error) {
    if (!(error instanceof ViewerError)) throw error;
  }
}

/**
 * Camera, size, background and colors of an image.
 * @typedef {object} ImageSettings
 * @property {import("./camera.mjs").View} view
 * @property {number} width pixels
 * @property {number} height pixels
 * @property {number[]} background red, green, blue, alpha
 * @property {import("./shaders.mjs").RenderMode} mode
 * @property {number} splatSize factor of the splats' standard deviations
 * @property {[number, number]} depthRange camera z of white and of dark gray, world units
 */

/** Draws splats. Owns the context and its programs, and sets both up again after a lost context. */
class SharedContext {
  canvas = document.createElement("canvas");
  /** Called when the context is lost or restored. @type {Set<() => void>} */
  observers = new Set();
  /** Number of times the context was restored: textures of earlier generations no longer exist. */
  generation = 0;
  gl;
  /** One per render mode, linked when first used. @type {Map<string, import("./program.mjs").Program>} */
  #programs = new Map();
  /** Made when it is first used. @type {NormalsPass | null} */
  #normals = null;

  constructor() {
    const gl = this.canvas.getContext("webgl2", { antialias: false, depth: false, stencil: false });
    if (!gl) {
      throw new ViewerError(
        "This browser has no WebGL2, which the viewer needs. Use another browser, or enable hardware " +
          "acceleration in the settings of this one.",
      );
    }
    this.gl = gl;
    this.#setUp();
    this.canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault(); // asks the browser to restore it
      this.#notify();
    });
    this.canvas.addEventListener("webglcontextrestored", () => {
      this.generation += 1;
      this.#setUp();
      this.#notify();
    });
  }

  get isLost() {
    return this.gl.isContextLost();
  }

  /**
   * Draw splats into the canvas's lower left corner.
   * @param {import("./s4d.mjs").S4DFile} file
   * @param {import("./textures.mjs").SceneTextures} textures
   * @param {[number, number]} layers of the earlier and the later frame
   * @param {number} fraction 0 at the earlier frame, 1 at the later
   * @param {ImageSettings} settings
   */
  draw(file, textures, layers, fraction, settings) {
    const gl = this.gl;
    const { view, width, height, background } = settings;
    const { numGaussians, grids } = file.header;
    this.#grow(width, height);
    gl.viewport(0, 0, width, height);
    const [red, green, blue, alpha] = background;
    gl.clearColor(red * alpha, green * alpha, blue * alpha, alpha);
    gl.clear(gl.COLOR_BUFFER_BIT);
    const normals = settings.mode === "normals" ? this.prepareNormals() : null;
    normals?.begin(width, height);
    const at = this.#use(settings.mode);
    textures.bind();
    gl.uniform1i(at.count, numGaussians);
    gl.uniform1i(at.width, file.width);
    gl.uniform2i(at.layers, ...layers);
    if (file.coloredFrames > 1) gl.uniform2i(at.colorLayers, ...layers);
    else gl.uniform2i(at.colorLayers, 0, 0);
    gl.uniform1f(at.fraction, fraction);
    gl.uniform3fv(at.meansLow, grids.means.low);
    gl.uniform3fv(at.meansStep, grids.means.step);
    gl.uniform3fv(at.scalesLow, grids.log_scales.low);
    gl.uniform3fv(at.scalesStep, grids.log_scales.step);
    gl.uniform3fv(at.quatsLow, grids.quats.low.slice(1));
    gl.uniform3fv(at.quatsStep, grids.quats.step.slice(1));
    gl.uniform4fv(at.rgbaLow, [...grids.colors.low, ...grids.opacities.low]);
    gl.uniform4fv(at.rgbaStep, [...grids.colors.step, ...grids.opacities.step]);
    const { right, down, forward, center } = cameraAxes(view);
    const rows = [right, down, forward];
    const columns = [0, 1, 2].flatMap((axis) => rows.map((row) => row[axis])); // GLSL is column-major
    gl.uniformMatrix3fv(at.rotation, false, columns);
    const translation = rows.map((row) => -dot(row, center));
    gl.uniform3fv(at.translation, translation);
    const focal = (0.5 * height) / Math.tan(radians(view.fovy) / 2);
    gl.uniform2f(at.focal, focal, focal);
    gl.uniform2f(at.size, width, height);
    gl.uniform1f(at.splatSize, settings.splatSize);
    gl.uniform2f(at.depthRange ?? null, ...settings.depthRange); // mode "color" lacks it
    const instances = Math.ceil(numGaussians / SPLATS_PER_INSTANCE);
    const indices = SPLATS_PER_INSTANCE * INDICES_PER_SPLAT;
    gl.drawElementsInstanced(gl.TRIANGLES, indices, gl.UNSIGNED_SHORT, 0, instances);
    normals?.end(width, height, focal, settings.depthRange);
  }

  /**
   * Return the pass that draws normals.
   * @throws {ViewerError} if the graphics driver cannot
   */
  prepareNormals() {
    this.#normals ??= new NormalsPass(this.gl);
    return this.#normals;
  }

  /**
   * Use the program of a render mode and return its uniform locations.
   * @param {import("./shaders.mjs").RenderMode} mode
   */
  #use(mode) {
    let program = this.#programs.get(mode);
    if (!program) {
      const linked = (program = linkProgram(this.gl, vertexShader(mode), FRAGMENT_SHADER));
      SAMPLERS.forEach((name, unit) => this.gl.uniform1i(linked.uniforms[name], unit));
      this.#programs.set(mode, linked);
    }
    this.gl.useProgram(program.program);
    return program.uniforms;
  }

  /** Set up blending, the program of colors and the index buffer in a new context. */
  #setUp() {
    const gl = this.gl;
    this.#programs.clear();
    this.#normals = null;
    this.#use("color"); // throws here if the driver cannot compile it
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA); // colors are premultiplied by alpha
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
    for (const observer of this.observers) observer();
  }
}

/**
 * @param {number[]} a
 * @param {number[]} b
 */
function dot(a, b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}
