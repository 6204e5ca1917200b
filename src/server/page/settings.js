// @ts-check
/// <reference lib="dom" />
/** The form: prompt and settings, as they were left, and what is wrong with them. Its fields have the names of the API's. */
import { element } from "./element.js";
import { keepJson, recallJson } from "./storage.js";

/** @import { JobRequest, Model } from "./api.js" */
/** @typedef {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} Field */

const KEY = "mdm.settings";

const form = element("form", HTMLFormElement);

/** Puts back what was in the form when the page was left. */
export function restoreSettings() {
  write(saved());
  form.addEventListener("input", remember);
}

/**
 * Offers what a model can do.
 *
 * @param {Model} model
 */
export function offerModel({ makes, levels, samplers, formats, defaults, limits }) {
  const [own] = levels;
  field("prompt").setAttribute("maxlength", String(limits.promptLength));
  field("negative").setAttribute("maxlength", String(limits.promptLength));
  field("n").setAttribute("max", String(limits.pictures));
  field("steps").setAttribute("max", String(limits.steps));
  field("size").setAttribute("max", String(Math.floor(Math.sqrt(limits.pixels))));
  field("guidance").setAttribute("placeholder", String(defaults.guidance));
  field("negative").setAttribute("placeholder", defaults.negative);
  if (own !== undefined) field("size").setAttribute("placeholder", String(own.width));
  const videos = makes === "videos";
  if (videos) element("n-label").textContent = "Videos";
  // A video's size is that of all its frames side by side, which nobody has in mind.
  shown("size", !videos);
  shown("fps", videos);
  shown("levels", levels.length > 1);
  options("format", formats.map((name) => ({ value: name, text: name.toUpperCase() })));
  options("sampler", samplers.map(({ name }) => ({ value: name, text: name.toUpperCase() })));
  write({ sampler: defaults.sampler, ...saved() });

  const sampler = field("sampler");
  const describe = () => {
    const { description, defaultSteps } = samplers.find(({ name }) => name === sampler.value) ??
      { description: "", defaultSteps: "" };
    field("steps").setAttribute("placeholder", String(defaults.steps ?? defaultSteps));
    sampler.title = description;
  };
  form.addEventListener("change", describe);
  describe();
}

/**
 * What the form asks for; null: something is wrong with it, which is said beside it.
 *
 * @returns {Record<string, unknown> | null}
 */
export function readRequest() {
  const prompt = field("prompt").value.trim();
  const wrong = fields().filter((each) =>
    isShown(each) && !each.validity.valid && each.name !== "prompt"
  )
    .map(({ name, validationMessage }) => ({ path: [name], message: validationMessage }));
  if (prompt === "") {
    wrong.unshift({ path: ["prompt"], message: "Type what the picture should show." });
  }
  showFieldErrors(wrong);
  if (wrong.length > 0) return null;

  /** @type {Record<string, unknown>} */
  const request = { prompt, preview: true };
  for (const each of fields().filter((each) => isShown(each) && each.name !== "prompt")) {
    const value = each.value.trim();
    if (each instanceof HTMLInputElement && each.type === "checkbox") {
      request[each.name] = each.checked;
    } else if (value !== "") {
      request[each.name] = each.type === "number" ? Number(value) : value;
    }
  }
  return request;
}

/**
 * Says what is wrong beside each field, and goes to the first one.
 *
 * @param {{ path: (string | number)[], message: string }[]} errors
 * @returns {boolean} Whether each of them belongs to a field.
 */
export function showFieldErrors(errors) {
  const byName = new Map(
    errors.map(({ path: [name], message }) => [name === "prompts" ? "prompt" : name, message]),
  );
  for (const each of fields()) {
    const message = byName.get(each.name) ?? "";
    each.setAttribute("aria-invalid", String(message !== ""));
    const place = document.getElementById(`${each.name}-error`);
    if (place !== null) place.textContent = message;
  }
  const wrong = fields().filter((each) => byName.has(each.name));
  if (wrong.some(({ name }) => name !== "prompt")) {
    element("settings", HTMLDetailsElement).open = true;
  }
  wrong[0]?.focus();
  return wrong.length > 0 && wrong.length === byName.size;
}

/**
 * Takes over the settings of a job.
 *
 * @param {JobRequest} request
 */
export function takeSettings({ prompts, ...request }) {
  const left = Object.fromEntries(
    fields().filter(({ name }) => name !== "sampler" && name !== "format").map((
      { name },
    ) => [name, ""]),
  );
  write({ ...left, ...request, prompt: prompts[0] });
  remember();
}

/** @param {string} seed */
export function takeSeed(seed) {
  write({ seed });
  remember();
  element("settings", HTMLDetailsElement).open = true;
  field("seed").focus();
}

/** Draws a seed that a person can type. */
export function rollSeed() {
  write({ seed: String(crypto.getRandomValues(new Uint32Array(1))[0]) });
  remember();
}

/** @returns {Record<string, unknown>} What fields can hold. */
function saved() {
  const entries = Object.entries(recallJson(KEY) ?? {});
  return Object.fromEntries(
    entries.filter(([, value]) => typeof value === "string" || typeof value === "boolean"),
  );
}

function remember() {
  const values = fields().map((each) => [each.name, valueOf(each)]);
  keepJson(KEY, Object.fromEntries(values));
}

/**
 * @param {Field} field
 * @returns {string | boolean}
 */
function valueOf(field) {
  return field instanceof HTMLInputElement && field.type === "checkbox"
    ? field.checked
    : field.value;
}

/** @param {Record<string, unknown>} values */
function write(values) {
  for (const each of fields()) {
    const value = values[each.name];
    if (value === undefined) continue;
    if (each instanceof HTMLInputElement && each.type === "checkbox") each.checked = value === true;
    // An option that is not offered would leave the choice empty.
    else if (!(each instanceof HTMLSelectElement) || hasOption(each, value)) {
      each.value = String(value);
    }
  }
  form.dispatchEvent(new Event("change"));
}

/**
 * @param {HTMLSelectElement} select
 * @param {unknown} value
 */
function hasOption(select, value) {
  return [...select.options].some((option) => option.value === value);
}

/**
 * @param {string} name
 * @param {{ value: string, text: string }[]} choices
 */
function options(name, choices) {
  field(name).replaceChildren(...choices.map(({ value, text }) => new Option(text, value)));
}

/**
 * @param {string} name
 * @param {boolean} whether
 */
function shown(name, whether) {
  field(name).closest(".field, .check")?.toggleAttribute("hidden", !whether);
}

/** @param {Field} field */
function isShown(field) {
  return field.closest("[hidden]") === null;
}

/** @returns {Field[]} */
function fields() {
  return /** @type {Field[]} */ ([...form.elements].filter((each) =>
    each.getAttribute("name") !== null
  ));
}

/**
 * @param {string} name
 * @returns {Field}
 */
function field(name) {
  return /** @type {Field} */ (form.elements.namedItem(name));
}
