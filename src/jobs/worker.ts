import type { EngineOptions } from "../engine/engine_protocol.ts";
import { type EngineEvent, ThreadedEngine } from "../engine/threaded_engine.ts";
import { Runner, type RunnerOptions } from "./runner.ts";
import type { WorkerHealth } from "./service.ts";

export interface WorkerOptions extends Omit<RunnerOptions, "engine"> {
  readonly engine: EngineOptions;
  /** Is called with steps, and the parts of the start. */
  readonly onEvent?: (event: EngineEvent) => void;
  /** Is called once images can be made, and when they cannot any more. */
  readonly onState?: (health: WorkerHealth) => void;
}

/** Makes images for a queue: an engine, and a runner that takes jobs for it. */
export class Worker {
  readonly #engine: ThreadedEngine;
  readonly #runner: Runner;
  #isDraining = false;

  /** Begins to load the model at once. */
  constructor(private readonly options: WorkerOptions) {
    const engine = this.#engine = new ThreadedEngine(options.engine);
    engine.onEvent = (event) => options.onEvent?.(event);
    this.#runner = new Runner({ ...options, engine });
    engine.onState = () => {
      this.#runner.wake();
      options.onState?.(this.health());
    };
  }

  health(): WorkerHealth {
    const { state, busy, stepMs } = this.#engine;
    return {
      worker: this.#isDraining || state.kind === "closed" ? "draining" : state.kind,
      reason: "reason" in state ? state.reason : null,
      slots: { all: this.options.engine.slots, busy },
      stepMs,
    };
  }

  /** Takes no more jobs, and ends; those that are not done after so many milliseconds are given back, with how far they are. */
  async drain(graceMs: number): Promise<void> {
    this.#isDraining = true;
    await this.#runner.drain(graceMs);
    await this.#engine[Symbol.asyncDispose]();
  }
}
