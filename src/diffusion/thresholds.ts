/** Thresholds of x0 as data for the kernel (`clip_sample` in ml_mdm/samplers.py). */
import type { ThresholdType } from "./config.ts";

/**
 * - none: x0 stays as it is.
 * - clip: to -max..max.
 * - dynamic (arXiv 2205.11487): with s the `quantile` of |x0| over all values of an image at one
 *   level (interpolated linearly between neighbours), brought into 1..max: clip to -s..s, divide by s.
 */
export type Threshold =
  | { kind: "none" }
  | { kind: "clip"; max: number }
  | { kind: "dynamic"; quantile: number; max: number };

/** The threshold that each of the reference's names stands for. */
export const THRESHOLDS: Readonly<Record<ThresholdType, Threshold>> = {
  NONE: { kind: "none" },
  CLIP: { kind: "clip", max: 1 },
  DYNAMIC: { kind: "dynamic", quantile: 0.995, max: 100 },
  DYNAMIC_IF: { kind: "dynamic", quantile: 0.95, max: 1.5 },
};

/** What people type for each of the reference's names. */
export const THRESHOLD_NAMES = {
  none: "NONE",
  clip: "CLIP",
  dynamic: "DYNAMIC",
  "dynamic-if": "DYNAMIC_IF",
} as const satisfies Record<string, ThresholdType>;
