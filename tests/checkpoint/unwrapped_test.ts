import assert from "../assert.ts";
import { encodeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { openTensorFile } from "../../src/checkpoint/open_tensor_file.ts";
import { unwrappedNames } from "../../src/checkpoint/unwrapped.ts";
import { withFile } from "./refused.ts";

const NAMES = ["conv.weight", "blocks.0.norm.bias", "scale"];

/** Names as a wrapper has them. */
const wrap = (prefix: string) => NAMES.map((name) => `${prefix}${name}`);

Deno.test("wrappers' parts of names are taken away, in any order and place", () => {
  const wrapped = [
    wrap("module."),
    wrap("_orig_mod."),
    wrap("module._orig_mod."),
    wrap("_orig_mod.module."),
    wrap("model."),
    wrap("model._orig_mod.module."),
    wrap("module.model.net."),
    wrap("_fsdp_wrapped_module."),
    wrap("_forward_module.model."),
    ["_orig_mod.conv.weight", "blocks.0._checkpoint_wrapped_module.norm.bias", "scale"],
    ["conv.weight", "blocks._orig_mod.0._orig_mod.norm.bias", "scale"],
  ];
  for (const names of wrapped) {
    assert.deepEqual([...unwrappedNames(names)!], names.map((name, i) => [name, NAMES[i]]));
  }
  // The count beside averaged weights is no weight.
  assert.deepEqual(
    [...unwrappedNames(["n_averaged", ...wrap("module.")])!.values()],
    NAMES,
  );
});

Deno.test("names without wrappers, or that would become one, stay", () => {
  const kept = [
    NAMES,
    [],
    ["module", "model"],
    ["model.a", "other.a"],
    ["a.module", "b.model"],
    ["module.a", "a"],
    ["n_averaged", "a"],
  ];
  for (const names of kept) assert.equal(unwrappedNames(names), null, names.join());
});

Deno.test("openTensorFile() reads tensors under the names without wrappers", async () => {
  const tensors = new Map(
    wrap("module.").map((name, i) => [name, { shape: [2], data: Float32Array.of(i, 7) }]),
  );
  await withFile(encodeSafetensors(tensors), async (path) => {
    using file = await openTensorFile(path);
    assert.deepEqual([...file.tensors.keys()], NAMES);
    assert.equal(file.format, "safetensors");
    assert.deepEqual(file.files, [path]);
    assert.deepEqual(await file.readFloat32("blocks.0.norm.bias"), Float32Array.of(1, 7));
    assert.deepEqual(await file.readFloat32Range("scale", 0, 1), Float32Array.of(2));
    await assert.rejects(file.readFloat32("module.scale"), /holds no tensor "module.scale"/);
  });
});
