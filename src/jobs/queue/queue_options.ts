/** What every queue has to be told. */
export interface QueueOptions {
  /** Jobs that may wait. */
  readonly limit: number;
  /** Milliseconds after which a worker that has said nothing counts as dead. */
  readonly leaseMs: number;
  /** How often a job is begun before it has failed, where workers die over it. */
  readonly maxAttempts: number;
  /** The time in milliseconds since 1970; for tests. */
  readonly now?: () => number;
}
