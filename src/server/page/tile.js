// @ts-check
/// <reference lib="dom" />
/** One picture or video of a job: its previews while it forms, then the file, its seed and its downloads. */
import { getFile } from "./api.js";
import { copyOf, within } from "./element.js";
import { describeSize, fileName } from "./sentences.js";

/** @import { Job, JobFile } from "./api.js" */

/**
 * @typedef {object} Tile
 * @property {HTMLElement} element
 * @property {(job: Job, changed?: JobFile) => void} show What a job has of this picture by now; `changed` was written anew.
 * @property {() => void} remove
 */

/**
 * @param {number} picture Which one of the job.
 * @param {{ width: number, height: number }[]} levels The resolutions of the model, the outermost first.
 * @param {{ onSeed: (seed: string) => void }} options
 * @returns {Tile}
 */
export function createTile(picture, levels, { onSeed }) {
  const element = copyOf("tile");
  const frame = within(element, ".frame");
  const left = new AbortController();
  /** @type {string[]} Of what is seen, and of the one below. */
  const addresses = [];
  /** @type {string[]} */
  const innerAddresses = [];
  /** @type {Set<string>} Names of the inner files that can be downloaded, or will be. */
  const offered = new Set();
  /** @type {JobFile | null} What is seen, or is being fetched. */
  let shown = null;
  /** @type {{ job: Job, file: JobFile } | null} What comes after that. */
  let next = null;
  let busy = false;

  const [outermost] = levels;
  if (outermost !== undefined) {
    frame.style.aspectRatio = `${outermost.width} / ${outermost.height}`;
  }
  const zoom = within(element, ".zoom", HTMLButtonElement);
  zoom.onclick = () => zoom.setAttribute("aria-pressed", String(element.classList.toggle("large")));

  /**
   * One at a time, the newest next: a slow connection sees fewer previews, not older ones.
   *
   * @param {Job} job
   * @param {JobFile} file
   */
  const load = async (job, file) => {
    next = { job, file };
    shown = file;
    if (busy) return;
    busy = true;
    while (next !== null) {
      const { job, file } = next;
      next = null;
      try {
        const blob = await getFile(job.id, file.name, left.signal);
        const address = URL.createObjectURL(blob);
        addresses.push(address);
        await put(job, file, address);
      } catch (error) {
        // A preview that is missed is followed by a better one.
        if (isResult(job, file)) fail(error);
      }
    }
    busy = false;
  };

  /**
   * @param {Job} job
   * @param {JobFile} file
   * @param {string} address
   */
  const put = async (job, file, address) => {
    const result = isResult(job, file);
    const medium = file.type.startsWith("video/")
      ? await videoOf(address, promptOf(job))
      : await imageOf(address, promptOf(job));
    medium.classList.toggle("preview", !result);
    // The one before stays below while this one fades in.
    const [...before] = frame.querySelectorAll("img, video");
    for (const old of before.slice(0, -1)) old.remove();
    before.at(-1)?.setAttribute("aria-hidden", "true");
    frame.append(medium);
    for (const old of addresses.splice(0, addresses.length - (result ? 1 : 2))) {
      URL.revokeObjectURL(old);
    }
    const size = medium instanceof HTMLImageElement
      ? { width: medium.naturalWidth, height: medium.naturalHeight }
      : file;
    describeLevel(within(element, ".levels"), { level: file.level, levels: levels.length, size });
    element.classList.toggle("done", result);
    if (result) finish(job, file, address);
  };

  /**
   * @param {Job} job
   * @param {JobFile} file
   * @param {string} address
   */
  const finish = (job, file, address) => {
    const seed = within(element, ".seed-used", HTMLButtonElement);
    seed.textContent = `Use seed ${file.seed}`;
    seed.onclick = () => onSeed(file.seed);
    seed.after(downloadOf("Download", address, fileName(promptOf(job), file)));
    within(element, ".below").hidden = false;
  };

  /**
   * Offers the inner resolutions, where they are kept.
   *
   * @param {Job} job
   */
  const offerInner = (job) => {
    const inner = job.files.filter((file) => file.picture === picture && file.level > 0);
    for (const file of inner.filter(({ name }) => !offered.has(name))) {
      offered.add(file.name);
      getFile(job.id, file.name, left.signal).then((blob) => {
        const address = URL.createObjectURL(blob);
        innerAddresses.push(address);
        const link = downloadOf(describeSize(file), address, fileName(promptOf(job), file));
        within(element, ".below").append(link);
      }).catch(fail);
    }
  };

  /** @param {unknown} error */
  const fail = (error) => {
    if (left.signal.aborted) return;
    within(element, ".error").textContent = error instanceof Error ? error.message : String(error);
  };

  return {
    element,
    show(job, changed) {
      offerInner(job);
      const file = fileToShow(job, picture, levels.length);
      if (file === undefined) return;
      if (file.name !== shown?.name || file.name === changed?.name) void load(job, file);
    },
    remove() {
      left.abort();
      for (const address of [...addresses, ...innerAddresses]) URL.revokeObjectURL(address);
      element.remove();
    },
  };
}

/**
 * The result; before it is there, the smallest resolution at first and larger ones as the steps go by.
 *
 * @param {Pick<Job, "files" | "previews" | "progress">} job
 * @param {number} picture
 * @param {number} levels How many resolutions the model has.
 * @returns {JobFile | undefined}
 */
export function fileToShow({ files, previews, progress: { step, steps } }, picture, levels) {
  const result = files.find((file) => file.picture === picture && file.level === 0);
  if (result !== undefined) return result;
  const inner = Math.max(1, levels - 1);
  const share = steps === 0 ? 0 : step / steps;
  const due = inner - Math.min(inner - 1, Math.floor(share * inner));
  const smallestFirst = previews.filter((file) => file.picture === picture)
    .sort((a, b) => b.level - a.level);
  return smallestFirst.findLast(({ level }) => level >= due);
}

/**
 * @param {Job} job
 * @param {JobFile} file
 */
function isResult(job, file) {
  return file.level === 0 && job.files.some(({ name }) => name === file.name);
}

/** @param {Job} job */
function promptOf({ request }) {
  return request.prompts.join(", ");
}

/**
 * @param {string} address
 * @param {string} alt
 */
async function imageOf(address, alt) {
  const image = new Image();
  image.src = address;
  image.alt = alt;
  await image.decode();
  return image;
}

/**
 * @param {string} address
 * @param {string} label
 */
async function videoOf(address, label) {
  const video = document.createElement("video");
  video.ariaLabel = label;
  video.loop = true;
  video.muted = true;
  video.playsInline = true;
  video.controls = true;
  video.autoplay = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  video.src = address;
  await new Promise((resolve, reject) => {
    video.onloadeddata = resolve;
    video.onerror = () => reject(new Error("This browser cannot play the video: download it."));
  });
  return video;
}

/**
 * Squares of growing size, filled as far as the picture has come.
 *
 * @param {HTMLElement} place
 * @param {{ level: number, levels: number, size: { width: number, height: number } }} level
 */
function describeLevel(place, { level, levels, size }) {
  const squares = Array.from({ length: levels }, (_, k) => {
    const square = document.createElement("i");
    square.classList.toggle("reached", k < levels - level);
    return square;
  });
  place.replaceChildren(...squares, describeSize(size));
}

/**
 * @param {string} text
 * @param {string} address
 * @param {string} name
 */
function downloadOf(text, address, name) {
  const link = document.createElement("a");
  link.className = "button download";
  link.textContent = text;
  link.href = address;
  link.download = name;
  return link;
}
