import assert from "node:assert/strict";
import {
  askedFor,
  CONV_VARIANTS,
  convChoices,
  convKey,
  type ConvVariant,
  convVariant,
} from "../../src/gpu/conv_variant.ts";
import type { KernelTarget } from "../../src/gpu/device.ts";
import { kernels } from "../../src/gpu/kernels.ts";

const ONE = { pixels: 64, outputs: 64, depth: 144, sources: 1, half: false };
const software = { deviceClass: "software", subgroupSize: 8 } as const;

Deno.test("software with subgroups broadcasts", () => {
  for (const subgroupSize of [4, 8, 16]) {
    assert.equal(convVariant({ ...software, subgroupSize }, ONE).kernel, kernels.convSubgroup);
  }
});

Deno.test("software without them keeps to registers", () => {
  for (const subgroupSize of [0, 2, 32, 64]) {
    assert.equal(convVariant({ ...software, subgroupSize }, ONE).kernel, kernels.convRegister);
  }
});

Deno.test("GPUs use workgroup memory where there are channels enough", () => {
  for (const subgroupSize of [0, 8, 32]) {
    const gpu = { deviceClass: "gpu", subgroupSize } as const;
    assert.equal(convVariant(gpu, ONE).kernel, kernels.convWorkgroup);
    assert.equal(convVariant(gpu, { ...ONE, outputs: 3 }).kernel, kernels.convRegister);
  }
});

Deno.test("a variant that is forced is taken where it can be", () => {
  for (const name of CONV_VARIANTS.filter((name) => name !== "winograd")) {
    for (const deviceClass of ["software", "gpu"] as const) {
      const target = { deviceClass, subgroupSize: 8, convVariant: name };
      assert.equal(convVariant(target, ONE).kernel.name, `conv_${name}`);
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

/** Tiles are loaded and multiplied completely, within what every device has. */
function assertWorkgroup(
  { constants, tile, panel }: Pick<ConvVariant, "constants" | "tile" | "panel">,
): void {
  const { LANES, PIXEL_LANES, PIXELS, VECTORS, PANEL_VECTORS, INPUT_LOADS, WEIGHT_LOADS } =
    constants as Record<string, number>;
  const invocations = LANES! * PIXEL_LANES!;
  assert.equal(PIXEL_LANES! * PIXELS!, tile);
  assert.equal(LANES! * VECTORS!, PANEL_VECTORS);
  assert.equal(PANEL_VECTORS! * 4, panel);
  assert.equal(INPUT_LOADS! * invocations, tile * 4);
  assert.equal(WEIGHT_LOADS! * invocations, 16 * PANEL_VECTORS!);
  assert.ok(invocations <= 256);
  assert.ok((tile * 4 + 16 * PANEL_VECTORS!) * 16 <= 16384);
  assert.ok(PIXELS! * VECTORS! * 4 <= 64);
}

Deno.test("a row fills a GPU: with smaller tiles, then with parts of the sum", () => {
  const gpu = { deviceClass: "gpu", subgroupSize: 32 } as const;
  const cut = (side: number, outputs: number, channels: number) => {
    const depth = 9 * channels / 4;
    const shape = { pixels: side ** 2, outputs, depth, sources: 1, half: false };
    const { tile, parts } = convVariant(gpu, shape);
    return [tile, parts];
  };
  assert.deepEqual(cut(64, 256, 256), [128, 1]);
  assert.deepEqual(cut(32, 512, 512), [64, 1]);
  assert.deepEqual(cut(16, 512, 512), [64, 4]);
  assert.deepEqual(cut(16, 768, 768), [64, 2]);
  assert.deepEqual(cut(8, 1024, 1024), [64, 8]);
  assert.deepEqual(cut(4, 512, 512), [16, 16]);
  // Too few channels to be worth parts.
  assert.deepEqual(cut(8, 32, 4), [64, 1]);
});

Deno.test("panels of a workgroup do not hang on pixels, so that graphs share weights", () => {
  const gpu = { deviceClass: "gpu", subgroupSize: 32 } as const;
  for (const [outputs, panel] of [[32, 32], [33, 64], [64, 64], [65, 128], [192, 64], [200, 128]]) {
    for (const pixels of [1, 16, 100, 65536]) {
      assert.equal(convVariant(gpu, { ...ONE, pixels, outputs: outputs! }).panel, panel);
    }
  }
});

Deno.test("what was measured is taken, for its shape and unless another is forced", () => {
  const cut = { tile: 16, parts: 2 };
  const tuned = new Map([[convKey(ONE), { variant: "workgroup", cut } as const]]);
  const target = { ...software, tuned };
  const { kernel, tile, parts } = convVariant(target, ONE);
  assert.deepEqual([kernel.name, tile, parts], ["conv_workgroup", 16, 2]);
  for (const other of [{ pixels: 65 }, { outputs: 65 }, { depth: 9 }, { sources: 2 }]) {
    assert.equal(convVariant(target, { ...ONE, ...other }).kernel, kernels.convSubgroup);
  }
  assert.equal(convVariant(target, { ...ONE, half: true }).kernel, kernels.convSubgroup);
  const forced = { ...target, convVariant: "register" } as const;
  assert.equal(convVariant(forced, ONE).kernel, kernels.convRegister);
});

Deno.test("Winograd's way is not asked for where memory is scarce, nor for its own products", () => {
  const tuned = new Map([[convKey(ONE), { variant: "winograd" } as const]]);
  const target = { ...software, tuned };
  assert.equal(askedFor(target, ONE)?.variant, "winograd");
  assert.equal(askedFor({ ...target, compact: true }, ONE), undefined);
  assert.equal(askedFor(target, { ...ONE, whole: true }), undefined);
  assert.equal(convVariant(target, ONE).kernel, kernels.convSubgroup);
});

Deno.test("each choice is another variant that can be run", () => {
  for (const { convVariant: _, ...target } of TARGETS) {
    for (const shape of [ONE, { ...ONE, pixels: 1 }, { ...ONE, pixels: 4096, depth: 3 }]) {
      // Winograd's way is no kernel of its own.
      const choices = convChoices(target, shape).filter(({ variant }) => variant !== "winograd");
      const variants = choices.map((choice) => {
        const made = convVariant({ ...target, tuned: new Map([[convKey(shape), choice]]) }, shape);
        assert.equal(made.kernel.name, `conv_${choice.variant}`);
        assert.ok(choice.cut === undefined || made.parts === choice.cut.parts);
        return JSON.stringify([made.kernel.name, made.constants, made.parts]);
      });
      assert.equal(new Set(variants).size, variants.length);
      assert.equal(choices.some(({ variant }) => variant === "register"), true);
    }
  }
});

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
        if (kernel === kernels.convWorkgroup) {
          assertWorkgroup({ constants, tile, panel });
        } else if (kernel === kernels.convRegister) {
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
