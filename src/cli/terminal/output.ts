/** What a command says: results on stdout, all else on stderr. */

import { MdmError } from "../../errors.ts";

export { quoted } from "../../quoted.ts";

const CLEAR_LINE = "\r\x1b[K";

/**
 * Writes a line to stdout.
 *
 * @throws {Deno.errors.BrokenPipe} when nobody reads any more (`mdm ... | head -1`)
 * @throws {MdmError} when stdout takes nothing
 */
export function print(line: string): void {
  try {
    writeAll(Deno.stdout, `${line}\n`);
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) throw error;
    throw new MdmError(
      `Cannot write to the standard output: ${(error as Error).message}. Send it to another place.`,
    );
  }
}

/** Writes a value to stdout as one JSON document. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

/** Says something on stderr, over what a progress bar left there; a stderr that is gone is no reason to fail. */
export function warn(message: string): void {
  try {
    writeAll(Deno.stderr, `${Deno.stderr.isTerminal() ? CLEAR_LINE : ""}mdm: ${message}\n`);
  } catch { /* Nobody listens. */ }
}

function writeAll(to: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let done = 0; done < bytes.length;) done += to.writeSync(bytes.subarray(done));
}
