/** Makes a small video model of random weights, for tests that write videos. */

import { fileURLToPath } from "node:url";
import { encodeSafetensors } from "../src/checkpoint/safetensors.ts";
import { parseModelConfig } from "../src/model/config.ts";
import { Network } from "../src/model/network.ts";

const SHAPES32 = fileURLToPath(new URL("../weights/shapes32", import.meta.url));

/** A UNet of 32 channels at so many resolutions; the text has the width of shapes32's. */
function unet(resolutions: number, fields: Record<string, unknown>) {
  const every = (value: number) => Array(resolutions).fill(value);
  return {
    resolution_channels: every(32),
    num_resnets_per_resolution: every(1),
    num_attention_layers: every(0),
    attention_levels: [],
    temporal_dim: 32,
    ...fields,
  };
}

/** Four frames of 16x16, over four of 8x8, over one picture of 8x8: the space, then the time of the one before is halved. */
const UNET = unet(2, {
  temporal_mode: true,
  temporal_spatial_ds: true,
  skip_normalization: true,
  inner_config: unet(3, {
    temporal_mode: true,
    temporal_positional_encoding: true,
    num_temporal_attention_layers: [1, 0, 0],
    nesting: true,
    inner_config: unet(2, {
      attention_levels: [1],
      num_attention_layers: [0, 1],
      nesting: true,
    }),
  }),
});

/** Makes a model of it in a folder that is there, with shapes32's text encoder, tokenizer and schedule. */
export async function makeVideoModel(folder: string): Promise<void> {
  const shapes32 = JSON.parse(await Deno.readTextFile(`${SHAPES32}/config.json`));
  const config = {
    ...shapes32,
    unet_config: UNET,
    image_size: 32,
    nest_ratio: [4, 2],
    is_temporal: [false, true],
  };
  await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(config));
  await Deno.writeFile(`${folder}/model.safetensors`, randomWeights(config));
  for (
    const name of [
      "text_encoder/config.json",
      "text_encoder/model.safetensors",
      "tokenizer/tokenizer.json",
      "tokenizer/tokenizer_config.json",
    ]
  ) {
    await Deno.mkdir(`${folder}/${name.split("/")[0]}`, { recursive: true });
    await Deno.copyFile(`${SHAPES32}/${name}`, `${folder}/${name}`);
  }
}

/** The same every time: small numbers around 0, gains of norms around 1. */
function randomWeights(config: unknown): Uint8Array<ArrayBuffer> {
  const { parameters } = new Network(parseModelConfig(config, "config.json"));
  let state = 1;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0; // Numerical Recipes' generator.
    return state / 2 ** 31 - 1;
  };
  const tensors = new Map(
    [...parameters].map(([name, { shape }]) => {
      const isGain = shape.length === 1 && name.endsWith("weight");
      const size = shape.reduce((product, side) => product * side, 1);
      const data = Float32Array.from({ length: size }, () => Number(isGain) + 0.1 * random());
      return [name, { shape: [...shape], data }];
    }),
  );
  return encodeSafetensors(tensors, "F16");
}
