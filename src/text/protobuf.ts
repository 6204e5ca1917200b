/** A field of a message: its number, and its value as it is written. */
export interface ProtobufField {
  readonly number: number;
  /** A number of a field of variable length, 0 for others. */
  readonly integer: number;
  /** What a field holds that has its length before it, or a fixed one. */
  readonly bytes: Uint8Array;
}

const [VARINT, FIXED64, LENGTH, FIXED32] = [0, 1, 2, 5];
const NOTHING = new Uint8Array(0);

/**
 * Goes through the fields of a message of protocol buffers (its encoding is described at
 * protobuf.dev), without knowing what they are.
 *
 * @throws {RangeError} when it is cut short, or is no such message
 */
export function* protobufFields(message: Uint8Array): Generator<ProtobufField> {
  const reader = new Reader(message);
  while (!reader.done) {
    const tag = reader.varint();
    const number = Math.floor(tag / 8);
    switch (tag % 8) {
      case VARINT:
        yield { number, integer: reader.varint(), bytes: NOTHING };
        break;
      case FIXED64:
        yield { number, integer: 0, bytes: reader.take(8) };
        break;
      case LENGTH:
        yield { number, integer: 0, bytes: reader.take(reader.varint()) };
        break;
      case FIXED32:
        yield { number, integer: 0, bytes: reader.take(4) };
        break;
      default:
        throw new RangeError("it is no message of protocol buffers");
    }
  }
}

class Reader {
  #at = 0;

  constructor(private readonly bytes: Uint8Array) {}

  get done(): boolean {
    return this.#at >= this.bytes.length;
  }

  /** Seven bits a byte, the lowest first. Past 2^53 it is not exact, but then it is no length. */
  varint(): number {
    let value = 0;
    for (let i = 0; i < 10; i++) {
      const byte = this.take(1)[0]!;
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    throw new RangeError("it is no message of protocol buffers");
  }

  take(length: number): Uint8Array {
    const start = this.#at;
    if (start + length > this.bytes.length) throw new RangeError("it is cut short");
    this.#at = start + length;
    return this.bytes.subarray(start, start + length);
  }
}
