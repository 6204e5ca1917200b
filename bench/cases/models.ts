import { type ModelConfig, parseModelConfig } from "../../src/model/config.ts";
import { presetConfig } from "../../src/model/presets.ts";
import nested2 from "../../tests/fixtures/golden/nested2/config.json" with { type: "json" };
import shapes32 from "../../weights/shapes32/config.json" with { type: "json" };
import type { Case } from "./case.ts";
import { ModelCase } from "./model_case.ts";

/** Whole models: a forward pass of one guided picture. */
export function modelCases(): Case[] {
  return [
    new ModelCase("shapes32", {
      config: parseModelConfig(shapes32, "shapes32"),
      checkpoint: new URL("../../weights/shapes32/model.safetensors", import.meta.url).pathname,
      size: 32,
      tokens: 32,
    }),
    new ModelCase("nested2 of 64 channels", { config: widened(2), size: 64, tokens: 32 }),
    new ModelCase("nested2 of 128 channels", { config: widened(4), size: 64, tokens: 32 }),
    new ModelCase("cc12m_64x64", {
      config: parseModelConfig(presetConfig("cc12m_64x64").model, "cc12m_64x64"),
      size: 64,
      tokens: 128,
      dtype: "F16",
      large: true,
    }),
  ];
}

/** The model of the golden data, whose outer UNet has 32 channels, with `times` as many everywhere. */
function widened(times: number): ModelConfig {
  const wide = (unet: { resolution_channels: number[] }) => ({
    ...unet,
    resolution_channels: unet.resolution_channels.map((channels) => channels * times),
  });
  const { unet_config: outer, ...rest } = nested2;
  const inner = wide(outer.inner_config);
  return parseModelConfig(
    { ...rest, unet_config: { ...wide(outer), inner_config: inner } },
    "nested2",
  );
}
