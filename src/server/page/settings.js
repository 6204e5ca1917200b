// @ts-check
/// <reference lib="dom" />
/** The form: prompt and settings, as they were left, and what is wrong with them. Its fields are those that the server offers. */
import { copyOf, element, within } from "./element.js";
import { keepJson, recallJson } from "./storage.js";

/** @import { FormField, JobRequest, Model } from "./api.js" */
/** @typedef {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} Field */

const KEY = "mdm.settings";

/** The order of fields: wide ones around narrow ones. */
const KINDS = ["text", "digits", "number", "choice", "boolean"];

const form = element("form", HTMLFormElement);

/** Puts back the prompt that was in the form when the page was left; settings follow with {@linkcode offerModel}. */
export function restoreSettings() {
  write(saved());
  form.addEventListener("input", remember);
}

/**
 * Offers what a model can do.
 *
 * @param {Model} model
 */
export function offerModel({ form: offered, samplers, defaults, limits }) {
  field("prompt").setAttribute("maxlength", String(limits.promptLength));
  const ordered = offered.toSorted((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind));
  element("fields").replaceChildren(...ordered.map(fieldOf));
  write(saved());

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

/** @param {FormField} offered */
function fieldOf({ name, label, kind, description, choices = [], ...more }) {
  const made = copyOf(`${kind}-field`);
  const labelling = within(made, "label", HTMLLabelElement);
  const input = /** @type {Field} */ (within(made, "input, select, textarea"));
  const error = within(made, ".error");
  labelling.append(label);
  labelling.htmlFor = name;
  error.id = `${name}-error`;
  input.id = name;
  input.name = name;
  input.title = description;
  input.required = more.required;
  input.setAttribute("aria-describedby", error.id);
  if (input instanceof HTMLSelectElement) {
    input.append(...choices.map((choice) => new Option(choice.toUpperCase(), choice)));
    if (typeof more.default === "string") input.value = more.default;
    return made;
  }
  for (const bound of /** @type {const} */ (["min", "max", "step", "pattern"])) {
    const value = more[bound];
    const attribute = kind === "text" && bound === "max" ? "maxlength" : bound;
    if (value !== undefined) input.setAttribute(attribute, String(value));
  }
  const standard = more.default ?? more.otherwise;
  if (kind === "boolean") input.toggleAttribute("checked", standard === true);
  else if (more.required) input.value = String(standard);
  else if (standard !== undefined) input.setAttribute("placeholder", String(standard));
  if (kind === "digits") within(made, "button", HTMLButtonElement).onclick = rollSeed;
  return made;
}

/**
 * What the form asks for; null: something is wrong with it, which is said beside it.
 *
 * @returns {Record<string, unknown> | null}
 */
export function readRequest() {
  const prompt = field("prompt").value.trim();
  const wrong = fields().filter((each) => !each.validity.valid && each.name !== "prompt")
    .map(({ name, validationMessage }) => ({ path: [name], message: validationMessage }));
  if (prompt === "") {
    wrong.unshift({ path: ["prompt"], message: "Type what the picture should show." });
  }
  showFieldErrors(wrong);
  if (wrong.length > 0) return null;

  /** @type {Record<string, unknown>} */
  const request = { prompt, preview: true };
  for (const each of fields().filter(({ name }) => name !== "prompt")) {
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
    fields().filter((each) => !(each instanceof HTMLSelectElement)).map(({ name }) => [name, ""]),
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
function rollSeed() {
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
  // Those that are not offered yet stay as they were.
  keepJson(KEY, { ...saved(), ...Object.fromEntries(values) });
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
