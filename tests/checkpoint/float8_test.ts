import assert from "../assert.ts";
import { float8Values } from "../../src/checkpoint/float8.ts";

Deno.test("numbers of 8 bits have the values that the formats' specifications list", () => {
  const e4m3 = float8Values("E4M3FN");
  assert.deepEqual(
    [0x00, 0x01, 0x07, 0x08, 0x38, 0x7e, 0x7f, 0x80, 0x81, 0xfe].map((byte) => e4m3[byte]),
    [0, 2 ** -9, 7 * 2 ** -9, 2 ** -6, 1, 448, NaN, -0, -(2 ** -9), -448],
  );
  const e5m2 = float8Values("E5M2");
  assert.deepEqual(
    [0x01, 0x04, 0x3c, 0x7b, 0x7c, 0x7d, 0xfc].map((byte) => e5m2[byte]),
    [2 ** -16, 2 ** -14, 1, 57344, Infinity, NaN, -Infinity],
  );
  const e4m3fnuz = float8Values("E4M3FNUZ");
  assert.deepEqual([0x01, 0x40, 0x7f, 0x80].map((byte) => e4m3fnuz[byte]), [2 ** -10, 1, 240, NaN]);
  const e5m2fnuz = float8Values("E5M2FNUZ");
  assert.deepEqual([0x01, 0x40, 0x7f, 0x80].map((byte) => e5m2fnuz[byte]), [
    2 ** -17,
    1,
    57344,
    NaN,
  ]);
  const e8m0 = float8Values("E8M0FNU");
  assert.deepEqual([0, 127, 254, 255].map((byte) => e8m0[byte]), [2 ** -127, 1, 2 ** 127, NaN]);
});
