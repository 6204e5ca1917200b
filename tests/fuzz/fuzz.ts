/**
 * Reads spoilt files by the thousand. Each must give a result or an error for the user, within
 * bounded time and memory.
 *
 *     deno run --allow-read --allow-write --allow-env=LOG_TOKENS,LOG_STREAM tests/fuzz/fuzz.ts [files of each format] [seed]
 */

import { MdmError } from "../../src/errors.ts";
import { allFormats, type Format } from "./formats.ts";
import { seededRandom } from "./mutate.ts";

/** What a run over one format found. */
export interface Findings {
  readonly refused: number;
  readonly accepted: number;
  /** Milliseconds of the file that took longest. */
  readonly slowest: number;
  /** The largest resident set after a file, in bytes. */
  readonly memory: number;
}

/**
 * Reads `count` mutated files of a format.
 *
 * @throws {Error} when one ends in anything but a result or an {@link MdmError}; it names the file's seed
 */
export async function fuzz(format: Format, count: number, seed: number): Promise<Findings> {
  const findings = { refused: 0, accepted: 0, slowest: 0, memory: 0 };
  const path = await Deno.makeTempFile({ prefix: "mdm-fuzz-" });
  try {
    for (let i = seed; i < seed + count; i++) {
      await Deno.writeFile(path, format.mutated(seededRandom(i)));
      const start = performance.now();
      findings[await outcome(format, path, i)]++;
      findings.slowest = Math.max(findings.slowest, performance.now() - start);
      findings.memory = Math.max(findings.memory, Deno.memoryUsage().rss);
    }
  } finally {
    await Deno.remove(path);
  }
  return findings;
}

async function outcome(
  format: Format,
  path: string,
  seed: number,
): Promise<"accepted" | "refused"> {
  try {
    await format.read(path);
    return "accepted";
  } catch (error) {
    if (error instanceof MdmError) return "refused";
    throw new Error(`${format.name}: the file of seed ${seed} breaks the reader`, { cause: error });
  }
}

if (import.meta.main) {
  const [count = 20_000, seed = 1] = Deno.args.map(Number);
  for (const format of await allFormats()) {
    const start = performance.now();
    const { refused, accepted, slowest, memory } = await fuzz(format, count, seed);
    console.log(
      `${format.name}: ${count} files in ${((performance.now() - start) / 1000).toFixed(1)} s, ` +
        `${refused} refused, ${accepted} read; the slowest took ${slowest.toFixed(0)} ms; ` +
        `at most ${(memory / 2 ** 20).toFixed(0)} MiB of memory`,
    );
  }
}
