import assert from "../assert.ts";
import { add } from "../../src/graph/operations/add.ts";
import { attention } from "../../src/graph/operations/attention.ts";
import { averagePool } from "../../src/graph/operations/average_pool.ts";
import { concat } from "../../src/graph/operations/concat.ts";
import { conv2d, convTemporal, linear } from "../../src/graph/operations/conv2d.ts";
import { gather } from "../../src/graph/operations/gather.ts";
import { groupNorm } from "../../src/graph/operations/group_norm.ts";
import { layerNorm, rmsNorm } from "../../src/graph/operations/layer_norm.ts";
import { framesOf, mosaicOf } from "../../src/graph/operations/mosaic.ts";
import { reshape } from "../../src/graph/operations/reshape.ts";
import { rotary } from "../../src/graph/operations/rotary.ts";
import { repeatRows, weightedSum } from "../../src/graph/operations/rows.ts";
import { Graph, GraphError } from "../../src/graph/graph.ts";
import type { Value } from "../../src/graph/operation.ts";
import { byteLength, positions, vectors } from "../../src/graph/shape.ts";

const parameter = (name: string, ...shape: number[]) => ({ name, shape });

Deno.test("sizes in memory: the last dimension takes whole vectors", () => {
  assert.deepEqual([vectors([2, 5]), vectors([4]), vectors([3, 1])], [2, 1, 1]);
  assert.deepEqual([positions([2, 3, 5]), positions([5])], [6, 1]);
  assert.deepEqual([byteLength([2, 3, 5]), byteLength([4])], [6 * 32, 16]);
});

Deno.test("operations give the shapes PyTorch gives", () => {
  const graph = new Graph();
  const image = graph.input("image", [2, 5, 7, 8]);
  const bias = parameter("bias", 12);
  const conv = (k: number, options: { stride?: 1 | 2; upsample?: 1 | 2 }) =>
    conv2d(graph, image, { weight: parameter("weight", 12, 8, k, k), bias, ...options }).shape;
  assert.deepEqual(conv(3, {}), [2, 5, 7, 12]);
  assert.deepEqual(conv(3, { stride: 2 }), [2, 3, 4, 12]);
  assert.deepEqual(conv(3, { upsample: 2 }), [2, 10, 14, 12]);
  assert.deepEqual(conv(1, { stride: 2 }), [2, 3, 4, 12]);
  const frames = (frames: number, options: { stride?: 1 | 2; upsample?: 1 | 2 }) => {
    const video = graph.input(`video${graph.inputs.size}`, [2, frames, 35, 8]);
    return convTemporal(graph, video, { weight: parameter("weight", 12, 8, 3), bias, ...options })
      .shape;
  };
  assert.deepEqual(frames(5, {}), [2, 5, 35, 12]);
  assert.deepEqual(frames(5, { stride: 2 }), [2, 3, 35, 12]);
  assert.deepEqual(frames(16, { stride: 2 }), [2, 8, 35, 12]);
  assert.deepEqual(frames(1, { stride: 2 }), [2, 1, 35, 12]);
  assert.deepEqual(frames(5, { upsample: 2 }), [2, 10, 35, 12]);
  assert.deepEqual(reshape(graph, image, [10, 7, 8]).shape, [10, 7, 8]);
  const mosaic = graph.input("mosaic", [2, 6, 12, 8]);
  assert.deepEqual(framesOf(graph, mosaic, 3).shape, [18, 2, 4, 8]);
  assert.deepEqual(mosaicOf(graph, framesOf(graph, mosaic, 3), 3).shape, [2, 6, 12, 8]);
  assert.deepEqual(
    linear(graph, image, { weight: [parameter("a", 3, 8), parameter("b", 4, 8, 1, 1)] }).shape,
    [2, 5, 7, 7],
  );
  assert.deepEqual(concat(graph, image, image).shape, [2, 5, 7, 16]);
  assert.deepEqual(repeatRows(graph, image, 3).shape, [6, 5, 7, 8]);
  const ids = graph.input("ids", [2, 9]);
  assert.deepEqual(gather(graph, parameter("table", 32, 6), ids).shape, [2, 9, 6]);
  assert.deepEqual(gather(graph, parameter("table", 32, 6), Uint32Array.of(1, 2, 3)).shape, [3, 6]);
});

Deno.test("a shape error names the operation, the module and the shapes", () => {
  const graph = new Graph();
  const image = graph.input("image", [2, 5, 7, 8]);
  const other = graph.input("other", [2, 5, 7, 6]);
  const text = graph.input("text", [3, 4, 24]);
  const mask = graph.input("mask", [3, 5]);
  const bias = parameter("b", 8);
  const attend = { heads: 2, headWidth: 4, queryOffset: 0 };
  const keysOf = (kv: Value) => ({ kv, keyOffset: 0, valueOffset: 8 });
  const mistakes: [() => unknown, string][] = [
    [
      () => add(graph, image, other),
      "add in PATH of [2, 5, 7, 8], [2, 5, 7, 6]: both have to have one shape, or the second [2, 8]",
    ],
    [
      () => conv2d(graph, image, { weight: parameter("w", 8, 6, 3, 3), bias }),
      'conv2d in PATH of [2, 5, 7, 8]: "w" has shape [8, 6, 3, 3] but the input has 8 channels',
    ],
    [
      () => conv2d(graph, image, { weight: parameter("w", 9, 8, 3, 3), bias }),
      'conv2d in PATH of [2, 5, 7, 8]: "b" does not fit 9 outputs',
    ],
    [
      () => conv2d(graph, text, { weight: parameter("w", 8, 24, 3, 3), bias }),
      "conv2d in PATH of [3, 4, 24]: the input has to be [rows, height, width, channels]",
    ],
    [
      () => conv2d(graph, image, { weight: parameter("w", 8, 8, 3, 3), bias, residual: other }),
      "conv2d in PATH of [2, 5, 7, 8], [2, 5, 7, 6]: the result is [2, 5, 7, 8]",
    ],
    [
      () => linear(graph, text, { weight: [parameter("v", 4, 24), parameter("w", 4, 8)] }),
      'conv2d in PATH of [3, 4, 24]: "w" has shape [4, 8] but the input has 24 channels',
    ],
    [
      () => concat(graph, other, image),
      "concat in PATH of [2, 5, 7, 6], [2, 5, 7, 8]: the first one's channels have to be a multiple of 4",
    ],
    [
      () => concat(graph, image, text),
      "concat in PATH of [2, 5, 7, 8], [3, 4, 24]: all but the channels have to agree",
    ],
    [
      () => groupNorm(graph, image, { weight: bias, bias, groups: 3 }),
      "groupNorm in PATH of [2, 5, 7, 8]: 8 channels are not divisible by 3 groups",
    ],
    [
      () => groupNorm(graph, other, { weight: bias, bias, groups: 2 }),
      'groupNorm in PATH of [2, 5, 7, 6]: "b" has shape [8], not [6]',
    ],
    [
      () => {
        const six = parameter("b", 6);
        groupNorm(graph, other, { weight: six, bias: six, groups: 2 });
      },
      "groupNorm in PATH of [2, 5, 7, 6]: 6 channels are not a multiple of 4",
    ],
    [
      () =>
        groupNorm(graph, image, {
          weight: bias,
          bias,
          groups: 2,
          film: { value: mask, offset: 0 },
        }),
      "groupNorm in PATH of [2, 5, 7, 8], [3, 5]: the scale and shift have a number of rows that does not divide the input's",
    ],
    [
      () => {
        const film = { value: graph.input("film", [2, 20]), offset: 5 };
        groupNorm(graph, image, { weight: bias, bias, groups: 2, film });
      },
      "groupNorm in PATH of [2, 5, 7, 8], [2, 20]: the scale and shift are too short for 8 channels",
    ],
    [
      () => layerNorm(graph, text, bias, bias),
      'layerNorm in PATH of [3, 4, 24]: "b" has shape [8], not [24]',
    ],
    [
      () => rmsNorm(graph, text, bias, 1e-6),
      'layerNorm in PATH of [3, 4, 24]: "b" has shape [8], not [24]',
    ],
    [
      () => attention(graph, image, { ...attend, keys: keysOf(text) }),
      "attention in PATH of [2, 5, 7, 8], [3, 4, 24]: queries and keys have different numbers of rows",
    ],
    [
      () => attention(graph, text, { ...attend, queryOffset: 20, keys: keysOf(text) }),
      "attention in PATH of [3, 4, 24], [3, 4, 24]: queries do not hold 2 heads of 4",
    ],
    [
      () => attention(graph, text, { ...attend, keys: { ...keysOf(text), valueOffset: 17 } }),
      "attention in PATH of [3, 4, 24], [3, 4, 24]: keys and values do not hold 2 heads of 4",
    ],
    [
      () => attention(graph, text, { ...attend, keys: { ...keysOf(text), mask } }),
      "attention in PATH of [3, 4, 24], [3, 4, 24], [3, 5]: the mask has to be [3, 4]",
    ],
    [
      () => attention(graph, text, { ...attend, temporal: true, keys: keysOf(text) }),
      "attention in PATH of [3, 4, 24], [3, 4, 24]: over time, the queries have to be [rows, frames, pixels, width]",
    ],
    [
      () => attention(graph, image, { ...attend, temporal: true, keys: keysOf(other) }),
      "attention in PATH of [2, 5, 7, 8], [2, 5, 7, 6]: keys and values do not hold 2 heads of 4",
    ],
    [
      () => {
        const kv = graph.input("kv", [2, 5, 6, 16]);
        attention(graph, image, { ...attend, temporal: true, keys: keysOf(kv) });
      },
      "attention in PATH of [2, 5, 7, 8], [2, 5, 6, 16]: queries and keys have different numbers of rows",
    ],
    [
      () => {
        const kv = graph.input("video", [2, 3, 7, 16]);
        attention(graph, image, { ...attend, temporal: true, keys: { ...keysOf(kv), mask } });
      },
      "attention in PATH of [2, 5, 7, 8], [2, 3, 7, 16], [3, 5]: the mask has to be [14, 3]",
    ],
    [
      () => convTemporal(graph, text, { weight: parameter("w", 8, 24, 3), bias }),
      "conv2d in PATH of [3, 4, 24]: the input has to be [rows, height, width, channels]",
    ],
    [
      () => convTemporal(graph, image, { weight: parameter("w", 8, 8, 3, 3), bias }),
      'conv2d in PATH of [2, 5, 7, 8]: "w" has shape [8, 8, 3, 3] but the input has 8 channels',
    ],
    [
      () => reshape(graph, image, [2, 5, 6, 8]),
      "reshape in PATH of [2, 5, 7, 8]: cannot be seen as [2, 5, 6, 8]: the last dimension and the number of numbers have to stay",
    ],
    [
      () => reshape(graph, image, [2, 5, 14, 4]),
      "reshape in PATH of [2, 5, 7, 8]: cannot be seen as [2, 5, 14, 4]: the last dimension and the number of numbers have to stay",
    ],
    [
      () => framesOf(graph, image, 2),
      "mosaic in PATH of [2, 5, 7, 8]: the image is no 2 x 2 frames",
    ],
    [
      () => framesOf(graph, text, 2),
      "mosaic in PATH of [3, 4, 24]: the input has to be [rows, height, width, channels]",
    ],
    [
      () => mosaicOf(graph, image, 2),
      "mosaic in PATH of [2, 5, 7, 8]: 2 frames do not fill mosaics of 4",
    ],
    [
      () => rotary(graph, text, { frequencies: bias, headWidth: 16, rotated: 16 }),
      "rotary in PATH of [3, 4, 24]: the input has to be [rows, frames, pixels, width]",
    ],
    [
      () => rotary(graph, image, { frequencies: bias, headWidth: 4, rotated: 4 }),
      'rotary in PATH of [2, 5, 7, 8]: "b" has shape [8], not [2]',
    ],
    [
      () => rotary(graph, image, { frequencies: bias, headWidth: 6, rotated: 6 }),
      "rotary in PATH of [2, 5, 7, 8]: heads of 6 are not a multiple of 4",
    ],
    ...[6, 12].map((rotated): [() => unknown, string] => [
      () => rotary(graph, image, { frequencies: parameter("f", 2), headWidth: 4, rotated }),
      "rotary in PATH of [2, 5, 7, 8]: only whole heads can be turned",
    ]),
    [
      () => averagePool(graph, image, 2),
      "averagePool in PATH of [2, 5, 7, 8]: the image is not divisible by 2",
    ],
    [
      () => averagePool(graph, text, 2),
      "averagePool in PATH of [3, 4, 24]: the input has to be [rows, height, width, channels]",
    ],
    [
      () => gather(graph, image, Uint32Array.of(1)),
      "gather in PATH of [2, 5, 7, 8]: the table has to be [rows, width]",
    ],
    [
      () => repeatRows(graph, image, 2, mask),
      "repeatRows in PATH of [2, 5, 7, 8], [3, 5]: the divisor has to be [rows, 1]",
    ],
    [
      () => weightedSum(graph, image, mask),
      "weightedSum in PATH of [2, 5, 7, 8], [3, 5]: the input has to be [rows, positions, width]",
    ],
    [
      () => weightedSum(graph, text, mask),
      "weightedSum in PATH of [3, 4, 24], [3, 5]: the weights have to be [rows, positions]",
    ],
  ];
  const path = "inner_unet.up_blocks.1.resnets.0";
  for (const [build, message] of mistakes) {
    const inside = () =>
      graph.module(path, () => {
        build();
        return image;
      });
    assert.throws(inside, new GraphError(message.replace("PATH", `"${path}"`)));
  }
  // The path ended with the module, though it threw.
  assert.throws(
    () => add(graph, image, other),
    new GraphError(
      "add of [2, 5, 7, 8], [2, 5, 7, 6]: both have to have one shape, or the second [2, 8]",
    ),
  );
  assert.equal(graph.nodes.length, 0);
});

Deno.test("modules are remembered by their paths, and values know theirs", () => {
  const graph = new Graph();
  const x = graph.input("x", [1, 4]);
  const outer = graph.module("a", () => {
    const inner = graph.module("a.b", () => add(graph, x, x));
    return add(graph, inner, x);
  });
  assert.equal(outer.path, "a");
  assert.equal(graph.modules.get("a"), outer);
  assert.equal(graph.modules.get("a.b")?.path, "a.b");
  assert.equal(graph.modules.get("a.b"), outer.node?.inputs[0]);
});

Deno.test("names are given once, and outputs are what a kernel writes", () => {
  const graph = new Graph();
  const x = graph.input("x", [1, 4]);
  const y = add(graph, x, x);
  graph.output("y", y);
  const mistakes: [() => unknown, string][] = [
    [() => graph.input("x", [1]), 'The graph has two inputs "x"'],
    [() => graph.output("y", add(graph, x, x)), 'The graph has two outputs "y"'],
    [() => graph.output("z", y), 'The output "z" is the output "y"'],
    [() => graph.output("z", x), 'The output "z" is an input'],
    [() => graph.output("z", concat(graph, x, y)), 'The output "z" is a concatenation'],
  ];
  for (const [build, message] of mistakes) assert.throws(build, new GraphError(message));
});
