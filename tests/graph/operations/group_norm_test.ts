import assert from "../../assert.ts";
import type { Activation } from "../../../src/gpu/activation.ts";
import { concat } from "../../../src/graph/operations/concat.ts";
import { groupNorm } from "../../../src/graph/operations/group_norm.ts";
import { reshape } from "../../../src/graph/operations/reshape.ts";
import { assertAllclose, type Tolerance } from "../../allclose.ts";
import * as reference from "../../reference.ts";
import { Bench } from "../run.ts";
import { assertRowsIndependent, type Input, numbers } from "./numbers.ts";

interface Case {
  readonly area: number[];
  /** Channels of each source. */
  readonly channels: number[];
  readonly groups: number;
  /** Where the scales start. */
  readonly film?: number;
  /** Rows of the scales and shifts, each for several frames; as many as the input's unless given. */
  readonly filmRows?: number;
  readonly activation?: Activation;
  readonly tolerance?: Tolerance;
}

// A group of one value has no variance: x * weight / sqrt(1e-5), up to 3 * 2 * 316, and its shift cancel.
const alone = { absolute: 3 * 2 * 316 * 1.2e-7 };

// Statistics are taken over chunks of 64 pixels, of more than that from 256 chunks on; groups of 3 and 6 straddle vectors.
const cases: Case[] = [
  { area: [2, 1, 1], channels: [32], groups: 32, activation: "silu", tolerance: alone },
  { area: [2, 7, 9], channels: [64], groups: 16 },
  { area: [3, 8, 8], channels: [96], groups: 32, film: 0, activation: "silu" },
  { area: [2, 5, 13], channels: [32, 64], groups: 32, film: 3, activation: "silu" },
  { area: [1, 17, 19], channels: [48], groups: 16, activation: "gelu" },
  { area: [2, 17, 19], channels: [4, 92], groups: 16, film: 7 },
  { area: [6, 3, 5], channels: [32], groups: 8, film: 3, filmRows: 2, activation: "silu" },
  { area: [6, 7, 11], channels: [4, 28], groups: 8, film: 0, filmRows: 3 },
  { area: [16, 2, 2], channels: [12], groups: 3, film: 5, filmRows: 1 },
  { area: [1, 129, 131], channels: [4], groups: 2 },
  { area: [3, 321], channels: [12], groups: 3 },
];

async function assertCase(
  bench: Bench,
  name: string,
  { area, channels, groups, film, filmRows = area[0]!, activation = "none" }: Case,
  sources: Input[],
  tolerance: Tolerance,
): Promise<void> {
  const total = channels.reduce((sum, n) => sum + n, 0);
  const weight = bench.parameter(`${name}.weight`, [total], 2);
  const bias = bench.parameter(`${name}.bias`, [total]);
  const filmInput = film === undefined
    ? {}
    : { film: numbers([filmRows, film + 2 * total + 1], 9) };
  const inputs = { ...Object.fromEntries(sources.map((x, i) => [`x${i}`, x])), ...filmInput };
  const { y } = await bench.run(inputs, (graph, v) => ({
    y: groupNorm(graph, sources.length === 2 ? concat(graph, v.x0!, v.x1!) : v.x0!, {
      weight,
      bias,
      groups,
      activation,
      ...v.film && { film: { value: v.film, offset: film! } },
    }),
  }));
  const input = sources.length === 2 ? reference.concat(sources[0]!, sources[1]!) : sources[0]!;
  const expected = reference.groupNorm(input, {
    weight: bench.parameters.get(weight.name)!,
    bias: bench.parameters.get(bias.name)!,
    groups,
    activation,
    ...filmInput.film && { film: { value: filmInput.film, offset: film! } },
  });
  assertAllclose(y!, expected.data, tolerance, name);
}

// In one call for small rows of software, in three elsewhere.
for (const deviceClass of ["software", "gpu"] as const) {
  Deno.test(`groupNorm (kernels for: ${deviceClass})`, async (t) => {
    await using bench = await Bench.open({ deviceClass });

    await t.step("equals the reference", async () => {
      for (const [i, test] of cases.entries()) {
        const sources = test.channels.map((n, k) => numbers([...test.area, n], k + 1, 3));
        // A handful of roundings of numbers up to 10.
        const tolerance = test.tolerance ?? { absolute: 5e-6, relative: 5e-6 };
        await assertCase(bench, `${i} ${JSON.stringify(test)}`, test, sources, tolerance);
      }
    });

    await t.step("a large mean costs no more digits than it takes in the input", async () => {
      for (const [i, area] of [[2, 7, 9], [1, 17, 19], [1, 129, 131]].entries()) {
        const test = { area, channels: [16], groups: 4 };
        const x = numbers([...area, 16], 1, 0.25);
        for (let k = 0; k < x.data.length; k++) x.data[k] = 1000 + x.data[k]!;
        // x * scale and its shift are around 1000 / 0.14 * 2 = 14000, where a step is 1e-3: both are rounded, and so is the mean (by
        // steps of 6e-5, times 14).
        // A variance of squares minus the square of the mean would be off by whole numbers.
        await assertCase(bench, `mean${i}`, test, [x], { absolute: 3e-3 });
      }
    });

    await t.step("epsilon counts if the variance is tiny", async () => {
      const test = { area: [2, 7, 9], channels: [16], groups: 4 };
      // Variances around 1e-5, which is the epsilon, and far below.
      for (const scale of [5e-3, 1e-4]) {
        const x = numbers([...test.area, 16], 1, scale);
        const tolerance = { absolute: 5e-6, relative: 5e-6 };
        await assertCase(bench, `epsilon${scale}`, test, [x], tolerance);
      }
    });

    await t.step("a constant image gives the bias", async () => {
      const x = { shape: [1, 9, 9, 8], data: new Float32Array(9 * 9 * 8).fill(-37.5) };
      const [weight, bias] = [bench.parameter("cw", [8]), bench.parameter("cb", [8])];
      const { y } = await bench.run({ x }, (graph, v) => ({
        y: groupNorm(graph, v.x!, { weight, bias, groups: 2 }),
      }));
      const values = bench.parameters.get("cb")!;
      // x * scale + shift cancels: scale is up to 1 / sqrt(1e-5) = 316.
      assertAllclose(y!, Array.from(y!, (_, i) => values[i % 8]!), { absolute: 37.5 * 316 * 2e-7 });
    });

    await t.step("a row has the same bits in any batch", async () => {
      const [weight, bias] = [bench.parameter("rw", [32]), bench.parameter("rb", [32])];
      await assertRowsIndependent({
        a: numbers([3, 5, 13, 8], 1),
        b: numbers([3, 5, 13, 24], 2),
        film: numbers([3, 70], 3),
      }, async (inputs) => {
        const { y } = await bench.run(inputs, (graph, v) => ({
          y: groupNorm(graph, concat(graph, v.a!, v.b!), {
            weight,
            bias,
            groups: 16,
            activation: "silu",
            film: { value: v.film!, offset: 6 },
          }),
        }));
        return y!;
      });
    });

    await t.step("the frames of a video have the same bits in any batch", async () => {
      const [weight, bias] = [bench.parameter("vw", [8]), bench.parameter("vb", [8])];
      await assertRowsIndependent({
        x: numbers([3, 4, 5, 7, 8], 1),
        film: numbers([3, 16], 2),
      }, async (inputs) => {
        const { y } = await bench.run(inputs, (graph, v) => {
          const frames = reshape(graph, v.x!, [v.x!.shape[0]! * 4, 5, 7, 8]);
          const film = { value: v.film!, offset: 0 };
          return { y: groupNorm(graph, frames, { weight, bias, groups: 2, film }) };
        });
        return y!;
      });
    });

    await t.step("a row of NaN stays alone", async () => {
      const [weight, bias] = [bench.parameter("nw", [4]), bench.parameter("nb", [4])];
      const x = numbers([2, 5, 5, 4], 1);
      const run = async (input: Input) => {
        const { y } = await bench.run({ x: input }, (graph, v) => ({
          y: groupNorm(graph, v.x!, { weight, bias, groups: 2 }),
        }));
        return y!.slice(0, 100);
      };
      const spoilt = { ...x, data: x.data.map((value, i) => i < 100 ? value : NaN) };
      assert.deepEqual(await run(spoilt), await run(x));
    });
  });
}
