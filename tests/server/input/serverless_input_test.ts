/** Options as models on Replicate and RunPod have them. */
import assert from "../../assert.ts";
import { invalid } from "../../../src/server/http/http_error.ts";
import { serverlessInput, serverlessRequest } from "../../../src/server/input/serverless_input.ts";
import { FakeJobs } from "../fake_jobs.ts";

const STAR = { prompt: "a star", seed: 7 };

Deno.test("null is as if an option were left out", () => {
  const schema = serverlessInput(new FakeJobs());
  const nulls = Object.fromEntries(Object.keys(schema.shape).map((name) => [name, null]));
  assert.deepEqual(
    serverlessRequest(schema.parse({ ...nulls, ...STAR })),
    serverlessRequest(schema.parse(STAR)),
  );
  assert.equal(schema.safeParse({ ...STAR, prompt: null }).success, false);
  assert.equal(serverlessRequest(schema.parse({ ...STAR, height: null, width: 64 })).size, 64);
});

Deno.test("a name that another protocol has is told with the one here", () => {
  const schema = serverlessInput(new FakeJobs());
  for (
    const [name, meant] of [
      ["steps", "num_inference_steps"],
      ["promt", "prompt"],
      ["cfg_scale", "guidance_scale"],
      ["guidance", "guidance_scale"],
      ["n", "num_outputs"],
      ["sampler", "scheduler"],
      ["size", "width"],
      ["format", "output_format"],
      ["negative", "negative_prompt"],
      ["guidanceInterval", "guidance_interval"],
    ]
  ) {
    const { error } = schema.safeParse({ ...STAR, [name!]: 1 });
    const { message } = invalid(error!);
    assert.equal(message, `There is no field "${name}": did you mean "${meant}"?`);
  }
});
