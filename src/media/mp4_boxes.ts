/** The boxes that an MP4 is made of (ISO/IEC 14496-12), as far as ours go. */
import type { Buffer } from "node:buffer";

/** Where a box is, with its header of size and type. */
export interface Place {
  readonly start: number;
  readonly end: number;
}

const SIZE_AND_TYPE = 8;

/** Bytes that come before the boxes in a box, where there are any. */
const FIELDS: Readonly<Record<string, number>> = { stsd: 8 };

/**
 * The first box at a path, such as "moov/trak".
 *
 * @throws {Error} where there is none
 */
export function findBox(mp4: Buffer, path: string): Place {
  let place: Place = { start: -SIZE_AND_TYPE, end: mp4.length };
  let outer = "";
  for (const type of path.split("/")) {
    const { end } = place;
    let start = place.start + SIZE_AND_TYPE + (FIELDS[outer] ?? 0);
    while (start < end && typeAt(mp4, start) !== type) start += mp4.readUInt32BE(start);
    if (start >= end) throw new Error(`The encoder wrote an MP4 without "${path}"`);
    place = { start, end: start + mp4.readUInt32BE(start) };
    outer = type;
  }
  return place;
}

function typeAt(mp4: Buffer, start: number): string {
  return mp4.toString("latin1", start + 4, start + SIZE_AND_TYPE);
}
