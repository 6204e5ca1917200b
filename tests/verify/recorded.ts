/** Models whose numbers the reference implementation recorded. */
import assert from "../assert.ts";
import type { Comparison } from "../../src/verify/comparison.ts";

/** The issue allows 1e-4. Measured: 1.5e-6, so this catches what would still look right. */
export const FORWARD_TOLERANCE = 1e-5;

export const FOLDERS = [
  ...["unet_class", "unet_text_unmasked", "nested2"]
    .map((name) => `tests/fixtures/golden/${name}`),
  ...["unet_options", "nested_outer_attention", "video_time", "video_space"]
    .map((name) => `tests/fixtures/reference/${name}`),
];

export function assertPassed(results: readonly Comparison[]): void {
  assert.ok(results.length > 0);
  const failed = results.filter(({ passed }) => !passed)
    .map(({ name, relativeL2 }) => `${name}: ${relativeL2}`);
  assert.deepEqual(failed, []);
}
