import assert from "../assert.ts";
import { MdmError } from "../../src/errors.ts";
import { kernelPolicy } from "../../src/gpu/kernel_policy.ts";

const INFO = { name: "Card 2", deviceClass: "gpu", subgroupSize: 32, f16: true } as const;

Deno.test("a policy has of a device what kernels are chosen by, and what is asked for", () => {
  const device = { deviceClass: "gpu", subgroupSize: 32 };
  assert.deepEqual(kernelPolicy(INFO), device);
  assert.deepEqual(kernelPolicy(INFO, { deviceClass: "software", convAlgorithm: "register" }), {
    ...device,
    deviceClass: "software",
    convAlgorithm: "register",
  });
});

Deno.test("kernels that were measured on another adapter are refused", () => {
  const convolutions = new Map();
  assert.throws(
    () => kernelPolicy(INFO, { tuned: { adapter: 'Toy\n"1"', convolutions } }),
    new MdmError(
      `The tuned kernels were measured on "Toy\\n\\"1\\"", and this is "Card 2". Run "mdm tune" here.`,
    ),
  );
  const { tuned } = kernelPolicy(INFO, { tuned: { adapter: "Card 2", convolutions } });
  assert.equal(tuned, convolutions);
});
