import assert from "../assert.ts";
import { askedFor, convChoices, convKernel } from "../../src/gpu/conv_algorithm.ts";
import { CONV_ALGORITHMS, convKey } from "../../src/gpu/conv_choice.ts";
import type { ConvKernel } from "../../src/gpu/conv_kernel.ts";
import type { KernelPolicy } from "../../src/gpu/kernel_policy.ts";
import { kernels } from "../../src/gpu/kernels.ts";

const ONE = { pixels: 64, outputs: 64, depth: 144, sources: 1, half: false };
const software = { deviceClass: "software", subgroupSize: 8 } as const;

Deno.test("software with subgroups broadcasts", () => {
  for (const subgroupSize of [4, 8, 16]) {
    assert.equal(convKernel({ ...software, subgroupSize }, ONE).kernel, kernels.convSubgroup);
  }
});

Deno.test("software without them keeps to registers", () => {
  for (const subgroupSize of [0, 2, 32, 64]) {
    assert.equal(convKernel({ ...software, subgroupSize }, ONE).kernel, kernels.convRegister);
  }
});

Deno.test("GPUs use workgroup memory where there are channels enough", () => {
  for (const subgroupSize of [0, 8, 32]) {
    const gpu = { deviceClass: "gpu", subgroupSize } as const;
    assert.equal(convKernel(gpu, ONE).kernel, kernels.convWorkgroup);
    assert.equal(convKernel(gpu, { ...ONE, outputs: 3 }).kernel, kernels.convRegister);
  }
});

Deno.test("an algorithm that is forced is taken where it can be", () => {
  for (const name of CONV_ALGORITHMS.filter((name) => name !== "winograd")) {
    for (const deviceClass of ["software", "gpu"] as const) {
      const policy = { deviceClass, subgroupSize: 8, convAlgorithm: name };
      assert.equal(convKernel(policy, ONE).kernel.name, `conv_${name}`);
    }
  }
  const without = { ...software, subgroupSize: 0, convAlgorithm: "subgroup" } as const;
  assert.equal(convKernel(without, ONE).kernel, kernels.convRegister);
});

Deno.test("panels are half as wide where a whole one would stand half over the edge", () => {
  for (const subgroupSize of [8, 16]) {
    const panels = [3, 32, 33, 64, 65, 96, 97, 128].map((outputs) =>
      convKernel({ ...software, subgroupSize }, { ...ONE, outputs }).panel
    );
    assert.deepEqual(panels, [32, 32, 64, 64, 32, 32, 64, 64]);
  }
});

/** Policies of every kind, forced and not. */
const POLICIES: KernelPolicy[] = [0, 4, 8, 16, 32].flatMap((subgroupSize) =>
  (["software", "gpu"] as const).flatMap((deviceClass): KernelPolicy[] => [
    { deviceClass, subgroupSize },
    ...CONV_ALGORITHMS.map((convAlgorithm) => ({ deviceClass, subgroupSize, convAlgorithm })),
  ])
);

/** Tiles are loaded and multiplied completely, within what every device has. */
function assertWorkgroup(
  { constants, tile, panel }: Pick<ConvKernel, "constants" | "tile" | "panel">,
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

Deno.test("a row fills a GPU: with smaller tiles, then by split-K", () => {
  const gpu = { deviceClass: "gpu", subgroupSize: 32 } as const;
  const tiling = (side: number, outputs: number, channels: number) => {
    const depth = 9 * channels / 4;
    const shape = { pixels: side ** 2, outputs, depth, sources: 1, half: false };
    const { tile, splitK } = convKernel(gpu, shape);
    return [tile, splitK];
  };
  assert.deepEqual(tiling(64, 256, 256), [128, 1]);
  assert.deepEqual(tiling(32, 512, 512), [64, 1]);
  assert.deepEqual(tiling(16, 512, 512), [64, 4]);
  assert.deepEqual(tiling(16, 768, 768), [64, 2]);
  assert.deepEqual(tiling(8, 1024, 1024), [64, 8]);
  assert.deepEqual(tiling(4, 512, 512), [16, 16]);
  // Too few channels to be worth a split.
  assert.deepEqual(tiling(8, 32, 4), [64, 1]);
});

Deno.test("panels of a workgroup do not depend on pixels, so that graphs share weights", () => {
  const gpu = { deviceClass: "gpu", subgroupSize: 32 } as const;
  for (const [outputs, panel] of [[32, 32], [33, 64], [64, 64], [65, 128], [192, 64], [200, 128]]) {
    for (const pixels of [1, 16, 100, 65536]) {
      assert.equal(convKernel(gpu, { ...ONE, pixels, outputs: outputs! }).panel, panel);
    }
  }
});

Deno.test("what was measured is taken, for its shape and unless another is forced", () => {
  const tiling = { tile: 16, splitK: 2 };
  const tuned = new Map([[convKey(ONE), { algorithm: "workgroup", tiling } as const]]);
  const policy = { ...software, tuned };
  const { kernel, tile, splitK } = convKernel(policy, ONE);
  assert.deepEqual([kernel.name, tile, splitK], ["conv_workgroup", 16, 2]);
  for (const other of [{ pixels: 65 }, { outputs: 65 }, { depth: 9 }, { sources: 2 }]) {
    assert.equal(convKernel(policy, { ...ONE, ...other }).kernel, kernels.convSubgroup);
  }
  assert.equal(convKernel(policy, { ...ONE, half: true }).kernel, kernels.convSubgroup);
  const forced = { ...policy, convAlgorithm: "register" } as const;
  assert.equal(convKernel(forced, ONE).kernel, kernels.convRegister);
});

Deno.test("Winograd's algorithm is not chosen if memory is scarce, nor for its own products", () => {
  const tuned = new Map([[convKey(ONE), { algorithm: "winograd" } as const]]);
  const policy = { ...software, tuned };
  assert.equal(askedFor(policy, ONE)?.algorithm, "winograd");
  assert.equal(askedFor({ ...policy, compact: true }, ONE), undefined);
  assert.equal(askedFor(policy, { ...ONE, batched: true }), undefined);
  assert.equal(convKernel(policy, ONE).kernel, kernels.convSubgroup);
});

Deno.test("each choice is another kernel that can be run", () => {
  for (const { convAlgorithm: _, ...policy } of POLICIES) {
    for (const shape of [ONE, { ...ONE, pixels: 1 }, { ...ONE, pixels: 4096, depth: 3 }]) {
      // Winograd's algorithm is no kernel of its own.
      const choices = convChoices(policy, shape).filter(({ algorithm }) =>
        algorithm !== "winograd"
      );
      const made = choices.map((choice) => {
        const kernel = convKernel({ ...policy, tuned: new Map([[convKey(shape), choice]]) }, shape);
        assert.equal(kernel.kernel.name, `conv_${choice.algorithm}`);
        assert.ok(choice.tiling === undefined || kernel.splitK === choice.tiling.splitK);
        return JSON.stringify([kernel.kernel.name, kernel.constants, kernel.splitK]);
      });
      assert.equal(new Set(made).size, made.length);
      assert.equal(choices.some(({ algorithm }) => algorithm === "register"), true);
    }
  }
});

// The selector sees neither the rows nor anything that depends on them: pixels are those of one row (see the conv2d tests).
Deno.test("tiles and panels are what the constants make up, and sums at most 256 numbers a lane", () => {
  for (const policy of POLICIES) {
    for (const pixels of [1, 15, 16, 17, 4096]) {
      for (const outputs of [3, 33, 96, 256]) {
        const { kernel, constants, tile, panel } = convKernel(policy, { ...ONE, pixels, outputs });
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

Deno.test("each algorithm expands, with as many sources as it says", () => {
  for (const policy of POLICIES) {
    for (const sources of [1, 2]) {
      for (const half of [false, true]) {
        const { kernel, constants } = convKernel(policy, { ...ONE, sources, half });
        const code = kernel.expand(constants);
        assert.equal(code.includes("> input1:"), sources === 2);
        assert.equal(code.includes("unpack2x16float"), half);
        assert.equal(code.includes("subgroupBroadcast("), kernel === kernels.convSubgroup);
        assert.doesNotMatch(code, /\$\{|^\s*#/m);
      }
    }
  }
});
