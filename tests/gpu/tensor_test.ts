import assert from "../assert.ts";
import { MdmError } from "../../src/errors.ts";
import { Gpu } from "../../src/gpu/device.ts";
import { Tensor } from "../../src/gpu/tensor.ts";

const counted = (count: number) => Float32Array.from({ length: count }, (_, i) => i + 1);

Deno.test("a tensor of any width comes back as it was written", async () => {
  using gpu = await Gpu.open();
  for (const shape of [[1], [4], [2, 3], [3, 1], [2, 2, 5], [2, 3, 1, 8]]) {
    using tensor = new Tensor(gpu, "x", shape);
    const data = counted(shape.reduce((product, size) => product * size, 1));
    assert.equal(tensor.bytes, data.length / shape.at(-1)! * Math.ceil(shape.at(-1)! / 4) * 16);
    assert.deepEqual(await tensor.read(), new Float32Array(data.length), "zero at first");
    tensor.write(data);
    assert.deepEqual(await tensor.read(), data, `[${shape}]`);
  }
});

Deno.test("the padding is zero, over what was there", async () => {
  using gpu = await Gpu.open();
  using tensor = new Tensor(gpu, "x", [2, 3]);
  tensor.writeRaw(new Float32Array(8).fill(9));
  tensor.write(counted(6));
  const raw = new Float32Array(await gpu.read(tensor.buffer));
  assert.deepEqual([...raw], [1, 2, 3, 0, 4, 5, 6, 0]);
});

Deno.test("rows of the first dimension are written alone", async () => {
  using gpu = await Gpu.open();
  using tensor = new Tensor(gpu, "x", [3, 2, 3]);
  tensor.write(counted(6), 1);
  assert.deepEqual([...await tensor.read()], [
    ...Array(6).fill(0),
    1,
    2,
    3,
    4,
    5,
    6,
    ...Array(6).fill(0),
  ]);
  tensor.write(counted(12), 1);
  assert.deepEqual([...await tensor.read()].slice(6), [...counted(12)]);
});

Deno.test("rows of the first dimension are read alone", async () => {
  using gpu = await Gpu.open();
  using tensor = new Tensor(gpu, "x", [4, 2, 3]);
  tensor.write(counted(24));
  assert.deepEqual(await tensor.read(1, 2), counted(24).slice(6, 18));
  assert.deepEqual(await tensor.read(3), counted(24).slice(18));
  assert.equal(tensor.rowBytes, 2 * 16);
});

Deno.test("raw words are written as they are", async () => {
  using gpu = await Gpu.open();
  using tensor = new Tensor(gpu, "ids", [3]);
  tensor.writeRaw(Uint32Array.of(1, 0xffffffff, 3));
  assert.deepEqual([...new Uint32Array(await gpu.read(tensor.buffer))], [1, 0xffffffff, 3, 0]);
});

Deno.test("writing over the end makes the next read throw", async () => {
  using gpu = await Gpu.open();
  using tensor = new Tensor(gpu, "x", [2, 4]);
  tensor.write(counted(8), 1);
  await assert.rejects(tensor.read(), MdmError);
});

Deno.test("a tensor over the limit is refused by its name", async () => {
  using gpu = await Gpu.open();
  assert.throws(
    () => new Tensor(gpu, "latents", [gpu.limits.maxBufferSize / 4, 4]),
    (error: unknown) =>
      error instanceof MdmError && error.message.startsWith("The GPU cannot hold latents: "),
  );
});
