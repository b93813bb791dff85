// How a splat becomes pixels: the same arithmetic as stag4d/rendering. A Gaussian is projected to first
// order, blurred by 0.3 square pixels, drawn where its alpha reaches 1/255, and at most 0.99 opaque.

/** Splats that one instance draws: far fewer instances are far faster where WebGL runs in software. */
export const SPLATS_PER_INSTANCE = 128;

export const VERTEX_SHADER = `#version 300 es
precision highp float;
precision highp int;
precision highp usampler2D;
precision highp usampler2DArray;

uniform usampler2DArray moving;  // two frames of texels, see clip.mjs
uniform usampler2D paint;        // red, green, blue, opacity
uniform usampler2D order;        // indices of splats, farthest first
uniform int count;
uniform int width;               // of the textures
uniform ivec2 layers;            // of the earlier and the later frame
uniform float mixing;            // 0 at the earlier, 1 at the later
uniform vec3 meansLow, meansStep, scalesLow, scalesStep, quatsLow, quatsStep;
uniform vec4 paintLow, paintStep;
uniform mat3 rotation;           // world to camera
uniform vec3 translation;
uniform vec2 focal, size;        // pixels

flat out vec4 color;
out vec2 deviations;             // from the center, along the ellipse's axes

const float BLUR = 0.3;
const float NEAR = 0.01;
const float MARGIN = 1.3;        // of half the field of view: beyond it the projection is not linearized

vec3 unpackMean(uvec4 texel) {
  return meansLow + meansStep * vec3(texel.x & 0xffffu, texel.x >> 16, texel.y & 0xffffu);
}

vec3 unpackLogScale(uvec4 texel) {
  return scalesLow + scalesStep * vec3(texel.y >> 16, texel.z & 0xffffu, texel.z >> 16);
}

vec4 unpackQuat(uvec4 texel) {   // wxyz
  uint word = texel.w;
  vec3 three = quatsLow + quatsStep * vec3(word & 1023u, (word >> 10) & 1023u, (word >> 20) & 1023u);
  float largest = sqrt(max(0.0, 1.0 - dot(three, three)));
  switch (int(word >> 30)) {
    case 0: return vec4(largest, three);
    case 1: return vec4(three.x, largest, three.yz);
    case 2: return vec4(three.xy, largest, three.z);
    default: return vec4(three, largest);
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
  gl_Position = vec4(0.0, 0.0, 2.0, 1.0);  // outside: nothing is drawn
  color = vec4(0.0);
  deviations = vec2(0.0);
  int rank = gl_InstanceID * ${SPLATS_PER_INSTANCE} + (gl_VertexID >> 2);
  if (rank >= count) return;
  vec2 corner = vec2((gl_VertexID & 1) * 2 - 1, (gl_VertexID & 2) - 1);
  int index = int(texelFetch(order, ivec2(rank % width, rank / width), 0).x);
  ivec2 place = ivec2(index % width, index / width);

  uvec2 words = texelFetch(paint, place, 0).xy;
  color = paintLow + paintStep * vec4(words.x & 0xffffu, words.x >> 16, words.y & 0xffffu, words.y >> 16);
  float reach = sqrt(max(0.0, 2.0 * log(255.0 * color.a)));  // deviations at which alpha falls to 1/255
  if (reach <= 0.0) return;

  uvec4 earlier = texelFetch(moving, ivec3(place, layers.x), 0);
  uvec4 later = texelFetch(moving, ivec3(place, layers.y), 0);
  vec3 mean = rotation * mix(unpackMean(earlier), unpackMean(later), mixing) + translation;
  if (mean.z < NEAR) return;
  vec3 scale = exp(mix(unpackLogScale(earlier), unpackLogScale(later), mixing));
  vec4 quat = unpackQuat(earlier), other = unpackQuat(later);
  quat = normalize(mix(quat, dot(quat, other) < 0.0 ? -other : other, mixing));

  mat3 axes = rotation * rotationOf(quat);
  axes = mat3(axes[0] * scale.x, axes[1] * scale.y, axes[2] * scale.z);
  vec2 limit = MARGIN * 0.5 * size / focal;
  vec2 slope = clamp(mean.xy / mean.z, -limit, limit);
  vec3 across = vec3(focal.x, 0.0, -focal.x * slope.x) / mean.z * axes;
  vec3 down = vec3(0.0, focal.y, -focal.y * slope.y) / mean.z * axes;
  float xx = dot(across, across) + BLUR, xy = dot(across, down), yy = dot(down, down) + BLUR;

  // The axes of the ellipse: eigenvectors and square roots of eigenvalues of the 2x2 covariance.
  float middle = 0.5 * (xx + yy), spread = length(vec2(0.5 * (xx - yy), xy));
  float major = middle + spread, minor = max(middle - spread, BLUR);
  vec2 axis = abs(xy) < 1e-6 * middle ? (xx >= yy ? vec2(1.0, 0.0) : vec2(0.0, 1.0))
                                      : normalize(vec2(xy, major - xx));
  deviations = corner * reach;
  vec2 offset = axis * sqrt(major) * deviations.x + vec2(-axis.y, axis.x) * sqrt(minor) * deviations.y;
  vec2 pixel = focal * mean.xy / mean.z + offset;  // from the middle of the picture, y down
  gl_Position = vec4(2.0 * vec2(pixel.x, -pixel.y) / size, 0.0, 1.0);
}`;

export const FRAGMENT_SHADER = `#version 300 es
precision highp float;

flat in vec4 color;
in vec2 deviations;
out vec4 pixel;

void main() {
  float alpha = min(0.99, color.a * exp(-0.5 * dot(deviations, deviations)));
  if (alpha < 1.0 / 255.0) discard;
  pixel = vec4(color.rgb * alpha, alpha);
}`;
