/**
 * A picture in memory: 8 bits a channel, RGBA, rows from the top.
 *
 * @example
 * ```ts
 * const red: Picture = { width: 1, height: 1, data: Uint8Array.of(255, 0, 0, 255) };
 * ```
 */
export interface Picture {
  readonly width: number;
  readonly height: number;
  /** `width * height * 4` bytes. */
  readonly data: Uint8Array;
}
