import { Buffer } from "node:buffer";
import { PieceTrie } from "./piece_trie.ts";
import type { SentencePiece } from "./sentencepiece_model.ts";

/** By how much an unknown character is worse than the worst piece. */
const UNKNOWN_PENALTY = 10;

/** A place between two pieces, and the best way to it. */
interface Place {
  readonly score: number;
  readonly start: number;
  readonly id: number;
}

/** A piece, and what it is worth to take it. */
interface Candidate {
  readonly id: number;
  readonly score: number;
}

/** A part of a text that is one piece, or one unknown character. */
export interface UnigramToken {
  readonly id: number;
  readonly text: string;
}

/**
 * Splits texts into the pieces whose scores add up to the most, as sentencepiece's Unigram model
 * does (`Model::EncodeOptimized` in its unigram_model.cc): sums are rounded to float32, and of two
 * ways that are worth the same the one found first counts.
 */
export class Unigram {
  readonly #pieces = new PieceTrie<Candidate>();
  readonly #unknownId: number;
  readonly #unknownScore: number;

  /** @throws {RangeError} when a piece is twice among them */
  constructor(pieces: readonly SentencePiece[], unknownId: number) {
    const scores = pieces.filter(({ type }) => type === "normal").map(({ score }) => score);
    const [least, most] = scores.reduce(
      ([least, most], score) => [Math.min(least, score), Math.max(most, score)],
      [Infinity, -Infinity],
    );
    this.#unknownId = unknownId;
    this.#unknownScore = Math.fround((Number.isFinite(least) ? least : 0) - UNKNOWN_PENALTY);
    for (const [id, { text, score, type }] of pieces.entries()) {
      if (type === "normal") this.#pieces.add(text, { id, score });
      if (type === "user defined") {
        // So that it is always taken.
        const longest = Math.fround(Buffer.byteLength(text) * most);
        this.#pieces.add(text, { id, score: longest - 0.1 });
      }
    }
  }

  /** The parts of a text; the time is that of its length times the longest piece's. */
  split(text: string): UnigramToken[] {
    const places: (Place | undefined)[] = new Array(text.length + 1);
    const offer = (end: number, start: number, { id, score }: Candidate, before: number) => {
      const sum = score + before;
      const known = places[end];
      if (known !== undefined && known.score >= sum) return;
      places[end] = { score: Math.fround(sum), start, id };
    };
    const unknown = { id: this.#unknownId, score: this.#unknownScore };
    for (let start = 0; start < text.length;) {
      const before = places[start]?.score ?? 0;
      const next = start + (text.codePointAt(start)! > 0xffff ? 2 : 1);
      let hasSingle = false;
      for (const [end, piece] of this.#pieces.matches(text, start)) {
        offer(end, start, piece, before);
        hasSingle ||= end === next;
      }
      if (!hasSingle) offer(next, start, unknown, before);
      start = next;
    }
    return pathOf(text, places);
  }
}

function pathOf(text: string, places: readonly (Place | undefined)[]): UnigramToken[] {
  const tokens: UnigramToken[] = [];
  for (let end = text.length; end > 0;) {
    const { start, id } = places[end]!;
    tokens.push({ id, text: text.slice(start, end) });
    end = start;
  }
  return tokens.reverse();
}
