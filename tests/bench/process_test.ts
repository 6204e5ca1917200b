import assert from "../assert.ts";
import { PeerProcess } from "../../bench/peers/process.ts";
import { MdmError } from "../../src/errors.ts";

/** A peer whose process does what some code says. */
const peer = (code: string) => new PeerProcess([Deno.execPath(), "eval", "--no-config", code]);

const refusal = (pattern: RegExp) => (error: unknown) =>
  error instanceof MdmError && pattern.test(error.message);

Deno.test("a peer answers, and tells what it cannot do", async () => {
  await using process = peer(`
    const answers = [{ version: "1.2" }, { ms: 3 }, { error: "too large" }];
    for await (const _ of Deno.stdin.readable) console.log(JSON.stringify(answers.shift()));
  `);
  assert.equal(await process.open("folder", 60), "1.2");
  assert.equal(await process.run(1, 60), 3);
  await assert.rejects(process.run(2, 60), refusal(/^too large$/));
});

Deno.test("a peer that dies is told with its last words", async () => {
  await using process = peer(`console.error("out of memory"); Deno.exit(1);`);
  await assert.rejects(
    process.open("folder", 60),
    refusal(/^its process (died|is gone): out of memory$/),
  );
});

Deno.test("a peer that says nothing is not waited for", async () => {
  await using process = peer(`for await (const _ of Deno.stdin.readable);`);
  await assert.rejects(process.open("folder", 0.1), refusal(/^no answer in 0\.1 s$/));
});

Deno.test("a peer that says something else is told with it", async () => {
  await using process = peer(`
    for await (const _ of Deno.stdin.readable) console.log("Loading...");
  `);
  await assert.rejects(process.open("folder", 60), refusal(/says "Loading\.\.\." where/));
});
