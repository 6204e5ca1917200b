/**
 * Stands in for the server of the page: the page's own protocol, and the native API with jobs to which only happens what a test says.
 */
import type { Limits, ModelCard } from "../../../src/jobs/jobs.ts";
import { encodeAnimation } from "../../../src/media/animation.ts";
import { encodeImage } from "../../../src/media/image.ts";
import { webPage } from "../../../src/server/page/mod.ts";

const MODEL = {
  name: "stand-in",
  levels: [{ width: 32, height: 32 }, { width: 16, height: 16 }, { width: 8, height: 8 }],
  sizeStep: 8,
};

const LIMITS: Limits = {
  pictures: 4,
  steps: 1000,
  promptLength: 2000,
  pixels: 1 << 20,
  queueMs: 60_000,
  runMs: 60_000,
  waitMs: 60_000,
};

const STEPS = 20;

interface StandInFile {
  readonly name: string;
  readonly url: string;
  readonly picture: number;
  readonly level: number;
  readonly seed: string;
  readonly type: string;
  readonly width: number;
  readonly height: number;
  readonly frames: number;
  readonly bytes: number;
}

interface StandInJob {
  readonly id: string;
  state: "queued" | "running" | "succeeded" | "failed" | "canceled";
  readonly createdAt: string;
  position: number | null;
  readonly request: {
    readonly prompts: readonly string[];
    readonly n: number;
    readonly seed: string;
    readonly [option: string]: unknown;
  };
  progress: { step: number; steps: number; etaMs: number | null };
  files: readonly StandInFile[];
  previews: readonly StandInFile[];
  error: { readonly code: string; readonly message: string } | null;
  warnings: string[];
  timings: { readonly stepsMs: number } | null;
}

type Send = (event: string, data: unknown) => void;

export interface StandInOptions {
  /** Without it none is needed. */
  readonly token?: string;
  /** "pictures" unless given. */
  readonly makes?: ModelCard["makes"];
}

/** A server on a port of this machine. */
export class PageStandIn implements AsyncDisposable {
  /** Why the model is not ready. */
  reason: string | null = null;
  /** What the next job that is asked for is refused with, once. */
  refusal: Response | null = null;
  /** Bodies that were posted. */
  readonly posted: Record<string, unknown>[] = [];
  readonly #jobs = new Map<string, StandInJob>();
  readonly #contents = new Map<string, Uint8Array<ArrayBuffer>>();
  readonly #readers = new Map<string, Set<Send>>();
  readonly #token: string | undefined;
  readonly #model: ModelCard;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor({ token, makes = "pictures" }: StandInOptions = {}) {
    this.#token = token;
    this.#model = { ...MODEL, makes, frames: makes === "videos" ? 2 : 1 };
    const jobs = { model: this.#model, limits: LIMITS, defaults: {} };
    // The page asks its protocol for nothing else.
    const { routes: page } = webPage({ jobs } as Parameters<typeof webPage>[0]);
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) => this.#answer(request) ?? page.fetch(request),
    );
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/`;
  }

  /** The job that was asked for last. */
  get last(): StandInJob {
    return [...this.#jobs.values()].at(-1)!;
  }

  has(id: string): boolean {
    return this.#jobs.has(id);
  }

  /** Lets so many jobs come before the last one. */
  wait(position: number): void {
    this.last.position = position;
    this.#tell(this.last, "state");
  }

  /** Says what should be known of the last job. */
  warn(...warnings: string[]): void {
    this.last.warnings = warnings;
    this.#tell(this.last, "progress");
  }

  /** Says how far the last job is. */
  step(step: number, etaMs: number | null = null): void {
    const job = this.last;
    const change = job.state === "running" ? "progress" : "state";
    job.state = "running";
    job.position = null;
    job.progress = { step, steps: STEPS, etaMs };
    this.#tell(job, change);
  }

  /** Gives a preview of a picture of the last job. */
  async preview(level: number, picture = 0): Promise<void> {
    const job = this.last;
    const file = await this.#file(job, picture, level, "preview-");
    job.previews = [...job.previews.filter(({ name }) => name !== file.name), file];
    this.#tell(job, "preview", file);
  }

  /** Gives all pictures of the last job, and ends it. */
  async succeed(): Promise<void> {
    const job = this.last;
    const inner = job.request.levels === true ? [1, 2] : [];
    for (let picture = 0; picture < job.request.n; picture++) {
      for (const level of [0, ...inner]) {
        const file = await this.#file(job, picture, level, "");
        job.files = [...job.files, file];
        this.#tell(job, "file", file);
      }
    }
    job.timings = { stepsMs: 2400 };
    this.#end(job, "succeeded");
  }

  fail(message: string): void {
    this.last.error = { code: "failed", message };
    this.#end(this.last, "failed");
  }

  /** Cuts every stream of events, as a proxy might. */
  cut(): void {
    for (const readers of this.#readers.values()) {
      for (const send of readers) send("cut", null);
    }
  }

  /** Forgets a job, as servers do after a time. */
  forget(id: string): void {
    this.#jobs.delete(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await this.#server.shutdown();
  }

  /** Undefined: it is the page's affair. */
  #answer(request: Request): Promise<Response> | Response | undefined {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/page/state") {
      const needsToken = this.#token !== undefined;
      return Response.json({ ready: this.reason === null, reason: this.reason, needsToken });
    }
    const [, top, id = "", rest, name = ""] = pathname.split("/");
    if (top !== "jobs" && top !== "model") return undefined;
    const given = request.headers.get("Authorization");
    if (this.#token !== undefined && given !== `Bearer ${this.#token}`) {
      return refuse(401, "unauthorized", "Send the token.");
    }
    if (top === "model") return undefined;
    if (request.method === "POST") return this.#submit(request);
    const ids = searchParams.get("ids")?.split(",");
    if (ids) return Response.json({ jobs: ids.flatMap((id) => this.#jobs.get(id) ?? []) });
    const job = this.#jobs.get(id);
    if (job === undefined) return refuse(404, "not_found", "There is no such job.");
    if (request.method === "DELETE") return this.#delete(job);
    if (rest === "events") return this.#events(job);
    if (rest !== "files") return Response.json(job);
    const content = this.#contents.get(`${id}/${name}`);
    const type = name.endsWith(".mp4") ? "video/mp4" : "image/png";
    const headers = { "Content-Type": type, "Cache-Control": "no-store" };
    return content === undefined
      ? refuse(404, "not_found", "There is no such file.")
      : new Response(content, { headers });
  }

  async #submit(request: Request): Promise<Response> {
    const body = await request.json();
    this.posted.push(body);
    const refusal = this.refusal;
    this.refusal = null;
    if (refusal !== null) return refusal;
    const { prompt, prompts = [prompt], n = 1, seed = "1234567", ...options } = body;
    const job: StandInJob = {
      id: crypto.randomUUID(),
      state: "queued",
      createdAt: new Date().toISOString(),
      position: 0,
      request: { ...options, prompts, n, seed: String(seed) },
      progress: { step: 0, steps: STEPS, etaMs: null },
      files: [],
      previews: [],
      error: null,
      warnings: [],
      timings: null,
    };
    this.#jobs.set(job.id, job);
    return Response.json(job, { status: 202 });
  }

  #delete(job: StandInJob): Response {
    if (job.state === "queued" || job.state === "running") this.#end(job, "canceled");
    else this.#jobs.delete(job.id);
    return new Response(null, { status: 204 });
  }

  #events(job: StandInJob): Response {
    const readers = this.#readers.get(job.id) ?? new Set();
    this.#readers.set(job.id, readers);
    let send: Send;
    const body = new ReadableStream<string>({
      start: (controller) => {
        send = (event, data) => {
          if (event !== "cut") {
            controller.enqueue(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
          }
          if (event !== "cut" && event !== "end") return;
          readers.delete(send);
          controller.close();
        };
        readers.add(send);
        send("state", job);
      },
      cancel: () => void readers.delete(send),
    });
    return new Response(body.pipeThrough(new TextEncoderStream()), {
      headers: { "Content-Type": "text/event-stream", "Cache-Control": "no-store" },
    });
  }

  #end(job: StandInJob, state: StandInJob["state"]): void {
    job.state = state;
    job.position = null;
    this.#tell(job, "end");
  }

  #tell(job: StandInJob, event: string, file?: StandInFile): void {
    const data = file === undefined ? job : { ...job, file };
    for (const send of this.#readers.get(job.id) ?? []) send(event, data);
  }

  async #file(
    job: StandInJob,
    picture: number,
    level: number,
    prefix: string,
  ): Promise<StandInFile> {
    const { width, height } = this.#model.levels[level]!;
    const result = prefix === "";
    const video = result && this.#model.makes === "videos";
    const type = video ? "mp4" : "png";
    const name = `${prefix}${picture}${level === 0 ? "" : `-${width}x${height}`}.${type}`;
    const image = { width, height, data: circle(width) };
    const content = video
      ? await encodeAnimation([image, image], "mp4", { fps: 8 })
      : await encodeImage(image, "png");
    this.#contents.set(`${job.id}/${name}`, content);
    return {
      name,
      url: `${this.url}jobs/${job.id}/files/${name}`,
      picture,
      level,
      seed: String(BigInt(job.request.seed) + BigInt(picture)),
      type: video ? "video/mp4" : "image/png",
      width,
      height,
      frames: result ? this.#model.frames : 1,
      bytes: content.length,
    };
  }
}

/** A red circle on a blue background. */
function circle(side: number): Uint8Array {
  const data = new Uint8Array(side * side * 4);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const inside = Math.hypot(x + 0.5 - side / 2, y + 0.5 - side / 2) < side * 0.32;
      data.set(inside ? [214, 54, 44, 255] : [38, 76, 160, 255], (y * side + x) * 4);
    }
  }
  return data;
}

/** An error as the native API tells it. */
export function refuse(
  status: number,
  code: string,
  message: string,
  fields?: readonly { readonly path: readonly string[]; readonly message: string }[],
): Response {
  const headers = status === 429 ? { "Retry-After": "3" } : {};
  return Response.json({ error: { code, message, ...fields && { fields } } }, { status, headers });
}
