import { join } from "node:path";
import { MdmError } from "../src/errors.ts";
import type { Peer } from "./peers/mod.ts";
import { PeerProcess } from "./peers/process.ts";

/** How long is measured. */
export interface Effort {
  /** Measurements, of which the median counts. */
  readonly rounds: number;
  /** Milliseconds that a measurement takes at least: a wait takes 11 of them in Deno. */
  readonly roundMs: number;
  /** Milliseconds after which a peer that is slow is not measured again. */
  readonly budgetMs: number;
  /** Seconds that a peer is given for an answer. */
  readonly patience: number;
}

/** A first run that takes as long is not one of compiling only: it warms up enough. */
const SLOW_MS = 10_000;

/** A peer on its way through a case. */
export class PeerRun implements AsyncDisposable {
  readonly times: number[] = [];
  version: string | null = null;
  failure: string | null = null;
  readonly #process: PeerProcess;
  #repetitions = 1;
  #spentMs = 0;

  constructor(
    readonly peer: Peer,
    private readonly folder: string,
    private readonly effort: Effort,
  ) {
    this.#process = new PeerProcess(peer.command);
  }

  /** Where its outputs are once they are written. */
  get outputs(): string {
    return join(this.folder, `${this.peer.name}.safetensors`);
  }

  /** Loads the case, runs it until kernels are compiled and caches are warm, and finds how often a round has to run it. */
  async warmUp(): Promise<void> {
    await this.#attempt(async () => {
      const { roundMs, patience } = this.effort;
      this.version = await this.#process.open(this.folder, patience);
      let ms = await this.#process.run(1, patience);
      if (ms < SLOW_MS) ms = await this.#process.run(1, patience);
      // A few times, since a short run is mostly waiting for it.
      for (let tries = 0; ms < roundMs && tries < 4; tries++) {
        this.#repetitions = Math.ceil(this.#repetitions * roundMs / ms);
        ms = await this.#process.run(this.#repetitions, patience);
      }
    });
  }

  /** Measures once more, unless it has had its time. */
  async measure(): Promise<void> {
    if (this.#spentMs > this.effort.budgetMs) return;
    await this.#attempt(async () => {
      const ms = await this.#process.run(this.#repetitions, this.effort.patience);
      this.#spentMs += ms;
      this.times.push(ms / this.#repetitions);
    });
  }

  /** Writes what was computed. */
  async write(): Promise<void> {
    await this.#attempt(() => this.#process.write(this.outputs, this.effort.patience));
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    if (this.failure !== null) return;
    try {
      await work();
    } catch (error) {
      if (!(error instanceof MdmError)) throw error;
      this.failure = error.message;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }
}
