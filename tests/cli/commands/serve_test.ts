/** What mdm serve, worker and health say to people. */

import assert from "../../assert.ts";
import { run as health } from "../../../src/cli/commands/health.ts";
import { run as serve } from "../../../src/cli/commands/serve.ts";
import { run as worker } from "../../../src/cli/commands/worker.ts";
import { MdmError, UsageError } from "../../../src/errors.ts";
import { fail, inFolder, mdm, names } from "../mdm.ts";

type Command = typeof serve;

const GO_ON = new AbortController().signal;

/** Runs a command that has to be refused, and leave nothing; gives what it says. */
async function refused(
  command: Command,
  args: readonly string[],
  kind: typeof MdmError = UsageError,
): Promise<string> {
  let message = "";
  await inFolder(async (folder) => {
    await assert.rejects(command([...args, "--data", `${folder}/data`], GO_ON), (error) => {
      assert.ok(error instanceof kind, String(error));
      message = error.message.replaceAll(folder, "FOLDER");
      return true;
    });
    assert.deepEqual(names(folder).filter((name) => name !== "data"), []);
  });
  return message;
}

/** Runs a command whose options are good, up to where it would start. */
async function accepted(command: Command, args: readonly string[]): Promise<void> {
  const stopped = AbortSignal.abort(new Error("Its options are good"));
  await inFolder((folder) =>
    assert.rejects(command([...args, "--data", `${folder}/data`], stopped), /options are good/)
  );
}

Deno.test("others are let in with a token or by express wish only", async () => {
  const message =
    "Others could use the server at 0.0.0.0 without a token: give --token (or MDM_TOKEN), or --insecure.";
  assert.equal(await refused(serve, ["--host", "0.0.0.0"]), message);
  assert.match(await refused(serve, ["--host", "::"]), /without a token/);
  await accepted(serve, ["--host", "0.0.0.0", "--token", "secret"]);
  await accepted(serve, ["--host", "0.0.0.0", "--insecure"]);
  for (const host of ["127.0.0.1", "localhost", "::1"]) await accepted(serve, ["--host", host]);
});

Deno.test("a token that cannot be sent is refused: nobody could use the server, or everybody", async () => {
  for (const token of ["", " ", "two words", "schlüssel", "a\nb"]) {
    assert.equal(
      await refused(serve, ["--host", "0.0.0.0", "--token", token]),
      "Clients cannot send the token: give one of letters, digits and signs, without spaces.",
    );
  }
});

Deno.test("numbers out of range are refused with the range", async () => {
  const cases: [Command, string, string, string][] = [
    [serve, "--port", "65536", "an integer from 0 to 65535"],
    [serve, "--port", "http", "an integer from 0 to 65535"],
    [serve, "--queue-timeout", "0", "an integer from 1 to 10000000"],
    [serve, "--wait-timeout", "1.5", "an integer from 1 to 10000000"],
    [serve, "--max-pictures", "0", "an integer from 1 to 10000"],
    [serve, "--max-steps", "100001", "an integer from 1 to 100000"],
    [serve, "--max-size", "5000", "an integer from 1 to 4096"],
    [serve, "--max-prompt", "-1", "an integer from 1 to 100000"],
    [worker, "--slots", "0", "an integer from 1 to 1024"],
    [worker, "--run-timeout", "0", "an integer from 1 to 10000000"],
    [worker, "--grace", "-1", "an integer from 0 to 86400"],
    [worker, "--queue-limit", "0", "an integer from 1 to 10000000"],
    [worker, "--keep", "0", "an integer from 1 to 100000"],
    [worker, "--lease", "0", "an integer from 1 to 10000000"],
    [worker, "--attempts", "none", "an integer from 1 to 1000"],
  ];
  for (const [command, option, value, range] of cases) {
    assert.equal(
      await refused(command, [option, value]),
      `Option "${option}" needs ${range}, not "${value}".`,
    );
  }
});

Deno.test("what is taken where a request does not say has to be allowed, and the model's", async () => {
  const cases: [Command, string[], string | RegExp][] = [
    [serve, ["--steps", "0"], `Option "--steps" needs an integer from 1 to 100000, not "0".`],
    [
      serve,
      ["--steps", "30", "--max-steps", "20"],
      `Option "--steps" gives 30, but 20 are the most that may be asked for: give fewer, or a larger --max-steps.`,
    ],
    [
      serve,
      ["--sampler", "ddpm", "--max-steps", "20"],
      `Option "--sampler ddpm" takes 250 steps, but 20 are the most that may be asked for: give --steps as well, or a larger --max-steps.`,
    ],
    [
      serve,
      ["--negative", "a".repeat(11), "--max-prompt", "10"],
      /^Option "--negative" has 11 letters, but 10 are the most/,
    ],
    [worker, ["--steps", "1001"], /^Option "--steps" gives 1001, but 1000 are the most/],
    [serve, ["--steps", "1001", "--max-steps", "5000", "--no-worker"], /1001.*1000/],
    [worker, ["--sampler", "dpm"], /Did you mean "ddpm"\?$/],
    [worker, ["--guidance", "1001"], /needs a number from 0 to 1000, not "1001"/],
    [worker, ["--guidance-interval", "0.8,0.2"], /needs two numbers from 0 to 1/],
    [worker, ["--cache", "2", "--cache-error", "0.1"], "Give --cache or --cache-error, not both."],
  ];
  for (const [command, args, message] of cases) {
    const said = await refused(command, args);
    if (typeof message === "string") assert.equal(said, message);
    else assert.match(said, message);
  }
  const all = ["--sampler", "ddpm", "--steps", "20", "--guidance", "2", "--negative", "a ring"];
  await accepted(serve, [...all, "--max-steps", "20", "--guidance-interval", "0.2,0.8"]);
  await accepted(worker, [...all, "--cache-error", "0.1"]);
});

Deno.test("addresses that are none are refused with an example", async () => {
  for (
    const url of ["pictures.example", "ftp://a.example", "https://a.example?b", "https://a/#b"]
  ) {
    assert.equal(
      await refused(serve, ["--public-url", url]),
      `Option "--public-url" needs an address such as "https://pictures.example", not "${url}".`,
    );
  }
  for (const origin of ["*", "pictures.example", "https://a.example/page", "null"]) {
    assert.equal(
      await refused(serve, ["--cors", `https://b.example,${origin}`]),
      `Option "--cors" needs origins such as "https://pictures.example", not "${origin}".`,
    );
  }
  await accepted(serve, [
    ...["--public-url", "https://a.example/pictures/"],
    ...["--cors", "https://a.example, http://localhost:3000/"],
    "--strict-sizes",
  ]);
  assert.match(await refused(worker, ["--moderation", "none"]), /moderation hook needs an address/);
  assert.match(await refused(worker, ["--webhook-secret", "abc"]), /whsec_/);
});

Deno.test("what is no option is refused", async () => {
  assert.equal(
    await refused(serve, ["weights/shapes32"]),
    `"mdm serve" takes options only: give a model by --model.`,
  );
  assert.equal(
    await refused(worker, ["weights/shapes32"]),
    `"mdm worker" takes options only: give a model by --model.`,
  );
  assert.match(await refused(worker, ["--prot", "1"]), /^Unknown option "--prot"/);
});

Deno.test("a model, a queue or an address that cannot be used is named", async () => {
  assert.match(await refused(worker, ["--model", "weights/none"], MdmError), /"weights\/none"/);
  const none = ["--queue", "none/queue.sqlite"];
  assert.match(await refused(serve, [...none, "--no-worker"], MdmError), /"none\/queue.sqlite"/);
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const port = String(taken.addr.port);
  assert.equal(
    await refused(serve, ["--no-worker", "--port", port], MdmError),
    `Another program listens at port ${port} of 127.0.0.1. Give another --port.`,
  );
});

Deno.test("a test input that is no job is refused, before anything is made", async () => {
  for (const input of ["", "{", "{}", "[]", "null"]) {
    assert.equal(
      await refused(worker, ["--test_input", input]),
      `Option "--test_input" needs a job, as in '{"input": {"prompt": "a red circle"}}'.`,
    );
  }
});

Deno.test("the command says it in one line, with an exit code", async () => {
  await fail(["serve", "--host", "0.0.0.0"], {
    code: 2,
    message:
      "Others could use the server at 0.0.0.0 without a token: give --token (or MDM_TOKEN), or --insecure.",
  });
});

Deno.test("health asks one address", async () => {
  for (const args of [["ftp://a.example"], ["nothing"], ["http://a", "http://b"]]) {
    await assert.rejects(
      health(args, GO_ON),
      new UsageError(`Give one address, as in "mdm health http://127.0.0.1:8000".`),
    );
  }
});

Deno.test("health fails where nobody answers, and where the server is not well", async () => {
  const answers: Record<string, [number, string]> = {
    "/livez": [200, "ok"],
    "/readyz": [503, "It is loading."],
  };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, ({ url }) => {
    const [status, text] = answers[new URL(url).pathname]!;
    return new Response(text, { status });
  });
  const url = `http://127.0.0.1:${server.addr.port}`;
  assert.equal(await health([url], GO_ON), 0);
  await assert.rejects(
    health([url, "--ready"], GO_ON),
    new MdmError("The server is not well: 503 It is loading."),
  );
  await server.shutdown();
  await assert.rejects(health([url], GO_ON), (error: Error) => {
    assert.equal(error.name, "MdmError");
    assert.match(error.message, new RegExp(`^No server answers at ${url}/livez: .*[^.]\\.$`));
    return true;
  });
});

Deno.test("serve without the permission for it says by which task to start it", () =>
  inFolder(async (cwd) => {
    const { code, stderr } = await mdm(["serve", "--no-worker", "--port", "0"], { cwd });
    assert.equal(code, 1);
    assert.match(stderr, /^mdm: Deno does not permit .* Start it by "deno task serve".*\n$/);
  }));
