/**
 * Sentencepiece's rules of normalization, as it compiles them into a model (`precompiled_charsmap`):
 * texts to look for, in a double-array trie of darts-clone, and what each becomes. The layout is
 * that of `Normalizer::DecodePrecompiledCharsMap` in sentencepiece's normalizer.cc: the trie's length
 * in bytes, the trie's units of 32 bits, and the new texts, each with a zero after it.
 */

const LENGTH_BYTES = 4;
const UNIT_BYTES = 4;

/** The longest new text that is taken, in bytes; the longest of Unicode's own has 33. */
const MAX_REPLACEMENT_BYTES = 1024;

/** A rule that fits. */
export interface Rule {
  /** Bytes that it takes. */
  readonly length: number;
  /** What they become. */
  readonly replacement: string;
}

/** The rules of one model. */
export class Charsmap {
  readonly #units: Uint32Array;
  readonly #texts: Uint8Array;
  readonly #replacements = new Map<number, string>();

  /** @throws {RangeError} when the bytes are no rules */
  constructor(bytes: Uint8Array) {
    const size = bytes.length < LENGTH_BYTES
      ? Infinity
      : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
    if (size === 0 || size % UNIT_BYTES !== 0 || LENGTH_BYTES + size > bytes.length) {
      throw new RangeError("its rules of normalization are damaged");
    }
    const trie = bytes.slice(LENGTH_BYTES, LENGTH_BYTES + size);
    this.#units = new Uint32Array(trie.buffer);
    this.#texts = bytes.subarray(LENGTH_BYTES + size);
  }

  /** @throws {RangeError} when the text is not base64, or of no rules */
  static fromBase64(text: unknown): Charsmap {
    let bytes: Uint8Array;
    try {
      bytes = Uint8Array.fromBase64(text as string);
    } catch {
      throw new RangeError("its rules of normalization are not in base64");
    }
    return new Charsmap(bytes);
  }

  /** The rule that fits the most bytes from `start` on. */
  longest(text: Uint8Array, start: number): Rule | undefined {
    return this.#find(text, start, text.length, false);
  }

  /** The rule that fits the fewest bytes from `start` on, but none at `end`. */
  shortest(text: Uint8Array, start: number, end: number): Rule | undefined {
    return this.#find(text, start, end, true);
  }

  /**
   * Walks through the trie. A unit has the byte that leads to it, the place of those that follow it
   * (exclusive or with its own place), and whether the first of these is not a byte but a value.
   */
  #find(
    text: Uint8Array,
    start: number,
    end: number,
    first: boolean,
  ): Rule | undefined {
    const units = this.#units;
    let rule: Rule | undefined;
    let place = offsetOf(units[0]!);
    for (let at = start; at < end; at++) {
      const byte = text[at]!;
      place ^= byte;
      const unit = units[place];
      // Zero ends a text; and a damaged trie may lead anywhere.
      if (byte === 0 || unit === undefined || labelOf(unit) !== byte) break;
      place ^= offsetOf(unit);
      if (!hasValue(unit)) continue;
      const replacement = this.#replacement(valueOf(units[place] ?? 0));
      if (replacement !== undefined) rule = { length: at + 1 - start, replacement };
      if (first && rule !== undefined) break;
    }
    return rule;
  }

  /** Undefined: there is none at that place. */
  #replacement(place: number): string | undefined {
    const known = this.#replacements.get(place);
    if (known !== undefined) return known;
    if (place >= this.#texts.length) return undefined;
    const text = this.#texts.subarray(place, place + MAX_REPLACEMENT_BYTES);
    const end = text.indexOf(0);
    if (end < 0) return undefined;
    const replacement = new TextDecoder("utf-8", { ignoreBOM: true }).decode(text.subarray(0, end));
    this.#replacements.set(place, replacement);
    return replacement;
  }
}

function labelOf(unit: number): number {
  return (unit & 0x800000ff) >>> 0;
}

function hasValue(unit: number): boolean {
  return (unit & 0x100) !== 0;
}

function valueOf(unit: number): number {
  return unit & 0x7fffffff;
}

function offsetOf(unit: number): number {
  return ((unit >>> 10) << ((unit & 0x200) >>> 6)) >>> 0;
}
