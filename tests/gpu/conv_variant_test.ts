import assert from "node:assert/strict";
import { CONV_VARIANTS, convVariant } from "../../src/gpu/conv_variant.ts";
import type { KernelTarget } from "../../src/gpu/device.ts";
import { kernels } from "../../src/gpu/kernels.ts";

const ONE = { pixels: 64, outputs: 64, sources: 1, half: false };
const software = { deviceClass: "software", subgroupSize: 8 } as const;

Deno.test("software with subgroups broadcasts", () => {
  for (const subgroupSize of [4, 8, 16]) {
    assert.equal(convVariant({ ...software, subgroupSize }, ONE).kernel, kernels.convSubgroup);
  }
});

Deno.test("everything else keeps to registers", () => {
  for (const subgroupSize of [0, 2, 32, 64]) {
    assert.equal(convVariant({ ...software, subgroupSize }, ONE).kernel, kernels.convRegister);
  }
  for (const subgroupSize of [0, 8, 32]) {
    const gpu = { deviceClass: "gpu", subgroupSize } as const;
    assert.equal(convVariant(gpu, ONE).kernel, kernels.convRegister);
  }
});

Deno.test("a variant that is forced is taken where it can be", () => {
  for (const convVariantName of CONV_VARIANTS) {
    for (const deviceClass of ["software", "gpu"] as const) {
      const target = { deviceClass, subgroupSize: 8, convVariant: convVariantName };
      assert.equal(convVariant(target, ONE).kernel.name, `conv_${convVariantName}`);
    }
  }
  const without = { ...software, subgroupSize: 0, convVariant: "subgroup" } as const;
  assert.equal(convVariant(without, ONE).kernel, kernels.convRegister);
});

Deno.test("panels are half as wide where a whole one would stand half over the edge", () => {
  for (const subgroupSize of [8, 16]) {
    const panels = [3, 32, 33, 64, 65, 96, 97, 128].map((outputs) =>
      convVariant({ ...software, subgroupSize }, { ...ONE, outputs }).panel
    );
    assert.deepEqual(panels, [32, 32, 64, 64, 32, 32, 64, 64]);
  }
});

/** Targets of every kind, forced and not. */
const TARGETS: KernelTarget[] = [0, 4, 8, 16, 32].flatMap((subgroupSize) =>
  (["software", "gpu"] as const).flatMap((deviceClass): KernelTarget[] => [
    { deviceClass, subgroupSize },
    ...CONV_VARIANTS.map((convVariant) => ({ deviceClass, subgroupSize, convVariant })),
  ])
);

// The selector sees neither the rows nor anything that depends on them: pixels are those of one row (see the conv2d tests).
Deno.test("tiles and panels are what the constants make up, and sums at most 256 numbers a lane", () => {
  for (const target of TARGETS) {
    for (const pixels of [1, 15, 16, 17, 4096]) {
      for (const outputs of [3, 33, 96, 256]) {
        const { kernel, constants, tile, panel } = convVariant(target, { ...ONE, pixels, outputs });
        const { LANES, GROUPS, PIXEL_LANES, PIXELS, VECTORS, WIDTH, TILE } = constants as Record<
          string,
          number
        >;
        assert.equal(TILE, tile);
        if (kernel === kernels.convRegister) {
          assert.equal(PIXEL_LANES! * PIXELS!, tile);
          assert.equal(LANES! * 4, panel);
        } else {
          assert.equal(LANES! * GROUPS!, tile);
          assert.equal(LANES! * VECTORS! * WIDTH!, panel);
          assert.ok(tile * VECTORS! * WIDTH! <= 256);
        }
      }
    }
  }
});

Deno.test("each variant expands, with as many sources as it says", () => {
  for (const target of TARGETS) {
    for (const sources of [1, 2]) {
      for (const half of [false, true]) {
        const { kernel, constants } = convVariant(target, { ...ONE, sources, half });
        const code = kernel.expand(constants);
        assert.equal(code.includes("> input1:"), sources === 2);
        assert.equal(code.includes("unpack2x16float"), half);
        assert.equal(code.includes("subgroupBroadcast("), kernel === kernels.convSubgroup);
        assert.doesNotMatch(code, /\$\{|^\s*#/m);
      }
    }
  }
});
