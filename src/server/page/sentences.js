// @ts-check
/** What the page says of jobs and files. */

/** @import { Job, JobFile } from "./api.js" */

/**
 * @param {Job} job
 * @returns {string}
 */
export function describeProgress({ state, position, progress: { step, steps, etaMs } }) {
  if (state === "queued") {
    return position
      ? `Waiting: ${count(position, "job")} before this one`
      : "Waiting: next in line";
  }
  if (step === 0) return "Reading the prompt";
  const left = etaMs === null ? "" : ` · ${describeTime(etaMs)} left`;
  return `Step ${step} of ${steps}${left}`;
}

/**
 * @param {number} ms
 * @returns {string}
 */
export function describeTime(ms) {
  const seconds = Math.max(1, Math.round(ms / 1000));
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

/**
 * "3 pictures"
 *
 * @param {number} n
 * @param {string} what
 */
export function count(n, what) {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}

/**
 * "16 × 16"
 *
 * @param {{ width: number, height: number }} size
 */
export function describeSize({ width, height }) {
  return `${width} × ${height}`;
}

/** Letters of a prompt that a file's name takes over. */
const SLUG_LETTERS = 48;

/** @type {Record<string, string>} */
const EXTENSIONS = {
  "image/png": "png",
  "image/apng": "png",
  "image/jpeg": "jpg",
  "image/webp": "webp",
  "image/gif": "gif",
  "video/mp4": "mp4",
};

/**
 * As the command names files: "a-red-circle-7.png", of an inner resolution "a-red-circle-7-16x16.png".
 *
 * @param {string} prompt
 * @param {JobFile} file
 */
export function fileName(prompt, { seed, level, width, height, type }) {
  const words = prompt.normalize("NFC").toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
  const slug = [...words.join("-")].slice(0, SLUG_LETTERS).join("").replace(/-$/, "") || "picture";
  const size = level === 0 ? "" : `-${width}x${height}`;
  return `${slug}-${seed}${size}.${EXTENSIONS[type] ?? "bin"}`;
}
