import assert from "../assert.ts";
import { Graph } from "../../src/graph/graph.ts";
import { GraphLowering } from "../../src/graph/lowering.ts";
import type { Value } from "../../src/graph/operation.ts";
import { add } from "../../src/graph/operations/add.ts";
import { conv2d } from "../../src/graph/operations/conv2d.ts";
import { groupNorm } from "../../src/graph/operations/group_norm.ts";
import { reshape } from "../../src/graph/operations/reshape.ts";
import { plan } from "../../src/graph/plan.ts";
import { assertAllclose } from "../allclose.ts";
import * as reference from "../reference.ts";
import { numbers } from "./operations/numbers.ts";
import { Bench } from "./run.ts";

const EIGHT = { name: "eight", shape: [8] };
const NORM = { weight: EIGHT, bias: EIGHT, groups: 2 };

const target = {
  policy: { deviceClass: "gpu", subgroupSize: 0 },
  isHalf: () => false,
} as const;

Deno.test("statistics are those of a value's own rows", () => {
  const graph = new Graph();
  const x = graph.input("x", [2, 6, 5, 8]);
  const value = add(graph, x, x);
  const sameRows = reshape(graph, value, [2, 30, 8]);
  const otherRows = reshape(graph, value, [4, 3, 5, 8]);
  const statistics = { memory: { kind: "scratch", bytes: 64 }, chunk: 30 } as const;

  const lowering = new GraphLowering(graph, target);
  assert.equal(lowering.statistics(value), undefined);
  lowering.keepStatistics(value, statistics);
  assert.equal(lowering.statistics(value), statistics);
  assert.equal(lowering.statistics(sameRows), statistics);
  assert.equal(lowering.statistics(otherRows), undefined);

  const later = new GraphLowering(graph, target);
  // Those of other rows are not the value's.
  later.keepStatistics(otherRows, statistics);
  assert.equal(later.statistics(value), undefined);
  assert.equal(later.statistics(otherRows), undefined);
  later.keepStatistics(sameRows, statistics);
  assert.equal(later.statistics(value), statistics);
  assert.equal(later.statistics(otherRows), undefined);
});

Deno.test("a value is normalised over its own rows, whatever was normalised of it before", async () => {
  await using bench = await Bench.open({ deviceClass: "gpu" });
  const x = numbers([2, 6, 5, 8], 1, 3);
  const [weight, bias] = [bench.parameter("weight", [8]), bench.parameter("bias", [8])];
  const options = { weight, bias, groups: 2 };
  const values = {
    weight: bench.parameters.get("weight")!,
    bias: bench.parameters.get("bias")!,
    groups: 2,
  };
  const doubled = { ...x, data: x.data.map((n) => 2 * n) };
  for (const order of [["rows", "frames"], ["frames", "rows"]] as const) {
    const shapes = { rows: [2, 6, 5, 8], frames: [4, 3, 5, 8] };
    const results = await bench.run({ x }, (graph, v) => {
      const value = add(graph, v.x!, v.x!);
      const seen = { rows: value, frames: reshape(graph, value, shapes.frames) };
      return Object.fromEntries(
        order.map((name) => [name, groupNorm(graph, seen[name], options)]),
      );
    });
    for (const name of order) {
      const expected = reference.groupNorm({ ...doubled, shape: shapes[name] }, values).data;
      assertAllclose(results[name]!, expected, { absolute: 5e-6, relative: 5e-6 }, `${order}`);
    }
  }
});

Deno.test("statistics are computed once for all that read them", () => {
  const kernels = (build: (graph: Graph, value: Value) => Value[]) => {
    const graph = new Graph();
    const x = graph.input("x", [2, 6, 5, 8]);
    build(graph, add(graph, x, x)).forEach((value, i) => graph.output(String(i), value));
    return plan(graph, target).calls.map(({ kernel }) => kernel.name)
      .filter((name) => name === "group_norm_stats").length;
  };
  const twice = (shape: number[]) =>
    kernels((graph, value) => [
      groupNorm(graph, value, NORM),
      groupNorm(graph, reshape(graph, value, shape), NORM),
    ]);
  assert.equal(twice([2, 6, 5, 8]), 1);
  assert.equal(twice([2, 3, 10, 8]), 1);
  assert.equal(twice([4, 3, 5, 8]), 2);
});

Deno.test("a prologue is fused only for a single reader's first input, and not for an output", () => {
  const wide = (name: string) => ({ name, shape: [128, 128, 3, 3] });
  const bias = { name: "bias", shape: [128] };
  const graph = new Graph();
  const policy = { deviceClass: "software", subgroupSize: 8 } as const;
  const value = () => add(graph, x, x);
  const convolved = (input: Value, residual?: Value) =>
    conv2d(graph, input, { weight: wide("w"), bias, ...residual && { residual } });
  const x = graph.input("x", [1, 16, 16, 128]);
  const [once, twice, both, kept, added, unread] = [1, 2, 3, 4, 5, 6].map(value);
  convolved(once!);
  convolved(twice!);
  convolved(twice!);
  convolved(both!, both);
  convolved(kept!);
  graph.output("kept", kept!);
  convolved(x, added);
  const lowering = new GraphLowering(graph, { policy, isHalf: () => false });
  const fused = [once, twice, both, kept, added, unread].map((v) => lowering.canFusePrologue(v!));
  assert.deepEqual(fused, [true, false, false, false, false, false]);
});
