import { loadError, quote } from "../header.ts";
import { construct } from "./construct.ts";
import { storageDtype } from "./storage_types.ts";
import { isKind, keyOf, type PickleStorage, type PickleValue } from "./values.ts";

/**
 * Strings, containers and records, and what is kept for later use; each takes up to 200 bytes of
 * memory. A checkpoint of 2,000 tensors has about 20,000.
 */
const MAX_OBJECTS = 1 << 19;
const MAX_NAME_LENGTH = 512;

/** The stack machine of a pickle: what its operations do, on data. */
export class Machine {
  /** How often each class that is not known here was made a record of. */
  readonly records = new Map<string, number>();
  /** Every storage that is referred to, by its key. */
  readonly storages = new Map<string, PickleStorage>();
  readonly #stack: PickleValue[] = [];
  /** Heights of the stack where a group of values begins. */
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, PickleValue>();
  #objects = 0;

  constructor(readonly path: string) {}

  /** What is wrong with the pickle, to be thrown. */
  error(reason: string): Error {
    return loadError(this.path, `its pickle ${reason}`);
  }

  /** Pushes what takes no memory of its own. */
  push(value: PickleValue): void {
    this.#stack.push(value);
  }

  /** Pushes a new object, or one that weighs as much as several. */
  make(value: PickleValue, weight = 1): void {
    this.#objects += weight;
    if (this.#objects > MAX_OBJECTS) throw this.error(`has more than ${MAX_OBJECTS} objects`);
    this.push(value);
  }

  pop(): PickleValue {
    this.#needValue();
    return this.#stack.pop()!;
  }

  peek(): PickleValue {
    this.#needValue();
    return this.#stack.at(-1)!;
  }

  popMany(count: number): PickleValue[] {
    return Array.from({ length: count }, () => this.pop()).reverse();
  }

  /** Begins a group of values. */
  mark(): void {
    this.#marks.push(this.#stack.length);
  }

  /** Takes all values of the last group. */
  popGroup(): PickleValue[] {
    const height = this.#marks.pop();
    if (height === undefined) throw this.error("ends a group that it did not begin");
    return this.#stack.splice(height);
  }

  /** Keeps the top value for {@link recall}. */
  memoize(index = this.#memo.size): void {
    if (index >= MAX_OBJECTS) throw this.error(`keeps more than ${MAX_OBJECTS} objects`);
    this.#memo.set(index, this.peek());
  }

  recall(index: number): void {
    const value = this.#memo.get(index);
    if (value === undefined) throw this.error(`refers to value ${index}, which it did not keep`);
    this.push(value);
  }

  /** Adds to a list or a set. */
  append(values: PickleValue[]): void {
    const target = this.peek();
    if (isKind(target, "record")) return;
    if (!Array.isArray(target)) throw this.error("appends to what is no list");
    for (const value of values) target.push(value);
  }

  setItems(values: PickleValue[]): void {
    const target = this.peek();
    if (isKind(target, "record")) return;
    if (!(target instanceof Map) || values.length % 2 !== 0) {
      throw this.error("sets items of what is no dictionary");
    }
    for (let i = 0; i < values.length; i += 2) target.set(keyOf(values[i]!), values[i + 1]!);
  }

  pushClass([module, name]: PickleValue[]): void {
    if (typeof module !== "string" || typeof name !== "string") {
      throw this.error("names a class by what is no text");
    }
    if (module.length + name.length > MAX_NAME_LENGTH) {
      throw this.error(`names a class by more than ${MAX_NAME_LENGTH} characters`);
    }
    this.make({ kind: "class", name: `${module}.${name}` });
  }

  /** What the pickle wants to be called: constructed if it is known data, else put on record. */
  call(target: PickleValue, args: PickleValue): void {
    if (!isKind(target, "class")) throw this.error("calls what is no class");
    if (!Array.isArray(args)) throw this.error(`calls a class with what are no arguments`);
    const known = construct(target.name, args);
    if (known !== undefined) return this.make(known, weight(known));
    this.records.set(target.name, (this.records.get(target.name) ?? 0) + 1);
    this.make({ kind: "record", class: target.name, args, state: null });
  }

  /** Only records have a state: that of known objects is about gradients and versions. */
  setState(state: PickleValue): void {
    const target = this.peek();
    if (isKind(target, "record")) target.state = state;
  }

  /** What the pickle leaves to the file around it: with torch, numbers of a tensor. */
  pushStorage(id: PickleValue): void {
    const [tag, type, key, , count, view = null] = Array.isArray(id) ? id : [];
    // A view of a storage is what torch wrote before tensors had offsets (before version 0.4).
    const valid = tag === "storage" && isKind(type, "class") && typeof key === "string" &&
      typeof count === "number" && Number.isSafeInteger(count) && count >= 0 && view === null;
    if (!valid) throw this.error("refers to something outside it that is no storage");
    const dtype = storageDtype(type.name);
    const known = this.storages.get(key);
    if (known !== undefined && (known.dtype !== dtype || known.count !== count)) {
      // Empty ones share a key, whatever they are of.
      if (known.count > 0 && count > 0) {
        throw this.error(`describes storage ${quote(key)} in two ways`);
      }
      return this.make({ kind: "storage", key, type: type.name, dtype, count });
    }
    const storage = known ?? { kind: "storage", key, type: type.name, dtype, count };
    this.storages.set(key, storage);
    this.make(storage);
  }

  #needValue(): void {
    const floor = this.#marks.at(-1) ?? 0;
    if (this.#stack.length <= floor) throw this.error("takes a value where there is none");
  }
}

/** Bytes are copied from text that a pickle may use again and again: the copies must not add up. */
function weight(value: PickleValue): number {
  return value instanceof Uint8Array ? 1 + value.length / 64 : 1;
}
