// @ts-check
/// <reference lib="dom" />
/** The native API of the server that the page came from; addresses are relative, for it may be behind a proxy's path. */
import { askForToken, authorization } from "./token.js";

/**
 * @typedef {object} JobFile
 * @property {string} name
 * @property {number} picture Which picture of the job, from 0.
 * @property {number} level Which resolution, 0 is the outermost.
 * @property {string} seed
 * @property {string} type
 * @property {number} width
 * @property {number} height
 */

/**
 * @typedef {object} Job
 * @property {string} id
 * @property {"queued" | "running" | "succeeded" | "failed" | "canceled"} state
 * @property {number | null} position Jobs that come before it.
 * @property {{ step: number, steps: number, etaMs: number | null }} progress
 * @property {JobFile[]} files
 * @property {JobFile[]} previews
 * @property {{ code: string, message: string } | null} error
 * @property {string[]} warnings What should be known although it is no error.
 * @property {{ stepsMs: number } | null} timings
 * @property {JobRequest} request What is made; posted again, it gives the same pictures.
 */

/** @typedef {{ prompts: string[], n: number, seed: string } & Record<string, unknown>} JobRequest */

/**
 * @typedef {object} FormField
 * @property {string} name
 * @property {string} label
 * @property {"text" | "number" | "digits" | "boolean" | "choice"} kind
 * @property {string} description
 * @property {number} [min]
 * @property {number} [max] Of text: letters.
 * @property {number | "any"} [step]
 * @property {string} [pattern]
 * @property {string[]} [choices]
 * @property {boolean} required
 * @property {unknown} [default] What is taken where it is left empty,
 * @property {string} [otherwise] or that in words, where it depends.
 */

/**
 * @typedef {object} Model
 * @property {string} name
 * @property {"pictures" | "videos"} makes
 * @property {{ width: number, height: number }[]} levels The outermost first.
 * @property {number} frames
 * @property {{ name: string, description: string, defaultSteps: number }[]} samplers
 * @property {string[]} formats
 * @property {{ sampler: string, guidance: number, steps: number | null, negative: string }} defaults
 * @property {{ pictures: number, steps: number, promptLength: number, pixels: number }} limits
 * @property {FormField[]} form
 */

/**
 * @typedef {object} JobEvent
 * @property {"state" | "progress" | "preview" | "file" | "end"} change
 * @property {Job} job
 * @property {JobFile} [file]
 */

/** What the server says is wrong, in a sentence. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} message
   * @param {{ path: (string | number)[], message: string }[]} fields
   */
  constructor(status, message, fields) {
    super(message);
    this.status = status;
    this.fields = fields;
  }
}

/**
 * Asks for the token where the server wants one and none was given yet, so that nothing is asked for in vain.
 *
 * @returns {Promise<void>}
 */
export async function enter() {
  const { needsToken } = await getState();
  if (needsToken && authorization().Authorization === undefined) await askForToken(undefined);
}

/** @returns {Promise<Model>} */
export async function getModel() {
  return await (await request("model")).json();
}

/** @returns {Promise<{ ready: boolean, reason: string | null, needsToken: boolean }>} How the server is; nobody needs a token to know. */
export async function getState() {
  const response = await reach("page/state");
  if (!response.ok) throw await asError(response);
  return await response.json();
}

/**
 * @param {Record<string, unknown>} body
 * @returns {Promise<Job>}
 */
export async function postJob(body) {
  const headers = { "Content-Type": "application/json" };
  return await (await request("jobs", { method: "POST", headers, body: JSON.stringify(body) }))
    .json();
}

/**
 * Of some jobs those that the server still has.
 *
 * @param {string[]} ids
 * @returns {Promise<Job[]>}
 */
export async function findJobs(ids) {
  if (ids.length === 0) return [];
  return (await (await request(`jobs?ids=${ids}`)).json()).jobs;
}

/**
 * @param {string} id
 * @returns {Promise<Job | null>} Null: the server has it no longer.
 */
export async function findJob(id) {
  return (await findJobs([id]))[0] ?? null;
}

/**
 * Cancels a job; one that has ended is removed.
 *
 * @param {string} id
 */
export async function deleteJob(id) {
  await request(`jobs/${id}`, { method: "DELETE" });
}

/**
 * @param {string} id
 * @param {string} name
 * @param {AbortSignal} [signal]
 * @returns {Promise<Blob>}
 */
export async function getFile(id, name, signal) {
  return await (await request(`jobs/${id}/files/${name}`, { signal: signal ?? null })).blob();
}

/** Milliseconds before a stream of events that broke off is opened again: at first, and at most. */
const FIRST_PAUSE = 500;
const LAST_PAUSE = 15_000;

/**
 * Tells what becomes of a job until it has ended, over lost connections.
 *
 * @param {string} id
 * @param {{ onEvent: (event: JobEvent) => void, onLost: () => void, signal: AbortSignal }} options
 */
export async function followJob(id, { onEvent, onLost, signal }) {
  let pause = FIRST_PAUSE;
  while (!signal.aborted) {
    try {
      for await (const event of jobEvents(id, signal)) {
        pause = FIRST_PAUSE;
        onEvent(event);
        if (event.change === "end") return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && error.status < 500) throw error;
    }
    onLost();
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(pause * 2, LAST_PAUSE);
  }
}

/**
 * Read by hand, for an EventSource sends no token.
 *
 * @param {string} id
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<JobEvent>}
 */
async function* jobEvents(id, signal) {
  const headers = { Accept: "text/event-stream" };
  const { body } = await request(`jobs/${id}/events`, { headers, signal });
  if (body === null) return;
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const events = (text + read.value).split(/\r?\n\r?\n/);
    text = events.pop() ?? "";
    for (const event of events) {
      const change = /** @type {JobEvent["change"]} */ (field(event, "event"));
      const data = field(event, "data");
      if (data === "") continue; // A comment that keeps the connection open.
      const { file, ...job } = JSON.parse(data);
      yield { change, job, ...file !== undefined && { file } };
    }
  }
}

/**
 * @param {string} event
 * @param {string} name
 * @returns {string}
 */
function field(event, name) {
  const prefix = `${name}: `;
  return event.split(/\r?\n/).filter((line) => line.startsWith(prefix))
    .map((line) => line.slice(prefix.length)).join("\n");
}

/**
 * @param {string} path
 * @param {RequestInit} [init]
 * @returns {Promise<Response>} A good answer.
 */
async function request(path, init = {}) {
  while (true) {
    const token = authorization();
    const response = await reach(path, { ...init, headers: { ...init.headers, ...token } });
    if (response.ok) return response;
    if (response.status !== 401) throw await asError(response);
    await response.body?.cancel();
    await askForToken(token.Authorization);
  }
}

/**
 * @param {string} path
 * @param {RequestInit} [init]
 * @returns {Promise<Response>} Any answer.
 */
async function reach(path, init = {}) {
  try {
    return await fetch(path, init);
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Error("The server cannot be reached: check the connection, then try again.");
  }
}

/**
 * @param {Response} response
 * @returns {Promise<ApiError>}
 */
async function asError(response) {
  const { error } = await response.json().catch(() => ({}));
  const message = error?.message ?? `The server answered with an error (${response.status}).`;
  return new ApiError(response.status, message, error?.fields ?? []);
}
