/** What a peer's process and the bench say to each other: a JSON document a line, an answer to each request. */
import type { Numbers } from "../cases/case.ts";
import { writeTensors } from "../cases/tensors.ts";
import { TextLineStream } from "./lines.ts";

/** What a peer is asked. */
export type Request =
  /** Load a case's folder and compile all that it needs. */
  | { readonly command: "open"; readonly folder: string }
  /** Compute it so many times, and wait until the last is done. */
  | { readonly command: "run"; readonly times: number }
  /** Write what the last run computed. */
  | { readonly command: "write"; readonly path: string };

/** What it answers; what it was asked for is done. */
export type Answer =
  | { readonly version: string }
  | { readonly ms: number }
  | { readonly written: string }
  | { readonly error: string };

/** A case that a peer has loaded. */
export interface LoadedCase {
  /** Of the peer. */
  readonly version: string;
  /** Computes the case so many times, and waits once. */
  run(times: number): Promise<void>;
  /** What was computed, by the names of the graph's outputs; pictures have their channels second. */
  outputs(): Promise<Map<string, Numbers>>;
}

/** Answers requests from stdin on stdout until stdin ends. */
export async function serve(open: (folder: string) => Promise<LoadedCase>): Promise<void> {
  // Stdout is for answers: what a library has to say goes to stderr.
  console.log = console.info = console.debug = console.error;
  let loaded: LoadedCase | null = null;
  const answer = async (request: Request): Promise<Answer> => {
    if (request.command === "open") {
      loaded = await open(request.folder);
      return { version: loaded.version };
    }
    if (loaded === null) throw new Error("No case is loaded");
    if (request.command === "write") {
      await writeTensors(request.path, await loaded.outputs());
      return { written: request.path };
    }
    const began = performance.now();
    await loaded.run(request.times);
    return { ms: performance.now() - began };
  };
  const lines = Deno.stdin.readable
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream());
  for await (const line of lines) {
    let reply: Answer;
    try {
      reply = await answer(JSON.parse(line));
    } catch (error) {
      reply = { error: String((error as Error).message ?? error) };
    }
    await Deno.stdout.write(new TextEncoder().encode(`${JSON.stringify(reply)}\n`));
  }
  // Libraries leave timers and threads behind that would keep the process alive.
  Deno.exit(0);
}
