import { layerNorm, rmsNorm } from "../../../src/graph/operations/layer_norm.ts";
import { assertAllclose } from "../../allclose.ts";
import * as reference from "../../reference.ts";
import { Bench } from "../run.ts";
import { assertRowsIndependent, type Input, numbers } from "./numbers.ts";

// Widths below, at and above the 64 vectors of a workgroup, whole vectors and not.
const shapes = [[1, 1], [7, 3], [2, 5, 33], [65, 70], [3, 96], [2, 256], [3, 257], [1, 1030]];

// A handful of roundings of numbers up to 4.
const tolerance = { absolute: 3e-6, relative: 3e-6 };

Deno.test("layerNorm and rmsNorm", async (t) => {
  await using bench = await Bench.open();

  await t.step("equal the reference", async () => {
    for (const shape of shapes) {
      const width = shape.at(-1)!;
      const x = numbers(shape, 1, 5);
      for (let i = 0; i < x.data.length; i++) x.data[i]! += 3;
      const weight = bench.parameter(`w${shape}`, [width], 2);
      const bias = bench.parameter(`b${shape}`, [width]);
      const { layer, rms } = await bench.run({ x }, (graph, v) => ({
        layer: layerNorm(graph, v.x!, weight, bias),
        rms: rmsNorm(graph, v.x!, weight, 1e-6),
      }));
      const [w, b] = [weight, bias].map(({ name }) => bench.parameters.get(name)!);
      assertAllclose(layer!, reference.layerNorm(x, w!, b!).data, tolerance, `layer [${shape}]`);
      assertAllclose(rms!, reference.rmsNorm(x, w!, 1e-6).data, tolerance, `rms [${shape}]`);
    }
  });

  await t.step("epsilon counts where values are small", async () => {
    const x = numbers([3, 70], 2, 1e-3);
    const [weight, bias] = [bench.parameter("sw", [70]), bench.parameter("sb", [70])];
    const [w, b] = [weight, bias].map(({ name }) => bench.parameters.get(name)!);
    const { layer, rms } = await bench.run({ x }, (graph, v) => ({
      layer: layerNorm(graph, v.x!, weight, bias),
      rms: rmsNorm(graph, v.x!, weight, 1e-4),
    }));
    assertAllclose(layer!, reference.layerNorm(x, w!, b!).data, tolerance);
    assertAllclose(rms!, reference.rmsNorm(x, w!, 1e-4).data, tolerance);
  });

  await t.step("large values neither overflow nor lose their spread", async () => {
    const x = numbers([3, 70], 3, 1);
    for (let i = 0; i < x.data.length; i++) x.data[i]! += 1000;
    const big = numbers([3, 70], 4, 1e15);
    const [weight, bias] = [bench.parameter("lw", [70]), bench.parameter("lb", [70])];
    const [w, b] = [weight, bias].map(({ name }) => bench.parameters.get(name)!);
    const { layer, rms } = await bench.run({ x, big }, (graph, v) => ({
      layer: layerNorm(graph, v.x!, weight, bias),
      rms: rmsNorm(graph, v.big!, weight, 1e-6),
    }));
    // The mean of numbers around 1000 is rounded to 6e-5.
    assertAllclose(layer!, reference.layerNorm(x, w!, b!).data, { absolute: 3e-4 });
    assertAllclose(rms!, reference.rmsNorm(big, w!, 1e-6).data, tolerance);
  });

  await t.step("a row has the same bits in any batch", async () => {
    const [weight, bias] = [bench.parameter("rw", [70]), bench.parameter("rb", [70])];
    for (const norm of ["layer", "rms"]) {
      const run = async (inputs: Record<string, Input>) => {
        const { y } = await bench.run(inputs, (graph, v) => ({
          y: norm === "layer"
            ? layerNorm(graph, v.x!, weight, bias)
            : rmsNorm(graph, v.x!, weight, 1e-6),
        }));
        return y!;
      };
      await assertRowsIndependent({ x: numbers([3, 7, 70], 1) }, run);
    }
  });
});
