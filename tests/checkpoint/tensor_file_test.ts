import assert from "../assert.ts";
import { encodeSafetensors, Safetensors } from "../../src/checkpoint/safetensors.ts";
import { openTensorFile } from "../../src/checkpoint/open_tensor_file.ts";
import { TorchFile } from "../../src/checkpoint/torch/torch_file.ts";
import { assertRefused, withFile } from "./refused.ts";

const PTH = `${import.meta.dirname}/../fixtures/pth`;

Deno.test("openTensorFile() tells formats apart by what is in the file", async () => {
  const tensors = new Map([["bias", { shape: [2], data: Float32Array.of(1, 2) }]]);
  const files: [Uint8Array, typeof TorchFile | typeof Safetensors][] = [
    [encodeSafetensors(tensors), Safetensors],
    [await Deno.readFile(`${PTH}/odd.pth`), TorchFile],
    [await Deno.readFile(`${PTH}/legacy.pth`), TorchFile],
  ];
  for (const [bytes, format] of files) {
    await withFile(bytes, async (path) => {
      using file = await openTensorFile(path);
      assert.ok(file instanceof format);
      assert.equal(file.path, path);
      assert.ok(file.tensors.size > 0);
    });
  }
});

Deno.test("openTensorFile() refuses what is neither", async () => {
  await assertRefused(new Uint8Array(0), openTensorFile, /it is empty/);
  await assertRefused(new Uint8Array(3), openTensorFile, /has only 3 bytes/);
  await assertRefused(new TextEncoder().encode("<!doctype html>"), openTensorFile, /an HTML page/);
});
