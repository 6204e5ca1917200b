import { MdmError } from "../errors.ts";
import { quote } from "./header.ts";
import type { TensorFile } from "./tensor_file.ts";
import { unreadableError } from "./unreadable.ts";

interface Described {
  readonly shape: readonly number[];
}

/** What a file has and a model needs, side by side. */
export interface MatchOptions {
  /** True where a file may hold more than the model reads. */
  readonly allowSurplus?: boolean;
}

/** Names in a message of one line; more than these are counted. */
const LISTED = 200;

/** How a file's tensors differ from those of a model. */
export interface Differences {
  /** Names that the file lacks. */
  readonly missing: readonly string[];
  /** Names that the model does not have. */
  readonly surplus: readonly string[];
  readonly misshapen: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    /** The model's shape. */
    readonly needed: readonly number[];
  }[];
}

/** Compares the names and shapes of a file's tensors with those of a model. */
export function compareTensors(
  tensors: ReadonlyMap<string, Described>,
  parameters: ReadonlyMap<string, Described>,
): Differences {
  return {
    missing: [...parameters.keys()].filter((name) => !tensors.has(name)),
    surplus: [...tensors.keys()].filter((name) => !parameters.has(name)),
    misshapen: [...parameters].flatMap(([name, { shape: needed }]) => {
      const shape = tensors.get(name)?.shape ?? needed;
      return String(shape) === String(needed) ? [] : [{ name, shape, needed }];
    }),
  };
}

/** What quantizing programs write beside a module's weight of 8 bits. */
const SCALE = /^(.*?\.)(?:weight[._])?(?:\w*scale\w*|SCB|absmax|quant_\w+|\w*zero\w*)$/;

/** Longer names are none of theirs, and slow to match. */
const MAX_NAME_LENGTH = 512;

/** Weights of 8 bits whose values have still to be scaled, which nothing here does. */
function scaledTensors(tensors: TensorFile["tensors"]): [name: string, problem: string][] {
  const scales = new Map<string, string>();
  for (const name of tensors.keys()) {
    const [, module] = name.length > MAX_NAME_LENGTH ? [] : SCALE.exec(name) ?? [];
    if (module !== undefined) scales.set(`${module}weight`, name);
  }
  return [...scales].flatMap(([weight, scale]) => {
    const dtype = tensors.get(weight)?.dtype ?? "";
    return /^(?:F8_\w+|I8|U8)$/.test(dtype)
      ? [[weight, `is quantized to ${dtype}: ${quote(scale)} belongs to it`]]
      : [];
  });
}

/**
 * Checks that a file has each tensor of a model, in its shape, and no other.
 *
 * @throws {MdmError} Which lists every tensor that cannot be read, or is missing, surplus or misshapen.
 */
export function matchTensors(
  { path, tensors, unreadable }: Pick<TensorFile, "path" | "tensors" | "unreadable">,
  parameters: ReadonlyMap<string, Described>,
  { allowSurplus = false }: MatchOptions = {},
): void {
  const needed = [...unreadable, ...scaledTensors(tensors)].filter(([name]) =>
    parameters.has(name)
  );
  if (needed.length > 0) throw unreadableError(path, needed);
  const { missing, surplus, misshapen } = compareTensors(tensors, parameters);
  const problems = [
    ...misshapen.map(({ name, shape, needed }) =>
      `${quote(name)} has shape [${shape.join(", ")}] but the configuration needs [${
        needed.join(", ")
      }]`
    ),
    ...missing.map((name) => `${quote(name)} is missing`),
    ...allowSurplus ? [] : surplus.map((name) => `${quote(name)} is not part of the model`),
  ];
  if (problems.length === 0) return;
  const listed = problems.slice(0, LISTED).join("; ");
  const rest = problems.length > LISTED ? `; and ${problems.length - LISTED} more` : "";
  throw new MdmError(
    `Cannot load "${path}": ${problems.length} of its tensors do not fit the configuration: ${listed}${rest}. Use the config.json that belongs to it.`,
  );
}
