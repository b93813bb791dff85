// Orbit cameras, as in stag4d/geometry/orbit.py: the world is y-up and right-handed, azimuth 0 is on +z and
// grows toward +x, positive elevation is above, camera axes are OpenCV (x right, y down, z forward).

/** @typedef {[number, number, number]} Vector */

/**
 * An orbit camera: degrees, world units.
 * @typedef {object} View
 * @property {number} azimuth around the y axis
 * @property {number} elevation above the horizontal plane
 * @property {number} radius distance from the target
 * @property {Vector} target look-at point
 * @property {number} fovy vertical field of view
 */

const MAX_ELEVATION = 89.9; // at the pole the up direction is undefined
const MIN_RADIUS = 0.05;
const MAX_RADIUS = 1e6;
const MAX_ZOOM_RADIUS = 100; // from a camera that is nearer
const FIT_MARGIN = 1.1; // distance of a fitted view, relative to the closest that shows the whole sphere

/**
 * Return the view of a pose, whose target is the origin.
 * @param {import("./header.mjs").Pose} pose
 * @returns {View}
 */
export function viewOfPose({ azimuth, elevation, radius, fovy }) {
  return { azimuth: wrap(azimuth), elevation, radius, target: [0, 0, 0], fovy };
}

/**
 * Return a camera's center and axes in world coordinates.
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
 * Orbit around the target.
 * @param {View} view
 * @param {number} azimuth degrees to the camera's right
 * @param {number} elevation degrees up
 * @returns {View}
 */
export function orbit(view, azimuth, elevation) {
  return checkedView({ ...view, azimuth: view.azimuth + azimuth, elevation: view.elevation + elevation });
}

/**
 * Move the camera and its target sideways, so that the target's plane follows the pointer.
 * @param {View} view
 * @param {number} right movement of the pointer, as a share of the image height
 * @param {number} down likewise
 * @returns {View}
 */
export function pan(view, right, down) {
  const axes = cameraAxes(view);
  const height = 2 * view.radius * Math.tan(radians(view.fovy) / 2); // of the image, in the target's plane
  return { ...view, target: add(add(view.target, axes.right, -right * height), axes.down, -down * height) };
}

/**
 * Change the distance from the target.
 * @param {View} view
 * @param {number} factor below 1 moves nearer, above 1 farther
 * @returns {View}
 */
export function zoom(view, factor) {
  return checkedView({
    ...view,
    radius: Math.min(view.radius * factor, Math.max(MAX_ZOOM_RADIUS, view.radius)),
  });
}

/**
 * Show the whole of a sphere, from the same direction.
 * @param {View} view
 * @param {{center: Vector, radius: number}} sphere
 * @param {number} aspect width of the image by its height
 * @returns {View}
 */
export function fit(view, sphere, aspect) {
  const halfY = radians(view.fovy) / 2;
  const half = Math.min(halfY, Math.atan(Math.tan(halfY) * aspect));
  return checkedView({
    ...view,
    target: sphere.center,
    radius: (FIT_MARGIN * sphere.radius) / Math.sin(half),
  });
}

/**
 * Return a view with its numbers clamped to their ranges.
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
 * Return whether two views are equal up to rounding, azimuths modulo 360 degrees.
 * @param {View} first
 * @param {View} second
 */
export function sameView(first, second) {
  const difference = (/** @type {keyof View} */ key) => Math.abs(Number(first[key]) - Number(second[key]));
  return (
    Math.abs(wrap(first.azimuth - second.azimuth)) < 0.01 &&
    difference("elevation") < 0.01 &&
    difference("fovy") < 0.01 &&
    difference("radius") < 1e-3 &&
    first.target.every((value, axis) => Math.abs(value - second.target[axis]) < 1e-3)
  );
}

/** @param {number} degrees */
export function radians(degrees) {
  return (degrees * Math.PI) / 180;
}

/**
 * @param {number} value
 * @param {number} min
 * @param {number} max
 */
export function clamp(value, min, max) {
  return Math.min(Math.max(value, min), max);
}

/**
 * Return an angle wrapped to [-180, 180) degrees.
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
