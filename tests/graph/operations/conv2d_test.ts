import assert from "../../assert.ts";
import type { Activation } from "../../../src/gpu/activation.ts";
import { CONV_ALGORITHMS, type ConvChoice, convKey } from "../../../src/gpu/conv_choice.ts";
import { requestAdapter } from "../../../src/gpu/device.ts";
import type { KernelOptions } from "../../../src/gpu/kernel_policy.ts";
import { concat } from "../../../src/graph/operations/concat.ts";
import type { Parameter } from "../../../src/graph/operation.ts";
import { groupNorm } from "../../../src/graph/operations/group_norm.ts";
import { conv2d, convTemporal, linear } from "../../../src/graph/operations/conv2d.ts";
import { assertAllclose, sumTolerance } from "../../allclose.ts";
import * as reference from "../../reference.ts";
import { Bench } from "../run.ts";
import { assertRowsIndependent, numbers, numbersOf } from "./numbers.ts";

interface Case {
  /** Rows, height, width. */
  readonly area: [number, number, number];
  /** Channels of each source. */
  readonly channels: number[];
  readonly outputs: number;
  readonly size?: number;
  readonly stride?: 1 | 2;
  readonly upsample?: 1 | 2;
  readonly activation?: Activation;
  readonly gate?: boolean;
  readonly residual?: boolean;
  readonly half?: boolean;
}

// No size is a multiple of a tile (8 or 32 pixels) and of a panel (32 channels) at once; most are of neither.
const cases: Case[] = [
  { area: [1, 1, 1], channels: [3], outputs: 33 },
  { area: [3, 3, 5], channels: [4, 33], outputs: 5, activation: "silu" },
  { area: [2, 5, 7], channels: [33], outputs: 70, residual: true },
  { area: [1, 13, 17], channels: [3], outputs: 96, stride: 2 },
  { area: [2, 6, 8], channels: [12], outputs: 3, stride: 2, gate: true },
  { area: [3, 5, 7], channels: [70], outputs: 3, upsample: 2, activation: "gelu" },
  { area: [2, 5, 3], channels: [4, 3], outputs: 33, upsample: 2, gate: true, residual: true },
  { area: [1, 13, 17], channels: [32, 33], outputs: 70, activation: "relu" },
  { area: [1, 7, 5], channels: [96], outputs: 96, size: 1, stride: 2 },
  { area: [2, 5, 7], channels: [8], outputs: 6, size: 5, activation: "geluTanh" },
  { area: [1, 3, 7], channels: [6], outputs: 7, upsample: 2, stride: 2 },
  { area: [1, 3, 7], channels: [4, 3], outputs: 37, half: true },
];

async function assertCase(bench: Bench, name: string, test: Case): Promise<void> {
  const { area: [rows, height, width], channels, outputs, size = 3 } = test;
  const total = channels.reduce((sum, n) => sum + n, 0);
  const shapeOfWeight = [outputs, total, size, size];
  const weight = test.half
    ? bench.halfParameter(`${name}.weight`, shapeOfWeight)
    : bench.parameter(`${name}.weight`, shapeOfWeight);
  const shape = [rows, resampled(height, test), resampled(width, test), outputs];
  await assertConv(bench, { ours: conv2d, theirs: reference.conv2d, weight, shape }, test);
}

/** A length after upsampling and strides. */
function resampled(length: number, { stride = 1, upsample = 1 }: Case | TimeCase): number {
  return Math.ceil(length * upsample / stride);
}

/** Compares a convolution with the reference's, both over the sources and with the epilogue of a case. */
async function assertConv(
  bench: Bench,
  { ours, theirs, weight, shape }: {
    readonly ours: typeof conv2d;
    readonly theirs: typeof reference.conv2d;
    readonly weight: Parameter;
    /** Of the result. */
    readonly shape: number[];
  },
  test: Case | TimeCase,
): Promise<void> {
  const { area, channels, outputs, activation = "none", stride = 1, upsample = 1 } = test;
  const bias = bench.parameter(`${weight.name}.bias`, [outputs]);
  const sources = channels.map((n, i) => numbers([...area, n], i + 1));
  const extras = {
    ...test.gate && { gate: numbers(shape, 5) },
    ...test.residual && { residual: numbers(shape, 6) },
  };
  const options = { stride, upsample, activation };
  const inputs = Object.fromEntries(sources.map((source, i) => [`x${i}`, source]));
  const { y } = await bench.run({ ...inputs, ...extras }, (graph, v) => ({
    y: ours(graph, channels.length === 2 ? concat(graph, v.x0!, v.x1!) : v.x0!, {
      ...options,
      weight,
      bias,
      ...v.gate && { gate: v.gate },
      ...v.residual && { residual: v.residual },
    }),
  }));
  const input = channels.length === 2 ? reference.concat(sources[0]!, sources[1]!) : sources[0]!;
  const expected = theirs(input, numbersOf(bench, weight), {
    ...options,
    bias: bench.parameters.get(bias.name)!,
    ...extras,
  });
  const terms = weight.shape.slice(1).reduce((product, n) => product * n, 1);
  assertAllclose(y!, expected.data, sumTolerance(terms), JSON.stringify(test));
}

interface TimeCase {
  /** Videos, frames, pixels. */
  readonly area: [number, number, number];
  /** Channels of each source. */
  readonly channels: number[];
  readonly outputs: number;
  readonly stride?: 1 | 2;
  readonly upsample?: 1 | 2;
  readonly activation?: Activation;
  readonly gate?: boolean;
  readonly residual?: boolean;
}

const timeCases: TimeCase[] = [1, 2, 5, 16].flatMap((frames): TimeCase[] => [
  { area: [2, frames, 7], channels: [8], outputs: 33 },
  { area: [1, frames, 35], channels: [33], outputs: 5, stride: 2 },
  { area: [3, frames, 1], channels: [4], outputs: 70, stride: 2, residual: true },
  { area: [2, frames, 6], channels: [32], outputs: 32, upsample: 2, gate: true },
  { area: [1, frames, 13], channels: [4, 3], outputs: 6, upsample: 2, activation: "silu" },
  { area: [2, frames, 3], channels: [5], outputs: 7, upsample: 2, stride: 2 },
]);

async function assertTimeCase(bench: Bench, name: string, test: TimeCase): Promise<void> {
  const { area: [rows, frames, pixels], channels, outputs } = test;
  const total = channels.reduce((sum, n) => sum + n, 0);
  const weight = bench.parameter(`${name}.weight`, [outputs, total, 3]);
  const shape = [rows, resampled(frames, test), pixels, outputs];
  const both = { ours: convTemporal, theirs: reference.convTemporal, weight, shape };
  await assertConv(bench, both, test);
}

/** Every convolution algorithm; Winograd's products by each class's own. */
const CHOICES: KernelOptions[] = [
  ...CONV_ALGORITHMS.map((convAlgorithm) => ({ convAlgorithm })),
  { convAlgorithm: "winograd", deviceClass: "gpu" },
];

/** A convolution, its GroupNorm and SiLU, and a convolution of that. */
for (
  const choice of [
    { convAlgorithm: "subgroup" },
    { convAlgorithm: "winograd" },
    { convAlgorithm: "winograd", deviceClass: "gpu" },
  ] as const
) {
  Deno.test(`statistics and a fused prologue equal the reference (${JSON.stringify(choice)})`, async () => {
    await using bench = await Bench.open(choice);
    // More channels than one call normalises, and sizes that are no multiple of a tile, which statistics must not cross.
    const x = numbers([2, 9, 11, 4], 1);
    const w1 = bench.parameter("w1", [260, 4, 3, 3]);
    const w2 = bench.parameter("w2", [5, 260, 3, 3], 0.1);
    const [b1, b2] = [bench.parameter("b1", [260]), bench.parameter("b2", [5])];
    const norm = bench.parameter("norm", [260]);
    const { y, normed } = await bench.run({ x }, (graph, v) => {
      const options = { weight: norm, bias: norm, groups: 4, activation: "silu" } as const;
      const h = () => conv2d(graph, v.x!, { weight: w1, bias: b1, activation: "relu" });
      return {
        y: conv2d(graph, groupNorm(graph, h(), options), { weight: w2, bias: b2 }),
        normed: groupNorm(graph, h(), options),
      };
    });
    const values = (name: string) => bench.parameters.get(name)!;
    const expectedNorm = reference.groupNorm(
      reference.conv2d(x, numbersOf(bench, w1), { bias: values("b1"), activation: "relu" }),
      { weight: values("norm"), bias: values("norm"), groups: 4, activation: "silu" },
    );
    const expected = reference.conv2d(expectedNorm, numbersOf(bench, w2), { bias: values("b2") });
    assertAllclose(normed!, expectedNorm.data, { absolute: 2e-5, relative: 2e-5 });
    assertAllclose(y!, expected.data, { absolute: 2e-4, relative: 2e-4 });
  });
}

/** A test of each choice by itself, so that a fault shows soon: each compiles only the pipelines that it needs. */
function test(name: string, run: (bench: Bench) => Promise<void>): void {
  for (const choice of CHOICES) {
    Deno.test(`${name} (${JSON.stringify(choice)})`, async () => {
      await using bench = await Bench.open(choice);
      await run(bench);
    });
  }
}

test("one convolution of each kind equals the reference: what most faults break", async (bench) => {
  await assertCase(bench, "conv", { ...cases[7]!, gate: true, residual: true });
  await assertTimeCase(bench, "time", timeCases[2]!);
});

test("conv2d equals the reference", async (bench) => {
  for (const [i, test] of cases.entries()) await assertCase(bench, `conv${i}`, test);
});

test("convTemporal equals the reference", async (bench) => {
  for (const [i, test] of timeCases.entries()) await assertTimeCase(bench, `time${i}`, test);
});

test("linear equals the reference at any number of positions", async (bench) => {
  for (
    const [shape, outputs] of [
      [[1, 3], 33],
      [[7, 70], 96],
      [[65, 96], 3],
      [[2, 65, 33], 70],
      [[3, 5, 7, 6], 5],
    ] as const
  ) {
    const name = `linear${shape}`;
    const inputs = shape.at(-1)!;
    const weight = bench.parameter(`${name}.weight`, [outputs, inputs]);
    const bias = bench.parameter(`${name}.bias`, [outputs]);
    const x = numbers([...shape], 3);
    const gate = numbers([...shape.slice(0, -1), outputs], 4);
    const { plain, all } = await bench.run({ x, gate }, (graph, v) => ({
      plain: linear(graph, v.x!, { weight }),
      all: linear(graph, v.x!, {
        weight,
        bias,
        activation: "gelu",
        gate: v.gate!,
        residual: v.gate!,
      }),
    }));
    const values = numbersOf(bench, weight);
    const tolerance = sumTolerance(inputs);
    assertAllclose(plain!, reference.linear(x, values).data, tolerance, name);
    const options = {
      bias: bench.parameters.get(bias.name)!,
      activation: "gelu",
      gate,
      residual: gate,
    } as const;
    assertAllclose(all!, reference.linear(x, values, options).data, tolerance, name);
  }
});

test("several parameters give their outputs one after the other", async (bench) => {
  const x = numbers([2, 5, 12], 8);
  const parts = [3, 32, 6].map((n, i) => ({
    weight: bench.parameter(`part${i}.weight`, i === 1 ? [n, 12, 1, 1] : [n, 12]),
    bias: bench.parameter(`part${i}.bias`, [n]),
  }));
  const { y } = await bench.run({ x }, (graph, v) => ({
    y: linear(graph, v.x!, {
      weight: parts.map((part) => part.weight),
      bias: parts.map((part) => part.bias),
    }),
  }));
  const expected = parts
    .map(({ weight, bias }) =>
      reference.linear(x, reference.reshape(numbersOf(bench, weight), [weight.shape[0]!, 12]), {
        bias: bench.parameters.get(bias.name)!,
      })
    )
    .reduce(reference.concat);
  assertAllclose(y!, expected.data, sumTolerance(12));
});

test("a concatenation of odd width is read by a linear layer", async (bench) => {
  const [a, b] = [numbers([3, 7, 8], 1), numbers([3, 7, 5], 2)];
  const weight = bench.parameter("concat.weight", [33, 13]);
  const { y } = await bench.run({ a, b }, (graph, v) => ({
    y: linear(graph, concat(graph, v.a!, v.b!), { weight }),
  }));
  const expected = reference.linear(reference.concat(a, b), numbersOf(bench, weight));
  assertAllclose(y!, expected.data, sumTolerance(13));
});

test("an image has the same bits whatever shares its batch", async (bench) => {
  const weight = bench.parameter("rows.weight", [33, 8, 3, 3]);
  const bias = bench.parameter("rows.bias", [33]);
  const flat = bench.parameter("rows.flat", [70, 33]);
  for (const size of [[3, 5], [5, 7], [13, 17]]) {
    await assertRowsIndependent(
      { x: numbers([3, ...size, 8], 1), r: numbers([3, ...size, 33], 2) },
      async (inputs) => {
        const { y } = await bench.run(inputs, (graph, v) => ({
          y: linear(graph, conv2d(graph, v.x!, { weight, bias, residual: v.r! }), {
            weight: flat,
            activation: "silu",
          }),
        }));
        return y!;
      },
    );
  }
  // Long sums of few pixels, which GPUs cut into parts.
  const deep = bench.parameter("rows.deep", [33, 96, 3, 3]);
  await assertRowsIndependent({ x: numbers([3, 3, 5, 96], 4) }, async (inputs) => {
    const { y } = await bench.run(inputs, (graph, v) => ({
      y: conv2d(graph, v.x!, { weight: deep, bias }),
    }));
    return y!;
  });
  await assertRowsIndependent({ x: numbers([40, 33], 3) }, async (inputs) => {
    const { y } = await bench.run(inputs, (graph, v) => ({
      y: linear(graph, v.x!, { weight: flat }),
    }));
    return y!;
  });
});

/** Tiles and split-K: more parts than there are steps too, so that some are empty. */
const CONFIGURATIONS = [[16, 1], [16, 3], [32, 2], [32, 16], [64, 1], [64, 16], [128, 1], [
  128,
  4,
]] as const;

Deno.test("a sum is the same for every tile configuration of conv_workgroup, from weights of 16 bits too", async (t) => {
  const convolutions = new class extends Map<string, ConvChoice> {
    override get(key: string): ConvChoice {
      assert.ok(this.has(key), `"${key}" is not a shape that is tested`);
      return super.get(key)!;
    }
  }();
  const adapter = (await requestAdapter())!.info.description;
  await using bench = await Bench.open({ tuned: { adapter, convolutions } });
  for (const [i, [tile, splitK]] of CONFIGURATIONS.entries()) {
    const channels = i % 2 === 0 ? [13] : [8, 9];
    const half = i % 3 === 0;
    for (const outputs of [29, 61, 70]) {
      const name = `${tile} pixels, ${outputs} outputs, split-K ${splitK}`;
      await t.step(name, async () => {
        const depth = 9 * channels.reduce((sum, n) => sum + Math.ceil(n / 4), 0);
        const shape = { pixels: 33, outputs, depth, sources: channels.length, half };
        convolutions.set(convKey(shape), {
          algorithm: "workgroup",
          tiling: { tile, splitK },
        });
        const area = [3, 3, 11] as [number, number, number];
        const extras = { activation: "silu", gate: true, residual: true } as const;
        await assertCase(bench, name, { area, channels, outputs, half, ...extras });
      });
    }
  }
});
