import assert from "../assert.ts";
import project from "../../deno.json" with { type: "json" };
import { command, decode, fail, inFolder, mdm, names, succeed } from "./mdm.ts";

const COMMANDS = [
  "generate",
  "replay",
  "info",
  "verify",
  "tune",
  "warmup",
  "bench",
  "doctor",
];

Deno.test("mdm --version tells deno.json's", async () => {
  assert.equal(await succeed(["--version"]), `mdm ${project.version}\n`);
});

Deno.test("mdm --help and mdm help list every command; mdm alone too, as a mistake", async () => {
  const text = await succeed(["--help"]);
  for (const name of COMMANDS) assert.match(text, new RegExp(`^  mdm ${name} +[A-Z]`, "m"));
  assert.match(text, /Examples:\n/);
  assert.equal(await succeed(["help"]), text);
  assert.deepEqual(await mdm([]), { code: 2, stdout: text, stderr: "" });
});

Deno.test("each command's help has its usage and an example that names it", async () => {
  for (const name of COMMANDS) {
    const text = await succeed(["help", name]);
    assert.match(text, new RegExp(`^mdm ${name}: .*\n\nUsage:\n  mdm ${name} `));
    assert.match(text.slice(text.indexOf("Examples:")), new RegExp(`^  mdm ${name}`, "m"));
    const options = text.slice(text.indexOf("Options:"), text.indexOf("Examples:")).split("\n");
    assert.deepEqual(options.filter((line) => line.length > 80), []);
    const long = options.flatMap((line) => /^ +(?:-., )?--([\w-]+)/.exec(line)?.[1] ?? []);
    assert.deepEqual(long.filter((option, i) => long.indexOf(option) !== i), [], name);
  }
});

Deno.test("mdm COMMAND --help is mdm help COMMAND, but for a prompt after --", async () => {
  const text = await succeed(["help", "generate"]);
  assert.equal(await succeed(["generate", "a star", "-n", "2", "--help"]), text);
  assert.equal(await succeed(["generate", "-h"]), text);
  const { stdout } = await mdm(["generate", "--steps", "0", "--", "--help"]);
  assert.equal(stdout, "");
});

Deno.test("an unknown command or option is named, with the nearest one there is", async () => {
  const message = `Unknown command "genrate". Did you mean "mdm generate"?`;
  await fail(["genrate", "a star"], { code: 2, message });
  await fail(["help", "genrate"], { code: 2, message });
  await fail(["paint"], { code: 2, message: `Unknown command "paint". See "mdm --help".` });
  await fail(["--quiet"], { code: 2, message: `Unknown option "--quiet". See "mdm --help".` });
});

Deno.test("mdm bench serve names the task that measures a server", async () => {
  await fail(["bench", "serve"], {
    code: 2,
    message:
      `A server is measured by "deno task bench:serve", in the folder of mdm's source. For a model in a folder "serve": mdm bench ./serve`,
  });
});

Deno.test("a reader that goes away ends the command in silence", () =>
  inFolder(async (cwd) => {
    const child = command(["generate", "a star", "--seed", "1", "--steps", "1"], { cwd }).spawn();
    await child.stdout.cancel();
    const [{ code }, stderr] = await Promise.all([
      child.status,
      new Response(child.stderr).bytes(),
    ]);
    assert.deepEqual({ code, stderr: decode(stderr) }, { code: 141, stderr: "" });
    assert.deepEqual(names(cwd), ["a-star-1.png"]);
  }));
