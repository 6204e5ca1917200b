/** A Redis server for tests. */
import assert from "../../../assert.ts";
import { within } from "../../../within.ts";

/** A running server. */
export interface RedisServer {
  readonly port: number;
  readonly url: string;
  /** Kills it and starts it again, after so many milliseconds. */
  restart(afterMs?: number): Promise<void>;
  /** Keeps it silent, though its connections stay open. */
  pause(): void;
  resume(): void;
}

/** Runs a server of its own for a test, on loopback, with more of its options if any. */
export async function withRedis(
  use: (server: RedisServer) => Promise<void>,
  ...options: string[]
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const port = freePort();
  const start = () => startServer(port, ["--dir", folder, "--save", "", ...options]);
  let child = await start();
  try {
    await use({
      port,
      url: `redis://127.0.0.1:${port}`,
      restart: async (afterMs = 0) => {
        await kill(child);
        await new Promise((resolve) => setTimeout(resolve, afterMs));
        child = await start();
      },
      pause: () => child.kill("SIGSTOP"),
      resume: () => child.kill("SIGCONT"),
    });
  } finally {
    await kill(child);
    await Deno.remove(folder, { recursive: true });
  }
}

/** As `withRedis`, for so many seconds at most. */
export async function withRedisFor(
  seconds: number,
  use: (server: RedisServer) => Promise<void>,
  ...options: string[]
): Promise<void> {
  await withRedis((server) => within(seconds, "the queue", use(server)), ...options);
}

/** A port that nobody listens at. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

async function startServer(port: number, options: string[]): Promise<Deno.ChildProcess> {
  const command = new Deno.Command("redis-server", {
    args: ["--port", String(port), "--bind", "127.0.0.1", ...options],
    stdin: "null",
    stdout: "piped",
  });
  const child = spawn(command);
  let said = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    said += text;
    if (said.includes("Ready to accept connections")) return child;
  }
  return assert.fail(`redis-server did not start:\n${said}`);
}

function spawn(command: Deno.Command): Deno.ChildProcess {
  try {
    return command.spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return assert.fail("redis-server is not installed: run apt-get install redis-server.");
  }
}

async function kill(child: Deno.ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await child.status;
}
