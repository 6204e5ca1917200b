// @ts-check
/// <reference lib="dom" />
/** The jobs of this browser: their ids and prompts are kept here, all else is asked of the server. */
import { ApiError, deleteJob, getFile, getJob } from "./api.js";
import { copyOf, element, within } from "./element.js";
import { isEnded } from "./stage.js";

/** @import { Job } from "./api.js" */
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
 * Lists what was made.
 *
 * @param {typeof listener} on What happens when a job is chosen, and when it was deleted.
 */
export function startHistory(on) {
  listener = on;
  const list = within(element("history"), "ul");
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
      await deleteJob(id);
    } catch (error) {
      if (!isGone(error)) {
        within(item, ".text").textContent = "It could not be deleted.";
        return;
      }
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
  try {
    const job = await getJob(id);
    await describe(job);
    if (!isEnded(job)) setTimeout(() => void look(id), LOOK_AGAIN);
    return job;
  } catch (error) {
    if (isGone(error)) forget(id);
    return null;
  }
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
    const medium = file.type.startsWith("video/") ? document.createElement("video") : new Image();
    medium.src = URL.createObjectURL(blob);
    thumb.replaceChildren(medium);
  }
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

/** @param {unknown} error */
function isGone(error) {
  return error instanceof ApiError && error.status === 404;
}

/** @returns {Past[]} Read each time, for other tabs add to it too. */
function read() {
  return JSON.parse(localStorage.getItem(KEY) ?? "[]");
}

/** @param {Past[]} pasts */
function write(pasts) {
  localStorage.setItem(KEY, JSON.stringify(pasts));
}
