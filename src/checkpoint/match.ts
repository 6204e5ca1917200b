import { MdmError } from "../errors.ts";
import { quote } from "./header.ts";

interface Described {
  readonly shape: readonly number[];
}

/** What a file has and a model needs, side by side. */
export interface MatchOptions {
  /** The file, for the message. */
  readonly source: string;
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

/**
 * Checks that a file has each tensor of a model, in its shape, and no other.
 *
 * @throws {MdmError} Which lists every tensor that is missing, surplus or misshapen.
 */
export function matchTensors(
  tensors: ReadonlyMap<string, Described>,
  parameters: ReadonlyMap<string, Described>,
  { source, allowSurplus = false }: MatchOptions,
): void {
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
    `Cannot load "${source}": ${problems.length} of its tensors do not fit the configuration: ${listed}${rest}. Use the config.json that belongs to it.`,
  );
}
