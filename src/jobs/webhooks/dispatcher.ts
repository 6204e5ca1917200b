/** Tells clients what becomes of their jobs: posts what the queue has to be delivered, signed, until it was taken or given up. */

import { Webhook } from "../../deps/standardwebhooks.ts";
import { UsageError } from "../../errors.ts";
import type { Job, WebhookEvent } from "../job.ts";
import { type Backoff, backoffMs } from "../../net/backoff.ts";
import { fetchOutgoing, type OutgoingAnswer } from "../../net/outgoing.ts";
import type { Delivery, JobQueue, Settlement } from "../queue/queue.ts";
import { Unavailable } from "../unavailable.ts";

/** Tries of a delivery: spread over a day. */
const TRIES = 12;

const LONGEST_DELAY_MS = 24 * 60 * 60_000;

const BACKOFF: Backoff = {
  firstMs: 5_000,
  longestMs: LONGEST_DELAY_MS,
  factor: 2.5,
  jitter: [0.8, 1.2],
};

/** Tries under way at once, and those of them to one host. */
const AT_ONCE = 32;
const AT_ONCE_TO_HOST = 4;

/** Deliveries that are kept here until it is their turn, and those of them to one host: the others stay with the queue. */
const HELD = 256;
const HELD_TO_HOST = 64;

/** How long the queue gives a delivery to nobody else, less some time to settle it. */
const LEASE_MS = 60_000 - 5_000;

/** The headers of the standard webhooks, which prove who sent a body, and when. */
export function signedHeaders(secret: string, id: string, body: string): Record<string, string> {
  const now = new Date();
  return {
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(now.getTime() / 1000)),
    "webhook-signature": new Webhook(secret).sign(id, now, body),
  };
}

/**
 * Milliseconds until the next try; null: there is none.
 *
 * @param tries How many there were.
 * @param retryAfter What the receiver said: seconds or a date.
 */
export function retryDelay(tries: number, retryAfter = ""): number | null {
  if (tries >= TRIES) return null;
  const delay = Math.max(backoffMs(tries, BACKOFF), millisecondsOf(retryAfter));
  return Math.min(delay, LONGEST_DELAY_MS);
}

function millisecondsOf(retryAfter: string): number {
  if (/^\d+$/.test(retryAfter)) return Number(retryAfter) * 1000;
  const date = Date.parse(retryAfter);
  return Number.isNaN(date) ? 0 : date - Date.now();
}

export interface CourierOptions {
  readonly queue: Pick<JobQueue, "takeDeliveries" | "settleDelivery">;
  /** See `webhook_secret.ts`. */
  readonly secret: string;
  /** What a webhook says, as the protocol has it that the job came by: JSON, or a promise of it. */
  readonly bodyOf: (job: Job, event: WebhookEvent) => unknown;
  /** Hosts that may be called although they are not public; see `OutgoingRules`. */
  readonly allow: readonly string[];
  /** Is told what did not work. */
  readonly warn: (message: string) => void;
  /** Is told of every try: "failed", it is tried again; "dropped", it is not. */
  readonly onTry?: (result: "delivered" | "failed" | "dropped") => void;
  /** Milliseconds after which the queue is asked what is due by now. */
  readonly pollMs?: number;
  /** Milliseconds that a try may take. */
  readonly timeoutMs?: number;
  /** Milliseconds that tries under way have to end when the courier stops. */
  readonly graceMs?: number;
}

/** A delivery that was taken from the queue. */
interface Held {
  readonly delivery: Delivery;
  readonly host: string;
  /** When it may belong to somebody else. */
  readonly until: number;
  /** The try under way. */
  trying?: Promise<void>;
}

/**
 * Carries deliveries from a queue to their receivers from the moment it is made: each at least once, unless it is refused or has
 * failed as often as may be. Disposing of it waits for the tries under way; what it has not begun stays with the queue.
 */
export class Courier implements AsyncDisposable {
  readonly #options: Required<CourierOptions>;
  readonly #held = new Set<Held>();
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #awake = Promise.withResolvers<void>();
  #stopping = false;

  constructor(options: CourierOptions) {
    const defaults = { pollMs: 2_000, timeoutMs: 15_000, graceMs: 5_000, onTry: () => {} };
    this.#options = { ...defaults, ...options };
    this.#running = this.#run();
  }

  /** Says that there is something to be delivered. */
  wake(): void {
    this.#awake.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    this.wake();
    await this.#running;
    const timer = setTimeout(() => this.#stop.abort(new Error("stopped")), this.#options.graceMs);
    await Promise.all(Array.from(this.#held, ({ trying }) => trying));
    clearTimeout(timer);
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      this.#awake = Promise.withResolvers();
      await this.#take();
      this.#begin();
      const timer = setTimeout(this.#awake.resolve, this.#options.pollMs);
      await this.#awake.promise;
      clearTimeout(timer);
    }
  }

  /** Takes what is due from the queue, as far as there is room. */
  async #take(): Promise<void> {
    const room = HELD - this.#held.size;
    if (room === 0) return;
    const until = performance.now() + LEASE_MS - this.#options.timeoutMs;
    try {
      const taken = await this.#options.queue.takeDeliveries(room);
      if (taken.length === room) this.wake();
      for (const delivery of taken) {
        const host = URL.parse(delivery.job.webhook?.url ?? "")?.hostname ?? "";
        // A host that is slow does not keep the others waiting: the queue offers this one again.
        const toHost = [...this.#held].filter((held) => held.host === host).length;
        if (toHost < HELD_TO_HOST) this.#held.add({ delivery, host, until });
      }
    } catch (error) {
      this.#warnUnlessAway("Webhooks wait, for the queue cannot be read", error);
    }
  }

  /** Begins as many tries as may be. */
  #begin(): void {
    if (this.#stopping) return;
    for (const held of this.#held) {
      if (held.trying !== undefined) continue;
      if (held.until < performance.now()) this.#held.delete(held);
      else if (this.#mayTry(held)) held.trying = this.#deliver(held);
    }
  }

  #mayTry({ host, delivery: { job } }: Held): boolean {
    const tried = [...this.#held].filter(({ trying }) => trying !== undefined);
    return tried.length < AT_ONCE &&
      tried.filter((held) => held.host === host).length < AT_ONCE_TO_HOST &&
      // One after the other, so that a job does not end before it begins.
      !tried.some(({ delivery }) => delivery.job.id === job.id);
  }

  async #deliver(held: Held): Promise<void> {
    const { delivery } = held;
    const settlement = await this.#try(delivery);
    this.#options.onTry(typeof settlement === "string" ? settlement : "failed");
    await this.#settle(held, settlement);
    this.#held.delete(held);
    this.wake();
  }

  /** Tells the queue what came of a try, again while it is away: else the receiver would be told twice. */
  async #settle({ delivery: { id }, until }: Held, settlement: Settlement): Promise<void> {
    while (true) {
      try {
        return await this.#options.queue.settleDelivery(id, settlement);
      } catch (error) {
        const isAway = error instanceof Unavailable;
        if (!isAway || this.#stopping || until < performance.now()) {
          const what = `The webhook ${id} may come twice, for the queue cannot be written`;
          return this.#warnUnlessAway(what, error);
        }
      }
      await new Promise((resolve) => setTimeout(resolve, this.#options.pollMs));
    }
  }

  /** What is away is told of once, by who watches it. */
  #warnUnlessAway(what: string, error: unknown): void {
    if (error instanceof Unavailable) return;
    this.#options.warn(`${what}: ${messageOf(error)}`);
  }

  /** Tries once, and says what comes next. */
  async #try(delivery: Delivery): Promise<Settlement> {
    try {
      const { status, headers } = await this.#post(delivery);
      if (status >= 200 && status < 300) return "delivered";
      const why = `its receiver answered ${status}`;
      if (isFinal(status)) return this.#drop(delivery, why);
      return this.#again(delivery, why, headers.get("retry-after") ?? "");
    } catch (error) {
      if (error instanceof UsageError) return this.#drop(delivery, messageOf(error));
      if (this.#stop.signal.aborted) return { retryAt: Date.now() };
      // What it is to say cannot be read: that is no failure of the receiver.
      if (error instanceof Unavailable) {
        return { retryAt: Date.now() + retryDelay(Math.min(delivery.attempts + 1, TRIES - 1))! };
      }
      return this.#again(delivery, messageOf(error));
    }
  }

  async #post({ id, job, event }: Delivery): Promise<OutgoingAnswer> {
    const { bodyOf, secret, allow, timeoutMs } = this.#options;
    const body = JSON.stringify(await bodyOf(job, event));
    return await fetchOutgoing(job.webhook?.url ?? "", {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "user-agent": "mdm", // Some firewalls refuse who has no name.
        ...signedHeaders(secret, id, body),
      },
      body,
      timeoutMs,
      signal: this.#stop.signal,
    }, { allow });
  }

  #drop({ id }: Delivery, why: string): Settlement {
    this.#options.warn(`The webhook ${id} is given up: ${why}`);
    return "dropped";
  }

  #again(delivery: Delivery, why: string, retryAfter = ""): Settlement {
    const delay = retryDelay(delivery.attempts + 1, retryAfter);
    if (delay === null) return this.#drop(delivery, why);
    this.#options.warn(`The webhook ${delivery.id} is tried again later: ${why}`);
    return { retryAt: Date.now() + Math.round(delay) };
  }
}

/** Whether a receiver that answers so will never take it. */
function isFinal(status: number): boolean {
  return status >= 400 && status < 500 && ![408, 409, 425, 429].includes(status);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
