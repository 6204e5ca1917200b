import { MdmError } from "../errors.ts";
import { loadError, quote, type TensorInfo } from "./header.ts";
import { readJson } from "./json.ts";
import { Safetensors } from "./safetensors.ts";
import type { TensorFile } from "./tensor_file.ts";

/** Far more than any published model has; each shard costs an open file. */
const MAX_SHARDS = 256;

/** Problems that a message spells out; the others are counted. */
const LISTED = 20;

/**
 * Safetensors split over several files, with an index that says which file holds which tensor
 * (`model.safetensors.index.json`, as Hugging Face's libraries write it). The headers of all files
 * are checked when it opens, the tensors stay on disk.
 */
export class ShardedSafetensors implements TensorFile {
  private constructor(
    readonly path: string,
    readonly tensors: ReadonlyMap<string, TensorInfo>,
    private readonly shards: ReadonlyMap<string, Safetensors>,
    private readonly shardOf: ReadonlyMap<string, string>,
  ) {}

  /**
   * Opens an index and all the files it names, which must be beside it.
   *
   * @throws {MdmError} when a file is missing or invalid, or when the index and the files disagree
   */
  static async open(path: string): Promise<ShardedSafetensors> {
    const shardOf = parseIndex(path, await readJson(path));
    const folder = path.slice(0, path.lastIndexOf("/") + 1);
    const shards = new Map<string, Safetensors>();
    try {
      for (const name of new Set(shardOf.values())) {
        shards.set(name, await Safetensors.open(`${folder}${name}`));
      }
      checkShards(path, shardOf, shards);
    } catch (error) {
      for (const shard of shards.values()) shard.close();
      throw error;
    }
    const tensors = [...shardOf].map(([name, shard]): [string, TensorInfo] => [
      name,
      shards.get(shard)!.tensors.get(name)!,
    ]);
    return new ShardedSafetensors(path, new Map(tensors), shards, shardOf);
  }

  /** The index and every file that it names. */
  get files(): readonly string[] {
    return [this.path, ...this.shards.values().map(({ path }) => path)];
  }

  /**
   * Reads a whole tensor as float32, in row-major order.
   *
   * @throws {MdmError} when there is no such tensor, or its dtype does not become float32
   */
  async readFloat32(name: string): Promise<Float32Array> {
    return await this.#shard(name).readFloat32(name);
  }

  /**
   * Reads `count` elements of a tensor, from element `start` in row-major order, as float32.
   *
   * @throws {MdmError} when there is no such tensor, or its dtype does not become float32
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

  #shard(name: string): Safetensors {
    const shard = this.shardOf.get(name);
    if (shard === undefined) throw loadError(this.path, `it holds no tensor ${quote(name)}`);
    return this.shards.get(shard)!;
  }
}

/** The file of each tensor, by the index. */
function parseIndex(path: string, json: unknown): ReadonlyMap<string, string> {
  const map = isObject(json) ? json.weight_map : undefined;
  if (!isObject(map)) throw loadError(path, `it has no "weight_map" object`);
  const shardOf = new Map<string, string>();
  for (const [tensor, shard] of Object.entries(map)) {
    // A separator could lead out of the folder.
    if (typeof shard !== "string" || !/^\w[\w.-]*\.safetensors$/.test(shard)) {
      throw loadError(
        path,
        `tensor ${quote(tensor)} is in ${quote(String(shard))}, ` +
          "which is not the name of a safetensors file beside it",
      );
    }
    shardOf.set(tensor, shard);
  }
  const count = new Set(shardOf.values()).size;
  if (count > MAX_SHARDS) throw loadError(path, `it names ${count} files, over ${MAX_SHARDS}`);
  return shardOf;
}

/** Every tensor must be in the one file that the index says, and the index must know every tensor. */
function checkShards(
  path: string,
  shardOf: ReadonlyMap<string, string>,
  shards: ReadonlyMap<string, Safetensors>,
): void {
  const problems: string[] = [];
  for (const [tensor, shard] of shardOf) {
    if (!shards.get(shard)!.tensors.has(tensor)) {
      problems.push(`tensor ${quote(tensor)} is not in "${shard}"`);
    }
  }
  for (const [shard, { tensors }] of shards) {
    for (const tensor of tensors.keys()) {
      const said = shardOf.get(tensor);
      if (said === shard) continue;
      const reason = said === undefined ? "is not in the index" : `belongs in "${said}"`;
      problems.push(`tensor ${quote(tensor)} of "${shard}" ${reason}`);
    }
  }
  if (problems.length === 0) return;
  const rest = problems.length > LISTED ? `; and ${problems.length - LISTED} more` : "";
  throw new MdmError(
    `Cannot load "${path}": the index and its files disagree: ` +
      `${problems.slice(0, LISTED).join("; ")}${rest}. Download the whole folder again.`,
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
