/** What is meant by a name that is not known: parameters have others in other programs. */
import { nearest } from "../nearest.ts";
import { PARAMETER_ENTRIES, PARAMETERS } from "./parameters.ts";

/** Names of the same thing; each is also meant by other ways of writing it (`guidanceScale`, `guidance-scale`). */
type SameNames = readonly string[];

const PARAMETER_NAMES: readonly SameNames[] = [
  ...PARAMETER_ENTRIES.map(([name, { names, aliases = [] }]) => {
    return [name, ...Object.values(names), ...aliases];
  }),
  // What is chosen by name.
  ...Object.entries(PARAMETERS.sampler.type.aliases).map(([name, aliases]) => [name, ...aliases]),
  ["jpeg", "jpg"],
];

/**
 * The name among `names` that was most likely meant: another one for the same thing, or one with few letters off.
 *
 * @param more Names of the same thing that are no parameters.
 */
export function meantName(
  typed: string,
  names: readonly string[],
  more: readonly SameNames[] = [],
): string | undefined {
  const bare = bareName(typed);
  const others = new Map<string, string>();
  for (const same of [...PARAMETER_NAMES, ...more]) {
    const known = names.find((name) => same.includes(name));
    if (known !== undefined) { for (const name of same) others.set(bareName(name), known); }
  }
  // A name that is there stands for itself before it does for others.
  for (const name of names) others.set(bareName(name), name);
  const near = others.has(bare) ? bare : nearest(bare, [...others.keys()]);
  return near === undefined ? undefined : others.get(near);
}

function bareName(name: string): string {
  // A name of one letter is one; a sign alone is none.
  return name.slice(0, 100).toLowerCase().replaceAll(/[^a-z0-9]/g, "") || name.slice(0, 100);
}
