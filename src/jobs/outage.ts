import { Unavailable } from "./unavailable.ts";

/** Something outside that can be away: a queue or a store. */
export interface Watched {
  /** What it is called in sentences: 'the queue at 127.0.0.1:6379', 'the results in "data"'. */
  readonly name: string;
  /** Does what calls do, writing included. */
  check(): Promise<void>;
}

export interface OutageOptions {
  /** Is told when it is away, and when it is there again. */
  readonly warn: (line: string) => void;
  /** Milliseconds that a call may take unless it says otherwise: those who ask by HTTP are to hear within five seconds. */
  readonly patienceMs?: number;
  /** Milliseconds between two looks whether it is there again. */
  readonly lookMs?: number;
}

/** Looks in a row that have to go well, so that what comes and goes is not told of each time. */
const GOOD_LOOKS = 2;

/**
 * Watches something outside: no call to it takes longer than it may, and whether it is away is known to all who ask. An outage begins
 * with a call that is `Unavailable` and ends when it can be read and written again, which is looked for as long as it lasts.
 */
export class Outage implements Disposable {
  readonly #options: Required<OutageOptions>;
  #reason: string | null = null;
  #beganAt = 0;
  #endedAt = -Infinity;
  #goodLooks = 0;
  #looking: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;
  readonly #afterwards: (() => Promise<unknown>)[] = [];

  constructor(private readonly watched: Watched, options: OutageOptions) {
    this.#options = { patienceMs: 4000, lookMs: 1000, ...options };
  }

  /** Why it is away, in a sentence that names it; null: it is there, as far as is known. */
  get reason(): string | null {
    return this.#reason;
  }

  /** Whether it is there, and has been for so many milliseconds. */
  isThere(ms = 0): boolean {
    return this.#reason === null && performance.now() - this.#endedAt >= ms;
  }

  /**
   * What a call gives.
   *
   * @param late Is given what comes after nobody waits for it any more.
   * @throws {Unavailable} When it is away, or takes too long.
   */
  async ask<T>(
    call: () => Promise<T>,
    { patienceMs = this.#options.patienceMs, late = () => {} }: {
      readonly patienceMs?: number;
      readonly late?: (answer: T) => unknown;
    } = {},
  ): Promise<T> {
    const answer = Promise.try(call);
    const { promise: over, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      const seconds = Math.round(patienceMs / 1000);
      reject(
        new Unavailable(`Cannot use ${this.watched.name}: no answer within ${seconds} seconds.`),
      );
      answer.then(late).catch(() => {}); // Its error comes too late as well.
    }, patienceMs);
    try {
      return await Promise.race([answer, over]);
    } catch (error) {
      if (error instanceof Unavailable) this.#begin(error.message);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Looks whether it is there; where it is known to be away, there is no need to. */
  async look(): Promise<string | null> {
    if (this.#reason === null) {
      this.#looking ??= this.ask(() => this.watched.check())
        .catch((error) => {
          if (!(error instanceof Unavailable)) throw error;
        })
        .finally(() => this.#looking = undefined);
      await this.#looking;
    }
    return this.#reason;
  }

  /** Has something done as soon as it is there: now, unless it is known to be away. */
  afterwards(task: () => Promise<unknown>): void {
    this.#afterwards.push(task);
    if (this.#reason === null) this.#doWhatWaits();
  }

  /** Nothing is looked for or told any more. */
  [Symbol.dispose](): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  #begin(reason: string): void {
    if (this.#isOver) return;
    this.#goodLooks = 0;
    if (this.#reason === null) {
      this.#beganAt = performance.now();
      this.#options.warn(reason);
      this.#lookSoon();
    }
    this.#reason = reason;
  }

  #lookSoon(): void {
    if (this.#isOver) return;
    this.#timer = setTimeout(() => this.#lookAgain(), this.#options.lookMs);
  }

  async #lookAgain(): Promise<void> {
    try {
      await this.ask(() => this.watched.check());
      this.#goodLooks++;
    } catch {
      this.#goodLooks = 0;
    }
    if (this.#goodLooks < GOOD_LOOKS) return this.#lookSoon();
    this.#reason = null;
    this.#endedAt = performance.now();
    if (this.#isOver) return;
    const seconds = Math.round((this.#endedAt - this.#beganAt) / 1000);
    const name = this.watched.name.replace(/^./, (letter) => letter.toUpperCase());
    this.#options.warn(`${name} can be used again, after ${seconds} seconds.`);
    this.#doWhatWaits();
  }

  #doWhatWaits(): void {
    for (const task of this.#afterwards.splice(0)) {
      task().catch((error) => {
        if (error instanceof Unavailable) this.afterwards(task);
        else console.error(error);
      });
    }
  }
}
