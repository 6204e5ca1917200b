import assert from "../assert.ts";
import { random } from "../graph/run.ts";
import { panels, rowMajor } from "../../src/gpu/packing.ts";

/** 1, 2, 3, ...: each number says where it came from. */
const counted = (count: number, first = 1) =>
  Float32Array.from({ length: count }, (_, i) => first + i);

/** [output / panel][tap][source, each padded to 4][input][output % panel], looked up place by place. */
function naivePanels(
  weight: Float32Array,
  outputs: number,
  inputs: readonly number[],
  taps: number,
  panel: number,
): number[] {
  const total = inputs.reduce((sum, n) => sum + n, 0);
  const packed: number[] = [];
  for (let first = 0; first < outputs; first += panel) {
    for (let tap = 0; tap < taps; tap++) {
      for (const [source, channels] of inputs.entries()) {
        const before = inputs.slice(0, source).reduce((sum, n) => sum + n, 0);
        for (let ci = 0; ci < Math.ceil(channels / 4) * 4; ci++) {
          for (let output = first; output < first + panel; output++) {
            const inside = output < outputs && ci < channels;
            packed.push(inside ? weight[(output * total + before + ci) * taps + tap]! : 0);
          }
        }
      }
    }
  }
  return packed;
}

const shapes: [number, number[], number, number][] = [
  [1, [1], 1, 32],
  [3, [3], 9, 16],
  [33, [70], 1, 32],
  [32, [4], 9, 32],
  [70, [33], 9, 16],
  [70, [32, 33], 9, 32],
  [5, [3, 4, 1], 4, 4],
];

Deno.test("panels puts every weight where the kernel reads it, zeros elsewhere", () => {
  for (const [outputs, inputs, taps, panel] of shapes) {
    const total = inputs.reduce((sum, n) => sum + n, 0);
    const weight = counted(outputs * total * taps);
    const packing = panels({ outputs, inputs, taps, panel, half: false });
    const packed = packing.pack([weight]);
    assert.equal(packed.length, packing.bytes / 4);
    assert.deepEqual([...packed], naivePanels(weight, outputs, inputs, taps, panel));
  }
});

Deno.test("panels takes several tensors one after the other", () => {
  const weight = counted(70 * 33);
  const packing = panels({ outputs: 70, inputs: [33], taps: 1, panel: 16, half: false });
  const parts = [[0, 5], [5, 6], [6, 64], [64, 70]]
    .map(([from, to]) => weight.subarray(from! * 33, to! * 33));
  assert.deepEqual(packing.pack(parts), packing.pack([weight]));
});

Deno.test("rowMajor pads rows to four", () => {
  assert.deepEqual([...rowMajor(2, 3).pack([counted(6)])], [1, 2, 3, 0, 4, 5, 6, 0]);
  assert.deepEqual([...rowMajor(2, 4).pack([counted(8)])], [...counted(8)]);
  assert.deepEqual([...rowMajor(1, 5).pack([counted(5)])], [1, 2, 3, 4, 5, 0, 0, 0]);
});

Deno.test("rowMajor takes several tensors: one row of all, or rows of each", () => {
  assert.deepEqual(
    [...rowMajor(1, 6).pack([counted(1), counted(2, 2), counted(3, 4)])],
    [1, 2, 3, 4, 5, 6, 0, 0],
  );
  assert.deepEqual(
    [...rowMajor(3, 2).pack([counted(2), counted(4, 3)])],
    [1, 2, 0, 0, 3, 4, 0, 0, 5, 6, 0, 0],
  );
  assert.deepEqual([...rowMajor(2, 4).pack([counted(4), counted(4, 5)])], [...counted(8)]);
});

Deno.test("the key tells apart what is laid out differently", () => {
  const keys = [
    ...shapes.map(([outputs, inputs, taps, panel]) =>
      panels({ outputs, inputs, taps, panel, half: false }).key
    ),
    panels({ outputs: 70, inputs: [65], taps: 9, panel: 32, half: false }).key,
    panels({ outputs: 70, inputs: [33, 32], taps: 9, panel: 32, half: false }).key,
    rowMajor(1, 6).key,
    rowMajor(3, 2).key,
  ];
  assert.equal(new Set(keys).size, keys.length);
});

Deno.test("panels of 16 bits hold the same numbers in half the bytes", () => {
  const shape = { outputs: 5, inputs: [6], taps: 9, panel: 8 };
  const weights = random(5 * 6 * 9, 3).map((x) => new Float16Array([x])[0]!);
  const [half, whole] = [true, false].map((half) => panels({ ...shape, half }));
  assert.equal(half!.bytes * 2, whole!.bytes);
  assert.notEqual(half!.key, whole!.key);
  const packed = half!.pack([weights]);
  assert.equal(packed.byteLength, half!.bytes);
  assert.deepEqual(Float32Array.from(packed), whole!.pack([weights]));
});
