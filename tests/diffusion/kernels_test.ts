import assert from "../assert.ts";
import { COEFFICIENTS, noise, stepLevel } from "../../src/diffusion/operations.ts";
import type { Threshold } from "../../src/diffusion/thresholds.ts";
import type { Kernel } from "../../src/gpu/kernel.ts";
import { kernels, WORKGROUP } from "../../src/gpu/kernels.ts";
import { Recording } from "../../src/gpu/recording.ts";
import { Tensor } from "../../src/gpu/tensor.ts";
import { assertAllclose } from "../allclose.ts";
import * as reference from "../reference.ts";
import { Bench } from "../graph/run.ts";
import { type Input, numbers, row } from "../graph/operations/numbers.ts";

interface Slot {
  readonly tableRow?: number;
  readonly draw?: number;
  readonly seed?: number;
  readonly guidance?: number;
}

/** As `struct Slot` of shaders/slot.wgsl; also a graph's input. */
function slotsOf(slots: readonly Slot[]): { shape: number[]; data: Uint32Array<ArrayBuffer> } {
  const data = new Uint32Array(slots.length * 8);
  slots.forEach(({ tableRow = 0, draw = 0, seed = 0, guidance = 1 }, i) => {
    data.set([tableRow, draw, seed % 2 ** 32, Math.floor(seed / 2 ** 32)], i * 8);
    new Float32Array(data.buffer)[i * 8 + 4] = guidance;
  });
  return { shape: [slots.length, 8], data };
}

/** Calls one kernel on tensors and reads them all back. */
async function call(
  { gpu, pipelines }: Bench,
  kernel: Kernel,
  params: Record<string, number>,
  inputs: Record<string, { shape: number[]; data: Float32Array | Uint32Array<ArrayBuffer> }>,
  invocations: number,
): Promise<Record<string, Float32Array>> {
  const tensors = Object.entries(inputs).map(([name, { shape, data }]) => {
    const tensor = new Tensor(gpu, name, shape);
    // Kernels must not count the padding.
    tensor.writeRaw(new Float32Array(tensor.bytes / 4).fill(1e9));
    if (data instanceof Uint32Array) tensor.writeRaw(data);
    else writePacked(tensor, data);
    return tensor;
  });
  using recording = await Recording.make(pipelines, [{
    kernel,
    constants: { WORKGROUP },
    params,
    buffers: Object.fromEntries(tensors.map((tensor) => [tensor.name, tensor])),
    workgroups: [1, Math.ceil(invocations / WORKGROUP), 1],
  }]);
  recording.submit();
  const results: Record<string, Float32Array> = {};
  for (const tensor of tensors) {
    results[tensor.name] = await tensor.read();
    tensor[Symbol.dispose]();
  }
  return results;
}

/** Writes numbers and leaves the padding between them as it is. */
function writePacked({ gpu, buffer, shape }: Tensor, data: Float32Array): void {
  const width = shape.at(-1)!;
  const stride = Math.ceil(width / 4) * 4;
  for (let at = 0, offset = 0; at < data.length; at += width, offset += stride * 4) {
    gpu.device.queue.writeBuffer(buffer, offset, data.slice(at, at + width));
  }
}

const empty = (shape: number[]): Input => numbers(shape, 0, 0);

Deno.test("noise", async (t) => {
  await using bench = await Bench.open();
  const draw = async (slots: readonly Slot[], size: number[], level: number) => {
    const shape = [slots.length, ...size];
    const { y } = await bench.run({ slots: slotsOf(slots) }, (graph, v) => ({
      y: noise(graph, v.slots!, shape, level),
    }));
    return y!;
  };

  await t.step("equals the reference, number by number", async () => {
    const slots = [
      { seed: 0 },
      { seed: 7, draw: 3 },
      { seed: 2 ** 32 + 7, draw: 250 },
      { seed: Number.MAX_SAFE_INTEGER },
    ];
    for (
      const [size, level] of [[[1, 1, 3], 0], [[5, 7, 3], 1], [[13, 17, 4], 2], [
        [3, 5, 6],
        0,
      ]] as const
    ) {
      const channels = size[2];
      const expected = slots.flatMap(({ seed, draw = 0 }) =>
        Array.from(reference.noise(seed, level, draw, size[0] * size[1], channels).data)
      );
      // The polynomials for log, cos and sin are within 1e-7, on numbers up to 5.8.
      const tolerance = { absolute: 1e-6, relative: 1e-6 };
      assertAllclose(await draw(slots, [...size], level), expected, tolerance, `${size}`);
    }
  });

  await t.step("is normal: mean, variance, skewness, kurtosis, tails, neighbours", async () => {
    const values = Array.from(await draw([{ seed: 1 }, { seed: 2 }], [128, 128, 3], 0));
    const n = values.length;
    const moment = (power: number) => values.reduce((sum, x) => sum + x ** power, 0) / n;
    const within = (value: number, expected: number, variance: number) =>
      assert.ok(Math.abs(value - expected) < 4 * Math.sqrt(variance / n), `${value}, ${expected}`);
    within(moment(1), 0, 1);
    within(moment(2), 1, 2);
    within(moment(3), 0, 15);
    within(moment(4), 3, 96);
    // Between vectors, pairs and the numbers of a pair.
    for (const distance of [1, 2, 3, 6, 384]) {
      const products = values.slice(distance).map((x, i) => x * values[i]!);
      within(products.reduce((sum, x) => sum + x, 0) / n, 0, 1);
    }
    const beyond = (limit: number) => values.filter((x) => Math.abs(x) > limit).length / n;
    for (const [limit, share] of [[1, 0.31731], [2, 0.0455], [3, 0.0027], [4, 6.33e-5]] as const) {
      within(beyond(limit), share, share);
    }
  });

  await t.step("differs by seed (above 2^32 too), level, draw and place", async () => {
    const streams: Float32Array[] = [];
    for (const level of [0, 1, 2]) {
      const slots = [7, 8, 2 ** 32 + 7, 2 ** 33 + 7].flatMap((seed) =>
        [0, 1, 2].map((draw) => ({ seed, draw }))
      );
      const all = await draw(slots, [2, 2, 3], level);
      for (let i = 0; i < slots.length; i++) streams.push(all.slice(i * 12, (i + 1) * 12));
    }
    const numbersSeen = streams.flatMap((stream) => [...stream]);
    assert.equal(numbersSeen.length, 3 * 12 * 12);
    assert.equal(new Set(numbersSeen).size, numbersSeen.length);
  });

  await t.step("has the same bits whatever shares the batch, and every time", async () => {
    const alone = await draw([{ seed: 5, draw: 2 }], [5, 7, 3], 1);
    const slots = [{ seed: 4 }, { seed: 5, draw: 2, tableRow: 9, guidance: 3 }, { seed: 6 }];
    const together = await draw(slots, [5, 7, 3], 1);
    assert.deepEqual(together.slice(105, 210), alone);
    assert.deepEqual(await draw(slots, [5, 7, 3], 1), together);
  });
});

Deno.test("predict_x0", async (t) => {
  await using bench = await Bench.open();
  const shape = [3, 5, 7, 3];
  const [size, slotVectors] = [5 * 7 * 3, 5 * 7];
  const table = numbers([4, 16], 1);
  const slots = [{ tableRow: 2, guidance: 7.5 }, { tableRow: 0, guidance: 1 }, {
    tableRow: 3,
    guidance: 0,
  }];
  const latent = numbers(shape, 2, 2);

  const run = async (prediction: Input, scales: { imageScale: number; outputScale: number }) => {
    const guided = prediction.shape[0] === 6;
    const { output } = await call(
      bench,
      kernels.predictX0,
      {
        invocations: 3 * slotVectors,
        slotVectors,
        guided: Number(guided),
        tableStride: 16,
        tableOffset: 8,
        ...scales,
      },
      { slots: slotsOf(slots), coefficients: table, prediction, latent, output: empty(shape) },
      3 * slotVectors,
    );
    return output!;
  };

  for (const guided of [false, true]) {
    await t.step(`equals the reference, ${guided ? "guided" : "unguided"}`, async () => {
      const prediction = numbers([guided ? 6 : 3, 5, 7, 3], 3, 2);
      for (
        const scales of [
          { imageScale: 1, outputScale: 0 },
          { imageScale: 4, outputScale: 0 },
          { imageScale: 0.5, outputScale: 1.5 },
        ]
      ) {
        const output = await run(prediction, scales);
        const expected = slots.flatMap(({ tableRow, guidance }, slot) =>
          reference.predictX0({
            latent: row(latent, slot).data,
            conditional: row(prediction, slot).data,
            ...guided && { unconditional: row(prediction, 3 + slot).data, guidance },
          }, {
            fromLatent: table.data[tableRow * 16 + 8]!,
            fromPrediction: table.data[tableRow * 16 + 9]!,
            ...scales,
          })
        );
        // Guidance makes numbers up to 30 of such up to 2, times 4.
        assertAllclose(
          output,
          expected,
          { absolute: 2e-5, relative: 1e-6 },
          JSON.stringify(scales),
        );
      }
    });
  }

  await t.step("guidance 1 has the bits of no guidance", async () => {
    const prediction = numbers([6, 5, 7, 3], 4, 2);
    const conditional = { shape, data: prediction.data.slice(0, 3 * size) };
    const scales = { imageScale: 2, outputScale: 1.5 };
    const [guided, plain] = [await run(prediction, scales), await run(conditional, scales)];
    assert.deepEqual(guided.slice(size, 2 * size), plain.slice(size, 2 * size));
    assert.notDeepEqual(guided.slice(0, size), plain.slice(0, size));
  });

  await t.step("a bent prediction stays within its scale, however large it was", async () => {
    const prediction = numbers(shape, 5, 1e6);
    prediction.data.set([1e30, -1e30, 0]);
    const output = await run(prediction, { imageScale: 1, outputScale: 1.5 });
    const expected = slots.flatMap(({ tableRow }, slot) =>
      Array.from(row(latent, slot).data, (x, i) =>
        table.data[tableRow * 16 + 8]! * x +
        table.data[tableRow * 16 + 9]! * 1.5 * Math.sign(row(prediction, slot).data[i]!))
    );
    assertAllclose(output, expected, { absolute: 1e-6 });
  });
});

Deno.test("quantile", async (t) => {
  await using bench = await Bench.open();

  const assertQuantile = async (input: Input, ratio: number, limit: number, message: string) => {
    const [slots = 0, height = 0, width = 0, channels = 0] = input.shape;
    const { output } = await call(
      bench,
      kernels.quantile,
      {
        rows: slots,
        pixels: height * width,
        vectors: Math.ceil(channels / 4),
        channels,
        ...reference.quantileRank(ratio, height * width * channels),
        limit,
      },
      { input, output: empty([slots, 1]) },
      slots * WORKGROUP,
    );
    const expected = Array.from(
      { length: slots },
      (_, slot) => Math.min(limit, Math.max(1, reference.quantile(row(input, slot).data, ratio))),
    );
    // Both neighbours are exact; two roundings between them.
    assertAllclose(output!, expected, { absolute: 0, relative: 2e-7 }, message);
  };
  const unlimited = 3e38;

  await t.step("equals torch.quantile on random images of odd sizes", async () => {
    for (
      const size of [[1, 1, 1], [1, 1, 2], [1, 1, 3], [1, 65, 1], [5, 7, 3], [13, 17, 3], [
        64,
        64,
        3,
      ], [9, 9, 6]]
    ) {
      for (const ratio of [0.995, 0.95, 0.5, 0, 1]) {
        const input = numbers([3, ...size], size[1]!, 1000);
        await assertQuantile(input, ratio, unlimited, `[${size}] ${ratio}`);
      }
    }
  });

  await t.step("counts equal values as often as they stand there", async () => {
    const input = numbers([2, 13, 17, 3], 1, 4);
    input.data.forEach((x, i) => input.data[i] = Math.round(x));
    for (const ratio of [0.995, 0.95, 0.9, 0.3]) {
      await assertQuantile(input, ratio, unlimited, `${ratio}`);
    }
    await assertQuantile({ ...input, data: input.data.fill(-7) }, 0.995, unlimited, "all equal");
    await assertQuantile({ ...input, data: input.data.fill(0) }, 0.995, unlimited, "all zero");
  });

  await t.step("interpolates across bytes of the representation", async () => {
    // Neighbours in order whose bits differ in the first, second, third and last byte; and a number with three bytes of 255, whose
    // histograms must not add up.
    for (
      const [low, high] of [
        [3.9, 1e20],
        [3, 3.5],
        [3, 3.001],
        [3, 3.0000002],
        [7.9999995, 9],
      ] as const
    ) {
      const data = Float32Array.of(low, -high, 2, -1);
      await assertQuantile({ shape: [1, 2, 2, 1], data }, 0.95, unlimited, `${low}, ${high}`);
    }
  });

  await t.step("stays within 1 and the limit", async () => {
    const small = numbers([2, 5, 7, 3], 1, 0.9);
    await assertQuantile(small, 0.995, 100, "below 1");
    const large = numbers([2, 5, 7, 3], 2, 1e4);
    await assertQuantile(large, 0.995, 100, "above 100");
    await assertQuantile(numbers([2, 5, 7, 3], 3, 1.7), 0.95, 1.5, "dynamic-if");
    await assertQuantile(numbers([2, 5, 7, 3], 3, 1.3), 0.95, 1.5, "between");
  });
});

Deno.test("sampler_update", async (t) => {
  await using bench = await Bench.open();
  const shape = [3, 5, 7, 3];
  const slotVectors = 5 * 7;
  // In each row, from the third number of the second level on: latent, x0, previous, noise.
  const table = numbers([5, 16], 1);
  table.data.set([0.5, -2, 0, 0], 3 * 16 + 10);
  const tableRows = [4, 3, 0];
  const slots = tableRows.map((tableRow) => ({ tableRow }));
  const bounds = { shape: [3, 1], data: Float32Array.of(1, 1.75, 2.5) };
  const values = {
    raw: numbers(shape, 2, 4),
    latent: numbers(shape, 3, 2),
    previous: numbers(shape, 4, 2),
    noise: numbers(shape, 5, 2),
  };

  const run = (inputs: typeof values, threshold: number, imageScale: number) =>
    call(
      bench,
      kernels.samplerUpdate,
      {
        invocations: 3 * slotVectors,
        slotVectors,
        tableStride: 16,
        tableOffset: 8,
        threshold,
        limit: 1.25,
        imageScale,
      },
      { slots: slotsOf(slots), coefficients: table, quantile: bounds, ...inputs },
      3 * slotVectors,
    );

  await t.step("equals the reference under every threshold", async () => {
    for (
      const [threshold, imageScale] of [[0, 1], [0, 4], [1, 1], [1, 0.5], [2, 1], [2, 4]] as const
    ) {
      const results = await run(values, threshold, imageScale);
      const kinds = (bound: number) =>
        [{ kind: "none" }, { kind: "clip", limit: 1.25 }, { kind: "dynamic", bound }] as const;
      const expected = tableRows.map((tableRow, slot) => {
        const [a, b, c, d] = table.data.slice(tableRow * 16 + 10);
        const [raw, latent, previous, noise] = Object.values(values).map((v) => row(v, slot).data);
        return reference.samplerUpdate(
          { raw: raw!, latent: latent!, previous: previous!, noise: noise! },
          [a!, b!, c!, d!],
          kinds(bounds.data[slot]!)[threshold],
          imageScale,
        );
      });
      const tolerance = { absolute: 2e-6, relative: 1e-6 };
      const message = `threshold ${threshold}, scale ${imageScale}`;
      assertAllclose(results.previous!, expected.flatMap(({ x0 }) => x0), tolerance, message);
      assertAllclose(results.latent!, expected.flatMap(({ latent }) => latent), tolerance, message);
    }
  });

  await t.step("what has no weight is not read: it may be NaN", async () => {
    const spoilt = {
      ...values,
      previous: { shape, data: values.previous.data.slice().fill(NaN, 105, 210) },
      noise: { shape, data: values.noise.data.slice().fill(NaN, 105, 210) },
    };
    const [clean, dirty] = [await run(values, 1, 1), await run(spoilt, 1, 1)];
    assert.deepEqual(dirty.latent, clean.latent);
    assert.deepEqual(dirty.previous, clean.previous);
  });
});

Deno.test("stepLevel: guidance, threshold and update are one step of the reference", async (t) => {
  await using bench = await Bench.open();
  const shape = [3, 5, 7, 3];
  const slots = [
    { tableRow: 2, seed: 4, guidance: 7.5, draw: 1 },
    { tableRow: 0, seed: 5, guidance: 1 },
    { tableRow: 3, seed: 2 ** 40, guidance: 2, draw: 6 },
  ];
  const table = numbers([4, 2 * COEFFICIENTS], 1);
  const inputs = {
    latent: numbers(shape, 2, 2),
    previous: numbers(shape, 3, 2),
    prediction: numbers([6, 5, 7, 3], 4, 2),
  };

  const step = (chosen: number[], threshold: Threshold, imageScale: number) => {
    const pick = (input: Input, rows: number[]): Input => ({
      shape: [rows.length, ...input.shape.slice(1)],
      data: Float32Array.from(rows.flatMap((index) => [...row(input, index).data])),
    });
    return bench.run({
      slots: slotsOf(chosen.map((index) => slots[index]!)),
      coefficients: table,
      latent: pick(inputs.latent, chosen),
      previous: pick(inputs.previous, chosen),
      prediction: pick(inputs.prediction, [...chosen, ...chosen.map((index) => index + 3)]),
    }, (graph, v) => {
      stepLevel(graph, {
        slots: v.slots!,
        coefficients: v.coefficients!,
        prediction: v.prediction!,
        latent: v.latent!,
        previous: v.previous!,
        noise: noise(graph, v.slots!, v.latent!.shape, 1),
        level: 1,
        guided: true,
        imageScale,
        outputScale: 0,
        threshold,
      });
      return {};
    });
  };

  const thresholds: Threshold[] = [
    { kind: "none" },
    { kind: "clip", max: 1 },
    { kind: "dynamic", quantile: 0.95, max: 1.5 },
    { kind: "dynamic", quantile: 0.995, max: 100 },
  ];
  for (const threshold of thresholds) {
    await t.step(JSON.stringify(threshold), async () => {
      const results = await step([0, 1, 2], threshold, 2);
      slots.forEach(({ tableRow, seed, guidance, draw = 0 }, slot) => {
        const at = tableRow * 2 * COEFFICIENTS + COEFFICIENTS;
        const [fromLatent, fromPrediction, a, b, c, d] = table.data.slice(at);
        const latent = row(inputs.latent, slot).data;
        const raw = reference.predictX0({
          latent,
          conditional: row(inputs.prediction, slot).data,
          unconditional: row(inputs.prediction, slot + 3).data,
          guidance,
        }, {
          fromLatent: fromLatent!,
          fromPrediction: fromPrediction!,
          imageScale: 2,
          outputScale: 0,
        });
        const bound = threshold.kind === "dynamic"
          ? Math.min(threshold.max, Math.max(1, reference.quantile(raw, threshold.quantile)))
          : 0;
        const expected = reference.samplerUpdate(
          {
            raw,
            latent,
            previous: row(inputs.previous, slot).data,
            noise: reference.noise(seed, 1, draw, 35, 3).data,
          },
          [a!, b!, c!, d!],
          threshold.kind === "dynamic"
            ? { kind: "dynamic", bound }
            : threshold.kind === "clip"
            ? { kind: "clip", limit: threshold.max }
            : threshold,
          2,
        );
        const part = (all: Float32Array) => all.slice(slot * 105, (slot + 1) * 105);
        const tolerance = { absolute: 1e-5, relative: 1e-6 };
        assertAllclose(part(results.latent!), expected.latent, tolerance, `latent ${slot}`);
        assertAllclose(part(results.previous!), expected.x0, tolerance, `x0 ${slot}`);
      });
    });
  }

  await t.step("an image has the same bits at any place of any batch", async () => {
    const threshold = thresholds[3]!;
    const together = await step([0, 1, 2], threshold, 2);
    for (const index of [0, 1, 2]) {
      const alone = await step([index], threshold, 2);
      for (const name of ["latent", "previous"]) {
        assert.deepEqual(together[name]!.slice(index * 105, (index + 1) * 105), alone[name]);
      }
    }
  });
});
