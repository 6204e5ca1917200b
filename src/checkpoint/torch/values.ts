import type { Dtype } from "../dtype.ts";

/**
 * What a pickle holds, as data. Tuples and sets are arrays as lists are, dictionaries are maps.
 * Values may share parts and may contain themselves, so whoever walks them must count and keep to
 * a depth.
 */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleValue[]
  | PickleMap
  | PickleClass
  | PickleRecord
  | PickleStorage
  | PickleTensor
  | PickleUnreadable;

export type PickleMap = Map<PickleValue, PickleValue>;

/**
 * A value as the key of a map. Numbers become text, since of numbers a file could choose as many as
 * it likes that fall on the same place in a hash table, which then takes hours to fill.
 */
export function keyOf(value: PickleValue): PickleValue {
  return typeof value === "number" || typeof value === "bigint" ? String(value) : value;
}

/** The name of a class or function, such as "torch.FloatStorage"; it stands for nothing else. */
export interface PickleClass {
  readonly kind: "class";
  readonly name: string;
}

/** An object of a class that is not known here, or what a function that is not known would give. */
export interface PickleRecord {
  readonly kind: "record";
  readonly class: string;
  readonly args: PickleValue;
  /** Mostly its attributes, as a map. */
  state: PickleValue;
}

/** Numbers that are stored beside the pickle. */
export interface PickleStorage {
  readonly kind: "storage";
  readonly key: string;
  /** Its class: "torch.FloatStorage". */
  readonly type: string;
  /** Undefined: of a type that becomes no float32. */
  readonly dtype: Dtype | undefined;
  /** Elements. */
  readonly count: number;
}

/** A view of a storage, as the pickle has it: unchecked. */
export interface PickleTensor {
  readonly kind: "tensor";
  readonly storage: PickleStorage;
  /** The first element's place in the storage. */
  readonly offset: PickleValue;
  readonly shape: PickleValue;
  /** Elements of the storage from one index to the next, one a dimension. */
  readonly strides: PickleValue;
  /** What its elements are, where the storage is of bytes: "torch.float8_e4m3fn". */
  readonly dtype: string | undefined;
}

/** A tensor whose numbers are not simply stored. */
export interface PickleUnreadable {
  readonly kind: "unreadable";
  /** What it is: "a sparse tensor". */
  readonly what: string;
  /** Unchecked. */
  readonly shape: PickleValue;
}

type Kinds = PickleClass | PickleRecord | PickleStorage | PickleTensor | PickleUnreadable;

/** Whether a value is an object of that kind. */
export function isKind<K extends Kinds["kind"]>(
  value: PickleValue | undefined,
  kind: K,
): value is Extract<Kinds, { kind: K }> {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === kind;
}
