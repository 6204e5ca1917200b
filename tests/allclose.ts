import assert from "./assert.ts";

/** How far a number may be from what is expected: `absolute + relative * |expected|`. */
export interface Tolerance {
  readonly absolute: number;
  readonly relative?: number;
}

/** Asserts that all numbers agree, and names the worst one where they do not; NaN agrees with nothing. */
export function assertAllclose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { absolute, relative = 0 }: Tolerance,
  message = "",
): void {
  assert.equal(actual.length, expected.length, `${message}: the numbers of values differ`);
  let worst = { index: -1, excess: 1 };
  for (let index = 0; index < expected.length; index++) {
    const [a, e] = [actual[index]!, expected[index]!];
    const excess = Math.abs(a - e) / (absolute + relative * Math.abs(e));
    if (a !== e && !(excess <= worst.excess)) {
      worst = { index, excess: Number.isNaN(excess) ? Infinity : excess };
    }
  }
  const { index, excess } = worst;
  assert.ok(
    index === -1,
    `${message}: value ${index} of ${expected.length} is ${actual[index]}, not ${
      expected[index]
    } (${excess.toFixed(2)} times the tolerance)`,
  );
}

/** The tolerance of a sum of `terms` products of numbers around 1 in f32: rounding errors grow as a random walk does. */
export function sumTolerance(terms: number): Tolerance {
  // Half an ulp is 6e-8; 16 of them a term cover the tails of thousands of sums.
  return { absolute: 1e-6 * Math.sqrt(terms), relative: 1e-5 };
}
