import { median } from "../median.ts";
import { Engine, type EngineNews } from "../engine/engine.ts";
import type { EngineOptions } from "../engine/engine_protocol.ts";
import { Runner, type RunnerOptions } from "./runner.ts";
import type { WorkerHealth } from "./service.ts";

export interface WorkerOptions extends Omit<RunnerOptions, "maker"> {
  readonly engine: EngineOptions;
  /** Is told of steps, and of the parts of the start. */
  readonly onNews?: (news: EngineNews) => void;
  /** Is told once that pictures can be made, and when they cannot any more. */
  readonly onState?: (health: WorkerHealth) => void;
}

/** Steps whose median is told. */
const REMEMBERED = 32;

/** Makes pictures for a queue: an engine, and who brings it jobs. */
export class Worker {
  readonly #engine: Engine;
  readonly #runner: Runner;
  readonly #steps: number[] = [];
  #isDraining = false;

  /** Begins to load the model at once. */
  constructor(private readonly options: WorkerOptions) {
    const engine = this.#engine = new Engine(options.engine);
    engine.onNews = (news) => {
      if (news.kind === "step") this.#remember(news.ms);
      options.onNews?.(news);
    };
    const stepMs = () => this.#stepMs;
    this.#runner = new Runner({
      ...options,
      maker: {
        make: (task, ways) => engine.make(task, ways),
        save: () => engine.save(),
        get slots() {
          return engine.state.kind === "ready" ? engine.state.slots : 0;
        },
        get stepMs() {
          return stepMs();
        },
      },
    });
    engine.onState = () => {
      this.#runner.wake();
      options.onState?.(this.health());
    };
  }

  health(): WorkerHealth {
    const { state, busy } = this.#engine;
    return {
      worker: this.#isDraining || state.kind === "closed" ? "draining" : state.kind,
      reason: "reason" in state ? state.reason : null,
      slots: { all: this.options.engine.slots, busy },
      stepMs: this.#stepMs,
    };
  }

  /** Takes no more jobs, and ends; those that are not done after so many milliseconds are given back, with how far they are. */
  async drain(graceMs: number): Promise<void> {
    this.#isDraining = true;
    await this.#runner.drain(graceMs);
    await this.#engine[Symbol.asyncDispose]();
  }

  get #stepMs(): number | null {
    return this.#steps.length === 0 ? null : median(this.#steps);
  }

  #remember(ms: number): void {
    this.#steps.push(ms);
    if (this.#steps.length > REMEMBERED) this.#steps.shift();
  }
}
