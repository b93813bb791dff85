// The WebGL programs: linked shaders with the locations of their uniforms.

import { ViewerError } from "./errors.mjs";

/** @typedef {{program: WebGLProgram, uniforms: Record<string, WebGLUniformLocation>}} Program */

/**
 * Compile and link a program, and use it.
 * @param {WebGL2RenderingContext} gl
 * @param {string} vertexSource
 * @param {string} fragmentSource
 * @returns {Program}
 * @throws {ViewerError} if the graphics driver cannot
 */
export function linkProgram(gl, vertexSource, fragmentSource) {
  const program = link(gl, vertexSource, fragmentSource);
  /** @type {Record<string, WebGLUniformLocation>} */
  const uniforms = {};
  gl.useProgram(program);
  const count = gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS);
  for (let index = 0; index < count; index++) {
    const { name } = /** @type {WebGLActiveInfo} */ (gl.getActiveUniform(program, index));
    uniforms[name] = /** @type {WebGLUniformLocation} */ (gl.getUniformLocation(program, name));
  }
  return { program, uniforms };
}

/**
 * @param {WebGL2RenderingContext} gl
 * @param {string} vertexSource
 * @param {string} fragmentSource
 * @returns {WebGLProgram}
 */
function link(gl, vertexSource, fragmentSource) {
  const program = gl.createProgram();
  const sources = [
    [gl.VERTEX_SHADER, vertexSource],
    [gl.FRAGMENT_SHADER, fragmentSource],
  ];
  for (const [kind, source] of /** @type {[number, string][]} */ (sources)) {
    const shader = /** @type {WebGLShader} */ (gl.createShader(kind));
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
    gl.deleteShader(shader); // takes effect when the program is deleted
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
    const shaders = gl.getAttachedShaders(program) ?? [];
    const log = [...shaders.map((shader) => gl.getShaderInfoLog(shader)), gl.getProgramInfoLog(program)];
    throw new ViewerError(
      `This graphics driver cannot compile the viewer's shaders: ${log.join(" ").trim()}`,
    );
  }
  return program;
}
