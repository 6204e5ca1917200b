import assert from "./assert.ts";
import { nearest } from "../src/nearest.ts";

Deno.test("nearest: few letters off or begun like it, else none", () => {
  const names = ["generate", "replay", "info"];
  assert.equal(nearest("gen", names), "generate");
  assert.equal(nearest("relpay", names), "replay");
  assert.equal(nearest("REPLAY", names), "replay");
  assert.equal(nearest("help", names), undefined);
  assert.equal(nearest("", names), undefined);
  assert.equal(nearest("i", ["i"]), undefined, "a letter says too little");
});

Deno.test("nearest: what is longer than any name is not compared", () => {
  const began = performance.now();
  assert.equal(nearest("replay".repeat(200_000), Array(1000).fill("replay")), undefined);
  assert.ok(performance.now() - began < 1000);
});
