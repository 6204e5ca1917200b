/**
 * The names of one tensor in the reference (apple/ml-mdm, models/unet.py) and in diffusers
 * (examples/community/matryoshka.py). Derived from reading both sources.
 *
 * Attention layers are numbered through in the reference, `attn.(r L + l)`, and two deep in
 * diffusers, `attentions.r.transformer_blocks.l`, with r the ResNet and L the layers behind each:
 * so a name alone is not enough, and whole lists of names are mapped.
 */

type Renames = readonly (readonly [reference: string, diffusers: string])[];

const UNET: Renames = [
  ["temb_layer1", "time_embedding.linear_1"],
  ["temb_layer2", "time_embedding.linear_2"],
  ["cond_emb", "add_embedding.cond_emb"],
  ["cond_layers.scale.0", "add_embedding.add_timestep_embedder.linear_1"],
  ["cond_layers.scale.1", "add_embedding.add_timestep_embedder.linear_2"],
  ["lm_proj", "encoder_hid_proj"],
  ["norm_out", "conv_norm_out"],
];

/** The blocks, each with the parts of its own names. */
const BLOCKS: Renames = [
  ["mid_blocks.0.resnets.0", "mid_block.resnets.0"],
  ["mid_blocks.0.attn", "mid_block.attentions.0.transformer_blocks"],
  ["mid_blocks.1.resnets.0", "mid_block.resnets.1"],
];

const RESAMPLE: Readonly<Record<string, Renames>> = {
  down_blocks: [["resample", "downsamplers.0.conv"]],
  up_blocks: [["resample", "upsamplers.0.conv"]],
};

const RESNET: Renames = [
  ["time_layer", "time_emb_proj"],
  ["conv3", "conv_shortcut"],
];

const ATTENTION: Renames = [
  ["norm", "attn1.group_norm"],
  ["qkv", "attn1.to_qkv"],
  ["norm_cond", "attn2.norm_cross"],
  ["kv_cond", "attn2.to_kv"],
  ["ffn.0", "ff.group_norm"],
  ["ffn.1", "ff.linear_gelu.proj"],
  ["ffn.3", "ff.linear_out"],
];

const [REFERENCE, DIFFUSERS] = [0, 1] as const;

/** Of each name of the reference, the name in diffusers. */
export function diffusersNames(names: Iterable<string>): Map<string, string> {
  const list = [...names];
  const resnets = countPlaces(list, /^(.*(?:down|up)_blocks\.\d+)\.resnets\.(\d+)\./);
  const layers = countPlaces(list, /^(.*(?:down|up)_blocks\.\d+)\.attn\.(\d+)\./);
  return new Map(list.map((name) => [
    name,
    rename(name, REFERENCE, (block, path) =>
      path.replace(/^attn\.(\d+)(?=\.)/, (_, index) => {
        const each = Math.ceil((layers.get(block) ?? 1) / (resnets.get(block) ?? 1));
        return `attentions.${Math.floor(index / each)}.transformer_blocks.${index % each}`;
      })),
  ]));
}

/** Of each name in diffusers, the name in the reference; what is not known stays as it is. */
export function referenceNames(names: Iterable<string>): Map<string, string> {
  const list = [...names];
  const layers = countPlaces(
    list,
    /^(.*(?:down|up)_blocks\.\d+)\.attentions\.\d+\.transformer_blocks\.(\d+)\./,
  );
  return new Map(list.map((name) => [
    name,
    rename(name, DIFFUSERS, (block, path) =>
      path.replace(
        /^attentions\.(\d+)\.transformer_blocks\.(\d+)(?=\.)/,
        (_, resnet, layer) => `attn.${Number(resnet) * (layers.get(block) ?? 1) + Number(layer)}`,
      )),
  ]));
}

/** One more than the largest number that stands second in the pattern, for each that stands first. */
function countPlaces(names: readonly string[], pattern: RegExp): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) {
    const [, block, index] = pattern.exec(name) ?? [];
    if (block === undefined) continue;
    counts.set(block, Math.max(counts.get(block) ?? 0, Number(index) + 1));
  }
  return counts;
}

type From = typeof REFERENCE | typeof DIFFUSERS;

/** @param renumber gives the attention layers of a block their other numbers */
function rename(
  name: string,
  from: From,
  renumber: (block: string, path: string) => string,
): string {
  const unet = /^(?:inner_unet\.)*/.exec(name)![0];
  const path = name.slice(unet.length);
  const [, block, kind, rest] = /^((down_blocks|up_blocks)\.\d+)\.(.*)$/s.exec(path) ?? [];
  if (block === undefined) {
    return unet + renameParts(exchange(path, [...UNET, ...BLOCKS], from), from);
  }
  const inner = exchange(renumber(unet + block, rest!), RESAMPLE[kind!]!, from);
  return `${unet}${block}.${renameParts(inner, from)}`;
}

/** Renames what is inside a ResNet or an attention layer, wherever that stands. */
function renameParts(path: string, from: From): string {
  return path
    .replace(/(?<=(?:^|\.)resnets\.\d+\.).*$/s, (part) => exchange(part, RESNET, from))
    .replace(
      /(?<=(?:^|\.)(?:attn|attentions\.\d+\.transformer_blocks)\.\d+\.).*$/s,
      (part) => exchange(part, ATTENTION, from),
    );
}

/** Exchanges the beginning of a path, in whole parts between dots. */
function exchange(path: string, renames: Renames, from: From): string {
  for (const pair of renames) {
    const old = pair[from];
    if (path === old || path.startsWith(`${old}.`)) return pair[1 - from] + path.slice(old.length);
  }
  return path;
}
