import assert from "node:assert/strict";
import project from "../../deno.json" with { type: "json" };
import { decode, inFolder, mdm } from "./mdm.ts";

Deno.test("serve without the permission for it says by which task to start it", () =>
  inFolder(async (cwd) => {
    const { code, stderr } = await mdm(["serve", "--no-worker", "--port", "0"], { cwd });
    assert.equal(code, 1);
    assert.match(stderr, /^mdm: Deno does not permit .* Start it by "deno task serve".*\n$/);
  }));

Deno.test("serve at a port that is in use asks for another one", () =>
  inFolder(async (cwd) => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    const [, ...words] = project.tasks.server.command.split(" ");
    const main = words.pop()!;
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...words,
        new URL(`../../${main}`, import.meta.url).pathname,
        "serve",
        "--no-worker",
        "--port",
        String(port),
      ],
      cwd,
      stderr: "piped",
    }).output();
    assert.equal(
      decode(stderr),
      `mdm: Another program listens at port ${port} of 127.0.0.1. Give another --port.\n`,
    );
    assert.equal(code, 1);
  }));
