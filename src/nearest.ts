import { distance } from "./deps/levenshtein.ts";

/** Letters of a name that is looked at: no name is longer, and comparing takes the longer the more there are. */
const LONGEST = 64;

/** The name that a person most likely meant: few letters off, or begun like it. */
export function nearest(typed: string, names: readonly string[]): string | undefined {
  if (typed.length < 2 || typed.length > LONGEST) return undefined;
  const start = typed.toLowerCase();
  const limit = Math.min(2, Math.ceil(start.length / 3));
  return names
    .map((name) => {
      const off = distance(start, name.toLowerCase());
      return { name, off: name.startsWith(start) ? Math.min(1, off) : off };
    })
    .filter(({ off }) => off <= limit)
    .sort((a, b) => a.off - b.off)[0]?.name;
}
