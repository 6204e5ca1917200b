import type { Case } from "./cases/case.ts";
import type { PeerName } from "./peers/mod.ts";

/** What came out for a peer. */
export interface Measurement {
  readonly peer: PeerName;
  readonly version: string | null;
  /** The median of the rounds; null where it failed. */
  readonly ms: number | null;
  /** The fastest round. */
  readonly fastestMs: number | null;
  readonly rounds: number;
  /** How far its outputs are from those of the first peer; null for that peer itself. */
  readonly relativeL2: number | null;
  /** Why there is no result. */
  readonly failure: string | null;
}

/** What came out for a case. */
export interface CaseResult {
  readonly name: string;
  readonly group: Case["group"];
  readonly flops: number;
  readonly measurements: readonly Measurement[];
}
