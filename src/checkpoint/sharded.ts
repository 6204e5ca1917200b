import { isJsonObject } from "../json/json_object.ts";
import { loadError, quote } from "./header.ts";
import { readJson } from "./json.ts";
import type { TensorDescription, TensorFile } from "./tensor_file.ts";
import { noTensor } from "./unreadable.ts";

/** Far more than any published model has; each shard costs an open file. */
const MAX_SHARDS = 256;

/**
 * Tensors split over several files, with an index that says which file holds which tensor
 * (`model.safetensors.index.json`, `pytorch_model.bin.index.json`, as Hugging Face's libraries write
 * them). The headers of all files are checked when it opens, the tensors stay on disk. Where the
 * index and the files disagree about a tensor, that one cannot be read.
 */
export class ShardedTensors implements TensorFile {
  private constructor(
    readonly path: string,
    readonly tensors: ReadonlyMap<string, TensorDescription>,
    readonly unreadable: ReadonlyMap<string, string>,
    private readonly shards: ReadonlyMap<string, TensorFile>,
    private readonly shardOf: ReadonlyMap<string, string>,
  ) {}

  /**
   * Opens an index and all the files it names, which must be beside it.
   *
   * @param openShard opens one of them
   * @throws {MdmError} when a file is missing or invalid
   */
  static async open(
    path: string,
    openShard: (path: string) => Promise<TensorFile>,
  ): Promise<ShardedTensors> {
    const shardOf = parseIndex(path, await readJson(path));
    const folder = path.slice(0, path.lastIndexOf("/") + 1);
    const shards = new Map<string, TensorFile>();
    try {
      for (const name of new Set(shardOf.values())) {
        shards.set(name, await openShard(`${folder}${name}`));
      }
    } catch (error) {
      for (const shard of shards.values()) shard.close();
      throw error;
    }
    const tensors = new Map<string, TensorDescription>();
    for (const [name, shard] of shardOf) {
      const tensor = shards.get(shard)!.tensors.get(name);
      if (tensor !== undefined) tensors.set(name, tensor);
    }
    return new ShardedTensors(path, tensors, findProblems(shardOf, shards), shards, shardOf);
  }

  get format(): string {
    const [first] = this.shards.values();
    return `${first!.format} in ${this.shards.size} ${this.shards.size === 1 ? "file" : "files"}`;
  }

  /** The index and every file that it names. */
  get files(): readonly string[] {
    return [this.path, ...this.shards.values().map(({ path }) => path)];
  }

  /**
   * Reads a whole tensor as float32, in row-major order.
   *
   * @throws {MdmError} when there is no such tensor, or it cannot be read
   */
  async readFloat32(name: string): Promise<Float32Array> {
    return await this.#shard(name).readFloat32(name);
  }

  /**
   * Reads `count` elements of a tensor, from element `start` in row-major order, as float32.
   *
   * @throws {MdmError} when there is no such tensor, or it cannot be read
   * @throws {RangeError} when the elements are not all inside the tensor
   */
  async readFloat32Range(name: string, start: number, count: number): Promise<Float32Array> {
    return await this.#shard(name).readFloat32Range(name, start, count);
  }

  /** Closes the files; nothing can be read after. */
  close(): void {
    for (const shard of this.shards.values()) shard.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #shard(name: string): TensorFile {
    const shard = this.shardOf.get(name);
    if (shard === undefined || this.unreadable.has(name)) throw noTensor(this, name);
    return this.shards.get(shard)!;
  }
}

/** The file of each tensor, by the index. */
function parseIndex(path: string, json: unknown): ReadonlyMap<string, string> {
  const map = isJsonObject(json) ? json.weight_map : undefined;
  if (!isJsonObject(map)) throw loadError(path, `it has no "weight_map" object`);
  const shardOf = new Map<string, string>();
  for (const [tensor, shard] of Object.entries(map)) {
    // A separator could lead out of the folder.
    if (typeof shard !== "string" || !/^\w[\w.-]*\.(?:safetensors|bin|pth?)$/.test(shard)) {
      throw loadError(
        path,
        `tensor ${quote(tensor)} is in ${quote(String(shard))}, ` +
          "which is not the name of a file of weights beside it",
      );
    }
    shardOf.set(tensor, shard);
  }
  const count = new Set(shardOf.values()).size;
  if (count === 0) throw loadError(path, "it names no file");
  if (count > MAX_SHARDS) throw loadError(path, `it names ${count} files, over ${MAX_SHARDS}`);
  return shardOf;
}

/** What is wrong with which tensor: every one must be in the one file that the index says. */
function findProblems(
  shardOf: ReadonlyMap<string, string>,
  shards: ReadonlyMap<string, TensorFile>,
): Map<string, string> {
  const problems = new Map<string, string>();
  for (const [name, shard] of shardOf) {
    const { tensors, unreadable } = shards.get(shard)!;
    const problem = unreadable.get(name);
    if (problem !== undefined) problems.set(name, problem);
    else if (!tensors.has(name)) {
      problems.set(name, `is not in ${quote(shard)}, where the index has it`);
    }
  }
  for (const [shard, { tensors }] of shards) {
    for (const name of tensors.keys()) {
      const said = shardOf.get(name);
      if (said === undefined) problems.set(name, `of ${quote(shard)} is not in the index`);
      else if (said !== shard && !problems.has(name)) {
        problems.set(name, `is in ${quote(shard)} and in ${quote(said)}`);
      }
    }
  }
  return problems;
}
