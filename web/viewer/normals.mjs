// Normals of an image, from its depth: the splats' depth is rendered to a texture of floats, and the normal
// of a pixel is the cross product of the differences between its neighbors' points, as in
// stag4d/rendering/normals.py.

import { ViewerError } from "./errors.mjs";
import { NORMALS_FRAGMENT_SHADER, NORMALS_VERTEX_SHADER } from "./normals_shaders.mjs";
import { linkProgram } from "./program.mjs";

const UNIT = 3; // texture unit; the scene's textures use those before

/** The pass of one WebGL context; its texture is as large as the largest image so far. */
export class NormalsPass {
  #gl;
  #program;
  #framebuffer;
  /** @type {WebGLTexture | null} */
  #texture = null;
  #format;
  #width = 0;
  #height = 0;

  /**
   * @param {WebGL2RenderingContext} gl
   * @throws {ViewerError} if the graphics driver cannot render to textures of floats
   */
  constructor(gl) {
    this.#gl = gl;
    this.#format = floatFormat(gl);
    this.#program = linkProgram(gl, NORMALS_VERTEX_SHADER, NORMALS_FRAGMENT_SHADER);
    gl.uniform1i(this.#program.uniforms.depths, UNIT);
    this.#framebuffer = gl.createFramebuffer();
  }

  /**
   * Direct the next draw calls to the depth texture.
   * @param {number} width pixels
   * @param {number} height pixels
   */
  begin(width, height) {
    const gl = this.#gl;
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.#framebuffer);
    if (width > this.#width || height > this.#height) this.#allocate(width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
  }

  /**
   * Draw the normals of the depth texture over the canvas.
   * @param {number} width pixels
   * @param {number} height pixels
   * @param {number} focal focal length, pixels
   * @param {[number, number]} depthRange camera z that 0 and 1 of the texture stand for
   */
  end(width, height, focal, depthRange) {
    const gl = this.#gl;
    const { program, uniforms } = this.#program;
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.useProgram(program);
    gl.activeTexture(gl.TEXTURE0 + UNIT);
    gl.bindTexture(gl.TEXTURE_2D, this.#texture);
    gl.uniform2i(uniforms.size, width, height);
    gl.uniform1f(uniforms.focal, focal);
    gl.uniform2f(uniforms.depthRange, ...depthRange);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  /**
   * @param {number} width
   * @param {number} height
   */
  #allocate(width, height) {
    const gl = this.#gl;
    gl.deleteTexture(this.#texture);
    this.#texture = gl.createTexture();
    [this.#width, this.#height] = [Math.max(width, this.#width), Math.max(height, this.#height)];
    gl.activeTexture(gl.TEXTURE0 + UNIT);
    gl.bindTexture(gl.TEXTURE_2D, this.#texture);
    gl.texStorage2D(gl.TEXTURE_2D, 1, this.#format, this.#width, this.#height);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, this.#texture, 0);
  }
}

/**
 * Return the most exact format of floats that can be blended.
 * @param {WebGL2RenderingContext} gl
 * @throws {ViewerError} if there is none
 */
function floatFormat(gl) {
  const hasFloat = gl.getExtension("EXT_color_buffer_float");
  if (hasFloat && gl.getExtension("EXT_float_blend")) return gl.RGBA32F;
  if (hasFloat || gl.getExtension("EXT_color_buffer_half_float")) return gl.RGBA16F;
  throw new ViewerError("This graphics driver cannot render normals: it has no textures of floats.");
}
