// @ts-check
/// <reference lib="dom" />
/** What the browser keeps for the page. What it cannot keep is remembered as long as the page is open. */

/** @type {Map<string, string>} */
const remembered = new Map();

/**
 * @param {"localStorage" | "sessionStorage"} place
 * @param {string} key
 * @returns {string | null}
 */
export function recall(place, key) {
  const known = remembered.get(key);
  if (known !== undefined) return known;
  try {
    return globalThis[place].getItem(key);
  } catch {
    return null;
  }
}

/**
 * @param {"localStorage" | "sessionStorage"} place
 * @param {string} key
 * @param {string} value
 */
export function keep(place, key, value) {
  remembered.delete(key);
  try {
    globalThis[place].setItem(key, value);
  } catch {
    // It is full, or the person does not want it.
    remembered.set(key, value);
  }
}

/**
 * What was kept as JSON; anything else was not kept by this page.
 *
 * @param {string} key
 * @returns {unknown}
 */
export function recallJson(key) {
  try {
    return JSON.parse(recall("localStorage", key) ?? "null");
  } catch {
    return null;
  }
}

/**
 * @param {string} key
 * @param {unknown} value
 */
export function keepJson(key, value) {
  keep("localStorage", key, JSON.stringify(value));
}
