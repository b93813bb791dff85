// The splatting shaders, with the arithmetic of stag4d/rendering: covariances are projected with the Jacobian
// of the perspective projection, 0.3 square pixels are added to their diagonal, alpha is at most 0.99, and a
// splat is rendered where its alpha is at least 1/255.

/** Splats rendered by one instance: fewer instances are much faster where WebGL runs in software. */
export const SPLATS_PER_INSTANCE = 128;

/**
 * What the colors of an image are: the splats' own, their depth or their normals.
 * @typedef {"color" | "depth" | "normals"} RenderMode
 */

/** @type {RenderMode[]} */
export const RENDER_MODES = ["color", "depth", "normals"];

/**
 * Return the vertex shader that renders colors, depth or normals.
 * @param {RenderMode} mode
 */
export function vertexShader(mode) {
  return VERTEX_SHADER.replace("MODE", mode.toUpperCase());
}

const VERTEX_SHADER = `#version 300 es
#define MODE
precision highp float;
precision highp int;
precision highp usampler2D;
precision highp usampler2DArray;

uniform usampler2DArray geometry; // two frames of texels, see s4d.mjs
uniform usampler2DArray rgba;     // red, green, blue, opacity: of two frames, or of all
uniform usampler2D order;         // indices of splats, farthest first
uniform int count;
uniform int width;                // of the textures
uniform ivec2 layers;             // of the earlier and the later frame
uniform ivec2 colorLayers;        // the same, equal if colors do not change
uniform float fraction;           // 0 at the earlier, 1 at the later
uniform vec3 meansLow, meansStep, scalesLow, scalesStep, quatsLow, quatsStep;
uniform vec4 rgbaLow, rgbaStep;
uniform mat3 rotation;            // world to camera
uniform vec3 translation;
uniform vec2 focal, size;         // pixels
uniform float splatSize;          // factor of the standard deviations
uniform vec2 depthRange;          // nearest and farthest camera z, world units

flat out vec4 color;
out vec2 sigmas;                  // distance from the center along the ellipse's axes, standard deviations

const float BLUR = 0.3;           // square pixels
const float NEAR = 0.01;
const float FARTHEST_GRAY = 0.1;  // of depth
const float MARGIN = 1.3;         // the Jacobian is taken at most at this multiple of half the field of view

vec4 unpackColor(uvec2 words) {
  return rgbaLow + rgbaStep * vec4(words.x & 0xffffu, words.x >> 16, words.y & 0xffffu, words.y >> 16);
}

vec3 unpackMean(uvec4 texel) {
  return meansLow + meansStep * vec3(texel.x & 0xffffu, texel.x >> 16, texel.y & 0xffffu);
}

vec3 unpackLogScale(uvec4 texel) {
  return scalesLow + scalesStep * vec3(texel.y >> 16, texel.z & 0xffffu, texel.z >> 16);
}

vec4 unpackQuat(uvec4 texel) {   // wxyz
  uint word = texel.w;
  vec3 others = quatsLow + quatsStep * vec3(word & 1023u, (word >> 10) & 1023u, (word >> 20) & 1023u);
  float largest = sqrt(max(0.0, 1.0 - dot(others, others)));
  switch (int(word >> 30)) {
    case 0: return vec4(largest, others);
    case 1: return vec4(others.x, largest, others.yz);
    case 2: return vec4(others.xy, largest, others.z);
    default: return vec4(others, largest);
  }
}

mat3 rotationOf(vec4 quat) {
  float w = quat.x, x = quat.y, y = quat.z, z = quat.w;
  return mat3(
    1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y),
    2.0 * (x * y - w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + w * x),
    2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y));
}

void main() {
  gl_Position = vec4(0.0, 0.0, 2.0, 1.0);  // outside the clip volume: culled
  color = vec4(0.0);
  sigmas = vec2(0.0);
  int rank = gl_InstanceID * ${SPLATS_PER_INSTANCE} + (gl_VertexID >> 2);
  if (rank >= count) return;
  vec2 corner = vec2((gl_VertexID & 1) * 2 - 1, (gl_VertexID & 2) - 1);
  int index = int(texelFetch(order, ivec2(rank % width, rank / width), 0).x);
  ivec2 texel = ivec2(index % width, index / width);

  color = unpackColor(texelFetch(rgba, ivec3(texel, colorLayers.x), 0).xy);
  if (colorLayers.x != colorLayers.y) {
    color = mix(color, unpackColor(texelFetch(rgba, ivec3(texel, colorLayers.y), 0).xy), fraction);
  }
  float cutoff = sqrt(max(0.0, 2.0 * log(255.0 * color.a)));  // standard deviations where alpha is 1/255
  if (cutoff <= 0.0) return;

  uvec4 earlier = texelFetch(geometry, ivec3(texel, layers.x), 0);
  uvec4 later = texelFetch(geometry, ivec3(texel, layers.y), 0);
  vec3 mean = rotation * mix(unpackMean(earlier), unpackMean(later), fraction) + translation;
  if (mean.z < NEAR) return;
  vec3 scale = exp(mix(unpackLogScale(earlier), unpackLogScale(later), fraction));
  vec4 quat = unpackQuat(earlier), other = unpackQuat(later);
  quat = normalize(mix(quat, dot(quat, other) < 0.0 ? -other : other, fraction));

  mat3 axes = rotation * rotationOf(quat);
#ifndef COLOR
  float depth = (mean.z - depthRange.x) / (depthRange.y - depthRange.x);
#endif
#ifdef DEPTH
  color.rgb = vec3(mix(1.0, FARTHEST_GRAY, clamp(depth, 0.0, 1.0)));
#endif
#ifdef NORMALS
  color.rgb = vec3(depth);  // normals.mjs makes normals of it
#endif
  scale *= splatSize;
  axes = mat3(axes[0] * scale.x, axes[1] * scale.y, axes[2] * scale.z);
  vec2 limit = MARGIN * 0.5 * size / focal;
  vec2 slope = clamp(mean.xy / mean.z, -limit, limit);
  vec3 rowX = vec3(focal.x, 0.0, -focal.x * slope.x) / mean.z * axes;  // rows of J W R S
  vec3 rowY = vec3(0.0, focal.y, -focal.y * slope.y) / mean.z * axes;
  float xx = dot(rowX, rowX) + BLUR, xy = dot(rowX, rowY), yy = dot(rowY, rowY) + BLUR;

  // The ellipse's axes: the eigenvectors of the 2x2 covariance, scaled by the roots of its eigenvalues.
  float middle = 0.5 * (xx + yy), spread = length(vec2(0.5 * (xx - yy), xy));
  float major = middle + spread, minor = max(middle - spread, BLUR);
  vec2 axis = abs(xy) < 1e-6 * middle ? (xx >= yy ? vec2(1.0, 0.0) : vec2(0.0, 1.0))
                                      : normalize(vec2(xy, major - xx));
  sigmas = corner * cutoff;
  vec2 offset = axis * sqrt(major) * sigmas.x + vec2(-axis.y, axis.x) * sqrt(minor) * sigmas.y;
  vec2 pixel = focal * mean.xy / mean.z + offset;  // from the image center, y down
  gl_Position = vec4(2.0 * vec2(pixel.x, -pixel.y) / size, 0.0, 1.0);
}`;

export const FRAGMENT_SHADER = `#version 300 es
precision highp float;

flat in vec4 color;
in vec2 sigmas;
out vec4 pixel;

void main() {
  float alpha = min(0.99, color.a * exp(-0.5 * dot(sigmas, sigmas)));
  if (alpha < 1.0 / 255.0) discard;
  pixel = vec4(color.rgb * alpha, alpha);
}`;
