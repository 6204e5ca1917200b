/** Sizes of a value, outermost first; images are [rows, height, width, channels]. */
export type Shape = readonly number[];

/** Multiplied sizes. */
export function elements(shape: Shape): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Vectors of four that the last dimension takes in memory. */
export function vectors(shape: Shape): number {
  return Math.ceil(shape.at(-1)! / 4);
}

/** How many times the last dimension stands in a shape. */
export function positions(shape: Shape): number {
  return elements(shape.slice(0, -1));
}

/** Bytes in memory. */
export function byteLength(shape: Shape): number {
  return positions(shape) * vectors(shape) * 16;
}

/** Throws the reason unless a condition holds: for shape rules. */
export function need(condition: boolean, reason: string): asserts condition {
  if (!condition) throw new Error(reason);
}
