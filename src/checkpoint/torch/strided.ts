/** How a tensor's elements lie in its storage, in elements. */
export interface Strided {
  readonly shape: readonly number[];
  /** From one index of a dimension to the next; 0: all are the same element. */
  readonly strides: readonly number[];
  /** The place of the first element. */
  readonly offset: number;
}

/** The number of elements of a tensor of this shape. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, side) => product * side, 1);
}

/** One more than the place of the last element; 0 for a tensor without any. */
export function strideEnd({ shape, strides, offset }: Strided): number {
  if (shape.includes(0)) return 0;
  return shape.reduce((last, side, axis) => last + (side - 1) * strides[axis]!, offset) + 1;
}

/** Whether the elements lie one after the other in row-major order. */
export function isContiguous({ shape, strides }: Strided): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    // An axis of one element is never stepped along, so its stride may be anything.
    if (shape[axis] !== 1 && strides[axis] !== expected) return false;
    expected *= shape[axis]!;
  }
  return true;
}

/**
 * Puts elements into row-major order.
 *
 * @param source elements of the storage, from place `layout.offset` on
 * @param start the first element to take, counted in row-major order
 * @param out is filled with elements `start`, `start + 1`, ...
 */
export function gather(
  source: Float32Array,
  { shape, strides }: Strided,
  start: number,
  out: Float32Array,
): void {
  const index = indexOf(shape, start);
  let place = index.reduce((sum, i, axis) => sum + i * strides[axis]!, 0);
  for (let i = 0; i < out.length; i++) {
    out[i] = source[place]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      place += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      place -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
}

/** The index along each axis of an element given by its row-major number. */
function indexOf(shape: readonly number[], element: number): number[] {
  const index = new Array<number>(shape.length);
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index[axis] = element % shape[axis]!;
    element = Math.floor(element / shape[axis]!);
  }
  return index;
}
