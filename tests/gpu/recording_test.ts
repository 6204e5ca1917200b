import assert from "../assert.ts";
import { Gpu } from "../../src/gpu/device.ts";
import { kernels, WORKGROUP } from "../../src/gpu/kernels.ts";
import { Pipelines, Recording } from "../../src/gpu/recording.ts";
import { Tensor } from "../../src/gpu/tensor.ts";

Deno.test("each call has its own parameters and buffers, in the order that was recorded", async () => {
  using gpu = await Gpu.open();
  using pipelines = new Pipelines(gpu);
  using stack = new DisposableStack();
  const tensor = (value: number) => {
    const made = stack.use(new Tensor(gpu, "x", [8, 4]));
    made.write(new Float32Array(32).fill(value));
    return made;
  };
  const [one, ten, first, second, third] = [1, 10, 0, 0, 0].map(tensor);
  const add = (a: Tensor, b: Tensor, output: Tensor, invocations: number, activation: number) => ({
    kernel: kernels.add,
    constants: { WORKGROUP },
    params: { invocations, activation, vectors: 1, repeat: 1 },
    buffers: { a, b, output },
    workgroups: [1, 1, 1] as const,
  });
  using recording = await Recording.make(pipelines, [
    add(one!, ten!, first!, 8, 0),
    // Of half the rows only.
    add(first!, first!, second!, 4, 0),
    // ReLU.
    add(second!, second!, third!, 6, 4),
  ]);
  assert.equal(pipelines.count, 1);
  for (const base of [1, -20]) {
    one!.write(new Float32Array(32).fill(base));
    recording.submit();
    const sum = base + 10;
    const half = Float32Array.from({ length: 32 }, (_, i) => i < 16 ? 2 * sum : 0);
    assert.deepEqual(await first!.read(), new Float32Array(32).fill(sum));
    assert.deepEqual(await second!.read(), half);
    assert.deepEqual(await third!.read(), half.map((x) => Math.max(2 * x, 0)));
  }
});
