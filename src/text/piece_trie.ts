/** The state before the first character of a text. */
export const ROOT = 0;

/** Texts by their characters, each with what it stands for. */
export class PieceTrie<T> {
  /** state * 2^16 + code unit to the next state. */
  readonly #next = new Map<number, number>();
  /** What ends at a state. */
  readonly #values = new Map<number, T>();
  #states = 1;

  /** @throws {RangeError} when the text is there already */
  add(text: string, value: T): void {
    let state = ROOT;
    for (let i = 0; i < text.length; i++) {
      const key = keyOf(state, text.charCodeAt(i));
      let next = this.#next.get(key);
      if (next === undefined) this.#next.set(key, next = this.#states++);
      state = next;
    }
    if (this.#values.has(state)) throw new RangeError(`"${text}" is there twice`);
    this.#values.set(state, value);
  }

  /** The state after one more code unit; undefined: no text goes on so. */
  next(state: number, unit: number): number | undefined {
    return this.#next.get(keyOf(state, unit));
  }

  /** What the text stands for that ends at a state. */
  valueAt(state: number): T | undefined {
    return this.#values.get(state);
  }

  /** Every text that `text` has at a place, the shortest first: where each ends, and its value. */
  *matches(text: string, start: number): Generator<[end: number, value: T]> {
    let state: number | undefined = ROOT;
    for (let at = start; at < text.length; at++) {
      state = this.next(state, text.charCodeAt(at));
      if (state === undefined) return;
      const value = this.valueAt(state);
      if (value !== undefined) yield [at + 1, value];
    }
  }
}

function keyOf(state: number, unit: number): number {
  return state * 2 ** 16 + unit;
}
