// Calls after methods of the host's objects.

/**
 * Call a function after a method of an object, with the same arguments; the object need not have the method.
 * @param {any} object
 * @param {string} method
 * @param {(...args: any[]) => void} call
 */
export function callAfter(object, method, call) {
  const original = object[method];
  object[method] = function (/** @type {any[]} */ ...args) {
    const result = original?.apply(this, args);
    call(...args);
    return result;
  };
}
