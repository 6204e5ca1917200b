import { loadError } from "../header.ts";

/** Longer ones are no numbers that a checkpoint needs, and slow to convert. */
const MAX_INTEGER_BYTES = 256;
/** Of a line of text, which names a module or a class. */
const MAX_LINE_BYTES = 512;

/** Reads the operands of a pickle's operations one after the other, never past the end. */
export class PickleBytes {
  readonly #view: DataView;

  constructor(readonly path: string, private readonly bytes: Uint8Array, public position: number) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  uint8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  uint16(): number {
    return this.#view.getUint16(this.#advance(2), true);
  }

  int32(): number {
    return this.#view.getInt32(this.#advance(4), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  /** Past 2^53 it is not exact, but then it is a length that no file has. */
  uint64(): number {
    return Number(this.#view.getBigUint64(this.#advance(8), true));
  }

  /** The one number that a pickle has in big-endian order. */
  float64(): number {
    return this.#view.getFloat64(this.#advance(8), false);
  }

  take(length: number): Uint8Array {
    const start = this.#advance(length);
    return this.bytes.subarray(start, start + length);
  }

  text(length: number): string {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.take(length));
    } catch (error) {
      if (error instanceof TypeError) {
        throw loadError(this.path, "its pickle has text not in UTF-8");
      }
      throw error;
    }
  }

  /** Python 2's strings, each byte a character. */
  latin1(length: number): string {
    return new TextDecoder("latin1").decode(this.take(length));
  }

  /** Text up to a line feed, which is read and left out. */
  line(): string {
    const rest = this.bytes.subarray(this.position, this.position + MAX_LINE_BYTES);
    const length = rest.indexOf(0x0a);
    if (length < 0) throw loadError(this.path, "its pickle has a name without an end");
    const line = this.text(length);
    this.position++;
    return line;
  }

  /** An integer in two's complement: a number where it is exact, else a bigint. */
  integer(length: number): number | bigint {
    if (length > MAX_INTEGER_BYTES) {
      throw loadError(this.path, `its pickle has an integer of ${length} bytes`);
    }
    const hex = this.take(length).toReversed().toHex();
    const value = BigInt.asIntN(8 * length, BigInt(`0x0${hex}`));
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  /** @returns where the next `length` bytes begin, which then count as read */
  #advance(length: number): number {
    const start = this.position;
    if (start + length > this.bytes.length) throw loadError(this.path, "its pickle is cut short");
    this.position = start + length;
    return start;
  }
}
