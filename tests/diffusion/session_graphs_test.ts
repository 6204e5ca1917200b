import assert from "../assert.ts";
import { THRESHOLDS } from "../../src/diffusion/thresholds.ts";
import {
  imageShapes,
  networkSizes,
  sessionGraphs,
  type SessionShape,
} from "../../src/diffusion/session_graphs.ts";
import type { Network } from "../../src/model/network.ts";
import { plan } from "../../src/graph/plan.ts";
import { ModelSource } from "../../src/pipeline/models/model_source.ts";

const SHAPE: SessionShape = {
  slots: 2,
  guided: "sometimes",
  inner: "measured",
  tokens: 3,
  steps: 9,
  size: 32,
  threshold: THRESHOLDS.CLIP,
  imageScales: [2, 1],
  outputScale: 0,
  noise: "seeded",
};

const target = {
  policy: { deviceClass: "software", subgroupSize: 8 },
  isHalf: () => false,
} as const;

Deno.test("an image of each level is as much smaller as its UNet's", () => {
  const network = (nestRatio: number[]) =>
    ({ config: { nestRatio, inputChannels: 3 } }) as unknown as Network;
  assert.deepEqual(imageShapes(network([16, 4]), 5, 64), [
    [5, 64, 64, 3],
    [5, 16, 16, 3],
    [5, 4, 4, 3],
  ]);
  assert.deepEqual(imageShapes(network([]), 1, 64), [[1, 64, 64, 3]]);
});

Deno.test("a guided image has two rows", () => {
  assert.equal(networkSizes({ ...SHAPE, guided: "always" }).rows, 4);
  assert.equal(networkSizes(SHAPE).rows, 4);
  assert.equal(networkSizes({ ...SHAPE, guided: "never" }).rows, 2);
});

Deno.test("each level has noise, coefficients and scales of its own", async () => {
  using model = await ModelSource.open("weights/shapes32");
  const { start, steps } = sessionGraphs(model.network, SHAPE);
  const params = (graph: typeof start, kernel: string) =>
    plan(graph, target).calls.filter((call) => call.kernel.name === kernel)
      .map(({ params }) => params);
  assert.deepEqual(
    params(start, "noise").map(({ level, firstOnly }) => [level, firstOnly]),
    [[0, 1], [1, 1]],
  );
  // Guided and not, with the inner UNets and without.
  assert.deepEqual(steps.map(({ guided, inner }) => [guided, inner]), [
    [true, true],
    [true, false],
    [false, true],
    [false, false],
  ]);
  for (const { graph, guided, inner } of steps) {
    assert.deepEqual(
      params(graph, "noise").map(({ level, firstOnly }) => [level, firstOnly]),
      [[0, 0], [1, 0]],
    );
    const predicted = params(graph, "predict_x0");
    assert.deepEqual(
      predicted.map((p) => [p.tableOffset, p.imageScale, p.guided]),
      [[0, 2, Number(guided)], [8, 1, Number(guided)]].slice(0, inner ? 2 : 1),
    );
    // Without the inner UNets, the inner level's x0 is used again as it is.
    assert.deepEqual(
      params(graph, "sampler_update").map((p) => [p.tableOffset, p.threshold, p.imageScale]),
      [[0, 1, 2], inner ? [8, 1, 1] : [8, 0, 1]],
    );
    assert.equal(params(graph, "relative_change").length, inner ? 1 : 0);
  }
});
