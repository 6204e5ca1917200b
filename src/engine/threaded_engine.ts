import { canonicalJson } from "../canonical_json.ts";
import { median } from "../median.ts";
import type { Engine, ImageResult, ImageUpdate, MakeOptions } from "./engine.ts";
import type { EngineCommand, EngineOptions, EngineReport } from "./engine_protocol.ts";
import type { ImageTask, NewImageTask, StepEvent } from "./image_task.ts";

/** What an engine reports of itself. */
export type EngineEvent = StepEvent | EngineReport & { readonly kind: "started" };

export type EngineState =
  /** Loading; the reason says what was lost, after a failure. */
  | { readonly kind: "starting"; readonly reason: string | null }
  | { readonly kind: "ready"; readonly adapter: string; readonly slots: number }
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "closed" };

/** One of those who wait for an image. */
interface Waiter {
  readonly onUpdate: (update: ImageUpdate) => void;
  readonly resolve: (result: ImageResult) => void;
}

/** An image that the thread was asked for, by everybody who wants the same. */
interface SharedTask {
  readonly task: ImageTask;
  readonly key: string;
  readonly waiters: Set<Waiter>;
  /** The last update, for those who come later. */
  last: ImageUpdate | null;
  /** The same of warnings, which come once. */
  warned: ImageUpdate | null;
  hasBegun: boolean;
  /** How often the engine broke while it was computed. */
  breaks: number;
}

/** What an engine needs of its thread. */
export type EngineThread = Pick<Worker, "onmessage" | "onerror" | "postMessage">;

function startThread(): EngineThread {
  return new Worker(new URL("./engine_thread.ts", import.meta.url), { type: "module" });
}

/** An image that broke the engine as often is not tried again. */
const MOST_BREAKS = 2;

/** Milliseconds before a new thread is started after one that broke. */
const RESTART_MS = 1000;

/** Steps whose median is known. */
const REMEMBERED = 32;

/**
 * An engine in a thread of its own, with a GPU. A thread that breaks (a lost device) is replaced, and its images are begun again. Images
 * that are asked for twice at a time are made once.
 */
export class ThreadedEngine implements Engine, AsyncDisposable {
  /** Is called with steps, and parts of a start. */
  onEvent: (event: EngineEvent) => void = () => {};
  /** Is called when the state changes. */
  onState: (state: EngineState) => void = () => {};
  #state: EngineState = { kind: "starting", reason: null };
  #thread: EngineThread;
  readonly #tasks = new Map<string, SharedTask>();
  readonly #byKey = new Map<string, SharedTask>();
  readonly #stepTimes: number[] = [];
  #restart: ReturnType<typeof setTimeout> | undefined;
  #ended = Promise.withResolvers<void>();

  /** Begins to load; images may be asked for at once. */
  constructor(
    private readonly options: EngineOptions,
    private readonly newThread: () => EngineThread = startThread,
  ) {
    this.#thread = this.#start();
  }

  get state(): EngineState {
    return this.#state;
  }

  get slots(): number {
    return this.#state.kind === "ready" ? this.#state.slots : 0;
  }

  get stepMs(): number | null {
    return this.#stepTimes.length === 0 ? null : median(this.#stepTimes);
  }

  /** Images that are being made. */
  get busy(): number {
    return this.#tasks.values().filter(({ hasBegun }) => hasBegun).toArray().length;
  }

  async make(
    task: NewImageTask,
    { signal, onUpdate = () => {} }: MakeOptions = {},
  ): Promise<ImageResult> {
    signal?.throwIfAborted();
    const shared = this.#sharedTask(task);
    const { promise, resolve, reject } = Promise.withResolvers<ImageResult>();
    const waiter = { onUpdate, resolve };
    shared.waiters.add(waiter);
    if (shared.warned !== null) onUpdate(shared.warned);
    if (shared.last !== null) onUpdate(shared.last);
    const leave = () => {
      shared.waiters.delete(waiter);
      if (shared.waiters.size === 0) this.#drop(shared);
      reject(signal!.reason);
    };
    signal?.addEventListener("abort", leave, { once: true });
    try {
      return await promise;
    } finally {
      signal?.removeEventListener("abort", leave);
    }
  }

  save(): void {
    if (this.#state.kind === "ready") return this.#send({ kind: "save" });
    for (const { task: { id, saved = null } } of this.#tasks.values()) {
      this.#settle({ kind: "saved", id, saved });
    }
  }

  /** Ends the thread; nobody may wait for an image any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#restart);
    if (this.#state.kind === "starting" || this.#state.kind === "ready") {
      if (this.#restart === undefined) this.#send({ kind: "close" });
      else this.#ended.resolve();
      await this.#ended.promise;
      // It may have broken at its end.
      clearTimeout(this.#restart);
    }
    this.#setState({ kind: "closed" });
  }

  #start(): EngineThread {
    this.#restart = undefined;
    this.#ended = Promise.withResolvers();
    const thread = this.newThread();
    thread.onmessage = ({ data }: MessageEvent<EngineReport>) => this.#receive(data);
    thread.onerror = (event) => {
      event.preventDefault();
      this.#receive({ kind: "broken", message: `The engine ended: ${event.message}` });
      this.#receive({ kind: "ended" });
    };
    thread.postMessage({ kind: "start", options: this.options } satisfies EngineCommand);
    return thread;
  }

  #receive(report: EngineReport): void {
    switch (report.kind) {
      case "step":
        this.#stepTimes.push(report.ms);
        if (this.#stepTimes.length > REMEMBERED) this.#stepTimes.shift();
        return this.onEvent(report);
      case "started":
        return this.onEvent(report);
      case "ready":
        return this.#setState(report);
      case "broken":
        return this.#mend(report.message);
      case "ended":
        return this.#ended.resolve();
      case "warned":
      case "began":
      case "progress":
      case "preview":
        return this.#update(report);
      case "made":
      case "failed":
      case "saved":
        return this.#settle(report);
    }
  }

  #update(update: ImageUpdate): void {
    const shared = this.#tasks.get(update.id);
    if (shared === undefined) return;
    shared.hasBegun = true;
    if (update.kind === "warned") shared.warned = update;
    else shared.last = update;
    for (const { onUpdate } of shared.waiters) onUpdate(update);
  }

  #settle(result: ImageResult): void {
    const shared = this.#tasks.get(result.id);
    if (shared === undefined) return;
    this.#forget(shared);
    for (const { resolve } of shared.waiters) resolve(result);
  }

  /** The task of the same image, where it is being made, or a new one. */
  #sharedTask(task: NewImageTask): SharedTask {
    const key = keyOf(task);
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const shared: SharedTask = {
      task: { ...task, id: crypto.randomUUID() },
      key,
      waiters: new Set(),
      last: null,
      warned: null,
      hasBegun: false,
      breaks: 0,
    };
    this.#tasks.set(shared.task.id, shared);
    this.#byKey.set(key, shared);
    if (this.#state.kind === "failed") {
      const { reason } = this.#state;
      queueMicrotask(() => this.#fail(shared, reason));
    } else if (this.#restart === undefined) this.#send({ kind: "make", task: shared.task });
    return shared;
  }

  #drop(shared: SharedTask): void {
    this.#forget(shared);
    this.#send({ kind: "cancel", id: shared.task.id });
  }

  #forget({ task: { id }, key }: SharedTask): void {
    this.#tasks.delete(id);
    this.#byKey.delete(key);
  }

  #fail(shared: SharedTask, message: string): void {
    this.#settle({ kind: "failed", id: shared.task.id, error: { code: "failed", message } });
  }

  /** After a thread that broke: a new one, unless none has ever been ready. */
  #mend(message: string): void {
    if (this.#state.kind === "closed" || this.#restart !== undefined) return;
    const wasReady = this.#state.kind === "ready" || this.#state.kind === "starting" &&
        this.#state.reason !== null;
    for (const shared of this.#tasks.values()) {
      if (shared.hasBegun) shared.breaks++;
      shared.hasBegun = false;
      if (!wasReady || shared.breaks >= MOST_BREAKS) this.#fail(shared, message);
    }
    if (!wasReady) return this.#setState({ kind: "failed", reason: message });
    this.#setState({ kind: "starting", reason: message });
    this.#restart = setTimeout(() => {
      this.#thread = this.#start();
      for (const { task } of this.#tasks.values()) this.#send({ kind: "make", task });
    }, RESTART_MS);
  }

  #send(command: EngineCommand): void {
    this.#thread.postMessage(command);
  }

  #setState(state: EngineState): void {
    this.#state = state;
    this.onState(state);
  }
}

/** Images with the same key have the same bytes. */
function keyOf({ resolved: { plan: _, ...settings }, output, saved }: NewImageTask): string {
  // An image that goes on from a saved state is one that was asked for before: nobody else shares it.
  const own = saved === undefined ? null : crypto.randomUUID();
  return canonicalJson({ own, settings, output });
}
