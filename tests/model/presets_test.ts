import assert from "../assert.ts";
import { parseDiffusionConfig } from "../../src/diffusion/config.ts";
import { UsageError } from "../../src/errors.ts";
import { parseModelConfig } from "../../src/model/config.ts";
import { Network } from "../../src/model/network.ts";
import { PRESET_NAMES, presetConfig } from "../../src/model/presets.ts";

interface Recorded {
  parameters: number;
  nest_ratio: number[] | null;
  state_dict: Record<string, number[]>;
}

function recorded(name: string): Recorded {
  return JSON.parse(
    Deno.readTextFileSync(`${import.meta.dirname}/../fixtures/golden/${name}.json`),
  );
}

for (const name of PRESET_NAMES) {
  Deno.test(`${name} has the tensors of the published model, and no other`, () => {
    const golden = recorded(name);
    const config = parseModelConfig(presetConfig(name).model, name);
    const { parameters } = new Network(config);
    const shapes = [...parameters].map(([tensor, { shape }]): [string, readonly number[]] => [
      tensor,
      shape,
    ]);
    const sorted = (entries: [string, readonly number[]][]) =>
      entries.sort(([a], [b]) => a < b ? -1 : 1);
    assert.deepEqual(sorted(shapes), sorted(Object.entries(golden.state_dict)));
    const count = shapes.reduce((sum, [, shape]) => sum + shape.reduce((a, b) => a * b, 1), 0);
    assert.equal(count, golden.parameters);
    assert.deepEqual(config.nestRatio, golden.nest_ratio ?? []);
  });
}

Deno.test("the presets sample as the published models do", () => {
  const facts = PRESET_NAMES.map((name) => {
    const { model, diffusion, text } = presetConfig(name);
    const { kind, imageSize } = parseModelConfig(model, name);
    const { samplerConfig: sampler } = parseDiffusionConfig(diffusion, kind === "nested_unet");
    assert.equal(sampler.numDiffusionSteps, 1000);
    assert.equal(sampler.scheduleType, "DEEPFLOYD");
    assert.equal(sampler.predictionType, "V_PREDICTION");
    assert.equal(sampler.thresholdFunction, "CLIP");
    return [imageSize, sampler.scheduleShifted, sampler.scheduleShiftedPower, text];
  });
  assert.deepEqual(facts, [
    [64, false, 1, { maxCharacters: 512, maxTokens: 128 }],
    [256, true, 1, { maxCharacters: null, maxTokens: 128 }],
    [1024, true, 2, { maxCharacters: 512, maxTokens: 128 }],
  ]);
});

for (const name of ["cc12m_32x32", "__proto__", "toString", ""]) {
  Deno.test(`there is no preset "${name}"`, () => {
    assert.throws(
      () => presetConfig(name),
      (error) => error instanceof UsageError && /use one of "cc12m_64x64", /.test(error.message),
    );
  });
}
