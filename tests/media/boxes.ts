/** A box of an MP4 with all between its header and its end. */
export interface Box {
  readonly type: string;
  readonly data: DataView;
}

/** The boxes in so many bytes (ISO/IEC 14496-12); throws where one is cut short. */
export function boxes({ buffer, byteOffset, byteLength }: ArrayBufferView): Box[] {
  const view = new DataView(buffer, byteOffset, byteLength);
  const found: Box[] = [];
  for (let at = 0; at < byteLength;) {
    const size = view.getUint32(at);
    const letters = new Uint8Array(buffer, byteOffset + at + 4, 4);
    const data = new DataView(buffer, byteOffset + at + 8, size - 8);
    found.push({ type: String.fromCharCode(...letters), data });
    at += size;
    if (at > byteLength) throw new Error("A box is cut short");
  }
  return found;
}

/**
 * What is in the first box at a path: "moov/trak".
 */
export function boxAt(file: Uint8Array, path: string): DataView {
  const skipped = new Map([["stsd", 8], ["avc1", 78]]);
  let inside: ArrayBufferView = file;
  for (const type of path.split("/")) {
    const [box] = boxes(inside).filter((box) => box.type === type);
    if (!box) throw new Error(`No ${type} in ${path}`);
    const skip = path.endsWith(type) ? 0 : skipped.get(type) ?? 0;
    inside = new DataView(
      box.data.buffer,
      box.data.byteOffset + skip,
      box.data.byteLength - skip,
    );
  }
  return inside as DataView;
}
