import assert from "../assert.ts";
import { unusual } from "../../src/cli/unusual_request.ts";
import { ModelSource } from "../../src/pipeline/models/model_source.ts";
import { resolveRequest } from "../../src/pipeline/request.ts";
import { SHAPES32 } from "./mdm.ts";

Deno.test("a size far from the trained one, and a negative prompt without guidance, are unusual", async () => {
  using model = await ModelSource.open(SHAPES32);
  const sentences = (size: number | undefined, negative: string, guidance: number) => {
    const request = { prompt: "a star", guidance, negative, ...size !== undefined && { size } };
    const resolved = resolveRequest(request, model.config, model.diffusion);
    return unusual({ size, negative }, resolved, model.config).map((sentence) =>
      sentence.split(" ", 2).join(" ")
    );
  };
  const [far, unguided] = ["The model", "Without guidance"];
  for (const size of [16, 64, 128]) assert.deepEqual(sentences(size, "", 4), [far], `${size}`);
  for (const size of [undefined, 24, 32, 56]) assert.deepEqual(sentences(size, "", 4), []);
  assert.deepEqual(sentences(undefined, "a ring", 1), [unguided]);
  for (const guidance of [0, 0.5, 4]) assert.deepEqual(sentences(32, "a ring", guidance), []);
  assert.deepEqual(sentences(64, "a ring", 1), [unguided, far]);
});
