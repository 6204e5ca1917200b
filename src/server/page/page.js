// @ts-check
/// <reference lib="dom" />
/** The page: what each key and button does. */
import { ApiError, enter, findJob, getModel, getState, postJob } from "./api.js";
import { element } from "./element.js";
import { newestId, noteInHistory, startHistory } from "./history.js";
import { describeSize } from "./sentences.js";
import {
  offerModel,
  readRequest,
  restoreSettings,
  showFieldErrors,
  takeSeed,
  takeSettings,
} from "./settings.js";
import { cancelShown, clearStage, isEnded, showJob, shownJob } from "./stage.js";

/** @import { Job, Model } from "./api.js" */

/** Milliseconds until a server that is not ready is asked again. */
const ASK_AGAIN = 1000;

const prompt = element("prompt");

/** @type {Model | null} */
let model = null;
/** @type {Promise<void> | null} */
let starting = null;
let posting = false;

/** @param {Job} job */
function show(job) {
  void showJob(job, { model, onSeed: takeSeed, onChange: noteInHistory });
}

/** @param {Record<string, unknown>} body */
async function make(body) {
  if (posting) return;
  posting = true;
  element("form-error").textContent = "";
  try {
    await start();
    show(await postJob(body));
    // The keyboard of a phone would cover the picture.
    if (matchMedia("(pointer: coarse)").matches) prompt.blur();
    element("stage").scrollIntoView({ block: "nearest" });
  } catch (error) {
    const told = error instanceof ApiError && showFieldErrors(error.fields);
    if (!told) showFormError(error);
  } finally {
    posting = false;
  }
}

/** @param {unknown} error */
function showFormError(error) {
  element("form-error").textContent = error instanceof Error ? error.message : String(error);
}

async function cancel() {
  await cancelShown();
  prompt.focus();
}

/** Says why no picture is made yet, until one can be. */
async function watchReadiness() {
  const place = element("readiness");
  const { ready, reason } = await getState().catch((error) => ({
    ready: false,
    reason: error instanceof ApiError ? error.message : "the server cannot be reached",
  }));
  place.textContent = ready ? "" : `Not ready yet: ${reason ?? "it is starting"}`;
  if (ready) await start().catch(showFormError);
  else setTimeout(watchReadiness, ASK_AGAIN);
}

/** Learns about the server, which works once; where it failed it is tried again. */
function start() {
  starting ??= meetServer().catch((error) => {
    starting = null;
    throw error;
  });
  return starting;
}

/** Shows what the model can do and what was made before. */
async function meetServer() {
  await enter();
  model = await getModel();
  element("form-error").textContent = "";
  const { name, makes, levels: [outermost], frames } = model;
  const size = outermost === undefined ? "" : ` · ${describeSize(outermost)}`;
  element("model").textContent = `${name}${size}${makes === "videos" ? ` · ${frames} frames` : ""}`;
  offerModel(model);
  await startHistory({
    onShow: show,
    onRemove: (id) => {
      if (shownJob()?.id === id) clearStage();
    },
  });
  const newest = newestId();
  if (newest === undefined) return;
  // One that was left running is shown again.
  const job = await findJob(newest).catch(() => null);
  if (job !== null && !isEnded(job) && shownJob() === null) show(job);
}

element("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const request = readRequest();
  if (request !== null) void make(request);
});

element("form").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  if (!(event.target instanceof HTMLTextAreaElement)) return;
  event.preventDefault();
  element("form", HTMLFormElement).requestSubmit();
});

document.addEventListener("keydown", (event) => {
  const asking = element("token", HTMLDialogElement).open;
  if (event.key === "Escape" && !asking && !event.isComposing) void cancel();
});

element("cancel").addEventListener("click", cancel);

element("again").addEventListener("click", () => {
  const job = shownJob();
  if (job === null) return;
  const { seed: _, ...request } = job.request;
  void make(request);
});

element("reuse").addEventListener("click", () => {
  const job = shownJob();
  if (job !== null) takeSettings(job.request);
  prompt.focus();
});

restoreSettings();
start().catch(showFormError);
void watchReadiness();
