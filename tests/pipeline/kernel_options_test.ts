import assert from "../assert.ts";
import { Pipelines } from "../../src/gpu/recording.ts";
import { Pipeline } from "../../src/pipeline/pipeline.ts";

Deno.test("a convolution algorithm that is forced is used for images and for their text", async () => {
  const used = new Set<string>();
  const { get } = Pipelines.prototype;
  Pipelines.prototype.get = function (kernel, constants) {
    used.add(kernel.name);
    return get.call(this, kernel, constants);
  };
  try {
    await using pipeline = await Pipeline.load("weights/shapes32", { convAlgorithm: "register" });
    const request = { prompt: "a star", seed: 1, steps: 1, size: 8 };
    for await (const _ of pipeline.generate(request)) { /* Nothing is looked at. */ }
  } finally {
    Pipelines.prototype.get = get;
  }
  // "rms" norms are the text encoder's own, group norms the UNet's.
  assert.ok(used.has("layer_norm") && used.has("group_norm"));
  assert.deepEqual([...used].filter((name) => /^(conv|winograd)_/.test(name)), ["conv_register"]);
});
