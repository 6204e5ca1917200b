import assert from "../assert.ts";
import { CONV_ALGORITHMS } from "../../src/gpu/conv_choice.ts";
import { productBytes, PRODUCTS, usesWinograd, winogradPanels } from "../../src/gpu/winograd.ts";
import { random } from "../graph/run.ts";

const WIDE = {
  ...{ kernel: [3, 3], stride: [1, 1] } as const,
  ...{ pixels: 256, inputs: 128, outputs: 128 },
};
const software = { deviceClass: "software", subgroupSize: 8 } as const;

Deno.test("Winograd's algorithm is taken by software where channels and pixels are many", () => {
  assert.ok(usesWinograd(software, WIDE));
  assert.ok(usesWinograd(software, { ...WIDE, pixels: 4096, inputs: 768 }));
  assert.ok(!usesWinograd(software, { ...WIDE, pixels: 240 }));
  assert.ok(!usesWinograd(software, { ...WIDE, pixels: 64, inputs: 256, outputs: 256 }));
  assert.ok(!usesWinograd(software, { ...WIDE, pixels: 4096, outputs: 124 }));
  assert.ok(!usesWinograd({ ...software, deviceClass: "gpu" }, WIDE));
});

Deno.test("Winograd's algorithm is taken when forced, and only where it can be", () => {
  for (const convAlgorithm of CONV_ALGORITHMS) {
    for (const deviceClass of ["software", "gpu"] as const) {
      const target = { deviceClass, subgroupSize: 8, convAlgorithm };
      const small = { ...WIDE, pixels: 1, inputs: 3, outputs: 5 };
      assert.equal(usesWinograd(target, small), convAlgorithm === "winograd");
      assert.ok(!usesWinograd(target, { ...WIDE, stride: [2, 2] }));
      assert.ok(!usesWinograd(target, { ...WIDE, kernel: [1, 1] }));
      assert.ok(!usesWinograd(target, { ...WIDE, kernel: [3, 1] }));
    }
  }
});

Deno.test("transformed weights multiply tiles as the window does", () => {
  // One channel: 36 numbers u, and B^T d B of a tile d, give the 4x4 pixels by A^T (u * v) A.
  const weights = random(9, 1);
  const tile = random(36, 2);
  const u = winogradPanels({ outputs: 1, inputs: [1], panel: 1, first: 0, end: PRODUCTS })
    .pack([weights]).filter((_, i) => i % 4 === 0);
  const [a, b] = [Math.SQRT1_2, Math.SQRT2];
  const BT = [
    [1, 0, -2.5, 0, 1, 0],
    [0, -2 * a, -2, a, 1, 0],
    [0, 2 * a, -2, -a, 1, 0],
    [0, -b / 2, -0.5, b, 1, 0],
    [0, b / 2, -0.5, -b, 1, 0],
    [0, 1, 0, -2.5, 0, 1],
  ];
  const AT = [0, 1, 2, 3].map((
    j,
  ) => [0 ** j, a ** j, (-a) ** j, b ** j, (-b) ** j, Number(j === 3)]);
  const sandwich = (m: number[][], x: ArrayLike<number>) =>
    m.flatMap((left) =>
      m.map((right) => {
        let sum = 0;
        for (let k = 0; k < 36; k++) sum += left[Math.floor(k / 6)]! * x[k]! * right[k % 6]!;
        return sum;
      })
    );
  const v = sandwich(BT, tile);
  const y = sandwich(AT, v.map((x, k) => x * u[k]!));
  for (let p = 0; p < 16; p++) {
    let expected = 0;
    for (let k = 0; k < 9; k++) {
      expected += weights[k]! * tile[(Math.floor(p / 4) + Math.floor(k / 3)) * 6 + p % 4 + k % 3]!;
    }
    assert.ok(Math.abs(y[p]! - expected) < 1e-6, `pixel ${p} is ${y[p]}, not ${expected}`);
  }
});

Deno.test("products are packed apart as they are together, zero over every edge", () => {
  const shape = { outputs: 5, inputs: [4, 3], panel: 4 };
  const tensors = [random(2 * 7 * 9, 3), random(3 * 7 * 9, 4)];
  const whole = winogradPanels({ ...shape, first: 0, end: PRODUCTS }).pack(tensors);
  const size = productBytes(shape) / 4;
  assert.equal(whole.length, PRODUCTS * size);
  const part = winogradPanels({ ...shape, first: 7, end: 20 });
  assert.equal(part.bytes, 13 * size * 4);
  assert.deepEqual(part.pack(tensors), whole.slice(7 * size, 20 * size));
  // [panel][channel][output]: the eighth channel and outputs 5 to 7 are padding.
  for (let k = 0; k < whole.length; k++) {
    const at = k % size;
    const isPadding = Math.floor(at / 4) % 8 === 7 || Math.floor(at / 32) === 1 && at % 4 > 0;
    assert.equal(whole[k] === 0, isPadding);
  }
});
