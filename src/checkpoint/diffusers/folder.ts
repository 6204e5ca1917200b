import { isThere } from "../../files/read_file.ts";
import { MdmError } from "../../errors.ts";
import { quote } from "../header.ts";
import { readJson } from "../json.ts";
import { type RenamedTensor, RenamedTensors } from "../renamed.ts";
import type { TensorFile } from "../tensor_file.ts";
import { openWeights } from "../weights_file.ts";
import { Mismatches, referenceDiffusion, referenceModel } from "./config.ts";
import { referenceNames } from "./names.ts";
import { referenceShape } from "./shapes.ts";

/** What the names of weights begin with in diffusers. */
export const WEIGHTS = "diffusion_pytorch_model";

/** The prefix of a UNet inside another, in both sources. */
const INNER = "inner_unet.";

/** Patterns are matched against names. */
const MAX_NAME_LENGTH = 512;

/**
 * A folder as diffusers' Matryoshka pipeline has it: model_index.json, unet/nesting_level_0 (64x64)
 * to nesting_level_2 (1024x1024), scheduler/, text_encoder/, tokenizer/. Each nesting level is a
 * whole model by itself, with the UNets of the lower resolutions inside it.
 *
 * Known from reading the sources of the pipeline and of the reference, not from published files.
 */
export class DiffusersFolder implements Disposable {
  private constructor(
    readonly path: string,
    /** UNets inside others: 0 is a plain UNet. */
    readonly level: number,
    /** The levels that the folder has. */
    readonly levels: readonly number[],
    /** What `parseModelConfig` takes. */
    readonly model: Readonly<Record<string, unknown>>,
    /** What `parseDiffusionConfig` takes. */
    readonly diffusion: Readonly<Record<string, unknown>>,
    /** The tensors, under the reference's names and in its shapes. */
    readonly file: TensorFile,
  ) {}

  /** Whether a folder is in this layout, by the files that are there. */
  static async isOne(path: string): Promise<boolean> {
    return await isThere(`${path}/model_index.json`) && (await findLevels(path)).size > 0;
  }

  /**
   * Opens one level of a folder; its tensors are not compared with its configuration.
   *
   * @param level which; without it the one that model_index.json names, or the highest
   * @throws {MdmError} when it is not there, or which lists all that does not fit
   */
  static async open(path: string, level?: number): Promise<DiffusersFolder> {
    const index = await readJson(`${path}/model_index.json`);
    const folders = await findLevels(path);
    const chosen = chooseLevel(path, [...folders.keys()], level, index);
    const mismatches = new Mismatches(path);
    const folder = folders.get(chosen)!;
    const model = referenceModel(
      await readJson(`${folder}/config.json`),
      `${folder.slice(path.length + 1)}/config.json`,
      mismatches,
    );
    const diffusion = referenceDiffusion(
      await readJson(`${path}/scheduler/scheduler_config.json`),
      "scheduler/scheduler_config.json",
      depthOf(model) + 1,
      mismatches,
    );
    mismatches.check();
    const file = await openLevel(path, folders, chosen, depthOf(model));
    return new DiffusersFolder(path, chosen, [...folders.keys()], model, diffusion, file);
  }

  get textEncoder(): string {
    return `${this.path}/text_encoder`;
  }

  get tokenizer(): string {
    return `${this.path}/tokenizer`;
  }

  [Symbol.dispose](): void {
    this.file.close();
  }
}

/** The folders of the levels; a pipeline saved by itself has just "unet", whatever its level. */
async function findLevels(path: string): Promise<Map<number, string>> {
  const folders = new Map<number, string>();
  for (let level = 0; level < 8; level++) {
    const folder = `${path}/unet/nesting_level_${level}`;
    if (await isThere(`${folder}/config.json`)) folders.set(level, folder);
  }
  if (folders.size > 0 || !await isThere(`${path}/unet/config.json`)) return folders;
  const model = referenceModel(await readJson(`${path}/unet/config.json`), "", new Mismatches(""));
  return folders.set(depthOf(model), `${path}/unet`);
}

function chooseLevel(
  path: string,
  levels: readonly number[],
  wanted: number | undefined,
  index: unknown,
): number {
  const named = (index as { nesting_level?: unknown } | null)?.nesting_level;
  const level = wanted ?? (typeof named === "number" ? named : levels.at(-1));
  if (level !== undefined && levels.includes(level)) return level;
  const present = levels.length > 0 ? `it has ${levels.join(", ")}` : "it has none";
  throw new MdmError(
    `Cannot load "${path}": it has no nesting level ${level ?? 0} ` +
      `("unet/nesting_level_${level ?? 0}/config.json"); ${present}. Download the whole folder.`,
  );
}

/**
 * The tensors of a level. Where a level's file has only its outermost UNet, the inner ones are
 * those of the level below.
 */
async function openLevel(
  path: string,
  folders: ReadonlyMap<number, string>,
  level: number,
  depth: number,
): Promise<TensorFile> {
  const files: TensorFile[] = [];
  const renamed = new Map<string, RenamedTensor>();
  const problems: string[] = [];
  try {
    let prefix = "";
    for (let below = 0;; below++) {
      const folder = folders.get(level - below);
      if (folder === undefined) {
        problems.push(
          `"${folders.get(level - below + 1)}" has no "${INNER}" weights, ` +
            `and there is no nesting level ${level - below} to take them from`,
        );
        break;
      }
      const file = await openWeights(folder, WEIGHTS);
      files.push(file);
      problems.push(...addTensors(renamed, prefix, file));
      if (below === depth || hasInner(file)) break;
      prefix += INNER;
    }
    if (problems.length > 0) throw new MdmError(`Cannot load "${path}": ${listed(problems)}.`);
    return new RenamedTensors(folders.get(level)!, files, renamed);
  } catch (error) {
    for (const file of files) file.close();
    throw error;
  }
}

function hasInner(file: TensorFile): boolean {
  return file.tensors.keys().some((name) => name.startsWith(INNER));
}

/** @returns what is wrong with the names */
function addTensors(
  renamed: Map<string, RenamedTensor>,
  prefix: string,
  file: TensorFile,
): string[] {
  const all = new Set([...file.tensors.keys(), ...file.unreadable.keys()]);
  const long = all.keys().find((name) => name.length > MAX_NAME_LENGTH);
  if (long !== undefined) return [`the name ${quote(long)} is over ${MAX_NAME_LENGTH} characters`];
  const problems: string[] = [];
  for (const [stored, inner] of referenceNames(all)) {
    const name = prefix + inner;
    const before = renamed.get(name);
    if (before !== undefined) {
      problems.push(`${quote(before.stored)} and ${quote(stored)} are both ${quote(name)}`);
      continue;
    }
    const shape = referenceShape(name, file.tensors.get(stored)?.shape ?? []);
    renamed.set(name, { file, stored, shape });
  }
  return problems;
}

function listed(problems: readonly string[]): string {
  const rest = problems.length > 50 ? `; and ${problems.length - 50} more` : "";
  return problems.slice(0, 50).join("; ") + rest;
}

function depthOf(model: Readonly<Record<string, unknown>>): number {
  let depth = 0;
  let unet = model.unet_config as { inner_config?: unknown } | undefined;
  for (; unet?.inner_config !== undefined; depth++) unet = unet.inner_config as typeof unet;
  return depth;
}
