import assert from "../assert.ts";
import { encodeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { readTextFeatures } from "../../src/pipeline/text_features.ts";

/** Writes a file of tensors, whose numbers count up, and reads its features. */
async function read(
  shapes: Readonly<Record<string, readonly number[]>>,
  prompts: number,
  width: number,
) {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/features.safetensors`;
    const tensors = new Map<string, { shape: number[]; data: Float32Array }>();
    for (const [name, shape] of Object.entries(shapes)) {
      const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i);
      tensors.set(name, { shape: [...shape], data });
    }
    await Deno.writeFile(path, encodeSafetensors(tensors));
    return await readTextFeatures(path, prompts, width);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a file has a row a prompt, and the rows for no prompt first where it has both", async () => {
  const text = (first: number, mask: number) => ({
    features: Float32Array.of(first, first + 1, first + 2, first + 3),
    length: 2,
    mask: Float32Array.of(mask, mask + 1),
  });
  assert.deepEqual(await read({ lm_outputs: [2, 2, 2], lm_mask: [2, 2] }, 2, 2), {
    prompts: [text(0, 0), text(4, 2)],
    negative: null,
  });
  assert.deepEqual(await read({ lm_outputs: [2, 2, 2], lm_mask: [2, 2] }, 1, 2), {
    prompts: [text(4, 2)],
    negative: [text(0, 0)],
  });
});

Deno.test("what does not fit the prompts or the model is refused with the shapes that do", async (t) => {
  const cases: Record<string, Readonly<Record<string, readonly number[]>>> = {
    "no features": { lm_mask: [2, 3] },
    "no mask": { lm_outputs: [2, 3, 4] },
    "a row too many": { lm_outputs: [3, 3, 4], lm_mask: [3, 3] },
    "another width": { lm_outputs: [2, 3, 5], lm_mask: [2, 3] },
    "another number of masks": { lm_outputs: [2, 3, 4], lm_mask: [2, 2] },
    "no tokens": { lm_outputs: [2, 0, 4], lm_mask: [2, 0] },
    "too many tokens": { lm_outputs: [2, 4097, 4], lm_mask: [2, 4097] },
    "a matrix": { lm_outputs: [2, 12], lm_mask: [2, 12] },
  };
  for (const [name, shapes] of Object.entries(cases)) {
    await t.step(name, async () => {
      await assert.rejects(read(shapes, 2, 4), {
        name: "MdmError",
        message:
          /for 2 prompts they need "lm_outputs" of shape \[2 or 4, tokens, 4\] and "lm_mask" of shape/,
      });
    });
  }
});
