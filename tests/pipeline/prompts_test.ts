import assert from "node:assert/strict";
import { truncationMessage } from "../../src/pipeline/prompts.ts";

Deno.test("what is said of a prompt that was cut names it, what it has and what is read", () => {
  assert.equal(
    truncationMessage({ prompt: "a star", tokens: 61, limit: 32 }),
    `The prompt "a star" has 61 tokens, and the model takes 32: the rest was cut off. Say it in fewer words.`,
  );
  assert.match(
    truncationMessage({ prompt: "a star", tokens: 61, limit: 32, negative: true }),
    /^The negative prompt "a star" has 61 tokens/,
  );
  const prompt = "😀".repeat(600);
  assert.match(
    truncationMessage({ prompt, tokens: 100, limit: 128, letters: 512 }),
    /^The prompt "(😀){60}\.\.\." has 600 letters, and the model takes 512: the rest/,
  );
});
