import assert from "../../assert.ts";
import { diffusersNames, referenceNames } from "../../../src/checkpoint/diffusers/names.ts";

function stateDict(name: string): Record<string, number[]> {
  const path = `${import.meta.dirname}/../../fixtures/golden/${name}.json`;
  return JSON.parse(Deno.readTextFileSync(path)).state_dict;
}

for (const name of ["cc12m_64x64", "cc12m_256x256", "cc12m_1024x1024"]) {
  Deno.test(`every name of ${name} goes to diffusers and comes back`, () => {
    const names = Object.keys(stateDict(name));
    const there = diffusersNames(names);
    assert.deepEqual([...there.keys()], names);
    assert.equal(new Set(there.values()).size, names.length, "two names became one");
    const back = referenceNames(there.values());
    assert.deepEqual([...back.values()], names);
    // None of the reference's own words may be left.
    const left = [...there.values()].filter((other) =>
      /temb_layer|cond_layers|lm_proj|time_layer|conv3|\battn\b|norm_cond|ffn|resample|mid_blocks|(^|\.)norm_out/
        .test(other)
    );
    assert.deepEqual(left, []);
  });
}

/** The list of the issue and of both sources, name by name. */
const PAIRS: [reference: string, diffusers: string][] = [
  ["temb_layer1.weight", "time_embedding.linear_1.weight"],
  ["temb_layer2.bias", "time_embedding.linear_2.bias"],
  ["cond_emb.weight", "add_embedding.cond_emb.weight"],
  ["cond_layers.scale.0.weight", "add_embedding.add_timestep_embedder.linear_1.weight"],
  ["cond_layers.scale.1.bias", "add_embedding.add_timestep_embedder.linear_2.bias"],
  ["lm_proj.weight", "encoder_hid_proj.weight"],
  ["conv_in.weight", "conv_in.weight"],
  ["norm_out.weight", "conv_norm_out.weight"],
  ["conv_out.bias", "conv_out.bias"],
  ["down_blocks.0.resnets.0.norm1.weight", "down_blocks.0.resnets.0.norm1.weight"],
  ["down_blocks.0.resnets.1.time_layer.weight", "down_blocks.0.resnets.1.time_emb_proj.weight"],
  ["down_blocks.0.resample.weight", "down_blocks.0.downsamplers.0.conv.weight"],
  ["down_blocks.1.resnets.0.conv3.weight", "down_blocks.1.resnets.0.conv_shortcut.weight"],
  [
    "down_blocks.2.attn.7.qkv.weight",
    "down_blocks.2.attentions.1.transformer_blocks.2.attn1.to_qkv.weight",
  ],
  [
    "down_blocks.2.attn.0.norm.bias",
    "down_blocks.2.attentions.0.transformer_blocks.0.attn1.group_norm.bias",
  ],
  [
    "down_blocks.1.attn.1.norm_cond.weight",
    "down_blocks.1.attentions.1.transformer_blocks.0.attn2.norm_cross.weight",
  ],
  [
    "up_blocks.0.attn.14.kv_cond.weight",
    "up_blocks.0.attentions.2.transformer_blocks.4.attn2.to_kv.weight",
  ],
  [
    "up_blocks.1.attn.2.proj_out.weight",
    "up_blocks.1.attentions.2.transformer_blocks.0.proj_out.weight",
  ],
  [
    "up_blocks.1.attn.0.ffn.0.weight",
    "up_blocks.1.attentions.0.transformer_blocks.0.ff.group_norm.weight",
  ],
  [
    "up_blocks.1.attn.0.ffn.1.weight",
    "up_blocks.1.attentions.0.transformer_blocks.0.ff.linear_gelu.proj.weight",
  ],
  [
    "up_blocks.1.attn.0.ffn.3.bias",
    "up_blocks.1.attentions.0.transformer_blocks.0.ff.linear_out.bias",
  ],
  ["up_blocks.0.resample.bias", "up_blocks.0.upsamplers.0.conv.bias"],
  ["mid_blocks.0.resnets.0.conv1.weight", "mid_block.resnets.0.conv1.weight"],
  [
    "mid_blocks.0.attn.0.qkv.weight",
    "mid_block.attentions.0.transformer_blocks.0.attn1.to_qkv.weight",
  ],
  ["mid_blocks.1.resnets.0.time_layer.bias", "mid_block.resnets.1.time_emb_proj.bias"],
];

Deno.test("names are those of both sources", () => {
  const names = diffusersNames(Object.keys(stateDict("cc12m_64x64")));
  for (const [reference, diffusers] of PAIRS) {
    assert.equal(names.get(reference), diffusers, reference);
  }
});

Deno.test("UNets in UNets keep their prefix, and count layers for themselves", () => {
  const names = diffusersNames(Object.keys(stateDict("cc12m_1024x1024")));
  for (const [reference, diffusers] of PAIRS) {
    const prefix = "inner_unet.inner_unet.";
    assert.equal(names.get(prefix + reference), prefix + diffusers, reference);
  }
  assert.equal(names.get("in_adapter.weight"), "in_adapter.weight");
  assert.equal(names.get("inner_unet.out_adapter.bias"), "inner_unet.out_adapter.bias");
  const outer = "inner_unet.up_blocks.2.resnets.2.conv3.bias";
  assert.equal(names.get(outer), "inner_unet.up_blocks.2.resnets.2.conv_shortcut.bias");
});

Deno.test("a name that neither source has stays as it is", () => {
  const odd = [
    "",
    ".",
    "lm_head.0.attn.qkv.weight",
    "normal.weight",
    "attn.x",
    "a\nb",
    "__proto__",
  ];
  assert.deepEqual([...diffusersNames(odd)], odd.map((name) => [name, name]));
  assert.deepEqual([...referenceNames(odd)], odd.map((name) => [name, name]));
});
