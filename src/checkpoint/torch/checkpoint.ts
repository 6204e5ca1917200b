import type { ByteSource } from "../ranged_file.ts";
import type { PickleValue } from "./values.ts";

/** The longest pickle that is read; that of a checkpoint of 2,000 tensors has 300 kB. */
export const MAX_PICKLE_BYTES = 32 * 1024 * 1024;

/** Where a storage's bytes begin, and what they must be. */
export interface StoragePlace {
  /** The file, or the bytes of a compressed storage. */
  readonly source: ByteSource;
  /** Absolute byte. */
  readonly offset: number;
  /** Undefined: the format has none, or it was compared already. */
  readonly crc32: number | undefined;
}

/** What torch.save wrote, in whichever of its two formats; the storages are still on disk. */
export interface Checkpoint {
  readonly format: "zip" | "legacy";
  /** What was saved. */
  readonly value: PickleValue;
  /** How often each class that is not known here was met. */
  readonly records: ReadonlyMap<string, number>;
  /** The bytes of a storage; undefined: the file has none of that key. */
  byteLength(key: string): number | undefined;
  /** Finds a storage that has a byte length; of a compressed one all bytes are then in memory. */
  locate(key: string): Promise<StoragePlace>;
}
