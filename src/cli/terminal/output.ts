/** What a command says: results on stdout, all else on stderr. */

import { MdmError } from "../../errors.ts";
import { environment } from "../environment.ts";

export { quoted } from "../../quoted.ts";

const STANDARD_COLUMNS = 80;

const CLEAR_LINE = "\r\x1b[K";

/**
 * Writes a line to stdout.
 *
 * @throws {Deno.errors.BrokenPipe} when nobody reads any more (`mdm ... | head -1`)
 * @throws {MdmError} when stdout takes nothing
 */
export function print(line: string): void {
  printBytes(new TextEncoder().encode(`${line}\n`));
}

/** Writes bytes to stdout, as {@linkcode print} does a line. */
export function printBytes(bytes: Uint8Array): void {
  try {
    writeAll(Deno.stdout, bytes);
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
    const line = `${canRedraw() ? CLEAR_LINE : ""}mdm: ${message}\n`;
    writeAll(Deno.stderr, new TextEncoder().encode(line));
  } catch { /* Nobody listens. */ }
}

/** Whether a line on stderr can be drawn over: a file cannot, nor can a terminal that knows no escape sequences. */
export function canRedraw(): boolean {
  return Deno.stderr.isTerminal() && environment("TERM") !== "dumb";
}

/** The columns of the terminal. */
export function terminalColumns(): number {
  try {
    // A terminal of a container may say that it has no width.
    return Deno.consoleSize().columns || STANDARD_COLUMNS;
  } catch {
    return STANDARD_COLUMNS; // There is no terminal.
  }
}

/** How wide help may be: what is no terminal gets what most of them show. */
export function helpColumns(): number {
  return Deno.stdout.isTerminal() ? terminalColumns() : STANDARD_COLUMNS;
}

function writeAll(to: { writeSync(bytes: Uint8Array): number }, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += to.writeSync(bytes.subarray(done));
}
