import assert from "../assert.ts";
import { THRESHOLD_NAMES, THRESHOLDS } from "../../src/diffusion/thresholds.ts";

// The quantiles and limits of `clip_sample` in the reference's samplers.py.
Deno.test("each of the reference's thresholds has its quantile and limit", () => {
  assert.deepEqual(THRESHOLDS, {
    NONE: { kind: "none" },
    CLIP: { kind: "clip", max: 1 },
    DYNAMIC: { kind: "dynamic", quantile: 0.995, max: 100 },
    DYNAMIC_IF: { kind: "dynamic", quantile: 0.95, max: 1.5 },
  });
  assert.deepEqual(Object.values(THRESHOLD_NAMES).sort(), Object.keys(THRESHOLDS).sort());
});
