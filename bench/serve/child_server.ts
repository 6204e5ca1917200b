/** A server that runs beside a command, for as long as the command needs it. */

import { fileURLToPath } from "node:url";
import project from "../../deno.json" with { type: "json" };
import { MdmError } from "../../src/errors.ts";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

/** As the task "server" runs it, but permitted to use this machine only, and with no settings from outside. */
const FLAGS = [
  "--quiet",
  ...project.tasks.server.command.split(" ")
    .filter((word) => word.startsWith("--") && !/^--allow-(net|env)\b/.test(word)),
  "--allow-net=127.0.0.1",
  "--allow-env=XDG_RUNTIME_DIR,LP_NATIVE_VECTOR_WIDTH,MDM_DEBUG,LOG_TOKENS,LOG_STREAM",
];

/** How often it is asked whether it is ready. */
const ASK_MS = 100;

export interface ChildServer extends AsyncDisposable {
  readonly url: string;
}

/**
 * Starts `mdm serve` on a free port, with a folder of its own that goes when it does; waits until it can make pictures.
 *
 * @param options More options of `mdm serve`.
 * @throws {MdmError} What the server says when it cannot.
 */
export async function startServer(
  options: readonly string[],
  signal: AbortSignal,
): Promise<ChildServer> {
  await using parts = new AsyncDisposableStack();
  const data = await Deno.makeTempDir({ prefix: "mdm-" });
  parts.defer(() => Deno.remove(data, { recursive: true }));
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", ...FLAGS, MAIN],
      ...["serve", "--port", "0", "--data", data, ...options],
    ],
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const said = new Response(child.stderr).text();
  parts.defer(async () => {
    try {
      child.kill("SIGTERM");
    } catch { /* It has ended. */ }
    await Promise.all([child.status, said]);
  });
  const ended = child.status.then(async () => {
    throw new MdmError(lastSentence(await said));
  });
  ended.catch(() => {}); // At the end it ends as it should.
  const url = await Promise.race([firstLine(child.stdout), ended]);
  await Promise.race([becomeReady(url, signal), ended]);
  const running = parts.move();
  return { url, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** Never ends where there is no line. */
async function firstLine(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  let text = "";
  for await (const part of stream.pipeThrough(new TextDecoderStream())) {
    text += part;
    const end = text.indexOf("\n");
    if (end >= 0) return text.slice(0, end);
  }
  return await new Promise(() => {});
}

async function becomeReady(url: string, signal: AbortSignal): Promise<void> {
  while (true) {
    const response = await fetch(`${url}/readyz`, { signal }).catch(() => null);
    await response?.body?.cancel();
    if (response?.ok) return;
    signal.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, ASK_MS));
  }
}

function lastSentence(text: string): string {
  const last = text.trimEnd().split("\n").at(-1)!.replace(/^mdm: /, "");
  return last === "" ? "The server ended and did not say why." : last;
}
