import type { Picture } from "../../src/media/picture.ts";

export interface Gif {
  /** 0: for ever. */
  readonly repeats: number | undefined;
  readonly frames: (Picture & { readonly delay: number })[];
}

/**
 * Reads a GIF whose frames cover it all, without transparency or interlacing (GIF89a
 * specification); throws on anything else.
 */
export function readGif(gif: Uint8Array): Gif {
  const view = new DataView(gif.buffer, gif.byteOffset, gif.byteLength);
  const uint16 = (at: number) => view.getUint16(at, true);
  if (new TextDecoder().decode(gif.subarray(0, 6)) !== "GIF89a") throw new Error("Not a GIF");
  const [width, height] = [uint16(6), uint16(8)];
  const frames: Gif["frames"] = [];
  let at = 13;
  const table = (flags: number) => {
    if (!(flags & 0x80)) return undefined;
    const from = at;
    at += 3 * 2 ** ((flags & 7) + 1);
    return gif.subarray(from, at);
  };
  const blocks = () => {
    const data: number[] = [];
    for (let size = gif[at++]!; size > 0; size = gif[at++]!) {
      data.push(...gif.subarray(at, at += size));
    }
    return data;
  };
  const common = table(gif[10]!);
  let [delay, repeats]: [number, number | undefined] = [0, undefined];
  for (let kind = gif[at++]; kind !== 0x3b; kind = gif[at++]) {
    if (kind === 0x21 && gif[at] === 0xf9) {
      at++;
      const control = blocks();
      if (control[0]! & 1) throw new Error("A frame is transparent");
      delay = control[1]! + 256 * control[2]!;
    } else if (kind === 0x21 && gif[at] === 0xff) {
      at++;
      const loop = blocks();
      repeats = loop[12]! + 256 * loop[13]!;
    } else if (kind === 0x2c) {
      const place = [uint16(at), uint16(at + 2), uint16(at + 4), uint16(at + 6)];
      if (String(place) !== String([0, 0, width, height])) throw new Error("A frame is partial");
      const flags = gif[at + 8]!;
      if (flags & 0x40) throw new Error("A frame is interlaced");
      at += 9;
      const colours = table(flags) ?? common!;
      const depth = gif[at++]!;
      const indices = decompress(blocks(), depth);
      if (indices.length !== width * height) throw new Error(`A frame has ${indices.length}`);
      const data = new Uint8Array(
        indices.flatMap((i) => [...colours.subarray(3 * i, 3 * i + 3), 255]),
      );
      frames.push({ width, height, data, delay });
    } else {
      throw new Error(`Unknown block ${kind} at ${at}`);
    }
  }
  if (at !== gif.length) throw new Error("Something is behind the end");
  return { repeats, frames };
}

/** GIF's kind of LZW. */
function decompress(data: readonly number[], depth: number): number[] {
  const clear = 2 ** depth;
  const values: number[] = [];
  let entries: number[][] = [];
  let previous: number[] | undefined;
  for (let bit = 0, width = depth + 1;;) {
    let code = 0;
    for (let i = 0; i < width; i++, bit++) code |= (data[bit >> 3]! >> (bit & 7) & 1) << i;
    if (code === clear + 1) return values;
    if (code === clear) {
      entries = Array.from({ length: clear + 2 }, (_, i) => [i]);
      previous = undefined;
      width = depth + 1;
      continue;
    }
    const entry: number[] = entries[code] ?? [...previous!, previous![0]!];
    values.push(...entry);
    if (previous && entries.length < 4096) entries.push([...previous, entry[0]!]);
    if (entries.length === 2 ** width && width < 12) width++;
    previous = entry;
  }
}
