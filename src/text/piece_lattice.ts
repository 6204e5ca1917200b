import { PieceTrie, ROOT } from "./piece_trie.ts";

/** A piece to look for in texts. */
export interface Entry {
  readonly id: number;
  readonly text: string;
  /** What it costs to use it: 0 or more. */
  readonly cost: number;
}

/** A piece that is being matched: where in the trie, and the word node where it began. */
interface Partial {
  readonly state: number;
  readonly start: number;
}

/** A place between two pieces, and the cheapest way to it. */
interface WordNode {
  readonly cost: number;
  /** The node before the last piece; -1: there is none. */
  readonly previous: number;
  /** The last piece. */
  readonly id: number;
}

/**
 * Splits texts into the pieces whose costs add up to the least, in the way of mlx-data's
 * `Tokenizer.tokenize_shortest` with `ignore_unk` (core/Tokenizer.cpp of ml-explore/mlx-data):
 *
 * - A character at which nothing matches any longer is left out, together with all that was read
 *   since the last whole piece. Matching goes on behind it, and no piece spans it.
 * - Where two ways cost the same, the last piece is the one that starts at the lower cost, as
 *   Dijkstra's algorithm finds that one first; of two such, the longer.
 *
 * It reads bytes there and UTF-16 here. That is the same, since no piece begins inside a character.
 */
export class PieceLattice {
  readonly #pieces = new PieceTrie<Entry>();

  /** @throws {RangeError} when a text is twice among the entries */
  constructor(entries: Iterable<Entry>) {
    for (const entry of entries) this.#pieces.add(entry.text, entry);
  }

  /** The ids of the pieces; the time is that of the text's length times the longest piece's. */
  split(text: string): number[] {
    const nodes: WordNode[] = [{ cost: 0, previous: -1, id: -1 }];
    let partials: Partial[] = [{ state: ROOT, start: 0 }];
    for (let i = 0; i < text.length; i++) {
      const grown = this.#grow(partials, text.charCodeAt(i));
      const node = this.#cheapest(grown, nodes);
      if (node !== undefined) nodes.push(node);
      const root = { state: ROOT, start: nodes.length - 1 };
      if (node !== undefined) grown.push(root);
      partials = grown.length > 0 ? grown : [root];
    }
    return pathTo(nodes.length - 1, nodes);
  }

  #grow(partials: readonly Partial[], unit: number): Partial[] {
    const grown: Partial[] = [];
    for (const { state, start } of partials) {
      const next = this.#pieces.next(state, unit);
      if (next !== undefined) grown.push({ state: next, start });
    }
    return grown;
  }

  /** The word node after the pieces that end here, if any do. */
  #cheapest(partials: readonly Partial[], nodes: readonly WordNode[]): WordNode | undefined {
    let best: WordNode | undefined;
    for (const { state, start } of partials) {
      const entry = this.#pieces.valueAt(state);
      if (entry === undefined) continue;
      const before = nodes[start]!.cost;
      const cost = before + entry.cost;
      if (
        best === undefined || cost < best.cost ||
        (cost === best.cost && before < nodes[best.previous]!.cost)
      ) {
        best = { cost, previous: start, id: entry.id };
      }
    }
    return best;
  }
}

function pathTo(last: number, nodes: readonly WordNode[]): number[] {
  const ids: number[] = [];
  for (let node = nodes[last]!; node.previous >= 0; node = nodes[node.previous]!) ids.push(node.id);
  return ids.reverse();
}
