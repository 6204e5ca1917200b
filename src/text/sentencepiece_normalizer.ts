import { Buffer } from "node:buffer";
import { PieceTrie } from "./piece_trie.ts";
import type { SentencePieceModel } from "./sentencepiece_model.ts";

/** What sentencepiece writes for a space. */
const SPACE = "\u2581";

/**
 * Normalizes texts as sentencepiece does (`Normalizer::Normalize` in its normalizer.cc): the longest
 * rule that fits counts, except within symbols that the user defined; spaces at the ends go, several
 * become one, and one is put before the text, each as the model has it set.
 */
export class SentencePieceNormalizer {
  readonly #symbols = new PieceTrie<true>();

  /** @throws {RangeError} when a symbol is there twice */
  constructor(private readonly model: SentencePieceModel) {
    for (const { text, type } of model.pieces) {
      if (type === "user defined") this.#symbols.add(text, true);
    }
  }

  normalize(text: string): string {
    const { addDummyPrefix, removeExtraSpaces, escapeSpaces, spaceAsSuffix } = this.model;
    const parts = this.#parts(text);
    const first = removeExtraSpaces ? parts.findIndex((part) => part !== " ") : 0;
    if (first < 0 || text === "") return "";
    const space = escapeSpaces ? SPACE : " ";
    let normalized = addDummyPrefix && !spaceAsSuffix ? space : "";
    let isAfterSpace = removeExtraSpaces;
    for (const part of parts.slice(first)) {
      const rest = isAfterSpace ? part.replace(/^ +/, "") : part;
      if (rest !== "") isAfterSpace = removeExtraSpaces && rest.endsWith(" ");
      normalized += rest.replaceAll(" ", space);
    }
    if (removeExtraSpaces) normalized = withoutEnd(normalized, space);
    return addDummyPrefix && spaceAsSuffix ? normalized + space : normalized;
  }

  /** What each rule, symbol or character from the start on becomes. */
  #parts(text: string): string[] {
    const bytes = Buffer.from(text);
    const parts: string[] = [];
    let byte = 0;
    for (let at = 0; at < text.length;) {
      let end = this.#symbolEnd(text, at);
      const rule = end === at ? this.model.charsmap?.longest(bytes, byte) : undefined;
      let length = rule === undefined ? Buffer.byteLength(text.slice(at, end)) : 0;
      // A rule takes whole characters, and without one there is one character.
      while (length < (rule?.length ?? 1)) {
        const character = String.fromCodePoint(text.codePointAt(end)!);
        length += Buffer.byteLength(character);
        end += character.length;
      }
      parts.push(rule?.replacement ?? text.slice(at, end));
      byte += length;
      at = end;
    }
    return parts;
  }

  /** Where the longest symbol ends that begins at a place; that place: there is none. */
  #symbolEnd(text: string, start: number): number {
    let last = start;
    for (const [end] of this.#symbols.matches(text, start)) last = end;
    return last;
  }
}

function withoutEnd(text: string, end: string): string {
  let length = text.length;
  while (text.endsWith(end, length)) length -= end.length;
  return text.slice(0, length);
}
