import assert from "../assert.ts";
import { mock } from "node:test";
import { Gpu } from "../../src/gpu/device.ts";
import { Pipelines } from "../../src/gpu/recording.ts";
import { ModelSource } from "../../src/pipeline/models/model_source.ts";
import { modelPolicy } from "../../src/pipeline/planning/compact.ts";
import { openText, truncationMessage } from "../../src/pipeline/prompts.ts";
import { TextEncoder } from "../../src/text/text_encoder.ts";

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

Deno.test("prompts are encoded once, and of 257 the one that was used least recently is forgotten", async () => {
  using opened = new DisposableStack();
  const source = opened.use(await ModelSource.open("weights/shapes32"));
  const gpu = opened.use(await Gpu.open());
  const pipelines = opened.use(new Pipelines(gpu));
  const policy = modelPolicy(gpu.info, source.network, {});
  const text = opened.use(await openText(source, pipelines, policy));
  let encoded = 0;
  const { mock: played } = mock.method(
    TextEncoder.prototype,
    "encode",
    (prompts: readonly (readonly number[])[]) => {
      encoded += prompts.length;
      return Promise.resolve(prompts.map((ids) => Float32Array.from(ids)));
    },
  );
  opened.defer(() => played.restore());
  /** How many of these have to be encoded. */
  const missing = async (...prompts: readonly string[]) => {
    const before = encoded;
    const rows = await text.rows(new Set(prompts));
    assert.deepEqual([...rows.keys()].toSorted(), prompts.toSorted());
    return encoded - before;
  };
  const prompts = Array.from({ length: 256 }, (_, i) => `star ${i}`);
  assert.equal(await missing(...prompts), 256);
  const first = (await text.rows(new Set(["star 0"]))).get("star 0");
  assert.equal(await missing("a ring"), 1);
  // "star 0" was used last before it: "star 1" had to go.
  assert.equal(await missing("star 0", "star 2", "star 255", "a ring"), 0);
  assert.equal((await text.rows(new Set(["star 0"]))).get("star 0"), first);
  assert.equal(await missing("star 1"), 1);
  assert.equal(await missing("star 2"), 0);
  assert.equal(await missing("star 3"), 1);
  // More than are kept at a time are there all the same.
  const many = Array.from({ length: 300 }, (_, i) => `ring ${i}`);
  assert.equal(await missing(...many), 300);
  assert.equal(await missing("ring 299"), 0);
});
