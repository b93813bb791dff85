// The shaders that turn a texture of depths into normals.

/** A triangle that covers the viewport. */
export const NORMALS_VERTEX_SHADER = `#version 300 es
void main() {
  gl_Position = vec4(float((gl_VertexID & 1) * 4 - 1), float((gl_VertexID & 2) * 2 - 1), 0.0, 1.0);
}`;

export const NORMALS_FRAGMENT_SHADER = `#version 300 es
precision highp float;
precision highp sampler2D;

uniform sampler2D depths; // depth times alpha, of 0 to 1, and alpha; the image is in its lower left corner
uniform ivec2 size;       // pixels
uniform float focal;      // pixels
uniform vec2 depthRange;  // camera z of depths 0 and 1, world units
out vec4 pixel;

const float VISIBLE = 0.5; // alpha above which a pixel shows the surface

// Camera axes as in OpenGL: x right, y up, z toward the camera.
vec3 pointAt(ivec2 at) {
  vec4 found = texelFetch(depths, at, 0);
  float z = mix(depthRange.x, depthRange.y, found.r / found.a);
  return vec3((vec2(at) + 0.5 - 0.5 * vec2(size)) / focal * z, -z);
}

bool isVisible(ivec2 at) {
  bool isInside = all(greaterThanEqual(at, ivec2(0))) && all(lessThan(at, size));
  return isInside && texelFetch(depths, at, 0).a > VISIBLE;
}

// Between the points of two neighbors; the pixel itself takes the place of one that is not visible.
vec3 difference(ivec2 at, ivec2 side) {
  ivec2 after = isVisible(at + side) ? at + side : at;
  ivec2 before = isVisible(at - side) ? at - side : at;
  return pointAt(after) - pointAt(before);
}

void main() {
  ivec2 at = ivec2(gl_FragCoord.xy);
  if (!isVisible(at)) discard;
  vec3 normal = cross(difference(at, ivec2(1, 0)), difference(at, ivec2(0, 1)));
  if (dot(normal, normal) == 0.0) discard;  // no visible neighbor in a row or column
  float alpha = texelFetch(depths, at, 0).a;
  pixel = vec4((0.5 + 0.5 * normalize(normal)) * alpha, alpha);
}`;
