// @ts-check
/// <reference lib="dom" />
/** The jobs of this browser: their ids and prompts are kept here, all else is asked of the server. */
import { deleteJob, findJob, findJobs, getFile } from "./api.js";
import { copyOf, element, within } from "./element.js";
import { isEnded } from "./stage.js";
import { keepJson, recallJson } from "./storage.js";

/** @import { Job, JobFile } from "./api.js" */
/** @typedef {{ id: string, prompt: string }} Past */

const KEY = "mdm.history";
/** Jobs that are remembered. */
const LIMIT = 60;
/** Milliseconds until a job that has not ended is looked at again. */
const LOOK_AGAIN = 2000;

/** @type {Map<string, HTMLElement>} */
const items = new Map();

/** Jobs are looked at when they come into sight. */
const sight = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    sight.unobserve(target);
    const id = /** @type {HTMLElement} */ (target).dataset.id;
    if (id !== undefined) void look(id);
  }
}, { rootMargin: "200px" });

/** @type {{ onShow: (job: Job) => void, onRemove: (id: string) => void }} */
let listener = { onShow: () => {}, onRemove: () => {} };

/**
 * Lists what was made and is still there.
 *
 * @param {typeof listener} on What happens when a job is chosen, and when it was deleted.
 */
export async function startHistory(on) {
  listener = on;
  const list = within(element("history"), "ul");
  const kept = read().map(({ id }) => id);
  const there = await findJobs(kept).then((jobs) => jobs.map(({ id }) => id), () => kept);
  const gone = kept.filter((id) => !there.includes(id));
  write(read().filter(({ id }) => !gone.includes(id)));
  for (const past of read()) {
    const item = itemOf(past);
    list.append(item);
    sight.observe(item);
  }
  hideIfEmpty();
}

/** @returns {string | undefined} The id of the newest job. */
export function newestId() {
  return read()[0]?.id;
}

/**
 * Adds a job, or shows what became of it.
 *
 * @param {Job} job
 */
export function noteInHistory(job) {
  if (!items.has(job.id)) {
    const past = { id: job.id, prompt: job.request.prompts[0] ?? "" };
    const all = [past, ...read()];
    write(all.slice(0, LIMIT));
    for (const { id } of all.slice(LIMIT)) forget(id);
    within(element("history"), "ul").prepend(itemOf(past));
    hideIfEmpty();
  }
  void describe(job);
}

/** @param {Past} past */
function itemOf({ id, prompt }) {
  const item = copyOf("past");
  item.dataset.id = id;
  within(item, ".text").textContent = prompt;
  const button = within(item, ".show", HTMLButtonElement);
  button.title = prompt;
  button.onclick = async () => {
    const job = await look(id);
    if (job !== null) listener.onShow(job);
  };
  const remove = within(item, ".delete", HTMLButtonElement);
  remove.ariaLabel = `Delete “${prompt}”`;
  remove.title = "Delete";
  remove.onclick = async () => {
    const neighbour = item.nextElementSibling ?? item.previousElementSibling;
    try {
      if (await findJob(id) !== null) await deleteJob(id);
    } catch {
      within(item, ".text").textContent = "It could not be deleted.";
      return;
    }
    forget(id);
    listener.onRemove(id);
    (neighbour === null ? element("prompt") : within(neighbour, ".show")).focus();
  };
  items.set(id, item);
  return item;
}

/**
 * Asks what became of a job; one that is gone is dropped.
 *
 * @param {string} id
 * @returns {Promise<Job | null>}
 */
async function look(id) {
  const job = await findJob(id).catch(() => undefined);
  if (job === undefined) return null; // It cannot be known now.
  if (job === null) {
    forget(id);
    return null;
  }
  await describe(job);
  if (!isEnded(job)) setTimeout(() => void look(id), LOOK_AGAIN);
  return job;
}

/** @param {Job} job */
async function describe(job) {
  const item = items.get(job.id);
  if (item === undefined) return;
  const thumb = within(item, ".thumb");
  const file = job.files.find(({ level }) => level === 0);
  if (file === undefined) {
    thumb.textContent = job.state;
  } else if (thumb.dataset.name !== file.name) {
    thumb.dataset.name = file.name;
    const blob = await getFile(job.id, file.name).catch(() => null);
    if (blob === null) return;
    thumb.replaceChildren(mediumOf(file, URL.createObjectURL(blob), job.request.prompts[0] ?? ""));
    // The prompt is said by the picture.
    within(item, ".text").ariaHidden = "true";
  }
}

/**
 * @param {JobFile} file
 * @param {string} address
 * @param {string} alt
 */
function mediumOf({ type }, address, alt) {
  if (!type.startsWith("video/")) return Object.assign(new Image(), { src: address, alt });
  const video = Object.assign(document.createElement("video"), { src: address, muted: true });
  video.ariaLabel = alt;
  return video;
}

/** @param {string} id */
function forget(id) {
  write(read().filter((past) => past.id !== id));
  const item = items.get(id);
  items.delete(id);
  const medium = item?.querySelector("img, video");
  if (medium) URL.revokeObjectURL(medium.getAttribute("src") ?? "");
  item?.remove();
  hideIfEmpty();
}

function hideIfEmpty() {
  element("history").hidden = items.size === 0;
}

/** @returns {Past[]} Each job once. Read each time, for other tabs add to it too. */
function read() {
  const kept = recallJson(KEY);
  const pasts = Array.isArray(kept) ? kept.filter(isPast) : [];
  return [...new Map(pasts.map((past) => [past.id, past])).values()].slice(0, LIMIT);
}

/**
 * @param {unknown} kept
 * @returns {kept is Past}
 */
function isPast(kept) {
  const { id, prompt } = /** @type {Partial<Past>} */ (kept ?? {});
  return typeof id === "string" && /^[\w-]{1,128}$/.test(id) && typeof prompt === "string";
}

/** @param {Past[]} pasts */
function write(pasts) {
  keepJson(KEY, pasts);
}
