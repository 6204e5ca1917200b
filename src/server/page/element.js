// @ts-check
/// <reference lib="dom" />
/** Finds what index.html has. */

/**
 * @template {Element} [T=HTMLElement]
 * @param {string} id
 * @param {new () => T} [type]
 * @returns {T}
 */
export function element(id, type) {
  return instance(document.getElementById(id), type, `#${id}`);
}

/**
 * @template {Element} [T=HTMLElement]
 * @param {ParentNode} parent
 * @param {string} selector
 * @param {new () => T} [type]
 * @returns {T}
 */
export function within(parent, selector, type) {
  return instance(parent.querySelector(selector), type, selector);
}

/**
 * A copy of the one element in a template.
 *
 * @param {string} id
 * @returns {HTMLElement}
 */
export function copyOf(id) {
  const { content } = element(id, HTMLTemplateElement);
  return instance(content.firstElementChild?.cloneNode(true), HTMLElement, `#${id} > *`);
}

/**
 * @template {Element} T
 * @param {unknown} found
 * @param {(new () => T) | undefined} type
 * @param {string} name
 * @returns {T}
 */
function instance(found, type, name) {
  if (found instanceof (type ?? HTMLElement)) return /** @type {T} */ (found);
  throw new TypeError(`The page has no ${name}.`);
}
