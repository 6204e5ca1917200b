import assert from "../assert.ts";
import { readJson } from "../../src/checkpoint/json.ts";
import { parseModelConfig } from "../../src/model/config.ts";
import { modelJson } from "../../src/model/config_json.ts";
import { PRESET_NAMES, presetConfig } from "../../src/model/presets.ts";

const FIXTURES = `${import.meta.dirname}/../fixtures`;

/** Every configuration that there is a recording of. */
async function* recorded(): AsyncGenerator<[name: string, json: unknown]> {
  for (const folder of ["golden", "reference"]) {
    for await (const { name } of Deno.readDir(`${FIXTURES}/${folder}`)) {
      const path = `${FIXTURES}/${folder}/${name}/config.json`;
      if (await Deno.stat(path).then(() => true, () => false)) yield [path, await readJson(path)];
    }
  }
  for (const name of PRESET_NAMES) yield [name, presetConfig(name).model];
}

Deno.test("a configuration written as JSON is read back as it was", async () => {
  const kinds = new Set<string>();
  for await (const [name, json] of recorded()) {
    const config = parseModelConfig(json, name);
    const written = JSON.parse(JSON.stringify(modelJson(config)));
    assert.deepEqual(parseModelConfig(written, name), config, name);
    kinds.add(`${config.kind} ${config.unet.frames?.resamples ?? "image"}`);
  }
  assert.deepEqual([...kinds].sort(), [
    "nested_unet image",
    "nested_unet space",
    "nested_unet time",
    "unet image",
  ]);
});

Deno.test("fields that no recording has are written and read as well", () => {
  const unet = {
    resolution_channels: [32, 64],
    attention_levels: [1],
    micro_conditioning: "scale:64,watermark_score:0.25",
    num_temporal_attention_layers: [0, 2],
    temporal_positional_encoding: true,
    temporal_dim: 8,
  };
  for (const model of [{ unet_config: unet }, { unet_config: unet, image_size: 64 }]) {
    const config = parseModelConfig(model, "test");
    const written = JSON.parse(JSON.stringify(modelJson(config)));
    assert.deepEqual(parseModelConfig(written, "test"), config);
    assert.equal(written.unet_config.micro_conditioning, "scale:64,watermark_score:0.25");
  }
});
