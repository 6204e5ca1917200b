import assert from "../assert.ts";
import { matchTensors } from "../../src/checkpoint/match.ts";

/** Matches a file of tensors of these types with a model that needs "a.weight". */
function match(dtypes: Record<string, string>, unreadable: Record<string, string> = {}): void {
  const tensors = Object.entries(dtypes)
    .map(([name, dtype]) => [name, { name, dtype, shape: [2] }] as const);
  matchTensors(
    { path: "m", tensors: new Map(tensors), unreadable: new Map(Object.entries(unreadable)) },
    new Map([["a.weight", { shape: [2] }]]),
    { allowSurplus: true },
  );
}

Deno.test("what cannot be read is refused where a model needs it", () => {
  match({ "a.weight": "F32" }, { "b.weight": "is a sparse tensor" });
  assert.throws(() => match({}, { "a.weight": "is a sparse tensor" }), {
    name: "MdmError",
    message: 'Cannot load "m": tensor "a.weight" is a sparse tensor. ' +
      "Get the file again, or save its tensors as F32, F16 or BF16.",
  });
});

Deno.test("a weight of 8 bits with a scale beside it is refused, since its values would be others", () => {
  const scales = [
    "a.scale_weight",
    "a.weight_scale",
    "a.weight_scale_inv",
    "a.SCB",
    "a.weight.absmax",
    "a.weight.quant_map",
    "a.weight_zero_point",
  ];
  for (const scale of scales) {
    for (const dtype of ["F8_E4M3", "F8_E5M2", "I8", "U8"]) {
      assert.throws(() => match({ "a.weight": dtype, [scale]: "F32" }), {
        name: "MdmError",
        message: `Cannot load "m": tensor "a.weight" is quantized to ${dtype}: ` +
          `"${scale}" belongs to it. ` +
          "Get the file again, or save its tensors as F32, F16 or BF16.",
      });
    }
  }
  match({ "a.weight": "F8_E4M3", "a.bias": "F32", "b.scale_weight": "F32" });
  match({ "a.weight": "F16", "a.scale_weight": "F32" });
});
