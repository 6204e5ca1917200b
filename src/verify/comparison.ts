/** How far one tensor is from the reference's. */
export interface Comparison {
  readonly name: string;
  /** ||ours - reference|| / ||reference||. */
  readonly relativeL2: number;
  readonly largestDifference: number;
  readonly tolerance: number;
  readonly passed: boolean;
}

/** Compares a tensor with what the reference computed; a number that is not one never passes. */
export function compare(
  name: string,
  ours: Float32Array,
  reference: Float32Array,
  tolerance: number,
): Comparison {
  let [difference, norm, largest] = [0, 0, 0];
  for (const [i, expected] of reference.entries()) {
    const d = (ours[i] ?? NaN) - expected;
    difference += d * d;
    norm += expected * expected;
    largest = Math.max(largest, Math.abs(d));
  }
  const relativeL2 = Math.sqrt(difference) / Math.max(Math.sqrt(norm), Number.MIN_VALUE);
  const passed = ours.length === reference.length && relativeL2 <= tolerance;
  return { name, relativeL2, largestDifference: largest, tolerance, passed };
}

/** [rows, channels, ...] as PyTorch lays out pictures, to [rows, ..., channels]. */
export function channelsLast(
  data: Float32Array,
  shape: readonly number[],
): Float32Array<ArrayBuffer> {
  const [rows = 1, channels = 1, ...area] = shape;
  return transposed(data, rows, channels, area.reduce((product, size) => product * size, 1));
}

/** [rows, ..., channels] to PyTorch's [rows, channels, ...]. */
export function channelsFirst(
  data: Float32Array,
  shape: readonly number[],
): Float32Array<ArrayBuffer> {
  const [rows = 1, ...rest] = shape;
  const channels = rest.at(-1)!;
  return transposed(data, rows, data.length / (rows * channels), channels);
}

/** Swaps the last two of three dimensions. */
function transposed(
  data: Float32Array,
  rows: number,
  a: number,
  b: number,
): Float32Array<ArrayBuffer> {
  const result = new Float32Array(data.length);
  for (let row = 0; row < rows; row++) {
    const base = row * a * b;
    for (let i = 0; i < a; i++) {
      for (let j = 0; j < b; j++) result[base + j * a + i] = data[base + i * b + j]!;
    }
  }
  return result;
}
