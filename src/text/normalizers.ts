/**
 * Normalizers of a `tokenizer.json`, as Python's `tokenizers` carries them out. The library's own
 * are used where they do the same.
 */

import type { JsonObject } from "../json/json_object.ts";
import { Normalizer, SequenceNormalizer } from "../deps/tokenizers.ts";
import { Charsmap } from "./charsmap.ts";

type Normalize = (text: string) => string;

/** White space as Unicode has it; JavaScript's differs in U+0085 and U+FEFF. */
const SPACE = /\p{White_Space}/u;

/** A text may become longer, but not without end. */
const MAX_LENGTH = 500_000;

/** @throws {RangeError} when a normalized text is too long to be split */
export function checkLength(text: string): string {
  if (text.length > MAX_LENGTH) throw new RangeError(`it becomes ${text.length} characters`);
  return text;
}

/** A normalizer of ours, for the library. */
export class Normalizers extends Normalizer {
  readonly #steps: readonly Normalize[];

  /**
   * @param definition what a `tokenizer.json` has, or null
   * @throws {RangeError} when its rules are damaged
   * @throws {Error} when it is of a kind that the library does not know
   */
  constructor(definition: unknown) {
    super({ type: "Sequence", normalizers: [] });
    this.#steps = stepsOf(definition);
  }

  /** @throws {RangeError} when the text would become too long */
  override normalize(text: string): string {
    return this.#steps.reduce((text, step) => checkLength(step(text)), text);
  }
}

function stepsOf(definition: unknown): Normalize[] {
  if (definition === null || definition === undefined) return [];
  const { type, ...options } = Object(definition) as JsonObject;
  switch (type) {
    case "Sequence":
      return (Array.isArray(options.normalizers) ? options.normalizers : []).flatMap(stepsOf);
    case "Precompiled": {
      if (options.precompiled_charsmap == null) return [];
      const charsmap = Charsmap.fromBase64(options.precompiled_charsmap);
      return [(text) => precompiled(text, charsmap)];
    }
    case "Strip":
      return [(text) => strip(text, options)];
    case "Lowercase":
      // Character by character: there is no final sigma.
      return [(text) => Array.from(text, (character) => character.toLowerCase()).join("")];
    default: {
      const library = new SequenceNormalizer(
        { type: "Sequence", normalizers: [definition] } as ConstructorParameters<
          typeof SequenceNormalizer
        >[0],
      );
      return [(text) => library.normalize(text)];
    }
  }
}

const GRAPHEMES = new Intl.Segmenter("en", { granularity: "grapheme" });
/** Graphemes of fewer bytes are looked up as a whole. */
const WHOLE_BYTES = 6;

/**
 * Applies rules as the crate `spm_precompiled` does: of a short grapheme the shortest rule that fits
 * its start counts, and the rest of it is gone; otherwise each character has its own.
 * (Sentencepiece itself takes the longest rule, wherever graphemes end.)
 */
function precompiled(text: string, charsmap: Charsmap): string {
  const utf8 = new TextEncoder();
  const replacementOf = (part: string): string | undefined => {
    const bytes = utf8.encode(part);
    return charsmap.shortest(bytes, 0, bytes.length)?.replacement;
  };
  let normalized = "";
  for (const { segment } of GRAPHEMES.segment(text)) {
    // No character has fewer bytes than code units, and most graphemes are one character.
    const isShort = segment.length < WHOLE_BYTES && utf8.encode(segment).length < WHOLE_BYTES;
    normalized += (isShort ? replacementOf(segment) : undefined) ??
      Array.from(segment, (character) => replacementOf(character) ?? character).join("");
  }
  return normalized;
}

function strip(text: string, { strip_left: left, strip_right: right }: JsonObject): string {
  let start = 0;
  let end = text.length;
  if (left === true) { while (start < end && SPACE.test(text[start]!)) start++; }
  if (right === true) { while (start < end && SPACE.test(text[end - 1]!)) end--; }
  return text.slice(start, end);
}
