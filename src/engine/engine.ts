import type { EngineCommand, EngineOptions, EngineReport } from "./engine_protocol.ts";
import { canonicalJson } from "../jobs/canonical_json.ts";
import type { PictureEvent, PictureTask, StepEvent } from "./picture_task.ts";

/** How a picture ended; `saved`: the engine was told to stop. */
export type PictureEnd = PictureEvent & { readonly kind: "made" | "failed" | "saved" };

/** What happens on the way. */
export type PictureNews = PictureEvent & {
  readonly kind: "warned" | "began" | "progress" | "preview";
};

/** What else an engine tells. */
export type EngineNews = StepEvent | EngineReport & { readonly kind: "started" };

export type EngineState =
  /** Loading; the reason says what was lost, after a failure. */
  | { readonly kind: "starting"; readonly reason: string | null }
  | { readonly kind: "ready"; readonly adapter: string; readonly slots: number }
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "closed" };

/** Who waits for a picture. */
interface Waiter {
  readonly onNews: (news: PictureNews) => void;
  readonly resolve: (end: PictureEnd) => void;
}

/** A picture that the thread was asked for, by everybody who wants the same. */
interface Entry {
  readonly task: PictureTask;
  readonly key: string;
  readonly waiters: Set<Waiter>;
  /** The last news, for who comes later. */
  last: PictureNews | null;
  /** The same of warnings, which come once. */
  warned: PictureNews | null;
  hasBegun: boolean;
  /** How often the engine broke while it was computed. */
  breaks: number;
}

/** What an engine needs of its thread. */
export type EngineThread = Pick<Worker, "onmessage" | "onerror" | "postMessage">;

function startThread(): EngineThread {
  return new Worker(new URL("./engine_thread.ts", import.meta.url), { type: "module" });
}

/** A picture that broke the engine as often is not tried again. */
const MOST_BREAKS = 2;

/** Milliseconds before a new thread is started after one that broke. */
const RESTART_MS = 1000;

/**
 * The engine: a thread with a GPU that makes pictures. One that breaks (a lost device) is replaced, and its pictures are begun again.
 * Pictures that are asked for twice at a time are made once.
 */
export class Engine implements AsyncDisposable {
  /** Is told of steps, and of the parts of a start. */
  onNews: (news: EngineNews) => void = () => {};
  /** Is called when the state changes. */
  onState: (state: EngineState) => void = () => {};
  #state: EngineState = { kind: "starting", reason: null };
  #thread: EngineThread;
  readonly #entries = new Map<string, Entry>();
  readonly #byKey = new Map<string, Entry>();
  #restart: ReturnType<typeof setTimeout> | undefined;
  #ended = Promise.withResolvers<void>();

  /** Begins to load; pictures may be asked for at once. */
  constructor(
    private readonly options: EngineOptions,
    private readonly newThread: () => EngineThread = startThread,
  ) {
    this.#thread = this.#start();
  }

  get state(): EngineState {
    return this.#state;
  }

  /** Pictures that are being made. */
  get busy(): number {
    return this.#entries.values().filter(({ hasBegun }) => hasBegun).toArray().length;
  }

  /**
   * Makes a picture.
   *
   * @throws The signal's reason when it is aborted.
   */
  async make(
    task: Omit<PictureTask, "id">,
    { signal, onNews = () => {} }: {
      readonly signal?: AbortSignal;
      readonly onNews?: (news: PictureNews) => void;
    } = {},
  ): Promise<PictureEnd> {
    signal?.throwIfAborted();
    const entry = this.#entryOf(task);
    const { promise, resolve, reject } = Promise.withResolvers<PictureEnd>();
    const waiter = { onNews, resolve };
    entry.waiters.add(waiter);
    if (entry.warned !== null) onNews(entry.warned);
    if (entry.last !== null) onNews(entry.last);
    const leave = () => {
      entry.waiters.delete(waiter);
      if (entry.waiters.size === 0) this.#drop(entry);
      reject(signal!.reason);
    };
    signal?.addEventListener("abort", leave, { once: true });
    try {
      return await promise;
    } finally {
      signal?.removeEventListener("abort", leave);
    }
  }

  /** Stops every picture: all that are waited for end as "saved". */
  save(): void {
    if (this.#state.kind === "ready") return this.#send({ kind: "save" });
    for (const { task: { id, saved = null } } of this.#entries.values()) {
      this.#settle({ kind: "saved", id, saved });
    }
  }

  /** Ends the thread; nobody may wait for a picture any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#restart);
    if (this.#state.kind === "starting" || this.#state.kind === "ready") {
      if (this.#restart === undefined) this.#send({ kind: "close" });
      else this.#ended.resolve();
      await this.#ended.promise;
      // It may have broken at its end.
      clearTimeout(this.#restart);
    }
    this.#turn({ kind: "closed" });
  }

  #start(): EngineThread {
    this.#restart = undefined;
    this.#ended = Promise.withResolvers();
    const thread = this.newThread();
    thread.onmessage = ({ data }: MessageEvent<EngineReport>) => this.#hear(data);
    thread.onerror = (event) => {
      event.preventDefault();
      this.#hear({ kind: "broken", message: `The engine ended: ${event.message}` });
      this.#hear({ kind: "ended" });
    };
    thread.postMessage({ kind: "start", options: this.options } satisfies EngineCommand);
    return thread;
  }

  #hear(report: EngineReport): void {
    switch (report.kind) {
      case "step":
      case "started":
        return this.onNews(report);
      case "ready":
        return this.#turn(report);
      case "broken":
        return this.#mend(report.message);
      case "ended":
        return this.#ended.resolve();
      case "warned":
      case "began":
      case "progress":
      case "preview":
        return this.#tell(report);
      case "made":
      case "failed":
      case "saved":
        return this.#settle(report);
    }
  }

  #tell(news: PictureNews): void {
    const entry = this.#entries.get(news.id);
    if (entry === undefined) return;
    entry.hasBegun = true;
    if (news.kind === "warned") entry.warned = news;
    else entry.last = news;
    for (const { onNews } of entry.waiters) onNews(news);
  }

  #settle(end: PictureEnd): void {
    const entry = this.#entries.get(end.id);
    if (entry === undefined) return;
    this.#forget(entry);
    for (const { resolve } of entry.waiters) resolve(end);
  }

  /** The picture that is being made of the same request, or a new one. */
  #entryOf(task: Omit<PictureTask, "id">): Entry {
    const key = keyOf(task);
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const entry: Entry = {
      task: { ...task, id: crypto.randomUUID() },
      key,
      waiters: new Set(),
      last: null,
      warned: null,
      hasBegun: false,
      breaks: 0,
    };
    this.#entries.set(entry.task.id, entry);
    this.#byKey.set(key, entry);
    if (this.#state.kind === "failed") {
      const { reason } = this.#state;
      queueMicrotask(() => this.#fail(entry, reason));
    } else if (this.#restart === undefined) this.#send({ kind: "make", task: entry.task });
    return entry;
  }

  #drop(entry: Entry): void {
    this.#forget(entry);
    this.#send({ kind: "cancel", id: entry.task.id });
  }

  #forget({ task: { id }, key }: Entry): void {
    this.#entries.delete(id);
    this.#byKey.delete(key);
  }

  #fail(entry: Entry, message: string): void {
    this.#settle({ kind: "failed", id: entry.task.id, error: { code: "failed", message } });
  }

  /** After a thread that broke: a new one, unless none has ever been ready. */
  #mend(message: string): void {
    if (this.#state.kind === "closed" || this.#restart !== undefined) return;
    const wasReady = this.#state.kind === "ready" || this.#state.kind === "starting" &&
        this.#state.reason !== null;
    for (const entry of this.#entries.values()) {
      if (entry.hasBegun) entry.breaks++;
      entry.hasBegun = false;
      if (!wasReady || entry.breaks >= MOST_BREAKS) this.#fail(entry, message);
    }
    if (!wasReady) return this.#turn({ kind: "failed", reason: message });
    this.#turn({ kind: "starting", reason: message });
    this.#restart = setTimeout(() => {
      this.#thread = this.#start();
      for (const { task } of this.#entries.values()) this.#send({ kind: "make", task });
    }, RESTART_MS);
  }

  #send(command: EngineCommand): void {
    this.#thread.postMessage(command);
  }

  #turn(state: EngineState): void {
    this.#state = state;
    this.onState(state);
  }
}

/** Pictures with the same key have the same bytes. */
function keyOf({ request, output, saved }: Omit<PictureTask, "id">): string {
  // A picture that goes on from a saved state is one that was asked for before: nobody else shares it.
  const own = saved === undefined ? null : crypto.randomUUID();
  return canonicalJson({ own, request, output });
}
