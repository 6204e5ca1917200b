import assert from "node:assert/strict";
import { convVariant } from "../../src/gpu/conv_variant.ts";
import { kernels } from "../../src/gpu/kernels.ts";

const ONE = { pixels: 64, sources: 1, half: false };
const software = { deviceClass: "software", subgroupSize: 8 } as const;

Deno.test("software with subgroups broadcasts", () => {
  assert.deepEqual(convVariant(software, ONE), {
    constants: {
      SOURCES: 1,
      CONCAT: false,
      HALF: false,
      SUBGROUPS: true,
      LANES: 8,
      GROUPS: 4,
      TILE: 32,
    },
    panel: 32,
    tile: 32,
  });
  assert.deepEqual(
    convVariant({ ...software, subgroupSize: 4 }, { pixels: 64, sources: 2, half: true }),
    {
      constants: {
        SOURCES: 2,
        CONCAT: true,
        HALF: true,
        SUBGROUPS: true,
        LANES: 4,
        GROUPS: 8,
        TILE: 32,
      },
      panel: 16,
      tile: 32,
    },
  );
});

Deno.test("everything else keeps to registers", () => {
  const registers = {
    constants: {
      SOURCES: 1,
      CONCAT: false,
      HALF: false,
      SUBGROUPS: false,
      LANES: 8,
      PIXEL_LANES: 8,
      PIXELS: 4,
    },
    panel: 32,
    tile: 32,
  };
  for (const subgroupSize of [0, 2, 16, 32, 64]) {
    assert.deepEqual(convVariant({ deviceClass: "software", subgroupSize }, ONE), registers);
  }
  for (const subgroupSize of [0, 8, 32]) {
    assert.deepEqual(convVariant({ deviceClass: "gpu", subgroupSize }, ONE), registers);
  }
});

Deno.test("rows of few pixels get small tiles, which their constants make up", () => {
  for (const subgroupSize of [0, 4, 8]) {
    for (const [pixels, tile] of [[1, 8], [15, 8], [16, 32], [4096, 32]] as const) {
      const variant = convVariant({ deviceClass: "software", subgroupSize }, { ...ONE, pixels });
      const { LANES, GROUPS, PIXEL_LANES, PIXELS } = variant.constants as Record<string, number>;
      assert.equal(variant.tile, tile);
      assert.equal(GROUPS === undefined ? PIXEL_LANES! * PIXELS! : LANES! * GROUPS, tile);
      assert.equal(variant.panel, LANES! * 4);
    }
  }
});

// The selector sees neither the rows nor anything that depends on them: pixels are those of one row (see the conv2d tests).
Deno.test("each variant expands, with as many sources as it says", () => {
  for (const subgroupSize of [0, 4, 8]) {
    for (const pixels of [1, 64]) {
      for (const sources of [1, 2]) {
        const { constants } = convVariant(
          { deviceClass: "software", subgroupSize },
          { pixels, sources, half: pixels === 1 },
        );
        const code = kernels.conv.expand(constants);
        assert.equal(code.includes("> input1:"), sources === 2);
        assert.equal(code.includes("unpack2x16float"), pixels === 1);
        assert.equal(code.includes("subgroupBroadcast("), subgroupSize !== 0);
        assert.doesNotMatch(code, /\$\{|^\s*#/m);
      }
    }
  }
});
