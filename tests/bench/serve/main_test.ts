/** A server under load, measured by the command in its own process. */

import assert from "../../assert.ts";
import { fileURLToPath } from "node:url";
import { command, decode, fail as failAtAll } from "../../cli/mdm.ts";

const MAIN = fileURLToPath(new URL("../../../bench/serve/main.ts", import.meta.url));

/** What the task bench:serve permits on top of what `mdm` may do. */
const PERMISSIONS = ["--allow-net=127.0.0.1", `--allow-run=${Deno.execPath()}`];

async function benchServe(args: readonly string[]) {
  const options = { main: MAIN, permissions: PERMISSIONS };
  const { code, stdout, stderr } = await command(args, options).output();
  return { code, stdout: decode(stdout), stderr: decode(stderr) };
}

const fail: typeof failAtAll = (args, options) => failAtAll(args, { main: MAIN, ...options });

const QUICK = ["--steps", "1", "--jobs", "3"];

Deno.test("rounds over a real server are measured, and its pictures compared", async () => {
  const { code, stdout, stderr } = await benchServe([...QUICK, "--clients", "1,2", "--json"]);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  const { rounds } = JSON.parse(stdout);
  assert.deepEqual(rounds.map(({ clients }: { clients: number }) => clients), [1, 2]);
  for (const { pictures, seconds, picturesPerSecond, latencyMs, healthMs, ...steps } of rounds) {
    assert.equal(pictures, 3);
    assert.ok(Math.abs(picturesPerSecond * seconds - 3) < 1e-9);
    assert.ok(0 < latencyMs.p50 && latencyMs.p50 <= latencyMs.p95);
    assert.ok(latencyMs.p95 < seconds * 1000);
    assert.ok(healthMs.requests > 0 && 0 < healthMs.p50 && healthMs.p50 <= healthMs.max);
    assert.deepEqual(Object.keys(steps), ["clients", "stepMs", "picturesPerStep"]);
  }
});

/** Answers as the native protocol does; has no engine. Jobs of one seed fail. */
function standIn(
  token: string,
  picture: () => string,
  { failing = 2 }: { failing?: number | null } = {},
): Deno.HttpServer<Deno.NetAddr> {
  const time = new Date().toISOString();
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname } = new URL(request.url);
    if (request.headers.get("Authorization") !== `Bearer ${token}`) {
      return Response.json({ error: { message: "The token is not right." } }, { status: 401 });
    }
    if (pathname === "/livez") return new Response("ok");
    if (pathname === "/metrics") return new Response("process_resident_memory_bytes 1048576\n");
    if (pathname.includes("/files/")) return new Response(picture());
    const { seed } = await request.json();
    return Response.json({
      id: "a",
      state: seed === failing ? "failed" : "succeeded",
      origin: "plain",
      ...{ createdAt: time, startedAt: time, finishedAt: time, position: null, attempts: 1 },
      request: {},
      progress: { step: 1, steps: 1, etaMs: null },
      files: seed === failing ? [] : [{
        ...{ name: "0.png", url: "", picture: 0, level: 0, seed: String(seed), type: "image/png" },
        ...{ width: 1, height: 1, frames: 1, bytes: 1 },
      }],
      previews: [],
      warnings: [],
      error: seed === failing ? { code: "failed", message: "The GPU is gone." } : null,
      timings: null,
    }, { status: 201 });
  });
}

async function failAt(url: string, args: readonly string[], message: RegExp): Promise<void> {
  const { code, stdout, stderr } = await benchServe(["--url", url, ...args]);
  assert.deepEqual({ code, stdout }, { code: 1, stdout: "" });
  assert.match(stderr, message);
}

Deno.test("a server whose pictures change, fail or are refused is told of, and one that is gone", async () => {
  let pictures = 0;
  const server = standIn("secret", () => `picture ${pictures++}`);
  const url = `http://127.0.0.1:${server.addr.port}`;
  const asked = ["--clients", "1", "--token"];
  await failAt(
    url,
    [...asked, "secret", "--jobs", "1"],
    /^mdm: The picture of seed 0 has other bytes than before: .*\n$/,
  );
  await failAt(
    url,
    ["--clients", "3", "--token", "secret", "--jobs", "1"],
    /^mdm: A picture was not made: its job is failed: The GPU is gone\.\n$/,
  );
  await failAt(
    url,
    [...asked, "wrong"],
    /^mdm: The server answered \/metrics with 401: The token is not right\.\n$/,
  );
  await server.shutdown();
  await failAt(url, [], /^mdm: No server answers at http:\/\/127\.0\.0\.1:\d+: .*\n$/);
});

Deno.test("people read tables, with the server's memory after every 50 pictures", async () => {
  const server = standIn("secret", () => "a picture", { failing: null });
  const url = `http://127.0.0.1:${server.addr.port}`;
  const args = ["--url", url, "--token", "secret", "--clients", "2,1", "--jobs", "49"];
  const { code, stdout, stderr } = await benchServe(args);
  await server.shutdown();
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  const [title, head, two, one, ...memory] = stdout.split("\n");
  assert.equal(title, "49 pictures a round, 20 steps each; times in ms");
  assert.match(head!, /^ {2}clients {2}pictures\/s +ratio +p50 +p95 +health p50 +p95 +max +step/);
  // It tells of no steps, so that these columns are empty.
  const numbers = String.raw`( +\d+\.\d+){2}( +\d+){2}( +\d+\.\d){3}`;
  assert.match(two!, RegExp(`^  2 ${numbers}$`));
  assert.match(one!, RegExp(`^  1 ${numbers}$`));
  assert.match(one!, / 1\.00 /, "the ratio to itself");
  assert.deepEqual(memory, [
    "",
    "Memory of the server",
    "  after 50 pictures   1.0 MiB",
    "  after 100 pictures  1.0 MiB",
    "",
  ]);
});

Deno.test("its help has its options", async () => {
  const { code, stdout, stderr } = await benchServe(["--help"]);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  assert.match(
    stdout,
    /^deno task bench:serve: .*\n\nUsage:\n {2}deno task bench:serve \[options\]\n/,
  );
  assert.match(stdout, /^ +--clients LIST /m);
});

Deno.test("a server that cannot start says why", async () => {
  const { code, stdout, stderr } = await benchServe(["--model", "nowhere"]);
  assert.deepEqual({ code, stdout, stderr }, {
    code: 1,
    stdout: "",
    stderr:
      `mdm: Cannot load the model "nowhere": there is no such file or folder. Check the path.\n`,
  });
});

Deno.test("without the permissions of its task it says which task has them", async () => {
  const message = /^mdm: Deno does not permit .*"deno task bench:serve"\.\n$/;
  await fail([], { code: 1, message });
  await fail(["--url", "http://127.0.0.1:8000"], { code: 1, message });
});

Deno.test("what the measurement cannot be asked for", async () => {
  const cases: [string[], string][] = [
    [["--clients", "1,,2"], `Option "--clients" needs an integer from 1 to 1000, not "".`],
    [["--clients", "0"], `Option "--clients" needs an integer from 1 to 1000, not "0".`],
    [["--jobs", "0"], `Option "--jobs" needs an integer from 1 to 1000000, not "0".`],
    [
      ["--url", "here"],
      `Option "--url" needs an address such as "http://127.0.0.1:8000", not "here".`,
    ],
    [["--token", "x"], "A server of our own needs no token: give --url, or leave out --token."],
    [
      ["--url", "http://127.0.0.1:8000", "--slots", "2"],
      "A server that runs is as it is: leave out --model and --slots.",
    ],
    [
      ["weights"],
      `"deno task bench:serve" takes options only: give a model by --model.`,
    ],
  ];
  for (const [args, message] of cases) {
    await fail(args, { code: 2, message });
  }
});
