/** Clients of a server, as many at a time as it is to be measured with. */

import { MdmError } from "../../src/errors.ts";
import { JobJson } from "../../src/server/protocols/native/job_json.ts";

/** A server, and what it wants to be sent; null: nothing. */
export interface Target {
  readonly url: string;
  readonly token: string | null;
}

export interface Load {
  /** Each asks for its next picture when it has the one before. */
  readonly clients: number;
  /** Pictures of all clients together, of the seeds from 0 on. */
  readonly pictures: number;
  readonly prompt: string;
  readonly steps: number;
}

/** Milliseconds, each as a client has seen it. */
export interface LoadTimes {
  readonly all: number;
  /** From asking for a picture to having its bytes. */
  readonly pictures: readonly number[];
  /** Of `/livez`, all the while. */
  readonly health: readonly number[];
}

/** What the server's steps were, since it began. */
export interface ServerNumbers {
  readonly steps: number;
  readonly stepSeconds: number;
  readonly stepPictures: number;
  readonly memoryBytes: number;
}

/** How often the server is asked whether it lives. */
const HEALTH_MS = 50;

/**
 * Has pictures made by a server and measures it.
 *
 * @param onPicture Is given each picture's bytes.
 * @throws {MdmError} When the server cannot be reached, or a picture is not made.
 */
export async function measureLoad(
  target: Target,
  { clients, pictures, ...request }: Load,
  { signal, onPicture }: {
    readonly signal: AbortSignal;
    readonly onPicture: (seed: number, bytes: Uint8Array<ArrayBuffer>) => Promise<void>;
  },
): Promise<LoadTimes> {
  const over = new AbortController();
  const until = AbortSignal.any([signal, over.signal]);
  const began = performance.now();
  const times: number[] = [];
  let seeds = 0;
  const client = async () => {
    while (seeds < pictures) {
      const seed = seeds++;
      const asked = performance.now();
      const bytes = await makePicture(target, { ...request, seed }, until);
      times.push(performance.now() - asked);
      await onPicture(seed, bytes);
    }
  };
  const work = async () => {
    await Promise.all(Array.from({ length: clients }, client));
    over.abort();
    return performance.now() - began;
  };
  try {
    const [all, health] = await Promise.all([work(), measureHealth(target, until)]);
    return { all, pictures: times, health };
  } finally {
    over.abort();
  }
}

/** Reads the numbers that a server tells Prometheus. */
export async function readNumbers(target: Target, signal: AbortSignal): Promise<ServerNumbers> {
  const text = await (await ask(target, "/metrics", { signal })).text();
  const value = (name: string) => Number(RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
  return {
    steps: value("mdm_step_seconds_count"),
    stepSeconds: value("mdm_step_seconds_sum"),
    stepPictures: value("mdm_step_pictures_total"),
    memoryBytes: value("process_resident_memory_bytes"),
  };
}

async function makePicture(
  target: Target,
  request: { readonly prompt: string; readonly steps: number; readonly seed: number },
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const response = await ask(target, "/jobs", {
    method: "POST",
    headers: { "Content-Type": "application/json", Prefer: "wait" },
    body: JSON.stringify(request),
    signal,
  });
  const { data: job } = JobJson.safeParse(await response.json().catch(() => null));
  if (job === undefined) throw new MdmError(`The server at ${target.url} is none of mdm.`);
  const [file] = job.files;
  if (job.state !== "succeeded" || file === undefined) {
    throw new MdmError(
      `A picture was not made: its job is ${job.state}${
        job.error === null ? "." : `: ${job.error.message}`
      }`,
    );
  }
  return await (await ask(target, `/jobs/${job.id}/files/${file.name}`, { signal })).bytes();
}

async function measureHealth(target: Target, until: AbortSignal): Promise<number[]> {
  const times: number[] = [];
  while (!until.aborted) {
    const asked = performance.now();
    try {
      await (await ask(target, "/livez", { signal: until })).text();
      times.push(performance.now() - asked);
    } catch (error) {
      if (!until.aborted) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, HEALTH_MS));
  }
  return times;
}

/** @throws {MdmError} When the server cannot be reached, or refuses. */
async function ask(
  { url, token }: Target,
  path: string,
  { headers = {}, signal, ...init }: RequestInit & {
    readonly headers?: Record<string, string>;
    readonly signal: AbortSignal;
  },
): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(`${url}${path}`, {
      ...init,
      redirect: "error",
      headers: { ...headers, ...token !== null && { Authorization: `Bearer ${token}` } },
      signal,
    });
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Deno.errors.NotCapable) throw error;
    throw new MdmError(`No server answers at ${url}: ${(error as Error).message}.`);
  }
  if (response.ok) return response;
  const { error } = await response.json().catch(() => ({}));
  throw new MdmError(
    `The server answered ${path} with ${response.status}: ${error?.message ?? "it says no more."}`,
  );
}
