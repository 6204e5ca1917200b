import { MdmError } from "../../src/errors.ts";
import type { Case } from "./case.ts";
import { kernelCases } from "./kernels.ts";
import { modelCases } from "./models.ts";

/** Everything that can be measured. */
export function allCases(): Case[] {
  return [...kernelCases(), ...modelCases()];
}

/** The case of a name. */
export function findCase(name: string): Case {
  const found = allCases().find((known) => known.name === name);
  if (found === undefined) throw new MdmError(`There is no case "${name}" to measure.`);
  return found;
}
