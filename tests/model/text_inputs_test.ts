import assert from "../assert.ts";
import { parseModelConfig } from "../../src/model/config.ts";
import { textNumbers } from "../../src/model/text_inputs.ts";

/** What is made of two texts, of two tokens of three and of one without a mask, in room for four. */
async function numbers(fields: Record<string, unknown>) {
  const json = JSON.parse(await Deno.readTextFile("weights/shapes32/config.json"));
  const inner = { ...json.unet_config.inner_config, ...fields };
  const unet = { ...json.unet_config, inner_config: inner };
  const config = parseModelConfig({ ...json, conditioning_feature_dim: 64, unet_config: unet }, "");
  const rows = [
    { features: new Float32Array(3 * 64).fill(1), length: 3, mask: [1, 1, 0] },
    { features: new Float32Array(64).fill(2), length: 1, mask: null },
  ];
  return textNumbers(config, rows, 4);
}

Deno.test("texts have a row each, zero after their ends", async () => {
  const { features } = await numbers({});
  assert.equal(features.length, 2 * 4 * 64);
  const sums = [0, 1, 2, 3, 4, 5, 6, 7].map((token) =>
    features[token * 64]! + features[token * 64 + 63]!
  );
  assert.deepEqual(sums, [2, 2, 2, 0, 4, 0, 0, 0]);
});

Deno.test("padding is masked and not averaged, unless the model sees it", async () => {
  const masked = await numbers({ masked_cross_attention: 1 });
  assert.deepEqual([...masked.mask], [1, 1, 0, 0, 1, 0, 0, 0]);
  assert.deepEqual([...masked.pool], [0.5, 0.5, 0, 0, 1, 0, 0, 0]);
  const unmasked = await numbers({ masked_cross_attention: 0, num_lm_head_layers: 0 });
  assert.deepEqual([...unmasked.mask], [1, 1, 1, 0, 1, 0, 0, 0]);
  assert.deepEqual([...unmasked.pool], [0.5, 0.5, 0, 0, 1, 0, 0, 0]);
  // After self-attention that sees padding, the reference averages over padding too.
  const headed = await numbers({ masked_cross_attention: 0, num_lm_head_layers: 1 });
  assert.deepEqual([...headed.mask], [1, 1, 1, 0, 1, 0, 0, 0]);
  assert.deepEqual([...headed.pool], [1 / 3, 1 / 3, 1 / 3, 0, 1, 0, 0, 0].map(Math.fround));
});
