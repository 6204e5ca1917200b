import { MdmError } from "../errors.ts";

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
  const problems: string[] = [];
  for (const [name, { shape }] of parameters) {
    const tensor = tensors.get(name);
    if (tensor === undefined) problems.push(`"${name}" is missing`);
    else if (String(tensor.shape) !== String(shape)) {
      problems.push(
        `"${name}" has shape [${tensor.shape.join(", ")}] but the configuration needs [${
          shape.join(", ")
        }]`,
      );
    }
  }
  if (!allowSurplus) {
    for (const name of tensors.keys()) {
      if (!parameters.has(name)) problems.push(`"${name}" is not part of the model`);
    }
  }
  if (problems.length === 0) return;
  const listed = problems.slice(0, LISTED).join("; ");
  const rest = problems.length > LISTED ? `; and ${problems.length - LISTED} more` : "";
  throw new MdmError(
    `Cannot load "${source}": ${problems.length} of its tensors do not fit the configuration: ${listed}${rest}. Use the config.json that belongs to it.`,
  );
}
