/** Ctrl-C and a polite kill end a command between two steps, so that no half of a file is left. */

import { MdmError } from "../../errors.ts";

/** The signals that stop a command, and the numbers that shells know them by. */
const SIGNALS = { SIGINT: 2, SIGTERM: 15 } as const;

/** A command was stopped from outside. Exit code: 128 + the signal's number, as shells have it. */
export class Interrupted extends MdmError {
  override name = "Interrupted";
  override readonly exitCode: number;

  /** @param outcome What was done until then. */
  constructor(readonly signal: keyof typeof SIGNALS, outcome = "nothing was written") {
    super(`Stopped; ${outcome}.`);
    this.exitCode = 128 + SIGNALS[signal];
  }
}

/** Is aborted, with {@linkcode Interrupted} as its reason, by the first signal; the second ends the process at once. */
export function abortOnSignals(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    if (signal === "SIGTERM" && Deno.build.os === "windows") continue;
    Deno.addSignalListener(signal, () => {
      const reason = new Interrupted(signal);
      if (controller.signal.aborted) Deno.exit(reason.exitCode);
      controller.abort(reason);
    });
  }
  return controller.signal;
}
