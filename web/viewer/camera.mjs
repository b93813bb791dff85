// Orbit cameras, as in stag4d/geometry/orbit.py: the world is y-up and right-handed, azimuth 0 is on +z and
// grows towards +x, positive elevation is above, camera axes are OpenCV (x right, y down, z forward).

/** @typedef {[number, number, number]} Vector */

/**
 * A camera that looks at a point: degrees, world units.
 * @typedef {object} View
 * @property {number} azimuth around the y axis
 * @property {number} elevation above the horizontal plane
 * @property {number} radius distance from the target
 * @property {Vector} target what it looks at
 * @property {number} fovy vertical field of view
 */

const MAX_ELEVATION = 89.9; // at the pole the up direction is undefined
const MIN_RADIUS = 0.05;
const MAX_RADIUS = 100;
const FRAMED = 1.1; // how much larger than the object the fitted picture is

/**
 * Return the view of a pose, which looks at the origin.
 * @param {import("./header.mjs").Pose} pose
 * @returns {View}
 */
export function viewOfPose({ azimuth, elevation, radius, fovy }) {
  return { azimuth: wrap(azimuth), elevation, radius, target: [0, 0, 0], fovy };
}

/**
 * Return where a camera stands and its directions in the world.
 * @param {View} view
 * @returns {{right: Vector, down: Vector, forward: Vector, center: Vector}}
 */
export function cameraAxes({ azimuth, elevation, radius, target }) {
  const [sinA, cosA] = [Math.sin(radians(azimuth)), Math.cos(radians(azimuth))];
  const [sinE, cosE] = [Math.sin(radians(elevation)), Math.cos(radians(elevation))];
  /** @type {Vector} */
  const forward = [-cosE * sinA, -sinE, -cosE * cosA];
  return {
    right: [cosA, 0, -sinA],
    down: [sinE * sinA, -cosE, sinE * cosA],
    forward,
    center: add(target, forward, -radius),
  };
}

/**
 * Turn around the target.
 * @param {View} view
 * @param {number} azimuth degrees to the camera's right
 * @param {number} elevation degrees up
 * @returns {View}
 */
export function orbit(view, azimuth, elevation) {
  return checkedView({ ...view, azimuth: view.azimuth + azimuth, elevation: view.elevation + elevation });
}

/**
 * Move the camera and its target sideways, so that what is in the target's plane follows the pointer.
 * @param {View} view
 * @param {number} right how far the pointer went, as a share of the picture's height
 * @param {number} down the same
 * @returns {View}
 */
export function pan(view, right, down) {
  const axes = cameraAxes(view);
  const height = 2 * view.radius * Math.tan(radians(view.fovy) / 2); // of the picture, in the target's plane
  return { ...view, target: add(add(view.target, axes.right, -right * height), axes.down, -down * height) };
}

/**
 * Come nearer (below 1) or go away (above 1).
 * @param {View} view
 * @param {number} factor
 * @returns {View}
 */
export function zoom(view, factor) {
  return checkedView({ ...view, radius: view.radius * factor });
}

/**
 * Look from the same direction at the whole of a sphere.
 * @param {View} view
 * @param {{center: Vector, radius: number}} sphere
 * @param {number} aspect width of the picture by its height
 * @returns {View}
 */
export function fit(view, sphere, aspect) {
  const halfY = radians(view.fovy) / 2;
  const half = Math.min(halfY, Math.atan(Math.tan(halfY) * aspect));
  return checkedView({ ...view, target: sphere.center, radius: (FRAMED * sphere.radius) / Math.sin(half) });
}

/**
 * Return a view with its numbers in their ranges.
 * @param {View} view
 * @returns {View}
 * @throws {TypeError} if one is missing or not finite
 */
export function checkedView(view) {
  const { azimuth, elevation, radius, target, fovy } = view;
  const numbers = { azimuth, elevation, radius, fovy, "target[0]": target?.[0], "target[1]": target?.[1] };
  for (const [name, value] of Object.entries({ ...numbers, "target[2]": target?.[2] })) {
    if (!Number.isFinite(value)) throw new TypeError(`view: ${name} is ${value}; expected a finite number.`);
  }
  return {
    azimuth: wrap(azimuth),
    elevation: clamp(elevation, -MAX_ELEVATION, MAX_ELEVATION),
    radius: clamp(radius, MIN_RADIUS, MAX_RADIUS),
    target: [target[0], target[1], target[2]],
    fovy: clamp(fovy, 1, 170),
  };
}

/**
 * Whether two views show the same, up to rounding.
 * @param {View} first
 * @param {View} second
 */
export function sameView(first, second) {
  const away = (/** @type {keyof View} */ key) => Math.abs(Number(first[key]) - Number(second[key]));
  return (
    Math.abs(wrap(first.azimuth - second.azimuth)) < 0.01 &&
    away("elevation") < 0.01 &&
    away("fovy") < 0.01 &&
    away("radius") < 1e-3 &&
    first.target.every((value, axis) => Math.abs(value - second.target[axis]) < 1e-3)
  );
}

/** @param {number} degrees */
export function radians(degrees) {
  return (degrees * Math.PI) / 180;
}

/**
 * @param {number} value
 * @param {number} least
 * @param {number} most
 */
export function clamp(value, least, most) {
  return Math.min(Math.max(value, least), most);
}

/**
 * Return the same angle from -180 up to 180 degrees.
 * @param {number} degrees
 */
function wrap(degrees) {
  return degrees - 360 * Math.floor((degrees + 180) / 360);
}

/**
 * @param {Vector} point
 * @param {Vector} direction
 * @param {number} length
 * @returns {Vector}
 */
function add(point, direction, length) {
  return [
    point[0] + direction[0] * length,
    point[1] + direction[1] * length,
    point[2] + direction[2] * length,
  ];
}
