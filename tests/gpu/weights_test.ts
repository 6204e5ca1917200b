import assert from "../assert.ts";
import { MdmError } from "../../src/errors.ts";
import { Gpu } from "../../src/gpu/device.ts";
import { rowMajor } from "../../src/gpu/packing.ts";
import { Weights } from "../../src/gpu/weights.ts";

/** Tensors by name, and the names that were read. */
function checkpoint(tensors: Record<string, number[]>) {
  const reads: string[] = [];
  return {
    reads,
    readFloat32(name: string): Promise<Float32Array> {
      reads.push(name);
      const data = tensors[name];
      return data === undefined
        ? Promise.reject(new MdmError(`no "${name}"`))
        : Promise.resolve(Float32Array.from(data));
    },
  };
}

const request = (names: string[], count: number, width: number) => ({
  key: names.join("+"),
  parameters: names.map((name) => ({ name })),
  packing: rowMajor(count, width),
});

async function read(gpu: Gpu, weights: Weights, key: string): Promise<number[]> {
  const { buffer, offset, bytes } = weights.range(key);
  return [...new Float32Array(await gpu.read(buffer, offset, bytes))];
}

Deno.test("weights are packed, each in an aligned range of its own", async () => {
  using gpu = await Gpu.open();
  const source = checkpoint({ a: [1, 2, 3], b: [4, 5], c: [6] });
  using weights = new Weights(gpu, source);
  await weights.load([request(["a"], 1, 3), request(["b", "c"], 3, 1)]);
  assert.deepEqual(await read(gpu, weights, "a"), [1, 2, 3, 0]);
  assert.deepEqual(await read(gpu, weights, "b+c"), [4, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0]);
  const [a, bc] = [weights.range("a"), weights.range("b+c")];
  assert.equal(a.buffer, bc.buffer);
  assert.equal(bc.offset % 256, 0);
  assert.ok(bc.offset >= a.offset + a.bytes);
  assert.equal(weights.bytes, a.buffer.size);
});

Deno.test("what is loaded is shared, not read again", async () => {
  using gpu = await Gpu.open();
  const source = checkpoint({ a: [1], b: [2] });
  using weights = new Weights(gpu, source);
  await weights.load([request(["a"], 1, 1)]);
  const range = weights.range("a");
  const { bytes } = weights;
  await weights.load([request(["a"], 1, 1)]);
  assert.equal(weights.bytes, bytes);
  await weights.load([request(["a"], 1, 1), request(["b"], 1, 1)]);
  assert.equal(weights.range("a"), range);
  assert.ok(weights.bytes > bytes);
  assert.deepEqual(source.reads, ["a", "b"]);
  assert.throws(() => weights.range("c"), new Error('Weight "c" was not loaded'));
});

Deno.test("a weight that could not be read does not count as loaded", async () => {
  using gpu = await Gpu.open();
  const tensors: Record<string, number[]> = { a: [1] };
  using weights = new Weights(gpu, checkpoint(tensors));
  const requests = [request(["a"], 1, 1), request(["b"], 1, 1)];
  await assert.rejects(weights.load(requests), new MdmError('no "b"'));
  assert.throws(() => weights.range("b"), new Error('Weight "b" was not loaded'));
  tensors.b = [2];
  await weights.load(requests);
  assert.deepEqual(await read(gpu, weights, "b"), [2, 0, 0, 0]);
});

Deno.test("a tensor too large to bind is refused before anything is read", async () => {
  using gpu = await Gpu.open();
  const source = checkpoint({ small: [1] });
  using weights = new Weights(gpu, source);
  const limit = gpu.limits.maxStorageBufferBindingSize;
  await assert.rejects(
    weights.load([request(["small"], 1, 1), request(["huge"], limit / 4 + 1, 1)]),
    new MdmError(
      `The GPU cannot hold "huge": it takes ${
        limit * 4 + 16
      } bytes and the limit for one tensor is ${limit}. Use a GPU with a larger limit.`,
    ),
  );
  assert.deepEqual(source.reads, []);
  assert.equal(weights.bytes, 0);
});

Deno.test("a tensor that holds what is not a number is refused", async () => {
  using gpu = await Gpu.open();
  for (const bad of [NaN, Infinity, -Infinity]) {
    const source = { readFloat32: () => Promise.resolve(Float32Array.of(1, bad, 3)) };
    using weights = new Weights(gpu, source);
    const request = { key: "b", parameters: [{ name: "b" }], packing: rowMajor(1, 3) };
    await assert.rejects(weights.load([request]), {
      name: "MdmError",
      message:
        `Cannot use the weights: tensor "b" holds values that are not finite. Get the file again.`,
    });
  }
});

/** A device on which buffers and bindings have limits, with the buffers that were made. */
function limited(limits: { maxBufferSize: number; maxStorageBufferBindingSize: number }) {
  const made: number[] = [];
  const gpu = {
    limits,
    buffer: (size: number) => {
      made.push(size);
      return { size, destroy() {} };
    },
    device: { queue: { writeBuffer() {}, submit() {} } },
    finish: () => Promise.resolve(),
    check() {},
  };
  return { made, gpu: gpu as unknown as Gpu };
}

Deno.test("a buffer holds as many tensors as fit, with the last one counted", async () => {
  const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => request([name], 1, 64));
  const requests = [a!, b!, c!, d!];
  const source = { readFloat32: () => Promise.resolve(new Float32Array(64)) };
  // Tensors of 256 bytes: one over three of them is no room for a fourth.
  for (
    const [maxBufferSize, buffers] of [
      [1024, [1024]],
      [1023, [768, 256]],
      [768, [768, 256]],
      [767, [512, 512]],
      [511, [256, 256, 256, 256]],
      [256, [256, 256, 256, 256]],
    ] as const
  ) {
    const { made, gpu } = limited({ maxBufferSize, maxStorageBufferBindingSize: 256 });
    using weights = new Weights(gpu, source);
    await weights.load(requests);
    assert.deepEqual(made, buffers, String(maxBufferSize));
    assert.equal(weights.bytes, 1024);
    for (const { key } of requests) {
      const { buffer, offset, bytes } = weights.range(key);
      assert.ok(offset + bytes <= buffer.size);
    }
  }
});

Deno.test("a tensor as large as the limit for one is taken, and one that is larger is not", async () => {
  const source = { readFloat32: () => Promise.resolve(new Float32Array(64)) };
  const { gpu } = limited({ maxBufferSize: 1024, maxStorageBufferBindingSize: 256 });
  using weights = new Weights(gpu, source);
  await weights.load([request(["a"], 1, 64)]);
  await assert.rejects(weights.load([request(["b"], 1, 65)]), /takes 272 bytes and the limit/);
});
