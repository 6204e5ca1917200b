import assert from "./assert.ts";
import { assertAllclose } from "./allclose.ts";
import * as reference from "./reference.ts";

Deno.test("erf and erfc have their tabled values", () => {
  const table: [number, number][] = [
    [0, 0],
    [0.1, 0.1124629160182849],
    [0.5, 0.5204998778130465],
    [1, 0.8427007929497149],
    [2, 0.9953222650189527],
    [2.9, 0.9999589021219005],
    [3, 0.9999779095030014],
  ];
  for (const [x, value] of table) {
    assertAllclose([reference.erf(x), reference.erf(-x)], [value, -value], { absolute: 1e-14 });
  }
  assertAllclose(
    [3, 4, 6].map(reference.erfc),
    [2.209049699858544e-5, 1.541725790028002e-8, 2.1519736712498913e-17],
    { absolute: 0, relative: 1e-12 },
  );
});

// kat_vectors of the authors' Random123.
Deno.test("philox has the known answers", () => {
  const hex = (words: number[]) => words.map((w) => w.toString(16).padStart(8, "0")).join(" ");
  const full = 0xffffffff;
  assert.deepEqual([
    hex(reference.philox([0, 0, 0, 0], [0, 0])),
    hex(reference.philox([full, full, full, full], [full, full])),
    hex(reference.philox(
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
    )),
  ], [
    "6627e8d5 e169c58d bc57ac4c 9b00dbd8",
    "408f276d 41c83b0e a20bc7c6 6d5451fd",
    "d16cfe09 94fdcceb 5001e420 24126ea1",
  ]);
});

// As torch.quantile(torch.tensor(...).abs(), q) prints them.
Deno.test("quantile interpolates between neighbours", () => {
  assert.equal(reference.quantile([3, -1, 2, -4], 0.5), 2.5);
  assert.equal(reference.quantile([3, -1, 2, -4], 1), 4);
  assert.equal(reference.quantile([7], 0.995), 7);
});

// F.conv2d(torch.arange(1., 10.).view(1, 1, 3, 3), torch.arange(9.).view(1, 1, 3, 3), padding=1), by hand at two places.
Deno.test("conv2d correlates, and pads with zeros", () => {
  const input = { shape: [1, 3, 3, 1], data: [1, 2, 3, 4, 5, 6, 7, 8, 9] };
  const weight = { shape: [1, 1, 3, 3], data: [0, 1, 2, 3, 4, 5, 6, 7, 8] };
  const { data } = reference.conv2d(input, weight);
  assert.equal(data[4], 240);
  assert.equal(data[0], 1 * 4 + 2 * 5 + 4 * 7 + 5 * 8);
  assert.equal(reference.conv2d(input, weight, { stride: 2 }).data.length, 4);
});
