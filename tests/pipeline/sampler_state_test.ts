import assert from "../assert.ts";
import { encodeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { MdmError } from "../../src/errors.ts";
import { decodeSamplerState, encodeSamplerState } from "../../src/pipeline/sampler_state.ts";

const SAVED = {
  step: 99_999,
  weights: "0123abcd",
  latents: [Float32Array.of(1.5, -0, 1e-40), Float32Array.of(7)],
  estimates: [Float32Array.of(4, 5, 6), Float32Array.of(-7)],
};

/** A file of tensors with these numbers. */
function tensors(all: Record<string, readonly number[]>): Uint8Array<ArrayBuffer> {
  return encodeSafetensors(
    new Map(
      Object.entries(all).map(([name, numbers]) => {
        return [name, { shape: [numbers.length], data: Float32Array.from(numbers) }];
      }),
    ),
  );
}

Deno.test("what is written down is read back, to the last bit", () => {
  const bytes = encodeSamplerState(SAVED);
  assert.deepEqual(decodeSamplerState(bytes, "a"), SAVED);
  assert.deepEqual(encodeSamplerState(decodeSamplerState(bytes, "a")), bytes);
});

Deno.test("a file that is cut anywhere is no saved state", () => {
  const bytes = encodeSamplerState(SAVED);
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => decodeSamplerState(bytes.slice(0, length), "cut"), (error) => {
      assert.ok(error instanceof MdmError, String(error));
      assert.match(error.message, /"cut"/);
      return true;
    }, `${length} bytes`);
  }
});

Deno.test("tensors that are no image on its way are no saved state", async (t) => {
  const levels = { weights: [48], "latent.0": [1, 2], "estimate.0": [3, 4] };
  const cases: Record<string, Uint8Array<ArrayBuffer>> = {
    "no tensors": tensors({}),
    "no step": tensors(levels),
    "no model": tensors({ step: [1], "latent.0": [1, 2], "estimate.0": [3, 4] }),
    "a broken step": tensors({ step: [1.5], ...levels }),
    "a step before the first": tensors({ step: [-1], ...levels }),
    "a step that is no number": tensors({ step: [NaN], ...levels }),
    "no levels": tensors({ step: [1], weights: [48] }),
    "no estimates": tensors({ step: [1], weights: [48], "latent.0": [1, 2] }),
    "an estimate of another size": tensors({ step: [1], ...levels, "estimate.0": [3] }),
    "a level less": tensors({ step: [1], ...levels, "latent.1": [1] }),
    "halves": encodeSafetensors(
      new Map(
        Object.entries({ step: [1], ...levels }).map(([name, numbers]) => {
          return [name, { shape: [numbers.length], data: Float32Array.from(numbers) }];
        }),
      ),
      "F16",
    ),
  };
  for (const [name, bytes] of Object.entries(cases)) {
    await t.step(name, () => {
      assert.throws(() => decodeSamplerState(bytes, "x"), {
        name: "MdmError",
        message: `Cannot go on from "x": it is no saved state of an image.`,
      });
    });
  }
});
