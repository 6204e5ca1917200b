// @ts-check
/// <reference lib="dom" />
/** Shows one job: how far it is, its pictures, and what can be done with it. */
import { deleteJob, followJob } from "./api.js";
import { element } from "./element.js";
import { describeProgress, describeTime } from "./sentences.js";
import { createTile } from "./tile.js";

/** @import { Job, JobEvent, Model } from "./api.js" */
/** @import { Tile } from "./tile.js" */

/**
 * @typedef {object} Shown
 * @property {Job} job
 * @property {Tile[]} tiles
 * @property {AbortController} left Is aborted when another job is shown.
 */

/** @type {Shown | null} */
let shown = null;

/** @returns {Job | null} */
export function shownJob() {
  return shown?.job ?? null;
}

/** @param {Pick<Job, "state">} job */
export function isEnded({ state }) {
  return state !== "queued" && state !== "running";
}

/**
 * Shows a job, and what becomes of it.
 *
 * @param {Job} job
 * @param {{
 *   model: Model | null,
 *   onSeed: (seed: string) => void,
 *   onChange: (job: Job) => void,
 * }} options
 */
export async function showJob(job, { model, onSeed, onChange }) {
  clearStage();
  const { prompts, n } = job.request;
  const levels = model?.levels ?? [];
  const tiles = Array.from(
    { length: prompts.length * n },
    (_, picture) => createTile(picture, levels, { onSeed }),
  );
  const pictures = element("pictures");
  pictures.append(...tiles.map((tile) => tile.element));
  pictures.classList.toggle("single", tiles.length === 1);
  element("stage").classList.add("busy");
  const left = new AbortController();
  shown = { job, tiles, left };
  show({ change: "state", job });
  onChange(job);
  if (isEnded(job)) return;
  try {
    await followJob(job.id, {
      onEvent: (event) => {
        show(event);
        if (event.change !== "progress") onChange(event.job);
      },
      onLost: () => element("progress-text").textContent = "The connection was lost; trying again",
      signal: left.signal,
    });
  } catch (error) {
    if (!left.signal.aborted) showJobError(error);
  }
}

/** Shows nothing. */
export function clearStage() {
  shown?.left.abort();
  shown?.tiles.forEach((tile) => tile.remove());
  shown = null;
  element("stage").classList.remove("busy");
  element("progress").hidden = true;
  element("job-error").textContent = "";
  element("job-warnings").textContent = "";
  document.title = "mdm";
}

/** Stops the job that is shown; nothing happens where it has ended. */
export async function cancelShown() {
  if (shown === null || isEnded(shown.job)) return;
  element("progress-text").textContent = "Canceling";
  try {
    await deleteJob(shown.job.id);
  } catch (error) {
    showJobError(error);
  }
}

/** @param {unknown} error */
function showJobError(error) {
  element("job-error").textContent = error instanceof Error ? error.message : String(error);
}

/** @param {JobEvent} event */
function show({ job, file }) {
  if (shown?.job.id !== job.id) return;
  const before = shown.job;
  shown.job = job;
  const ended = isEnded(job);
  for (const tile of shown.tiles) tile.show(job, file);
  showButtons(ended);
  element("job-warnings").textContent = job.warnings.join(" ");
  const pictures = element("pictures");
  pictures.classList.toggle("waiting", !ended);
  pictures.classList.toggle("stopped", ended && job.state !== "succeeded");
  if (ended) showEnd(job);
  else showProgress(job);
  announce(before, job);
}

/** @param {Job} job */
function showProgress(job) {
  const { step, steps } = job.progress;
  element("progress-text").textContent = describeProgress(job);
  const bar = element("bar", HTMLProgressElement);
  if (job.state === "running" && steps > 0) {
    bar.max = steps;
    bar.value = step;
    document.title = `${Math.floor(step / steps * 100)}% · ${job.request.prompts[0]}`;
  } else {
    bar.removeAttribute("value");
    document.title = `Waiting · ${job.request.prompts[0]}`;
  }
}

/** @param {Job} job */
function showEnd({ request, state, timings, error }) {
  document.title = `${request.prompts[0]} · mdm`;
  element("progress-text").textContent = state === "canceled"
    ? "Canceled"
    : state === "failed"
    ? "Failed"
    : timings === null
    ? "Done"
    : `Done in ${describeTime(timings.stepsMs)}`;
  element("job-error").textContent = error?.message ?? "";
}

/** @param {boolean} ended */
function showButtons(ended) {
  const cancel = element("cancel");
  const focused = document.activeElement === cancel;
  element("progress").hidden = false;
  cancel.hidden = ended;
  element("again").hidden = !ended;
  element("reuse").hidden = !ended;
  element("bar").classList.toggle("ended", ended);
  if (focused && ended) element("again").focus();
}

/**
 * For those who do not see it: how it goes, without every step.
 *
 * @param {Job} before
 * @param {Job} job
 */
function announce(before, job) {
  const said = element("announcement");
  const half = ({ progress: { step, steps } } = job) => steps > 0 && step >= steps / 2;
  if (isEnded(job)) said.textContent = element("progress-text").textContent;
  else if (job.state === "queued") said.textContent = `${describeProgress(job)}.`;
  else if (half() && !half(before)) said.textContent = `Half done. ${describeProgress(job)}.`;
  else if (before.state === "queued" && job.state === "running") said.textContent = "It has begun.";
}
