/** A picture in memory: 8 bits a channel, RGBA, rows from the top. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  /** `width * height * 4` bytes. */
  readonly data: Uint8Array;
}
