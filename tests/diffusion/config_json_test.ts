import assert from "../assert.ts";
import { parseDiffusionConfig } from "../../src/diffusion/config.ts";
import { diffusionJson } from "../../src/diffusion/config_json.ts";
import { PRESET_NAMES, presetConfig } from "../../src/model/presets.ts";

const UNUSUAL = {
  sampler_config: {
    num_diffusion_steps: 250,
    schedule_type: "COSINE",
    prediction_type: "DDIM",
    beta_start: 0.001,
    beta_end: 0.03,
    threshold_function: "DYNAMIC_IF",
    rescale_schedule: 2,
    rescale_signal: 4,
    schedule_shifted: true,
    schedule_shifted_power: 2,
  },
  model_output_scale: 1.5,
};

Deno.test("a diffusion configuration written as JSON is read back as it was", () => {
  const all: [json: unknown, nested: boolean][] = [
    ...PRESET_NAMES.map((name): [unknown, boolean] => {
      const { model, diffusion } = presetConfig(name);
      return [diffusion, model.model !== "unet"];
    }),
    [UNUSUAL, false],
    [{}, false],
  ];
  for (const [json, nested] of all) {
    const config = parseDiffusionConfig(json, nested);
    const written = JSON.parse(JSON.stringify(diffusionJson(config)));
    assert.deepEqual(parseDiffusionConfig(written, nested), config);
  }
});
